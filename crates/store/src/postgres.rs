//! PostgreSQL behind the store: shared connections for short reads, connections of one's own for everything else.
//!
//! Nothing is connected before it is needed, and a connection that is lost is replaced by whoever needs it next: the
//! store outlives the server. Many processes may use one database; none takes it for itself.

mod arrays;
mod batch;
mod below;
mod connection;
mod copy;
mod error;
mod foreign;
mod json;
pub(crate) mod numeric;
mod pipeline;
mod pool;
mod readers;
mod replica;
mod rows;
mod script;
mod session;
mod tls;
mod together;
mod turn;
mod url;
mod values;
mod writer;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use mainstay_lang::types::Type;
use mainstay_lang::value::Value;
use mainstay_sql::statement::{ResultShape, Statement};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;

pub(crate) use copy::{Filler, Reader};
pub(crate) use session::Session;
pub(crate) use turn::Turn;
pub use url::PostgresUrl;
pub(crate) use values::{DAY_US, EPOCH_DAYS, EPOCH_US};

use self::connection::Target;
use self::pool::Pool;
use self::readers::Readers;
use self::replica::Replica;
use self::writer::Writer;
use crate::StoreError;
use crate::metrics::{Counters, StoreMetrics};
use crate::options::StoreOptions;
use crate::query::{Outcome, Query, ReadLimits};
use crate::store::{Health, WriteJob};

/// How long a check of the database's health may take.
const HEALTH_MAX: Duration = Duration::from_secs(5);

/// How long a check of the whole database may take.
const INTEGRITY_MAX: Duration = Duration::from_secs(600);

/// A PostgreSQL database that is open.
pub(crate) struct Postgres {
    readers: Arc<Readers>,
    writer: Arc<Writer>,
    counters: Arc<Counters>,
    direct: Arc<Target>,
    has_direct_url: bool,
    replica: Option<Arc<Replica>>,
    foreign: watch::Receiver<u64>,
    background: Vec<AbortHandle>,
}

impl std::fmt::Debug for Postgres {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Postgres")
    }
}

impl Postgres {
    pub(crate) fn open(url: &PostgresUrl, options: &StoreOptions) -> Result<Postgres, StoreError> {
        let runtime = Handle::try_current()
            .map_err(|_| StoreError::Other("a PostgreSQL database is opened inside a runtime".to_owned()))?;
        let settings = &options.postgres;
        let target = Arc::new(Target::new(url, options, settings.pgbouncer)?);
        let direct = match &settings.direct_url {
            Some(direct) => Arc::new(Target::new(direct, options, false)?),
            None => target.clone(),
        };
        let counters = Arc::new(Counters::default());
        let alone = Pool::new(target.clone(), options.readers, options.queue_max);
        let readers = Readers::new(target.clone(), settings.shared_readers, alone, counters.clone());
        let writer = Arc::new(Writer {
            pool: Pool::new(target, settings.writers, options.queue_max),
            counters: counters.clone(),
            lock_first_max: settings.lock_first_max,
            commits: watch::Sender::new(0),
            begun: AtomicU64::new(0),
        });
        let mut background = vec![runtime.spawn(readers.clone().watch()).abort_handle()];
        let replica = match &settings.replica_url {
            None => None,
            Some(replica) => {
                let standby = Arc::new(Target::new(replica, options, settings.pgbouncer)?);
                let alone = Pool::new(standby.clone(), options.readers, options.queue_max);
                let shared = settings.shared_readers;
                let readers = Readers::new(standby.clone(), shared, alone, Arc::default());
                background.push(runtime.spawn(readers.clone().watch()).abort_handle());
                let replica = Replica::new(readers, settings.replica_age_max);
                let watching = replica.clone().watch(standby, direct.clone());
                background.push(runtime.spawn(watching).abort_handle());
                Some(replica)
            }
        };
        let (changes, foreign) = watch::channel(0);
        if options.exclusive {
            let watching = foreign::watch(direct.clone(), writer.clone(), changes);
            background.push(runtime.spawn(watching).abort_handle());
        }
        let has_direct_url = settings.direct_url.is_some();
        Ok(Postgres { readers, writer, counters, direct, has_direct_url, replica, foreign, background })
    }

    pub(crate) async fn read(
        &self,
        batch: Vec<Query>,
        limits: ReadLimits,
    ) -> Result<Vec<Outcome>, StoreError> {
        self.readers.read(batch, limits).await
    }

    pub(crate) async fn read_aged(
        &self,
        batch: Vec<Query>,
        limits: ReadLimits,
        since: Option<Instant>,
    ) -> Result<Vec<Outcome>, StoreError> {
        if let Some(replica) = &self.replica
            && let Some(result) = replica.read(&batch, limits, since).await
        {
            return result;
        }
        self.read(batch, limits).await
    }

    pub(crate) fn read_age_max(&self) -> Option<Duration> {
        self.replica.as_ref().map(|replica| replica.age_max)
    }

    pub(crate) async fn write<T, E>(&self, deadline: Instant, job: WriteJob<T, E>) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.writer.write(deadline, job).await
    }

    pub(crate) async fn execute_script(&self, statements: Vec<String>) -> Result<(), StoreError> {
        script::execute(&self.direct, &statements).await
    }

    pub(crate) async fn integrity_check(&self) -> Result<Vec<String>, StoreError> {
        self.texts(script::DAMAGES, INTEGRITY_MAX).await
    }

    pub(crate) async fn explain(&self, query: &Query) -> Result<Vec<String>, StoreError> {
        let sql = format!("EXPLAIN {}", query.statement.sql);
        let query = Query {
            statement: Arc::new(Statement {
                sql: sql.into(),
                binds: query.statement.binds.clone(),
                result: ResultShape::Values(vec![Type::Text { max: None }]),
            }),
            values: query.values.clone(),
        };
        self.read_texts(query, HEALTH_MAX).await
    }

    pub(crate) async fn health(&self) -> Result<Health, StoreError> {
        let standby = self.texts("SELECT 'yes' WHERE pg_is_in_recovery()", HEALTH_MAX).await?;
        if !standby.is_empty() {
            return Err(StoreError::ReadOnly { detail: "the server is a standby".to_owned() });
        }
        Ok(Health {
            write_queue: self.writer.pool.waiting() as u64,
            read_queue: self.readers.waiting() as u64,
        })
    }

    pub(crate) fn metrics(&self) -> StoreMetrics {
        let replica = self.replica.as_ref().map(|replica| replica.counts());
        let (replica_reads, replica_fallbacks) = replica.unwrap_or_default();
        StoreMetrics {
            replica_reads,
            replica_fallbacks,
            write_queue: self.writer.pool.waiting() as u64,
            read_queue: self.readers.waiting() as u64,
            foreign_changes: *self.foreign.borrow(),
            ..self.counters.snapshot()
        }
    }

    pub(crate) fn commits(&self) -> watch::Receiver<u64> {
        self.writer.commits.subscribe()
    }

    pub(crate) fn foreign_changes(&self) -> watch::Receiver<u64> {
        self.foreign.clone()
    }

    /// Lets both sides finish what they took.
    pub(crate) async fn close(&self) {
        self.writer.pool.close().await;
        self.readers.close().await;
        if let Some(replica) = &self.replica {
            replica.readers.close().await;
        }
        self.background.iter().for_each(AbortHandle::abort);
    }

    /// The texts in the one column of a statement of the store's own.
    async fn texts(&self, sql: &str, patience: Duration) -> Result<Vec<String>, StoreError> {
        let result = ResultShape::Values(vec![Type::Text { max: None }]);
        let statement = Arc::new(Statement { sql: sql.into(), binds: Vec::new(), result });
        self.read_texts(Query { statement, values: Vec::new() }, patience).await
    }

    async fn read_texts(&self, query: Query, patience: Duration) -> Result<Vec<String>, StoreError> {
        let limits = ReadLimits { rows: u64::MAX, bytes: u64::MAX, deadline: Instant::now() + patience };
        let outcomes = self.readers.read(vec![query], limits).await?;
        let [Outcome::Values(rows)] = &outcomes[..] else { return Ok(Vec::new()) };
        let text = |row: &Vec<Value>| match row.first() {
            Some(Value::Text(text)) => Some(text.clone()),
            _ => None,
        };
        Ok(rows.iter().filter_map(text).collect())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.background.iter().for_each(AbortHandle::abort);
    }
}
