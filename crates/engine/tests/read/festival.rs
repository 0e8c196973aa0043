//! The festival of the language's own examples.

use std::sync::Arc;

use mainstay_engine::ctx::{Caller, Claims};
use mainstay_lang::value::Value;
use serde_json::json;

use crate::app::{App, id};

pub(crate) const SCHEMA: &str = r#"
app festival "Festival operations"
use identity

table Team {
  name      text(100)  unique trim
  location  text(100)?
  role      enum(bar, security, log, admin) = bar
  members   User[] by team
  label name

  allow read                         if signed_in
  allow create, update, delete       if user.can("team/admin")
}

extend User {
  team      Team?
}

table Alert {
  title     text(200)
  severity  enum(info, warning, serious) = info
  sender    Team                     on delete cascade
  receivers Team[]
  assignee  User?
  due       timestamp?
  messages  Message[] by alert

  index (severity, created)
  order -created
  history 90 days

  allow read    if sender == user.team or receivers.any(id == user.team) or user.can("alert/read")
  allow create  if sender == user.team
  allow update  if receivers.any(id == user.team)
  allow update(severity) if user.can("alert/severity")
  allow delete  if user.can("alert/admin")

  check due == null or due > created    "An alert is due after it was made."
  warn  severity != serious or assignee != null  "A serious alert should have somebody on it."
}

table Message {
  alert   Alert       on delete cascade immutable
  author  User        immutable
  text    text(2000)  trim min 1
  order   created

  allow read    if alert.sender == user.team or alert.receivers.any(id == user.team) or user.can("alert/read")
}
"#;

/// Teams 1 (bar), 2 (security), 3; users 11 in team 1, 12 in team 2, 13 without a team who may read all alerts.
pub(crate) async fn festival() -> App {
    App::new(
        SCHEMA,
        json!([
            ["Team", {"id": 1, "name": "Bar 1", "role": "bar", "location": "north"}],
            ["Team", {"id": 2, "name": "Security", "role": "security"}],
            ["Team", {"id": 3, "name": "Log", "role": "log"}],
            ["User", {"id": 11, "email": "ann@a.b", "name": "Ann", "team": 1}],
            ["User", {"id": 12, "email": "bob@a.b", "name": "Bob", "team": 2}],
            ["User", {"id": 13, "email": "cid@a.b", "name": "Cid"}],
            ["Grant", {"id": 91, "user": 13, "permission": "alert/read"}],
            ["Alert", {"id": 21, "title": "No beer", "severity": "serious", "sender": 1, "created": "2026-01-31T10:00:00Z"}],
            ["Alert", {"id": 22, "title": "Fight", "severity": "warning", "sender": 2, "assignee": 12,
                       "due": "2026-02-01T10:00:00Z", "created": "2026-01-31T10:01:00Z"}],
            ["Alert", {"id": 23, "title": "Rain", "sender": 3, "created": "2026-01-31T10:02:00Z"}],
            ["Alert.receivers", {"owner": 22, "target": 1}],
            ["Message", {"id": 31, "alert": 21, "author": 11, "text": "Empty!", "created": "2026-01-31T10:03:00Z"}],
            ["Message", {"id": 32, "alert": 22, "author": 12, "text": "Come", "created": "2026-01-31T10:04:00Z"}],
            ["Message", {"id": 33, "alert": 21, "author": 12, "text": "Soon", "created": "2026-01-31T10:05:00Z"}]
        ]),
    )
    .await
}

#[tokio::test]
async fn the_protocols_example() {
    let app = festival().await;
    app.check(
        app.user(11).await,
        r#"{"Alert": {
             "severity": "serious",
             "sender":   {"name": {"like": "Bar%"}, "get": ["name"], "required": true},
             "messages": {"get": ["text"], "author": {"get": ["name"]}, "order": ["-created"], "limit": 10},
             "where":    "due == null or due < now()",
             "get":      ["title", "due"], "order": ["-created"], "limit": 20 }}"#,
        r##"{"Alert":[{"id":"#21","title":"No beer","due":null,"severity":"serious","sender":{"id":"#1","name":"Bar 1"},"messages":[{"id":"#33","text":"Soon","author":null},{"id":"#31","text":"Empty!","author":{"id":"#11","name":"Ann"}}]}]}"##,
    )
    .await;
}

#[tokio::test]
async fn rows_that_may_not_be_read_are_not_there() {
    let app = festival().await;
    for (caller, expected) in [
        (Caller::anonymous(), r#"{"Alert":[]}"#),
        (app.user(11).await, r##"{"Alert":[{"id":"#22"},{"id":"#21"}]}"##),
        (app.user(12).await, r##"{"Alert":[{"id":"#22"}]}"##),
        (app.user(13).await, r##"{"Alert":[{"id":"#23"},{"id":"#22"},{"id":"#21"}]}"##),
        (Caller::administrator(), r##"{"Alert":[{"id":"#23"},{"id":"#22"},{"id":"#21"}]}"##),
    ] {
        app.check(caller, r#"{"Alert": {}}"#, expected).await;
    }
    app.check(app.user(12).await, r##"{"Alert": {"id": "#21"}, "Grant": {}}"##, r#"{"Alert":[],"Grant":[]}"#)
        .await;
}

#[tokio::test]
async fn forms_of_constraints() {
    let app = festival().await;
    let reader = || async { app.user(13).await };
    for (constraint, expected) in [
        (
            r#""severity": ["serious", "warning"]"#,
            r##"{"id":"#22","severity":"warning"},{"id":"#21","severity":"serious"}"##,
        ),
        (r#""severity": []"#, ""),
        (
            r#""severity": {"ge": "warning"}"#,
            r##"{"id":"#22","severity":"warning"},{"id":"#21","severity":"serious"}"##,
        ),
        (r#""severity": {"gt": "info", "<": "serious"}"#, r##"{"id":"#22","severity":"warning"}"##),
        (r#""severity": {"not": ["info", "warning"]}"#, r##"{"id":"#21","severity":"serious"}"##),
        (r#""assignee": null"#, r##"{"id":"#23","assignee":null},{"id":"#21","assignee":null}"##),
        (r##""assignee": "#12""##, r##"{"id":"#22","assignee":"#12"}"##),
        (
            r##""assignee": ["#12", null], "sender": ["#2", "#3"]"##,
            r##"{"id":"#23","assignee":null,"sender":"#3"},{"id":"#22","assignee":"#12","sender":"#2"}"##,
        ),
        (r#""assignee": {"not": null}"#, r##"{"id":"#22","assignee":"#12"}"##),
        (r##""assignee": {"not": "#11"}"##, r##"{"id":"#22","assignee":"#12"}"##),
        (
            r##""assignee": {"not": ["#12", null]}"##,
            r##"{"id":"#23","assignee":null},{"id":"#21","assignee":null}"##,
        ),
        (r##""assignee": {"not": []}"##, r##"{"id":"#22","assignee":"#12"}"##),
        (r#""title": {"~": "BEER"}"#, r##"{"id":"#21","title":"No beer"}"##),
        (r#""title": {"like": "%ee%", "not": {"like": "%x%"}}"#, r##"{"id":"#21","title":"No beer"}"##),
        (r#""due": {"gt": "2026-01-31T00:00:00Z"}"#, r##"{"id":"#22","due":"2026-02-01T10:00:00.000000Z"}"##),
        (r#""where": "title ~ $x and due == $y", "params": {"x": "r", "y": null}"#, ""),
        (r##""where": "sender == $s", "params": {"s": "#3"}"##, r##"{"id":"#23"}"##),
        (r#""where": "severity == info""#, r##"{"id":"#23"}"##),
        (r##""receivers": {"id": "#1", "required": true}"##, r##"{"id":"#22","receivers":[{"id":"#1"}]}"##),
        (r##""receivers": {"id": "#1"}, "sender": "#3""##, r##"{"id":"#23","receivers":[],"sender":"#3"}"##),
        (
            r#""messages": {"text": {"like": "S%"}, "required": true, "count": true}"#,
            r##"{"id":"#21","messages":[{"id":"#33","text":"Soon"}],"messages@":{"count":1}}"##,
        ),
        (r#""sender": {"required": true, "members": {"required": true, "get": ["email"]}}"#, r#""#),
    ] {
        let request = format!(r#"{{"Alert": {{{constraint}}}}}"#);
        app.check(reader().await, &request, &format!(r#"{{"Alert":[{expected}]}}"#)).await;
        // The second time the plan is kept already.
        app.check(reader().await, &request, &format!(r#"{{"Alert":[{expected}]}}"#)).await;
    }
}

#[tokio::test]
async fn a_kept_plan_takes_each_requests_own_values_and_callers_rules() {
    let app = festival().await;
    for (user, severity, expected) in [
        (11, "serious", r##"{"id":"#21","severity":"serious"}"##),
        (11, "warning", r##"{"id":"#22","severity":"warning"}"##),
        (11, "info", ""),
        (12, "warning", r##"{"id":"#22","severity":"warning"}"##),
        (12, "serious", ""),
        (13, "serious", r##"{"id":"#21","severity":"serious"}"##),
        (13, "info", r##"{"id":"#23","severity":"info"}"##),
    ] {
        let request = format!(r#"{{"Alert": {{"severity": "{severity}"}}}}"#);
        app.check(app.user(user).await, &request, &format!(r#"{{"Alert":[{expected}]}}"#)).await;
    }
    app.check(Caller::anonymous(), r#"{"Alert": {"severity": "info"}}"#, r#"{"Alert":[]}"#).await;
    app.check(
        Caller::administrator(),
        r#"{"Alert": {"severity": "info"}}"#,
        r##"{"Alert":[{"id":"#23","severity":"info"}]}"##,
    )
    .await;
    app.check(
        app.user(13).await,
        r#"{"Alert": {"severity": "grave"}}"#,
        "value.invalid /Alert/severity: must be one of info, warning, serious",
    )
    .await;
}

#[tokio::test]
async fn pages() {
    let app = festival().await;
    let first = app
        .run(app.user(13).await, r#"{"Alert": {"order": ["title"], "limit": 2, "count": true}}"#)
        .await
        .unwrap();
    let body: serde_json::Value = serde_json::from_str(&first).unwrap();
    assert_eq!(body["Alert@"]["count"], 3);
    assert_eq!(body["Alert"].as_array().unwrap().len(), 2);
    let next = body["Alert@"]["next"].as_str().unwrap();
    let request =
        format!(r#"{{"Alert": {{"order": ["title"], "limit": 2, "after": "{next}", "get": ["title"]}}}}"#);
    app.check(app.user(13).await, &request, r##"{"Alert":[{"id":"#23","title":"Rain"}]}"##).await;
    for (request, expected) in [
        (
            format!(r#"{{"Alert": {{"order": ["-title"], "after": "{next}"}}}}"#),
            "cursor.invalid /Alert/after: is no cursor of this list; it must be what `next` said, under the same `order`",
        ),
        (
            r#"{"Alert": {"after": "x"}}"#.to_owned(),
            "cursor.invalid /Alert/after: is no cursor of this list; it must be what `next` said, under the same `order`",
        ),
        (
            format!(r#"{{"Alert": {{"order": ["title"], "after": "{next}", "offset": 1}}}}"#),
            "query.malformed /Alert/offset: `after` and `offset` say two different places to start",
        ),
        (
            r#"{"Alert": {"limit": 1001}}"#.to_owned(),
            "limit.exceeded /Alert/limit: may be at most 1000; `next` leads to the rows behind",
        ),
    ] {
        app.check(app.user(13).await, &request, expected).await;
    }
    app.check(
        app.user(13).await,
        r#"{"Alert": {"order": ["assignee.name nulls first", "-sender.name"], "limit": 3, "offset": 1}}"#,
        // Nobody's name may be read here, so only the senders' names sort.
        r##"{"Alert":[{"id":"#23"},{"id":"#21"}]}"##,
    )
    .await;
}

#[tokio::test]
async fn a_nested_list_says_beside_it_when_more_follow() {
    let app = festival().await;
    let request = r#"{"Alert": {"severity": {"not": "info"}, "order": "title", "messages": {"limit": 1}}}"#;
    let answer = app.run(app.user(13).await, request).await.unwrap();
    let body: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(body["Alert"][0].get("messages@"), None, "{answer}");
    let next = body["Alert"][1]["messages@"]["next"].as_str().expect("a second message follows");
    app.check(
        app.user(13).await,
        &format!(
            r##"{{"Alert": {{"id": "#21", "messages": {{"limit": 1, "after": "{next}", "get": "text"}}}}}}"##
        ),
        r##"{"Alert":[{"id":"#21","messages":[{"id":"#33","text":"Soon"}]}]}"##,
    )
    .await;
    // Two levels down it is a member among others.
    let request =
        r##"{"Team": {"id": "#1", "members": {"get": "name", "team": {"members": {"limit": 1}}}}}"##;
    app.check(Caller::administrator(), request, r##"{"Team":[{"id":"#1","members":[{"id":"#11","name":"Ann","team":{"id":"#1","members":[{"id":"#11"}]}}]}]}"##).await;
}

#[tokio::test]
async fn groups() {
    let app = festival().await;
    for (request, expected) in [
        (
            r#"{"Alert": {"aggregate": {"n": "count()", "last": "max(created)"}}}"#,
            r#"{"Alert":[{"n":3,"last":"2026-01-31T10:02:00.000000Z"}]}"#,
        ),
        (
            r#"{"Alert": {"aggregate": {"n": "count()"}, "group": ["sender.role"], "order": ["-n", "sender.role"], "limit": 2}}"#,
            r#"{"Alert":[{"sender.role":"bar","n":1},{"sender.role":"security","n":1}]}"#,
        ),
        (
            r##"{"Alert": {"id": "#21", "messages": {"aggregate": {"n": "count()"}, "group": ["author"], "order": "author"}}}"##,
            r##"{"Alert":[{"id":"#21","messages":[{"author":"#11","n":1},{"author":"#12","n":1}]}]}"##,
        ),
        (
            r#"{"Alert": {"aggregate": {"n": "count()"}, "order": ["m"]}}"#,
            "name.unknown /Alert/order/0: neither `group` nor `aggregate` names `m`",
        ),
        (
            r#"{"Alert": {"aggregate": {"n": "total(id)"}}}"#,
            "expression.malformed /Alert/aggregate/n: at character 1: there is no aggregate `total` (there are count, sum, min, max and avg)",
        ),
        (
            r#"{"Alert": {"group": ["sender"]}}"#,
            "query.malformed /Alert/group: `group` stands beside `aggregate`",
        ),
        (
            r#"{"Alert": {"aggregate": {"n": "count()"}, "get": ["title"]}}"#,
            "query.malformed /Alert/get: `get` has no place beside `aggregate`: it answers groups, not rows",
        ),
    ] {
        app.check(app.user(13).await, request, expected).await;
    }
}

#[tokio::test]
async fn what_has_no_meaning_is_refused_with_its_place() {
    let app = festival().await;
    for (request, expected) in [
        (r#"{"Alrt": {}}"#, "name.unknown /Alrt: there is no table `Alrt`; did you mean `Alert`?"),
        (
            r#"{"Alert": {"get": ["titel"]}}"#,
            "name.unknown /Alert/get: `Alert` has no column, relation or keyword `titel`; did you mean `title`?",
        ),
        (
            r#"{"Alert": {"sendr": {"name": "x"}}}"#,
            "name.unknown /Alert/sendr: `Alert` has no column, relation or keyword `sendr`; did you mean `sender`?",
        ),
        (
            r#"{"Alert": {"title": {"gte": "x"}}}"#,
            "name.unknown /Alert/title/gte: there is no operator `gte`; did you mean `gt`?",
        ),
        (
            r#"{"Alert": {"title": {}}}"#,
            "query.malformed /Alert/title: an object without an operator says nothing",
        ),
        (
            r#"{"Alert": {"title": {"get": "x"}}}"#,
            "query.malformed /Alert/title/get: `title` is no relation, so `get` has no place here",
        ),
        (
            r#"{"Alert": {"due": {"like": "x"}}}"#,
            "query.malformed /Alert/due/like: compares texts, but `due` is timestamp",
        ),
        (
            r#"{"Alert": {"due": "yesterday"}}"#,
            "value.invalid /Alert/due: must be a timestamp with its offset such as 2026-01-31T10:00:00Z, with at most six digits of a second, in the years 0001 to 9999",
        ),
        (
            r#"{"Alert": {"sender": {"order": "name"}}}"#,
            "query.malformed /Alert/sender/order: `order` has no place under a relation to one row",
        ),
        (
            r#"{"Alert": {"required": true}}"#,
            "query.malformed /Alert/required: `required` stands in a nested part",
        ),
        (
            r#"{"Alert": {"messages": "x"}}"#,
            "query.malformed /Alert/messages: `messages` is many rows: give a part such as {\"messages\": {\"id\": …, \"required\": true}}",
        ),
        (
            r#"{"Alert": {"where": "titel == 1"}}"#,
            "expression.malformed /Alert/where: at character 1: `Alert` has no column `titel` (did you mean `title`?)",
        ),
        (
            r#"{"Alert": {"where": ""}}"#,
            "expression.malformed /Alert/where: at character 1: expected an expression, found the end of the text",
        ),
        (
            r#"{"Alert": {"params": {"x": 1}}}"#,
            "query.malformed /Alert/params/x: `params` stand beside the `where` that names them",
        ),
        (
            r#"{"Alert": {"where": "title == $x"}}"#,
            "query.malformed /Alert/params/x: `where` names `$x`, which has no value in `params`",
        ),
        (
            r#"{"Alert": {"where": "title == $x", "params": {"x": "a", "y": 1}}}"#,
            "name.unknown /Alert/params/y: `where` names no parameter `y`",
        ),
        (
            r#"{"Alert": {"order": ["title desc"]}}"#,
            "query.malformed /Alert/order/0: must be a path, with `-` before it for the largest first and `nulls first` behind it if wanted",
        ),
        (
            r#"{"Alert": {"order": ["titel"]}}"#,
            "expression.malformed /Alert/order/0: at character 1: `Alert` has no column `titel` (did you mean `title`?)",
        ),
    ] {
        app.check(app.user(13).await, request, expected).await;
    }
}

#[tokio::test]
async fn a_caller_is_never_older_than_the_last_answered_write() {
    let app = festival().await;
    let request = r#"{"Alert": {"get": "title"}}"#;
    let both = r##"{"Alert":[{"id":"#22","title":"Fight"},{"id":"#21","title":"No beer"}]}"##;
    let moved = r##"{"Alert":[{"id":"#23","title":"Rain"}]}"##;
    let all = r##"{"Alert":[{"id":"#23","title":"Rain"},{"id":"#22","title":"Fight"},{"id":"#21","title":"No beer"}]}"##;
    app.check(app.user(11).await, request, both).await;
    app.change(r##"{"User": {"id": "#11", "set": {"team": "#3"}}}"##).await;
    app.check(app.user(11).await, request, moved).await;
    app.change(r##"{"Grant": {"create": true, "user": "#11", "permission": "alert/read"}}"##).await;
    app.check(app.user(11).await, request, all).await;
    app.change(r##"{"Grant": {"user": "#11", "delete": true}}"##).await;
    app.check(app.user(11).await, request, moved).await;
    app.change(r##"{"User": {"id": "#11", "set": {"team": null}}}"##).await;
    app.check(app.user(11).await, request, r#"{"Alert":[]}"#).await;
}

#[tokio::test]
async fn a_session_that_is_named_with_another_user_is_not_answered_with_the_first_ones_caller() {
    let app = festival().await;
    let caller = async |user: u32, session: u32| {
        let key = |number: u32| Value::Uuid(id(number).parse().unwrap());
        let claims = Claims { session: Some(key(session)), ..Claims::user(key(user)) };
        app.engine.caller(&claims).await.unwrap().unwrap()
    };
    let first = caller(11, 99).await;
    let other = caller(13, 99).await;
    assert_eq!(other.user, app.user(13).await.user);
    assert_ne!(first.user, other.user);
    // The same one is not read again.
    assert!(Arc::ptr_eq(&other, &caller(13, 99).await));
}
