//! Every way to a row of a database that others made × every kind of caller: rows with keys of several columns in tables with reserved
//! names are guarded like all others.

use mainstay_testkit::postgres::Postgres;
use serde_json::{Value, json};

use super::{Rental, name};
use crate::support::{Answer, App, Server};

const ORDERS: &str = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
    CREATE TABLE \"order\" (id INTEGER PRIMARY KEY, \"from\" INTEGER NOT NULL REFERENCES users (id), \"select\" TEXT);
    CREATE TABLE \"Order Details\" (order_id INTEGER NOT NULL REFERENCES \"order\" (id), \"line\" INTEGER NOT NULL, \"where\" TEXT NOT NULL,
      PRIMARY KEY (order_id, \"line\"));
    CREATE TABLE tag (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
    CREATE TABLE \"group\" (order_id INTEGER NOT NULL REFERENCES \"order\" (id) ON DELETE CASCADE, tag_id INTEGER NOT NULL REFERENCES tag (id) ON DELETE CASCADE,
      PRIMARY KEY (order_id, tag_id));
    INSERT INTO users VALUES (1, 'Ann'), (2, 'Bob');
    INSERT INTO \"order\" VALUES (1, 1, 'of Ann');
    INSERT INTO \"Order Details\" VALUES (1, 1, 'x'), (1, 2, 'x'), (1, 3, 'x'), (1, 4, 'x'), (1, 5, 'x');
    INSERT INTO tag VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd'), (5, 'e');";

/// Method and path, of which `N` is a number of the caller's own, a body, and what they get: nobody, Ann, whose order it is, Bob, an
/// administrator, and one with bad credentials.
const EXPECTED: [(&str, &str, Option<&str>, [u16; 5]); 11] = [
    ("GET", "/api/OrderDetails", None, [200, 200, 200, 200, 401]),
    ("GET", "/api/OrderDetails/1,N", None, [404, 200, 404, 200, 401]),
    ("GET", "/api/Order/1?get=order_details(*)", None, [404, 200, 404, 200, 401]),
    ("GET", "/api/OrderDetails/1,N/history", None, [422, 422, 422, 422, 401]),
    (
        "POST",
        "/api/OrderDetails",
        Some(r#"{"order_id": 1, "line": 10N, "where_": "made"}"#),
        [403, 201, 403, 201, 401],
    ),
    (
        "POST",
        "/query",
        Some(r#"{"OrderDetails": {"create": true, "order_id": 1, "line": 20N, "where_": "made"}}"#),
        [403, 200, 403, 200, 401],
    ),
    ("PATCH", "/api/OrderDetails/1,N", Some(r#"{"where_": "changed"}"#), [404, 200, 404, 200, 401]),
    ("PATCH", "/api/Order/1", Some(r#"{"select": "changed by N"}"#), [404, 200, 404, 200, 401]),
    ("PUT", "/api/Order/1/tags/N", None, [404, 204, 404, 204, 401]),
    ("DELETE", "/api/Order/1/tags/N", None, [404, 204, 404, 204, 401]),
    ("DELETE", "/api/OrderDetails/1,N", None, [404, 204, 404, 204, 401]),
];

fn orders() -> [Rental; 2] {
    let url = Postgres::database();
    Postgres::shared().run(name(&url), ORDERS).unwrap();
    let file = App::of("");
    let path = file.path().join("orders.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch(ORDERS).unwrap();
    [Rental::pull(file, format!("sqlite:{}", path.display())), Rental::pull(App::of(""), url)]
}

fn ask(server: &Server, token: &str, method: &str, path: &str, body: Option<&str>) -> Answer {
    let request = server.request(method, path).bearer(token);
    match body {
        Some(body) => request.json(&serde_json::from_str::<Value>(body).unwrap()).send(),
        None => request.send(),
    }
}

#[test]
fn every_way_meets_every_caller_as_expected() {
    for orders in orders() {
        let mut stay = orders.stay();
        for (table, rule) in [
            ("table Order db", "from == user"),
            ("table OrderDetails db", "order_id.from == user"),
            ("table Tag db", ""),
        ] {
            let at = stay.find(table).unwrap_or_else(|| panic!("{table}\n{stay}"));
            let open = at + stay[at..].find("{\n").unwrap() + 2;
            let rule = match rule {
                "" => "  allow read\n".to_owned(),
                rule => ["read", "create", "update", "delete"]
                    .map(|what| format!("  allow {what} if {rule}\n"))
                    .concat(),
            };
            stay.insert_str(open, &rule);
        }
        orders.app.write("../rental/rental.stay", &stay);
        let server = orders.serve();
        let of = |user: &str| {
            let ran =
                orders.app.run(&["user", "token", "rental", user, "--database", &orders.url]).succeeded();
            ran.stdout.trim().to_owned()
        };
        let callers = [String::new(), of("1"), of("2"), of("--admin"), "no.token.of-ours".to_owned()];
        for (method, path, body, expected) in EXPECTED {
            for (caller, status) in expected.into_iter().enumerate() {
                let number = (caller + 1).to_string();
                let body = body.map(|body| body.replace('N', &number));
                let answer =
                    ask(&server, &callers[caller], method, &path.replace('N', &number), body.as_deref());
                assert_eq!(
                    answer.status, status,
                    "{method} {path} by {caller} on {}: {}",
                    orders.url, answer.text
                );
                if method == "GET" && path.ends_with("OrderDetails") && status == 200 {
                    let shown = answer.ok()["items"].as_array().map(Vec::len);
                    assert_eq!(
                        shown,
                        Some(if caller == 1 || caller == 3 { 5 } else { 0 }),
                        "{}",
                        answer.text
                    );
                }
            }
        }
        // What they who may have done is there, and nothing of the others.
        let lines = orders.sql("SELECT \"line\", \"where\" FROM \"Order Details\" ORDER BY \"line\"");
        let expected = ["1|x", "3|x", "5|x", "102|made", "104|made", "202|made", "204|made"];
        assert_eq!(lines.lines().collect::<Vec<_>>(), expected);
        assert_eq!(orders.sql("SELECT \"select\" FROM \"order\""), "changed by 4");
        assert_eq!(orders.sql("SELECT count(*) FROM \"group\""), "0");
        let shown = server.query(&callers[2], &json!({"OrderDetails": {"id": "1,1", "get": ["*"]}})).ok();
        assert_eq!(shown["OrderDetails"], json!([]));
    }
}
