//! A client of `/live` for tests: frames out, frames in, each within a time limit.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

/// A longer frame fails the test that gets it: the server would keep as much room for each socket as its longest frame had.
const FRAME_BYTES_MAX: usize = 16 << 10;

/// A test that waits longer has found a hang.
const PATIENCE: Duration = Duration::from_secs(20);

/// An open socket.
#[derive(Debug)]
pub struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

/// What a socket says.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// A frame.
    Frame(Value),
    /// It was closed, with a code and a reason.
    Closed(u16, String),
    /// The connection is gone.
    Gone,
}

impl Socket {
    /// Opens a socket at `http://HOST:PORT`, with a token unless that is empty.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn open(url: &str, token: &str) -> Socket {
        Socket::open_at(url, "/live", token).await
    }

    /// The same, at a path of its own.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn open_at(url: &str, path: &str, token: &str) -> Socket {
        Socket::try_open_at(url, path, token, &[]).await.expect("the socket opens")
    }

    /// The same, with further headers.
    ///
    /// # Errors
    /// What the server answers instead.
    ///
    /// # Panics
    /// When the address or a header is none.
    pub async fn try_open(url: &str, token: &str, headers: &[(&'static str, &str)]) -> Result<Socket, Error> {
        Socket::try_open_at(url, "/live", token, headers).await
    }

    /// The same, at a path of its own.
    ///
    /// # Errors
    /// What the server answers instead.
    ///
    /// # Panics
    /// When the address or a header is none.
    pub async fn try_open_at(
        url: &str,
        path: &str,
        token: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Socket, Error> {
        let url = format!("{}{path}", url.replacen("http", "ws", 1));
        let mut request = url.into_client_request().expect("the address is one");
        if !token.is_empty() {
            let value = format!("Bearer {token}").parse().expect("a token is a header's value");
            request.headers_mut().insert("authorization", value);
        }
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().expect("a header's value"));
        }
        let config = WebSocketConfig::default().max_frame_size(Some(FRAME_BYTES_MAX));
        Ok(Socket { stream: connect_async_with_config(request, Some(config), false).await?.0 })
    }

    /// Sends a frame.
    ///
    /// # Panics
    /// When the connection is gone.
    pub async fn say(&mut self, frame: Value) {
        self.say_text(&frame.to_string()).await;
    }

    /// Sends a text, be it a frame or not.
    ///
    /// # Panics
    /// When the connection is gone.
    pub async fn say_text(&mut self, text: &str) {
        self.stream.send(Message::Text(text.into())).await.expect("the connection is there");
    }

    /// The next frame.
    ///
    /// # Panics
    /// When there is none in time, or the socket was closed.
    pub async fn hear(&mut self) -> Value {
        match self.hear_any().await {
            Heard::Frame(frame) => frame,
            other => panic!("a frame was waited for: {other:?}"),
        }
    }

    /// The next frame, or the end.
    ///
    /// # Panics
    /// When there is none in time.
    pub async fn hear_any(&mut self) -> Heard {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.stream.next());
            return match next.await.expect("something is heard in time") {
                Some(Ok(Message::Text(text))) => {
                    Heard::Frame(serde_json::from_str(&text).expect("a frame is JSON"))
                }
                Some(Ok(Message::Close(Some(close)))) => {
                    Heard::Closed(close.code.into(), close.reason.to_string())
                }
                Some(Ok(Message::Close(None)) | Err(_)) | None => Heard::Gone,
                Some(Ok(_)) => continue,
            };
        }
    }

    /// The next frames of one id, as many as are asked for; others are passed over.
    ///
    /// # Panics
    /// As [`Socket::hear`].
    pub async fn hear_of(&mut self, id: &Value, count: usize) -> Vec<Value> {
        let mut frames = Vec::new();
        while frames.len() < count {
            let frame = self.hear().await;
            if frame["id"] == *id {
                frames.push(frame);
            }
        }
        frames
    }

    /// Says something and hears the answer under the same id.
    ///
    /// # Panics
    /// As [`Socket::hear`].
    pub async fn ask(&mut self, frame: Value) -> Value {
        let id = frame["id"].clone();
        self.say(frame).await;
        self.hear_of(&id, 1).await.remove(0)
    }

    /// Subscribes, and hears that the subscription stands.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn subscribe(&mut self, id: u64, part: Value, since: Option<&str>) -> Value {
        let ready = self.ask(json!({"id": id, "subscribe": part, "since": since})).await;
        assert!(ready["ready"].is_string(), "{ready}");
        ready
    }

    /// Asks whether anybody is there: what was said to it before was heard by then.
    ///
    /// # Panics
    /// When something else comes first.
    pub async fn is_silent(&mut self) {
        let answer = json!({"id": "silent", "status": 200});
        self.say(json!({"id": "silent", "ping": true})).await;
        assert_eq!(self.hear().await, answer);
    }
}
