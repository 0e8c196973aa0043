//! `PATCH /api/{table}/{id}`: some of a row's columns and relations.

use std::sync::Arc;

use axum::http::{HeaderValue, header};
use axum::response::Response;
use mainstay_engine::error::{Error, Key};
use mainstay_engine::part::{Operation, Part};

use super::etag::{TaggedRow, as_precondition, version_asked};
use super::{by_id, not_found, only_entry, operation, shown, table, with_explanation};
use crate::call::{Call, json};
use mainstay_engine::document;

pub(crate) async fn run(mut call: Call) -> Result<Response, Error> {
    let app = Arc::clone(&call.app);
    let table = table(&app, &call)?;
    let parameters = call.parameters(&["get", "explain"])?;
    let explain = call.explain(&parameters)?;
    let mut get = shown(&parameters)?;
    let tagged = TaggedRow::ask(table, &mut get);
    let by_id = by_id(app.schema(), table, &call)?;
    let version = version_asked(&call.headers)?;
    let has_version = version.is_some();
    let body = call.read_body().await?;
    let (mut parts, was_array) = document::parse_rows(&body.bytes)?;
    let change = match parts.pop() {
        Some(change) if parts.is_empty() && !was_array => change,
        _ => return Err(Error::new(Key::Query, "The body is one object: the columns to change.")),
    };
    let mut keywords = vec!["set", "get"];
    if has_version {
        keywords.push("if_updated");
    }
    let part = Part {
        keywords,
        path: change.path,
        fields: vec![by_id],
        set: Some(change.fields),
        get: Some(get),
        if_updated: version,
        ..Part::default()
    };
    let operation = Operation { explain, ..operation(&call, table, vec![part], &body.bytes)? };
    let answer = app.engine.execute(&call.ctx, &operation).await;
    let mut answer =
        answer.map_err(|error| in_body(if has_version { as_precondition(error) } else { error }))?;
    let explained = answer.explain.take();
    let answer = only_entry(answer)?;
    if answer.row_count == 0 {
        return Err(not_found(table));
    }
    let (row, tag) = tagged.show(&app, answer.rows)?;
    let mut response = json(with_explanation("row", row, explained));
    response.headers_mut().insert(header::ETAG, tag);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// The engine is asked to `set` what the whole body is: for the client there is no `set` in any path.
fn in_body(mut error: Error) -> Error {
    let paths = error.errors.iter_mut().map(|field| &mut field.path);
    for path in paths.chain(error.warnings.iter_mut().map(|warning| &mut warning.path)) {
        if let Some(rest) = path.strip_prefix("/set").filter(|rest| rest.is_empty() || rest.starts_with('/'))
        {
            *path = rest.to_owned();
        }
    }
    error
}
