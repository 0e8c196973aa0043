//! `/push`: the key that a browser subscribes with, and the caller's own devices.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, post};
use mainstay_engine::error::{Error, Key};
use mainstay_http::{OpenCtx, Refusal, RequestCtx, RouteDocs, RouteTable};
use mainstay_lang::value::Value;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::device::{NewDevice, wire};
use crate::plugin::{Held, Senders};
use crate::sender::Platform;
use crate::web::Subscription;

const NAME_CHARS_MAX: usize = 200;
/// Longer tokens are none.
const TOKEN_BYTES_MAX: usize = 4096;

/// Every route: method, path, handler, what it is.
pub(crate) fn table() -> RouteTable<Arc<Held>> {
    let id = json!({"type": "string", "format": "uuid"});
    let optional = json!({"type": ["string", "null"]});
    let device = json!({"allOf": [
        {"$ref": "#/components/schemas/Device"},
        {"type": "object", "required": ["current"], "properties": {"current": {"type": "boolean"}}},
    ]});
    let text = json!({"type": "string"});
    let subscription = json!({
        "type": "object",
        "description": "Of a browser: what its `PushSubscription.toJSON()` says.",
        "required": ["endpoint", "keys"],
        "properties": {
            "endpoint": {"type": "string", "format": "uri"},
            "keys": {
                "type": "object", "required": ["p256dh", "auth"], "properties": {"p256dh": text, "auth": text},
            },
        },
    });
    let new = json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "platform": {"enum": Platform::ALL.map(Platform::text)},
            "subscription": subscription,
            "token": {"type": "string", "description": "Of another platform.", "maxLength": TOKEN_BYTES_MAX},
            "name": {"type": ["string", "null"], "maxLength": NAME_CHARS_MAX},
        },
        "anyOf": [{"required": ["subscription"]}, {"required": ["token"]}],
    });
    let registered = json!({
        "type": "object",
        "required": ["id", "platform", "name", "seen"],
        "properties": {
            "id": id, "platform": text, "name": optional, "seen": {"type": "string", "format": "date-time"},
        },
    });
    let keys = json!({
        "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
        "auth": "BTBZMqHH6r4Tts7J_aSIgg",
    });
    let example = json!({
        "subscription": {"endpoint": "https://push.example.com/1", "keys": keys},
        "name": "Ann's laptop",
    });
    let list = json!({
        "type": "object", "required": ["devices"],
        "properties": {"devices": {"type": "array", "items": device}},
    });
    let answer = json!({"type": "object", "required": ["key"], "properties": {"key": text}});
    vec![
        (
            "GET",
            "/push/key",
            get(key),
            RouteDocs::new("pushKey", "The key that a browser subscribes with").open().answers(
                200,
                "What `pushManager.subscribe` takes as `applicationServerKey`.",
                answer,
            ),
        ),
        (
            "GET",
            "/push/devices",
            get(list_own),
            RouteDocs::new("pushDevices", "The own devices").signed_in().answers(
                200,
                "Without where they are reached.",
                list,
            ),
        ),
        (
            "POST",
            "/push/devices",
            post(register),
            RouteDocs::new("pushRegister", "Register a device, or say that it is there still")
                .signed_in()
                .body(new, example)
                .answers(200, "It was known.", registered.clone())
                .answers(201, "It is registered.", registered)
                .refuses(&[Key::Invalid]),
        ),
        (
            "DELETE",
            "/push/devices/{id}",
            delete(forget),
            RouteDocs::new("pushForget", "Send nothing to a device any more")
                .signed_in()
                .place("id", id)
                .answers_empty(204, "It is forgotten."),
        ),
    ]
}

/// Method and path of every route that the capability has.
pub fn push_routes() -> Vec<(&'static str, &'static str)> {
    table().into_iter().map(|(method, path, ..)| (method, path)).collect()
}

type Answered = Result<Response, Refusal>;

/// A request of somebody who has signed in.
struct SignedIn {
    request: RequestCtx,
    user: Value,
}

impl<S: Send + Sync> FromRequestParts<S> for SignedIn {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<SignedIn, Refusal> {
        let request = RequestCtx::from_request_parts(parts, state).await?;
        match request.ctx.caller.user.clone() {
            Some(user) => Ok(SignedIn { request, user }),
            None => Err(Error::new(Key::Credentials, "Sign in first.").into()),
        }
    }
}

fn private(status: StatusCode, body: Json) -> Response {
    let mut response = (status, axum::Json(body)).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn key(State(held): State<Arc<Held>>, OpenCtx(_): OpenCtx) -> Answered {
    Ok(axum::Json(json!({"key": held.vapid.public()?})).into_response())
}

async fn list_own(by: SignedIn) -> Answered {
    let part = json!({
        "owner": wire(&by.user),
        "get": ["platform", "name", "seen", "delivered", "session"],
        "order": ["-seen"],
        "limit": 1000,
    });
    let mut answer = by.request.query(json!({"Device": part})).await?;
    let own = by.request.ctx.session.as_ref().map_or(Json::Null, wire);
    for device in answer["Device"].as_array_mut().into_iter().flatten().filter_map(Json::as_object_mut) {
        let session = device.remove("session").unwrap_or_default();
        device.insert("current".to_owned(), json!(!session.is_null() && session == own));
    }
    Ok(private(StatusCode::OK, json!({"devices": answer["Device"]})))
}

/// What is sent to register a device. A browser's `expirationTime` says nothing that a push service does not say better.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    #[serde(default = "web")]
    platform: Platform,
    subscription: Option<Subscription>,
    token: Option<String>,
    name: Option<String>,
}

fn web() -> Platform {
    Platform::Web
}

fn wrong(path: &str, key: &str, words: &str) -> Error {
    Error::at(Key::Invalid, path, key, words)
}

impl Sent {
    /// Where the device is reached.
    fn target(self, held: &Held) -> Result<String, Error> {
        match (self.platform, self.subscription, self.token) {
            (Platform::Web, Some(subscription), None) => {
                subscription.check(held.reach).map_err(|(place, words)| {
                    wrong(&format!("/subscription/{place}"), "subscription", words)
                })?;
                serde_json::to_string(&subscription.plain()).map_err(Error::internal)
            }
            (Platform::Web, ..) => {
                Err(wrong("/subscription", "required", "a browser has a `subscription`, and no `token`"))
            }
            (_, None, Some(token)) if !token.trim().is_empty() && token.len() <= TOKEN_BYTES_MAX => Ok(token),
            _ => Err(wrong(
                "/token",
                "required",
                "a device of this platform has a `token` of at most 4096 bytes",
            )),
        }
    }
}

async fn register(State(held): State<Arc<Held>>, by: SignedIn, body: Bytes) -> Answered {
    let read: Json = serde_json::from_slice(&body)
        .map_err(|error| Error::new(Key::Json, format!("The body is read as JSON: {error}")))?;
    let sent: Sent =
        serde_json::from_value(read).map_err(|error| Error::new(Key::Invalid, error.to_string()))?;
    let (platform, name) = (sent.platform, sent.name.clone().filter(|name| !name.trim().is_empty()));
    if name.as_ref().is_some_and(|name| name.chars().count() > NAME_CHARS_MAX || name.contains('\0')) {
        let words = "must have at most 200 characters, and no U+0000";
        return Err(wrong("/name", "max", words).into());
    }
    let RequestCtx { engine, ctx, .. } = &by.request;
    if engine.parts().get::<Senders>().and_then(|senders| senders.of(platform)).is_none() {
        let words = format!("this app sends nothing to {platform}");
        return Err(wrong("/platform", "platform", &words).into());
    }
    let target = sent.target(&held)?;
    let new = NewDevice {
        owner: by.user.clone(),
        platform,
        target,
        name: name.clone(),
        session: ctx.session.clone(),
    };
    let (id, is_new) = held.devices.register(engine, ctx, &new).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    let body = json!({"id": id, "platform": platform, "name": name, "seen": ctx.now.to_string()});
    Ok(private(status, body))
}

async fn forget(by: SignedIn, Path(id): Path<String>) -> Answered {
    let not_there = || Error::new(Key::NotFound, "");
    let id = Uuid::try_parse(&id).map_err(|_| not_there())?;
    let part = json!({"id": id.to_string(), "owner": wire(&by.user), "delete": true});
    let answer = by.request.query(json!({"Device": part})).await?;
    match answer["Device"].as_array().is_none_or(Vec::is_empty) {
        true => Err(not_there().into()),
        false => Ok(StatusCode::NO_CONTENT.into_response()),
    }
}
