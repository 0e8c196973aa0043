//! PostgreSQL of the benchmark's own, and what it answers alone.
//!
//! That is what PostgREST and its like cannot be faster than: one prepared statement that makes the whole answer with
//! `row_to_json` and `json_agg`, asked by `pgbench` over as many connections, with no HTTP in front of it.

pub(crate) mod server;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use self::server::Postgres;
use crate::scenario::Rate;

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

/// One statement, prepared and asked over and over on 32 connections.
pub(crate) struct Pgbench {
    program: PathBuf,
    url: String,
    script: PathBuf,
}

impl Pgbench {
    /// Three levels as JSON, of a database.
    pub(crate) fn nested(postgres: &Postgres, database: &str, folder: &Path) -> Result<Pgbench> {
        let script = folder.join("nested.sql");
        fs::write(&script, NESTED)?;
        Ok(Pgbench { program: postgres.programs.join("pgbench"), url: postgres.url(database), script })
    }
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
