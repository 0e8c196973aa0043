//! Second factors beside codes of an authenticator: what the routes of passkeys, of codes by mail and of passwords shown again are.

use mainstay_engine::error::Key;
use mainstay_http::RouteDocs;
use serde_json::{Value as Json, json};

use super::{answered, id, row, sent, signs_in, text, texts, was_sent};

/// What an authenticator answers, as a browser writes it.
fn credential() -> Json {
    json!({"type": "object", "required": ["id", "response"]})
}

/// What a browser is asked; with `cookies` the ceremony is a cookie, and not in the body.
fn begun(id: &str, summary: &str) -> RouteDocs {
    let asked = json!({"type": "object"});
    let with_ceremony = answered(&[("publicKey", asked.clone()), ("ceremony", text())]);
    let docs = "The ceremony is bound by a cookie instead of `ceremony`; present or not.";
    RouteDocs::new(id, summary).query("cookies", text(), docs).answers(
        200,
        "What the browser is asked (WebAuthn).",
        json!({"anyOf": [with_ceremony, answered(&[("publicKey", asked)])]}),
    )
}

fn example() -> Json {
    json!({"credential": {"id": "An id", "response": {}}})
}

pub(in crate::routes) fn register_begin() -> RouteDocs {
    begun("authPasskeyRegisterBegin", "Begin a new passkey")
        .signed_in()
        .body_or_none(sent(&[], &[]), json!({}))
        .refuses(&[Key::AuthRecent])
}

pub(in crate::routes) fn register_finish() -> RouteDocs {
    RouteDocs::new("authPasskeyRegister", "Keep a new passkey")
        .signed_in()
        .body(sent(&[("credential", credential())], &[("ceremony", text()), ("name", text())]), example())
        .answers(
            201,
            "It is kept; with the first, recovery codes.",
            json!({"type": "object", "required": ["name"], "properties": {"name": text(), "recovery_codes": texts()}}),
        )
        .refuses(&[Key::AuthRecent, Key::AuthPasskey, Key::Invalid, Key::Unique])
}

pub(in crate::routes) fn login_begin() -> RouteDocs {
    begun("authPasskeyLoginBegin", "Begin to sign in by a passkey")
        .about("With a ticket, as a second factor.")
        .open()
        .body_or_none(sent(&[], &[("ticket", text())]), json!({}))
        .refuses(&[Key::AuthToken])
}

pub(in crate::routes) fn login_finish() -> RouteDocs {
    let optional = [("ceremony", text()), ("ticket", text()), ("device", text())];
    signs_in("authPasskeyLogin", "Sign in by a passkey")
        .open()
        .body(sent(&[("credential", credential())], &optional), example())
        .refuses(&[Key::AuthPasskey, Key::AuthSecondFactor, Key::AuthThrottled, Key::TenantRefused])
}

pub(in crate::routes) fn confirm_begin() -> RouteDocs {
    begun("authPasskeyConfirmBegin", "Begin to show a passkey once more")
        .signed_in()
        .body_or_none(sent(&[], &[]), json!({}))
}

pub(in crate::routes) fn confirm_finish() -> RouteDocs {
    RouteDocs::new("authPasskeyConfirm", "Show a passkey once more")
        .signed_in()
        .body(sent(&[("credential", credential())], &[("ceremony", text())]), example())
        .answers_empty(204, "It was shown.")
        .refuses(&[Key::AuthPasskey, Key::AuthThrottled])
}

pub(in crate::routes) fn passkeys() -> RouteDocs {
    RouteDocs::new("authPasskeys", "One's passkeys").signed_in().answers(
        200,
        "The passkeys.",
        answered(&[("passkeys", json!({"type": "array", "items": row("Passkey")}))]),
    )
}

pub(in crate::routes) fn passkey_rename() -> RouteDocs {
    RouteDocs::new("authPasskeyRename", "Name a passkey")
        .signed_in()
        .place("id", id())
        .body(sent(&[("name", text())], &[]), json!({"name": "Phone"}))
        .answers_empty(204, "It has the name.")
        .refuses(&[Key::NotFound, Key::Invalid])
}

pub(in crate::routes) fn passkey_remove() -> RouteDocs {
    RouteDocs::new("authPasskeyRemove", "Take a passkey away; never the last way in")
        .signed_in()
        .place("id", id())
        .answers_empty(204, "It is gone.")
        .refuses(&[Key::AuthRecent, Key::AuthLastWay, Key::NotFound])
}

pub(in crate::routes) fn mail_code_request() -> RouteDocs {
    RouteDocs::new("authMailCodeRequest", "Have a code sent")
        .about("With a ticket for a sign-in, without to show once more who one is.")
        .open()
        .body_or_none(sent(&[], &[("ticket", text())]), json!({"ticket": "A ticket"}))
        .answers(202, "It was sent.", was_sent())
        .refuses(&[Key::AuthToken, Key::AuthThrottled, Key::Credentials])
}

pub(in crate::routes) fn mail_code_verify() -> RouteDocs {
    signs_in("authMailCode", "Show the code that was sent")
        .about("With a ticket it signs in; without, it shows once more who one is.")
        .open()
        .body(
            sent(&[("code", text())], &[("ticket", text())]),
            json!({"ticket": "A ticket", "code": "123456"}),
        )
        .answers_empty(204, "It was shown.")
        .refuses(&[Key::AuthToken, Key::AuthThrottled, Key::Credentials])
}

pub(in crate::routes) fn password_renew() -> RouteDocs {
    signs_in("authPasswordRenew", "Choose a password in place of one that is too old")
        .open()
        .body(
            sent(&[("ticket", text()), ("password", text())], &[]),
            json!({"ticket": "A ticket", "password": "a boat that sings"}),
        )
        .refuses(&[Key::AuthToken, Key::Invalid])
}

pub(in crate::routes) fn password_confirm() -> RouteDocs {
    RouteDocs::new("authPasswordConfirm", "Show the password once more")
        .signed_in()
        .body(sent(&[("password", text())], &[]), json!({"password": "a boat that sings"}))
        .answers_empty(204, "It was shown.")
        .refuses(&[Key::AuthLogin, Key::AuthThrottled])
}
