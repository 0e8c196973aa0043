//! The operations as SQLite functions: names, arities and adapters, in one table.
//!
//! SQL text calls these by name wherever SQLite's own operator differs from the language (overflow, division by zero,
//! case, decimals, stored texts of times). Whoever opens a connection registers the whole table, as deterministic and
//! innocuous. The values are those of the storage format; nothing here knows a database driver.
//!
//! Null in, null out, for every function: adapters match what they work on, and all else is null or an error.
//! Left to SQLite itself: comparisons, `and`/`or`/`not`, `coalesce`, `case`, `||`, the calendar parts
//! (`CAST(substr(x, 1, 4) AS INTEGER)`), int to float (`CAST(x AS REAL)`), JSON quoting.

mod aggregate;
mod objects;
mod stored;
mod theirs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::{OpError, cursor, list, number, text, time};
use crate::expr::ArithmeticOp;
use crate::value::{Date, Decimal, Duration, Timestamp, json};

pub use aggregate::{AGGREGATES, SqlAggregate, SumState};
pub use objects::{OBJECTS, ObjectArg, ObjectsState};

/// A value that SQLite hands to a function.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SqlArg<'a> {
    /// NULL
    Null,
    /// INTEGER
    Int(i64),
    /// REAL
    Real(f64),
    /// TEXT
    Text(&'a str),
    /// BLOB
    Blob(&'a [u8]),
}

/// What a function answers.
#[derive(Clone, Debug, PartialEq)]
pub enum SqlResult {
    /// NULL
    Null,
    /// INTEGER
    Int(i64),
    /// REAL
    Real(f64),
    /// TEXT
    Text(String),
    /// BLOB
    Blob(Vec<u8>),
}

/// One scalar function.
#[derive(Clone, Copy, Debug)]
pub struct SqlFunction {
    /// Its name, `ms_…`.
    pub name: &'static str,
    /// How many arguments it takes; −1: any number.
    pub args: i32,
    /// What it computes.
    pub call: fn(&[SqlArg<'_>]) -> Result<SqlResult, OpError>,
}

use SqlArg::{Blob, Int, Real, Text};

const fn function(
    name: &'static str,
    args: i32,
    call: fn(&[SqlArg<'_>]) -> Result<SqlResult, OpError>,
) -> SqlFunction {
    SqlFunction { name, args, call }
}

/// Every scalar function. In the comments, `m` is a decimal's mantissa and `s` its scale.
pub const FUNCTIONS: &[SqlFunction] = &[
    // What others wrote, as the language has it; and the language's values as others write them.
    function("ms_their_int", 1, |args| alone(args, theirs::int)),
    function("ms_their_bool", 1, |args| alone(args, theirs::bool)),
    function("ms_their_real", 1, |args| alone(args, theirs::real)),
    function("ms_their_text", 1, |args| alone(args, theirs::text)),
    function("ms_their_date", 1, |args| alone(args, theirs::date)),
    function("ms_their_time", 1, |args| alone(args, theirs::time)),
    function("ms_their_ts", 1, |args| alone(args, theirs::timestamp)),
    function("ms_their_json", 1, |args| alone(args, theirs::json)),
    function("ms_their_blob", 1, |args| alone(args, theirs::blob)),
    function("ms_their_dec", 2, |args| match args {
        [value, Int(scale)] => theirs::decimal(*value, *scale),
        _ => other(args),
    }),
    function("ms_to_their_dec", 2, |args| match args {
        [Int(mantissa), Int(scale)] => theirs::to_number(*mantissa, *scale),
        _ => other(args),
    }),
    function("ms_to_their_ts", 2, |args| match args {
        [Text(text), Int(code)] => theirs::to_instant(text, *code),
        _ => other(args),
    }),
    // Ints (durations too) or floats; both arguments of one kind. Division by zero is null.
    function("ms_add", 2, |args| arithmetic(ArithmeticOp::Add, args)),
    function("ms_sub", 2, |args| arithmetic(ArithmeticOp::Sub, args)),
    function("ms_mul", 2, |args| arithmetic(ArithmeticOp::Mul, args)),
    function("ms_div", 2, |args| arithmetic(ArithmeticOp::Div, args)),
    function("ms_rem", 2, |args| arithmetic(ArithmeticOp::Rem, args)),
    // -x and magnitude, of ints, floats and mantissas.
    function("ms_neg", 1, |args| match args {
        [Int(a)] => number::int_negate(*a).map(SqlResult::Int),
        [Real(a)] => number::finite(-a, "negation").map(SqlResult::Real),
        _ => other(args),
    }),
    function("ms_abs", 1, |args| match args {
        [Int(a)] => number::int_abs(*a).map(SqlResult::Int),
        [Real(a)] => Ok(SqlResult::Real(a.abs())),
        _ => other(args),
    }),
    // (x, n): float x rounded to n digits after the point, half away from zero.
    function("ms_round_real", 2, |args| match args {
        [Real(a), Int(digits)] => number::float_round(*a, *digits).map(SqlResult::Real),
        _ => other(args),
    }),
    // (x, n): int x rounded to 10^-n when n is negative.
    function("ms_round_int", 2, |args| match args {
        [Int(a), Int(digits)] => number::int_round(*a, *digits).map(SqlResult::Int),
        _ => other(args),
    }),
    // (m, m) of one scale, which the result has too.
    function("ms_dec_add", 2, |args| same_scale(ArithmeticOp::Add, args)),
    function("ms_dec_sub", 2, |args| same_scale(ArithmeticOp::Sub, args)),
    function("ms_dec_rem", 2, |args| same_scale(ArithmeticOp::Rem, args)),
    // (m, s, m, s, scale of the result), rounded half away from zero.
    function("ms_dec_mul", 5, |args| any_scale(ArithmeticOp::Mul, args)),
    function("ms_dec_div", 5, |args| any_scale(ArithmeticOp::Div, args)),
    // (m, from, to): at another scale; (int, 0, to) makes a decimal of an int.
    function("ms_dec_rescale", 3, |args| match args {
        [Int(m), Int(from), Int(to)] => mantissa(number::decimal_rescale(decimal(*m, *from)?, scale(*to)?)),
        _ => other(args),
    }),
    // (m, s, n, to): rounded to n digits after the point, at scale `to`.
    function("ms_dec_round", 4, |args| match args {
        [Int(m), Int(s), Int(digits), Int(to)] => {
            mantissa(number::decimal_round(decimal(*m, *s)?, *digits, scale(*to)?))
        }
        _ => other(args),
    }),
    // (m, s): the wire text, `1000.50`.
    function("ms_dec_text", 2, |args| match args {
        [Int(m), Int(s)] => Ok(SqlResult::Text(decimal(*m, *s)?.to_string())),
        _ => other(args),
    }),
    // (m, s): the nearest float.
    function("ms_dec_real", 2, |args| match args {
        [Int(m), Int(s)] => Ok(SqlResult::Real(decimal(*m, *s)?.to_f64())),
        _ => other(args),
    }),
    // (text, needle): 1 when it contains it, ASCII letters without case.
    function("ms_contains", 2, |args| test(args, text::contains)),
    // (text, pattern): `%`, `_`, `\` escapes, case-sensitive.
    function("ms_like", 2, |args| match args {
        [Text(a), Text(b)] => text::like(a, b).map(|matches| SqlResult::Int(i64::from(matches))),
        _ => other(args),
    }),
    // (text, start), (text, end): case-sensitive.
    function("ms_starts", 2, |args| test(args, |text, start| text.starts_with(start))),
    function("ms_ends", 2, |args| test(args, |text, end| text.ends_with(end))),
    function("ms_lower", 1, |args| match args {
        [Text(a)] => Ok(SqlResult::Text(text::lower(a).into_owned())),
        _ => other(args),
    }),
    function("ms_upper", 1, |args| match args {
        [Text(a)] => Ok(SqlResult::Text(text::upper(a).into_owned())),
        _ => other(args),
    }),
    function("ms_trim", 1, |args| match args {
        [Text(a)] => Ok(SqlResult::Text(text::trim(a).to_owned())),
        _ => other(args),
    }),
    // Code points of a text, bytes of a blob.
    function("ms_length", 1, |args| match args {
        [Text(a)] => Ok(SqlResult::Int(text::length(a))),
        [Blob(a)] => Ok(SqlResult::Int(a.len() as i64)),
        _ => other(args),
    }),
    // (timestamp, micros): moved forward; (timestamp, timestamp): micros between them.
    function("ms_ts_add", 2, |args| match args {
        [Text(at), Int(by)] => time_text(time::timestamp_add(timestamp(at)?, Duration(*by))),
        _ => other(args),
    }),
    function("ms_ts_back", 2, |args| match args {
        [Text(at), Int(by)] => time_text(time::timestamp_back(timestamp(at)?, Duration(*by))),
        _ => other(args),
    }),
    function("ms_ts_sub", 2, |args| match args {
        [Text(a), Text(b)] => {
            time::timestamp_sub(timestamp(a)?, timestamp(b)?).map(|span| SqlResult::Int(span.0))
        }
        _ => other(args),
    }),
    // The same of dates, which move by whole days.
    function("ms_date_add", 2, |args| match args {
        [Text(at), Int(by)] => time_text(time::date_add(date(at)?, Duration(*by))),
        _ => other(args),
    }),
    function("ms_date_back", 2, |args| match args {
        [Text(at), Int(by)] => time_text(time::date_back(date(at)?, Duration(*by))),
        _ => other(args),
    }),
    function("ms_date_sub", 2, |args| match args {
        [Text(a), Text(b)] => Ok(SqlResult::Int(time::date_sub(date(a)?, date(b)?).0)),
        _ => other(args),
    }),
    // (micros): the wire text, ISO 8601.
    function("ms_duration_text", 1, |args| match args {
        [Int(micros)] => Ok(SqlResult::Text(Duration(*micros).to_string())),
        _ => other(args),
    }),
    // (blob): the wire text.
    function("ms_base64", 1, |args| match args {
        [Blob(bytes)] => Ok(SqlResult::Text(BASE64.encode(bytes))),
        _ => other(args),
    }),
    // (float): the shortest JSON number that reads back the same.
    function("ms_float_text", 1, |args| match args {
        [Real(a)] => number::float_text(*a).map(SqlResult::Text),
        _ => other(args),
    }),
    // (json, member, member, …): the scalar there as text; null when there is none.
    function("ms_json_path", -1, json_path),
    // (list, wire JSON text of an item): 1 when it has such an item; the list with it at the end; without it.
    // An item that is the JSON `null` is unknown: lists hold no nulls, and JSON functions make that text of one.
    function("ms_list_contains", 2, |args| match args {
        [Text(_), Text("null")] => Ok(SqlResult::Null),
        _ => test(args, list::contains),
    }),
    function("ms_list_append", 2, |args| match args {
        [Text(of), Text(item)] => Ok(SqlResult::Text(list::append(of, item))),
        _ => other(args),
    }),
    function("ms_list_remove", 2, |args| match args {
        [Text(of), Text(item)] => Ok(SqlResult::Text(list::remove(of, item))),
        _ => other(args),
    }),
    // (list): how many items.
    function("ms_list_length", 1, |args| match args {
        [Text(of)] => Ok(SqlResult::Int(list::length(of))),
        _ => other(args),
    }),
    // (tag, JSON array): the opaque cursor, see `ops::cursor`.
    function("ms_cursor", 2, |args| match args {
        [Text(tag), Text(values)] => Ok(SqlResult::Text(cursor::encode(tag, values))),
        _ => other(args),
    }),
];

/// What a function answers to arguments that it doesn't work on: null when one is null, else an error.
fn other(args: &[SqlArg<'_>]) -> Result<SqlResult, OpError> {
    if args.contains(&SqlArg::Null) { Ok(SqlResult::Null) } else { Err(OpError::Argument) }
}

fn arithmetic(op: ArithmeticOp, args: &[SqlArg<'_>]) -> Result<SqlResult, OpError> {
    match args {
        [Int(a), Int(b)] => Ok(number::int(op, *a, *b)?.map_or(SqlResult::Null, SqlResult::Int)),
        [Real(a), Real(b)] => Ok(number::float(op, *a, *b)?.map_or(SqlResult::Null, SqlResult::Real)),
        _ => other(args),
    }
}

/// One argument, handed on.
fn alone(
    args: &[SqlArg<'_>],
    call: fn(SqlArg<'_>) -> Result<SqlResult, OpError>,
) -> Result<SqlResult, OpError> {
    match args {
        [value] => call(*value),
        _ => other(args),
    }
}

fn same_scale(op: ArithmeticOp, args: &[SqlArg<'_>]) -> Result<SqlResult, OpError> {
    match args {
        [Int(a), Int(b)] => {
            let result = number::decimal(op, decimal(*a, 0)?, decimal(*b, 0)?, 0)?;
            Ok(result.map_or(SqlResult::Null, |result| SqlResult::Int(result.mantissa)))
        }
        _ => other(args),
    }
}

fn any_scale(op: ArithmeticOp, args: &[SqlArg<'_>]) -> Result<SqlResult, OpError> {
    match args {
        [Int(a), Int(a_scale), Int(b), Int(b_scale), Int(to)] => {
            let (a, b) = (decimal(*a, *a_scale)?, decimal(*b, *b_scale)?);
            let result = number::decimal(op, a, b, scale(*to)?)?;
            Ok(result.map_or(SqlResult::Null, |result| SqlResult::Int(result.mantissa)))
        }
        _ => other(args),
    }
}

fn test(args: &[SqlArg<'_>], test: fn(&str, &str) -> bool) -> Result<SqlResult, OpError> {
    match args {
        [Text(a), Text(b)] => Ok(SqlResult::Int(i64::from(test(a, b)))),
        _ => other(args),
    }
}

fn json_path(args: &[SqlArg<'_>]) -> Result<SqlResult, OpError> {
    let Some((Text(json), members)) = args.split_first() else { return other(args) };
    let member = |arg: &SqlArg<'_>| match arg {
        Text(name) => Ok((*name).to_owned()),
        _ => Err(OpError::Argument),
    };
    let path = members.iter().map(member).collect::<Result<Vec<_>, _>>()?;
    Ok(json::scalar_at(json, &path).map_or(SqlResult::Null, |scalar| SqlResult::Text(scalar.into_owned())))
}

fn scale(scale: i64) -> Result<u8, OpError> {
    u8::try_from(scale).ok().filter(|scale| *scale <= Decimal::DIGITS_MAX).ok_or(OpError::Argument)
}

/// An int that is to become a decimal may be too large for one, so the error is an overflow.
fn decimal(mantissa: i64, of_scale: i64) -> Result<Decimal, OpError> {
    let too_large = OpError::overflow("a conversion to decimal");
    Decimal::new(mantissa.into(), scale(of_scale)?).ok_or(too_large)
}

fn mantissa(result: Result<Decimal, OpError>) -> Result<SqlResult, OpError> {
    result.map(|decimal| SqlResult::Int(decimal.mantissa))
}

fn timestamp(text: &str) -> Result<Timestamp, OpError> {
    Timestamp::parse(text).ok_or(OpError::Argument)
}

fn date(text: &str) -> Result<Date, OpError> {
    Date::parse(text).ok_or(OpError::Argument)
}

fn time_text(result: Result<impl ToString, OpError>) -> Result<SqlResult, OpError> {
    result.map(|time| SqlResult::Text(time.to_string()))
}
