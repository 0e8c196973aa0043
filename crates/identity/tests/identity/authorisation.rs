//! Every route beside every kind of caller: who gets in, and that no route is left out.

use std::collections::BTreeSet;

use axum::body::Bytes;
use http_body_util::StreamBody;
use hyper::body::Frame;
use mainstay_identity::identity_routes;
use reqwest::Method;
use serde_json::{Value as Json, json};

use crate::harness::{App, DatabaseKind, on_each, run};

/// Who may come in: what is refused to others is refused before anything else is looked at.
#[derive(Clone, Copy, PartialEq)]
enum Gate {
    /// Anybody: it asks for something that only the right one has.
    Open,
    /// Whoever has signed in.
    SignedIn,
    /// Whoever has a permission; others see nothing, or are refused.
    Permitted,
}

const TABLE: &[(&str, &str, Gate)] = &[
    ("POST", "/auth/register", Gate::Open),
    ("POST", "/auth/login", Gate::Open),
    ("POST", "/auth/refresh", Gate::Open),
    ("POST", "/auth/logout", Gate::SignedIn),
    ("GET", "/auth/me", Gate::SignedIn),
    ("GET", "/auth/methods", Gate::Open),
    ("POST", "/auth/anonymous", Gate::Open),
    ("POST", "/auth/email/verify", Gate::Open),
    ("POST", "/auth/email/change", Gate::SignedIn),
    ("POST", "/auth/magic/request", Gate::Open),
    ("POST", "/auth/magic/redeem", Gate::Open),
    ("POST", "/auth/password/forgot", Gate::Open),
    ("POST", "/auth/password/reset", Gate::Open),
    ("POST", "/auth/password/change", Gate::SignedIn),
    ("POST", "/auth/password/renew", Gate::Open),
    ("POST", "/auth/password/confirm", Gate::SignedIn),
    ("POST", "/auth/totp/setup", Gate::SignedIn),
    ("POST", "/auth/totp/confirm", Gate::SignedIn),
    ("POST", "/auth/totp/verify", Gate::SignedIn),
    ("POST", "/auth/totp/disable", Gate::SignedIn),
    ("POST", "/auth/totp/recovery-codes", Gate::SignedIn),
    ("POST", "/auth/passkey/register/begin", Gate::SignedIn),
    ("POST", "/auth/passkey/register/finish", Gate::SignedIn),
    ("POST", "/auth/passkey/login/begin", Gate::Open),
    ("POST", "/auth/passkey/login/finish", Gate::Open),
    ("POST", "/auth/passkey/confirm/begin", Gate::SignedIn),
    ("POST", "/auth/passkey/confirm/finish", Gate::SignedIn),
    ("GET", "/auth/passkeys", Gate::SignedIn),
    ("PUT", "/auth/passkeys/{id}", Gate::SignedIn),
    ("DELETE", "/auth/passkeys/{id}", Gate::SignedIn),
    ("POST", "/auth/mail-code/request", Gate::SignedIn),
    ("POST", "/auth/mail-code/verify", Gate::SignedIn),
    ("GET", "/auth/sessions", Gate::SignedIn),
    ("DELETE", "/auth/sessions/{id}", Gate::SignedIn),
    ("PUT", "/auth/device", Gate::SignedIn),
    ("POST", "/auth/impersonate/{user}", Gate::Permitted),
    ("GET", "/auth/permissions", Gate::Permitted),
    ("GET", "/auth/roles", Gate::Permitted),
    ("POST", "/auth/roles", Gate::Permitted),
    ("DELETE", "/auth/roles/{id}", Gate::Permitted),
    ("GET", "/auth/users/{id}/roles", Gate::Permitted),
    ("POST", "/auth/users/{id}/roles", Gate::Permitted),
    ("DELETE", "/auth/users/{id}/roles/{holding}", Gate::Permitted),
    ("POST", "/auth/users/{id}/merge", Gate::Permitted),
    ("GET", "/auth/tenants", Gate::Permitted),
    ("POST", "/auth/tenants", Gate::Permitted),
    ("POST", "/auth/tenants/{id}/invitations", Gate::Permitted),
    ("POST", "/auth/tenants/join", Gate::SignedIn),
    ("GET", "/auth/oidc/{provider}/start", Gate::Open),
    ("GET", "/auth/oidc/{provider}/callback", Gate::Open),
    ("GET", "/auth/saml/{provider}/metadata", Gate::Open),
    ("GET", "/auth/saml/{provider}/start", Gate::Open),
    ("GET", "/auth/saml/{provider}/acs", Gate::Open),
    ("POST", "/auth/saml/{provider}/acs", Gate::Open),
    ("GET", "/auth/links", Gate::SignedIn),
    ("POST", "/auth/links", Gate::SignedIn),
    ("DELETE", "/auth/links/{id}", Gate::SignedIn),
    ("GET", "/auth/keys", Gate::SignedIn),
    ("POST", "/auth/keys", Gate::SignedIn),
    ("DELETE", "/auth/keys/{id}", Gate::SignedIn),
    ("GET", "/auth/pages/links", Gate::Open),
    ("POST", "/auth/pages/links", Gate::SignedIn),
    ("GET", "/auth/pages/{name}", Gate::Open),
    ("POST", "/auth/pages/{name}", Gate::Open),
    ("GET", "/.well-known/jwks.json", Gate::Open),
];

#[test]
fn every_route_stands_in_the_table() {
    let known: BTreeSet<(&str, &str)> = TABLE.iter().map(|(method, path, _)| (*method, *path)).collect();
    let routes: BTreeSet<(&str, &str)> = identity_routes().into_iter().collect();
    assert_eq!(known, routes);
}

#[test]
fn every_route_lets_in_whom_it_should() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        node.user("ann", &[]).await;
        let other = node.user("bob", &["note/admin"]).await;
        // Somebody else's role and tenant: there to be seen by mistake.
        let part = json!({"create": true, "name": "keeper", "holders": [{"create": true, "holder": other}]});
        let made = node.query(json!({"Role": part})).await;
        let tenant = json!({"create": true, "name": "Red", "slug": "red"});
        let tenant = node.query(json!({"Tenant": tenant})).await;
        let user = node.login("ann").await.text("access");
        let revoked = node.login("ann").await.text("access");
        node.post_as(&revoked, "/auth/logout", json!({})).await.expect(204);
        for (method, path, gate) in TABLE {
            let path = path
                .replace("/auth/users/{id}", &format!("/auth/users/{other}"))
                .replace(
                    "/auth/tenants/{id}",
                    &format!("/auth/tenants/{}", tenant["Tenant"][0]["id"].as_str().unwrap()),
                )
                .replace(
                    "/auth/roles/{id}",
                    &format!("/auth/roles/{}", made["Role"][0]["id"].as_str().unwrap()),
                )
                .replace("{id}", "01890000-0000-7000-8000-000000000000")
                .replace("{user}", &other)
                .replace("{holding}", "01890000-0000-7000-8000-000000000000");
            // Bodies that read well, so that what is refused is refused for the caller.
            let body = match (path.as_str(), *method) {
                (_, "GET" | "DELETE") => Json::Null,
                ("/auth/email/change", _) => json!({"email": "x@example.com"}),
                ("/auth/password/change", _) => json!({"password": "another boat that sings"}),
                ("/auth/password/confirm", _) => json!({"password": "a guess"}),
                ("/auth/mail-code/verify", _) => json!({"code": "000000"}),
                ("/auth/totp/confirm" | "/auth/totp/verify" | "/auth/totp/disable", _) => {
                    json!({"code": "000000"})
                }
                ("/auth/roles", _) => json!({"name": "x"}),
                ("/auth/tenants", _) => json!({"name": "X", "slug": "x"}),
                ("/auth/tenants/join", _) => json!({"token": "x"}),
                ("/auth/links", _) => json!({"provider": "x", "code": "x", "verifier": "x"}),
                ("/auth/keys", _) => json!({"name": "x"}),
                (path, _) if path.ends_with("/merge") => json!({"from": other}),
                (path, _) if path.ends_with("/roles") => json!({"role": made["Role"][0]["id"]}),
                (path, _) if path.ends_with("/invitations") => json!({"email": "x@example.com"}),
                _ => json!({}),
            };
            let ask = async |token: Option<&str>| {
                let mut request = node.request(Method::from_bytes(method.as_bytes()).unwrap(), &path);
                request = request.header("x-forwarded-for", "198.51.100.7");
                if !body.is_null() {
                    request = request.json(&body);
                }
                if let Some(token) = token {
                    request = request.bearer_auth(token);
                }
                node.send(request).await
            };
            let nobody = ask(None).await;
            let was_revoked = ask(Some(&revoked)).await;
            match gate {
                Gate::Open => {
                    assert_ne!(nobody.body["key"], "auth.credentials", "{method} {path}: {nobody:?}");
                }
                Gate::SignedIn | Gate::Permitted => {
                    assert_eq!(
                        nobody.body["key"], "auth.credentials",
                        "{method} {path} by nobody: {nobody:?}"
                    );
                    assert_eq!(was_revoked.body["key"], "auth.credentials", "{method} {path} after the end");
                }
            }
            if *gate == Gate::Permitted {
                let answer = ask(Some(&user)).await;
                let sees_nothing = answer.body.as_object().is_some_and(|members| {
                    answer.status == 200 && members.values().all(|value| *value == json!([]))
                });
                let is_refused = matches!(answer.status, 403 | 404);
                assert!(sees_nothing || is_refused, "{method} {path} without the permission: {answer:?}");
            }
        }
        app.node.stop().await;
    });
}

#[test]
fn no_route_reads_a_body_beyond_the_limit() {
    run(async {
        let app = App::start(DatabaseKind::Sqlite).await;
        let node = &app.node;
        let declared = (9 << 20).to_string();
        for (method, path, _) in TABLE.iter().filter(|(method, ..)| *method != "GET") {
            let request = node.request(Method::from_bytes(method.as_bytes()).unwrap(), path);
            // What is declared is refused; a client that still sends when the connection is closed may not come to read why.
            let nothing = futures_util::stream::pending::<Result<Frame<Bytes>, std::io::Error>>();
            let request = request
                .header("content-type", "application/json")
                .header("content-length", &declared)
                .body(reqwest::Body::wrap(StreamBody::new(nothing)));
            let answer = node.send(request).await;
            assert_eq!(answer.body["key"], "body.too_large", "{method} {path}: {answer:?}");
            assert_eq!(answer.headers["content-type"], "application/problem+json", "{method} {path}");
        }
        app.node.stop().await;
    });
}
