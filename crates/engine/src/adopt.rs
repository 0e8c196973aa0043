//! Opening an app on a database that others made.
//!
//! Nothing in it is changed. What its columns hold is asked of the database itself, and whatever does not fit what the app declares is told
//! in words; what the app does not declare is nobody's here. On PostgreSQL statements call functions, which are put into a schema of
//! their own beside the database's.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_lang::schema::Schema;
use mainstay_sql::Dialect;
use mainstay_sql::forms::{Forms, Sample, samples};
use mainstay_store::{Outcome, Part, PartKind, Query, ReadLimits, Script, ScriptError, Store, StoreError};

use crate::migrate::{Known, look};
use crate::open::OpenError;

/// How long finding out how columns are kept may take, and how long it may wait for locks of others.
const PATIENCE: Duration = Duration::from_secs(30);

/// The spelling of statements for the database, or why the app does not fit it.
pub(crate) async fn adopt(schema: &Arc<Schema>, store: &Store) -> Result<&'static dyn Dialect, OpenError> {
    let known = look(store).await?;
    make_functions(store, &known).await?;
    let samples = read_samples(schema, store, &known).await?;
    let forms = Forms::find(schema, known.dialect, &known.catalogue, &samples).map_err(OpenError::Unlike)?;
    Ok(known.dialect.with_forms(forms))
}

async fn make_functions(store: &Store, known: &Known) -> Result<(), OpenError> {
    let setup: Vec<String> = known.dialect.setup().iter().map(|&script| script.to_owned()).collect();
    if setup.is_empty() || known.catalogue.has_setup {
        return Ok(());
    }
    let parts = vec![Part { kind: PartKind::Run, statements: setup }];
    let script = Script { parts, in_transaction: true, patience: PATIENCE };
    store.turn().await?.run(script).await.map_err(|error| match error {
        ScriptError::Store(error) => error.into(),
        ScriptError::Found { found, .. } => OpenError::Unlike(found),
        ScriptError::Statement { error, .. } => OpenError::Unlike(vec![format!(
            "the functions that statements call could not be put into a schema of their own, mainstay_1: {error}. Who serves the app \
             needs the right to CREATE in this database once"
        )]),
    })
}

async fn read_samples(schema: &Schema, store: &Store, known: &Known) -> Result<Vec<Sample>, StoreError> {
    let asked = samples(schema, known.dialect, &known.catalogue);
    let mut found = Vec::new();
    for (table, column, statement) in asked {
        let query = Query { statement: Arc::new(statement), values: Vec::new() };
        let limits = ReadLimits { rows: 1, bytes: u64::MAX, deadline: Instant::now() + PATIENCE };
        if let Some(Outcome::Values(rows)) = store.read(vec![query], limits).await?.into_iter().next() {
            found.extend(rows.first().and_then(|row| Sample::read(table, column, row)));
        }
    }
    Ok(found)
}
