//! Why a row is left out, or a change refused.

use std::sync::Arc;

use mainstay_engine::ctx::Caller;
use mainstay_engine::part::Operation;
use mainstay_engine::{Reasons, document, prelude};
use mainstay_lang::source::Sources;
use serde_json::json;

use crate::app::{App, context, with_keys, without_keys};
use crate::festival::{SCHEMA, festival};

async fn why(app: &App, caller: Caller, request: &str) -> Reasons {
    why_in(SCHEMA, app, caller, request).await
}

async fn why_in(schema: &str, app: &App, caller: Caller, request: &str) -> Reasons {
    let mut sources = Sources::default();
    sources.add("app.stay", schema);
    let sources = Arc::new(prelude::load(sources));
    let documents = document::parse(with_keys(request).as_bytes()).unwrap();
    let operation = Operation { documents, ..Operation::default() };
    app.engine.why(&context(caller), &operation, &sources).await.unwrap()
}

/// Each refusal on a line, its lines and clauses below it.
fn tell(found: &Reasons) -> String {
    let mut out = String::new();
    for why in &found.refusals {
        let column = why.column.as_ref().map(|column| format!(" {column}")).unwrap_or_default();
        let row = why.row.as_str().unwrap_or_default();
        out.push_str(&format!("{} {} {row}{column} at {}\n", why.operation, why.table, why.path));
        for line in &why.lines {
            out.push_str(&format!("  {} {} = {}\n", line.place, line.text, truth(line.result)));
            for clause in &line.clauses {
                let values: Vec<String> =
                    clause.values.iter().map(|read| format!("{} {}", read.path, read.value)).collect();
                out.push_str(&format!(
                    "    {} = {} ({})\n",
                    clause.text,
                    truth(clause.result),
                    values.join(", ")
                ));
            }
        }
    }
    for beyond in &found.beyond {
        out.push_str(&format!("{} more {} at {}\n", beyond.rows, beyond.table, beyond.path));
    }
    without_keys(&out)
}

fn truth(result: Option<bool>) -> &'static str {
    match result {
        Some(true) => "true",
        Some(false) => "false",
        None => "unknown",
    }
}

#[tokio::test]
async fn a_row_left_out_names_the_clauses_and_their_values() {
    let app = festival().await;
    let found = why(&app, app.user(11).await, r##"{"Alert": {"severity": "info"}}"##).await;
    assert_eq!(
        tell(&found),
        r##"read Alert #23 at /Alert
  app.stay:33 allow read if sender == user.team or receivers.any(id == user.team) or user.can("alert/read") = false
    sender == user.team = false (sender "#3", user.team "#1")
    receivers.any(id == user.team) = false (user.team "#1")
    user.can("alert/read") = false ()
"##
    );
    // What the caller gets needs no reason.
    assert_eq!(tell(&why(&app, app.user(11).await, r##"{"Alert": {"severity": "serious"}}"##).await), "");
    // A row that the caller's own conditions lose, because they look at what may not be read.
    let found = why(&app, app.user(11).await, r##"{"Alert": {"where": "assignee.name == \"Bob\""}}"##).await;
    assert_eq!(
        tell(&found),
        "read Alert #22 at /Alert\n   the request's own conditions, where what may not be read counts as null = unknown\n"
    );
}

#[tokio::test]
async fn a_refused_change_names_its_rule_and_is_undone() {
    let app = festival().await;
    let request = r##"{"Alert": {"id": "#22", "set": {"title": "Brawl", "severity": "info"}}}"##;
    assert_eq!(
        tell(&why(&app, app.user(11).await, request).await),
        r##"update Alert #22 severity at /Alert
  app.stay:36 allow update(severity) if user.can("alert/severity") = false
    user.can("alert/severity") = false ()
"##
    );
    let request = r##"{"Alert": {"create": true, "title": "Hm", "sender": "#2"}}"##;
    let told = tell(&why(&app, app.user(11).await, request).await);
    let (first, rest) = told.split_once('\n').unwrap();
    assert!(first.starts_with("create Alert ") && first.ends_with(" at /Alert"), "{first}");
    assert_eq!(
        rest,
        "  app.stay:34 allow create if sender == user.team = false\n    sender == user.team = false (sender \"#2\", user.team \"#1\")\n"
    );
    let request = r##"{"Alert": {"id": "#22", "set": {"due": "2020-01-01T00:00:00Z"}}}"##;
    assert_eq!(
        tell(&why(&app, app.user(11).await, request).await),
        r##"check Alert #22 at /Alert
  app.stay:39 check due == null or due > created "An alert is due after it was made." = false
    due == null = false (due "2020-01-01T00:00:00.000000Z")
    due > created = false (due "2020-01-01T00:00:00.000000Z", created "2026-01-31T10:01:00.000000Z")
"##
    );
    // Allowed, and still only tried.
    let request = r##"{"Alert": {"id": "#22", "set": {"title": "Brawl"}}}"##;
    assert_eq!(tell(&why(&app, app.user(11).await, request).await), "");
    app.check(
        app.user(11).await,
        r##"{"Alert": {"id": "#22", "get": ["title"]}}"##,
        r##"{"Alert":[{"id":"#22","title":"Fight"}]}"##,
    )
    .await;
}

const SHELVES: &str = r#"
app shelves
table Shelf {
  name   text
  owner  User
  books  Book[] by shelf
  tags   Tag[]
  allow read
}
table Book {
  title   text
  shelf   Shelf?
  price   int = 0
  lent    User?
  allow read         if price < 10
  allow read(shelf)  if title != "lost"
  allow read(price)  if false
}
table Tag {
  name     text
  secret   bool = false
  shelves  Shelf[] by tags
  allow read  if not secret
}
"#;

async fn shelves() -> App {
    App::new(
        SHELVES,
        json!([
            ["User", {"id": 1, "email": "a@example.com", "name": "Ann"}],
            ["User", {"id": 2, "email": "b@example.com", "name": "Bob"}],
            ["Shelf", {"id": 11, "name": "low", "owner": 1}],
            ["Shelf", {"id": 12, "name": "high", "owner": 2}],
            ["Book", {"id": 21, "title": "cheap", "shelf": 11, "price": 1, "lent": 2}],
            ["Book", {"id": 22, "title": "dear", "shelf": 11, "price": 99}],
            ["Book", {"id": 23, "title": "lost", "shelf": 12, "price": 2}],
            ["Tag", {"id": 31, "name": "open", "secret": false}],
            ["Tag", {"id": 32, "name": "hidden", "secret": true}],
            ["Shelf.tags", {"owner": 11, "target": 31}],
            ["Shelf.tags", {"owner": 12, "target": 32}],
        ]),
    )
    .await
}

#[tokio::test]
async fn nested_rows_left_out_and_values_withheld_are_told_where_they_stand() {
    let app = shelves().await;
    let request = r##"{"Shelf": {"get": ["name"], "owner": {"get": ["name"]}, "tags": {"get": ["name"]},
        "books": {"get": ["title", "price"], "lent": {"get": ["name"]}}}}"##;
    let ann = app.user(1).await;
    assert_eq!(
        tell(&why_in(SHELVES, &app, ann, request).await),
        r##"read User #2 at /Shelf/owner
  <users>:9 allow read if id == user.id = false
    id == user.id = false (id "#2", user.id "#1")
read Tag #32 at /Shelf/tags
  app.stay:23 allow read if not secret = false
    secret = true (secret true)
read Book #21 price at /Shelf/books
  app.stay:17 allow read(price) if false = false
    false = false ()
read Book #22 at /Shelf/books
  app.stay:15 allow read if price < 10 = false
    price < 10 = false (price 99)
read Book #23 shelf at /Shelf/books
  app.stay:16 allow read(shelf) if title != "lost" = false
    title != "lost" = false (title "lost")
read User #2 at /Shelf/books/lent
  <users>:9 allow read if id == user.id = false
    id == user.id = false (id "#2", user.id "#1")
"##
    );
    // Along a link from its other side, and what `get` alone names.
    let request = r##"{"Tag": {"name": "open", "shelves": {"owner": {"get": ["name"]}, "get": ["books"]}}}"##;
    let told = tell(&why_in(SHELVES, &app, Caller::anonymous(), request).await);
    assert!(told.contains("read User #1 at /Tag/shelves/owner\n"), "{told}");
    assert!(told.contains("read Book #22 at /Tag/shelves/get\n"), "{told}");
    assert!(!told.contains("Tag #"), "what hangs on rows that are not meant is not told: {told}");
    // What is wrong with a request is said, as the request itself would.
    let operation = Operation {
        documents: document::parse(br#"{"Shelf": {"books": {"get": ["titel"]}}}"#).unwrap(),
        ..Operation::default()
    };
    let sources = Arc::new(Sources::default());
    let error = app.engine.why(&context(Caller::anonymous()), &operation, &sources).await.unwrap_err();
    assert!(error.detail.contains("title"), "{error}");
}

#[tokio::test]
async fn rows_beyond_those_that_are_looked_at_are_counted() {
    let app = shelves().await;
    let books: Vec<String> = (0..150)
        .map(|n| format!(r##"{{"create": true, "title": "{n}", "shelf": "#12", "price": 50}}"##))
        .collect();
    app.change(&format!(r##"{{"Book": [{}]}}"##, books.join(","))).await;
    for (request, path) in [
        (r##"{"Book": {"price": 50}}"##, "/Book"),
        (r##"{"Shelf": {"name": "high", "books": {"price": 50}}}"##, "/Shelf/books"),
    ] {
        let found = why_in(SHELVES, &app, Caller::anonymous(), request).await;
        assert_eq!(found.refusals.len(), 100, "{path}");
        assert!(found.refusals.iter().all(|why| why.path == path && why.table == "Book"), "{path}");
        let beyond: Vec<_> =
            found.beyond.iter().map(|beyond| (&*beyond.path, &*beyond.table, beyond.rows)).collect();
        assert_eq!(beyond, [(path, "Book", 50)]);
    }
}
