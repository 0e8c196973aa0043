//! Rows that are written together: what one of them is refused for is told of that one, and nothing of the others stays.

use mainstay_engine::ctx::Caller;
use serde_json::json;

use crate::app::App;
use crate::support::{Request, changes, check, refused, rows, send};

const APP: &str = r##"
table Track { name text, allow read, create }
table Hidden { name text, allow read if name == "seen", allow create }
table Basket {
  customer text
  items Item[] by basket
  allow all
}
table Box {
  things Thing[] by box
  check things.count() < 3 "Too much for one box."
  allow all
}
table Thing { box Box, track Track, allow all }
table Item {
  basket Basket on delete cascade
  track  Track?
  hidden Hidden?
  seat   int? unique
  twin   Item?
  mood   json?
  tags   text[]?
  price  decimal(8, 2)?
  day    date?
  time   time?
  at     timestamp?
  takes  duration?
  share  float?
  ok     bool?
  kind   enum(a, b)?
  raw    bytes?
  allow create if seat == null or seat != 13
  allow read, update, delete
}
"##;

async fn app() -> App {
    let fixture = json!([
        ["Track", {"id": 1, "name": "one"}],
        ["Track", {"id": 2, "name": "two"}],
        ["Hidden", {"id": 3, "name": "seen"}],
        ["Hidden", {"id": 4, "name": "unseen"}],
        ["Basket", {"id": 5, "customer": "first"}],
        ["Item", {"id": 6, "basket": 5, "seat": 6}],
    ]);
    App::new(APP, fixture).await
}

fn basket(items: &str) -> String {
    format!(r##"{{"Basket": {{"create": true, "customer": "c", "items": [{items}]}}}}"##)
}

/// What a request comes to whose third item is this.
async fn third(app: &App, item: &str, expected: &str) {
    let good = r##"{"create": true, "track": "#1", "seat": 1}, {"create": true, "track": "#2", "seat": 2}"##;
    let body = basket(&format!(r##"{good}, {{"create": true, {item}}}, {{"create": true, "track": "#1"}}"##));
    refused(app, Caller::anonymous(), &body, expected).await;
}

#[tokio::test]
async fn what_one_of_several_rows_is_refused_for_is_told_of_it() {
    let app = app().await;
    let nowhere = "relation.refused\n/Basket/items/2/track there is no such row to refer to";
    third(&app, r##""track": "#99""##, nowhere).await;
    // A row of another table is none of this one.
    third(&app, r##""track": "#5""##, nowhere).await;
    let hidden = "relation.refused\n/Basket/items/2/hidden there is no such row to refer to";
    third(&app, r##""track": "#1", "hidden": "#4""##, hidden).await;
    third(&app, r##""track": "#1", "hidden": "#99""##, hidden).await;
    let taken = "unique\n/Basket/items/2/seat another Item has this value in `seat` already";
    third(&app, r##""seat": 6"##, taken).await;
    third(&app, r##""seat": 2"##, taken).await;
    third(&app, r##""seat": 13"##, "rule.refused\n/Basket/items/2 you may not create this Item").await;
    // The first thing that is in the way is told, whatever stands behind it.
    third(&app, r##""track": "#99", "seat": 13"##, nowhere).await;
    // In the last of several parts as well.
    let body = r##"{"Track": [{"create": true, "name": "x"}], "Item": [{"create": true, "basket": "#5", "seat": 3},
        {"create": true, "basket": "#98", "seat": 4}]}"##;
    let nowhere = "relation.refused\n/Item/1/basket there is no such row to refer to";
    refused(&app, Caller::anonymous(), body, nowhere).await;
}

#[tokio::test]
async fn a_row_refers_to_none_that_is_made_behind_it() {
    let app = app().await;
    let nowhere = "relation.refused\n/Item/0/twin there is no such row to refer to";
    let ahead = r##"{"Item": [{"create": true, "basket": "#5", "twin": "#81"}, {"create": true, "id": "#81", "basket": "#5"}]}"##;
    refused(&app, Caller::anonymous(), ahead, nowhere).await;
    let itself = r##"{"Item": [{"create": true, "id": "#80", "basket": "#5", "twin": "#80"}]}"##;
    refused(&app, Caller::anonymous(), itself, nowhere).await;
    let back = r##"{"Item": [{"create": true, "id": "#81", "basket": "#5"}, {"create": true, "basket": "#5", "twin": "#81"}]}"##;
    send(&app, &Request::new(Caller::anonymous(), back)).await.unwrap();
}

#[tokio::test]
async fn rows_of_one_request_are_written_as_they_would_be_one_by_one() {
    let full = r##"{"create": true, "track": "#1", "mood": {"b": [1, null, "\"x\\"], "a": {}}, "tags": ["x", "y, z", "{}"],
        "price": "12.50", "day": "2024-02-29", "time": "10:11:12.5", "at": "2024-02-29T10:00:00Z", "takes": "PT1H",
        "share": 0.25, "ok": true, "kind": "b", "raw": "AAEC"}"##;
    let others = r##", {"create": true, "hidden": "#3", "seat": 9}, {"create": true, "tags": []}"##;
    let mut found = Vec::new();
    for others in ["", others] {
        let app = app().await;
        let body = basket(&format!("{full}{others}"));
        send(&app, &Request::new(Caller::anonymous(), &body)).await.unwrap();
        let question = r##"{"Item": {"where": "track != null", "get": ["*"]}}"##;
        let log = changes(&app).await;
        let made: Vec<&str> = log.iter().map(|line| line.split(' ').next().unwrap()).collect();
        let expected = [r#""Basket""#, r#""Item""#, r#""Item""#, r#""Item""#];
        assert_eq!(made, expected[..if others.is_empty() { 2 } else { 4 }], "{log:#?}");
        found.push((rows(&app, question).await, log[1].clone()));
    }
    assert_eq!(found[0], found[1]);
}

#[tokio::test]
async fn a_check_sees_all_rows_that_are_written_together() {
    let app = app().await;
    let boxed = |count| {
        let things = vec![r##"{"create": true, "track": "#1"}"##; count].join(", ");
        format!(r##"{{"Box": {{"create": true, "things": [{things}]}}}}"##)
    };
    refused(&app, Caller::anonymous(), &boxed(3), "check.failed\n/Box Too much for one box.").await;
    send(&app, &Request::new(Caller::anonymous(), &boxed(2))).await.unwrap();
    assert_eq!(changes(&app).await.len(), 3);
}

#[tokio::test]
async fn a_row_is_made_changed_and_deleted_within_one_request() {
    let app = app().await;
    let body = r##"[{"Track": {"create": true, "id": "#70", "name": "a"}}, {"Track": {"create": true, "id": "#71", "name": "b"}},
        {"Item": {"create": true, "id": "#72", "basket": "#5", "track": "#70"}},
        {"Item": {"id": "#72", "set": {"track": "#71", "seat": 5}}}, {"Item": {"id": "#6", "delete": true}}]"##;
    let expected = r##"[{"Track":[{"id":"#70","name":"a","new":true}]},{"Track":[{"id":"#71","name":"b","new":true}]},{"Item":[{"id":"#72","basket":"#5","track":"#71","new":true}]},{"Item":[{"id":"#72","track":"#71","seat":5,"edited":true}]},{"Item":[{"id":"#6","deleted":true}]}]"##;
    check(&app, Caller::anonymous(), body, expected).await;
    let log = changes(&app).await;
    let kinds: Vec<&str> = log.iter().filter_map(|line| line.split(' ').nth(2)).collect();
    assert_eq!(kinds, [r#""create""#, r#""create""#, r#""create""#, r#""delete""#], "{log:#?}");
}
