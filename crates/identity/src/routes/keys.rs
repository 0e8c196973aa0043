//! Keys of programs: sessions that last, with fewer permissions than their owner's.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use mainstay_engine::error::{Error, Key};
use mainstay_lang::value::{Timestamp, Value};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::{Answered, SignedIn, done, fields, nothing_more};
use crate::access::KEY_PREFIX;
use crate::desk::{later, wire};
use crate::identity::Identity;
use crate::notice::Notice;
use crate::token::{hash_of, new_token};

/// How long a key lasts that says nothing.
const LASTS: std::time::Duration = std::time::Duration::from_secs(365 * 24 * 3600);

pub(super) async fn list(by: SignedIn) -> Answered {
    let part = json!({
        "owner": wire(&by.user),
        "method": "key",
        "ended": null,
        "get": ["name", "scopes", "created", "expires", "within"],
        "order": ["-created"],
        "limit": 1000,
    });
    let answer = by.request.query(json!({"Session": part})).await?;
    Ok(done(StatusCode::OK, json!({"keys": answer["Session"]})))
}

pub(super) async fn make(State(identity): State<Arc<Identity>>, by: SignedIn, body: Bytes) -> Answered {
    let mut read = fields(&body, &["name", "scopes", "expires"])?;
    let (name, scopes) = (read.text("name"), read.texts_or_none("scopes"));
    let expires = read.text_or_none("expires");
    read.done()?;
    let desk = by.recent_desk(&identity).await?;
    let own = &by.request.ctx.caller.permissions;
    let scopes = scopes.unwrap_or_default();
    if let Some(place) = scopes.iter().position(|scope| !own.contains(scope)) {
        let words = "is no permission of yours";
        return Err(Error::at(Key::Invalid, format!("/scopes/{place}"), "scope", words).into());
    }
    let expires = match expires {
        None => later(desk.now(), LASTS),
        Some(text) => match Value::parse_text(&text, &mainstay_lang::types::Type::Timestamp) {
            Ok(Value::Timestamp(at)) if at > desk.now() => at,
            _ => return Err(expected_time().into()),
        },
    };
    let key = format!("{KEY_PREFIX}{}", new_token()?);
    let within = by.request.ctx.tenant.as_ref().map(wire);
    let now = desk.now().to_string();
    let session = json!({
        "create": true,
        "owner": wire(&by.user),
        "method": "key",
        "name": name,
        "scopes": scopes,
        "seen": now,
        "confirmed": Timestamp(0).to_string(),
        "expires": expires.to_string(),
        "within": within,
    });
    let detail = json!({"name": name, "scopes": scopes});
    let (line, letter) = Notice::KeyMade.told(&by.user, by.place().address.as_deref(), detail);
    let documents = vec![json!({"SessionToken": {"create": true, "id": hash_of(&key), "of": session}}), line];
    let answers = desk.ask_and_enqueue(documents, vec![letter]).await?;
    let id = answers.first().map_or(Json::Null, |answer| answer["SessionToken"][0]["of"]["id"].clone());
    let body = json!({"id": id, "key": key, "name": name, "scopes": scopes, "expires": expires.to_string()});
    Ok(done(StatusCode::CREATED, body))
}

fn expected_time() -> Error {
    Error::at(Key::Invalid, "/expires", "type", "must be a time to come, such as 2030-01-31T00:00:00Z")
}

pub(super) async fn end(
    State(identity): State<Arc<Identity>>,
    by: SignedIn,
    Path(id): Path<String>,
) -> Answered {
    let desk = identity.desk(&by.request);
    let not_there = || Error::new(Key::NotFound, "");
    let id = Uuid::try_parse(&id).map_err(|_| not_there())?;
    let which = json!({"id": id.to_string(), "owner": wire(&by.user), "method": "key"});
    match identity.sessions_end(&desk, (&which, &by.user), "revoked", &by.place()).await? {
        0 => Err(not_there().into()),
        _ => Ok(nothing_more()),
    }
}
