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

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Loaded {
    /// Requests answered with 2xx, each second.
    pub(crate) per_second: f64,
    /// The slowest but one in a hundred.
    pub(crate) p99_ms: Option<f64>,
}

/// Runs it; an answer that is no 2xx is an error.
pub(crate) fn run(load: &Load<'_>) -> Result<Loaded> {
    let mut command = Command::new("wrk");
    command.args(["-t1", "--latency", "--timeout", "10s"]);
    command.arg(format!("-c{}", load.connections)).arg(format!("-d{}s", load.seconds));
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
    read(&text).with_context(|| format!("wrk said:\n{text}{}", String::from_utf8_lossy(&output.stderr)))
}

fn read(report: &str) -> Option<Loaded> {
    let behind = |words: &str| report.lines().find_map(|line| line.trim().strip_prefix(words)).map(str::trim);
    Some(Loaded {
        per_second: behind("Requests/sec:")?.parse().ok()?,
        p99_ms: behind("99%").and_then(milliseconds),
    })
}

/// A time as wrk writes it: `812.00us`, `1.42ms`, `2.00s`.
fn milliseconds(text: &str) -> Option<f64> {
    let units = [("us", 0.001), ("ms", 1.0), ("s", 1000.0)];
    let (number, factor) =
        units.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))?;
    Some(number.parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_with_its_units() {
        let report = "  Latency Distribution\n     50%  812.00us\n     99%    1.42ms\n  200 requests in 1.00s\nRequests/sec:  74921.27\n";
        assert_eq!(read(report), Some(Loaded { per_second: 74921.27, p99_ms: Some(1.42) }));
        assert_eq!(milliseconds("812.00us"), Some(0.812));
        assert_eq!(milliseconds("2.00s"), Some(2000.0));
        assert_eq!(read("unable to connect"), None);
    }
}
