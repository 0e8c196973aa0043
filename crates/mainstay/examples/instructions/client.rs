//! Who asks: somebody who has signed in, or nobody in particular.

use std::future::poll_fn;
use std::pin::Pin;

use anyhow::{Context as _, Result, anyhow, bail};
use mainstay::axum::Router;
use mainstay::axum::body::{Body, Bytes, HttpBody as _, to_bytes};
use mainstay::axum::http::{HeaderValue, Method, Request};
use mainstay::http::{Options, TokenSecret, service};
use mainstay::serde_json::{self, Value, json};
use mainstay::test::TestApp;
use tower::ServiceExt as _;

/// What a test's app keeps secrets by.
const SECRET: [u8; 32] = [7; 32];

/// Tasks of whoever has signed in.
const TASKS: usize = 100;

/// The service with what its requests name.
pub(crate) struct Client {
    service: Router,
    access: String,
    pub(crate) user: Value,
    pub(crate) items: Vec<Value>,
    pub(crate) tasks: Vec<Value>,
    app: TestApp,
}

/// Somebody who listens.
pub(crate) struct Listener(Body);

impl Client {
    /// Signs somebody in.
    pub(crate) async fn new(app: TestApp) -> Result<Client> {
        let service = service(Options::new(TokenSecret::new(SECRET)?), app.engine.clone());
        let none = || (String::new(), Value::Null, Vec::new(), Vec::new());
        let (access, user, items, tasks) = none();
        let mut client = Client { service, access, user, items, tasks, app };
        let (email, password) = ("ann@example.com", "a boat that sings");
        let body = json!({"email": email, "password": password, "name": "Ann"});
        client.done(request(Method::POST, "/auth/register", &body)).await?;
        client.app.work().await;
        mainstay_identity::address_verify(&client.app.engine, &SECRET, email).await?;
        let body = json!({"email": email, "password": password});
        let signed_in = client.json(request(Method::POST, "/auth/login", &body)).await?;
        client.access = signed_in["access"].as_str().context("no token")?.to_owned();
        client.user = signed_in["user"]["id"].clone();
        let tasks = (0..TASKS).map(|at| json!({"title": format!("Task {at}"), "owner": client.user}));
        let tasks = client.signed_in(Method::POST, "/api/Task", &json!(tasks.collect::<Vec<_>>()));
        client.tasks = ids(&client.json(tasks).await?);
        client.items = ids(&client.json(client.get("/api/Item?limit=300&order=rank,title")).await?["items"]);
        Ok(client)
    }

    /// Reads a path as nobody in particular.
    pub(crate) fn get(&self, path: &str) -> Request<Body> {
        request(Method::GET, path, &Value::Null)
    }

    /// Asks a document as nobody in particular.
    pub(crate) fn query(&self, document: &Value) -> Request<Body> {
        request(Method::POST, "/query", document)
    }

    /// Asks as somebody who has signed in.
    pub(crate) fn signed_in(&self, method: Method, path: &str, body: &Value) -> Request<Body> {
        let mut request = request(method, path, body);
        let bearer = format!("Bearer {}", self.access);
        request.headers_mut().insert("authorization", bearer.parse().expect("tokens are ASCII"));
        request
    }

    /// Asks, and takes the answer whole.
    pub(crate) async fn done(&self, request: Request<Body>) -> Result<Bytes> {
        let Ok(response) = self.service.clone().oneshot(request).await;
        let status = response.status();
        let body = to_bytes(response.into_body(), usize::MAX).await?;
        if !status.is_success() {
            bail!("{status}: {}", String::from_utf8_lossy(&body));
        }
        Ok(body)
    }

    async fn json(&self, request: Request<Body>) -> Result<Value> {
        Ok(serde_json::from_slice(&self.done(request).await?)?)
    }

    /// Listens to what a path reads.
    pub(crate) async fn listen(&self, path: &str) -> Result<Listener> {
        let mut request = self.get(path);
        request.headers_mut().insert("accept", HeaderValue::from_static("text/event-stream"));
        let Ok(response) = self.service.clone().oneshot(request).await;
        let mut listener = Listener(response.into_body());
        listener.next().await?;
        Ok(listener)
    }
}

impl Listener {
    /// The next piece of what is told.
    pub(crate) async fn next(&mut self) -> Result<Bytes> {
        let frame = poll_fn(|context| Pin::new(&mut self.0).poll_frame(context)).await;
        let piece = frame.context("told no more")??.into_data();
        piece.map_err(|_| anyhow!("a stream of events has no trailers"))
    }
}

fn ids(rows: &Value) -> Vec<Value> {
    rows.as_array().into_iter().flatten().map(|row| row["id"].clone()).collect()
}

fn request(method: Method, path: &str, body: &Value) -> Request<Body> {
    let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
    let request = Request::builder().method(method).uri(path).header("host", "localhost");
    let request = request.header("content-type", "application/json").body(body);
    request.expect("paths are written without what a path cannot have")
}
