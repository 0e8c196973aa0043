//! `GET /api/{table}/{id}/history`: the versions of one row.

use std::sync::Arc;

use axum::response::Response;
use mainstay_engine::HistoryPage;
use mainstay_engine::error::Error;

use super::list::write;
use super::{keep_private, not_found, table};
use crate::call::{Call, json};
use crate::credentials::key_value;

/// Every parameter that a history knows.
pub(crate) const PARAMETERS: &[&str] = &["limit", "after"];

pub(crate) async fn run(call: Call) -> Result<Response, Error> {
    let app = Arc::clone(&call.app);
    let table = table(&app, &call)?;
    let parameters = call.parameters(PARAMETERS)?;
    let page = HistoryPage {
        limit: parameters.number("limit")?,
        after: parameters.text("after")?.map(str::to_owned),
    };
    let key = key_value(app.schema().key_type(table.id), &call.capture(1));
    let key = key.ok_or_else(|| not_found(table))?;
    let versions = app.engine.history(&call.ctx, table.id, &key, &page).await?;
    let versions = versions.ok_or_else(|| not_found(table))?;
    let mut response = json(write(&versions, None)?);
    keep_private(response.headers_mut());
    Ok(response)
}
