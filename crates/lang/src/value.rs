//! Values in memory, and their form on the wire and in the database.
//!
//! [`Value`] owns what it holds: row images, parameters, literals. Parsing from JSON or bare text against a type,
//! writing as JSON and the scalar types [`Decimal`], [`Date`], [`Time`], [`Timestamp`], [`Duration`] are here, so that
//! the wire, the database functions and the evaluator cannot differ. It knows no clock: the present is handed in.
//!
//! Types given to these functions are storage types: a reference has been replaced by the type of its target's key
//! ([`crate::schema::Schema::storage_type`]).

mod ascii;
mod calendar;
mod decimal;
mod duration;
mod error;
pub mod json;
mod text;
mod time;
mod wire;

use std::cmp::Ordering;

use uuid::Uuid;

pub use ascii::Ascii;
pub use decimal::{Decimal, DecimalError};
pub use duration::Duration;
pub use error::{ValueError, ValueErrorKind};
pub use time::{Date, Time, Timestamp};
pub(crate) use wire::write_string;

/// A value of any type; null is a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// `bool`
    Bool(bool),
    /// `int`
    Int(i64),
    /// `float`, always finite and never the negative zero.
    Float(f64),
    /// `decimal(p, s)`
    Decimal(Decimal),
    /// `text`, an enum's name, a file's id.
    Text(String),
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
    /// `json`: its text, without white space between tokens, members in the order written.
    Json(String),
    /// `bytes`
    Bytes(Vec<u8>),
    /// A list of scalars.
    List(Vec<Value>),
}

impl Value {
    /// The language's name of what it holds.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Float(_) => "float",
            Value::Decimal(_) => "decimal",
            Value::Text(_) => "text",
            Value::Uuid(_) => "uuid",
            Value::Date(_) => "date",
            Value::Time(_) => "time",
            Value::Timestamp(_) => "timestamp",
            Value::Duration(_) => "duration",
            Value::Json(_) => "json",
            Value::Bytes(_) => "bytes",
            Value::List(_) => "list",
        }
    }

    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// The order of two values of one type, the same as the database's; `None` when one is null or the types differ.
    ///
    /// Text compares by code point, enums as text (their declared order is a matter of [`crate::expr::Node::Rank`]),
    /// json by its minified text, lists by their wire text: good for equality and for a stable order, no more.
    pub fn compare(&self, other: &Value) -> Option<Ordering> {
        match (self, other) {
            (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
            (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
            (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
            (Value::Decimal(a), Value::Decimal(b)) => Some(a.cmp(b)),
            (Value::Text(a), Value::Text(b)) | (Value::Json(a), Value::Json(b)) => Some(a.cmp(b)),
            (Value::Uuid(a), Value::Uuid(b)) => Some(a.cmp(b)),
            (Value::Date(a), Value::Date(b)) => Some(a.cmp(b)),
            (Value::Time(a), Value::Time(b)) => Some(a.cmp(b)),
            (Value::Timestamp(a), Value::Timestamp(b)) => Some(a.cmp(b)),
            (Value::Duration(a), Value::Duration(b)) => Some(a.cmp(b)),
            (Value::Bytes(a), Value::Bytes(b)) => Some(a.cmp(b)),
            (Value::List(_), Value::List(_)) => Some(self.to_json().cmp(&other.to_json())),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
