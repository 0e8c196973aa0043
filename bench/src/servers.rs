//! Servers as child processes on free ports: started, awaited, measured, killed.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::data::Data;

/// A running server; ends with this value.
pub(crate) struct Server {
    child: Child,
    /// Where it listens.
    pub(crate) port: u16,
    /// From its start until it took a connection.
    pub(crate) started_in: Duration,
}

impl Server {
    /// Starts a command and waits until its port takes connections.
    pub(crate) fn start(mut command: Command, port: u16) -> Result<Server> {
        let start = Instant::now();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if let Some(status) = child.try_wait()? {
                bail!("{command:?} ended with {status}");
            }
            if start.elapsed() > Duration::from_secs(30) {
                bail!("{command:?} does not listen");
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(Server { child, port, started_in: start.elapsed() })
    }

    /// Resident memory in MiB.
    pub(crate) fn memory_mib(&self) -> Result<f64> {
        self.resident_mib("VmRSS:")
    }

    /// The same without pages of files: what it has made itself.
    pub(crate) fn own_memory_mib(&self) -> Result<f64> {
        self.resident_mib("RssAnon:")
    }

    fn resident_mib(&self, name: &str) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)).context("no such line")?;
        let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib / 1024.0)
    }

    /// Processor time that it has taken, in milliseconds.
    pub(crate) fn cpu_ms(&self) -> Result<f64> {
        // Thread by thread, because the process's own count goes in hundredths of a second.
        let mut total_ns = 0.0;
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            // One that has just ended is missed.
            let Ok(stat) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
            total_ns += stat.split_whitespace().next().context("no time")?.parse::<f64>()?;
        }
        Ok(total_ns / 1e6)
    }

    /// An address on it.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It is gone either way.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Mainstay on the prepared app.
pub(crate) fn mainstay(data: &Data) -> Result<Server> {
    mainstay_with(data, &[])
}

/// The same with more settings.
pub(crate) fn mainstay_with(data: &Data, settings: &[&str]) -> Result<Server> {
    let port = free_port()?;
    let mut command = Command::new(&data.binary);
    command
        .arg("serve")
        .arg(&data.app)
        .args(["--listen", &format!("127.0.0.1:{port}"), "--env", "production", "--log-level", "warn"])
        .args(settings)
        .env("MAINSTAY_AUTH_SECRET", &data.secret);
    if let Some(database) = &data.database {
        command.env("MAINSTAY_DATABASE", database);
    }
    Server::start(command, port)
}

/// The same app in another folder, with a copy of its embedded database, while no server has it.
pub(crate) fn app_copy(data: &Data, app: PathBuf) -> Result<Data> {
    fs::create_dir_all(app.join("data"))?;
    fs::copy(data.app.join("bench.stay"), app.join("bench.stay"))?;
    database_copy(data, &app.join("data"), "mainstay.db")?;
    Ok(Data { app, ..data.clone() })
}

/// The hand-written handler on a copy of the same database.
pub(crate) fn hand(data: &Data, folder: &Path) -> Result<Server> {
    hand_on(&database_copy(data, folder, "hand.db")?, data)
}

/// A copy of the embedded database while no server has it; its path.
pub(crate) fn database_copy(data: &Data, folder: &Path, name: &str) -> Result<String> {
    let from = data.app.join("data");
    for ending in ["", "-wal"] {
        let source = from.join(format!("mainstay.db{ending}"));
        if source.exists() {
            fs::copy(source, folder.join(format!("{name}{ending}")))?;
        }
    }
    Ok(folder.join(name).display().to_string())
}

/// The hand-written handler on a database: a SQLite file, or the URL of one of PostgreSQL.
pub(crate) fn hand_on(database: &str, data: &Data) -> Result<Server> {
    let port = free_port()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("hand").arg(database).arg(port.to_string()).arg(&data.secret);
    Server::start(command, port)
}

/// A port that nobody listens on now.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
