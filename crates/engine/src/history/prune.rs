//! Forgetting changes that are older than their table's history.
//!
//! In bounded batches, each a job of the writer like any other, so that requests come in between. Tables that the app no
//! longer has are forgotten like those that say nothing about their history.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_lang::schema::Table;
use mainstay_lang::value::{Timestamp, Value};
use mainstay_store::{Outcome, Query, ReadLimits, StoreError, WriteJob};

use crate::engine::Engine;
use crate::error::Error;

/// Lines that one job forgets: some milliseconds of the writer's time.
const BATCH: i64 = 500;
/// How long one batch may wait for the writer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long changes are kept where a table does not say: a day, in microseconds.
const HISTORY_DEFAULT: i64 = 86_400_000_000;

/// The oldest time of which changes are kept.
pub(super) fn oldest_kept(table: Option<&Table>, now: Timestamp) -> Timestamp {
    let kept = table.and_then(|table| table.history).unwrap_or(HISTORY_DEFAULT);
    Timestamp(now.0.saturating_sub(kept))
}

impl Engine {
    /// Forgets the changes that are too old at a time, and says how many those were. To be called now and then.
    ///
    /// # Errors
    /// When the database cannot be read or written; what was forgotten until then stays so.
    pub async fn history_prune(&self, now: Timestamp) -> Result<u64, Error> {
        let mut forgotten = 0;
        let mut last = String::new();
        while let Some(name) = self.next_logged_table(last).await? {
            let oldest = oldest_kept(self.schema().table_named(&name), now);
            let values = vec![Value::Text(name.clone()), Value::Timestamp(oldest), Value::Int(BATCH)];
            loop {
                let count = self.purge(values.clone()).await?;
                forgotten += count;
                metrics::counter!("mainstay_changes_pruned_total").increment(count);
                if count < BATCH.unsigned_abs() {
                    break;
                }
            }
            last = name;
        }
        Ok(forgotten)
    }

    async fn next_logged_table(&self, last: String) -> Result<Option<String>, Error> {
        let query = Query { statement: self.log.next_table.clone(), values: vec![Value::Text(last)] };
        let limits = ReadLimits { rows: 1, bytes: u64::MAX, deadline: Instant::now() + TIMEOUT };
        let outcomes = self.store.read(vec![query], limits).await?;
        let Some(Outcome::Values(rows)) = outcomes.into_iter().next() else {
            return Err(Error::internal("a table's name is a value"));
        };
        Ok(match rows.into_iter().flatten().next() {
            Some(Value::Text(name)) => Some(name),
            _ => None,
        })
    }

    async fn purge(&self, params: Vec<Value>) -> Result<u64, StoreError> {
        // The parameters stand in the text in their order.
        let query = Arc::new(Query { statement: self.log.purge.clone(), values: params });
        let job: WriteJob<u64, StoreError> = Box::new(move |tx| {
            let query = query.clone();
            Box::pin(async move {
                match tx.query(&query).await? {
                    Outcome::Nothing { affected } => Ok(affected),
                    _ => Ok(0),
                }
            })
        });
        self.store.write(Instant::now() + TIMEOUT, job).await
    }
}
