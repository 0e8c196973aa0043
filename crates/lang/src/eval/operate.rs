//! Arithmetic, functions and conversions on scalars: which operation of [`crate::ops`] fits the values.
//!
//! All are strict: null in, null out. What the type checker lets nobody write is an error.

use std::borrow::Cow;

use super::step::Step;
use super::{Env, EvalError, Scalar};
use crate::expr::{ArithmeticOp, Function};
use crate::ops::{number, text, time};
use crate::value::Duration;

use Scalar::{Bool, Bytes, Date, Decimal, Float, Int, List, Null, Text, Timestamp};

/// `left op right`; decimals at `scale`.
pub(super) fn arithmetic<'a>(
    op: ArithmeticOp,
    left: Scalar<'a>,
    right: Scalar<'a>,
    scale: u8,
) -> Result<Scalar<'a>, EvalError> {
    use ArithmeticOp::{Add, Sub};
    let duration = |micros: Option<i64>| micros.map_or(Null, |micros| Scalar::Duration(Duration(micros)));
    Ok(match (left, op, right) {
        (Null, ..) | (_, _, Null) => Null,
        (Int(a), op, Int(b)) => number::int(op, a, b)?.map_or(Null, Int),
        (Float(a), op, Float(b)) => number::float(op, a, b)?.map_or(Null, Float),
        (Decimal(a), op, Decimal(b)) => number::decimal(op, a, b, scale)?.map_or(Null, Decimal),
        (Timestamp(a), Add, Scalar::Duration(b)) => Timestamp(time::timestamp_add(a, b)?),
        (Timestamp(a), Sub, Scalar::Duration(b)) => Timestamp(time::timestamp_back(a, b)?),
        (Timestamp(a), Sub, Timestamp(b)) => Scalar::Duration(time::timestamp_sub(a, b)?),
        (Date(a), Add, Scalar::Duration(b)) => Date(time::date_add(a, b)?),
        (Date(a), Sub, Scalar::Duration(b)) => Date(time::date_back(a, b)?),
        (Date(a), Sub, Date(b)) => Scalar::Duration(time::date_sub(a, b)),
        (Scalar::Duration(a), op, Scalar::Duration(b)) => duration(number::int(op, a.0, b.0)?),
        (Scalar::Duration(a), op, Int(b)) => duration(number::int(op, a.0, b)?),
        _ => return Err(EvalError::Argument),
    })
}

/// `-value`
pub(super) fn negate(value: Scalar<'_>) -> Result<Scalar<'_>, EvalError> {
    Ok(match value {
        Null => Null,
        Int(a) => Int(number::int_negate(a)?),
        Float(a) => Float(number::finite(-a, "negation")?),
        Decimal(a) => Decimal(crate::value::Decimal { mantissa: -a.mantissa, scale: a.scale }),
        Scalar::Duration(a) => Scalar::Duration(Duration(number::int_negate(a.0)?)),
        _ => return Err(EvalError::Argument),
    })
}

/// A number as float.
pub(super) fn to_float(value: Scalar<'_>) -> Result<Scalar<'_>, EvalError> {
    match value {
        Int(a) => Ok(Float(a as f64)),
        Decimal(a) => Ok(Float(a.to_f64())),
        Float(a) => Ok(Float(a)),
        value => only_null(&value),
    }
}

/// A number as decimal of a scale.
pub(super) fn to_decimal(value: Scalar<'_>, scale: u8) -> Result<Scalar<'_>, EvalError> {
    match value {
        Int(a) => number::int_to_decimal(a, scale).map(Decimal),
        Decimal(a) => number::decimal_rescale(a, scale).map(Decimal),
        value => only_null(&value),
    }
}

/// A function of its arguments.
pub(super) fn call<'a>(function: Function, args: &'a [Step], env: &Env<'a>) -> Result<Scalar<'a>, EvalError> {
    match args {
        _ if function == Function::Concat => concat(args, env),
        [of] => unary(function, of.eval(env)?),
        [a, b] => binary(function, a.eval(env)?, b.eval(env)?),
        _ => Err(EvalError::Argument),
    }
}

fn unary(function: Function, value: Scalar<'_>) -> Result<Scalar<'_>, EvalError> {
    Ok(match (function, value) {
        (_, Null) => Null,
        (Function::Lower, Text(of)) => Text(map_text(of, text::lower)),
        (Function::Upper, Text(of)) => Text(map_text(of, text::upper)),
        (Function::Trim, Text(of)) => Text(map_text(of, |of| Cow::Borrowed(text::trim(of)))),
        (Function::Length, Text(of)) => Int(text::length(&of)),
        (Function::Length, Bytes(of)) => Int(of.len() as i64),
        (Function::Length, List(of)) => Int(of.len() as i64),
        (Function::Abs, Int(of)) => Int(number::int_abs(of)?),
        (Function::Abs, Float(of)) => Float(of.abs()),
        (Function::Abs, Decimal(of)) => {
            Decimal(crate::value::Decimal { mantissa: of.mantissa.abs(), scale: of.scale })
        }
        (Function::Abs, Scalar::Duration(of)) => Scalar::Duration(Duration(number::int_abs(of.0)?)),
        (function, Timestamp(of)) => calendar_part(function, of.date())?,
        (function, Date(of)) => calendar_part(function, of)?,
        _ => return Err(EvalError::Argument),
    })
}

fn calendar_part<'a>(function: Function, date: crate::value::Date) -> Result<Scalar<'a>, EvalError> {
    let (year, month, day) = date.civil();
    match function {
        Function::Year => Ok(Int(year)),
        Function::Month => Ok(Int(month)),
        Function::Day => Ok(Int(day)),
        _ => Err(EvalError::Argument),
    }
}

fn binary<'a>(function: Function, a: Scalar<'a>, b: Scalar<'a>) -> Result<Scalar<'a>, EvalError> {
    Ok(match (function, a, b) {
        (_, Null, _) | (_, _, Null) => Null,
        (Function::StartsWith, Text(a), Text(b)) => Bool(a.starts_with(&*b)),
        (Function::EndsWith, Text(a), Text(b)) => Bool(a.ends_with(&*b)),
        (Function::Like, Text(a), Text(b)) => Bool(text::like(&a, &b)?),
        (Function::Round, Float(a), Int(digits)) => Float(number::float_round(a, digits)?),
        (Function::Round, Decimal(a), Int(digits)) => Decimal(number::decimal_round(a, digits, a.scale)?),
        (Function::Round, Int(a), Int(digits)) => Int(number::int_round(a, digits)?),
        _ => return Err(EvalError::Argument),
    })
}

fn concat<'a>(args: &'a [Step], env: &Env<'a>) -> Result<Scalar<'a>, EvalError> {
    let mut joined = Some(String::new());
    for arg in args {
        match (arg.eval(env)?, &mut joined) {
            (Text(part), Some(joined)) => joined.push_str(&part),
            (Text(_), None) => {}
            (value, _) => {
                only_null(&value)?;
                joined = None;
            }
        }
    }
    Ok(joined.map_or(Null, |joined| Text(Cow::Owned(joined))))
}

/// Applies a function that may borrow from its argument to a text that may be owned.
fn map_text<'a>(of: Cow<'a, str>, map: impl for<'t> Fn(&'t str) -> Cow<'t, str>) -> Cow<'a, str> {
    match of {
        Cow::Borrowed(of) => map(of),
        Cow::Owned(of) => Cow::Owned(map(&of).into_owned()),
    }
}

/// What remains for strict operations: null stays null, all else is of a type that they don't take.
pub(super) fn only_null<'a>(value: &Scalar<'_>) -> Result<Scalar<'a>, EvalError> {
    if value.is_null() { Ok(Null) } else { Err(EvalError::Argument) }
}
