//! wrk, the load generator: started, waited for, its report read.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// One request repeated.
pub(crate) struct Load<'a> {
    /// Full address.
    pub(crate) url: &'a str,
    /// `Name: value`.
    pub(crate) headers: &'a [String],
    /// A Lua script that makes the requests, with its arguments.
    pub(crate) script: Option<(&'a Path, Vec<String>)>,
    /// Connections held open.
    pub(crate) connections: u32,
    /// How long.
    pub(crate) seconds: u32,
}

/// Requests answered with 2xx, each second.
pub(crate) fn run(load: &Load<'_>) -> Result<f64> {
    let mut command = Command::new("wrk");
    command.arg("-t1").arg(format!("-c{}", load.connections)).arg(format!("-d{}s", load.seconds));
    for header in load.headers {
        command.arg("-H").arg(header);
    }
    if let Some((script, _)) = &load.script {
        command.arg("-s").arg(script);
    }
    command.arg(load.url);
    if let Some((_, arguments)) = &load.script {
        command.arg("--").args(arguments);
    }
    let output = command.output().context("starting wrk (apt-get install wrk)")?;
    let text = String::from_utf8_lossy(&output.stdout);
    if let Some(line) = text.lines().find(|line| line.contains("Non-2xx") || line.contains("Socket errors")) {
        bail!("{}: {}", load.url, line.trim());
    }
    text.lines()
        .find_map(|line| line.trim().strip_prefix("Requests/sec:"))
        .and_then(|number| number.trim().parse().ok())
        .with_context(|| format!("wrk said:\n{text}{}", String::from_utf8_lossy(&output.stderr)))
}
