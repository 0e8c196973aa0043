//! Statements and compiled expressions of an app's writes, each made when it is first needed and kept.
//!
//! Everything here depends on the schema and its rules alone: no caller, no values. So the hundredth row of a request, and the next
//! request of anybody, finds its statements ready.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use mainstay_lang::eval::Compiled;
use mainstay_lang::expr::{CallerFact, CompareOp, Expr, Node, RowPath};
use mainstay_lang::schema::{ColumnId, LinkTable, OnDelete, RelationKind, Schema, TableId};
use mainstay_lang::types::Type;
use mainstay_sql::Dialect;
use mainstay_sql::dialect::Lock;
use mainstay_sql::forms::Forms;
use mainstay_sql::plan::{Images, Select, WayStep};
use mainstay_sql::statement::Statement;
use mainstay_sql::system::{Count, Outright};
use mainstay_sql::triggers;
use parking_lot::RwLock;
use tokio::sync::watch;

use super::depend::Dependencies;
use super::reads::{self, Reach, Watched};
use crate::catalog::Catalog;

/// What writes need of a schema.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(super) schema: Arc<Schema>,
    dialect: &'static dyn Dialect,
    tables: Vec<TablePrepared>,
    inserts_logged: RwLock<HashMap<Inserted, Arc<Statement>>>,
    links: HashMap<String, LinkPrepared>,
    tests: RwLock<foldhash::HashMap<usize, Arc<Test>>>,
    /// Which rows' checks read which other rows.
    pub(super) dependencies: Dependencies,
    /// Which rows' writing conditions have to be kept from.
    pub(super) watched: Watched,
    /// The system's statements.
    pub(super) system: SystemPrepared,
    /// What tells triggers of the change log that the engine writes.
    pub(super) marks: Option<Marks>,
}

/// The statements around a transaction of the engine where triggers write the change log for everybody else.
#[derive(Debug)]
pub(super) struct Marks {
    pub(super) begin: Arc<Statement>,
    pub(super) end: Option<Arc<Statement>>,
    /// Whether there are triggers; none: where there is a log, they are told anyway.
    pub(super) ask: Option<Arc<Statement>>,
    foreign: watch::Receiver<u64>,
    /// What it was asked last: the count of others' changes then, doubled, and one more where there were triggers.
    known: AtomicU64,
}

impl Marks {
    /// Whether there are triggers, as far as it was asked since others have changed something. Within a transaction on a database of one
    /// writer that is how it is.
    pub(super) fn known(&self) -> Option<bool> {
        let known = self.known.load(Ordering::Relaxed);
        (known >> 1 == *self.foreign.borrow()).then_some(known & 1 == 1)
    }

    /// There are triggers now, or none.
    pub(super) fn learn(&self, has_triggers: bool) {
        self.known.store(*self.foreign.borrow() << 1 | u64::from(has_triggers), Ordering::Relaxed);
    }

    fn forget(&self) {
        self.known.store(u64::MAX, Ordering::Relaxed);
    }
}

#[derive(Debug, Default)]
struct TablePrepared {
    insert: OnceLock<Arc<Statement>>,
    versioned: OnceLock<Option<Arc<Statement>>>,
    updates_logged: RwLock<HashMap<Vec<ColumnId>, Arc<Statement>>>,
    /// None: what depends on the row or reads beyond it has to be asked.
    outright: RwLock<HashMap<OutrightShape, Option<Arc<Statement>>>>,
    /// Whether changing its rows has asked the database something further before.
    asks: AtomicBool,
    /// By the columns that the database shall give.
    inserts_without: RwLock<HashMap<Vec<ColumnId>, Arc<Statement>>>,
    delete: OnceLock<Arc<Statement>>,
    last_key: OnceLock<Arc<Statement>>,
    /// By lock.
    hold: [OnceLock<Arc<Statement>>; 3],
    /// By lock, then by column; first without one.
    by_column: [Vec<OnceLock<Arc<Statement>>>; 4],
    updates: RwLock<HashMap<Vec<ColumnId>, Arc<Statement>>>,
    defaults: Vec<Option<Compiled>>,
    selectors: Vec<Vec<Compiled>>,
    /// Whether the counter of its keys is known to be there.
    has_counter: AtomicBool,
    incoming: Vec<Incoming>,
    links: Vec<Arc<LinkTable>>,
}

/// New rows, by table, and lines of the change log that a statement writes.
type Inserted = (Vec<(TableId, Count)>, Count);

/// What tells a change of one row by one statement from others of its table.
#[derive(Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct OutrightShape {
    /// Columns that are given new values.
    pub(super) columns: Vec<ColumnId>,
    /// Columns that come back.
    pub(super) shown: Vec<ColumnId>,
    /// Columns that are measured.
    pub(super) measured: Vec<ColumnId>,
    /// The rule for reading and those for changing, each by its address; 0: it always holds.
    pub(super) rules: Vec<usize>,
    /// Whether the row has to be of a version.
    pub(super) is_versioned: bool,
}

/// So many kinds of such changes of a table are kept: callers choose which there are.
const OUTRIGHT_MAX: usize = 1024;

/// Of so many tables at most rows are made in one statement, and so many such statements are kept: callers choose which there are.
const TABLES_TOGETHER_MAX: usize = 4;
const INSERTS_LOGGED_MAX: usize = 1024;

/// A to-one column that refers to a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Incoming {
    /// The table that refers.
    pub(super) table: TableId,
    /// Its column.
    pub(super) column: ColumnId,
    /// What becomes of its rows.
    pub(super) on_delete: OnDelete,
}

/// The statements of a link table.
#[derive(Debug)]
pub(super) struct LinkPrepared {
    /// Parameters: owner, target.
    pub(super) link: Arc<Statement>,
    /// Parameters: owner, target.
    pub(super) unlink: Arc<Statement>,
    /// Parameter: owner.
    pub(super) targets: Arc<Statement>,
    /// Parameter: target.
    pub(super) owners: Arc<Statement>,
}

/// The statements on the system's own tables.
#[derive(Debug)]
pub(super) struct SystemPrepared {
    change_insert: Arc<Statement>,
    /// Any number of lines, where there are arrays.
    change_insert_many: Option<Arc<Statement>>,
    /// Where others write at the same time.
    pub(super) counter_begin: Option<Arc<Statement>>,
    pub(super) counter_next: Arc<Statement>,
    pub(super) counter_raise: Arc<Statement>,
    /// Where others write at the same time. Parameter: whose turn it is.
    pub(super) idempotency_turn: Option<Arc<Statement>>,
    pub(super) idempotency_find: Arc<Statement>,
    pub(super) idempotency_insert: Arc<Statement>,
    pub(super) idempotency_delete: Arc<Statement>,
}

/// A condition of the schema, ready to be asked.
#[derive(Debug)]
pub(super) struct Test {
    /// Kept, because its address is the name of this test.
    pub(super) condition: Arc<Expr>,
    /// When row and caller suffice.
    pub(super) local: Option<Compiled>,
    /// Whether row and caller alone decide it, whenever and for whichever tenant or session it is asked.
    pub(super) steady: bool,
    /// When they don't: `Param(0)` is the row's key.
    pub(super) statement: OnceLock<Arc<Statement>>,
    reaches: OnceLock<Vec<Reach>>,
}

impl Prepared {
    /// For an app on a kind of database, of which it is told when others have changed something.
    pub(crate) fn new(
        catalog: &Catalog,
        dialect: &'static dyn Dialect,
        foreign: watch::Receiver<u64>,
    ) -> Prepared {
        let schema = catalog.schema().clone();
        let mut tables: Vec<TablePrepared> =
            schema.tables.iter().map(|table| TablePrepared::new(&schema, table.id)).collect();
        let mut links = HashMap::new();
        for table in &schema.tables {
            for column in &table.columns {
                if let Some(target) = column.target() {
                    let incoming =
                        Incoming { table: table.id, column: column.id, on_delete: column.on_delete };
                    tables[target.0 as usize].incoming.push(incoming);
                }
            }
            for relation in &table.relations {
                let RelationKind::Link(link) = &relation.kind else { continue };
                links.insert(link.db_name.clone(), LinkPrepared::new(&schema, dialect, link));
                tables[link.owner.0 as usize].links.push(link.clone());
                if link.target != link.owner {
                    tables[link.target.0 as usize].links.push(link.clone());
                }
            }
        }
        let dependencies = Dependencies::of(&schema);
        let system = SystemPrepared::new(&schema, dialect);
        let watched = Watched::of(catalog);
        let ask = triggers::ask(dialect).map(Arc::new);
        let marks = (schema.existing || ask.is_some()).then(|| Marks {
            begin: Arc::new(triggers::mark(dialect)),
            end: triggers::unmark(dialect).map(Arc::new),
            ask: ask.filter(|_| !schema.existing),
            foreign,
            known: AtomicU64::new(u64::MAX),
        });
        let tests = RwLock::default();
        let inserts_logged = RwLock::default();
        Prepared {
            schema,
            dialect,
            tables,
            inserts_logged,
            links,
            tests,
            dependencies,
            watched,
            system,
            marks,
        }
    }

    fn of(&self, table: TableId) -> &TablePrepared {
        &self.tables[table.0 as usize]
    }

    /// Parameters: the columns of the table.
    pub(super) fn insert(&self, table: TableId) -> &Arc<Statement> {
        let make = || Arc::new(mainstay_sql::insert(&self.schema, self.dialect, table));
        self.of(table).insert.get_or_init(make)
    }

    /// New rows of some tables with their lines of the change log. None: there are too many kinds of such statements already.
    pub(super) fn insert_logged(&self, tables: &[(TableId, Count)], lines: Count) -> Option<Arc<Statement>> {
        let shape = (tables.to_vec(), lines);
        if let Some(statement) = self.inserts_logged.read().get(&shape) {
            return Some(statement.clone());
        }
        if tables.len() > TABLES_TOGETHER_MAX {
            return None;
        }
        let statement = mainstay_sql::system::insert_logged(&self.schema, self.dialect, tables, lines);
        let mut kept = self.inserts_logged.write();
        (kept.len() < INSERTS_LOGGED_MAX)
            .then(|| kept.entry(shape).or_insert_with(|| Arc::new(statement)).clone())
    }

    /// Lines of the change log.
    pub(super) fn change_insert(&self, lines: Count) -> &Arc<Statement> {
        match lines {
            Count::One => &self.system.change_insert,
            Count::Many => {
                let many = self.system.change_insert_many.as_ref();
                many.expect("who writes several lines at once has arrays")
            }
        }
    }

    /// A row by its key, with its version behind the columns; none: rows have none that could be told.
    pub(super) fn versioned(&self, table: TableId) -> Option<Arc<Statement>> {
        let make = || mainstay_sql::versioned(&self.schema, self.dialect, table).map(Arc::new);
        self.of(table).versioned.get_or_init(make).clone()
    }

    /// A change of a row of a version, with its line of the change log. Parameters: the key, the columns, the version, those of the line.
    pub(super) fn update_logged(&self, table: TableId, columns: &[ColumnId]) -> Arc<Statement> {
        let updates = &self.of(table).updates_logged;
        if let Some(statement) = updates.read().get(columns) {
            return statement.clone();
        }
        let statement = mainstay_sql::system::update_logged(&self.schema, self.dialect, table, columns);
        updates.write().entry(columns.to_vec()).or_insert_with(|| Arc::new(statement)).clone()
    }

    /// Whether there are statements that change a row outright.
    pub(super) fn has_outright(&self) -> bool {
        self.marks.is_none() && self.dialect.outright().is_some()
    }

    /// A change of a row by one statement; none: it takes more than that.
    pub(super) fn outright(
        &self,
        table: TableId,
        shape: OutrightShape,
        readable: Option<&Arc<Expr>>,
        rules: &[Arc<Expr>],
    ) -> Option<Arc<Statement>> {
        let kept = &self.of(table).outright;
        if let Some(statement) = kept.read().get(&shape) {
            return statement.clone();
        }
        if kept.read().len() >= OUTRIGHT_MAX {
            return None;
        }
        let statement = self.checks_alone(table, &shape.columns).map(|checks| {
            let change = Outright {
                table,
                columns: &shape.columns,
                readable,
                rules,
                checks: &checks,
                is_versioned: shape.is_versioned,
                measured: &shape.measured,
                shown: &shape.shown,
            };
            Arc::new(mainstay_sql::system::change_outright(&self.schema, self.dialect, &change))
        });
        kept.write().entry(shape).or_insert(statement).clone()
    }

    /// The checks and warnings of a row whose columns change, where they ask of the row and its caller alone, and no condition of
    /// another row asks about the columns.
    fn checks_alone(&self, table: TableId, columns: &[ColumnId]) -> Option<Vec<Arc<Expr>>> {
        let of = self.schema.table(table);
        let changes = |column: &ColumnId| columns.contains(column) || of.updated == Some(*column);
        let is_asked_about = self
            .watched
            .columns(table)
            .iter()
            .any(|watch| changes(&watch.column) || watch.reads.iter().any(changes))
            || self.dependencies.on_rows(table).iter().any(|way| way.columns.iter().any(changes));
        if is_asked_about {
            return None;
        }
        let checks = of.checks.iter().chain(&of.warns);
        checks
            .map(|check| self.test(&check.condition).local.is_some().then(|| check.condition.clone()))
            .collect()
    }

    /// Whether changing rows of a table asks the database something further: what a rule, a check or a hook wants to know.
    pub(super) fn asks(&self, table: TableId) -> bool {
        self.of(table).asks.load(Ordering::Relaxed)
    }

    /// Changing a row of the table has asked something further.
    pub(super) fn note_asking(&self, table: TableId) {
        self.of(table).asks.store(true, Ordering::Relaxed);
    }

    /// Parameters: the columns of the table; without some that the database shall give. Answers the row.
    pub(super) fn insert_without(&self, table: TableId, left_out: &[ColumnId]) -> Arc<Statement> {
        let inserts = &self.of(table).inserts_without;
        if let Some(statement) = inserts.read().get(left_out) {
            return statement.clone();
        }
        let statement = Arc::new(mainstay_sql::insert_without(&self.schema, self.dialect, table, left_out));
        inserts.write().entry(left_out.to_vec()).or_insert(statement).clone()
    }

    /// Whether rows of a table are read once more behind what is written, because somebody else's triggers may change them.
    pub(super) fn is_triggered(&self, table: TableId) -> bool {
        self.dialect.forms().is_some_and(|forms| forms.is_triggered(table))
    }

    /// Triggers were made or taken away by this process.
    pub(crate) fn forget_triggers(&self) {
        self.marks.iter().for_each(Marks::forget);
    }

    /// Whether the database keeps a change log, answers for keys of requests with it.
    pub(super) fn keeps_log(&self) -> bool {
        self.dialect.forms().is_none_or(Forms::keeps_log)
    }

    /// Parameter: the key.
    pub(super) fn delete(&self, table: TableId) -> &Arc<Statement> {
        let make = || Arc::new(mainstay_sql::delete(&self.schema, self.dialect, table));
        self.of(table).delete.get_or_init(make)
    }

    /// Whether the counter of a table's keys is known to be there, committed.
    pub(super) fn has_counter(&self, table: TableId) -> bool {
        self.of(table).has_counter.load(Ordering::Relaxed)
    }

    /// The counter of a table's keys was found to be there.
    pub(super) fn note_counter(&self, table: TableId) {
        self.of(table).has_counter.store(true, Ordering::Relaxed);
    }

    /// The greatest key.
    pub(super) fn last_key(&self, table: TableId) -> &Arc<Statement> {
        let make = || Arc::new(mainstay_sql::last_key(&self.schema, self.dialect, table));
        self.of(table).last_key.get_or_init(make)
    }

    /// Whether others write at the same time, so that what is read has to be held.
    pub(super) fn holds(&self) -> bool {
        !self.dialect.lock(Lock::Hold).is_empty()
    }

    /// Parameter: the key.
    pub(super) fn hold_row(&self, table: TableId, lock: Lock) -> Arc<Statement> {
        self.of(table).hold[lock as usize].get_or_init(|| self.hold(table, &[], lock)).clone()
    }

    /// Parameter: the key of the row at the start of the way.
    pub(super) fn hold(&self, start: TableId, way: &[WayStep], lock: Lock) -> Arc<Statement> {
        Arc::new(mainstay_sql::hold(&self.schema, self.dialect, start, way, lock))
    }

    /// What a test about rows of a table reads of others.
    pub(super) fn reaches<'t>(&self, table: TableId, test: &'t Test) -> &'t [Reach] {
        test.reaches.get_or_init(|| reads::reaches(&self.schema, table, &test.condition))
    }

    /// Parameters: the key, then the columns.
    pub(super) fn update(&self, table: TableId, columns: &[ColumnId]) -> Arc<Statement> {
        let updates = &self.of(table).updates;
        if let Some(statement) = updates.read().get(columns) {
            return statement.clone();
        }
        let statement = Arc::new(mainstay_sql::update(&self.schema, self.dialect, table, columns));
        updates.write().entry(columns.to_vec()).or_insert(statement).clone()
    }

    /// Whole rows whose column equals the parameter, under a lock.
    pub(super) fn by_column(&self, table: TableId, column: ColumnId, lock: Option<Lock>) -> &Arc<Statement> {
        let make = || {
            let filter = vec![equals_param(&self.schema, table, column, 0)];
            let images = Images { table, filter, limit: None, lock };
            Arc::new(mainstay_sql::images(&self.schema, self.dialect, &images))
        };
        let place = lock.map_or(0, |lock| 1 + lock as usize);
        self.of(table).by_column[place][column.0 as usize].get_or_init(make)
    }

    /// Whole rows for which all conditions are true.
    pub(super) fn images(&self, images: &Images) -> Arc<Statement> {
        Arc::new(mainstay_sql::images(&self.schema, self.dialect, images))
    }

    /// Rows as the answer shows them.
    pub(super) fn select(&self, select: &Select) -> Arc<Statement> {
        Arc::new(mainstay_sql::select(&self.schema, self.dialect, select))
    }

    /// What an expression says of the row whose key is the first parameter.
    pub(super) fn values(&self, table: TableId, exprs: &[Expr]) -> Arc<Statement> {
        Arc::new(mainstay_sql::test(&self.schema, self.dialect, table, exprs))
    }

    /// The statements of a link table of the schema.
    pub(super) fn link(&self, link: &LinkTable) -> &LinkPrepared {
        self.links.get(&link.db_name).expect("every link table is declared by a relation of the schema")
    }

    /// The link tables that a table has a side in.
    pub(super) fn links_of(&self, table: TableId) -> &[Arc<LinkTable>] {
        &self.of(table).links
    }

    /// The columns that refer to a table.
    pub(super) fn incoming(&self, table: TableId) -> &[Incoming] {
        &self.of(table).incoming
    }

    /// The default of a column.
    pub(super) fn default(&self, table: TableId, column: ColumnId) -> Option<&Compiled> {
        self.of(table).defaults[column.0 as usize].as_ref()
    }

    /// The selectors of a counter.
    pub(super) fn selectors(&self, table: TableId, column: ColumnId) -> &[Compiled] {
        &self.of(table).selectors[column.0 as usize]
    }

    /// A condition of the schema about a row of a table. It must live as long as the rules do: others would pile up.
    pub(super) fn test(&self, condition: &Arc<Expr>) -> Arc<Test> {
        let name = Arc::as_ptr(condition) as usize;
        if let Some(test) = self.tests.read().get(&name) {
            return test.clone();
        }
        let local = if condition.is_row_local() { Compiled::new(condition).ok() } else { None };
        let steady = local.is_some() && is_steady(condition);
        let condition = condition.clone();
        let (statement, reaches) = (OnceLock::new(), OnceLock::new());
        let test = Arc::new(Test { condition, local, steady, statement, reaches });
        self.tests.write().entry(name).or_insert(test).clone()
    }

    /// The statement of a test that reads more than the row.
    pub(super) fn test_statement<'t>(&self, table: TableId, test: &'t Test) -> &'t Arc<Statement> {
        let conditions = std::slice::from_ref(&*test.condition);
        test.statement
            .get_or_init(|| Arc::new(mainstay_sql::test(&self.schema, self.dialect, table, conditions)))
    }
}

impl TablePrepared {
    fn new(schema: &Schema, table: TableId) -> TablePrepared {
        let columns = &schema.table(table).columns;
        let compile = |expr: &Expr| {
            Compiled::new(expr).expect("the checker lets defaults and selectors follow nothing")
        };
        TablePrepared {
            by_column: std::array::from_fn(|_| columns.iter().map(|_| OnceLock::new()).collect()),
            defaults: columns.iter().map(|column| column.default.as_ref().map(compile)).collect(),
            selectors: columns
                .iter()
                .map(|column| column.auto.iter().flat_map(|auto| &auto.selectors).map(compile).collect())
                .collect(),
            ..TablePrepared::default()
        }
    }
}

impl LinkPrepared {
    fn new(schema: &Schema, dialect: &dyn Dialect, link: &LinkTable) -> LinkPrepared {
        LinkPrepared {
            link: Arc::new(mainstay_sql::link(schema, dialect, link)),
            unlink: Arc::new(mainstay_sql::unlink(schema, dialect, link)),
            targets: Arc::new(mainstay_sql::linked(schema, dialect, link, true)),
            owners: Arc::new(mainstay_sql::linked(schema, dialect, link, false)),
        }
    }
}

impl SystemPrepared {
    fn new(schema: &Schema, dialect: &dyn Dialect) -> SystemPrepared {
        use mainstay_sql::system;
        SystemPrepared {
            change_insert: Arc::new(system::change_insert(schema, dialect, Count::One)),
            change_insert_many: dialect
                .has_arrays()
                .then(|| Arc::new(system::change_insert(schema, dialect, Count::Many))),
            counter_begin: (!dialect.lock(Lock::Hold).is_empty())
                .then(|| Arc::new(system::counter_begin(schema, dialect))),
            counter_next: Arc::new(system::counter_next(schema, dialect)),
            counter_raise: Arc::new(system::counter_raise(schema, dialect)),
            idempotency_turn: system::idempotency_turn(schema, dialect).map(Arc::new),
            idempotency_find: Arc::new(system::idempotency_find(schema, dialect)),
            idempotency_insert: Arc::new(system::idempotency_insert(schema, dialect)),
            idempotency_delete: Arc::new(system::idempotency_delete(schema, dialect)),
        }
    }
}

/// Whether nothing that changes from one request of a caller to the next is asked.
fn is_steady(condition: &Expr) -> bool {
    let mut steady = true;
    condition.walk(&mut |expr| {
        let changes = matches!(
            expr.node,
            Node::Clock(_)
                | Node::EventAt
                | Node::Caller(CallerFact::Tenant | CallerFact::Session | CallerFact::Confirmed(_))
        );
        steady &= !changes;
    });
    steady
}

/// `column == $param` about the row itself.
pub(super) fn equals_param(schema: &Schema, table: TableId, column: ColumnId, param: u32) -> Expr {
    let declared = schema.table(table).column(column);
    let side = |node| Box::new(Expr { node, ty: declared.ty.clone(), span: declared.span });
    let left = side(Node::Column { row: RowPath::here(), table, column });
    let right = side(Node::Param(param));
    Expr { node: Node::Compare { op: CompareOp::Eq, left, right }, ty: Type::Bool, span: declared.span }
}
