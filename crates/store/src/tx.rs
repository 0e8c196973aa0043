//! The statements of one write job, inside the transaction that the store holds for it.
//!
//! A job sees its own changes and those committed before it. It does not commit or roll back: it answers `Ok` to be
//! kept and `Err` to be undone, alone, whoever else shares the transaction.

use std::time::Instant;

use crate::StoreError;
use crate::query::{JsonRows, Outcome, Query, ReadLimits};
use crate::sqlite::Session;

/// The transaction of a write job.
#[derive(Debug)]
pub struct Tx {
    session: Session,
    deadline: Instant,
}

impl Tx {
    pub(crate) fn new(session: Session) -> Tx {
        Tx { session, deadline: Instant::now() }
    }

    /// When the job is given up: looked at before each statement.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Runs one statement. On SQLite it is done when the future is first polled.
    pub async fn query(&mut self, query: &Query) -> Result<Outcome, StoreError> {
        let limits = ReadLimits { rows: u64::MAX, bytes: u64::MAX, deadline: self.deadline };
        self.session.query_in_transaction(query, limits)
    }

    /// Runs one statement whose rows are JSON objects, within limits.
    pub async fn json(&mut self, query: &Query, limits: ReadLimits) -> Result<JsonRows, StoreError> {
        let limits = ReadLimits { deadline: limits.deadline.min(self.deadline), ..limits };
        match self.session.query_in_transaction(query, limits)? {
            Outcome::Json(rows) => Ok(rows),
            _ => Err(StoreError::Other(format!("no JSON comes back from: {}", query.statement.sql))),
        }
    }

    pub(crate) fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    pub(crate) fn session(&mut self) -> &mut Session {
        &mut self.session
    }
}
