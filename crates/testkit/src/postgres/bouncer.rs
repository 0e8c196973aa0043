//! A `PgBouncer` in transaction mode before the shared server, or before one of a test's own.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use super::Postgres;

/// Runs what its words say for as long as its input is open, whoever has ended in whatever way.
const OWNER: &str =
    r#""$@" </dev/null & running=$!; while read -r _; do :; done; kill -9 $running; wait $running"#;

/// A running pooler; it goes when this goes, or when the process ends.
#[derive(Debug)]
pub struct Bouncer {
    port: u16,
    owner: Child,
    words: Option<ChildStdin>,
    _folder: TempDir,
}

impl Bouncer {
    /// Starts one that has so few connections to the server that its clients get one another's.
    ///
    /// # Panics
    /// When there is no `PgBouncer` on this machine, or it does not start: a test that needs it cannot pass.
    pub fn start(server_connections: u32) -> Bouncer {
        Bouncer::start_before(Postgres::shared().port(), server_connections)
    }

    /// The same before the server of a port on this machine, which may be away: it is tried again each second.
    ///
    /// # Panics
    /// As [`Bouncer::start`].
    pub fn start_before(server_port: u16, server_connections: u32) -> Bouncer {
        let bouncer = Bouncer::try_to_start(server_port, server_connections);
        bouncer.unwrap_or_else(|error| panic!("no PgBouncer: {error:#}"))
    }

    fn try_to_start(server_port: u16, server_connections: u32) -> Result<Bouncer> {
        let folder = tempfile::tempdir()?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let users = folder.path().join("users");
        std::fs::write(&users, "\"postgres\" \"\"\n")?;
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={server_port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = trust\nauth_file = {}\npool_mode = transaction\n\
             default_pool_size = {server_connections}\nserver_login_retry = 1\n",
            users.display()
        );
        let path = folder.path().join("settings.ini");
        std::fs::write(&path, settings)?;
        let mut command = Command::new("/bin/sh");
        command.args(["-c", OWNER, "owner", "pgbouncer"]);
        if is_root()? {
            // It refuses to run as root.
            readable_by_all(folder.path())?;
            command.args(["-u", "nobody"]);
        }
        command.arg("-q").arg(&path).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut owner = command.spawn().context("/bin/sh")?;
        let words = owner.stdin.take();
        let bouncer = Bouncer { port, owner, words, _folder: folder };
        let begun = Instant::now();
        while TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).is_err() {
            if begun.elapsed() > Duration::from_secs(10) {
                bail!("it does not listen; is it installed (apt-get install pgbouncer)?");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(bouncer)
    }

    /// The URL of a database by way of it.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        // The end of its input ends it.
        self.words = None;
        if let Err(error) = self.owner.wait() {
            eprintln!("the PgBouncer of a test did not end: {error}");
        }
    }
}

fn is_root() -> Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    Ok(std::fs::metadata("/proc/self").or_else(|_| std::fs::metadata("."))?.uid() == 0)
}

fn readable_by_all(folder: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755))?;
    Ok(())
}
