//! Frames: what a client may say over a socket, read strictly, and what it is told.
//!
//! Pure: nothing here knows connections or requests under way.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use axum::http::{HeaderMap, StatusCode};
use mainstay_engine::error::{Error, Key};
use mainstay_live::{Event, EventKind, Request, Seq};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::problem;

/// Longer ids would only be sent back and forth.
const ID_BYTES_MAX: usize = 128;

/// What a client says.
#[derive(Debug)]
pub(super) enum Said<'f> {
    /// A request as by HTTP.
    Request(RequestFrame<'f>),
    /// Other credentials from now on; none: nobody's.
    Auth(Option<String>),
    /// A subscription.
    Subscribe { request: Box<Request>, since: Option<String> },
    /// The end of one.
    Unsubscribe,
    /// Whether anybody is there.
    Ping,
}

/// A request as by HTTP.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RequestFrame<'f> {
    /// `GET` unless said.
    #[serde(default, borrow)]
    pub(super) method: Option<Cow<'f, str>>,
    /// Path with its query string.
    #[serde(borrow)]
    pub(super) path: Cow<'f, str>,
    /// Headers.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    /// The body's JSON.
    #[serde(default, borrow)]
    pub(super) body: Option<&'f RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Frame<'f> {
    #[serde(borrow)]
    id: &'f RawValue,
    #[serde(default, borrow)]
    request: Option<&'f RawValue>,
    #[serde(default, deserialize_with = "given")]
    auth: Option<Option<String>>,
    #[serde(default, borrow)]
    subscribe: Option<&'f RawValue>,
    #[serde(default)]
    since: Option<String>,
    #[serde(default)]
    unsubscribe: bool,
    #[serde(default)]
    ping: bool,
}

/// Tells `null` from nothing at all.
fn given<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(from).map(Some)
}

/// The id alone, of a frame that says something else wrong.
#[derive(Deserialize)]
struct Identified<'f> {
    #[serde(default, borrow)]
    id: Option<&'f RawValue>,
}

/// A frame: its id as JSON, and what it says.
///
/// # Errors
/// With the id as far as there is one, else `null`.
pub(super) fn read(text: &str) -> Result<(&str, Said<'_>), (&str, Box<Error>)> {
    let refused = |id, words: String| (id, Box::new(Error::new(Key::Request, words)));
    if let Err(error) = serde_json::from_str::<IgnoredAny>(text) {
        let words = format!("The frame is not JSON: {error}.");
        return Err(("null", Box::new(Error::new(Key::Json, words))));
    }
    let id = serde_json::from_str::<Identified<'_>>(text).ok().and_then(|frame| frame.id);
    let is_id = |id: &&RawValue| {
        let text = id.get();
        text.len() <= ID_BYTES_MAX && text.starts_with(|first: char| "\"-0123456789".contains(first))
    };
    // An array would do as well for the reader of objects.
    let is_object = |text: &str| text.trim_start().starts_with('{');
    let Some(id) = id.filter(is_id).filter(|_| is_object(text)).map(RawValue::get) else {
        let words =
            format!("A frame is an object with an `id`, a number or a text of up to {ID_BYTES_MAX} bytes.");
        return Err(refused("null", words));
    };
    let frame: Frame<'_> = serde_json::from_str(text)
        .map_err(|error| refused(id, format!("The frame cannot be read: {error}.")))?;
    let said = [
        frame.request.is_some(),
        frame.auth.is_some(),
        frame.subscribe.is_some(),
        frame.unsubscribe,
        frame.ping,
    ];
    if said.into_iter().filter(|said| *said).count() != 1 {
        let words = "A frame says one of `request`, `auth`, `subscribe`, `unsubscribe` and `ping`.";
        return Err(refused(id, words.to_owned()));
    }
    if frame.since.is_some() && frame.subscribe.is_none() {
        return Err(refused(id, "`since` stands beside `subscribe`.".to_owned()));
    }
    debug_assert!(!frame.id.get().is_empty());
    let said = if let Some(request) = frame.request {
        let cannot = |why: String| refused(id, format!("`request` cannot be read: {why}."));
        if !is_object(request.get()) {
            return Err(cannot("it is no object".to_owned()));
        }
        Said::Request(serde_json::from_str(request.get()).map_err(|error| cannot(error.to_string()))?)
    } else if let Some(token) = frame.auth {
        Said::Auth(token)
    } else if let Some(subscribe) = frame.subscribe {
        let request = Request::read(subscribe.get()).map_err(|error| (id, Box::new(error)))?;
        Said::Subscribe { request: Box::new(request), since: frame.since }
    } else if frame.unsubscribe {
        Said::Unsubscribe
    } else {
        Said::Ping
    };
    Ok((id, said))
}

/// An event as a frame: the members behind its id.
pub(super) fn members(event: &EventKind, request_id: &str) -> String {
    let mut text = String::new();
    write_members(&mut text, event, request_id);
    text
}

fn write_members(text: &mut String, event: &EventKind, request_id: &str) {
    let mut with_place = |before: &str, seq: &Seq| {
        text.push_str(before);
        seq.write_to(text);
        text.push('"');
    };
    match event {
        EventKind::Ready { seq, rows } => {
            with_place("\"ready\":\"", seq);
            if let Some(rows) = rows {
                text.extend([",\"rows\":[", rows, "]"]);
            }
        }
        EventKind::Change { change, seq, row, .. } => {
            text.extend(["\"change\":\"", change.name(), "\",\"seq\":\""]);
            seq.write_to(text);
            text.extend(["\",\"row\":", row]);
        }
        EventKind::Lagged { since } => with_place("\"lagged\":true,\"since\":\"", since),
        EventKind::Ended(error) => {
            let (status, body) = problem::document(error, request_id, None);
            // Writing to a string does not fail.
            let _ = write!(text, "\"status\":{},\"body\":{body}", status.as_u16());
        }
    }
}

/// Bytes of a frame beside its row, roughly.
const FRAME_BYTES: usize = 256;

/// An event for a client that has given it an id.
pub(super) fn event(event: &Event, request_id: &str) -> String {
    let row = match &event.kind {
        EventKind::Change { row, .. } => row.len(),
        EventKind::Ready { rows, .. } => rows.as_ref().map_or(0, |rows| rows.len()),
        EventKind::Lagged { .. } | EventKind::Ended(_) => 0,
    };
    // Thousands of these are made of one change.
    let mut text = String::with_capacity(FRAME_BYTES + row);
    text.extend(["{\"id\":", &event.tag, ","]);
    write_members(&mut text, &event.kind, request_id);
    text.push('}');
    text
}

/// What was refused.
pub(super) fn refusal(id: &str, error: &Error, request_id: &str) -> String {
    let (status, body) = problem::document(error, request_id, None);
    framed(id, &format!("\"status\":{},\"body\":{body}", status.as_u16()))
}

/// What was done.
pub(super) fn done(id: &str) -> String {
    framed(id, "\"status\":200")
}

/// The answer to a request. A body that is no JSON is a text.
pub(super) fn answer(id: &str, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> String {
    let text = |value: &str| serde_json::to_string(value).expect("a text is always JSON");
    let mut listed = String::new();
    for (name, value) in headers {
        if !listed.is_empty() {
            listed.push(',');
        }
        let value = String::from_utf8_lossy(value.as_bytes());
        // Writing to a string does not fail.
        let _ = write!(listed, "\"{name}\":{}", text(&value));
    }
    let media_type = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_json = media_type.split(';').next().is_some_and(|kind| kind.trim_end().ends_with("json"));
    let body = match std::str::from_utf8(body) {
        Ok("") => "null".to_owned(),
        Ok(json) if is_json => json.to_owned(),
        Ok(other) => text(other),
        Err(_) => text(&String::from_utf8_lossy(body)),
    };
    framed(id, &format!("\"status\":{},\"headers\":{{{listed}}},\"body\":{body}", status.as_u16()))
}

fn framed(id: &str, members: &str) -> String {
    format!("{{\"id\":{id},{members}}}")
}

#[cfg(test)]
mod tests {
    use super::{Said, read};

    fn refusal(text: &str) -> (String, &'static str) {
        let (id, error) = read(text).expect_err(text);
        (id.to_owned(), error.key.text())
    }

    #[test]
    fn frames_say_one_thing() {
        let (id, said) =
            read(r#"{"id":1,"request":{"path":"/query","method":"POST","body":{"A":{}}}}"#).unwrap();
        assert!(id == "1" && matches!(&said, Said::Request(of) if of.body.unwrap().get() == r#"{"A":{}}"#));
        let (id, said) = read(r#"{"id":"a","auth":null}"#).unwrap();
        assert!(id == "\"a\"" && matches!(said, Said::Auth(None)));
        let (_, said) = read(r#"{"id":3,"subscribe":{"Alert":{"get":["title"]}},"since":null}"#).unwrap();
        let Said::Subscribe { request, since: None } = said else { panic!("{said:?}") };
        let (table, part) = request.part().unwrap();
        assert_eq!((&*table, part.get.as_ref().unwrap().len()), ("Alert", 1));
        assert!(matches!(read(r#"{"id":3,"unsubscribe":true}"#).unwrap().1, Said::Unsubscribe));
        assert!(matches!(read(r#"{"id":3,"ping":true}"#).unwrap().1, Said::Ping));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_under_its_id() {
        let check =
            |text: &str, id: &str, key: &str| assert_eq!(refusal(text), (id.to_owned(), key), "{text}");
        check("", "null", "json.malformed");
        check("{\"id\":1", "null", "json.malformed");
        check("[]", "null", "request.malformed");
        check("{\"ping\":true}", "null", "request.malformed");
        check("{\"id\":{},\"ping\":true}", "null", "request.malformed");
        check("{\"id\":null,\"ping\":true}", "null", "request.malformed");
        check("{\"id\":1}", "1", "request.malformed");
        check("{\"id\":1,\"ping\":true,\"auth\":\"x\"}", "1", "request.malformed");
        check("{\"id\":1,\"ping\":true,\"since\":\"x\"}", "1", "request.malformed");
        check("{\"id\":1,\"pong\":true}", "1", "request.malformed");
        check("{\"id\":1,\"request\":{\"method\":\"GET\"}}", "1", "request.malformed");
        check("{\"id\":1,\"request\":[\"GET\",\"/\"]}", "1", "request.malformed");
        check("{\"id\":1,\"subscribe\":{}}", "1", "live.unsupported");
        check("{\"id\":1,\"subscribe\":{\"A\":{},\"B\":{}}}", "1", "live.unsupported");
        check("{\"id\":1,\"subscribe\":[{\"A\":{}},{\"B\":{}}]}", "1", "live.unsupported");
        check("{\"id\":1,\"subscribe\":{\"A\":[{},{}]}}", "1", "live.unsupported");
        check("{\"id\":1,\"subscribe\":7}", "1", "query.malformed");
    }
}
