//! SIGKILL under a write load: what was acknowledged is there afterwards, whole, and the database is intact.
//!
//! `MAINSTAY_CRASH_ROUNDS` says how often; a handful by default, a hundred before a release.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::support::{App, Request};

const SCHEMA: &str = r#"
app crash "Crash"
table Order {
  id      text(20)
  number  int auto per (client)
  client  int
  lines   Line[] by order_row
  allow all
  check lines.count() == 2  "An order has two lines."
}
table Line {
  order_row  Order on delete cascade
  n          int
  allow all
}
"#;

const ROUNDS_DEFAULT: usize = 5;
const CLIENTS: usize = 6;
/// A round's server is killed once so many orders of it were acknowledged, in the middle of the next ones.
const ORDERS_BEFORE_KILL: usize = 40;

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let rounds =
        std::env::var("MAINSTAY_CRASH_ROUNDS").ok().map_or(ROUNDS_DEFAULT, |text| text.parse().unwrap());
    let app = App::of(SCHEMA);
    let mut acknowledged: HashMap<String, i64> = HashMap::new();
    for round in 0..rounds {
        acknowledged.extend(one_round(&app, round));
        let well = app.run(&["doctor", "APP", "--json"]).succeeded().json();
        assert_eq!(well["well"], true, "round {round}: {well}");
        let rows = rows(&app);
        for (id, number) in &acknowledged {
            assert_eq!(rows.get(id), Some(number), "round {round}: {id} was acknowledged");
        }
        is_whole(&rows);
    }
    eprintln!("{rounds} rounds, {} orders acknowledged, none lost", acknowledged.len());
}

/// Clients that post orders until their server dies; which of them were acknowledged, with their numbers.
fn one_round(app: &App, round: usize) -> Vec<(String, i64)> {
    let server = app.serve();
    let address = server.address().to_owned();
    let done = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (address, done) = (&address, &done);
                scope.spawn(move || {
                    let mut acknowledged = Vec::new();
                    for index in 0.. {
                        let id = format!("{round}-{client}-{index}");
                        let body = json!({"Order": {"create": true, "id": id, "client": client, "lines": [
                            {"create": true, "n": 1}, {"create": true, "n": 2}], "get": ["number"]}});
                        let answer = Request::to(address, "POST", "/query").json(&body).try_send();
                        // The server's death is the only reason to end, and an answer that was cut is none.
                        let Ok(answer) = answer else { break };
                        let row = &answer.ok()["Order"][0];
                        acknowledged.push((id, row["number"].as_i64().unwrap()));
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                    acknowledged
                })
            })
            .collect();
        while done.load(Ordering::Relaxed) < ORDERS_BEFORE_KILL {
            std::thread::yield_now();
        }
        server.kill();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    })
}

/// Every order with its number, through the restarted program.
fn rows(app: &App) -> HashMap<String, i64> {
    let export = |table: &str| -> Vec<Value> {
        let text = app.run(&["export", "APP", table, "-"]).succeeded().stdout;
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let mut lines: HashMap<String, usize> = HashMap::new();
    for line in export("Line") {
        *lines.entry(line["order_row"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    let mut found = HashMap::new();
    for order in export("Order") {
        let id = order["id"].as_str().unwrap().to_owned();
        assert_eq!(lines.get(&id), Some(&2), "{id} is there without all of its lines");
        found.insert(id, order["number"].as_i64().unwrap());
    }
    assert_eq!(lines.len(), found.len(), "lines without their order");
    found
}

/// The counters have no gap and no duplicate, crash or not.
fn is_whole(rows: &HashMap<String, i64>) {
    for client in 0..CLIENTS {
        let mine = format!("-{client}-");
        let mut numbers: Vec<i64> =
            rows.iter().filter(|(id, _)| id.contains(&mine)).map(|(_, number)| *number).collect();
        numbers.sort_unstable();
        assert!(numbers.iter().copied().eq(1..=numbers.len() as i64), "client {client}: {numbers:?}");
    }
}
