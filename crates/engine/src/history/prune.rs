//! Forgetting changes that are older than their table's history.
//!
//! Tables that are kept equally long are forgotten together, in the order of the log: it is walked from where the last walk
//! ended until a line is too young, so that each line is looked at once for each length of time, and no index on the
//! time has to be kept by every write. In bounded batches, each a job of the writer like any other, so that requests
//! come in between. Tables that the app no longer has are forgotten like those that say nothing about their history.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use mainstay_lang::schema::{Schema, Table};
use mainstay_lang::value::{Timestamp, Value};
use mainstay_sql::statement::Statement;
use mainstay_sql::system::LoggedTables;
use mainstay_sql::{Dialect, system};
use mainstay_store::{Outcome, Query, ReadLimits, StoreError};

use crate::bind;
use crate::engine::Engine;
use crate::error::Error;
use crate::forget::{BATCH, TIMEOUT, one_batch};

/// How long changes are kept where a table does not say: a day, in microseconds.
const HISTORY_DEFAULT: i64 = 86_400_000_000;
/// Behind a line that is so old, in microseconds, no request will still write one: where several write at a time, a line may
/// be seen later than others of greater numbers. What is kept shorter is forgotten a little later.
const SETTLED: i64 = 600_000_000;

/// The oldest time of which changes are kept.
pub(crate) fn oldest_kept(table: Option<&Table>, now: Timestamp) -> Timestamp {
    let kept = table.and_then(|table| table.history).unwrap_or(HISTORY_DEFAULT);
    Timestamp(now.0.saturating_sub(kept))
}

/// Tables whose changes are kept equally long.
#[derive(Debug)]
pub(super) struct Retention {
    /// Microseconds.
    kept: i64,
    purge: Arc<Statement>,
    /// The fact of the database that says how far the log has been walked.
    fact: String,
    /// What the fact says behind the number: other tables have to be looked for from the beginning.
    tables: String,
}

/// One for each length of time that the schema knows.
pub(super) fn retentions(schema: &Schema, dialect: &dyn Dialect) -> Vec<Retention> {
    let mut named: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    for table in &schema.tables {
        if let Some(kept) = table.history {
            named.entry(kept).or_default().push(table.name.clone());
        }
    }
    let others = LoggedTables::Others(named.values().flatten().cloned().collect());
    let named = named.into_iter().map(|(kept, names)| (kept, LoggedTables::These(names)));
    let all = named.chain([(HISTORY_DEFAULT, others)]);
    all.map(|(kept, tables)| {
        let purge = Arc::new(system::change_purge(schema, dialect, &tables));
        let (kind, tables) = match &tables {
            LoggedTables::These(names) => ("of", names.join(" ")),
            LoggedTables::Others(names) => ("but", names.join(" ")),
        };
        Retention { kept, purge, fact: format!("forgotten.{kept}.{kind}"), tables }
    })
    .collect()
}

impl Engine {
    /// Forgets the changes that are too old at a time, and says how many those were. To be called now and then.
    ///
    /// # Errors
    /// When the database cannot be read or written; what was forgotten until then stays so.
    pub async fn history_prune(&self, now: Timestamp) -> Result<u64, Error> {
        let mut forgotten = 0;
        if !self.keeps_log() {
            return Ok(forgotten);
        }
        for retention in &self.log.retentions {
            let oldest = Timestamp(now.0.saturating_sub(retention.kept.max(SETTLED)));
            let mut behind = self.walked(retention).await?;
            while let Some(last) = self.last_of_batch(behind, oldest).await? {
                let count = self.forget(retention, [behind, last.seq], oldest).await?;
                forgotten += count;
                metrics::counter!("mainstay_changes_pruned_total").increment(count);
                behind = last.seq;
                if !last.may_follow {
                    break;
                }
            }
        }
        Ok(forgotten)
    }

    /// The `seq` to which a walk has come; from the beginning when it looked for other tables.
    async fn walked(&self, retention: &Retention) -> Result<i64, Error> {
        let values = vec![Value::Text(retention.fact.clone())];
        let found = self.log_values(&self.log.fact, values).await?;
        let Some(Value::Text(fact)) = found.into_iter().flatten().next() else { return Ok(0) };
        let same = fact.split_once(' ').filter(|(_, tables)| *tables == retention.tables);
        Ok(same.and_then(|(seq, _)| seq.parse().ok()).unwrap_or(0))
    }

    /// The last of the lines behind a `seq` that are older than a time, of one batch.
    async fn last_of_batch(&self, behind: i64, oldest: Timestamp) -> Result<Option<Last>, Error> {
        let values = vec![Value::Int(behind), Value::Int(BATCH.cast_signed())];
        let lines = self.log_values(&self.log.oldest, values).await?;
        let old =
            lines.iter().take_while(|line| matches!(line[..], [_, Value::Timestamp(at)] if at < oldest));
        let old = old.count();
        Ok(match lines[..old].last().map(|line| &line[..]) {
            Some([Value::Int(seq), _]) => Some(Last { seq: *seq, may_follow: old as u64 == BATCH }),
            _ => None,
        })
    }

    async fn log_values(
        &self,
        statement: &Arc<Statement>,
        values: Vec<Value>,
    ) -> Result<Vec<Vec<Value>>, Error> {
        let query = Query { statement: statement.clone(), values };
        let limits = ReadLimits { rows: BATCH, bytes: u64::MAX, deadline: Instant::now() + TIMEOUT };
        match self.store.read(vec![query], limits).await?.into_iter().next() {
            Some(Outcome::Values(rows)) => Ok(rows),
            _ => Err(Error::internal("the log is read as values")),
        }
    }

    /// Forgets between two lines, and how far the walk has come in the same transaction.
    async fn forget(
        &self,
        retention: &Retention,
        [behind, last]: [i64; 2],
        oldest: Timestamp,
    ) -> Result<u64, StoreError> {
        let params = [Value::Int(behind), Value::Int(last), Value::Timestamp(oldest)];
        let purge = bind::without_caller(&retention.purge, &params);
        let fact = [Value::Text(retention.fact.clone()), Value::Text(format!("{last} {}", retention.tables))];
        let remember = Query { statement: self.log.remember.clone(), values: fact.to_vec() };
        one_batch(self, [purge, remember].into()).await
    }
}

/// Where a batch ends.
struct Last {
    seq: i64,
    /// Whether the batch was full.
    may_follow: bool,
}
