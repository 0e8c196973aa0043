//! House rules that no lint knows: every source file says what it is, none grows beyond reading, arrows point down.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// A file longer than this is split, unless it is one table of data.
const LINES_MAX: usize = 800;

/// The crates from the bottom up; each may depend only on those before it. `testkit` is for tests alone.
const ARROWS: &[(&str, &[&str])] = &[
    ("lang", &[]),
    ("sql", &["lang"]),
    ("store", &["lang", "sql"]),
    ("engine", &["lang", "sql", "store"]),
    // What is said of requests, by spans alone.
    ("trace", &[]),
    // SQL's plans only, to see what they depend on.
    ("live", &["lang", "sql", "engine"]),
    // The store only for its counters.
    ("http", &["lang", "store", "engine", "live"]),
    // SQL for the statements on its table.
    ("jobs", &["lang", "sql", "store", "engine"]),
    // The wire for its routes.
    ("mail", &["lang", "engine", "http", "jobs"]),
    ("identity", &["lang", "engine", "http", "jobs", "mail"]),
    ("flags", &["lang", "engine", "http", "jobs"]),
    ("push", &["lang", "engine", "http", "jobs"]),
    // The wire alone, and jobs for what is done once for all servers.
    ("security", &["lang", "engine", "http", "jobs"]),
    // What a compiler's plugin knows is the language.
    ("macros", &["lang"]),
    (
        "mainstay",
        &[
            "lang", "sql", "store", "engine", "live", "http", "jobs", "mail", "identity", "flags", "push",
            "security", "macros", "trace",
        ],
    ),
];

/// Checks the whole tree and prints every finding.
pub(crate) fn run() -> Result<()> {
    let mut findings = Vec::new();
    let mut files = Vec::new();
    for folder in ["crates", "xtask", "bench", "fuzz"] {
        collect(Path::new(folder), &mut files)?;
    }
    for path in &files {
        let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        if !text.starts_with("//!") && !text.starts_with("#!") {
            findings.push(format!("{}: opens without //! and a sentence about what it is", path.display()));
        }
        let lines = text.lines().count();
        if lines > LINES_MAX {
            findings.push(format!("{}: {lines} lines, {LINES_MAX} at most", path.display()));
        }
        if path.file_name().is_some_and(|name| name == "mod.rs") {
            findings.push(format!(
                "{}: should be {}.rs beside its folder",
                path.display(),
                path.parent().unwrap_or(path).display()
            ));
        }
    }
    for (name, below) in ARROWS {
        findings.extend(upward_arrows(name, below)?);
    }
    for finding in &findings {
        eprintln!("{finding}");
    }
    if findings.is_empty() {
        Ok(())
    } else {
        bail!("tidy: {} findings in {} files", findings.len(), files.len())
    }
}

/// Dependencies of a crate that do not point down. Development dependencies may: tests stand above everything.
fn upward_arrows(name: &str, below: &[&str]) -> Result<Vec<String>> {
    let path = format!("crates/{name}/Cargo.toml");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    let mut section = "";
    let mut findings = Vec::new();
    for line in text.lines() {
        if line.starts_with('[') {
            section = line;
        } else if section == "[dependencies]"
            && let Some(rest) = line.strip_prefix("mainstay-")
        {
            let used = rest.split(['.', ' ', '=']).next().unwrap_or(rest);
            if !below.contains(&used) {
                findings.push(format!("{path}: {name} must not depend on {used}"));
            }
        }
    }
    Ok(findings)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "target") {
                collect(&path, files)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}
