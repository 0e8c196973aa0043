//! Rows of PostgreSQL to JSON text, without a value in between.
//!
//! Writes the very bytes that `Value::write_json` would write for the value that was stored; a property test holds the
//! two together.
//!
//! A nested row begins with a tab, which is white space to JSON and stands nowhere in minified JSON: so the rows
//! nested in a column are counted without a parser, and the tabs are left out here.

use std::io::Write as _;

use mainstay_lang::types::Type;
use mainstay_lang::value::Duration;
use mainstay_sql::statement::{Encoding, JsonMember};
use tokio_postgres::Row;
use tokio_postgres::types::Type as PgType;

use super::arrays::write_arrays;
use super::values::{self, Raw, mismatch};
use crate::StoreError;
use crate::sqlite::{write_base64, write_text};

const INFALLIBLE: &str = "writing to memory cannot fail";

/// What stands before a nested row.
const NESTED_ROW: u8 = b'\t';

/// Largest text or blob in a result, in bytes, the same as on the embedded database.
const VALUE_BYTES_MAX: usize = 64 << 20;

/// What an object has brought.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Written {
    /// The index of the first column behind the members.
    pub(super) behind: usize,
    /// Rows nested in it.
    pub(super) nested: u64,
}

/// Appends an object whose members begin at a column. Where one of them is the rows of the level below, the object ends within that
/// list: what stands behind the list goes to `tail`.
pub(super) fn write_object(
    out: &mut Vec<u8>,
    tail: &mut Vec<u8>,
    row: &Row,
    members: &[JsonMember],
    first_column: usize,
) -> Result<Written, StoreError> {
    let mut written = Written { behind: first_column, nested: 0 };
    let mut out = out;
    let mut is_first = true;
    out.push(b'{');
    for member in members {
        let is_shown = !member.guarded || is_true(row, written.behind)?;
        written.behind += usize::from(member.guarded);
        if is_shown {
            out.extend_from_slice(&member.key.as_bytes()[usize::from(is_first)..]);
            is_first = false;
            match &member.encoding {
                Encoding::Below => {
                    out.push(b'[');
                    out = &mut *tail;
                    out.push(b']');
                }
                Encoding::Arrays(members) => {
                    written.nested += write_arrays(out, row, members, written.behind)?;
                }
                encoding => {
                    let (sent, raw) = get(row, written.behind)?;
                    written.nested += write_value(out, sent, raw, encoding)?;
                }
            }
        }
        written.behind += member.encoding.columns();
    }
    out.push(b'}');
    Ok(written)
}

/// One value, and how many rows are nested in it.
pub(super) fn write_value(
    out: &mut Vec<u8>,
    sent: &PgType,
    raw: Option<&[u8]>,
    encoding: &Encoding,
) -> Result<u64, StoreError> {
    match (raw, encoding) {
        (None, _) => out.extend_from_slice(b"null"),
        (Some(raw), Encoding::Raw) => return write_raw(out, sent, raw),
        (Some(raw), Encoding::Typed(ty)) => write_typed(out, sent, raw, ty)?,
        (Some(_), Encoding::Arrays(_) | Encoding::Below) => return Err(mismatch(sent, &Type::Json)),
    }
    Ok(0)
}

/// One column of a row: its type on the wire, and its bytes unless it is null.
pub(super) fn get(row: &Row, column: usize) -> Result<(&PgType, Option<&[u8]>), StoreError> {
    let described = row.columns().get(column);
    let described = described
        .ok_or_else(|| StoreError::Other(format!("the result has {column} columns, fewer than its shape")))?;
    let raw = row
        .try_get::<_, Option<Raw<'_>>>(column)
        .map_err(|error| StoreError::Other(format!("a column of the result cannot be read: {error}")))?;
    match raw {
        Some(Raw(raw)) if raw.len() > VALUE_BYTES_MAX => {
            Err(StoreError::ByteLimit { limit: VALUE_BYTES_MAX as u64 })
        }
        raw => Ok((described.type_(), raw.map(|Raw(raw)| raw))),
    }
}

fn is_true(row: &Row, column: usize) -> Result<bool, StoreError> {
    let (sent, raw) = get(row, column)?;
    let value = |raw| values::bool(sent, raw).ok_or_else(|| mismatch(sent, &Type::Bool));
    raw.map_or(Ok(false), value)
}

/// Copies JSON and answers how many nested rows stand in it.
fn write_raw(out: &mut Vec<u8>, sent: &PgType, raw: &[u8]) -> Result<u64, StoreError> {
    if matches!(*sent, PgType::INT8 | PgType::INT4 | PgType::INT2 | PgType::NUMERIC) {
        // An aggregate of integers is JSON as well, though the server does not send it as text.
        serde_json::to_writer(out, &values::int(sent, raw)?).expect(INFALLIBLE);
        return Ok(0);
    }
    let text = values::json(sent, raw)?.ok_or_else(|| mismatch(sent, &Type::Json))?;
    let mut pieces = text.split(|byte| *byte == NESTED_ROW);
    out.extend_from_slice(pieces.next().unwrap_or_default());
    let mut nested = 0;
    for piece in pieces {
        out.extend_from_slice(piece);
        nested += 1;
    }
    Ok(nested)
}

/// The wire form of a value of a type.
pub(super) fn write_typed_or_null(
    out: &mut Vec<u8>,
    sent: &PgType,
    raw: Option<&[u8]>,
    ty: &Type,
) -> Result<(), StoreError> {
    match raw {
        None => out.extend_from_slice(b"null"),
        Some(raw) => write_typed(out, sent, raw, ty)?,
    }
    Ok(())
}

fn write_typed(out: &mut Vec<u8>, sent: &PgType, raw: &[u8], ty: &Type) -> Result<(), StoreError> {
    let wrong = || mismatch(sent, ty);
    match ty {
        Type::Bool => {
            let value = values::bool(sent, raw).ok_or_else(wrong)?;
            out.extend_from_slice(if value { b"true" } else { b"false" });
        }
        Type::Int => serde_json::to_writer(out, &values::int(sent, raw)?).expect(INFALLIBLE),
        Type::Float => {
            let value = values::float(sent, raw).ok_or_else(wrong)?;
            serde_json::to_writer(out, &value).expect(INFALLIBLE);
        }
        Type::Decimal { scale, .. } => {
            let value = values::decimal(sent, raw, *scale).ok_or_else(wrong)?;
            write!(out, "\"{value}\"").expect(INFALLIBLE);
        }
        Type::Duration => {
            write!(out, "\"{}\"", Duration(values::int(sent, raw)?)).expect(INFALLIBLE);
        }
        Type::Bytes if *sent == PgType::BYTEA => write_base64(out, raw),
        Type::Json | Type::List(_) => {
            let text = values::json(sent, raw)?.ok_or_else(wrong)?;
            out.extend_from_slice(&text);
        }
        Type::Text { .. } | Type::Enum(_) | Type::File => {
            write_text(out, values::text_bytes(sent, raw).ok_or_else(wrong)?)?;
        }
        Type::Uuid => {
            let value = values::uuid(sent, raw).ok_or_else(wrong)?;
            quote(out, value.hyphenated().encode_lower(&mut [0; 36]).as_bytes());
        }
        Type::Date => quote(out, values::date(sent, raw).ok_or_else(wrong)?.to_ascii().as_bytes()),
        Type::Time => quote(out, values::time(sent, raw).ok_or_else(wrong)?.to_ascii().as_bytes()),
        Type::Timestamp => quote(out, values::timestamp(sent, raw).ok_or_else(wrong)?.to_ascii().as_bytes()),
        Type::Bytes | Type::Null | Type::Ref(_) => return Err(wrong()),
    }
    Ok(())
}

/// A string literal of what needs no escape.
fn quote(out: &mut Vec<u8>, plain: &[u8]) {
    out.push(b'"');
    out.extend_from_slice(plain);
    out.push(b'"');
}
