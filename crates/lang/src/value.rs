//! Values in memory, and their form on the wire and in the database.
//!
//! [`Value`] owns what it holds: row images, parameters, literals. Parsing from JSON against a type, writing as JSON
//! and the scalar types [`Decimal`], [`Date`], [`Time`], [`Timestamp`], [`Span`] are here, so that the wire, the
//! database functions and the evaluator cannot differ.

use uuid::Uuid;

/// A value of any type; null is a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// `bool`
    Bool(bool),
    /// `int`
    Int(i64),
    /// `float`, always finite.
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

/// `mantissa / 10^scale`, exact. Stored as its mantissa: the column's type knows the scale.
#[derive(Clone, Copy, Debug)]
pub struct Decimal {
    /// All digits as an integer; fewer than 10^18 in magnitude.
    pub mantissa: i64,
    /// Digits after the point.
    pub scale: u8,
}

/// Numeric: `1.50` equals `1.5`.
impl PartialEq for Decimal {
    fn eq(&self, other: &Decimal) -> bool {
        let scale = self.scale.max(other.scale);
        let scaled = |d: &Decimal| i128::from(d.mantissa) * 10i128.pow(u32::from(scale - d.scale));
        scaled(self) == scaled(other)
    }
}

impl Eq for Decimal {}

/// Days since 1970-01-01. Stored as text `YYYY-MM-DD`, which sorts the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(pub i32);

/// Microseconds since midnight. Stored as text `HH:MM:SS.ffffff`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub i64);

/// Microseconds since 1970-01-01T00:00:00Z. Stored as text `YYYY-MM-DDTHH:MM:SS.ffffffZ`, which sorts the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

/// Microseconds. Stored as an integer; ISO 8601 (`P1DT2H`) on the wire, days being 24 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(pub i64);
