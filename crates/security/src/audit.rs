//! What of this is kept for those who have to look into it: rows of `SecurityEvent`, where the app has identities.
//!
//! A stranger cannot fill the table: requests over a limit are counted, and told together once in a while for each limit; what a
//! certificate has come to is told when a job was done, which authorities and pauses bound.

use std::sync::{Arc, Weak};
use std::time::Duration;

use mainstay_engine::Engine;
use mainstay_engine::error::Error;
use serde_json::{Value as Json, json};
use tokio::time::{MissedTickBehavior, interval};

use crate::desk::ask;
use crate::limiter::Limiter;

/// How often requests over limits are told of.
const EVERY: Duration = Duration::from_secs(600);

/// Keeps an event, where there is a place for it.
pub(crate) async fn keep(engine: &Engine, kind: &str, detail: Json) -> Result<(), Error> {
    if !engine.schema().uses.iter().any(|used| used == "identity") {
        return Ok(());
    }
    ask(engine, vec![json!({"SecurityEvent": {"create": true, "kind": kind, "detail": detail}})])
        .await
        .map(drop)
}

/// Tells of requests over limits for as long as the engine is there.
pub(crate) async fn run(engine: Weak<Engine>, limiter: Arc<Limiter>) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(engine) = engine.upgrade() else { return };
        if let Err(error) = tell(&engine, &limiter).await {
            tracing::warn!(%error, "requests over limits could not be kept as events");
        }
    }
}

/// One event for each limit that was passed since this was done last.
pub(crate) async fn tell(engine: &Engine, limiter: &Limiter) -> Result<(), Error> {
    for (limit, count) in limiter.take_refused() {
        keep(engine, "limit.passed", json!({"limit": limit, "requests": count})).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Arc;

    use axum::http::Method;
    use governor::clock::MonotonicClock;
    use mainstay_engine::plugin::Plugins;
    use mainstay_http::{Admit as _, Asking, By};
    use mainstay_identity::{IdentityOptions, IdentityPlugin};
    use mainstay_jobs::JobsPlugin;
    use mainstay_mail::{MailOptions, MailPlugin};
    use mainstay_testkit::app::TestApp;
    use serde_json::json;

    use super::tell;
    use crate::limiter::Limiter;

    #[tokio::test]
    async fn requests_over_a_limit_are_one_event_however_many_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let mut plugins = Plugins::default();
        let mail = MailOptions::captured("app@example.com".parse().unwrap(), folder.path());
        let identity = IdentityOptions::new([7; 32], "http://localhost");
        plugins.add(JobsPlugin::default()).add(MailPlugin::new(mail)).add(IdentityPlugin::new(identity));
        let app = TestApp::start_plugged("app a\nuse identity", &plugins, |_| {}).await;
        let limiter = Arc::new(Limiter::new(&["address 1/1h".parse().unwrap()], &[], MonotonicClock));
        for _ in 0..1000 {
            let by = By::Address(Ipv4Addr::new(192, 0, 2, 1).into());
            limiter.admit(&Asking { method: &Method::GET, route: "/query", by });
        }
        tell(&app.engine, &limiter).await.unwrap();
        tell(&app.engine, &limiter).await.unwrap();
        let events =
            app.post("/query", json!({"SecurityEvent": {"get": ["kind", "detail"]}})).admin().send().await;
        let events = events.expect_status(200).body["SecurityEvent"].clone();
        assert_eq!(events.as_array().map(Vec::len), Some(1), "{events}");
        assert_eq!(events[0]["kind"], "limit.passed");
        assert_eq!(events[0]["detail"], json!({"limit": "address 1/3600s", "requests": 999}));
        app.stop().await;
    }
}
