//! Input that no client should send: each is answered at once, by the right refusal, with its place and a sentence that
//! helps; never by a fault of the server.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Answer, App, Server, encode};

/// Names that other languages keep for themselves; here they are names like any other.
const KEYWORDS: &[&str] = &[
    "select",
    "from",
    "index",
    "group_name",
    "table_name",
    "table",
    "column",
    "values",
    "primary",
    "unique",
    "check",
    "by",
    "join",
    "union",
    "drop",
    "transaction",
    "begin",
    "commit",
    "end",
    "case",
    "when",
    "exists",
    "default",
    "references",
    "rowid",
    "oid",
    "type",
    "key",
    "user_name",
    "link",
    "read",
    "update",
    "label",
    "allow",
    "warn",
    "history",
    "min",
    "max",
    "trim",
    "glob",
    "match_it",
    "excluded",
    "json",
    "date",
];

fn app() -> App {
    let columns: String = KEYWORDS.iter().map(|name| format!("  {name} int?\n")).collect();
    App::of(&format!(
        r#"
app bad "Bad input"
table Row {{
  id     text(20)
  n      int?
  d      decimal(18, 2)?
  f      float?
  t      text?
  s      text(5)?
  at     timestamp?
  span   duration?
  j      json?
  items  Item[] by parent
  allow all
}}
table Item {{
  parent  Row on delete cascade
  n       int
  allow all
}}
table Select {{
{columns}  allow all
}}
table Order {{ from Select?  group_name text(5)  allow all }}
"#
    ))
}

/// No answer to bad input may take longer; most take microseconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// An answer in good time that is the client's fault, with a sentence.
#[track_caller]
fn refused(answer: &Answer, start: Instant, input: &str) -> Value {
    let input: String = input.chars().take(200).collect();
    assert!(start.elapsed() < PATIENCE, "{input}: {:?}", start.elapsed());
    assert!((400..500).contains(&answer.status), "{input}: {} {}", answer.status, answer.text);
    let problem = answer.problem(answer.status, answer.expect(answer.status)["key"].as_str().unwrap());
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.len() > 8), "{input}: {problem}");
    assert!(!answer.text.contains("sqlite") && !answer.text.contains("SELECT"), "{input}: {problem}");
    problem
}

#[track_caller]
fn refused_body(server: &Server, path: &str, body: impl Into<Vec<u8>>) -> (u16, Value) {
    let body = body.into();
    let start = Instant::now();
    let shown = String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned();
    let answer = server.request("POST", path).body(body).send();
    (answer.status, refused(&answer, start, &shown))
}

#[test]
fn bodies_that_are_no_json() {
    let app = app();
    let server = app.serve();
    for body in [
        &b""[..],
        b" ",
        b"{",
        b"}",
        b"[",
        b"{\"Row\": {}",
        b"{\"Row\": {},}",
        b"{'Row': {}}",
        b"{Row: {}}",
        b"{\"Row\": {}} {}",
        b"{\"Row\": NaN}",
        b"{\"Row\": {\"n\": 01}}",
        b"{\"Row\": {\"n\": +1}}",
        b"{\"Row\": {\"t\": \"\t\"}}",
        b"{\"Row\": {\"t\": \"\\x\"}}",
        b"{\"Row\": {\"t\": \"\xff\xfe\"}}",
        b"\xef\xbb\xbf{\"Row\": {}}",
        b"\x00",
        b"null",
        b"5",
        b"\"text\"",
        b"[5]",
        b"[[]]",
    ] {
        for path in ["/query", "/api/Row"] {
            let (status, problem) = refused_body(&server, path, body);
            assert_eq!(status, 400, "{path} {}: {problem}", String::from_utf8_lossy(body));
        }
    }
    // The place of what is wrong is told.
    let (_, problem) = refused_body(&server, "/query", "{\"Row\": {\n \"n\": x}}");
    assert!(problem["detail"].as_str().unwrap().contains("line 2"), "{problem}");
    let answer = server.request("POST", "/query").header("content-type", "text/csv").send();
    refused(&answer, Instant::now(), "text/csv");
}

#[test]
fn values_that_their_columns_cannot_hold() {
    let app = app();
    let server = app.serve();
    let huge = "9".repeat(5000);
    for (column, value) in [
        ("n", "9223372036854775808"),
        ("n", "-9223372036854775809"),
        ("n", "1e5"),
        ("n", "1.0"),
        ("n", "\"1\""),
        ("n", "true"),
        ("n", "{}"),
        ("n", huge.as_str()),
        ("d", "99999999999999999999999.00"),
        ("d", "\"1e400\""),
        ("d", "0.001"),
        ("d", huge.as_str()),
        ("f", "1e400"),
        ("f", "\"NaN\""),
        ("f", huge.as_str()),
        ("t", "\"a\\u0000b\""),
        ("t", "\"\\ud800\""),
        ("t", "[]"),
        ("t", "1"),
        ("s", "\"toolong\""),
        ("at", "\"yesterday\""),
        ("at", "\"99999-01-01T00:00:00Z\""),
        ("at", "\"2026-13-01T00:00:00Z\""),
        ("span", "\"P1Y\""),
        ("span", "\"P99999999999999D\""),
        ("id", "\"\\u0000\""),
        ("items", "5"),
        ("items", "[{\"n\": \"x\", \"create\": true}]"),
    ] {
        let mut members = vec![format!("{}: {value}", json!(column))];
        if column != "id" {
            members.push("\"id\": \"bad\"".to_owned());
        }
        let body = format!("{{\"Row\": {{\"create\": true, {}}}}}", members.join(","));
        let (status, problem) = refused_body(&server, "/query", body);
        assert!(status == 422 || status == 400 && column == "items", "{column} {value:.40}: {problem}");
        let path = problem["errors"][0]["path"].as_str().unwrap_or_default();
        assert!(path.starts_with(&format!("/Row/{column}")), "{column} {value:.40}: {problem}");
        let (_, problem) = refused_body(&server, "/api/Row", format!("{{{}}}", members.join(",")));
        let path = problem["errors"][0]["path"].as_str().unwrap_or_default();
        assert!(path.starts_with(&format!("/{column}")), "{column} {value:.40}: {problem}");
    }
    assert_eq!(server.get("", "/api/Row?count").ok()["count"], 0, "nothing of it was kept");
    // A text may hold a quote or two; it is a value, never SQL.
    let sly = "'; drop table \"Row\"; -- \\\" $1 ?1 %";
    server.request("POST", "/api/Row").json(&json!({"id": "sly", "t": sly})).send().expect(201);
    assert_eq!(server.query("", &json!({"Row": {"t": sly}})).ok()["Row"][0]["id"], "sly");
    assert_eq!(server.get("", "/api/Row/sly").ok()["t"], sly);
    // Where a number or a key is expected in the path.
    for path in [
        "/api/Row/%00",
        "/api/Row/%ff",
        "/api/Select/x",
        "/api/Select/%27",
        "/api/Row/x%2F..%2F..",
        "/api/%00",
        "/%ff",
    ] {
        let start = Instant::now();
        refused(&server.get("", path), start, path);
    }
}

#[test]
fn bodies_that_are_too_much() {
    let app = app();
    let server = app.serve();
    let large = |bytes: usize| format!("{{\"Row\": {{\"t\": \"{}\"}}}}", "x".repeat(bytes));
    let (status, problem) = refused_body(&server, "/query", large(10_000_000));
    assert_eq!((status, &problem["key"]), (413, &json!("body.too_large")));
    let (status, _) = refused_body(&server, "/api/Row", large(10_000_000));
    assert_eq!(status, 413);
    server
        .request("POST", "/api/Row")
        .json(&json!({"id": "l", "t": "x".repeat(5_000_000)}))
        .send()
        .expect(201);

    for (open, close) in
        [("[", "]"), ("{\"Row\":", "}"), ("{\"items\":", "}"), ("{\"parent\":{\"items\":", "}}")]
    {
        let deep = format!("{{\"Row\": {}{}{}}}", open.repeat(1000), "{}", close.repeat(1000));
        let (status, problem) = refused_body(&server, "/query", deep);
        assert!(status == 400 || status == 422, "{problem}");
        let (status, problem) = refused_body(&server, "/query", open.repeat(100_000));
        assert!(status == 400 || status == 422, "{problem}");
    }
    // Nesting within the reader's limit but beyond the limit of parts.
    for depth in [13, 24, 40, 60] {
        let deep = format!(
            "{{\"Item\": {}{}{}}}",
            "{\"parent\":{\"items\":".repeat(depth),
            "{}",
            "}}".repeat(depth)
        );
        refused_body(&server, "/query", deep);
    }
    // Nesting in a json value, in an expression, in `get`.
    let json_value = format!("{{\"id\": \"j\", \"j\": {}{}}}", "[".repeat(1000), "]".repeat(1000));
    refused_body(&server, "/api/Row", json_value);
    let nested = |open: &str, middle: &str, close: &str, times: usize| {
        format!("{}{middle}{}", open.repeat(times), close.repeat(times))
    };
    for filter in [
        nested("(", "true", ")", 1000),
        nested("not ", "true", "", 1000),
        nested("-", "1 == 1", "", 1000),
        nested("if true then ", "true", " else false", 500),
        nested("items.any(parent.", "n == 1", ")", 200),
        nested("", "", "n == 1 or ", 2000),
        nested("lower(", "t", ")", 1000),
    ] {
        let (status, problem) =
            refused_body(&server, "/query", json!({"Row": {"where": filter}}).to_string());
        assert!(status == 400 || status == 422, "{problem}");
    }
    let start = Instant::now();
    let get = nested("items(parent(", "id", "))", 100);
    refused(&server.get("", &format!("/api/Row?get={}", encode(&get))), start, "get");
    // Many parts, many values, many columns.
    let parts = format!("{{\"Row\": [{}]}}", vec!["{}"; 5000].join(","));
    refused_body(&server, "/query", parts);
    let documents = format!("[{}]", vec!["{\"Row\": {\"limit\": 1}}"; 5000].join(","));
    refused_body(&server, "/query", documents);
    let any_of = |values: usize| json!({"Row": {"n": (0..values).collect::<Vec<_>>()}}).to_string();
    let start = Instant::now();
    server.request("POST", "/query").body(any_of(30_000)).send().ok();
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
    let (status, problem) = refused_body(&server, "/query", any_of(200_000));
    assert_eq!((status, &problem["key"]), (422, &json!("limit.exceeded")), "{problem}");
    let numbers: Vec<String> = (0..300_000).map(|n| n.to_string()).collect();
    let list = json!({"Row": {"where": format!("n in [{}]", numbers.join(","))}});
    refused_body(&server, "/query", list.to_string());
    let start = Instant::now();
    let long = server.get("", &format!("/api/Row?where={}", "n".repeat(100_000)));
    assert!((400..500).contains(&long.status) && start.elapsed() < PATIENCE);
    for items in [500, 3000] {
        let names: Vec<String> = (0..items).map(|n| format!("a{n}")).collect();
        let aggregates: serde_json::Map<String, Value> =
            names.iter().map(|name| (name.clone(), json!("count()"))).collect();
        for part in [
            json!({"order": vec!["n"; items]}),
            json!({"aggregate": {"c": "count()"}, "group": vec!["n"; items]}),
            json!({"aggregate": aggregates}),
        ] {
            refused_body(&server, "/query", json!({"Row": part}).to_string());
        }
    }
    // Searching a long text for a long one is no work for minutes.
    server.request("POST", "/api/Row").json(&json!({"id": "a", "t": "a".repeat(200_000)})).send().expect(201);
    let needle = format!("{}b", "a".repeat(100_000));
    for part in [
        json!({"t": {"~": needle}}),
        json!({"t": {"like": format!("%{needle}%")}}),
        json!({"t": {"like": format!("%{needle}")}}),
        json!({"t": {"like": "%a".repeat(1000) + "%b%"}}),
        json!({"where": "t ~ $t or like(t, $t)", "params": {"t": needle}}),
    ] {
        let start = Instant::now();
        assert_eq!(server.query("", &json!({"Row": part})).ok(), json!({"Row": []}));
        assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
    }
    // With `_` nothing finds a long pattern in linear time, so it is refused, wherever it stands.
    let wild = format!("%{}_b%", "a".repeat(2000));
    for part in [
        json!({"t": {"like": wild}}),
        json!({"where": "like(t, $t)", "params": {"t": wild}}),
        json!({"where": format!("like(t, \"{wild}\")")}),
    ] {
        let (_, problem) = refused_body(&server, "/query", json!({"Row": part}).to_string());
        assert_eq!(problem["key"], "expression.overflow", "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains("at most 1000 characters"), "{problem}");
    }
    // The server is as well as before.
    server.get("", "/health/ready").ok();
}

#[test]
fn names_that_are_not_there_get_the_nearest() {
    let app = app();
    let server = app.serve();
    for (path, nearest) in [
        ("/api/Rov", "Row"),
        ("/api/row", "Row"),
        ("/api/Row?get=itms(n)", "items"),
        ("/api/Row?order=spam", "span"),
        ("/api/Row?were=n==1", "where"),
        ("/api/Row?where=spam==null", "span"),
        ("/api/Select?where=form==1", "from"),
        ("/api/Row/x?gett=n", "get"),
    ] {
        let start = Instant::now();
        let problem = refused(&server.get("", path), start, path);
        assert!(problem["detail"].as_str().unwrap().contains(nearest), "{path}: {problem}");
    }
    let far = server.get("", "/api/Xylophone").expect(404);
    assert!(!far["detail"].as_str().unwrap().contains("mean"), "nothing is near: {far}");
    let (_, problem) = refused_body(
        &server,
        "/query",
        json!({"Row": {"create": true, "id": "x", "spn": "PT1H"}}).to_string(),
    );
    assert!(problem["errors"][0]["message"].as_str().unwrap().contains("span"), "{problem}");
}

#[test]
fn a_column_may_be_called_as_a_keyword_elsewhere() {
    let app = app();
    let server = app.serve();
    let row: serde_json::Map<String, Value> =
        KEYWORDS.iter().enumerate().map(|(n, name)| ((*name).to_owned(), json!(n))).collect();
    let made = server.request("POST", "/api/Select").json(&json!(row)).send().expect(201);
    let id = made["id"].as_str().unwrap();
    for (n, name) in KEYWORDS.iter().enumerate() {
        assert_eq!(made[name], n, "{name}");
        let found =
            server.query("", &json!({"Select": {*name: n, "order": format!("-{name}"), "get": [name]}})).ok();
        assert_eq!(found["Select"][0][name], n, "{name}");
        let filter = encode(&format!("{name} == {n}"));
        let found = server.get("", &format!("/api/Select?where={filter}&order={name}&get={name}"));
        assert_eq!(found.ok()["items"].as_array().unwrap().len(), 1, "{name}");
        server.query("", &json!({"Select": {"id": id, "set": {*name: {"$add": 1}}}})).ok();
        let group = json!({"Select": {"aggregate": {"total": format!("sum({name})")}, "group": [name]}});
        assert_eq!(server.query("", &group).ok()["Select"][0]["total"], n + 1, "{name}");
    }
    let order = json!({"Order": {"create": true, "group_name": "x", "from": {"create": true, "select": 1}}});
    server.query("", &order).ok();
    let read = json!({"Order": {"from": {"select": 1, "required": true}, "order": "from.select"}});
    assert_eq!(server.query("", &read).ok()["Order"].as_array().unwrap().len(), 1);
}

#[test]
fn bytes_that_are_no_http_do_not_hurt() {
    let app = app();
    let server = app.serve();
    for bytes in [
        &b"\x00\x01\x02\x03\r\n\r\n"[..],
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET  /api/Row\r\n\r\n",
        b"POST /query HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST /query HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcdef",
        b"POST /query HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"GET /api/Row HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        // A connection cut without a word is an answer, too.
        drop(stream.read_to_end(&mut answer));
        let line = String::from_utf8_lossy(&answer[..answer.len().min(12)]).into_owned();
        assert!(
            answer.is_empty() || line.starts_with("HTTP/1.1 4") || line.starts_with("HTTP/1.0 4"),
            "{line}"
        );
    }
    // A client that sends half and goes leaves nothing that blocks the next.
    let mut half = TcpStream::connect(server.address()).unwrap();
    half.write_all(b"POST /query HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{\"Row\"").unwrap();
    drop(half);
    let bad_headers = server.request("GET", "/api/Row").header("authorization", "Bearer \u{7f}").send();
    assert!((400..500).contains(&bad_headers.status));
    let many =
        (0..200).fold(server.request("GET", "/api/Row"), |request, n| request.header(&format!("x-{n}"), "v"));
    assert!((400..500).contains(&many.send().status), "too many headers");
    server.get("", "/api/Row").ok();
}
