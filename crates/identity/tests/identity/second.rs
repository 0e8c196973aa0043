//! A second factor: shown once, counted, lost and found.

use serde_json::{Value as Json, json};
use totp_rs::{Algorithm, Builder};

use crate::harness::{App, Node, PASSWORD, on_each};

/// The code of a key, so many steps from now.
pub(crate) fn code(secret: &str, steps: i64) -> String {
    let secret = totp_rs::Secret::try_from_base32(secret).unwrap();
    let codes = Builder::new()
        .with_algorithm(Algorithm::SHA1)
        .with_secret(secret)
        .with_account_name("x")
        .build()
        .unwrap();
    let now = mainstay_jobs::Clock::default().now().0 / 1_000_000;
    codes.generate(u64::try_from(now + 30 * steps).unwrap()).to_string()
}

/// Gives somebody a second factor; the key and the recovery codes.
pub(crate) async fn set_up(node: &Node, access: &str) -> (String, Vec<String>) {
    let made = node.post_as(access, "/auth/totp/setup", json!({})).await.expect(200);
    let secret = made.text("secret");
    assert!(made.text("uri").contains(&secret));
    node.post_as(access, "/auth/totp/confirm", json!({"code": "000000"})).await.refused(401, "auth.code");
    // The step before this one, so that this one is left for the test.
    let body = json!({"code": code(&secret, -1)});
    let confirmed = node.post_as(access, "/auth/totp/confirm", body).await.expect(200);
    let codes = confirmed.body["recovery_codes"].as_array().unwrap().iter();
    (secret, codes.map(|code| code.as_str().unwrap().to_owned()).collect())
}

async fn ticket(node: &Node) -> String {
    let body = json!({"email": "ann@example.com", "password": PASSWORD});
    node.post("/auth/login", body).await.refused(401, "auth.second_factor_required").text("ticket")
}

async fn show(node: &Node, ticket: &str, code: &str) -> crate::harness::Answer {
    node.post("/auth/totp/verify", json!({"ticket": ticket, "code": code})).await
}

#[test]
fn a_password_alone_signs_in_no_more_and_no_code_is_taken_twice() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        node.user("ann", &[]).await;
        let access = node.login("ann").await.text("access");
        let (secret, _) = set_up(node, &access).await;
        let (first, second) = (ticket(node).await, ticket(node).await);
        show(node, &first, "000000").await.refused(401, "auth.code");
        let now = code(&secret, 0);
        let both = tokio::join!(show(node, &first, &now), show(node, &second, &now));
        let mut statuses = [both.0.status, both.1.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 401], "one code, two sessions");
        show(node, "x", &code(&secret, 1)).await.refused(422, "auth.token");
        app.node.stop().await;
    });
}

#[test]
fn a_recovery_code_stands_in_once() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        node.user("ann", &[]).await;
        let access = node.login("ann").await.text("access");
        let (_, codes) = set_up(node, &access).await;
        assert_eq!(codes.len(), 10);
        show(node, &ticket(node).await, &codes[0].to_uppercase()).await.expect(200);
        show(node, &ticket(node).await, &codes[0]).await.refused(401, "auth.code");
        let made = node.post_as(&access, "/auth/totp/recovery-codes", json!({})).await.expect(200);
        show(node, &ticket(node).await, &codes[1]).await.refused(401, "auth.code");
        let new = made.body["recovery_codes"][0].as_str().unwrap();
        show(node, &ticket(node).await, new).await.expect(200);
        app.node.stop().await;
    });
}

#[test]
fn guesses_at_a_code_are_counted() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        node.user("ann", &[]).await;
        let access = node.login("ann").await.text("access");
        let (secret, _) = set_up(node, &access).await;
        // One failure was counted while it was set up.
        for guess in 0..9 {
            show(node, &ticket(node).await, &format!("00000{guess}")).await.refused(401, "auth.code");
        }
        show(node, &ticket(node).await, &code(&secret, 0)).await.refused(429, "auth.throttled");
        app.node.stop().await;
    });
}

#[test]
fn a_factor_is_set_up_and_taken_away_by_somebody_who_has_just_shown_one() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        node.user("ann", &[]).await;
        let access = node.login("ann").await.text("access");
        let long_ago = json!({"Session": {"all": true, "set": {"confirmed": "2026-01-01T00:00:00Z"}}});
        node.query(long_ago.clone()).await;
        node.post_as(&access, "/auth/totp/setup", json!({})).await.refused(403, "auth.recent_required");
        let access = node.login("ann").await.text("access");
        let (secret, _) = set_up(node, &access).await;
        node.query(long_ago).await;
        node.post_as(&access, "/auth/totp/recovery-codes", json!({}))
            .await
            .refused(403, "auth.recent_required");
        // Stepping up is showing a code.
        let body: Json = json!({"code": code(&secret, 0)});
        node.post_as(&access, "/auth/totp/verify", body).await.expect(204);
        node.post_as(&access, "/auth/totp/recovery-codes", json!({})).await.expect(200);
        node.post_as(&access, "/auth/totp/disable", json!({"code": "000000"}))
            .await
            .refused(401, "auth.code");
        node.post_as(&access, "/auth/totp/disable", json!({"code": code(&secret, 1)})).await.expect(204);
        node.login("ann").await;
        app.node.stop().await;
    });
}
