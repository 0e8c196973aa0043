//! Requests that meet others in the middle of theirs: what they find, what they are told, and that nobody hears of a deadlock.
//!
//! Who comes when is decided by locks that somebody outside holds, and by looking who waits for one.

use std::sync::Arc;

use mainstay_engine::ctx::Caller;
use mainstay_engine::error::Error;
use mainstay_testkit::postgres::Outside;
use serde_json::json;
use tokio::task::JoinHandle;

use crate::app::App;
use crate::support::{Request, changes, rows, send, shown};

/// A gate at which every commit of an app waits while it is shut.
pub(crate) struct Gate {
    outside: Outside,
}

impl Gate {
    pub(crate) async fn shut(app: &App) -> Gate {
        let outside = outside(app).await;
        outside
            .run(
                "SELECT pg_advisory_lock(7);
                 CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS
                   $$ BEGIN PERFORM pg_advisory_xact_lock_shared(7); RETURN NULL; END $$;
                 CREATE CONSTRAINT TRIGGER gate AFTER INSERT ON _change DEFERRABLE INITIALLY DEFERRED
                   FOR EACH ROW EXECUTE FUNCTION gate()",
            )
            .await;
        Gate { outside }
    }

    pub(crate) async fn until_waiting(&self, requests: usize, done: impl FnMut() -> bool) {
        self.outside.until_waiting(requests, done).await;
    }

    pub(crate) async fn open(self) {
        self.outside.run("SELECT pg_advisory_unlock(7)").await;
    }
}

async fn outside(app: &App) -> Outside {
    // Past a pooler, whose few connections the requests need.
    let options = &app.place.options;
    let direct = options.postgres.direct_url.as_ref().map(ToString::to_string);
    Outside::connect(&direct.unwrap_or_else(|| options.url.to_string())).await
}

/// A request on its way.
pub(crate) fn sent(app: &Arc<App>, caller: Caller, body: &str) -> JoinHandle<Result<String, Error>> {
    let (app, body) = (app.clone(), body.to_owned());
    tokio::spawn(async move { send(&app, &Request::new(caller, &body)).await })
}

fn asked(app: &Arc<App>, body: &str) -> JoinHandle<Result<String, Error>> {
    sent(app, Caller::anonymous(), body)
}

/// What a request comes to that waits for a row which somebody else changes meanwhile.
async fn behind(app: &Arc<App>, sql: &str, body: &str) -> String {
    let outside = outside(app).await;
    outside.run(&format!("BEGIN; {}", crate::support::with_keys(sql))).await;
    let request = asked(app, body);
    outside.until_waiting(1, || request.is_finished()).await;
    assert!(!request.is_finished(), "nothing was waited for: {:?}", request.await.unwrap());
    outside.run("COMMIT").await;
    shown(request.await.unwrap())
}

const ROOMS: &str = r##"
table House { open bool = true, rooms Room[] by house, allow all }
table Room {
  name  text
  house House
  open  bool = true
  seats Seat[] by room
  allow read if house.open
  allow create, update, delete
}
table Seat { room Room on delete cascade, note text?, allow create if room.house.open, allow read, update, delete }
"##;

async fn rooms() -> Arc<App> {
    let rows = json!([
        ["House", {"id": 1}],
        ["Room", {"id": 2, "name": "a", "house": 1}],
        ["Room", {"id": 3, "name": "b", "house": 1}],
        ["Seat", {"id": 4, "room": 2}]
    ]);
    Arc::new(App::new(ROOMS, rows).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_stops_to_match_while_it_is_waited_for_is_not_found() {
    // By a column of its own, by one of a row that it refers to, and by the rule for reading.
    let touch = r##"UPDATE "Room" SET open = open WHERE id = '#2'"##;
    let close = r##"UPDATE "House" SET open = FALSE WHERE id = '#1'"##;
    let both = format!("{touch}; {close}");
    let ends = [
        (r##"UPDATE "Room" SET open = FALSE WHERE id = '#2'"##, r#""where": "open and name == \"a\"""#),
        (&both, r#""where": "house.open and name == \"a\"""#),
        (&both, r##""name": "a""##),
        (&both, r##""id": "#2""##),
    ];
    for (sql, constraint) in ends {
        for write in [r#""set": {"name": "z"}"#, r#""delete": true"#, r#""seats": {"create": true}"#] {
            let app = rooms().await;
            let found = behind(&app, sql, &format!(r##"{{"Room": {{{constraint}, {write}}}}}"##)).await;
            assert!(
                found == r#"{"Room":[]}"# || found.starts_with("not_found"),
                "{constraint} {write}: {found}"
            );
            assert_eq!(changes(&app).await, Vec::<String>::new(), "{constraint} {write}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_is_asked_of_what_others_have_made_of_the_rows_that_it_reads() {
    let app = rooms().await;
    let close = r##"UPDATE "House" SET open = FALSE WHERE id = '#1'"##;
    let made = behind(&app, close, r##"{"Seat": {"create": true, "room": "#2"}}"##).await;
    // The room is not there for the caller any more.
    assert!(made.starts_with("relation.refused"), "{made}");
    assert_eq!(changes(&app).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_is_given_a_value_is_logged_as_others_have_left_it() {
    let app = rooms().await;
    let note = r##"UPDATE "Seat" SET note = 'theirs' WHERE id = '#4'"##;
    let found = behind(&app, note, r##"{"Seat": {"id": "#4", "set": {"note": "ours"}}}"##).await;
    assert_eq!(found, r##"{"Seat":[{"id":"#4","note":"ours","edited":true}]}"##);
    let log = changes(&app).await;
    let [line] = &log[..] else { panic!("{log:?}") };
    assert!(line.contains(r#""note":"theirs"} "#) && line.contains(r#""note":"ours"} "#), "{line}");
    // Who makes the same of it meanwhile leaves nothing to be done.
    let same = r##"UPDATE "Seat" SET note = 'same' WHERE id = '#4'"##;
    let found = behind(&app, same, r##"{"Seat": {"id": "#4", "set": {"note": "same"}}}"##).await;
    assert_eq!(found, r##"{"Seat":[{"id":"#4","note":"same"}]}"##);
    assert_eq!(changes(&app).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_made_below_one_that_goes_goes_too() {
    let app = rooms().await;
    let gate = Gate::shut(&app).await;
    let made = asked(&app, r##"{"Seat": {"create": true, "room": "#2"}}"##);
    gate.until_waiting(1, || made.is_finished()).await;
    let gone = asked(&app, r##"{"Room": {"id": "#2", "delete": true}}"##);
    gate.until_waiting(2, || gone.is_finished()).await;
    gate.open().await;
    assert_eq!(shown(made.await.unwrap()), r##"{"Seat":[{"id":"@1","room":"#2","new":true}]}"##);
    assert_eq!(shown(gone.await.unwrap()), r##"{"Room":[{"id":"#2","deleted":true}]}"##);
    assert_eq!(rows(&app, r##"{"Seat": {}, "Room": {}}"##).await, r##"{"Seat":[],"Room":[{"id":"#3"}]}"##);
    let log = changes(&app).await;
    assert_eq!(log.iter().filter(|line| line.contains(r#""delete""#)).count(), 3, "{log:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_made_below_one_that_is_gone_is_refused() {
    let app = rooms().await;
    let gate = Gate::shut(&app).await;
    let gone = asked(&app, r##"{"Room": {"id": "#2", "delete": true}}"##);
    gate.until_waiting(1, || gone.is_finished()).await;
    let made = asked(&app, r##"{"Seat": {"create": true, "room": "#2"}}"##);
    gate.until_waiting(2, || made.is_finished()).await;
    gate.open().await;
    assert_eq!(shown(gone.await.unwrap()), r##"{"Room":[{"id":"#2","deleted":true}]}"##);
    assert_eq!(shown(made.await.unwrap()), "relation.refused\n/Seat/room there is no such row to refer to");
}

/// Each has what the other wants next: the database ends one of them, and it is run again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_hears_of_a_deadlock() {
    let app = rooms().await;
    let outside = outside(&app).await;
    outside
        .run(&crate::support::with_keys(r##"BEGIN; SELECT 1 FROM "Seat" WHERE id = '#4' FOR UPDATE"##))
        .await;
    let crossing = |first: &str, then: &str| {
        let set = |key: &str| format!(r##"{{"Room": {{"id": "{key}", "set": {{"name": "z"}}}}}}"##);
        format!(
            r##"[{}, {{"Seat": {{"id": "#4", "set": {{"note": "{first}"}}}}}}, {}]"##,
            set(first),
            set(then)
        )
    };
    let one = asked(&app, &crossing("#2", "#3"));
    outside.until_waiting(1, || one.is_finished()).await;
    // This one has the second room before the seat, and wants the first when it has the seat.
    let other = asked(&app, &crossing("#3", "#2"));
    outside.until_waiting(2, || other.is_finished()).await;
    outside.run("COMMIT").await;
    for request in [one, other] {
        let answer = shown(request.await.unwrap());
        assert!(answer.starts_with('['), "{answer}");
    }
    let named = rows(&app, r##"{"Room": {"name": "z", "get": ["id"]}}"##).await;
    assert_eq!(named, r##"{"Room":[{"id":"#2","name":"z"},{"id":"#3","name":"z"}]}"##);
    assert_eq!(app.engine.store().metrics().reruns, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_given_meanwhile_is_stepped_over() {
    let app = Arc::new(App::new("table Ticket { id int, note text?, allow all }", json!([])).await);
    let gate = Gate::shut(&app).await;
    let given = asked(&app, r#"{"Ticket": {"create": true, "id": 2}}"#);
    gate.until_waiting(1, || given.is_finished()).await;
    let drawn = [(); 2].map(|()| asked(&app, r#"{"Ticket": [{"create": true}, {"create": true}]}"#));
    gate.until_waiting(3, || drawn.iter().any(JoinHandle::is_finished)).await;
    gate.open().await;
    assert_eq!(shown(given.await.unwrap()), r#"{"Ticket":[{"id":2,"new":true}]}"#);
    for drawn in drawn {
        let answer = shown(drawn.await.unwrap());
        assert!(answer.ends_with(r#""new":true}]}"#), "{answer}");
    }
    let keys = r#"{"Ticket":[{"id":2},{"id":3},{"id":4},{"id":5},{"id":6}]}"#;
    assert_eq!(rows(&app, r#"{"Ticket": {"get": ["id"], "order": "id"}}"#).await, keys);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_of_a_request_that_is_refused_goes_to_the_one_that_waited_for_it() {
    let app = "table Shelf { size int, books Book[] by shelf, allow all } \
               table Book { shelf Shelf, number int auto per (shelf), title text unique, allow all }";
    let app = Arc::new(App::new(app, json!([["Shelf", {"id": 1, "size": 9}]])).await);
    let gate = Gate::shut(&app).await;
    let create =
        |title: &str| format!(r##"{{"Book": {{"create": true, "shelf": "#1", "title": "{title}"}}}}"##);
    let first = asked(&app, &create("a"));
    gate.until_waiting(1, || first.is_finished()).await;
    // This one has drawn the next number, and is refused for its title.
    let refused = asked(&app, &create("a"));
    gate.until_waiting(2, || refused.is_finished()).await;
    let last = asked(&app, &create("b"));
    gate.until_waiting(3, || last.is_finished()).await;
    gate.open().await;
    let refused = shown(refused.await.unwrap());
    assert!(refused.starts_with("unique\n/Book/title"), "{refused}");
    assert!(first.await.unwrap().is_ok() && last.await.unwrap().is_ok());
    let books = rows(&app, r#"{"Book": {"get": ["number", "title"], "order": "number"}}"#).await;
    assert!(
        books.contains(r#""number":1,"title":"a""#) && books.contains(r#""number":2,"title":"b""#),
        "{books}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_that_change_hands_do_so_for_everybody() {
    let app = "table Slot { place int unique, note text?, allow all }";
    let slots = (1..=3).map(|slot| json!(["Slot", {"id": slot, "place": slot}])).collect();
    let app = Arc::new(App::new(app, slots).await);
    let gate = Gate::shut(&app).await;
    let swap = r##"{"Slot": [{"id": "#1", "set": {"place": 2}}, {"id": "#2", "set": {"place": 1}}]}"##;
    let swapped = asked(&app, swap);
    gate.until_waiting(1, || swapped.is_finished()).await;
    let rotated = asked(&app, r##"{"Slot": {"set": {"place": {"$add": 1}}, "all": true}}"##);
    gate.until_waiting(2, || rotated.is_finished()).await;
    let taken = asked(&app, r##"{"Slot": {"create": true, "place": 1}}"##);
    gate.until_waiting(3, || taken.is_finished()).await;
    gate.open().await;
    assert!(swapped.await.unwrap().is_ok() && rotated.await.unwrap().is_ok());
    // Whether it came before the others had moved on or after.
    let is_made = taken.await.unwrap().is_ok();
    let slots =
        rows(&app, r##"{"Slot": {"get": ["place"], "id": ["#1", "#2", "#3"], "order": "id"}}"##).await;
    let expected = r##"{"Slot":[{"id":"#1","place":3},{"id":"#2","place":2},{"id":"#3","place":4}]}"##;
    assert_eq!(slots, expected);
    let first = rows(&app, r##"{"Slot": {"place": 1, "get": ["place"]}}"##).await;
    assert_eq!(first.contains(r#""place":1"#), is_made, "{first}");
}

const COUNTS: &str = r##"
table Count { n int, note text?, allow read, create, allow update if n < 20 }
"##;

/// A row that is changed alone is not held before it is written: what came in between is seen all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_stands_on_the_row_as_it_is_when_it_is_written() {
    let add = r##"{"Count": {"id": "#1", "set": {"n": {"$add": 1}}}}"##;
    let ends = [
        (
            r##"UPDATE "Count" SET n = 10 WHERE id = '#1'"##,
            r##"{"Count":[{"id":"#1","n":11,"edited":true}]}"##,
            1,
        ),
        // Not even a change that changes nothing is passed over.
        (
            r##"UPDATE "Count" SET n = n WHERE id = '#1'"##,
            r##"{"Count":[{"id":"#1","n":2,"edited":true}]}"##,
            1,
        ),
        (
            r##"UPDATE "Count" SET n = 20 WHERE id = '#1'"##,
            "rule.refused\n/Count you may not change this Count",
            0,
        ),
        (r##"DELETE FROM "Count" WHERE id = '#1'"##, r##"{"Count":[]}"##, 0),
    ];
    for (sql, expected, lines) in ends {
        let app = Arc::new(App::new(COUNTS, json!([["Count", {"id": 1, "n": 1}]])).await);
        assert_eq!(behind(&app, sql, add).await, expected, "{sql}");
        assert_eq!(changes(&app).await.len(), lines, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_change_of_a_row_that_many_change_is_lost() {
    let app = Arc::new(App::new(COUNTS, json!([["Count", {"id": 1, "n": -20}]])).await);
    let add = r##"{"Count": {"id": "#1", "set": {"n": {"$add": 1}}}}"##;
    let asked: Vec<_> = (0..32).map(|_| asked(&app, add)).collect();
    for answer in asked {
        shown(answer.await.unwrap());
    }
    let found = rows(&app, r#"{"Count": {"get": ["n"]}}"#).await;
    assert_eq!(found, r##"{"Count":[{"id":"#1","n":12}]}"##);
    assert_eq!(changes(&app).await.len(), 32);
}
