//! How many rows a read may have: counted exactly, nested ones included, those that nobody sees not.

use mainstay_engine::ctx::Caller;
use mainstay_engine::limits::Limits;
use serde_json::{Value as Json, json};

use crate::app::{App, with_keys, without_keys};

const TEXT: &str = r##"
table Team {
  name    text(50)
  captain Member?
  members Member[] by team
  allow read
}
table Member {
  team Team
  notes Note[] by member
  allow read
}
table Note {
  member Member
  allow read
}
"##;

/// Two teams: one of five with a captain, of whom the first has a note, one of forty.
async fn teams(rows: u64) -> App {
    let mut data =
        vec![json!(["Team", {"id": 1, "name": "Five"}]), json!(["Team", {"id": 2, "name": "Forty"}])];
    let member = |number: u32| json!(["Member", {"id": number, "team": if number <= 5 { 1 } else { 2 }}]);
    data.extend((1..=45).map(member));
    data.push(json!(["Note", {"id": 1, "member": 1}]));
    let app = App::limited(TEXT, Json::Array(data), Limits { rows, ..Limits::default() }).await;
    app.change(r##"{"Team": {"id": "#1", "set": {"captain": "#1"}}}"##).await;
    app
}

/// The key of every refusal here.
const MORE: &str = "limit.exceeded";

async fn check(rows: u64, request: &str, expected: &str) {
    let app = teams(rows).await;
    if expected != MORE {
        return app.check(Caller::anonymous(), request, expected).await;
    }
    let refused = app.run(Caller::anonymous(), &with_keys(request)).await.unwrap_err();
    assert_eq!(refused.key.text(), MORE, "{refused}");
}

const FIVE: &str =
    r##"{"Team":[{"id":"#1","members":[{"id":"#1"},{"id":"#2"},{"id":"#3"},{"id":"#4"},{"id":"#5"}]}]}"##;

#[tokio::test]
async fn a_read_may_have_exactly_so_many_rows() {
    check(6, r##"{"Team": {"id": "#1", "members": {"get": []}}}"##, FIVE).await;
    check(5, r##"{"Team": {"id": "#1", "members": {"get": []}}}"##, MORE).await;
    let with_captain = r##"{"Team": {"id": "#1", "get": [], "members": {"id": "#2"}, "captain": {}}}"##;
    let expected = r##"{"Team":[{"id":"#1","members":[{"id":"#2"}],"captain":{"id":"#1"}}]}"##;
    check(3, with_captain, expected).await;
    check(2, with_captain, MORE).await;
}

#[tokio::test]
async fn rows_of_lists_in_lists_count_on_every_level() {
    let request = r##"{"Team": {"id": "#1", "get": [], "members": {"get": [], "notes": {"get": []}}}}"##;
    let member = |n| {
        let notes = if n == 1 { r##"{"id":"#1"}"## } else { "" };
        format!(r##"{{"id":"#{n}","notes":[{notes}]}}"##)
    };
    let members = (1..=5).map(member).collect::<Vec<_>>().join(",");
    let expected = format!(r##"{{"Team":[{{"id":"#1","members":[{members}]}}]}}"##);
    check(7, request, &expected).await;
    check(6, request, MORE).await;
    // The second team's members are behind the page.
    let page = r##"{"Team": {"order": ["id"], "limit": 1, "get": [], "members": {"get": [], "notes": {"get": []}}}}"##;
    let answer = without_keys(&teams(7).await.run(Caller::anonymous(), page).await.unwrap());
    assert!(answer.starts_with(expected.trim_end_matches('}')), "{answer}");
}

#[tokio::test]
async fn rows_that_an_offset_skips_are_not_counted() {
    let request = r##"{"Team": {"id": "#2", "get": [], "members": {"get": [], "offset": 38}}}"##;
    check(3, request, r##"{"Team":[{"id":"#2","members":[{"id":"#44"},{"id":"#45"}]}]}"##).await;
    check(2, request, MORE).await;
}

#[tokio::test]
async fn the_row_behind_a_page_is_not_read() {
    let request = r##"{"Team": {"order": ["id"], "limit": 1, "get": [], "members": {"get": []}}}"##;
    let answer = without_keys(&teams(6).await.run(Caller::anonymous(), request).await.unwrap());
    assert!(answer.starts_with(FIVE.trim_end_matches('}')), "{answer}");
    assert!(answer.contains(r##""next":"##), "the second team is known to follow: {answer}");
}
