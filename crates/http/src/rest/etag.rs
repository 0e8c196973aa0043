//! Entity tags of rows, and `If-Match`.
//!
//! One row without nesting has a strong tag: the row's `updated`, which grows with every change, and a digest of the
//! columns shown and of the schema, because rights and migrations change what is shown without touching the row.
//! Anything nested has a weak tag of its body, which `If-Match` never matches.

use axum::http::{HeaderMap, HeaderValue, header};
use mainstay_engine::error::{Error, Key};
use mainstay_engine::part::Get;
use mainstay_lang::schema::Table;
use sha2::{Digest, Sha256};

use super::members::{Member, members};
use crate::app::{App, hex};

/// The column that is a row's version.
const UPDATED: &str = "updated";

/// Bytes of `2026-01-31T10:00:00.000000Z`.
const VERSION_BYTES: usize = 27;

/// Members of a row that say what a request did and are no part of it.
const FLAGS: [&str; 3] = ["new", "edited", "deleted"];

/// How one row is asked for so that its tag can be told, and shown as it was asked for.
pub(super) struct TaggedRow {
    is_flat: bool,
    is_updated_added: bool,
}

impl TaggedRow {
    /// Adds to `get` what the tag needs.
    pub(super) fn ask(table: &Table, get: &mut Vec<Get>) -> TaggedRow {
        // Where nobody keeps a version, a tag is of what is shown.
        let has_version = table.updated.is_some();
        let is_flat = has_version
            && get.iter().all(|item| match item {
                Get::All => true,
                Get::Member(name, inner) => inner.is_empty() && table.column_named(name).is_some(),
            });
        let shows_updated = get.iter().any(|item| match item {
            Get::All => true,
            Get::Member(name, _) => name == UPDATED,
        });
        let is_updated_added = is_flat && !shows_updated;
        if is_updated_added {
            get.push(Get::Member(UPDATED.to_owned(), Vec::new()));
        }
        TaggedRow { is_flat, is_updated_added }
    }

    /// The row as it was asked for, and its tag.
    pub(super) fn show(&self, app: &App, row: String) -> Result<(String, HeaderValue), Error> {
        let (row, tag) = if self.is_flat { self.show_flat(app, row)? } else { (row, None) };
        let tag = tag.unwrap_or_else(|| format!("W/\"{}\"", digest([row.as_str()].into_iter())));
        let tag = HeaderValue::try_from(tag).map_err(|_| Error::internal("an entity tag is not ASCII"))?;
        Ok((row, tag))
    }

    fn show_flat(&self, app: &App, row: String) -> Result<(String, Option<String>), Error> {
        let mut version = None;
        let mut shown = ColumnsShown::default();
        let mut updated = None;
        for member in members(&row) {
            let member = member.ok_or_else(|| Error::internal("the engine's row is no object"))?;
            if member.name == UPDATED {
                version = version_of(member.value);
                updated = Some(member);
            }
            if !(FLAGS.contains(&member.name) || self.is_updated_added && member.name == UPDATED) {
                shown.add(member.name);
            }
        }
        let tag = version.map(|version| {
            let digest = hex(&shown.digest(app.schema_fingerprint()).to_be_bytes());
            ["\"", version, "-", &digest, "\""].concat()
        });
        let row = match updated {
            Some(member) if self.is_updated_added => without(&row, &member),
            _ => row,
        };
        Ok((row, tag))
    }
}

/// Which columns a row shows, whatever their order: a row that was written names them in the order written.
///
/// The sum of hashes of their names: a tag tells versions of one row apart, it protects nothing.
#[derive(Default)]
struct ColumnsShown(u64);

impl ColumnsShown {
    fn add(&mut self, name: &str) {
        let words = name.as_bytes().chunks(8).map(|bytes| {
            let mut word = [0; 8];
            word[..bytes.len()].copy_from_slice(bytes);
            u64::from_le_bytes(word)
        });
        self.0 = self.0.wrapping_add(words.fold(0, |hash, word| mixed(hash ^ word)));
    }

    fn digest(&self, schema: u64) -> u64 {
        mixed(self.0 ^ schema)
    }
}

/// Another number for each, in which every bit depends on all: the finalizer of `MurmurHash3`.
fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let number = (number ^ (number >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    number ^ (number >> 33)
}

/// The version that `If-Match` asks for; `None`: any (no header, or `*`).
pub(super) fn version_asked(headers: &HeaderMap) -> Result<Option<String>, Error> {
    let mut values = headers.get_all(header::IF_MATCH).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let tag = text.strip_prefix("W/").unwrap_or(text);
    let opaque = tag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let Some(opaque) = opaque.filter(|opaque| !opaque.contains('"') && values.next().is_none()) else {
        let words = "`If-Match` is one entity tag in double quotes, as `ETag` gave it, or `*`.";
        return Err(Error::new(Key::Request, words));
    };
    let version = opaque.get(..VERSION_BYTES).filter(|version| is_version(version));
    match version {
        Some(version) if tag.len() == text.len() => Ok(Some(version.to_owned())),
        // RFC 9110 §13.1.1: a weak tag, or one that was never given, matches nothing.
        _ => Err(Error::new(Key::IfMatch, "`If-Match` names no version of this row.")),
    }
}

/// In the words of the protocol that asked: who sent `If-Match` hears of 412, not of `if_updated`.
pub(super) fn as_precondition(mut error: Error) -> Error {
    if error.key == Key::Version {
        error.key = Key::IfMatch;
    }
    error
}

fn version_of(value: &str) -> Option<&str> {
    value.strip_prefix('"')?.strip_suffix('"').filter(|text| is_version(text))
}

fn is_version(text: &str) -> bool {
    const FORM: &[u8; VERSION_BYTES] = b"0000-00-00T00:00:00.000000Z";
    text.len() == VERSION_BYTES
        && text.bytes().zip(FORM).all(|(byte, form)| match form {
            b'0' => byte.is_ascii_digit(),
            _ => byte == *form,
        })
}

fn digest<'a>(pieces: impl Iterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    for piece in pieces {
        hash.update(piece);
        hash.update([0]);
    }
    hex(&hash.finalize()[..8])
}

/// An object without one of its members, which is not its only one.
fn without(row: &str, member: &Member<'_>) -> String {
    let (before, after) = (&row[..member.start], &row[member.end..]);
    match before.strip_suffix(',') {
        Some(before) => format!("{before}{after}"),
        None => format!("{before}{}", after.strip_prefix(',').unwrap_or(after)),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, header};
    use mainstay_engine::error::Key;

    use super::version_asked;

    #[test]
    fn if_match_names_one_version_or_any() {
        let check = |given: &'static str, expect: Result<Option<&str>, Key>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_MATCH, HeaderValue::from_static(given));
            let asked = version_asked(&headers).map_err(|error| error.key);
            assert_eq!(asked, expect.map(|version| version.map(str::to_owned)), "{given}");
        };
        let version = "2026-01-31T10:00:00.000000Z";
        check("\"2026-01-31T10:00:00.000000Z-1a2b\"", Ok(Some(version)));
        check("\"2026-01-31T10:00:00.000000Z\"", Ok(Some(version)));
        check("*", Ok(None));
        check("W/\"2026-01-31T10:00:00.000000Z-1a2b\"", Err(Key::IfMatch));
        check("\"never\"", Err(Key::IfMatch));
        check("\"\"", Err(Key::IfMatch));
        check("2026-01-31T10:00:00.000000Z", Err(Key::Request));
        check("\"a\", \"b\"", Err(Key::Request));
        check("", Err(Key::Request));
        assert!(version_asked(&HeaderMap::new()).unwrap().is_none());
    }
}
