//! What nobody should send: the right 4xx with a useful sentence, never a 5xx, never a hang.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::shop::{Shop, id};

const JSON: &str = "application/json";

async fn check(shop: &Shop, path: &str, media_type: Option<&str>, body: Vec<u8>, status: u16, key: &str) {
    let mut request = shop.app.request(Method::POST, path).user(&shop.keeper).body(body);
    if let Some(media_type) = media_type {
        request = request.header("content-type", media_type);
    }
    let answer = request.send().await.expect_problem(status, key);
    assert!(answer.body["detail"].as_str().is_some_and(|words| words.len() > 10), "{}", answer.text);
}

#[tokio::test]
async fn bodies_that_are_no_json() {
    let shop = Shop::open().await;
    let nested = [b"[".repeat(1000), b"]".repeat(1000)].concat();
    let nested_parts = format!("{}{}", "{\"tags\":".repeat(1000), "{}".to_owned() + &"}".repeat(1000));
    let bodies: &[&[u8]] = &[
        b"",
        b"{",
        b"nonsense",
        b"{\"name\":\"x\"} trailing",
        b"{\"name\":\"x\",\"name\":\"y\"}",
        b"{\"name\":\"\xff\"}",
        b"{\"name\":\"a\0b\"}",
        b"{'name':1}",
        b"{\"stock\":01}",
        b"{\"stock\":NaN}",
        &nested,
        nested_parts.as_bytes(),
    ];
    for path in ["/query", "/api/Product"] {
        for body in bodies {
            check(&shop, path, Some(JSON), body.to_vec(), 400, "json.malformed").await;
        }
    }
}

#[tokio::test]
async fn values_are_refused_by_their_column_not_by_the_server() {
    let shop = Shop::open().await;
    let check = async |name: &str, value: &str| {
        let row = format!("{{\"name\":\"x\",\"{name}\":{value}}}");
        let request = shop.app.request(Method::POST, "/api/Product").user(&shop.keeper);
        let answer = request.header("content-type", JSON).body(row).send().await;
        assert_eq!(answer.status, 422, "{name}: {value}: {}", answer.text);
        assert_eq!(answer.body["errors"][0]["path"], format!("/{name}"), "{}", answer.text);
    };
    for huge in
        ["1e400", "-1e400", "99999999999999999999999999", "1e-400000000", "123456789.123456789123456789e30"]
    {
        check("stock", huge).await;
        check("select", huge).await;
    }
    for huge in ["1e400", "99999999999999999999999999", "\"1e5\"", "\"NaN\"", "[1]"] {
        check("price", huge).await;
    }
    for wrong in ["1e400", "\"1\"", "true"] {
        check("weight", wrong).await;
    }
    for wrong in ["\"0000-01-01\"", "\"10000-01-01\"", "\"2026-13-01\"", "20260101"] {
        check("best", wrong).await;
    }
    for wrong in ["\"P99999999999999999999D\"", "\"PT\"", "\"1 hour\"", "3600"] {
        check("lasts", wrong).await;
    }
    check("from", "\"a\\u0000b\"").await;
    check("kind", "1").await;
}

#[tokio::test]
async fn other_media_types_are_415() {
    let shop = Shop::open().await;
    let row = || json!({"name": "x"}).to_string().into_bytes();
    for path in ["/query", "/api/Product"] {
        for media_type in
            [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("multipart/form-data")]
        {
            check(&shop, path, media_type, row(), 415, "body.media_type").await;
        }
        check(&shop, path, Some("application/json; charset=latin1"), row(), 415, "body.media_type").await;
    }
}

#[tokio::test]
async fn compressed_bodies_are_415() {
    let shop = Shop::open().await;
    let send = |path: &str, encoding: &str| {
        let request = shop.app.request(Method::POST, path).user(&shop.keeper).header("content-type", JSON);
        request.header("content-encoding", encoding).body(b"{}".to_vec()).send()
    };
    for path in ["/query", "/api/Product"] {
        // Whatever the bytes are: what they are said to be counts.
        for encoding in ["gzip", "br", "identity, gzip"] {
            send(path, encoding).await.expect_problem(415, "body.media_type");
        }
    }
    assert_eq!(send("/query", "identity").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_host_and_no_other_number_of_them_is_named() {
    let shop = Shop::open().await;
    let address = shop.app.url.trim_start_matches("http://");
    let check = |head: &str, expect: &str| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(format!("GET /health/live {head}Connection: close\r\n\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (status, body) = (answer.get(9..12).unwrap_or_default(), answer.contains("request.malformed"));
        assert_eq!((status, body), (expect, expect == "400"), "{head:?}: {answer}");
    };
    check("HTTP/1.1\r\nHost: a\r\nHost: b\r\n", "400");
    check("HTTP/1.1\r\n", "400");
    check("HTTP/1.1\r\nHost: a\r\n", "200");
    check("HTTP/1.0\r\n", "200");
}

#[tokio::test]
async fn ten_megabytes_are_413_whether_announced_or_not() {
    let shop = Shop::open().await;
    let body = || format!("{{\"name\":\"{}\"}}", "x".repeat(10 << 20)).into_bytes();
    for path in ["/query", "/api/Product"] {
        check(&shop, path, Some(JSON), body(), 413, "body.too_large").await;
    }
    let small = Shop::open_with(|options| options.limits.body_bytes_max = 1000).await;
    let chunk =
        |_| Ok::<_, std::io::Error>(hyper::body::Frame::data(bytes::Bytes::from_static(&[b' '; 100])));
    let chunks = futures_util::stream::iter((0..20).map(chunk));
    let body = reqwest::Body::wrap(http_body_util::StreamBody::new(chunks));
    let request = small.app.request(Method::POST, "/query").header("content-type", JSON).body(body);
    request.send().await.expect_problem(413, "body.too_large");
}

#[tokio::test]
async fn targets_and_headers_that_are_too_long_are_400() {
    let shop = Shop::open().await;
    let long = format!("/api/Product?where={}", "x".repeat(40_000));
    shop.app.get(&long).send().await.expect_problem(400, "request.malformed");
    let request = shop.app.get("/api/Product").header("x-long", &"x".repeat(40_000));
    request.send().await.expect_problem(400, "request.malformed");
}

#[tokio::test]
async fn expressions_that_go_too_deep_are_refused() {
    let shop = Shop::open().await;
    let deep = [
        format!("{}true{}", "(".repeat(2000), ")".repeat(2000)),
        format!("{}true", "not ".repeat(2000)),
        format!("stock{} > 0", " + 1".repeat(5000)),
        "reviews.any(".repeat(500) + "true" + &")".repeat(500),
    ];
    for text in deep {
        let document = json!({"Product": {"where": text}});
        let answer = shop.app.post("/query", document).send().await;
        assert!((400..500).contains(&answer.status) || answer.status == 200, "{}", answer.text);
        assert!(answer.status != 200 || text.starts_with("stock"), "{text:.60}");
    }
}

#[tokio::test]
async fn words_of_sql_are_names_like_any_other() {
    let shop = Shop::open().await;
    let row = shop.create("/api/Product", json!({"name": "Ale", "from": "Kent", "select": 3})).await;
    let answer = shop
        .app
        .get("/api/Product")
        .query("where", "from == \"Kent\" and select > 2")
        .query("order", "-select");
    assert_eq!(
        answer.query("get", "from,select").send().await.expect_status(200).body["items"][0]["select"],
        3
    );
    let path = format!("/api/Product/{}", id(&row));
    shop.app.patch(&path, json!({"select": {"$add": 1}})).user(&shop.keeper).send().await.expect_status(200);
    let injected =
        shop.app.get("/api/Product").query("where", "from == \"'; DROP TABLE Product; --\"").send().await;
    assert_eq!(injected.expect_status(200).body["items"], json!([]));
    assert_eq!(shop.app.get(&path).send().await.expect_status(200).body["select"], 4);
}
