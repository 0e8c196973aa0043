//! PocketBase's realtime: a stream of events, and a request that says what it is to tell.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::Subject;
use super::listen::Way;
use crate::peers;

/// Starts it with a public collection; `None` when it is not installed.
pub(super) async fn start(folder: &Path) -> Result<Option<Subject>> {
    let fields = json!([
        {"name": "channel", "type": "number"}, {"name": "sent", "type": "number"}, {"name": "text", "type": "text"},
    ]);
    let server = peers::pocketbase_with(folder, "signals", &fields)?;
    Ok(server.map(|server| Subject { server, way: Way::PocketBase }))
}

/// Listens to the whole collection.
pub(super) async fn listen(
    port: u16,
    note: impl Fn(&str),
    ready: &mpsc::UnboundedSender<Result<()>>,
) -> Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream
        .write_all(b"GET /api/realtime HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n")
        .await?;
    let mut lines = BufReader::new(stream).lines();
    while let Some(line) = lines.next_line().await? {
        let Some(data) = line.strip_prefix("data:") else { continue };
        if data.contains("\"action\"") {
            note(data);
        } else if data.contains("\"clientId\"") {
            subscribe(port, data).await?;
            ready.send(Ok(()))?;
        }
    }
    Ok(())
}

async fn subscribe(port: u16, connected: &str) -> Result<()> {
    let connected: serde_json::Value = serde_json::from_str(connected)?;
    let body = json!({"clientId": connected["clientId"], "subscriptions": ["signals/*"]}).to_string();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let request = format!(
        "POST /api/realtime HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let status = answer.split(' ').nth(1).context("no status")?;
    if !status.starts_with('2') {
        bail!("{answer}");
    }
    Ok(())
}
