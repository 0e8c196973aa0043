//! Rows of SQLite to JSON text, without a value in between.
//!
//! Writes the very bytes that [`Value::write_json`] would write for the value that was stored; a property test holds
//! the two together. Where the stored text is the wire form already, it is copied.
//!
//! [`Value::write_json`]: mainstay_lang::value::Value::write_json

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use mainstay_lang::types::Type;
use mainstay_lang::value::{Decimal, Duration};
use mainstay_sql::statement::{Encoding, JsonShape};
use rusqlite::Row;
use rusqlite::types::ValueRef;

use super::values::{mismatch, real};
use crate::StoreError;

const INFALLIBLE: &str = "writing to memory cannot fail";

/// Appends one row as an object and answers the index of the first column behind its members.
pub(crate) fn write_row(out: &mut Vec<u8>, row: &Row<'_>, shape: &JsonShape) -> Result<usize, StoreError> {
    let mut column = 0;
    let mut is_first = true;
    out.push(b'{');
    for member in &shape.members {
        let shown = !member.guarded || matches!(get(row, column)?, ValueRef::Integer(1));
        column += usize::from(member.guarded);
        if shown {
            out.extend_from_slice(&member.key.as_bytes()[usize::from(is_first)..]);
            is_first = false;
            write_value(out, get(row, column)?, &member.encoding)?;
        }
        column += 1;
    }
    out.push(b'}');
    Ok(column)
}

/// One column of a row.
pub(crate) fn get<'r>(row: &'r Row<'_>, column: usize) -> Result<ValueRef<'r>, StoreError> {
    row.get_ref(column)
        .map_err(|_| StoreError::Other(format!("the result has {column} columns, fewer than its shape")))
}

fn write_value(out: &mut Vec<u8>, stored: ValueRef<'_>, encoding: &Encoding) -> Result<(), StoreError> {
    match (encoding, stored) {
        (_, ValueRef::Null) => out.extend_from_slice(b"null"),
        (Encoding::Raw, ValueRef::Text(json)) => out.extend_from_slice(json),
        // An aggregate of integers is JSON as well, though SQLite does not say it as text.
        (Encoding::Raw, ValueRef::Integer(number)) => serde_json::to_writer(out, &number).expect(INFALLIBLE),
        // It has no arrays and no flat results.
        (Encoding::Raw | Encoding::Arrays(_) | Encoding::Below, _) => {
            return Err(mismatch(stored, &Type::Json));
        }
        (Encoding::Typed(ty), _) => write_typed(out, stored, ty)?,
    }
    Ok(())
}

/// The wire form of a stored value of a type.
pub(crate) fn write_typed_or_null(
    out: &mut Vec<u8>,
    stored: ValueRef<'_>,
    ty: &Type,
) -> Result<(), StoreError> {
    match stored {
        ValueRef::Null => out.extend_from_slice(b"null"),
        _ => write_typed(out, stored, ty)?,
    }
    Ok(())
}

fn write_typed(out: &mut Vec<u8>, stored: ValueRef<'_>, ty: &Type) -> Result<(), StoreError> {
    match (ty, stored) {
        (Type::Bool, ValueRef::Integer(0)) => out.extend_from_slice(b"false"),
        (Type::Bool, ValueRef::Integer(_)) => out.extend_from_slice(b"true"),
        (Type::Int, ValueRef::Integer(number)) => serde_json::to_writer(out, &number).expect(INFALLIBLE),
        (Type::Float, stored) => match real(stored) {
            Some(number) => serde_json::to_writer(out, &number).expect(INFALLIBLE),
            None => return Err(mismatch(stored, ty)),
        },
        (Type::Decimal { scale, .. }, ValueRef::Integer(mantissa)) => {
            write!(out, "\"{}\"", Decimal { mantissa, scale: *scale }).expect(INFALLIBLE);
        }
        (Type::Duration, ValueRef::Integer(us)) => write!(out, "\"{}\"", Duration(us)).expect(INFALLIBLE),
        (Type::Bytes, ValueRef::Blob(bytes)) => write_base64(out, bytes),
        (Type::Json | Type::List(_), ValueRef::Text(json)) => out.extend_from_slice(json),
        (
            Type::Text { .. }
            | Type::Enum(_)
            | Type::File
            | Type::Uuid
            | Type::Date
            | Type::Time
            | Type::Timestamp,
            ValueRef::Text(text),
        ) => write_text(out, text)?,
        _ => return Err(mismatch(stored, ty)),
    }
    Ok(())
}

/// A string literal. Most texts have nothing to be escaped, which is seen many bytes at a time.
pub(crate) fn write_text(out: &mut Vec<u8>, text: &[u8]) -> Result<(), StoreError> {
    let plain =
        text.iter().fold(true, |plain, byte| plain & (*byte >= b' ') & (*byte != b'"') & (*byte != b'\\'));
    if plain {
        out.push(b'"');
        out.extend_from_slice(text);
        out.push(b'"');
        return Ok(());
    }
    let text = std::str::from_utf8(text).map_err(|_| not_utf8())?;
    serde_json::to_writer(out, text).expect(INFALLIBLE);
    Ok(())
}

pub(crate) fn write_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    BASE64.encode_slice(bytes, &mut out[start..]).expect("four bytes for every three");
    out.push(b'"');
}

/// The whole text at its end: everything but stored texts is known to be UTF-8, so one look suffices.
pub(crate) fn into_text(out: Vec<u8>) -> Result<String, StoreError> {
    String::from_utf8(out).map_err(|_| not_utf8())
}

fn not_utf8() -> StoreError {
    StoreError::Corrupt { detail: "a text in the database is not UTF-8".to_owned() }
}
