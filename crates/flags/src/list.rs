//! `GET /flags` and `GET /settings`: what holds for the caller's tenant, by name.
//!
//! Flags are for clients, so everybody is told them. Settings are told to those who may change them; others are told the ones
//! that the app shows.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::get;
use mainstay_engine::ctx::Ctx;
use mainstay_http::{Refusal, RequestCtx, RouteDocs, RouteTable};
use serde_json::{Map, Value as Json, json};

use crate::conditional::answer;
use crate::declared::Declared;
use crate::held::Flags;
use crate::plugin::FLAGS_ADMIN;

pub(crate) fn table() -> RouteTable<Flags> {
    let list = |id: &str, what: &str| {
        RouteDocs::new(id, what)
            .header("If-None-Match", json!({"type": "string"}), "An `ETag`: 304 when nothing has changed.")
            .answers(200, "Values by name.", json!({"type": "object"}))
            .answers_empty(304, "As the client knows them.")
    };
    vec![
        ("GET", "/flags", get(list_flags), list("flags", "Flags, as they hold for the caller's tenant")),
        ("GET", "/settings", get(list_settings), list("settings", "Settings that the caller may know")),
    ]
}

/// Whether somebody may know a declaration and its value.
pub(crate) fn may_know(ctx: &Ctx, of: &Declared) -> bool {
    of.is_shown || is_trusted(ctx)
}

/// Whether somebody may see all values, as far as they are of the own tenant.
pub(crate) fn is_trusted(ctx: &Ctx) -> bool {
    ctx.caller.admin || ctx.caller.permissions.contains(FLAGS_ADMIN)
}

async fn list_flags(
    State(flags): State<Flags>,
    headers: HeaderMap,
    request: RequestCtx,
) -> Result<Response, Refusal> {
    Ok(answer(&headers, &values(&flags, &request.ctx, |of| of.is_flag)?))
}

async fn list_settings(
    State(flags): State<Flags>,
    headers: HeaderMap,
    request: RequestCtx,
) -> Result<Response, Refusal> {
    Ok(answer(&headers, &values(&flags, &request.ctx, |of| !of.is_flag)?))
}

fn values(flags: &Flags, ctx: &Ctx, is_asked: impl Fn(&Declared) -> bool) -> Result<Json, Refusal> {
    let mut values = Map::new();
    for of in flags.declared().filter(|of| is_asked(of) && may_know(ctx, of)) {
        values.insert(of.name.clone(), value(flags, of, ctx)?);
    }
    Ok(Json::Object(values))
}

fn value(flags: &Flags, of: &Declared, ctx: &Ctx) -> Result<Json, Refusal> {
    let found = flags.found(of, ctx.tenant.as_ref());
    let read = serde_json::from_str(&found.value.to_json());
    Ok(read.map_err(mainstay_engine::error::Error::internal)?)
}
