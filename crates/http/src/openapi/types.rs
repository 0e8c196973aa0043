//! Types as JSON Schema, as they are answered and as they are sent.
//!
//! An answer promises the type alone: rows may be older than a bound or pattern. What is sent is described with
//! every bound that is known before the database is asked.

use mainstay_lang::schema::{Bound, Column, Pattern, Schema};
use mainstay_lang::types::Type;
use mainstay_lang::value::Value as Stored;
use serde_json::{Value, json};

const DURATION: &str = r"^-?P(?=.)(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+(\.\d{1,6})?S)?)?$";

/// A value of this type in an answer.
pub(super) fn answered(schema: &Schema, ty: &Type) -> Value {
    match ty {
        Type::Bool => json!({"type": "boolean"}),
        Type::Int => json!({"type": "integer", "format": "int64"}),
        Type::Float => json!({"type": "number", "format": "double"}),
        Type::Decimal { scale: 0, .. } => {
            json!({"type": "string", "format": "decimal", "pattern": r"^-?\d+$"})
        }
        Type::Decimal { scale, .. } => {
            json!({"type": "string", "format": "decimal", "pattern": format!(r"^-?\d+\.\d{{{scale}}}$")})
        }
        Type::Text { .. } | Type::File | Type::Null => json!({"type": "string"}),
        Type::Uuid => json!({"type": "string", "format": "uuid"}),
        Type::Date => json!({"type": "string", "format": "date"}),
        Type::Time => json!({"type": "string", "pattern": r"^\d{2}:\d{2}:\d{2}\.\d{6}$"}),
        Type::Timestamp => json!({"type": "string", "format": "date-time"}),
        Type::Duration => {
            json!({"type": "string", "pattern": DURATION, "description": "ISO 8601; a day is 24 hours."})
        }
        Type::Json => json!({}),
        Type::Bytes => json!({"type": "string", "contentEncoding": "base64"}),
        Type::Enum(of) => json!({"type": "string", "enum": of.values}),
        Type::List(of) => json!({"type": "array", "items": answered(schema, of)}),
        Type::Ref(table) => answered(schema, schema.key_type(*table)),
    }
}

/// A value that a column takes, null aside.
pub(super) fn sent(schema: &Schema, column: &Column) -> Value {
    let mut value = sent_type(schema, &column.ty);
    match &column.pattern {
        Some(Pattern::Email) => value["format"] = json!("email"),
        Some(Pattern::Url) => value["format"] = json!("uri"),
        // Inline flags and the like mean something else, or nothing, in the dialect of JSON Schema.
        Some(Pattern::Regex(regex)) if !regex.as_str().contains("(?") => {
            value["pattern"] = json!(regex.as_str())
        }
        _ => {}
    }
    let is_list = matches!(column.ty, Type::List(_));
    bound(&mut value, column.min.as_ref(), is_list, ["minItems", "minLength", "minimum"]);
    bound(&mut value, column.max.as_ref(), is_list, ["maxItems", "maxLength", "maximum"]);
    value
}

fn sent_type(schema: &Schema, ty: &Type) -> Value {
    match ty {
        Type::Int => json!({"type": "integer", "format": "int64", "minimum": i64::MIN, "maximum": i64::MAX}),
        Type::Decimal { precision, scale } => {
            let whole = precision.saturating_sub(*scale).max(1);
            let pattern = format!(r"^-?\d{{1,{whole}}}(\.\d{{1,{}}})?$", (*scale).max(1));
            json!({"type": ["string", "number"], "format": "decimal", "pattern": pattern})
        }
        Type::Text { max } => {
            let mut value = json!({"type": "string", "pattern": "^[^\\u0000]*$"});
            if let Some(max) = max {
                value["maxLength"] = json!(max);
            }
            value
        }
        Type::List(of) => json!({"type": "array", "items": sent_type(schema, of)}),
        Type::Ref(table) => sent_type(schema, schema.key_type(*table)),
        other => answered(schema, other),
    }
}

fn bound(value: &mut Value, bound: Option<&Bound>, is_list: bool, [items, length, number]: [&str; 3]) {
    match bound {
        Some(Bound::Length(count)) if is_list => value[items] = json!(count),
        Some(Bound::Length(count)) => value[length] = json!(count),
        Some(Bound::Value(Stored::Int(limit))) => value[number] = json!(limit),
        Some(Bound::Value(Stored::Float(limit))) => value[number] = json!(limit),
        // Decimals and times travel as text, for which JSON Schema knows no bounds.
        _ => {}
    }
}

/// The same, or null.
pub(super) fn nullable(mut value: Value) -> Value {
    if let Some(Value::Array(names)) = value.get_mut("enum") {
        names.push(Value::Null);
    }
    match value.get_mut("type") {
        Some(Value::Array(types)) => types.push(json!("null")),
        Some(one) => *one = json!([one.clone(), "null"]),
        None => {}
    }
    if let Some(Value::Array(choices)) = value.get_mut("anyOf") {
        choices.push(json!({"type": "null"}));
    }
    value
}
