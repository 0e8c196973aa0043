//! Expressions in memory: compiled once, evaluated for many rows.
//!
//! [`Compiled`] resolves what an [`Expr`] says into a tree of steps; evaluating it borrows from the row, the
//! parameters and the caller and allocates only where a function makes new text. It follows no relation except from
//! the caller's row, whose values it is handed: whatever reads other rows is [`NotLocal`] and belongs to the database.
//!
//! Logic is three-valued; `None` is unknown. Operands of `and` and `or` are looked at from left to right until one
//! decides, so an error behind it does not show. The database may look at them in another order.

mod compile;
mod operate;
mod scalar;
mod step;

use crate::expr::{Confirmed, Expr};
use crate::schema::ColumnId;
use crate::value::{Timestamp, Value};

pub use crate::ops::OpError as EvalError;
pub use scalar::Scalar;

/// What an expression may ask about the caller.
pub trait CallerView {
    /// The key of the caller's row; `None`: there is none.
    fn user(&self) -> Option<&Value>;

    /// `signed_in`
    fn signed_in(&self) -> bool {
        self.user().is_some()
    }

    /// `user.can("a/b")`
    fn can(&self, permission: &str) -> bool;

    /// `user.has_role("x")`
    fn has_role(&self, role: &str) -> bool;

    /// `user.confirmed(5 minutes)` and its kin, at the time of the request.
    fn confirmed(&self, asked: Confirmed) -> bool;

    /// The tenant's id.
    fn tenant(&self) -> Option<&Value>;

    /// The session's id.
    fn session(&self) -> Option<&Value>;

    /// The value of a column of the row that to-one columns lead to from the caller's row.
    fn user_value(&self, hops: &[ColumnId], column: ColumnId) -> Scalar<'_>;
}

/// The anonymous caller without tenant and session: for defaults and for whatever nobody asked for.
#[derive(Clone, Copy, Debug)]
pub struct Nobody;

impl CallerView for Nobody {
    fn user(&self) -> Option<&Value> {
        None
    }

    fn can(&self, _: &str) -> bool {
        false
    }

    fn has_role(&self, _: &str) -> bool {
        false
    }

    fn confirmed(&self, _: Confirmed) -> bool {
        false
    }

    fn tenant(&self) -> Option<&Value> {
        None
    }

    fn session(&self) -> Option<&Value> {
        None
    }

    fn user_value(&self, _: &[ColumnId], _: ColumnId) -> Scalar<'_> {
        Scalar::Null
    }
}

/// What an expression is evaluated in. Rows are values in the order of the table's columns; what a row lacks is null.
#[derive(Clone, Copy)]
pub struct Env<'a> {
    /// The row in whose scope the expression stands.
    pub row: &'a [Value],
    /// `old.…`; absent: all null.
    pub old: Option<&'a [Value]>,
    /// `new.…`; absent: all null.
    pub new: Option<&'a [Value]>,
    /// Parameters of the command or filter, fields of the event.
    pub params: &'a [Value],
    /// Who asks.
    pub caller: &'a dyn CallerView,
    /// The clock of the request.
    pub now: Timestamp,
    /// `event.at`; absent: null.
    pub event_at: Option<Timestamp>,
}

impl<'a> Env<'a> {
    /// An environment of one row, with nothing around it.
    pub fn of_row(row: &'a [Value], caller: &'a dyn CallerView, now: Timestamp) -> Env<'a> {
        Env { row, old: None, new: None, params: &[], caller, now, event_at: None }
    }
}

/// The expression reads rows that memory does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the expression follows a relation")]
pub struct NotLocal;

/// An expression ready to be evaluated.
#[derive(Debug)]
pub struct Compiled {
    root: step::Step,
}

impl Compiled {
    /// Prepares an expression for which [`Expr::is_row_local`] holds.
    pub fn new(expr: &Expr) -> Result<Compiled, NotLocal> {
        compile::compile(expr).map(|root| Compiled { root })
    }

    /// The value for one row.
    pub fn eval<'a>(&'a self, env: &Env<'a>) -> Result<Scalar<'a>, EvalError> {
        self.root.eval(env)
    }

    /// The value of a condition; `None`: unknown.
    pub fn test(&self, env: &Env<'_>) -> Result<Option<bool>, EvalError> {
        self.root.test(env)
    }
}

#[cfg(test)]
pub(crate) mod tests;
