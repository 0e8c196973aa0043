//! Rules and routes that ask for somebody who has just shown who they are.

use mainstay_lang::value::Timestamp;
use mainstay_testkit::socket::Socket;
use reqwest::Method;
use serde_json::{Value as Json, json};

use crate::authenticator::{Authenticator, PRESENT, VERIFIED};
use crate::harness::{Answer, App, Node, PASSWORD, on_each};

/// Lets it be so many seconds ago that everybody has shown who they are.
async fn shown_before(node: &Node, seconds: i64) {
    let at = Timestamp(mainstay_jobs::Clock::default().now().0 - seconds * 1_000_000).to_string();
    let set = json!({"confirmed": at, "confirmed_twice": at});
    node.query(json!({"Session": {"all": true, "set": set}})).await;
}

async fn list(node: &Node, access: &str, table: &str) -> Answer {
    node.post_as(access, "/query", json!({table: {"get": ["text"]}})).await
}

#[test]
fn a_rule_asks_for_somebody_who_has_just_shown_who_they_are_and_says_so() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        let ann = node.user("ann", &[]).await;
        node.user("bob", &[]).await;
        let (access, bob) = (node.login("ann").await.text("access"), node.login("bob").await.text("access"));
        let make = async |text: &str| {
            let part = json!({"create": true, "owner": ann, "text": text});
            node.post_as(&access, "/query", json!({"Vault": part})).await
        };
        let id = make("gold").await.expect(200).body["Vault"][0]["id"].as_str().unwrap().to_owned();
        let path = format!("/api/Vault/{id}");
        assert_eq!(list(node, &access, "Vault").await.expect(200).body["Vault"].as_array().unwrap().len(), 1);
        assert_eq!(list(node, &bob, "Vault").await.expect(200).body["Vault"], json!([]));
        // A password is one factor; to delete asks for two.
        let refused = node.delete_as(&access, &path).await.refused(403, "auth.recent_required");
        assert_eq!(refused.body["factors"], json!(["totp", "passkey"]));
        node.delete_as(&bob, &path).await.refused(404, "row.not_found");
        shown_before(node, 301).await;
        let refused = list(node, &access, "Vault").await.refused(403, "auth.recent_required");
        assert_eq!(refused.body["factors"], json!(["password", "totp", "passkey"]));
        node.get_as(&access, &path).await.refused(403, "auth.recent_required");
        make("silver").await.refused(403, "auth.recent_required");
        let set = json!({"Vault": {"id": id, "set": {"text": "lead"}}});
        node.post_as(&access, "/query", set.clone()).await.refused(403, "auth.recent_required");
        // Nobody, and somebody else's: no word of it where it would change nothing.
        let nobody = node.post("/query", json!({"Vault": {"get": ["text"]}})).await.expect(200);
        assert_eq!(nobody.body["Vault"], json!([]));
        let other = json!({"Vault": {"create": true, "owner": ann, "text": "not mine"}});
        node.post_as(&bob, "/query", other.clone()).await.refused(403, "relation.refused");
        // A moment after the password it goes on.
        let confirm = async |password: &str| {
            node.post_as(&access, "/auth/password/confirm", json!({"password": password})).await
        };
        confirm("not the password").await.refused(401, "auth.login");
        list(node, &access, "Vault").await.refused(403, "auth.recent_required");
        confirm(PASSWORD).await.expect(204);
        assert_eq!(list(node, &access, "Vault").await.expect(200).body["Vault"][0]["text"], "gold");
        node.post_as(&access, "/query", set).await.expect(200);
        node.get_as(&access, &path).await.expect(200);
        node.post_as(&bob, "/query", other).await.refused(403, "relation.refused");
        // Whoever has a key for programs shows nothing, ever.
        let made = node.post_as(&access, "/auth/keys", json!({"name": "x"})).await.expect(201);
        list(node, &made.text("key"), "Vault").await.refused(403, "auth.recent_required");
        app.node.stop().await;
    });
}

#[test]
fn rows_that_need_it_are_told_of_to_nobody_else() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        let ann = node.user("ann", &[]).await;
        node.user("bob", &[]).await;
        let (access, bob) = (node.login("ann").await.text("access"), node.login("bob").await.text("access"));
        let make = async |text: &str, private: bool| {
            let part = json!({"create": true, "owner": ann, "text": text, "private": private});
            let made = node.post_as(&access, "/query", json!({"Letter": part})).await.expect(200);
            format!("/api/Letter/{}", made.body["Letter"][0]["id"].as_str().unwrap())
        };
        let (open, private) = (make("open", false).await, make("private", true).await);
        let texts = async || -> Vec<String> {
            let found = list(node, &access, "Letter").await.expect(200);
            let texts = found.body["Letter"].as_array().unwrap().iter();
            texts.map(|letter| letter["text"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(texts().await, ["open", "private"]);
        let change = async |token: &str, path: &str| {
            let request = node.request(Method::PATCH, path).bearer_auth(token);
            node.send(request.json(&json!({"text": "changed"}))).await
        };
        shown_before(node, 301).await;
        // The list has what may be seen; one row by its id says what is missing to whom it would be shown.
        assert_eq!(texts().await, ["open"]);
        node.get_as(&access, &open).await.expect(200);
        node.get_as(&access, &private).await.refused(403, "auth.recent_required");
        node.get_as(&bob, &private).await.refused(404, "row.not_found");
        let unknown = "/api/Letter/01890000-0000-7000-8000-000000000000";
        node.get_as(&access, unknown).await.refused(404, "row.not_found");
        change(&access, &open).await.refused(403, "auth.recent_required");
        change(&bob, &open).await.refused(404, "row.not_found");
        node.post_as(&access, "/auth/password/confirm", json!({"password": PASSWORD})).await.expect(204);
        change(&access, &open).await.expect(200);
        app.node.stop().await;
    });
}

#[test]
fn a_subscription_ends_or_loses_its_rows_when_it_is_too_long_ago() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        let ann = node.user("ann", &[]).await;
        let access = node.login("ann").await.text("access");
        let ask = async |part: Json| node.post_as(&access, "/query", part).await.expect(200);
        ask(json!({"Vault": {"create": true, "owner": ann, "text": "gold"}})).await;
        ask(json!({"Letter": {"create": true, "owner": ann, "text": "open", "private": false}})).await;
        ask(json!({"Letter": {"create": true, "owner": ann, "text": "private", "private": true}})).await;
        // Two seconds are left.
        shown_before(node, 298).await;
        let mut socket = Socket::open(&node.url, &access).await;
        for (id, table, count) in [(1, "Vault", 1), (2, "Letter", 2)] {
            let ready = socket.subscribe(id, json!({table: {"get": ["text"]}}), None).await;
            assert_eq!(ready["rows"].as_array().unwrap().len(), count, "{ready}");
        }
        let (mut ended, mut left) = (None, None);
        while ended.is_none() || left.is_none() {
            let frame = socket.hear().await;
            match (&frame["id"], frame["change"].as_str()) {
                (id, None) if *id == json!(1) => ended = Some(frame),
                (id, Some("leave")) if *id == json!(2) => left = Some(frame),
                _ => panic!("{frame}"),
            }
        }
        let ended = ended.unwrap();
        assert_eq!(
            (ended["status"].as_u64(), &ended["body"]["key"]),
            (Some(403), &json!("auth.recent_required"))
        );
        // What happens there is told to nobody any more; a new subscription is refused, until it was shown again.
        node.query(json!({"Vault": {"create": true, "owner": ann, "text": "silver"}})).await;
        socket.say(json!({"id": 3, "subscribe": {"Vault": {"get": ["text"]}}})).await;
        let refused = socket.hear().await;
        assert_eq!((&refused["id"], &refused["body"]["key"]), (&json!(3), &json!("auth.recent_required")));
        node.post_as(&access, "/auth/password/confirm", json!({"password": PASSWORD})).await.expect(204);
        let entered = socket.hear().await;
        assert_eq!((&entered["id"], &entered["change"]), (&json!(2), &json!("enter")), "{entered}");
        app.node.stop().await;
    });
}

#[test]
fn a_route_of_a_plugin_asks_the_same_and_a_passkey_answers() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        node.user("ann", &[]).await;
        let access = node.login("ann").await.text("access");
        node.get_as(&access, "/door").await.refused(403, "auth.recent_required");
        let mut key = Authenticator::new(PRESENT | VERIFIED);
        crate::passkeys::register(node, &access, &mut key).await.expect(201);
        let begun = node.post_as(&access, "/auth/passkey/confirm/begin", json!({})).await.expect(200).body;
        let body = json!({"ceremony": begun["ceremony"], "credential": key.sign(&begun["publicKey"])});
        node.post_as(&access, "/auth/passkey/confirm/finish", body).await.expect(204);
        node.get_as(&access, "/door").await.expect(200);
        shown_before(node, 301).await;
        node.get_as(&access, "/door").await.refused(403, "auth.recent_required");
        node.get_as(&node.admin(), "/door").await.expect(200);
        app.node.stop().await;
    });
}

#[test]
fn administrators_show_a_second_factor_where_an_app_asks_for_it() {
    on_each(async |kind| {
        let within = std::time::Duration::from_secs(3600);
        let app = App::start_with(kind, |options| options.admin_second_factor = within).await;
        let node = &app.node;
        let ann = node.user("ann", &[]).await;
        let all =
            ["users", "roles", "sessions", "tenants", "impersonate"].map(|name| format!("identity/{name}"));
        node.user("boss", &all.each_ref().map(String::as_str)).await;
        let access = node.login("boss").await.text("access");
        let (user, role) = (format!("/api/User/{ann}"), json!({"name": "keeper"}));
        let session = node.query(json!({"Session": {"owner": ann}})).await;
        assert_eq!(session["Session"], json!([]));
        let of_ann = node.login("ann").await.text("access");
        let session = node.query(json!({"Session": {"owner": ann}})).await["Session"][0]["id"].clone();
        let session = format!("/auth/sessions/{}", session.as_str().unwrap());
        let tenant = crate::visitor::tenant_make(node, "red", &[]).await;
        let (act, invite) =
            (format!("/auth/impersonate/{ann}"), format!("/auth/tenants/{tenant}/invitations"));
        let mail = json!({"email": "x@example.com"});
        let merge = format!("/auth/users/{ann}/merge");
        node.get_as(&access, &user).await.refused(403, "auth.recent_required");
        node.post_as(&access, "/auth/roles", role.clone()).await.refused(403, "auth.recent_required");
        node.post_as(&access, &act, json!({})).await.refused(403, "auth.recent_required");
        node.post_as(&access, &invite, mail.clone()).await.refused(403, "auth.recent_required");
        node.post_as(&access, &merge, json!({"from": ann})).await.refused(403, "auth.recent_required");
        let refused = node.delete_as(&access, &session).await.refused(403, "auth.recent_required");
        assert_eq!(refused.body["factors"], json!(["totp", "passkey"]));
        node.get_as(&access, "/api/Role").await.refused(403, "auth.recent_required");
        // What may be seen without the right is.
        let users = node.post_as(&access, "/query", json!({"User": {"get": ["email"]}})).await.expect(200);
        assert_eq!(users.body["User"].as_array().unwrap().len(), 1, "{users:?}");
        // Whoever has no such right is told nothing else than before, and what is one's own asks for nothing more.
        node.get_as(&of_ann, "/api/User/01890000-0000-7000-8000-000000000000")
            .await
            .refused(404, "row.not_found");
        node.post_as(&of_ann, &act, json!({})).await.refused(403, "rule.refused");
        node.get_as(&access, "/auth/me").await.expect(200);
        let mut key = Authenticator::new(PRESENT | VERIFIED);
        crate::passkeys::register(node, &access, &mut key).await.expect(201);
        let begun = node.post_as(&access, "/auth/passkey/confirm/begin", json!({})).await.expect(200).body;
        let body = json!({"ceremony": begun["ceremony"], "credential": key.sign(&begun["publicKey"])});
        node.post_as(&access, "/auth/passkey/confirm/finish", body).await.expect(204);
        node.get_as(&access, &user).await.expect(200);
        node.post_as(&access, "/auth/roles", role.clone()).await.expect(201);
        node.post_as(&access, &invite, mail).await.expect(202);
        node.delete_as(&access, &session).await.expect(204);
        shown_before(node, 3601).await;
        node.get_as(&access, &user).await.refused(403, "auth.recent_required");
        node.post_as(&access, "/auth/roles", role).await.refused(403, "auth.recent_required");
        app.node.stop().await;
    });
}
