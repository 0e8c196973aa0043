//! The end of a server: what runs is finished, nothing new is taken.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::shop::Shop;

/// A request whose body has not wholly arrived when the server stops is still answered.
#[tokio::test(flavor = "multi_thread")]
async fn a_running_request_is_finished_and_new_connections_are_refused() {
    let shop = Shop::open().await;
    let addr = shop.app.url.trim_start_matches("http://").to_owned();
    let token = shop.app.token(&mainstay_http::Subject::Admin);
    let body = json!({"name": "Ale"}).to_string();
    let mut stream = TcpStream::connect(&addr).unwrap();
    write!(
        stream,
        "POST /api/Product HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nexpect: 100-continue\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .unwrap();
    // The server asks for the body once the request runs: from here on it is being worked on.
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).unwrap();
    assert!(interim.starts_with(b"HTTP/1.1 100"), "{}", String::from_utf8_lossy(&interim));

    let stopping = tokio::spawn(shop.app.stop());
    while TcpStream::connect(&addr).is_ok() {
        tokio::task::yield_now().await;
    }
    stream.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    stopping.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_never_ends_does_not_hold_the_stop() {
    let shop = Shop::open_with(|options| options.limits.stop_timeout = Duration::from_millis(200)).await;
    let mut stream = TcpStream::connect(shop.app.url.trim_start_matches("http://")).unwrap();
    write!(
        stream,
        "POST /query HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n\
         content-type: application/json\r\ncontent-length: 10\r\n\r\n"
    )
    .unwrap();
    let mut interim = [0; 12];
    stream.read_exact(&mut interim).unwrap();
    let started = Instant::now();
    shop.app.stop().await;
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}
