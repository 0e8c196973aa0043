//! Whether the process lives and whether it takes work; what it has measured.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use mainstay_engine::error::{Error, Key};

use crate::call::{Call, json};
use crate::metrics;

/// The process runs: nothing else is looked at, so that a restart is never the answer to a slow database.
pub(crate) async fn live(call: Call) -> Result<Response, Error> {
    call.parameters(&[])?;
    Ok(json("{\"status\":\"live\"}"))
}

/// The database answers and the server is not stopping.
pub(crate) async fn ready(call: Call) -> Result<Response, Error> {
    call.parameters(&[])?;
    if call.app.is_stopping() {
        return Err(Error::new(Key::Overloaded, "The server is stopping."));
    }
    call.app.engine.ready().await?;
    Ok(json("{\"status\":\"ready\"}"))
}

/// Everything measured, as Prometheus reads it.
pub(crate) async fn metrics(call: Call) -> Result<Response, Error> {
    call.parameters(&[])?;
    let media_type = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, media_type)], metrics::render(&call.app.engine)).into_response())
}
