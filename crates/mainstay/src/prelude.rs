//! What code of an app names most: `use mainstay::prelude::*`.

pub use axum::Json;
pub use mainstay_engine::ctx::{Caller, Ctx};
pub use mainstay_engine::error::{Error, Key};
pub use mainstay_engine::hook::{
    Changing, Deleted, HookCtx, HookFuture, ListUpdated, Processing, ResultRow, Results, Row, RowType,
    Update, Updated,
};
pub use mainstay_engine::part::Part;
pub use mainstay_engine::plugin::{Command, CommandCall, Plugin, Setup};
pub use mainstay_engine::response::Response;
pub use mainstay_http::{Refusal, RequestCtx, SetupHttp};
pub use serde_json::json;

pub use crate::App;
