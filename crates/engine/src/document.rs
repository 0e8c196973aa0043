//! The query language's JSON, read into parts.
//!
//! Names are not looked up here, so an object may turn out to be a part, the operators of a constraint or a json value:
//! each is kept as text and read as a part besides. Members keep their order, a member that stands twice is refused, and
//! no value is converted: that needs its column. Everything that is wrong with the form of a request is found here, as
//! [`Kind::Malformed`](crate::error::Kind) with the path; no input makes it panic or take more than linear memory.

mod keyword;
mod members;

use serde_json::value::RawValue;

use crate::error::{Error, Key};
use crate::part::{Document, Entry, Field, Part, Raw};

use self::members::members_of;

/// JSON values that are nested deeper are refused.
const NESTING_MAX: usize = 128;
/// Parts that are nested deeper are refused; each level is read once more than the one around it.
const PART_NESTING_MAX: usize = 48;

/// Reads the body of a query: `{"Table": part | [parts]}` or an array of such documents.
///
/// # Errors
/// [`Key::Json`] when it is no JSON, nests too deep or holds a member twice; [`Key::Query`] when it says something
/// that the query language has no meaning for.
pub fn parse(body: &[u8]) -> Result<Vec<Document>, Error> {
    let body = read_json(body)?;
    match first_byte(&body) {
        b'{' => Ok(vec![read_document(&body, "", 0)?]),
        b'[' => {
            let read = |(index, item): (usize, &Raw)| read_document(item, &format!("/{index}"), 1);
            items_of(&body, "")?.iter().enumerate().map(read).collect()
        }
        _ => Err(malformed("", "a query is an object such as {\"Table\": {…}}, or an array of such objects")),
    }
}

/// Reads a REST body: one row or an array of rows, and whether it was an array.
///
/// # Errors
/// As [`parse`]; a keyword has no place in a row itself, only in what is nested in it.
pub fn parse_rows(body: &[u8]) -> Result<(Vec<Part>, bool), Error> {
    let body = read_json(body)?;
    let read_row = |raw: &Raw, path: &str| {
        let part = read_part(raw, path, 1)?;
        match part.keywords.first() {
            None => Ok(part),
            Some(word) => {
                let path = format!("{path}/{word}");
                Err(malformed(&path, format!("`{word}` is a word of the query language, not a column")))
            }
        }
    };
    match first_byte(&body) {
        b'{' => Ok((vec![read_row(&body, "")?], false)),
        b'[' => {
            let read = |(index, item): (usize, &Raw)| read_row(item, &format!("/{index}"));
            Ok((items_of(&body, "")?.iter().enumerate().map(read).collect::<Result<_, Error>>()?, true))
        }
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
    read_field(raw, &join_path(path, name), 1)
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

fn read_document(raw: &Raw, path: &str, level: usize) -> Result<Document, Error> {
    if first_byte(raw) != b'{' {
        return Err(malformed(path, "must be an object such as {\"Table\": {…}}"));
    }
    let read = |(table, raw): (String, Raw)| -> Result<Entry, Error> {
        let path = join_path(path, &table);
        let parts = read_parts(&raw, &path, level + 1, Part::default_by_key)?;
        Ok(Entry { table, parts })
    };
    Ok(Document { entries: members_of(raw, path)?.into_iter().map(read).collect::<Result<_, Error>>()? })
}

impl Part {
    /// What a scalar in the place of a part means at the top level: nothing.
    fn default_by_key(_: &Raw, path: &str) -> Result<Part, Error> {
        Err(malformed(path, "must be a part (an object) or an array of parts"))
    }
}

/// A part or an array of parts; `scalar` says what something else is read as.
fn read_parts(
    raw: &Raw,
    path: &str,
    level: usize,
    scalar: fn(&Raw, &str) -> Result<Part, Error>,
) -> Result<Vec<Part>, Error> {
    let read = |raw: &Raw, path: &str| match first_byte(raw) {
        b'{' => read_part(raw, path, level),
        _ => scalar(raw, path),
    };
    if first_byte(raw) != b'[' {
        return Ok(vec![read(raw, path)?]);
    }
    let items = items_of(raw, path)?;
    items.iter().enumerate().map(|(index, item)| read(item, &format!("{path}/{index}"))).collect()
}

/// A row named by its key alone, under `add` and `remove`.
fn part_by_key(raw: &Raw, path: &str) -> Result<Part, Error> {
    match first_byte(raw) {
        b'"' | b'-' | b'0'..=b'9' => Ok(Part {
            path: path.to_owned(),
            fields: vec![("id".to_owned(), Field::Scalar(raw.clone()))],
            by_key: true,
            ..Part::default()
        }),
        _ => Err(malformed(path, "must be a part (an object), the id of a row, or an array of these")),
    }
}

fn read_part(raw: &Raw, path: &str, level: usize) -> Result<Part, Error> {
    if first_byte(raw) != b'{' {
        return Err(malformed(path, "must be an object"));
    }
    if level > PART_NESTING_MAX {
        return Err(malformed(path, format!("parts are nested deeper than {PART_NESTING_MAX} levels")));
    }
    let mut part = Part { path: path.to_owned(), ..Part::default() };
    for (name, raw) in members_of(raw, path)? {
        if !keyword::read(&mut part, &name, &raw, level)? {
            // Nothing can be wrong with a scalar yet, so its path need not be known.
            let field = match first_byte(&raw) {
                b'{' | b'[' => read_field(&raw, &join_path(path, &name), level + 1)?,
                _ => Field::Scalar(raw),
            };
            part.fields.push((name, field));
        }
    }
    Ok(part)
}

fn read_fields(raw: &Raw, path: &str, level: usize) -> Result<Vec<(String, Field)>, Error> {
    let read = |(name, raw): (String, Raw)| {
        let field = read_field(&raw, &join_path(path, &name), level + 1)?;
        Ok((name, field))
    };
    members_of(raw, path)?.into_iter().map(read).collect()
}

fn read_field(raw: &Raw, path: &str, level: usize) -> Result<Field, Error> {
    match first_byte(raw) {
        b'{' => Ok(Field::Object(raw.clone(), read_part(raw, path, level).map(Box::new).map_err(Box::new))),
        b'[' if level > PART_NESTING_MAX => {
            Err(malformed(path, format!("nested deeper than {PART_NESTING_MAX} levels")))
        }
        b'[' => {
            let items = items_of(raw, path)?;
            let read = |(index, item): (usize, &Raw)| read_field(item, &format!("{path}/{index}"), level + 1);
            Ok(Field::Array(raw.clone(), items.iter().enumerate().map(read).collect::<Result<_, Error>>()?))
        }
        _ => Ok(Field::Scalar(raw.clone())),
    }
}

fn items_of(raw: &Raw, path: &str) -> Result<Vec<Raw>, Error> {
    let items: Vec<&RawValue> =
        serde_json::from_str(raw.get()).map_err(|_| malformed(path, "must be an array"))?;
    Ok(items.into_iter().map(|item| raw.piece(item.get())).collect())
}

fn first_byte(raw: &Raw) -> u8 {
    raw.get().bytes().next().unwrap_or(b' ')
}

fn malformed(path: &str, message: impl Into<String>) -> Error {
    Error::at(Key::Query, path, "form", message)
}

#[cfg(test)]
mod tests;
