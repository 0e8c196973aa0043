//! Checks and warnings: asked at the end, of the rows written and of those that read them.

use mainstay_engine::ctx::Caller;
use mainstay_engine::error::Key;
use serde_json::json;

use crate::app::App;
use crate::shop::shop;
use crate::support::{Request, check, everything, refused, send};

fn anybody() -> Caller {
    Caller::anonymous()
}

#[tokio::test]
async fn a_check_sees_the_rows_as_they_stand_at_the_end() {
    let app = shop().await;
    for (body, expected) in [
        // Ten lines too many, though the order itself is not written.
        (
            r##"{"OrderLine": {"create": true, "parent": "#31", "product": "#11", "quantity": 10}}"##,
            r#"check.failed
/OrderLine An order has at most 100 pieces."#,
        ),
        (
            r##"{"OrderLine": {"id": "#41", "set": {"quantity": {"$add": 9}}}}"##,
            r#"check.failed
/OrderLine An order has at most 100 pieces."#,
        ),
        (
            r##"{"Order": {"id": "#31", "lines": {"id": "#42", "set": {"quantity": 99}}}}"##,
            r#"check.failed
/Order/lines An order has at most 100 pieces."#,
        ),
        (
            r##"{"Order": {"create": true, "customer": "#1", "lines": {"create": true, "product": "#11", "quantity": 101}}}"##,
            r#"check.failed
/Order An order has at most 100 pieces."#,
        ),
        (
            r##"[{"Product": {"id": "#11", "set": {"stock": 1}}}, {"OrderLine": {"id": "#41", "set": {"quantity": 50}}}]"##,
            r#"check.failed
/1/OrderLine An order has at most 100 pieces."#,
        ),
    ] {
        refused(&app, anybody(), body, expected).await;
    }
    for (body, expected) in [
        // Too many in between, not at the end.
        (
            r##"{"OrderLine": [{"id": "#41", "set": {"quantity": 50}}, {"id": "#42", "set": {"quantity": 50}}]}"##,
            r##"{"OrderLine":[{"id":"#41","quantity":50,"edited":true},{"id":"#42","quantity":50,"edited":true}]}"##,
        ),
        (
            r##"{"Order": {"id": "#31", "lines": [{"create": true, "product": "#12", "quantity": 50}, {"id": "#42", "delete": true}]}}"##,
            r##"{"Order":[{"id":"#31","lines":[{"id":"@1","product":"#12","quantity":50,"new":true},{"id":"#42","deleted":true}]}]}"##,
        ),
    ] {
        check(&app, anybody(), body, expected).await;
    }
}

const TEAMS: &str = r#"
table Team {
  name   text(20)
  closed bool = false
  tasks  Task[] by team
  boss   Person?
  allow all
  check tasks.count() <= 2          "A team has at most two tasks."
  check boss == null or boss.adult  "A boss is of age."
}
table Person { name text(20)  adult bool = true  skills Skill[]  allow all
  check skills.none(banned)         "Nobody has banned skills."
}
table Skill { name text(20)  banned bool = false  people Person[] by skills  allow all }
table Task {
  team   Team
  helper Person?
  hours  int = 1
  allow all
  check not team.closed             "A closed team takes no tasks."
  warn  hours < 10                  "That is a long task."
  warn  helper == null or helper.skills.any()  "The helper has no skills."
}
"#;

async fn teams() -> App {
    let rows = json!([
        ["Person", {"id": 1, "name": "Ann"}],
        ["Person", {"id": 2, "name": "Kid", "adult": false}],
        ["Team", {"id": 11, "name": "A", "boss": 1}],
        ["Team", {"id": 12, "name": "B"}],
        ["Task", {"id": 21, "team": 11}],
        ["Task", {"id": 22, "team": 11}],
        ["Task", {"id": 23, "team": 12}],
        ["Skill", {"id": 31, "name": "juggling"}],
        ["Skill", {"id": 32, "name": "arson", "banned": true}],
        ["Person.skills", {"owner": 1, "target": 31}],
    ]);
    App::new(TEAMS, rows).await
}

#[tokio::test]
async fn a_check_is_asked_again_when_what_it_reads_is_written() {
    let app = teams().await;
    for (body, expected) in [
        // By a to-one relation: of the task when its team is closed, of the team when its boss gets younger.
        (
            r##"{"Team": {"id": "#11", "set": {"closed": true}}}"##,
            r#"check.failed
/Team A closed team takes no tasks."#,
        ),
        (
            r##"{"Person": {"id": "#1", "set": {"adult": false}}}"##,
            r#"check.failed
/Person A boss is of age."#,
        ),
        (
            r##"{"Team": {"id": "#12", "set": {"boss": "#2"}}}"##,
            r#"check.failed
/Team A boss is of age."#,
        ),
        // By a to-many relation: a task is added, or moved from another team.
        (
            r##"{"Task": {"create": true, "team": "#11"}}"##,
            r#"check.failed
/Task A team has at most two tasks."#,
        ),
        (
            r##"{"Task": {"id": "#23", "set": {"team": "#11"}}}"##,
            r#"check.failed
/Task A team has at most two tasks."#,
        ),
        (
            r##"{"Team": {"id": "#11", "tasks": {"add": "#23"}}}"##,
            r#"check.failed
/Team/tasks/add A team has at most two tasks."#,
        ),
        // By links: made, from either side, and by what they lead to.
        (
            r##"{"Person": {"id": "#1", "skills": {"add": "#32"}}}"##,
            r#"check.failed
/Person/skills/add Nobody has banned skills."#,
        ),
        (
            r##"{"Skill": {"id": "#32", "people": {"add": "#1"}}}"##,
            r#"check.failed
/Skill/people/add Nobody has banned skills."#,
        ),
        (
            r##"{"Skill": {"id": "#31", "set": {"banned": true}}}"##,
            r#"check.failed
/Skill Nobody has banned skills."#,
        ),
    ] {
        refused(&app, anybody(), body, expected).await;
    }
    for (body, expected) in [
        (
            r##"{"Team": {"id": "#11", "set": {"name": "A closed name"}}}"##,
            r##"{"Team":[{"id":"#11","name":"A closed name","edited":true}]}"##,
        ),
        (
            r##"{"Task": {"id": "#22", "set": {"team": "#12"}}}"##,
            r##"{"Task":[{"id":"#22","team":"#12","edited":true}]}"##,
        ),
        (
            r##"{"Task": {"create": true, "team": "#11"}}"##,
            r##"{"Task":[{"id":"@1","team":"#11","new":true}]}"##,
        ),
    ] {
        check(&app, anybody(), body, expected).await;
    }
}

/// The ids of the warnings that a request is refused with.
async fn warnings(app: &App, body: &str, accepted: &[String]) -> Vec<String> {
    let before = everything(app).await;
    let mut request = Request::new(anybody(), body);
    request.accepted = accepted.to_vec();
    let error = send(app, &request).await.expect_err("warnings refuse");
    assert_eq!(error.key, Key::Warnings, "{error:?}");
    assert_eq!(everything(app).await, before, "{body}");
    error.warnings.into_iter().map(|warning| warning.id).collect()
}

async fn accepted(app: &App, body: &str, ids: &[String]) {
    let mut request = Request::new(anybody(), body);
    request.accepted = ids.to_vec();
    send(app, &request).await.unwrap_or_else(|error| panic!("{error}: {body}"));
}

#[tokio::test]
async fn warnings_are_accepted_by_name_for_this_case_alone() {
    let app = teams().await;
    refused(
        &app,
        anybody(),
        r##"{"Task": {"id": "#21", "set": {"hours": 12}}}"##,
        r#"warnings.unaccepted
/Task That is a long task."#,
    )
    .await;
    let long = |hours: u32| format!(r##"{{"Task": {{"id": "#21", "set": {{"hours": {hours}}}}}}}"##);
    let first = warnings(&app, &long(12), &[]).await;
    assert_eq!(warnings(&app, &long(12), &[]).await, first, "the same case has the same name");
    let other = warnings(&app, &long(13), &first).await;
    assert_ne!(other, first, "another value is another case");
    let row = warnings(&app, r##"{"Task": {"id": "#22", "set": {"hours": 12}}}"##, &first).await;
    assert_ne!(row, first, "another row is another case");
    accepted(&app, &long(12), &first).await;
    // Written again, though nothing of it changes the hours: the row still is as the warning says.
    warnings(&app, r##"{"Task": {"id": "#21", "set": {"hours": 12, "helper": "#1"}}}"##, &[]).await;
}

#[tokio::test]
async fn a_new_row_has_the_same_warnings_when_it_is_sent_again() {
    let app = teams().await;
    let body = r##"{"Team": {"create": true, "name": "C", "tasks": [
        {"create": true, "hours": 20, "helper": {"create": true, "name": "New"}}, {"create": true, "hours": 20}]}}"##;
    let ids = warnings(&app, body, &[]).await;
    assert_eq!(ids.len(), 3, "two long tasks in two places, and a helper without skills");
    assert_eq!(warnings(&app, body, &[]).await, ids);
    assert_eq!(warnings(&app, body, &ids[..2]).await, ids[2..]);
    accepted(&app, body, &ids).await;
}

/// A check over a to-one relation to the rows beside its own fails for all of them at once.
#[tokio::test]
async fn a_check_that_fails_for_rows_beside_each_other_is_told_once_at_a_place() {
    let item = |id: u32| json!(["Item", {"id": id, "box": 1, "weight": 3}]);
    let app = App::new(
        r#"
        table Box { name text(10) items Item[] by box allow all }
        table Item {
          box    Box
          weight int
          allow all
          check box.items.sum(weight) <= 10  "The box is full."
          warn  box.items.count() < 4        "The box is nearly full."
        }
        "#,
        json!([["Box", {"id": 1, "name": "a"}], item(11), item(12), item(13)]),
    )
    .await;
    let full = "check.failed\n/Item The box is full.";
    refused(&app, anybody(), r##"{"Item": {"id": "#11", "set": {"weight": 6}}}"##, full).await;
    let full = "check.failed\n/Item/0 The box is full.\n/Item/1 The box is full.";
    let body = r##"{"Item": [{"id": "#11", "set": {"weight": 4}}, {"id": "#12", "set": {"weight": 4}}]}"##;
    refused(&app, anybody(), body, full).await;
    // A warning is of one row, so that accepting it says yes to that one: each has a name of its own, once.
    let body = r##"{"Item": {"create": true, "id": "#14", "box": "#1", "weight": 1}}"##;
    let error = send(&app, &Request::new(anybody(), body)).await.unwrap_err();
    let ids: std::collections::BTreeSet<_> = error.warnings.iter().map(|warning| &warning.id).collect();
    assert_eq!((error.warnings.len(), ids.len()), (4, 4), "{error}");
}

#[tokio::test]
async fn a_warning_may_look_at_what_is_the_callers() {
    let schema = r#"
        extend User { notes Note[] by owner }
        table Note { owner User?  words text(20)?  big bool = false  allow all }
        table Sign { allow all  warn user.notes.any(big) "Whoever puts up a sign should have a big note." }
    "#;
    let app = App::new(schema, json!([])).await;
    let body = r##"{"Sign": {"create": true, "id": "#1"}}"##;
    let ids = warnings(&app, body, &[]).await;
    accepted(&app, body, &ids).await;
}
