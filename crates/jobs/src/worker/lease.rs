//! Renewing the leases of what runs, and stopping what is to be stopped.
//!
//! A third of the lease passes between two signs of life, so that one may fail. A job that is not this worker's any more is stopped: what
//! it would write of itself is refused anyway, and somebody else may have begun it.

use std::sync::Arc;
use std::time::Duration;

use mainstay_lang::value::Value;
use mainstay_store::StoreError;
use tokio::time::{MissedTickBehavior, interval};
use uuid::Uuid;

use super::{Shared, Stop};
use crate::clock::after;
use crate::row;
use crate::statements::{ids_json, values};

/// How often somebody who cancels a job that runs waits at most.
const LOOK: Duration = Duration::from_secs(1);

/// Renews until it is dropped.
pub(super) async fn renew(shared: Arc<Shared>) {
    let every =
        (shared.options.lease / 3).min(LOOK.max(shared.options.lease / 12)).max(Duration::from_millis(10));
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let held: Vec<Uuid> = shared.held.lock().keys().copied().collect();
        if held.is_empty() {
            continue;
        }
        match own(&shared, &held).await {
            Ok(own) => stop(&shared, &held, &own),
            Err(error) => tracing::warn!(%error, count = held.len(), "leases of jobs could not be renewed"),
        }
    }
}

/// Those that are this worker's still, and whether somebody wants them to stop.
async fn own(shared: &Arc<Shared>, held: &[Uuid]) -> Result<Vec<(Uuid, bool)>, StoreError> {
    let until = after(shared.jobs.outbox.clock.now(), shared.options.lease);
    let worker = Value::Text(shared.name.clone());
    let params = Arc::new([ids_json(held), worker, Value::Timestamp(until)]);
    let outbox = shared.jobs.outbox.clone();
    let rows = shared
        .jobs
        .write(move |tx| {
            let (outbox, params) = (outbox.clone(), params.clone());
            Box::pin(async move {
                outbox.statements.steady(tx).await?;
                tx.keep_quiet();
                values(tx, &outbox.statements.renew, &params[..]).await
            })
        })
        .await?;
    let read = |row: Vec<Value>| {
        let mut row = row.into_iter();
        Some((row::uuid(row.next()?)?, row::truth(row.next()?)?))
    };
    Ok(rows.into_iter().filter_map(read).collect())
}

fn stop(shared: &Shared, asked: &[Uuid], own: &[(Uuid, bool)]) {
    let mut held = shared.held.lock();
    for id in asked {
        let Some(held) = held.get_mut(id) else { continue };
        match own.iter().find(|(own, _)| own == id) {
            None => held.stop(Stop::Lost),
            Some((_, true)) => held.stop(Stop::Cancelled),
            Some((_, false)) => {}
        }
    }
}
