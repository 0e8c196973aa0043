//! The opaque text of a keyset cursor.
//!
//! A cursor is a tag, which says what order it was made under, and the JSON array of the last row's sort values. The
//! database makes it beside the rows, the server reads it in the next request. It is no secret and carries no rights:
//! its values are compared, never trusted.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The cursor of a tag, which has no `[` in it, and a JSON array.
pub fn encode(tag: &str, values_json: &str) -> String {
    URL_SAFE_NO_PAD.encode([tag, values_json].concat())
}

/// The tag and the JSON array of a cursor; `None` when it is none. The array is not parsed.
pub fn decode(cursor: &str) -> Option<(String, String)> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    let at = text.find('[')?;
    let values = text[at..].to_owned();
    Some((text[..at].to_owned(), values))
}
