//! `move` beside `psql \copy` into the same tables: how many rows a second, in how much memory, and whether all arrive.
//!
//! Needs a PostgreSQL server on which databases may be made, and `psql`. The ratio counts all that `move` does, reading again
//! and making indexes included, where `\copy` only fills tables that have theirs.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::data;

/// What the ratio has to be at least.
const TARGET: f64 = 0.5;

const APP: &str = r#"app sales "Sales"

table Customer {
  name   text(100)
  email  text(200) unique
}

table Sale {
  number    int unique
  customer  Customer
  price     decimal(12, 2)
  quantity  int
  at        timestamp
  note      text?
  paid      bool
  order -at
}
"#;

/// Rows of [`APP`], `{0}` of them sales; keys ascend as those that a server makes.
const ROWS: &str = r#"
INSERT INTO "Customer" SELECT gen_random_uuid(), now(), now(), 'Customer ' || i, 'c' || i || '@example.com'
FROM generate_series(1, 10000) i;
WITH customers AS (SELECT array_agg(id) ids FROM "Customer")
INSERT INTO "Sale" SELECT
    (lpad(to_hex(1700000000000 + i), 12, '0') || '7' || substr(md5(i::text), 1, 3) || '8' || substr(md5(i::text), 4, 15))::uuid,
    now(), now(), i, ids[1 + i % 10000], (i % 100000) / 100.0, i % 50, now() - i * interval '1 second',
    CASE WHEN i % 3 = 0 THEN NULL ELSE 'note of ' || i END, i % 2 = 0
FROM customers, generate_series(1, {0}) i;
"#;

/// Databases that are made for the measurement, and go after it.
struct Databases<'s> {
    server: &'s str,
    names: [String; 3],
}

impl Databases<'_> {
    fn url(&self, index: usize) -> String {
        format!("{}/{}", self.server, self.names[index])
    }

    fn psql(&self, database: &str, sql: &str) -> Result<()> {
        let url = format!("{}/{database}", self.server);
        let words = ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", &url, "-c", sql];
        let status = Command::new("psql").args(words).status().context("psql")?;
        ensure!(status.success(), "psql: {sql}");
        Ok(())
    }
}

impl Drop for Databases<'_> {
    fn drop(&mut self) {
        for name in &self.names {
            if let Err(error) = self.psql("postgres", &format!("DROP DATABASE IF EXISTS {name}")) {
                eprintln!("{name} stays: {error:#}");
            }
        }
    }
}

/// Measures so many rows on the server of a URL without a database, `postgres://postgres@127.0.0.1:5432`.
pub(crate) fn run(server: &str, rows: u64) -> Result<()> {
    let binary = data::binary()?;
    let folder = tempfile::tempdir()?;
    let app = folder.path().join("app");
    fs::create_dir_all(&app)?;
    fs::write(app.join("app.stay"), APP)?;
    let names = ["filled", "moved", "copied"].map(|name| format!("bench_{name}_{}", std::process::id()));
    let databases = Databases { server, names };
    for name in &databases.names {
        databases.psql("postgres", &format!("CREATE DATABASE {name}"))?;
    }
    let mainstay = |words: &[&str]| {
        let mut command = Command::new(&binary);
        command.arg(words[0]).arg(&app).args(&words[1..]);
        command
    };
    for index in [0, 2] {
        let made = mainstay(&["query", "{\"Sale\": {}}", "--database", &databases.url(index)]).output()?;
        ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
    databases.psql(&databases.names[0], &ROWS.replace("{0}", &rows.to_string()))?;
    let sqlite = |name: &str| format!("sqlite:{}", folder.path().join(name).display());
    let (there, back) = (sqlite("there.db"), sqlite("back.db"));
    let mut tables = Vec::new();
    let mut rate = 0.0;
    for (from, to) in [(&databases.url(0), &there), (&there, &databases.url(1)), (&databases.url(1), &back)] {
        let command = mainstay(&["move", "--from", from, "--to", to, "--json"]);
        let (document, memory_mib) = measured(command)?;
        let seconds = document["seconds"].as_f64().context("seconds")?;
        let all = document["rows"].as_f64().context("rows")?;
        println!(
            "move {from} {to}: {all} rows in {seconds:.1} s, {:.0} rows/s, {memory_mib:.0} MiB",
            all / seconds
        );
        if to.starts_with("postgres") {
            rate = all / seconds;
        }
        // What a database knows of itself is recorded for its kind.
        let found = document["tables"].as_array().context("tables")?;
        tables.push(found.iter().filter(|table| table["table"] != "_meta").cloned().collect::<Vec<_>>());
    }
    ensure!(tables.iter().all(|found| *found == tables[0]), "the checksums differ");
    let copied = copy(&databases, folder.path())?;
    let by_psql = (rows + 10_000) as f64 / copied.as_secs_f64();
    println!("psql \\copy: {:.1} s, {by_psql:.0} rows/s", copied.as_secs_f64());
    let ratio = rate / by_psql;
    println!("move / psql \\copy: {ratio:.2} (at least {TARGET})");
    if ratio < TARGET { bail!("too slow") } else { Ok(()) }
}

/// How long `psql` takes to fill tables that have their indexes.
fn copy(databases: &Databases<'_>, folder: &Path) -> Result<Duration> {
    let mut took = Duration::ZERO;
    for table in ["Customer", "Sale"] {
        let file = folder.join(table);
        let way = |way: &str| format!("\\copy \"{table}\" {way} '{}'", file.display());
        databases.psql(&databases.names[0], &way("to"))?;
        let begun = Instant::now();
        databases.psql(&databases.names[2], &way("from"))?;
        took += begun.elapsed();
    }
    Ok(took)
}

/// Runs a command to its end: its document, and the most memory that it had.
fn measured(mut command: Command) -> Result<(Value, f64)> {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut most = 0.0_f64;
    while child.try_wait()?.is_none() {
        most = most.max(memory_mib(&child).unwrap_or(0.0));
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "{command:?}: {}", output.status);
    Ok((serde_json::from_slice(&output.stdout)?, most))
}

fn memory_mib(child: &Child) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kib / 1024.0)
}
