//! Tests for apps: a fresh database for each, callers by name, a clock that stands still, jobs and mail that wait to be looked at, and
//! proof of what did not happen.
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
//! app.expect_nothing().await;
//! # Ok(())
//! # }
//! ```
//!
//! What an app does in a test goes through its rules, as a client's requests do. Jobs that it enqueues run when the test says so
//! ([`TestApp::work`]), by its clock; mail is captured. The database is a file in memory or in a folder of its own; with
//! `MAINSTAY_TEST_DATABASE=postgres://…/NAME` it is one of that server, copied from a template that is made once for each schema.

mod captured;
mod place;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::Request;
use mainstay_engine::ctx::{Caller, Claims, Ctx};
use mainstay_engine::error::{Error, Key};
use mainstay_engine::part::Operation;
use mainstay_engine::{ChangeKind, Engine, Position, Tail, document, render};
use mainstay_http::{Subject, TokenSecret, issue_token};
use mainstay_jobs::{Clock, Jobs};
use mainstay_lang::value::{Timestamp, Value};
use serde_json::{Value as Json, json};
use tower::ServiceExt as _;

use self::place::Place;
use crate::App;
use crate::cli;
use crate::output::Output;
use crate::plugins;

pub use self::captured::TestMail;

/// A test that waits longer has found a hang.
const PATIENCE: Duration = Duration::from_secs(30);

/// Most changes of one step of a test.
const LINES_MAX: usize = 100_000;

/// When tests begin, until they say otherwise: 2026-01-01T12:00:00Z.
const BEGIN: Timestamp = Timestamp(1_767_268_800_000_000);

/// An app on a fresh database, which goes when this does.
pub struct TestApp {
    /// The engine, for what has no word here.
    pub engine: Arc<Engine>,
    /// The queue, for what has no word here.
    pub jobs: Jobs,
    router: axum::Router,
    secret: TokenSecret,
    state: parking_lot::Mutex<State>,
    /// Microseconds of the clock of requests and jobs.
    now: Arc<AtomicI64>,
    _place: Place,
}

struct State {
    users: HashMap<String, Value>,
    seen: Position,
    /// Jobs and mails that the test was told of.
    told: HashSet<String>,
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
        let now = Arc::new(AtomicI64::new(BEGIN.0));
        let clock = now.clone();
        let clock = Clock::new(move || Timestamp(clock.load(Ordering::SeqCst)));
        let plugins = plugins::in_test(&app, &schema, clock).unwrap_or_else(|error| panic!("{error:#}"));
        let (engine, place) = place::open(&app, &schema, &plugins).await;
        let engine = Arc::new(engine);
        engine.start().await.unwrap_or_else(|error| panic!("{error}"));
        let secret = TokenSecret::new([7; TokenSecret::BYTES_MIN]).expect("the secret is long enough");
        let router = mainstay_http::service(mainstay_http::Options::new(secret.clone()), engine.clone());
        let seen = engine.position().await.unwrap_or_else(|error| panic!("{error}"));
        let state = State { users: HashMap::new(), seen, told: HashSet::new() };
        let jobs = Jobs::of_app(engine.clone());
        TestApp { engine, jobs, router, secret, state: parking_lot::Mutex::new(state), now, _place: place }
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
        self.now.store(now.0, Ordering::SeqCst);
    }

    /// Lets time pass. Jobs that have come due run at the next [`TestApp::work`].
    pub fn advance(&self, time: Duration) {
        let micros = i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        self.now.fetch_add(micros, Ordering::SeqCst);
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

    /// What was said so far is nothing new any more.
    async fn settle(&self) {
        self.changed().await;
        self.enqueued().await;
        self.new_mail().await;
    }
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
                self.app.engine.caller(&Claims::user(key.clone())).await?.ok_or_else(gone)?
            }
        };
        let now = Timestamp(self.app.now.load(Ordering::SeqCst));
        let deadline = Instant::now() + PATIENCE;
        Ok(Ctx { caller, tenant: None, session: None, now, deadline, request_id: "test".into(), trace: None })
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
