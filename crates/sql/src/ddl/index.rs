//! Which indexes a schema wants.
//!
//! Declared ones and unique constraints; every to-one column, for the way back and for the foreign key's own check; the
//! order that a list has when it asks for none; and columns that a read rule compares with something that is the same
//! for every row, because every read of the table asks that. To-one columns and ruled ones are followed by the list's own
//! order, so that a page of one parent's rows, or of one's own, is read without sorting all of them. In a tenant's table
//! indexes begin with the tenant. An index that another one begins with is left out.

use mainstay_lang::expr::{Expr, Node, Root};
use mainstay_lang::schema::{ColumnId, Operation, OrderBy, RelationKind, Schema, Table};
use mainstay_lang::types::Type;

use super::links;

/// An index to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexPlan {
    /// Its name in the database.
    pub name: String,
    /// Its table's name in the database.
    pub table: String,
    /// Its columns in order.
    pub columns: Vec<IndexColumn>,
    /// Whether it refuses duplicates.
    pub unique: bool,
}

/// A column of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexColumn {
    /// Its name in the database.
    pub name: String,
    /// Largest first.
    pub descending: bool,
}

/// All indexes of a schema, beside those that primary keys bring.
pub fn indexes(schema: &Schema) -> Vec<IndexPlan> {
    let mut all: Vec<IndexPlan> =
        schema.tables.iter().flat_map(|table| table_indexes(schema, table)).collect();
    all.extend(links(schema).map(|link| {
        let columns = [&link.target_column, &link.owner_column];
        let columns = columns.map(|name| IndexColumn { name: name.clone(), descending: false });
        plan(&link.db_name, columns.to_vec(), false)
    }));
    all
}

const BY_KEY: OrderBy = OrderBy { column: ColumnId::ID, descending: false };

fn table_indexes(schema: &Schema, table: &Table) -> Vec<IndexPlan> {
    let ascending = |column: &ColumnId| OrderBy { column: *column, descending: false };
    let mut wanted: Vec<(Vec<OrderBy>, bool)> = Vec::new();
    wanted.extend(
        table.uniques.iter().map(|unique| (in_tenant(table, unique.columns.iter().map(ascending)), true)),
    );
    // An int key is the row's address, which ends every index of itself.
    let order = |mut order: Vec<OrderBy>| {
        if order.last() == Some(&BY_KEY) && table.columns[0].ty == Type::Int {
            order.pop();
        }
        order
    };
    wanted.push((in_tenant(table, order(default_order(table))), false));
    wanted.extend(
        table.indexes.iter().map(|index| (in_tenant(table, index.columns.iter().map(ascending)), false)),
    );
    let listed = |column: ColumnId| -> Vec<OrderBy> {
        let behind = default_order(table).into_iter().filter(|item| item.column != column);
        let mut columns: Vec<OrderBy> = [ascending(&column)].into_iter().chain(behind).collect();
        if columns.len() == 1 {
            columns.push(BY_KEY);
        }
        order(columns)
    };
    for column in table.columns.iter().filter(|column| column.target().is_some()) {
        let is_listed = schema.tables.iter().flat_map(|table| &table.relations).any(|relation| {
            relation.target == table.id
                && matches!(&relation.kind, RelationKind::Reverse { column: by } if *by == column.id)
        });
        wanted.push((if is_listed { listed(column.id) } else { vec![ascending(&column.id)] }, false));
    }
    wanted.extend(ruled_columns(table).into_iter().map(|column| (in_tenant(table, listed(column)), false)));

    let mut kept: Vec<(Vec<OrderBy>, bool)> = Vec::new();
    for (position, (columns, unique)) in wanted.iter().enumerate() {
        let served_by = |(at, (other, other_unique)): (usize, &(Vec<OrderBy>, bool))| match unique {
            // A constraint is kept for what it refuses.
            true => *other_unique && other == columns && at < position,
            // Behind columns that find one row nothing more is to be told.
            false if *other_unique && is_prefix(other, columns) => true,
            false => is_prefix(columns, other) && (other.len() > columns.len() || at < position),
        };
        let is_key = columns.first().is_none_or(|first| first.column == ColumnId::ID);
        if !is_key && !wanted.iter().enumerate().any(served_by) {
            kept.push((columns.clone(), *unique));
        }
    }
    kept.into_iter().map(|(columns, unique)| named(table, &columns, unique)).collect()
}

/// The columns with the tenant's before them, once.
fn in_tenant(table: &Table, columns: impl IntoIterator<Item = OrderBy>) -> Vec<OrderBy> {
    let tenant = table.tenant.map(|column| OrderBy { column, descending: false });
    let columns = columns.into_iter().filter(|item| Some(item.column) != table.tenant);
    tenant.into_iter().chain(columns).collect()
}

/// The default order with the key that makes it total; empty when the table has none or the key begins it.
fn default_order(table: &Table) -> Vec<OrderBy> {
    let mut order = table.order.clone();
    match order.iter().position(|item| item.column == ColumnId::ID) {
        Some(0) => Vec::new(),
        Some(at) => order[..=at].to_vec(),
        None if order.is_empty() || order.iter().any(|item| !sorts_by_storage(table, item.column)) => {
            Vec::new()
        }
        None => {
            order.push(BY_KEY);
            order
        }
    }
}

/// Enums sort by their declared order, which an index over their names does not have.
fn sorts_by_storage(table: &Table, column: ColumnId) -> bool {
    !matches!(table.column(column).ty, Type::Enum(_))
}

/// Whether `other` begins with `columns`; a direction matters only behind the first column.
fn is_prefix(columns: &[OrderBy], other: &[OrderBy]) -> bool {
    let same = |(index, (a, b)): (usize, (&OrderBy, &OrderBy))| {
        a.column == b.column && (index == 0 || a.descending == b.descending)
    };
    columns.len() <= other.len() && columns.iter().zip(other).enumerate().all(same)
}

fn named(table: &Table, columns: &[OrderBy], unique: bool) -> IndexPlan {
    let columns = columns.iter().map(|item| IndexColumn {
        name: table.column(item.column).db_name.clone(),
        descending: item.descending,
    });
    plan(&table.db_name, columns.collect(), unique)
}

fn plan(table: &str, columns: Vec<IndexColumn>, unique: bool) -> IndexPlan {
    let mut name = table.to_owned();
    for column in &columns {
        name.push('.');
        name.push_str(if column.descending { "-" } else { "" });
        name.push_str(&column.name);
    }
    name.push_str(if unique { ".unique" } else { ".index" });
    IndexPlan { name, table: table.to_owned(), columns, unique }
}

/// Columns that a read rule compares with something that is the same for every row. Truth values and enums have
/// too few values for an index to be worth its writes.
fn ruled_columns(table: &Table) -> Vec<ColumnId> {
    let mut columns = Vec::new();
    for rule in table.rules_of(Operation::Read, None) {
        if let Some(condition) = &rule.condition {
            compared_columns(condition, &mut columns);
        }
    }
    columns.retain(|column| !matches!(table.column(*column).ty, Type::Bool | Type::Enum(_) | Type::Json));
    columns
}

fn compared_columns(condition: &Expr, found: &mut Vec<ColumnId>) {
    match &condition.node {
        Node::And(items) | Node::Or(items) => items.iter().for_each(|item| compared_columns(item, found)),
        Node::Compare { left, right, .. } => {
            for (side, other) in [(left, right), (right, left)] {
                if other.is_row_free() {
                    found.extend(own_column(side));
                }
            }
        }
        Node::In { value, items } if items.iter().all(Expr::is_row_free) => found.extend(own_column(value)),
        _ => {}
    }
}

fn own_column(expr: &Expr) -> Option<ColumnId> {
    match &expr.node {
        Node::Column { row, column, .. } if row.root == Root::Scope(0) && row.hops.is_empty() => {
            Some(*column)
        }
        _ => None,
    }
}
