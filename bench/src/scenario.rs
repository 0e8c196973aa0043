//! What is measured, and the table that comes out.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::{Value, json};

use crate::data::Data;
use crate::wrk::{self, Load, Loaded};

/// What a server is asked, and how the answers are compared.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// What the ratio has to be at least; none: it is told for orientation.
    pub(crate) target: Option<f64>,
    pub(crate) ours: Request,
    pub(crate) theirs: Box<dyn Rate>,
}

/// Work that is repeated for a while.
pub(crate) trait Rate {
    /// How often it was done each second.
    fn run(&self, seconds: u32) -> Result<f64>;

    /// The same with what else is known of it.
    fn load(&self, seconds: u32) -> Result<Loaded> {
        Ok(Loaded { per_second: self.run(seconds)?, p99_ms: None })
    }
}

/// One request to one server.
#[derive(Clone)]
pub(crate) struct Request {
    url: String,
    headers: Vec<String>,
    script: Option<(PathBuf, Vec<String>)>,
    connections: u32,
}

impl Request {
    pub(crate) fn get(url: String) -> Request {
        Request { url, headers: Vec::new(), script: None, connections: 32 }
    }

    pub(crate) fn script(url: String, file: &str, argument: String) -> Request {
        Request::scripted(url, file, vec![argument])
    }

    pub(crate) fn scripted(url: String, file: &str, arguments: Vec<String>) -> Request {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("wrk").join(file);
        Request { script: Some((path, arguments)), ..Request::get(url) }
    }

    pub(crate) fn connections(self, connections: u32) -> Request {
        Request { connections, ..self }
    }

    pub(crate) fn header(mut self, header: String) -> Request {
        self.headers.push(header);
        self
    }
}

impl Rate for Request {
    fn run(&self, seconds: u32) -> Result<f64> {
        Ok(self.load(seconds)?.per_second)
    }

    fn load(&self, seconds: u32) -> Result<Loaded> {
        let script = self.script.as_ref().map(|(path, words)| (path.as_path(), words.clone()));
        wrk::run(&Load {
            url: &self.url,
            headers: &self.headers,
            script,
            connections: self.connections,
            seconds,
        })
    }
}

/// Runs scenarios, and prints a line for each.
pub(crate) fn measure(scenarios: &[Scenario], rounds: u32, seconds: u32) -> Result<()> {
    println!("{:48} {:>10} {:>10} {:>7} {:>7}", "", "Mainstay/s", "other/s", "ratio", "target");
    for scenario in scenarios {
        let (mut a, mut b) = (Vec::new(), Vec::new());
        // The first round warms caches and is thrown away.
        for round in 0..=rounds {
            let (one, other) = (scenario.ours.run(seconds)?, scenario.theirs.run(seconds)?);
            if round > 0 {
                a.push(one);
                b.push(other);
            }
        }
        let (a, b) = (median(&mut a), median(&mut b));
        let target = scenario.target.map_or_else(String::new, |target| format!("{target:.2}"));
        println!("{:48} {a:>10.0} {b:>10.0} {:>7.2} {target:>7}", scenario.name, a / b);
    }
    Ok(())
}

/// Three levels: ten artists with their albums and tracks.
pub(crate) fn nested() -> Value {
    json!({"Artist": {"get": ["name"], "order": ["id"], "limit": 10,
        "albums": {"get": ["title"], "order": ["id"], "tracks": {"get": ["name", "milliseconds"], "order": ["id"]}}}})
}

/// What the user of the data makes, with a number in it.
pub(crate) fn task(data: &Data) -> String {
    json!({"title": "Task %d", "rank": 7, "owner": data.user}).to_string()
}

/// A file with one path a line; its name.
pub(crate) fn paths(folder: &Path, name: &str, prefix: &str, ids: &[String]) -> Result<String> {
    let file = folder.join(format!("{name}.paths"));
    let lines: Vec<String> = ids.iter().map(|id| format!("{prefix}{id}")).collect();
    fs::write(&file, lines.join("\n"))?;
    Ok(file.display().to_string())
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
