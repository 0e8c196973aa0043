//! The transaction of a write job on one connection.
//!
//! BEGIN goes out together with the first statement, so that it costs no round trip; a job without statements costs none
//! at all. After any error the server takes no further statement of the transaction: what the job makes of the error
//! does not matter, it is not kept.

use std::time::{Duration, Instant};

use futures_util::future::join;
use tokio::time::timeout_at;

use super::batch::{GRACE, begin_until};
use super::error::{Failure, is_fatal, with_source};
use super::pool::Lease;
use super::rows::{self, Budget};
use crate::StoreError;
use crate::query::{Outcome, Query, ReadLimits};

/// How long a commit may take, whatever is left of the deadline: given up sooner, nobody knows what has become of it.
const COMMIT_MAX: Duration = Duration::from_secs(10);

/// A transaction that may not have begun yet.
pub(crate) struct Session {
    lease: Lease,
    state: State,
}

enum State {
    /// The server knows of no transaction.
    Idle,
    /// Begun, and fit for the next statement.
    Open,
    /// Begun, and only to be rolled back.
    Failed(Failure),
    /// Something was sent and not answered, or given up.
    Unanswered,
}

/// How the end of a transaction went.
pub(super) enum End {
    /// Everything is kept.
    Kept,
    /// Nothing is, for a reason that may be gone the next time.
    Again(Failure),
    /// Nothing is, or nobody knows.
    Error(StoreError),
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Session")
    }
}

impl Session {
    /// On a connection on which nothing is open.
    pub(super) fn new(lease: Lease) -> Session {
        Session { lease, state: State::Idle }
    }

    /// Runs a statement of the job.
    pub(crate) async fn query(&mut self, query: &Query, limits: ReadLimits) -> Result<Outcome, StoreError> {
        query.check_values()?;
        if Instant::now() >= limits.deadline {
            return Err(StoreError::Deadline);
        }
        let is_first = match &self.state {
            State::Idle => true,
            State::Open => false,
            State::Failed(_) | State::Unanswered => {
                return Err(StoreError::Lost { detail: "an earlier statement of it failed".to_owned() });
            }
        };
        self.state = State::Unanswered;
        self.lease.soil();
        let run = timeout_at(limits.deadline.into(), self.run(query, limits, is_first));
        let Ok(result) = run.await else {
            self.lease.connection().cancel();
            return Err(StoreError::Deadline);
        };
        match result {
            Ok(outcome) => {
                self.state = State::Open;
                Ok(outcome)
            }
            Err(failure) => {
                self.state = State::Failed(failure.clone());
                Err(failure.into_error())
            }
        }
    }

    async fn run(&self, query: &Query, limits: ReadLimits, is_first: bool) -> Result<Outcome, Failure> {
        let connection = self.lease.connection();
        let sql = &query.statement.sql;
        let begin = async {
            if !is_first {
                return Ok(());
            }
            connection.execute(&begin_until("READ WRITE", limits.deadline)).await
        };
        // Both are sent before either is waited for.
        let stream = match connection.prepared(sql) {
            Some(statement) => {
                match join(begin, connection.start(query, statement.as_ref(), limits.rows)).await {
                    (Ok(()), stream) => stream?,
                    // Only a cancel request from outside can do this: the statement was its own transaction.
                    (Err(failure), Ok(_)) => {
                        let detail = format!("it did not begin: {}", failure.into_error());
                        return Err(Failure::Refused(StoreError::OutcomeUnknown { detail }));
                    }
                    (Err(failure), Err(_)) => return Err(failure),
                }
            }
            None => {
                let (begun, statement) = join(begin, connection.prepare(sql)).await;
                begun?;
                connection.start(query, statement?.as_ref(), limits.rows).await?
            }
        };
        let mut budget = Budget::new(limits);
        let outcome = rows::read(Box::pin(stream), query, &mut budget).await;
        // What rows are left are taken off the connection before its next answer.
        outcome.map_err(|(failure, _)| failure)
    }

    /// Why the transaction is lost, when the job may be run again.
    pub(super) fn may_run_again(&self) -> Option<Failure> {
        match &self.state {
            State::Failed(failure @ (Failure::Clash(_) | Failure::Gone(_) | Failure::Stale(_))) => {
                Some(failure.clone())
            }
            _ => None,
        }
    }

    /// Keeps what was done.
    pub(super) async fn commit(&mut self, deadline: Instant) -> End {
        match &self.state {
            State::Idle => return End::Kept,
            State::Failed(_) => {
                return match self.may_run_again() {
                    Some(failure) => End::Again(failure),
                    None => End::Error(StoreError::Lost {
                        detail: "a statement of it failed, and the job went on".to_owned(),
                    }),
                };
            }
            State::Unanswered => {
                let detail = "a statement of it was given up, and the job went on".to_owned();
                return End::Error(StoreError::Lost { detail });
            }
            State::Open => {}
        }
        let connection = self.lease.connection().clone();
        if connection.is_closed() {
            let detail = "the connection ended before the commit was asked for".to_owned();
            return End::Again(Failure::Gone(StoreError::Lost { detail }));
        }
        self.state = State::Unanswered;
        let give_up = deadline.max(Instant::now() + COMMIT_MAX);
        match timeout_at(give_up.into(), connection.client.batch_execute("COMMIT")).await {
            Ok(Ok(())) => {
                self.settle();
                End::Kept
            }
            Ok(Err(error)) => match error.as_db_error() {
                Some(refusal) if !is_fatal(refusal) => {
                    // A failed COMMIT has rolled back.
                    self.settle();
                    match Failure::from(error) {
                        failure @ (Failure::Clash(_) | Failure::Stale(_)) => End::Again(failure),
                        failure => End::Error(failure.into_error()),
                    }
                }
                _ => End::Error(StoreError::OutcomeUnknown { detail: with_source(&error) }),
            },
            Err(_) => {
                connection.abort();
                End::Error(StoreError::OutcomeUnknown { detail: "no answer to the commit".to_owned() })
            }
        }
    }

    /// Undoes what was done, and hands back the connection.
    pub(super) async fn rollback(mut self) -> Lease {
        match self.state {
            State::Idle => {}
            State::Open | State::Failed(_) => {
                let connection = self.lease.connection().clone();
                let rollback = tokio::time::timeout(GRACE, connection.execute("ROLLBACK"));
                // A connection on which this fails is not used again, and the server rolls back when it ends.
                if matches!(rollback.await, Ok(Ok(()))) {
                    self.settle();
                }
            }
            State::Unanswered => self.lease.connection().cancel(),
        }
        self.lease
    }

    fn settle(&mut self) {
        self.state = State::Idle;
        self.lease.clean();
    }
}
