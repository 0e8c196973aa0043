//! Compression: for those who ask, when it saves something.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::shop::Shop;

/// The head of an answer, as sent.
fn head(shop: &Shop, path: &str) -> String {
    let mut stream = TcpStream::connect(shop.app.url.trim_start_matches("http://")).expect("it listens");
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: x\r\naccept-encoding: br, gzip\r\nconnection: close\r\n\r\n"
    )
    .expect("the server reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("a whole answer");
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head");
    String::from_utf8_lossy(&answer[..end]).to_lowercase()
}

#[tokio::test(flavor = "multi_thread")]
async fn long_answers_are_compressed_and_short_ones_not() {
    let shop = Shop::open().await;
    let long = head(&shop, "/openapi.json");
    assert!(long.contains("content-encoding: br") || long.contains("content-encoding: gzip"), "{long}");
    let short = head(&shop, "/health/live");
    assert!(!short.contains("content-encoding"), "{short}");
}
