//! Putting triggers into a database that write the change log for those who write past Mainstay, and taking them away.
//!
//! In a database that others made this is what makes the change log too: until then there is none.

use std::time::Duration;

use mainstay_lang::schema::Table;
use mainstay_sql::{system, triggers};
use mainstay_store::{Part, PartKind, Script, ScriptError, StoreError};

use crate::engine::Engine;
use crate::identity;
use crate::migrate::look;

/// How long it may wait for locks of others.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether a table's writes from elsewhere are seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriggerState {
    /// The table's name.
    pub table: String,
    /// Whether it has triggers.
    pub on: bool,
}

/// Whether others may write a table: the system's own, which an app may show, are written by Mainstay alone, with lines of the
/// change log of its own making.
pub fn may_have_triggers(table: &Table) -> bool {
    system::TABLES.iter().all(|own| own.name != table.db_name)
}

impl Engine {
    /// Which tables have triggers, in the schema's order.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn trigger_states(&self) -> Result<Vec<TriggerState>, StoreError> {
        let known = look(&self.store).await?;
        let has = |table: &Table| {
            let found = known.catalogue.table(&table.db_name);
            found.is_some_and(|found| found.triggers.iter().any(|name| triggers::is_ours(name)))
        };
        let states = self
            .schema()
            .tables
            .iter()
            .filter(|table| may_have_triggers(table))
            .map(|table| TriggerState { table: table.name.clone(), on: has(table) });
        Ok(states.collect())
    }

    /// Gives tables triggers, anew where they have some, and makes the change log where there is none. Those that nobody but
    /// Mainstay writes stay without ([`may_have_triggers`]).
    ///
    /// # Errors
    /// When the database refuses it; then nothing was changed.
    pub async fn triggers_on(&self, tables: &[&Table]) -> Result<(), StoreError> {
        let schema = self.schema();
        let mut statements = triggers::setup(self.dialect);
        if !self.keeps_log() {
            statements.extend(system::create(schema, self.store.dialect()));
            statements.push(system::meta_begin(
                self.store.dialect(),
                system::IDENTITY,
                &identity::new_name(),
            ));
        }
        let tables = tables.iter().filter(|table| may_have_triggers(table));
        statements.extend(tables.flat_map(|table| triggers::create(schema, self.dialect, table)));
        self.run_alone(statements).await
    }

    /// Takes the triggers of tables away; the change log stays.
    ///
    /// # Errors
    /// When the database refuses it; then nothing was changed.
    pub async fn triggers_off(&self, tables: &[&Table]) -> Result<(), StoreError> {
        self.run_alone(tables.iter().flat_map(|table| triggers::drop(self.dialect, table)).collect()).await
    }

    /// Servers may run meanwhile. On PostgreSQL their connections tell triggers whose writes these are, on SQLite they look for triggers
    /// in each transaction before which others have changed something.
    async fn run_alone(&self, statements: Vec<String>) -> Result<(), StoreError> {
        let parts = vec![Part { kind: PartKind::Run, statements }];
        let script = Script { parts, in_transaction: true, patience: PATIENCE };
        self.store.turn_beside_servers().await?.run(script).await.map_err(|error| match error {
            ScriptError::Store(error) | ScriptError::Statement { error, .. } => error,
            ScriptError::Found { found, .. } => StoreError::Other(found.join(", ")),
        })?;
        self.planning_known().writes.forget_triggers();
        Ok(())
    }
}
