//! A request whose deadline comes while a statement of it waits or works: it is stopped then, nothing of it is kept, and the next
//! one goes on.

use std::time::{Duration, Instant};

use mainstay_engine::ctx::Caller;
use mainstay_engine::document;
use mainstay_engine::error::{Error, Key};
use mainstay_engine::limits::Limits;
use mainstay_engine::part::Operation;
use mainstay_testkit::database::{DatabaseKind, Place};
use mainstay_testkit::postgres::Outside;
use serde_json::json;

use crate::app::{App, context, with_keys};

const APP: &str = r##"
table Shop   { name text unique, allow all }
table Ticket { note text, allow all }
"##;

/// How much time the requests have.
const PATIENCE: Duration = Duration::from_millis(300);

/// How much later they may end.
const LATE_MAX: Duration = Duration::from_secs(1);

async fn app() -> (App, Outside) {
    let mut place = Place::new(DatabaseKind::Postgres).unwrap();
    // The next request has to do with the connection of the one before.
    place.options.postgres.writers = 1;
    let direct = place.options.postgres.direct_url.clone();
    let url = direct.map_or_else(|| place.options.url.to_string(), |direct| direct.to_string());
    let app = App::at(place, Limits::default(), APP, json!([["Shop", {"id": 1, "name": "a"}]])).await;
    (app, Outside::connect(&url).await)
}

async fn hurry(app: &App, request: &str) -> Result<(), Error> {
    let documents = document::parse(with_keys(request).as_bytes())?;
    let mut ctx = context(Caller::anonymous());
    let begun = Instant::now();
    ctx.deadline = begun + PATIENCE;
    let outcome = app.engine.execute(&ctx, &Operation { documents, ..Operation::default() }).await;
    assert!(begun.elapsed() < PATIENCE + LATE_MAX, "{:?}", begun.elapsed());
    outcome.map(drop)
}

async fn refused(app: &App, request: &str) {
    let error = hurry(app, request).await.expect_err("it was not stopped");
    assert_eq!(error.key, Key::Deadline, "{error}");
    assert!(error.retry_after_s.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_waits_is_stopped_and_undone() {
    let (app, outside) = app().await;
    outside.run(r#"BEGIN; UPDATE "Shop" SET "name" = 'b'"#).await;
    let request =
        r##"{"Ticket": {"create": true, "note": "x"}, "Shop": {"id": "#1", "set": {"name": "c"}}}"##;
    refused(&app, request).await;
    // It asks for a lock on its own, and so does one whose only statement is kept at once.
    refused(&app, r##"{"Shop": {"create": true, "name": "b"}}"##).await;
    while outside.waiting().await > 0 {}
    outside.run("ROLLBACK").await;
    app.check(
        Caller::anonymous(),
        r##"{"Ticket": {"get": ["note"]}, "Shop": {"get": ["name"]}}"##,
        "{\"Ticket\":[],\"Shop\":[{\"id\":\"#1\",\"name\":\"a\"}]}",
    )
    .await;
    hurry(&app, request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_waits_is_stopped() {
    let (app, outside) = app().await;
    outside.run(r#"BEGIN; LOCK TABLE "Shop" IN ACCESS EXCLUSIVE MODE"#).await;
    refused(&app, r##"{"Shop": {"get": ["name"]}}"##).await;
    while outside.waiting().await > 0 {}
    outside.run("ROLLBACK").await;
    hurry(&app, r##"{"Shop": {"get": ["name"]}}"##).await.unwrap();
}
