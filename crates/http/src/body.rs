//! Reading a body: media type, size, pace.
//!
//! Every byte held is paid for from the shared budget before it is kept, so that many large bodies at once meet 503
//! rather than the memory's end. What the bytes mean is not known here.

use std::pin::Pin;
use std::sync::Arc;
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
use parking_lot::Mutex;
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

/// A body that a handler of a plugin reads at once, within the limits that every endpoint has. The handler reads it by an extractor,
/// whose own words for a body that is no good are no problem document: why it is none is kept beside it, in a meter.
pub(crate) struct MeteredBody {
    body: Body,
    bytes_max: usize,
    meter: Meter,
}

/// What was read of a [`MeteredBody`], and the room that it takes until the last one of these is dropped.
#[derive(Clone)]
pub(crate) struct Meter(Arc<Mutex<Metered>>);

struct Metered {
    bytes: usize,
    room: BodyRoom,
    refused: Option<Error>,
}

impl Meter {
    /// Why the body could not be read; `None`: it could, or nobody has.
    pub(crate) fn take_refused(&self) -> Option<Error> {
        self.0.lock().refused.take()
    }
}

impl MeteredBody {
    /// The body with its meter.
    ///
    /// # Errors
    /// When the headers say that it is too large.
    pub(crate) fn new(
        headers: &HeaderMap,
        body: Body,
        limits: &Limits,
        in_flight: &InFlight,
    ) -> Result<(MeteredBody, Meter), Error> {
        expect_fitting(headers, limits.body_bytes_max)?;
        let metered = Metered { bytes: 0, room: in_flight.body_room(), refused: None };
        let meter = Meter(Arc::new(Mutex::new(metered)));
        Ok((MeteredBody { body, bytes_max: limits.body_bytes_max, meter: meter.clone() }, meter))
    }
}

impl HttpBody for MeteredBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let body = self.get_mut();
        let Some(frame) = ready!(Pin::new(&mut body.body).poll_frame(context)) else {
            return Poll::Ready(None);
        };
        let mut metered = body.meter.0.lock();
        let counted = frame.map_err(|_| broken_off()).and_then(|frame| {
            metered.bytes += frame.data_ref().map_or(0, Bytes::len);
            if metered.bytes > body.bytes_max {
                return Err(too_large(body.bytes_max));
            }
            let bytes = metered.bytes;
            metered.room.grow(bytes).map(|()| frame)
        });
        Poll::Ready(Some(counted.map_err(|error| {
            let words = error.detail.clone();
            metered.refused = Some(error);
            words.into()
        })))
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
    expect_fitting(headers, limits.body_bytes_max)?;
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
        let frame = frame.map_err(|_| broken_off())?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > limits.body_bytes_max {
            return Err(too_large(limits.body_bytes_max));
        }
        room.grow(bytes.len() + data.len())?;
        bytes.extend_from_slice(&data);
    }
    Ok(Read { bytes: bytes.freeze(), _room: room })
}

fn broken_off() -> Error {
    Error::new(Key::Request, "The body broke off.")
}

fn too_large(bytes_max: usize) -> Error {
    Error::new(Key::BodyTooLarge, format!("A body may have {bytes_max} bytes."))
}

/// A body that is said to be too large is refused before any of it is read.
fn expect_fitting(headers: &HeaderMap, bytes_max: usize) -> Result<(), Error> {
    match content_length(headers).is_some_and(|bytes| bytes > bytes_max as u64) {
        true => Err(too_large(bytes_max)),
        false => Ok(()),
    }
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
