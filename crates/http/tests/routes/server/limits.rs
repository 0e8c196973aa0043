//! Limits: who is slow is let go, who is too many is turned away, the others are served.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

use crate::shop::{STAY, Shop};
use mainstay_testkit::app::TestApp;

fn connect(shop: &Shop) -> TcpStream {
    let stream = TcpStream::connect(shop.app.url.trim_start_matches("http://")).expect("it listens");
    // A server that keeps a slow client for ever fails the test rather than hanging it.
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("20 s is a timeout");
    stream
}

/// Begins a request and waits until the server asks for its body.
fn begin(shop: &Shop, length: usize) -> TcpStream {
    let mut stream = connect(shop);
    write!(
        stream,
        "POST /query HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    )
    .expect("the server reads");
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).expect("the server asks for the body");
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_do_not_arrive_end_the_connection() {
    let shop = Shop::open_with(|options| options.limits.header_timeout = Duration::from_millis(200)).await;
    for begun in ["", "GET /health/live HT", "GET /health/live HTTP/1.1\r\nhost: x\r\nx-slow: "] {
        let mut stream = connect(&shop);
        stream.write_all(begun.as_bytes()).unwrap();
        let mut rest = String::new();
        stream.read_to_string(&mut rest).unwrap();
        assert!(!rest.contains("200 OK"), "{begun:?}: {rest}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_arrive_is_400() {
    let shop = Shop::open_with(|options| options.limits.body_timeout = Duration::from_millis(200)).await;
    let mut stream = begin(&shop, 100);
    stream.write_all(b"{").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(answer.contains("did not arrive"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_beyond_the_limit_are_503_while_health_answers() {
    let shop = Shop::open_with(|options| options.limits.requests_in_flight_max = 1).await;
    let mut running = begin(&shop, 2);
    let shed = shop.app.get("/api/Product").send().await.expect_problem(503, "server.overloaded");
    assert_eq!(shed.header("retry-after"), "1");
    shop.app.get("/health/live").send().await.expect_status(200);
    let metrics = shop.app.get("/metrics").send().await.expect_status(200);
    assert!(metrics.text.contains("mainstay_http_requests_shed_total"), "{}", metrics.text);
    running.write_all(b"{}").unwrap();
    let mut answer = [0; 15];
    running.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    // The place is given back with the answer, not with the connection.
    shop.app.get("/api/Product").send().await.expect_status(200);
}

#[tokio::test]
async fn bodies_beyond_the_budget_are_503_before_they_are_held() {
    let shop = Shop::open_with(|options| options.limits.body_bytes_in_flight_max = 2048).await;
    let row = json!({"name": "x".repeat(4000)});
    shop.app.post("/api/Product", row).admin().send().await.expect_problem(503, "server.overloaded");
    shop.app.post("/api/Product", json!({"name": "x"})).admin().send().await.expect_status(201);
}

#[tokio::test]
async fn a_request_past_its_deadline_is_503() {
    let app = TestApp::start_with(STAY, |options| options.limits.request_timeout = Duration::ZERO).await;
    let late = app.get("/api/Product").send().await.expect_problem(503, "deadline.exceeded");
    assert_eq!(late.header("retry-after"), "1");
    let row = json!({"id": "new", "name": "New"});
    app.post("/api/Tag", row).admin().send().await.expect_problem(503, "deadline.exceeded");
}
