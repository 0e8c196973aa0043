//! Writing what has become of jobs: one statement for all that ended while the last one was written.
//!
//! A result that cannot be written is tried again until the lease must have ended; by then somebody else has the job. Behind the
//! commit those are let in that waited for one of these: of the same key, or for the batch to end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_lang::value::{Timestamp, Value};
use mainstay_store::{StoreError, Tx};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::sleep;
use uuid::Uuid;

use super::{Shared, TOGETHER};
use crate::jobs::Outbox;
use crate::row::{JobRow, State};
use crate::statements::{ids, json, number, values};

/// How soon a result that could not be written is tried again.
const AGAIN: Duration = Duration::from_millis(500);

/// What has become of a job, as the statement takes it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Outcome {
    pub(crate) id: Uuid,
    pub(crate) attempt: i64,
    pub(crate) state: &'static str,
    pub(crate) run_at: Option<String>,
    pub(crate) finished: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) undone: i64,
}

impl Outcome {
    /// A job's attempt that has come to a state.
    pub(crate) fn new(row: &JobRow, state: State, now: Timestamp) -> Outcome {
        Outcome {
            id: row.id,
            attempt: row.attempt,
            state: state.text(),
            run_at: None,
            finished: state.is_final().then(|| now.to_string()),
            error: None,
            undone: 0,
        }
    }
}

impl Outcome {
    /// Whether the job was done, and nothing else is to be said of it.
    fn is_plain(&self) -> bool {
        self.state == State::Done.text() && self.error.is_none() && self.run_at.is_none() && self.undone == 0
    }
}

/// A job that was done, as its statement takes it.
#[derive(Serialize)]
struct Finished {
    id: Uuid,
    attempt: i64,
}

/// A job that has ended here.
pub(crate) struct Ended {
    /// What is still to be written; none: it was, in the transaction of its effects.
    pub(crate) outcome: Option<Outcome>,
    /// Its key, and how many of it may run.
    pub(crate) key: Option<(String, u32)>,
    /// Whether somebody waits for its batch.
    pub(crate) has_batch: bool,
    is_last: bool,
}

impl Ended {
    pub(super) fn new(shared: &Shared, row: &JobRow, outcome: Option<Outcome>) -> Ended {
        let limit = shared.jobs.definitions().get(&row.name).map_or(1, |definition| definition.key_limit);
        let key = row.limit_key.clone().map(|key| (key, limit));
        Ended { outcome, key, has_batch: row.batch.is_some(), is_last: false }
    }

    /// The sign that no other follows.
    pub(super) fn last() -> Ended {
        Ended { outcome: None, key: None, has_batch: false, is_last: true }
    }
}

/// Writes results until the last one.
pub(super) async fn settle(shared: Arc<Shared>, mut ended: mpsc::UnboundedReceiver<Ended>) {
    let mut some = Vec::with_capacity(TOGETHER);
    loop {
        // Those that end while this batch is written are the next one.
        if ended.recv_many(&mut some, TOGETHER).await == 0 {
            return;
        }
        let is_last = some.iter().any(|ended| ended.is_last);
        settle_all(&shared, &mut some).await;
        if is_last {
            return;
        }
    }
}

/// Writes what has become of some jobs, and lets in what waited for them.
pub(super) async fn settle_all(shared: &Arc<Shared>, some: &mut Vec<Ended>) {
    let outcomes: Vec<Outcome> = some.iter().filter_map(|ended| ended.outcome.clone()).collect();
    if !outcomes.is_empty() {
        write(shared, Arc::new(outcomes)).await;
    }
    let keys: BTreeMap<String, u32> = some.iter().filter_map(|ended| ended.key.clone()).collect();
    let has_batch = some.iter().any(|ended| ended.has_batch);
    some.clear();
    if !keys.is_empty() || has_batch {
        let released = release(shared, Arc::new(keys), has_batch).await;
        if let Err(error) = released {
            tracing::warn!(%error, "jobs that waited for others are let in a little later");
        }
    }
}

async fn write(shared: &Arc<Shared>, outcomes: Arc<Vec<Outcome>>) {
    let begun = Instant::now();
    loop {
        let (outbox, worker, given) = (shared.jobs.outbox.clone(), shared.name.clone(), outcomes.clone());
        let written = shared
            .jobs
            .write(move |tx| {
                let (outbox, worker, outcomes) = (outbox.clone(), worker.clone(), given.clone());
                Box::pin(async move {
                    let written = write_in(tx, &outbox, &worker, &outcomes).await?;
                    outbox.statements.quiet(tx, written.len());
                    Ok(written)
                })
            })
            .await;
        match written {
            Ok(written) if written.len() < outcomes.len() => {
                let count = outcomes.len() - written.len();
                tracing::warn!(
                    count,
                    "jobs had been taken for lost; what became of them here does not count"
                );
                return;
            }
            Ok(_) => return,
            Err(error) if begun.elapsed() > shared.options.lease => {
                tracing::error!(%error, count = outcomes.len(), "results of jobs are given up: they run again");
                return;
            }
            Err(error) => {
                tracing::warn!(%error, count = outcomes.len(), "results of jobs could not be written; tried again");
                sleep(AGAIN.min(shared.options.lease / 4)).await;
            }
        }
    }
}

/// Writes results in a transaction, and tells whose they are.
pub(crate) async fn write_in(
    tx: &mut Tx,
    outbox: &Outbox,
    worker: &str,
    outcomes: &[Outcome],
) -> Result<Vec<Uuid>, StoreError> {
    let now = outbox.clock.now();
    let statements = &outbox.statements;
    statements.steady(tx).await?;
    let all: Vec<Uuid> = outcomes.iter().map(|outcome| outcome.id).collect();
    let before = statements.before(tx, &all).await?;
    let (done, others): (Vec<&Outcome>, Vec<&Outcome>) = outcomes.iter().partition(|it| it.is_plain());
    let done: Vec<Finished> = done.iter().map(|it| Finished { id: it.id, attempt: it.attempt }).collect();
    let mut written = Vec::with_capacity(outcomes.len());
    for (statement, rows, count) in
        [(&statements.finish, json(&done)?, done.len()), (&statements.settle, json(&others)?, others.len())]
    {
        if count > 0 {
            let params = [rows, Value::Text(worker.to_owned()), Value::Timestamp(now)];
            written.extend(ids(values(tx, statement, &params).await?));
        }
    }
    statements.log(tx, &before, &written, now).await?;
    Ok(written)
}

/// Lets in what waited for others.
pub(crate) async fn release(
    shared: &Arc<Shared>,
    keys: Arc<BTreeMap<String, u32>>,
    batches: bool,
) -> Result<(), StoreError> {
    let outbox = shared.jobs.outbox.clone();
    let released = shared
        .jobs
        .write(move |tx| {
            let (outbox, keys) = (outbox.clone(), keys.clone());
            Box::pin(async move {
                let now = outbox.clock.now();
                let statements = &outbox.statements;
                statements.steady(tx).await?;
                let mut count = 0;
                for (key, limit) in keys.iter() {
                    let running = number(tx, &statements.running_of_key, key).await?;
                    let free = Value::Int(i64::from(limit.saturating_sub(running)));
                    let params = [Value::Text(key.clone()), free, Value::Timestamp(now)];
                    let released = ids(values(tx, &statements.release, &params).await?);
                    statements.log_was(tx, State::Blocked, &released, now).await?;
                    count += released.len();
                }
                if batches {
                    let released = values(tx, &statements.release_batches, &[Value::Timestamp(now)]).await?;
                    let released = ids(released);
                    statements.log_was(tx, State::Waiting, &released, now).await?;
                    count += released.len();
                }
                if count == 0 {
                    tx.keep_quiet();
                }
                Ok(count)
            })
        })
        .await?;
    if released > 0 {
        shared.jobs.outbox.wake();
    }
    Ok(())
}
