//! Who asks: a user's row, permissions, roles and all that the rules read of them, in one read.
//!
//! The one place where claims become a [`Caller`]. The row is read here once, so that a request sees one state of its
//! caller throughout. Callers are kept until a row that they were read from is written, by this process or another: a write
//! bumps a generation after its commit and before its answer, so nobody who was told of a change meets a caller from
//! before it. Where a row says whose it is, only the callers of that user (and the few that share a counter) are read again.
//!
//! A caller is what a session costs while it is in use, so it is kept small: under its session's own id, with its row packed
//! ([`CallerRow`]), and with sets of names that others of the same roles have as well.

mod changes;
mod name;
mod source;

use std::collections::{BTreeSet, HashSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, LazyLock};

use mainstay_lang::expr::{CompareOp, Expr, Hop, Root, RowPath};
use mainstay_lang::schema::{ColumnId, Schema, Table, TableId};
use mainstay_lang::value::{Timestamp, Value};
use mainstay_sql::statement::Statement;
use mainstay_sql::{Dialect, plan};
use mainstay_store::{Outcome, Query, ReadLimits, Store};
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use tokio::sync::watch;

use crate::catalog::{CallerPath, CallerPaths, Catalog};
use crate::ctx::{Caller, CallerRow, Claims};
use crate::error::{Error, Key};
use crate::expression::{column_at, column_here, compare};
use crate::resolve::Params;

pub(crate) use changes::CallerWatch;
use changes::{Changes, Generation};
use name::{Name, name_of};
pub use source::CallerPart;
use source::Prepared;
pub(crate) use source::{CallerSource, Sources};

/// The callers of an app.
#[derive(Debug)]
pub(crate) struct Callers {
    statements: Option<CallerStatements>,
    tables: Arc<CallerTables>,
    kept: Cache<Name, (Generation, Arc<Caller>)>,
    /// Permissions and roles as they are kept: those of one role have the same.
    names: Names,
    changes: Arc<Changes>,
    foreign_changes: watch::Receiver<u64>,
    sources: Arc<Sources>,
}

/// Callers kept at a time.
const KEPT_MAX: usize = 100_000;

/// The tables that callers are read from, and for each the column that says whose caller a row is part of; none: it may be
/// part of everybody's.
#[derive(Debug, Default)]
pub(crate) struct CallerTables(foldhash::HashMap<TableId, Option<ColumnId>>);

impl CallerTables {
    fn new(catalog: &Catalog, sources: &[CallerSource], beside: &[TableId]) -> CallerTables {
        let schema = catalog.schema();
        let mut tables = foldhash::HashMap::default();
        let Some(users) = schema.user_table() else { return CallerTables(tables) };
        for (table, owner) in sources.iter().flat_map(CallerSource::tables) {
            let known = tables.entry(*table).or_insert(*owner);
            // To one source a row is a user's, to another it is anybody's.
            if *known != *owner {
                *known = None;
            }
        }
        if let Some(grant) = schema.table_named("Grant") {
            let owner = grant.column_named("user").filter(|column| column.target() == Some(users.id));
            tables.insert(grant.id, owner.map(|column| column.id));
        }
        tables.insert(users.id, Some(ColumnId::ID));
        tables.extend(beside.iter().map(|table| (*table, None)));
        // What a rule follows from the caller's row leads to rows of many.
        for path in catalog.caller_paths().iter() {
            let RowPath { hops, .. } = row_path(schema, path).0;
            tables.extend(hops.iter().map(|hop| (hop.target, None)));
        }
        CallerTables(tables)
    }

    /// Whether callers are read from a table; the column that says whose a row is, if one does.
    pub(crate) fn get(&self, table: TableId) -> Option<Option<ColumnId>> {
        self.0.get(&table).copied()
    }
}

impl Callers {
    pub(crate) fn new(
        catalog: &Catalog,
        dialect: &dyn Dialect,
        store: &Store,
        sources: Arc<Sources>,
    ) -> Callers {
        Callers::with(catalog, dialect, sources, (Arc::default(), store.foreign_changes()))
    }

    /// The callers of the same app as other rules read them: none is known yet. What changes those changes these.
    pub(crate) fn again(&self, catalog: &Catalog, dialect: &dyn Dialect) -> Callers {
        let changes = (self.changes.clone(), self.foreign_changes.clone());
        Callers::with(catalog, dialect, self.sources.clone(), changes)
    }

    fn with(
        catalog: &Catalog,
        dialect: &dyn Dialect,
        sources: Arc<Sources>,
        (changes, foreign_changes): (Arc<Changes>, watch::Receiver<u64>),
    ) -> Callers {
        Callers {
            statements: CallerStatements::new(catalog, dialect, &sources.read),
            tables: Arc::new(CallerTables::new(catalog, &sources.read, &sources.beside)),
            kept: Cache::new(KEPT_MAX),
            names: Names::default(),
            changes,
            foreign_changes,
            sources,
        }
    }

    /// The caller that claims are about; `None` when there is no such user, or not that session any more.
    pub(crate) async fn get(
        &self,
        store: &Store,
        claims: &Claims,
        limits: ReadLimits,
    ) -> Result<Option<Arc<Caller>>, Error> {
        let name = name_of(claims);
        // Taken before reading: what is written meanwhile makes the result old from the start.
        let generation = self.changes.generation(&claims.user).wrapping_add(*self.foreign_changes.borrow());
        if let Some((known, caller)) = self.kept.get(&name)
            && known == generation
            && caller.user.as_ref() == Some(&claims.user)
        {
            return Ok(Some(caller));
        }
        let caller = Box::pin(self.read(store, claims, limits)).await?;
        if let Some(caller) = &caller {
            self.kept.insert(name, (generation, caller.clone()));
        }
        Ok(caller)
    }

    /// The same as it stands now, whatever is kept.
    pub(crate) async fn read(
        &self,
        store: &Store,
        claims: &Claims,
        limits: ReadLimits,
    ) -> Result<Option<Arc<Caller>>, Error> {
        let Some(statements) = &self.statements else { return Ok(None) };
        metrics::counter!("mainstay_caller_reads_total").increment(1);
        let outcomes = store.read(statements.queries(claims), limits).await?;
        Ok(statements.caller(claims, outcomes, &self.names)?.map(Arc::new))
    }

    /// The rows that a caller was read from: tables and keys; of tables whose rows do not say whose they are, and that a
    /// source reads, no key: any row.
    pub(crate) fn rows_of(&self, schema: &Schema, caller: &Caller) -> Vec<(TableId, Value)> {
        let (Some(user), Some(users)) = (&caller.user, schema.user_table()) else { return Vec::new() };
        let mut rows = vec![(users.id, user.clone())];
        for (path, value) in caller.row.iter().flat_map(CallerRow::iter) {
            if path.column == ColumnId::ID && !path.hops.is_empty() && !value.is_null() {
                rows.push((row_path(schema, path).1.id, value.into_value()));
            }
        }
        let shared = self.statements.iter().flat_map(|statements| &statements.shared);
        rows.extend(shared.map(|table| (*table, Value::Null)));
        rows
    }

    /// Callers in memory.
    pub(crate) fn kept(&self) -> usize {
        self.kept.len()
    }

    /// Says that all that is known of callers may have changed.
    pub(crate) fn forget(&self) {
        self.changes.of_all.fetch_add(1, Ordering::AcqRel);
    }

    /// Watches one write for changes of callers.
    pub(crate) fn watch(&self) -> Arc<CallerWatch> {
        CallerWatch::new(&self.changes)
    }

    /// Grows whenever something was written that may be part of everybody's callers.
    pub(crate) fn version(&self) -> (u64, u64) {
        (self.changes.of_all.load(Ordering::Acquire), *self.foreign_changes.borrow())
    }

    /// The tables that callers are read from.
    pub(crate) fn tables(&self) -> &Arc<CallerTables> {
        &self.tables
    }
}

/// Sets of names that callers share. Whoever has the same roles has the same permissions, and there are few roles.
#[derive(Debug, Default)]
struct Names(Mutex<HashSet<Arc<BTreeSet<String>>>>);

impl Names {
    /// The set that is kept of these names.
    fn shared(&self, names: BTreeSet<String>) -> Arc<BTreeSet<String>> {
        static NONE: LazyLock<Arc<BTreeSet<String>>> = LazyLock::new(Arc::default);
        if names.is_empty() {
            return NONE.clone();
        }
        let mut kept = self.0.lock();
        if let Some(known) = kept.get(&names) {
            return known.clone();
        }
        if kept.len() == kept.capacity() {
            // Before there is more of them, those go that nobody has any more.
            kept.retain(|names| Arc::strong_count(names) > 1);
        }
        let names = Arc::new(names);
        kept.insert(names.clone());
        names
    }
}

/// The statements that read a caller, made once for a schema.
#[derive(Debug)]
struct CallerStatements {
    row: Arc<Statement>,
    /// What it reads.
    paths: Arc<CallerPaths>,
    /// The permissions of a user, and which column of a row has one; none where the app's users have none.
    grants: Option<(Arc<Statement>, ColumnId)>,
    /// What plugins have said.
    sources: Vec<Prepared>,
    /// Tables of theirs whose rows do not say whose they are.
    shared: Vec<TableId>,
}

impl CallerStatements {
    /// `None` when the schema has no users.
    fn new(catalog: &Catalog, dialect: &dyn Dialect, sources: &[CallerSource]) -> Option<CallerStatements> {
        let schema = catalog.schema();
        let user = schema.user_table()?;
        let paths: Vec<_> = catalog.caller_paths().iter().map(|path| expression(schema, path)).collect();
        let row = mainstay_sql::test(schema, dialect, user.id, &paths);
        let grants = grants(schema, dialect, user);
        let tables = CallerTables::new(catalog, sources, &[]);
        let read: HashSet<TableId> =
            sources.iter().flat_map(|source| source.tables().keys().copied()).collect();
        let shared = read.into_iter().filter(|table| tables.get(*table) == Some(None)).collect();
        let sources = sources.iter().map(|source| Prepared::new(schema, dialect, source)).collect();
        let paths = catalog.caller_paths().clone();
        Some(CallerStatements { row: Arc::new(row), paths, grants, sources, shared })
    }

    fn asked<'s>(&'s self, claims: &'s Claims) -> impl Iterator<Item = &'s Prepared> {
        self.sources.iter().filter(|source| source.is_asked(claims))
    }

    /// The batch that reads the caller of claims; [`CallerStatements::caller`] takes its outcome.
    fn queries(&self, claims: &Claims) -> Vec<Query> {
        let of_user = |statement: &Arc<Statement>| Query {
            statement: statement.clone(),
            values: vec![claims.user.clone(); statement.binds.len()],
        };
        let own = std::iter::once(&self.row).chain(self.grants.iter().map(|(statement, _)| statement));
        own.map(of_user).chain(self.asked(claims).map(|source| source.query(claims))).collect()
    }

    /// The caller; `None` when there is no such user, or not the session.
    ///
    /// # Errors
    /// [`Key::TenantRefused`] when the user does not belong to the tenant.
    fn caller(
        &self,
        claims: &Claims,
        outcomes: Vec<Outcome>,
        names: &Names,
    ) -> Result<Option<Caller>, Error> {
        let mut outcomes = outcomes.into_iter();
        let mut next = || match outcomes.next() {
            Some(Outcome::Values(rows)) => Ok(rows),
            _ => Err(Error::internal("a caller is read as lists of values")),
        };
        let Some(values) = next()?.into_iter().next() else { return Ok(None) };
        let (mut permissions, mut roles) = (BTreeSet::new(), BTreeSet::new());
        let mut limited: Option<BTreeSet<String>> = None;
        let mut confirmed = [None, None];
        if let Some((_, permission)) = &self.grants {
            let granted = next()?.into_iter().map(|mut grant| grant.swap_remove(permission.0 as usize));
            permissions.extend(granted.filter_map(text));
        }
        for source in self.asked(claims) {
            let rows = next()?;
            if source.part == CallerPart::Session {
                let Some(row) = rows.into_iter().next() else { return Ok(None) };
                let mut columns = source.row(row);
                if let Some(Value::List(scopes)) = columns.next() {
                    limited = Some(scopes.iter().cloned().filter_map(text).collect());
                }
                confirmed = [columns.next().and_then(time), columns.next().and_then(time)];
                continue;
            }
            let found = source.values(rows);
            match source.part {
                CallerPart::Permissions => permissions.extend(found.into_iter().filter_map(text)),
                CallerPart::Roles => roles.extend(found.into_iter().filter_map(text)),
                CallerPart::Membership if found.is_empty() => {
                    return Err(Error::new(Key::TenantRefused, "You do not belong to this tenant."));
                }
                CallerPart::Membership | CallerPart::Session => {}
            }
        }
        if let Some(limited) = limited {
            permissions.retain(|permission| limited.contains(permission));
        }
        Ok(Some(Caller {
            user: Some(claims.user.clone()),
            permissions: names.shared(permissions),
            roles: names.shared(roles),
            confirmed: confirmed[0],
            confirmed_twice: confirmed[1],
            row: Some(CallerRow::new(self.paths.clone(), &values)),
            ..Caller::anonymous()
        }))
    }
}

fn time(value: Value) -> Option<Timestamp> {
    match value {
        Value::Timestamp(at) => Some(at),
        _ => None,
    }
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text),
        _ => None,
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use super::Names;

    #[test]
    fn callers_of_one_role_have_one_set_and_one_that_nobody_has_goes() {
        let names = Names::default();
        let set = |number: usize| BTreeSet::from([format!("permission/{number}")]);
        let first = names.shared(set(0));
        assert!(Arc::ptr_eq(&first, &names.shared(set(0))));
        assert!(!Arc::ptr_eq(&first, &names.shared(set(1))));
        for number in 0..10_000 {
            names.shared(set(number));
        }
        assert!(names.0.lock().len() < 100, "{}", names.0.lock().len());
        assert!(Arc::ptr_eq(&first, &names.shared(set(0))));
    }
}
