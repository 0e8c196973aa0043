//! `POST /api/{table}`: one row, or several, all or none.

use std::borrow::Cow;
use std::sync::Arc;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use mainstay_engine::error::Error;
use mainstay_engine::part::Operation;
use mainstay_lang::schema::Table;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::etag::TaggedRow;
use super::members::members;
use super::{get, only_entry, operation, shown, table, with_explanation};
use crate::call::{Call, json};
use mainstay_engine::document;

/// What stands in a path segment as it is (RFC 3986 §2.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

pub(crate) async fn run(mut call: Call) -> Result<Response, Error> {
    let app = Arc::clone(&call.app);
    let table = table(&app, &call)?;
    let parameters = call.parameters(&["get", "explain"])?;
    let explain = call.explain(&parameters)?;
    let mut get = shown(&parameters)?;
    let body = call.read_body().await?;
    let (mut parts, was_array) = document::parse_rows(&body.bytes)?;
    let tagged = (!was_array).then(|| TaggedRow::ask(table, &mut get));
    for part in &mut parts {
        part.keywords = vec!["create", "get"];
        part.create = true;
        get::hand_down(&get, &mut part.fields);
        part.get = Some(get.clone());
    }
    let operation = Operation { explain, ..operation(&call, table, parts, &body.bytes)? };
    let mut answer = app.engine.execute(&call.ctx, &operation).await?;
    let explained = answer.explain.take();
    let answer = only_entry(answer)?;
    let mut response = if let Some(tagged) = tagged {
        let location = location(table, &answer.rows)?;
        let (row, tag) = tagged.show(&app, answer.rows)?;
        let mut response = json(with_explanation("row", row, explained));
        response.headers_mut().insert(header::LOCATION, location);
        response.headers_mut().insert(header::ETAG, tag);
        response
    } else {
        json(with_explanation("rows", format!("[{}]", answer.rows), explained))
    };
    *response.status_mut() = StatusCode::CREATED;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Where the new row is found.
fn location(table: &Table, row: &str) -> Result<HeaderValue, Error> {
    let id = members(row).flatten().find(|member| member.name == "id").map(|member| member.value);
    let id = id.ok_or_else(|| Error::internal("the engine's new row has no id"))?;
    // A whole number, or a text.
    let quoted = id.strip_prefix('"').and_then(|id| id.strip_suffix('"'));
    let id: Cow<'_, str> = match quoted {
        Some(text) if text.contains('\\') => serde_json::from_str(id).map_err(Error::internal)?,
        Some(text) => text.into(),
        None => id.into(),
    };
    let id: Cow<'_, str> = utf8_percent_encode(&id, SEGMENT).into();
    HeaderValue::try_from(["/api/", &table.name, "/", &id].concat()).map_err(Error::internal)
}
