//! Jobs that do nothing, beside graphile-worker and pg-boss (from npm) on the same PostgreSQL: round by round, each on a database of its own.
//!
//! `mainstay-bench jobs postgres://USER@HOST:PORT COUNT PENDING`. graphile-worker is measured as it comes and with its local queue and
//! batched completion. The table at the end has medians, and what they are held against.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::peers;
use crate::scenario::Rate;

const ROUNDS: usize = 3;

/// What else is measured of Mainstay, by the names that its line has.
const OTHERS: [&str; 4] = ["enqueued_per_s", "wake_p50_ms", "wake_p99_ms", "worked_per_s_with_pending"];

/// Measures all of them in turn, and prints medians and ratios.
pub(crate) fn run(server: &str, count: usize, pending: usize) -> Result<()> {
    let own = Drain::mainstay(server, count, pending)?;
    let peers = ["plain", "batched"].map(|mode| Drain::graphile(server, count, mode));
    let [plain, batched] = peers;
    let drains = [own, plain?, batched?];
    let mut rates: Vec<Vec<f64>> = vec![Vec::new(); 3];
    let mut others: Vec<Vec<f64>> = vec![Vec::new(); OTHERS.len()];
    for _ in 0..ROUNDS {
        for (drain, rates) in drains.iter().zip(&mut rates) {
            let measured = drain.measure()?;
            println!("{}: {measured}", drain.name);
            rates.push(measured["worked_per_s"].as_f64().context("a rate")?);
            for (other, name) in others.iter_mut().zip(OTHERS) {
                other.extend(measured[name].as_f64());
            }
        }
    }
    let median = |rates: &mut Vec<f64>| {
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    };
    let [own, plain, batched] = [0, 1, 2].map(|place| median(&mut rates[place]));
    let [enqueued, wake_p50, wake_p99, beside] = [0, 1, 2, 3].map(|place| match others[place].is_empty() {
        true => f64::NAN,
        false => median(&mut others[place]),
    });
    println!("| | measured | wanted |\n|---|---|---|");
    println!("| jobs a second | {own:.0} | |");
    println!("| graphile-worker, plain | {plain:.0}: {:.1} times | 3 times |", own / plain);
    println!("| graphile-worker, batched | {batched:.0}: {:.2} times | 1.2 times |", own / batched);
    println!("| enqueued a second, by thousands | {enqueued:.0} | 80000 |");
    println!(
        "| from enqueueing to the handler, idle: p50, p99 | {wake_p50:.1} ms, {wake_p99:.1} ms | p50 < 5 ms |"
    );
    println!(
        "| jobs a second with {pending} pending behind | {beside:.0}: {:.2} of the rate without | 0.8 |",
        beside / own
    );
    Ok(())
}

/// The example that measures the queue: the one that `BENCH_JOBS` names, or one built now.
pub(crate) fn program() -> Result<PathBuf> {
    if let Some(program) = std::env::var_os("BENCH_JOBS") {
        return Ok(program.into());
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("a folder around the benchmark")?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), Into::into);
    let mut build = Command::new("cargo");
    build.args(["build", "--release", "-p", "mainstay-jobs", "--example", "jobs_rate"]).current_dir(root);
    finish(&mut build)?;
    Ok(target.join("release/examples/jobs_rate"))
}

fn finish(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// One way to work through jobs, on a new database each time.
pub(crate) struct Drain {
    name: &'static str,
    server: String,
    /// Takes the database's URL behind the first of its words.
    command: Words,
}

/// A command that can be started again.
struct Words {
    program: std::ffi::OsString,
    before: Vec<std::ffi::OsString>,
    after: Vec<String>,
}

impl Words {
    fn with(&self, url: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.before).arg(url).args(&self.after).env("NODE_NO_WARNINGS", "1");
        command
    }
}

impl Drain {
    /// Mainstay's queue, as its example has it; `pending` more are measured behind the others.
    pub(crate) fn mainstay(server: &str, count: usize, pending: usize) -> Result<Drain> {
        let program = program()?.into();
        let command =
            Words { program, before: Vec::new(), after: vec![count.to_string(), pending.to_string()] };
        Ok(Drain { name: "mainstay", server: server.to_owned(), command })
    }

    /// graphile-worker as it comes (`plain`), or with its local queue and batched completion (`batched`).
    pub(crate) fn graphile(server: &str, count: usize, mode: &str) -> Result<Drain> {
        let script = peers::script("graphile-worker.js", "graphile-worker")?;
        Ok(Drain::node("graphile-worker", server, &script, vec![count.to_string(), mode.to_owned()]))
    }

    pub(crate) fn pg_boss(server: &str, count: usize) -> Result<Drain> {
        let script = peers::script("pg-boss.mjs", "pg-boss")?;
        Ok(Drain::node("pg-boss", server, &script, vec![count.to_string()]))
    }

    fn node(name: &'static str, server: &str, script: &Command, after: Vec<String>) -> Drain {
        let before = script.get_args().map(std::ffi::OsStr::to_owned).collect();
        let command = Words { program: script.get_program().to_owned(), before, after };
        Drain { name, server: server.to_owned(), command }
    }

    /// What the program says of one run.
    fn measure(&self) -> Result<Value> {
        let database = format!("bench_jobs_{}", std::process::id());
        let sql = |sql: String| {
            finish(Command::new("psql").args([&format!("{}/postgres", self.server), "-qc", &sql]))
        };
        sql(format!("DROP DATABASE IF EXISTS {database}"))?;
        sql(format!("CREATE DATABASE {database}"))?;
        let said = finish(&mut self.command.with(&format!("{}/{database}", self.server)));
        sql(format!("DROP DATABASE {database} WITH (FORCE)"))?;
        Ok(serde_json::from_str(said?.lines().last().context("nothing was measured")?)?)
    }
}

impl Rate for Drain {
    fn run(&self, _: u32) -> Result<f64> {
        self.measure()?["worked_per_s"].as_f64().context("a rate")
    }
}
