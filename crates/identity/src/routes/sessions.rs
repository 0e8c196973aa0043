//! Sessions as their owners see them, and acting for somebody else.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use mainstay_engine::error::{Error, Key};
use mainstay_lang::value::Value;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::{Answered, SignedIn, done, fields, nothing_more};
use crate::desk::{event, wire};
use crate::identity::Identity;
use crate::session::NewSession;

/// What may end sessions of others.
const SESSIONS: &str = "identity/sessions";

/// What may act for somebody else.
const IMPERSONATE: &str = "identity/impersonate";

pub(super) async fn list(by: SignedIn) -> Answered {
    let now = by.request.ctx.now.to_string();
    let part = json!({
        "owner": wire(&by.user),
        "ended": null,
        "expires": {"gt": now},
        "method": {"not": "key"},
        "get": ["method", "device", "address", "seen", "expires", "created", "within", "data"],
        "order": ["-seen"],
        "limit": 1000,
    });
    let mut answer = by.request.query(json!({"Session": part})).await?;
    let own = by.session.as_ref().map(wire);
    for session in answer["Session"].as_array_mut().into_iter().flatten() {
        session["current"] = json!(Some(&session["id"]) == own.as_ref());
    }
    Ok(done(StatusCode::OK, json!({"sessions": answer["Session"]})))
}

pub(super) async fn end(
    State(identity): State<Arc<Identity>>,
    by: SignedIn,
    Path(id): Path<String>,
) -> Answered {
    let desk = identity.desk(&by.request);
    let id = Uuid::try_parse(&id).map_err(|_| not_there())?;
    let mut which = json!({"id": id.to_string(), "owner": wire(&by.user)});
    if by.request.ctx.caller.permissions.contains(SESSIONS) {
        let own = [("id", Value::Uuid(id)), ("owner", by.user.clone())];
        let is_own = desk.row("Session", "id == $id and owner == $owner", &own).await?.is_some();
        if !is_own {
            by.permission_check(&identity, SESSIONS)?;
            which = json!({"id": id.to_string()});
        }
    }
    match identity.sessions_end(&desk, (&which, &by.user), "revoked", &by.place()).await? {
        0 => Err(not_there().into()),
        _ => Ok(nothing_more()),
    }
}

/// Names the device of this session, and keeps values of the app's own with it: `if_updated` beside them is the version that was read.
pub(super) async fn device(State(identity): State<Arc<Identity>>, by: SignedIn, body: Bytes) -> Answered {
    let mut read = fields(&body, &["device", "data", "if_updated"])?;
    let (device, data) = (read.text_or_none("device"), read.json_or_none("data"));
    let version = read.text_or_none("if_updated");
    read.done()?;
    let desk = identity.desk(&by.request);
    let session = by.session_row(&desk).await?;
    let mut set = json!({});
    if let Some(device) = device {
        set["device"] = json!(device);
    }
    if let Some(data) = data {
        set["data"] = data;
    }
    let mut part = json!({"id": wire(session.key()), "set": set, "get": ["device", "data", "updated"]});
    if let Some(version) = version {
        part["if_updated"] = json!(version);
    }
    let answers = desk.ask(vec![json!({"Session": part})]).await?;
    Ok(done(StatusCode::OK, answers.first().map_or(Json::Null, |answer| answer["Session"][0].clone())))
}

/// Begins a session as somebody else: short, named as what it is, and never for somebody who may do more.
pub(super) async fn impersonate(
    State(identity): State<Arc<Identity>>,
    by: SignedIn,
    Path(user): Path<String>,
) -> Answered {
    let ctx = &by.request.ctx;
    let desk = identity.desk(&by.request);
    if user == "stop" {
        let row = by.session_row(&desk).await?;
        if row.text("method") != Some("impersonation") {
            return Err(Error::new(Key::Request, "This session is nobody else's.").into());
        }
        let which = json!({"id": wire(row.key())});
        identity.sessions_end(&desk, (&which, &by.user), "logout", &by.place()).await?;
        return Ok(nothing_more());
    }
    by.permission_check(&identity, IMPERSONATE)?;
    let session = by.recent_session(&identity, &desk).await?;
    if session.text("method") == Some("impersonation") {
        return Err(Error::new(Key::Forbidden, "Whoever acts for somebody acts for nobody further.").into());
    }
    let user = Value::Uuid(Uuid::try_parse(&user).map_err(|_| not_there())?);
    let claims = mainstay_engine::ctx::Claims {
        tenant: ctx.tenant.clone(),
        ..mainstay_engine::ctx::Claims::user(user.clone())
    };
    let Some(other) = by.request.engine.caller(&claims).await? else { return Err(not_there().into()) };
    if let Some(more) = other.permissions.difference(&ctx.caller.permissions).next() {
        let words = format!("They may do what you may not: `{more}`.");
        return Err(Error::new(Key::Forbidden, words).into());
    }
    let within = match &ctx.tenant {
        Some(Value::Uuid(within)) => Some(*within),
        _ => None,
    };
    let place = by.place();
    let new = NewSession {
        user: &user,
        method: "impersonation",
        is_twofold: false,
        within,
        actor: Some(&by.user),
        place: &place,
    };
    let detail = json!({"by": wire(&by.user)});
    let along = vec![event("session.impersonate", Some(&user), place.address.as_deref(), detail)];
    let tokens = identity.session_begin(&desk, new, along).await?;
    identity.answer(&by.request, &tokens, by.wants_cookies).await
}

fn not_there() -> Error {
    Error::new(Key::NotFound, "")
}
