//! Sums that notice when they leave their range, whatever the order of the rows.
//!
//! SQLite's own `sum` of ints fails on a large partial sum although the whole fits, and answers null for no rows. Here
//! the total is kept in 128 bits, which no number of rows overflows, and looked at once, at the end. Null adds nothing.

use super::{OpError, SqlArg, SqlResult};
use crate::value::Decimal;

/// What a sum has come to.
#[derive(Clone, Copy, Debug, Default)]
pub struct SumState {
    total: i128,
}

/// One aggregate function of one argument.
#[derive(Clone, Copy, Debug)]
pub struct SqlAggregate {
    /// Its name, `ms_…`.
    pub name: &'static str,
    /// How many arguments it takes.
    pub args: i32,
    /// Takes the next row.
    pub step: fn(&mut SumState, &[SqlArg<'_>]) -> Result<(), OpError>,
    /// Answers; a group without rows has the default state.
    pub finish: fn(&SumState) -> Result<SqlResult, OpError>,
}

/// Every aggregate function.
pub const AGGREGATES: &[SqlAggregate] = &[
    // Sum of ints and durations.
    SqlAggregate {
        name: "ms_sum_int",
        args: 1,
        step,
        finish: |state| match i64::try_from(state.total) {
            Ok(total) => Ok(SqlResult::Int(total)),
            Err(_) => Err(OpError::overflow("a sum")),
        },
    },
    // Sum of the mantissas of one decimal column, at its scale.
    SqlAggregate {
        name: "ms_sum_dec",
        args: 1,
        step,
        finish: |state| match Decimal::new(state.total, 0) {
            Some(total) => Ok(SqlResult::Int(total.mantissa)),
            None => Err(OpError::overflow("a sum")),
        },
    },
];

fn step(state: &mut SumState, args: &[SqlArg<'_>]) -> Result<(), OpError> {
    match args {
        [SqlArg::Null] => Ok(()),
        [SqlArg::Int(value)] => {
            state.total += i128::from(*value);
            Ok(())
        }
        _ => Err(OpError::Argument),
    }
}
