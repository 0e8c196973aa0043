//! A private PostgreSQL for tests: one server for all test processes of this machine's user, a database for each test.
//!
//! Whoever needs it first starts it, behind a **keeper**: a shell that waits until nobody uses the server any more,
//! stops it and removes its folder. Every process that uses it holds a shared lock on one file for as long as it lives, and
//! the kernel gives that back whatever ends the process; the keeper asks for the same lock alone. So neither a panic nor
//! a kill leaves a server behind, and test processes that come one after the other share one.
//!
//! The server is hostile where a setting must not matter: another time zone, date style and bytea output than Mainstay
//! writes, and a default collation that sorts as people do. Needs `initdb` and `pg_ctl` of PostgreSQL 14 or later, and no
//! async runtime.

mod bouncer;
mod client;
mod outside;
mod own;

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader, ErrorKind};
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail, ensure};

pub use bouncer::Bouncer;
pub use client::Client;
pub use outside::Outside;
pub use own::OwnPostgres;

/// Starts the server, says so, and ends it once nobody has used it for a while.
const KEEPER: &str = include_str!("postgres/keeper.sh");

/// The running server, in use by this process until it ends.
#[derive(Debug)]
pub struct Postgres {
    port: u16,
    bin: PathBuf,
    /// Held shared.
    _in_use: File,
}

impl Postgres {
    /// The server, started when it is not there.
    ///
    /// # Panics
    /// When there is no PostgreSQL on this machine, or it does not start: a test that needs it cannot pass.
    pub fn shared() -> &'static Postgres {
        static SERVER: OnceLock<Postgres> = OnceLock::new();
        SERVER.get_or_init(|| Postgres::start().unwrap_or_else(|error| panic!("no PostgreSQL: {error:#}")))
    }

    /// A new empty database's `postgres://…` URL. It goes with the server.
    pub fn database() -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let server = Postgres::shared();
        let name = format!("test_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        // Process numbers come again, and the server may be older than this process.
        let sql =
            [format!("DROP DATABASE IF EXISTS {name}"), format!("CREATE DATABASE {name} TEMPLATE hostile")];
        for sql in sql {
            server.run("postgres", &sql).unwrap_or_else(|error| panic!("{sql}: {error:#}"));
        }
        server.url(&name)
    }

    /// The URL of one of its databases.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// The TCP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Runs SQL in a database with `psql` and gives what it prints: rows in lines, columns divided by `|`.
    ///
    /// # Errors
    /// What the database says.
    pub fn run(&self, database: &str, sql: &str) -> Result<String> {
        let output = Command::new(self.bin.join("psql"))
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", &self.url(database), "-c", sql])
            .output()
            .context("psql")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }

    fn start() -> Result<Postgres> {
        let bin = binaries()?;
        let uid = fs::metadata("/proc/self").or_else(|_| fs::metadata("."))?.uid();
        let folder = std::env::temp_dir().join(format!("mainstay-postgres-{uid}"));
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let open = |name: &str| -> Result<File> {
            let path = folder.join(name);
            let options = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
            options.with_context(|| path.display().to_string())
        };
        // One process at a time looks whether there is a server. The keeper ends one while it has `use.lock` alone, so that
        // whoever shares it knows that the server stays.
        let starting = open("start.lock")?;
        starting.lock()?;
        let in_use = open("use.lock")?;
        in_use.lock_shared()?;
        let port = match running(&folder, &open("keeper.lock")?) {
            Some(port) => port,
            None => keep(&folder, &bin)?,
        };
        Ok(Postgres { port, bin, _in_use: in_use })
    }
}

/// The port of a server whose keeper lives.
fn running(folder: &Path, keeper: &File) -> Option<u16> {
    // The keeper holds this lock for life; with it here, whatever the folder holds is of a server that nobody keeps.
    while keeper.try_lock().is_err() {
        if let Some(port) =
            fs::read_to_string(folder.join("port")).ok().and_then(|port| port.trim().parse().ok())
        {
            return Some(port);
        }
        // It is about to leave; or whoever started it was killed meanwhile, and it is about to be ready.
        std::thread::sleep(Duration::from_millis(20));
    }
    keeper.unlock().ok()?;
    None
}

/// Starts a keeper and waits until its server answers.
fn keep(folder: &Path, bin: &Path) -> Result<u16> {
    const ATTEMPTS: u32 = 3;
    for attempt in 1..=ATTEMPTS {
        // Free now; when somebody is quicker to take it, another is tried.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut keeper = Command::new("/bin/sh")
            .args(["-c", KEEPER, "keeper"])
            .env("KEEPER", KEEPER)
            .arg(folder)
            .arg(bin)
            .arg(port.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Neither an interrupt from the terminal nor a test runner that ends a process group reaches it.
            .process_group(0)
            .current_dir("/")
            .spawn()
            .context("/bin/sh")?;
        let mut line = String::new();
        let stdout = keeper.stdout.take().context("the keeper's output")?;
        BufReader::new(stdout).read_line(&mut line)?;
        if line.trim() == "ready" {
            return Ok(port);
        }
        keeper.wait()?;
        if attempt == ATTEMPTS {
            let log = folder.join("log");
            let words = fs::read_to_string(&log).unwrap_or_default();
            bail!("the server did not start; {}:\n{words}", log.display());
        }
    }
    Err(anyhow!("no attempt was made"))
}

/// The folder of `initdb`: of the newest version where Debian puts it, else as the search path says.
fn binaries() -> Result<PathBuf> {
    let versions = match fs::read_dir("/usr/lib/postgresql") {
        Ok(versions) => versions.collect::<Result<Vec<_>, _>>()?,
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = versions.iter().map(|version| version.path().join("bin")).collect();
    folders.sort_by_key(|folder| {
        let version = folder.parent().and_then(Path::file_name).and_then(|name| name.to_str());
        std::cmp::Reverse(version.and_then(|version| version.parse::<u32>().ok()))
    });
    folders.extend(std::env::split_paths(&path));
    let found =
        folders.into_iter().find(|folder| folder.join("initdb").exists() && folder.join("psql").exists());
    found.context(
        "initdb and psql are neither below /usr/lib/postgresql nor in PATH: install PostgreSQL 14 or later",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_database_is_its_own_and_sorts_as_people_do() {
        let server = Postgres::shared();
        let name = |url: String| url.rsplit_once('/').unwrap().1.to_owned();
        let (one, other) = (name(Postgres::database()), name(Postgres::database()));
        assert_ne!(one, other);
        server.run(&one, "CREATE TABLE t (x int)").unwrap();
        assert!(server.run(&other, "SELECT * FROM t").is_err());
        assert_eq!(server.run(&one, "SELECT 'a' < 'B', 'a' < 'B' COLLATE \"C\"").unwrap(), "t|f");
        assert_eq!(server.run(&one, "SHOW timezone").unwrap(), "America/St_Johns");
    }
}
