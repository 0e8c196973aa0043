//! Reading a JSON body: media type, size, pace.
//!
//! Every byte held is paid for from the shared budget before it is kept, so that many large bodies at once meet 503
//! rather than the memory's end. What the bytes mean is not known here.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};
use mainstay_engine::error::{Error, Key};
use tokio::time::{Sleep, sleep};
use tower::BoxError;

use crate::limits::{BodyRoom, InFlight};
use crate::mount::Refusal;
use crate::options::Limits;

/// A body with the room that it takes, which is given back when this is dropped.
pub(crate) struct Read {
    pub(crate) bytes: Bytes,
    _room: BodyRoom,
}

/// A body on its way to a plugin's route, which has to come at a pace: whoever sends a byte now and then holds a place, and
/// would fill all of them from one machine.
pub(crate) struct PacedBody {
    body: Body,
    /// How long it may stand still.
    pause_max: Duration,
    started: Option<Instant>,
    bytes: u64,
    pause: Option<Pin<Box<Sleep>>>,
}

/// Once it has taken longer than a pause may, a body comes at so many bytes a second at least.
const PACE_MIN: u64 = 1024;

impl PacedBody {
    pub(crate) fn new(body: Body, pause_max: Duration) -> PacedBody {
        PacedBody { body, pause_max, started: None, bytes: 0, pause: None }
    }

    fn is_too_slow(&self) -> bool {
        let elapsed = self.started.map_or(Duration::ZERO, |started| started.elapsed());
        let beyond = elapsed.saturating_sub(self.pause_max).as_secs();
        beyond.saturating_mul(PACE_MIN) > self.bytes
    }
}

impl HttpBody for PacedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let paced = self.get_mut();
        paced.started.get_or_insert_with(Instant::now);
        if let Poll::Ready(frame) = Pin::new(&mut paced.body).poll_frame(context) {
            paced.pause = None;
            if let Some(Ok(frame)) = &frame {
                paced.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                if paced.is_too_slow() {
                    return Poll::Ready(Some(Err("the body came too slowly".into())));
                }
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let pause = paced.pause.get_or_insert_with(|| Box::pin(sleep(paced.pause_max)));
        ready!(pause.as_mut().poll(context));
        Poll::Ready(Some(Err("the body stood still".into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Reads a whole JSON body within the limits.
pub(crate) async fn read_json(
    headers: &HeaderMap,
    body: Body,
    limits: &Limits,
    in_flight: &InFlight,
) -> Result<Read, Error> {
    expect_json(headers)?;
    expect_plain(headers)?;
    if content_length(headers).is_some_and(|bytes| bytes > limits.body_bytes_max as u64) {
        return Err(too_large(limits));
    }
    let arrival = collect(body, limits, in_flight);
    tokio::time::timeout(limits.body_timeout, arrival).await.unwrap_or_else(|_| {
        let words = format!("The body did not arrive within {} s.", limits.body_timeout.as_secs());
        Err(Error::new(Key::Request, words))
    })
}

async fn collect(mut body: Body, limits: &Limits, in_flight: &InFlight) -> Result<Read, Error> {
    let mut room = in_flight.body_room();
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Error::new(Key::Request, "The body broke off."))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > limits.body_bytes_max {
            return Err(too_large(limits));
        }
        room.grow(bytes.len() + data.len())?;
        bytes.extend_from_slice(&data);
    }
    Ok(Read { bytes: bytes.freeze(), _room: room })
}

fn too_large(limits: &Limits) -> Error {
    Error::new(Key::BodyTooLarge, format!("A body may have {} bytes.", limits.body_bytes_max))
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Around a handler that reads JSON: a form of another site's page is turned away, which browsers send without asking first.
pub(crate) async fn json_alone(request: Request, next: Next) -> Response {
    let is_empty = request.body().size_hint().exact() == Some(0);
    if (!is_empty || request.headers().contains_key(header::CONTENT_TYPE))
        && let Err(error) = expect_json(request.headers())
    {
        return Refusal(error).into_response();
    }
    next.run(request).await
}

/// A body without a media type is refused too: browsers send such ones across origins without asking first.
fn expect_json(headers: &HeaderMap) -> Result<(), Error> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Err(media_type("The request has no `Content-Type`; send `Content-Type: application/json`."));
    };
    let text = value.to_str().unwrap_or_default();
    let mut pieces = text.split(';').map(str::trim);
    let essence = pieces.next().unwrap_or_default().to_ascii_lowercase();
    let is_json =
        essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"));
    if !is_json {
        return Err(media_type(&format!(
            "`{text}` is not read here; send `Content-Type: application/json`."
        )));
    }
    for piece in pieces {
        let Some((name, value)) = piece.split_once('=') else { continue };
        let is_charset = name.trim().eq_ignore_ascii_case("charset");
        if is_charset && !value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8") {
            return Err(media_type("JSON is UTF-8; no other `charset` is read."));
        }
    }
    Ok(())
}

/// Bodies are not unpacked: a few bytes of one could become gigabytes.
fn expect_plain(headers: &HeaderMap) -> Result<(), Error> {
    let mut encodings = headers.get_all(header::CONTENT_ENCODING).iter();
    if encodings.all(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        Ok(())
    } else {
        Err(media_type("Compressed bodies are not read here; send it without `Content-Encoding`."))
    }
}

fn media_type(words: &str) -> Error {
    Error::new(Key::MediaType, words)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, header};

    use super::expect_json;

    #[test]
    fn json_and_its_kin_alone_are_read() {
        let check = |value: &'static str, expect: bool| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(value));
            assert_eq!(expect_json(&headers).is_ok(), expect, "{value}");
        };
        check("application/json", true);
        check("Application/JSON; charset=UTF-8", true);
        check("application/json; charset=\"utf-8\"", true);
        check("application/vnd.api+json", true);
        check("application/json; charset=latin1", false);
        check("text/plain", false);
        check("application/x-www-form-urlencoded", false);
        check("", false);
        assert!(expect_json(&HeaderMap::new()).is_err());
    }
}
