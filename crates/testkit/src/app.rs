//! A whole app for a test: `.stay` text in a folder of its own, served on a free port, asked over real TCP.
//!
//! What a test does goes through the server alone, as a client's requests do; users are made by an administrator's
//! request, not beside the server.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mainstay_engine::limits::Limits;
use mainstay_engine::plugin::Plugins;
use mainstay_engine::{Engine, MayChange};
use mainstay_http::{Options, Server, Subject, TokenSecret, issue_token};
use mainstay_lang::analyse::analyse;
use mainstay_store::{DatabaseUrl, Store, StoreOptions};
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tracing_subscriber::filter::LevelFilter;

/// Tokens of tests are good for longer than any test runs.
const TOKEN_TTL: Duration = Duration::from_secs(3600);

/// A test that waits longer has found a hang.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// A served app; gone with all its data when dropped.
pub struct TestApp {
    /// `http://127.0.0.1:PORT`
    pub url: String,
    /// The engine behind the server.
    pub engine: Arc<Engine>,
    client: reqwest::Client,
    secret: TokenSecret,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
    _folder: TempDir,
}

impl TestApp {
    /// Serves an app of one file.
    pub async fn start(stay: &str) -> TestApp {
        TestApp::start_with(stay, |_| {}).await
    }

    /// The same, under other options.
    pub async fn start_with(stay: &str, change: impl FnOnce(&mut Options)) -> TestApp {
        TestApp::start_plugged(stay, &Plugins::default(), change).await
    }

    /// The same with plugins.
    pub async fn start_plugged(stay: &str, plugins: &Plugins, change: impl FnOnce(&mut Options)) -> TestApp {
        // Faults of the server stand in the output of the test that met them.
        let log = tracing_subscriber::fmt().with_max_level(LevelFilter::WARN).with_test_writer();
        let _is_first_app = log.try_init();
        let folder = tempfile::tempdir().expect("a folder for the test");
        let engine = Arc::new(open(stay, plugins, folder.path()).await);
        engine.start().await.expect("plugins begin");
        let secret = TokenSecret::new([7; TokenSecret::BYTES_MIN]).expect("the secret is long enough");
        let mut options = Options::new(secret.clone());
        options.listen.set_port(0);
        options.development = true;
        change(&mut options);
        let server = Server::bind(options, Arc::clone(&engine)).await.expect("a free port");
        let url = format!("http://{}", server.local_addr());
        let (stop, stopped) = oneshot::channel::<()>();
        let served = tokio::spawn(server.serve(async move {
            // A test that drops the app stops it too.
            let _stopped_or_dropped = stopped.await;
        }));
        let client =
            reqwest::Client::builder().timeout(ANSWER_TIMEOUT).build().expect("a client without TLS");
        TestApp { url, engine, client, secret, stop: Some(stop), served, _folder: folder }
    }

    /// A request by the anonymous caller, until it says otherwise.
    pub fn request(&self, method: Method, path: &str) -> Request<'_> {
        Request { app: self, builder: self.client.request(method, format!("{}{path}", self.url)) }
    }

    /// `GET`
    pub fn get(&self, path: &str) -> Request<'_> {
        self.request(Method::GET, path)
    }

    /// `POST` of a JSON body.
    pub fn post(&self, path: &str, body: Value) -> Request<'_> {
        self.request(Method::POST, path).json(&body)
    }

    /// `PATCH` with a JSON body.
    pub fn patch(&self, path: &str, body: Value) -> Request<'_> {
        self.request(Method::PATCH, path).json(&body)
    }

    /// `DELETE`
    pub fn delete(&self, path: &str) -> Request<'_> {
        self.request(Method::DELETE, path)
    }

    /// A token for a subject, good for an hour.
    pub fn token(&self, subject: &Subject) -> String {
        issue_token(&self.secret, &self.engine.schema().app, subject, TOKEN_TTL)
    }

    /// A new user with permissions; the key of the row.
    pub async fn user(&self, name: &str, permissions: &[&str]) -> String {
        let row = json!({"email": format!("{name}@example.com"), "name": name});
        let user = self.post("/api/User", row).admin().send().await.expect_status(201);
        let id = user.body["id"].as_str().expect("a user has a key").to_owned();
        for permission in permissions {
            let grant = json!({"user": id, "permission": permission});
            self.post("/api/Grant", grant).admin().send().await.expect_status(201);
        }
        id
    }

    /// Asks the server to stop and waits until it has.
    pub async fn stop(mut self) {
        self.stop.take().expect("an app is stopped once").send(()).expect("the server runs");
        self.served.await.expect("the server ends without a panic");
    }
}

/// The engine of an app on a new database in a folder; what is wrong with the text ends the test.
async fn open(stay: &str, plugins: &Plugins, folder: &Path) -> Engine {
    let mut sources = plugins.sources();
    sources.add("app.stay", stay);
    let analysis = analyse(&sources);
    let schema = analysis.schema.unwrap_or_else(|| panic!("the app has errors: {:#?}", analysis.diagnostics));
    let options = StoreOptions::new(DatabaseUrl::Sqlite(folder.join("app.db")));
    let store = Store::open(&options).expect("a new database");
    let options =
        mainstay_engine::Options { may_change: MayChange::IN_DEVELOPMENT, limits: Limits::default() };
    Engine::open_with(Arc::new(schema), store, options, plugins)
        .await
        .expect("a new database takes any schema")
}

/// A request while it is put together.
pub struct Request<'a> {
    app: &'a TestApp,
    builder: reqwest::RequestBuilder,
}

impl Request<'_> {
    /// By the user with this key.
    pub fn user(self, id: &str) -> Self {
        let token = self.app.token(&Subject::User(id.to_owned()));
        self.bearer(&token)
    }

    /// By one who passes every rule.
    pub fn admin(self) -> Self {
        let token = self.app.token(&Subject::Admin);
        self.bearer(&token)
    }

    /// With a token as it is.
    pub fn bearer(mut self, token: &str) -> Self {
        self.builder = self.builder.bearer_auth(token);
        self
    }

    /// With a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header's name");
        self.builder = self.builder.header(name, HeaderValue::from_str(value).expect("a header's value"));
        self
    }

    /// With a parameter, which is encoded.
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.builder = self.builder.query(&[(name, value)]);
        self
    }

    /// With a JSON body.
    pub fn json(mut self, body: &Value) -> Self {
        self.builder = self.builder.json(body);
        self
    }

    /// With a body as it is.
    pub fn body(mut self, body: impl Into<reqwest::Body>) -> Self {
        self.builder = self.builder.body(body);
        self
    }

    /// Sends it and reads the whole answer.
    pub async fn send(self) -> Answer {
        let response = self.builder.send().await.expect("an answer within the time limit");
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let text = response.text().await.expect("a whole body");
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer { status, headers, text, body }
    }
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as text.
    pub text: String,
    /// The body as JSON; null when it is none.
    pub body: Value,
}

impl Answer {
    /// The same, or a panic that shows the answer.
    #[track_caller]
    pub fn expect_status(self, status: u16) -> Answer {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// A problem with this status and key.
    #[track_caller]
    pub fn expect_problem(self, status: u16, key: &str) -> Answer {
        assert_eq!((self.status, self.body["key"].as_str()), (status, Some(key)), "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        self
    }

    /// A header's value; empty when there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}
