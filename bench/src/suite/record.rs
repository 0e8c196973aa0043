//! What a run leaves: a document of every number of every round, and of what they were measured on.

use std::collections::BTreeMap;
use std::process::Command;

use serde::Serialize;

#[derive(Serialize)]
pub(super) struct Document {
    pub(super) made: String,
    pub(super) commit: String,
    pub(super) machine: Machine,
    /// Rows of the large table.
    pub(super) entries: u32,
    pub(super) rounds: u32,
    /// How long each load lasts.
    pub(super) seconds: u32,
    pub(super) versions: BTreeMap<&'static str, String>,
    /// Systems that are not there, and why.
    pub(super) absent: BTreeMap<&'static str, String>,
    pub(super) rows: Vec<Row>,
}

#[derive(Serialize)]
pub(super) struct Machine {
    processor: String,
    cores: usize,
    memory_gib: u64,
    kernel: String,
}

/// One line of work, by every system that does it.
#[derive(Serialize)]
pub(super) struct Row {
    pub(super) name: String,
    /// The database under it, or what else it belongs to.
    pub(super) on: &'static str,
    pub(super) connections: Option<u32>,
    pub(super) unit: &'static str,
    pub(super) better: Better,
    pub(super) systems: BTreeMap<&'static str, Measured>,
    /// Systems that do not do it, and why.
    pub(super) without: BTreeMap<&'static str, String>,
    pub(super) targets: Vec<Target>,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Better {
    More,
    Less,
}

/// A number for each round.
#[derive(Default, Serialize)]
pub(super) struct Measured {
    pub(super) rounds: Vec<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) p99_ms: Vec<f64>,
    /// The server's own processor time for one answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) cpu_us: Vec<f64>,
}

/// What Mainstay's number is held against: a ratio to another system's, or a bound by itself.
#[derive(Clone, Serialize)]
pub(super) struct Target {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) beside: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) at_least: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) below: Option<f64>,
}

impl Machine {
    pub(super) fn here() -> Machine {
        let line = |file: &str, name: &str| {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix(name).map(str::to_owned));
            line.unwrap_or_default().trim_start_matches([' ', '\t', ':']).to_owned()
        };
        let memory = line("/proc/meminfo", "MemTotal:");
        let kib = memory.split_whitespace().next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
        Machine {
            processor: line("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_gib: kib / 1024 / 1024,
            kernel: said("uname", &["-sr"]),
        }
    }
}

/// The first line of what a program says.
pub(super) fn said(program: &str, words: &[&str]) -> String {
    let output = Command::new(program).args(words).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or_default().trim().to_owned()
}
