//! The query language's JSON, read into parts.
//!
//! Names are not looked up here, so an object may turn out to be a part, the operators of a constraint or a json value:
//! each is kept as text and read as a part besides. Members keep their order, a member that stands twice is refused, and
//! no value is converted: that needs its column. Everything that is wrong with the form of a request is found here, as
//! [`Kind::Malformed`](crate::error::Kind) with the path; no input makes it panic or take more than linear memory.

mod keyword;
mod walk;

use serde_json::value::RawValue;

use crate::error::{Error, Key};
use crate::part::{Document, Entry, Field, Part, Raw};

use self::walk::Walk;

/// JSON values that are nested deeper are refused.
const NESTING_MAX: usize = 128;
/// Parts that are nested deeper are refused: each is read by a call within that of the one around it, and what turns out to be no part
/// is gone past once more.
const PART_NESTING_MAX: usize = 48;

/// Reads the body of a query: `{"Table": part | [parts]}` or an array of such documents.
///
/// # Errors
/// [`Key::Json`] when it is no JSON, nests too deep or holds a member twice; [`Key::Query`] when it says something
/// that the query language has no meaning for.
pub fn parse(body: &[u8]) -> Result<Vec<Document>, Error> {
    let body = read_json(body)?;
    let mut walk = Walk::of(&body);
    match walk.next_byte() {
        b'{' => Ok(vec![read_document(&mut walk, "", 0)?]),
        b'[' => walk.items(|walk, index| read_document(walk, &format!("/{index}"), 1)),
        _ => Err(malformed("", "a query is an object such as {\"Table\": {…}}, or an array of such objects")),
    }
}

/// Reads a REST body: one row or an array of rows, and whether it was an array.
///
/// # Errors
/// As [`parse`]; a keyword has no place in a row itself, only in what is nested in it.
pub fn parse_rows(body: &[u8]) -> Result<(Vec<Part>, bool), Error> {
    let body = read_json(body)?;
    let read_row = |walk: &mut Walk<'_>, path: String| {
        let part = read_part(walk, path, 1)?;
        match part.keywords.first() {
            None => Ok(part),
            Some(word) => {
                let path = join_path(&part.path, word);
                Err(malformed(&path, format!("`{word}` is a word of the query language, not a column")))
            }
        }
    };
    let mut walk = Walk::of(&body);
    match walk.next_byte() {
        b'{' => Ok((vec![read_row(&mut walk, String::new())?], false)),
        b'[' => Ok((walk.items(|walk, index| read_row(walk, format!("/{index}")))?, true)),
        _ => Err(malformed("", "must be a row (an object) or an array of rows")),
    }
}

/// Appends a member's name to a JSON pointer.
pub fn join_path(path: &str, name: &str) -> String {
    if name.bytes().any(|byte| matches!(byte, b'~' | b'/')) {
        [path, "/", &name.replace('~', "~0").replace('/', "~1")].concat()
    } else {
        [path, "/", name].concat()
    }
}

/// A member of a part, read from JSON that is valid.
pub(crate) fn field(raw: &Raw, path: &str, name: &str) -> Result<Field, Error> {
    read_field(&mut Walk::of(raw), &|| join_path(path, name), 1)
}

/// UTF-8, of bounded nesting, and one JSON value.
fn read_json(body: &[u8]) -> Result<Raw, Error> {
    let text = std::str::from_utf8(body)
        .map_err(|error| Error::new(Key::Json, format!("not UTF-8 at byte {}", error.valid_up_to())))?;
    let text = text.trim_matches([' ', '\n', '\r', '\t']);
    if text.is_empty() {
        return Err(Error::new(Key::Json, "the body is empty"));
    }
    if nesting_exceeds(text.as_bytes(), NESTING_MAX) {
        return Err(Error::new(Key::Json, format!("nested deeper than {NESTING_MAX} levels")));
    }
    serde_json::from_str::<&RawValue>(text).map_err(|error| Error::new(Key::Json, error.to_string()))?;
    Ok(Raw::new(text))
}

/// Counts brackets outside of strings; an imbalance is left to the parser.
fn nesting_exceeds(text: &[u8], max: usize) -> bool {
    // Most texts have not even so many brackets, which is seen many bytes at a time.
    if text.iter().filter(|byte| matches!(byte, b'{' | b'[')).count() <= max {
        return false;
    }
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > max {
            return true;
        }
    }
    false
}

fn read_document(walk: &mut Walk<'_>, path: &str, level: usize) -> Result<Document, Error> {
    if walk.next_byte() != b'{' {
        return Err(malformed(path, "must be an object such as {\"Table\": {…}}"));
    }
    let mut entries = Vec::new();
    walk.members(path, |walk, table| {
        let parts = read_parts(walk, &join_path(path, &table), level + 1, Part::default_by_key)?;
        entries.push(Entry { table: table.into_owned(), parts });
        Ok(())
    })?;
    Ok(Document { entries })
}

impl Part {
    /// What a scalar in the place of a part means at the top level: nothing.
    fn default_by_key(_: Raw, path: &str) -> Result<Part, Error> {
        Err(malformed(path, "must be a part (an object) or an array of parts"))
    }
}

/// A part or an array of parts; `scalar` says what something else is read as.
fn read_parts(
    walk: &mut Walk<'_>,
    path: &str,
    level: usize,
    scalar: fn(Raw, &str) -> Result<Part, Error>,
) -> Result<Vec<Part>, Error> {
    let read = |walk: &mut Walk<'_>, path: String| match walk.next_byte() {
        b'{' => read_part(walk, path, level),
        _ => scalar(walk.raw(), &path),
    };
    if walk.next_byte() != b'[' {
        return Ok(vec![read(walk, path.to_owned())?]);
    }
    walk.items(|walk, index| read(walk, format!("{path}/{index}")))
}

/// A row named by its key alone, under `add` and `remove`.
fn part_by_key(raw: Raw, path: &str) -> Result<Part, Error> {
    match raw.get().as_bytes().first() {
        Some(b'"' | b'-' | b'0'..=b'9') => Ok(Part {
            path: path.to_owned(),
            fields: vec![("id".to_owned(), Field::Scalar(raw))],
            by_key: true,
            ..Part::default()
        }),
        _ => Err(malformed(path, "must be a part (an object), the id of a row, or an array of these")),
    }
}

fn read_part(walk: &mut Walk<'_>, path: String, level: usize) -> Result<Part, Error> {
    if walk.next_byte() != b'{' {
        return Err(malformed(&path, "must be an object"));
    }
    if level > PART_NESTING_MAX {
        return Err(malformed(&path, format!("parts are nested deeper than {PART_NESTING_MAX} levels")));
    }
    let mut part = Part::default();
    walk.members(&path, |walk, name| {
        if !keyword::read((&mut part, &path), &name, walk, level)? {
            let field = read_field(walk, &|| join_path(&path, &name), level + 1)?;
            part.fields.push((name.into_owned(), field));
        }
        Ok(())
    })?;
    Ok(Part { path, ..part })
}

fn read_fields(walk: &mut Walk<'_>, path: &str, level: usize) -> Result<Vec<(String, Field)>, Error> {
    let mut fields = Vec::new();
    walk.members(path, |walk, name| {
        let field = read_field(walk, &|| join_path(path, &name), level + 1)?;
        fields.push((name.into_owned(), field));
        Ok(())
    })?;
    Ok(fields)
}

/// Nothing can be wrong with a scalar yet, so `path` is asked of the others alone.
fn read_field(walk: &mut Walk<'_>, path: &dyn Fn() -> String, level: usize) -> Result<Field, Error> {
    match walk.next_byte() {
        b'{' => {
            let start = walk.place();
            let part = read_part(walk, path(), level).map(Box::new).map_err(Box::new);
            if part.is_err() {
                walk.past(start);
            }
            Ok(Field::Object(walk.raw_from(start), part))
        }
        b'[' if level > PART_NESTING_MAX => {
            Err(malformed(&path(), format!("nested deeper than {PART_NESTING_MAX} levels")))
        }
        b'[' => {
            let start = walk.place();
            let items =
                walk.items(|walk, index| read_field(walk, &|| format!("{}/{index}", path()), level + 1))?;
            Ok(Field::Array(walk.raw_from(start), items))
        }
        _ => Ok(Field::Scalar(walk.raw())),
    }
}

fn malformed(path: &str, message: impl Into<String>) -> Error {
    Error::at(Key::Query, path, "form", message)
}

#[cfg(test)]
mod tests;
