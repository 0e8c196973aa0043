//! A connection over which one request after the other is asked: HTTP/1.1, kept alive.
//!
//! It knows nothing of what is asked. Answers have to say their length, as the server's do.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A request: the method, the path, and what goes with them.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) method: &'static str,
    /// Path and query, encoded.
    pub(crate) path: String,
    /// JSON; empty for none.
    pub(crate) body: String,
    /// By which the server knows it when it comes again; empty for none.
    pub(crate) key: String,
    /// From which address it is said to come; empty for that of the connection.
    pub(crate) from: String,
}

impl Ask {
    pub(crate) fn get(path: String) -> Ask {
        Ask { method: "GET", path, body: String::new(), key: String::new(), from: String::new() }
    }

    pub(crate) fn post(path: impl Into<String>, body: &serde_json::Value) -> Ask {
        Ask { method: "POST", body: body.to_string(), ..Ask::get(path.into()) }
    }

    pub(crate) fn patch(path: String, body: &serde_json::Value) -> Ask {
        Ask { method: "PATCH", body: body.to_string(), ..Ask::get(path) }
    }

    pub(crate) fn delete(path: String) -> Ask {
        Ask { method: "DELETE", ..Ask::get(path) }
    }

    pub(crate) fn once(self, key: String) -> Ask {
        Ask { key, ..self }
    }

    pub(crate) fn from(self, from: String) -> Ask {
        Ask { from, ..self }
    }
}

/// What came back, and how long it took.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    pub(crate) took: Duration,
}

impl Answer {
    /// The body of an answer that has to be a success.
    pub(crate) fn json(&self) -> Result<serde_json::Value> {
        if !self.is_success() {
            bail!("{}: {}", self.status, self.body);
        }
        serde_json::from_str(&self.body).with_context(|| self.body.clone())
    }

    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// A connection to a server on this machine.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(port: u16) -> Result<Connection> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, buffer: Vec::with_capacity(16 << 10) })
    }

    /// Asks, as whom the token says, and waits for the whole answer.
    pub(crate) async fn ask(&mut self, token: &str, ask: &Ask) -> Result<Answer> {
        let Ask { method, path, body, key, from } = ask;
        let header = |name: &str, value: &str| match value {
            "" => String::new(),
            value => format!("{name}{value}\r\n"),
        };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{}{}{}Content-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            header("Authorization: Bearer ", token),
            header("Idempotency-Key: ", key),
            header("X-Forwarded-For: ", from),
            body.len()
        );
        let began = Instant::now();
        self.stream.write_all(request.as_bytes()).await?;
        self.buffer.clear();
        let end = loop {
            if let Some(end) = whole(&self.buffer)? {
                break end;
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the server has hung up");
            }
        };
        let took = began.elapsed();
        let status = std::str::from_utf8(&self.buffer[9..12])?.parse().context("a status")?;
        let body = String::from_utf8_lossy(&self.buffer[end.head..end.body]).into_owned();
        Ok(Answer { status, body, took })
    }
}

/// Where the head and the body of an answer end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct End {
    head: usize,
    body: usize,
}

/// The ends of an answer, once all of it is there.
fn whole(bytes: &[u8]) -> Result<Option<End>> {
    let Some(head) = bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4) else {
        return Ok(None);
    };
    let text = std::str::from_utf8(&bytes[..head])?.to_ascii_lowercase();
    if text.contains("\r\ntransfer-encoding:") {
        bail!("an answer in pieces");
    }
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length = length.map_or(Ok(0), |length| length.trim().parse::<usize>())?;
    Ok((bytes.len() >= head + length).then_some(End { head, body: head + length }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_when_all_of_its_body_is_there() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
        let head = answer.len() - 3;
        assert_eq!(whole(&answer[..head - 1]).unwrap(), None);
        assert_eq!(whole(&answer[..head + 2]).unwrap(), None);
        assert_eq!(whole(answer).unwrap(), Some(End { head, body: head + 3 }));
        let empty = b"HTTP/1.1 204 No Content\r\n\r\n";
        assert_eq!(whole(empty).unwrap(), Some(End { head: empty.len(), body: empty.len() }));
    }
}
