//! `/auth`: what people and their programs ask to sign in and to see to their accounts.

mod account;
mod described;
mod keys;
mod links_page;
mod mail_code;
mod oidc;
mod pages;
mod passkey;
mod password;
mod providers;
mod roles;
mod saml;
mod second;
mod sessions;
mod showing;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use mainstay_engine::ctx::{Claims, Ctx, Factor};
use mainstay_engine::error::{Error, Key};
use mainstay_engine::hook::Row;
use mainstay_engine::render;
use mainstay_http::{OpenCtx, Refusal, RequestCtx, RouteTable};
use mainstay_lang::value::Value;
use serde_json::{Value as Json, json};

use self::described as docs;
use self::described::{factors as factor_docs, providers as providers_docs};
use crate::cookies;
use crate::desk::{Desk, operation, time, wire};
use crate::fields::Fields;
use crate::identity::Identity;
use crate::session::{Place, Tokens};

/// Longer names of devices are cut.
const DEVICE_CHARS_MAX: usize = 200;

/// What a handler answers.
type Answered = Result<Response, Refusal>;

/// Every route: method, path, handler, what it is.
pub(crate) fn table() -> RouteTable<Arc<Identity>> {
    vec![
        ("POST", "/auth/register", post(account::register), docs::register()),
        ("POST", "/auth/login", post(account::login), docs::login()),
        ("POST", "/auth/refresh", post(account::refresh), docs::refresh()),
        ("POST", "/auth/logout", post(account::logout), docs::logout()),
        ("GET", "/auth/me", get(account::me), docs::me()),
        ("GET", "/auth/methods", get(account::methods), docs::methods()),
        ("POST", "/auth/anonymous", post(account::anonymous), docs::anonymous()),
        ("POST", "/auth/email/verify", post(account::email_verify), docs::email_verify()),
        ("POST", "/auth/email/change", post(account::email_change), docs::email_change()),
        ("POST", "/auth/magic/request", post(account::magic_request), docs::magic_request()),
        ("POST", "/auth/magic/redeem", post(account::magic_redeem), docs::magic_redeem()),
        ("POST", "/auth/password/forgot", post(password::forgot), docs::password_forgot()),
        ("POST", "/auth/password/reset", post(password::reset), docs::password_reset()),
        ("POST", "/auth/password/change", post(password::change), docs::password_change()),
        ("POST", "/auth/password/renew", post(password::renew), factor_docs::password_renew()),
        ("POST", "/auth/password/confirm", post(password::confirm), factor_docs::password_confirm()),
        ("POST", "/auth/totp/setup", post(second::setup), docs::totp_setup()),
        ("POST", "/auth/totp/confirm", post(second::confirm), docs::totp_confirm()),
        ("POST", "/auth/totp/verify", post(second::verify), docs::totp_verify()),
        ("POST", "/auth/totp/disable", post(second::disable), docs::totp_disable()),
        ("POST", "/auth/totp/recovery-codes", post(second::recovery_codes), docs::totp_recovery_codes()),
        (
            "POST",
            "/auth/passkey/register/begin",
            post(passkey::register_begin),
            factor_docs::register_begin(),
        ),
        (
            "POST",
            "/auth/passkey/register/finish",
            post(passkey::register_finish),
            factor_docs::register_finish(),
        ),
        ("POST", "/auth/passkey/login/begin", post(passkey::login_begin), factor_docs::login_begin()),
        ("POST", "/auth/passkey/login/finish", post(passkey::login_finish), factor_docs::login_finish()),
        ("POST", "/auth/passkey/confirm/begin", post(passkey::confirm_begin), factor_docs::confirm_begin()),
        (
            "POST",
            "/auth/passkey/confirm/finish",
            post(passkey::confirm_finish),
            factor_docs::confirm_finish(),
        ),
        ("GET", "/auth/passkeys", get(passkey::list), factor_docs::passkeys()),
        ("PUT", "/auth/passkeys/{id}", put(passkey::rename), factor_docs::passkey_rename()),
        ("DELETE", "/auth/passkeys/{id}", delete(passkey::remove), factor_docs::passkey_remove()),
        ("POST", "/auth/mail-code/request", post(mail_code::request), factor_docs::mail_code_request()),
        ("POST", "/auth/mail-code/verify", post(mail_code::verify), factor_docs::mail_code_verify()),
        ("GET", "/auth/sessions", get(sessions::list), docs::sessions()),
        ("DELETE", "/auth/sessions/{id}", delete(sessions::end), docs::session_end()),
        ("PUT", "/auth/device", put(sessions::device), docs::device()),
        ("POST", "/auth/impersonate/{user}", post(sessions::impersonate), docs::impersonate()),
        ("GET", "/auth/permissions", get(roles::permissions), docs::permissions()),
        ("GET", "/auth/roles", get(roles::list), docs::roles()),
        ("POST", "/auth/roles", post(roles::make), docs::role_make()),
        ("DELETE", "/auth/roles/{id}", delete(roles::remove), docs::role_remove()),
        ("GET", "/auth/users/{id}/roles", get(roles::of_user), docs::user_roles()),
        ("POST", "/auth/users/{id}/roles", post(roles::give), docs::role_give()),
        ("DELETE", "/auth/users/{id}/roles/{holding}", delete(roles::take), docs::role_take()),
        ("POST", "/auth/users/{id}/merge", post(providers::merge), providers_docs::merge()),
        ("GET", "/auth/tenants", get(roles::tenants), docs::tenants()),
        ("POST", "/auth/tenants", post(roles::tenant_make), docs::tenant_make()),
        ("POST", "/auth/tenants/{id}/invitations", post(roles::invite), docs::invite()),
        ("POST", "/auth/tenants/join", post(roles::join), docs::join()),
        ("GET", "/auth/oidc/{provider}/start", get(oidc::start), providers_docs::oidc_start()),
        ("GET", "/auth/oidc/{provider}/callback", get(oidc::callback), providers_docs::oidc_callback()),
        ("GET", "/auth/saml/{provider}/metadata", get(saml::metadata), providers_docs::saml_metadata()),
        ("GET", "/auth/saml/{provider}/start", get(saml::start), providers_docs::saml_start()),
        ("GET", "/auth/saml/{provider}/acs", get(saml::came), providers_docs::saml_came()),
        ("POST", "/auth/saml/{provider}/acs", post(saml::posted), providers_docs::saml_posted()),
        ("GET", "/auth/links", get(providers::links), providers_docs::links()),
        ("POST", "/auth/links", post(providers::link), providers_docs::link()),
        ("DELETE", "/auth/links/{id}", delete(providers::unlink), providers_docs::unlink()),
        ("GET", "/auth/keys", get(keys::list), docs::keys()),
        ("POST", "/auth/keys", post(keys::make), docs::key_make()),
        ("DELETE", "/auth/keys/{id}", delete(keys::end), docs::key_end()),
        ("GET", "/auth/pages/links", get(links_page::show), providers_docs::page_links()),
        ("POST", "/auth/pages/links", post(links_page::send), providers_docs::page_links_send()),
        ("GET", "/auth/pages/{name}", get(pages::show), docs::page_show()),
        ("POST", "/auth/pages/{name}", post(pages::send), docs::page_send()),
        ("GET", "/.well-known/jwks.json", get(account::published_keys), docs::published_keys()),
    ]
}

/// Method and path of every route that the capability has.
pub fn identity_routes() -> Vec<(&'static str, &'static str)> {
    table().into_iter().map(|(method, path, ..)| (method, path)).collect()
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
        via: None,
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

    /// Refuses whoever has not a permission of the capability's own; and, where that is set, whoever has it and has not shown a second
    /// factor of late.
    ///
    /// # Errors
    /// [`Key::Forbidden`], or [`Key::AuthRecent`] with the factors that would do.
    fn permission_check(&self, identity: &Identity, name: &str) -> Result<(), Error> {
        let ctx = &self.request.ctx;
        if !ctx.caller.permissions.contains(name) {
            return Err(Error::new(Key::Forbidden, format!("This asks for the permission `{name}`.")));
        }
        match identity.options.admin_second_factor {
            Duration::ZERO => Ok(()),
            within => ctx.require_confirmed(Factor::Second, within),
        }
    }

    /// The session, of somebody who has shown a credential a short while ago.
    ///
    /// # Errors
    /// [`Key::AuthRecent`] when it is longer ago.
    async fn recent_session(&self, identity: &Identity, desk: &Desk) -> Result<Row, Error> {
        let row = self.session_row(desk).await?;
        if row.get::<bool>("bound")? {
            let words = "The provider of a tenant vouches for them there alone: this asks for a password or link of the account's own.";
            return Err(Error::new(Key::AuthRecent, words));
        }
        let until = time(&row, "confirmed").map(|at| crate::desk::later(at, identity.options.recent));
        match until {
            Some(until) if until > desk.now() => Ok(row),
            _ => Err(identity.recent_wanted(desk, &self.user).await?),
        }
    }

    /// The tables, for somebody who has shown a credential a short while ago.
    ///
    /// # Errors
    /// As [`SignedIn::recent_session`].
    async fn recent_desk(&self, identity: &Identity) -> Result<Desk, Error> {
        let desk = identity.desk(&self.request);
        self.recent_session(identity, &desk).await?;
        Ok(desk)
    }
}

impl Identity {
    fn desk(&self, request: &RequestCtx) -> Desk {
        Desk::of(request, &self.lookups)
    }

    /// The answer with the tokens of a session that has begun just now. Who was here without a name until then, and shows it, brings
    /// along what is theirs.
    async fn welcome(&self, open: &Open, tokens: &Tokens) -> Answered {
        let desk = self.desk(&open.request);
        let merged = match self.anonymous_by(&desk, &open.headers).await? {
            None => None,
            Some(from) if from == tokens.user => None,
            // They are signed in whatever becomes of that; nothing has moved then, and nothing is lost.
            Some(from) => Some(match self.merge(&desk, (&from, &tokens.user), &open.place(None)).await {
                Ok(merged) => merged.to_json(),
                Err(error) => {
                    tracing::warn!(%error, internal = error.internal, "an anonymous user could not be merged");
                    json!({"error": error.key.text(), "detail": error.detail})
                }
            }),
        };
        self.answer_with(&open.request, tokens, open.wants_cookies, merged).await
    }

    /// The answer with the tokens of a session: in the body, or in cookies.
    async fn answer(&self, request: &RequestCtx, tokens: &Tokens, in_cookies: bool) -> Answered {
        self.answer_with(request, tokens, in_cookies, None).await
    }

    async fn answer_with(
        &self,
        request: &RequestCtx,
        tokens: &Tokens,
        in_cookies: bool,
        merged: Option<Json>,
    ) -> Answered {
        let mut body = json!({});
        if !in_cookies {
            body["access"] = json!(tokens.access);
            body["refresh"] = json!(tokens.refresh);
        }
        body["expires"] = json!(tokens.access_ends.to_string());
        body["user"] = user_json(request, tokens).await?;
        if let Some(merged) = merged {
            body["merged"] = merged;
        }
        if !in_cookies {
            return Ok(private(axum::Json(body).into_response()));
        }
        let mut response = private(axum::Json(body).into_response());
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
