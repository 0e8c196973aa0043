//! An app whose people have devices, on a database of its own, served over TCP with a worker.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_engine::plugin::Plugins;
use mainstay_engine::{Engine, MayChange, Options, limits::Limits};
use mainstay_http::{Server, Subject, TokenSecret, issue_token};
use mainstay_identity::{IdentityOptions, IdentityPlugin, PasswordOptions};
use mainstay_jobs::{Jobs, JobsPlugin, NewJob, State, Worker, WorkerOptions};
use mainstay_lang::analyse::analyse;
use mainstay_mail::{MailOptions, MailPlugin};
use mainstay_push::{Push, PushOptions, PushPlugin};
use mainstay_store::Store;
pub(crate) use mainstay_testkit::database::DatabaseKind;
use mainstay_testkit::database::Place;
use reqwest::Method;
use serde_json::{Value as Json, json};
use tokio::sync::oneshot;

const PATIENCE: Duration = Duration::from_secs(60);
const SECRET: [u8; 32] = [7; 32];

const APP: &str = "
app shop
use identity, push, jobs

extend User { allow read if id == user.id }
";

pub(crate) fn on_each<F: Future<Output = ()>>(test: impl Fn(DatabaseKind) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for kind in DatabaseKind::ALL {
        runtime.block_on(test(*kind));
    }
}

/// A server, its worker and its database.
pub(crate) struct App {
    pub(crate) engine: Arc<Engine>,
    place: Place,
    url: String,
    client: reqwest::Client,
    _templates: tempfile::TempDir,
    _stops: Vec<oneshot::Sender<()>>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Json,
}

impl Answer {
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Json {
        assert_eq!(self.status, status, "{:#}", self.body);
        self.body
    }
}

pub(crate) fn options() -> PushOptions {
    let contact = "mailto:shop@example.com".to_owned();
    PushOptions { secret: SECRET.to_vec(), contact, public_only: false }
}

impl App {
    pub(crate) async fn start(kind: DatabaseKind) -> App {
        App::start_with(Place::new(kind).unwrap(), options(), |_| {}).await
    }

    pub(crate) async fn start_with(
        place: Place,
        options: PushOptions,
        add: impl FnOnce(&mut Plugins),
    ) -> App {
        let templates = tempfile::tempdir().unwrap();
        let mut plugins = Plugins::default();
        let mail = MailOptions::captured("shop@example.com".parse().unwrap(), templates.path());
        let password =
            PasswordOptions { memory_kib: 64, passes: 1, threads: 1, ..PasswordOptions::default() };
        let identity = IdentityOptions {
            verified_only: false,
            password,
            ..IdentityOptions::new(SECRET, "http://shop.example")
        };
        plugins.add(JobsPlugin { is_shown: true, ..JobsPlugin::default() }).add(MailPlugin::new(mail));
        plugins.add(IdentityPlugin::new(identity)).add(PushPlugin::new(options));
        add(&mut plugins);
        let mut sources = plugins.sources();
        sources.add("app.stay", APP);
        let analysis = analyse(&sources);
        let schema = analysis.schema.unwrap_or_else(|| panic!("{:#?}", analysis.diagnostics));
        let store = Store::open(&place.options).unwrap();
        let opened = Options { may_change: MayChange::IN_DEVELOPMENT, limits: Limits::default() };
        let engine = Arc::new(Engine::open_with(Arc::new(schema), store, opened, &plugins).await.unwrap());
        engine.start().await.unwrap();
        let mut options = mainstay_http::Options::new(TokenSecret::new(SECRET).unwrap());
        options.listen.set_port(0);
        let server = Server::bind(options, engine.clone()).await.unwrap();
        let url = format!("http://{}", server.local_addr());
        let poll = Duration::from_millis(20);
        let worker =
            Worker::new(Jobs::of_app(engine.clone()), WorkerOptions { poll, ..WorkerOptions::default() });
        let (stop_server, server_stopped) = oneshot::channel::<()>();
        let (stop_worker, worker_stopped) = oneshot::channel::<()>();
        tokio::spawn(server.serve(async move { drop(server_stopped.await) }));
        tokio::spawn(worker.run(async move { drop(worker_stopped.await) }));
        let client = reqwest::Client::builder().timeout(PATIENCE).build().unwrap();
        App { engine, place, url, client, _templates: templates, _stops: vec![stop_server, stop_worker] }
    }

    /// The same database for another app.
    pub(crate) fn into_place(self) -> Place {
        self.place
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, who: Option<&str>, body: &Json) -> Answer {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if let Some(token) = who {
            request = request.bearer_auth(token);
        }
        if !body.is_null() {
            request = request.json(body);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        Answer { status, body: serde_json::from_str(&text).unwrap_or(Json::Null) }
    }

    pub(crate) fn admin(&self) -> String {
        issue_token(&TokenSecret::new(SECRET).unwrap(), "shop", &Subject::Admin, Duration::from_secs(3600))
    }

    pub(crate) async fn query(&self, document: Json) -> Json {
        self.ask("POST", "/query", Some(&self.admin()), &document).await.expect(200)
    }

    /// Somebody who has signed in: the key and the access token.
    pub(crate) async fn user(&self, name: &str) -> (String, String) {
        let body = json!({
            "email": format!("{name}@example.com"), "password": "a boat that sings by night", "name": name,
        });
        let made = self.ask("POST", "/auth/register", None, &body).await.expect(201);
        let text = |value: &Json| value.as_str().unwrap().to_owned();
        (text(&made["user"]["id"]), text(&made["access"]))
    }

    /// Registers a browser; the key of the device.
    pub(crate) async fn register(&self, who: &str, subscription: &Json) -> String {
        let body = json!({"subscription": subscription, "name": "Laptop"});
        let answer = self.ask("POST", "/push/devices", Some(who), &body).await;
        assert!(matches!(answer.status, 200 | 201), "{answer:?}");
        answer.body["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn devices(&self) -> Vec<Json> {
        let part = json!({"get": ["owner", "platform", "name", "delivered"], "order": ["created"]});
        self.query(json!({"Device": part})).await["Device"].as_array().unwrap().clone()
    }

    pub(crate) async fn send(&self, push: &Push) {
        self.enqueue(push.job().unwrap()).await;
    }

    pub(crate) async fn enqueue(&self, job: NewJob) {
        Jobs::of_app(self.engine.clone()).enqueue(job).await.unwrap();
    }

    /// Waits until each job has come to its end, or waits for a time to come.
    pub(crate) async fn quiet(&self) {
        let begun = Instant::now();
        loop {
            let counts = Jobs::of_app(self.engine.clone()).counts().await.unwrap();
            let rests = |state: State| state.is_final() || state == State::Scheduled;
            if counts.iter().all(|(_, state, count, _)| rests(*state) || *count == 0) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{counts:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// What has become of the messages to single devices.
    pub(crate) async fn deliveries(&self) -> Vec<Json> {
        let part =
            json!({"name": "push.deliver", "get": ["state", "attempt", "error", "run_at"], "order": ["id"]});
        self.query(json!({"Job": part})).await["Job"].as_array().unwrap().clone()
    }
}
