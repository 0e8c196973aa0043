//! Who asks: a user's row, permissions and all that the rules read of them, in one read.
//!
//! The one place where a key becomes a [`Caller`]. The row is read here once, so that a request sees one state of its
//! caller throughout. Callers are kept until a table that they were read from is written, by this process or another; a
//! write bumps the generation after its commit and before its answer, so nobody who was told of a change meets a caller
//! from before it.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use mainstay_lang::expr::{CompareOp, Expr, Hop, Root, RowPath};
use mainstay_lang::schema::{ColumnId, Schema, Table, TableId};
use mainstay_lang::value::Value;
use mainstay_sql::statement::Statement;
use mainstay_sql::{Dialect, plan};
use mainstay_store::{Outcome, Query, ReadLimits, Store};
use quick_cache::sync::Cache;
use tokio::sync::watch;

use crate::catalog::{CallerPath, Catalog};
use crate::ctx::{Caller, CallerRow};
use crate::error::Error;
use crate::expression::{column_at, column_here, compare};
use crate::resolve::Params;

/// The callers of an app.
#[derive(Debug)]
pub(crate) struct Callers {
    statements: Option<CallerStatements>,
    tables: Arc<HashSet<TableId>>,
    kept: Cache<String, (Generation, Arc<Caller>)>,
    own_changes: Arc<AtomicU64>,
    foreign_changes: watch::Receiver<u64>,
}

/// What tells that callers read before may have changed: writes of this process, and of others.
type Generation = (u64, u64);

/// Callers kept at a time.
const KEPT_MAX: usize = 10_000;

impl Callers {
    pub(crate) fn new(catalog: &Catalog, dialect: &dyn Dialect, store: &Store) -> Callers {
        let schema = catalog.schema();
        let mut tables: HashSet<TableId> = ["User", "Grant"]
            .iter()
            .filter_map(|name| schema.table_named(name))
            .map(|table| table.id)
            .collect();
        for path in catalog.caller_paths().iter() {
            let RowPath { hops, .. } = row_path(schema, path).0;
            tables.extend(hops.iter().map(|hop| hop.target));
        }
        Callers {
            statements: CallerStatements::new(catalog, dialect),
            tables: Arc::new(tables),
            kept: Cache::new(KEPT_MAX),
            own_changes: Arc::default(),
            foreign_changes: store.foreign_changes(),
        }
    }

    /// The caller that a user is; `None` when there is no such user.
    pub(crate) async fn get(
        &self,
        store: &Store,
        user: &Value,
        limits: ReadLimits,
    ) -> Result<Option<Arc<Caller>>, Error> {
        // Taken before reading: what is written meanwhile makes the result old from the start.
        let generation = (self.own_changes.load(Ordering::Acquire), *self.foreign_changes.borrow());
        let name = user.to_json();
        if let Some((known, caller)) = self.kept.get(&name)
            && known == generation
        {
            return Ok(Some(caller));
        }
        let caller = self.read(store, user, limits).await?;
        if let Some(caller) = &caller {
            self.kept.insert(name, (generation, caller.clone()));
        }
        Ok(caller)
    }

    /// The same as it stands now, whatever is kept.
    pub(crate) async fn read(
        &self,
        store: &Store,
        user: &Value,
        limits: ReadLimits,
    ) -> Result<Option<Arc<Caller>>, Error> {
        let Some(statements) = &self.statements else { return Ok(None) };
        let outcomes = store.read(statements.queries(user), limits).await?;
        Ok(statements.caller(user, outcomes)?.map(Arc::new))
    }

    /// The rows that a caller was read from beside grants: tables and keys.
    pub(crate) fn rows_of(catalog: &Catalog, caller: &Caller) -> Vec<(TableId, Value)> {
        let schema = catalog.schema();
        let (Some(user), Some(users)) = (&caller.user, schema.user_table()) else { return Vec::new() };
        let mut rows = vec![(users.id, user.clone())];
        let values = caller.row.get().map(|row| row.values.as_slice()).unwrap_or_default();
        for (path, value) in catalog.caller_paths().iter().zip(values) {
            if path.column == ColumnId::ID && !path.hops.is_empty() && !value.is_null() {
                rows.push((row_path(schema, path).1.id, value.clone()));
            }
        }
        rows
    }

    /// Watches one write for changes of callers.
    pub(crate) fn watch(&self) -> Arc<CallerWatch> {
        Arc::new(CallerWatch { is_touched: AtomicBool::new(false), changes: self.own_changes.clone() })
    }

    /// The tables that callers are read from.
    pub(crate) fn tables(&self) -> &Arc<HashSet<TableId>> {
        &self.tables
    }
}

/// Whether a write changed what callers are read from.
///
/// Its end counts as a change, too: a write whose request went away is finished by the store, which then drops it.
#[derive(Debug)]
pub(crate) struct CallerWatch {
    is_touched: AtomicBool,
    changes: Arc<AtomicU64>,
}

impl CallerWatch {
    /// Notes that a row was written that callers are read from.
    pub(crate) fn touch(&self) {
        self.is_touched.store(true, Ordering::Release);
    }

    /// Says that the write is committed.
    pub(crate) fn settle(&self) {
        if self.is_touched.load(Ordering::Acquire) {
            self.changes.fetch_add(1, Ordering::AcqRel);
        }
    }
}

impl Drop for CallerWatch {
    fn drop(&mut self) {
        self.settle();
    }
}

/// The statements that read a caller, made once for a schema.
#[derive(Debug)]
struct CallerStatements {
    row: Arc<Statement>,
    /// The permissions of a user, and which column of a row has one; none where the app's users have none.
    grants: Option<(Arc<Statement>, ColumnId)>,
}

impl CallerStatements {
    /// `None` when the schema has no users.
    fn new(catalog: &Catalog, dialect: &dyn Dialect) -> Option<CallerStatements> {
        let schema = catalog.schema();
        let user = schema.user_table()?;
        let paths: Vec<_> = catalog.caller_paths().iter().map(|path| expression(schema, path)).collect();
        let row = mainstay_sql::test(schema, dialect, user.id, &paths);
        let grants = grants(schema, dialect, user);
        Some(CallerStatements { row: Arc::new(row), grants })
    }

    /// The batch that reads the caller whose key this is; [`CallerStatements::caller`] takes its outcome.
    fn queries(&self, user: &Value) -> Vec<Query> {
        let statements = std::iter::once(&self.row).chain(self.grants.iter().map(|(statement, _)| statement));
        statements
            .map(|statement| Query {
                statement: statement.clone(),
                values: vec![user.clone(); statement.binds.len()],
            })
            .collect()
    }

    /// The caller; `None` when there is no such user.
    fn caller(&self, user: &Value, outcomes: Vec<Outcome>) -> Result<Option<Caller>, Error> {
        let mut outcomes = outcomes.into_iter();
        let mut next = || match outcomes.next() {
            Some(Outcome::Values(rows)) => Ok(rows),
            _ => Err(Error::internal("a caller is read as lists of values")),
        };
        let Some(values) = next()?.into_iter().next() else { return Ok(None) };
        let mut permissions = Vec::new();
        if let Some((_, permission)) = &self.grants {
            permissions.extend(next()?.into_iter().filter_map(|mut grant| {
                match grant.swap_remove(permission.0 as usize) {
                    Value::Text(permission) => Some(permission),
                    _ => None,
                }
            }));
        }
        Ok(Some(Caller {
            user: Some(user.clone()),
            permissions: permissions.into_iter().collect(),
            row: OnceLock::from(CallerRow { values }),
            ..Caller::anonymous()
        }))
    }
}

/// The statement that reads the grants of a user, and the column that is the permission.
fn grants(schema: &Schema, dialect: &dyn Dialect, user: &Table) -> Option<(Arc<Statement>, ColumnId)> {
    let grant = schema.table_named("Grant")?;
    let of_user = grant.column_named("user").filter(|column| column.target() == Some(user.id))?;
    let permission = grant.column_named("permission")?;
    let key = Params::default().add(Value::Null, schema.key_type(user.id));
    let images = plan::Images {
        table: grant.id,
        filter: vec![compare(CompareOp::Eq, column_here(grant, of_user.id), key)],
        limit: None,
        lock: None,
    };
    Some((Arc::new(mainstay_sql::images(schema, dialect, &images)), permission.id))
}

/// A caller path as an expression about the row of a user.
fn expression(schema: &Schema, path: &CallerPath) -> Expr {
    let (row, table) = row_path(schema, path);
    let ty = schema.storage_type(&table.column(path.column).ty).clone();
    column_at(row, table.id, path.column, ty)
}

/// The way from the row of a user to the row that a path reads, and that row's table.
fn row_path<'s>(schema: &'s Schema, path: &CallerPath) -> (RowPath, &'s Table) {
    let mut row = RowPath { root: Root::Scope(0), hops: Vec::new() };
    let mut table = schema.user_table().expect("paths exist only where users do");
    for column in &path.hops {
        let target = table.column(*column).target().expect("a path follows to-one relations");
        row.hops.push(Hop { column: *column, target, visible: None });
        table = schema.table(target);
    }
    (row, table)
}
