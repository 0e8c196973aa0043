//! Apps of one table up to two hundred, with up to fifty rules each: what they take to check, to start and to keep, and what a request in
//! them takes.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::json;

use super::subject::{App, Subject};
use super::verdict::{Bound, Grown};
use crate::connection::{Ask, Connection};

/// Tables, and rules of each. The second and those after it differ in the number of tables alone.
const APPS: [(usize, usize); 4] = [(1, 1), (1, 50), (20, 50), (200, 50)];
const READS: usize = 500;
const WRITES: usize = 100;
/// How often it is checked and started; the least time counts.
const TIMES: usize = 3;

/// Measures every app.
pub(super) fn run() -> Result<Vec<Grown>> {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut grown: Vec<Grown> = Vec::new();
    for (tables, rules) in APPS {
        let folder = tempfile::tempdir()?;
        let app = App::new(folder.path().join("app"), &text(tables, rules), None)?;
        let measured = tokio.block_on(one(&app, tables))?;
        for (name, unit, bound, value) in measured {
            let point = ((tables * rules) as f64, value);
            let axes = ("rules in the app", unit);
            match grown.iter_mut().find(|curve| curve.name == name) {
                Some(curve) => curve.points.push(point),
                None => grown.push(Grown { name, axes, points: vec![point], bound }),
            }
        }
    }
    Ok(grown)
}

type Value = (&'static str, &'static str, Option<Bound>, f64);

async fn one(app: &App, tables: usize) -> Result<Vec<Value>> {
    let check = least(|| {
        let began = Instant::now();
        app.run(&["check", app.path()?])?;
        Ok(began.elapsed())
    })?;
    let (user, token) = app.user()?;
    // The first start has made the tables.
    let start = least(|| Ok(app.serve()?.started_in))?;
    let server = app.serve()?;
    let idle = server.memory_mib()?;
    let connection = Connection::open(server.port).await?;
    let mut subject = Subject { server: &server, connection, token: &token, postmaster: None };
    let row = |number: usize| json!({"number": number, "kind": 1, "title": "Row", "owner": user});
    let made = subject.connection.ask(&token, &Ask::post("/api/T0", &row(0))).await?.json()?;
    let get = Ask::get(format!("/api/T0/{}", made["id"].as_str().context("an id")?));
    // In the last table nothing was asked yet.
    let last = tables - 1;
    let list = format!("/api/T{last}?where=number%20==%201&limit=30&get=title");
    let first = subject.one(&Ask::get(list)).await?;
    let get = subject.measure(READS, |_| get.clone()).await?;
    let create = subject.measure(WRITES, |number| Ask::post("/api/T0", &row(number))).await?;
    // One of each kind in every table: what an app that is used holds in memory.
    for table in 0..tables {
        subject.one(&Ask::post(format!("/api/T{table}"), &row(1))).await?;
        subject.one(&Ask::get(format!("/api/T{table}?order=-number&limit=30"))).await?;
    }
    let (flat, linear) = (Some(Bound::Flat), Some(Bound::Linear));
    Ok(vec![
        ("get by id", "µs of processor", flat, get.cpu_us),
        ("create", "µs of processor", flat, create.cpu_us),
        ("mainstay check", "ms", linear, check.as_secs_f64() * 1000.0),
        ("start to listening", "ms", linear, start.as_secs_f64() * 1000.0),
        ("first query of a table", "ms", linear, first * 1000.0),
        ("memory, started", "MiB", linear, idle),
        ("memory, all tables asked", "MiB", linear, server.memory_mib()?),
    ])
}

fn least(mut once: impl FnMut() -> Result<Duration>) -> Result<Duration> {
    let mut least = once()?;
    for _ in 1..TIMES {
        least = least.min(once()?);
    }
    Ok(least)
}

/// An app of so many tables, each with the row of the one before it, and so many rules each.
fn text(tables: usize, rules: usize) -> String {
    let mut text = "app growth \"Growth\"\n".to_owned();
    for table in 0..tables {
        let before = if table == 0 { String::new() } else { format!("  before T{}?\n", table - 1) };
        write!(
            text,
            "\ntable T{table} {{\n  number int\n  kind int\n  title text(200)\n  owner User\n{before}\n  index (owner, number)\n  index (number)\n\n"
        )
        .expect("a string takes everything");
        if rules == 1 {
            text.push_str("  allow read, create if owner == user\n");
        }
        for rule in 0..if rules == 1 { 0 } else { rules } {
            let operation = ["read", "create", "update", "delete"][rule % 4];
            // The first of each operation lets the owner in; the others are looked at all the same where they are part of a statement.
            let more =
                if rule < 4 { String::new() } else { format!(" and kind == {rule} and number > {rule}") };
            writeln!(text, "  allow {operation} if owner == user{more}").expect("a string takes everything");
        }
        text.push_str("}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_has_as_many_tables_and_rules_as_it_is_told() {
        for (tables, rules) in [(1, 1), (3, 50)] {
            let text = text(tables, rules);
            assert_eq!(text.matches("\ntable ").count(), tables);
            assert_eq!(text.matches("\n  allow ").count(), tables * rules);
        }
    }
}
