//! Values as SQLite keeps them: the storage format, both ways.
//!
//! Reading trusts the format (the tables are STRICT and every write comes from here), but says so when a foreign hand
//! has left something else.

use super::{SqlArg, SqlResult};
use crate::types::Type;
use crate::value::{Date, Decimal, Duration, Time, Timestamp, Value, ValueError, ValueErrorKind};

impl Value {
    /// Reads a stored value of a storage type.
    pub fn from_sql(stored: SqlArg<'_>, ty: &Type) -> Result<Value, ValueError> {
        let value = match (ty, stored) {
            (_, SqlArg::Null) => Some(Value::Null),
            (Type::Bool, SqlArg::Int(value)) => Some(Value::Bool(value != 0)),
            (Type::Int, SqlArg::Int(value)) => Some(Value::Int(value)),
            (Type::Float, SqlArg::Real(value)) => Some(Value::Float(value)),
            (Type::Decimal { scale, .. }, SqlArg::Int(value)) => {
                Decimal::new(value.into(), *scale).map(Value::Decimal)
            }
            (Type::Duration, SqlArg::Int(value)) => Some(Value::Duration(Duration(value))),
            (Type::Bytes, SqlArg::Blob(value)) => Some(Value::Bytes(value.to_vec())),
            (Type::Text { .. } | Type::Enum(_) | Type::File, SqlArg::Text(value)) => {
                Some(Value::Text(value.to_owned()))
            }
            (Type::Json, SqlArg::Text(value)) => Some(Value::Json(value.to_owned())),
            (Type::Uuid, SqlArg::Text(value)) => uuid::Uuid::try_parse(value).ok().map(Value::Uuid),
            (Type::Date, SqlArg::Text(value)) => Date::parse(value).map(Value::Date),
            (Type::Time, SqlArg::Text(value)) => Time::parse(value).map(Value::Time),
            (Type::Timestamp, SqlArg::Text(value)) => Timestamp::parse(value).map(Value::Timestamp),
            (Type::List(_), SqlArg::Text(value)) => Value::from_json(value, ty).ok(),
            _ => None,
        };
        value.ok_or_else(|| ValueError {
            kind: ValueErrorKind::Format,
            message: format!("is kept in the database in another form than {ty} has"),
        })
    }

    /// The stored form.
    pub fn to_sql(&self) -> SqlResult {
        match self {
            Value::Null => SqlResult::Null,
            Value::Bool(value) => SqlResult::Int(i64::from(*value)),
            Value::Int(value) => SqlResult::Int(*value),
            Value::Float(value) => SqlResult::Real(*value),
            Value::Decimal(value) => SqlResult::Int(value.mantissa),
            Value::Duration(value) => SqlResult::Int(value.0),
            Value::Bytes(value) => SqlResult::Blob(value.clone()),
            Value::Text(_)
            | Value::Json(_)
            | Value::Uuid(_)
            | Value::Date(_)
            | Value::Time(_)
            | Value::Timestamp(_)
            | Value::List(_) => SqlResult::Text(self.to_string()),
        }
    }
}

impl SqlResult {
    /// The same, borrowed.
    pub fn as_arg(&self) -> SqlArg<'_> {
        match self {
            SqlResult::Null => SqlArg::Null,
            SqlResult::Int(value) => SqlArg::Int(*value),
            SqlResult::Real(value) => SqlArg::Real(*value),
            SqlResult::Text(value) => SqlArg::Text(value),
            SqlResult::Blob(value) => SqlArg::Blob(value),
        }
    }
}
