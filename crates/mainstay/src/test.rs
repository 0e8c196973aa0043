//! Tests for apps: a fresh database for each, callers by name, a clock that stands still, and proof of what did not happen.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use mainstay::prelude::*;
//! use mainstay::test::TestApp;
//!
//! let app = TestApp::start(App::open("app")?).await;
//! app.user("ann", &[]).await;
//! app.by("ann").query(json!({"Task": {"create": true, "title": "Milk"}})).await.expect_ok();
//! app.by("bob").query(json!({"Task": {"all": true, "delete": true}})).await.expect_ok();
//! assert_eq!(app.changed().await, ["create Task"]);
//! # Ok(())
//! # }
//! ```
//!
//! What an app does in a test goes through its rules, as a client's requests do. The database is a file in memory or in a folder
//! of its own; with `MAINSTAY_TEST_DATABASE=postgres://…/EMPTY` it is that one, which is to be empty.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::Request;
use mainstay_engine::ctx::{Caller, Ctx};
use mainstay_engine::error::{Error, Key};
use mainstay_engine::limits::Limits;
use mainstay_engine::part::Operation;
use mainstay_engine::{ChangeKind, Engine, MayChange, Options, Position, Tail, document, render};
use mainstay_http::{Subject, TokenSecret, issue_token};
use mainstay_lang::value::{Timestamp, Value};
use mainstay_store::{DatabaseUrl, Store, StoreOptions, Synchronous};
use serde_json::{Value as Json, json};
use tempfile::TempDir;
use tower::ServiceExt as _;

use crate::App;
use crate::cli;
use crate::output::Output;

/// A test that waits longer has found a hang.
const PATIENCE: Duration = Duration::from_secs(30);

/// Most changes of one step of a test.
const LINES_MAX: usize = 100_000;

/// Where a system keeps files that need not outlive it.
const MEMORY_FOLDER: &str = "/dev/shm";

/// When tests begin, until they say otherwise: 2026-01-01T12:00:00Z.
const BEGIN: Timestamp = Timestamp(1_767_268_800_000_000);

/// An app on a fresh database, which goes when this does.
pub struct TestApp {
    /// The engine, for what has no word here.
    pub engine: Arc<Engine>,
    router: axum::Router,
    secret: TokenSecret,
    state: parking_lot::Mutex<State>,
    _folder: Option<TempDir>,
}

struct State {
    users: HashMap<String, Value>,
    now: Timestamp,
    seen: Position,
}

impl TestApp {
    /// Opens an app for a test.
    ///
    /// # Panics
    /// When it has errors, or the database cannot be made.
    pub async fn start(app: App) -> TestApp {
        let (folder, plugins) = app.into_parts();
        let app = cli::App { folder, settings: Default::default(), plugins };
        let schema = crate::commands::check::schema(Output { json: false }, &app);
        let schema = schema.unwrap_or_else(|error| panic!("{error:#}"));
        let (options, folder) = place();
        let store = Store::open(&options).unwrap_or_else(|error| panic!("{error}"));
        let options = Options { may_change: MayChange::IN_DEVELOPMENT, limits: Limits::default() };
        let engine = Engine::open_with(schema, store, options, &app.plugins).await;
        let engine = Arc::new(engine.unwrap_or_else(|error| panic!("{error}")));
        let secret = TokenSecret::new([7; TokenSecret::BYTES_MIN]).expect("the secret is long enough");
        let router = mainstay_http::service(mainstay_http::Options::new(secret.clone()), engine.clone());
        let seen = engine.position().await.unwrap_or_else(|error| panic!("{error}"));
        let state = State { users: HashMap::new(), now: BEGIN, seen };
        TestApp { engine, router, secret, state: parking_lot::Mutex::new(state), _folder: folder }
    }

    /// Makes a user, who is called by this name from now on, with these permissions.
    ///
    /// # Panics
    /// When the app does not let an administrator make one.
    pub async fn user(&self, name: &str, permissions: &[&str]) {
        let row =
            json!({"create": true, "name": name, "email": format!("{name}@example.com"), "get": ["id"]});
        let made = self.admin().query(json!({"User": row})).await.expect_ok();
        let id = made["User"][0]["id"].clone();
        for permission in permissions {
            let grant = json!({"create": true, "user": id, "permission": permission});
            self.admin().query(json!({"Grant": grant})).await.expect_ok();
        }
        let table = self.engine.schema().user_table().expect("the platform brings users");
        let key = Value::from_json(&id.to_string(), self.engine.schema().key_type(table.id));
        let key = key.unwrap_or_else(|error| panic!("{}", error.message));
        self.state.lock().users.insert(name.to_owned(), key);
        self.settle().await;
    }

    /// Asks as a user that was made.
    ///
    /// # Panics
    /// When none was made under the name.
    pub fn by(&self, name: &str) -> Asking<'_> {
        let key = self.state.lock().users.get(name).cloned();
        Asking { app: self, who: Who::User(key.unwrap_or_else(|| panic!("no user `{name}` was made"))) }
    }

    /// Asks as nobody in particular.
    pub fn anybody(&self) -> Asking<'_> {
        Asking { app: self, who: Who::Anybody }
    }

    /// Asks as one who passes every rule.
    pub fn admin(&self) -> Asking<'_> {
        Asking { app: self, who: Who::Admin }
    }

    /// What `now()` is, until it is said again.
    ///
    /// # Panics
    /// When the text is no instant such as `2026-01-31T10:00:00Z`.
    pub fn set_now(&self, instant: &str) {
        let value = Value::parse_text(instant, &mainstay_lang::types::Type::Timestamp);
        let Ok(Value::Timestamp(now)) = value else { panic!("{instant} is no instant") };
        self.state.lock().now = now;
    }

    /// Lets time pass.
    pub fn advance(&self, time: Duration) {
        let micros = i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        let mut state = self.state.lock();
        state.now = Timestamp(state.now.0.saturating_add(micros));
    }

    /// What was changed since this was last asked, in order: `create Task`, `update Task`, `delete Task`, `link Task` for a link
    /// that was made or ended. Empty:
    /// nothing happened.
    ///
    /// # Panics
    /// When the change log cannot be read.
    pub async fn changed(&self) -> Vec<String> {
        let seen = self.state.lock().seen.clone();
        let tail = self.engine.tail(&seen, None, 0, LINES_MAX).await;
        let Tail { to, changes, .. } = tail.unwrap_or_else(|error| panic!("{error}"));
        self.state.lock().seen = to;
        let name = |kind: &ChangeKind| match kind {
            ChangeKind::Row { before: None, .. } => "create",
            ChangeKind::Row { after: None, .. } => "delete",
            ChangeKind::Row { .. } => "update",
            ChangeKind::Link { .. } => "link",
        };
        let schema = self.engine.schema();
        changes
            .iter()
            .map(|change| format!("{} {}", name(&change.kind), schema.table(change.table).name))
            .collect()
    }

    async fn settle(&self) {
        self.changed().await;
    }
}

fn place() -> (StoreOptions, Option<TempDir>) {
    let (url, folder) = match std::env::var("MAINSTAY_TEST_DATABASE") {
        Ok(url) => (url.parse().unwrap_or_else(|error| panic!("MAINSTAY_TEST_DATABASE: {error}")), None),
        Err(_) => {
            let memory = PathBuf::from(MEMORY_FOLDER);
            let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
            let folder = folder.unwrap_or_else(|error| panic!("no folder for the database: {error}"));
            (DatabaseUrl::Sqlite(folder.path().join("app.db")), Some(folder))
        }
    };
    (StoreOptions { synchronous: Synchronous::Normal, ..StoreOptions::new(url) }, folder)
}

#[derive(Clone, Debug)]
enum Who {
    Anybody,
    Admin,
    User(Value),
}

/// A caller who asks.
pub struct Asking<'a> {
    app: &'a TestApp,
    who: Who,
}

impl Asking<'_> {
    /// Asks a document of the query language.
    pub async fn query(&self, document: Json) -> Answer {
        Answer { result: self.ask(&document).await, asked: document }
    }

    /// Gets a path of the server, a plugin's routes included: the status and the body.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn get(&self, path: &str) -> (u16, Json) {
        let mut request = Request::get(path).header("host", "localhost");
        let subject = match &self.who {
            Who::Anybody => None,
            Who::Admin => Some(Subject::Admin),
            Who::User(key) => Some(Subject::User(key.to_string())),
        };
        if let Some(subject) = subject {
            let token = issue_token(&self.app.secret, &self.app.engine.schema().app, &subject, PATIENCE);
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(Body::empty()).unwrap_or_else(|error| panic!("{path}: {error}"));
        let response = match self.app.router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await;
        let body = body.unwrap_or_else(|error| panic!("{path}: {error}"));
        (status, serde_json::from_slice(&body).unwrap_or(Json::Null))
    }

    async fn ask(&self, document: &Json) -> Result<Json, Error> {
        let documents = document::parse(document.to_string().as_bytes())?;
        let operation = Operation { documents, ..Operation::default() };
        let ctx = self.context().await?;
        let response = self.app.engine.execute(&ctx, &operation).await?;
        serde_json::from_str(&render(&response, document.is_array())).map_err(Error::internal)
    }

    async fn context(&self) -> Result<Ctx, Error> {
        let caller = match &self.who {
            Who::Anybody => Arc::new(Caller::anonymous()),
            Who::Admin => Arc::new(Caller::administrator()),
            Who::User(key) => {
                let gone = || Error::new(Key::Credentials, "the user is no longer there");
                self.app.engine.caller(key).await?.ok_or_else(gone)?
            }
        };
        let now = self.app.state.lock().now;
        let deadline = Instant::now() + PATIENCE;
        Ok(Ctx { caller, tenant: None, session: None, now, deadline, request_id: "test".into() })
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The answer, or why there is none.
    pub result: Result<Json, Error>,
    asked: Json,
}

impl Answer {
    /// The answer.
    ///
    /// # Panics
    /// When the request was refused.
    #[track_caller]
    pub fn expect_ok(self) -> Json {
        self.result.unwrap_or_else(|error| panic!("{error}\nfor {}", self.asked))
    }

    /// The error, under its key on the wire.
    ///
    /// # Panics
    /// When the request was done, or refused for another reason.
    #[track_caller]
    pub fn expect_refused(self, key: &str) -> Error {
        match self.result {
            Ok(answer) => panic!("done: {answer}\nfor {}", self.asked),
            Err(error) => {
                assert_eq!(error.key.text(), key, "{error}\nfor {}", self.asked);
                error
            }
        }
    }
}
