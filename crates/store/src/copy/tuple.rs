//! One row as bytes, the same whatever database it came from: a tuple of PostgreSQL's binary `COPY`.
//!
//! The number of columns in 16 bits, then each column: its length in 32 bits, -1 for null, and its value in the binary form of
//! [`crate::postgres`]'s types, all big-endian (<https://www.postgresql.org/docs/current/sql-copy.html>, "Tuples"). There
//! is one spelling of every value: no negative zero, no digits that a decimal's scale does not have. What cannot be a value of
//! its column's type is refused where it is read, so that a stream that was made can be taken anywhere.

use bytes::BufMut as _;
use mainstay_lang::types::Type;
use mainstay_lang::value::{Date, Decimal, Duration, Time, Timestamp};

use crate::postgres::numeric;
use crate::postgres::{DAY_US, EPOCH_DAYS, EPOCH_US};

/// A value that stands in a tuple, or comes from one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Field<'t> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Decimal(Decimal),
    /// Texts of all kinds, JSON too.
    Text(&'t str),
    Uuid(uuid::Uuid),
    Date(Date),
    Time(Time),
    Timestamp(Timestamp),
    Duration(Duration),
    Bytes(&'t [u8]),
}

/// Begins a tuple of so many columns.
pub(crate) fn begin(out: &mut Vec<u8>, columns: usize) {
    out.put_i16(i16::try_from(columns).expect("a table has fewer columns than that"));
}

/// Appends a column.
pub(crate) fn put(out: &mut Vec<u8>, field: Field<'_>) {
    let at = out.len();
    out.put_i32(-1);
    match field {
        Field::Null => return,
        Field::Bool(value) => out.put_u8(u8::from(value)),
        Field::Int(value) | Field::Duration(Duration(value)) => out.put_i64(value),
        // Adding zero makes the negative zero positive.
        Field::Float(value) => out.put_f64(value + 0.0),
        Field::Decimal(value) => numeric::write(value, out),
        Field::Text(value) => out.put_slice(value.as_bytes()),
        Field::Uuid(value) => out.put_slice(value.as_bytes()),
        Field::Date(value) => out.put_i32(value.0 - EPOCH_DAYS),
        Field::Time(value) => out.put_i64(value.0),
        Field::Timestamp(value) => out.put_i64(value.0 - EPOCH_US),
        Field::Bytes(value) => out.put_slice(value),
    }
    let length = i32::try_from(out.len() - at - 4).expect("a value is smaller than two gigabytes");
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
}

/// Takes the next raw column off: its bytes, unless it is null. `None`: the tuple ends inside it.
pub(crate) fn take_raw<'t>(rest: &mut &'t [u8]) -> Option<Option<&'t [u8]>> {
    let (length, behind) = rest.split_first_chunk::<4>()?;
    *rest = behind;
    let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else { return Some(None) };
    let (raw, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(Some(raw))
}

/// Takes the number of columns off; negative behind the last tuple.
pub(crate) fn take_columns(rest: &mut &[u8]) -> Option<i16> {
    let (columns, behind) = rest.split_first_chunk::<2>()?;
    *rest = behind;
    Some(i16::from_be_bytes(*columns))
}

/// Takes a whole tuple of so many columns off.
pub(crate) fn take<'t>(rest: &mut &'t [u8], columns: usize) -> Option<&'t [u8]> {
    let from = *rest;
    let mut behind = *rest;
    if take_columns(&mut behind)? != i16::try_from(columns).ok()? {
        return None;
    }
    for _ in 0..columns {
        take_raw(&mut behind)?;
    }
    *rest = behind;
    Some(&from[..from.len() - behind.len()])
}

/// Reads a column that is not null. `None`: it is no value of the type.
pub(crate) fn read<'t>(raw: &'t [u8], ty: &Type) -> Option<Field<'t>> {
    let word = || raw.try_into().ok().map(i64::from_be_bytes);
    match ty {
        Type::Bool => match raw {
            [byte @ (0 | 1)] => Some(Field::Bool(*byte == 1)),
            _ => None,
        },
        Type::Int => word().map(Field::Int),
        Type::Duration => word().map(|us| Field::Duration(Duration(us))),
        Type::Float => {
            let value = raw.try_into().ok().map(f64::from_be_bytes)?;
            value.is_finite().then_some(Field::Float(value + 0.0))
        }
        Type::Decimal { scale, .. } => numeric::read(raw, *scale).map(Field::Decimal),
        Type::Text { .. } | Type::Enum(_) | Type::File | Type::Json | Type::List(_) => {
            std::str::from_utf8(raw).ok().map(Field::Text)
        }
        Type::Uuid => uuid::Uuid::from_slice(raw).ok().map(Field::Uuid),
        Type::Date => {
            let days = raw.try_into().ok().map(i32::from_be_bytes)?;
            Date::from_days(i64::from(days) + i64::from(EPOCH_DAYS)).map(Field::Date)
        }
        Type::Time => word().filter(|us| (0..DAY_US).contains(us)).map(|us| Field::Time(Time(us))),
        Type::Timestamp => Timestamp::from_micros(word()?.checked_add(EPOCH_US)?).map(Field::Timestamp),
        Type::Bytes => Some(Field::Bytes(raw)),
        Type::Null | Type::Ref(_) => None,
    }
}

/// How values of a type stand in a tuple, as kept in files: what has the same form can be read as the other.
pub(crate) fn form(ty: &Type) -> String {
    match ty {
        Type::Decimal { scale, .. } => format!("decimal({scale})"),
        Type::Text { .. } | Type::Enum(_) | Type::File => "text".to_owned(),
        Type::List(_) => "json".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use mainstay_lang::types::Type;
    use mainstay_lang::value::{Date, Decimal, Duration, Time, Timestamp};

    use super::*;

    #[test]
    fn what_is_put_is_taken() {
        let fields = [
            (Type::Bool, Field::Bool(true)),
            (Type::Int, Field::Int(i64::MIN)),
            (Type::Float, Field::Float(0.1)),
            (Type::Decimal { precision: 18, scale: 2 }, Field::Decimal(Decimal { mantissa: -5, scale: 2 })),
            (Type::Text { max: None }, Field::Text("é")),
            (Type::Uuid, Field::Uuid(uuid::Uuid::max())),
            (Type::Date, Field::Date(Date::MIN)),
            (Type::Time, Field::Time(Time::MAX)),
            (Type::Timestamp, Field::Timestamp(Timestamp::MAX)),
            (Type::Duration, Field::Duration(Duration(-1))),
            (Type::Bytes, Field::Bytes(&[0, 255])),
            (Type::Json, Field::Text("{}")),
            (Type::Int, Field::Null),
        ];
        let mut out = Vec::new();
        begin(&mut out, fields.len());
        fields.iter().for_each(|(_, field)| put(&mut out, *field));
        let whole = out.clone();
        out.extend_from_slice(b"more");
        let mut rest = &out[..];
        let tuple = take(&mut rest, fields.len()).unwrap();
        assert_eq!((tuple, rest), (&whole[..], &b"more"[..]));
        let mut columns = &tuple[2..];
        for (ty, field) in &fields {
            let raw = take_raw(&mut columns).unwrap();
            assert_eq!(raw.map_or(Some(Field::Null), |raw| read(raw, ty)), Some(*field));
        }
        for cut in 0..whole.len() {
            assert_eq!(take(&mut &whole[..cut], fields.len()), None, "cut at {cut}");
        }
        assert_eq!(take(&mut &whole[..], fields.len() + 1), None);
    }

    #[test]
    fn there_is_one_zero_and_no_value_out_of_range() {
        let bytes = |field| {
            let mut out = Vec::new();
            put(&mut out, field);
            out
        };
        assert_eq!(bytes(Field::Float(-0.0)), bytes(Field::Float(0.0)));
        assert_eq!(read(&f64::NAN.to_be_bytes(), &Type::Float), None);
        assert_eq!(read(&i64::MAX.to_be_bytes(), &Type::Timestamp), None, "PostgreSQL's infinity");
        assert_eq!(read(&i32::MAX.to_be_bytes(), &Type::Date), None);
        assert_eq!(read(&DAY_US.to_be_bytes(), &Type::Time), None, "24:00:00");
        assert_eq!(read(&[2], &Type::Bool), None);
        assert_eq!(read(&[0xff], &Type::Text { max: None }), None);
    }
}
