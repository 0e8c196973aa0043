//! Typed values to PostgreSQL's binary format and back.
//!
//! The storage form of each type: `bool`, `int8`, `float8`, `numeric`, `text`, `uuid`, `date`, `time`, `timestamptz`,
//! durations as microseconds in `int8`, `bytea`; json and lists as JSON text. Statements cast their placeholders, so the
//! server's idea of a parameter's type is the type of the value. What a column holds otherwise is an error, never a guess.

use std::borrow::Cow;
use std::error::Error;

use bytes::{BufMut, BytesMut};
use mainstay_lang::types::Type;
use mainstay_lang::value::json::minify;
use mainstay_lang::value::{Date, Decimal, Duration, Time, Timestamp, Value};
use tokio_postgres::types::{Format, FromSql, IsNull, Kind, ToSql, Type as PgType, to_sql_checked};

use super::{arrays, numeric};
use crate::StoreError;

/// PostgreSQL counts days from 2000-01-01 and microseconds from its midnight; the language from 1970-01-01.
pub(crate) const EPOCH_DAYS: i32 = 10_957;
pub(crate) const EPOCH_US: i64 = 946_684_800_000_000;
pub(crate) const DAY_US: i64 = 86_400_000_000;

/// A value on its way to the server.
#[derive(Debug)]
pub(super) struct Bound<'v>(pub(super) &'v Value);

impl Bound<'_> {
    /// The type to announce where the server is not asked for it first. Where none is announced, the cast around the
    /// placeholder decides.
    pub(super) fn announced(&self) -> PgType {
        match self.0 {
            Value::Null | Value::Json(_) | Value::List(_) => PgType::UNKNOWN,
            Value::Bool(_) => PgType::BOOL,
            Value::Int(_) | Value::Duration(_) => PgType::INT8,
            Value::Float(_) => PgType::FLOAT8,
            Value::Decimal(_) => PgType::NUMERIC,
            Value::Text(_) => PgType::TEXT,
            Value::Uuid(_) => PgType::UUID,
            Value::Date(_) => PgType::DATE,
            Value::Time(_) => PgType::TIME,
            Value::Timestamp(_) => PgType::TIMESTAMPTZ,
            Value::Bytes(_) => PgType::BYTEA,
        }
    }
}

/// The type to announce of an array of values of a storage type.
pub(super) fn announced_array(of: &Type) -> PgType {
    match of {
        Type::Bool => PgType::BOOL_ARRAY,
        Type::Int | Type::Duration => PgType::INT8_ARRAY,
        Type::Float => PgType::FLOAT8_ARRAY,
        Type::Decimal { .. } => PgType::NUMERIC_ARRAY,
        Type::Uuid => PgType::UUID_ARRAY,
        Type::Date => PgType::DATE_ARRAY,
        Type::Time => PgType::TIME_ARRAY,
        Type::Timestamp => PgType::TIMESTAMPTZ_ARRAY,
        Type::Bytes => PgType::BYTEA_ARRAY,
        Type::Text { .. }
        | Type::Enum(_)
        | Type::File
        | Type::Json
        | Type::List(_)
        | Type::Ref(_)
        | Type::Null => PgType::TEXT_ARRAY,
    }
}

impl ToSql for Bound<'_> {
    fn to_sql(&self, ty: &PgType, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        if let (Value::List(items), Kind::Array(item)) = (self.0, ty.kind()) {
            return arrays::write(items, item, out).map(|()| IsNull::No);
        }
        match (self.0, ty) {
            (Value::Null, _) => return Ok(IsNull::Yes),
            (Value::Bool(value), &PgType::BOOL) => out.put_u8(u8::from(*value)),
            (Value::Int(value) | Value::Duration(Duration(value)), &PgType::INT8) => out.put_i64(*value),
            (Value::Int(value), &PgType::INT4) => out.put_i32(i32::try_from(*value)?),
            (Value::Float(value), &PgType::FLOAT8) => out.put_f64(*value),
            (Value::Decimal(value), &PgType::NUMERIC) => numeric::write(*value, out),
            (Value::Text(value), &PgType::TEXT | &PgType::VARCHAR | &PgType::BPCHAR | &PgType::NAME) => {
                out.put_slice(value.as_bytes());
            }
            (Value::Json(value), &PgType::JSON | &PgType::TEXT | &PgType::UNKNOWN) => {
                out.put_slice(value.as_bytes());
            }
            (Value::List(_), &PgType::JSON | &PgType::TEXT | &PgType::UNKNOWN) => {
                out.put_slice(self.0.to_json().as_bytes())
            }
            (Value::Json(_) | Value::List(_) | Value::Text(_), &PgType::JSONB) => {
                out.put_u8(1);
                match self.0 {
                    Value::Json(text) | Value::Text(text) => out.put_slice(text.as_bytes()),
                    list => out.put_slice(list.to_json().as_bytes()),
                }
            }
            (Value::Text(value), &PgType::JSON) => out.put_slice(value.as_bytes()),
            (Value::Uuid(value), &PgType::UUID) => out.put_slice(value.as_bytes()),
            (Value::Date(value), &PgType::DATE) => out.put_i32(value.0 - EPOCH_DAYS),
            (Value::Time(value), &PgType::TIME) => out.put_i64(value.0),
            (Value::Timestamp(value), &PgType::TIMESTAMPTZ | &PgType::TIMESTAMP) => {
                out.put_i64(value.0 - EPOCH_US);
            }
            (Value::Bytes(value), &PgType::BYTEA) => out.put_slice(value),
            (value, ty) => {
                return Err(
                    format!("a {} was given where the statement takes a {ty}", value.type_name()).into()
                );
            }
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &PgType) -> bool {
        // Said by `to_sql`, which knows the value as well.
        true
    }

    fn encode_format(&self, ty: &PgType) -> Format {
        if *ty == PgType::UNKNOWN { Format::Text } else { Format::Binary }
    }

    to_sql_checked!();
}

/// A column of a row as the server sent it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Raw<'r>(pub(super) &'r [u8]);

impl<'r> FromSql<'r> for Raw<'r> {
    fn from_sql(_: &PgType, raw: &'r [u8]) -> Result<Raw<'r>, Box<dyn Error + Sync + Send>> {
        Ok(Raw(raw))
    }

    fn accepts(_: &PgType) -> bool {
        true
    }
}

/// Reads a value of a storage type; null is read before.
pub(super) fn read(sent: &PgType, raw: &[u8], ty: &Type) -> Result<Value, StoreError> {
    let value = match ty {
        Type::Bool => bool(sent, raw).map(Value::Bool),
        Type::Int => return int(sent, raw).map(Value::Int),
        Type::Float => float(sent, raw).map(Value::Float),
        Type::Decimal { scale, .. } => decimal(sent, raw, *scale).map(Value::Decimal),
        Type::Text { .. } | Type::Enum(_) | Type::File => {
            text(sent, raw)?.map(|text| Value::Text(text.to_owned()))
        }
        Type::Uuid => uuid(sent, raw).map(Value::Uuid),
        Type::Date => date(sent, raw).map(Value::Date),
        Type::Time => time(sent, raw).map(Value::Time),
        Type::Timestamp => timestamp(sent, raw).map(Value::Timestamp),
        Type::Duration => return int(sent, raw).map(|us| Value::Duration(Duration(us))),
        Type::Bytes => (*sent == PgType::BYTEA).then(|| Value::Bytes(raw.to_owned())),
        Type::Json => match json(sent, raw)? {
            Some(text) => Some(Value::Json(utf8(&text)?.to_owned())),
            None => None,
        },
        Type::List(_) => match json(sent, raw)? {
            Some(text) => Value::from_json(utf8(&text)?, ty).ok(),
            None => None,
        },
        Type::Null | Type::Ref(_) => None,
    };
    value.ok_or_else(|| mismatch(sent, ty))
}

pub(super) fn bool(sent: &PgType, raw: &[u8]) -> Option<bool> {
    match (sent, raw) {
        (&PgType::BOOL, [byte]) => Some(*byte != 0),
        _ => None,
    }
}

/// A whole number. Sums of integers come as `numeric`, which may be beyond the language's range.
pub(super) fn int(sent: &PgType, raw: &[u8]) -> Result<i64, StoreError> {
    let value = match *sent {
        PgType::INT8 => raw.try_into().ok().map(i64::from_be_bytes),
        PgType::INT4 => raw.try_into().ok().map(|raw| i64::from(i32::from_be_bytes(raw))),
        PgType::INT2 => raw.try_into().ok().map(|raw| i64::from(i16::from_be_bytes(raw))),
        PgType::NUMERIC => {
            let value = numeric::read(raw, 0).map(|whole| whole.mantissa);
            return value.ok_or_else(|| StoreError::Arithmetic("a whole number is out of range".to_owned()));
        }
        _ => None,
    };
    value.ok_or_else(|| mismatch(sent, &Type::Int))
}

/// A finite float, never the negative zero.
pub(super) fn float(sent: &PgType, raw: &[u8]) -> Option<f64> {
    let value = match *sent {
        PgType::FLOAT8 => f64::from_be_bytes(raw.try_into().ok()?),
        PgType::FLOAT4 => f64::from(f32::from_be_bytes(raw.try_into().ok()?)),
        _ => return None,
    };
    // Adding zero makes the negative zero positive.
    value.is_finite().then_some(value + 0.0)
}

pub(super) fn decimal(sent: &PgType, raw: &[u8], scale: u8) -> Option<Decimal> {
    if *sent == PgType::NUMERIC { numeric::read(raw, scale) } else { None }
}

pub(super) fn uuid(sent: &PgType, raw: &[u8]) -> Option<uuid::Uuid> {
    if *sent == PgType::UUID { uuid::Uuid::from_slice(raw).ok() } else { None }
}

pub(super) fn date(sent: &PgType, raw: &[u8]) -> Option<Date> {
    // Infinity is the largest number and out of the calendar's range.
    let days = if *sent == PgType::DATE { i32::from_be_bytes(raw.try_into().ok()?) } else { return None };
    Date::from_days(i64::from(days) + i64::from(EPOCH_DAYS))
}

pub(super) fn time(sent: &PgType, raw: &[u8]) -> Option<Time> {
    let us = if *sent == PgType::TIME { i64::from_be_bytes(raw.try_into().ok()?) } else { return None };
    // PostgreSQL has 24:00:00 as well.
    (0..DAY_US).contains(&us).then_some(Time(us))
}

pub(super) fn timestamp(sent: &PgType, raw: &[u8]) -> Option<Timestamp> {
    match *sent {
        PgType::TIMESTAMPTZ | PgType::TIMESTAMP => {
            let us = i64::from_be_bytes(raw.try_into().ok()?);
            Timestamp::from_micros(us.checked_add(EPOCH_US)?)
        }
        _ => None,
    }
}

/// A text of the server, which sends none that is not UTF-8. `None`: the column is of another type.
pub(super) fn text<'r>(sent: &PgType, raw: &'r [u8]) -> Result<Option<&'r str>, StoreError> {
    text_bytes(sent, raw).map(utf8).transpose()
}

/// The bytes of a text, for whoever looks later whether they are UTF-8.
pub(super) fn text_bytes<'r>(sent: &PgType, raw: &'r [u8]) -> Option<&'r [u8]> {
    let is_text = matches!(
        *sent,
        PgType::TEXT
            | PgType::VARCHAR
            | PgType::BPCHAR
            | PgType::NAME
            | PgType::JSON
            | PgType::XML
            | PgType::UNKNOWN
    );
    is_text.then_some(raw)
}

/// JSON in the form in which the language writes it. `jsonb` has spaces of its own between its tokens.
pub(super) fn json<'r>(sent: &PgType, raw: &'r [u8]) -> Result<Option<Cow<'r, [u8]>>, StoreError> {
    if *sent != PgType::JSONB {
        return Ok(text_bytes(sent, raw).map(Cow::Borrowed));
    }
    let Some((1, text)) = raw.split_first() else { return Ok(None) };
    Ok(minify(utf8(text)?).ok().map(|text| Cow::Owned(text.into_bytes())))
}

fn utf8(raw: &[u8]) -> Result<&str, StoreError> {
    std::str::from_utf8(raw)
        .map_err(|_| StoreError::Corrupt { detail: "a text in the database is not UTF-8".to_owned() })
}

/// A result that is not of the type that the statement promised.
pub(super) fn mismatch(sent: &PgType, ty: &Type) -> StoreError {
    StoreError::Misfit { detail: format!("the database sent a {sent} that is no {ty}") }
}
