//! REST: the engine's operations for one table, under paths.
//!
//! Everything becomes parts of one operation; nothing here reads a rule or writes SQL. A table, relation or key that
//! the path names and that does not exist is 404, whatever the reason.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response as Reply;
use mainstay_engine::ctx::Ctx;
use mainstay_engine::error::{Error, Key};
use mainstay_engine::part::{Document, Entry, Field, Get, Operation, Part, Raw};
use mainstay_engine::response::{EntryAnswer, Response};
use mainstay_lang::schema::{Schema, Table};
use mainstay_lang::types::Type;

use crate::app::App;
use crate::call::{Call, json};
use crate::credentials::key_value;
use crate::parameters::Parameters;
use mainstay_lang::suggest::nearest;

pub(crate) mod create;
pub(crate) mod delete;
mod etag;
mod get;
pub(crate) mod history;
pub(crate) mod link;
pub(crate) mod list;
mod members;
pub(crate) mod read;
mod split;
pub(crate) mod update;

/// The table that the path names.
fn table<'a>(app: &'a Arc<App>, call: &Call) -> Result<&'a Table, Error> {
    let name = &*call.capture(0);
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
    let raw = key_json(schema.key_type(table.id), &call.capture(1)).ok_or_else(|| not_found(table))?;
    Ok(("id".to_owned(), Field::Scalar(raw)))
}

/// A key of a path as the JSON that the query language writes it in.
fn key_json(ty: &Type, text: &str) -> Option<Raw> {
    key_value(ty, text)?;
    Some(match ty {
        Type::Int => Raw::new(text),
        _ => Raw::of_text(text),
    })
}

fn not_found(table: &Table) -> Error {
    Error::new(Key::NotFound, format!("There is no such {} for you.", table.name))
}

/// Why a row is not there: it is not, or it is for somebody who has shown a moment ago who they are.
async fn absent(app: &App, ctx: &Ctx, table: &Table, id: (String, Field)) -> Error {
    match app.engine.recent_wanted(ctx, &table.name, id).await {
        Ok(None) => not_found(table),
        Ok(Some(error)) | Err(error) => error,
    }
}

/// What to get: the parameter `get`, or every column.
fn shown(parameters: &Parameters) -> Result<Vec<Get>, Error> {
    Ok(match parameters.text("get")? {
        Some(text) => get::parse(text)?,
        None => vec![Get::All],
    })
}

/// The operation of parts on one table.
fn operation(call: &Call, table: &Table, parts: Vec<Part>, body: &[u8]) -> Result<Operation, Error> {
    let entries = vec![Entry { table: table.name.clone(), parts }];
    call.operation(vec![Document { entries }], body)
}

/// A body under its name beside what explains it; without an explanation the body alone.
fn with_explanation(name: &str, body: String, explained: Option<String>) -> String {
    match explained {
        Some(explained) => format!("{{\"{name}\":{body},\"explain\":{explained}}}"),
        None => body,
    }
}

/// 204, or with an explanation 200 and that.
fn done(explained: Option<String>) -> Reply {
    match explained {
        Some(explained) => json(format!("{{\"explain\":{explained}}}")),
        None => {
            let mut response = Reply::new(Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            response
        }
    }
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

/// Rows are the caller's: a shared cache must not keep them, and the caller's own must ask before using them.
fn keep_private(headers: &mut HeaderMap) {
    headers.insert(header::VARY, HeaderValue::from_static("authorization, cookie"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
}
