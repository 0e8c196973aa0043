//! `DELETE /api/{table}/{id}`: one row's end.

use std::sync::Arc;

use axum::response::Response;
use mainstay_engine::error::Error;
use mainstay_engine::part::{Operation, Part};

use super::etag::{as_precondition, version_asked};
use super::{by_id, done, not_found, only_entry, operation, table};
use crate::call::Call;

pub(crate) async fn run(call: Call) -> Result<Response, Error> {
    let app = Arc::clone(&call.app);
    let table = table(&app, &call)?;
    let explain = call.explain(&call.parameters(&["explain"])?)?;
    let by_id = by_id(app.schema(), table, &call)?;
    let version = version_asked(&call.headers)?;
    let has_version = version.is_some();
    let mut keywords = vec!["delete"];
    if has_version {
        keywords.push("if_updated");
    }
    let part = Part { keywords, fields: vec![by_id], delete: true, if_updated: version, ..Part::default() };
    let operation = Operation { explain, ..operation(&call, table, vec![part], &[])? };
    let answer = app.engine.execute(&call.ctx, &operation).await;
    let mut answer = answer.map_err(|error| if has_version { as_precondition(error) } else { error })?;
    let explained = answer.explain.take();
    if only_entry(answer)?.row_count == 0 {
        return Err(not_found(table));
    }
    Ok(done(explained))
}
