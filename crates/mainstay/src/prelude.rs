//! What code of an app names most: `use mainstay::prelude::*`.

pub use axum::Json;
pub use mainstay_engine::ctx::{Caller, Ctx};
pub use mainstay_engine::error::{Error, Key};
pub use mainstay_engine::hook::{
    Changing, Deleted, HookCtx, HookFuture, Linking, ListUpdated, Processing, ResultRow, Results, Row,
    RowType, Update, Updated, typed,
};
pub use mainstay_engine::part::Part;
pub use mainstay_engine::plugin::{Command, CommandCall, Plugin, Setup};
pub use mainstay_engine::response::Response;
pub use mainstay_flags::ReadFlags;
pub use mainstay_http::{OpenCtx, Refusal, RequestCtx, RouteDocs, SetupHttp};
pub use mainstay_jobs::{CatchUp, Definition, HookJobs, JobError, JobSetup, NewJob, Running, Schedule};
pub use mainstay_mail::{Attachment, Mail};
pub use mainstay_push::Push;
pub use serde_json::json;

pub use crate::App;
