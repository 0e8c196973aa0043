//! Nodes of an app with flags, on a database of their own.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_engine::ctx::{Caller, Ctx};
use mainstay_engine::part::Operation;
use mainstay_engine::plugin::Plugins;
use mainstay_engine::{Engine, MayChange, Options, document, limits::Limits, render};
use mainstay_flags::{Flags, FlagsOptions, FlagsPlugin};
use mainstay_http::{Server, Subject, TokenSecret, issue_token};
use mainstay_jobs::{Clock, JobsPlugin};
use mainstay_lang::analyse::analyse;
use mainstay_lang::value::Value;
use mainstay_store::Store;
pub(crate) use mainstay_testkit::database::DatabaseKind;
use mainstay_testkit::database::Place;
use reqwest::Method;
use serde_json::{Value as Json, json};
use tokio::sync::oneshot;
use uuid::Uuid;

pub(crate) const STAY: &str = r#"
app shop
flag    new_checkout = false  "The new check-out page"
flag    old_search = true     "Search as it was"
setting alarm_level int = 5   "Warn below this many"
setting fee decimal(8, 2) = 1.5  "Of a delivery"
setting mode enum(calm, busy) = calm  "How it goes"
setting greeting text(10) = "Hello"  "Shown to clients"
setting theme json = "\"plain\""  "Colours"
"#;

/// Settings that clients may see.
pub(crate) const SHOWN: [&str; 2] = ["greeting", "theme"];

const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn on_each<F: Future<Output = ()>>(test: impl Fn(DatabaseKind) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for kind in DatabaseKind::ALL {
        runtime.block_on(test(*kind));
    }
}

pub(crate) fn place(kind: DatabaseKind) -> Place {
    Place::new(kind).unwrap()
}

/// A tenant.
pub(crate) fn tenant(number: u128) -> Value {
    Value::Uuid(Uuid::from_u128(number))
}

/// A process that serves the app.
pub(crate) struct Node {
    pub(crate) engine: Arc<Engine>,
    pub(crate) url: String,
    secret: TokenSecret,
    client: reqwest::Client,
    _stop: oneshot::Sender<()>,
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) tag: Option<String>,
    pub(crate) body: Json,
}

impl Node {
    pub(crate) async fn start(place: &Place) -> Node {
        Node::start_of(place, STAY, |_| {}).await
    }

    pub(crate) async fn start_of(place: &Place, stay: &str, add: impl FnOnce(&mut Plugins)) -> Node {
        let mut plugins = Plugins::default();
        let declares = |name: &&&str| stay.contains(&format!("setting {name} "));
        let shown = SHOWN.iter().filter(declares).map(|name| (*name).to_owned()).collect();
        plugins.add(JobsPlugin::default()).add(FlagsPlugin::new(FlagsOptions { shown }));
        add(&mut plugins);
        let mut sources = plugins.sources();
        sources.add("app.stay", stay);
        let analysis = analyse(&sources);
        let schema = analysis.schema.unwrap_or_else(|| panic!("{:?}", analysis.diagnostics));
        let store = Store::open(&place.options).unwrap();
        let options = Options { may_change: MayChange::IN_DEVELOPMENT, limits: Limits::default() };
        let engine = Engine::open_with(Arc::new(schema), store, options, &plugins).await.unwrap();
        let engine = Arc::new(engine);
        engine.start().await.unwrap();
        let secret = TokenSecret::new([7; TokenSecret::BYTES_MIN]).unwrap();
        let mut options = mainstay_http::Options::new(secret.clone());
        options.listen.set_port(0);
        let server = Server::bind(options, engine.clone()).await.unwrap();
        let url = format!("http://{}", server.local_addr());
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(server.serve(async move {
            drop(stopped.await);
        }));
        Node { engine, url, secret, client: reqwest::Client::new(), _stop: stop }
    }

    pub(crate) fn flags(&self) -> Flags {
        Flags::of(self.engine.parts()).unwrap().clone()
    }

    pub(crate) fn token(&self, subject: &Subject) -> String {
        issue_token(&self.secret, &self.engine.schema().app, subject, Duration::from_secs(3600))
    }

    /// Asks with a token, and a tag that is known.
    pub(crate) async fn ask_as(
        &self,
        method: &str,
        path: &str,
        who: Option<&str>,
        body: Option<Json>,
        tag: &str,
    ) -> Answer {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if let Some(token) = who {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        if !tag.is_empty() {
            request = request.header("if-none-match", tag);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let tag = response.headers().get("etag").map(|tag| tag.to_str().unwrap().to_owned());
        let text = response.text().await.unwrap();
        Answer { status, tag, body: serde_json::from_str(&text).unwrap_or(Json::Null) }
    }

    pub(crate) async fn get(&self, path: &str) -> Json {
        self.ask_as("GET", path, None, None, "").await.body
    }

    /// As an administrator.
    pub(crate) async fn admin(&self, method: &str, path: &str, body: Option<Json>) -> Answer {
        let token = self.token(&Subject::Admin);
        self.ask_as(method, path, Some(&token), body, "").await
    }

    /// Gives something a value; the key of the row.
    pub(crate) async fn give(&self, name: &str, tenant: Option<&Value>, value: Json) -> String {
        let tenant: Json =
            tenant.map_or(Json::Null, |tenant| serde_json::from_str(&tenant.to_json()).unwrap());
        let row = json!({"name": name, "for_tenant": tenant, "value": value});
        let answer = self.admin("POST", "/api/FlagValue", Some(row)).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.body["id"].as_str().unwrap().to_owned()
    }

    /// A user with permissions; the token.
    pub(crate) async fn user(&self, name: &str, permissions: &[&str]) -> String {
        let row = json!({"email": format!("{name}@example.com"), "name": name});
        let user = self.admin("POST", "/api/User", Some(row)).await.body["id"].as_str().unwrap().to_owned();
        for permission in permissions {
            let grant = json!({"user": user, "permission": permission});
            assert_eq!(self.admin("POST", "/api/Grant", Some(grant)).await.status, 201);
        }
        self.token(&Subject::User(user))
    }

    /// Waits until the node's values are what they should be; how long it took.
    pub(crate) async fn until(&self, is_it: impl Fn(&Flags) -> bool) -> Duration {
        let began = Instant::now();
        let flags = self.flags();
        let mut changes = flags.changes();
        while !is_it(&flags) {
            let left = PATIENCE.saturating_sub(began.elapsed());
            tokio::time::timeout(left, changes.changed()).await.expect("the change is seen in time").unwrap();
        }
        began.elapsed()
    }

    /// Waits until a flag is so.
    pub(crate) async fn until_flag(&self, name: &str, is_on: bool) -> Duration {
        self.until(|flags| flags.flag(name, None).unwrap() == is_on).await
    }

    /// Asks the engine as somebody, for a tenant.
    pub(crate) async fn execute(
        &self,
        caller: Caller,
        tenant: Option<&Value>,
        document: Json,
    ) -> Result<Json, mainstay_engine::error::Error> {
        let ctx = Ctx {
            caller: Arc::new(caller),
            tenant: tenant.cloned(),
            session: None,
            now: Clock::default().now(),
            deadline: Instant::now() + PATIENCE,
            request_id: "test".into(),
            trace: None,
        };
        let documents = document::parse(document.to_string().as_bytes()).unwrap();
        let response = self.engine.execute(&ctx, &Operation { documents, ..Operation::default() }).await?;
        Ok(serde_json::from_str(&render(&response, false)).unwrap())
    }
}
