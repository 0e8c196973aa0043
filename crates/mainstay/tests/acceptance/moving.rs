//! `move`, from each kind of database to each: everything arrives, is the same, and the app goes on from there; what stands in
//! the way is said; who is killed in the middle goes on.

mod much;

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mainstay_testkit::postgres::Postgres;
use serde_json::{Value, json};

use crate::support::{App, Server, until};

const DEADLINE: Duration = Duration::from_secs(120);

/// Every type with values at its edges, keys of every kind, tables that refer to each other, names that databases reserve.
pub(crate) const KINDS: &str = r#"app kinds "Kinds"

table Order db "select" {
  id        int
  number    int auto per (place)
  place     text = "here"
  boss      Worker?
  self      Order?
  workers   Worker[]
  allow all
}

table Worker db "legacy worker" {
  id        text(20)
  order_row Order?  db "group"
  flag      bool
  whole     int
  real      float
  price     decimal(18, 4)
  words     text
  code      uuid
  day       date
  clock     time
  moment    timestamp
  span      duration
  tree      json
  raw       bytes
  mood      enum(low, mid, high) = mid
  tags      text[] = []
  counts    int[]?
  token     text?  secret
  nothing   int?
  history 30 days
  allow all
}

table Plain {
  name  text unique
  allow all
}
"#;

/// Rows of [`KINDS`].
pub(crate) fn fill(server: &Server) {
    let worker = |id: &str, whole: i64, real: f64, price: &str, words: &str| {
        json!({"create": true, "id": id, "flag": whole > 0, "whole": whole, "real": real, "price": price, "words": words,
            "code": "01900000-0000-7000-8000-0000000000ff", "day": "0001-01-01", "clock": "23:59:59.999999",
            "moment": "9999-12-31T23:59:59.999999Z", "span": "-PT0.000001S", "tree": {"b": [1, null, "ü"], "a": 1e3},
            "raw": "AP/+", "tags": ["a", "\"b\"", "\\"], "counts": [i64::MIN, 0], "token": "hush"})
    };
    let rows = json!({
        "Worker": [
            worker("ann", i64::MAX, 0.1, "99999999999999.9999", "Ærø\n\t\"quoted\" \\ 日本 🎈"),
            worker("bob", i64::MIN, -1.5e300, "-0.0001", ""),
            {"create": true, "id": "Zoë", "flag": false, "whole": 0, "real": 5e-324, "price": 0, "words": " ",
             "code": "ffffffff-ffff-ffff-ffff-ffffffffffff", "day": "9999-12-31", "clock": "00:00:00",
             "moment": "0001-01-01T00:00:00Z", "span": "P1D", "tree": 0, "raw": "", "mood": "high"},
        ],
        "Order": [
            {"create": true, "id": 1, "boss": "ann", "workers": ["ann", "bob"]},
            {"create": true, "id": -5, "self": 1, "workers": ["Zoë"]},
            {"create": true, "id": 7, "place": "there"},
        ],
        "Plain": [{"create": true, "name": "One"}, {"create": true, "name": "Two"}],
    });
    server.query("", &rows).ok();
    server.query("", &json!({"Worker": {"id": "ann", "set": {"order_row": 1, "words": "changed"}}})).ok();
    let kept = json!({"Plain": {"create": true, "name": "Three"}});
    server.request("POST", "/query").header("Idempotency-Key", KEY).json(&kept).send().ok();
}

const KEY: &str = "0123456789abcdef0123456789abcdef";

/// Everything that can be read, as a client reads it.
pub(crate) fn everything(server: &Server) -> Value {
    let document = json!({
        "Order": {"get": ["*"], "workers": {"get": ["*"], "order": "id"}, "order": "id"},
        "Worker": {"get": ["*"], "order": "id"},
        "Plain": {"get": ["*"], "order": "name"},
    });
    let rows = server.query("", &document).ok();
    json!({"rows": rows, "history": server.get("", "/api/Worker/ann/history").ok()})
}

/// What goes on where a database was left: counters, answers kept under a key, the numbers of the change log.
pub(crate) fn goes_on(server: &Server) {
    let made = server.request("POST", "/api/Order").json(&json!({"id": 100})).send().expect(201);
    assert_eq!(made["number"], 3, "the counter goes on: {made}");
    let kept = json!({"Plain": {"create": true, "name": "Three"}});
    let again = server.request("POST", "/query").header("Idempotency-Key", KEY).json(&kept).send().ok();
    assert_eq!(again["Plain"][0]["new"], true, "the answer was kept: {again}");
    let taken = server.request("POST", "/api/Plain").json(&json!({"name": "Two"})).send();
    taken.problem_at(409, "unique", "/name");
    server.request("PATCH", "/api/Worker/ann").json(&json!({"words": "later"})).send().ok();
    let history = server.get("", "/api/Worker/ann/history").ok();
    assert_eq!(history["items"][0]["row"]["words"], "later", "{history}");
    assert_eq!(history["items"].as_array().map(Vec::len), Some(3), "{history}");
    server.request("DELETE", "/api/Worker/ann").send().expect(204);
    assert_eq!(server.get("", "/api/Order/1").ok()["boss"], Value::Null);
}

fn sqlite(app: &App, name: &str) -> String {
    format!("sqlite:{}", app.path().parent().unwrap().join(name).display())
}

fn path_of(url: &str) -> PathBuf {
    url.strip_prefix("sqlite:").unwrap().into()
}

fn moved(app: &App, from: &str, to: &str) -> Value {
    app.run(&["move", "APP", "--from", from, "--to", to, "--json"]).succeeded().json()
}

/// The tables of a report, with counts and checksums. What a database knows of itself is recorded for its kind.
fn rows(report: &Value) -> Vec<Value> {
    let tables = report["tables"].as_array().unwrap();
    tables.iter().filter(|table| table["table"] != "_meta").cloned().collect()
}

#[test]
fn everything_arrives_wherever_it_goes() {
    let app = App::of(KINDS);
    let first = sqlite(&app, "first.db");
    let server = app.serve_with(&["--database", &first]);
    fill(&server);
    let expected = everything(&server);
    server.terminate();
    drop(server);
    let bytes = std::fs::read(path_of(&first)).unwrap();
    let [one, two] = [(); 2].map(|()| Postgres::database());
    let [back, copy] = ["back.db", "copy.db"].map(|name| sqlite(&app, name));
    let ways = [(&first, &one), (&one, &two), (&two, &back), (&back, &copy)];
    let reports: Vec<Value> = ways.map(|(from, to)| moved(&app, from, to)).to_vec();
    for report in &reports {
        assert_eq!(rows(report), rows(&reports[0]), "the same rows have the same checksums");
        assert_eq!(report["last_change"], reports[0]["last_change"]);
    }
    let count = |table: &str| {
        let mut tables = reports[0]["tables"].as_array().unwrap().iter();
        tables.find(|found| found["table"] == table).unwrap()["rows"].clone()
    };
    for (table, rows) in
        [("select", 3), ("legacy worker", 3), ("Order_workers", 3), ("_counter", 2), ("_idempotency", 1)]
    {
        assert_eq!(count(table), rows, "{table}");
    }
    assert_eq!(std::fs::read(path_of(&first)).unwrap(), bytes, "the source is as it was");
    for url in [&one, &two, &back, &copy] {
        // In production nothing is changed by itself: the target is what a new database would be.
        let server = app.serve_with(&["--database", url, "--env", "production"]);
        assert_eq!(everything(&server), expected, "{url}");
        goes_on(&server);
        drop(server);
        app.run(&["doctor", "APP", "--database", url]).succeeded();
    }
}

#[test]
fn what_stands_in_the_way_is_said_and_changes_nothing() {
    let app = App::of(KINDS);
    let [source, target] = ["source.db", "target.db"].map(|name| sqlite(&app, name));
    let refused = |from: &str, to: &str, words: &str| {
        let ran = app.run(&["move", "APP", "--from", from, "--to", to]).ended(1);
        assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
    };
    refused(&source, &target, "there is no database at");
    assert!(!path_of(&source).exists() && !path_of(&target).exists());
    let server = app.serve_with(&["--database", &source]);
    fill(&server);
    refused(&source, &target, "another mainstay server or worker is running");
    app.run(&["move", "APP", "--from", &source, "--to", &target, "--while-serving"]).succeeded();
    refused(&target, &source, "another mainstay server or worker is running");
    drop(server);
    refused(&source, &target, "the target is not empty: it holds");

    let url = Postgres::database();
    let name = url.rsplit_once('/').unwrap().1.to_owned();
    let run = |sql: &str| Postgres::shared().run(&name, sql).unwrap();
    run("CREATE TABLE other (x int)");
    refused(&source, &url, "the target is not empty: it holds other; nothing was changed");
    assert_eq!(
        run("SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"),
        "1"
    );
    run("DROP TABLE other");
    moved(&app, &source, &url);
    let server = app.serve_with(&["--database", &url]);
    refused(&url, &sqlite(&app, "third.db"), "connections of servers are open on the source");
    drop(server);

    run("CREATE TABLE other (x int); ALTER TABLE \"Plain\" ADD COLUMN note text");
    let third = sqlite(&app, "third.db");
    refused(&url, &third, "would be left behind:\n  Plain.note\n  other\n");
    let ran =
        app.run(&["move", "APP", "--from", &url, "--to", &third, "--leave-undeclared", "--json"]).succeeded();
    assert_eq!(ran.json()["left_behind"], json!(["Plain.note", "other"]));

    run("ALTER TABLE \"Plain\" DROP COLUMN name");
    refused(&url, &sqlite(&app, "fourth.db"), "Plain.name is not there");
    for (words, said) in [
        (&["--from", source.as_str(), "--to", source.as_str()][..], "the same database"),
        (
            &["--from", "mysql://root:secret@localhost/x", "--to", "sqlite:x.db"],
            "\"mysql\" is no database URL",
        ),
        (
            &["--from", "sqlite:a.db", "--to", "sqlite:x.db", "--database", "sqlite:y.db"],
            "--from and --to do",
        ),
    ] {
        let ran = app.run(&[&["move", "APP"], words].concat()).ended(2);
        assert!(ran.stderr.contains(said) && !ran.stderr.contains("secret"), "{}", ran.stderr);
    }
}

/// A value that the language does not have stands in the way of no other row, and is named.
#[test]
fn a_value_that_is_none_is_named() {
    let app = App::of(KINDS);
    let url = Postgres::database();
    fill(&app.serve_with(&["--database", &url]));
    let name = url.rsplit_once('/').unwrap().1;
    let run = |sql: &str| Postgres::shared().run(name, sql).unwrap();
    run("UPDATE \"legacy worker\" SET moment = 'infinity' WHERE id = 'bob'");
    let target = sqlite(&app, "target.db");
    let ran = app.run(&["move", "APP", "--from", &url, "--to", &target]).ended(1);
    let words = "legacy worker.moment of the row bob holds a value that is no timestamp";
    assert!(ran.stderr.contains(words), "{}", ran.stderr);
    run("UPDATE \"legacy worker\" SET moment = 'epoch' WHERE id = 'bob'");
    moved(&app, &url, &target);
}

const MANY: &str = r#"app many "Many"
table Row {
  id    int
  text  text
  allow all
}
table Last {
  row  Row
  allow all
}
"#;

/// A database of [`MANY`] with so many rows, in PostgreSQL.
fn many(app: &App, rows: u32) -> (String, impl Fn(&str) -> String + use<>) {
    let url = Postgres::database();
    app.run(&["query", "APP", "{\"Row\": {}}", "--database", &url]).succeeded();
    let name = url.rsplit_once('/').unwrap().1.to_owned();
    let run = move |sql: &str| Postgres::shared().run(&name, sql).unwrap();
    run(&format!(
        "INSERT INTO \"Row\" SELECT i, now(), now(), repeat(md5(i::text), 8) FROM generate_series(1, {rows}) i;
         INSERT INTO \"Last\" SELECT gen_random_uuid(), now(), now(), i FROM generate_series(1, 100) i"
    ));
    (url, run)
}

/// Starts a move and kills it once some rows are kept, but not all.
fn kill_in_the_middle(app: &App, from: &str, to: &str, kept: impl Fn() -> i64, rows: u32) {
    let words = ["move", "APP", "--from", from, "--to", to];
    let mut child = app.command(&words).stderr(Stdio::null()).spawn().unwrap();
    until(DEADLINE, || (kept() > 0).then_some(()));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(kept() < i64::from(rows), "it was killed too late to tell anything");
}

#[test]
fn who_is_killed_goes_on_where_he_was() {
    const ROWS: u32 = 150_000;
    let app = App::of(MANY);
    let (from, source) = many(&app, ROWS);
    let there = Postgres::database();
    let name = there.rsplit_once('/').unwrap().1.to_owned();
    let here = sqlite(&app, "target.db");
    let path = path_of(&here);
    let sql = "SELECT \"rows\" FROM \"_move\" WHERE \"table\" = 'Row'";
    let kept_there =
        || -> i64 { Postgres::shared().run(&name, sql).ok().and_then(|rows| rows.parse().ok()).unwrap_or(0) };
    let kept_here = || -> i64 {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let open = rusqlite::Connection::open_with_flags(&path, flags).ok();
        open.and_then(|database| database.query_row(sql, [], |row| row.get(0)).ok()).unwrap_or(0)
    };
    for (to, kept) in [(&there, &kept_there as &dyn Fn() -> i64), (&here, &kept_here)] {
        kill_in_the_middle(&app, &from, to, kept, ROWS);
        let unfinished = app.run(&["query", "APP", "{\"Row\": {}}", "--database", to]).ended(1);
        assert!(unfinished.stderr.contains("left unfinished by a move"), "{}", unfinished.stderr);
        let other = sqlite(&app, "other.db");
        app.run(&["query", "APP", "{\"Row\": {}}", "--database", &other]).succeeded();
        let refused = app.run(&["move", "APP", "--from", &other, "--to", to]).ended(1);
        assert!(
            refused.stderr.contains("unfinished by another copy, from postgres://"),
            "{}",
            refused.stderr
        );
        let report = moved(&app, &from, to);
        assert_eq!(report["from"], from);
        let count = json!({"Row": {"aggregate": {"n": "count()", "sum": "sum(id)"}}, "Last": {"count": true, "limit": 1}});
        let ran = app.run(&["query", "APP", &count.to_string(), "--admin", "--database", to]).succeeded();
        let sum = u64::from(ROWS) * u64::from(ROWS + 1) / 2;
        assert_eq!(ran.json()["Row"], json!([{"n": ROWS, "sum": sum}]), "{}", ran.stdout);
        assert_eq!(ran.json()["Last@"]["count"], 100);
    }

    // What has changed meanwhile is copied anew.
    let again = sqlite(&app, "again.db");
    let path = path_of(&again);
    let kept = || {
        let open =
            rusqlite::Connection::open_with_flags(&path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).ok();
        open.and_then(|database| database.query_row(sql, [], |row| row.get(0)).ok()).unwrap_or(0)
    };
    kill_in_the_middle(&app, &from, &again, kept, ROWS);
    source("UPDATE \"Row\" SET text = 'changed' WHERE id = 7");
    moved(&app, &from, &again);
    let row = json!({"Row": {"id": 7, "get": ["text"]}}).to_string();
    let ran = app.run(&["query", "APP", &row, "--admin", "--database", &again]).succeeded();
    assert_eq!(ran.json()["Row"][0]["text"], "changed");
}

/// Migrations are files for one kind of database: the other kind's are taken as done, and the ledger of the first stays behind.
#[test]
fn migrations_go_on_in_the_other_kind() {
    let app = App::of("table Task {\n  title  text\n  allow all\n}\n");
    let (here, there) = (sqlite(&app, "here.db"), Postgres::database());
    for url in [&here, &there] {
        app.run(&["migrate", "plan", "APP", "--database", url]).succeeded();
    }
    let production = |words: &[&str]| app.run(&[words, &["--env", "production"]].concat()).succeeded();
    production(&["migrate", "apply", "APP", "--database", &here]);
    moved(&app, &here, &there);
    production(&["migrate", "apply", "APP", "--database", &there]);
    let status = production(&["migrate", "status", "APP", "--database", &there]);
    assert!(!status.stdout.contains("waits") && !status.stderr.contains("drift"), "{status:?}");
    app.serve_with(&["--database", &there, "--env", "production"]).get("", "/api/Task").ok();
}

const ORDERS: &str = r#"app orders "Orders"
table Order {
  name   text
  lines  Line[] by parent
  allow all
  check lines.count() == 2  "An order has two lines."
}
table Line {
  parent  Order
  allow all
}
"#;

/// Orders come without a pause while `work` is done; how many there were before and after it.
pub(crate) fn while_orders_come<R>(server: &Server, work: impl FnOnce() -> R) -> (R, u64, u64) {
    let stop = AtomicBool::new(false);
    let order =
        json!({"Order": {"create": true, "name": "x", "lines": [{"create": true}, {"create": true}]}});
    let count = || server.get("", "/api/Order?count&limit=1").ok()["count"].as_u64().unwrap();
    std::thread::scope(|scope| {
        let post = || {
            while !stop.load(Ordering::Relaxed) {
                server.query("", &order).ok();
            }
        };
        let clients = [(); 2].map(|()| scope.spawn(post));
        until(DEADLINE, || (count() > 10).then_some(()));
        let before = count();
        let result = work();
        let after = count();
        until(DEADLINE, || (count() > after).then_some(()));
        stop.store(true, Ordering::Relaxed);
        clients.into_iter().for_each(|client| client.join().unwrap());
        (result, before, after)
    })
}

pub(crate) fn orders() -> App {
    App::of(ORDERS)
}

/// A snapshot holds whole orders, and as many as there were when it was taken.
pub(crate) fn holds_whole_orders(app: &App, url: &str, before: u64, after: u64) {
    let document =
        json!({"Order": {"count": true, "limit": 1}, "Line": {"count": true, "limit": 1}}).to_string();
    let counts = app.run(&["query", "APP", &document, "--admin", "--database", url]).succeeded().json();
    let (orders, lines) = (counts["Order@"]["count"].as_u64(), counts["Line@"]["count"].as_u64());
    let orders = orders.unwrap();
    assert_eq!(lines, Some(orders * 2), "{counts}");
    assert!((before..=after).contains(&orders), "{before} ≤ {orders} ≤ {after}");
}

#[test]
fn a_snapshot_is_moved_while_servers_write() {
    for from in [None, Some(Postgres::database())] {
        let app = orders();
        let from = from.unwrap_or_else(|| sqlite(&app, "orders.db"));
        let server = app.serve_with(&["--database", &from]);
        for to in [sqlite(&app, "snapshot.db"), Postgres::database()] {
            let words = ["move", "APP", "--from", &from, "--to", &to, "--while-serving"];
            let (_, before, after) = while_orders_come(&server, || app.run(&words).succeeded());
            holds_whole_orders(&app, &to, before, after);
        }
    }
}
