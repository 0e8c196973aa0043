//! What is looked after once a second: leases that ended, keys and batches whose turn nobody gave, and what the clock asks for.
//!
//! Every worker does all of it; each statement takes what nobody else has, so that several do no more than one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mainstay_lang::value::Value;
use mainstay_store::StoreError;
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval};

use crate::definition::Definition;
use crate::error::JobsError;
use crate::jobs::Jobs;
use crate::meters;
use crate::new::NewJob;
use crate::row::{self, State};
use crate::statements::{ids, keep_time, time_of, values};
use crate::worker::{Shared, release};

/// Jobs that are taken back at a time, and keys that are looked at.
const TOGETHER: i64 = 500;

/// Every so many ticks keys are looked at that nobody gave their turn to.
const KEYS_EVERY: u32 = 5;

/// What stands in the place of an error of a job whose worker was lost.
const LOST: &str = "its worker was lost";

/// Looks until it is dropped.
pub(crate) async fn tick(shared: Arc<Shared>) {
    let mut ticks = interval(shared.options.poll.max(Duration::from_millis(10)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut count = 0u32;
    loop {
        ticks.tick().await;
        count = count.wrapping_add(1);
        let keys = if count.is_multiple_of(KEYS_EVERY) { Keys::All } else { Keys::None };
        if let Err(error) = look(&shared, keys).await {
            tracing::warn!(%error, "jobs could not be looked after; tried again");
        }
    }
}

/// Which keys are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keys {
    None,
    All,
}

/// One look.
///
/// # Errors
/// When the database fails.
pub(crate) async fn look(shared: &Arc<Shared>, keys: Keys) -> Result<(), JobsError> {
    shared.jobs.rescue().await?;
    let keys = if keys == Keys::All { blocked(shared).await? } else { BTreeMap::new() };
    release(shared, Arc::new(keys), true).await?;
    for definition in shared.jobs.definitions().iter().filter(|known| known.schedule.is_some()) {
        shared.jobs.enqueue_scheduled(definition).await?;
    }
    Ok(())
}

/// Keys of which jobs were put aside, and how many of each may run.
async fn blocked(shared: &Shared) -> Result<BTreeMap<String, u32>, StoreError> {
    let params = [Value::Text(String::new()), Value::Int(TOGETHER)];
    let rows = shared.jobs.read(&shared.jobs.outbox.statements.blocked_keys, &params).await?;
    let read = |row: Vec<Value>| {
        let mut row = row.into_iter();
        let (key, name) = (row::text(row.next()?)?, row::text(row.next()?)?);
        Some((key, shared.jobs.definitions().get(&name).map_or(1, |definition| definition.key_limit)))
    };
    Ok(rows.into_iter().filter_map(read).collect())
}

impl Jobs {
    /// Takes jobs back whose lease has ended, and says how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn rescue(&self) -> Result<u64, JobsError> {
        let outbox = self.outbox.clone();
        let rescued = self
            .write(move |tx| {
                let outbox = outbox.clone();
                Box::pin(async move {
                    let now = outbox.clock.now();
                    let statements = &outbox.statements;
                    statements.steady(tx).await?;
                    let params = [Value::Timestamp(now), Value::Int(TOGETHER), Value::Text(LOST.to_owned())];
                    let rescued = ids(values(tx, &statements.rescue, &params).await?);
                    statements.log_was(tx, State::Running, &rescued, now).await?;
                    if rescued.is_empty() {
                        tx.keep_quiet();
                    }
                    Ok(rescued)
                })
            })
            .await?;
        if !rescued.is_empty() {
            tracing::warn!(count = rescued.len(), "jobs were taken back from workers that were lost");
            meters::rescued(rescued.len());
            self.outbox.wake();
        }
        Ok(rescued.len() as u64)
    }

    /// Enqueues what the clock asks for of a name, once on all workers together, and says how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn enqueue_scheduled(&self, definition: &Definition) -> Result<usize, JobsError> {
        let Some((schedule, catch_up)) = definition.schedule.clone() else { return Ok(0) };
        let (outbox, name) = (self.outbox.clone(), definition.name.clone());
        let fact = Arc::new(format!("job schedule {name}"));
        // Most of the time it is not time yet, which is seen without a transaction.
        let known = self.read(&outbox.statements.fact, &[Value::Text((*fact).clone())]).await?;
        let known = known.into_iter().flatten().next().and_then(row::text);
        let known = known.and_then(|text| text.parse().ok()).map(mainstay_lang::value::Timestamp);
        if known.is_some_and(|last| schedule.due(last, outbox.clock.now(), catch_up).is_none()) {
            return Ok(0);
        }
        let schedule = Arc::new(schedule);
        let count = self
            .write(move |tx| {
                let (outbox, fact, schedule, name) =
                    (outbox.clone(), fact.clone(), schedule.clone(), name.clone());
                Box::pin(async move {
                    let now = outbox.clock.now();
                    let statements = &outbox.statements;
                    statements.turn(tx, &fact).await?;
                    // The first time it is seen nothing was missed.
                    let Some(last) = time_of(tx, statements, &fact).await? else {
                        keep_time(tx, statements, &fact, now).await?;
                        return Ok(0);
                    };
                    let Some(due) = schedule.due(last, now, catch_up) else {
                        tx.keep_quiet();
                        return Ok(0);
                    };
                    keep_time(tx, statements, &fact, due.last).await?;
                    let new = due.made.iter().map(|at| NewJob::new(&name, &json!({"at": at.to_string()})));
                    let rows = outbox.rows(new.collect());
                    let rows = rows.map_err(|error| StoreError::Other(error.to_string()))?;
                    Ok(outbox.insert(tx, &rows).await?.len())
                })
            })
            .await?;
        if count > 0 {
            self.outbox.wake();
        }
        Ok(count)
    }
}
