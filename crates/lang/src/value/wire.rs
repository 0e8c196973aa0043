//! Values as JSON: the wire form of each type, read and written.
//!
//! Reading takes the text of one JSON value, not a parsed tree: a decimal's digits and a json's spelling would be
//! lost in one. Nothing is converted in silence: `1.0` is no int, `"1"` is no float.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::value::RawValue;

use super::error::ValueErrorKind;
use super::text::{fit_decimal, parse_float, parse_int, parse_texty};
use super::{Decimal, Value, ValueError, json};
use crate::types::Type;

impl Value {
    /// Reads the wire form of a value; null is always read, whether the column takes it or not.
    ///
    /// `raw` is the text of one valid JSON value, as a [`RawValue`] holds it. The length of texts is left to
    /// [`Value::check_length`].
    pub fn from_json(raw: &str, ty: &Type) -> Result<Value, ValueError> {
        let raw = raw.trim_matches([' ', '\n', '\r', '\t']);
        let first = raw.bytes().next().unwrap_or(b' ');
        if raw == "null" {
            return Ok(Value::Null);
        }
        let is_number = matches!(first, b'-' | b'0'..=b'9');
        match ty {
            Type::Json => json::minify(raw).map(Value::Json),
            Type::Bool => match raw {
                "true" => Ok(Value::Bool(true)),
                "false" => Ok(Value::Bool(false)),
                _ => Err(mismatch("true or false", first)),
            },
            Type::Int if is_number => parse_int(raw)
                .map_err(|error| ValueError { kind: not_format(error.kind), message: error.message }),
            Type::Int => Err(mismatch("a whole number", first)),
            Type::Float if is_number => parse_float(raw),
            Type::Float => Err(mismatch("a number", first)),
            Type::Decimal { precision, scale } if is_number => {
                fit_decimal(Decimal::parse_number(raw), *precision, *scale)
            }
            Type::Decimal { precision, scale } if first == b'"' => {
                fit_decimal(Decimal::parse(&json::unquote(raw)?), *precision, *scale)
            }
            Type::Decimal { .. } => Err(mismatch("a decimal number, as a string or a number", first)),
            Type::List(of) if first == b'[' => read_list(raw, of),
            Type::List(_) => Err(mismatch("an array", first)),
            Type::Null => Err(mismatch("null", first)),
            _ if first == b'"' => parse_texty(&json::unquote(raw)?, ty),
            _ => Err(mismatch(wanted_string(ty), first)),
        }
    }

    /// Appends the wire form.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        match self {
            Value::Null => out.extend_from_slice(b"null"),
            Value::Bool(true) => out.extend_from_slice(b"true"),
            Value::Bool(false) => out.extend_from_slice(b"false"),
            Value::Int(value) => write_number(out, value),
            Value::Float(value) => write_number(out, value),
            Value::Text(value) => write_string(out, value),
            Value::Json(value) => out.extend_from_slice(value.as_bytes()),
            Value::Date(value) => write_quoted(out, value.to_ascii().as_bytes()),
            Value::Time(value) => write_quoted(out, value.to_ascii().as_bytes()),
            Value::Timestamp(value) => write_quoted(out, value.to_ascii().as_bytes()),
            Value::Uuid(value) => {
                write_quoted(out, value.hyphenated().encode_lower(&mut [0; 36]).as_bytes());
            }
            Value::Decimal(value) => write!(out, "\"{value}\"").expect(INFALLIBLE),
            Value::Duration(value) => write!(out, "\"{value}\"").expect(INFALLIBLE),
            Value::Bytes(value) => write_quoted(out, BASE64.encode(value).as_bytes()),
            Value::List(items) => {
                out.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    item.write_json(out);
                }
                out.push(b']');
            }
        }
    }

    /// The wire form as text.
    pub fn to_json(&self) -> String {
        let mut out = Vec::new();
        self.write_json(&mut out);
        String::from_utf8(out).expect("JSON is written from texts alone")
    }
}

const INFALLIBLE: &str = "writing to memory cannot fail";

fn write_number(out: &mut Vec<u8>, number: &impl serde::Serialize) {
    serde_json::to_writer(out, number).expect(INFALLIBLE);
}

/// Appends a JSON string literal.
pub(crate) fn write_string(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect(INFALLIBLE);
}

/// For texts that need no escape.
fn write_quoted(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    out.extend_from_slice(text);
    out.push(b'"');
}

fn read_list(raw: &str, of: &Type) -> Result<Value, ValueError> {
    let items: Vec<&RawValue> =
        serde_json::from_str(raw).map_err(|_| ValueError::format("must be a JSON array"))?;
    let read = |(index, item): (usize, &&RawValue)| {
        let value = match item.get() {
            "null" => Err(mismatch("a value", b'n')),
            raw => Value::from_json(raw, of),
        };
        value.map_err(|error| error.in_item(index))
    };
    items.iter().enumerate().map(read).collect::<Result<_, _>>().map(Value::List)
}

/// `1.5` for an int is a number of the wrong kind, not a text of the wrong form.
fn not_format(kind: ValueErrorKind) -> ValueErrorKind {
    if kind == ValueErrorKind::Format { ValueErrorKind::Type } else { kind }
}

fn wanted_string(ty: &Type) -> &'static str {
    match ty {
        Type::Uuid => "a UUID as a string",
        Type::Date => "a date as a string",
        Type::Time => "a time of day as a string",
        Type::Timestamp => "a timestamp as a string",
        Type::Duration => "a duration as a string",
        Type::Bytes => "base64 in a string",
        Type::Enum(_) => "a name as a string",
        _ => "a string",
    }
}

fn mismatch(wanted: &str, first: u8) -> ValueError {
    let given = match first {
        b'"' => "a string",
        b't' | b'f' => "a truth value",
        b'{' => "an object",
        b'[' => "an array",
        b'n' => "null",
        _ => "a number",
    };
    ValueError::new(ValueErrorKind::Type, format!("must be {wanted}, not {given}"))
}
