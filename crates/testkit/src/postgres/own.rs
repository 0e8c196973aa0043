//! A PostgreSQL of one test's own, to be stopped hard and started again.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use super::binaries;

/// Does what it is told on its input, and removes everything when that ends.
const OWNER: &str = include_str!("own.sh");

/// A running server; it goes when this goes, or when the process ends.
#[derive(Debug)]
pub struct OwnPostgres {
    port: u16,
    folder: PathBuf,
    owner: Child,
    words: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl OwnPostgres {
    /// A new server that runs.
    ///
    /// # Panics
    /// When there is no PostgreSQL on this machine, or it does not start: a test that needs it cannot pass.
    pub fn start_new() -> OwnPostgres {
        let mut server =
            OwnPostgres::prepare(None, "").unwrap_or_else(|error| panic!("no PostgreSQL: {error:#}"));
        server.start();
        server
    }

    /// A new server that takes TLS. Its certificate is made out to `localhost` and signed by the root in [`OwnPostgres::file`]
    /// `root.pem`; that in `other.pem` has signed nothing.
    ///
    /// # Panics
    /// As [`OwnPostgres::start_new`], and when there is no `openssl`.
    pub fn start_with_tls() -> OwnPostgres {
        let server = OwnPostgres::prepare(None, "yes");
        let mut server = server.unwrap_or_else(|error| panic!("no PostgreSQL: {error:#}"));
        server.start();
        server
    }

    /// Where a file of the server's folder is.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A new standby that follows this server.
    ///
    /// # Panics
    /// As [`OwnPostgres::start_new`].
    pub fn replica(&self) -> OwnPostgres {
        let standby = OwnPostgres::prepare(Some(self.port), "");
        let mut standby = standby.unwrap_or_else(|error| panic!("no PostgreSQL: {error:#}"));
        standby.start();
        standby
    }

    fn prepare(primary: Option<u16>, tls: &str) -> Result<OwnPostgres> {
        let folder = tempfile::Builder::new().prefix("mainstay-postgres-own-").tempdir()?;
        // The shell removes it, which outlives this process.
        let folder = folder.keep();
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut owner = Command::new("/bin/sh")
            .args(["-c", OWNER, "own"])
            .arg(&folder)
            .arg(binaries()?)
            .arg(port.to_string())
            .args(primary.map(|port| port.to_string()))
            .env("TLS", tls)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .current_dir("/")
            .spawn()
            .context("/bin/sh")?;
        let words = owner.stdin.take();
        let answers = BufReader::new(owner.stdout.take().context("the output of the shell")?);
        Ok(OwnPostgres { port, folder, owner, words, answers })
    }

    /// Starts the server after a crash, and waits until it takes connections.
    pub fn start(&mut self) {
        self.tell("start");
    }

    /// Ends all of its processes at once, without a word to its clients or to its files.
    pub fn crash(&mut self) {
        self.tell("crash");
    }

    /// The TCP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of its one database.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    fn tell(&mut self, word: &str) {
        self.try_to_tell(word).unwrap_or_else(|error| panic!("PostgreSQL: {word}: {error:#}"));
    }

    fn try_to_tell(&mut self, word: &str) -> Result<()> {
        let words = self.words.as_mut().context("it has ended")?;
        writeln!(words, "{word}")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        ensure!(answer == "ok\n", "{answer:?}");
        Ok(())
    }
}

impl Drop for OwnPostgres {
    fn drop(&mut self) {
        // The end of its input ends it.
        self.words = None;
        if let Err(error) = self.owner.wait() {
            eprintln!("the PostgreSQL of a test did not end: {error}");
        }
    }
}
