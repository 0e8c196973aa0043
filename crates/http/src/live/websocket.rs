//! Sockets as RFC 6455 has them: the way from a request to one, and long messages in pieces.
//!
//! A message is put together in the buffer of its socket, which keeps the room of the longest one for as long as it is open. The rows that
//! a subscription begins with may be megabytes, and sockets are many; so what is longer than a piece goes out in several, which
//! whoever receives them sees as one message.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Extensions, HeaderMap, Request};
use axum::response::Response;
use futures_util::SinkExt;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use mainstay_engine::error::{Error, Key};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

/// A socket.
pub(super) type WebSocket = WebSocketStream<TokioIo<Upgraded>>;

/// Bytes read at a time, and gathered before they are sent, and those of a piece of a message: a socket keeps about as much memory as long
/// as it is open.
const READ_BUFFER_BYTES: usize = 4 << 10;
const WRITE_BUFFER_BYTES: usize = 16 << 10;
const PIECE_BYTES: usize = WRITE_BUFFER_BYTES;

/// How long a connection may take to become a socket once that is agreed on.
const UPGRADE_MAX: Duration = Duration::from_secs(10);

/// A request that will be a socket once it is answered.
pub(super) struct Upgrade {
    upgrade: OnUpgrade,
    config: WebSocketConfig,
}

impl Upgrade {
    /// What a request for a socket is answered, and the socket that it becomes then. `bytes_max`: of a message from the client.
    pub(super) fn of(
        headers: &HeaderMap,
        extensions: &mut Extensions,
        bytes_max: usize,
    ) -> Result<(Upgrade, Response), Error> {
        let refused = |why: &dyn std::fmt::Display| {
            Error::new(Key::Request, format!("This path speaks WebSocket: {why}."))
        };
        let mut request = Request::new(());
        request.headers_mut().clone_from(headers);
        let response = create_response_with_body(&request, Body::empty).map_err(|error| refused(&error))?;
        let upgrade = extensions.remove::<OnUpgrade>();
        let upgrade = upgrade.ok_or_else(|| refused(&"this connection cannot become one"))?;
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(WRITE_BUFFER_BYTES)
            .max_message_size(Some(bytes_max))
            .max_frame_size(Some(bytes_max));
        Ok((Upgrade { upgrade, config }, response))
    }

    /// The socket; none: the connection ended before it was one.
    pub(super) async fn socket(self) -> Option<WebSocket> {
        let upgraded = tokio::time::timeout(UPGRADE_MAX, self.upgrade).await.ok()?.ok()?;
        let io = TokioIo::new(upgraded);
        Some(WebSocketStream::from_raw_socket(io, Role::Server, Some(self.config)).await)
    }
}

/// Gives a text to a socket, a piece at a time where it is long. It may still have to be flushed.
pub(super) async fn feed<S>(socket: &mut S, text: String) -> Result<(), S::Error>
where
    S: SinkExt<Message> + Unpin,
{
    if text.len() <= PIECE_BYTES {
        return socket.feed(Message::text(text)).await;
    }
    let mut rest = Bytes::from(text);
    let mut kind = Data::Text;
    while !rest.is_empty() {
        let piece = rest.split_to(rest.len().min(PIECE_BYTES));
        let frame = Frame::message(piece, OpCode::Data(kind), rest.is_empty());
        socket.feed(Message::Frame(frame)).await?;
        kind = Data::Continue;
    }
    Ok(())
}
