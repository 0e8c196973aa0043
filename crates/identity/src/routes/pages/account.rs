//! The page of somebody who has signed in: passkeys, codes, password, devices.
//!
//! Each button is a form, whose fields become the request that a program would make; what that answers is shown above the same page.

use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use mainstay_engine::error::{Error, Key};
use mainstay_http::Refusal;
use minijinja::context;
use serde_json::{Value as Json, json};

use super::qr::qr_svg;
use super::{PasskeyButton, Said, csrf_of, json_of, no_session, page_of, see, value, with_cookies};
use crate::identity::Identity;
use crate::routes::{Answered, SignedIn, account, passkey, password, second, sessions, user_of};

/// What it is called among the pages.
pub(super) const NAME: &str = "account";

const ACTIONS: [&str; 8] = [
    "password-change",
    "passkey-remove",
    "recovery-codes",
    "session-end",
    "sign-out",
    "totp-confirm",
    "totp-disable",
    "totp-setup",
];

/// Bytes of an answer of ours.
const ANSWER_MAX: usize = 1 << 20;

pub(super) fn is_action(name: &str) -> bool {
    ACTIONS.contains(&name)
}

/// What is shown beside the account itself.
#[derive(Default)]
pub(super) struct More {
    problem: Option<String>,
    done: Option<&'static str>,
    codes: Json,
    setup: Json,
}

pub(super) async fn show(identity: &Arc<Identity>, by: &SignedIn, more: More) -> Answered {
    let desk = identity.desk(&by.request);
    let user = user_of(&by.request, &by.request.ctx, &by.user).await?;
    let passkeys = body_of(passkey::list(by.clone()).await?).await?;
    let devices = body_of(sessions::list(by.clone()).await?).await?;
    let owner = [("owner", by.user.clone())];
    let has_password = desk.row("PasswordLogin", "owner == $owner", &owner).await?.is_some();
    let has_totp = crate::factor::totp_of(&desk, &by.user).await?.is_some();
    let shown = context! {
        title => "Your account",
        app => &by.request.engine.schema().app,
        csrf => csrf_of(identity, by),
        user => shown_as(&user),
        passkeys => shown_as(&passkeys["passkeys"]),
        sessions => shown_as(&devices["sessions"]),
        has_password,
        has_totp,
        problem => more.problem,
        done => more.done,
        codes => shown_as(&more.codes),
        setup => shown_as(&more.setup),
    };
    let button =
        PasskeyButton { kind: "register", button: "Add a passkey", ticket: "", to: "/auth/pages/account" };
    Ok(identity.rendered("account.html", shown, Some(button))?)
}

pub(super) async fn send(
    identity: &Arc<Identity>,
    by: Result<SignedIn, Refusal>,
    name: &str,
    given: &[(String, String)],
) -> Answered {
    let by = match by {
        Ok(by) => by,
        Err(Refusal(error)) if error.key == Key::Credentials => return Ok(see("/auth/pages/login")),
        Err(refusal) => return Err(refusal),
    };
    let (to, again) = (State(identity.clone()), by.clone());
    let id = || Path(value(given, "id").to_owned());
    let body = |names: &'static [&'static str]| json_of(names.iter().map(|name| (*name, value(given, name))));
    let answered = match name {
        "password-change" => password::change(to, by, body(&["old", "password"])).await,
        "passkey-remove" => passkey::remove(to, by, id()).await,
        "recovery-codes" => second::recovery_codes(to, by).await,
        "session-end" => sessions::end(to, by, id()).await,
        "sign-out" => account::logout(to, by).await,
        "totp-confirm" => second::confirm(to, by, body(&["code"])).await,
        "totp-disable" => second::disable(to, by, body(&["code"])).await,
        "totp-setup" => second::setup(to, by).await,
        _ => Err(no_session()),
    };
    let answer = match answered {
        Ok(answer) if name == "sign-out" => return Ok(with_cookies(see("/auth/pages/login"), &answer)),
        Ok(answer) => body_of(answer).await?,
        Err(Refusal(error)) => return refused(identity, &again, error).await,
    };
    let mut more = More { done: Some("Done."), codes: answer["recovery_codes"].clone(), ..More::default() };
    if let Some(uri) = answer["uri"].as_str() {
        more.done = None;
        more.setup = json!({"qr": qr_svg(uri), "secret": answer["secret"]});
    }
    show(identity, &again, more).await
}

/// What was wrong, above the page; or the page to show once more who it is.
async fn refused(identity: &Arc<Identity>, by: &SignedIn, error: Error) -> Answered {
    if error.key == Key::Internal {
        return Err(error.into());
    }
    let words = match error.detail.as_str() {
        "" => error.key.title().to_owned(),
        words => words.to_owned(),
    };
    let is_too_long_ago = error.key == Key::AuthRecent;
    let mut response = match is_too_long_ago {
        true => {
            let csrf = csrf_of(identity, by);
            let said = Said { problem: Some(&words), csrf: csrf.as_deref(), ..Said::default() };
            identity.page(&by.request.engine.schema().app, page_of("confirm")?, &[], &said)?
        }
        false => show(identity, by, More { problem: Some(words), ..More::default() }).await?,
    };
    *response.status_mut() = match is_too_long_ago {
        true => StatusCode::FORBIDDEN,
        false => StatusCode::UNPROCESSABLE_ENTITY,
    };
    Ok(response)
}

/// The body of an answer of ours; null: it has none.
async fn body_of(answer: Response) -> Result<Json, Error> {
    let bytes = to_bytes(answer.into_body(), ANSWER_MAX).await.map_err(Error::internal)?;
    match bytes.is_empty() {
        true => Ok(Json::Null),
        false => serde_json::from_slice(&bytes).map_err(Error::internal),
    }
}

/// A value of JSON as a template sees it.
fn shown_as(json: &Json) -> minijinja::Value {
    minijinja::Value::from(minijinja::value::Serde(json))
}
