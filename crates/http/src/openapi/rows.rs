//! A table's rows as JSON Schema: as answered, as created, as changed.

use mainstay_lang::schema::{Column, ColumnId, Relation, Schema, Table};
use mainstay_lang::types::Type;
use serde_json::{Value, json};

use super::types::{answered, nullable, sent};
use super::{object, reference};

/// The component of what is sent to create a row.
pub(super) fn create_name(table: &Table) -> String {
    format!("{}.create", table.name)
}

/// The component of what is sent to change a row.
pub(super) fn update_name(table: &Table) -> String {
    format!("{}.update", table.name)
}

/// A row in an answer. `get`, rules for columns and lost rights may leave out all but its id.
pub(super) fn row(schema: &Schema, table: &Table) -> Value {
    let columns = table.columns.iter().filter(|column| !column.secret).map(|column| {
        let mut value = answered_column(schema, column);
        if column.is_managed() {
            value["readOnly"] = json!(true);
        }
        (column.name.clone(), described(value, &column.docs))
    });
    let relations = table.relations.iter().map(|relation| {
        let rows =
            json!({"type": "array", "items": reference("schemas", &schema.table(relation.target).name)});
        (relation.name.clone(), described(rows, &relation.docs))
    });
    let flags = [
        ("new", "The request made this row."),
        ("edited", "The request changed this row."),
        ("deleted", "The request deleted this row."),
    ];
    let flags = flags.map(|(name, docs)| {
        (name.to_owned(), json!({"type": "boolean", "readOnly": true, "description": docs}))
    });
    let properties = object(columns.chain(relations).chain(flags));
    described(json!({"type": "object", "required": ["id"], "properties": properties}), &table.docs)
}

/// A to-one relation is its target's key, or the target itself when `get` asks into it.
fn answered_column(schema: &Schema, column: &Column) -> Value {
    let value = match column.ty {
        Type::Ref(target) => {
            let row = reference("schemas", &schema.table(target).name);
            json!({"anyOf": [answered(schema, &column.ty), row, {"type": "null"}]})
        }
        _ if column.nullable => nullable(answered(schema, &column.ty)),
        _ => answered(schema, &column.ty),
    };
    if column.hidden { described(value, "Left out of `*`.") } else { value }
}

/// A row to create.
pub(super) fn create(schema: &Schema, table: &Table) -> Value {
    let columns = table.columns.iter().filter(|column| !column.is_managed());
    let required: Vec<&str> = columns
        .clone()
        .filter(|column| column.id != ColumnId::ID && Some(column.id) != table.tenant)
        .filter(|column| !column.nullable && column.default.is_none())
        .map(|column| column.name.as_str())
        .collect();
    let properties = columns.map(|column| (column.name.clone(), sent_column(schema, column, false)));
    let mut value = json!({
        "type": "object",
        "properties": object(properties.chain(sent_relations(table))),
        "additionalProperties": false,
    });
    if !required.is_empty() {
        value["required"] = json!(required);
    }
    value
}

/// Some of a row's columns, to change.
pub(super) fn update(schema: &Schema, table: &Table) -> Value {
    let columns = table
        .columns
        .iter()
        .filter(|column| column.id != ColumnId::ID && !column.is_managed() && !column.immutable)
        .map(|column| (column.name.clone(), sent_column(schema, column, true)));
    json!({
        "type": "object",
        "properties": object(columns.chain(sent_relations(table))),
        "additionalProperties": false,
    })
}

fn sent_column(schema: &Schema, column: &Column, is_change: bool) -> Value {
    let value = sent(schema, column);
    let computed = is_change.then(|| computed(&column.ty)).flatten();
    let mut value = match (&column.ty, computed) {
        (Type::Ref(_), _) => {
            json!({"anyOf": [value, nested()]})
        }
        (_, Some(computed)) => json!({"anyOf": [value, computed]}),
        _ => value,
    };
    if column.nullable {
        value = nullable(value);
    }
    if column.secret {
        value["writeOnly"] = json!(true);
    }
    described(value, &column.docs)
}

/// A row beside the row: a part of the query language.
fn nested() -> Value {
    json!({"type": "object", "minProperties": 1, "description": "Finds, or with `create` makes, the row."})
}

/// `{"$add": 1}` and its kin: the new value is computed from the old one in the database.
fn computed(ty: &Type) -> Option<Value> {
    let operators: &[&str] = match ty {
        Type::Int | Type::Float | Type::Decimal { .. } => &["$add", "$sub", "$mul"],
        Type::Text { .. } => &["$concat"],
        Type::List(_) => &["$append", "$remove"],
        _ => return None,
    };
    Some(json!({
        "type": "object",
        "properties": object(operators.iter().map(|operator| ((*operator).to_owned(), json!({})))),
        "additionalProperties": false,
        "minProperties": 1,
        "maxProperties": 1,
    }))
}

fn sent_relations(table: &Table) -> impl Iterator<Item = (String, Value)> {
    let value = |relation: &Relation| {
        let value = json!({"anyOf": [nested(), {"type": "array", "items": nested()}]});
        described(value, &relation.docs)
    };
    table.relations.iter().map(move |relation| (relation.name.clone(), value(relation)))
}

/// Adds words, behind those that are there.
fn described(mut value: Value, docs: &str) -> Value {
    if docs.is_empty() {
        return value;
    }
    let words = match value.get("description").and_then(Value::as_str) {
        Some(before) => format!("{docs} {before}"),
        None => docs.to_owned(),
    };
    value["description"] = json!(words);
    value
}
