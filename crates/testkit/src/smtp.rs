//! A mail server (aiosmtpd) that behaves as a test wants, and tells what was sent to it.

use std::io::{BufRead as _, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::Value as Json;
use tempfile::TempDir;

/// How a mail server behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpWay {
    /// It takes mail.
    Accept,
    /// It knows nobody: 550.
    Refuse,
    /// It has no time: 451.
    Busy,
    /// It never answers to a mail.
    Hang,
}

/// A running mail server with STARTTLS, for who is signed in as `mainstay` with `secret`; it goes when this goes.
#[derive(Debug)]
pub struct SmtpServer {
    /// Where it listens, on 127.0.0.1; its certificate is one of `localhost`.
    pub port: u16,
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
    folder: TempDir,
}

impl SmtpServer {
    /// Starts one.
    ///
    /// # Panics
    /// When aiosmtpd is not installed, or does not start: a test that needs it cannot pass.
    pub fn start(way: SmtpWay) -> SmtpServer {
        SmtpServer::try_to_start(way).unwrap_or_else(|error| panic!("no mail server: {error:#}"))
    }

    fn try_to_start(way: SmtpWay) -> Result<SmtpServer> {
        let folder = tempfile::tempdir()?;
        let script = folder.path().join("smtp.py");
        std::fs::write(&script, include_str!("smtp.py"))?;
        let (certificate, key) = (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
        // Version 3, which rustls asks for.
        let made = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
                "-days",
                "2",
            ])
            .args([
                "-subj",
                "/CN=localhost",
                "-addext",
                "basicConstraints=critical,CA:FALSE",
                "-addext",
                "subjectAltName=DNS:localhost",
                "-keyout",
            ])
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .output()
            .context("openssl")?;
        if !made.status.success() {
            bail!("openssl: {}", String::from_utf8_lossy(&made.stderr));
        }
        let way = match way {
            SmtpWay::Accept => "accept",
            SmtpWay::Refuse => "refuse",
            SmtpWay::Busy => "busy",
            SmtpWay::Hang => "hang",
        };
        let mut process = Command::new(python())
            .arg(script)
            .arg(way)
            .arg(certificate)
            .arg(key)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("python")?;
        let stdout = process.stdout.take().context("its output")?;
        let mut lines = BufReader::new(stdout).lines();
        let port = lines.next().context("aiosmtpd is not there: `cargo xtask test` installs it")??.parse()?;
        Ok(SmtpServer { port, process, lines, folder })
    }

    /// The certificate that it shows.
    pub fn certificate(&self) -> Vec<u8> {
        std::fs::read(self.folder.path().join("certificate.pem"))
            .expect("it was written when the server was started")
    }

    /// The next mail that it took: `from`, `to`, `tls`, `source`. Waits for one.
    ///
    /// # Panics
    /// When the server has ended.
    pub fn next_mail(&mut self) -> Json {
        let line = self.lines.next().expect("the server runs").expect("what it tells can be read");
        serde_json::from_str(&line).expect("a mail is told as JSON")
    }
}

/// Python with aiosmtpd, as `cargo xtask test` installs it, or the one that the environment names.
fn python() -> PathBuf {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/aiosmtpd/bin/python");
    std::env::var_os("MAINSTAY_TEST_PYTHON").map_or(installed, PathBuf::from)
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        // One that has ended already needs no ending.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
