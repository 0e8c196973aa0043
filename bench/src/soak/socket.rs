//! A subscriber's socket: what is said and heard on it.
//!
//! It knows frames, and neither who listens nor what for. Both ends keep as little of what is on its way as they would over Ethernet: on
//! loopback alone the system would keep megabytes for whoever does not read, and nobody would be slow.

use anyhow::{Result, bail};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use socket2::SockRef;
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::Scene;
use crate::live::now_us;

/// What the system keeps of what was not read.
const RECEIVE_BYTES: u32 = 16 << 10;
/// Bytes that travel in one packet; the server's system keeps so many packets for a client.
const SEGMENT_BYTES: u32 = 1_400;
/// A change that is told sooner did not wait for anything.
const FRESH_US: u64 = 1_000_000;

/// A socket of somebody.
pub(super) struct Socket(WebSocketStream<TcpStream>);

/// What is heard.
#[derive(Debug)]
pub(super) enum Heard {
    /// The subscription stands; without rows, the changes since it was given up follow.
    Ready { place: String, rows: Option<Vec<Value>> },
    /// A row has changed; without it, it has left.
    Change { place: String, id: String, row: Option<Value> },
    /// More has come than may wait: the subscription has ended.
    Lagged { place: String },
    /// The connection has ended, and nothing was said of it.
    Gone,
}

impl Heard {
    /// When the row was sent, in microseconds since 1970, where that is said.
    pub(super) fn sent(&self) -> Option<u64> {
        match self {
            Heard::Change { row: Some(row), .. } => row["sent"].as_u64(),
            _ => None,
        }
    }

    /// Whether whoever hears it is up to date.
    pub(super) fn is_fresh(&self) -> bool {
        self.sent().is_some_and(|sent| now_us().saturating_sub(sent) < FRESH_US)
    }
}

impl Socket {
    /// Opens one as one of the people.
    pub(super) async fn open(scene: &Scene, number: usize) -> Result<Socket> {
        let tcp = TcpSocket::new_v4()?;
        tcp.set_recv_buffer_size(RECEIVE_BYTES)?;
        SockRef::from(&tcp).set_tcp_mss(SEGMENT_BYTES)?;
        let stream = tcp.connect(([127, 0, 0, 1], scene.port).into()).await?;
        let mut request = format!("ws://127.0.0.1:{}/live", scene.port).into_client_request()?;
        let bearer = format!("Bearer {}", scene.people.token(number));
        request.headers_mut().insert("Authorization", bearer.parse()?);
        Ok(Socket(tokio_tungstenite::client_async(request, stream).await?.0))
    }

    /// Asks for notes, from a place on.
    pub(super) async fn subscribe(&mut self, part: &Value, since: Option<&str>) -> Result<()> {
        self.say(&json!({"id": 1, "subscribe": {"Note": part}, "since": since})).await
    }

    /// Gives it a new token.
    pub(super) async fn identify(&mut self, token: &str) -> Result<()> {
        self.say(&json!({"id": 0, "auth": token})).await
    }

    async fn say(&mut self, frame: &Value) -> Result<()> {
        Ok(self.0.send(Message::text(frame.to_string())).await?)
    }

    /// What comes next; may be dropped at any time. What is refused is an error.
    pub(super) async fn hear(&mut self) -> Result<Heard> {
        loop {
            let text = match self.0.next().await {
                Some(Ok(Message::Text(text))) => text,
                Some(Ok(Message::Close(why))) => bail!("a socket was closed: {why:?}"),
                Some(Ok(_)) => continue,
                None => return Ok(Heard::Gone),
                Some(Err(Error::Io(_) | Error::Protocol(ResetWithoutClosingHandshake))) => {
                    return Ok(Heard::Gone);
                }
                Some(Err(error)) => return Err(error.into()),
            };
            let frame: Value = serde_json::from_str(&text)?;
            if let Some(heard) = read(&frame)? {
                return Ok(heard);
            }
        }
    }
}

/// What a frame says; none: it answers what needs no answer.
fn read(frame: &Value) -> Result<Option<Heard>> {
    let text = |value: &Value| value.as_str().map(str::to_owned).unwrap_or_default();
    if frame["status"].as_u64().is_some_and(|status| status >= 400) {
        bail!("{frame}");
    }
    if frame["ready"].is_string() {
        let rows = frame["rows"].as_array().cloned();
        return Ok(Some(Heard::Ready { place: text(&frame["ready"]), rows }));
    }
    if frame["lagged"] == true {
        return Ok(Some(Heard::Lagged { place: text(&frame["since"]) }));
    }
    let row = match frame["change"].as_str() {
        None => return Ok(None),
        Some("leave") => None,
        Some(_) => Some(frame["row"].clone()),
    };
    Ok(Some(Heard::Change { place: text(&frame["seq"]), id: text(&frame["row"]["id"]), row }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_told_apart_and_refusals_are_errors() {
        let heard = |frame: Value| read(&frame).unwrap();
        let ready = heard(json!({"id": 1, "ready": "A", "rows": [{"id": "1"}]}));
        assert!(matches!(ready, Some(Heard::Ready { rows: Some(rows), .. }) if rows.len() == 1));
        let resumed = heard(json!({"id": 1, "ready": "A"}));
        assert!(matches!(resumed, Some(Heard::Ready { rows: None, .. })));
        let entered = heard(json!({"id": 1, "change": "enter", "seq": "B", "row": {"id": "2", "sent": 7}}));
        assert_eq!(entered.unwrap().sent(), Some(7));
        let left = heard(json!({"id": 1, "change": "leave", "seq": "C", "row": {"id": "2"}}));
        assert!(matches!(left, Some(Heard::Change { id, row: None, .. }) if id == "2"));
        let lagged = heard(json!({"id": 1, "lagged": true, "since": "D"}));
        assert!(matches!(lagged, Some(Heard::Lagged { place }) if place == "D"));
        assert!(heard(json!({"id": 0, "status": 200})).is_none());
        assert!(read(&json!({"id": 1, "status": 410, "body": {}})).is_err());
    }
}
