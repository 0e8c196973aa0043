//! Every route × every kind of caller: a route without an expectation here fails.

use std::collections::HashSet;
use std::time::Duration;

use mainstay_http::{Endpoint, ROUTES, Route, Subject, TokenSecret, issue_token};
use mainstay_testkit::app::{Answer, Request};
use serde_json::json;

use crate::shop::{Shop, id};

/// What anonymous, a user without rights, a user with rights, an administrator, and one with bad credentials get.
const EXPECTED: &[(Endpoint, [u16; 5])] = &[
    (Endpoint::Query, [403, 403, 200, 200, 401]),
    (Endpoint::List, [200, 200, 200, 200, 401]),
    (Endpoint::Create, [403, 403, 201, 201, 401]),
    (Endpoint::Read, [200, 200, 200, 200, 401]),
    (Endpoint::History, [200, 200, 200, 200, 401]),
    (Endpoint::Update, [403, 403, 200, 200, 401]),
    (Endpoint::Link, [403, 403, 204, 204, 401]),
    (Endpoint::Unlink, [403, 403, 204, 204, 401]),
    (Endpoint::Delete, [403, 403, 204, 204, 401]),
    // Without the handshake of a socket.
    (Endpoint::Socket, [400, 400, 400, 400, 401]),
    (Endpoint::Live, [200; 5]),
    (Endpoint::Ready, [200; 5]),
    (Endpoint::Metrics, [200; 5]),
    (Endpoint::OpenApi, [200; 5]),
    (Endpoint::Docs, [200; 5]),
    (Endpoint::DocsErrors, [200; 5]),
];

#[tokio::test]
async fn every_route_meets_every_caller_as_expected() {
    let shop = Shop::open().await;
    shop.create("/api/Tag", json!({"id": "new", "name": "New"})).await;
    for route in ROUTES {
        let expected = EXPECTED.iter().find(|(endpoint, _)| *endpoint == route.endpoint);
        let Some((_, statuses)) = expected else {
            panic!("{} {} has no expectation", route.method, route.path)
        };
        for (kind, status) in statuses.iter().enumerate() {
            let answer = ask(&shop, route, kind).await;
            assert_eq!(answer.status, *status, "{} {} by {kind}: {}", route.method, route.path, answer.text);
        }
    }
    let expected: HashSet<_> = EXPECTED.iter().map(|(endpoint, _)| endpoint).collect();
    assert_eq!(expected.len(), EXPECTED.len(), "an expectation stands twice");
}

async fn ask(shop: &Shop, route: &Route, kind: usize) -> Answer {
    let name = format!("{:?} {kind}", route.endpoint);
    let row = shop.product(&name).await;
    let path = route
        .path
        .replace("{table}", "Product")
        .replace("{id}", id(&row))
        .replace("{relation}", "tags")
        .replace("{target}", "new");
    let request = shop.app.request(route.method.clone(), &path);
    let request = match route.endpoint {
        Endpoint::Query => {
            request.json(&json!({"Product": {"create": true, "name": format!("{name}, new")}}))
        }
        Endpoint::Create => request.json(&json!({"name": format!("{name}, new")})),
        Endpoint::Update => request.json(&json!({"stock": 1})),
        _ => request,
    };
    by(shop, request, kind).send().await
}

fn by<'a>(shop: &Shop, request: Request<'a>, kind: usize) -> Request<'a> {
    match kind {
        0 => request,
        1 => request.user(&shop.buyer),
        2 => request.user(&shop.keeper),
        3 => request.admin(),
        _ => request.bearer("no.token.of-ours"),
    }
}

#[tokio::test]
async fn credentials_that_prove_nothing_are_401_never_anonymous() {
    let shop = Shop::open().await;
    let check = async |value: &str| {
        let answer = shop.app.get("/api/Product").header("authorization", value).send().await;
        let answer = answer.expect_problem(401, "auth.credentials");
        assert!(answer.header("www-authenticate").starts_with("Bearer"), "{value}");
    };
    check("").await;
    check("Basic YTpi").await;
    check("Bearer").await;
    check("Bearer x.y.z").await;
    let secret = |fill| TokenSecret::new([fill; 32]).unwrap();
    let hour = Duration::from_secs(3600);
    let forged = issue_token(&secret(8), "shop", &Subject::Admin, hour);
    check(&format!("Bearer {forged}")).await;
    let of_another_app = issue_token(&secret(7), "festival", &Subject::Admin, hour);
    check(&format!("Bearer {of_another_app}")).await;
    let of_nobody = Subject::User("018f0000-0000-7000-8000-000000000000".to_owned());
    check(&format!("Bearer {}", shop.app.token(&of_nobody))).await;
    check(&format!("Bearer {}", shop.app.token(&Subject::User("x".to_owned())))).await;
}

#[tokio::test]
async fn a_token_ends_with_its_user() {
    let shop = Shop::open().await;
    shop.app.get("/api/User").user(&shop.buyer).send().await.expect_status(200);
    shop.app.delete(&format!("/api/User/{}", shop.buyer)).admin().send().await.expect_status(204);
    shop.app.get("/api/User").user(&shop.buyer).send().await.expect_problem(401, "auth.credentials");
}

#[tokio::test]
async fn a_permission_that_is_withdrawn_is_gone_at_once() {
    let shop = Shop::open().await;
    let grants =
        shop.app.get("/api/Grant").query("where", "permission == \"shop/admin\"").admin().send().await;
    let grant = grants.expect_status(200).body["items"][0]["id"].as_str().unwrap().to_owned();
    shop.product("Ale").await;
    shop.app.delete(&format!("/api/Grant/{grant}")).admin().send().await.expect_status(204);
    let refused = shop.app.post("/api/Product", json!({"name": "Beer"})).user(&shop.keeper).send().await;
    refused.expect_problem(403, "rule.refused");
}
