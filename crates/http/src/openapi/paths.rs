//! The table of routes, written out for each table and relation of the app.

use axum::http::StatusCode;
use mainstay_lang::schema::{Relation, RelationKind, Schema, Table};
use serde_json::{Map, Value, json};

use super::components::{problem_name, row_or_group};
use super::described::Described;
use super::{QUERY_TAG, SERVER_TAG, answered_key, example, object, reference, rows};
use crate::rest::history::PARAMETERS as HISTORY_PARAMETERS;
use crate::rest::list::PARAMETERS;
use crate::router::{Access, Endpoint, ROUTES, Route};

/// Everything under `paths`.
pub(super) fn paths(schema: &Schema, described: Option<&Described>) -> Value {
    let mut paths = Map::new();
    for route in ROUTES {
        for (path, operation) in operations(schema, route) {
            let item = paths.entry(path).or_insert_with(|| json!({}));
            item[route.method.as_str().to_ascii_lowercase()] = operation;
        }
    }
    described.into_iter().for_each(|described| described.write(&mut paths));
    Value::Object(paths)
}

fn operations(schema: &Schema, route: &Route) -> Vec<(String, Value)> {
    let written = || schema.tables.iter().filter(|table| table.stream.is_none());
    let of = |table: &Table| route.path.replace("{table}", &table.name);
    match route.endpoint {
        Endpoint::List => schema.tables.iter().map(|table| (of(table), list(table))).collect(),
        Endpoint::Read => schema.tables.iter().map(|table| (of(table), read(schema, table))).collect(),
        Endpoint::History => schema.tables.iter().map(|table| (of(table), history(schema, table))).collect(),
        Endpoint::Create => written().map(|table| (of(table), create(schema, table))).collect(),
        Endpoint::Update => written().map(|table| (of(table), update(schema, table))).collect(),
        Endpoint::Delete => written().map(|table| (of(table), delete(schema, table))).collect(),
        Endpoint::Link | Endpoint::Unlink => written()
            .flat_map(|table| table.relations.iter().map(move |relation| (table, relation)))
            .map(|(table, relation)| {
                let path = of(table).replace("{relation}", &relation.name);
                (path, link(schema, table, relation, route.endpoint == Endpoint::Link))
            })
            .collect(),
        Endpoint::Query => vec![(route.path.to_owned(), query(schema))],
        Endpoint::Socket => vec![(route.path.to_owned(), socket())],
        Endpoint::Live | Endpoint::Ready => vec![(route.path.to_owned(), health(route.endpoint))],
        Endpoint::Metrics => {
            vec![document(route, "metrics", "What was measured, for Prometheus.", "text/plain")]
        }
        Endpoint::OpenApi => vec![document(route, "openapi", "This document.", "application/json")],
        Endpoint::Docs => vec![document(route, "docs", "The rendered reference.", "text/html")],
        Endpoint::DocsErrors => {
            vec![document(route, "docsErrors", "What each error key means.", "text/html")]
        }
    }
}

/// Failures that every route under rules can answer.
const RULED: &[u16] = &[400, 401, 403, 404, 422, 429, 500, 503];
/// Failures of a write, beside those.
const WRITTEN: &[u16] = &[409];
/// Failures of a request with a body, beside those.
const WITH_BODY: &[u16] = &[413, 415];

fn list(table: &Table) -> Value {
    let page = json!({
        "type": "object",
        "required": ["items", "next"],
        "properties": {
            "items": {"type": "array", "items": row_or_group(&table.name)},
            "next": {"type": ["string", "null"], "description": "What `after` takes; null: no rows follow."},
            "count": {"type": "integer", "minimum": 0},
            "explain": {},
        },
    });
    Operation::new(&table.name, format!("list{}", table.name), format!("Rows of {}", table.name))
        .parameters(PARAMETERS)
        .answer(StatusCode::OK, "The rows that match and that the caller may read.", page)
        .failures(&[RULED])
}

fn read(schema: &Schema, table: &Table) -> Value {
    Operation::new(&table.name, format!("read{}", table.name), format!("One {}", table.name))
        .key(schema, table, "id")
        .parameters(&["get", "explain", "If-None-Match"])
        .answer(StatusCode::OK, "The row.", row_or_explained(table))
        .answer_header(StatusCode::OK, "ETag", "ETag")
        .bare(StatusCode::NOT_MODIFIED, "The row is as the client knows it.")
        .failures(&[RULED])
}

fn history(schema: &Schema, table: &Table) -> Value {
    let version = json!({
        "type": "object",
        "required": ["at", "kind", "actor", "row"],
        "properties": {
            "at": {"type": "string", "format": "date-time"},
            "kind": {"enum": ["create", "update", "delete"]},
            "actor": {
                "type": ["string", "null"],
                "description": "The key of the user, `admin` for an administrator without one; null for nobody, or a \
                    user whom the caller may not read.",
            },
            "changed": {
                "type": "array",
                "items": {"type": "string"},
                "description": "The columns that an update changed; absent where the row as it was before may not be seen.",
            },
            "row": {"type": "object", "description": "The row as it was then: its columns, without those that are hidden."},
        },
    });
    let page = json!({
        "type": "object",
        "required": ["items", "next"],
        "properties": {
            "items": {"type": "array", "items": version},
            "next": {"type": ["string", "null"], "description": "What `after` takes; null: no versions follow."},
        },
    });
    Operation::new(&table.name, format!("history{}", table.name), format!("Versions of one {}", table.name))
        .key(schema, table, "id")
        .parameters(HISTORY_PARAMETERS)
        .answer(StatusCode::OK, "The versions that the caller may see, the newest first.", page)
        .failures(&[RULED])
}

/// With `explain` the row stands in `row`.
fn row_or_explained(table: &Table) -> Value {
    let row = reference("schemas", &table.name);
    json!({"anyOf": [row, explained("row", &row)]})
}

fn explained(name: &str, value: &Value) -> Value {
    json!({"type": "object", "required": [name, "explain"], "properties": {name: value, "explain": {}}})
}

fn only_explained() -> Value {
    json!({"type": "object", "required": ["explain"], "properties": {"explain": {}}})
}

fn create(schema: &Schema, table: &Table) -> Value {
    let row = reference("schemas", &table.name);
    let rows = json!({"type": "array", "items": row});
    let body = reference("schemas", &rows::create_name(table));
    Operation::new(&table.name, format!("create{}", table.name), format!("New {}", table.name))
        .parameters(&["get", "explain"])
        .write_headers()
        .body(json!({"anyOf": [body, {"type": "array", "items": body}]}), example::create(schema, table))
        .answer(
            StatusCode::CREATED,
            "The new row, or an array when an array was sent: all or none.",
            json!({"anyOf": [row, rows, explained("row", &row), explained("rows", &rows)]}),
        )
        .answer_header(StatusCode::CREATED, "Location", "Location")
        .answer_header(StatusCode::CREATED, "ETag", "ETag")
        .links(StatusCode::CREATED, table)
        .failures(&[RULED, WRITTEN, WITH_BODY])
}

fn update(schema: &Schema, table: &Table) -> Value {
    Operation::new(&table.name, format!("update{}", table.name), format!("Change one {}", table.name))
        .key(schema, table, "id")
        .parameters(&["get", "explain", "If-Match"])
        .write_headers()
        .body(reference("schemas", &rows::update_name(table)), example::update(schema, table))
        .answer(StatusCode::OK, "The row as it is now.", row_or_explained(table))
        .answer_header(StatusCode::OK, "ETag", "ETag")
        .failures(&[RULED, WRITTEN, WITH_BODY, &[412]])
}

fn delete(schema: &Schema, table: &Table) -> Value {
    Operation::new(&table.name, format!("delete{}", table.name), format!("Delete one {}", table.name))
        .key(schema, table, "id")
        .parameters(&["explain", "If-Match"])
        .write_headers()
        .bare(StatusCode::NO_CONTENT, "It is gone.")
        .answer(StatusCode::OK, "It is gone; with `explain`.", only_explained())
        .failures(&[RULED, WRITTEN, &[412]])
}

fn link(schema: &Schema, table: &Table, relation: &Relation, adds: bool) -> Value {
    let (verb, summary, done) =
        if adds { ("link", "Add to", "It is linked.") } else { ("unlink", "Take from", "It is not linked.") };
    let id = format!("{verb}{}.{}", table.name, relation.name);
    let target = schema.table(relation.target);
    let words = match relation.kind {
        RelationKind::Reverse { .. } => format!("Changes the {} that is named.", target.name),
        RelationKind::Link(_) | RelationKind::LinkReverse { .. } => relation.docs.clone(),
    };
    Operation::new(&table.name, id, format!("{summary} {} of one {}", relation.name, table.name))
        .describe(&words)
        .key(schema, table, "id")
        .key(schema, target, "target")
        .parameters(&["explain"])
        .write_headers()
        .bare(StatusCode::NO_CONTENT, done)
        .answer(StatusCode::OK, "It is done; with `explain`.", only_explained())
        .failures(&[RULED, WRITTEN])
}

fn query(schema: &Schema) -> Value {
    let document = reference("schemas", "Document");
    let answer = reference("schemas", "Answer");
    let example = match schema.tables.iter().find(|table| !table.platform) {
        Some(table) => json!({&table.name: {"get": ["*"], "order": ["-created"], "limit": 10}}),
        None => json!({}),
    };
    Operation::new(QUERY_TAG, "query".to_owned(), "Read and write in one transaction".to_owned())
        .parameters(&["explain"])
        .write_headers()
        .body(json!({"anyOf": [document, {"type": "array", "items": document}]}), example)
        .answer(
            StatusCode::OK,
            "The answer, in the shape of the document; an array for an array of documents.",
            json!({"anyOf": [answer, {"type": "array", "items": answer}, {"type": "object"}]}),
        )
        .failures(&[RULED, WRITTEN, WITH_BODY])
}

fn health(endpoint: Endpoint) -> Value {
    let (id, summary) = match endpoint {
        Endpoint::Live => ("live", "The process runs"),
        _ => ("ready", "The server takes work"),
    };
    Operation::new(SERVER_TAG, id.to_owned(), summary.to_owned())
        .answer(StatusCode::OK, "Yes.", reference("schemas", "Health"))
        .failures(&[&[400, 500, 503]])
}

fn socket() -> Value {
    Operation::new(QUERY_TAG, "socket".to_owned(), "Requests and subscriptions over a WebSocket".to_owned())
        .describe(
            "Upgrades the connection. Frames are JSON texts; any request can be made over the socket, and any part of the \
             query language subscribed to.",
        )
        .query("device", "What the device calls itself, for `Presence`; else the name of the program.")
        .bare(StatusCode::SWITCHING_PROTOCOLS, "The socket is open.")
        .failures(&[&[400, 401, 403, 500, 503]])
}

fn document(route: &Route, id: &str, summary: &str, media_type: &str) -> (String, Value) {
    debug_assert_eq!(route.access, Access::Open);
    let mut operation = Operation::new(SERVER_TAG, id.to_owned(), summary.to_owned())
        .answer(StatusCode::OK, summary, json!({}))
        .bare(StatusCode::NOT_MODIFIED, "It is as the client knows it.");
    operation.0["responses"]["200"]["content"] = json!({media_type: {}});
    (route.path.to_owned(), operation.failures(&[&[400, 500]]))
}

/// One operation while it is put together; [`Operation::failures`] completes it.
pub(super) struct Operation(pub(super) Value);

impl Operation {
    pub(super) fn new(tag: &str, id: String, summary: String) -> Operation {
        Operation(
            json!({"tags": [tag], "operationId": id, "summary": summary, "parameters": [], "responses": {}}),
        )
    }

    pub(super) fn describe(mut self, words: &str) -> Operation {
        if !words.is_empty() {
            self.0["description"] = json!(words);
        }
        self
    }

    pub(super) fn parameter(&mut self, parameter: Value) {
        self.0["parameters"].as_array_mut().expect("it was made an array").push(parameter);
    }

    fn key(mut self, schema: &Schema, table: &Table, name: &str) -> Operation {
        let value = answered_key(schema, table);
        let example = example::key(schema, table);
        self.parameter(
            json!({"name": name, "in": "path", "required": true, "schema": value, "example": example}),
        );
        self
    }

    fn parameters(mut self, names: &[&str]) -> Operation {
        for name in names {
            self.parameter(reference("parameters", name));
        }
        self
    }

    fn header(self, name: &str, docs: &str) -> Operation {
        self.text("header", name, docs)
    }

    fn query(self, name: &str, docs: &str) -> Operation {
        self.text("query", name, docs)
    }

    fn text(mut self, place: &str, name: &str, docs: &str) -> Operation {
        self.parameter(json!({"name": name, "in": place, "description": docs, "schema": {"type": "string"}}));
        self
    }

    fn write_headers(self) -> Operation {
        self.header(
            "Idempotency-Key",
            "The same key gives the same answer for 24 hours, without a second write.",
        )
        .header("Accept-Warnings", "Ids of warnings that the caller accepts, separated by commas.")
    }

    pub(super) fn body(mut self, schema: Value, example: Value) -> Operation {
        let content = json!({"application/json": {"schema": schema, "example": example}});
        self.0["requestBody"] = json!({"required": true, "content": content});
        self
    }

    fn answer(mut self, status: StatusCode, docs: &str, schema: Value) -> Operation {
        self = self.bare(status, docs);
        self.0["responses"][status.as_str()]["content"] = json!({"application/json": {"schema": schema}});
        self
    }

    pub(super) fn bare(mut self, status: StatusCode, docs: &str) -> Operation {
        let headers = json!({"X-Request-Id": reference("headers", "RequestId")});
        self.0["responses"][status.as_str()] = json!({"description": docs, "headers": headers});
        self
    }

    fn answer_header(mut self, status: StatusCode, name: &str, component: &str) -> Operation {
        self.0["responses"][status.as_str()]["headers"][name] = reference("headers", component);
        self
    }

    /// What can be done next with a new row.
    fn links(mut self, status: StatusCode, table: &Table) -> Operation {
        let link = |verb: &str| {
            let operation = format!("{verb}{}", table.name);
            (operation.clone(), json!({"operationId": operation, "parameters": {"id": "$response.body#/id"}}))
        };
        self.0["responses"][status.as_str()]["links"] = object(["read", "update", "delete"].map(link));
        self
    }

    pub(super) fn failures(mut self, statuses: &[&[u16]]) -> Value {
        let mut statuses: Vec<u16> = statuses.iter().flat_map(|statuses| statuses.iter().copied()).collect();
        statuses.sort_unstable();
        for status in statuses {
            let code = StatusCode::from_u16(status).expect("the lists above hold statuses");
            let known = &mut self.0["responses"][code.as_str()];
            // What a plugin says of a status is said already.
            if known.is_null() {
                *known = reference("responses", &problem_name(code));
            }
        }
        self.0
    }
}
