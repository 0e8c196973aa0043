//! Examples: a plausible value for each type, a row to create.

use mainstay_lang::schema::{Bound, Column, Pattern, Schema, Table};
use mainstay_lang::types::Type;
use mainstay_lang::value::Value as Stored;
use serde_json::{Value, json};

use super::object;

/// A row that could be created: what is required, and nothing else.
pub(super) fn create(schema: &Schema, table: &Table) -> Value {
    let columns = table.columns.iter().filter(|column| {
        !column.is_given()
            && !column.is_managed()
            && !column.nullable
            && column.default.is_none()
            && Some(column.id) != table.tenant
    });
    object(columns.map(|column| (column.name.clone(), value(schema, column))))
}

/// One column that could be changed.
pub(super) fn update(schema: &Schema, table: &Table) -> Value {
    let column =
        table.columns.iter().find(|column| !column.is_given() && !column.is_managed() && !column.immutable);
    object(column.map(|column| (column.name.clone(), value(schema, column))))
}

/// A key as it stands in a path.
pub(super) fn key(schema: &Schema, table: &Table) -> Value {
    of_type(schema, schema.key_type(table.id))
}

fn value(schema: &Schema, column: &Column) -> Value {
    match (&column.min, &column.pattern) {
        (_, Some(Pattern::Email)) => json!("ann@example.com"),
        (_, Some(Pattern::Url)) => json!("https://example.com/"),
        (Some(Bound::Value(Stored::Int(least))), _) => json!(least),
        _ => of_type(schema, &column.ty),
    }
}

fn of_type(schema: &Schema, ty: &Type) -> Value {
    match ty {
        Type::Bool => json!(true),
        Type::Int => json!(1),
        Type::Float => json!(1.5),
        Type::Decimal { scale: 0, .. } => json!("12"),
        Type::Decimal { scale, .. } => json!(format!("1.{}", "0".repeat(usize::from(*scale)))),
        Type::Text { .. } | Type::File | Type::Null => json!("text"),
        Type::Uuid => json!("019b0000-0000-7000-8000-000000000001"),
        Type::Date => json!("2026-01-31"),
        Type::Time => json!("10:00:00.000000"),
        Type::Timestamp => json!("2026-01-31T10:00:00.000000Z"),
        Type::Duration => json!("PT1H"),
        Type::Json => json!({}),
        Type::Bytes => json!("TWFpbnN0YXk="),
        Type::Enum(of) => json!(of.values.first()),
        Type::List(of) => json!([of_type(schema, of)]),
        Type::Ref(table) => of_type(schema, schema.key_type(*table)),
    }
}
