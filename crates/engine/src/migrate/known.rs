//! What is known of a database before it is changed: what it holds, its ledger, and what was recorded of its schema.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_lang::types::Type;
use mainstay_lang::value::{Timestamp, Value};
use mainstay_sql::Dialect;
use mainstay_sql::catalogue::Catalogue;
use mainstay_sql::migration::drift::{Drift, drift};
use mainstay_sql::migration::ledger::{self, Entry};
use mainstay_sql::model::{Beside, LineError, Misfit, Model, found};
use mainstay_sql::statement::Statement;
use mainstay_sql::system;
use mainstay_store::{Outcome, Query, ReadLimits, Store, StoreError};

/// How long one look at a database may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What is known of a database.
#[derive(Debug)]
pub struct Known {
    /// How it is spoken to.
    pub dialect: &'static dyn Dialect,
    /// What it holds.
    pub catalogue: Catalogue,
    /// Its ledger.
    pub ledger: Vec<Entry>,
    /// What was recorded of it, by this release and by an earlier one.
    records: [Option<String>; 2],
}

/// What is known of the migrations that a database has gone through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Migrated {
    /// How many files.
    pub files: usize,
    /// When the last one was done.
    pub finished: Option<Timestamp>,
    /// How long it took, from the beginning of its first step to the end of its last.
    pub took: Duration,
}

/// Looks at a database.
///
/// # Errors
/// When it cannot be read.
pub async fn look(store: &Store) -> Result<Known, StoreError> {
    let dialect = store.dialect();
    let catalogue = store.catalogue(Instant::now() + TIMEOUT).await?;
    let has = |table: &str| catalogue.table(table).is_some();
    let mut records = [None, None];
    if has(system::META.name) {
        records = ledger::read_records(&rows(store, ledger::records(dialect)).await?);
    }
    let mut ledger = Vec::new();
    if has(system::MIGRATION.name) {
        let rows = rows(store, ledger::entries(dialect)).await?;
        ledger.extend(rows.iter().filter_map(|row| Entry::read(row)));
    }
    Ok(Known { dialect, catalogue, ledger, records })
}

async fn rows(store: &Store, statement: Statement) -> Result<Vec<Vec<Value>>, StoreError> {
    let query = Query { statement: Arc::new(statement), values: Vec::new() };
    let limits = ReadLimits { rows: u64::MAX, bytes: u64::MAX, deadline: Instant::now() + TIMEOUT };
    let outcome = store.read(vec![query], limits).await?.into_iter().next();
    Ok(match outcome {
        Some(Outcome::Values(rows)) => rows,
        _ => Vec::new(),
    })
}

impl Known {
    /// Whether no app has ever used it.
    pub fn is_empty(&self) -> bool {
        self.catalogue.table(system::META.name).is_none()
    }

    /// Whether Mainstay has made it.
    pub fn is_ours(&self) -> bool {
        self.records.iter().any(Option::is_some)
    }

    /// What is in it, for an app that declares this; beside it what fits nothing, and what is nobody's.
    ///
    /// # Errors
    /// When a later release recorded what this one does not know.
    pub fn model(&self, declared: &Model) -> Result<(Model, Vec<Misfit>, Vec<Beside>), LineError> {
        let [record, earlier] = &self.records;
        let recorded = Model::recorded(record.as_deref(), earlier.as_deref(), declared)?;
        Ok(found(&self.catalogue, self.dialect, &recorded, declared))
    }

    /// Whether exactly this is recorded.
    pub fn is_recorded(&self, model: &Model) -> bool {
        self.records[0].as_deref() == Some(&model.to_string())
    }

    /// How it differs from what migrations left.
    pub fn drift(&self, left: &Model) -> Vec<Drift> {
        let (found, misfits, besides) = found(&self.catalogue, self.dialect, left, &Model::default());
        let mut drifts = drift(left, &found, &misfits);
        drifts.extend(besides.iter().filter(|beside| beside.blocks).map(|beside| Drift {
            place: beside.table.clone(),
            words: format!(
                "has a {} that wants a value and is not declared: no row could be made",
                beside.what
            ),
        }));
        drifts
    }

    /// What is in the app's tables beside what migrations left.
    pub fn besides(&self, left: &Model) -> Vec<Beside> {
        found(&self.catalogue, self.dialect, left, &Model::default()).2
    }

    /// What the ledger tells of the files that were applied.
    pub fn migrated(&self) -> Migrated {
        let done =
            |entry: &&Entry| entry.finished.is_some() && (entry.step == entry.steps || entry.step == 0);
        let files: BTreeSet<_> = self.ledger.iter().filter(done).map(|entry| entry.number).collect();
        let Some(last) = files.last() else { return Migrated::default() };
        let at = |text: &str| match Value::parse_text(text, &Type::Timestamp) {
            Ok(Value::Timestamp(at)) => Some(at),
            _ => None,
        };
        let of_last = || self.ledger.iter().filter(|entry| entry.number == *last);
        let begun = of_last().filter_map(|entry| at(&entry.started)).min();
        let finished = of_last().filter_map(|entry| at(entry.finished.as_deref()?)).max();
        let took_us = begun.zip(finished).map_or(0, |(begun, finished)| finished.0.saturating_sub(begun.0));
        let took = Duration::from_micros(u64::try_from(took_us).unwrap_or_default());
        Migrated { files: files.len(), finished, took }
    }

    /// A file that is applied in part.
    pub fn half_applied(&self) -> Option<&Entry> {
        let done = |of: &Entry| {
            let same = self.ledger.iter().filter(|entry| entry.number == of.number && entry.name == of.name);
            let finished = |entry: &&Entry| entry.finished.is_some() && (entry.step > 0 || of.steps == 0);
            of.step == 0 || i64::try_from(same.filter(finished).count()).is_ok_and(|count| count >= of.steps)
        };
        self.ledger.iter().find(|entry| !done(entry))
    }
}
