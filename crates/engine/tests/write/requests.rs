//! Whole requests: one transaction, order, limits, idempotency, counters.

use std::sync::Arc;
use std::time::Instant;

use mainstay_engine::ctx::Caller;
use mainstay_engine::document;
use mainstay_engine::error::Key;
use mainstay_engine::part::Operation;
use mainstay_lang::value::Timestamp;
use mainstay_testkit::database::DatabaseKind;
use serde_json::{Value as Json, json};

use crate::app::{App, NOW};
use crate::shop::shop;
use crate::support::{Request, changes, check, compare, everything, refused, rows, send, shown, with_keys};

fn anybody() -> Caller {
    Caller::anonymous()
}

#[tokio::test]
async fn parts_run_in_order_and_see_what_was_written_before() {
    let app = shop().await;
    for (body, expected) in [
        (
            r##"[{"Product": {"name": "Pen", "get": ["stock"]}}, {"Product": {"name": "Pen", "set": {"stock": 1}}},
                 {"Product": {"name": "Pen", "get": ["stock"], "count": true}}, {"Product": {"aggregate": {"all": "sum(stock)"}}}]"##,
            r##"[{"Product":[{"id":"#11","stock":10,"name":"Pen"}]},{"Product":[{"id":"#11","name":"Pen","stock":1,"edited":true}]},{"Product":[{"id":"#11","stock":1,"name":"Pen"}],"Product@":{"count":1,"next":null}},{"Product":[{"all":11}]}]"##,
        ),
        (
            r##"{"Customer": [{"create": true, "name": "Cid"}, {"name": "Cid", "get": ["name"]}, {"name": "Cid", "delete": true}, {"name": "Cid"}]}"##,
            r#"{"Customer":[{"id":"@1","deleted":true},{"id":"@1","name":"Cid"},{"id":"@1","name":"Cid","deleted":true}]}"#,
        ),
        (
            r##"{"Customer": [{"create": true, "id": "#5", "name": "Eve"}, {"id": "#5", "set": {"name": "Eva"}, "get": ["name"]}]}"##,
            r##"{"Customer":[{"id":"#5","name":"Eva","new":true},{"id":"#5","name":"Eva","edited":true}]}"##,
        ),
    ] {
        check(&app, anybody(), body, expected).await;
    }
    assert_eq!(changes(&app).await.len(), 2, "one line for each row that is other than it was");
}

#[tokio::test]
async fn all_or_nothing() {
    let app = shop().await;
    for (body, expected) in [
        (
            r##"{"Product": {"all": true, "set": {"stock": 1}}, "Customer": {"create": true, "name": "Ann"}}"##,
            r#"unique
/Customer/name another Customer has this value in `name` already"#,
        ),
        (
            r##"[{"Label": {"create": true, "name": "x"}}, {"Order": {"id": "#31", "delete": true}}, {"Customer": {"id": "#1", "set": {"email": "x"}}}]"##,
            r#"value.invalid
/2/Customer/set/email must be an e-mail address"#,
        ),
        (
            r##"[{"Label": {"id": "#21", "delete": true}}, {"Order": {"create": true, "customer": "#1", "labels": ["#21"]}}]"##,
            "relation.refused\n/1/Order/labels/0 there is no such row to refer to",
        ),
    ] {
        refused(&app, anybody(), body, expected).await;
    }
}

#[tokio::test]
async fn a_request_writes_no_more_than_it_may() {
    let app = shop().await;
    let row = r#"{"create": true, "name": "x"}"#;
    let many = format!(r#"{{"Label": [{}]}}"#, vec![row; 20_001].join(","));
    let before = everything(&app).await;
    let error = send(&app, &Request::new(anybody(), &many)).await.expect_err("too many");
    assert_eq!(error.key, Key::Limit);
    assert_eq!(everything(&app).await, before);
}

#[tokio::test]
async fn a_request_out_of_time_has_done_nothing() {
    let app = shop().await;
    let before = everything(&app).await;
    let request = Request::new(anybody(), r#"{"Label": {"create": true, "name": "late"}}"#);
    let mut ctx = request.context();
    ctx.deadline = Instant::now();
    let operation =
        Operation { documents: document::parse(request.body.as_bytes()).unwrap(), ..Operation::default() };
    let error = app.engine.execute(&ctx, &operation).await.expect_err("no time");
    assert_eq!(error.key, Key::Deadline);
    assert_eq!(everything(&app).await, before);
}

#[tokio::test]
async fn a_write_tells_its_statements_when_asked() {
    let app = shop().await;
    let body = r#"{"Label": [{"create": true, "name": "a"}, {"create": true, "name": "b"}]}"#;
    let operation = Operation {
        documents: document::parse(body.as_bytes()).unwrap(),
        explain: true,
        ..Operation::default()
    };
    let request = Request::new(anybody(), body);
    let response = app.engine.execute(&request.context(), &operation).await.unwrap();
    let told: Json = serde_json::from_str(&response.explain.unwrap()).unwrap();
    let statements = told["statements"].as_array().unwrap();
    let runs: Vec<_> =
        statements.iter().map(|told| (&told["sql"].as_str().unwrap()[..18], &told["runs"])).collect();
    // The answer comes from memory.
    match crate::ON {
        // The rows are made by one statement and logged by one.
        DatabaseKind::Sqlite => {
            let expected = [("INSERT INTO \"Label", &json!(2)), ("INSERT INTO \"_chan", &json!(2))];
            assert_eq!(runs, expected, "{told}");
        }
        // All in one.
        DatabaseKind::Postgres => assert_eq!(runs, [("WITH made0 AS (INS", &json!(1))], "{told}"),
    }
}

const KEY: &str = "0123456789abcdef0123456789abcdef";

fn keyed<'a>(body: &'a str, key: &'a str) -> Request<'a> {
    Request { key: Some(key), ..Request::new(anybody(), body) }
}

#[tokio::test]
async fn a_request_under_a_key_is_done_once() {
    let app = shop().await;
    let body = r##"{"Label": {"create": true, "name": "once", "get": ["created"]}}"##;
    let first = send(&app, &keyed(body, KEY)).await.unwrap();
    let again =
        send(&app, &Request { now: Some(Timestamp(NOW.0 + 1000)), ..keyed(body, KEY) }).await.unwrap();
    assert_eq!(again, first);
    assert_eq!(changes(&app).await.len(), 1);
    let other = r##"{"Label": {"create": true, "name": "twice"}}"##;
    let error = send(&app, &keyed(other, KEY)).await.expect_err("another body");
    assert_eq!(error.key, Key::IdempotencyMismatch);
    // A key is one caller's own, and is forgotten after a day.
    let admin = Request { key: Some(KEY), ..Request::new(Caller::administrator(), other) };
    send(&app, &admin).await.unwrap();
    let late = Request { now: Some(Timestamp(NOW.0 + 24 * 3_600_000_000 + 1)), ..keyed(other, KEY) };
    send(&app, &late).await.unwrap();
    assert_eq!(changes(&app).await.len(), 3);
}

#[tokio::test]
async fn a_request_whose_answer_was_forgotten_is_not_done_again() {
    let app = shop().await;
    let body = r##"{"Label": {"create": true, "name": "once"}}"##;
    send(&app, &keyed(body, KEY)).await.unwrap();
    // What becomes of kept answers when a column becomes secret.
    let forget = "UPDATE \"_idempotency\" SET \"status\" = 410, \"answer\" = \"body_hash\"";
    app.engine.store().execute_script(vec![forget.to_owned()]).await.unwrap();
    let error = send(&app, &keyed(body, KEY)).await.expect_err("its answer is gone");
    assert_eq!(error.key, Key::IdempotencyForgotten);
    assert_eq!(changes(&app).await.len(), 1);
}

#[tokio::test]
async fn a_request_that_failed_is_not_kept() {
    let app = shop().await;
    let body = r##"{"Customer": {"create": true, "name": "Ann"}}"##;
    assert_eq!(send(&app, &keyed(body, KEY)).await.expect_err("taken").key, Key::Unique);
    check(
        &app,
        anybody(),
        r##"{"Customer": {"id": "#1", "set": {"name": "Anna"}}}"##,
        r##"{"Customer":[{"id":"#1","name":"Anna","edited":true}]}"##,
    )
    .await;
    send(&app, &keyed(body, KEY)).await.unwrap();
}

#[tokio::test]
async fn keys_of_the_nameless_are_random() {
    let app = shop().await;
    let body = r##"{"Label": {"create": true, "name": "x"}}"##;
    for (key, is_taken) in [
        ("", false),
        ("order-17", false),
        ("0123456789abcdef012345678", false),
        ("abcdefghijklmnopqrstuv", true),
        ("7f3a1c52-9e1b-4d0a-8f6e-2b7c5d9e0a11", true),
        ("with space and more than enough of it", false),
    ] {
        let result = send(&app, &keyed(body, key)).await;
        assert_eq!(result.is_ok(), is_taken, "{key}");
        if let Err(error) = result {
            assert_eq!(error.key, Key::Request, "{key}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_key_many_times_at_once_is_one_request() {
    let app = Arc::new(shop().await);
    let tasks: Vec<_> = (0..24)
        .map(|_| {
            let app = app.clone();
            tokio::spawn(async move {
                send(
                    &app,
                    &keyed(r##"{"Order": {"create": true, "customer": "#2", "get": ["number"]}}"##, KEY),
                )
                .await
                .unwrap()
            })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);
    assert_eq!(changes(&app).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn counters_have_no_gaps_however_many_write() {
    let app = Arc::new(shop().await);
    let tasks: Vec<_> = (0..40u32)
        .map(|number| {
            let app = app.clone();
            tokio::spawn(async move {
                // Every fourth is refused by the check, after its number was drawn.
                let quantity = if number % 4 == 0 { 101 } else { 1 };
                let line = format!(r##"{{"create": true, "product": "#11", "quantity": {quantity}}}"##);
                let body = format!(r##"{{"Order": {{"create": true, "customer": "#1", "lines": {line}, "get": ["number"]}}}}"##);
                send(&app, &Request::new(anybody(), &body)).await.is_ok()
            })
        })
        .collect();
    let mut made = 0;
    for task in tasks {
        made += usize::from(task.await.unwrap());
    }
    assert_eq!(made, 30);
    let answer = app
        .run(
            Caller::administrator(),
            &with_keys(r##"{"Order": {"id": {"not": "#31"}, "get": ["number"], "order": "number"}}"##),
        )
        .await
        .unwrap();
    let answer: Json = serde_json::from_str(&answer).unwrap();
    let numbers: Vec<u64> =
        answer["Order"].as_array().unwrap().iter().map(|row| row["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=30).collect::<Vec<u64>>());
}

#[tokio::test]
async fn counters_count_for_each_value_of_their_selectors() {
    let app = App::new(
        "table Room { name text(5) allow all } table Seat { room Room? number int auto per (room) allow all }",
        json!([["Room", {"id": 1, "name": "a"}], ["Room", {"id": 2, "name": "b"}]]),
    )
    .await;
    let seats = ["#1", "#2", "#1", "#1", "#2"]
        .map(|room| format!(r#"{{"create": true, "room": "{room}"}}"#))
        .join(",");
    let body = format!(r#"{{"Seat": [{seats}, {{"create": true}}]}}"#);
    send(&app, &Request::new(anybody(), &body)).await.unwrap();
    assert_eq!(
        rows(&app, r#"{"Seat": {"get": ["room", "number"], "order": ["room", "number"]}}"#).await,
        r##"{"Seat":[{"id":"@1","room":"#1","number":1},{"id":"@2","room":"#1","number":2},{"id":"@3","room":"#1","number":3},{"id":"@4","room":"#2","number":1},{"id":"@5","room":"#2","number":2},{"id":"@6","room":null,"number":1}]}"##
    );
    let body = r##"{"Seat": {"create": true, "room": "#1", "get": ["number"]}}"##;
    compare(
        body,
        &shown(send(&app, &Request::new(anybody(), body)).await),
        r##"{"Seat":[{"id":"@1","room":"#1","number":4,"new":true}]}"##,
    );
}

#[tokio::test]
async fn the_first_of_several_refusals_is_told() {
    let app = "table Tag { name text unique, size int, check size < 9 \"too large\", allow create if size > 0, allow read }";
    let app = App::new(app, json!([["Tag", {"id": 1, "name": "a", "size": 1}]])).await;
    let taken = "unique\n/Tag/name another Tag has this value in `name` already";
    for size in [0, 1, 9] {
        let body = format!(r##"{{"Tag": {{"create": true, "name": "a", "size": {size}}}}}"##);
        refused(&app, anybody(), &body, taken).await;
    }
    let two =
        r##"{"Tag": [{"create": true, "name": "a", "size": 1}, {"create": true, "name": "b", "size": 0}]}"##;
    refused(&app, anybody(), two, "unique\n/Tag/0/name another Tag has this value in `name` already").await;
    let other =
        r##"{"Tag": [{"create": true, "name": "b", "size": 0}, {"create": true, "name": "a", "size": 1}]}"##;
    refused(&app, anybody(), other, "rule.refused\n/Tag/0 you may not create this Tag").await;
}
