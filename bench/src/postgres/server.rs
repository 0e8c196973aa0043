//! A private PostgreSQL whose commits wait for the disk, as they do where it matters.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::servers::free_port;

/// The one that tests use: ends the server and removes its folder when its input ends.
const OWNER: &str = include_str!("../../../crates/testkit/src/postgres/own.sh");

/// What it keeps of pages unless another number is wanted.
pub(crate) const SHARED_BUFFERS: &str = "256MB";
/// What differs from a test's server, and from PostgreSQL's own defaults only in room for connections and pages.
const SETTINGS: &str = "\
fsync = on
full_page_writes = on
synchronous_commit = on
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
        Postgres::start_with(SHARED_BUFFERS)
    }

    /// The same with so much memory for pages, as `shared_buffers` has it.
    pub(crate) fn start_with(shared_buffers: &str) -> Result<Postgres> {
        let (programs, port) = (programs()?, free_port()?);
        let folder = tempfile::Builder::new().prefix("mainstay-bench-postgres-").tempdir()?;
        let mut owner = Command::new("/bin/sh")
            .args(["-c", OWNER, "own"])
            // The shell removes it.
            .arg(folder.keep())
            .arg(&programs)
            .arg(port.to_string())
            .env("SETTINGS", format!("{SETTINGS}shared_buffers = {shared_buffers}\n"))
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
        let asked = "SELECT split_part(pg_read_file('postmaster.pid'), E'\n', 1)";
        self.ask(database, asked)?.parse().context("the number of a process")
    }

    /// What a question to a database is answered.
    pub(crate) fn ask(&self, database: &str, sql: &str) -> Result<String> {
        let words = ["-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-d", &self.url(database), "-c"];
        let output =
            Command::new(self.programs.join("psql")).args(words).arg(sql).output().context("psql")?;
        ensure!(output.status.success(), "psql: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.words = None;
        // It is gone either way.
        drop(self.owner.wait());
    }
}

/// Processor time of a process's children that are there, in milliseconds. The connections of a server stay; a helper that comes and goes
/// is missed.
pub(crate) fn children_ms(parent: u32) -> Result<f64> {
    let mut total_ns = 0.0;
    for process in std::fs::read_dir("/proc")? {
        let folder = process?.path();
        let Ok(stat) = std::fs::read_to_string(folder.join("stat")) else { continue };
        // Behind the name, which may have blanks: the state, then the parent.
        let of = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1));
        if of.and_then(|parent| parent.parse().ok()) != Some(parent) {
            continue;
        }
        let Ok(schedule) = std::fs::read_to_string(folder.join("schedstat")) else { continue };
        total_ns += schedule.split_whitespace().next().context("no time")?.parse::<f64>()?;
    }
    Ok(total_ns / 1e6)
}

/// Processor time of a process's children that have ended, in milliseconds, by hundredths of a second.
pub(crate) fn ended_ms(parent: &str) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{parent}/stat"))?;
    // Behind the name, which may have blanks: eleven others, its own two, and these.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let [user, system] = [13, 14].map(|at| fields.get(at).and_then(|text| text.parse::<f64>().ok()));
    Ok((user.context("no time")? + system.context("no time")?) * 10.0)
}

/// The same of those that are there and those that have ended: what one took that ends meanwhile is not taken off.
pub(crate) fn all_children_ms(parent: u32) -> Result<f64> {
    Ok(children_ms(parent)? + ended_ms(&parent.to_string())?)
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
