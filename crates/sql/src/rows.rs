//! Statements about whole rows of one table, for the server's own eyes: images, tests, counts and writes.
//!
//! Writes name every value by parameter and every row by key: which rows are meant was found out before, under the
//! rules. None of these looks at a rule by itself; conditions are what the caller of this crate gives.

use mainstay_lang::expr::Expr;
use mainstay_lang::schema::{Column, ColumnId, LinkTable, RelationKind, Schema, TableId};
use mainstay_lang::types::Type;

use crate::dialect::{Dialect, Lock, Operator};
use crate::plan::{Images, WayStep};
use crate::statement::{Bind, ResultShape, Statement};
use crate::writer::{ScopeId, Writer};

impl Writer<'_> {
    /// ` FROM "Table" t1`, with the scope of its rows.
    fn table_from(&mut self, table: TableId) -> ScopeId {
        let alias = self.alias();
        self.text(" FROM ");
        self.table(table, &alias);
        self.scope(&alias, table, None)
    }

    fn where_key(&mut self, table: TableId, param: u32) {
        let key = self.schema.table(table).column(ColumnId::ID);
        self.text(" WHERE ");
        let value = self.capture(|w| w.bind(Bind::Param(param), &key.ty));
        let of = self.schema.table(table);
        if of.key_of.is_empty() {
            self.identifier(&key.db_name);
            self.text(" = ");
            self.kept_value(table, key.id, &value);
        } else {
            self.kept_column(of, key);
            self.text(" = ");
            self.text(&value);
            self.key_parts_equal(table, &Bind::Param(param), |w, column| w.kept_column(of, column));
        }
    }

    /// `key = …`: a row of a scope by its key.
    fn keyed(&mut self, scope: ScopeId, table: TableId) {
        self.scope_column(scope, ColumnId::ID);
        self.text(" = ");
        self.bind(Bind::Param(0), &Type::Ref(table));
        self.key_parts_equal(table, &Bind::Param(0), |w, column| w.scope_column(scope, column.id));
    }

    /// ` RETURNING …`: the row as it was written, whatever the database made of it.
    fn returning(&mut self, table: TableId) -> ResultShape {
        let of = self.schema.table(table);
        self.text(" RETURNING ");
        self.separated(", ", &of.columns, |w, column| w.kept_column(of, column));
        ResultShape::Values(storage_types(self.schema, &of.columns))
    }

    /// The row's key, to be sorted by.
    fn key_order(&mut self, scope: ScopeId) {
        let key = self.capture(|w| w.scope_column(scope, ColumnId::ID));
        let ty = self.schema.key_type(self.table_of(scope));
        self.in_order(ty, &key);
    }

    fn column_names<'c>(&mut self, columns: impl IntoIterator<Item = &'c Column>) {
        self.separated(", ", columns, |w, column| w.identifier(&column.db_name));
    }
}

fn storage_types<'s>(schema: &Schema, columns: impl IntoIterator<Item = &'s Column>) -> Vec<Type> {
    columns.into_iter().map(|column| schema.storage_type(&column.ty).clone()).collect()
}

/// Whole rows that pass every condition, by key: each column in its table's order.
pub fn images(schema: &Schema, dialect: &dyn Dialect, images: &Images) -> Statement {
    let table = schema.table(images.table);
    let mut w = Writer::new(schema, dialect);
    let alias = w.alias();
    let scope = w.scope(&alias, images.table, None);
    w.text("SELECT ");
    w.separated(", ", &table.columns, |w, column| w.scope_column(scope, column.id));
    w.text(" FROM ");
    w.table(images.table, &alias);
    w.conditions_to_find(scope, &images.filter);
    w.text(" ORDER BY ");
    w.key_order(scope);
    if let Some(limit) = &images.limit {
        w.text(" LIMIT ");
        w.expr(limit);
    }
    if let Some(lock) = images.lock {
        w.text(dialect.lock(lock));
    }
    w.finish(ResultShape::Values(storage_types(schema, &table.columns)))
}

/// A row by its key, `Param(0)`: each column in its table's order, and behind them its version as a text; none where rows have
/// none.
pub fn versioned(schema: &Schema, dialect: &dyn Dialect, table: TableId) -> Option<Statement> {
    let (version, _) = dialect.row_version()?;
    let of = schema.table(table);
    let mut w = Writer::new(schema, dialect);
    w.text("SELECT ");
    w.column_names(&of.columns);
    w.text(", ");
    w.text(version);
    w.text(" FROM ");
    w.identifier(&of.db_name);
    w.where_key(table, 0);
    let mut types = storage_types(schema, &of.columns);
    types.push(Type::Text { max: None });
    Some(w.finish(ResultShape::Values(types)))
}

/// Locks the rows that a way leads to from the row of a table whose key is `Param(0)`, for an empty way that row itself,
/// until the end of the transaction. In the order of their keys, so that two who lock the same rows do not wait for each
/// other.
///
/// The rows on the way are not locked: whoever wants them to lead to the same rows has locked them before.
pub fn hold(
    schema: &Schema,
    dialect: &dyn Dialect,
    start: TableId,
    way: &[WayStep],
    lock: Lock,
) -> Statement {
    let mut w = Writer::new(schema, dialect);
    // What is counted are rows that are locked.
    w.text("SELECT count(*) FROM (SELECT TRUE");
    let target = way.last().map_or(start, |step| step_target(schema, step));
    let scope = w.table_from(target);
    w.text(" WHERE ");
    if way.is_empty() {
        w.keyed(scope, start);
    } else {
        w.scope_column(scope, ColumnId::ID);
        w.reached(start, way);
    }
    w.text(" ORDER BY ");
    w.key_order(scope);
    w.text(dialect.lock(lock));
    w.text(") held");
    w.finish(ResultShape::Values(vec![Type::Int]))
}

/// The table that a step leads to.
fn step_target(schema: &Schema, step: &WayStep) -> TableId {
    match step {
        WayStep::One { from, column } => {
            schema.table(*from).column(*column).target().expect("a way follows to-one columns")
        }
        WayStep::Many { from, relation } => schema.table(*from).relation(*relation).target,
    }
}

/// Where keys are looked for.
enum Source<'s> {
    Rows(TableId),
    Link(&'s str),
}

impl Writer<'_> {
    /// ` = key` or ` IN (…)`: the keys of the rows that a way leads to.
    fn reached(&mut self, start: TableId, way: &[WayStep]) {
        let Some((last, before)) = way.split_last() else {
            self.text(" = ");
            self.bind(Bind::Param(0), &Type::Ref(start));
            return;
        };
        let schema = self.schema;
        // What is selected, of which table, where what is one of those reached before.
        let (selected, table, by) = match last {
            WayStep::One { from, column } => {
                let table = schema.table(*from);
                (&table.column(*column).db_name, Source::Rows(*from), &table.column(ColumnId::ID).db_name)
            }
            WayStep::Many { from, relation } => {
                let relation = schema.table(*from).relation(*relation);
                match &relation.kind {
                    RelationKind::Reverse { column } => {
                        let table = schema.table(relation.target);
                        let by = &table.column(*column).db_name;
                        (&table.column(ColumnId::ID).db_name, Source::Rows(table.id), by)
                    }
                    RelationKind::Link(link) => {
                        (&link.target_column, Source::Link(&link.db_name), &link.owner_column)
                    }
                    RelationKind::LinkReverse { link, .. } => {
                        (&link.owner_column, Source::Link(&link.db_name), &link.target_column)
                    }
                }
            }
        };
        self.text(" IN (SELECT ");
        self.identifier(selected);
        self.text(" FROM ");
        match table {
            Source::Rows(table) => {
                let alias = self.alias();
                self.table(table, &alias);
            }
            Source::Link(link) => self.identifier(link),
        }
        self.text(" WHERE ");
        self.identifier(by);
        self.reached(start, before);
        self.text(")");
    }
}

/// How many rows pass every condition.
pub fn count(schema: &Schema, dialect: &dyn Dialect, table: TableId, filter: &[Expr]) -> Statement {
    let mut w = Writer::new(schema, dialect);
    w.text("SELECT count(*)");
    let scope = w.table_from(table);
    w.conditions_to_find(scope, filter);
    w.finish(ResultShape::Values(vec![Type::Int]))
}

/// The greatest key, null when there is no row.
pub fn last_key(schema: &Schema, dialect: &dyn Dialect, table: TableId) -> Statement {
    let mut w = Writer::new(schema, dialect);
    w.text("SELECT ");
    let key = schema.table(table).column(ColumnId::ID);
    let template = dialect.operator(Operator::Greatest(schema.key_type(table)));
    w.template(&template, |w, _| w.identifier(&key.db_name));
    w.text(" FROM ");
    w.identifier(&schema.table(table).db_name);
    w.finish(ResultShape::Values(vec![schema.key_type(table).clone()]))
}

/// What each expression says of the row whose key is `Param(0)`: true, false or null. No row gives no result.
pub fn test(schema: &Schema, dialect: &dyn Dialect, table: TableId, conditions: &[Expr]) -> Statement {
    let mut w = Writer::new(schema, dialect);
    let alias = w.alias();
    let scope = w.scope(&alias, table, None);
    let by_key = w.capture(|w| w.keyed(scope, table));
    w.text("SELECT ");
    w.separated(", ", conditions, |w, condition| w.alone(scope, |w| w.expr(condition)));
    w.text(" FROM ");
    w.table(table, &alias);
    w.text(" WHERE ");
    w.text(&by_key);
    w.finish(ResultShape::Values(
        conditions.iter().map(|condition| schema.storage_type(&condition.ty).clone()).collect(),
    ))
}

/// What each expression says of a row that is given instead of read: `Param(i)` is its column `i`. All other rows are as
/// they stand.
pub fn test_given(schema: &Schema, dialect: &dyn Dialect, table: TableId, conditions: &[Expr]) -> Statement {
    let mut w = Writer::new(schema, dialect);
    let alias = w.alias();
    let scope = w.scope(&alias, table, None);
    w.text("SELECT ");
    w.separated(", ", conditions, |w, condition| w.alone(scope, |w| w.expr(condition)));
    w.text(" FROM (SELECT ");
    w.separated(", ", &schema.table(table).columns, |w, column| {
        w.bind(Bind::Param(column.id.0), &column.ty);
        w.text(" AS ");
        w.identifier(&column.db_name);
    });
    w.text(") ");
    w.text(&alias);
    w.finish(ResultShape::Values(
        conditions.iter().map(|condition| schema.storage_type(&condition.ty).clone()).collect(),
    ))
}

/// A new row: `Param(i)` is the column `i` of the table, for every column.
pub fn insert(schema: &Schema, dialect: &dyn Dialect, table: TableId) -> Statement {
    let mut w = Writer::new(schema, dialect);
    w.insert_row(&schema.table(table).columns.iter().collect::<Vec<_>>(), table, 0);
    w.finish(ResultShape::Nothing)
}

/// The same without the columns that the database shall give; answers the row as it is then.
pub fn insert_without(
    schema: &Schema,
    dialect: &dyn Dialect,
    table: TableId,
    left_out: &[ColumnId],
) -> Statement {
    let of = schema.table(table);
    let is_composed = |column: &Column| column.id == ColumnId::ID && !of.key_of.is_empty();
    let columns = of.columns.iter().filter(|column| !left_out.contains(&column.id) && !is_composed(column));
    let mut w = Writer::new(schema, dialect);
    w.insert_row(&columns.collect::<Vec<_>>(), table, 0);
    let result = w.returning(table);
    w.finish(result)
}

impl Writer<'_> {
    /// A new row: the parameter of a column is that of its number, from `first` on.
    pub(crate) fn insert_row(&mut self, columns: &[&Column], table: TableId, first: u32) {
        self.text("INSERT INTO ");
        self.identifier(&self.schema.table(table).db_name);
        if columns.is_empty() {
            return self.text(" DEFAULT VALUES");
        }
        self.text(" (");
        self.column_names(columns.iter().copied());
        self.text(") VALUES (");
        self.separated(", ", columns, |w, column| {
            let value = w.capture(|w| w.bind(Bind::Param(first + column.id.0), &column.ty));
            w.kept_value(table, column.id, &value);
        });
        self.text(")");
    }
}

impl Writer<'_> {
    /// New rows of arrays: a parameter for each column of the table from `first` on.
    pub(crate) fn insert_rows(&mut self, table: TableId, first: u32) {
        let of = self.schema.table(table);
        self.text("INSERT INTO ");
        self.identifier(&of.db_name);
        self.text(" (");
        self.column_names(&of.columns);
        self.text(")");
        let columns: Vec<_> = of.columns.iter().map(|column| (&*column.db_name, &column.ty)).collect();
        self.rows_of_arrays(|_| {}, &columns, first);
    }
}

impl Writer<'_> {
    /// `UPDATE … SET … WHERE key = …`: parameters as of [`update`].
    pub(crate) fn update_row(&mut self, table: TableId, columns: &[ColumnId]) {
        let of = self.schema.table(table);
        self.text("UPDATE ");
        self.identifier(&of.db_name);
        self.text(" SET ");
        self.separated(", ", (1..).zip(columns), |w, (param, column)| {
            let column = of.column(*column);
            w.identifier(&column.db_name);
            w.text(" = ");
            let value = w.capture(|w| w.bind(Bind::Param(param), &column.ty));
            w.kept_value(table, column.id, &value);
        });
        self.where_key(table, 0);
    }
}

/// New values of columns of one row: `Param(0)` is its key, `Param(1)` and on are the columns in the order given.
pub fn update(schema: &Schema, dialect: &dyn Dialect, table: TableId, columns: &[ColumnId]) -> Statement {
    let mut w = Writer::new(schema, dialect);
    w.update_row(table, columns);
    // Triggers of somebody else may have changed more of it.
    let result = if schema.existing { w.returning(table) } else { ResultShape::Nothing };
    w.finish(result)
}

/// One row less: `Param(0)` is its key.
pub fn delete(schema: &Schema, dialect: &dyn Dialect, table: TableId) -> Statement {
    let mut w = Writer::new(schema, dialect);
    w.text("DELETE FROM ");
    w.identifier(&schema.table(table).db_name);
    w.where_key(table, 0);
    w.finish(ResultShape::Nothing)
}

/// Links a row of the declaring table, `Param(0)`, with one of the target, `Param(1)`. Changes nothing when they are
/// linked already.
pub fn link(schema: &Schema, dialect: &dyn Dialect, link: &LinkTable) -> Statement {
    let mut w = Writer::new(schema, dialect);
    w.text("INSERT INTO ");
    w.identifier(&link.db_name);
    w.text(" (");
    w.separated(", ", [&link.owner_column, &link.target_column], |w, name| w.identifier(name));
    w.text(") VALUES (");
    w.bind(Bind::Param(0), &Type::Ref(link.owner));
    w.text(", ");
    w.bind(Bind::Param(1), &Type::Ref(link.target));
    w.text(") ON CONFLICT DO NOTHING");
    w.finish(ResultShape::Nothing)
}

/// Ends a link; parameters as of [`link`]. Changes nothing when there is none.
pub fn unlink(schema: &Schema, dialect: &dyn Dialect, link: &LinkTable) -> Statement {
    let mut w = Writer::new(schema, dialect);
    w.text("DELETE FROM ");
    w.identifier(&link.db_name);
    w.text(" WHERE ");
    w.identifier(&link.owner_column);
    w.text(" = ");
    w.bind(Bind::Param(0), &Type::Ref(link.owner));
    w.text(" AND ");
    w.identifier(&link.target_column);
    w.text(" = ");
    w.bind(Bind::Param(1), &Type::Ref(link.target));
    w.finish(ResultShape::Nothing)
}

/// Keys on the other side of a link of the row whose key is `Param(0)`, ascending.
///
/// `from_owner`: that row is of the declaring table.
pub fn linked(schema: &Schema, dialect: &dyn Dialect, link: &LinkTable, from_owner: bool) -> Statement {
    let owner = (&link.owner_column, link.owner);
    let target = (&link.target_column, link.target);
    let (near, far) = if from_owner { (owner, target) } else { (target, owner) };
    let mut w = Writer::new(schema, dialect);
    w.text("SELECT ");
    w.identifier(far.0);
    w.text(" FROM ");
    w.identifier(&link.db_name);
    w.text(" WHERE ");
    w.identifier(near.0);
    w.text(" = ");
    w.bind(Bind::Param(0), &Type::Ref(near.1));
    w.text(" ORDER BY ");
    let key = w.capture(|w| w.identifier(far.0));
    w.in_order(schema.key_type(far.1), &key);
    w.finish(ResultShape::Values(vec![schema.key_type(far.1).clone()]))
}
