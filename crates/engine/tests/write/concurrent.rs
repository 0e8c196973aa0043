//! Many who write at the same time: what the checks and rules say still holds when all is done.

use std::sync::Arc;

use mainstay_engine::ctx::Caller;
use serde_json::json;
use tokio::task::JoinSet;

use crate::app::App;
use crate::support::{Request, rows, send};

const APP: &str = r##"
table Room {
  size  int
  house House?
  notes Note[] by room
  seats Seat[] by room
  fans  Fan[]
  check fans.count() <= size "Too many fans."
  allow all
}
table Seat {
  room Room
  check room.seats.count() <= room.size "No seat is left."
  allow all
}
table House {
  open  bool = true
  rooms Room[] by house
  allow read, create
  allow update if rooms.none(notes.any())
}
table Note {
  room Room
  allow create if room.house.open
  allow read
}
table Fan { name text, allow all }
"##;

/// Each room has a house of its own.
async fn app(rooms: u32) -> Arc<App> {
    let mut fixture = Vec::new();
    for room in 1..=rooms {
        fixture.push(json!(["House", {"id": 200 + room}]));
        fixture.push(json!(["Room", {"id": room, "size": 3, "house": 200 + room}]));
    }
    fixture.extend((101..=112).map(|fan| json!(["Fan", {"id": fan, "name": format!("fan {fan}")}])));
    Arc::new(App::new(APP, fixture.into()).await)
}

/// How many of some requests that are sent together are answered; the words of all others.
async fn together(app: &Arc<App>, bodies: Vec<String>) -> (usize, Vec<String>) {
    let mut asked = JoinSet::new();
    for body in bodies {
        let app = app.clone();
        asked.spawn(async move { send(&app, &Request::new(Caller::anonymous(), &body)).await });
    }
    let (mut done, mut refused) = (0, Vec::new());
    while let Some(answer) = asked.join_next().await {
        match answer.unwrap() {
            Ok(_) => done += 1,
            Err(error) => refused.push(format!("{}: {}", error.key.text(), error.detail)),
        }
    }
    refused.sort();
    refused.dedup();
    (done, refused)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_room_has_more_rows_than_its_check_lets_it_have() {
    let app = app(4).await;
    let bodies = (0..48).map(|at| format!(r##"{{"Seat": {{"create": true, "room": "#{}"}}}}"##, at % 4 + 1));
    let (done, refused) = together(&app, bodies.collect()).await;
    assert_eq!((done, refused), (12, vec!["check.failed: No seat is left.".to_owned()]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_room_has_more_links_than_its_check_lets_it_have() {
    let app = app(1).await;
    let bodies =
        (101..=112).map(|fan| format!(r##"{{"Room": {{"id": "#1", "fans": {{"add": "#{fan}"}}}}}}"##));
    let (done, refused) = together(&app, bodies.collect()).await;
    assert_eq!((done, refused), (3, vec!["check.failed: Too many fans.".to_owned()]));
}

/// Of each pair one is refused, whichever comes second: each reads what the other writes.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_a_rule_read_by_relations_is_not_changed_beside_it() {
    let app = app(16).await;
    let bodies = (1..=16).flat_map(|room| {
        [
            format!(r##"{{"Note": {{"create": true, "room": "#{room}"}}}}"##),
            format!(r##"{{"House": {{"id": "#{}", "set": {{"open": false}}}}}}"##, 200 + room),
        ]
    });
    let (done, refused) = together(&app, bodies.collect()).await;
    assert!(refused.iter().all(|words| words.starts_with("rule.refused")), "{refused:?}");
    let question = r#"{"Note": {"where": "not room.house.open", "get": ["id"]}}"#;
    assert_eq!((rows(&app, question).await.as_str(), done), (r#"{"Note":[]}"#, 16));
}
