//! The transaction of a write job on one connection.
//!
//! BEGIN goes out together with the first statement, so that it costs no round trip; a job without statements costs none
//! at all. Statements whose results nobody waits for go out together with the next one, or with COMMIT; where there is one such
//! statement and no other, it is the transaction. After any error the server takes no further statement of the transaction:
//! what the job makes of the error does not matter, it is not kept.

use std::pin::pin;
use std::time::{Duration, Instant};

use mainstay_sql::statement::ResultShape;
use tokio::time::timeout_at;
use tracing::Instrument as _;

use super::batch::{GRACE, begin_until};
use super::connection::Connection;
use super::error::Failure;
use super::pool::Lease;
use super::together::{Committed, Stopped, commit, run, run_and_keep};
use crate::query::{Kept, Outcome, Query, ReadLimits};
use crate::{StoreError, spans};

/// How long behind the deadline a commit is waited for: given up sooner, nobody knows what has become of it.
const COMMIT_MAX: Duration = Duration::from_secs(10);

/// A transaction that may not have begun yet.
pub(crate) struct Session {
    lease: Lease,
    /// How long a statement may wait for a lock; none: for as long as there is time.
    lock_max: Option<Duration>,
    state: State,
    /// Statements that go out with the next one.
    later: Vec<Query>,
    /// How many there were before them.
    earlier: usize,
    /// Which of all of them failed.
    failed_later: Option<usize>,
    /// What the only statement of the transaction comes to, where it has to be known.
    kept: Option<Kept>,
}

/// Statements that go out together at most: what they ask for is kept until they do.
const TOGETHER_MAX: usize = 256;

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
    pub(super) fn new(lease: Lease, lock_max: Option<Duration>) -> Session {
        Session {
            lease,
            lock_max,
            state: State::Idle,
            later: Vec::new(),
            earlier: 0,
            failed_later: None,
            kept: None,
        }
    }

    /// Keeps a statement of the job for the next one, and tells whether so many are kept that they should go out by themselves.
    pub(crate) fn later(&mut self, query: Query) -> Result<bool, StoreError> {
        query.check_values()?;
        self.later.push(query);
        Ok(self.later.len() >= TOGETHER_MAX)
    }

    /// Runs the only statement of the transaction when that is kept, and has what comes back afterwards; none: it would not be the only
    /// one, or not be sent alone.
    pub(crate) fn keep(&mut self, query: Query) -> Result<Option<Kept>, StoreError> {
        let is_first = matches!(self.state, State::Idle) && self.later.is_empty();
        if !is_first || self.lease.connection().is_pooled() {
            return Ok(None);
        }
        query.check_values()?;
        self.later.push(query);
        Ok(Some(self.kept.insert(Kept::default()).clone()))
    }

    /// Runs the statements that were to go out with the next one.
    pub(crate) async fn flush(&mut self, limits: ReadLimits) -> Result<(), StoreError> {
        if self.later.is_empty() {
            return Ok(());
        }
        self.send(None, limits).await.map(drop)
    }

    /// Which of the statements for later failed.
    pub(crate) fn failed_later(&self) -> Option<usize> {
        self.failed_later
    }

    /// Runs a statement of the job.
    pub(crate) async fn query(&mut self, query: &Query, limits: ReadLimits) -> Result<Outcome, StoreError> {
        query.check_values()?;
        self.send(Some(query), limits).await
    }

    /// Reads without a transaction, when none has begun.
    pub(crate) async fn glance(&mut self, query: &Query, limits: ReadLimits) -> Result<Outcome, StoreError> {
        // Behind a pooler nobody can cancel, so the server has to know the deadline.
        let is_first = matches!(self.state, State::Idle) && self.later.is_empty();
        if !is_first || self.lease.connection().is_pooled() || Instant::now() >= limits.deadline {
            return self.query(query, limits).await;
        }
        query.check_values()?;
        let connection = self.lease.connection().clone();
        self.state = State::Unanswered;
        self.lease.soil();
        let span = spans::statements("sql", std::iter::once(query));
        let run = run(&connection, None, Vec::new(), Some(query), limits).instrument(span.clone());
        let Ok(result) = timeout_at(limits.deadline.into(), run).await else {
            connection.cancel();
            return Err(StoreError::Deadline);
        };
        let outcome = match result {
            Ok(outcome) => {
                self.settle();
                Ok(outcome)
            }
            Err(Stopped { failure, .. }) => {
                self.state = State::Failed(failure.clone());
                Err(failure.into_error())
            }
        };
        spans::came_to(&span, outcome.as_ref());
        outcome
    }

    async fn send(&mut self, query: Option<&Query>, limits: ReadLimits) -> Result<Outcome, StoreError> {
        let span = spans::statements("sql", self.later.iter().chain(query));
        let outcome = self.send_all(query, limits).instrument(span.clone()).await;
        spans::came_to(&span, outcome.as_ref());
        outcome
    }

    async fn send_all(&mut self, query: Option<&Query>, limits: ReadLimits) -> Result<Outcome, StoreError> {
        if self.kept.is_some() {
            let words = "behind the only statement of a transaction there was another one";
            return Err(StoreError::Other(words.to_owned()));
        }
        if Instant::now() >= limits.deadline {
            return Err(StoreError::Deadline);
        }
        let begin = match &self.state {
            State::Idle => Some(self.begin(limits.deadline)),
            State::Open => None,
            State::Failed(_) | State::Unanswered => {
                return Err(StoreError::Lost { detail: "an earlier statement of it failed".to_owned() });
            }
        };
        self.state = State::Unanswered;
        self.lease.soil();
        let later = std::mem::take(&mut self.later);
        let (first, count) = (self.earlier, later.len());
        self.earlier += count;
        let connection = self.lease.connection().clone();
        let run = timeout_at(limits.deadline.into(), run(&connection, begin, later, query, limits));
        let Ok(result) = run.await else {
            connection.cancel();
            return Err(StoreError::Deadline);
        };
        match result {
            Ok(outcome) => {
                self.state = State::Open;
                Ok(outcome)
            }
            Err(Stopped { failure, at }) => {
                self.state = State::Failed(failure.clone());
                self.failed_later = at.map(|at| first + at);
                Err(failure.into_error())
            }
        }
    }

    fn begin(&self, deadline: Instant) -> String {
        // Behind a pooler nobody can cancel, and an answer to the commit has to come: the server itself keeps the deadline.
        let grace = if self.lease.connection().is_pooled() { Duration::ZERO } else { GRACE };
        let begin = begin_until("READ WRITE", deadline, grace);
        let lock = self.lock_max.map(|lock_max| format!("SET LOCAL lock_timeout = {}", lock_max.as_millis()));
        let logged = self.lease.connection().begins_logged();
        [Some(begin), lock, logged].into_iter().flatten().collect::<Vec<_>>().join("; ")
    }

    /// Why the transaction is lost, when the job may be run again.
    pub(super) fn may_run_again(&self) -> Option<Failure> {
        match &self.state {
            State::Failed(
                failure @ (Failure::Clash(_) | Failure::Changed(_) | Failure::Gone(_) | Failure::Stale(_)),
            ) => Some(failure.clone()),
            _ => None,
        }
    }

    /// Keeps what was done.
    pub(super) async fn commit(&mut self, deadline: Instant) -> End {
        let span = spans::statements("commit", self.later.iter());
        let end = self.end(deadline).instrument(span.clone()).await;
        match &end {
            End::Kept => {}
            End::Again(failure) => spans::failed(&span, &failure.clone().into_error()),
            End::Error(error) => spans::failed(&span, error),
        }
        end
    }

    async fn end(&mut self, deadline: Instant) -> End {
        // Whether it has changed something has to be known before what stands beside it is kept.
        let is_doubtful = |query: &Query| matches!(query.statement.result, ResultShape::Changes(_));
        let has_others = !matches!(self.state, State::Idle) || self.later.len() > 1;
        if has_others && self.later.iter().any(is_doubtful) {
            let limits = ReadLimits { rows: u64::MAX, bytes: u64::MAX, deadline };
            if let Err(error) = Box::pin(self.flush(limits)).await {
                return match (self.may_run_again(), self.failed_later) {
                    (Some(failure), _) => End::Again(failure),
                    (None, Some(at)) => End::Error(StoreError::PutOff { at, error: Box::new(error) }),
                    (None, None) => End::Error(error),
                };
            }
        }
        let begins = match &self.state {
            State::Idle if self.later.is_empty() => return End::Kept,
            State::Idle => true,
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
            State::Open => false,
        };
        let connection = self.lease.connection().clone();
        if connection.is_closed() {
            let detail = "the connection ended before the commit was asked for".to_owned();
            return End::Again(Failure::Gone(StoreError::Lost { detail }));
        }
        let mut before = std::mem::take(&mut self.later);
        let first = self.earlier;
        self.state = State::Unanswered;
        self.lease.soil();
        // Behind a pooler nobody can cancel, so the server has to know the deadline.
        let is_alone = begins && before.len() == 1 && !connection.is_pooled();
        let alone = if is_alone { before.pop() } else { None };
        let ended = match alone {
            Some(query) => {
                let kept = self.kept.take();
                let end = pin!(run_and_keep(&connection, &query, kept.as_ref()));
                end_until(deadline, &connection, end).await
            }
            None => {
                let begin = begins.then(|| self.begin(deadline));
                let end = Box::pin(commit(&connection, begin, before));
                end_until(deadline, &connection, end).await
            }
        };
        match ended {
            Some(Committed::Kept) => {
                self.settle();
                End::Kept
            }
            Some(Committed::Undone(Stopped { failure, at })) => {
                // A failed COMMIT has rolled back, and one behind a failed statement as well.
                self.settle();
                match (failure, at) {
                    (failure @ (Failure::Clash(_) | Failure::Changed(_) | Failure::Stale(_)), _) => {
                        End::Again(failure)
                    }
                    (Failure::Refused(error) | Failure::Torn(error), Some(at)) => {
                        End::Error(StoreError::PutOff { at: first + at, error: Box::new(error) })
                    }
                    (failure, _) => End::Error(failure.into_error()),
                }
            }
            Some(Committed::Open(failure)) => {
                self.state = State::Failed(failure.clone());
                match self.may_run_again() {
                    Some(failure) => End::Again(failure),
                    None => End::Error(failure.into_error()),
                }
            }
            Some(Committed::Unknown(detail)) => End::Error(StoreError::OutcomeUnknown { detail }),
            None => {
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

    /// Nothing is open any more.
    fn settle(&mut self) {
        self.state = State::Idle;
        // Where something was asked to be cancelled, the request may arrive when the connection does something else.
        if !self.lease.connection().was_cancelled() {
            self.lease.clean();
        }
    }
}

/// Waits for the end of a transaction. At the deadline what still runs is cancelled, and the server has some time to say what
/// has become of it; none: it does not.
async fn end_until(
    deadline: Instant,
    connection: &Connection,
    mut end: impl Future<Output = Committed> + Unpin,
) -> Option<Committed> {
    if let Ok(committed) = timeout_at(deadline.into(), &mut end).await {
        return Some(committed);
    }
    // Behind a pooler the server ends it by itself.
    if !connection.is_pooled() {
        connection.cancel();
    }
    tokio::time::timeout(COMMIT_MAX, end).await.ok()
}
