//! A server that always answers the same: what load generator and machine can do at most.

use anyhow::Result;
use axum::Router;
use axum::http::header;
use axum::routing::get;

/// As long as a row that is got by its id.
const ANSWER: &str = r#"{"id":"01900000-0000-7000-8000-000000000000","created":"2026-01-01T00:00:00.000000Z","updated":"2026-01-01T00:00:00.000000Z","title":"Entry number 0","done":false,"kind":0,"rank":0}"#;

/// Serves until it is killed.
pub(crate) fn serve(port: u16) -> Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let answer = || async { ([(header::CONTENT_TYPE, "application/json")], ANSWER) };
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
        Ok(axum::serve(listener, Router::new().route("/", get(answer))).await?)
    })
}
