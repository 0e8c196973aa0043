//! Lists that come as an array for each column: walked side by side, a row at a time, in the form that the wire has them in. And
//! arrays that go, an array for each column of the rows that a statement writes.
//!
//! An array in binary is: how many dimensions it has (none when it is empty), a flag for nulls, its items' type, for each
//! dimension its length and where it begins; then each item as its length in bytes (-1: null) and those bytes. Numbers are of 32 bits
//! in network order (`array_send` in PostgreSQL's source).

use std::error::Error;

use bytes::{BufMut as _, BytesMut};
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;
use mainstay_sql::statement::JsonMember;
use tokio_postgres::Row;
use tokio_postgres::types::{IsNull, Kind, ToSql as _, Type as PgType};

use super::json::{get, write_value};
use super::values::{Bound, mismatch};
use crate::StoreError;

/// Bytes before the items of an array of one dimension.
const HEADER_BYTES: usize = 20;

/// An array that is being read.
struct Array<'r> {
    item: &'r PgType,
    len: usize,
    rest: &'r [u8],
}

impl<'r> Array<'r> {
    /// The array in a column; null is an empty one.
    fn of(row: &'r Row, column: usize) -> Result<Array<'r>, StoreError> {
        let (sent, raw) = get(row, column)?;
        let wrong = || mismatch(sent, &Type::Json);
        let Kind::Array(item) = sent.kind() else { return Err(wrong()) };
        let mut item = item;
        // A domain's values are sent as its base's; a column of one is told as its base already, an array's items are not.
        while let Kind::Domain(base) = item.kind() {
            item = base;
        }
        let Some(raw) = raw else { return Ok(Array { item, len: 0, rest: &[] }) };
        if raw.len() < HEADER_BYTES {
            return Ok(Array { item, len: 0, rest: &[] });
        }
        let (header, rest) = raw.split_at(HEADER_BYTES);
        let len = header[12..].first_chunk().map(|len| i32::from_be_bytes(*len));
        let len = len.and_then(|len| usize::try_from(len).ok()).ok_or_else(wrong)?;
        Ok(Array { item, len, rest })
    }

    /// The bytes of the next item; `Some(None)`: null. None: there is no further one.
    fn next(&mut self) -> Option<Option<&'r [u8]>> {
        let (len, rest) = self.rest.split_first_chunk()?;
        let Ok(len) = usize::try_from(i32::from_be_bytes(*len)) else {
            self.rest = rest;
            return Some(None);
        };
        let (item, rest) = rest.split_at_checked(len)?;
        self.rest = rest;
        Some(Some(item))
    }
}

/// Appends the objects whose members' arrays begin at a column, as a list, and answers how many rows those are with what is
/// nested in them.
pub(super) fn write_arrays(
    out: &mut Vec<u8>,
    row: &Row,
    members: &[JsonMember],
    first_column: usize,
) -> Result<u64, StoreError> {
    let arrays = (first_column..).take(members.len()).map(|column| Array::of(row, column));
    let mut arrays = arrays.collect::<Result<Vec<_>, _>>()?;
    let rows = arrays.first().map_or(0, |array| array.len);
    let mut nested = rows as u64;
    out.push(b'[');
    for index in 0..rows {
        out.extend_from_slice(&b",{"[usize::from(index == 0)..]);
        for (at, (member, array)) in members.iter().zip(&mut arrays).enumerate() {
            out.extend_from_slice(&member.key.as_bytes()[usize::from(at == 0)..]);
            let item = array.next().ok_or_else(|| mismatch(array.item, &Type::Json))?;
            nested += write_value(out, array.item, item, &member.encoding)?;
        }
        out.push(b'}');
    }
    out.push(b']');
    Ok(nested)
}

/// Appends values as an array of items of a type.
pub(super) fn write(
    items: &[Value],
    item: &PgType,
    out: &mut BytesMut,
) -> Result<(), Box<dyn Error + Sync + Send>> {
    out.put_i32(i32::from(!items.is_empty()));
    out.put_i32(i32::from(items.iter().any(Value::is_null)));
    out.put_u32(item.oid());
    if !items.is_empty() {
        out.put_i32(i32::try_from(items.len())?);
        out.put_i32(1);
    }
    for value in items {
        let before = out.len();
        out.put_i32(-1);
        if let IsNull::No = Bound(value).to_sql(item, out)? {
            let bytes = i32::try_from(out.len() - before - 4)?;
            out[before..before + 4].copy_from_slice(&bytes.to_be_bytes());
        }
    }
    Ok(())
}
