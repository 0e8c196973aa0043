//! A private PostgreSQL whose commits wait for the disk, as they do where it matters.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::servers::free_port;

/// The one that tests use: ends the server and removes its folder when its input ends.
const OWNER: &str = include_str!("../../../crates/testkit/src/postgres/own.sh");

/// What differs from a test's server, and from PostgreSQL's own defaults only in room for connections and pages.
const SETTINGS: &str = "\
fsync = on
full_page_writes = on
synchronous_commit = on
shared_buffers = 256MB
max_connections = 200
max_wal_size = 4GB
";

/// A running server; it goes when this goes, or when the process ends.
pub(crate) struct Postgres {
    pub(crate) port: u16,
    pub(crate) programs: PathBuf,
    owner: Child,
    words: Option<ChildStdin>,
}

impl Postgres {
    pub(crate) fn start() -> Result<Postgres> {
        let (programs, port) = (programs()?, free_port()?);
        let folder = tempfile::Builder::new().prefix("mainstay-bench-postgres-").tempdir()?;
        let mut owner = Command::new("/bin/sh")
            .args(["-c", OWNER, "own"])
            // The shell removes it.
            .arg(folder.keep())
            .arg(&programs)
            .arg(port.to_string())
            .env("SETTINGS", SETTINGS)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .current_dir("/")
            .spawn()
            .context("/bin/sh")?;
        let mut words = owner.stdin.take().context("the input of the shell")?;
        let answers = owner.stdout.take().context("the output of the shell")?;
        writeln!(words, "start")?;
        let mut answer = String::new();
        BufReader::new(answers).read_line(&mut answer)?;
        let server = Postgres { port, programs, owner, words: Some(words) };
        ensure!(answer == "ok\n", "PostgreSQL does not start");
        Ok(server)
    }

    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    pub(crate) fn psql(&self, sql: &str) -> Result<()> {
        self.psql_on("postgres", sql)
    }

    /// Runs statements on a database; they go by its input, which takes any length.
    pub(crate) fn psql_on(&self, database: &str, sql: &str) -> Result<()> {
        let words = ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", &self.url(database), "-f", "-"];
        let mut psql = Command::new(self.programs.join("psql"))
            .args(words)
            .stdin(Stdio::piped())
            .spawn()
            .context("psql")?;
        psql.stdin.take().context("the input of psql")?.write_all(sql.as_bytes())?;
        ensure!(psql.wait()?.success(), "psql: {}", sql.chars().take(200).collect::<String>());
        Ok(())
    }

    /// The process whose children work for the connections.
    pub(crate) fn postmaster(&self, database: &str) -> Result<u32> {
        let words = ["-X", "-q", "-t", "-A", "-d", &self.url(database), "-c"];
        let asked = "SELECT split_part(pg_read_file('postmaster.pid'), E'\n', 1)";
        let output =
            Command::new(self.programs.join("psql")).args(words).arg(asked).output().context("psql")?;
        String::from_utf8_lossy(&output.stdout).trim().parse().context("the number of a process")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.words = None;
        // It is gone either way.
        drop(self.owner.wait());
    }
}

/// The folder of the newest version's programs: where Debian puts it, else as the search path says.
fn programs() -> Result<PathBuf> {
    let mut versions: Vec<u32> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|version| version.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    versions.sort_unstable_by_key(|version| std::cmp::Reverse(*version));
    let debian =
        versions.iter().map(|version| Path::new("/usr/lib/postgresql").join(version.to_string()).join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = debian.chain(std::env::split_paths(&path));
    folders
        .find(|folder| folder.join("initdb").exists())
        .context("initdb is not found (apt-get install postgresql)")
}
