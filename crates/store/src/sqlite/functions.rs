//! The functions that SQL text may call, registered on every connection.
//!
//! What they compute is `mainstay-lang`'s, so that an expression means the same here and in memory. SQLite turns an
//! error of a function into text; the meter keeps what it was. They are innocuous: indexes and constraints may use
//! them although the schema is not trusted.

use std::sync::Arc;

use mainstay_lang::ops::OpError;
use mainstay_lang::ops::sqlite::{
    AGGREGATES, FUNCTIONS, OBJECTS, ObjectArg, ObjectsState, SqlAggregate, SqlArg, SqlFunction, SqlResult,
    SumState,
};
use rusqlite::functions::{Aggregate, Context, FunctionFlags};
use rusqlite::types::{Null, ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, ToSql};

use super::connection::VALUE_BYTES_MAX;
use super::meter::Meter;
use crate::StoreError;

/// Arguments that are handed over without an allocation; most functions take fewer.
const ARGS_ON_STACK: usize = 6;

/// Registers everything.
pub(crate) fn register(connection: &Connection, meter: &Arc<Meter>) -> rusqlite::Result<()> {
    register_row_counter(connection, meter)?;
    register_page_watch(connection, meter)?;
    register_objects(connection, meter)?;
    FUNCTIONS.iter().try_for_each(|function| register_function(connection, meter, function))?;
    AGGREGATES.iter().try_for_each(|aggregate| register_aggregate(connection, meter, aggregate))
}

/// `ms_rows(n)`: counts nested rows and is null. Not deterministic, or SQLite would call it once.
fn register_row_counter(connection: &Connection, meter: &Arc<Meter>) -> rusqlite::Result<()> {
    let meter = meter.clone();
    connection.create_scalar_function("ms_rows", 1, FunctionFlags::SQLITE_UTF8, move |context| {
        let rows: i64 = context.get(0)?;
        meter.count_rows(rows.unsigned_abs()).map_err(|error| raise(&meter, error))?;
        Ok(Null)
    })
}

/// `ms_kept()`: whether the row that is being made is one of the page. Not deterministic, for the next may be none.
fn register_page_watch(connection: &Connection, meter: &Arc<Meter>) -> rusqlite::Result<()> {
    let meter = meter.clone();
    connection.create_scalar_function("ms_kept", 0, FunctionFlags::SQLITE_UTF8, move |_| Ok(meter.is_kept()))
}

/// `ms_objects(template, …)`: a list of nested rows, which it counts. Not deterministic, as `ms_rows` is not.
fn register_objects(connection: &Connection, meter: &Arc<Meter>) -> rusqlite::Result<()> {
    let objects = Objects { meter: meter.clone() };
    connection.create_aggregate_function(OBJECTS, -1, FunctionFlags::SQLITE_UTF8, objects)
}

fn pure() -> FunctionFlags {
    FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS
}

fn register_function(
    connection: &Connection,
    meter: &Arc<Meter>,
    function: &'static SqlFunction,
) -> rusqlite::Result<()> {
    let meter = meter.clone();
    connection.create_scalar_function(function.name, function.args, pure(), move |context| {
        with_args(context, |args| (function.call)(args))
            .map(into_value)
            .map_err(|error| raise_op(&meter, error))
    })
}

fn register_aggregate(
    connection: &Connection,
    meter: &Arc<Meter>,
    aggregate: &'static SqlAggregate,
) -> rusqlite::Result<()> {
    let sum = Sum { aggregate, meter: meter.clone() };
    connection.create_aggregate_function(aggregate.name, aggregate.args, pure(), sum)
}

struct Sum {
    aggregate: &'static SqlAggregate,
    meter: Arc<Meter>,
}

impl Aggregate<SumState, Value> for Sum {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<SumState> {
        Ok(SumState::default())
    }

    fn step(&self, context: &mut Context<'_>, state: &mut SumState) -> rusqlite::Result<()> {
        // Called for each row: room for more arguments than the one that there is takes longer than adding it up.
        arg_of(context.get_raw(0))
            .and_then(|arg| (self.aggregate.step)(state, &[arg]))
            .map_err(|error| raise_op(&self.meter, error))
    }

    fn finalize(&self, _: &mut Context<'_>, state: Option<SumState>) -> rusqlite::Result<Value> {
        (self.aggregate.finish)(&state.unwrap_or_default())
            .map(into_value)
            .map_err(|error| raise_op(&self.meter, error))
    }
}

struct Objects {
    meter: Arc<Meter>,
}

/// A list as the text that it is.
struct List(Vec<u8>);

impl ToSql for List {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(&self.0)))
    }
}

impl Aggregate<ObjectsState, List> for Objects {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<ObjectsState> {
        Ok(ObjectsState::default())
    }

    /// Rows are counted as they come: SQLite asks for the result of what it has cut short as well.
    fn step(&self, context: &mut Context<'_>, state: &mut ObjectsState) -> rusqlite::Result<()> {
        self.meter.count_rows(1).map_err(|error| raise(&self.meter, error))?;
        if state.bytes() as u64 > VALUE_BYTES_MAX {
            return Err(raise(&self.meter, StoreError::ByteLimit { limit: VALUE_BYTES_MAX }));
        }
        let count = context.len();
        let arg = |index| match if index < count { context.get_raw(index) } else { ValueRef::Real(0.0) } {
            ValueRef::Null => ObjectArg::Null,
            ValueRef::Integer(value) => ObjectArg::Int(value),
            ValueRef::Text(text) => ObjectArg::Text(text),
            ValueRef::Real(_) | ValueRef::Blob(_) => ObjectArg::Other,
        };
        state.push(arg).map_err(|error| raise_op(&self.meter, error))
    }

    fn finalize(&self, _: &mut Context<'_>, state: Option<ObjectsState>) -> rusqlite::Result<List> {
        Ok(List(state.unwrap_or_default().finish()))
    }
}

/// Hands the arguments over as the language's functions take them.
fn with_args<R>(
    context: &Context<'_>,
    call: impl FnOnce(&[SqlArg<'_>]) -> Result<R, OpError>,
) -> Result<R, OpError> {
    let count = context.len();
    if count <= ARGS_ON_STACK {
        let mut args = [SqlArg::Null; ARGS_ON_STACK];
        for (index, arg) in args[..count].iter_mut().enumerate() {
            *arg = arg_of(context.get_raw(index))?;
        }
        return call(&args[..count]);
    }
    let args: Vec<SqlArg<'_>> =
        (0..count).map(|index| arg_of(context.get_raw(index))).collect::<Result<_, _>>()?;
    call(&args)
}

fn arg_of(value: ValueRef<'_>) -> Result<SqlArg<'_>, OpError> {
    Ok(match value {
        ValueRef::Null => SqlArg::Null,
        ValueRef::Integer(value) => SqlArg::Int(value),
        ValueRef::Real(value) => SqlArg::Real(value),
        ValueRef::Text(text) => SqlArg::Text(std::str::from_utf8(text).map_err(|_| OpError::Argument)?),
        ValueRef::Blob(bytes) => SqlArg::Blob(bytes),
    })
}

fn into_value(result: SqlResult) -> Value {
    match result {
        SqlResult::Null => Value::Null,
        SqlResult::Int(value) => Value::Integer(value),
        SqlResult::Real(value) => Value::Real(value),
        SqlResult::Text(text) => Value::Text(text),
        SqlResult::Blob(bytes) => Value::Blob(bytes),
    }
}

fn raise_op(meter: &Meter, error: OpError) -> rusqlite::Error {
    let words = error.to_string();
    raise(
        meter,
        match error {
            OpError::Overflow { .. } | OpError::PatternTooLong => StoreError::Arithmetic(words),
            OpError::Misfit { .. } => StoreError::Misfit { detail: words },
            OpError::Argument => StoreError::Other(words),
        },
    )
}

/// Keeps the error for whoever sees the statement fail.
fn raise(meter: &Meter, error: StoreError) -> rusqlite::Error {
    let words = error.to_string();
    meter.raise(error);
    rusqlite::Error::UserFunctionError(words.into())
}
