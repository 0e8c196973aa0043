//! Jobs that do nothing, beside graphile-worker (from npm) on the same PostgreSQL: round by round, each on a database of its own.
//!
//! `mainstay-bench jobs postgres://USER@HOST:PORT COUNT PENDING`. graphile-worker is measured as it comes and with its local queue and
//! batched completion. The table at the end has medians, and what they are held against.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

const ROUNDS: usize = 3;

/// What else is measured of Mainstay, by the names that its line has.
const OTHERS: [&str; 4] = ["enqueued_per_s", "wake_p50_ms", "wake_p99_ms", "worked_per_s_with_pending"];

/// graphile-worker doing as many jobs as there are, and saying how many a second.
const PEER: &str = r#"
const { makeWorkerUtils, runOnce } = require("graphile-worker");
const [url, count, mode] = process.argv.slice(2);
(async () => {
  const utils = await makeWorkerUtils({ connectionString: url });
  await utils.migrate();
  await utils.withPgClient(async (client) => {
    for (let at = 0; at < count; at += 1000)
      await client.query("select graphile_worker.add_jobs(array(select json_populate_record(null::graphile_worker.job_spec, json_build_object('identifier', 'nothing', 'payload', json_build_object('n', n))) from generate_series($1::int, $2::int) n))", [at, Math.min(at + 999, count - 1)]);
  });
  const worker = mode === "batched"
    ? { concurrentJobs: 24, localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0, maxPoolSize: 10 }
    : { concurrentJobs: 24, maxPoolSize: 25 };
  const begun = process.hrtime.bigint();
  await runOnce({ connectionString: url, taskList: { nothing() {} }, preset: { worker }, logger: undefined });
  const seconds = Number(process.hrtime.bigint() - begun) / 1e9;
  await utils.release();
  console.log(JSON.stringify({ worked_per_s: Math.round(count / seconds) }));
})().catch((error) => { console.error(error); process.exit(1); });
"#;

/// Measures all of them in turn, and prints medians and ratios.
pub(crate) fn run(server: &str, count: usize, pending: usize) -> Result<()> {
    let folder = tempfile::tempdir()?;
    finish(Command::new("npm").args(["install", "--silent", "graphile-worker"]).current_dir(folder.path()))?;
    std::fs::write(folder.path().join("peer.js"), PEER)?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("a folder around the benchmark")?;
    finish(
        Command::new("cargo")
            .args(["build", "--release", "-p", "mainstay-jobs", "--example", "jobs_rate"])
            .current_dir(root),
    )?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), Into::into);
    let own = target.join("release/examples/jobs_rate");
    let mut rates: Vec<Vec<f64>> = vec![Vec::new(); 3];
    let mut others: Vec<Vec<f64>> = vec![Vec::new(); OTHERS.len()];
    for round in 0..ROUNDS {
        let on_new = |name: &str, command: &mut dyn FnMut(&str) -> Command| -> Result<Value> {
            let name = format!("bench_{name}_{round}");
            let sql =
                |sql: String| finish(Command::new("psql").args([&format!("{server}/postgres"), "-qc", &sql]));
            sql(format!("DROP DATABASE IF EXISTS {name}"))?;
            sql(format!("CREATE DATABASE {name}"))?;
            let said = finish(&mut command(&format!("{server}/{name}")));
            sql(format!("DROP DATABASE {name}"))?;
            Ok(serde_json::from_str(said?.lines().last().context("nothing was measured")?)?)
        };
        let (pending, count) = (pending.to_string(), count.to_string());
        let measured = on_new("mainstay", &mut |url| {
            let mut command = Command::new(&own);
            command.args([url, &count, &pending]);
            command
        })?;
        println!("mainstay: {measured}");
        rates[0].push(measured["worked_per_s"].as_f64().context("a rate")?);
        for (other, name) in others.iter_mut().zip(OTHERS) {
            other.extend(measured[name].as_f64());
        }
        for (place, mode) in [(1, "plain"), (2, "batched")] {
            let measured = on_new("graphile", &mut |url| {
                let mut command = Command::new("node");
                command.args(["peer.js", url, &count, mode]).current_dir(folder.path());
                command
            })?;
            println!("graphile-worker, {mode}: {measured}");
            rates[place].push(measured["worked_per_s"].as_f64().context("a rate")?);
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

fn finish(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?)
}
