//! Operations on text: bytes and code points, no locale.
//!
//! Letters change and compare without case in ASCII alone, because databases agree on nothing beyond it.

use std::borrow::Cow;

/// White space that `trim` removes.
const SPACE: [char; 6] = [' ', '\t', '\n', '\r', '\x0c', '\x0b'];

/// Whether `needle` stands somewhere in `text`, ASCII letters without regard to case.
pub fn contains(text: &str, needle: &str) -> bool {
    let (text, needle) = (text.as_bytes(), needle.as_bytes());
    let Some(first) = needle.first() else { return true };
    let Some(last_start) = text.len().checked_sub(needle.len()) else { return false };
    let (lower, upper) = (first.to_ascii_lowercase(), first.to_ascii_uppercase());
    text[..=last_start].iter().enumerate().any(|(at, byte)| {
        (*byte == lower || *byte == upper) && text[at..at + needle.len()].eq_ignore_ascii_case(needle)
    })
}

/// Whether all of `text` matches: `%` stands for any text, `_` for one code point, `\` makes the next character
/// itself; a `\` at the very end is itself. Case-sensitive. Never slower than the product of both lengths.
pub fn like(text: &str, pattern: &str) -> bool {
    let (mut text, mut pattern) = (text, pattern);
    // Where to go on when a character doesn't match: behind the last `%`, one character further in the text. An
    // earlier `%` never needs another try, for the last one can take over whatever it would take.
    let mut retry: Option<(&str, &str)> = None;
    loop {
        if let Some(behind) = pattern.strip_prefix('%') {
            pattern = behind;
            retry = Some((text, behind));
            continue;
        }
        let mut text_rest = text.chars();
        let matched = match (text_rest.next(), next_of(pattern)) {
            (None, None) => return true,
            (Some(_), Some((None, rest))) => Some(rest),
            (Some(given), Some((Some(wanted), rest))) if given == wanted => Some(rest),
            (None, Some(_)) => return false,
            _ => None,
        };
        if let Some(rest) = matched {
            (text, pattern) = (text_rest.as_str(), rest);
            continue;
        }
        let Some((from, behind)) = retry else { return false };
        let mut from_rest = from.chars();
        from_rest.next();
        (text, pattern) = (from_rest.as_str(), behind);
        retry = Some((text, behind));
    }
}

/// The next character that a pattern wants (`None`: any) and the pattern behind it.
fn next_of(pattern: &str) -> Option<(Option<char>, &str)> {
    let mut rest = pattern.chars();
    match rest.next()? {
        '_' => Some((None, rest.as_str())),
        '\\' => match rest.next() {
            Some(escaped) => Some((Some(escaped), rest.as_str())),
            None => Some((Some('\\'), "")),
        },
        other => Some((Some(other), rest.as_str())),
    }
}

/// ASCII letters in lower case.
pub fn lower(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}

/// ASCII letters in upper case.
pub fn upper(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|byte| byte.is_ascii_lowercase()) {
        Cow::Owned(text.to_ascii_uppercase())
    } else {
        Cow::Borrowed(text)
    }
}

/// Without space, `\t`, `\n`, `\r`, `\f`, `\v` at both ends.
pub fn trim(text: &str) -> &str {
    text.trim_matches(SPACE)
}

/// Code points.
pub fn length(text: &str) -> i64 {
    text.chars().count() as i64
}
