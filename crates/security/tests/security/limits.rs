//! Limits on how often a client asks, whichever way it comes.

use mainstay_http::Subject;
use mainstay_security::SecurityOptions;
use mainstay_testkit::database::{DatabaseKind, Place};
use mainstay_testkit::socket::Socket;
use serde_json::{Value as Json, json};

use crate::harness::{Node, client, node_with, run};

async fn limited(place: &Place, rates: &[&str]) -> Node {
    let options = SecurityOptions {
        rates: rates.iter().map(|rate| rate.parse().unwrap()).collect(),
        ..SecurityOptions::default()
    };
    node_with(place, options, |options| options.trusted_proxies = vec!["127.0.0.1".parse().unwrap()]).await
}

async fn on_each<F: Future<Output = ()>>(test: impl Fn(Place) -> F) {
    for kind in DatabaseKind::ALL {
        test(Place::new(*kind).unwrap()).await;
    }
}

#[test]
fn too_many_requests_of_an_address_are_refused_and_told_when_to_come_back() {
    run(on_each(async |place| {
        let node = limited(&place, &["address 3/1h /api/*"]).await;
        for left in ["2", "1", "0"] {
            let answer = node.from("192.0.2.1", "/api/Note").await;
            assert_eq!(answer.status(), 200);
            assert_eq!(answer.headers()["ratelimit-policy"], "\"limit-1\";q=3;w=3600");
            let limit = answer.headers()["ratelimit"].to_str().unwrap();
            assert!(limit.starts_with(&format!("\"limit-1\";r={left};t=")), "{limit}");
        }
        let refused = node.from("192.0.2.1", "/api/Note").await;
        assert_eq!(refused.status(), 429);
        let wait: u32 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=1200).contains(&wait), "{wait}");
        assert!(refused.headers()["ratelimit"].to_str().unwrap().starts_with("\"limit-1\";r=0;t="));
        let body: Json = refused.json().await.unwrap();
        assert_eq!(body["key"], "rate.limited");
        // Another address, another route, health: none of them is the one that has asked too often.
        assert_eq!(node.from("192.0.2.2", "/api/Note").await.status(), 200);
        let open = node.from("192.0.2.1", "/health/ready").await;
        assert_eq!((open.status().as_u16(), open.headers().contains_key("ratelimit")), (200, false));
        assert_eq!(node.from("192.0.2.1", "/openapi.json").await.status(), 200);
        node.stop().await;
    }));
}

#[test]
fn whoever_is_no_trusted_proxy_cannot_speak_for_other_addresses() {
    run(async {
        let place = Place::new(DatabaseKind::Sqlite).unwrap();
        let rates = vec!["address 1/1h".parse().unwrap()];
        let node = node_with(&place, SecurityOptions { rates, ..SecurityOptions::default() }, |_| {}).await;
        assert_eq!(node.from("192.0.2.1", "/api/Note").await.status(), 200);
        assert_eq!(node.from("192.0.2.2", "/api/Note").await.status(), 429);
        assert_eq!(node.from("192.0.2.3", "/nowhere").await.status(), 429, "what no route takes is counted");
        assert_eq!(node.from("192.0.2.3", "/health/live").await.status(), 200);
        node.stop().await;
    });
}

#[test]
fn a_flood_with_wrong_credentials_is_cut_off_before_they_are_read() {
    run(async {
        let place = Place::new(DatabaseKind::Sqlite).unwrap();
        let node = limited(&place, &["address 2/1h"]).await;
        let ask = || {
            let request = client().get(format!("{}/api/Note", node.url)).bearer_auth("nonsense");
            request.header("x-forwarded-for", "2001:db8::1").send()
        };
        assert_eq!(ask().await.unwrap().status(), 401);
        assert_eq!(ask().await.unwrap().status(), 401);
        assert_eq!(ask().await.unwrap().status(), 429);
        node.stop().await;
    });
}

#[test]
fn a_user_is_counted_wherever_they_ask_from() {
    run(on_each(async |place| {
        let node = limited(&place, &["user 2/1h"]).await;
        let make = |email: &str| {
            let body = json!({"email": email, "name": "A"});
            client().post(format!("{}/api/User", node.url)).bearer_auth(node.admin()).json(&body).send()
        };
        let user = async |email: &str| {
            let made: Json = make(email).await.unwrap().json().await.unwrap();
            node.token(&Subject::User(made["id"].as_str().unwrap().to_owned()))
        };
        let (ann, bob) = (user("ann@example.com").await, user("bob@example.com").await);
        let ask = async |token: &str, from: &str| {
            let request = client().get(format!("{}/api/Note", node.url)).bearer_auth(token);
            request.header("x-forwarded-for", from).send().await.unwrap().status().as_u16()
        };
        assert_eq!(ask(&ann, "192.0.2.1").await, 200);
        assert_eq!(ask(&ann, "192.0.2.2").await, 200);
        assert_eq!(ask(&ann, "192.0.2.3").await, 429);
        assert_eq!(ask(&bob, "192.0.2.1").await, 200);
        assert_eq!(
            node.from("192.0.2.1", "/api/Note").await.status(),
            200,
            "nobody in particular is no user"
        );
        node.stop().await;
    }));
}

#[test]
fn what_a_socket_asks_is_counted_as_well() {
    run(async {
        let place = Place::new(DatabaseKind::Sqlite).unwrap();
        let node = limited(&place, &["address 4/1h"]).await;
        let mut socket = Socket::open(&node.url, "").await;
        let status = async |socket: &mut Socket, frame: Json| {
            let answer = socket.ask(frame).await;
            (answer["status"].as_u64(), answer["body"]["key"].as_str().map(str::to_owned), answer)
        };
        let request = |id: u32| json!({"id": id, "request": {"path": "/api/Note"}});
        // To open it was the first.
        assert_eq!(status(&mut socket, request(1)).await.0, Some(200));
        let (_, _, ready) =
            status(&mut socket, json!({"id": 2, "subscribe": {"Note": {"get": ["text"]}}})).await;
        assert!(ready["ready"].is_string(), "{ready}");
        assert_eq!(status(&mut socket, request(3)).await.0, Some(200));
        let (code, key, answer) = status(&mut socket, request(4)).await;
        assert_eq!((code, key.as_deref()), (Some(429), Some("rate.limited")));
        assert!(answer["headers"]["retry-after"].is_string(), "{answer}");
        for frame in [json!({"id": 5, "subscribe": {"Note": {}}}), json!({"id": 6, "auth": "nonsense"})] {
            let (code, key, _) = status(&mut socket, frame).await;
            assert_eq!((code, key.as_deref()), (Some(429), Some("rate.limited")));
        }
        // To end something and to ask whether anybody is there costs nothing.
        assert_eq!(status(&mut socket, json!({"id": 2, "unsubscribe": true})).await.0, Some(200));
        drop(socket);
        node.stop().await;
    });
}
