//! Reads on a standby that streams: who is answered there, and who never is.

use std::time::{Duration, Instant};

use mainstay_engine::ctx::Caller;
use mainstay_engine::limits::Limits;
use mainstay_engine::{Among, Reading, document};
use mainstay_testkit::database::Place;
use mainstay_testkit::postgres::{Outside, OwnPostgres};
use serde_json::json;

use crate::app::{App, context};

const APP: &str = r#"table Note { text text, allow all }"#;
const NOTES: &str = r##"{"Note": {"get": ["text"], "order": ["text"]}}"##;
const PATIENCE: Duration = Duration::from_secs(30);

async fn notes(app: &App, caller: Caller) -> usize {
    app.run(caller, NOTES).await.unwrap().matches("\"text\"").count()
}

/// What subscribers are sent first.
async fn watched(app: &App) -> usize {
    let documents = document::parse(br#"{"Note": {"get": ["text"]}}"#).unwrap();
    let ctx = context(Caller::anonymous());
    let watch = app
        .engine
        .watch(&app.engine.planning().await.unwrap(), &ctx, "Note", &documents[0].entries[0].parts[0])
        .unwrap();
    let reading = Reading { ctx: &ctx, watch: &watch, among: Among::All(100) };
    let (_, rows) = app.engine.read_watched(&[reading], ctx.deadline).await.unwrap();
    rows[0].len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_answers_whoever_has_not_written_and_does_not_subscribe() {
    let servers = tokio::task::spawn_blocking(|| {
        let primary = OwnPostgres::start_new();
        let standby = primary.replica();
        (primary, standby)
    });
    let (primary, mut standby) = servers.await.unwrap();
    let mut place = Place::on(&primary.url()).unwrap();
    place.options.postgres.replica_url = Some(standby.url().parse().unwrap());
    // However far behind: what is asked here is who may see that.
    place.options.postgres.replica_age_max = Duration::from_secs(3600);
    let app = App::at(place, Limits::default(), APP, json!([["Note", {"id": 1, "text": "a"}]])).await;
    let begun = Instant::now();
    while app.engine.store().metrics().replica_reads == 0 {
        assert_eq!(notes(&app, Caller::anonymous()).await, 1);
        assert!(begun.elapsed() < PATIENCE, "the standby is never read from");
    }

    let outside = Outside::connect(&standby.url()).await;
    outside.run("SELECT pg_wal_replay_pause()").await;
    while outside.run("SELECT pg_get_wal_replay_pause_state()").await[0][0] != "paused" {}
    app.run(Caller::administrator(), r#"{"Note": {"create": true, "text": "b"}}"#).await.unwrap();
    assert_eq!(notes(&app, Caller::administrator()).await, 2, "whoever has written sees that");
    assert_eq!(notes(&app, Caller::anonymous()).await, 1, "others are answered by the standby");
    assert_eq!(watched(&app).await, 2, "a subscription begins with what is there");
    app.check(
        Caller::administrator(),
        r#"{"Note": {"aggregate": {"n": "count()"}}}"#,
        r#"{"Note":[{"n":2}]}"#,
    )
    .await;

    // Without it nobody notices.
    tokio::task::spawn_blocking(move || standby.crash()).await.unwrap();
    assert_eq!(notes(&app, Caller::anonymous()).await, 2);
    assert!(app.engine.store().metrics().replica_fallbacks > 0);
}
