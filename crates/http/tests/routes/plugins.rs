//! Routes and layers of plugins: who asks is known to them as to every endpoint, and their refusals are problems.

use axum::Json;
use axum::http::HeaderValue;
use axum::routing::get;
use mainstay_engine::plugin::{Plugin, Plugins, Setup};
use mainstay_http::{Refusal, RequestCtx, SetupHttp as _};
use mainstay_testkit::app::TestApp;
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
        setup.routes(router).layer(MapResponseLayer::new(|mut response: axum::response::Response| {
            response.headers_mut().insert("x-report", HeaderValue::from_static("yes"));
            response
        }));
    }
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
