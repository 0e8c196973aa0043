//! `GET /api/{table}/{id}`: one row.

use std::sync::Arc;

use axum::http::header;
use axum::response::Response;
use mainstay_engine::error::Error;
use mainstay_engine::part::{Operation, Part};

use super::etag::TaggedRow;
use super::{absent, by_id, keep_private, only_entry, operation, shown, table, with_explanation};
use crate::call::{Call, json, not_modified};
use crate::live::stream;

pub(crate) async fn run(call: Call) -> Result<Response, Error> {
    let app = Arc::clone(&call.app);
    let table = table(&app, &call)?;
    let parameters = call.parameters(&["get", "explain"])?;
    let explain = call.explain(&parameters)?;
    let mut get = shown(&parameters)?;
    if stream::is_asked_for(&call) {
        let fields = vec![by_id(app.schema(), table, &call)?];
        let (part, name) = (Part { fields, get: Some(get), ..Part::default() }, table.name.clone());
        return Box::pin(stream::run(call, name, part)).await;
    }
    let tagged = TaggedRow::ask(table, &mut get);
    let part = Part { fields: vec![by_id(app.schema(), table, &call)?], get: Some(get), ..Part::default() };
    let operation = Operation { explain, ..operation(&call, table, vec![part], &[])? };
    let answer = app.engine.execute(&call.ctx, &operation).await?;
    let explained = answer.explain.clone();
    let entry = only_entry(answer)?;
    if entry.row_count == 0 {
        let id = by_id(app.schema(), table, &call)?;
        return Err(Box::pin(absent(&app, &call.ctx, table, id)).await);
    }
    let (row, tag) = tagged.show(&app, entry.rows)?;
    if explained.is_some() {
        return Ok(json(with_explanation("row", row, explained)));
    }
    let has_current = tag.to_str().is_ok_and(|tag| call.has_current(tag));
    let mut response = if has_current { not_modified() } else { json(row) };
    keep_private(response.headers_mut());
    response.headers_mut().insert(header::ETAG, tag);
    Ok(response)
}
