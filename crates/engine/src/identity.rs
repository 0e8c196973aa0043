//! Which database this is: a name that it was given when it was first opened, and that no other one has.
//!
//! A place in the change log means something in one database alone. What a move or a restore fills is another one, even
//! where its rows are the same: numbers and transactions begin anew there, and after a restore the same numbers stand for
//! other changes. So [`mainstay_sql::copy::finish`] takes the name out, and whoever opens the database first gives it a new one.
//! One that others made and that keeps no change log has no such places, and nothing is written into it.

use std::sync::Arc;

use mainstay_lang::schema::Schema;
use mainstay_sql::forms::Forms;
use mainstay_sql::{Dialect, system, triggers};
use mainstay_store::{Store, StoreError};
use uuid::Uuid;

use crate::engine::Engine;
use crate::facts;

/// A name that no other database has.
pub(crate) fn new_name() -> String {
    Uuid::new_v4().simple().to_string()
}

/// The database's name; one that has none is given one, unless it keeps no facts: that goes by another name in each process.
pub(crate) async fn of(
    schema: &Schema,
    dialect: &'static dyn Dialect,
    store: &Store,
) -> Result<Arc<str>, StoreError> {
    if !dialect.forms().is_none_or(Forms::keeps_log) {
        return Ok(new_name().into());
    }
    let read = async || facts::read(store, system::meta_get(schema, dialect), system::IDENTITY).await;
    if let Some(known) = read().await? {
        return Ok(known.into());
    }
    let name = new_name();
    // Another process may be as early: the first name stands.
    store.execute_script(vec![system::meta_begin(dialect, system::IDENTITY, &name)]).await?;
    let known = read().await?.map(Arc::from);
    known.ok_or_else(|| StoreError::Other("the database does not keep its identity".to_owned()))
}

/// The name of a database that others made, where it has come to keep a change log.
pub(crate) async fn made_by_others(
    schema: &Schema,
    dialect: &'static dyn Dialect,
    store: &Store,
) -> Result<Option<Arc<str>>, StoreError> {
    if facts::has_rows(store, triggers::ask_log(dialect)).await? {
        let name = facts::read(store, system::meta_get(schema, dialect), system::IDENTITY).await?;
        return Ok(name.map(Arc::from));
    }
    Ok(None)
}

impl Engine {
    /// The name of the database: the same for as long as places in its change log mean the same.
    pub fn identity(&self) -> Arc<str> {
        self.identity.read().clone()
    }

    /// Whether no other process can serve this database at the same time.
    pub fn is_alone(&self) -> bool {
        self.dialect.kind() == mainstay_sql::SQLITE.kind() && !self.schema().existing
    }
}
