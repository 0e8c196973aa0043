//! `DELETE /api/{table}/{id}`: one row's end.

use std::sync::Arc;

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use mainstay_engine::error::Error;
use mainstay_engine::part::Part;

use super::etag::{as_precondition, version_asked};
use super::{by_id, not_found, only_entry, operation, table};
use crate::call::Call;

pub(crate) async fn run(call: Call) -> Result<Response, Error> {
    let app = Arc::clone(&call.app);
    let table = table(&app, &call)?;
    call.parameters(&[])?;
    let by_id = by_id(app.schema(), table, &call)?;
    let version = version_asked(&call.headers)?;
    let has_version = version.is_some();
    let mut keywords = vec!["delete"];
    if has_version {
        keywords.push("if_updated");
    }
    let part = Part { keywords, fields: vec![by_id], delete: true, if_updated: version, ..Part::default() };
    let operation = operation(&call, table, vec![part], &[])?;
    let answer = app.engine.execute(&call.ctx, &operation).await;
    let answer =
        only_entry(answer.map_err(|error| if has_version { as_precondition(error) } else { error })?)?;
    if answer.row_count == 0 {
        return Err(not_found(table));
    }
    Ok(no_content())
}

/// 204.
pub(super) fn no_content() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}
