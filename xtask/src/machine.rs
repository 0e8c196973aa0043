//! What a fresh machine lacks: found, said, installed.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Commands that the steps call, one of each line, and the Debian packages that bring them. Debian keeps PostgreSQL's own out of
/// the path, where the tests look for them.
const TOOLS: &[(&[&str], &str)] = &[
    (&["c++"], "build-essential"),
    (&["python3"], "python3-venv"),
    (&["curl"], "curl"),
    (&["openssl"], "openssl"),
    (&["initdb", "pg_ctlcluster"], "postgresql"),
    (&["pgbouncer"], "pgbouncer"),
    (&["pebble"], "pebble"),
    (&["chromium", "chromium-browser", "google-chrome", "chrome"], "chromium"),
    (&["npm"], "npm"),
    (&["valgrind"], "valgrind"),
];

/// Installs the system packages that are missing.
pub(crate) fn prepare() -> Result<()> {
    let missing: Vec<&str> = TOOLS
        .iter()
        .filter(|(tools, _)| !tools.iter().any(|tool| has(tool)))
        .map(|(_, package)| *package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !has("apt-get") {
        bail!("missing: {}; install them with this system's package manager", missing.join(", "));
    }
    eprintln!("installing {}", missing.join(", "));
    let root = run_silently("id", &["-u"]).is_ok_and(|id| id.trim() == "0");
    let apt = |words: &[&str]| {
        let mut all = if root { vec!["apt-get"] } else { vec!["sudo", "apt-get"] };
        all.extend(words);
        run(all[0], &all[1..])
    };
    apt(&["update", "-qq"])?;
    let mut words = vec!["install", "-y", "-qq"];
    words.extend(missing);
    apt(&words)
}

/// Whether a command is on the path.
pub(crate) fn has(tool: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(tool).is_file()))
}

/// Runs a command, showing what it prints; fails when it fails.
pub(crate) fn run(program: &str, words: &[&str]) -> Result<()> {
    eprintln!("$ {program} {}", words.join(" "));
    let status = Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("starting {program}"))?;
    if status.success() { Ok(()) } else { bail!("{program} {}: {status}", words.join(" ")) }
}

/// Runs a command and returns what it printed.
pub(crate) fn run_silently(program: &str, words: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("starting {program}"))?;
    if !output.status.success() {
        bail!("{program} {}: {}", words.join(" "), output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
