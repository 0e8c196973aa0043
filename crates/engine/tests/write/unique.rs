//! Unique values that change hands within one request: judged by what the request comes to.

use mainstay_engine::ctx::Caller;
use serde_json::json;

use crate::app::App;
use crate::support::{check, refused, rows};

const APP: &str = r#"
table Room {
  code  text(40) unique
  place int unique
  note  text(20)?
  day   date? unique
  kind  enum(a, b, c) unique
  guide Guide?
  guests Guest[] by room
  allow all
}
table Guide { name text(20), allow all }
table Guest { room Room, seat int, unique (room, seat), allow all }
table Ruled {
  place int unique
  rows  Guide[]
  allow all if rows.none(name == "x")
}
table Seeing {
  place int unique
  next  Seeing?
  allow read, create
  allow update if next.place > 0
}
"#;

async fn app() -> App {
    let room = |id: u32, code: &str, kind: &str| {
        let day = (id < 3).then(|| format!("2026-0{id}-0{id}"));
        json!(["Room", {"id": id, "code": code, "place": id, "day": day, "kind": kind}])
    };
    let one = |table: &str, id: u32| json!([table, {"id": id + 20, "place": id}]);
    let guest = |id: u32| json!(["Guest", {"id": id + 10, "room": 1, "seat": id}]);
    let rows = json!([
        room(1, "a", "a"), room(2, "b", "b"), room(3, "c", "c"),
        guest(1), guest(2), ["Guest", {"id": 13, "room": 2, "seat": 1}],
        one("Ruled", 1), one("Ruled", 2),
        ["Seeing", {"id": 31, "place": 1, "next": 31}], ["Seeing", {"id": 32, "place": 2, "next": 31}],
    ]);
    App::new(APP, rows).await
}

async fn done(body: &str, question: &str, expected: &str) {
    let app = app().await;
    let answer = crate::support::send(&app, &crate::support::Request::new(Caller::anonymous(), body)).await;
    answer.unwrap_or_else(|error| panic!("{error}: {body}"));
    assert_eq!(rows(&app, question).await, expected, "\nafter {body}");
}

const CODES: &str = r#"{"Room": {"get": ["code"], "order": ["id"]}}"#;
const PLACES: &str = r#"{"Room": {"get": ["place"], "order": ["id"]}}"#;

#[tokio::test]
async fn rows_swap_their_values() {
    let app = app().await;
    let body = r##"{"Room": [{"id": "#1", "set": {"code": "b"}}, {"id": "#2", "set": {"code": "a"}}]}"##;
    let answer = r##"{"Room":[{"id":"#1","code":"b","edited":true},{"id":"#2","code":"a","edited":true}]}"##;
    check(&app, Caller::anonymous(), body, answer).await;
    let swapped = r##"{"Room":[{"id":"#1","code":"b"},{"id":"#2","code":"a"},{"id":"#3","code":"c"}]}"##;
    assert_eq!(rows(&app, CODES).await, swapped);
    // In a circle, with other columns beside, twice for one row.
    let body = r##"{"Room": [{"id": "#1", "set": {"code": "a", "note": "n"}}, {"id": "#2", "set": {"code": "c", "place": 3}},
        {"id": "#3", "set": {"code": "b", "place": 2}}, {"id": "#1", "set": {"note": "m"}}]}"##;
    done(body, r#"{"Room": {"get": ["code", "place", "note"], "order": ["id"]}}"#,
        r##"{"Room":[{"id":"#1","code":"a","place":1,"note":"m"},{"id":"#2","code":"c","place":3,"note":null},{"id":"#3","code":"b","place":2,"note":null}]}"##).await;
    // Null can stand in for what may be null, whatever its type.
    let body = r##"{"Room": [{"id": "#1", "set": {"day": "2026-02-02"}}, {"id": "#2", "set": {"day": "2026-01-01"}}]}"##;
    let days = r##"{"Room":[{"id":"#1","day":"2026-02-02"},{"id":"#2","day":"2026-01-01"},{"id":"#3","day":null}]}"##;
    done(body, r#"{"Room": {"get": ["day"], "order": ["id"]}}"#, days).await;
}

#[tokio::test]
async fn all_places_move_at_once() {
    let up = r##"{"Room":[{"id":"#1","place":2},{"id":"#2","place":3},{"id":"#3","place":4}]}"##;
    done(r#"{"Room": {"set": {"place": {"$add": 1}}, "all": true}}"#, PLACES, up).await;
    let down = r##"{"Room":[{"id":"#1","place":0},{"id":"#2","place":1},{"id":"#3","place":2}]}"##;
    done(r#"{"Room": {"set": {"place": {"$sub": 1}}, "all": true}}"#, PLACES, down).await;
    let seats = r##"{"Guest":[{"id":"#11","seat":2},{"id":"#12","seat":3},{"id":"#13","seat":1}]}"##;
    done(
        r##"{"Room": {"id": "#1", "guests": {"seat": {"gt": 0}, "set": {"seat": {"$add": 1}}}}}"##,
        r#"{"Guest": {"get": ["seat"], "order": ["id"]}}"#,
        seats,
    )
    .await;
}

#[tokio::test]
async fn a_value_is_taken_over_from_a_row_that_moves_on_or_goes() {
    let moved = r##"{"Room":[{"id":"#1","code":"b"},{"id":"#2","code":"x"},{"id":"#3","code":"c"}]}"##;
    done(
        r##"{"Room": [{"id": "#1", "set": {"code": "b"}}, {"id": "#2", "set": {"code": "x"}}]}"##,
        CODES,
        moved,
    )
    .await;
    let gone = r##"{"Room":[{"id":"#1","code":"c"},{"id":"#2","code":"b"}]}"##;
    done(r##"{"Room": [{"id": "#1", "set": {"code": "c"}}, {"id": "#3", "delete": true}]}"##, CODES, gone)
        .await;
    // The one that waits is itself deleted in the end.
    let none = r##"{"Room":[{"id":"#1","code":"a"},{"id":"#2","code":"b"}]}"##;
    done(r##"{"Room": [{"id": "#3", "set": {"code": "b"}}, {"id": "#3", "delete": true}]}"##, CODES, none)
        .await;
}

#[tokio::test]
async fn what_hangs_on_a_deleted_row_is_what_the_request_has_come_to() {
    let body = r##"{"Guest": [{"id": "#11", "set": {"room": "#2"}}, {"id": "#13", "set": {"seat": 5}}, {"id": "#12", "set": {"room": "#3"}}],
        "Room": {"id": "#1", "delete": true}}"##;
    let guests = r##"{"Guest":[{"id":"#11","room":"#2","seat":1},{"id":"#12","room":"#3","seat":2},{"id":"#13","room":"#2","seat":5}]}"##;
    done(body, r#"{"Guest": {"get": ["room", "seat"], "order": ["id"]}}"#, guests).await;
}

#[tokio::test]
async fn rules_that_read_other_columns_of_other_rows_do_not_stand_in_the_way() {
    done(
        r##"{"Ruled": [{"id": "#21", "set": {"place": 2}}, {"id": "#22", "set": {"place": 1}}]}"##,
        r#"{"Ruled": {"get": ["place"], "order": ["id"]}}"#,
        r##"{"Ruled":[{"id":"#21","place":2},{"id":"#22","place":1}]}"##,
    )
    .await;
}

#[tokio::test]
async fn what_clashes_in_the_end_is_refused_where_it_stands() {
    let app = app().await;
    let taken =
        |path: &str, name: &str| format!("unique\n{path} another Room has this value in `{name}` already");
    for (body, expected) in [
        (
            r##"{"Room": [{"id": "#1", "set": {"code": "b"}}, {"id": "#2", "set": {"code": "c"}}]}"##,
            taken("/Room/1/set/code", "code"),
        ),
        (
            r##"{"Room": [{"id": "#1", "set": {"code": "x"}}, {"id": "#2", "set": {"code": "x"}}]}"##,
            taken("/Room/1/set/code", "code"),
        ),
        (r#"{"Room": {"set": {"code": "x"}, "all": true}}"#, taken("/Room/set/code", "code")),
        (r##"{"Room": {"id": "#1", "set": {"code": "b"}}}"##, taken("/Room/set/code", "code")),
        // Nothing can stand in for an enum's value for a moment.
        (
            r##"{"Room": [{"id": "#1", "set": {"kind": "b"}}, {"id": "#2", "set": {"kind": "a"}}]}"##,
            taken("/Room/0/set/kind", "kind"),
        ),
        // A new row needs its value at once.
        (
            r##"{"Room": [{"id": "#1", "set": {"code": "b"}}, {"create": true, "code": "a", "place": 9, "kind": "c"}, {"id": "#2", "set": {"code": "x"}}]}"##,
            taken("/Room/0/set/code", "code"),
        ),
        // Rows that are looked for are found as they are, so that what waits must be there.
        (
            r##"{"Room": [{"id": "#1", "set": {"code": "b"}}, {"code": "b", "set": {"code": "a"}}]}"##,
            taken("/Room/0/set/code", "code"),
        ),
    ] {
        refused(&app, Caller::anonymous(), body, &expected).await;
    }
    let body = r##"{"Seeing": [{"id": "#31", "set": {"place": 2}}, {"id": "#32", "set": {"place": 1}}]}"##;
    let expected = "unique\n/Seeing/0/set/place another Seeing has this value in `place` already";
    refused(&app, Caller::anonymous(), body, expected).await;
}
