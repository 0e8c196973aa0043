//! `/live` and streams of events: subscriptions over the wire.

mod frames;
mod presence;
mod pressure;
mod rights;
mod stream;
mod subscriptions;

use mainstay_testkit::app::TestApp;
use mainstay_testkit::socket::Socket;
use serde_json::{Value, json};

/// An app whose rules follow rows, relations, the caller and the clock.
pub(crate) const STAY: &str = r#"
app desk
use identity

table Team {
  name    text unique
  members User[] by team
  allow read
  allow create, update, delete if user.can("admin")
}

extend User {
  team    Team?
  watches Task[] by watchers
  allow read if signed_in
}

/// Its own columns and the caller decide.
table Task {
  title  text
  state  enum(open, done) = open
  team   Team
  cost   int?
  inside text? hidden
  notes  Note[] by task
  watchers User[]
  allow read if team == user.team or user.can("admin")
  allow read(cost) if user.can("cost")
  allow create, update, delete, link, unlink
  check title != "bad"  "A task is not bad."
}

/// Another row decides.
table Note {
  task Task on delete cascade
  text text
  allow read if task.state == open and (task.team == user.team or task.watchers.any(id == user.id))
  allow create, update, delete
}

/// The clock decides.
table Notice {
  text  text
  until timestamp?
  allow read if until == null or until > now()
  allow create, update, delete
}

/// A clock that nobody can foretell.
table Yearly {
  text text
  allow read if year(now()) > 2020
  allow create
}
"#;

/// The app with two teams and a user of each.
pub(crate) struct Desk {
    pub(crate) app: TestApp,
    pub(crate) teams: [String; 2],
    pub(crate) users: [String; 2],
}

impl Desk {
    pub(crate) async fn open() -> Desk {
        Desk::open_with(|_| {}).await
    }

    pub(crate) async fn open_with(change: impl FnOnce(&mut mainstay_http::Options)) -> Desk {
        let app = TestApp::start_with(STAY, change).await;
        let mut teams = Vec::new();
        let mut users = Vec::new();
        for name in ["red", "blue"] {
            let team = app.post("/api/Team", json!({"name": name})).admin().send().await.expect_status(201);
            let team = team.body["id"].as_str().expect("a row has a key").to_owned();
            let user = app.user(name, &[]).await;
            let change = json!({"team": team});
            app.patch(&format!("/api/User/{user}"), change).admin().send().await.expect_status(200);
            teams.push(team);
            users.push(user);
        }
        let [teams, users] = [teams, users].map(|pair| pair.try_into().expect("there are two"));
        Desk { app, teams, users }
    }

    /// A socket of a user.
    pub(crate) async fn socket(&self, user: &str) -> Socket {
        let token = self.app.token(&mainstay_http::Subject::User(user.to_owned()));
        Socket::open(&self.app.url, &token).await
    }

    /// Does something as an administrator; the row.
    pub(crate) async fn make(&self, path: &str, row: Value) -> Value {
        self.app.post(path, row).admin().send().await.expect_status(201).body
    }

    /// Changes a row as an administrator.
    pub(crate) async fn change(&self, path: &str, row: &Value, change: Value) {
        let path = format!("{path}/{}", row["id"].as_str().expect("a row has a key"));
        self.app.patch(&path, change).admin().send().await.expect_status(200);
    }

    /// Ends a row as an administrator.
    pub(crate) async fn end(&self, path: &str, row: &Value) {
        let path = format!("{path}/{}", row["id"].as_str().expect("a row has a key"));
        self.app.delete(&path).admin().send().await.expect_status(204);
    }

    /// A task of a team.
    pub(crate) async fn task(&self, team: usize, title: &str) -> Value {
        self.make("/api/Task", json!({"title": title, "team": self.teams[team]})).await
    }
}

/// A change without its place.
pub(crate) fn told(frame: &Value) -> (String, Value) {
    assert!(frame["seq"].is_string(), "{frame}");
    (frame["change"].as_str().unwrap_or_default().to_owned(), frame["row"].clone())
}
