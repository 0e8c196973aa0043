//! Which writes share a commit on SQLite, where one thread writes.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mainstay_engine::ctx::Caller;
use mainstay_store::{StoreError, WriteJob};

use crate::app::App;
use crate::shop::shop;
use crate::support::{Request, send};

/// How many transactions are committed when a request waits between two that change one row each.
async fn commits_around(app: &Arc<App>, body: &str) -> u64 {
    let (open, wait) = std::sync::mpsc::channel::<()>();
    let (entered, is_entered) = tokio::sync::oneshot::channel();
    let (wait, entered) = (Mutex::new(wait), Mutex::new(Some(entered)));
    let gate: WriteJob<(), StoreError> = Box::new(move |_| {
        if let Some(entered) = entered.lock().unwrap().take() {
            entered.send(()).unwrap();
            wait.lock().unwrap().recv().unwrap();
        }
        Box::pin(async { Ok(()) })
    });
    let before = app.engine.store().metrics().commits;
    let holder = app.clone();
    let deadline = Instant::now() + Duration::from_secs(20);
    let held = tokio::spawn(async move { holder.engine.store().write_alone(deadline, gate).await });
    is_entered.await.unwrap();
    let mut asked = Vec::new();
    let one = |key: u32| format!(r##"{{"Product": {{"id": "#{key}", "set": {{"stock": {{"$add": 1}}}}}}}}"##);
    for (queued, body) in (1..).zip([one(11), body.to_owned(), one(12)]) {
        let asker = app.clone();
        asked
            .push(tokio::spawn(async move { send(&asker, &Request::new(Caller::anonymous(), &body)).await }));
        while app.engine.store().metrics().write_queue < queued {
            tokio::task::yield_now().await;
        }
    }
    open.send(()).unwrap();
    held.await.unwrap().unwrap();
    for answer in asked {
        answer.await.unwrap().unwrap();
    }
    app.engine.store().metrics().commits - before
}

#[tokio::test]
async fn a_write_that_may_find_any_number_of_rows_is_committed_by_itself() {
    let app = Arc::new(shop().await);
    let together = [
        r##"{"Product": {"id": "#11", "set": {"price": "2.00"}}}"##,
        r##"{"Product": {"id": ["#11", "#12"], "set": {"price": "2.00"}}}"##,
        r##"{"Customer": {"name": "Ann", "set": {"email": null}}}"##,
        r##"{"Customer": {"where": "name == \"Bob\" and email == null", "set": {"email": null}}}"##,
        r##"{"Order": {"create": true, "customer": {"name": "Ann"}, "lines": [{"create": true, "product": "#11", "quantity": 1}]}}"##,
        r##"{"Order": {"id": "#31", "customer": {"set": {"email": null}, "all": true}, "labels": {"add": {"id": "#22"}}}}"##,
        r##"{"Order": {"id": "#31", "lines": {"id": "#41", "set": {"quantity": 3}}}}"##,
    ];
    for body in together {
        assert_eq!(commits_around(&app, body).await, 2, "the gate's and one for all: {body}");
    }
    let alone = [
        r##"{"Product": {"set": {"stock": 3}, "all": true}}"##,
        r##"{"Product": {"price": {"gt": "0"}, "set": {"stock": 3}}}"##,
        r##"{"Customer": {"name": {"like": "A%"}, "set": {"email": null}}}"##,
        r##"{"Customer": {"where": "name == \"Bob\" or email == null", "set": {"email": null}}}"##,
        r##"{"Order": {"id": "#31", "labels": {"add": {"name": {"like": "g%"}}}}}"##,
        r##"{"Order": {"id": "#31", "lines": {"quantity": {"gt": 1}, "set": {"quantity": 2}}}}"##,
        r##"{"OrderLine": {"where": "quantity > 1", "delete": true}}"##,
    ];
    for body in alone {
        assert_eq!(commits_around(&app, body).await, 4, "the gate's and one for each: {body}");
    }
}
