//! Who may write what: rules before and after, columns, rows that are not there for a caller.

use std::sync::Arc;

use mainstay_engine::ctx::Caller;
use serde_json::json;

use crate::app::App;
use crate::support::{check, refused, rows};

const FESTIVAL: &str = r#"
table Team {
  name     text(100)  unique trim
  members  User[] by team
  allow read                    if signed_in
  allow create, update, delete  if user.can("team/admin")
}
extend User { team Team?  allow read if signed_in }
table Alert {
  title     text(200)
  severity  enum(info, warning, serious) = info
  sender    Team  on delete cascade
  receivers Team[]
  assignee  User?
  messages  Message[] by alert
  allow read    if sender == user.team or receivers.any(id == user.team) or user.can("alert/read")
  allow create  if sender == user.team
  allow update  if receivers.any(id == user.team)
  allow update(severity) if user.can("alert/severity")
  allow create(assignee) if user.can("alert/assign")
  allow delete  if user.can("alert/admin")
}
table Message {
  alert   Alert  on delete cascade immutable
  author  User   immutable
  text    text(2000)
  allow read    if alert.sender == user.team or alert.receivers.any(id == user.team)
  allow create  if author == user and (alert.sender == user.team or alert.receivers.any(id == user.team))
}
table Task {
  owner  User
  state  enum(open, done, closed) = open
  points int = 0
  allow read
  allow update if old.state == open and owner == user
  allow update if user.can("task/close") and new.state == closed and old.points == new.points
}
"#;

/// Ann and Bob are of the bar, Cid of security; the bar has sent an alert to security.
async fn festival() -> App {
    let rows = json!([
        ["Team", {"id": 11, "name": "Bar"}],
        ["Team", {"id": 12, "name": "Security"}],
        ["Team", {"id": 13, "name": "Log"}],
        ["User", {"id": 1, "email": "ann@x", "name": "Ann", "team": 11}],
        ["User", {"id": 2, "email": "bob@x", "name": "Bob", "team": 11}],
        ["User", {"id": 3, "email": "cid@x", "name": "Cid", "team": 12}],
        ["User", {"id": 4, "email": "dee@x", "name": "Dee", "team": 13}],
        ["Alert", {"id": 21, "title": "Fire", "sender": 11}],
        ["Alert.receivers", {"owner": 21, "target": 12}],
        ["Task", {"id": 31, "owner": 1, "points": 3}],
        ["Grant", {"id": 41, "user": 4, "permission": "alert/read"}],
        ["Grant", {"id": 42, "user": 4, "permission": "task/close"}],
    ]);
    App::new(FESTIVAL, rows).await
}

async fn with(app: &App, user: u32, permission: &str) -> Caller {
    let mut caller = app.user(user).await;
    Arc::make_mut(&mut caller.permissions).insert(permission.to_owned());
    caller
}

#[tokio::test]
async fn a_row_may_be_made_where_a_rule_says_so() {
    let app = festival().await;
    check(&app, app.user(1).await, r##"{"Alert": {"create": true, "title": "Rain", "sender": "#11", "receivers": ["#12"], "get": ["severity"]}}"##, r##"{"Alert":[{"id":"@1","title":"Rain","sender":"#11","severity":"info","receivers":[{"id":"#12"}],"new":true}]}"##).await;
    for (user, body, expected) in [
        (
            1,
            r##"{"Alert": {"create": true, "title": "Rain", "sender": "#12"}}"##,
            r#"rule.refused
/Alert you may not create this Alert"#,
        ),
        (
            1,
            r##"{"Team": {"create": true, "name": "New"}}"##,
            r#"rule.refused
/Team you may not create this Team"#,
        ),
        (
            1,
            r##"{"Alert": {"create": true, "title": "Rain", "sender": {"create": true, "name": "New"}}}"##,
            r#"rule.refused
/Alert/sender you may not create this Team"#,
        ),
        (
            1,
            r##"{"Alert": {"create": true, "title": "Rain", "sender": "#11", "assignee": null}}"##,
            r#"rule.refused
/Alert you may not give `assignee`"#,
        ),
        (
            1,
            r##"{"Grant": {"create": true, "user": "#1", "permission": "team/admin"}}"##,
            r#"rule.refused
/Grant you may not create this Grant"#,
        ),
        (
            1,
            r##"{"Message": {"create": true, "alert": "#21", "author": "#2", "text": "not I"}}"##,
            r#"rule.refused
/Message you may not create this Message"#,
        ),
        (
            4,
            r##"{"Message": {"create": true, "alert": "#21", "author": "#4", "text": "a reader only"}}"##,
            r#"rule.refused
/Message you may not create this Message"#,
        ),
    ] {
        refused(&app, app.user(user).await, body, expected).await;
    }
    refused(
        &app,
        Caller::anonymous(),
        r##"{"Alert": {"create": true, "title": "Rain", "sender": "#11"}}"##,
        r#"relation.refused
/Alert/sender there is no such row to refer to"#,
    )
    .await;
    check(
        &app,
        with(&app, 1, "alert/assign").await,
        r##"{"Alert": {"create": true, "title": "Sun", "sender": "#11", "assignee": "#1"}}"##,
        r##"{"Alert":[{"id":"@1","title":"Sun","sender":"#11","assignee":"#1","new":true}]}"##,
    )
    .await;
}

#[tokio::test]
async fn rules_of_a_new_row_see_what_is_nested_in_it() {
    let app = festival().await;
    // The message may be made because the alert around it is there by then.
    check(
        &app,
        app.user(1).await,
        r##"{"Alert": {"create": true, "title": "Rain", "sender": "#11", "messages": [{"create": true, "author": "#1", "text": "hello", "get": ["text"]}]}}"##,
        r##"{"Alert":[{"id":"@1","title":"Rain","sender":"#11","messages":[{"id":"@2","author":"#1","text":"hello","new":true}],"new":true}]}"##,
    )
    .await;
}

#[tokio::test]
async fn a_row_that_is_not_there_for_the_caller_is_not_found() {
    let app = festival().await;
    // Dee may read the alert by permission, and not change it; the nameless do not know that it is there.
    refused(
        &app,
        app.user(4).await,
        r##"{"Alert": {"id": "#21", "set": {"title": "x"}}}"##,
        r#"rule.refused
/Alert you may not change this Alert"#,
    )
    .await;
    refused(
        &app,
        app.user(1).await,
        r##"{"Alert": {"id": "#21", "set": {"title": "x"}}}"##,
        r#"rule.refused
/Alert you may not change this Alert"#,
    )
    .await;
    refused(
        &app,
        app.user(1).await,
        r##"{"Alert": {"id": "#21", "delete": true}}"##,
        r#"rule.refused
/Alert you may not delete this Alert"#,
    )
    .await;
    refused(
        &app,
        Caller::anonymous(),
        r##"{"Alert": {"id": "#21", "set": {"title": "x"}}}"##,
        r#"{"Alert":[]}"#,
    )
    .await;
    refused(&app, Caller::anonymous(), r##"{"Alert": {"all": true, "delete": true}}"##, r#"{"Alert":[]}"#)
        .await;
    check(
        &app,
        app.user(3).await,
        r##"{"Alert": {"id": "#21", "set": {"title": "Smoke"}}}"##,
        r##"{"Alert":[{"id":"#21","title":"Smoke","edited":true}]}"##,
    )
    .await;
}

#[tokio::test]
async fn columns_named_in_a_write_are_asked_whether_they_change_or_not() {
    let app = festival().await;
    refused(
        &app,
        app.user(3).await,
        r##"{"Alert": {"id": "#21", "set": {"severity": "serious"}}}"##,
        r#"rule.refused
/Alert you may not change `severity`"#,
    )
    .await;
    refused(
        &app,
        app.user(3).await,
        r##"{"Alert": {"id": "#21", "set": {"severity": "info"}}}"##,
        r#"rule.refused
/Alert you may not change `severity`"#,
    )
    .await;
    // The column's rule does not stand in for the table's.
    refused(
        &app,
        with(&app, 1, "alert/severity").await,
        r##"{"Alert": {"id": "#21", "set": {"severity": "serious"}}}"##,
        r#"rule.refused
/Alert you may not change this Alert"#,
    )
    .await;
    check(
        &app,
        with(&app, 3, "alert/severity").await,
        r##"{"Alert": {"id": "#21", "set": {"severity": "serious"}}}"##,
        r##"{"Alert":[{"id":"#21","severity":"serious","edited":true}]}"##,
    )
    .await;
}

#[tokio::test]
async fn an_update_is_allowed_before_and_after() {
    let app = festival().await;
    // Security may change the alert, but not into one that it may not change.
    refused(
        &app,
        app.user(3).await,
        r##"{"Alert": {"id": "#21", "receivers": {"remove": "#12"}}}"##,
        r#"rule.refused
/Alert/receivers/remove you may not change this Alert"#,
    )
    .await;
    check(
        &app,
        app.user(3).await,
        r##"{"Alert": {"id": "#21", "receivers": {"add": "#13"}}}"##,
        r##"{"Alert":[{"id":"#21","receivers":[{"id":"#13"}]}]}"##,
    )
    .await;
    // Who owns an open task may change it, but not give it away: afterwards it would not be theirs.
    refused(
        &app,
        app.user(1).await,
        r##"{"Task": {"id": "#31", "set": {"owner": "#2"}}}"##,
        r##"rule.refused
/Task you may not change this Task"##,
    )
    .await;
    for (user, body, expected) in [
        (
            1,
            r##"{"Task": {"id": "#31", "set": {"points": 5}}}"##,
            r##"{"Task":[{"id":"#31","points":5,"edited":true}]}"##,
        ),
        (
            4,
            r##"{"Task": {"id": "#31", "set": {"state": "closed"}}}"##,
            r##"{"Task":[{"id":"#31","state":"closed","edited":true}]}"##,
        ),
    ] {
        check(&app, app.user(user).await, body, expected).await;
    }
    refused(
        &app,
        app.user(1).await,
        r##"{"Task": {"id": "#31", "set": {"points": 6}}}"##,
        r#"rule.refused
/Task you may not change this Task"#,
    )
    .await;
    refused(
        &app,
        app.user(4).await,
        r##"{"Task": {"id": "#31", "set": {"points": 6, "state": "closed"}}}"##,
        r#"rule.refused
/Task you may not change this Task"#,
    )
    .await;
}

#[tokio::test]
async fn a_row_that_became_unreadable_comes_back_as_key_and_flag() {
    let app = festival().await;
    let body = r##"{"Alert": {"id": "#21", "set": {"title": "Moved"}, "receivers": {"add": "#13", "remove": "#12"}, "get": ["title", "severity"]}}"##;
    refused(
        &app,
        app.user(3).await,
        body,
        r#"rule.refused
/Alert you may not change this Alert"#,
    )
    .await;
    let app = App::new(
        "table Note { text text(20) owner User? allow read, update if owner == user or old.owner == user }",
        json!([["User", {"id": 1, "email": "ann@x", "name": "Ann"}], ["User", {"id": 2, "email": "bob@x", "name": "Bob"}],
               ["Note", {"id": 5, "text": "mine", "owner": 1}]]),
    )
    .await;
    check(
        &app,
        app.user(1).await,
        r##"{"Note": {"id": "#5", "set": {"owner": null}, "get": ["text"]}}"##,
        r##"{"Note":[{"id":"#5","edited":true}]}"##,
    )
    .await;
    assert_eq!(
        rows(&app, r##"{"Note": {"get": ["owner", "text"]}}"##).await,
        r##"{"Note":[{"id":"#5","owner":null,"text":"mine"}]}"##
    );
}

#[tokio::test]
async fn an_administrator_passes_rules_not_values() {
    let app = festival().await;
    let admin = Caller::administrator;
    check(
        &app,
        admin(),
        r##"{"Team": {"create": true, "name": "New"}}"##,
        r#"{"Team":[{"id":"@1","name":"New","new":true}]}"#,
    )
    .await;
    refused(
        &app,
        admin(),
        r##"{"Team": {"create": true}}"##,
        r#"value.invalid
/Team/name is required"#,
    )
    .await;
    check(
        &app,
        admin(),
        r##"{"Alert": {"id": "#21", "set": {"severity": "serious", "sender": "#12"}}}"##,
        r##"{"Alert":[{"id":"#21","severity":"serious","sender":"#12","edited":true}]}"##,
    )
    .await;
    check(
        &app,
        admin(),
        r##"{"Team": {"id": "#12", "delete": true}}"##,
        r##"{"Team":[{"id":"#12","deleted":true}]}"##,
    )
    .await;
    assert_eq!(
        rows(&app, r##"{"Alert": {}, "User": {"id": "#3", "get": ["team"]}}"##).await,
        r##"{"Alert":[],"User":[{"id":"#3","team":null}]}"##
    );
}

#[tokio::test]
async fn a_stream_is_written_by_its_commands_alone() {
    let app = App::new(
        r#"
table Store { name text(10)  barrels Barrel[] by place  allow all }
stream Barrel {
  number int
  place  Store?
  event Received { number int }
  command receive(number int) creates { allow  emit Received { number } }
  on Received { number = event.number }
  allow read
}
"#,
        json!([["Store", {"id": 1, "name": "a"}], ["Barrel", {"id": 11, "number": 5}]]),
    )
    .await;
    let message = "Barrel is a stream: its rows change through its commands only";
    for (body, path) in [
        (r##"{"Barrel": {"create": true, "number": 1}}"##, "/Barrel"),
        (r##"{"Barrel": {"id": "#11", "set": {"number": 1}}}"##, "/Barrel"),
        (r##"{"Barrel": {"id": "#11", "delete": true}}"##, "/Barrel"),
        (r##"{"Store": {"id": "#1", "barrels": {"add": "#11"}}}"##, "/Store/barrels/add"),
    ] {
        refused(&app, Caller::administrator(), body, &format!("rule.refused\n{path} {message}")).await;
    }
}

#[tokio::test]
async fn rows_of_a_tenant_stay_in_it() {
    let app = App::new(
        r#"table Item (tenant) { name text(10) unique  number int auto  part_of Item?  allow all }"#,
        json!([]),
    )
    .await;
    let schema = app.engine.schema();
    assert!(schema.table_named("Item").is_some_and(|table| table.tenant.is_some()));
    let tenant = |number: u32, body: &'static str| {
        let mut request = crate::support::Request::new(Caller::anonymous(), body);
        request.tenant = Some(number);
        request
    };
    for (number, body, expected) in [
        (
            71,
            r##"{"Item": {"create": true, "id": "#1", "name": "a", "get": ["number"]}}"##,
            r##"{"Item":[{"id":"#1","name":"a","number":1,"new":true}]}"##,
        ),
        (
            72,
            r##"{"Item": {"create": true, "id": "#2", "name": "a", "get": ["number"]}}"##,
            r##"{"Item":[{"id":"#2","name":"a","number":1,"new":true}]}"##,
        ),
        (
            72,
            r##"{"Item": {"create": true, "name": "a"}}"##,
            r#"unique
/Item/name another Item has this value in `name` already"#,
        ),
        (72, r##"{"Item": {"id": "#1", "set": {"name": "b"}}}"##, r#"{"Item":[]}"#),
        (
            72,
            r##"{"Item": {"id": "#2", "set": {"part_of": "#1"}}}"##,
            r#"relation.refused
/Item/set/part_of there is no such row to refer to"#,
        ),
        (
            72,
            r##"{"Item": {"id": "#2", "set": {"tenant": "#71"}}}"##,
            r#"value.invalid
/Item/set/tenant is kept by the server"#,
        ),
        (72, r##"{"Item": {"all": true, "delete": true}}"##, r##"{"Item":[{"id":"#2","deleted":true}]}"##),
        (
            71,
            r##"{"Item": {"get": ["name", "number"]}}"##,
            r##"{"Item":[{"id":"#1","name":"a","number":1}]}"##,
        ),
    ] {
        let found = crate::support::shown(crate::support::send(&app, &tenant(number, body)).await);
        crate::support::compare(body, &found, expected);
    }
    check(
        &app,
        Caller::administrator(),
        r##"{"Item": {"create": true, "tenant": "#72", "name": "given", "get": ["number"]}}"##,
        r##"{"Item":[{"id":"@1","tenant":"#72","name":"given","number":2,"new":true}]}"##,
    )
    .await;
    refused(
        &app,
        Caller::anonymous(),
        r##"{"Item": {"create": true, "name": "nobody's"}}"##,
        r#"rule.refused
/Item a new Item belongs to a tenant, and the request is for none"#,
    )
    .await;
}
