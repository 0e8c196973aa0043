//! Typed expressions: one tree for defaults, rules, checks, commands and filters.
//!
//! Made by the type checker; every name is an id, every implicit conversion a node, every enum comparison lowered to
//! text or rank. Compiled to SQL by `mainstay-sql` and to a closure by [`crate::eval`], which must agree.
//!
//! Scopes: an expression stands in the scope of one row, [`Root::Scope`]`(0)`. The body of `any(…)` and its kin
//! opens a new scope for the row of the relation, so that inside it `Scope(1)` is the enclosing row (`this`). A rule
//! is closed under one scope, so it can be planted wherever a row of its table stands.

use std::sync::Arc;

use crate::schema::{ColumnId, RelationId, TableId};
use crate::source::Span;
use crate::types::Type;
use crate::value::Value;

/// An expression with its type and its place in the text.
#[derive(Clone, Debug)]
pub struct Expr {
    /// What it is.
    pub node: Node,
    /// Its type.
    pub ty: Type,
    /// Where it stands.
    pub span: Span,
}

/// What an expression is.
#[derive(Clone, Debug)]
pub enum Node {
    /// A value known when the expression was read.
    Literal(Value),
    /// A named parameter of a command, an event's field or `$name` in a filter: index into the scope's parameters.
    Param(u32),
    /// Something of the caller other than a column of its row.
    Caller(CallerFact),
    /// `now()` or `today()`: the same throughout a request.
    Clock(Clock),
    /// `event.at` in a fold.
    EventAt,
    /// A column of a row.
    Column {
        /// Where the row is.
        row: RowPath,
        /// The table of that row.
        table: TableId,
        /// The column.
        column: ColumnId,
    },
    /// Logical negation; unknown stays unknown.
    Not(Box<Expr>),
    /// Conjunction of two or more.
    And(Vec<Expr>),
    /// Disjunction of two or more.
    Or(Vec<Expr>),
    /// Both sides have one type (or are a reference and a key). Enums are compared by text for `==` and `!=`; for the
    /// others the checker has wrapped both sides in [`Node::Rank`].
    Compare {
        /// Which.
        op: CompareOp,
        /// Left side.
        left: Box<Expr>,
        /// Right side.
        right: Box<Expr>,
    },
    /// `== null`, `!= null`: never unknown.
    IsNull {
        /// What is tested.
        value: Box<Expr>,
        /// `!= null`.
        negated: bool,
    },
    /// `x in [a, b]`; as SQL: unknown when nothing equals and something is null.
    In {
        /// What is looked for.
        value: Box<Expr>,
        /// Where.
        items: Vec<Expr>,
    },
    /// `x in tags` where `tags` is of a list type.
    InList {
        /// What is looked for.
        value: Box<Expr>,
        /// The list.
        list: Box<Expr>,
    },
    /// `text ~ needle`: contains, without regard to ASCII case.
    Contains {
        /// The text.
        value: Box<Expr>,
        /// What it should contain.
        needle: Box<Expr>,
    },
    /// `+ - * / %` over numbers of one type, or times and durations.
    Arithmetic {
        /// Which.
        op: ArithmeticOp,
        /// Left side.
        left: Box<Expr>,
        /// Right side.
        right: Box<Expr>,
    },
    /// `-x`
    Negate(Box<Expr>),
    /// The first that is not null.
    Coalesce(Vec<Expr>),
    /// `if a then b else c`; an unknown condition takes `c`.
    If {
        /// Condition.
        condition: Box<Expr>,
        /// When true.
        then: Box<Expr>,
        /// Otherwise.
        otherwise: Box<Expr>,
    },
    /// A function of the table in [`crate::functions`].
    Call {
        /// Which.
        function: Function,
        /// Its arguments, as many as it takes.
        args: Vec<Expr>,
    },
    /// The value as this expression's type: int → float, int → decimal, decimal → another scale, literal → key.
    Convert(Box<Expr>),
    /// The place (from 0) of an enum's value in the declared order, as int.
    Rank(Box<Expr>),
    /// `data.address.city`: the scalar at a path of a json value as text, null when absent or no scalar.
    JsonPath {
        /// The json value.
        value: Box<Expr>,
        /// Member names, outermost first.
        path: Vec<String>,
    },
    /// Something asked of the rows of a to-many relation.
    Many(Box<Many>),
}

/// The way to a row: a start and to-one relations followed from there. Null anywhere makes everything after it null.
#[derive(Clone, Debug)]
pub struct RowPath {
    /// Where it starts.
    pub root: Root,
    /// To-one relations, in the order followed.
    pub hops: Vec<Hop>,
}

/// Where a [`RowPath`] starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Root {
    /// The row of the scope that many levels out; 0 is the innermost, 1 is `this`.
    Scope(u8),
    /// The row before the change.
    Old,
    /// The row after the change.
    New,
    /// The caller's row; all null for the anonymous caller.
    User,
}

/// A to-one relation that is followed.
#[derive(Clone, Debug)]
pub struct Hop {
    /// The referring column, in the table reached so far.
    pub column: ColumnId,
    /// The table it leads to.
    pub target: TableId,
    /// When set, a target row for which it is not true counts as absent (a caller's eyes). Closed under the target.
    pub visible: Option<Arc<Expr>>,
}

/// A question to the rows of a to-many relation.
#[derive(Clone, Debug)]
pub struct Many {
    /// The row that has the relation.
    pub row: RowPath,
    /// The table of that row.
    pub table: TableId,
    /// The relation.
    pub relation: RelationId,
    /// The table of the relation's rows: the scope of `body`.
    pub target: TableId,
    /// What is asked.
    pub ask: Ask,
    /// `any`, `all`, `none`: the condition (absent: true). `count`: an optional condition. `sum`, `min`, `max`: the value.
    pub body: Option<Expr>,
    /// When set, rows for which it is not true count as absent (a caller's eyes). Closed under the target.
    pub visible: Option<Arc<Expr>>,
}

/// What is asked of the rows of a relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ask {
    /// Some row is true.
    Any,
    /// Every row is true.
    All,
    /// No row is true.
    None,
    /// How many (are true).
    Count,
    /// Sum of the values that are not null; 0 of nothing.
    Sum,
    /// Least; null of nothing.
    Min,
    /// Greatest; null of nothing.
    Max,
}

/// What an expression may ask of the caller beside its row.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CallerFact {
    /// The key of the caller's row, or null.
    User,
    /// Whether there is a caller's row.
    SignedIn,
    /// `user.can("a/b")`
    Can(String),
    /// `user.has_role("x")`
    HasRole(String),
    /// The tenant's id, or null.
    Tenant,
    /// The session's id, or null.
    Session,
    /// `user.confirmed(5 minutes)`, `user.confirmed_twice(5 minutes)`
    Confirmed(Confirmed),
}

/// Whether somebody has shown who they are no longer ago than a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Confirmed {
    /// What was shown.
    pub factor: Factor,
    /// How long ago at most, in microseconds.
    pub within_us: i64,
}

/// What somebody has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Factor {
    /// Anything that shows who they are.
    Any,
    /// A second factor.
    Second,
}

/// A reading of the request's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Clock {
    /// `now()`: a timestamp.
    Now,
    /// `today()`: the date in UTC.
    Today,
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CompareOp {
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
}

/// An arithmetic operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ArithmeticOp {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`: truncates for int; by zero is null.
    Div,
    /// `%`: sign of the dividend; by zero is null.
    Rem,
}

/// A function that is a node of its own; `now`, `today`, `coalesce` are lowered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Function {
    /// Year of a date or timestamp.
    Year,
    /// Month, 1 to 12.
    Month,
    /// Day of the month, 1 to 31.
    Day,
    /// ASCII letters to lower case.
    Lower,
    /// ASCII letters to upper case.
    Upper,
    /// Code points of a text, bytes of bytes, items of a list.
    Length,
    /// Without white space (space, `\t`, `\n`, `\r`, `\f`, `\v`) at both ends.
    Trim,
    /// `starts_with(a, b)`, case-sensitive.
    StartsWith,
    /// `ends_with(a, b)`, case-sensitive.
    EndsWith,
    /// `like(a, pattern)`, case-sensitive, `%` and `_`, `\` escapes.
    Like,
    /// `round(x, n)`: half away from zero, of decimal or float.
    Round,
    /// Magnitude; of the least int an error.
    Abs,
    /// Texts joined; null when any is null.
    Concat,
}

impl RowPath {
    /// The innermost row itself.
    pub fn here() -> RowPath {
        RowPath { root: Root::Scope(0), hops: Vec::new() }
    }
}

impl Expr {
    /// Calls `visit` for this expression and every one inside it, `visible` conditions left out.
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Expr)) {
        visit(self);
        match &self.node {
            Node::Literal(_)
            | Node::Param(_)
            | Node::Caller(_)
            | Node::Clock(_)
            | Node::EventAt
            | Node::Column { .. } => {}
            Node::Not(inner) | Node::Negate(inner) | Node::Convert(inner) | Node::Rank(inner) => {
                inner.walk(visit)
            }
            Node::And(items) | Node::Or(items) | Node::Coalesce(items) => {
                items.iter().for_each(|item| item.walk(visit));
            }
            Node::Compare { left, right, .. } | Node::Arithmetic { left, right, .. } => {
                left.walk(visit);
                right.walk(visit);
            }
            Node::IsNull { value, .. } | Node::JsonPath { value, .. } => value.walk(visit),
            Node::In { value, items } => {
                value.walk(visit);
                items.iter().for_each(|item| item.walk(visit));
            }
            Node::InList { value, list } => {
                value.walk(visit);
                list.walk(visit);
            }
            Node::Contains { value, needle } => {
                value.walk(visit);
                needle.walk(visit);
            }
            Node::If { condition, then, otherwise } => {
                condition.walk(visit);
                then.walk(visit);
                otherwise.walk(visit);
            }
            Node::Call { args, .. } => args.iter().for_each(|arg| arg.walk(visit)),
            Node::Many(many) => {
                if let Some(body) = &many.body {
                    body.walk(visit);
                }
            }
        }
    }

    /// Whether it reads nothing but the caller, the clock and literals: its value is the same for every row.
    pub fn is_row_free(&self) -> bool {
        let mut free = true;
        self.walk(&mut |expr| match &expr.node {
            Node::Column { row, .. } => free &= row.root == Root::User,
            Node::Many(_) | Node::Param(_) | Node::EventAt => free = false,
            _ => {}
        });
        free
    }

    /// Whether [`crate::eval`] can compute it from the row images and the caller alone: no relation is followed
    /// except from the caller's row.
    pub fn is_row_local(&self) -> bool {
        let mut local = true;
        self.walk(&mut |expr| match &expr.node {
            Node::Column { row, .. } => local &= row.hops.is_empty() || row.root == Root::User,
            Node::Many(_) => local = false,
            _ => {}
        });
        local
    }
}
