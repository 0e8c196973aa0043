//! The festival of the language's own examples.

use mainstay_engine::ctx::Caller;
use serde_json::json;

use crate::app::App;

const SCHEMA: &str = r#"
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
async fn festival() -> App {
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
