//! The app's interface as an OpenAPI 3.1 document, made from its schema and the table of routes.
//!
//! Everything that the server can answer is described, every failure included: an answer that its own document does
//! not describe is a bug, and a test looks for one. What a caller may see of it is not known here: rules are the
//! engine's.

use axum::response::Response;
use mainstay_engine::error::Error;
use mainstay_engine::plugin::Parts;
use mainstay_lang::schema::{Schema, Table};
use serde_json::{Map, Value, json};

use crate::call::Call;

pub(crate) use described::Described;
pub use described::RouteDocs;

mod components;
mod described;
mod example;
mod paths;
mod rows;
mod types;

/// The document of an app, with what its plugins say of their routes.
pub fn document(schema: &Schema, parts: &Parts) -> Value {
    let described = parts.get::<Described>();
    let title = if schema.title.is_empty() { &schema.app } else { &schema.title };
    let tags: Vec<Value> = std::iter::once(json!({"name": QUERY_TAG, "description": QUERY_DOCS}))
        .chain(tables(schema).map(|table| json!({"name": table.name, "description": table.docs})))
        .chain(described.into_iter().flat_map(Described::tags))
        .chain([json!({"name": SERVER_TAG, "description": "Health, metrics and these documents."})])
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {"title": title, "version": "1", "description": INTRODUCTION},
        "servers": [{"url": "/"}],
        "tags": tags,
        "security": [{}, {"bearer": []}],
        "paths": paths::paths(schema, described),
        "components": components::components(schema),
    })
}

/// `GET /openapi.json`.
pub(crate) async fn serve(call: Call) -> Result<Response, Error> {
    call.parameters(&[])?;
    Ok(call.cached(&call.app.openapi, "application/json"))
}

const QUERY_TAG: &str = "Query";
const SERVER_TAG: &str = "Server";

const INTRODUCTION: &str = "Every answer holds exactly the rows and columns that the caller may see. \
    Callers prove who they are with `Authorization: Bearer TOKEN`; without it they are anonymous. \
    Failures are `application/problem+json` with a stable `key`; `/docs/errors` explains each.";

const QUERY_DOCS: &str = "One JSON document that reads and writes any number of tables in one transaction.";

/// The app's own tables, then the platform's.
fn tables(schema: &Schema) -> impl Iterator<Item = &Table> {
    let of = |platform| schema.tables.iter().filter(move |table| table.platform == platform);
    of(false).chain(of(true))
}

/// A table's key as JSON Schema.
fn answered_key(schema: &Schema, table: &Table) -> Value {
    types::answered(schema, schema.key_type(table.id))
}

/// A reference to a component.
fn reference(kind: &str, name: &str) -> Value {
    json!({"$ref": format!("#/components/{kind}/{name}")})
}

/// An object of members in order.
fn object(members: impl IntoIterator<Item = (String, Value)>) -> Value {
    Value::Object(members.into_iter().collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use mainstay_engine::plugin::Parts;
    use mainstay_lang::schema::Schema;
    use serde_json::Value;

    use super::document;

    #[test]
    fn every_reference_of_an_empty_app_leads_somewhere() {
        let document = document(&Schema { app: "empty".to_owned(), ..Schema::default() }, &Parts::default());
        check_references(&document, &document);
    }

    fn check_references(document: &Value, at: &Value) {
        match at {
            Value::Object(members) => {
                if let Some(Value::String(to)) = members.get("$ref") {
                    assert!(document.pointer(&to[1..]).is_some(), "{to}");
                }
                members.values().for_each(|value| check_references(document, value));
            }
            Value::Array(items) => items.iter().for_each(|value| check_references(document, value)),
            _ => {}
        }
    }
}
