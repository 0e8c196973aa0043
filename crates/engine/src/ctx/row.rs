//! What rules read of a caller's row, in as little memory as it takes.
//!
//! The callers of a hundred thousand sessions are kept, each with the whole row of its user, most of which is null. As [`Value`]s that
//! would be more than all else of a session together. So the values stand behind each other in one piece of memory, and whoever needs
//! one reads it there. Who wrote that memory reads it, in the same process: its form is nobody else's business.

use std::borrow::Cow;
use std::str::from_utf8;
use std::sync::Arc;

use mainstay_lang::eval::Scalar;
use mainstay_lang::schema::ColumnId;
use mainstay_lang::value::{Date, Decimal, Duration, Time, Timestamp, Value};
use uuid::Uuid;

use crate::catalog::{CallerPath, CallerPaths};

/// What rules read of the caller's row: a value for each path of a catalogue's list.
#[derive(Clone, Debug)]
pub struct CallerRow {
    /// The list.
    pub paths: Arc<CallerPaths>,
    /// The values in its order, each behind a byte that tells its type.
    packed: Box<[u8]>,
}

impl CallerRow {
    /// The row of these values, which stand in the list's order.
    pub fn new(paths: Arc<CallerPaths>, values: &[Value]) -> CallerRow {
        let mut packed = Vec::with_capacity(16 * values.len());
        values.iter().for_each(|value| pack(value, &mut packed));
        CallerRow { paths, packed: packed.into() }
    }

    /// What was read at a path; null as well when it was not asked for.
    pub fn value(&self, hops: &[ColumnId], column: ColumnId) -> Scalar<'_> {
        let place = self.paths.place(hops, column);
        place.and_then(|place| self.values().nth(place)).unwrap_or(Scalar::Null)
    }

    /// Paths with their values.
    pub fn iter(&self) -> impl Iterator<Item = (&CallerPath, Scalar<'_>)> {
        self.paths.iter().zip(self.values())
    }

    fn values(&self) -> Values<'_> {
        Values { packed: &self.packed }
    }
}

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const INT: u8 = 3;
const FLOAT: u8 = 4;
const DECIMAL: u8 = 5;
const TEXT: u8 = 6;
const UUID: u8 = 7;
const DATE: u8 = 8;
const TIME: u8 = 9;
const TIMESTAMP: u8 = 10;
const DURATION: u8 = 11;
const JSON: u8 = 12;
const BYTES: u8 = 13;
const LIST: u8 = 14;

fn pack(value: &Value, into: &mut Vec<u8>) {
    let mut put = |tag: u8, bytes: &[u8]| {
        into.push(tag);
        into.extend_from_slice(bytes);
    };
    match value {
        Value::Null => put(NULL, &[]),
        Value::Bool(is) => put(if *is { TRUE } else { FALSE }, &[]),
        Value::Int(number) => put(INT, &number.to_le_bytes()),
        Value::Float(number) => put(FLOAT, &number.to_le_bytes()),
        Value::Decimal(Decimal { mantissa, scale }) => {
            put(DECIMAL, &[*scale]);
            into.extend_from_slice(&mantissa.to_le_bytes());
        }
        Value::Uuid(id) => put(UUID, id.as_bytes()),
        Value::Date(date) => put(DATE, &date.0.to_le_bytes()),
        Value::Time(time) => put(TIME, &time.0.to_le_bytes()),
        Value::Timestamp(at) => put(TIMESTAMP, &at.0.to_le_bytes()),
        Value::Duration(span) => put(DURATION, &span.0.to_le_bytes()),
        Value::Text(text) => pack_bytes(TEXT, text.as_bytes(), into),
        Value::Json(text) => pack_bytes(JSON, text.as_bytes(), into),
        Value::Bytes(bytes) => pack_bytes(BYTES, bytes, into),
        Value::List(items) => {
            put(LIST, &items.len().to_le_bytes());
            items.iter().for_each(|item| pack(item, into));
        }
    }
}

fn pack_bytes(tag: u8, bytes: &[u8], into: &mut Vec<u8>) {
    into.push(tag);
    into.extend_from_slice(&bytes.len().to_le_bytes());
    into.extend_from_slice(bytes);
}

/// Values in the order in which they were packed.
struct Values<'a> {
    packed: &'a [u8],
}

impl<'a> Iterator for Values<'a> {
    type Item = Scalar<'a>;

    fn next(&mut self) -> Option<Scalar<'a>> {
        let [tag] = self.take_array()?;
        Some(match tag {
            FALSE | TRUE => Scalar::Bool(tag == TRUE),
            INT => Scalar::Int(i64::from_le_bytes(self.take_array()?)),
            FLOAT => Scalar::Float(f64::from_le_bytes(self.take_array()?)),
            DECIMAL => {
                let [scale] = self.take_array()?;
                Scalar::Decimal(Decimal { mantissa: i64::from_le_bytes(self.take_array()?), scale })
            }
            TEXT => Scalar::Text(Cow::Borrowed(from_utf8(self.take_bytes()?).ok()?)),
            UUID => Scalar::Uuid(Uuid::from_bytes(self.take_array()?)),
            DATE => Scalar::Date(Date(i32::from_le_bytes(self.take_array()?))),
            TIME => Scalar::Time(Time(i64::from_le_bytes(self.take_array()?))),
            TIMESTAMP => Scalar::Timestamp(Timestamp(i64::from_le_bytes(self.take_array()?))),
            DURATION => Scalar::Duration(Duration(i64::from_le_bytes(self.take_array()?))),
            JSON => Scalar::Json(from_utf8(self.take_bytes()?).ok()?),
            BYTES => Scalar::Bytes(self.take_bytes()?),
            LIST => {
                let count = self.take_count()?;
                Scalar::List(self.by_ref().take(count).map(Scalar::into_value).collect())
            }
            _ => Scalar::Null,
        })
    }
}

impl<'a> Values<'a> {
    fn take_array<const BYTES: usize>(&mut self) -> Option<[u8; BYTES]> {
        let (taken, rest) = self.packed.split_first_chunk()?;
        self.packed = rest;
        Some(*taken)
    }

    fn take_count(&mut self) -> Option<usize> {
        self.take_array().map(usize::from_le_bytes)
    }

    fn take_bytes(&mut self) -> Option<&'a [u8]> {
        let count = self.take_count()?;
        let (taken, rest) = self.packed.split_at_checked(count)?;
        self.packed = rest;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use mainstay_lang::eval::Scalar;
    use mainstay_lang::value::{Date, Decimal, Duration, Time, Timestamp, Value};
    use uuid::Uuid;

    use super::{Values, pack};

    #[test]
    fn values_come_back_as_they_were() {
        let text = |text: &str| Value::Text(text.to_owned());
        let values = [
            Value::Null,
            Value::Bool(true),
            Value::Bool(false),
            Value::Int(i64::MIN),
            Value::Float(0.1),
            Value::Decimal(Decimal::parse("-12.50").unwrap()),
            text(""),
            text("Zoë \0 \u{1f41d}"),
            Value::Uuid(Uuid::from_u128(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10)),
            Value::Date(Date(-1)),
            Value::Time(Time(86_399_999_999)),
            Value::Timestamp(Timestamp(-1)),
            Value::Duration(Duration(i64::MAX)),
            Value::Json(r#"{"a":[1]}"#.to_owned()),
            Value::Bytes(vec![0, 255, 6]),
            Value::List(vec![]),
            Value::List(vec![text("a"), Value::Null, Value::List(vec![Value::Int(1)]), text("b")]),
            Value::Int(7),
        ];
        let mut packed = Vec::new();
        values.iter().for_each(|value| pack(value, &mut packed));
        let read: Vec<Value> = Values { packed: &packed }.map(Scalar::into_value).collect();
        assert_eq!(read, values);
    }
}
