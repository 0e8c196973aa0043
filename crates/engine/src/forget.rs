//! Forgetting what is too old, in bounded batches.
//!
//! Each batch is a job of the writer like any other, so that requests come in between. Nothing is forgotten within a
//! request: how long one takes must not depend on what others have left behind.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_lang::value::Value;
use mainstay_sql::statement::Statement;
use mainstay_store::{Outcome, Query, StoreError, WriteJob};

use crate::engine::Engine;

/// Rows that one job forgets: some milliseconds of the writer's time.
pub(crate) const BATCH: u64 = 500;

/// How long one batch may wait for the writer.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

/// Runs a statement that forgets some rows until there are no more, and says how many those were; `note` hears of each batch.
/// The statement's parameters stand in its text in their order, and the last one, added here, is how many rows at most.
pub(crate) async fn in_batches(
    engine: &Engine,
    statement: &Arc<Statement>,
    params: &[Value],
    note: impl Fn(u64),
) -> Result<u64, StoreError> {
    let most = Value::Int(i64::try_from(BATCH).expect("a batch is small"));
    let values = params.iter().cloned().chain([most]).collect();
    let query = Arc::new(Query { statement: statement.clone(), values });
    let mut forgotten = 0;
    loop {
        let count = batch(engine, query.clone()).await?;
        forgotten += count;
        note(count);
        if count < BATCH {
            return Ok(forgotten);
        }
    }
}

async fn batch(engine: &Engine, query: Arc<Query>) -> Result<u64, StoreError> {
    let job: WriteJob<u64, StoreError> = Box::new(move |tx| {
        let query = query.clone();
        Box::pin(async move {
            match tx.query(&query).await? {
                Outcome::Nothing { affected } => Ok(affected),
                _ => Ok(0),
            }
        })
    });
    engine.store.write(Instant::now() + TIMEOUT, job).await
}
