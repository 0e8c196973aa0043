//! A shop with guarded, hidden and secret columns, decimals, lists and json; and what may not be learnt of them.

use mainstay_engine::ctx::Caller;
use mainstay_engine::limits::Limits;
use mainstay_testkit::database::Place;
use serde_json::json;

use crate::app::App;

const SCHEMA: &str = r#"
app shop "Shop"

table Artist {
  name    text(100)
  albums  Album[] by artist
  allow read
}

table Album {
  title   text(100)
  artist  Artist
  tags    text[]
  data    json?
  lines   Line[] by album
  allow read
}

table Staff {
  name    text(100)
  salary  decimal(10,2)
  pin     text(8) secret
  note    text? hidden
  boss    Staff?
  team    Staff[] by boss
  orders  Order[] by seller
  allow read                 if signed_in
  allow read(salary)         if user.can("hr") or name == user.name
  allow read(boss)           if user.can("hr")
}

table Order {
  number  int
  seller  Staff
  owner   User
  lines   Line[] by parent
  order   -number
  allow read  if owner == user or user.can("sales")
}

table Line {
  parent    Order
  album     Album
  quantity  int
  price     decimal(10,2)
  allow read  if parent.owner == user or user.can("sales")
}
"#;

/// Users: 11 "Ann", 12 may read salaries, 13 sells. Staff 31 Ann is led by 32 Bo.
async fn shop() -> App {
    App::new(
        SCHEMA,
        json!([
            ["User", {"id": 11, "email": "ann@a.b", "name": "Ann"}],
            ["User", {"id": 12, "email": "hr@a.b", "name": "Hr"}],
            ["User", {"id": 13, "email": "sue@a.b", "name": "Sue"}],
            ["Grant", {"id": 91, "user": 12, "permission": "hr"}],
            ["Grant", {"id": 92, "user": 13, "permission": "sales"}],
            ["Artist", {"id": 21, "name": "AC/DC"}],
            ["Artist", {"id": 22, "name": "Björk"}],
            ["Album", {"id": 23, "title": "Back", "artist": 21, "tags": ["rock", "old"], "data": {"year": 1980, "x": [1.50]}}],
            ["Album", {"id": 24, "title": "Post", "artist": 22, "tags": []}],
            ["Staff", {"id": 32, "name": "Bo", "salary": "9000.00", "pin": "4711", "note": "quits"}],
            ["Staff", {"id": 31, "name": "Ann", "salary": "1000.50", "pin": "1234", "boss": 32}],
            ["Order", {"id": 41, "number": 1, "seller": 31, "owner": 11}],
            ["Order", {"id": 42, "number": 2, "seller": 32, "owner": 12}],
            ["Line", {"id": 51, "parent": 41, "album": 23, "quantity": 2, "price": "9.90"}],
            ["Line", {"id": 52, "parent": 41, "album": 24, "quantity": 1, "price": "0.10"}],
            ["Line", {"id": 53, "parent": 42, "album": 24, "quantity": 7, "price": "1.00"}]
        ]),
    )
    .await
}

#[tokio::test]
async fn values_on_the_wire() {
    let app = shop().await;
    for (request, expected) in [
        (
            r##"{"Album": {"id": "#23", "get": "*"}}"##,
            r##"{"Album":[{"id":"#23","created":"2026-01-31T12:00:00.000000Z","updated":"2026-01-31T12:00:00.000000Z","title":"Back","artist":"#21","tags":["rock","old"],"data":{"year":1980,"x":[1.5]}}]}"##,
        ),
        (r##"{"Album": {"tags": ["rock", "old"]}}"##, r##"{"Album":[{"id":"#23","tags":["rock","old"]}]}"##),
        (
            r##"{"Album": {"tags": [["rock", "old"], []]}}"##,
            r##"{"Album":[{"id":"#23","tags":["rock","old"]},{"id":"#24","tags":[]}]}"##,
        ),
        (
            r##"{"Album": {"data": {"not": null}}}"##,
            r##"{"Album":[{"id":"#23","data":{"year":1980,"x":[1.5]}}]}"##,
        ),
        (
            r##"{"Album": {"where": "data.year == \"1980\" and \"old\" in tags"}}"##,
            r##"{"Album":[{"id":"#23"}]}"##,
        ),
        (r##"{"Album": {"tags": "rock"}}"##, "value.invalid /Album/tags: must be an array, not a string"),
    ] {
        app.check(Caller::anonymous(), request, expected).await;
    }
    app.check(
        app.user(13).await,
        r#"{"Line": {"price": {"ge": "1.00"}, "order": "-price", "album": {"artist": {"get": "name"}}}}"#,
        r##"{"Line":[{"id":"#51","price":"9.90","album":{"id":"#23","artist":{"id":"#21","name":"AC/DC"}}},{"id":"#53","price":"1.00","album":{"id":"#24","artist":{"id":"#22","name":"Björk"}}}]}"##,
    )
    .await;
}

#[tokio::test]
async fn a_guarded_column_is_absent_and_counts_as_null() {
    let app = shop().await;
    let ann = r##"{"id":"#31","name":"Ann","salary":"1000.50"}"##;
    let bo = r##"{"id":"#32","name":"Bo"}"##;
    let bo_with = r##"{"id":"#32","name":"Bo","salary":"9000.00"}"##;
    let request = r#"{"Staff": {"get": ["name", "salary"], "order": "name"}}"#;
    app.check(app.user(11).await, request, &format!(r#"{{"Staff":[{ann},{bo}]}}"#)).await;
    app.check(app.user(12).await, request, &format!(r#"{{"Staff":[{ann},{bo_with}]}}"#)).await;
    app.check(Caller::administrator(), request, &format!(r#"{{"Staff":[{ann},{bo_with}]}}"#)).await;
    for (request, expected) in [
        // Own value found, the other one not guessed.
        (r#"{"Staff": {"salary": {"gt": 0}}}"#, r##"{"Staff":[{"id":"#31","salary":"1000.50"}]}"##),
        (r#"{"Staff": {"salary": null}}"#, r##"{"Staff":[{"id":"#32"}]}"##),
        (r#"{"Staff": {"where": "salary > 5000 or salary < 10"}}"#, r#"{"Staff":[]}"#),
        (r#"{"Staff": {"where": "not (salary > 5000)"}}"#, r##"{"Staff":[{"id":"#31"}]}"##),
        (
            r#"{"Staff": {"aggregate": {"all": "sum(salary)", "most": "max(salary)", "n": "count(salary)"}}}"#,
            r#"{"Staff":[{"all":"1000.50","most":"1000.50","n":1}]}"#,
        ),
        (
            r#"{"Staff": {"order": "salary"}}"#,
            "column.guarded /Staff/order/0: `salary` may not be read in every row, so rows cannot be sorted or grouped by it",
        ),
        (
            r#"{"Staff": {"aggregate": {"n": "count()"}, "group": "salary"}}"#,
            "column.guarded /Staff/group/0: `salary` may not be read in every row, so rows cannot be sorted or grouped by it",
        ),
        (
            r#"{"Order": {"order": "seller.salary"}}"#,
            "column.guarded /Order/order/0: `salary` may not be read in every row, so rows cannot be sorted or grouped by it",
        ),
        (r#"{"Order": {"seller": {"salary": {"gt": 5000}, "required": true}}}"#, r#"{"Order":[]}"#),
        (r#"{"Order": {"where": "seller.salary > 1"}}"#, r##"{"Order":[{"id":"#41"}]}"##),
        (
            r#"{"Order": {"seller": {"get": ["salary"]}}}"#,
            r##"{"Order":[{"id":"#41","seller":{"id":"#31","salary":"1000.50"}}]}"##,
        ),
    ] {
        app.check(app.user(11).await, request, expected).await;
    }
    app.check(
        app.user(12).await,
        r#"{"Staff": {"order": "-salary"}}"#,
        r##"{"Staff":[{"id":"#32"},{"id":"#31"}]}"##,
    )
    .await;
}

#[tokio::test]
async fn a_guarded_relation_cannot_be_walked_in_either_direction() {
    let app = shop().await;
    for (request, expected) in [
        (
            r#"{"Staff": {"order": "name", "boss": {"get": "name"}}}"#,
            r##"{"Staff":[{"id":"#31"},{"id":"#32"}]}"##,
        ),
        (
            r#"{"Staff": {"order": "name", "team": {"get": "name"}}}"#,
            r##"{"Staff":[{"id":"#31","team":[]},{"id":"#32","team":[]}]}"##,
        ),
        (r#"{"Staff": {"team": {"required": true}}}"#, r#"{"Staff":[]}"#),
        (r#"{"Staff": {"boss": {"required": true}}}"#, r#"{"Staff":[]}"#),
        (r##"{"Staff": {"boss": "#32"}}"##, r#"{"Staff":[]}"#),
        (r##"{"Staff": {"boss": {"not": null}}}"##, r#"{"Staff":[]}"#),
        (
            r#"{"Staff": {"where": "boss.name == \"Bo\" or team.any(true) or not team.none(true) or team.count() > 0"}}"#,
            r#"{"Staff":[]}"#,
        ),
        (
            r#"{"Staff": {"order": "boss.name"}}"#,
            "column.guarded /Staff/order/0: `boss` may not be read in every row, so rows cannot be sorted or grouped by it",
        ),
        (
            r#"{"Staff": {"name": "Bo", "team": {"aggregate": {"n": "count()"}}}}"#,
            r##"{"Staff":[{"id":"#32","name":"Bo","team":[{"n":0}]}]}"##,
        ),
        (
            r#"{"Staff": {"name": "Bo", "team": {"count": true}}}"#,
            r##"{"Staff":[{"id":"#32","name":"Bo","team":[],"team@":{"count":0}}]}"##,
        ),
    ] {
        app.check(app.user(11).await, request, expected).await;
    }
    app.check(
        app.user(12).await,
        r#"{"Staff": {"where": "team.any(name == \"Ann\")", "team": {"boss": {"get": "name"}}}}"#,
        r##"{"Staff":[{"id":"#32","team":[{"id":"#31","boss":{"id":"#32","name":"Bo"}}]}]}"##,
    )
    .await;
}

#[tokio::test]
async fn a_secret_column_has_no_name() {
    let app = shop().await;
    for caller in [app.user(12).await, Caller::administrator()] {
        for (part, place) in [
            (r#""pin": "4711""#, "/Staff/pin"),
            (r#""get": ["pin"]"#, "/Staff/get"),
            (r#""where": "pin == \"4711\"""#, "/Staff/where"),
            (r#""order": "pin""#, "/Staff/order/0"),
            (r#""aggregate": {"n": "max(pin)"}"#, "/Staff/aggregate/n"),
            (r#""aggregate": {"n": "count()"}, "group": ["pin"]"#, "/Staff/group/0"),
        ] {
            let error = app
                .run(
                    Caller { user: caller.user.clone(), admin: caller.admin, ..Caller::anonymous() },
                    &format!(r#"{{"Staff": {{{part}}}}}"#),
                )
                .await;
            let error = error.expect_err(part);
            assert_eq!(error.errors[0].path, place, "{error}");
            assert!(!error.detail.contains("mean `pin`"), "{error}");
        }
    }
    app.check(
        Caller::administrator(),
        r#"{"Staff": {"name": "Bo", "get": "*"}}"#,
        r##"{"Staff":[{"id":"#32","created":"2026-01-31T12:00:00.000000Z","updated":"2026-01-31T12:00:00.000000Z","name":"Bo","salary":"9000.00","boss":null}]}"##,
    )
    .await;
    app.check(
        app.user(11).await,
        r#"{"Staff": {"name": "Bo", "get": "note"}}"#,
        r##"{"Staff":[{"id":"#32","note":"quits","name":"Bo"}]}"##,
    )
    .await;
}

#[tokio::test]
async fn unreadable_rows_do_not_count() {
    let app = shop().await;
    for (request, expected) in [
        (
            r#"{"Album": {"get": "title", "order": "title", "lines": {"count": true}}}"#,
            r##"{"Album":[{"id":"#23","title":"Back","lines":[{"id":"#51"}],"lines@":{"count":1}},{"id":"#24","title":"Post","lines":[{"id":"#52"}],"lines@":{"count":1}}]}"##,
        ),
        (r#"{"Album": {"where": "lines.sum(quantity) > 5"}}"#, r#"{"Album":[]}"#),
        (r#"{"Album": {"where": "lines.any(quantity == 7)"}}"#, r#"{"Album":[]}"#),
        (r#"{"Album": {"where": "lines.all(quantity < 7)"}}"#, r##"{"Album":[{"id":"#23"},{"id":"#24"}]}"##),
        (r#"{"Album": {"lines": {"quantity": 7, "required": true}}}"#, r#"{"Album":[]}"#),
        (
            r#"{"Line": {"aggregate": {"sold": "sum(quantity * price)"}, "group": ["album.artist.name"], "order": "-sold"}}"#,
            r#"{"Line":[{"album.artist.name":"AC/DC","sold":"19.80"},{"album.artist.name":"Björk","sold":"0.10"}]}"#,
        ),
        (r#"{"Line": {"count": true, "limit": 0}}"#, r#"{"Line":[],"Line@":{"count":2,"next":null}}"#),
    ] {
        app.check(app.user(11).await, request, expected).await;
    }
}

/// An overflow is an error, and an error on a row that may not be read would tell what is in it.
#[tokio::test]
async fn a_filter_that_overflows_tells_nothing_of_rows_that_may_not_be_read() {
    let schema = r#"
        table Note { n int, lines Line[] by note, allow read if n < 0 }
        table Line { n int, note Note, allow read if n < 0 }
    "#;
    let rows = json!([
        ["Note", {"id": 1, "n": 5}],
        ["Note", {"id": 2, "n": -1}],
        ["Line", {"id": 3, "n": 5, "note": 2}],
        ["Line", {"id": 4, "n": -1, "note": 2}],
    ]);
    let app = App::new(schema, rows).await;
    for filter in ["n + 9223372036854775807 > 0", "lines.any(n + 9223372036854775807 > 0)"] {
        let request = json!({"Note": {"where": filter}}).to_string();
        app.check(Caller::anonymous(), &request, r##"{"Note":[{"id":"#2"}]}"##).await;
    }
}

/// Rows at every level count alike, of all parts together.
#[tokio::test]
async fn an_answer_has_as_many_rows_as_it_may_and_no_more() {
    let limits = Limits { rows: 9, ..Limits::default() };
    let text = "table House { rooms Room[] by house, allow all } \
                table Room { house House, seats Seat[] by room, allow all } \
                table Seat { room Room, allow all }";
    let mut rows = vec![json!(["House", {"id": 1}])];
    rows.extend([2, 3].map(|room| json!(["Room", {"id": room, "house": 1}])));
    rows.extend((4..=7).map(|seat| json!(["Seat", {"id": seat, "room": 2 + seat % 2}])));
    let app = App::at(Place::new(crate::ON).unwrap(), limits, text, rows.into()).await;
    let limit = "limit.exceeded";
    // Seven rows below each other; three more beside them, or two to each of four.
    let tree = r#""House": {"rooms": {"seats": {"get": ["id"]}}}"#;
    for (request, fits) in [
        (format!("{{{tree}}}"), true),
        (format!(r#"{{{tree}, "Room": {{}}}}"#), true),
        (format!(r#"{{{tree}, "Room": {{}}, "Seat": {{"limit": 1}}}}"#), false),
        (r#"{"Seat": {"room": {"get": ["id"]}}}"#.to_owned(), true),
        (r#"{"Seat": {"room": {"house": {"get": ["id"]}}}}"#.to_owned(), false),
        // Nothing is read of the row that tells that more follow.
        (r#"{"Seat": {"limit": 3, "room": {"house": {"get": ["id"]}}}}"#.to_owned(), true),
        (r#"{"Seat": {"limit": 4, "room": {"house": {"get": ["id"]}}}}"#.to_owned(), false),
    ] {
        let answer = app.run(Caller::administrator(), &request).await;
        let key = answer.map_or_else(|error| error.key.text().to_owned(), |_| "answered".to_owned());
        assert_eq!(key, if fits { "answered" } else { limit }, "{request}");
    }
}
