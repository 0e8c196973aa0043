//! OpenFeature's remote evaluation protocol (OFREP): one flag, or all of them, for a client of any language.
//!
//! The client is told values and not rules: whose they are was decided by its credentials. What it says of itself in the
//! evaluation's context decides nothing, or anybody could ask for another tenant's values; only who may see all of them anyway names
//! a `tenant` there. Settings that the app shows are evaluated like flags. No value here hangs on a targeting key, so none is missed.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::post;
use mainstay_engine::ctx::Ctx;
use mainstay_engine::error::Error;
use mainstay_http::{Refusal, RequestCtx, RouteDocs, RouteTable};
use mainstay_lang::value::Value;
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use crate::conditional::{answer, with_status};
use crate::declared::Declared;
use crate::held::{Flags, Source};
use crate::list::{is_trusted, may_know};

/// The media type of problems.
const PROBLEM: &str = "application/problem+json";

pub(crate) fn table() -> RouteTable<Flags> {
    let text = json!({"type": "string"});
    let evaluated = json!({
        "type": "object",
        "required": ["key", "reason", "value"],
        "properties": {"key": text, "reason": text, "variant": text, "value": {}},
    });
    let fault = json!({
        "type": "object",
        "required": ["errorCode", "errorDetails"],
        "properties": {"key": text, "errorCode": text, "errorDetails": text},
    });
    // What the server says before anybody has read the request.
    let problem = json!({"$ref": "#/components/schemas/Problem"});
    // A context is whatever a client has; a tenant counts only for whoever may see those of others.
    let context = json!({"targetingKey": {"type": ["string", "null"]}, "tenant": {}});
    let body = json!({
        "type": "object",
        "properties": {"context": {"type": ["object", "null"], "properties": context}},
    });
    let evaluates = |id: &str, what: &str| {
        RouteDocs::new(id, what)
            .about("OpenFeature's remote evaluation protocol.")
            // Nothing is changed here, and the protocol's clients get its own errors.
            .any_media()
            .body_or_none(body.clone(), json!({"context": {"targetingKey": "ann"}}))
            .answers(400, "The body or the context cannot be read.", fault.clone())
            .answers_as(400, "", PROBLEM, problem.clone())
    };
    vec![
        (
            "POST",
            "/ofrep/v1/evaluate/flags",
            post(all),
            evaluates("ofrepAll", "All flags")
                .header("If-None-Match", text.clone(), "An `ETag`: 304 when nothing has changed.")
                .answers(
                    200,
                    "Each flag, and each setting that the caller may know.",
                    json!({
                        "type": "object",
                        "required": ["flags"],
                        "properties": {"flags": {"type": "array", "items": evaluated}},
                    }),
                )
                .answers_empty(304, "As the client knows them."),
        ),
        (
            "POST",
            "/ofrep/v1/evaluate/flags/{key}",
            post(one),
            evaluates("ofrepOne", "One flag")
                .answers(200, "The flag.", evaluated.clone())
                .answers(404, "There is none for the caller.", fault.clone())
                .answers_as(404, "", PROBLEM, problem.clone()),
        ),
    ]
}

async fn one(
    State(flags): State<Flags>,
    Path(key): Path<String>,
    request: RequestCtx,
    body: Bytes,
) -> Result<Response, Refusal> {
    let tenant = match tenant(&request.ctx, &body) {
        Ok(tenant) => tenant,
        Err(fault) => return Ok(fault.response(Some(&key))),
    };
    let ctx = &request.ctx;
    // One that the client may not know of is not there.
    let Some(of) = flags.declarations().get(&key).filter(|of| may_know(ctx, of)) else {
        let words = flags.declarations().unknown(&key, |of| may_know(ctx, of));
        let fault = Fault { status: StatusCode::NOT_FOUND, code: "FLAG_NOT_FOUND", words };
        return Ok(fault.response(Some(&key)));
    };
    Ok(with_status(StatusCode::OK, &evaluated(&flags, of, tenant.as_ref())?))
}

async fn all(
    State(flags): State<Flags>,
    request: RequestCtx,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let tenant = match tenant(&request.ctx, &body) {
        Ok(tenant) => tenant,
        Err(fault) => return Ok(fault.response(None)),
    };
    let known = flags.declared().filter(|of| may_know(&request.ctx, of));
    let evaluated: Result<Vec<Json>, Error> =
        known.map(|of| evaluated(&flags, of, tenant.as_ref())).collect();
    Ok(answer(&headers, &json!({"flags": evaluated?})))
}

fn evaluated(flags: &Flags, of: &Declared, tenant: Option<&Value>) -> Result<Json, Error> {
    let found = flags.found(of, tenant);
    let reason = match found.source {
        Source::Declared => "DEFAULT",
        Source::Everybody => "STATIC",
        Source::Tenant => "TARGETING_MATCH",
    };
    let value: Json = serde_json::from_str(&found.value.to_json()).map_err(Error::internal)?;
    let mut evaluated = Map::new();
    evaluated.insert("key".to_owned(), of.name.clone().into());
    evaluated.insert("reason".to_owned(), reason.into());
    if of.is_flag {
        let variant = if value == Json::Bool(true) { "on" } else { "off" };
        evaluated.insert("variant".to_owned(), variant.into());
    }
    evaluated.insert("value".to_owned(), value);
    Ok(Json::Object(evaluated))
}

/// Why nothing was evaluated, in the protocol's words.
struct Fault {
    status: StatusCode,
    code: &'static str,
    words: String,
}

impl Fault {
    fn of(code: &'static str, words: &str) -> Fault {
        Fault { status: StatusCode::BAD_REQUEST, code, words: words.to_owned() }
    }

    fn response(self, key: Option<&str>) -> Response {
        let mut body = json!({"errorCode": self.code, "errorDetails": self.words});
        if let Some(key) = key {
            body["key"] = key.into();
        }
        with_status(self.status, &body)
    }
}

/// Whose values are asked for: the request's tenant, or the one that somebody names who may see all.
fn tenant(ctx: &Ctx, body: &[u8]) -> Result<Option<Value>, Fault> {
    let body: Json = match body {
        [] => json!({}),
        body => serde_json::from_slice(body)
            .map_err(|error| Fault::of("PARSE_ERROR", &format!("the body is no JSON: {error}")))?,
    };
    let Json::Object(members) = body else {
        return Err(Fault::of(
            "PARSE_ERROR",
            "expected an object, such as {\"context\": {\"targetingKey\": \"…\"}}",
        ));
    };
    let context = match members.get("context") {
        None | Some(Json::Null) => return Ok(ctx.tenant.clone()),
        Some(Json::Object(context)) => context,
        Some(_) => return Err(Fault::of("INVALID_CONTEXT", "`context` is an object")),
    };
    if !matches!(context.get("targetingKey"), None | Some(Json::Null | Json::String(_))) {
        return Err(Fault::of("INVALID_CONTEXT", "`targetingKey` is a string"));
    }
    match context.get("tenant") {
        Some(tenant) if ctx.tenant.is_none() && is_trusted(ctx) => {
            let id = tenant.as_str().and_then(|text| Uuid::try_parse(text).ok());
            let words = "`tenant` is the id of a tenant, a uuid";
            id.map(|id| Some(Value::Uuid(id))).ok_or_else(|| Fault::of("INVALID_CONTEXT", words))
        }
        _ => Ok(ctx.tenant.clone()),
    }
}
