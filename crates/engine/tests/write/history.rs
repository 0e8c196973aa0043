//! The history of a row: what is told to whom, and for how long.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_engine::HistoryPage;
use mainstay_engine::ctx::Caller;
use mainstay_lang::value::{Timestamp, Value};
use mainstay_sql::statement::Bind;
use mainstay_store::{Query, StoreError, WriteJob};
use serde_json::json;

use crate::app::{App, NOW, id};
use crate::support::{Request, changes, last_change, send, shown, without_keys};

const APP: &str = r#"
table Team { name text(50), members User[] by team, allow read }
extend User { team Team?, allow read if team == user.team }
table Note {
  title  text(100)
  owner  User?
  team   Team?
  cost   int?
  code   text(20)? secret
  memo   text(50)? hidden
  labels Label[]
  history 90 days
  allow read if owner == user
  allow read(cost) if title != "quiet"
  allow create, update, delete, link, unlink if signed_in
}
table Label { name text(20), allow all }
table Shared {
  title text(100)
  team  Team?
  allow read if team.members.any(id == user.id)
  allow create, update, delete if signed_in
}
table Post { title text(20), keeper User?, pin text(10)? secret, allow read if keeper == null, allow create, update }
table Sealed { title text(20), pin text(10)? secret, allow read if pin == null, allow create, update }
table Plain { name text(20), allow all }
"#;

const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3600 * SECOND;

/// Ann and Bob are in one team, Cid is in another.
async fn app() -> App {
    let user = |id: u32, name: &str, team: u32| json!(["User", {"id": id, "email": format!("{name}@x.org"), "name": name, "team": team}]);
    let rows = json!([
        ["Team", {"id": 11, "name": "Bar"}],
        ["Team", {"id": 12, "name": "Log"}],
        user(1, "Ann", 11),
        user(2, "Bob", 11),
        user(3, "Cid", 12),
        ["Label", {"id": 21, "name": "new"}],
    ]);
    App::new(APP, rows).await
}

async fn at(app: &App, caller: Caller, us: i64, body: &str) {
    let request = Request { now: Some(Timestamp(NOW.0 + us)), ..Request::new(caller, body) };
    send(app, &request).await.unwrap_or_else(|error| panic!("{error}: {body}"));
}

fn key(number: u32) -> Value {
    Value::Uuid(id(number).parse().unwrap())
}

/// A page as one line for each version, and the place behind it.
async fn page(
    app: &App,
    caller: Caller,
    us: i64,
    (table, number): (&str, u32),
    page: &HistoryPage,
) -> Option<(Vec<String>, Option<String>)> {
    let request = Request { now: Some(Timestamp(NOW.0 + us)), ..Request::new(caller, "") };
    let table = app.engine.schema().table_named(table).unwrap().id;
    let found = app.engine.history(&request.context(), table, &key(number), page).await;
    let found = found.unwrap_or_else(|error| panic!("{error}"))?;
    let items: Vec<serde_json::Value> = serde_json::from_str(&format!("[{}]", found.rows)).unwrap();
    assert_eq!(items.len() as u64, found.row_count);
    let line = |item: &serde_json::Value| {
        let mut row = item["row"].as_object().unwrap().clone();
        for name in ["id", "created", "updated"] {
            row.shift_remove(name).unwrap_or_else(|| panic!("{name} in {item}"));
        }
        let row = serde_json::Value::Object(row);
        let at: Timestamp = Timestamp::parse(item["at"].as_str().unwrap()).unwrap();
        let seconds = (at.0 - NOW.0) / SECOND;
        let changed = item.get("changed").map(|changed| format!(" {changed}")).unwrap_or_default();
        let line = format!("{seconds} {} {}{changed} {row}", item["kind"].as_str().unwrap(), item["actor"]);
        without_keys(&line)
    };
    Some((items.iter().map(line).collect(), found.next))
}

async fn check(app: &App, caller: Caller, of: (&str, u32), expected: &[&str]) {
    let found = page(app, caller, 60 * SECOND, of, &HistoryPage::default()).await;
    assert_eq!(found, Some((expected.iter().map(|line| (*line).to_owned()).collect(), None)));
}

#[tokio::test]
async fn versions_come_newest_first_with_who_made_them_and_without_what_never_leaves() {
    let app = app().await;
    let create = r##"{"Note": {"create": true, "id": "#31", "title": "a", "owner": "#1", "cost": 5, "code": "x", "memo": "m"}}"##;
    at(&app, app.user(1).await, 0, create).await;
    at(&app, app.user(2).await, SECOND, r##"{"Note": {"id": "#31", "set": {"title": "no"}}}"##).await;
    at(
        &app,
        app.user(1).await,
        2 * SECOND,
        r##"{"Note": {"id": "#31", "set": {"title": "b", "code": "y"}}}"##,
    )
    .await;
    at(
        &app,
        Caller::administrator(),
        3 * SECOND,
        r##"{"Note": {"id": "#31", "set": {"cost": 6, "memo": "n"}}}"##,
    )
    .await;
    at(&app, app.user(1).await, 4 * SECOND, r##"{"Note": {"id": "#31", "set": {"code": "z"}}}"##).await;
    // What is linked to the row is no version of it.
    at(&app, app.user(1).await, 5 * SECOND, r##"{"Note": {"id": "#31", "labels": {"add": {"id": "#21"}}}}"##)
        .await;
    let all = [
        r##"4 update "#1" [] {"title":"b","owner":"#1","team":null,"cost":6}"##,
        r##"3 update "admin" ["cost"] {"title":"b","owner":"#1","team":null,"cost":6}"##,
        r##"2 update "#1" ["title"] {"title":"b","owner":"#1","team":null,"cost":5}"##,
        r##"0 create "#1" {"title":"a","owner":"#1","team":null,"cost":5}"##,
    ];
    check(&app, app.user(1).await, ("Note", 31), &all).await;
    check(&app, Caller::administrator(), ("Note", 31), &all).await;
}

#[tokio::test]
async fn a_row_that_may_not_be_read_has_no_history() {
    let app = app().await;
    let create = r##"{"Note": [{"create": true, "id": "#31", "title": "a", "owner": "#1"}, {"create": true, "id": "#32", "title": "a", "owner": "#1"}]}"##;
    at(&app, app.user(1).await, 0, create).await;
    at(&app, app.user(1).await, SECOND, r##"{"Note": {"id": "#32", "delete": true}}"##).await;
    let none = HistoryPage::default();
    for (number, caller) in [
        (31, app.user(2).await),
        (31, Caller::anonymous()),
        (32, app.user(1).await),
        (32, Caller::administrator()),
        (33, Caller::administrator()),
    ] {
        assert_eq!(page(&app, caller, 60 * SECOND, ("Note", number), &none).await, None, "{number}");
    }
}

#[tokio::test]
async fn a_version_passes_the_rules_by_what_it_was_itself() {
    let app = app().await;
    let ann = app.user(1).await;
    at(
        &app,
        ann,
        0,
        r##"{"Note": {"create": true, "id": "#31", "title": "Ann's", "owner": "#1", "cost": 1}}"##,
    )
    .await;
    at(
        &app,
        app.user(1).await,
        SECOND,
        r##"{"Note": {"id": "#31", "set": {"title": "for Bob", "owner": "#2", "cost": 2}}}"##,
    )
    .await;
    at(&app, app.user(2).await, 2 * SECOND, r##"{"Note": {"id": "#31", "set": {"title": "Bob's"}}}"##).await;
    // The update that gave it to Bob is his first version; what it was before, and so what it changed, is not his.
    let bobs = [
        r##"2 update "#2" ["title"] {"title":"Bob's","owner":"#2","team":null,"cost":2}"##,
        r##"1 update "#1" {"title":"for Bob","owner":"#2","team":null,"cost":2}"##,
    ];
    check(&app, app.user(2).await, ("Note", 31), &bobs).await;
    assert_eq!(page(&app, app.user(1).await, 60 * SECOND, ("Note", 31), &HistoryPage::default()).await, None);

    // A key that is used again does not hand over what the row before it was.
    at(&app, Caller::administrator(), 3 * SECOND, r##"{"Note": {"id": "#31", "delete": true}}"##).await;
    at(
        &app,
        app.user(3).await,
        4 * SECOND,
        r##"{"Note": {"create": true, "id": "#31", "title": "Cid's", "owner": "#3"}}"##,
    )
    .await;
    check(
        &app,
        app.user(3).await,
        ("Note", 31),
        &[r##"4 create "#3" {"title":"Cid's","owner":"#3","team":null,"cost":null}"##],
    )
    .await;
    let all = page(&app, Caller::administrator(), 60 * SECOND, ("Note", 31), &HistoryPage::default()).await;
    let kinds: Vec<String> =
        all.unwrap().0.iter().map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(kinds, ["4 create", "3 delete", "2 update", "1 update", "0 create"]);
}

#[tokio::test]
async fn rules_that_read_other_rows_are_asked_of_the_image() {
    let app = app().await;
    at(
        &app,
        app.user(1).await,
        0,
        r##"{"Shared": {"create": true, "id": "#31", "title": "log", "team": "#12"}}"##,
    )
    .await;
    at(
        &app,
        Caller::administrator(),
        SECOND,
        r##"{"Shared": {"id": "#31", "set": {"title": "bar", "team": "#11"}}}"##,
    )
    .await;
    // Cid made it while it was his team's; Ann's team has it now.
    check(&app, app.user(1).await, ("Shared", 31), &[r##"1 update "admin" {"title":"bar","team":"#11"}"##])
        .await;
    assert_eq!(
        page(&app, app.user(3).await, 60 * SECOND, ("Shared", 31), &HistoryPage::default()).await,
        None
    );
    at(&app, Caller::administrator(), 2 * SECOND, r##"{"Shared": {"id": "#31", "set": {"team": "#12"}}}"##)
        .await;
    // Ann, who is not in Cid's team, is nobody whom he may read.
    let cids = [
        r##"2 update "admin" {"title":"bar","team":"#12"}"##,
        r##"0 create null {"title":"log","team":"#12"}"##,
    ];
    check(&app, app.user(3).await, ("Shared", 31), &cids).await;
}

#[tokio::test]
async fn pages_are_full_whatever_lies_hidden_between() {
    let app = app().await;
    at(
        &app,
        app.user(1).await,
        0,
        r##"{"Note": {"create": true, "id": "#31", "title": "0", "owner": "#1"}}"##,
    )
    .await;
    for second in 1..=100 {
        let owner = if second % 50 == 0 { "#1" } else { "#2" };
        let set =
            format!(r##"{{"Note": {{"id": "#31", "set": {{"title": "{second}", "owner": "{owner}"}}}}}}"##);
        at(&app, Caller::administrator(), second * SECOND, &set).await;
    }
    let mut next = None;
    for (second, is_last) in [(100, false), (50, false), (0, true)] {
        let asked = HistoryPage { limit: Some(1), after: next };
        let (lines, behind) =
            page(&app, app.user(1).await, 200 * SECOND, ("Note", 31), &asked).await.unwrap();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].starts_with(&format!("{second} ")), "{lines:?}");
        assert_eq!(behind.is_none(), is_last);
        next = behind;
    }
    let asked = HistoryPage { limit: Some(0), after: None };
    assert_eq!(page(&app, app.user(1).await, 0, ("Note", 31), &asked).await, Some((Vec::new(), None)));
}

#[tokio::test]
async fn a_cursor_belongs_to_its_row_and_a_page_has_a_bound() {
    let app = app().await;
    let create = r##"{"Plain": [{"create": true, "id": "#31", "name": "a"}, {"create": true, "id": "#32", "name": "b"}]}"##;
    at(&app, Caller::anonymous(), 0, create).await;
    at(&app, Caller::anonymous(), SECOND, r##"{"Plain": {"id": "#31", "set": {"name": "c"}}}"##).await;
    let first = HistoryPage { limit: Some(1), after: None };
    let (_, next) = page(&app, Caller::anonymous(), SECOND, ("Plain", 31), &first).await.unwrap();
    let plain = app.engine.schema().table_named("Plain").unwrap().id;
    let refused = async |number: u32, page: HistoryPage| {
        let context = Request::new(Caller::anonymous(), "").context();
        let found = app.engine.history(&context, plain, &key(number), &page).await;
        shown(found.map(|_| "{}".to_owned()))
    };
    let words = "cursor.invalid\n/after is no cursor of this history; it must be what `next` said";
    assert_eq!(refused(32, HistoryPage { limit: None, after: next }).await, words);
    assert_eq!(refused(32, HistoryPage { limit: None, after: Some("x".to_owned()) }).await, words);
    let words = "limit.exceeded\n/limit may be at most 1000; `next` leads to the versions behind";
    assert_eq!(refused(32, HistoryPage { limit: Some(1001), after: None }).await, words);
}

#[tokio::test]
async fn a_column_is_shown_where_its_own_rule_passes_the_version() {
    let app = app().await;
    let set = async |second: i64, set: &str| {
        let body = format!(r##"{{"Note": {{"id": "#31", "set": {set}}}}}"##);
        at(&app, app.user(1).await, second * SECOND, &body).await;
    };
    let create = r##"{"Note": {"create": true, "id": "#31", "title": "a", "owner": "#1", "cost": 1}}"##;
    at(&app, app.user(1).await, 0, create).await;
    set(1, r#"{"title": "quiet", "cost": 2}"#).await;
    set(2, r#"{"cost": 3}"#).await;
    set(3, r#"{"title": "b", "cost": 4}"#).await;
    let seen = [
        r##"3 update "#1" ["title"] {"title":"b","owner":"#1","team":null,"cost":4}"##,
        r##"2 update "#1" [] {"title":"quiet","owner":"#1","team":null}"##,
        r##"1 update "#1" ["title"] {"title":"quiet","owner":"#1","team":null}"##,
        r##"0 create "#1" {"title":"a","owner":"#1","team":null,"cost":1}"##,
    ];
    check(&app, app.user(1).await, ("Note", 31), &seen).await;
}

/// Writes a line of the log that says that a row was made.
async fn log(app: &App, table: &str, number: u32, members: &str) {
    let times = r#""created":"2026-01-31T12:00:00.000000Z","updated":"2026-01-31T12:00:00.000000Z""#;
    let image = format!(r#"{{"id":"{}",{times},{members}}}"#, id(number));
    let text = |text: &str| Value::Text(text.to_owned());
    let line = vec![
        Value::Int(1),
        Value::Timestamp(NOW),
        Value::Null,
        Value::Null,
        text(table),
        text(&id(number)),
        text("create"),
        Value::Null,
        Value::Json(image),
    ];
    let statement = Arc::new(mainstay_sql::system::change_insert(
        app.engine.schema(),
        crate::ON.dialect(),
        mainstay_sql::system::Count::One,
    ));
    let value = |bind: &Bind| match bind {
        Bind::Param(index) => line[*index as usize].clone(),
        other => panic!("a line of the log is given by parameters, not {other:?}"),
    };
    let values = statement.binds.iter().map(value).collect();
    write(app, Query { statement, values }).await;
}

async fn write(app: &App, query: Query) {
    let query = Arc::new(query);
    let job: WriteJob<(), StoreError> = Box::new(move |tx| {
        let query = query.clone();
        Box::pin(async move { tx.query(&query).await.map(drop) })
    });
    app.engine.store().write(Instant::now() + Duration::from_secs(20), job).await.unwrap();
}

#[tokio::test]
async fn what_an_image_does_not_know_opens_nothing() {
    let app = app().await;
    let known = r##"0 create null {"title":"a","keeper":null}"##;
    at(&app, Caller::anonymous(), 0, r##"{"Post": {"create": true, "id": "#31", "title": "a"}}"##).await;
    check(&app, Caller::anonymous(), ("Post", 31), &[known]).await;
    // A line of a time when the table had no keeper, and another type of title.
    log(&app, "Post", 31, r#""title":7"#).await;
    check(&app, Caller::anonymous(), ("Post", 31), &[known]).await;
    check(&app, Caller::administrator(), ("Post", 31), &["0 create null {}", known]).await;
    // A line of a time when the pin was no secret says nothing of it now.
    log(&app, "Post", 31, r#""title":"b","keeper":null,"pin":"1234""#).await;
    let open = r##"0 create null {"title":"b","keeper":null}"##;
    check(&app, Caller::anonymous(), ("Post", 31), &[open, known]).await;

    // Nobody can tell whether a rule about a secret passed.
    at(&app, Caller::anonymous(), 0, r##"{"Sealed": {"create": true, "id": "#32", "title": "a"}}"##).await;
    check(&app, Caller::anonymous(), ("Sealed", 32), &[]).await;
    check(&app, Caller::administrator(), ("Sealed", 32), &[r#"0 create null {"title":"a"}"#]).await;
}

#[tokio::test]
async fn changes_are_forgotten_when_their_tables_history_ends() {
    let app = app().await;
    let rows: Vec<String> =
        (0..1100).map(|number| format!(r#"{{"create": true, "name": "{number}"}}"#)).collect();
    at(&app, Caller::anonymous(), 0, &format!(r#"{{"Plain": [{}]}}"#, rows.join(","))).await;
    let note = r##"{"Note": {"create": true, "id": "#32", "title": "a", "owner": "#1"}}"##;
    at(&app, app.user(1).await, 0, note).await;
    at(&app, Caller::anonymous(), 2 * HOUR, r##"{"Plain": {"create": true, "id": "#31", "name": "later"}}"##)
        .await;
    let prune = async |us: i64| app.engine.history_prune(Timestamp(NOW.0 + us)).await.unwrap();
    assert_eq!(changes(&app).await.len(), 1102);
    assert_eq!(prune(24 * HOUR).await, 0);
    // More than one batch, each in a transaction of its own.
    let commits = || app.engine.store().metrics().commits;
    let before = commits();
    assert_eq!(prune(25 * HOUR).await, 1100);
    assert_eq!(commits() - before, 3);
    let left = changes(&app).await;
    assert_eq!(left.len(), 2, "{left:?}");
    // What has been walked is not walked again.
    assert_eq!(prune(25 * HOUR).await, 0);
    assert_eq!(commits() - before, 3);
    assert_eq!(prune(90 * 24 * HOUR).await, 0, "the note is kept for 90 days");
    assert_eq!(prune(91 * 24 * HOUR).await, 1);
    // The last line stays whatever its age, so that its number is never given to another.
    assert_eq!(prune(91 * 24 * HOUR).await, 0);
    let last = last_change(&app).await;
    at(&app, Caller::anonymous(), 0, r##"{"Plain": {"create": true, "id": "#33", "name": "next"}}"##).await;
    assert_eq!(last_change(&app).await, last + 1);
    assert_eq!(prune(91 * 24 * HOUR).await, 1);
    assert_eq!(changes(&app).await.len(), 1);
}

#[tokio::test]
async fn a_walk_begins_anew_when_it_looks_for_other_tables() {
    let app = app().await;
    at(
        &app,
        Caller::anonymous(),
        0,
        r#"{"Plain": [{"create": true, "name": "a"}, {"create": true, "name": "b"}]}"#,
    )
    .await;
    let day = 24 * HOUR;
    // As an earlier schema would have left it, in which nothing but Note was kept longer than Plain is now.
    let walked = |tables: &str| {
        let facts = [Value::Text(format!("forgotten.{day}.but")), Value::Text(format!("1000000 {tables}"))];
        let statement = mainstay_sql::system::meta_put(app.engine.schema(), crate::ON.dialect());
        Query { statement: Arc::new(statement), values: facts.to_vec() }
    };
    let names: Vec<&str> = app
        .engine
        .schema()
        .tables
        .iter()
        .filter(|table| table.history.is_some())
        .map(|table| table.name.as_str())
        .collect();
    write(&app, walked(&names.join(" "))).await;
    let prune = async || app.engine.history_prune(Timestamp(NOW.0 + 2 * day)).await.unwrap();
    assert_eq!(prune().await, 0, "all has been walked");
    write(&app, walked("Other")).await;
    assert_eq!(prune().await, 1, "all but the last line");
}

#[tokio::test]
async fn what_is_too_old_is_not_shown_while_it_waits_to_be_forgotten() {
    let app = app().await;
    at(&app, Caller::anonymous(), 0, r##"{"Plain": {"create": true, "id": "#31", "name": "a"}}"##).await;
    at(&app, Caller::anonymous(), 2 * HOUR, r##"{"Plain": {"id": "#31", "set": {"name": "b"}}}"##).await;
    let shown = async |us: i64| {
        let found = page(&app, Caller::anonymous(), us, ("Plain", 31), &HistoryPage::default()).await;
        found.unwrap().0.len()
    };
    assert_eq!(shown(24 * HOUR).await, 2);
    assert_eq!(shown(25 * HOUR).await, 1);
    assert_eq!(shown(27 * HOUR).await, 0);
}
