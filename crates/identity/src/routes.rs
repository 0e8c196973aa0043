//! `/auth`: what people and their programs ask to sign in and to see to their accounts.

mod account;
mod keys;
mod mail_code;
mod pages;
mod passkey;
mod password;
mod roles;
mod second;
mod sessions;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post, put};
use mainstay_engine::ctx::{Claims, Ctx};
use mainstay_engine::error::{Error, Key};
use mainstay_engine::hook::Row;
use mainstay_engine::render;
use mainstay_http::{OpenCtx, Refusal, RequestCtx};
use mainstay_lang::value::Value;
use serde_json::{Value as Json, json};

use crate::cookies;
use crate::desk::{Desk, operation, time, wire};
use crate::fields::Fields;
use crate::identity::Identity;
use crate::session::{Place, Tokens};

/// Longer names of devices are cut.
const DEVICE_CHARS_MAX: usize = 200;

/// What a handler answers.
type Answered = Result<Response, Refusal>;

/// Every route: method, path, handler.
fn table() -> Vec<(&'static str, &'static str, MethodRouter<Arc<Identity>>)> {
    vec![
        ("POST", "/auth/register", post(account::register)),
        ("POST", "/auth/login", post(account::login)),
        ("POST", "/auth/refresh", post(account::refresh)),
        ("POST", "/auth/logout", post(account::logout)),
        ("GET", "/auth/me", get(account::me)),
        ("GET", "/auth/methods", get(account::methods)),
        ("POST", "/auth/anonymous", post(account::anonymous)),
        ("POST", "/auth/email/verify", post(account::email_verify)),
        ("POST", "/auth/email/change", post(account::email_change)),
        ("POST", "/auth/magic/request", post(account::magic_request)),
        ("POST", "/auth/magic/redeem", post(account::magic_redeem)),
        ("POST", "/auth/password/forgot", post(password::forgot)),
        ("POST", "/auth/password/reset", post(password::reset)),
        ("POST", "/auth/password/change", post(password::change)),
        ("POST", "/auth/password/renew", post(password::renew)),
        ("POST", "/auth/password/confirm", post(password::confirm)),
        ("POST", "/auth/totp/setup", post(second::setup)),
        ("POST", "/auth/totp/confirm", post(second::confirm)),
        ("POST", "/auth/totp/verify", post(second::verify)),
        ("POST", "/auth/totp/disable", post(second::disable)),
        ("POST", "/auth/totp/recovery-codes", post(second::recovery_codes)),
        ("POST", "/auth/passkey/register/begin", post(passkey::register_begin)),
        ("POST", "/auth/passkey/register/finish", post(passkey::register_finish)),
        ("POST", "/auth/passkey/login/begin", post(passkey::login_begin)),
        ("POST", "/auth/passkey/login/finish", post(passkey::login_finish)),
        ("POST", "/auth/passkey/confirm/begin", post(passkey::confirm_begin)),
        ("POST", "/auth/passkey/confirm/finish", post(passkey::confirm_finish)),
        ("GET", "/auth/passkeys", get(passkey::list)),
        ("PUT", "/auth/passkeys/{id}", put(passkey::rename)),
        ("DELETE", "/auth/passkeys/{id}", delete(passkey::remove)),
        ("POST", "/auth/mail-code/request", post(mail_code::request)),
        ("POST", "/auth/mail-code/verify", post(mail_code::verify)),
        ("GET", "/auth/sessions", get(sessions::list)),
        ("DELETE", "/auth/sessions/{id}", delete(sessions::end)),
        ("PUT", "/auth/device", put(sessions::device)),
        ("POST", "/auth/impersonate/{user}", post(sessions::impersonate)),
        ("GET", "/auth/permissions", get(roles::permissions)),
        ("GET", "/auth/roles", get(roles::list)),
        ("POST", "/auth/roles", post(roles::make)),
        ("DELETE", "/auth/roles/{id}", delete(roles::remove)),
        ("GET", "/auth/users/{id}/roles", get(roles::of_user)),
        ("POST", "/auth/users/{id}/roles", post(roles::give)),
        ("DELETE", "/auth/users/{id}/roles/{holding}", delete(roles::take)),
        ("GET", "/auth/tenants", get(roles::tenants)),
        ("POST", "/auth/tenants", post(roles::tenant_make)),
        ("POST", "/auth/tenants/{id}/invitations", post(roles::invite)),
        ("POST", "/auth/tenants/join", post(roles::join)),
        ("GET", "/auth/keys", get(keys::list)),
        ("POST", "/auth/keys", post(keys::make)),
        ("DELETE", "/auth/keys/{id}", delete(keys::end)),
        ("GET", "/auth/pages/{name}", get(pages::show)),
        ("POST", "/auth/pages/{name}", post(pages::send)),
        ("GET", "/.well-known/jwks.json", get(account::published_keys)),
    ]
}

/// The routes.
pub(crate) fn router(identity: Arc<Identity>) -> Router {
    let routes = table().into_iter();
    routes.fold(Router::new(), |router, (_, path, handler)| router.route(path, handler)).with_state(identity)
}

/// Method and path of every route that the capability has.
pub fn identity_routes() -> Vec<(&'static str, &'static str)> {
    table().into_iter().map(|(method, path, _)| (method, path)).collect()
}

/// A request whose credentials are not looked at: it comes to prove who it is.
#[derive(Clone)]
pub(crate) struct Open {
    pub(crate) request: RequestCtx,
    headers: HeaderMap,
    /// Whether tokens go into cookies.
    wants_cookies: bool,
}

impl<S: Send + Sync> FromRequestParts<S> for Open {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Open, Refusal> {
        let OpenCtx(request) = OpenCtx::from_request_parts(parts, state).await?;
        Ok(Open { request, headers: parts.headers.clone(), wants_cookies: wants_cookies(parts) })
    }
}

/// A request of somebody who has signed in, with the session.
#[derive(Clone)]
pub(crate) struct SignedIn {
    pub(crate) request: RequestCtx,
    pub(crate) user: Value,
    /// The key of the session; none: a token of the command line.
    pub(crate) session: Option<Value>,
    headers: HeaderMap,
    wants_cookies: bool,
}

impl<S: Send + Sync> FromRequestParts<S> for SignedIn {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<SignedIn, Refusal> {
        let request = RequestCtx::from_request_parts(parts, state).await?;
        let Some(user) = request.ctx.caller.user.clone() else {
            return Err(Error::new(Key::Credentials, "Sign in first.").into());
        };
        let session = request.ctx.session.clone();
        Ok(SignedIn {
            request,
            user,
            session,
            headers: parts.headers.clone(),
            wants_cookies: wants_cookies(parts),
        })
    }
}

fn wants_cookies(parts: &Parts) -> bool {
    parts
        .uri
        .query()
        .is_some_and(|query| query.split('&').any(|name| name == "cookies" || name == "cookies="))
}

fn place(request: &RequestCtx, headers: &HeaderMap, device: Option<String>) -> Place {
    let agent = || Some(headers.get(header::USER_AGENT)?.to_str().ok()?.to_owned());
    let device = device
        .or_else(agent)
        .map(|device| device.chars().filter(|c| !c.is_control()).take(DEVICE_CHARS_MAX).collect::<String>());
    Place {
        device: device.filter(|device| !device.trim().is_empty()),
        address: request.client.map(|client| client.to_string()),
    }
}

impl Open {
    fn place(&self, device: Option<String>) -> Place {
        place(&self.request, &self.headers, device)
    }

    /// Where it comes from.
    fn address(&self) -> Option<String> {
        self.request.client.map(|client| client.to_string())
    }
}

impl SignedIn {
    fn place(&self) -> Place {
        place(&self.request, &self.headers, None)
    }

    /// The session.
    ///
    /// # Errors
    /// When it is a token of the command line's, or a key's: those have nothing that could be confirmed.
    async fn session_row(&self, desk: &Desk) -> Result<Row, Error> {
        let refused =
            || Error::new(Key::AuthRecent, "This is for somebody who has signed in, not for a key or token.");
        let Some(session) = &self.session else { return Err(refused()) };
        let row = desk.row("Session", "id == $id and method != key", &[("id", session.clone())]).await?;
        row.ok_or_else(refused)
    }

    /// The session, of somebody who has shown a credential a short while ago.
    ///
    /// # Errors
    /// [`Key::AuthRecent`] when it is longer ago.
    async fn recent_session(&self, identity: &Identity, desk: &Desk) -> Result<Row, Error> {
        let row = self.session_row(desk).await?;
        let until = time(&row, "confirmed").map(|at| crate::desk::later(at, identity.options.recent));
        match until {
            Some(until) if until > desk.now() => Ok(row),
            _ => Err(identity.recent_wanted(desk, &self.user).await?),
        }
    }
}

impl Identity {
    fn desk(&self, request: &RequestCtx) -> Desk {
        Desk::of(request, &self.lookups)
    }

    /// The answer with the tokens of a session: in the body, or in cookies.
    async fn answer(&self, request: &RequestCtx, tokens: &Tokens, in_cookies: bool) -> Answered {
        let user = user_json(request, tokens).await?;
        let expires = tokens.access_ends.to_string();
        if !in_cookies {
            let body = json!({
                "access": tokens.access,
                "refresh": tokens.refresh,
                "expires": expires,
                "user": user,
            });
            return Ok(private(axum::Json(body).into_response()));
        }
        let mut response = private(axum::Json(json!({"expires": expires, "user": user})).into_response());
        let tokens = cookies::Tokens {
            access: &tokens.access,
            access_ends: tokens.access_ends,
            refresh: &tokens.refresh,
            refresh_ends: tokens.refresh_ends,
            session: &tokens.session,
        };
        let secure = self.options.secure_cookies;
        for cookie in cookies::set(&self.csrf_key, secure, request.ctx.now, &tokens) {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        Ok(response)
    }
}

/// Nothing of this is kept by whoever stands between.
fn private(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn done(status: StatusCode, body: Json) -> Response {
    let mut response = private(axum::Json(body).into_response());
    *response.status_mut() = status;
    response
}

fn nothing_more() -> Response {
    private(StatusCode::NO_CONTENT.into_response())
}

/// A user as that user's own reads show it, under the rules of the app.
async fn user_json(request: &RequestCtx, tokens: &Tokens) -> Result<Json, Error> {
    let tenant = tokens.tenant.map(Value::Uuid);
    let claims =
        Claims { user: tokens.user.clone(), tenant: tenant.clone(), session: Some(tokens.session.clone()) };
    let caller = request.engine.caller(&claims).await?;
    let caller =
        caller.ok_or_else(|| Error::new(Key::AuthSession, "The session has ended: sign in again."))?;
    let ctx = Ctx { caller, tenant, session: Some(tokens.session.clone()), ..request.ctx.clone() };
    user_of(request, &ctx, &tokens.user).await
}

/// The row of a user as a context may read it.
async fn user_of(request: &RequestCtx, ctx: &Ctx, user: &Value) -> Result<Json, Error> {
    let document = json!({"User": {"id": wire(user), "get": "*"}});
    let response = request.engine.execute(ctx, &operation(&document)?).await?;
    let answer: Json = serde_json::from_str(&render(&response, false)).map_err(Error::internal)?;
    Ok(answer["User"].get(0).cloned().unwrap_or(json!({"id": wire(user)})))
}

fn fields(body: &Bytes, names: &[&str]) -> Result<Fields, Error> {
    Fields::read(body, names)
}
