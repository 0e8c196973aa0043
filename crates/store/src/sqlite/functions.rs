//! The functions that SQL text may call, registered on every connection.
//!
//! What they compute is `mainstay-lang`'s, so that an expression means the same here and in memory. SQLite turns an
//! error of a function into text; the meter keeps what it was.

use std::sync::Arc;

use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;

use super::meter::Meter;
use crate::StoreError;

/// Registers everything.
pub(crate) fn register(connection: &Connection, meter: &Arc<Meter>) -> rusqlite::Result<()> {
    register_row_counter(connection, meter)
}

/// `ms_row()`: counts a nested row and is the empty text. Not deterministic, or SQLite would call it once.
fn register_row_counter(connection: &Connection, meter: &Arc<Meter>) -> rusqlite::Result<()> {
    let meter = meter.clone();
    connection.create_scalar_function("ms_row", 0, FunctionFlags::SQLITE_UTF8, move |_| {
        meter.count_row().map_err(|error| raise(&meter, error))?;
        Ok("")
    })
}

/// Keeps the error for whoever sees the statement fail.
fn raise(meter: &Meter, error: StoreError) -> rusqlite::Error {
    let words = error.to_string();
    meter.raise(error);
    rusqlite::Error::UserFunctionError(words.into())
}
