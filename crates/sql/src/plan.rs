//! What a statement should do, before it is text: the input of this crate.
//!
//! A plan names tables and columns by id and carries conditions as typed expressions; rules have already been
//! planted in it by whoever made it. Nothing here knows who asks or which database answers.

use mainstay_lang::expr::Expr;
use mainstay_lang::filter::AggregateFunction;
use mainstay_lang::schema::{ColumnId, RelationId, TableId};

use crate::dialect::Lock;

/// A read of the rows of one table, with everything nested in it: one statement at any depth.
#[derive(Clone, Debug)]
pub struct Select {
    /// The table.
    pub table: TableId,
    /// Conditions on its rows, all of which must be true. Closed under one scope, the row.
    pub filter: Vec<Expr>,
    /// What each row shows, in this order.
    pub outputs: Vec<Output>,
    /// How rows are sorted; the key ascending is always added last.
    pub order: Vec<Order>,
    /// At most so many rows (for each parent when nested): an int literal or parameter.
    pub limit: Option<Expr>,
    /// A number above the limit that stands in the statement's text where that makes for a better way to the rows: the same
    /// for many limits, so that those share a statement.
    pub limit_bound: Option<u64>,
    /// So many rows are skipped first: an int literal or parameter.
    pub offset: Option<Expr>,
    /// Only rows behind the one that had these values: one for each item of `order`, then the key.
    pub after: Option<Vec<Expr>>,
    /// Whether the cursor of the last row and the news that more follow are wanted.
    pub paged: bool,
    /// What every cursor made by this select carries, so that it is refused under another order.
    pub cursor_tag: String,
}

impl Select {
    /// All rows of a table, in no order and showing nothing.
    pub fn of(table: TableId) -> Select {
        Select {
            table,
            filter: Vec::new(),
            outputs: Vec::new(),
            order: Vec::new(),
            limit: None,
            limit_bound: None,
            offset: None,
            after: None,
            paged: false,
            cursor_tag: String::new(),
        }
    }
}

/// One member of a row in the answer.
#[derive(Clone, Debug)]
pub struct Output {
    /// Its name in the JSON object.
    pub name: String,
    /// Its value.
    pub kind: OutputKind,
    /// When set, the member is absent from rows for which this is not true.
    pub guard: Option<Expr>,
}

/// The value of an [`Output`].
#[derive(Clone, Debug)]
pub enum OutputKind {
    /// A column; a to-one relation shows as its key.
    Column(ColumnId),
    /// A to-one relation as an object, or null when there is none that passes the select's filter.
    One {
        /// The referring column.
        column: ColumnId,
        /// What is read of it; `order`, `limit`, `offset`, `after` are empty.
        select: Box<Select>,
    },
    /// A to-many relation as an array.
    Many {
        /// The relation.
        relation: RelationId,
        /// What is read of it.
        select: Box<Select>,
    },
    /// What stands beside a to-many relation: `{"count": n, "next": cursor}`, with the members asked for. Without `count`
    /// the member is absent where no row follows the list.
    Beside {
        /// The relation.
        relation: RelationId,
        /// The same select as the list's.
        select: Box<Select>,
        /// Whether `count` (of all rows that pass the filter) is wanted.
        count: bool,
        /// Whether `next` is wanted.
        next: bool,
    },
    /// An aggregate over a to-many relation, as an array of group rows.
    Aggregate {
        /// The relation.
        relation: RelationId,
        /// What is computed.
        aggregate: Box<Aggregate>,
    },
}

/// One item of an order.
#[derive(Clone, Debug)]
pub struct Order {
    /// What is sorted by, in the scope of the row.
    pub by: Expr,
    /// Largest first.
    pub descending: bool,
    /// Null before everything else; otherwise behind everything else, in both directions.
    pub nulls_first: bool,
}

/// Values computed over groups of rows.
#[derive(Clone, Debug)]
pub struct Aggregate {
    /// The table.
    pub table: TableId,
    /// Conditions on its rows.
    pub filter: Vec<Expr>,
    /// Names and what is grouped by; none: one row over everything.
    pub groups: Vec<(String, Expr)>,
    /// Names and what is computed.
    pub values: Vec<(String, Computed)>,
    /// Order of the group rows.
    pub order: Vec<AggregateOrder>,
    /// At most so many group rows: an int literal or parameter.
    pub limit: Option<Expr>,
    /// So many group rows are skipped first.
    pub offset: Option<Expr>,
}

/// One aggregate function over an expression.
#[derive(Clone, Debug)]
pub struct Computed {
    /// Which function.
    pub function: AggregateFunction,
    /// Over what; none only for `count()`.
    pub of: Option<Expr>,
}

/// One item of the order of group rows.
#[derive(Clone, Debug)]
pub struct AggregateOrder {
    /// Index into `groups` followed by `values`.
    pub item: usize,
    /// Largest first.
    pub descending: bool,
    /// Null before everything else.
    pub nulls_first: bool,
}

/// A read of whole rows for the server's own eyes: images before a change, the caller's row.
#[derive(Clone, Debug)]
pub struct Images {
    /// The table.
    pub table: TableId,
    /// Conditions on its rows.
    pub filter: Vec<Expr>,
    /// Order and limit, as in [`Select`]; by key when empty.
    pub limit: Option<Expr>,
    /// Why the rows are locked, where others write at the same time; none: they are not.
    pub lock: Option<Lock>,
}

/// One step from a row to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WayStep {
    /// Over a to-one column of a table.
    One {
        /// The table that refers.
        from: TableId,
        /// Its column.
        column: ColumnId,
    },
    /// Over a to-many relation of a table.
    Many {
        /// The table that has the relation.
        from: TableId,
        /// The relation.
        relation: RelationId,
    },
}
