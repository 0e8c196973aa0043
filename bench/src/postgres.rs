//! Mainstay on PostgreSQL beside the same by hand, and beside the database alone answering in JSON.
//!
//! The last is what PostgREST and its like cannot be faster than: one prepared statement that makes the whole answer with
//! `row_to_json` and `json_agg`, asked by `pgbench` over as many connections, with no HTTP in front of it.

pub(crate) mod server;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use self::server::Postgres;
use crate::data;
use crate::scenario::{Rate, Request, Scenario, measure, nested, paths, task};
use crate::servers;

/// How PostgREST asks for it: joined laterally, each level an array of rows as JSON.
const NESTED: &str = r#"SELECT coalesce(json_agg(_a), '[]') FROM (
  SELECT "Artist"."id", "Artist"."name", coalesce(albums.rows, '[]') AS albums
  FROM "Artist" LEFT JOIN LATERAL (
    SELECT json_agg(_b) AS rows FROM (
      SELECT "Album"."id", "Album"."title", coalesce(tracks.rows, '[]') AS tracks
      FROM "Album" LEFT JOIN LATERAL (
        SELECT json_agg(_c) AS rows FROM (
          SELECT "Track"."id", "Track"."name", "Track"."milliseconds"
          FROM "Track" WHERE "Track"."album" = "Album"."id" ORDER BY "Track"."id") _c) tracks ON TRUE
      WHERE "Album"."artist" = "Artist"."id" ORDER BY "Album"."id") _b) albums ON TRUE
  ORDER BY "Artist"."id" LIMIT 10) _a;
"#;

/// Runs everything on a server of its own, and prints the table.
pub(crate) fn run(rounds: u32, seconds: u32) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let postgres = Postgres::start()?;
    postgres.psql("CREATE DATABASE ours")?;
    let data = data::prepare(folder.path(), Some(&postgres.url("ours")))?;
    // Each has its own copy of the data.
    postgres.psql("CREATE DATABASE hand TEMPLATE ours")?;
    for database in ["ours", "hand"] {
        let vacuumdb = Command::new(postgres.programs.join("vacuumdb"))
            .args(["--analyze", "--quiet", "--dbname", &postgres.url(database)])
            .status()?;
        ensure!(vacuumdb.success(), "vacuumdb: {vacuumdb}");
    }
    let ours = servers::mainstay(&data)?;
    let hand = servers::hand_on(&postgres.url("hand"), &data)?;
    let script = folder.path().join("nested.sql");
    fs::write(&script, NESTED)?;
    let pgbench = Pgbench { program: postgres.programs.join("pgbench"), url: postgres.url("hand"), script };

    let bearer = format!("Authorization: Bearer {}", data.token);
    let paths = |name: &str, prefix: &str| paths(folder.path(), name, prefix, &data.items);
    let create = |url| Request::script(url, "post.lua", task(&data)).header(bearer.clone());
    let ask_nested = || Request::script(ours.url("/query"), "post.lua", nested().to_string());
    let scenarios = [
        Scenario {
            name: "PostgreSQL: get by id, beside hand-written",
            target: Some(0.85),
            ours: Request::script(ours.url("/"), "pick.lua", paths("ours", "/api/Item/")?),
            theirs: Box::new(Request::script(hand.url("/"), "pick.lua", paths("hand", "/items/")?)),
        },
        Scenario {
            name: "PostgreSQL: nested read, beside hand-written",
            target: Some(0.85),
            ours: ask_nested(),
            theirs: Box::new(Request::script(hand.url("/artists"), "post.lua", "{}".to_owned())),
        },
        Scenario {
            name: "PostgreSQL: nested read, beside json_agg",
            target: Some(0.8),
            ours: ask_nested(),
            theirs: Box::new(pgbench),
        },
        Scenario {
            name: "PostgreSQL: create by rule, same SQL",
            target: Some(0.8),
            ours: create(ours.url("/api/Task")),
            theirs: Box::new(create(hand.url("/tasks/logged"))),
        },
        Scenario {
            name: "PostgreSQL: create, by hand without change log",
            target: None,
            ours: create(ours.url("/api/Task")),
            theirs: Box::new(create(hand.url("/tasks"))),
        },
    ];
    measure(&scenarios, rounds, seconds)
}

/// One statement, prepared and asked over and over on 32 connections.
struct Pgbench {
    program: PathBuf,
    url: String,
    script: PathBuf,
}

impl Rate for Pgbench {
    fn run(&self, seconds: u32) -> Result<f64> {
        let output = Command::new(&self.program)
            .args(["--no-vacuum", "--protocol", "prepared", "--client", "32", "--time", &seconds.to_string()])
            .arg("--file")
            .arg(&self.script)
            .arg(&self.url)
            .output()
            .context("pgbench")?;
        let text = String::from_utf8_lossy(&output.stdout);
        text.lines()
            .find_map(|line| line.strip_prefix("tps = ")?.split_whitespace().next()?.parse().ok())
            .with_context(|| format!("pgbench said:\n{text}{}", String::from_utf8_lossy(&output.stderr)))
    }
}
