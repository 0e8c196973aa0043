//! An app with identities on a database of its own, served over TCP; a second node beside it where a test asks for one.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use mainstay_engine::ctx::Factor;
use mainstay_engine::plugin::{Plugin, Plugins, Setup};
use mainstay_engine::{Clock, Engine, MayChange, Options, limits::Limits};
use mainstay_http::{Refusal, RequestCtx, Server, SetupHttp as _, Subject, TokenSecret, issue_token};
use mainstay_identity::{IdentityOptions, IdentityPlugin, PasswordOptions};
use mainstay_jobs::{Jobs, JobsPlugin, Worker, WorkerOptions};
use mainstay_lang::analyse::analyse;
use mainstay_lang::value::Timestamp;
use mainstay_mail::{MailOptions, MailPlugin};
use mainstay_store::{DatabaseUrl, Store, StoreOptions};
pub(crate) use mainstay_testkit::database::DatabaseKind;
use mainstay_testkit::database::Place;
use reqwest::Method;
use serde_json::{Value as Json, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const SECRET: [u8; 32] = [7; 32];

pub(crate) const PASSWORD: &str = "a boat that sings by night";

/// What the tests' app is beside its identities.
const APP: &str = r#"
app shop
use identity, live

table Note {
  owner  User       immutable
  text   text(100)

  allow all if owner == user or user.can("note/admin")
}

table Stock (tenant) {
  name  text(50)

  allow read  if signed_in
  allow write if user.can("stock/manage")
}

/// What is only for whoever has just shown who they are.
table Vault {
  owner  User       immutable
  text   text(100)

  allow read, create, update if owner == user and user.confirmed(5 minutes)
  allow delete               if owner == user and user.confirmed_twice(5 minutes)
}

/// What is partly so.
table Letter {
  owner    User       immutable
  text     text(100)
  private  bool

  allow read         if owner == user and (not private or user.confirmed(5 minutes))
  allow create       if owner == user
  allow update(text) if user.confirmed(5 minutes)
  allow update       if owner == user
}

extend User { allow read if id == user.id }
"#;

pub(crate) fn on_each<F: Future<Output = ()>>(test: impl Fn(DatabaseKind) -> F) {
    for kind in DatabaseKind::ALL {
        run(test(*kind));
    }
}

pub(crate) fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(test);
}

/// One server on a database.
pub(crate) struct Node {
    pub(crate) url: String,
    pub(crate) engine: Arc<Engine>,
    client: reqwest::Client,
    /// The same, which goes nowhere by itself.
    still: reqwest::Client,
    stops: Vec<oneshot::Sender<()>>,
    tasks: Vec<JoinHandle<()>>,
}

/// An app and its database.
pub(crate) struct App {
    pub(crate) node: Node,
    pub(crate) place: Place,
    _templates: tempfile::TempDir,
    source: &'static str,
    options: IdentityOptions,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Json,
    pub(crate) headers: reqwest::header::HeaderMap,
}

impl Answer {
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Answer {
        assert_eq!(self.status, status, "{:#}", self.body);
        self
    }

    #[track_caller]
    pub(crate) fn refused(self, status: u16, key: &str) -> Answer {
        assert_eq!((self.status, self.body["key"].as_str()), (status, Some(key)), "{:#}", self.body);
        self
    }

    #[track_caller]
    pub(crate) fn text(&self, member: &str) -> String {
        self.body[member].as_str().unwrap_or_else(|| panic!("no {member}: {:#}", self.body)).to_owned()
    }
}

/// Weak hashes, which take no time.
pub(crate) fn options() -> IdentityOptions {
    IdentityOptions {
        password: PasswordOptions { memory_kib: 64, passes: 1, threads: 1, ..PasswordOptions::default() },
        ..IdentityOptions::new(SECRET, "http://shop.example")
    }
}

/// A plugin with a route of its own, for whoever has just shown a second factor.
struct Door;

impl Plugin for Door {
    fn name(&self) -> &str {
        "door"
    }

    fn build(&self, setup: &mut Setup<'_>) {
        let open = async |request: RequestCtx| -> Result<&'static str, Refusal> {
            request.ctx.require_confirmed(Factor::Second, Duration::from_secs(300))?;
            Ok("open")
        };
        setup.routes(Router::new().route("/door", get(open)));
    }
}

/// A server on a database that some options name.
pub(crate) async fn node(stored: &StoreOptions, templates: &Path, options: IdentityOptions) -> Node {
    node_at(stored, templates, (APP, options), Clock::default()).await
}

async fn node_at(
    stored: &StoreOptions,
    templates: &Path,
    (source, options): (&'static str, IdentityOptions),
    clock: Clock,
) -> Node {
    let mut plugins = Plugins::default();
    let mail = MailOptions::captured("shop@example.com".parse().unwrap(), templates);
    plugins
        .add(JobsPlugin::default())
        .add(MailPlugin::new(mail))
        .add(IdentityPlugin::new(options.clone()))
        .add(Door);
    let mut sources = plugins.sources();
    sources.add("app.stay", source);
    let analysis = analyse(&sources);
    let schema = analysis.schema.unwrap_or_else(|| panic!("{:#?}", analysis.diagnostics));
    let mut stored = stored.clone();
    // A server, which hears of what others write; of those SQLite has one alone.
    stored.exclusive = matches!(stored.url, DatabaseUrl::Postgres(_));
    let store = Store::open(&stored).unwrap();
    let opened = Options { may_change: MayChange::IN_DEVELOPMENT, limits: Limits::default() };
    let engine = Arc::new(Engine::open_with(Arc::new(schema), store, opened, &plugins).await.unwrap());
    engine.start().await.unwrap();
    // Where a test has to know beforehand where the app is, it says so.
    let said =
        ["http://127.0.0.1:", "http://localhost:"].iter().find_map(|start| options.url.strip_prefix(start));
    let port = said.map_or(0, |port| port.parse().unwrap());
    let mut options = mainstay_http::Options::new(TokenSecret::new(SECRET).unwrap());
    options.listen.set_port(port);
    options.clock = clock;
    options.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    let server = Server::bind(options, engine.clone()).await.unwrap();
    let url = format!("http://{}", server.local_addr());
    let poll = Duration::from_millis(20);
    let worker =
        Worker::new(Jobs::of_app(engine.clone()), WorkerOptions { poll, ..WorkerOptions::default() });
    let (stop_server, server_stopped) = oneshot::channel::<()>();
    let (stop_worker, worker_stopped) = oneshot::channel::<()>();
    let tasks = vec![
        tokio::spawn(server.serve(async move { drop(server_stopped.await) })),
        tokio::spawn(worker.run(async move { drop(worker_stopped.await) })),
    ];
    let client = reqwest::Client::builder().timeout(PATIENCE).build().unwrap();
    let still = reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none());
    let still = still.build().unwrap();
    Node { url, engine, client, still, stops: vec![stop_server, stop_worker], tasks }
}

impl Node {
    pub(crate) async fn stop(self) {
        drop(self.stops);
        for task in self.tasks {
            task.await.unwrap();
        }
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        Answer { status, headers, body: serde_json::from_str(&text).unwrap_or(Json::Null) }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    /// A request whose answer is looked at wherever it leads.
    pub(crate) fn request_without_following(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.still.request(method, format!("{}{path}", self.url))
    }

    /// Nobody asks, from an address of its own each time, so that nothing is counted together.
    pub(crate) async fn post(&self, path: &str, body: Json) -> Answer {
        static ADDRESS: AtomicU64 = AtomicU64::new(1);
        let number = ADDRESS.fetch_add(1, Ordering::Relaxed);
        let address = format!("198.18.{}.{}", number / 250 % 250, number % 250 + 1);
        self.send(self.request(Method::POST, path).header("x-forwarded-for", address).json(&body)).await
    }

    pub(crate) async fn post_as(&self, token: &str, path: &str, body: Json) -> Answer {
        self.send(self.request(Method::POST, path).bearer_auth(token).json(&body)).await
    }

    pub(crate) async fn get_as(&self, token: &str, path: &str) -> Answer {
        self.send(self.request(Method::GET, path).bearer_auth(token)).await
    }

    pub(crate) async fn delete_as(&self, token: &str, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path).bearer_auth(token)).await
    }

    /// One who passes every rule.
    pub(crate) fn admin(&self) -> String {
        let secret = TokenSecret::new(SECRET).unwrap();
        issue_token(&secret, "shop", &Subject::Admin, Duration::from_secs(3600))
    }

    pub(crate) async fn query(&self, document: Json) -> Json {
        self.post_as(&self.admin(), "/query", document).await.expect(200).body
    }

    /// A user with a password and an address that is known to arrive; the key.
    pub(crate) async fn user(&self, name: &str, permissions: &[&str]) -> String {
        let email = format!("{name}@example.com");
        let body = json!({"email": email, "password": PASSWORD, "name": name});
        self.post("/auth/register", body).await.expect(202);
        let token = self.letter("identity-verify", &email).await;
        self.post("/auth/email/verify", json!({"token": token})).await.expect(200);
        let found = self.query(json!({"User": {"email": email}})).await;
        let id = found["User"][0]["id"].as_str().unwrap().to_owned();
        for permission in permissions {
            let grant = json!({"create": true, "user": id, "permission": permission});
            self.query(json!({"Grant": grant})).await;
        }
        id
    }

    pub(crate) async fn login(&self, name: &str) -> Answer {
        let body = json!({"email": format!("{name}@example.com"), "password": PASSWORD});
        self.post("/auth/login", body).await.expect(200)
    }

    /// Waits for a mail of a template to an address.
    pub(crate) async fn mail(&self, template: &str, to: &str) -> Json {
        let begun = Instant::now();
        loop {
            let part = json!({
                "template": template, "recipient": to, "get": ["body", "subject"], "order": ["-created"],
            });
            let found = self.query(json!({"Mail": part})).await;
            if let Some(mail) = found["Mail"].get(0) {
                return mail.clone();
            }
            assert!(begun.elapsed() < PATIENCE, "no {template} to {to}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The token in such a mail.
    pub(crate) async fn letter(&self, template: &str, to: &str) -> String {
        let mail = self.mail(template, to).await;
        token_in(mail["body"].as_str().unwrap())
    }

    /// The mails of a template to an address so far.
    pub(crate) async fn mails(&self, to: &str) -> Vec<String> {
        let found =
            self.query(json!({"Mail": {"recipient": to, "get": ["template"], "order": ["created"]}})).await;
        let mails = found["Mail"].as_array().unwrap().iter();
        mails.map(|mail| mail["template"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits until no letter is left to be written or sent.
    pub(crate) async fn quiet(&self) {
        let jobs = Jobs::of_app(self.engine.clone());
        let begun = Instant::now();
        loop {
            let counts = jobs.counts().await.unwrap();
            if counts.iter().all(|(_, state, count, _)| state.is_final() || *count == 0) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{counts:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

pub(crate) fn token_in(text: &str) -> String {
    let (_, token) = text.split_once("token=").expect("the mail has a link");
    token.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect()
}

impl App {
    pub(crate) async fn start(kind: DatabaseKind) -> App {
        App::start_with(kind, |_| {}).await
    }

    pub(crate) async fn start_with(kind: DatabaseKind, change: impl FnOnce(&mut IdentityOptions)) -> App {
        App::start_app(kind, APP, change).await
    }

    /// Another app than most tests have.
    pub(crate) async fn start_app(
        kind: DatabaseKind,
        source: &'static str,
        change: impl FnOnce(&mut IdentityOptions),
    ) -> App {
        let place = Place::new(kind).unwrap();
        let templates = tempfile::tempdir().unwrap();
        let mut options = options();
        change(&mut options);
        let app = (source, options.clone());
        let node = node_at(&place.options, templates.path(), app, Clock::default()).await;
        App { node, place, _templates: templates, source, options }
    }

    /// An app whose requests go by a clock of the test's, so many microseconds ahead of the machine's.
    pub(crate) async fn start_ahead(kind: DatabaseKind, ahead_us: &Arc<AtomicI64>) -> App {
        let place = Place::new(kind).unwrap();
        let templates = tempfile::tempdir().unwrap();
        let (machine, ahead_us) = (Clock::default(), ahead_us.clone());
        let clock = Clock::new(move || Timestamp(machine.now().0 + ahead_us.load(Ordering::SeqCst)));
        let node = node_at(&place.options, templates.path(), (APP, options()), clock).await;
        App { node, place, _templates: templates, source: APP, options: options() }
    }

    /// Another server on the same database.
    pub(crate) async fn another(&self, change: impl FnOnce(&mut IdentityOptions)) -> Node {
        let mut options = self.options.clone();
        change(&mut options);
        let app = (self.source, options);
        node_at(&self.place.options, self._templates.path(), app, Clock::default()).await
    }
}
