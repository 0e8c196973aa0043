//! Instructions per request, beside a budget that may only shrink: `cargo xtask instructions`.
//!
//! `crates/mainstay/examples/instructions.rs` asks, callgrind counts, and `instructions/budget` beside it says what each kind of request
//! may take. Time differs from run to run and from machine to machine; this hardly does. More than the budget fails. Less is told, and
//! `--lower` writes it down; nothing here ever raises a line, so that whoever wants to edits it, and a review sees that.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::machine::{run, run_silently};

const BUDGET: &str = "crates/mainstay/examples/instructions/budget";
const BUILD: &str = "crates/mainstay/examples/instructions/build.toml";
const PROGRAM: &str = "target/debug/examples/instructions";
/// Where profiles are left, for `callgrind_annotate`.
const PROFILES: &str = "target/instructions";

/// How far above its budget a count may be, in hundredths, where its line says nothing of it: more than what runs differ by.
const TOLERANCE: u64 = 4;

/// What is done with counts that are below their budget.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Below {
    /// It is told.
    Told,
    /// It is the budget from now on.
    Kept,
}

/// What one kind of request may take.
#[derive(Clone, Copy)]
struct Line {
    most: u64,
    /// In hundredths, where it is not [`TOLERANCE`].
    tolerance: Option<u64>,
}

impl Line {
    fn allows(self, count: u64) -> bool {
        count * 100 <= self.most * (100 + self.tolerance.unwrap_or(TOLERANCE))
    }

    fn is_generous(self, count: u64) -> bool {
        count * 100 < self.most * (100 - self.tolerance.unwrap_or(TOLERANCE))
    }
}

type Budget = BTreeMap<String, Line>;

/// Counts, and compares.
pub(crate) fn check(below: Below) -> Result<()> {
    let counts = count()?;
    let text = fs::read_to_string(BUDGET).with_context(|| format!("reading {BUDGET}"))?;
    let mut budget = parse(&text)?;
    let lines: Vec<String> = counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
    if !counts.keys().eq(budget.keys()) {
        bail!("{BUDGET}: it has to have one line for each kind that is counted:\n{}", lines.join("\n"));
    }
    let (mut over, mut is_generous) = (Vec::new(), false);
    for (name, line) in &mut budget {
        let (count, most) = (counts[name], line.most);
        let change = (count as f64 / most as f64 - 1.0) * 100.0;
        eprintln!("{name:<16}{count:>10} of {most:>10}{change:>+7.1} %");
        if !line.allows(count) {
            over.push(name.clone());
        }
        is_generous |= line.is_generous(count);
        line.most = most.min(count);
    }
    if below == Below::Kept {
        fs::write(BUDGET, written(&text, &budget)).with_context(|| format!("writing {BUDGET}"))?;
    } else if is_generous {
        eprintln!("less than was budgeted: `cargo xtask instructions --lower` keeps what was gained");
    }
    if over.is_empty() {
        return Ok(());
    }
    bail!(
        "more instructions than budgeted: {}. `callgrind_annotate --inclusive=yes {PROFILES}/NAME` shows where; \
         what has to cost more is raised by hand in {BUDGET}, with a word why in the commit",
        over.join(", ")
    )
}

/// Instructions for one request of each kind.
fn count() -> Result<BTreeMap<String, u64>> {
    let cargo = ["cargo", "build", "--workspace", "--example", "instructions", "--quiet", "--config", BUILD];
    run("env", &[&["CARGO_INCREMENTAL=0"], &cargo[..]].concat())?;
    fs::remove_dir_all(PROFILES).or_else(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    })?;
    fs::create_dir_all(PROFILES)?;
    let out = format!("--callgrind-out-file={PROFILES}/part");
    let valgrind = [
        "--quiet",
        "--tool=callgrind",
        // Threads take turns that do not depend on the machine's mood.
        "--fair-sched=yes",
        "--dump-before=instructions::counted",
        "--dump-after=instructions::counted",
        &out,
        PROGRAM,
    ];
    let told = run_silently("valgrind", &valgrind)?;
    let mut counts = BTreeMap::new();
    for (at, line) in told.lines().enumerate() {
        let (name, requests) = line.split_once(' ').with_context(|| format!("{PROGRAM} told {line:?}"))?;
        // Of two parts the first is what went before.
        let profile = format!("{PROFILES}/{name}");
        fs::rename(format!("{PROFILES}/part.{}", 2 * at + 2), &profile).context("a profile is missing")?;
        counts.insert(name.to_owned(), total(Path::new(&profile))? / requests.parse::<u64>()?);
    }
    Ok(counts)
}

/// All instructions of a profile.
fn total(profile: &Path) -> Result<u64> {
    let text = fs::read_to_string(profile).with_context(|| format!("reading {}", profile.display()))?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    total.context("a profile without totals")?.trim().parse().context("the totals of a profile")
}

fn parse(text: &str) -> Result<Budget> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let line = |line: &str| {
        let mut words = line.split(' ');
        let (name, most) = (words.next()?, words.next()?.parse().ok()?);
        let tolerance = words.next().map(|word| word.strip_suffix('%')?.parse().ok());
        Some((
            name.to_owned(),
            Line { most, tolerance: tolerance.map_or(Some(None), |given| given.map(Some))? },
        ))
    };
    lines
        .map(|text| line(text).with_context(|| format!("{BUDGET}: {text:?} is no name and number")))
        .collect()
}

/// The budget's text with other numbers: its comment stays as it is.
fn written(text: &str, budget: &Budget) -> String {
    let mut written: String =
        text.lines().take_while(|line| line.starts_with('#')).flat_map(|line| [line, "\n"]).collect();
    written.push('\n');
    for (name, Line { most, tolerance }) in budget {
        let tolerance = tolerance.map(|hundredths| format!(" {hundredths}%")).unwrap_or_default();
        // Nothing fails in writing to a string.
        writeln!(written, "{name} {most}{tolerance}").ok();
    }
    written
}

#[cfg(test)]
mod tests {
    use super::{Line, parse, written};

    #[test]
    fn a_budget_is_written_as_it_was_read() {
        let text = "# Why.\n# How.\n\ncreate 200\nlive 100 10%\n";
        assert_eq!(written(text, &parse(text).ok().unwrap_or_default()), text);
        for wrong in ["get many\n", "get\n", "get 100 2\n", "get 100 many%\n"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_count_may_differ_by_so_much_and_no_more() {
        let line = Line { most: 1000, tolerance: None };
        assert!(line.allows(1040) && !line.allows(1041));
        assert!(line.is_generous(959) && !line.is_generous(960));
        assert!(Line { tolerance: Some(10), ..line }.allows(1100));
    }
}
