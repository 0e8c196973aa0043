//! Coming and going: registering, signing in, refreshing, signing out, addresses.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use mainstay_engine::error::{Error, Key};
use mainstay_http::{OpenCtx, Refusal};
use mainstay_lang::value::Value;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::{Answered, Open, SignedIn, done, fields, nothing_more, providers, user_of};
use crate::attempts::Counted;
use crate::cookies::{self, Cookie};
use crate::desk::{Desk, wire};
use crate::identity::Identity;
use crate::letters::Letter;
use crate::meters::{self, SignIn, signed_in};
use crate::once::{Once, used};
use crate::password::Tested;
use crate::session::NewSession;
use crate::verify::verified;

/// An address as it is kept and compared.
fn plain(email: &str) -> String {
    email.trim().to_lowercase()
}

/// Refuses what can be no address of mail.
fn email_check(email: &str) -> Result<(), Error> {
    let is_one = email.split_once('@').is_some_and(|(name, host)| {
        !name.is_empty()
            && host.contains('.') | (host == "localhost")
            && !host.ends_with('.')
            && !host.contains('@')
    });
    let is_plain = !email.contains(|c: char| c.is_whitespace() || c.is_control() || "<>,;\"".contains(c));
    match is_one && is_plain && email.len() <= 320 {
        true => Ok(()),
        false => Err(Error::at(Key::Invalid, "/email", "match", "must be an address of mail")),
    }
}

pub(super) async fn register(State(identity): State<Arc<Identity>>, open: Open, body: Bytes) -> Answered {
    let mut read = fields(&body, &["email", "password", "name", "device"])?;
    let (email, password, name) = (read.text("email"), read.text("password"), read.text("name"));
    let device = read.text_or_none("device");
    read.done()?;
    let email = plain(&email);
    email_check(&email)?;
    if name.chars().count() > 200 {
        return Err(Error::at(Key::Invalid, "/name", "max", "must have at most 200 characters").into());
    }
    if !identity.options.registration {
        return Err(Error::new(Key::Forbidden, "Nobody can register here by themselves.").into());
    }
    identity.password_accept(&password, &[&email, &name], "/password").await?;
    let hash_place = identity.hasher.place()?;
    let desk = identity.desk(&open.request);
    let counted = Counted::new(&format!("register {email}"), open.address().as_deref());
    counted.check(&desk).await?;
    let hash = hash_place.hash(&password, desk.deadline()).await?;
    if identity.options.verified_only {
        // What follows is the same whether there is an account or not: the letter finds out.
        let hash = identity.mail_sealer.seal(hash.as_bytes(), &email).map_err(Error::internal)?;
        let letter = Letter::Register { email, name: name.trim().to_owned(), hash };
        desk.ask_and_enqueue(Vec::new(), vec![letter.job()]).await?;
        return Ok(done(StatusCode::ACCEPTED, json!({"sent": true})));
    }
    let user = account_make(&desk, &email, name.trim(), &hash, false).await?;
    let place = open.place(device);
    let new = NewSession {
        user: &user,
        method: "password",
        is_twofold: false,
        within: None,
        actor: None,
        place: &place,
    };
    let tokens = identity.session_begin(&desk, new, Vec::new()).await?;
    let mut response = identity.welcome(&open, &tokens).await?;
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}

/// Makes a user with a password.
async fn account_make(
    desk: &Desk,
    email: &str,
    name: &str,
    hash: &str,
    is_verified: bool,
) -> Result<Value, Error> {
    let now = desk.now().to_string();
    let login = json!({
        "create": true,
        "hash": hash,
        "changed_at": now,
        "owner": {"create": true, "email": email, "name": name, "email_verified": is_verified.then_some(&now)},
    });
    let answers = desk.ask(vec![json!({"PasswordLogin": login})]).await.map_err(|error| match error.key {
        Key::Unique => Error::at(Key::Unique, "/email", "unique", "somebody has this address already"),
        _ => error,
    })?;
    let id = answers.first().and_then(|answer| answer["PasswordLogin"][0]["owner"]["id"].as_str());
    let id = id.and_then(|id| Uuid::try_parse(id).ok());
    id.map(Value::Uuid).ok_or_else(|| Error::internal("a user was made without an id"))
}

pub(super) async fn login(State(identity): State<Arc<Identity>>, open: Open, body: Bytes) -> Answered {
    let mut read = fields(&body, &["email", "password", "device", "provider", "code", "verifier"])?;
    if let Some(provider) = read.text_or_none("provider") {
        return providers::redeem(&identity, &open, read, &provider).await;
    }
    let (email, password, device) = (read.text("email"), read.text("password"), read.text_or_none("device"));
    read.done()?;
    let hash_place = identity.hasher.place()?;
    let email = plain(&email);
    let desk = identity.desk(&open.request);
    let turn = hash_place.turn().await?;
    let counted = Counted::new(&email, open.address().as_deref());
    counted.check(&desk).await?;
    let values = [("email", Value::Text(email.clone()))];
    let login = desk.row("PasswordLogin", "owner.email == $email", &values).await?;
    let owner = desk.row("User", "email == $email", &values).await?;
    drop(turn);
    let hash = login.as_ref().and_then(|login| login.text("hash"));
    // The same work for an account that is not there.
    let tested = hash_place.test(&password, hash, desk.deadline()).await?;
    let may_sign_in = owner.as_ref().is_some_and(|owner| {
        let is_null = |column: &str| owner.value(column).is_ok_and(Value::is_null);
        is_null("blocked") && !(identity.options.verified_only && is_null("email_verified"))
    });
    let (Some(login), Some(owner), true, true) = (login, owner, may_sign_in, tested != Tested::Wrong) else {
        counted.fail(&desk).await?;
        signed_in("password", SignIn::Refused);
        let words = match identity.options.verified_only {
            true => "No account has this address and password, or its address was not verified.",
            false => "No account has this address and password.",
        };
        return Err(Error::new(Key::AuthLogin, words).into());
    };
    let mut along = vec![counted.forget()];
    if tested == Tested::RightButOld {
        let hash = identity.hasher.place()?.hash(&password, desk.deadline()).await?;
        along.push(json!({"PasswordLogin": {"id": wire(login.key()), "set": {"hash": hash}}}));
    }
    let place = open.place(device);
    let within = identity.named_tenant(&desk, &open.headers).await?;
    let new = NewSession {
        user: owner.key(),
        method: "password",
        is_twofold: false,
        within,
        actor: None,
        place: &place,
    };
    let tokens = identity.sign_in(&desk, new, along, Vec::new()).await?;
    identity.welcome(&open, &tokens).await
}

pub(super) async fn refresh(State(identity): State<Arc<Identity>>, open: Open, body: Bytes) -> Answered {
    let mut read = fields(&body, &["refresh", "tenant", "device"])?;
    let (given, tenant) = (read.text_or_none("refresh"), read.text_or_none("tenant"));
    let device = read.text_or_none("device");
    read.done()?;
    let cookie = identity.cookie(&open.headers, Cookie::Refresh).filter(|_| given.is_none());
    let in_cookies = cookie.is_some() || open.wants_cookies;
    let token = given.or_else(|| cookie.map(str::to_owned));
    let Some(token) = token else {
        return Err(Error::at(Key::Invalid, "/refresh", "required", "is required").into());
    };
    let within = tenant.map(|tenant| Uuid::try_parse(&tenant)).transpose();
    let within =
        within.map_err(|_| Error::at(Key::Invalid, "/tenant", "type", "must be the id of a tenant"))?;
    let desk = identity.desk(&open.request);
    let refreshed = identity.session_refresh(&desk, &token, within, &open.place(device)).await;
    meters::refreshed(&refreshed);
    identity.answer(&open.request, &refreshed?, in_cookies).await
}

pub(super) async fn logout(State(identity): State<Arc<Identity>>, by: SignedIn) -> Answered {
    let desk = identity.desk(&by.request);
    let mut provider = None;
    if let Some(session) = &by.session {
        let row = desk.row("Session", "id == $id", &[("id", session.clone())]).await?;
        provider = row.and_then(|row| row.text("via").map(str::to_owned));
        let which = json!({"id": wire(session)});
        identity.sessions_end(&desk, (&which, &by.user), "logout", &by.place()).await?;
    }
    let there = match &provider {
        Some(provider) => identity.oidc_end(provider).await,
        None => None,
    };
    let mut response = match there {
        Some(there) => done(StatusCode::OK, json!({"provider_logout": there.as_str()})),
        None => nothing_more(),
    };
    for cookie in cookies::clear(identity.options.secure_cookies) {
        response.headers_mut().append(axum::http::header::SET_COOKIE, cookie);
    }
    Ok(response)
}

pub(super) async fn me(State(identity): State<Arc<Identity>>, by: SignedIn) -> Answered {
    let ctx = &by.request.ctx;
    let user = user_of(&by.request, ctx, &by.user).await?;
    let mut body = json!({
        "user": user,
        "roles": *ctx.caller.roles,
        "permissions": *ctx.caller.permissions,
        "tenant": ctx.tenant.as_ref().map(wire),
        "session": by.session.as_ref().map(wire),
    });
    if let Some(session) = &by.session {
        // Whom this is really, for a banner.
        let desk = identity.desk(&by.request);
        let row = desk.row("Session", "id == $id", &[("id", session.clone())]).await?;
        let actor = row.and_then(|row| row.value("actor").ok().cloned());
        body["impersonated_by"] = actor.map_or(Json::Null, |actor| wire(&actor));
    }
    Ok(done(StatusCode::OK, body))
}

pub(super) async fn methods(State(identity): State<Arc<Identity>>, open: Open) -> Answered {
    let options = &identity.options;
    let desk = identity.desk(&open.request);
    let within = identity.named_tenant(&desk, &open.headers).await?;
    let body = json!({
        "password": {"register": options.registration, "length_min": options.password.length_min},
        "magic": options.magic,
        "anonymous": options.anonymous,
        "totp": true,
        "providers": identity.providers_shown(&desk, within).await?,
        "passkey": true,
        "mail_code": options.mail_code,
    });
    Ok(axum::Json(body).into_response())
}

pub(super) async fn published_keys(
    State(identity): State<Arc<Identity>>,
    OpenCtx(request): OpenCtx,
) -> Result<axum::Json<Json>, Refusal> {
    Ok(axum::Json(identity.keys.published(&identity.desk(&request)).await?))
}

pub(super) async fn anonymous(State(identity): State<Arc<Identity>>, open: Open, body: Bytes) -> Answered {
    let mut read = fields(&body, &["device"])?;
    let device = read.text_or_none("device");
    read.done()?;
    if !identity.options.anonymous {
        return Err(Error::new(Key::Forbidden, "Nobody comes here without saying who they are.").into());
    }
    let desk = identity.desk(&open.request);
    let place = open.place(device);
    // Each counts as a failure, so that nobody fills the table.
    let counted = Counted::new(&format!("anonymous {:?}", place.address), None);
    counted.check(&desk).await?;
    counted.fail(&desk).await?;
    let email = format!("{}@anonymous.invalid", Uuid::now_v7().simple());
    let user = json!({"User": {"create": true, "email": email, "name": "Anonymous", "anonymous": true}});
    let answers = desk.ask(vec![user]).await?;
    let id = answers.first().and_then(|answer| answer["User"][0]["id"].as_str());
    let user = id.and_then(|id| Uuid::try_parse(id).ok()).map(Value::Uuid);
    let user = user.ok_or_else(|| Error::internal("a user was made without an id"))?;
    let within = identity.named_tenant(&desk, &open.headers).await?;
    let new = NewSession {
        user: &user,
        method: "anonymous",
        is_twofold: false,
        within,
        actor: None,
        place: &place,
    };
    let tokens = identity.session_begin(&desk, new, Vec::new()).await?;
    identity.answer(&open.request, &tokens, open.wants_cookies).await
}

pub(super) async fn email_verify(State(identity): State<Arc<Identity>>, open: Open, body: Bytes) -> Answered {
    let mut read = fields(&body, &["token"])?;
    let token = read.text("token");
    read.done()?;
    let desk = identity.desk(&open.request);
    let row = match Once::Verify.find(&desk, &token).await {
        Ok(row) => row,
        Err(_) => Once::Change.find(&desk, &token).await?,
    };
    let documents = verified(&identity.mail_sealer, &desk, &row, open.address().as_deref())?;
    desk.ask(documents).await.map_err(used)?;
    Ok(done(StatusCode::OK, json!({"verified": row.text("email")})))
}

pub(super) async fn email_change(
    State(identity): State<Arc<Identity>>,
    by: SignedIn,
    body: Bytes,
) -> Answered {
    let mut read = fields(&body, &["email"])?;
    let email = read.text("email");
    read.done()?;
    let email = plain(&email);
    email_check(&email)?;
    let desk = by.recent_desk(&identity).await?;
    let letter = Letter::Change { user: wire(&by.user), email };
    desk.ask_and_enqueue(Vec::new(), vec![letter.job()]).await?;
    Ok(done(StatusCode::ACCEPTED, json!({"sent": true})))
}

pub(super) async fn magic_request(
    State(identity): State<Arc<Identity>>,
    open: Open,
    body: Bytes,
) -> Answered {
    let mut read = fields(&body, &["email"])?;
    let email = read.text("email");
    read.done()?;
    magic_check(&identity)?;
    letter_for(&identity, &open, &email, |email| Letter::Magic { email }).await
}

/// Refuses where a link in mail does not sign in.
fn magic_check(identity: &Identity) -> Result<(), Error> {
    match identity.options.magic {
        true => Ok(()),
        false => Err(Error::new(Key::Forbidden, "No link in mail signs in here.")),
    }
}

/// Enqueues a letter to an address, whoever has it, not too often.
pub(super) async fn letter_for(
    identity: &Identity,
    open: &Open,
    email: &str,
    letter: impl FnOnce(String) -> Letter,
) -> Answered {
    let email = plain(email);
    email_check(&email)?;
    let desk = identity.desk(&open.request);
    let counted = Counted::new(&format!("letter {email}"), open.address().as_deref());
    counted.check(&desk).await?;
    counted.fail(&desk).await?;
    desk.ask_and_enqueue(Vec::new(), vec![letter(email).job()]).await?;
    Ok(done(StatusCode::ACCEPTED, json!({"sent": true})))
}

pub(super) async fn magic_redeem(State(identity): State<Arc<Identity>>, open: Open, body: Bytes) -> Answered {
    let mut read = fields(&body, &["token", "device"])?;
    let (token, device) = (read.text("token"), read.text_or_none("device"));
    read.done()?;
    magic_check(&identity)?;
    let desk = identity.desk(&open.request);
    let row = Once::Magic.find(&desk, &token).await?;
    let owner = row.value("owner")?.clone();
    let place = open.place(device);
    let within = identity.named_tenant(&desk, &open.headers).await?;
    let verified = json!({"email_verified": desk.now().to_string()});
    let along = vec![crate::once::using(&desk, &row), json!({"User": {"id": wire(&owner), "set": verified}})];
    let new =
        NewSession { user: &owner, method: "magic", is_twofold: false, within, actor: None, place: &place };
    let tokens = identity.sign_in(&desk, new, along, Vec::new()).await.map_err(used)?;
    identity.welcome(&open, &tokens).await
}
