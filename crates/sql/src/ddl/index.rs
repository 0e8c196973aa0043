//! Which indexes a schema wants.
//!
//! Declared ones and unique constraints; every to-one column, for the way back and for the foreign key's own check; the
//! order that a list has when it asks for none; and columns that a read rule compares with something that is the same
//! for every row, because every read of the table asks that. To-one columns and ruled ones are followed by the list's own
//! order, so that a page of one parent's rows, or of one's own, is read without sorting all of them; where every read rule
//! asks for such a column, the order alone needs no index. In a tenant's table
//! indexes begin with the tenant. An index that another one begins with is left out.

use std::borrow::Cow;

use mainstay_lang::expr::{CompareOp, Expr, Node, Root};
use mainstay_lang::schema::{ColumnId, Index, Operation, OrderBy, RelationKind, Rule, Schema, Table};
use mainstay_lang::types::Type;

use super::links;
use crate::dialect::Dialect;

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

impl IndexPlan {
    /// Its name as a database keeps it: a name too long ends in a hash of all of it.
    pub fn name_in(&self, dialect: &dyn Dialect) -> Cow<'_, str> {
        match dialect.name_bytes_max() {
            Some(longest) if self.name.len() > longest => {
                let kept = self.name.floor_char_boundary(longest - HASH_BYTES);
                format!("{}~{:016x}", &self.name[..kept], hash(&self.name)).into()
            }
            _ => self.name.as_str().into(),
        }
    }
}

/// `~` and sixteen digits.
const HASH_BYTES: usize = 17;

/// Whether [`IndexPlan::name_in`] gave the name in place of a longer one.
pub(crate) fn is_shortened(name: &str) -> bool {
    let hash = name.rsplit_once('~').map(|(_, hash)| hash);
    hash.is_some_and(|hash| hash.len() == HASH_BYTES - 1 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// FNV-1a: the same in every release.
fn hash(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
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
        schema.own_tables().flat_map(|table| table_indexes(schema, table)).collect();
    all.extend(links(schema).map(|link| {
        let columns = [&link.target_column, &link.owner_column];
        let columns = columns.map(|name| IndexColumn { name: name.clone(), descending: false });
        plan(&link.db_name, columns.to_vec(), false)
    }));
    all
}

const BY_KEY: OrderBy = OrderBy { column: ColumnId::ID, descending: false };

/// Columns of an index, and whether it refuses duplicates.
type Wanted = (Vec<OrderBy>, bool);

fn table_indexes(schema: &Schema, table: &Table) -> Vec<IndexPlan> {
    let declared = |index: &Index| {
        in_tenant(table, index.columns.iter().map(|column| OrderBy { column: *column, descending: false }))
    };
    let mut wanted: Vec<Wanted> = Vec::new();
    wanted.extend(table.uniques.iter().map(|unique| (declared(unique), true)));
    wanted.extend(table.indexes.iter().map(|index| (declared(index), false)));
    let ruled = ruled_columns(table);
    if !is_pinned(table) {
        wanted.push((in_tenant(table, default_order(table)), false));
    }
    wanted.extend(ruled.into_iter().map(|column| (in_tenant(table, listed(table, column)), false)));
    for column in table.columns.iter().filter(|column| column.target().is_some()) {
        let columns = match is_listed_by(schema, table, column.id) {
            true => listed(table, column.id),
            false => vec![OrderBy { column: column.id, descending: false }],
        };
        wanted.push((columns, false));
    }

    let mut kept: Vec<Wanted> = Vec::new();
    for (columns, unique) in wanted {
        let is_of_key = columns.first().is_none_or(|first| first.column == ColumnId::ID);
        if !is_of_key && !kept.iter().any(|kept| serves(kept, &columns, unique)) {
            kept.push((columns, unique));
        }
    }
    let all = kept.clone();
    let is_begun = |columns: &[OrderBy]| {
        all.iter().any(|(other, _)| other.len() > columns.len() && begins(columns, other))
    };
    kept.retain(|(columns, unique)| *unique || !is_begun(columns));
    for (columns, unique) in &mut kept {
        // An int key is the row's address, which ends every index of itself.
        if !*unique && columns.last() == Some(&BY_KEY) && table.columns[0].ty == Type::Int {
            columns.pop();
        }
    }
    kept.into_iter().map(|(columns, unique)| named(table, &columns, unique)).collect()
}

/// Whether an index makes another one needless.
fn serves((kept, kept_unique): &Wanted, columns: &[OrderBy], unique: bool) -> bool {
    if unique {
        // A constraint is kept for what it refuses.
        return *kept_unique && kept == columns;
    }
    // Behind columns that find one row nothing more is to be told.
    *kept_unique && is_prefix(kept, columns) || begins(columns, kept)
}

/// Whether an index serves whoever wants one of the columns that it begins with: read forwards or backwards.
fn begins(columns: &[OrderBy], index: &[OrderBy]) -> bool {
    is_prefix(columns, index) || is_prefix(&reversed(columns), index)
}

/// Read backwards, but for the first column, which is asked for one value.
fn reversed(columns: &[OrderBy]) -> Vec<OrderBy> {
    columns.iter().map(|item| OrderBy { descending: !item.descending, ..*item }).collect()
}

/// A column and then the order of a list of rows that have one value in it.
fn listed(table: &Table, column: ColumnId) -> Vec<OrderBy> {
    let behind = default_order(table).into_iter().filter(|item| item.column != column);
    let mut columns = vec![OrderBy { column, descending: false }];
    columns.extend(behind);
    if columns.len() == 1 {
        columns.push(BY_KEY);
    }
    columns
}

/// Whether some `Table[] by column` lists rows by their column.
fn is_listed_by(schema: &Schema, table: &Table, column: ColumnId) -> bool {
    schema.tables.iter().flat_map(|other| &other.relations).any(|relation| {
        let by = |kind: &RelationKind| matches!(kind, RelationKind::Reverse { column: by } if *by == column);
        relation.target == table.id && by(&relation.kind)
    })
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

/// An index of columns, with the name that follows from them.
pub(crate) fn plan(table: &str, columns: Vec<IndexColumn>, unique: bool) -> IndexPlan {
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

/// Whether every read rule asks one value of an indexed column: then no list is read in the table's order alone.
fn is_pinned(table: &Table) -> bool {
    let mut rules = table.rules_of(Operation::Read, None).peekable();
    let pins = |rule: &Rule| rule.condition.as_deref().is_some_and(pins);
    rules.peek().is_some() && rules.all(pins)
}

fn pins(condition: &Expr) -> bool {
    match &condition.node {
        Node::And(items) => items.iter().any(pins),
        Node::Or(items) => items.iter().all(pins),
        Node::Compare { op: CompareOp::Eq, left, right } => {
            (own_column(left).is_some() && right.is_row_free())
                || (own_column(right).is_some() && left.is_row_free())
        }
        _ => false,
    }
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
