//! The system's own tables beside the app's, and the statements on them.
//!
//! `_change` is the change log, `_counter` the gapless counters, `_idempotency` answers kept under a key, `_meta` facts
//! about the database, `_migration` the ledger of migrations, `_job` ([`job`]) the queue of jobs. Their names begin with an underscore, which no declared name does. Declared as data:
//! one list of columns yields the tables; what is done with them is one function each.

pub mod job;
mod meta;
mod outright;

pub use outright::{Outright, change_outright};

pub use meta::{meta_begin, meta_forget, meta_get, meta_like, meta_put, meta_record};

use mainstay_lang::schema::{ColumnId, Schema, TableId};
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;

use crate::dialect::{ColumnRole, Dialect};
use crate::statement::{Bind, ResultShape, Statement};
use crate::writer::Writer;

const TEXT: Type = Type::Text { max: None };

/// A table of the system.
pub struct SystemTable {
    /// Its name.
    pub name: &'static str,
    /// Its columns.
    pub columns: &'static [SystemColumn],
    /// Its primary key, unless a column is numbered by the database.
    pub key: &'static [&'static str],
}

/// A column of a table of the system.
pub struct SystemColumn {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub ty: Type,
    /// Whether it may be null.
    pub nullable: bool,
    /// What it is in its table.
    pub role: ColumnRole,
}

pub(crate) const fn column(name: &'static str, ty: Type) -> SystemColumn {
    SystemColumn { name, ty, nullable: false, role: ColumnRole::Plain }
}

const fn nullable(name: &'static str, ty: Type) -> SystemColumn {
    SystemColumn { name, ty, nullable: true, role: ColumnRole::Plain }
}

/// The change log; `before` and `after` are JSON objects, `kind` is `create`, `update`, `delete`, `link` or `unlink`.
pub const CHANGE: SystemTable = SystemTable {
    name: "_change",
    columns: &[
        SystemColumn { name: "seq", ty: Type::Int, nullable: false, role: ColumnRole::Serial },
        SystemColumn { name: "tx", ty: Type::Int, nullable: false, role: ColumnRole::Transaction },
        column("at", Type::Timestamp),
        column("table", TEXT),
        column("row", TEXT),
        column("kind", TEXT),
        nullable("before", Type::Json),
        nullable("after", Type::Json),
        nullable("actor", TEXT),
        nullable("tenant", TEXT),
    ],
    key: &[],
};

/// Gapless counters: the last number given for each value of a column's selectors, a JSON array.
pub const COUNTER: SystemTable = SystemTable {
    name: "_counter",
    columns: &[
        column("table", TEXT),
        column("column", TEXT),
        column("selector", TEXT),
        column("value", Type::Int),
    ],
    key: &["table", "column", "selector"],
};

/// The status of an answer that was kept for its idempotency key and is not known any more.
pub const ANSWER_FORGOTTEN: i64 = 410;

/// Answers kept for their idempotency key. `scope` is a hash of caller and tenant, `target` method and path.
pub const IDEMPOTENCY: SystemTable = SystemTable {
    name: "_idempotency",
    columns: &[
        column("scope", Type::Bytes),
        column("key", TEXT),
        column("target", TEXT),
        column("body_hash", Type::Bytes),
        column("status", Type::Int),
        column("answer", Type::Bytes),
        column("at", Type::Timestamp),
    ],
    key: &["scope", "key", "target"],
};

/// Facts about the database, by name; `meta` has what is done with them.
pub const META: SystemTable =
    SystemTable { name: "_meta", columns: &[column("key", TEXT), column("value", TEXT)], key: &["key"] };

/// The fact that tells one database from another.
pub const IDENTITY: &str = "identity";

/// The ledger of migrations: a line for each step that was begun. A file that was taken as done without being run has a line
/// for a step 0. Each kind of database has files of its own, so lines of another kind, which came with rows that were moved, tell
/// nothing.
pub const MIGRATION: SystemTable = SystemTable {
    name: "_migration",
    columns: &[
        column("database", TEXT),
        column("number", Type::Int),
        column("name", TEXT),
        column("step", Type::Int),
        column("steps", Type::Int),
        column("checksum", TEXT),
        column("words", TEXT),
        column("started", Type::Timestamp),
        nullable("finished", Type::Timestamp),
    ],
    key: &["database", "number", "name", "step"],
};

/// Every table of the system.
pub const TABLES: [&SystemTable; 6] = [&CHANGE, &COUNTER, &IDEMPOTENCY, &job::JOB, &MIGRATION, &META];

/// An index of a system's table.
pub(crate) struct SystemIndex {
    pub(crate) name: &'static str,
    table: &'static SystemTable,
    /// Its columns; `-` before one: largest first.
    columns: &'static [&'static str],
    unique: bool,
    /// The rows that it holds, when it does not hold all of them.
    of: Option<&'static str>,
}

const fn index(
    name: &'static str,
    table: &'static SystemTable,
    columns: &'static [&'static str],
) -> SystemIndex {
    SystemIndex { name, table, columns, unique: false, of: None }
}

// Every write pays for each index of the change log. A row's key stands first: it tells most lines apart at once, where
// the table's name would be compared in vain.
const INDEXES: [SystemIndex; 2] = [
    index("_change.row.table", &CHANGE, &["row", "table", "seq"]),
    index("_idempotency.at", &IDEMPOTENCY, &["at"]),
];

/// Serves [`change_tail`] where positions are transactions.
const TRANSACTION_INDEX: SystemIndex = index("_change.tx", &CHANGE, &["tx"]);

/// The indexes of the system's tables.
pub(crate) fn indexes(dialect: &dyn Dialect) -> impl Iterator<Item = &'static SystemIndex> {
    INDEXES.iter().chain(&job::INDEXES).chain(dialect.transaction().map(|_| &TRANSACTION_INDEX))
}

/// The statements that make the system's tables and indexes where they are missing.
pub fn create(schema: &Schema, dialect: &dyn Dialect) -> Vec<String> {
    let mut statements = create_tables(schema, dialect);
    statements.extend(create_indexes(schema, dialect));
    statements
}

pub(crate) fn create_tables(schema: &Schema, dialect: &dyn Dialect) -> Vec<String> {
    TABLES.iter().map(|table| create_table(schema, dialect, table)).collect()
}

pub(crate) fn create_indexes(schema: &Schema, dialect: &dyn Dialect) -> Vec<String> {
    let create = |index: &SystemIndex| {
        let mut w = Writer::new(schema, dialect);
        w.text(if index.unique { "CREATE UNIQUE INDEX" } else { "CREATE INDEX" });
        w.text(" IF NOT EXISTS ");
        w.identifier(index.name);
        w.text(" ON ");
        w.identifier(index.table.name);
        w.text(" (");
        w.separated(", ", index.columns.iter(), |w, column| {
            w.identifier(column.trim_start_matches('-'));
            w.text(if column.starts_with('-') { " DESC" } else { "" });
        });
        w.text(")");
        if let Some(of) = index.of {
            w.text(" WHERE ");
            w.text(of);
        }
        w.into_text()
    };
    indexes(dialect).map(create).collect()
}

pub(crate) fn create_table(schema: &Schema, dialect: &dyn Dialect, table: &SystemTable) -> String {
    let mut w = Writer::new(schema, dialect);
    w.text("CREATE TABLE IF NOT EXISTS ");
    w.identifier(table.name);
    w.text(" (");
    w.separated(", ", table.columns, |w, column| {
        w.identifier(column.name);
        w.text(" ");
        w.text(&dialect.column(schema, &column.ty, column.nullable, column.role));
    });
    if !table.key.is_empty() {
        w.text(", PRIMARY KEY (");
        w.separated(", ", table.key, |w, name| w.identifier(name));
        w.text(")");
    }
    w.text(")");
    w.text(dialect.table_options(!table.key.is_empty()));
    w.into_text()
}

impl Writer<'_> {
    /// `INSERT INTO … VALUES (…)`: parameters in the order of the columns that the database does not number. A transaction
    /// is one of them, and left out where the database knows it.
    pub(crate) fn insert_system(&mut self, table: &SystemTable) {
        let knows_transaction = self.dialect.transaction().is_some();
        let given = |column: &&SystemColumn| column.role != ColumnRole::Serial;
        let columns = (0..).zip(table.columns.iter().filter(given));
        let columns = columns
            .filter(|(_, column)| !(knows_transaction && column.role == ColumnRole::Transaction))
            .collect::<Vec<_>>();
        self.text("INSERT INTO ");
        self.identifier(table.name);
        self.text(" (");
        self.separated(", ", &columns, |w, (_, column)| w.identifier(column.name));
        self.text(") VALUES (");
        self.separated(", ", &columns, |w, (param, column)| w.bind(Bind::Param(*param), &column.ty));
        self.text(")");
    }

    /// A column of a system's table as a value of its type.
    fn system_column(&mut self, column: &SystemColumn) {
        match self.dialect.transaction().filter(|_| column.role == ColumnRole::Transaction) {
            Some(template) => self.template(template, |w, _| w.identifier(column.name)),
            None => self.identifier(column.name),
        }
    }

    pub(crate) fn where_system(&mut self, table: &SystemTable, names: &[&str]) {
        for (param, name) in (0..).zip(names) {
            let column = table.columns.iter().find(|column| column.name == *name);
            let column = column.expect("the column is declared above");
            self.text(if param == 0 { " WHERE " } else { " AND " });
            self.identifier(name);
            self.text(" = ");
            self.bind(Bind::Param(param), &column.ty);
        }
    }
}

/// Parameters of [`change_insert`] that all lines share.
const LINE_SHARED: [&str; 4] = ["tx", "at", "actor", "tenant"];

/// Parameters of each of its lines.
const LINE: [&str; 5] = ["table", "row", "kind", "before", "after"];

/// How many rows of a kind a statement writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Count {
    /// One: its parameters are values.
    One,
    /// Any number, where a database takes arrays ([`Dialect::has_arrays`]): its parameters are lists of values.
    Many,
}

/// Lines of the change log, numbered in their order. Parameters: tx (not asked for where the database knows it), at, actor,
/// tenant; then of the lines table, row, kind, before, after.
pub fn change_insert(schema: &Schema, dialect: &dyn Dialect, lines: Count) -> Statement {
    let mut w = Writer::new(schema, dialect);
    change_lines(&mut w, 0, (lines, None));
    w.finish(ResultShape::Nothing)
}

/// New rows and lines of the change log in one statement, where a database has such. Parameters: for each of the tables its
/// columns, then those of [`change_insert`].
///
/// A line that is alone beside a row that is alone is of that row: what stands in every such line is no parameter then, which each would
/// cost the database more than the value does.
///
/// Nobody else knows of the rows yet, so that it does not matter which is written first; references among them are looked at
/// when all are there.
pub fn insert_logged(
    schema: &Schema,
    dialect: &dyn Dialect,
    tables: &[(TableId, Count)],
    lines: Count,
) -> Statement {
    let mut w = Writer::new(schema, dialect);
    let mut first = 0;
    w.text("WITH ");
    w.separated(", ", (0..).zip(tables), |w, (number, (table, count))| {
        let columns = &schema.table(*table).columns;
        w.text("made");
        w.number(number);
        w.text(" AS (");
        match count {
            Count::One => w.insert_row(&columns.iter().collect::<Vec<_>>(), *table, first),
            Count::Many => w.insert_rows(*table, first),
        }
        w.text(") ");
        first += u32::try_from(columns.len()).expect("few columns");
    });
    let alone = match tables {
        [(table, Count::One)] => Some(schema.table(*table).name.as_str()),
        _ => None,
    };
    change_lines(&mut w, first, (lines, alone));
    w.finish(ResultShape::Nothing)
}

/// New values of columns of one row, if it is of a version, and its line of the change log. Parameters: the key, the columns in the
/// order given, the version, then those of [`change_insert`] of one line.
pub fn update_logged(
    schema: &Schema,
    dialect: &dyn Dialect,
    table: TableId,
    columns: &[ColumnId],
) -> Statement {
    let (_, is_version) = dialect.row_version().expect("who knows a row's version has read it");
    let version = u32::try_from(1 + columns.len()).expect("few columns");
    let mut w = Writer::new(schema, dialect);
    w.text("WITH changed AS (");
    w.update_row(table, columns);
    w.text(" AND ");
    w.template(is_version, |w, _| w.bind(Bind::Param(version), &TEXT));
    w.text(" RETURNING TRUE) ");
    let values = change_line_columns(&mut w, version + 1);
    w.text(" SELECT ");
    change_line_values(&mut w, values, None);
    w.text(" FROM changed");
    w.finish(ResultShape::Changes(Vec::new()))
}

/// Lines of the change log whose parameters begin with one. `of`: the table of the new row that a line is of.
fn change_lines(w: &mut Writer<'_>, param: u32, (lines, of): (Count, Option<&str>)) {
    let (shared, own) = change_line_columns(w, param);
    match lines {
        Count::One => {
            w.text(" VALUES (");
            change_line_values(w, (shared, own), of);
            w.text(")");
        }
        Count::Many => {
            let first = own[0].0;
            let before = |w: &mut Writer<'_>| {
                for (param, column) in shared {
                    w.bind(Bind::Param(param), &column.ty);
                    w.text(", ");
                }
            };
            let own: Vec<_> = own.iter().map(|(_, column)| (column.name, &column.ty)).collect();
            w.rows_of_arrays(before, &own, first);
        }
    }
}

/// A column with its parameter.
type Given = (u32, &'static SystemColumn);

/// `INSERT INTO "_change" (…)`, and the columns that stand there: those that lines share, and each one's own.
fn change_line_columns(w: &mut Writer<'_>, param: u32) -> (Vec<Given>, Vec<Given>) {
    let of = |name: &str| {
        CHANGE.columns.iter().find(|column| column.name == name).expect("the column is declared above")
    };
    let knows_transaction = w.dialect.transaction().is_some();
    let mut given = (param..).zip(LINE_SHARED.into_iter().chain(LINE).map(of));
    let shared: Vec<Given> = given
        .by_ref()
        .take(LINE_SHARED.len())
        .filter(|(_, column)| !(knows_transaction && column.role == ColumnRole::Transaction))
        .collect();
    let own: Vec<Given> = given.collect();
    w.text("INSERT INTO ");
    w.identifier(CHANGE.name);
    w.text(" (");
    w.separated(", ", shared.iter().chain(&own), |w, (_, column)| w.identifier(column.name));
    w.text(")");
    (shared, own)
}

/// What stands in a line. `of`: the table of the new row that it is of.
fn change_line_values(w: &mut Writer<'_>, (shared, own): (Vec<Given>, Vec<Given>), of: Option<&str>) {
    w.separated(", ", shared.into_iter().chain(own), |w, (param, column)| match (of, column.name) {
        (Some(table), "table") => w.quoted(table),
        (Some(_), "kind") => w.quoted("create"),
        (Some(_), "before") => w.text("NULL"),
        _ => w.bind(Bind::Param(param), &column.ty),
    });
}

/// Where the change log stands: a text to go on from with [`change_tail`], which has every change that is seen beside
/// it in one snapshot behind it.
pub fn change_position(schema: &Schema, dialect: &dyn Dialect) -> Statement {
    let mut w = Writer::new(schema, dialect);
    w.text("SELECT ");
    w.text(dialect.change_log().position);
    w.finish(ResultShape::Values(vec![TEXT]))
}

/// The first lines of the change log between two positions of [`change_position`]: all columns, those of one row in the order in
/// which they were written. Parameters: the position they follow; the one they end at, null for now; how many at most.
///
/// Where there are as many as asked for, [`change_tail_next`] has the next ones between the same positions.
pub fn change_tail(schema: &Schema, dialect: &dyn Dialect) -> Statement {
    let mut w = begin_change_tail(schema, dialect);
    let log = dialect.change_log();
    w.template(log.between, |w, param| w.bind(Bind::Param(param as u32), &TEXT));
    w.text(" ORDER BY ");
    w.text(log.order);
    end_change_tail(w, 2)
}

/// The lines that follow those of [`change_tail`]. Parameters: the same two positions; the `seq` of the last line; how many at most.
///
/// Numbers are given out before transactions are committed, so `seq` alone is no position where several write at a time.
pub fn change_tail_next(schema: &Schema, dialect: &dyn Dialect) -> Statement {
    let mut w = begin_change_tail(schema, dialect);
    w.template(dialect.change_log().is_between, |w, param| w.bind(Bind::Param(param as u32), &TEXT));
    w.text(" AND \"seq\" > ");
    w.bind(Bind::Param(2), &Type::Int);
    w.text(" ORDER BY \"seq\"");
    end_change_tail(w, 3)
}

fn begin_change_tail<'a>(schema: &'a Schema, dialect: &'a dyn Dialect) -> Writer<'a> {
    let mut w = Writer::new(schema, dialect);
    w.text("SELECT ");
    w.separated(", ", CHANGE.columns, Writer::system_column);
    w.text(" FROM \"_change\" WHERE ");
    w
}

fn end_change_tail(mut w: Writer<'_>, count: u32) -> Statement {
    w.text(" LIMIT ");
    w.bind(Bind::Param(count), &Type::Int);
    w.finish(ResultShape::Values(CHANGE.columns.iter().map(|column| column.ty.clone()).collect()))
}

/// The next number of a counter. Parameters: table, column, selectors as a JSON array.
pub fn counter_next(schema: &Schema, dialect: &dyn Dialect) -> Statement {
    let mut w = Writer::new(schema, dialect);
    w.text("INSERT INTO \"_counter\" (\"table\", \"column\", \"selector\", \"value\") VALUES (");
    w.separated(", ", 0..3, |w, param| w.bind(Bind::Param(param), &TEXT));
    w.text(", 1) ON CONFLICT (\"table\", \"column\", \"selector\") DO UPDATE SET \"value\" = ");
    w.text("\"_counter\".\"value\" + 1 RETURNING \"value\"");
    w.finish(ResultShape::Values(vec![Type::Int]))
}

/// Makes a counter that has not been asked yet, so that others wait for what becomes of it. Parameters: table, column,
/// selectors as a JSON array.
pub fn counter_begin(schema: &Schema, dialect: &dyn Dialect) -> Statement {
    let mut w = Writer::new(schema, dialect);
    w.text("INSERT INTO \"_counter\" (\"table\", \"column\", \"selector\", \"value\") VALUES (");
    w.separated(", ", 0..3, |w, param| w.bind(Bind::Param(param), &TEXT));
    w.text(", 0) ON CONFLICT DO NOTHING");
    w.finish(ResultShape::Nothing)
}

/// Lifts a counter that has been asked before to at least a number. Parameters: table, column, selectors as a JSON array,
/// number.
pub fn counter_raise(schema: &Schema, dialect: &dyn Dialect) -> Statement {
    let mut w = Writer::new(schema, dialect);
    w.text("UPDATE \"_counter\" SET \"value\" = ");
    w.bind(Bind::Param(3), &Type::Int);
    w.where_system(&COUNTER, COUNTER.key);
    w.text(" AND \"value\" > 0 AND \"value\" < ");
    w.bind(Bind::Param(3), &Type::Int);
    w.finish(ResultShape::Nothing)
}

/// Makes requests under one key take their turns, where others write at the same time: waits until no other transaction has
/// asked for `Param(0)`.
pub fn idempotency_turn(schema: &Schema, dialect: &dyn Dialect) -> Option<Statement> {
    let template = dialect.turn()?;
    let mut w = Writer::new(schema, dialect);
    w.text("SELECT ");
    w.template(template, |w, _| w.bind(Bind::Param(0), &TEXT));
    Some(w.finish(ResultShape::Values(vec![Type::Bool])))
}

/// The kept answer of a key: body hash, status, answer, time. Parameters: scope, key, target.
pub fn idempotency_find(schema: &Schema, dialect: &dyn Dialect) -> Statement {
    let mut w = Writer::new(schema, dialect);
    w.text("SELECT \"body_hash\", \"status\", \"answer\", \"at\" FROM \"_idempotency\"");
    w.where_system(&IDEMPOTENCY, IDEMPOTENCY.key);
    w.finish(ResultShape::Values(vec![Type::Bytes, Type::Int, Type::Bytes, Type::Timestamp]))
}

/// Keeps an answer. Parameters: scope, key, target, body hash, status, answer, time.
pub fn idempotency_insert(schema: &Schema, dialect: &dyn Dialect) -> Statement {
    let mut w = Writer::new(schema, dialect);
    w.insert_system(&IDEMPOTENCY);
    w.finish(ResultShape::Nothing)
}

/// Forgets one kept answer, as when its time is over. Parameters: scope, key, target.
pub fn idempotency_delete(schema: &Schema, dialect: &dyn Dialect) -> Statement {
    let mut w = Writer::new(schema, dialect);
    w.text("DELETE FROM \"_idempotency\"");
    w.where_system(&IDEMPOTENCY, IDEMPOTENCY.key);
    w.finish(ResultShape::Nothing)
}

/// Forgets some of the answers kept before a time, the oldest first. Parameters: time, how many.
pub fn idempotency_purge(schema: &Schema, dialect: &dyn Dialect) -> Statement {
    let key = |w: &mut Writer<'_>| w.separated(", ", IDEMPOTENCY.key, |w, name| w.identifier(name));
    let mut w = Writer::new(schema, dialect);
    w.text("DELETE FROM \"_idempotency\" WHERE (");
    key(&mut w);
    w.text(") IN (SELECT ");
    key(&mut w);
    w.text(" FROM \"_idempotency\" WHERE \"at\" < ");
    w.bind(Bind::Param(0), &Type::Timestamp);
    w.text(" ORDER BY \"at\" LIMIT ");
    w.bind(Bind::Param(1), &Type::Int);
    w.text(")");
    w.finish(ResultShape::Nothing)
}

/// The columns of [`change_history`], in order.
const HISTORY: [(&str, Type); 6] = [
    ("seq", Type::Int),
    ("at", Type::Timestamp),
    ("kind", TEXT),
    ("before", Type::Json),
    ("after", Type::Json),
    ("actor", TEXT),
];

/// The changes of one row itself, the newest first: seq, at, kind, before, after, actor. Parameters: table, row, seq that
/// they stand before, oldest time, how many.
pub fn change_history(schema: &Schema, dialect: &dyn Dialect) -> Statement {
    let mut w = Writer::new(schema, dialect);
    w.text("SELECT ");
    w.separated(", ", &HISTORY, |w, (name, _)| w.identifier(name));
    w.text(" FROM \"_change\"");
    w.where_system(&CHANGE, &["table", "row"]);
    w.text(" AND \"seq\" < ");
    w.bind(Bind::Param(2), &Type::Int);
    w.text(" AND \"at\" >= ");
    w.bind(Bind::Param(3), &Type::Timestamp);
    w.text(" AND \"kind\" IN ('create', 'update', 'delete') ORDER BY \"seq\" DESC LIMIT ");
    w.bind(Bind::Param(4), &Type::Int);
    w.finish(ResultShape::Values(HISTORY.map(|(_, ty)| ty).to_vec()))
}

/// `seq` and time of the lines of the log behind a `seq`, in their order, but never the last one, whose number must not be
/// given again. Parameters: seq, how many.
pub fn change_oldest(schema: &Schema, dialect: &dyn Dialect) -> Statement {
    let mut w = Writer::new(schema, dialect);
    w.text("SELECT \"seq\", \"at\" FROM \"_change\" WHERE \"seq\" > ");
    w.bind(Bind::Param(0), &Type::Int);
    w.text(" AND \"seq\" < (SELECT max(\"seq\") FROM \"_change\") ORDER BY \"seq\" LIMIT ");
    w.bind(Bind::Param(1), &Type::Int);
    w.finish(ResultShape::Values(vec![Type::Int, Type::Timestamp]))
}

/// Which tables' changes are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoggedTables {
    /// Those of these names.
    These(Vec<String>),
    /// All but those of these names.
    Others(Vec<String>),
}

/// Forgets the changes of some tables between two lines of the log and before a time. Parameters: the `seq` that they stand
/// behind, the last `seq`, time.
pub fn change_purge(schema: &Schema, dialect: &dyn Dialect, tables: &LoggedTables) -> Statement {
    let mut w = Writer::new(schema, dialect);
    w.text("DELETE FROM \"_change\" WHERE \"seq\" > ");
    w.bind(Bind::Param(0), &Type::Int);
    w.text(" AND \"seq\" <= ");
    w.bind(Bind::Param(1), &Type::Int);
    w.text(" AND \"at\" < ");
    w.bind(Bind::Param(2), &Type::Timestamp);
    let (words, names) = match tables {
        LoggedTables::These(names) => (" AND \"table\" IN (", names),
        LoggedTables::Others(names) => (" AND \"table\" NOT IN (", names),
    };
    if !names.is_empty() {
        w.text(words);
        w.separated(", ", names, |w, name| w.bind(Bind::Value(Value::Text(name.clone())), &TEXT));
        w.text(")");
    }
    w.finish(ResultShape::Nothing)
}
