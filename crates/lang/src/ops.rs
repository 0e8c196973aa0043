//! The scalar operations of the language, once for all evaluators.
//!
//! Pure functions over borrowed scalars: the in-memory evaluator calls them directly, SQLite through the table in
//! [`sqlite`], and whoever keeps a database in step with them writes its native form beside its dialect. They know
//! neither expressions nor rows, and null never reaches them. `Option` results mean null (a division by zero),
//! errors mean that a result left the range of its type.

pub mod cursor;
pub mod list;
pub mod number;
pub mod sqlite;
pub mod text;
pub mod time;

/// Words with which every [`OpError::Overflow`] begins, so that a database's error message can be told apart.
pub const OVERFLOW: &str = "arithmetic overflow";

/// Why an operation has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpError {
    /// The result is outside the range of its type: 64 bits, 18 digits, a finite float, the years 0001 to 9999.
    #[error("{OVERFLOW} in {operation}")]
    Overflow {
        /// Which: `addition`, `a sum`.
        operation: &'static str,
    },
    /// A pattern of `like` that would take too long to look for.
    #[error("a pattern of `like` that has `_` may have at most {} characters", text::WILD_PATTERN_MAX)]
    PatternTooLong,
    /// A value in a database that others write is none of the type that its column is declared with.
    #[error("the database holds a value that is no {expected}")]
    Misfit {
        /// What it should be.
        expected: &'static str,
    },
    /// A database function was given what no typed expression gives it.
    #[error("an expression function was given a value of another type than it works on")]
    Argument,
}

impl OpError {
    pub(crate) fn overflow(operation: &'static str) -> OpError {
        OpError::Overflow { operation }
    }
}

#[cfg(test)]
mod tests;
