//! Write jobs: each in a READ COMMITTED transaction on a connection of its own, run again when that may help.
//!
//! What may be run again: a transaction that clashed with another (serialisation failure, deadlock, a lock not given soon), one whose
//! connection was lost before its COMMIT was sent, one whose prepared statements did not fit the tables any more. What
//! never is: one whose COMMIT was sent and not answered, because it may have been kept.

use std::hash::{BuildHasher as _, RandomState};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use tokio::time::{sleep_until, timeout_at};
use tracing::Instrument as _;

use super::error::Failure;
use super::pipeline::Finishing;
use super::pool::{Lease, Pool};
use super::session::{End, Session};
use crate::metrics::{Counters, count};
use crate::store::WriteJob;
use crate::tx::tell;
use crate::{StoreError, Tx, spans};

/// How often a job is run again after clashes; each time the pause before it doubles, from the first to the last.
const CLASHES_MAX: u32 = 10;
const PAUSE_MIN: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// How often a job is run again because its connection or its prepared statements were lost.
const LOSSES_MAX: u32 = 3;

/// Everything that write jobs need.
pub(super) struct Writer {
    pub(super) pool: Arc<Pool>,
    pub(super) counters: Arc<Counters>,
    /// How long the first run of a job waits for a lock.
    pub(super) lock_first_max: Duration,
    /// How many commits there were, for whoever tells the other nodes.
    pub(super) commits: tokio::sync::watch::Sender<u64>,
    /// How many transactions were begun.
    pub(super) begun: AtomicU64,
}

impl Writer {
    pub(super) async fn write<T, E>(
        self: &Arc<Writer>,
        deadline: Instant,
        job: WriteJob<T, E>,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        // Until here the caller may change his mind.
        let lease = self.pool.lease(deadline).instrument(spans::wait("connection")).await?;
        let writer = self.clone();
        let run = async move {
            let result = writer.run(lease, deadline, job).await;
            count(&writer.counters.jobs);
            result
        };
        Finishing::new(run.in_current_span()).finish().await
    }

    async fn run<T, E>(&self, mut lease: Lease, deadline: Instant, job: WriteJob<T, E>) -> Result<T, E>
    where
        T: Send,
        E: From<StoreError> + Send,
    {
        let mut clashes = 0;
        let mut losses = 0;
        // Not the same for two who begin to wait together: one going back is enough.
        let mut lock_max = Some(about(self.lock_first_max));
        loop {
            self.begun.fetch_add(1, Ordering::Relaxed);
            let mut tx = Tx::postgres(Session::new(lease, lock_max), deadline);
            lock_max = None;
            let run = AssertUnwindSafe(async { job(&mut tx).await }).catch_unwind();
            let result: Result<T, E> = match timeout_at(deadline.into(), run).await {
                Ok(Ok(result)) => result,
                Ok(Err(panic)) => Err(StoreError::panicked(&*panic).into()),
                Err(_) => Err(StoreError::Deadline.into()),
            };
            let (is_quiet, told) = (tx.is_quiet(), tx.take_told());
            let mut session = tx.into_postgres();
            let (failure, result) = match result {
                Ok(value) => {
                    let begun = Instant::now();
                    match session.commit(deadline).await {
                        End::Kept => {
                            self.counters.committed(1, begun.elapsed());
                            if !is_quiet {
                                self.commits.send_modify(|commits| *commits += 1);
                            }
                            tell(told);
                            return Ok(value);
                        }
                        End::Again(failure) => (Some(failure.clone()), Err(failure.into_error().into())),
                        End::Error(error) => (None, Err(error.into())),
                    }
                }
                Err(error) => (session.may_run_again(), Err(error)),
            };
            lease = Box::pin(session.rollback()).await;
            match failure {
                Some(Failure::Clash(_)) if clashes < CLASHES_MAX => {
                    clashes += 1;
                    let until = Instant::now() + pause(clashes);
                    if until >= deadline {
                        return result;
                    }
                    sleep_until(until.into()).await;
                }
                // What is there now is known as soon as it is looked at.
                Some(Failure::Changed(_)) if clashes < CLASHES_MAX => clashes += 1,
                Some(Failure::Gone(_)) if losses < LOSSES_MAX => losses += 1,
                Some(Failure::Stale(_)) if losses < LOSSES_MAX => {
                    losses += 1;
                    lease.connection().forget_statements();
                }
                _ => return result,
            }
            count(&self.counters.reruns);
            if Instant::now() >= deadline {
                return result;
            }
            Box::pin(lease.connect(Instant::now())).await?;
        }
    }
}

/// A pause of random length, so that those who clashed do not meet again.
fn pause(attempt: u32) -> Duration {
    about(PAUSE_MIN.saturating_mul(1 << attempt.min(16)).min(PAUSE_MAX))
}

/// Half of a time up to all of it, at random.
fn about(longest: Duration) -> Duration {
    let random = RandomState::new().hash_one(0) % 1024;
    longest.mul_f64(0.5 + random as f64 / 2048.0)
}
