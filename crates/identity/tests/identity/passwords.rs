//! Passwords: forgotten, changed, guessed at.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use crate::harness::{App, PASSWORD, on_each};

const OTHER: &str = "another boat that sings";

#[test]
fn a_forgotten_password_is_set_anew_and_ends_every_session() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        node.user("ann", &[]).await;
        let before = node.login("ann").await;
        let known = node.post("/auth/password/forgot", json!({"email": "ANN@example.com"})).await.expect(202);
        let unknown =
            node.post("/auth/password/forgot", json!({"email": "nobody@example.com"})).await.expect(202);
        assert_eq!(known.body, unknown.body);
        let token = node.letter("identity-reset", "ann@example.com").await;
        let body = |password: &str| json!({"token": token, "password": password});
        node.post("/auth/password/reset", body("short")).await.refused(422, "value.invalid");
        node.post("/auth/password/reset", body(OTHER)).await.expect(204);
        node.post("/auth/password/reset", body("a third boat that sings")).await.refused(422, "auth.token");
        node.get_as(&before.text("access"), "/auth/me").await.refused(401, "auth.credentials");
        let refresh = json!({"refresh": before.text("refresh")});
        node.post("/auth/refresh", refresh).await.refused(401, "auth.session");
        let login = |password: &str| json!({"email": "ann@example.com", "password": password});
        node.post("/auth/login", login(PASSWORD)).await.refused(401, "auth.login");
        node.post("/auth/login", login(OTHER)).await.expect(200);
        node.mail("identity-changed", "ann@example.com").await;
        app.node.stop().await;
    });
}

#[test]
fn a_password_is_changed_by_the_old_one_and_ends_other_sessions() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        node.user("ann", &[]).await;
        let (own, other) = (node.login("ann").await.text("access"), node.login("ann").await.text("access"));
        let change = async |body: serde_json::Value| node.post_as(&own, "/auth/password/change", body).await;
        change(json!({"password": OTHER})).await.refused(403, "auth.recent_required");
        change(json!({"old": "not the old one", "password": OTHER})).await.refused(401, "auth.login");
        change(json!({"old": PASSWORD, "password": OTHER})).await.expect(204);
        node.get_as(&own, "/auth/me").await.expect(200);
        node.get_as(&other, "/auth/me").await.refused(401, "auth.credentials");
        app.node.stop().await;
    });
}

#[test]
fn guessing_is_refused_from_the_tenth_failure_on_for_account_and_address() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        node.user("ann", &[]).await;
        node.user("bob", &[]).await;
        let login = async |name: &str, password: &str, address: &str| {
            let body = json!({"email": format!("{name}@example.com"), "password": password});
            let request = node.request(Method::POST, "/auth/login").header("x-forwarded-for", address);
            node.send(request.json(&body)).await
        };
        // An account, from ten places.
        for place in 1..=10 {
            login("ann", "a guess at it", &format!("192.0.2.{place}")).await.refused(401, "auth.login");
        }
        let refused = login("ann", PASSWORD, "192.0.2.99").await.refused(429, "auth.throttled");
        let wait: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=15).contains(&wait), "{wait}");
        login("bob", PASSWORD, "192.0.2.99").await.expect(200);
        // An address that nobody has is counted, too: it cannot be told from one that somebody has.
        for place in 1..=10 {
            login("nobody", "a guess at it", &format!("192.0.2.{}", 100 + place))
                .await
                .refused(401, "auth.login");
        }
        login("nobody", "a guess at it", "192.0.2.98").await.refused(429, "auth.throttled");
        // A place, at ten accounts.
        for account in 0..10 {
            login(&format!("x{account}"), "a guess at it", "203.0.113.1").await.refused(401, "auth.login");
        }
        login("bob", PASSWORD, "203.0.113.1").await.refused(429, "auth.throttled");
        login("bob", PASSWORD, "203.0.113.2").await.expect(200);
        app.node.stop().await;
    });
}

#[test]
fn guesses_at_the_same_time_are_all_counted() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        node.user("ann", &[]).await;
        let guess = || async {
            let body = json!({"email": "ann@example.com", "password": "a guess at it"});
            node.post("/auth/login", body).await.refused(401, "auth.login")
        };
        tokio::join!(guess(), guess(), guess(), guess(), guess());
        tokio::join!(guess(), guess(), guess(), guess());
        let counts = node.query(json!({"LoginAttempt": {"failures": {"ge": 2}, "get": ["failures"]}})).await;
        assert_eq!(counts["LoginAttempt"][0]["failures"], 9, "{counts}");
        node.login("ann").await;
        let counts = node.query(json!({"LoginAttempt": {"failures": {"ge": 2}}})).await;
        assert_eq!(counts["LoginAttempt"], json!([]), "the owner is back");
        app.node.stop().await;
    });
}

#[test]
fn a_hash_that_is_weaker_than_what_is_set_is_made_anew_at_the_next_sign_in() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        app.node.user("ann", &[]).await;
        let engine = app.node.engine.clone();
        let kept = async || {
            let lookup = engine.lookup("PasswordLogin", "changed_at > @2000-01-01T00:00:00Z").unwrap();
            let deadline = Instant::now() + Duration::from_secs(10);
            let rows = engine.look_up(&lookup, deadline, &[]).await.unwrap();
            rows[0].text("hash").unwrap().to_owned()
        };
        let weak = kept().await;
        assert!(weak.contains("m=64,t=1"), "{weak}");
        let stronger = app.another(|options| options.password.passes = 2).await;
        stronger.login("ann").await;
        let strong = kept().await;
        assert!(strong.contains("m=64,t=2"), "{strong}");
        stronger.login("ann").await;
        assert_eq!(kept().await, strong, "made anew for nothing");
        stronger.stop().await;
        app.node.stop().await;
    });
}

#[test]
fn more_sign_ins_than_may_wait_are_refused_and_none_is_lost() {
    on_each(async |kind| {
        let app = App::start_with(kind, |options| {
            // Each takes a while, and few may wait.
            options.password.memory_kib = 8 << 10;
            options.password.waiting_max = 4;
        })
        .await;
        app.node.user("ann", &[]).await;
        let node = &app.node;
        let body = json!({"email": "ann@example.com", "password": PASSWORD});
        let all =
            futures_util::future::join_all((0..40).map(|_| node.post("/auth/login", body.clone()))).await;
        let count = |status: u16| all.iter().filter(|answer| answer.status == status).count();
        assert_eq!(count(200) + count(503), 40);
        assert!(count(200) >= 4, "{}", count(200));
        assert!(count(503) > 0, "all of them waited");
        node.login("ann").await;
        app.node.stop().await;
    });
}
