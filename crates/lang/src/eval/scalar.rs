//! Values on their way through an expression: borrowed wherever they stand somewhere already.

use std::borrow::Cow;
use std::cmp::Ordering;

use uuid::Uuid;

use crate::value::{Date, Decimal, Duration, Time, Timestamp, Value};

/// A value that borrows its text from a row, a parameter, a literal or the caller.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar<'a> {
    /// Nothing, or unknown.
    Null,
    /// `bool`
    Bool(bool),
    /// `int`
    Int(i64),
    /// `float`
    Float(f64),
    /// `decimal`
    Decimal(Decimal),
    /// `text`, an enum's name, a file's id; owned only when a function made it.
    Text(Cow<'a, str>),
    /// `uuid`
    Uuid(Uuid),
    /// `date`
    Date(Date),
    /// `time`
    Time(Time),
    /// `timestamp`
    Timestamp(Timestamp),
    /// `duration`
    Duration(Duration),
    /// `json`
    Json(&'a str),
    /// `bytes`
    Bytes(&'a [u8]),
    /// A list.
    List(Cow<'a, [Value]>),
}

impl<'a> From<&'a Value> for Scalar<'a> {
    fn from(value: &'a Value) -> Scalar<'a> {
        match value {
            Value::Null => Scalar::Null,
            Value::Bool(value) => Scalar::Bool(*value),
            Value::Int(value) => Scalar::Int(*value),
            Value::Float(value) => Scalar::Float(*value),
            Value::Decimal(value) => Scalar::Decimal(*value),
            Value::Text(value) => Scalar::Text(Cow::Borrowed(value)),
            Value::Uuid(value) => Scalar::Uuid(*value),
            Value::Date(value) => Scalar::Date(*value),
            Value::Time(value) => Scalar::Time(*value),
            Value::Timestamp(value) => Scalar::Timestamp(*value),
            Value::Duration(value) => Scalar::Duration(*value),
            Value::Json(value) => Scalar::Json(value),
            Value::Bytes(value) => Scalar::Bytes(value),
            Value::List(value) => Scalar::List(Cow::Borrowed(value)),
        }
    }
}

impl<'a> From<Option<&'a Value>> for Scalar<'a> {
    fn from(value: Option<&'a Value>) -> Scalar<'a> {
        value.map_or(Scalar::Null, Scalar::from)
    }
}

impl From<Option<bool>> for Scalar<'_> {
    fn from(value: Option<bool>) -> Self {
        value.map_or(Scalar::Null, Scalar::Bool)
    }
}

impl Scalar<'_> {
    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        matches!(self, Scalar::Null)
    }

    /// The value, owned.
    pub fn into_value(self) -> Value {
        match self {
            Scalar::Null => Value::Null,
            Scalar::Bool(value) => Value::Bool(value),
            Scalar::Int(value) => Value::Int(value),
            Scalar::Float(value) => Value::Float(value),
            Scalar::Decimal(value) => Value::Decimal(value),
            Scalar::Text(value) => Value::Text(value.into_owned()),
            Scalar::Uuid(value) => Value::Uuid(value),
            Scalar::Date(value) => Value::Date(value),
            Scalar::Time(value) => Value::Time(value),
            Scalar::Timestamp(value) => Value::Timestamp(value),
            Scalar::Duration(value) => Value::Duration(value),
            Scalar::Json(value) => Value::Json(value.to_owned()),
            Scalar::Bytes(value) => Value::Bytes(value.to_vec()),
            Scalar::List(value) => Value::List(value.into_owned()),
        }
    }

    /// As [`Value::compare`]; lists, which the language compares with nothing, are left out.
    pub(super) fn compare(&self, other: &Scalar<'_>) -> Option<Ordering> {
        match (self, other) {
            (Scalar::Bool(a), Scalar::Bool(b)) => Some(a.cmp(b)),
            (Scalar::Int(a), Scalar::Int(b)) => Some(a.cmp(b)),
            (Scalar::Float(a), Scalar::Float(b)) => a.partial_cmp(b),
            (Scalar::Decimal(a), Scalar::Decimal(b)) => Some(a.cmp(b)),
            (Scalar::Text(a), Scalar::Text(b)) => Some(a.cmp(b)),
            (Scalar::Uuid(a), Scalar::Uuid(b)) => Some(a.cmp(b)),
            (Scalar::Date(a), Scalar::Date(b)) => Some(a.cmp(b)),
            (Scalar::Time(a), Scalar::Time(b)) => Some(a.cmp(b)),
            (Scalar::Timestamp(a), Scalar::Timestamp(b)) => Some(a.cmp(b)),
            (Scalar::Duration(a), Scalar::Duration(b)) => Some(a.cmp(b)),
            (Scalar::Json(a), Scalar::Json(b)) => Some(a.cmp(b)),
            (Scalar::Bytes(a), Scalar::Bytes(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }
}
