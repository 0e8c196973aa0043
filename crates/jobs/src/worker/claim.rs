//! Taking jobs: one transaction for as many as there is room for.
//!
//! What has come due is let in first. Then jobs are picked by name, so that those of names that nobody here knows stand in nobody's
//! way, and of each name and queue no more than its rate and limit allow; these are counted under a turn of the name, which only they
//! who ask for it wait for. Of those of a key that too many run of already, the ones too many are put aside: each is looked at once and
//! not again before one of its key has ended. The marks go out with the commit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mainstay_lang::value::{Timestamp, Value};
use mainstay_sql::statement::Statement;
use mainstay_sql::system::job::{self, PickQueue};
use mainstay_store::{StoreError, Tx};
use uuid::Uuid;

use super::Shared;
use crate::clock::after;
use crate::definition::Definitions;
use crate::jobs::Jobs;
use crate::rate::Rate;
use crate::row::{self, JobRow, State};
use crate::statements::{ids, ids_json, keep_time, number, query, time_of, values};

/// Jobs whose time has come that are let in at a time.
const PROMOTED: i64 = 1000;

/// How many more are looked at than taken behind a look that found too few: other workers may have been taking those.
const LOOKED_AT: usize = 4;

/// How the jobs of an app are taken.
pub(super) struct Claim {
    queues: Arc<Vec<Queue>>,
    pick: Arc<Statement>,
    /// How many more the next look looks at.
    looked_at: AtomicUsize,
}

struct Queue {
    name: String,
    limit: Option<u32>,
    jobs: Vec<(String, Option<Rate>)>,
}

/// What was taken.
#[derive(Default)]
pub(super) struct Taken {
    pub(super) rows: Vec<JobRow>,
    /// Whether there were as many as there was room for.
    is_full: bool,
    /// Whether another look at once may find more.
    pub(super) may_be_more: bool,
    /// When there may be some even if nobody tells.
    pub(super) next: Option<Duration>,
}

impl Taken {
    pub(super) fn none(next: Duration) -> Taken {
        Taken { next: Some(next), ..Taken::default() }
    }
}

impl Claim {
    pub(super) fn new(jobs: &Jobs, taken: &Definitions) -> Claim {
        let mut queues: BTreeMap<&str, Queue> = BTreeMap::new();
        for definition in taken.iter() {
            let queue = queues.entry(&definition.queue).or_insert_with(|| Queue {
                name: definition.queue.clone(),
                limit: taken.limit_of(&definition.queue),
                jobs: Vec::new(),
            });
            queue.jobs.push((definition.name.clone(), definition.rate));
        }
        let queues: Vec<Queue> = queues.into_values().collect();
        let picked = |queue: &Queue| PickQueue {
            names: queue.jobs.iter().map(|(name, _)| name.clone()).collect(),
            limited: queue.limit.is_some(),
        };
        let picked: Vec<PickQueue> = queues.iter().map(picked).collect();
        let store = jobs.engine.store();
        let pick = job::pick(jobs.engine.schema(), store.dialect(), &picked);
        Claim { queues: Arc::new(queues), pick: Arc::new(pick), looked_at: AtomicUsize::new(LOOKED_AT) }
    }

    /// Takes as many jobs as there is room for.
    pub(super) async fn take(&self, shared: &Arc<Shared>, room: usize) -> Result<Taken, StoreError> {
        if self.queues.is_empty() {
            return Ok(Taken::default());
        }
        let (queues, pick, worker) = (self.queues.clone(), self.pick.clone(), shared.clone());
        let looked_at = room * self.looked_at.load(Ordering::Relaxed);
        let taken = shared
            .jobs
            .write(move |tx| {
                let (queues, pick, worker) = (queues.clone(), pick.clone(), worker.clone());
                Box::pin(async move {
                    Taking { queues: &queues, pick: &pick, worker: &worker, looked_at, tx }.run(room).await
                })
            })
            .await?;
        // A worker that is alone with many jobs reads no more rows than it takes.
        let next = if taken.is_full { 1 } else { LOOKED_AT };
        self.looked_at.store(next, Ordering::Relaxed);
        Ok(taken)
    }
}

/// One look, in its transaction.
struct Taking<'t> {
    queues: &'t [Queue],
    pick: &'t Arc<Statement>,
    worker: &'t Shared,
    looked_at: usize,
    tx: &'t mut Tx,
}

impl Taking<'_> {
    async fn run(mut self, room: usize) -> Result<Taken, StoreError> {
        let jobs = &self.worker.jobs;
        let statements = &jobs.outbox.statements;
        let now = jobs.outbox.clock.now();
        statements.steady(self.tx).await?;
        // Of a mark that is lost with the database's memory nothing remains: the job is taken again, and who has it cannot end it.
        statements.lazy(self.tx).await?;
        let promoted =
            values(self.tx, &statements.promote, &[Value::Timestamp(now), Value::Int(PROMOTED)]).await?;
        let promoted = ids(promoted);
        statements.log_was(self.tx, State::Scheduled, &promoted, now).await?;
        let (limits, rates, mut next) = self.limits(room, now).await?;
        let picked = values(self.tx, self.pick, &limits).await?;
        let full = picked.len() >= room;
        let mut rows = Vec::with_capacity(picked.len());
        for row in picked {
            rows.push(JobRow::read(row).map_err(|error| StoreError::Other(error.to_string()))?);
        }
        let parked = self.park(&mut rows, now).await?;
        for (name, (rate, kept)) in &rates {
            let begun = rows.iter().filter(|row| row.name == *name).count();
            if begun > 0 {
                let kept = rate.begun(*kept, now, u32::try_from(begun).unwrap_or(u32::MAX));
                keep_time(self.tx, statements, &rate_fact(name), kept).await?;
            }
        }
        self.mark(&mut rows, now).await?;
        // Those that were looked at may be others', and there may be more behind.
        let is_narrow = !full && self.looked_at <= room;
        let has_more = full || is_narrow || parked || promoted.len() as i64 >= PROMOTED;
        if !has_more {
            let due = values(self.tx, &statements.next_due, &[]).await?;
            let due = due.into_iter().flatten().next().and_then(row::at);
            next = [next, due].into_iter().flatten().min();
        }
        // Others may take what came due and was left.
        if promoted.len() <= rows.len() {
            statements.quiet(self.tx, rows.len() + promoted.len() + usize::from(parked));
        }
        let next = next.map(|next| Duration::from_micros((next.0 - now.0).max(0).unsigned_abs()));
        Ok(Taken { rows, is_full: full, may_be_more: has_more, next })
    }

    /// The parameters of the pick: how many of each queue and name there may be, what was kept of the rates, and when one of
    /// those that are used up lets the next one in.
    async fn limits(
        &mut self,
        room: usize,
        now: Timestamp,
    ) -> Result<(Vec<Value>, BTreeMap<String, (Rate, Timestamp)>, Option<Timestamp>), StoreError> {
        let statements = &self.worker.jobs.outbox.statements;
        let int = |count: usize| Value::Int(i64::try_from(count).unwrap_or(i64::MAX));
        let looked_at = int(self.looked_at);
        let mut params = vec![looked_at.clone(), int(room)];
        let (mut rates, mut next) = (BTreeMap::new(), None);
        for queue in self.queues {
            if let Some(limit) = queue.limit {
                statements.turn(self.tx, &format!("mainstay jobs queue {}", queue.name)).await?;
                let running = number(self.tx, &statements.running_of_queue, &queue.name).await?;
                params.push(Value::Int(i64::from(limit.saturating_sub(running))));
            }
            for (name, rate) in &queue.jobs {
                let Some(rate) = rate else {
                    params.push(looked_at.clone());
                    continue;
                };
                let fact = rate_fact(name);
                statements.turn(self.tx, &fact).await?;
                let kept = time_of(self.tx, statements, &fact).await?.unwrap_or(Timestamp(0));
                let available = rate.available(kept, now);
                if available == 0 {
                    next = [next, Some(rate.next(kept))].into_iter().flatten().min();
                }
                params.push(Value::Int(i64::from(available)));
                rates.insert(name.clone(), (*rate, kept));
            }
        }
        Ok((params, rates, next))
    }

    /// Puts aside those of which too many of their key run already, and says whether there were any.
    async fn park(&mut self, rows: &mut Vec<JobRow>, now: Timestamp) -> Result<bool, StoreError> {
        let statements = &self.worker.jobs.outbox.statements;
        // In one order, so that two workers never wait for each other.
        let keys: BTreeSet<String> = rows.iter().filter_map(|row| row.limit_key.clone()).collect();
        let mut parked: Vec<Uuid> = Vec::new();
        for key in keys {
            statements.turn(self.tx, &format!("mainstay jobs key {key}")).await?;
            let mut running = number(self.tx, &statements.running_of_key, &key).await?;
            for row in rows.iter().filter(|row| row.limit_key.as_ref() == Some(&key)) {
                let definition = self.worker.jobs.definitions().get(&row.name);
                let limit = definition.map_or(1, |definition| definition.key_limit);
                if running < limit {
                    running += 1;
                } else {
                    parked.push(row.id);
                }
            }
        }
        if parked.is_empty() {
            return Ok(false);
        }
        let before = statements.before(self.tx, &parked).await?;
        let params = [ids_json(&parked), Value::Timestamp(now)];
        self.tx.later(query(&statements.park, &params)).await?;
        statements.log(self.tx, &before, &parked, now).await?;
        rows.retain(|row| !parked.contains(&row.id));
        Ok(true)
    }

    /// Marks jobs as running here.
    async fn mark(&mut self, rows: &mut [JobRow], now: Timestamp) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let statements = &self.worker.jobs.outbox.statements;
        let taken: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
        let until = after(now, self.worker.options.lease);
        let worker = Value::Text(self.worker.name.clone());
        let before = statements.before(self.tx, &taken).await?;
        let params = [ids_json(&taken), worker, Value::Timestamp(until), Value::Timestamp(now)];
        self.tx.later(query(&statements.mark, &params)).await?;
        statements.log(self.tx, &before, &taken, now).await?;
        for row in rows {
            row.attempt += 1;
            row.state = State::Running;
            row.started = Some(now);
        }
        Ok(())
    }
}

fn rate_fact(name: &str) -> String {
    format!("job rate {name}")
}
