//! `POST /query`: the query language.

use axum::http::{HeaderValue, header};
use axum::response::Response;
use mainstay_engine::error::Error;

use crate::call::{Call, json};
use mainstay_engine::document;

/// Reads the document, runs it, answers in its shape.
pub(crate) async fn run(mut call: Call) -> Result<Response, Error> {
    let parameters = call.parameters(&["explain"])?;
    let explain = call.explain(&parameters)?;
    let body = call.read_body().await?;
    let documents = document::parse(&body.bytes)?;
    let mut operation = call.operation(documents, &body.bytes)?;
    operation.explain = explain;
    let answer = call.app.engine.execute(&call.ctx, &operation).await?;
    let rendered = || mainstay_engine::render(&answer, is_array(&body.bytes));
    let mut response = json(tracing::debug_span!("render").in_scope(rendered));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Whether a JSON text is an array; it has been parsed already.
fn is_array(body: &[u8]) -> bool {
    body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[')
}
