//! What its owner is told of an account, and what is noted of it.

use reqwest::Method;
use serde_json::{Value as Json, json};

use crate::authenticator::{Authenticator, PRESENT, VERIFIED};
use crate::harness::{App, Node, PASSWORD, on_each};
use crate::passkeys::register;
use crate::second::{code, set_up};

const ANN: &str = "ann@example.com";

/// The mails of a template that somebody has, once all are written.
async fn told(node: &Node, template: &str, to: &str) -> usize {
    node.quiet().await;
    node.mails(to).await.iter().filter(|known| *known == template).count()
}

async fn noted(node: &Node, kind: &str) -> Json {
    let part = json!({"kind": kind, "get": ["detail", "who", "actor"], "order": ["created"]});
    node.query(json!({"SecurityEvent": part})).await["SecurityEvent"].clone()
}

#[test]
fn each_change_of_what_lets_somebody_in_is_noted_and_told() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        let ann = node.user("ann", &[]).await;
        let access = node.login("ann").await.text("access");
        let is_told = async |kind: &str, template: &str| {
            let mail = node.mail(template, ANN).await;
            assert!(mail["body"].as_str().unwrap().contains("Hello ann"), "{mail}");
            assert_eq!(told(node, template, ANN).await, 1, "{template}");
            let noted = noted(node, kind).await;
            assert_eq!((noted.as_array().unwrap().len(), &noted[0]["who"]), (1, &json!(ann)), "{noted}");
        };
        let mut key = Authenticator::new(PRESENT | VERIFIED);
        let made = register(node, &access, &mut key).await.expect(201);
        is_told("passkey.added", "identity-passkey-added").await;
        let mail = node.mail("identity-passkey-added", ANN).await;
        assert!(mail["body"].as_str().unwrap().contains("Phone"), "{mail}");
        let path = format!("/auth/passkeys/{}", made.text("id"));
        node.delete_as(&access, &path).await.expect(204);
        is_told("passkey.removed", "identity-passkey-removed").await;
        let (secret, codes) = set_up(node, &access).await;
        is_told("totp.enabled", "identity-totp-enabled").await;
        // A recovery code stands in, is told, and new ones are.
        node.post_as(&access, "/auth/totp/verify", json!({"code": codes[0]})).await.expect(204);
        is_told("totp.recovery_code", "identity-recovery-used").await;
        node.post_as(&access, "/auth/totp/recovery-codes", json!({})).await.expect(200);
        is_told("totp.recovery_codes", "identity-recovery-codes").await;
        node.post_as(&access, "/auth/keys", json!({"name": "robot"})).await.expect(201);
        is_told("key.made", "identity-key-made").await;
        let other = json!({"old": PASSWORD, "password": "another boat that sings"});
        node.post_as(&access, "/auth/password/change", other).await.expect(204);
        is_told("password.changed", "identity-changed").await;
        node.post_as(&access, "/auth/totp/disable", json!({"code": code(&secret, 0)})).await.expect(204);
        is_told("totp.disabled", "identity-totp-disabled").await;
        app.node.stop().await;
    });
}

#[test]
fn a_code_that_is_used_again_is_refused_noted_and_told_to_its_owner() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        node.user("ann", &[]).await;
        let access = node.login("ann").await.text("access");
        let (secret, _) = set_up(node, &access).await;
        let now = json!({"code": code(&secret, 0)});
        node.post_as(&access, "/auth/totp/verify", json!({"code": "123456"})).await.refused(401, "auth.code");
        assert_eq!(told(node, "identity-totp-reused", ANN).await, 0, "a wrong one is none of theirs");
        node.post_as(&access, "/auth/totp/verify", now.clone()).await.expect(204);
        node.post_as(&access, "/auth/totp/verify", now).await.refused(401, "auth.code");
        assert_eq!(told(node, "identity-totp-reused", ANN).await, 1);
        assert_eq!(noted(node, "totp.reused").await.as_array().unwrap().len(), 1);
        app.node.stop().await;
    });
}

#[test]
fn another_address_is_told_to_the_old_one_whoever_has_set_it() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        let ann = node.user("ann", &[]).await;
        let boss = node.user("boss", &["identity/users"]).await;
        let access = node.login("ann").await.text("access");
        node.post_as(&access, "/auth/email/change", json!({"email": "new@example.com"})).await.expect(202);
        let token = node.letter("identity-change", "new@example.com").await;
        assert_eq!(told(node, "identity-email-changed", ANN).await, 0, "nothing has changed yet");
        node.post("/auth/email/verify", json!({"token": token})).await.expect(200);
        let mail = node.mail("identity-email-changed", ANN).await;
        assert!(mail["body"].as_str().unwrap().contains("new@example.com"), "{mail}");
        assert_eq!(told(node, "identity-email-changed", "new@example.com").await, 0);
        let lines = noted(node, "email.changed").await;
        assert_eq!(lines.as_array().unwrap().len(), 1, "{lines}");
        // One who looks after users, by way of the tables, and looks at the lines on the way.
        let by = node.login("boss").await.text("access");
        let set = json!({"User": {"id": ann, "set": {"email": "third@example.com"}}, "SecurityEvent": {"limit": 1}});
        node.post_as(&by, "/query", set).await.expect(200);
        node.mail("identity-email-changed", "new@example.com").await;
        let lines = noted(node, "email.changed").await;
        assert_eq!(lines.as_array().unwrap().len(), 2, "{lines}");
        assert_eq!((&lines[1]["who"], &lines[1]["actor"]), (&json!(ann), &json!(boss)), "{lines}");
        // What is refused is told to nobody.
        let taken = json!({"User": {"id": ann, "set": {"email": "boss@example.com"}}});
        assert_ne!(node.post_as(&by, "/query", taken).await.status, 200);
        assert_eq!(told(node, "identity-email-changed", "third@example.com").await, 0);
        app.node.stop().await;
    });
}

/// Signs in from something that calls itself so.
async fn from(node: &Node, agent: &str) {
    let body = json!({"email": ANN, "password": PASSWORD});
    let request = node.request(Method::POST, "/auth/login").header("user-agent", agent).json(&body);
    node.send(request).await.expect(200);
}

#[test]
fn a_sign_in_on_another_device_is_told_and_another_version_is_none() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        node.user("ann", &[]).await;
        let count = async || told(node, "identity-new-device", ANN).await;
        from(node, "Firefox/140.0 (Linux)").await;
        assert_eq!(count().await, 0, "there is none before");
        from(node, "Firefox/141.0.2 (Linux)").await;
        assert_eq!(count().await, 0, "another version");
        from(node, "Safari/18 (iPhone)").await;
        assert_eq!(count().await, 1);
        let mail = node.mail("identity-new-device", ANN).await;
        assert!(mail["body"].as_str().unwrap().contains("Safari/18 (iPhone)"), "{mail}");
        from(node, "Safari/18 (iPhone)").await;
        assert_eq!(
            (count().await, noted(node, "session.new_device").await.as_array().unwrap().len()),
            (1, 1)
        );
        let quiet = app.another(|options| options.mail_new_device = false).await;
        from(&quiet, "curl").await;
        assert_eq!(count().await, 1, "it is off");
        quiet.stop().await;
        app.node.stop().await;
    });
}
