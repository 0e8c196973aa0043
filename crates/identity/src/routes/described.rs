//! What the routes are, for the app's OpenAPI document: what is sent, what is answered, what is refused.
//!
//! Each stands beside its handler in the table of routes, which nothing gets into without one.

pub(super) mod factors;
pub(super) mod providers;

use mainstay_engine::error::Key;
use mainstay_http::RouteDocs;
use serde_json::{Map, Value as Json, json};

/// What may see and give roles.
const ROLES: &str = "identity/roles";

/// A text; an empty one is none.
fn text() -> Json {
    json!({"type": "string"})
}

fn email() -> Json {
    json!({"type": "string", "format": "email", "maxLength": 320})
}

fn id() -> Json {
    json!({"type": "string", "format": "uuid"})
}

fn time() -> Json {
    json!({"type": "string", "format": "date-time"})
}

fn texts() -> Json {
    json!({"type": "array", "items": {"type": "string"}})
}

/// The same, or null.
fn or_null(mut schema: Json) -> Json {
    schema["type"] = json!([schema["type"], "null"]);
    schema
}

/// A row as the app's own reads show it.
fn row(table: &str) -> Json {
    json!({"$ref": format!("#/components/schemas/{table}")})
}

fn rows(name: &str, table: &str) -> Json {
    answered(&[(name, json!({"type": "array", "items": row(table)}))])
}

fn members(of: &[(&str, Json)]) -> Map<String, Json> {
    of.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect()
}

/// A body: members that have to be there, and others.
fn sent(required: &[(&str, Json)], optional: &[(&str, Json)]) -> Json {
    let mut properties = members(required);
    properties.extend(optional.iter().map(|(name, schema)| ((*name).to_owned(), or_null(schema.clone()))));
    let names: Vec<&str> = required.iter().map(|(name, _)| *name).collect();
    json!({"type": "object", "required": names, "properties": properties, "additionalProperties": false})
}

/// An answer all of whose members are there.
fn answered(of: &[(&str, Json)]) -> Json {
    let names: Vec<&str> = of.iter().map(|(name, _)| *name).collect();
    json!({"type": "object", "required": names, "properties": members(of)})
}

fn was_sent() -> Json {
    answered(&[("sent", json!({"type": "boolean"}))])
}

/// Tokens; with `cookies` they are cookies, and not in the body.
fn tokens() -> Json {
    let in_cookies = answered(&[("expires", time()), ("user", row("User"))]);
    let in_body =
        answered(&[("access", text()), ("refresh", text()), ("expires", time()), ("user", row("User"))]);
    json!({"anyOf": [in_body, in_cookies]})
}

/// A route that answers with tokens.
fn signs_in(id: &str, summary: &str) -> RouteDocs {
    let docs = "Tokens go into cookies instead of the answer; present or not.";
    RouteDocs::new(id, summary).query("cookies", text(), docs).answers(
        200,
        "The tokens of the session.",
        tokens(),
    )
}

pub(super) fn register() -> RouteDocs {
    let example = json!({"email": "ann@example.com", "password": "a boat that sings", "name": "Ann"});
    signs_in("authRegister", "Make an account")
        .open()
        .body(
            sent(&[("email", email()), ("password", text()), ("name", text())], &[("device", text())]),
            example,
        )
        .answers(201, "Where addresses need not be verified: the tokens of the first session.", tokens())
        .answers(202, "A mail was sent; the same whether there is an account or not.", was_sent())
        .refuses(&[Key::Invalid, Key::Forbidden, Key::Unique, Key::AuthThrottled])
}

pub(super) fn login() -> RouteDocs {
    let by_password = sent(&[("email", text()), ("password", text())], &[("device", text())]);
    let by_provider =
        sent(&["provider", "code", "verifier"].map(|name| (name, text())), &[("device", text())]);
    signs_in(
        "authLogin",
        "Sign in with a password, or with the code that a provider sent a browser back with",
    )
    .open()
    .body(
        json!({"anyOf": [by_password, by_provider]}),
        json!({"email": "ann@example.com", "password": "a boat that sings"}),
    )
    .refuses(&[Key::AuthLogin, Key::AuthSecondFactor, Key::AuthThrottled, Key::TenantRefused])
}

pub(super) fn refresh() -> RouteDocs {
    signs_in("authRefresh", "Go on with a session")
        .about("A token that is used again within ten seconds gets the same successor; later its session is ended.")
        .open()
        .body_or_none(
            sent(&[], &[("refresh", text()), ("tenant", id()), ("device", text())]),
            json!({"refresh": "A token"}),
        )
        .refuses(&[Key::AuthSession, Key::AuthReused, Key::TenantRefused])
}

pub(super) fn logout() -> RouteDocs {
    RouteDocs::new("authLogout", "End this session").signed_in().answers_empty(204, "It has ended.")
}

pub(super) fn me() -> RouteDocs {
    let answer = answered(&[
        ("user", row("User")),
        ("roles", texts()),
        ("permissions", texts()),
        ("tenant", or_null(id())),
        ("session", or_null(id())),
    ]);
    RouteDocs::new("authMe", "Who asks").signed_in().answers(200, "Who this is.", answer)
}

pub(super) fn methods() -> RouteDocs {
    RouteDocs::new("authMethods", "Ways to sign in").open().answers(
        200,
        "What this app offers, by name.",
        json!({"type": "object"}),
    )
}

pub(super) fn anonymous() -> RouteDocs {
    signs_in("authAnonymous", "Begin a session without saying who one is")
        .open()
        .body_or_none(sent(&[], &[("device", text())]), json!({}))
        .refuses(&[Key::Forbidden, Key::AuthThrottled, Key::TenantRefused])
}

pub(super) fn email_verify() -> RouteDocs {
    RouteDocs::new("authEmailVerify", "Verify an address by the token of a mail")
        .open()
        .body(sent(&[("token", text())], &[]), json!({"token": "A token"}))
        .answers(200, "The address is verified.", answered(&[("verified", email())]))
        .refuses(&[Key::AuthToken, Key::Unique])
}

pub(super) fn email_change() -> RouteDocs {
    RouteDocs::new("authEmailChange", "Ask for another address")
        .signed_in()
        .body(sent(&[("email", email())], &[]), json!({"email": "ann@example.com"}))
        .answers(202, "A mail was sent to it.", was_sent())
        .refuses(&[Key::AuthRecent])
}

/// A letter that somebody asks for by an address.
fn letter(id: &str, summary: &str) -> RouteDocs {
    RouteDocs::new(id, summary)
        .open()
        .body(sent(&[("email", email())], &[]), json!({"email": "ann@example.com"}))
        .answers(202, "A mail was sent, if somebody has the address.", was_sent())
        .refuses(&[Key::AuthThrottled])
}

pub(super) fn magic_request() -> RouteDocs {
    letter("authMagicRequest", "Ask for a link to sign in by").refuses(&[Key::Forbidden])
}

pub(super) fn magic_redeem() -> RouteDocs {
    signs_in("authMagicRedeem", "Sign in by the token of a link")
        .open()
        .body(sent(&[("token", text())], &[("device", text())]), json!({"token": "A token"}))
        .refuses(&[Key::AuthToken, Key::AuthSecondFactor, Key::Forbidden, Key::TenantRefused])
}

pub(super) fn password_forgot() -> RouteDocs {
    letter("authPasswordForgot", "Ask for a new password")
}

pub(super) fn password_reset() -> RouteDocs {
    RouteDocs::new("authPasswordReset", "Set a password by the token of a mail")
        .about("Ends every session.")
        .open()
        .body(
            sent(&[("token", text()), ("password", text())], &[]),
            json!({"token": "A token", "password": "a boat that sings"}),
        )
        .answers_empty(204, "It is set.")
        .refuses(&[Key::AuthToken, Key::Invalid])
}

pub(super) fn password_change() -> RouteDocs {
    RouteDocs::new("authPasswordChange", "Change the own password")
        .about(
            "Ends every other session. Without `old`, a second factor has to have been shown a moment ago.",
        )
        .signed_in()
        .body(
            sent(&[("password", text())], &[("old", text())]),
            json!({"old": "a boat that sang", "password": "a boat that sings"}),
        )
        .answers_empty(204, "It is changed.")
        .refuses(&[Key::AuthLogin, Key::AuthRecent, Key::AuthThrottled, Key::Invalid])
}

fn recovery_codes_answered() -> Json {
    answered(&[("recovery_codes", texts())])
}

/// A code is sent.
fn code() -> Json {
    sent(&[("code", text())], &[])
}

pub(super) fn totp_setup() -> RouteDocs {
    RouteDocs::new("authTotpSetup", "Begin with a second factor")
        .signed_in()
        .answers(200, "The key for an authenticator.", answered(&[("secret", text()), ("uri", text())]))
        .refuses(&[Key::AuthRecent, Key::Request])
}

pub(super) fn totp_confirm() -> RouteDocs {
    RouteDocs::new("authTotpConfirm", "Show the first code of a second factor")
        .signed_in()
        .body(code(), json!({"code": "123456"}))
        .answers(200, "It counts from now on.", recovery_codes_answered())
        .refuses(&[Key::AuthCode, Key::AuthRecent, Key::AuthThrottled])
}

pub(super) fn totp_verify() -> RouteDocs {
    signs_in("authTotpVerify", "Show a second factor")
        .about("With a ticket, to sign in; without, as somebody who has signed in and confirms it.")
        .body(
            sent(&[("code", text())], &[("ticket", text())]),
            json!({"ticket": "A ticket", "code": "123456"}),
        )
        .answers_empty(204, "It is confirmed.")
        .refuses(&[Key::AuthCode, Key::AuthToken, Key::AuthRecent, Key::AuthThrottled])
}

pub(super) fn totp_disable() -> RouteDocs {
    RouteDocs::new("authTotpDisable", "Do without a second factor")
        .signed_in()
        .body(code(), json!({"code": "123456"}))
        .answers_empty(204, "There is none any more.")
        .refuses(&[Key::AuthCode, Key::AuthRecent, Key::AuthThrottled])
}

pub(super) fn totp_recovery_codes() -> RouteDocs {
    RouteDocs::new("authTotpRecoveryCodes", "New recovery codes in the place of the old ones")
        .signed_in()
        .answers(200, "The codes; nobody is shown them again.", recovery_codes_answered())
        .refuses(&[Key::AuthRecent, Key::Request])
}

pub(super) fn sessions() -> RouteDocs {
    let session = json!({"allOf": [row("Session"), answered(&[("current", json!({"type": "boolean"}))])]});
    let answer = answered(&[("sessions", json!({"type": "array", "items": session}))]);
    RouteDocs::new("authSessions", "The own sessions").signed_in().answers(
        200,
        "Where somebody is signed in.",
        answer,
    )
}

pub(super) fn session_end() -> RouteDocs {
    RouteDocs::new("authSessionEnd", "End a session")
        .about("One of one's own; any, with the permission `identity/sessions`.")
        .signed_in()
        .place("id", id())
        .answers_empty(204, "It has ended.")
        .refuses(&[Key::AuthRecent])
}

pub(super) fn device() -> RouteDocs {
    let optional = [("device", text()), ("if_updated", text())];
    let mut body = sent(&[], &optional);
    body["properties"]["data"] = json!({});
    RouteDocs::new("authDevice", "Name this device, and keep values with its session")
        .signed_in()
        .body(body, json!({"device": "Ann's phone", "data": {"cart": [1]}}))
        .answers(200, "The session as it is now.", row("Session"))
        .refuses(&[Key::Version, Key::AuthRecent])
}

pub(super) fn impersonate() -> RouteDocs {
    signs_in("authImpersonate", "Begin a session as somebody else")
        .about("`stop` in the place of a user ends the one that is under way.")
        .permission("identity/impersonate")
        .place("user", text())
        .answers_empty(204, "It has ended.")
        .refuses(&[Key::AuthRecent, Key::Forbidden])
}

pub(super) fn permissions() -> RouteDocs {
    RouteDocs::new("authPermissions", "What can be given").permission(ROLES).answers(
        200,
        "Names of permissions, as far as the caller may see them.",
        answered(&[("permissions", texts())]),
    )
}

pub(super) fn roles() -> RouteDocs {
    let role =
        answered(&[("id", id()), ("name", text()), ("within", or_null(id())), ("permissions", texts())]);
    RouteDocs::new("authRoles", "Roles").permission(ROLES).answers(
        200,
        "Those that the caller may see.",
        answered(&[("roles", json!({"type": "array", "items": role}))]),
    )
}

pub(super) fn role_make() -> RouteDocs {
    RouteDocs::new("authRoleMake", "Make a role")
        .permission(ROLES)
        .body(
            sent(&[("name", json!({"type": "string", "maxLength": 100}))], &[("permissions", texts())]),
            json!({"name": "Editor", "permissions": []}),
        )
        .answers(201, "The new role.", row("Role"))
        .refuses(&[Key::Forbidden, Key::HookRefused, Key::Unique])
}

pub(super) fn role_remove() -> RouteDocs {
    RouteDocs::new("authRoleRemove", "Delete a role")
        .permission(ROLES)
        .place("id", id())
        .answers_empty(204, "It is gone.")
        .refuses(&[Key::Invalid, Key::HookRefused])
}

pub(super) fn user_roles() -> RouteDocs {
    RouteDocs::new("authUserRoles", "The roles of somebody")
        .permission(ROLES)
        .place("id", id())
        .answers(200, "As far as the caller may see them.", rows("roles", "RoleHolder"))
        .refuses(&[Key::Invalid])
}

pub(super) fn role_give() -> RouteDocs {
    RouteDocs::new("authRoleGive", "Give somebody a role")
        .permission(ROLES)
        .place("id", id())
        .body(sent(&[("role", id())], &[]), json!({"role": "01890000-0000-7000-8000-000000000000"}))
        .answers(201, "They have it.", row("RoleHolder"))
        .refuses(&[Key::Forbidden, Key::RelationRefused, Key::HookRefused, Key::Unique])
}

pub(super) fn role_take() -> RouteDocs {
    RouteDocs::new("authRoleTake", "Take a role from somebody")
        .permission(ROLES)
        .place("id", id())
        .place("holding", id())
        .answers_empty(204, "They don't have it any more.")
        .refuses(&[Key::Invalid, Key::HookRefused])
}

pub(super) fn tenants() -> RouteDocs {
    RouteDocs::new("authTenants", "Tenants").signed_in().answers(
        200,
        "Those that the caller may see.",
        rows("tenants", "Tenant"),
    )
}

pub(super) fn tenant_make() -> RouteDocs {
    let slug = json!({"type": "string", "maxLength": 63, "pattern": "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"});
    RouteDocs::new("authTenantMake", "Make a tenant")
        .permission("identity/tenants")
        .body(
            sent(
                &[("name", json!({"type": "string", "maxLength": 200})), ("slug", slug)],
                &[("hosts", texts())],
            ),
            json!({"name": "Red", "slug": "red"}),
        )
        .answers(201, "The new tenant.", row("Tenant"))
        .refuses(&[Key::Forbidden, Key::Unique])
}

pub(super) fn invite() -> RouteDocs {
    RouteDocs::new("authInvite", "Ask somebody by mail to join a tenant")
        .permission("identity/members")
        .place("id", id())
        .body(sent(&[("email", text())], &[]), json!({"email": "ann@example.com"}))
        .answers(202, "A mail was sent.", was_sent())
        .refuses(&[Key::AuthRecent, Key::Forbidden])
}

pub(super) fn join() -> RouteDocs {
    RouteDocs::new("authTenantJoin", "Join a tenant by an invitation")
        .signed_in()
        .body(sent(&[("token", text())], &[]), json!({"token": "A token"}))
        .answers(200, "The tenant that was joined.", answered(&[("tenant", id())]))
        .refuses(&[Key::AuthToken])
}

pub(super) fn keys() -> RouteDocs {
    RouteDocs::new("authKeys", "The own keys for programs").signed_in().answers(
        200,
        "Without the keys themselves.",
        rows("keys", "Session"),
    )
}

pub(super) fn key_make() -> RouteDocs {
    let answer = [("id", id()), ("key", text()), ("name", text()), ("scopes", texts()), ("expires", time())];
    RouteDocs::new("authKeyMake", "Make a key for a program")
        .signed_in()
        .body(
            sent(&[("name", text())], &[("scopes", texts()), ("expires", time())]),
            json!({"name": "Robot", "scopes": []}),
        )
        .answers(201, "The key; nobody is shown it again.", answered(&answer))
        .refuses(&[Key::AuthRecent, Key::Invalid])
}

pub(super) fn key_end() -> RouteDocs {
    RouteDocs::new("authKeyEnd", "End a key")
        .signed_in()
        .place("id", id())
        .answers_empty(204, "It has ended.")
}

fn page(id: &str, summary: &str) -> RouteDocs {
    RouteDocs::new(id, summary).open().answers_as(200, "The page.", "text/html", json!({}))
}

pub(super) fn page_show() -> RouteDocs {
    page("authPage", "A page to sign in by and the like")
}

pub(super) fn page_send() -> RouteDocs {
    page("authPageSend", "The form of such a page")
        .any_media()
        .answers_empty(303, "It is done; the app or another page is shown.")
        .answers_as(422, "The page again, with what was wrong.", "text/html", json!({}))
}

pub(super) fn published_keys() -> RouteDocs {
    let answer = answered(&[("keys", json!({"type": "array", "items": {"type": "object"}}))]);
    RouteDocs::new("jwks", "The keys that access tokens are signed with").open().answers(
        200,
        "A set of keys (RFC 7517).",
        answer,
    )
}
