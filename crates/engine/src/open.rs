//! Bringing a database and a schema together when an app is opened.
//!
//! An empty database is given its tables. One that is there is changed only in development, and only where nothing that
//! it holds could be lost or mean something else; all other differences are told in words and the app is not opened.

use std::sync::Arc;
use std::time::Duration;

use mainstay_lang::schema::Schema;
use mainstay_sql::migration::{self, Effect, Hints, Obstacle, Plan, Way, ground, ledger};
use mainstay_sql::model::{LineError, Model};
use mainstay_sql::{copy, ddl};
use mainstay_store::{Part, PartKind, Script, ScriptError, Store, StoreError};

use crate::error::Error;
use crate::migrate::{Known, Migrated, look};
use crate::seed;

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
    /// A later release recorded what this one does not know.
    #[error("what is recorded in the database is not known to this release: {0}")]
    Record(#[from] LineError),
    /// The database was made for another schema, and no change that may be made without asking brings them together.
    #[error("the database does not fit the app:\n{}", lines(.0))]
    Unfit(Vec<String>),
    /// The database was made by others, and is not as the app says that it is.
    #[error("the database is not as the app says:\n{}", lines(.0))]
    Unlike(Vec<String>),
    /// A migration was begun and did not come to its end.
    #[error("the migration {0} is applied in part")]
    HalfApplied(String),
    /// The database is empty, and the app's migrations are there to make its tables.
    #[error("the database is empty, and the app has migrations to make its tables")]
    Empty,
    /// The rules that the database keeps cannot be read.
    #[error("the rules that are kept in the database cannot be read: {0}")]
    Rules(Error),
    /// A plugin does not fit the app.
    #[error("the plugin `{plugin}` does not fit the app:\n{}", lines(.problems))]
    Plugin {
        /// Its name.
        plugin: String,
        /// What is missing or wrong.
        problems: Vec<String>,
    },
}

fn lines(problems: &[String]) -> String {
    problems.iter().map(|problem| format!("  {problem}")).collect::<Vec<_>>().join("\n")
}

/// How long bringing a database in step may wait for locks of others.
const PATIENCE: Duration = Duration::from_secs(30);

/// What may be done to a database when an app is opened on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MayChange {
    /// Its tables may be changed where nothing can be lost (`development`).
    pub tables: bool,
    /// The app has migrations, which alone may make the tables of a database that is kept.
    pub by_migrations_alone: bool,
}

impl MayChange {
    /// What a server does by itself while an app is being built.
    pub const IN_DEVELOPMENT: MayChange = MayChange { tables: true, by_migrations_alone: false };
}

/// Makes the database fit, or says why it does not; answers what migrations it has gone through.
pub(crate) async fn fit(
    schema: &Arc<Schema>,
    store: &Store,
    may_change: MayChange,
) -> Result<Migrated, OpenError> {
    let known = look(store).await?;
    if decide(schema, &known, may_change)?.is_empty() {
        return Ok(known.migrated());
    }
    // With nobody else changing it, it is looked at again: another server may have made the same changes meanwhile.
    let turn = store.turn().await?;
    let known = look(store).await?;
    let statements = decide(schema, &known, may_change)?;
    if statements.is_empty() {
        return Ok(known.migrated());
    }
    tracing::info!(statements = statements.len(), "bringing the database in step with the schema");
    let script = Script { parts: statements, in_transaction: true, patience: PATIENCE };
    turn.run(script).await.map_err(|error| match error {
        ScriptError::Store(error) => error.into(),
        ScriptError::Found { found, .. } => OpenError::Unfit(found),
        ScriptError::Statement { error: StoreError::Other(words), statement, .. } => {
            StoreError::Other(format!("{words}, in: {statement}")).into()
        }
        ScriptError::Statement { error, .. } => error.into(),
    })?;
    Ok(known.migrated())
}

/// What brings the database in step; nothing when it is.
fn decide(schema: &Arc<Schema>, known: &Known, may_change: MayChange) -> Result<Vec<Part>, OpenError> {
    let dialect = known.dialect;
    let declared = Model::of(schema, dialect);
    let run = |statements: Vec<String>| Part { kind: PartKind::Run, statements };
    if known.catalogue.table(copy::PROGRESS.name).is_some() {
        return Err(OpenError::Unfinished);
    }
    if let Some(entry) = known.half_applied() {
        return Err(OpenError::HalfApplied(format!("{:04}_{}", entry.number, entry.name)));
    }
    if known.is_empty() {
        if may_change.by_migrations_alone && !may_change.tables {
            return Err(OpenError::Empty);
        }
        let mut statements = ddl::create_schema(schema, dialect);
        statements.push(ledger::record(dialect, &declared));
        statements.extend(may_change.tables.then(|| seed::mark_pending(dialect)));
        return Ok(vec![run(statements)]);
    }
    let (found, misfits, besides) = known.model(&declared)?;
    let mut problems: Vec<String> = misfits
        .iter()
        .map(|misfit| {
            format!(
                "{}.{} is {} in the database and should be {}",
                misfit.table, misfit.column, misfit.found, misfit.expected
            )
        })
        .collect();
    problems.extend(besides.iter().filter(|beside| beside.blocks).map(|beside| {
        format!(
            "{} has a {} that wants a value and is not declared: no row could be made",
            beside.table, beside.what
        )
    }));
    let plan = migration::plan(schema, dialect, &found, &Hints::default(), Way::AtOnce);
    let plan = plan.map_err(|obstacles| {
        let words = obstacles.iter().map(Obstacle::to_string);
        OpenError::Unfit(problems.iter().cloned().chain(words).collect())
    })?;
    let may_do = may_change.tables && plan.effect() == Effect::Safe;
    if !plan.steps.is_empty() && !may_do {
        problems.extend(words(&plan));
    }
    let ground = ground(dialect, &known.catalogue);
    if !ground.is_empty() && !may_change.tables {
        problems.push("the system's own tables or functions are those of an earlier release".to_owned());
    }
    if !problems.is_empty() {
        return Err(OpenError::Unfit(problems));
    }
    let mut parts = vec![run(ground)];
    parts.extend(plan.steps.into_iter().map(|step| Part {
        kind: match step.rebuilds {
            _ if step.is_check => PartKind::Look,
            Some(table) => PartKind::Rebuild(table),
            None => PartKind::Run,
        },
        statements: step.statements,
    }));
    if !known.is_recorded(&declared) {
        parts.push(run(vec![ledger::record(dialect, &declared)]));
    }
    parts.retain(|part| !part.statements.is_empty());
    Ok(parts)
}

/// What a plan would do, in words.
fn words(plan: &Plan) -> impl Iterator<Item = String> {
    plan.changes.iter().map(|change| change.words.clone())
}
