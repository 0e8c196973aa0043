//! The types that a column or an expression can have.

use std::fmt;
use std::sync::Arc;

use crate::schema::TableId;

/// Names of the types that are not tables.
pub(crate) const SCALARS: [&str; 14] = [
    "bool",
    "int",
    "float",
    "decimal",
    "text",
    "uuid",
    "date",
    "time",
    "timestamp",
    "duration",
    "json",
    "bytes",
    "enum",
    "file",
];

/// The type of a column or of an expression.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// `true` or `false`.
    Bool,
    /// A signed 64-bit integer.
    Int,
    /// A finite IEEE 754 double.
    Float,
    /// An exact decimal of at most `precision` (≤ 18) digits, `scale` of them after the point.
    Decimal {
        /// All digits.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// Unicode text without U+0000, of at most `max` code points.
    Text {
        /// Longest allowed, in code points.
        max: Option<u32>,
    },
    /// A UUID, lower-case and hyphenated on the wire.
    Uuid,
    /// A day of the proleptic Gregorian calendar, years 0001 to 9999.
    Date,
    /// A time of day in microseconds.
    Time,
    /// An instant in UTC, in microseconds, years 0001 to 9999.
    Timestamp,
    /// A span of time in microseconds.
    Duration,
    /// Any JSON value, kept as written without white space.
    Json,
    /// Bytes; base64 on the wire.
    Bytes,
    /// One of a closed list of names.
    Enum(Arc<EnumType>),
    /// The id of a stored file.
    File,
    /// A list of a scalar.
    List(Arc<Type>),
    /// The id of a row of a table.
    Ref(TableId),
    /// The type of the literal `null`; no column has it.
    Null,
}

/// The names of an enum, in declared order: `<` and `order` follow it.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct EnumType {
    /// The names.
    pub values: Vec<String>,
}

impl EnumType {
    /// The place of a name in the declared order.
    pub fn rank(&self, name: &str) -> Option<usize> {
        self.values.iter().position(|value| value == name)
    }
}

impl Type {
    /// Whether arithmetic works on it.
    pub fn is_numeric(&self) -> bool {
        matches!(self, Type::Int | Type::Float | Type::Decimal { .. })
    }

    /// Whether values of it are text in the database and in memory.
    pub fn is_textual(&self) -> bool {
        matches!(self, Type::Text { .. } | Type::Enum(_))
    }
}

/// As it is written in a `.stay` file, but for references, which show as `row`.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Bool => f.write_str("bool"),
            Type::Int => f.write_str("int"),
            Type::Float => f.write_str("float"),
            Type::Decimal { precision, scale } => write!(f, "decimal({precision}, {scale})"),
            Type::Text { max: None } => f.write_str("text"),
            Type::Text { max: Some(max) } => write!(f, "text({max})"),
            Type::Uuid => f.write_str("uuid"),
            Type::Date => f.write_str("date"),
            Type::Time => f.write_str("time"),
            Type::Timestamp => f.write_str("timestamp"),
            Type::Duration => f.write_str("duration"),
            Type::Json => f.write_str("json"),
            Type::Bytes => f.write_str("bytes"),
            Type::Enum(of) => write!(f, "enum({})", of.values.join(", ")),
            Type::File => f.write_str("file"),
            Type::List(of) => write!(f, "{of}[]"),
            Type::Ref(_) => f.write_str("row"),
            Type::Null => f.write_str("null"),
        }
    }
}
