//! Credentials of a socket, and what becomes of them as time goes by.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use mainstay_testkit::socket::{Heard, Socket};
use serde_json::{Value as Json, json};

use crate::harness::{App, on_each};

/// How long an access token is good for, and how far clocks may differ.
const ACCESS_US: i64 = 15 * 60 * 1_000_000;
const LEEWAY_US: i64 = 5_000_000;

fn note(owner: &str, text: &str) -> Json {
    json!({"Note": {"create": true, "owner": owner, "text": text}})
}

#[test]
fn a_socket_signs_in_by_a_frame_goes_on_with_a_new_token_and_ends_with_its_session() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        let ann = node.user("ann", &[]).await;
        let bob = node.user("bob", &[]).await;
        let login = node.login("ann").await;
        let mut socket = Socket::open(&node.url, "").await;
        let notes = json!({"Note": {"get": ["text"]}});
        // Nobody sees nothing.
        let ready = socket.ask(json!({"id": 1, "subscribe": notes})).await;
        assert_eq!(ready["rows"], json!([]), "{ready}");
        let refused = socket.ask(json!({"id": 2, "auth": "no token of ours"})).await;
        assert_eq!((&refused["status"], &refused["body"]["key"]), (&json!(401), &json!("auth.credentials")));
        assert_eq!(socket.ask(json!({"id": 3, "auth": login.text("access")})).await["status"], 200);
        node.query(note(&bob, "bob's")).await;
        node.query(note(&ann, "first")).await;
        let change = socket.hear().await;
        assert_eq!((&change["change"], &change["row"]["text"]), (&json!("enter"), &json!("first")));
        // The token is renewed over the socket itself, and nothing is missed meanwhile.
        let body = json!({"refresh": login.text("refresh")});
        let request = json!({"method": "POST", "path": "/auth/refresh", "body": body});
        let renewed = socket.ask(json!({"id": 4, "request": request})).await;
        assert_eq!(renewed["status"], 200, "{renewed}");
        let access = renewed["body"]["access"].as_str().unwrap();
        assert_eq!(socket.ask(json!({"id": 5, "auth": access})).await["status"], 200);
        node.query(note(&ann, "second")).await;
        assert_eq!(socket.hear().await["row"]["text"], "second");
        // Somebody else's credentials: what may not be seen any more leaves.
        let other = node.login("bob").await.text("access");
        assert_eq!(socket.ask(json!({"id": 6, "auth": other})).await["status"], 200);
        let mut seen = socket.hear_of(&json!(1), 3).await;
        seen.sort_by_key(|frame| frame["change"].to_string());
        let changes: Vec<&str> = seen.iter().map(|frame| frame["change"].as_str().unwrap()).collect();
        assert_eq!(changes, ["enter", "leave", "leave"]);
        assert_eq!(seen[0]["row"]["text"], "bob's");
        node.post_as(&other, "/auth/logout", json!({})).await.expect(204);
        assert!(matches!(socket.hear_any().await, Heard::Closed(4401, _)));
        app.node.stop().await;
    });
}

#[test]
fn an_access_token_ends_by_the_clock() {
    on_each(async |kind| {
        let ahead_us = Arc::new(AtomicI64::new(0));
        let app = App::start_ahead(kind, &ahead_us).await;
        let node = &app.node;
        node.user("ann", &[]).await;
        let login = node.login("ann").await;
        let access = login.text("access");
        node.get_as(&access, "/auth/me").await.expect(200);
        // Two seconds before its end: tests may be slow, and tokens end at whole seconds.
        ahead_us.store(ACCESS_US + LEEWAY_US - 3_000_000, Ordering::SeqCst);
        let mut socket = Socket::open(&node.url, &access).await;
        socket.subscribe(1, json!({"Note": {"get": ["text"]}}), None).await;
        ahead_us.store(ACCESS_US + LEEWAY_US + 1_000_000, Ordering::SeqCst);
        node.get_as(&access, "/auth/me").await.refused(401, "auth.credentials");
        assert_eq!(socket.hear_any().await, Heard::Closed(4401, "The token has ended.".to_owned()));
        // One that was never seen before ends as well.
        let other = node.login("ann").await.text("access");
        ahead_us.fetch_add(ACCESS_US + LEEWAY_US + 1_000_000, Ordering::SeqCst);
        node.get_as(&other, "/auth/me").await.refused(401, "auth.credentials");
        // The session goes on.
        let renewed = node.post("/auth/refresh", json!({"refresh": login.text("refresh")})).await.expect(200);
        node.get_as(&renewed.text("access"), "/auth/me").await.expect(200);
        app.node.stop().await;
    });
}
