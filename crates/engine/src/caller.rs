//! Who asks: a user's row, permissions and all that the rules read of them, in one read.
//!
//! The one place where a key becomes a [`Caller`]. The row is read here once, so that a request sees one state of its
//! caller throughout.

use std::sync::{Arc, OnceLock};

use mainstay_lang::expr::{Hop, Root, RowPath};
use mainstay_lang::schema::{ColumnId, Schema};
use mainstay_lang::value::Value;
use mainstay_sql::statement::Statement;
use mainstay_sql::{Dialect, plan};
use mainstay_store::{Outcome, Query};

use crate::catalog::{CallerPath, Catalog};
use crate::ctx::{Caller, CallerRow};
use crate::error::Error;
use crate::expression::{column_at, column_here, compare};
use crate::resolve::Params;
use mainstay_lang::expr::CompareOp;

/// The statements that read a caller, made once for a schema.
#[derive(Debug)]
pub(crate) struct CallerStatements {
    row: Arc<Statement>,
    grants: Arc<Statement>,
    permission: ColumnId,
}

impl CallerStatements {
    /// `None` when the schema has no users.
    pub(crate) fn new(catalog: &Catalog, dialect: &dyn Dialect) -> Option<CallerStatements> {
        let schema = catalog.schema();
        let user = schema.user_table()?;
        let grant = schema.table_named("Grant")?;
        let of_user = grant.column_named("user")?;
        let paths: Vec<_> = catalog.caller_paths().iter().map(|path| expression(schema, path)).collect();
        let row = mainstay_sql::test(schema, dialect, user.id, &paths);
        let key = Params::default().add(Value::Null, schema.key_type(user.id));
        let images = plan::Images {
            table: grant.id,
            filter: vec![compare(CompareOp::Eq, column_here(grant, of_user.id), key)],
            limit: None,
            for_update: false,
        };
        let grants = mainstay_sql::images(schema, dialect, &images);
        Some(CallerStatements {
            row: Arc::new(row),
            grants: Arc::new(grants),
            permission: grant.column_named("permission")?.id,
        })
    }

    /// The batch that reads the caller whose key this is; [`CallerStatements::caller`] takes its outcome.
    pub(crate) fn queries(&self, user: &Value) -> Vec<Query> {
        [&self.row, &self.grants]
            .map(|statement| Query {
                statement: statement.clone(),
                values: vec![user.clone(); statement.binds.len()],
            })
            .to_vec()
    }

    /// The caller; `None` when there is no such user.
    pub(crate) fn caller(&self, user: &Value, outcomes: Vec<Outcome>) -> Result<Option<Caller>, Error> {
        let Ok([Outcome::Values(rows), Outcome::Values(grants)]) = <[Outcome; 2]>::try_from(outcomes) else {
            return Err(Error::internal("a caller is read as two lists of values"));
        };
        let Some(values) = rows.into_iter().next() else { return Ok(None) };
        let permissions =
            grants.into_iter().filter_map(|mut grant| match grant.swap_remove(self.permission.0 as usize) {
                Value::Text(permission) => Some(permission),
                _ => None,
            });
        Ok(Some(Caller {
            user: Some(user.clone()),
            permissions: permissions.collect(),
            row: OnceLock::from(CallerRow { values }),
            ..Caller::anonymous()
        }))
    }
}

/// A caller path as an expression about the row of a user.
fn expression(schema: &Schema, path: &CallerPath) -> mainstay_lang::expr::Expr {
    let mut row = RowPath { root: Root::Scope(0), hops: Vec::new() };
    let mut table = schema.user_table().expect("paths exist only where users do");
    for column in &path.hops {
        let target = table.column(*column).target().expect("a path follows to-one relations");
        row.hops.push(Hop { column: *column, target, visible: None });
        table = schema.table(target);
    }
    let ty = schema.storage_type(&table.column(path.column).ty).clone();
    column_at(row, table.id, path.column, ty)
}
