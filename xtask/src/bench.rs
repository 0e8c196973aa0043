//! `cargo xtask bench`: Mainstay beside handlers written by hand and beside peers, measured, compared, told.
//!
//! It builds server and benchmark as they are released, fetches peers by the clients of their registries, runs the benchmark, and makes of
//! its document the ratios, a table, a plot and the page that shows them. A peer that cannot be had is told as absent.

mod page;
mod peers;
mod plot;
mod report;

use std::fs;
use std::io::Write as _;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use self::report::Report;
use crate::machine::run;

/// Where documents of whole runs are kept.
const RESULTS: &str = "bench/results";

/// How much is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    /// A quarter of an hour; the page shows it.
    Whole,
    /// Three minutes; the page stays.
    Quick,
}

/// Measures rows whose names have one of the words, or all of them.
pub(crate) fn measure(length: Length, words: &[&str]) -> Result<()> {
    run("cargo", &["build", "--release", "--quiet", "--package", "mainstay"])?;
    run("cargo", &["build", "--release", "--quiet", "--package", "mainstay-jobs", "--example", "jobs_rate"])?;
    run("cargo", &["build", "--release", "--quiet", "--manifest-path", "bench/Cargo.toml"])?;
    peers::fetch();
    let target = target();
    let here = std::env::current_dir()?;
    let raw = here.join("target/bench.json");
    let binaries = here.join(&target).join("release");
    // The benchmark is a workspace of its own: its programs stand elsewhere, unless one folder takes all.
    let own =
        here.join(if target == "target" { "bench/target" } else { &target }).join("release/mainstay-bench");
    let plan = if length == Length::Quick { "quick" } else { "all" };
    eprintln!("$ mainstay-bench {plan} {}", raw.display());
    let status = Command::new(own)
        .arg(plan)
        .arg(&raw)
        .args(words)
        .env("BENCH_BINARY", binaries.join("mainstay"))
        .env("BENCH_JOBS", binaries.join("examples/jobs_rate"))
        .env("BENCH_PEERS", here.join(peers::FOLDER))
        .status()
        .context("starting the benchmark")?;
    ensure!(status.success(), "the benchmark: {status}");
    let report = compared(&raw.display().to_string())?;
    std::io::stdout().write_all(report.table().as_bytes())?;
    // Of a part, or of a quick run, nothing is kept.
    if length == Length::Whole && words.is_empty() { keep(&report) } else { Ok(()) }
}

/// Keeps a document that the benchmark has left, and makes the page's table and plot of it.
pub(crate) fn page(path: &str) -> Result<()> {
    keep(&compared(path)?)
}

/// The ratios of a document.
fn compared(path: &str) -> Result<Report> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {path}"))?;
    let measured: Report = serde_json::from_str(&text).with_context(|| format!("reading {path}"))?;
    // Compared again where it has been, so that what is shown follows the code that tells it.
    Ok(Report::of(measured.run))
}

fn keep(report: &Report) -> Result<()> {
    let path = report.path();
    fs::create_dir_all(RESULTS)?;
    fs::write(&path, serde_json::to_string_pretty(report)? + "\n")?;
    eprintln!("{path}");
    page::write(&path, report)
}

fn target() -> String {
    std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".to_owned())
}
