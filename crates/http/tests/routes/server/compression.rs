//! Compression: for those who ask, when it saves something.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::shop::Shop;

/// The head of an answer to a client that accepts these encodings, as sent.
fn head(shop: &Shop, path: &str, accepts: &str) -> String {
    let mut stream = TcpStream::connect(shop.app.url.trim_start_matches("http://")).expect("it listens");
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\n{accepts}connection: close\r\n\r\n")
        .expect("the server reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("a whole answer");
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head");
    String::from_utf8_lossy(&answer[..end]).to_lowercase()
}

#[tokio::test(flavor = "multi_thread")]
async fn long_answers_are_compressed_and_short_ones_not() {
    let shop = Shop::open().await;
    let both = "accept-encoding: br, gzip\r\n";
    let long = head(&shop, "/openapi.json", both);
    assert!(long.contains("content-encoding: br") || long.contains("content-encoding: gzip"), "{long}");
    let short = head(&shop, "/health/live", both);
    assert!(!short.contains("content-encoding"), "{short}");
    // A list may be spread over several headers (RFC 9110 §5.3).
    let spread = head(&shop, "/openapi.json", "accept-encoding: identity;q=0.1\r\naccept-encoding: gzip\r\n");
    assert!(spread.contains("content-encoding: gzip"), "{spread}");
    let unasked = head(&shop, "/openapi.json", "");
    assert!(!unasked.contains("content-encoding"), "{unasked}");
}
