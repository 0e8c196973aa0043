//! Bringing a database and a schema together when an app is opened.
//!
//! An empty database is given its tables. One that is there is changed only in development, and only where nothing that
//! it holds could be lost or mean something else; all other differences are told in words and the app is not opened.

use crate::seed;
use mainstay_lang::schema::Schema;
use mainstay_lang::value::Value;
use mainstay_sql::difference::{self, Existing, Unsafe};
use mainstay_sql::existing;
use mainstay_sql::{Dialect, copy};
use mainstay_store::{Outcome, Query, ReadLimits, Store, StoreError};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Why an app cannot be opened on its database.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A move or a restore into the database has not come to its end.
    #[error(
        "the database was left unfinished by a move or a restore: run the same command again, and it goes on where it was"
    )]
    Unfinished,
    /// The database was made for another schema, and no change that is safe brings them together.
    #[error("the database does not fit the app:\n{}", lines(.0))]
    Unsafe(Vec<Unsafe>),
    /// The database lacks something, and this environment does not change tables by itself.
    #[error(
        "the database is behind the app by {} change(s), which only the environment `development` makes by itself:\n  {}",
        .0.len(),
        .0.join("\n  ")
    )]
    Behind(Vec<String>),
}

fn lines(problems: &[Unsafe]) -> String {
    problems.iter().map(|problem| format!("  {problem}")).collect::<Vec<_>>().join("\n")
}

/// How long the first look at a database may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Makes the database fit, or says why it does not.
pub(crate) async fn fit(
    schema: &Schema,
    store: &Store,
    dialect: &dyn Dialect,
    may_change: bool,
) -> Result<(), OpenError> {
    match bring_in_step(schema, store, dialect, may_change).await {
        // Another server may have made the same changes since the database was looked at.
        Err(OpenError::Store(_)) => bring_in_step(schema, store, dialect, may_change).await,
        done => done,
    }
}

async fn bring_in_step(
    schema: &Schema,
    store: &Store,
    dialect: &dyn Dialect,
    may_change: bool,
) -> Result<(), OpenError> {
    let mut known =
        Existing { catalogue: store.catalogue(Instant::now() + TIMEOUT).await?, declared_types: None };
    if known.catalogue.table(copy::PROGRESS.name).is_some() {
        return Err(OpenError::Unfinished);
    }
    if known.catalogue.table("_meta").is_some() {
        let recorded = rows(store, vec![existing::recorded_types(dialect)]).await?;
        known.declared_types = match recorded.into_iter().flatten().flatten().next() {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        };
    }
    let mut statements = difference::differences(schema, dialect, &known).map_err(OpenError::Unsafe)?;
    let is_recorded = known.declared_types.as_deref() == Some(&difference::declared_types(schema));
    if statements.is_empty() && is_recorded {
        return Ok(());
    }
    let is_empty = known.catalogue.tables.is_empty();
    if !is_empty && !may_change && !statements.is_empty() {
        return Err(OpenError::Behind(statements));
    }
    tracing::info!(statements = statements.len(), "bringing the database in step with the schema");
    statements.push(existing::record_types(schema, dialect));
    if is_empty && may_change {
        statements.push(seed::mark_pending(dialect));
    }
    store.execute_script(statements).await?;
    Ok(())
}

async fn rows(
    store: &Store,
    statements: Vec<mainstay_sql::statement::Statement>,
) -> Result<Vec<Vec<Vec<Value>>>, StoreError> {
    let queries =
        statements.into_iter().map(|statement| Query { statement: Arc::new(statement), values: Vec::new() });
    let limits = ReadLimits { rows: u64::MAX, bytes: u64::MAX, deadline: Instant::now() + TIMEOUT };
    let outcomes = store.read(queries.collect(), limits).await?;
    let values = outcomes.into_iter().map(|outcome| match outcome {
        Outcome::Values(rows) => rows,
        _ => Vec::new(),
    });
    Ok(values.collect())
}
