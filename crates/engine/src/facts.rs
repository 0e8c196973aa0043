//! Facts about the database, which it keeps itself: texts by name, for the server's own use.
//!
//! One that others made keeps them once it keeps a change log, and none before.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_lang::value::Value;
use mainstay_sql::statement::Statement;
use mainstay_sql::system;
use mainstay_store::{Outcome, Query, ReadLimits, Store, StoreError};

use crate::engine::{Engine, no_log};
use crate::error::Error;

const TIMEOUT: Duration = Duration::from_secs(10);

/// A fact by its name.
pub(crate) async fn read(
    store: &Store,
    statement: Statement,
    name: &str,
) -> Result<Option<String>, StoreError> {
    let rows = values(store, statement, name).await?;
    Ok(rows.into_iter().flatten().find_map(|value| match value {
        Value::Text(fact) => Some(fact),
        _ => None,
    }))
}

/// Whether a statement without parameters finds a row.
pub(crate) async fn has_rows(store: &Store, statement: Statement) -> Result<bool, StoreError> {
    let query = Query { statement: Arc::new(statement), values: Vec::new() };
    let limits = ReadLimits { rows: 1, bytes: u64::MAX, deadline: Instant::now() + TIMEOUT };
    let outcome = store.read(vec![query], limits).await?.into_iter().next();
    Ok(matches!(outcome, Some(Outcome::Values(rows)) if !rows.is_empty()))
}

async fn values(store: &Store, statement: Statement, name: &str) -> Result<Vec<Vec<Value>>, StoreError> {
    let query = Query { statement: Arc::new(statement), values: vec![Value::Text(name.to_owned())] };
    let limits = ReadLimits { rows: u64::MAX, bytes: u64::MAX, deadline: Instant::now() + TIMEOUT };
    match store.read(vec![query], limits).await?.into_iter().next() {
        Some(Outcome::Values(rows)) => Ok(rows),
        _ => Ok(Vec::new()),
    }
}

impl Engine {
    /// Names and values of the facts whose names begin with some words; these are letters and dots alone.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn facts(&self, beginning: &str) -> Result<Vec<(String, String)>, Error> {
        if !self.keeps_log() {
            return Ok(Vec::new());
        }
        let statement = system::meta_like(self.schema(), self.dialect);
        let rows = values(&self.store, statement, &format!("{beginning}%")).await?;
        let pair = |row: Vec<Value>| match <[Value; 2]>::try_from(row) {
            Ok([Value::Text(name), Value::Text(fact)]) => Some((name, fact)),
            _ => None,
        };
        Ok(rows.into_iter().filter_map(pair).collect())
    }

    /// Notes a fact. Name and value are the server's own words.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn fact_put(&self, name: &str, fact: &str) -> Result<(), Error> {
        if !self.keeps_log() {
            return Err(no_log("note facts about itself"));
        }
        Ok(self.store.execute_script(vec![system::meta_record(self.dialect, name, fact)]).await?)
    }

    /// Forgets a fact.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn fact_forget(&self, name: &str) -> Result<(), Error> {
        if !self.keeps_log() {
            return Ok(());
        }
        Ok(self.store.execute_script(vec![system::meta_forget(self.dialect, name)]).await?)
    }
}
