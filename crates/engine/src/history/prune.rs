//! Forgetting changes that are older than their table's history.
//!
//! Tables that the app no longer has are forgotten like those that say nothing about their history.

use std::time::Instant;

use mainstay_lang::schema::Table;
use mainstay_lang::value::{Timestamp, Value};
use mainstay_store::{Outcome, Query, ReadLimits};

use crate::engine::Engine;
use crate::error::Error;
use crate::forget::{TIMEOUT, in_batches};

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
            let values = [Value::Text(name.clone()), Value::Timestamp(oldest)];
            forgotten += in_batches(self, &self.log.purge, &values, |count| {
                metrics::counter!("mainstay_changes_pruned_total").increment(count);
            })
            .await?;
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
}
