//! How often a write waits for the database: once for whatever has to be known before it goes on, and once to be kept.

use mainstay_engine::ctx::Caller;
use mainstay_engine::limits::Limits;
use mainstay_testkit::database::{DatabaseKind, Place};
use mainstay_testkit::postgres::Postgres;
use mainstay_testkit::proxy::Proxy;
use serde_json::json;

use crate::app::App;
use crate::support::{Request, send};

const APP: &str = r##"
table Shop { open bool = true, name text, shelves Shelf[] by shop, allow all }
table Shelf { shop Shop, size int = 9, books Book[] by shelf, check books.count() <= size "full", allow all }
table Book {
  shelf Shelf?
  shop  Shop?
  title text
  pages Page[] by book
  allow create if shop == null or shop.open
  allow read, update, delete
}
table Page { book Book on delete cascade, n int, allow all }
table Ticket { id int, allow all }
table Seat {
  name  text
  taken int = 0
  allow all if name != null
  check taken >= 0 "less than none"
}
"##;

#[tokio::test]
async fn a_write_waits_no_oftener_than_it_must() {
    let mut place = Place::new(DatabaseKind::Postgres).unwrap();
    let proxy = Proxy::start(Postgres::shared().port()).await.unwrap();
    // A pooler in between has round trips of its own.
    place.options.postgres.pgbouncer = false;
    let past = place.options.postgres.direct_url.take().map(|direct| direct.to_string());
    let direct = past.unwrap_or_else(|| place.options.url.to_string());
    let through = direct.replace(&format!(":{}/", Postgres::shared().port()), &format!(":{}/", proxy.port()));
    place.options.url = through.parse().unwrap();
    place.options.postgres.writers = 1;
    let rows = json!([["Shop", {"id": 1, "name": "a"}], ["Shelf", {"id": 2, "shop": 1}], ["Seat", {"id": 3, "name": "a"}], ["Seat", {"id": 4, "name": "b"}]]);
    let app = App::at(place, Limits::default(), APP, rows).await;
    // Each with the round trips that it takes once its statements are prepared.
    let pages = r##"[{"create": true, "n": 1}, {"create": true, "n": 2}]"##;
    let nested = format!(r##"{{"Book": {{"create": true, "title": "a", "pages": {pages}}}}}"##);
    let requests = [
        // The row with its line of the log, all in one statement.
        (r##"{"Shop": {"create": true, "name": "a"}}"##, None, 1),
        // The row with its rule, then the log with the commit.
        (r##"{"Book": {"create": true, "title": "a"}}"##, None, 2),
        (&*nested, None, 2),
        // Its number before.
        (r##"{"Ticket": {"create": true}}"##, None, 2),
        // The row that it refers to is held with that, as its rule reads it.
        (r##"{"Book": {"create": true, "title": "a", "shop": "#1"}}"##, None, 2),
        // The check behind.
        (r##"{"Book": {"create": true, "title": "a", "shelf": "#2"}}"##, None, 4),
        // A row that is given values, with its line of the log and the answer; what its rule and its check say stands with it.
        (r##"{"Shop": {"id": "#1", "set": {"name": "@"}}}"##, None, 1),
        (r##"{"Seat": {"id": "#3", "set": {"name": "@"}, "get": ["taken"]}}"##, None, 1),
        // The row as it stands, then all else in one statement: of what the row holds, or of what stands below it in the answer.
        (r##"{"Seat": {"id": "#3", "set": {"taken": {"$add": 1}}}}"##, None, 2),
        (r##"{"Shop": {"id": "#1", "set": {"name": "@"}, "shelves": {"get": ["size"]}}}"##, None, 3),
        // It stays as it is: then it is looked at, and read for the answer.
        (r##"{"Seat": {"id": "#4", "set": {"taken": 0}}}"##, None, 4),
        // Rows beside each other, with their lines of the log.
        (r##"{"Shop": [{"create": true, "name": "a"}, {"create": true, "name": "b"}]}"##, None, 1),
        // The answer that may be kept already before.
        (r##"{"Ticket": {"create": true}}"##, Some("@"), 3),
    ];
    let mut found = Vec::new();
    for (body, key, _) in &requests {
        let mut trips = 0;
        for round in 0..2 {
            let name = format!("0123456789abcdef0123456789abcd{}{round}", found.len() % 10);
            let body = body.replace('@', &name);
            let request =
                Request { key: key.map(|_| name.as_str()), ..Request::new(Caller::anonymous(), &body) };
            let before = proxy.round_trips();
            send(&app, &request).await.unwrap_or_else(|error| panic!("{body}: {error}"));
            trips = proxy.round_trips() - before;
        }
        found.push(trips);
    }
    assert_eq!(found, requests.map(|(_, _, trips)| trips));
}
