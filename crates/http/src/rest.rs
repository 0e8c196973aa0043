//! REST: the engine's operations for one table, under paths.
//!
//! Everything becomes parts of one operation; nothing here reads a rule or writes SQL. A table, relation or key that
//! the path names and that does not exist is 404, whatever the reason.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, header};
use mainstay_engine::error::{Error, Key};
use mainstay_engine::part::{Document, Entry, Field, Get, Part};
use mainstay_engine::response::{EntryAnswer, Response};
use mainstay_lang::schema::{Schema, Table};
use mainstay_lang::types::Type;
use serde_json::value::RawValue;

use crate::app::App;
use crate::call::Call;
use crate::credentials::key_value;
use crate::parameters::Parameters;
use crate::seam::nearest;

pub(crate) mod create;
pub(crate) mod delete;
mod etag;
mod get;
pub(crate) mod link;
pub(crate) mod list;
pub(crate) mod read;
mod split;
pub(crate) mod update;

/// The table that the path names.
fn table<'a>(app: &'a Arc<App>, call: &Call) -> Result<&'a Table, Error> {
    let name = call.captures.first().map_or("", String::as_str);
    let schema = app.schema();
    schema.table_named(name).ok_or_else(|| {
        let near = nearest(name, schema.tables.iter().map(|table| table.name.as_str()));
        route_unknown("table", name, near)
    })
}

fn route_unknown(noun: &str, name: &str, near: Option<&str>) -> Error {
    let words = match near {
        Some(near) => format!("There is no {noun} `{name}`; did you mean `{near}`?"),
        None => format!("There is no {noun} `{name}`."),
    };
    Error::new(Key::RouteUnknown, words)
}

/// The constraint to the row that the path names; a key that none can have is not there.
fn by_id(schema: &Schema, table: &Table, call: &Call) -> Result<(String, Field), Error> {
    let text = call.captures.get(1).map_or("", String::as_str);
    let raw = key_json(schema.key_type(table.id), text).ok_or_else(|| not_found(table))?;
    Ok(("id".to_owned(), Field::Scalar(raw)))
}

/// A key of a path as the JSON that the query language writes it in.
fn key_json(ty: &Type, text: &str) -> Option<Box<RawValue>> {
    key_value(ty, text)?;
    Some(match ty {
        Type::Int => raw(text.to_owned()),
        _ => raw_string(text),
    })
}

fn raw_string(text: &str) -> Box<RawValue> {
    raw(serde_json::Value::from(text).to_string())
}

fn raw(json: String) -> Box<RawValue> {
    RawValue::from_string(json).expect("the text was just written as JSON")
}

fn not_found(table: &Table) -> Error {
    Error::new(Key::NotFound, format!("There is no such {} for you.", table.name))
}

/// What to get: the parameter `get`, or every column.
fn shown(parameters: &Parameters) -> Result<Vec<Get>, Error> {
    Ok(match parameters.text("get")? {
        Some(text) => get::parse(text)?,
        None => vec![Get::All],
    })
}

/// Runs parts on one table.
async fn execute(
    call: &Call,
    table: &Table,
    parts: Vec<Part>,
    body: &[u8],
    explain: bool,
) -> Result<Response, Error> {
    let entries = vec![Entry { table: table.name.clone(), parts }];
    let mut operation = call.operation(vec![Document { entries }], body)?;
    operation.explain = explain;
    call.app.engine.execute(&call.ctx, &operation).await
}

/// The answer to the only entry of an operation.
fn only_entry(answer: Response) -> Result<EntryAnswer, Error> {
    answer
        .documents
        .into_iter()
        .next()
        .and_then(|document| document.entries.into_iter().next())
        .ok_or_else(|| Error::internal("the answer to one entry has none"))
}

/// A row's body holds columns and relations; keywords are the path's and the parameters'.
fn refuse_keywords(part: &Part) -> Result<(), Error> {
    let keywords = [
        ("get", part.get.is_some()),
        ("create", part.create),
        ("set", part.set.is_some()),
        ("delete", part.delete),
        ("add", !part.add.is_empty()),
        ("remove", !part.remove.is_empty()),
        ("required", part.required),
        ("where", part.filter.is_some()),
        ("params", !part.params.is_empty()),
        ("order", !part.order.is_empty()),
        ("limit", part.limit.is_some()),
        ("offset", part.offset.is_some()),
        ("after", part.after.is_some()),
        ("count", part.count),
        ("aggregate", !part.aggregate.is_empty()),
        ("group", !part.group.is_empty()),
        ("all", part.all),
        ("if_updated", part.if_updated.is_some()),
    ];
    let Some((keyword, _)) = keywords.into_iter().find(|(_, given)| *given) else { return Ok(()) };
    let words = format!("`{keyword}` is a keyword of /query; the body of a row holds its columns and relations.");
    Err(Error::at(Key::Query, format!("{}/{keyword}", part.path), "keyword", words))
}

/// Rows are the caller's: a shared cache must not keep them, and the caller's own must ask before using them.
fn keep_private(headers: &mut HeaderMap) {
    headers.insert(header::VARY, HeaderValue::from_static("authorization, cookie"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
}
