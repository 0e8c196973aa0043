//! One row that is given values: what stands in the way of that, and that the same is kept and told however it was done.

use mainstay_engine::ctx::Caller;
use mainstay_engine::limits::Limits;
use mainstay_lang::value::Timestamp;
use serde_json::json;

use crate::app::{App, NOW};
use crate::support::{Request, changes, check, refused, rows, send, shown};

const APP: &str = r#"
table Thing {
  title  text(100)
  body   text?
  price  decimal(8, 2)?
  data   json?
  tags   text(10)[]?
  kind   enum(big, small) = big
  day    date?
  wait   duration?
  ratio  float?
  raw    bytes?
  code   text(10)? unique
  pin    text(10)? secret
  check price == null or price >= 0 "too cheap"
  check title != body               "twice the same"
  warn  kind == big or price != 1   "odd"
  allow all
}
table Task {
  owner  User
  state  enum(open, done, closed) = open
  points int = 0
  level  int = 0
  pin    text(10)? secret
  allow read if owner == user or user.can("task/read")
  allow update if old.state == open and owner == user and points < 10
  allow update if user.can("task/close") and new.state == closed and old.points == new.points
  allow update(level) if user.can("task/level") and level < 5
}
table Part { task Task, size int = 1, allow all, check task.points >= size "too large" }
"#;

/// Ann and Bob; Ann's tasks, and a thing with all that there is.
async fn app() -> App {
    limited(Limits::default()).await
}

async fn limited(limits: Limits) -> App {
    let rows = json!([
        ["User", {"id": 1, "email": "ann@x", "name": "Ann"}],
        ["User", {"id": 2, "email": "bob@x", "name": "Bob"}],
        ["Grant", {"id": 41, "user": 2, "permission": "task/read"}],
        ["Grant", {"id": 42, "user": 2, "permission": "task/close"}],
        ["Task", {"id": 31, "owner": 1, "points": 3, "pin": "1"}],
        ["Task", {"id": 32, "owner": 1, "state": "done"}],
        ["Task", {"id": 33, "owner": 2, "points": 9}],
        ["Thing", {"id": 51, "title": "a", "price": "1.50", "data": {"b": [1, "ä\n"]}, "tags": ["x"], "day": "2026-02-03",
          "wait": "PT1.5S", "ratio": 0.1, "raw": "AAH/", "code": "c", "pin": "7"}],
        ["Thing", {"id": 52, "title": "b", "code": "d"}],
    ]);
    App::limited(APP, rows, limits).await
}

fn anybody() -> Caller {
    Caller::anonymous()
}

#[tokio::test]
async fn a_value_of_any_type_is_kept_and_logged_as_it_was_given() {
    let app = app().await;
    let given = [
        (r#"{"title": "q\"\\\u0001ü/"}"#, r#""title":"q\"\\\u0001ü/""#),
        (r#"{"price": "-0.00"}"#, r#""price":"0.00""#),
        (r#"{"price": "12.5", "body": ""}"#, r#""price":"12.50","body":"""#),
        (r#"{"data": {"a": 1e3, "b": null}}"#, r#""data":{"a":1e3,"b":null}"#),
        (r#"{"data": null, "tags": ["y", "z"]}"#, r#""data":null,"tags":["y","z"]"#),
        (r#"{"tags": [], "kind": "small"}"#, r#""tags":[],"kind":"small""#),
        (r#"{"day": "0001-01-01", "wait": "-PT0.000001S"}"#, r#""day":"0001-01-01","wait":"-PT0.000001S""#),
        (r#"{"ratio": 1e300, "raw": "AQ=="}"#, r#""ratio":1e+300,"raw":"AQ==""#),
        (r#"{"code": null, "pin": "8"}"#, r#""code":null"#),
    ];
    for (set, expected) in given {
        let body = format!(r##"{{"Thing": {{"id": "#51", "set": {set}}}}}"##);
        let expected = format!(r##"{{"Thing":[{{"id":"#51",{expected},"edited":true}}]}}"##);
        check(&app, anybody(), &body, &expected).await;
    }
    let at = |us: u32| {
        format!(
            r##"{{"id":"#51","created":"2026-01-31T12:00:00.000000Z","updated":"2026-01-31T12:00:00.00000{us}Z","##
        )
    };
    let (mut members, mut log) = (
        [
            (r#""title":"#, r#""a""#),
            (r#""body":"#, "null"),
            (r#""price":"#, r#""1.50""#),
            (r#""data":"#, r#"{"b":[1,"ä\n"]}"#),
            (r#""tags":"#, r#"["x"]"#),
            (r#""kind":"#, r#""big""#),
            (r#""day":"#, r#""2026-02-03""#),
            (r#""wait":"#, r#""PT1.5S""#),
            (r#""ratio":"#, "0.1"),
            (r#""raw":"#, r#""AAH/""#),
            (r#""code":"#, r#""c""#),
        ],
        Vec::new(),
    );
    let image = |members: &[(&str, &str)], us: u32| {
        let members: Vec<String> = members.iter().map(|(name, value)| format!("{name}{value}")).collect();
        format!("{}{}}}", at(us), members.join(","))
    };
    for ((_, expected), us) in given.iter().zip(0..) {
        let before = image(&members, us);
        for (name, value) in &mut members {
            if let Some((_, behind)) = expected.split_once(*name) {
                let ends = [",\"body\"", ",\"tags\"", ",\"kind\"", ",\"wait\"", ",\"raw\""];
                *value =
                    ends.iter().filter_map(|end| behind.find(end)).min().map_or(behind, |end| &behind[..end]);
            }
        }
        log.push(format!(r##""Thing" "#51" "update" {before} {} null"##, image(&members, us + 1)));
    }
    assert_eq!(changes(&app).await, log);
}

#[tokio::test]
async fn a_row_that_stays_as_it_was_is_no_change() {
    let app = app().await;
    let same = r##"{"Thing": {"id": "#51", "set": {"title": "a", "price": "1.5", "data": {"b": [1, "ä\n"]}, "body": null}, "get": ["updated"]}}"##;
    let updated = rows(&app, r##"{"Thing": {"id": "#51", "get": ["updated"]}}"##).await;
    let found = shown(send(&app, &Request::new(anybody(), same)).await);
    assert!(!found.contains("edited"), "{found}");
    assert_eq!(rows(&app, r##"{"Thing": {"id": "#51", "get": ["updated"]}}"##).await, updated);
    assert_eq!(changes(&app).await, Vec::<String>::new());
}

#[tokio::test]
async fn what_checks_and_rules_refuse_is_told_as_ever() {
    let app = app().await;
    let (ann, bob) = (app.user(1).await, app.user(2).await);
    for (caller, body, expected) in [
        (&ann, r##"{"Thing": {"id": "#51", "set": {"price": "-1.00"}}}"##, "check.failed\n/Thing too cheap"),
        (
            &ann,
            r##"{"Thing": {"id": "#51", "set": {"price": "-1.00", "body": "a"}}}"##,
            "check.failed\n/Thing too cheap\n/Thing twice the same",
        ),
        (
            &ann,
            r##"{"Thing": {"id": "#51", "set": {"kind": "small", "price": "1.00"}}}"##,
            "warnings.unaccepted\n/Thing odd",
        ),
        (
            &ann,
            r##"{"Thing": {"id": "#52", "set": {"title": "c", "code": "c"}}}"##,
            "unique\n/Thing/set/code another Thing has this value in `code` already",
        ),
        // What becomes of it is no longer hers to change.
        (
            &ann,
            r##"{"Task": {"id": "#31", "set": {"points": 10}}}"##,
            "rule.refused\n/Task you may not change this Task",
        ),
        (
            &ann,
            r##"{"Task": {"id": "#32", "set": {"points": 1}}}"##,
            "rule.refused\n/Task you may not change this Task",
        ),
        (
            &ann,
            r##"{"Task": {"id": "#31", "set": {"level": 1}}}"##,
            "rule.refused\n/Task you may not change `level`",
        ),
        (
            &bob,
            r##"{"Task": {"id": "#31", "set": {"state": "closed", "points": 4}}}"##,
            "rule.refused\n/Task you may not change this Task",
        ),
    ] {
        refused(&app, with(caller), body, expected).await;
    }
    // To her it is not there.
    refused(&app, ann, r##"{"Task": {"id": "#33", "set": {"points": 1}}}"##, r#"{"Task":[]}"#).await;
    refused(&app, bob, r##"{"Task": {"id": "#39", "set": {"points": 1}}}"##, r#"{"Task":[]}"#).await;
}

fn with(caller: &Caller) -> Caller {
    Request::new(
        Caller {
            user: caller.user.clone(),
            permissions: caller.permissions.clone(),
            roles: caller.roles.clone(),
            row: caller.row.clone(),
            ..Caller::anonymous()
        },
        "",
    )
    .caller
}

#[tokio::test]
async fn what_rules_allow_is_changed_and_logged_without_secrets() {
    let app = app().await;
    let (ann, bob) = (app.user(1).await, app.user(2).await);
    let body = r##"{"Task": {"id": "#31", "set": {"points": 9}, "get": ["owner", "state"]}}"##;
    let expected = r##"{"Task":[{"id":"#31","points":9,"owner":"#1","state":"open","edited":true}]}"##;
    check(&app, with(&ann), body, expected).await;
    let body = r##"{"Task": {"id": "#31", "set": {"state": "closed"}}}"##;
    check(&app, with(&bob), body, r##"{"Task":[{"id":"#31","state":"closed","edited":true}]}"##).await;
    let image = |us: u32, state: &str, points: u32| {
        format!(
            r##"{{"id":"#31","created":"2026-01-31T12:00:00.000000Z","updated":"2026-01-31T12:00:00.00000{us}Z","owner":"#1","state":"{state}","points":{points},"level":0}}"##
        )
    };
    let (first, second, third) = (image(0, "open", 3), image(1, "open", 9), image(2, "closed", 9));
    let line =
        |before: &str, after: &str, who: &str| format!(r##""Task" "#31" "update" {before} {after} "{who}""##);
    assert_eq!(changes(&app).await, [line(&first, &second, "#1"), line(&second, &third, "#2")]);
}

#[tokio::test]
async fn a_row_that_others_are_checked_by_is_looked_at_with_them() {
    let app = app().await;
    let bob = app.user(2).await;
    check(
        &app,
        Caller::administrator(),
        r##"{"Part": {"create": true, "task": "#33", "size": 9}}"##,
        r##"{"Part":[{"id":"@1","task":"#33","size":9,"new":true}]}"##,
    )
    .await;
    let body = r##"{"Task": {"id": "#33", "set": {"points": 8}}}"##;
    refused(&app, bob, body, "check.failed\n/Task too large").await;
}

#[tokio::test]
async fn versions_follow_each_other_and_are_asked_for() {
    let app = app().await;
    let set = |version: &str, title: &str| {
        format!(
            r##"{{"Thing": {{"id": "#52", "if_updated": "{version}", "set": {{"title": "{title}"}}, "get": ["updated"]}}}}"##
        )
    };
    // The clock stands behind the row's version.
    let at = |body: String| {
        let app = &app;
        async move {
            let request = Request { now: Some(Timestamp(NOW.0 - 5)), ..Request::new(anybody(), &body) };
            shown(send(app, &request).await)
        }
    };
    let first = NOW.to_string();
    let second = Timestamp(NOW.0 + 1).to_string();
    assert_eq!(
        at(set(&first, "x")).await,
        format!(r##"{{"Thing":[{{"id":"#52","title":"x","updated":"{second}","edited":true}}]}}"##)
    );
    assert_eq!(
        at(set(&first, "y")).await,
        "version.conflict\n/Thing/if_updated the row was changed since it was read; its `updated` is another one now"
    );
    assert_eq!(
        at(set(&second, "y")).await,
        format!(
            r##"{{"Thing":[{{"id":"#52","title":"y","updated":"{}","edited":true}}]}}"##,
            Timestamp(NOW.0 + 2)
        )
    );
}

#[tokio::test]
async fn an_answer_that_is_too_long_keeps_the_row_from_being_changed() {
    let app = limited(Limits { bytes: 4000, ..Limits::default() }).await;
    for length in [300, 3000] {
        let body = format!(r##"{{"Thing": {{"id": "#52", "set": {{"body": "{}"}}}}}}"##, "x".repeat(length));
        let found = shown(send(&app, &Request::new(anybody(), &body)).await);
        assert!(found.ends_with(r#""edited":true}]}"#), "{found}");
        let body =
            format!(r##"{{"Thing": {{"id": "#52", "set": {{"title": "{length}"}}, "get": ["body"]}}}}"##);
        let found = shown(send(&app, &Request::new(anybody(), &body)).await);
        assert!(found.ends_with(r#""edited":true}]}"#), "{found}");
    }
    let body = format!(r##"{{"Thing": {{"id": "#52", "set": {{"data": "{}"}}}}}}"##, "x".repeat(3000));
    let found = shown(send(&app, &Request::new(anybody(), &body)).await);
    assert!(found.ends_with(r#""edited":true}]}"#), "{found}");
    let log = changes(&app).await;
    let body = r##"{"Thing": {"id": "#52", "set": {"title": "z"}, "get": ["body", "data"]}}"##;
    let found = shown(send(&app, &Request::new(anybody(), body)).await);
    assert_eq!(found, "limit.exceeded\nthe answer has more than 4000 bytes");
    assert_eq!(changes(&app).await, log);
}
