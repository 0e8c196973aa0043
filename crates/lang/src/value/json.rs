//! JSON text: strings, minifying, a scalar at a path.
//!
//! A `json` value stays text from the wire to the database and back: members keep their order, numbers and strings
//! their spelling. What one of the databases could not keep or read again is refused here for all: members twice,
//! U+0000, half surrogates, deep nesting.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::error::ValueError;

/// Deepest nesting of arrays and objects in a `json` value.
pub const JSON_DEPTH_MAX: usize = 100;

/// One JSON value without white space between tokens. Everything else stays as written.
pub fn minify(text: &str) -> Result<String, ValueError> {
    let not_json = |_| ValueError::format("must be a JSON value");
    let text = serde_json::from_str::<&RawValue>(text).map_err(not_json)?.get();
    let mut out = String::with_capacity(text.len());
    let mut open: Vec<Option<HashSet<Cow<'_, str>>>> = Vec::new();
    let mut at_key = false;
    let mut at = 0;
    while let Some(byte) = text.as_bytes().get(at) {
        let end = match byte {
            b'"' => at + string_len(&text[at..]),
            _ => at + 1,
        };
        match byte {
            b' ' | b'\n' | b'\r' | b'\t' => {
                at = end;
                continue;
            }
            b'{' => {
                open.push(Some(HashSet::new()));
                at_key = true;
            }
            b'[' => open.push(None),
            b'}' | b']' => {
                open.pop();
            }
            b',' => at_key = matches!(open.last(), Some(Some(_))),
            b'"' => {
                let string = unquote(&text[at..end])?;
                if at_key
                    && let Some(Some(names)) = open.last_mut()
                    && !names.insert(string)
                {
                    return Err(ValueError::format("must not name a member of an object twice"));
                }
                at_key = false;
            }
            _ => {}
        }
        if open.len() > JSON_DEPTH_MAX {
            return Err(ValueError::range(format!("must not be nested deeper than {JSON_DEPTH_MAX} levels")));
        }
        out.push_str(&text[at..end]);
        at = end;
    }
    Ok(out)
}

/// Bytes of the string literal that `text` begins with, quotes included.
fn string_len(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// What a string literal says; borrowed unless it has escapes.
pub(crate) fn unquote(literal: &str) -> Result<Cow<'_, str>, ValueError> {
    let inner = literal.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let inner = inner.ok_or_else(|| ValueError::format("must be a JSON string"))?;
    let text = if inner.contains('\\') {
        let decoded = serde_json::from_str::<String>(literal);
        Cow::Owned(decoded.map_err(|_| ValueError::format("must be valid Unicode"))?)
    } else {
        Cow::Borrowed(inner)
    };
    if text.contains('\0') { Err(ValueError::nul()) } else { Ok(text) }
}

/// The scalar at the member names of `path` as text: a string's content, `true`, a number as written. `None` when the
/// path leads nowhere or to null, an object or an array.
pub fn scalar_at<'a, S: AsRef<str>>(json: &'a str, path: &[S]) -> Option<Cow<'a, str>> {
    let mut at = json.trim_start();
    for name in path {
        if !at.starts_with('{') {
            return None;
        }
        at = serde_json::Deserializer::from_str(at).deserialize_map(Member(name.as_ref())).ok()??.get();
    }
    match at.as_bytes().first()? {
        b'{' | b'[' | b'n' => None,
        b'"' => unquote(at).ok(),
        _ => Some(Cow::Borrowed(at.trim_end())),
    }
}

/// Finds one member of an object and skips the rest.
struct Member<'n>(&'n str);

impl<'de> Visitor<'de> for Member<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(is_it) = map.next_key_seed(IsName(self.0))? {
            if is_it {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// Compares a member's name without keeping it.
struct IsName<'n>(&'n str);

impl<'de> DeserializeSeed<'de> for IsName<'_> {
    type Value = bool;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for IsName<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.0)
    }
}
