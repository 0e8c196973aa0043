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
    let queries: Arc<[Query]> = [Query { statement: statement.clone(), values }].into();
    let mut forgotten = 0;
    loop {
        let count = one_batch(engine, queries.clone()).await?;
        forgotten += count;
        note(count);
        if count < BATCH {
            return Ok(forgotten);
        }
    }
}

/// Runs statements in one transaction and says how many rows the first of them forgot.
pub(crate) async fn one_batch(engine: &Engine, queries: Arc<[Query]>) -> Result<u64, StoreError> {
    let job: WriteJob<u64, StoreError> = Box::new(move |tx| {
        let queries = queries.clone();
        Box::pin(async move {
            let mut forgotten = None;
            for query in queries.iter() {
                if let Outcome::Nothing { affected } = tx.query(query).await? {
                    forgotten.get_or_insert(affected);
                }
            }
            Ok(forgotten.unwrap_or(0))
        })
    });
    engine.store.write(Instant::now() + TIMEOUT, job).await
}
