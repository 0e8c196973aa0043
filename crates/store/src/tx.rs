//! The statements of one write job, inside the transaction that the store holds for it.
//!
//! A job sees its own changes and those committed before it. It does not commit or roll back: it answers `Ok` to be
//! kept and `Err` to be undone, alone, whoever else shares the transaction.

use std::sync::Arc;
use std::time::Instant;

use mainstay_lang::value::Value;
use mainstay_sql::statement::Statement;
use tokio::sync::watch;

use crate::query::{Bound, JsonRows, Kept, Outcome, Query, ReadLimits};
use crate::{StoreError, postgres, sqlite};

/// The transaction of a write job.
#[derive(Debug)]
pub struct Tx {
    session: Session,
    deadline: Instant,
    is_quiet: bool,
    /// Told of the commit.
    told: Vec<watch::Sender<u64>>,
}

/// The connection under it.
#[derive(Debug)]
enum Session {
    Sqlite(sqlite::Session),
    Postgres(postgres::Session),
}

impl Tx {
    pub(crate) fn new(session: sqlite::Session) -> Tx {
        Tx { session: Session::Sqlite(session), deadline: Instant::now(), is_quiet: false, told: Vec::new() }
    }

    pub(crate) fn postgres(session: postgres::Session, deadline: Instant) -> Tx {
        Tx { session: Session::Postgres(session), deadline, is_quiet: false, told: Vec::new() }
    }

    /// When the job is given up: looked at before each statement.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Nobody needs to hear of this transaction's commit, for it has changed nothing that others wait for: other servers are not told.
    /// Those who look for something in a transaction whenever they are told of one would otherwise keep each other awake.
    pub fn keep_quiet(&mut self) {
        self.is_quiet = true;
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.is_quiet
    }

    /// Whoever listens is told when this transaction is committed: a number that grows. On SQLite, where several share a transaction, a
    /// job that is undone may be told of as well.
    pub fn tell_of_commit(&mut self, listeners: &watch::Sender<u64>) {
        if !self.told.iter().any(|known| known.same_channel(listeners)) {
            self.told.push(listeners.clone());
        }
    }

    /// Those who are to be told, and none any more.
    pub(crate) fn take_told(&mut self) -> Vec<watch::Sender<u64>> {
        std::mem::take(&mut self.told)
    }

    /// Runs one statement. On SQLite it is done when the future is first polled.
    pub async fn query(&mut self, query: &Query) -> Result<Outcome, StoreError> {
        let limits = ReadLimits { rows: u64::MAX, bytes: u64::MAX, deadline: self.deadline };
        self.session.query(query, limits).await
    }

    /// The same with values that stay the caller's: where a statement is no way there and back, they are not copied for it.
    pub async fn query_with(
        &mut self,
        statement: &Arc<Statement>,
        values: &[Value],
    ) -> Result<Outcome, StoreError> {
        let limits = ReadLimits { rows: u64::MAX, bytes: u64::MAX, deadline: self.deadline };
        match &mut self.session {
            Session::Sqlite(session) => session.query_in_transaction(Bound { statement, values }, limits),
            Session::Postgres(_) => {
                let query = Query { statement: statement.clone(), values: values.to_vec() };
                self.session.query(&query, limits).await
            }
        }
    }

    /// Reads before anything else is done, and outside of the transaction where that saves beginning one: what is found is not held
    /// and may be another by the next statement, which has to look whether it is: [`ResultShape::Changes`].
    ///
    /// [`ResultShape::Changes`]: mainstay_sql::statement::ResultShape::Changes
    pub async fn glance(&mut self, query: &Query) -> Result<Outcome, StoreError> {
        let limits = ReadLimits { rows: u64::MAX, bytes: u64::MAX, deadline: self.deadline };
        match &mut self.session {
            Session::Sqlite(session) => session.query_in_transaction(query.bound(), limits),
            Session::Postgres(session) => Box::pin(session.glance(query, limits)).await,
        }
    }

    /// Runs one statement whose result does not matter, at the latest before the next one and before the commit. Where a
    /// statement is a way there and back, it costs none of its own; what is wrong with it is told by whatever takes it along.
    pub async fn later(&mut self, query: Query) -> Result<(), StoreError> {
        match &mut self.session {
            Session::Sqlite(session) => {
                let limits = ReadLimits { rows: u64::MAX, bytes: u64::MAX, deadline: self.deadline };
                session.query_in_transaction(query.bound(), limits).map(drop)
            }
            Session::Postgres(session) => match session.later(query)? {
                true => self.flush().await,
                false => Ok(()),
            },
        }
    }

    /// Makes a statement the only one of the transaction, and its commit: nothing may come behind it. What comes back is there once all
    /// is kept. None where that would save nothing: it was not done then.
    pub fn keep(&mut self, query: Query) -> Result<Option<Kept>, StoreError> {
        match &mut self.session {
            Session::Sqlite(_) => Ok(None),
            Session::Postgres(session) => session.keep(query),
        }
    }

    /// Which of the statements for later failed, the first one being 0; none: no statement did, or another one. Where nothing
    /// is put off, none ever does.
    pub fn failed_later(&self) -> Option<usize> {
        match &self.session {
            Session::Sqlite(_) => None,
            Session::Postgres(session) => session.failed_later(),
        }
    }

    /// Runs what was put off.
    pub async fn flush(&mut self) -> Result<(), StoreError> {
        match &mut self.session {
            Session::Sqlite(_) => Ok(()),
            Session::Postgres(session) => {
                let limits = ReadLimits { rows: u64::MAX, bytes: u64::MAX, deadline: self.deadline };
                Box::pin(session.flush(limits)).await
            }
        }
    }

    /// Runs one statement whose rows are JSON objects, within limits.
    pub async fn json(&mut self, query: &Query, limits: ReadLimits) -> Result<JsonRows, StoreError> {
        let limits = ReadLimits { deadline: limits.deadline.min(self.deadline), ..limits };
        match self.session.query(query, limits).await? {
            Outcome::Json(rows) => Ok(rows),
            _ => Err(StoreError::Other(format!("no JSON comes back from: {}", query.statement.sql))),
        }
    }

    pub(crate) fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    /// The session of a transaction that SQLite's writer has made.
    pub(crate) fn sqlite(&mut self) -> &mut sqlite::Session {
        match &mut self.session {
            Session::Sqlite(session) => session,
            Session::Postgres(_) => unreachable!("each database makes its own transactions"),
        }
    }

    /// The session of a transaction that was made by [`Tx::postgres`].
    pub(crate) fn into_postgres(self) -> postgres::Session {
        match self.session {
            Session::Postgres(session) => session,
            Session::Sqlite(_) => unreachable!("each database makes its own transactions"),
        }
    }
}

/// Tells those who listen that a transaction is committed.
pub(crate) fn tell(listeners: Vec<watch::Sender<u64>>) {
    listeners.into_iter().for_each(|listeners| listeners.send_modify(|commits| *commits += 1));
}

impl Session {
    async fn query(&mut self, query: &Query, limits: ReadLimits) -> Result<Outcome, StoreError> {
        match self {
            Session::Sqlite(session) => session.query_in_transaction(query.bound(), limits),
            // Boxed, so that the futures around it stay small: a write on SQLite moves a dozen of them, and would mostly copy
            // room for waiting that it never does.
            Session::Postgres(session) => Box::pin(session.query(query, limits)).await,
        }
    }
}
