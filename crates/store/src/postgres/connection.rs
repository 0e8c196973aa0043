//! One connection to the server: how it is made, its prepared statements, and the order in which things are sent.
//!
//! Requests are pipelined: each is sent as soon as its future is first polled and answered in the order of sending.
//! Whoever wants several to stand together sends them under [`Connection::send`].

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Context;
use std::time::{Duration, Instant};

use mainstay_lang::value::Value;
use mainstay_sql::statement::Bind;
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::AbortHandle;
use tokio_postgres::error::SqlState;
use tokio_postgres::{AsyncMessage, Client, Config, RowStream, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::{Failure, too_many_connections, with_source};
use super::tls;
use super::url::PostgresUrl;
use super::values::{Bound, announced_array};
use crate::StoreError;
use crate::options::StoreOptions;
use crate::query::Query;

/// The oldest server that works: `pg_visible_in_snapshot` and pipelined errors are as they should be there.
const VERSION_MIN: u32 = 14;

/// A transaction that waits for its next statement for so long is ended by the server: its process hangs, or is gone
/// without the server having been told.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// Where the server says that it waits no longer for its standbys to have a commit, which is kept all the same.
const REPLICATION_WAIT: &str = "SyncRepWaitForLSN";

/// How long a cancel request may take; it is a connection of its own.
const CANCEL_MAX: Duration = Duration::from_secs(5);

/// Where connections lead and what they are told.
pub(super) struct Target {
    config: Config,
    tls: MakeRustlsConnect,
    /// Without the password.
    shown: String,
    /// Whether a pooler hands out another server for each transaction: then nothing may be kept on the connection.
    pub(super) pooled: bool,
    /// Whether requests' writes always have lines of the change log: a database that others made may keep none.
    logs: bool,
    statements_max: usize,
    connect_timeout: Duration,
    /// When connecting failed last, and how.
    failed: Mutex<Option<(Instant, StoreError)>>,
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Reads outside transactions.
    Read,
    /// Anything.
    Write,
    /// Writes of requests, which have lines of the change log of their own: no trigger writes any.
    Logged,
    /// Telling other nodes of commits, which nobody needs to find again after a crash: a notification is a transaction that would
    /// wait for the disk, beside all those that have to.
    Tell,
}

/// What tells triggers of the change log that a line is written already.
const LOGGED: &str = "mainstay.writes";

impl Target {
    pub(super) fn new(url: &PostgresUrl, options: &StoreOptions, pooled: bool) -> Result<Target, StoreError> {
        let mut config = url.config.clone();
        if config.get_application_name().is_none() {
            config.application_name("mainstay");
        }
        let settings = &options.postgres;
        // A peer that vanished is noticed within half a minute, whether something is being sent or not.
        config
            .connect_timeout(settings.connect_timeout)
            .keepalives_idle(Duration::from_secs(15))
            .keepalives_interval(Duration::from_secs(5))
            .keepalives_retries(3)
            .tcp_user_timeout(Duration::from_secs(30));
        Ok(Target {
            config,
            tls: tls::connector(url)?,
            shown: url.to_string(),
            pooled,
            logs: !options.existing,
            statements_max: options.statements_max,
            connect_timeout: settings.connect_timeout,
            failed: Mutex::default(),
        })
    }

    /// Connects, unless somebody else has failed to since `asked`: then it is known to be in vain.
    pub(super) async fn connect(
        self: &Arc<Target>,
        purpose: Purpose,
        asked: Instant,
    ) -> Result<Connection, StoreError> {
        self.connect_listening(purpose, asked, None).await
    }

    /// The same, with notifications going to a channel.
    pub(super) async fn connect_listening(
        self: &Arc<Target>,
        purpose: Purpose,
        asked: Instant,
        notifications: Option<UnboundedSender<String>>,
    ) -> Result<Connection, StoreError> {
        if let Some((at, error)) = &*self.failed.lock()
            && *at >= asked
        {
            return Err(error.clone());
        }
        // Seldom and large: it would make the future of every request that may have to connect as large.
        let connecting = Box::pin(self.connect_anyhow(purpose, notifications));
        // The limit of the configuration is for each address and does not cover what the server says afterwards.
        let connected = tokio::time::timeout(self.connect_timeout, connecting).await;
        let connected = connected.unwrap_or_else(|_| {
            let seconds = self.connect_timeout.as_secs_f64();
            Err(self.unavailable(&format!("no answer within {seconds} s")))
        });
        connected.inspect_err(|error| *self.failed.lock() = Some((Instant::now(), error.clone())))
    }

    async fn connect_anyhow(
        self: &Arc<Target>,
        purpose: Purpose,
        notifications: Option<UnboundedSender<String>>,
    ) -> Result<Connection, StoreError> {
        let mut config = self.config.clone();
        if !self.pooled {
            config.options(self.server_options(purpose));
        }
        let (client, mut connection) =
            config.connect(self.tls.clone()).await.map_err(|error| match error.code() {
                Some(&SqlState::TOO_MANY_CONNECTIONS) => too_many_connections(),
                _ => self.unavailable(&with_source(&error)),
            })?;
        let version = connection.parameter("server_version").unwrap_or_default().to_owned();
        let major =
            version.split(|char: char| !char.is_ascii_digit()).next().and_then(|major| major.parse().ok());
        if major.is_some_and(|major: u32| major < VERSION_MIN) {
            let detail =
                format!("{} runs PostgreSQL {version}; {VERSION_MIN} or later is needed", self.shown);
            return Err(StoreError::Other(detail));
        }
        let marks = Arc::new(Marks::default());
        let noted = marks.clone();
        let driver = tokio::spawn(async move {
            while let Some(message) = poll_fn(|cx| connection.poll_message(cx)).await {
                match message {
                    Ok(AsyncMessage::Notification(notification)) => {
                        if let Some(notifications) = &notifications
                            && notifications.send(notification.payload().to_owned()).is_err()
                        {
                            tracing::debug!("a notification came when nobody listened any more");
                        }
                    }
                    Ok(AsyncMessage::Notice(notice)) => {
                        if notice.routine() == Some(REPLICATION_WAIT) {
                            noted.unreplicated.store(true, Ordering::Relaxed);
                        }
                        tracing::debug!(%notice, "the database remarks");
                    }
                    Ok(_) => {}
                    // Whoever waits for an answer gets an error of his own.
                    Err(error) => {
                        tracing::debug!(error = with_source(&error), "a connection to the database ended");
                        return;
                    }
                }
            }
        });
        Ok(Connection {
            client,
            driver: driver.abort_handle(),
            statements: Cache::new(self.statements_max),
            target: self.clone(),
            sending: Mutex::new(()),
            marks,
        })
    }

    /// Settings of the session, in the form of the startup packet's `options`.
    fn server_options(&self, purpose: Purpose) -> String {
        let given = self.config.get_options().unwrap_or_default();
        let idle_ms = IDLE_MAX.as_millis();
        let more = match purpose {
            Purpose::Read => " -c default_transaction_read_only=on",
            Purpose::Tell => " -c synchronous_commit=off",
            Purpose::Write | Purpose::Logged => "",
        };
        let logged = match purpose {
            Purpose::Logged if self.logs => format!(" -c {LOGGED}=on"),
            _ => String::new(),
        };
        format!("{given} -c idle_in_transaction_session_timeout={idle_ms}{more}{logged}")
            .trim_start()
            .to_owned()
    }

    fn unavailable(&self, detail: &str) -> StoreError {
        StoreError::Unavailable { detail: format!("{}: {detail}", self.shown) }
    }
}

/// A connection, shared by reference.
pub(super) struct Connection {
    pub(super) client: Client,
    driver: AbortHandle,
    statements: Cache<Arc<str>, Statement>,
    target: Arc<Target>,
    sending: Mutex<()>,
    marks: Arc<Marks>,
}

/// What has happened on a connection, and counts for as long as it lives.
#[derive(Default)]
struct Marks {
    /// It was asked to give up something.
    cancelled: AtomicBool,
    /// The server gave up waiting for its standbys.
    unreplicated: AtomicBool,
}

impl Connection {
    /// The prepared statement of a text, prepared when it is not yet. None: statements cannot be kept here.
    pub(super) async fn prepare(&self, sql: &Arc<str>) -> Result<Option<Statement>, Failure> {
        if self.target.pooled {
            return Ok(None);
        }
        if let Some(statement) = self.statements.get(sql) {
            return Ok(Some(statement));
        }
        // Seldom, as is what has no statement: a future for it would make those of all requests larger, and they are moved and allocated.
        let statement = Box::pin(self.client.prepare(sql)).await?;
        // One that leaves the cache is closed on the server when its last user lets go of it.
        self.statements.insert(sql.clone(), statement.clone());
        Ok(Some(statement))
    }

    /// The prepared statement of a text, if it need not be waited for.
    pub(super) fn prepared(&self, sql: &Arc<str>) -> Option<Option<Statement>> {
        if self.target.pooled { Some(None) } else { self.statements.get(sql).map(Some) }
    }

    /// Runs a statement that [`Connection::prepare`] has prepared. A statement that counts the rows nested in its rows is
    /// told how many there may be.
    pub(super) async fn start(
        &self,
        query: &Query,
        statement: Option<&Statement>,
        rows_max: u64,
    ) -> Result<RowStream, Failure> {
        let rows_max = Value::Int(i64::try_from(rows_max).unwrap_or(i64::MAX));
        let cap = query.statement.row_cap();
        let value = |(index, value)| Bound(if cap == Some(index) { &rows_max } else { value });
        let values = query.values.iter().enumerate().map(value);
        let rows = match statement {
            Some(statement) => self.client.query_raw(statement, values).await,
            None => {
                let typed = values.zip(&query.statement.binds).map(|(value, bind)| {
                    let ty = match bind {
                        Bind::Array { ty, .. } => announced_array(ty),
                        _ => value.announced(),
                    };
                    (value, ty)
                });
                Box::pin(self.client.query_typed_raw(&query.statement.sql, typed)).await
            }
        };
        Ok(rows?)
    }

    /// Runs a statement of the store's own.
    pub(super) async fn execute(&self, sql: &str) -> Result<(), Failure> {
        Ok(self.client.batch_execute(sql).await?)
    }

    /// Lets nobody else send meanwhile.
    pub(super) async fn send(&self, mut send: impl FnMut(&mut Context<'_>)) {
        poll_fn(|cx| {
            let _sending = self.sending.lock();
            send(cx);
            std::task::Poll::Ready(())
        })
        .await;
    }

    /// Forgets the prepared statements, because tables have changed under them.
    pub(super) fn forget_statements(&self) {
        self.statements.clear();
    }

    /// Asks the server to give up what it does on this connection at the moment. It may have begun something else when
    /// it hears of it. Behind a pooler the connection is ended instead: not every version stands cancel requests
    /// (<https://github.com/pgbouncer/pgbouncer/issues/822>), and each closes the server's connection under an open transaction.
    pub(super) fn cancel(&self) {
        self.marks.cancelled.store(true, Ordering::Relaxed);
        if self.target.pooled {
            self.abort();
            return;
        }
        let token = self.client.cancel_token();
        let tls = self.target.tls.clone();
        tokio::spawn(async move {
            match tokio::time::timeout(CANCEL_MAX, token.cancel_query(tls)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::debug!(error = with_source(&error), "a statement could not be cancelled");
                }
                Err(_) => tracing::debug!("a statement could not be cancelled in time"),
            }
        });
    }

    /// Whether a cancel request may be on its way.
    pub(super) fn was_cancelled(&self) -> bool {
        self.marks.cancelled.load(Ordering::Relaxed)
    }

    /// Whether something was committed here and nowhere else, though standbys should have it: the wait for them was cancelled.
    pub(super) fn is_unreplicated(&self) -> bool {
        self.marks.unreplicated.load(Ordering::Relaxed)
    }

    /// Whether another server may stand behind it for each transaction.
    pub(super) fn is_pooled(&self) -> bool {
        self.target.pooled
    }

    /// What stands at the beginning of a transaction of requests' writes, where the session itself cannot say that their lines of the
    /// change log are written.
    pub(super) fn begins_logged(&self) -> Option<String> {
        (self.target.pooled && self.target.logs).then(|| format!("SET LOCAL {LOGGED} = 'on'"))
    }

    /// Whether it is known to be of no use any more.
    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Ends it at once; whoever waits for an answer is told that it is gone.
    pub(super) fn abort(&self) {
        self.driver.abort();
    }
}
