//! Typed values to SQLite's and back.
//!
//! The storage form of each type: truth values 0 and 1, decimals their mantissa, durations microseconds, uuids and
//! times text that sorts as they do, lists JSON text. What a column holds otherwise was not written here and is an
//! error, never a guess.

use rusqlite::Statement;
use rusqlite::types::{Null, ValueRef};

use mainstay_lang::types::Type;
use mainstay_lang::value::{Date, Decimal, Duration, Time, Timestamp, Value};

use crate::StoreError;

/// Binds one value; `index` counts from 1.
pub(crate) fn bind(statement: &mut Statement<'_>, index: usize, value: &Value) -> rusqlite::Result<()> {
    match value {
        Value::Null => statement.raw_bind_parameter(index, Null),
        Value::Bool(value) => statement.raw_bind_parameter(index, value),
        Value::Int(value) => statement.raw_bind_parameter(index, value),
        Value::Float(value) => statement.raw_bind_parameter(index, value),
        Value::Decimal(value) => statement.raw_bind_parameter(index, value.mantissa),
        Value::Text(value) | Value::Json(value) => statement.raw_bind_parameter(index, value.as_str()),
        Value::Uuid(value) => {
            let mut buffer = [0; 36];
            statement.raw_bind_parameter(index, &*value.hyphenated().encode_lower(&mut buffer))
        }
        Value::Date(value) => statement.raw_bind_parameter(index, value.to_ascii().as_str()),
        Value::Time(value) => statement.raw_bind_parameter(index, value.to_ascii().as_str()),
        Value::Timestamp(value) => statement.raw_bind_parameter(index, value.to_ascii().as_str()),
        Value::Duration(value) => statement.raw_bind_parameter(index, value.0),
        Value::Bytes(value) => statement.raw_bind_parameter(index, value.as_slice()),
        Value::List(_) => statement.raw_bind_parameter(index, value.to_json().as_str()),
    }
}

/// Reads a value of a storage type.
pub(crate) fn read(stored: ValueRef<'_>, ty: &Type) -> Result<Value, StoreError> {
    let value = match (ty, stored) {
        (_, ValueRef::Null) => Some(Value::Null),
        (Type::Bool, ValueRef::Integer(value)) => Some(Value::Bool(value != 0)),
        (Type::Int, ValueRef::Integer(value)) => Some(Value::Int(value)),
        (Type::Float, stored) => real(stored).map(Value::Float),
        (Type::Decimal { scale, .. }, ValueRef::Integer(mantissa)) => {
            Some(Value::Decimal(Decimal { mantissa, scale: *scale }))
        }
        (Type::Duration, ValueRef::Integer(value)) => Some(Value::Duration(Duration(value))),
        (Type::Bytes, ValueRef::Blob(value)) => Some(Value::Bytes(value.to_owned())),
        (ty, ValueRef::Text(text)) => std::str::from_utf8(text).ok().and_then(|text| read_text(text, ty)),
        _ => None,
    };
    value.ok_or_else(|| mismatch(stored, ty))
}

fn read_text(text: &str, ty: &Type) -> Option<Value> {
    match ty {
        Type::Text { .. } | Type::Enum(_) | Type::File => Some(Value::Text(text.to_owned())),
        Type::Uuid => text.parse().ok().map(Value::Uuid),
        Type::Date => Date::parse(text).map(Value::Date),
        Type::Time => Time::parse(text).map(Value::Time),
        Type::Timestamp => Timestamp::parse(text).map(Value::Timestamp),
        Type::Json => Some(Value::Json(text.to_owned())),
        Type::List(_) => Value::from_json(text, ty).ok(),
        _ => None,
    }
}

/// A finite float. Expressions may yield whole numbers, and SQLite stores those of a REAL column as such.
pub(crate) fn real(stored: ValueRef<'_>) -> Option<f64> {
    let value = match stored {
        ValueRef::Real(value) => value,
        ValueRef::Integer(value) => value as f64,
        _ => return None,
    };
    // Adding zero makes the negative zero positive.
    value.is_finite().then_some(value + 0.0)
}

/// A result that is not of the type that the statement promised.
pub(crate) fn mismatch(stored: ValueRef<'_>, ty: &Type) -> StoreError {
    StoreError::Misfit {
        detail: format!("the database holds a {} where a {ty} should be", stored.data_type()),
    }
}
