//! Half an hour of everything at a modest pace: reads, writes, sign-ins, jobs, and subscribers of whom some are slow and some come and
//! go. What it looks for is what grows: memory by the second, the slowest requests by the minute, and any error at all.
//!
//! The rows that there are stay about as many: whoever writes also deletes. The change log is kept for ten minutes, so that forgetting it is
//! part of what is measured. An embedded database is made larger than what connections keep of it before it begins: otherwise their caches
//! would fill as the log grows, and look like a leak.

mod listener;
mod listeners;
mod load;
mod people;
mod report;
mod socket;
mod tally;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;
use tokio::sync::watch;

use self::people::People;
use self::report::{End, Sample};
use self::tally::Tally;
use crate::connection::{Ask, Connection};
use crate::data;
use crate::postgres::server::{Postgres, all_children_ms};
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

table Archive {
  text  text
}
"#;

/// Requests a second, over so many connections.
const PER_SECOND: f64 = 250.0;
const CONNECTIONS: usize = 32;
/// Teams, between which notes are spread.
const TEAMS: usize = 20;
/// Rows of a page each that nobody asks for: more than the 2 MiB that each connection keeps.
const ARCHIVED: usize = 20_000;
/// The name of the database on PostgreSQL.
const DATABASE: &str = "soak";
/// How long everybody may take to come to an end: those who stand still do so for a minute.
const END_MAX: Duration = Duration::from_secs(120);

/// What everybody who takes part knows.
struct Scene {
    port: u16,
    people: People,
    teams: Vec<String>,
    tally: Tally,
    over: watch::Sender<bool>,
}

impl Scene {
    /// Completes when there is nothing more to do but to see what it has come to.
    async fn over(&self) {
        self.over.subscribe().wait_for(|over| *over).await.expect("the sender is here");
    }

    fn is_over(&self) -> bool {
        *self.over.borrow()
    }
}

/// How long, and on what.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Options {
    minutes: f64,
    on_postgres: bool,
}

impl Options {
    fn of(words: &[&str]) -> Result<Options> {
        let mut options = Options { minutes: 30.0, on_postgres: false };
        for pair in words.chunks(2) {
            match pair {
                ["--minutes", minutes] => options.minutes = minutes.parse()?,
                ["--on", "sqlite"] => options.on_postgres = false,
                ["--on", "postgres"] => options.on_postgres = true,
                _ => bail!("soak [--minutes N] [--on sqlite|postgres], and not {}", words.join(" ")),
            }
        }
        Ok(options)
    }
}

/// Runs as the words say, writes what came out, and says whether anything grew.
pub(crate) fn run(words: &[&str]) -> Result<()> {
    let Options { minutes, on_postgres } = Options::of(words)?;
    let folder = tempfile::tempdir()?;
    let postgres = if on_postgres { Some(Postgres::start()?) } else { None };
    let server = start(folder.path(), postgres.as_ref())?;
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let time = Duration::from_secs_f64(minutes * 60.0);
    let (samples, scene) = tokio.block_on(soak(&server, postgres.as_ref(), time))?;
    tokio.shutdown_background();
    let (name, database_bytes) = match &postgres {
        Some(postgres) => {
            ("soak-postgres", postgres.ask(DATABASE, "SELECT pg_database_size(current_database())")?.parse()?)
        }
        None => ("soak", std::fs::metadata(folder.path().join("soak/data/mainstay.db"))?.len()),
    };
    report::write(&End { name, samples: &samples, counts: &scene.tally.end(), database_bytes })
}

fn start(folder: &Path, postgres: Option<&Postgres>) -> Result<Server> {
    let app = folder.join("soak");
    std::fs::create_dir_all(&app)?;
    std::fs::write(app.join("app.stay"), APP)?;
    let binary = data::binary()?;
    let command = || {
        let mut command = Command::new(&binary);
        command.env("MAINSTAY_AUTH_SECRET", "9fXQ2c7mTz4LrVbN8sKpWd3hYj6GtEaU");
        if let Some(postgres) = postgres {
            command.env("MAINSTAY_DATABASE", postgres.url(DATABASE));
        }
        command
    };
    match postgres {
        Some(postgres) => postgres.psql(&format!("CREATE DATABASE {DATABASE}"))?,
        None => {
            // A short command makes the tables.
            let made = command()
                .args(["user", "create"])
                .arg(&app)
                .args(["--email", "first@example.com", "--name", "First"])
                .output()?;
            if !made.status.success() {
                bail!("{}", String::from_utf8_lossy(&made.stderr));
            }
            archive(&app.join("data/mainstay.db"))?;
        }
    }
    let port = free_port()?;
    let mut command = command();
    // Neither production, where mail would go out, nor development, where it would be kept: it is rendered, and goes to nobody.
    command
        .arg("serve")
        .arg(&app)
        .args(["--listen", &format!("127.0.0.1:{port}"), "--env", "staging", "--log-level", "warn"])
        .args(["--identity-verified", "no", "--mail-host", "127.0.0.1"])
        .args(["--http-trusted-proxies", "127.0.0.1", "--live-queue-frames", "512"]);
    Server::start(command, port)
}

/// Makes an embedded database larger than what connections keep of it.
fn archive(database: &Path) -> Result<()> {
    let connection = rusqlite::Connection::open(database)?;
    connection.execute_batch(&format!(
        "PRAGMA synchronous = OFF;
         INSERT INTO \"Archive\" (\"id\", \"created\", \"updated\", \"text\")
           WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {ARCHIVED})
           SELECT printf('01900004-0000-7000-8000-%012x', n), at, at, hex(randomblob(1900))
             FROM s, (SELECT strftime('%Y-%m-%dT%H:%M:%S.000000Z') AS at);
         PRAGMA wal_checkpoint(TRUNCATE);"
    ))?;
    Ok(())
}

async fn soak(
    server: &Server,
    postgres: Option<&Postgres>,
    time: Duration,
) -> Result<(Vec<Sample>, Arc<Scene>)> {
    let port = server.port;
    let people = People::register(port).await?;
    let mut connection = Connection::open(port).await?;
    let mut teams = Vec::with_capacity(TEAMS);
    for number in 0..TEAMS {
        let ask = Ask::post("/api/Team", &json!({"name": format!("Team {number}")}));
        let made = connection.ask(&people.token(0), &ask).await?.json()?;
        teams.push(made["id"].as_str().context("an id")?.to_owned());
    }
    let over = watch::Sender::new(false);
    let scene = Arc::new(Scene { port, people, teams, tally: Tally::begin(), over });
    let mut tasks = load::begin(&scene);
    tasks.extend(listeners::begin(&scene));
    let postmaster = postgres.map(|postgres| postgres.postmaster(DATABASE)).transpose()?;
    let began = Instant::now();
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    let mut samples = Vec::new();
    while began.elapsed() < time {
        ticks.tick().await;
        samples.push(Sample {
            second: began.elapsed().as_secs_f64(),
            all_mib: server.memory_mib()?,
            own_mib: server.own_memory_mib()?,
            cpu_ms: server.cpu_ms()? + postmaster.map_or(Ok(0.0), all_children_ms)?,
        });
        if samples.len() % 60 == 0 {
            report::minute(&samples, &scene.tally);
        }
    }
    scene.over.send_replace(true);
    let end = tokio::time::Instant::now() + END_MAX;
    for task in tasks {
        if tokio::time::timeout_at(end, task).await.is_err() {
            scene.tally.error("somebody does not come to an end".to_owned());
        }
    }
    Ok((samples, scene))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_told_and_others_refused() {
        let usual = Options { minutes: 30.0, on_postgres: false };
        assert_eq!(Options::of(&[]).unwrap(), usual);
        let told = Options::of(&["--on", "postgres", "--minutes", "2.5"]).unwrap();
        assert_eq!(told, Options { minutes: 2.5, on_postgres: true });
        assert!(Options::of(&["--minutes"]).is_err());
        assert!(Options::of(&["--on", "paper"]).is_err());
    }
}
