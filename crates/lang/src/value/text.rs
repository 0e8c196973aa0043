//! Values as bare text: CSV cells, keys in paths, literals.
//!
//! The inverse of each other: what [`std::fmt::Display`] writes for a value that is not null, [`Value::parse_text`]
//! reads as the same value. Null has no text; its readers decide what an empty cell means.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use uuid::Uuid;

use super::decimal::DecimalError;
use super::error::ValueErrorKind;
use super::{Date, Decimal, Duration, Time, Timestamp, Value, ValueError, json};
use crate::types::Type;

impl Value {
    /// Reads the bare text of a value that is not null. Json and lists are given as JSON text.
    pub fn parse_text(text: &str, ty: &Type) -> Result<Value, ValueError> {
        match ty {
            Type::Bool => match text {
                "true" => Ok(Value::Bool(true)),
                "false" => Ok(Value::Bool(false)),
                _ => Err(ValueError::format("must be true or false")),
            },
            Type::Int => parse_int(text),
            Type::Float => parse_float(text),
            Type::Decimal { precision, scale } => fit_decimal(Decimal::parse(text), *precision, *scale),
            Type::Json => json::minify(text).map(Value::Json),
            Type::List(_) => {
                let raw = serde_json::from_str::<&serde_json::value::RawValue>(text);
                Value::from_json(raw.map_err(|_| ValueError::format("must be a JSON array"))?.get(), ty)
            }
            _ => parse_texty(text, ty),
        }
    }

    /// Whether a text is no longer than `text(n)` allows, in lists too.
    ///
    /// Apart from parsing, because `trim` comes between the two.
    pub fn check_length(&self, ty: &Type) -> Result<(), ValueError> {
        match (self, ty) {
            (Value::Text(text), Type::Text { max: Some(max) }) => {
                // Code points are never more than bytes, so most texts need not be counted.
                let longest = *max as usize;
                if text.len() > longest && text.chars().count() > longest {
                    return Err(ValueError::range(format!("must not be longer than {max} characters")));
                }
                Ok(())
            }
            (Value::List(items), Type::List(of)) => items
                .iter()
                .enumerate()
                .try_for_each(|(index, item)| item.check_length(of).map_err(|error| error.in_item(index))),
            _ => Ok(()),
        }
    }
}

/// Reads the types that are a string on the wire.
pub(super) fn parse_texty(text: &str, ty: &Type) -> Result<Value, ValueError> {
    match ty {
        Type::Text { .. } | Type::File => {
            if text.contains('\0') { Err(ValueError::nul()) } else { Ok(Value::Text(text.to_owned())) }
        }
        Type::Enum(of) => match of.rank(text) {
            Some(_) => Ok(Value::Text(text.to_owned())),
            None => Err(ValueError::unknown_name(of, text)),
        },
        Type::Uuid => {
            // The parser also knows forms without hyphens or in braces, which are 32 or 38 characters long.
            let uuid = if text.len() == 36 { Uuid::try_parse(text).ok() } else { None };
            uuid.map(Value::Uuid)
                .ok_or_else(|| ValueError::format("must be a UUID such as 0192e4a0-7b1c-7d2e-8f3a-4b5c6d7e8f90"))
        }
        Type::Date => Date::parse(text).map(Value::Date).ok_or_else(|| {
            ValueError::format("must be a date such as 2026-01-31, in the years 0001 to 9999")
        }),
        Type::Time => Time::parse(text)
            .map(Value::Time)
            .ok_or_else(|| ValueError::format("must be a time of day such as 10:00:00 or 10:00:00.5")),
        Type::Timestamp => Timestamp::parse(text).map(Value::Timestamp).ok_or_else(|| {
            ValueError::format(
                "must be a timestamp with its offset such as 2026-01-31T10:00:00Z, with at most six digits of a \
                 second, in the years 0001 to 9999",
            )
        }),
        Type::Duration => Duration::parse(text).map(Value::Duration).ok_or_else(|| {
            ValueError::format("must be an ISO 8601 duration such as P1DT2H30M, without years and months")
        }),
        Type::Bytes => BASE64
            .decode(text)
            .map(Value::Bytes)
            .map_err(|_| ValueError::format("must be base64 with its padding")),
        other => Err(ValueError::new(ValueErrorKind::Type, format!("must be {other}, not a text"))),
    }
}

/// Reads the digits of an `int`.
pub(super) fn parse_int(text: &str) -> Result<Value, ValueError> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ValueError::format("must be a whole number, without point or exponent"));
    }
    text.parse()
        .map(Value::Int)
        .map_err(|_| ValueError::range("must be between -9223372036854775808 and 9223372036854775807"))
}

/// Reads a `float` in any form that JSON has.
pub(super) fn parse_float(text: &str) -> Result<Value, ValueError> {
    // Rust also reads `inf`, `nan` and a leading `+`, which no wire form has.
    let plain = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'));
    let number = if plain && !text.starts_with('+') { text.parse::<f64>().ok() } else { None };
    match number {
        None => Err(ValueError::format("must be a number such as 1.5")),
        Some(number) if !number.is_finite() => Err(ValueError::range("is too large for a float")),
        // Adding zero makes the negative zero positive, which SQLite would do at storing.
        Some(number) => Ok(Value::Float(number + 0.0)),
    }
}

/// Brings a parsed decimal to its column's precision and scale without rounding.
pub(super) fn fit_decimal(
    parsed: Result<Decimal, DecimalError>,
    precision: u8,
    scale: u8,
) -> Result<Value, ValueError> {
    let too_fine = || {
        ValueError::new(
            ValueErrorKind::Scale,
            format!("must not have more than {scale} digits after the point"),
        )
    };
    let too_large = || {
        ValueError::range(format!(
            "must not have more than {} digits before the point",
            precision.saturating_sub(scale)
        ))
    };
    let decimal = match parsed {
        Ok(decimal) => decimal,
        Err(DecimalError::Format) => return Err(ValueError::format(DecimalError::Format.to_string())),
        Err(DecimalError::Scale) => return Err(too_fine()),
        Err(DecimalError::Range) => return Err(too_large()),
    };
    let Some(rounded) = decimal.rescale(scale) else { return Err(too_large()) };
    if rounded != decimal {
        return Err(too_fine());
    }
    if rounded.mantissa.unsigned_abs() >= 10u64.pow(u32::from(precision)) {
        return Err(too_large());
    }
    Ok(Value::Decimal(rounded))
}

/// The bare text; nothing for null. Json and lists as JSON text.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => Ok(()),
            Value::Bool(value) => value.fmt(f),
            Value::Int(value) => value.fmt(f),
            Value::Decimal(value) => value.fmt(f),
            Value::Text(value) | Value::Json(value) => f.write_str(value),
            Value::Uuid(value) => value.fmt(f),
            Value::Date(value) => value.fmt(f),
            Value::Time(value) => value.fmt(f),
            Value::Timestamp(value) => value.fmt(f),
            Value::Duration(value) => value.fmt(f),
            Value::Bytes(value) => f.write_str(&BASE64.encode(value)),
            Value::Float(_) | Value::List(_) => f.write_str(&self.to_json()),
        }
    }
}
