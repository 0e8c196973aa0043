//! A PostgreSQL that is stopped hard under a write load: what was acknowledged is there, nothing half-done is, and the server
//! serves again soon after the database does.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mainstay_testkit::postgres::{Bouncer, OwnPostgres};
use serde_json::{Value, json};

use crate::support::{App, Request, until};

const SCHEMA: &str = r#"
app crash "Crash"
table Order {
  id    text(20)
  lines Line[] by order_row
  allow all
  check lines.count() == 2  "An order has two lines."
}
table Line { order_row Order on delete cascade, n int, allow all }
"#;

const CLIENTS: usize = 6;
/// How often the database is stopped, each time once so many orders were acknowledged.
const ROUNDS: usize = 3;
const ORDERS_BEFORE_STOP: usize = 40;
/// How soon after the database the server has to serve again.
const BACK_WITHIN: Duration = Duration::from_secs(5);

/// Connections of the pooler to the database: fewer than clients write.
const POOLED: u32 = 3;

#[test]
fn what_was_acknowledged_survives_a_database_that_is_stopped_hard() {
    let database = OwnPostgres::start_new();
    let url = database.url();
    survives(database, &["--database", &url]);
}

/// The pooler keeps its clients, and tells them what it thinks while the database is away.
#[test]
fn what_was_acknowledged_survives_a_database_that_is_stopped_hard_behind_a_pooler() {
    let database = OwnPostgres::start_new();
    let bouncer = Bouncer::start_before(database.port(), POOLED);
    let (pooled, direct) = (bouncer.url("postgres"), database.url());
    survives(database, &["--database", &pooled, "--database-direct", &direct, "--database-pgbouncer", "yes"]);
}

/// Ends the clients, whatever becomes of the test.
struct Stops<'s>(&'s AtomicBool);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn survives(mut database: OwnPostgres, flags: &[&str]) {
    let app = App::of(SCHEMA);
    let server = app.serve_with(&[flags, &["--log-level", "off"]].concat());
    let address = server.address();
    let (acknowledged, stop) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    let (written, unwell) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        let _stops = Stops(&stop);
        for client in 0..CLIENTS {
            let (acknowledged, stop, written, unwell) = (&acknowledged, &stop, &written, &unwell);
            scope.spawn(move || {
                for order in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let id = format!("{client}-{order}");
                    let lines = json!([{"create": true, "n": 1}, {"create": true, "n": 2}]);
                    let body = json!({"Order": {"create": true, "id": id, "lines": lines}});
                    let answer = Request::to(address, "POST", "/query").json(&body).send();
                    if answer.status == 200 {
                        acknowledged.lock().unwrap().push(id);
                        written.fetch_add(1, Ordering::Relaxed);
                    } else {
                        let problem: Value = serde_json::from_str(&answer.text).unwrap_or_default();
                        let key = problem["key"].as_str().unwrap_or_default().to_owned();
                        unwell.lock().unwrap().push((
                            answer.status,
                            key,
                            answer.header("retry-after").to_owned(),
                        ));
                    }
                }
            });
        }
        for _ in 0..ROUNDS {
            let wanted = written.load(Ordering::Relaxed) + ORDERS_BEFORE_STOP;
            until(Duration::from_secs(60), || (written.load(Ordering::Relaxed) >= wanted).then_some(()));
            database.crash();
            until(Duration::from_secs(30), || (!unwell.lock().unwrap().is_empty()).then_some(()));
            assert_eq!(server.get("", "/health/ready").status, 503);
            database.start();
            let back = Instant::now();
            let seen = written.load(Ordering::Relaxed);
            until(BACK_WITHIN, || (written.load(Ordering::Relaxed) > seen).then_some(()));
            assert!(back.elapsed() < BACK_WITHIN);
        }
    });
    for (status, key, retry) in unwell.into_inner().unwrap() {
        assert_eq!(status, 503, "{key}");
        // Whether a commit without an answer was kept, nobody knows: to try again blindly would be wrong.
        assert!(key == "database.outcome_unknown" || !retry.is_empty(), "{key}: {retry:?}");
    }
    let acknowledged = acknowledged.into_inner().unwrap();
    let (mut found, mut page) = (Vec::new(), "/api/Order?get=id,lines(n)&limit=500".to_owned());
    loop {
        let answer = server.get("", &page).ok();
        for order in answer["items"].as_array().unwrap() {
            assert_eq!(order["lines"].as_array().map(Vec::len), Some(2), "{order}");
            found.push(order["id"].as_str().unwrap().to_owned());
        }
        let Some(next) = answer["next"].as_str() else { break };
        page = format!("/api/Order?get=id,lines(n)&limit=500&after={next}");
    }
    let lost: Vec<_> = acknowledged.iter().filter(|id| !found.contains(id)).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    let lines = server.query("", &json!({"Line": {"aggregate": {"lines": "count()"}}})).ok();
    assert_eq!(lines["Line"][0]["lines"], 2 * found.len());
}
