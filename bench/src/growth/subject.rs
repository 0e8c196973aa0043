//! A server under test, and what it takes for a request: processor time of its own and of the database's processes.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::connection::{Ask, Connection};
use crate::data;
use crate::fit::quantile;
use crate::postgres::server::all_children_ms;
use crate::servers::{Server, free_port};

const SECRET: &str = "9fXQ2c7mTz4LrVbN8sKpWd3hYj6GtEaU";
/// How often requests are repeated; the least of the processor times counts, since chance only adds.
const ROUNDS: usize = 7;

/// An app with a database, served or not.
pub(super) struct App {
    binary: PathBuf,
    folder: PathBuf,
    database: Option<String>,
}

impl App {
    pub(super) fn new(folder: PathBuf, text: &str, database: Option<String>) -> Result<App> {
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("app.stay"), text)?;
        Ok(App { binary: data::binary()?, folder, database })
    }

    pub(super) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(words).env("MAINSTAY_AUTH_SECRET", SECRET);
        if let Some(database) = &self.database {
            command.env("MAINSTAY_DATABASE", database);
        }
        command
    }

    /// What a command says.
    pub(super) fn run(&self, words: &[&str]) -> Result<String> {
        let output = self.command(words).output()?;
        if !output.status.success() {
            bail!("mainstay {}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    pub(super) fn path(&self) -> Result<&str> {
        self.folder.to_str().context("a path of letters")
    }

    /// A user and their token.
    pub(super) fn user(&self) -> Result<(String, String)> {
        let folder = self.path()?;
        let user =
            self.run(&["user", "create", folder, "--email", "bench@example.com", "--name", "Bench"])?;
        let token = self.run(&["user", "token", folder, &user, "--ttl", "1d"])?;
        Ok((user, token))
    }

    pub(super) fn serve(&self) -> Result<Server> {
        let port = free_port()?;
        let listen = format!("127.0.0.1:{port}");
        let words =
            ["serve", self.path()?, "--listen", &listen, "--env", "production", "--log-level", "warn"];
        Server::start(self.command(&words), port)
    }
}

/// What a request takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    /// Of processor time, in all processes together.
    pub(super) cpu_us: f64,
    /// From sending it to having its answer, in the middle.
    pub(super) p50_us: f64,
}

/// One connection, and the processes whose time counts.
pub(super) struct Subject<'s> {
    pub(super) server: &'s Server,
    pub(super) connection: Connection,
    pub(super) token: &'s str,
    /// The process whose children work for the server, where there is one.
    pub(super) postmaster: Option<u32>,
}

impl Subject<'_> {
    /// Asks so many times in each round; the number of a request is its own in all rounds.
    pub(super) async fn measure(&mut self, count: usize, mut ask: impl FnMut(usize) -> Ask) -> Result<Cost> {
        let mut cpu_us = f64::MAX;
        let mut times = Vec::with_capacity(count * ROUNDS);
        let mut number = 0;
        // Plans and caches are there when it is counted.
        for _ in 0..count.div_ceil(10) {
            self.one(&ask(number)).await?;
            number += 1;
        }
        for _ in 0..ROUNDS {
            let before = self.cpu_ms()?;
            for _ in 0..count {
                times.push(self.one(&ask(number)).await? * 1e6);
                number += 1;
            }
            cpu_us = cpu_us.min((self.cpu_ms()? - before) * 1000.0 / count as f64);
        }
        Ok(Cost { cpu_us, p50_us: quantile(&mut times, 0.5) })
    }

    /// Asks once: how long it took, in seconds.
    pub(super) async fn one(&mut self, ask: &Ask) -> Result<f64> {
        let answer = self.connection.ask(self.token, ask).await?;
        if !answer.is_success() {
            bail!("{} {}: {} {}", ask.method, ask.path, answer.status, answer.body);
        }
        Ok(answer.took.as_secs_f64())
    }

    fn cpu_ms(&self) -> Result<f64> {
        let database = self.postmaster.map_or(Ok(0.0), all_children_ms)?;
        Ok(self.server.cpu_ms()? + database)
    }
}
