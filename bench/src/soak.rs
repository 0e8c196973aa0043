//! Half an hour of everything at a modest pace: reads, writes, sign-ins, jobs, and subscribers of whom some are slow and some come and
//! go. What it looks for is what grows: memory by the second, the slowest requests by the minute, and any error at all.
//!
//! The rows that there are stay about as many: whoever writes also deletes. The change log is kept for ten minutes, so that forgetting it is
//! part of what is measured.

mod listeners;
mod load;
mod people;
mod report;
mod tally;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::json;

use self::people::People;
use self::report::Sample;
use self::tally::Tally;
use crate::connection::{Ask, Connection};
use crate::data;
use crate::servers::{Server, free_port};

const APP: &str = r#"app soak "Soak"
use identity

table Team {
  name   text(100)
  notes  Note[] by team

  allow read, create if signed_in
}

table Note {
  team      Team
  author    User
  title     text(200)
  body      text
  sent      int
  comments  Comment[] by note

  index (team, created)
  order -created
  history 10 minutes

  allow read if signed_in
  allow create, update, delete if author == user
}

table Comment {
  note  Note  on delete cascade
  text  text(500)

  history 10 minutes

  allow read if signed_in
  allow create if note.author == user
}
"#;

/// Requests a second, over so many connections.
const PER_SECOND: f64 = 250.0;
const CONNECTIONS: usize = 32;
/// Teams, between which notes are spread.
const TEAMS: usize = 20;

/// What everybody who takes part knows.
struct Scene {
    port: u16,
    people: People,
    teams: Vec<String>,
    tally: Tally,
}

/// Runs for so many minutes, writes what came out, and says whether anything grew.
pub(crate) fn run(minutes: f64) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = start(folder.path())?;
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let (samples, scene) = tokio.block_on(soak(&server, Duration::from_secs_f64(minutes * 60.0)))?;
    tokio.shutdown_background();
    let database = std::fs::metadata(folder.path().join("soak/data/mainstay.db"))?.len();
    report::write(&samples, &scene.tally.end(), database)
}

fn start(folder: &Path) -> Result<Server> {
    let app = folder.join("soak");
    std::fs::create_dir_all(&app)?;
    std::fs::write(app.join("app.stay"), APP)?;
    let port = free_port()?;
    let mut command = Command::new(data::binary()?);
    // Neither production, where mail would go out, nor development, where it would be kept: it is rendered, and goes to nobody.
    command
        .arg("serve")
        .arg(&app)
        .args(["--listen", &format!("127.0.0.1:{port}"), "--env", "staging", "--log-level", "warn"])
        .args(["--identity-verified", "no", "--mail-host", "127.0.0.1"])
        .args(["--http-trusted-proxies", "127.0.0.1", "--live-queue-frames", "512"])
        .env("MAINSTAY_AUTH_SECRET", "9fXQ2c7mTz4LrVbN8sKpWd3hYj6GtEaU");
    Server::start(command, port)
}

async fn soak(server: &Server, time: Duration) -> Result<(Vec<Sample>, Arc<Scene>)> {
    let port = server.port;
    let people = People::register(port).await?;
    let mut connection = Connection::open(port).await?;
    let mut teams = Vec::with_capacity(TEAMS);
    for number in 0..TEAMS {
        let ask = Ask::post("/api/Team", &json!({"name": format!("Team {number}")}));
        let made = connection.ask(&people.token(0), &ask).await?.json()?;
        teams.push(made["id"].as_str().context("an id")?.to_owned());
    }
    let scene = Arc::new(Scene { port, people, teams, tally: Tally::begin() });
    load::begin(&scene);
    listeners::begin(&scene);
    let began = Instant::now();
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    let mut samples = Vec::new();
    while began.elapsed() < time {
        ticks.tick().await;
        samples.push(Sample {
            second: began.elapsed().as_secs_f64(),
            all_mib: server.memory_mib()?,
            own_mib: server.own_memory_mib()?,
            cpu_ms: server.cpu_ms()?,
        });
        if samples.len() % 60 == 0 {
            report::minute(&samples, &scene.tally);
        }
    }
    Ok((samples, scene))
}
