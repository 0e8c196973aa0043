//! Reading a JSON body: media type, size, pace.
//!
//! Every byte held is paid for from the shared budget before it is kept, so that many large bodies at once meet 503
//! rather than the memory's end. What the bytes mean is not known here.

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use mainstay_engine::error::{Error, Key};

use crate::limits::{BodyRoom, InFlight};
use crate::options::Limits;

/// A body with the room that it takes, which is given back when this is dropped.
pub(crate) struct Read {
    pub(crate) bytes: Bytes,
    _room: BodyRoom,
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
