//! What paths share: rows, problems, parameters, the query document, credentials.

use axum::http::StatusCode;
use mainstay_engine::error::Key;
use mainstay_lang::schema::Schema;
use serde_json::{Value, json};

use super::{object, reference, rows};
use crate::problem::{STATUSES, status};

/// Everything under `components`.
pub(super) fn components(schema: &Schema) -> Value {
    json!({
        "schemas": schemas(schema),
        "responses": object(STATUSES.iter().map(|(_, status)| (problem_name(*status), problem_response(*status)))),
        "parameters": object(PARAMETERS.iter().map(|of| (of.name.to_owned(), parameter(of)))),
        "headers": {
            "RequestId": {"description": "Names the request in the server's log.", "schema": {"type": "string"}},
            "ETag": {
                "description": "The row's version: strong for one row without nesting, else weak.",
                "schema": {"type": "string"},
            },
            "Location": {"description": "Where the new row is found.", "schema": {"type": "string"}},
            "RetryAfter": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}},
        },
        "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
    })
}

fn schemas(schema: &Schema) -> Value {
    let of_tables = schema.tables.iter().flat_map(|table| {
        let written = table.stream.is_none().then(|| {
            [
                (rows::create_name(table), rows::create(schema, table)),
                (rows::update_name(table), rows::update(schema, table)),
            ]
        });
        std::iter::once((table.name.clone(), rows::row(schema, table))).chain(written.into_iter().flatten())
    });
    let shared = [
        ("Problem", problem()),
        (
            "Group",
            json!({"type": "object", "description": "One group of an aggregate: its group values and aggregates."}),
        ),
        ("Document", document(schema)),
        ("Part", part()),
        ("Answer", answer(schema)),
        ("Metadata", metadata()),
        (
            "Health",
            json!({"type": "object", "required": ["status"], "properties": {"status": {"type": "string"}}}),
        ),
    ];
    object(of_tables.chain(shared.map(|(name, value)| (name.to_owned(), value))))
}

fn problem() -> Value {
    let keys: Vec<&str> = Key::ALL.iter().map(|key| key.text()).collect();
    let place = |extra: &str| {
        json!({"type": "array", "items": {
            "type": "object",
            "required": ["path", extra, "message"],
            "properties": {"path": {"type": "string"}, extra: {"type": "string"}, "message": {"type": "string"}},
        }})
    };
    json!({
        "type": "object",
        "description": "What went wrong (RFC 9457).",
        "required": ["type", "key", "status", "title", "request_id"],
        "properties": {
            "type": {"type": "string", "format": "uri-reference"},
            "key": {"type": "string", "enum": keys},
            "status": {"type": "integer"},
            "title": {"type": "string"},
            "detail": {"type": "string"},
            "request_id": {"type": "string"},
            "trace_id": {"type": "string"},
            "errors": place("key"),
            "warnings": place("id"),
            "ticket": {"type": "string", "description": "With which a second factor is shown."},
        },
    })
}

/// The component of the problems of one status.
pub(super) fn problem_name(status: StatusCode) -> String {
    format!("Problem{}", status.as_u16())
}

fn problem_response(of: StatusCode) -> Value {
    let keys: Vec<String> = Key::ALL
        .iter()
        .filter(|key| status(key.kind()) == of)
        .map(|key| format!("`{}`", key.text()))
        .collect();
    let mut headers = json!({"X-Request-Id": reference("headers", "RequestId")});
    if [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].contains(&of) {
        headers["Retry-After"] = reference("headers", "RetryAfter");
    }
    json!({
        "description": format!("{}: {}", of.canonical_reason().unwrap_or_default(), keys.join(", ")),
        "headers": headers,
        "content": {"application/problem+json": {"schema": reference("schemas", "Problem")}},
    })
}

struct Parameter {
    name: &'static str,
    /// `query` or `header`.
    place: &'static str,
    schema: fn() -> Value,
    docs: &'static str,
}

const fn query(name: &'static str, schema: fn() -> Value, docs: &'static str) -> Parameter {
    Parameter { name, place: "query", schema, docs }
}

const fn header(name: &'static str, schema: fn() -> Value, docs: &'static str) -> Parameter {
    Parameter { name, place: "header", schema, docs }
}

/// Parameters and request headers, by name.
const PARAMETERS: &[Parameter] = &[
    query(
        "where",
        words,
        "A condition in the app's own language: `severity == \"serious\" and sender.name ~ \"bar\"`. \
         `+` is a space; write `%2B` for a plus sign.",
    ),
    query(
        "get",
        words,
        "Columns and relations: `title,sender(name),messages(text,author(name))`; `*` is every column that is not hidden.",
    ),
    query("order", words, "Paths, `-` for the largest first: `-created,title nulls first`."),
    query("limit", limit, "Rows of one page."),
    query("offset", offset, "Rows to skip; not with `after`."),
    query("after", words, "The cursor that the page before gave as `next`, under the same order."),
    query("count", flag, "Also count all rows that match."),
    query("aggregate", aggregate, "Named aggregates: `sold:sum(quantity),n:count()`."),
    query("group", words, "Paths to group by: `track,track.album`; beside `aggregate`."),
    query("explain", flag, "Also answer the SQL, its plan and timings (development, or an administrator)."),
    header("If-Match", version_tag, "The row's strong `ETag`: 412 when it is another version."),
    header("If-None-Match", tag, "An `ETag`: 304 when the row is still as it was."),
    header(
        "Idempotency-Key",
        idempotency_key,
        "The same key gives the same answer for 24 hours, without a second write.",
    ),
    header(
        "Accept-Warnings",
        || json!({"type": "string"}),
        "Ids of warnings that are accepted, separated by commas.",
    ),
];

fn words() -> Value {
    json!({"type": "string", "minLength": 1})
}

fn aggregate() -> Value {
    json!({"type": "string", "pattern": r"^[a-z][a-z0-9_]*:.*[^,\s]$"})
}

fn limit() -> Value {
    json!({"type": "integer", "minimum": 0, "maximum": 1000, "default": 100})
}

fn offset() -> Value {
    json!({"type": "integer", "minimum": 0})
}

fn flag() -> Value {
    json!({"type": "boolean"})
}

fn version_tag() -> Value {
    json!({"type": "string", "pattern": r#"^(\*|"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z(-[0-9a-f]{16})?")$"#})
}

/// What cannot be read as a tag matches no row, as RFC 9110 §13.1.2 has it, so any text is taken.
fn tag() -> Value {
    json!({"type": "string"})
}

fn idempotency_key() -> Value {
    json!({"type": "string", "pattern": "^[!-~]{1,255}$"})
}

fn parameter(parameter: &Parameter) -> Value {
    json!({
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.docs,
        "schema": (parameter.schema)(),
    })
}

fn document(schema: &Schema) -> Value {
    let part = reference("schemas", "Part");
    let parts = json!({"anyOf": [part, {"type": "array", "items": part}]});
    json!({
        "type": "object",
        "description": "Tables with their parts, run in order.",
        "properties": object(schema.tables.iter().map(|table| (table.name.clone(), parts.clone()))),
        "additionalProperties": false,
    })
}

fn part() -> Value {
    let names = json!({"type": "array", "items": {"type": "string"}});
    let parts = json!({"anyOf": [{"type": "object"}, {"type": "array", "items": {"type": "object"}}]});
    json!({
        "type": "object",
        "description": "Constraints on columns and relations, plus keywords.",
        "properties": {
            "get": {"anyOf": [{"type": "string", "const": "*"}, names]},
            "create": {"type": "boolean"},
            "set": {"type": "object"},
            "delete": {"type": "boolean"},
            "add": parts,
            "remove": parts,
            "required": {"type": "boolean"},
            "where": words(),
            "params": {"type": "object"},
            "order": names,
            "limit": limit(),
            "offset": offset(),
            "after": {"type": "string"},
            "count": {"type": "boolean"},
            "aggregate": {"type": "object", "additionalProperties": {"type": "string"}},
            "group": names,
            "all": {"type": "boolean"},
            "if_updated": {"type": "string"},
        },
    })
}

fn answer(schema: &Schema) -> Value {
    let members = schema.tables.iter().flat_map(|table| {
        let rows = json!({"type": "array", "items": row_or_group(&table.name)});
        [(table.name.clone(), rows), (format!("{}@", table.name), reference("schemas", "Metadata"))]
    });
    json!({
        "type": "object",
        "description": "For each table one array: the rows of its parts, in order. `Table@` holds what is no row.",
        "properties": object(members),
    })
}

/// An item of a list: a row, or with `aggregate` a group.
pub(super) fn row_or_group(table: &str) -> Value {
    json!({"anyOf": [reference("schemas", table), reference("schemas", "Group")]})
}

fn metadata() -> Value {
    json!({
        "type": "object",
        "properties": {"count": {"type": "integer", "minimum": 0}, "next": {"type": ["string", "null"]}},
    })
}
