//! Two requests of which each would be refused behind the other, begun together: never are both kept.
//!
//! Both run to their ends before either is committed: a trigger makes every commit wait at a gate that the test opens. So
//! each has asked all its rules and checks while the other's writes cannot be seen yet, unless what it has locked makes one
//! of them wait for the other.

use std::sync::Arc;

use mainstay_engine::ctx::Caller;
use serde_json::{Value as Json, json};

use crate::app::App;
use crate::interleaved::{Gate, sent};
use crate::support::rows;

/// Two requests that must not both be kept, on the rows that are there.
struct Case {
    app: &'static str,
    rows: Json,
    requests: [&'static str; 2],
    /// Finds what is wrong when both are kept.
    wrong: &'static str,
}

/// In both orders, each on a database of its own. The caller is user 1.
async fn check(case: Case) {
    for [first, second] in [[0, 1], [1, 0]] {
        let app = Arc::new(App::new(case.app, case.rows.clone()).await);
        let user = async || match case.app.contains("extend User") {
            true => app.user(1).await,
            false => Caller::anonymous(),
        };
        let gate = Gate::shut(&app).await;
        let first = sent(&app, user().await, case.requests[first]);
        gate.until_waiting(1, || first.is_finished()).await;
        let second = sent(&app, user().await, case.requests[second]);
        gate.until_waiting(2, || second.is_finished()).await;
        gate.open().await;
        let answers = [first.await.unwrap(), second.await.unwrap()];
        let kept = answers.iter().filter(|answer| answer.is_ok()).count();
        assert!(kept > 0, "{answers:?}");
        for answer in answers {
            let key = answer.map_or_else(|error| error.key.text().to_owned(), |_| "kept".to_owned());
            let expected = ["kept", "rule.refused", "check.failed", "relation.refused"];
            assert!(expected.contains(&key.as_str()), "{key}");
        }
        let wrong = rows(&app, case.wrong).await;
        assert!(wrong.ends_with(":[]}"), "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_a_relation_are_counted_by_one_at_a_time() {
    check(Case {
        app: r##"
table Room { seats Seat[] by room, check seats.count() <= 1 "full", allow all }
table Seat { room Room, allow all }"##,
        rows: json!([["Room", {"id": 1}]]),
        requests: [
            r##"{"Seat": {"create": true, "room": "#1"}}"##,
            r##"{"Room": {"id": "#1", "seats": {"create": true}}}"##,
        ],
        wrong: r##"{"Room": {"where": "seats.count() > 1"}}"##,
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_summed_is_not_changed_beside_it() {
    check(Case {
        app: r##"
table Account { lines Line[] by account, check lines.sum(amount) >= 0 "overdrawn", allow all }
table Line { account Account, amount int, allow all }"##,
        rows: json!([
            ["Account", {"id": 1}],
            ["Line", {"id": 11, "account": 1, "amount": 10}],
            ["Line", {"id": 12, "account": 1, "amount": 5}]
        ]),
        requests: [
            r##"{"Line": {"id": "#11", "set": {"amount": {"$add": -14}}}}"##,
            r##"{"Line": {"create": true, "account": "#1", "amount": -4}}"##,
        ],
        wrong: r##"{"Account": {"where": "lines.sum(amount) < 0"}}"##,
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_the_rows_of_a_relation_refer_to_stay_as_they_are() {
    check(Case {
        app: r##"
table Person { active bool = true, allow all }
table Room { seats Seat[] by room, check seats.all(owner.active) "inactive", allow all }
table Seat { room Room, owner Person, allow all }"##,
        rows: json!([["Room", {"id": 1}], ["Person", {"id": 2}]]),
        requests: [
            r##"{"Seat": {"create": true, "room": "#1", "owner": "#2"}}"##,
            r##"{"Person": {"id": "#2", "set": {"active": false}}}"##,
        ],
        wrong: r##"{"Room": {"where": "seats.any(not owner.active)"}}"##,
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn relations_of_the_rows_of_a_relation_stay_as_they_are() {
    check(Case {
        app: r##"
table House { rooms Room[] by house, check rooms.all(seats.any()) "empty", allow all }
table Room { house House, seats Seat[] by room, allow all }
table Seat { room Room, allow all }"##,
        rows: json!([
            ["House", {"id": 1}],
            ["Room", {"id": 2, "house": 1}],
            ["Seat", {"id": 11, "room": 2}],
            ["Seat", {"id": 12, "room": 2}]
        ]),
        requests: [
            r##"{"Seat": {"id": "#11", "delete": true}}"##,
            r##"{"Seat": {"id": "#12", "delete": true}}"##,
        ],
        wrong: r##"{"House": {"where": "rooms.any(seats.none())"}}"##,
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn linked_rows_stay_as_they_are() {
    check(Case {
        app: r##"
table Room { fans Fan[], check fans.all(active) "inactive", allow all }
table Fan { active bool = true, rooms Room[] by fans, allow all }"##,
        rows: json!([["Room", {"id": 1}], ["Fan", {"id": 2}]]),
        requests: [
            r##"{"Room": {"id": "#1", "fans": {"add": "#2"}}}"##,
            r##"{"Fan": {"id": "#2", "set": {"active": false}}}"##,
        ],
        wrong: r##"{"Room": {"where": "fans.any(not active)"}}"##,
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_are_counted_from_either_side_by_one_at_a_time() {
    check(Case {
        app: r##"
table Room { fans Fan[], allow all }
table Fan { rooms Room[] by fans, check rooms.count() <= 1 "torn", allow all }"##,
        rows: json!([["Room", {"id": 1}], ["Room", {"id": 2}], ["Fan", {"id": 3}]]),
        requests: [
            r##"{"Room": {"id": "#1", "fans": {"add": "#3"}}}"##,
            r##"{"Fan": {"id": "#3", "rooms": {"add": "#2"}}}"##,
        ],
        wrong: r##"{"Fan": {"where": "rooms.count() > 1"}}"##,
    })
    .await;
}

/// Rules about relations on both sides: of the caller, and of the row.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_rule_finds_through_the_caller_stays_so() {
    check(Case {
        app: r##"
extend User { members Member[] by user, allow all }
table Member { user User, room Room, allow create, read, allow delete if room.notes.none() }
table Room { notes Note[] by room, members Member[] by room, allow read }
table Note { room Room, allow create if user.members.any(room == this.room), allow read }"##,
        rows: json!([
            ["User", {"id": 1, "email": "a@example.com", "name": "Ann"}],
            ["Room", {"id": 2}],
            ["Member", {"id": 3, "user": 1, "room": 2}]
        ]),
        requests: [
            r##"{"Note": {"create": true, "room": "#2"}}"##,
            r##"{"Member": {"id": "#3", "delete": true}}"##,
        ],
        wrong: r##"{"Note": {"where": "room.members.none()"}}"##,
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_row_on_the_way_of_a_rule_stays_as_it_is() {
    check(Case {
        app: r##"
table City { open bool = true, houses House[] by city, allow all }
table House { city City, rooms Room[] by house, allow read, allow update if rooms.none(notes.any()) }
table Room { house House, notes Note[] by room, allow read }
table Note { room Room, allow create if room.house.city.open, allow read }"##,
        rows: json!([
            ["City", {"id": 1}],
            ["City", {"id": 2, "open": false}],
            ["House", {"id": 3, "city": 1}],
            ["Room", {"id": 4, "house": 3}]
        ]),
        requests: [
            r##"{"Note": {"create": true, "room": "#4"}}"##,
            r##"{"House": {"id": "#3", "set": {"city": "#2"}}}"##,
        ],
        wrong: r##"{"Note": {"where": "not room.house.city.open"}}"##,
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_is_referred_to_stays_readable() {
    check(Case {
        app: r##"
table Folder { open bool = true, docs Doc[] by folder, allow read, allow update if docs.none(posts.any()) }
table Doc { folder Folder, posts Post[] by doc, allow read if folder.open }
table Post { doc Doc, allow create, allow read }"##,
        rows: json!([["Folder", {"id": 1}], ["Doc", {"id": 2, "folder": 1}]]),
        requests: [
            r##"{"Post": {"create": true, "doc": "#2"}}"##,
            r##"{"Folder": {"id": "#1", "set": {"open": false}}}"##,
        ],
        wrong: r##"{"Post": {"where": "not doc.folder.open"}}"##,
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_is_found_stays_readable() {
    check(Case {
        app: r##"
table Folder { open bool = true, docs Doc[] by folder, allow read, allow update if docs.none(done) }
table Doc { folder Folder, done bool = false, allow read if folder.open, allow update }"##,
        rows: json!([["Folder", {"id": 1}], ["Doc", {"id": 2, "folder": 1}]]),
        requests: [
            r##"{"Doc": {"where": "not done", "set": {"done": true}}}"##,
            r##"{"Folder": {"id": "#1", "set": {"open": false}}}"##,
        ],
        wrong: r##"{"Doc": {"where": "done and not folder.open"}}"##,
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_column_by_which_a_row_is_found_stays_readable() {
    check(Case {
        app: r##"
table Folder { open bool = true, docs Doc[] by folder, allow read, allow update if docs.none(box.used) }
table Box { used bool = false, allow read, allow update }
table Doc { folder Folder, box Box, allow read, allow read(box) if folder.open, allow update }"##,
        rows: json!([["Folder", {"id": 1}], ["Box", {"id": 3}], ["Doc", {"id": 2, "folder": 1, "box": 3}]]),
        requests: [
            r##"{"Doc": {"id": "#2", "box": {"set": {"used": true}, "all": true}}}"##,
            r##"{"Folder": {"id": "#1", "set": {"open": false}}}"##,
        ],
        wrong: r##"{"Doc": {"where": "box.used and not folder.open"}}"##,
    })
    .await;
}
