//! A job that does nothing, from its being enqueued to its end, where more and more wait: a worker's processor time, and the database's.
//!
//! All of them are enqueued, by thousands, before the first is worked; so what is left of a process's start is shared by ten thousand.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use super::verdict::{Bound, Grown};
use crate::jobs;
use crate::postgres::server::{Postgres, all_children_ms, ended_ms};

const COUNTS: [usize; 3] = [10_000, 100_000, 1_000_000];

/// Measures both databases.
pub(super) fn run() -> Result<Vec<Grown>> {
    let program = jobs::program()?;
    let postgres = Postgres::start()?;
    let postmaster = postgres.postmaster("postgres")?;
    let curve = |name| Grown {
        name,
        axes: ("jobs that wait", "µs of processor"),
        points: Vec::new(),
        bound: Some(Bound::Logarithmic),
    };
    let [mut embedded, mut beside, mut database] =
        ["job on SQLite", "job on PostgreSQL, with the database", "of it the database"].map(curve);
    database.bound = None;
    for count in COUNTS {
        let folder = tempfile::tempdir()?;
        let per_job = |ms: f64| (count as f64, ms * 1000.0 / count as f64);
        let url = format!("sqlite:{}", folder.path().join("jobs.db").display());
        embedded.points.push(per_job(work(&program, &url, count)?));
        postgres.psql("CREATE DATABASE jobs")?;
        let before = all_children_ms(postmaster)?;
        let worker_ms = work(&program, &postgres.url("jobs"), count)?;
        let database_ms = all_children_ms(postmaster)? - before;
        postgres.psql("DROP DATABASE jobs WITH (FORCE)")?;
        beside.points.push(per_job(worker_ms + database_ms));
        database.points.push(per_job(database_ms));
    }
    Ok(vec![embedded, beside, database])
}

/// Enqueues and works so many: the processor time of that, in milliseconds.
fn work(program: &Path, url: &str, count: usize) -> Result<f64> {
    let before = ended_ms("self")?;
    let output = Command::new(program).args([url, &count.to_string(), "0"]).output()?;
    if !output.status.success() {
        bail!("{}: {}", program.display(), String::from_utf8_lossy(&output.stderr));
    }
    Ok(ended_ms("self")? - before)
}
