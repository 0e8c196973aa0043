//! Routes and layers of plugins: who asks is known to them as to every endpoint, and their refusals are problems.

use axum::Json;
use axum::body::Bytes;
use axum::http::HeaderValue;
use axum::routing::{get, post};
use futures_util::StreamExt as _;
use mainstay_engine::error::Key;
use mainstay_engine::plugin::{Plugin, Plugins, Setup};
use mainstay_http::{Refusal, RequestCtx, RouteDocs, SetupHttp as _};
use mainstay_testkit::app::TestApp;
use reqwest::Method;
use serde_json::{Value, json};
use tower::util::MapResponseLayer;

const APP: &str =
    "table Note { text text, owner User = user, allow read if owner == user, allow create if signed_in }";

struct Report;

impl Plugin for Report {
    fn name(&self) -> &str {
        "report"
    }

    fn build(&self, setup: &mut Setup<'_>) {
        async fn mine(request: RequestCtx) -> Result<Json<Value>, Refusal> {
            Ok(Json(request.query(json!({"Note": {"get": ["text"]}})).await?))
        }
        async fn all(request: RequestCtx) -> Result<Json<Value>, Refusal> {
            Ok(Json(request.admin_query(json!({"Note": {"get": ["text"]}})).await?))
        }
        async fn wrong(request: RequestCtx) -> Result<Json<Value>, Refusal> {
            Ok(Json(request.query(json!({"Nota": {}})).await?))
        }
        let router = axum::Router::new()
            .route("/report", get(mine))
            .route("/all", get(all))
            .route("/of/{id}", get(|| async { "one" }))
            .route("/wrong", get(wrong));
        let note = json!({"type": "array", "items": {"$ref": "#/components/schemas/Note"}});
        let notes = json!({"type": "object", "required": ["Note"], "properties": {"Note": note}});
        let docs =
            RouteDocs::new("report", "The own notes").signed_in().answers(200, "They are there.", notes);
        setup.describe("GET", "/report", docs.refuses(&[Key::Version]));
        let docs =
            RouteDocs::new("reportOf", "Of one").open().answers_as(200, "Words.", "text/plain", json!({}));
        setup.describe("GET", "/of/{id}", docs);
        setup.routes(router).layer(MapResponseLayer::new(|mut response: axum::response::Response| {
            response.headers_mut().insert("x-report", HeaderValue::from_static("yes"));
            response
        }));
    }
}

#[tokio::test]
async fn what_a_plugin_says_of_its_routes_stands_in_the_documents() {
    let mut plugins = Plugins::default();
    plugins.add(Report);
    let app = TestApp::start_plugged(APP, &plugins, |_| {}).await;
    let document = app.get("/openapi.json").send().await.expect_status(200).body;
    let report = &document["paths"]["/report"]["get"];
    assert_eq!((&report["operationId"], &report["tags"][0]), (&json!("report"), &json!("report")));
    assert_eq!(report["security"], json!([{"bearer": []}]));
    let words = "For somebody who has signed in. Refuses: `version.conflict`.";
    assert_eq!(report["description"], words);
    let statuses: Vec<&str> = report["responses"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(statuses, ["200", "400", "401", "403", "409", "429", "500", "503"]);
    let of = &document["paths"]["/of/{id}"]["get"];
    assert_eq!((&of["parameters"][0]["name"], &of["parameters"][0]["in"]), (&json!("id"), &json!("path")));
    assert!(of["responses"]["404"].is_object() && of["responses"]["401"].is_null(), "{of:#}");
    // What nothing is said of is not there.
    assert!(document["paths"]["/wrong"].is_null());
    let page = app.get("/docs").send().await.text;
    assert!(page.contains("The own notes"), "the reference for people has it as well");
}

#[tokio::test]
async fn handlers_of_plugins_know_who_asks() {
    let mut plugins = Plugins::default();
    plugins.add(Report);
    let app = TestApp::start_plugged(APP, &plugins, |_| {}).await;
    let (ann, bob) = (app.user("ann", &[]).await, app.user("bob", &[]).await);
    app.post("/api/Note", json!({"text": "a"})).user(&ann).send().await.expect_status(201);
    let texts = |body: &Value| body["Note"].as_array().map(Vec::len);
    let own = app.get("/report").user(&ann).send().await.expect_status(200);
    assert_eq!((texts(&own.body), own.header("x-report")), (Some(1), "yes"));
    assert_eq!(texts(&app.get("/report").user(&bob).send().await.body), Some(0));
    assert_eq!(texts(&app.get("/all").user(&bob).send().await.body), Some(1));
    app.get("/report").bearer("nonsense").send().await.expect_problem(401, "auth.credentials");
    let wrong = app.get("/wrong").send().await.expect_problem(400, "name.unknown");
    assert!(wrong.body["request_id"].as_str().is_some_and(|id| !id.is_empty()));
    app.get("/nowhere").send().await.expect_problem(404, "route.unknown");
    // What was measured names the plugin's route as its router has it.
    app.get("/of/17").send().await.expect_status(200);
    let measured = app.get("/metrics").send().await.text;
    assert!(measured.contains(r#"route="/of/{id}""#), "{measured}");
    // A layer stands around Mainstay's own routes as well.
    assert_eq!(app.get("/health/live").send().await.header("x-report"), "yes");
}

struct Taker;

impl Plugin for Taker {
    fn name(&self) -> &str {
        "taker"
    }

    fn build(&self, setup: &mut Setup<'_>) {
        async fn bytes(body: Bytes) -> String {
            body.len().to_string()
        }
        async fn words(_: RequestCtx, body: String) -> String {
            body.len().to_string()
        }
        async fn json(Json(body): Json<Value>) -> String {
            (body.as_str().unwrap_or_default().len() + 2).to_string()
        }
        let docs = |name| RouteDocs::new(name, "Takes a body").open();
        let table = vec![
            ("POST", "/take/bytes", post(bytes), docs("takeBytes")),
            ("POST", "/take/words", post(words), docs("takeWords")),
            ("POST", "/take/json", post(json), docs("takeJson").any_media()),
        ];
        setup.route_table(table, ());
    }
}

#[tokio::test]
async fn bodies_beyond_the_limit_are_refused_by_routes_of_a_table_as_by_every_endpoint() {
    // More than axum's extractors take by themselves.
    const BYTES: usize = 3 << 20;
    let mut plugins = Plugins::default();
    plugins.add(Taker);
    let app = TestApp::start_plugged(APP, &plugins, |options| options.limits.body_bytes_max = BYTES).await;
    let narrow = TestApp::start_plugged(APP, &plugins, |options| {
        options.limits.body_bytes_in_flight_max = BYTES / 2;
    })
    .await;
    let body = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    let in_chunks = |bytes: usize| {
        let chunk =
            |_| Ok::<_, std::io::Error>(hyper::body::Frame::data(Bytes::from_static(&[b'x'; 1 << 16])));
        // The client stays, so that it does not still send when the connection is closed.
        let chunks = futures_util::stream::iter((0..bytes >> 16).map(chunk));
        let chunks = chunks.chain(futures_util::stream::pending());
        reqwest::Body::wrap(http_body_util::StreamBody::new(chunks))
    };
    let json = "application/json";
    for path in ["/take/bytes", "/take/words", "/take/json"] {
        let ask = async |app: &TestApp, body: reqwest::Body| {
            app.request(Method::POST, path).header("content-type", json).body(body).send().await
        };
        assert_eq!(ask(&app, body(BYTES).into()).await.expect_status(200).text, BYTES.to_string(), "{path}");
        ask(&app, in_chunks(BYTES + (1 << 16))).await.expect_problem(413, "body.too_large");
        ask(&narrow, in_chunks(BYTES / 2 + (1 << 16))).await.expect_problem(503, "server.overloaded");
    }
    // Room is given back.
    let small =
        narrow.request(Method::POST, "/take/bytes").header("content-type", json).body(body(BYTES / 4));
    small.send().await.expect_status(200);
}
