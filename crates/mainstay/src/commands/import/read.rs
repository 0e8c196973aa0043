//! Files of rows: csv with a head line, one JSON object a line, or one JSON array of objects.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use indicatif::ProgressBar;
use mainstay_engine::part::Raw;
use serde_json::value::RawValue;

/// One row of a file, or what is wrong with its line.
pub(super) struct Row {
    /// Line of the file, from 1.
    pub(super) line: u64,
    /// Names and values, or why the line is no row.
    pub(super) cells: Result<Vec<(String, Cell)>, String>,
}

/// A value as the file has it.
pub(super) enum Cell {
    /// Bare text of a csv file; empty: null.
    Text(String),
    /// A JSON value.
    Json(Raw),
}

/// A file's rows, and the names that its head line gives them when it has one.
pub(super) struct Content {
    pub(super) head: Option<Vec<String>>,
    pub(super) rows: Vec<Row>,
}

/// Reads a whole file; its ending says the form, `-` is ndjson from standard input.
pub(super) fn content(path: &Path, bar: &ProgressBar) -> Result<Content> {
    let without_head = |rows: Result<Vec<Row>>| rows.map(|rows| Content { head: None, rows });
    if path == Path::new("-") {
        return without_head(ndjson(std::io::stdin().lock()));
    }
    let file = File::open(path).with_context(|| format!("reading {}", path.display()))?;
    bar.set_length(file.metadata().map_or(0, |data| data.len()));
    let source = bar.wrap_read(file);
    let extension = path.extension().and_then(|text| text.to_str()).unwrap_or("").to_ascii_lowercase();
    let content = match extension.as_str() {
        "csv" => csv_content(source),
        "ndjson" | "jsonl" => without_head(ndjson(BufReader::new(source))),
        "json" => without_head(json(source)),
        _ => bail!("{}: the file's ending should be csv, ndjson or json", path.display()),
    };
    content.with_context(|| format!("reading {}", path.display()))
}

fn csv_content(mut source: impl Read) -> Result<Content> {
    let mut bytes = Vec::new();
    source.read_to_end(&mut bytes)?;
    let bytes = without_mark(&bytes);
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(bytes);
    let head = reader.headers().map_err(|error| match error.kind() {
        csv::ErrorKind::Utf8 { err, .. } => {
            anyhow!("line 1: the name of column {} is not UTF-8", err.field() + 1)
        }
        _ => anyhow!("line 1: {error}"),
    })?;
    let head: Vec<String> = head.iter().map(str::to_owned).collect();
    if head.is_empty() {
        bail!("line 1: expected the names of the columns, and the file is empty");
    }
    let mut lines = Lines { bytes, seen: 0, line: 1 };
    let mut rows = Vec::new();
    let mut record = csv::StringRecord::new();
    loop {
        let start = reader.position().byte();
        let (place, cells) = match reader.read_record(&mut record) {
            Ok(false) => return Ok(Content { head: Some(head), rows }),
            Ok(true) => (record.position(), csv_cells(&head, &record)),
            Err(ref error) => match error.kind() {
                csv::ErrorKind::Utf8 { err, .. } => {
                    (None, Err(format!("not UTF-8 in field {}", err.field() + 1)))
                }
                _ => (None, Err(error.to_string())),
            },
        };
        let line = lines.of(place.map_or(start, csv::Position::byte));
        rows.push(Row { line, cells });
    }
}

/// Finds the lines of places that come in order. The reader's own count is of no use: what it calls the start of a record
/// is before the `\n` of a `\r\n` and before empty lines.
struct Lines<'b> {
    bytes: &'b [u8],
    seen: usize,
    line: u64,
}

impl Lines<'_> {
    /// The line of the first thing at or behind a place that is no line end.
    fn of(&mut self, place: u64) -> u64 {
        let place = usize::try_from(place).unwrap_or(usize::MAX).clamp(self.seen, self.bytes.len());
        let ends = self.bytes[place..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let start = place + ends;
        self.line += self.bytes[self.seen..start].iter().filter(|byte| **byte == b'\n').count() as u64;
        self.seen = start;
        self.line
    }
}

fn csv_cells(head: &[String], record: &csv::StringRecord) -> Result<Vec<(String, Cell)>, String> {
    if record.len() != head.len() {
        return Err(format!("{} fields, but the head line has {}", record.len(), head.len()));
    }
    Ok(head.iter().zip(record).map(|(name, text)| (name.clone(), Cell::Text(text.to_owned()))).collect())
}

fn ndjson(source: impl std::io::BufRead) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (index, bytes) in source.split(b'\n').enumerate() {
        let bytes = bytes?;
        let bytes = if index == 0 { without_mark(&bytes) } else { &bytes };
        if bytes.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        rows.push(Row { line: index as u64 + 1, cells: object(bytes) });
    }
    Ok(rows)
}

/// Without the byte order mark that some programs put in front of UTF-8.
fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// The line of a row in one JSON document is found by counting line ends up to it.
fn json(mut source: impl Read) -> Result<Vec<Row>> {
    let mut bytes = Vec::new();
    source.read_to_end(&mut bytes)?;
    let text = std::str::from_utf8(without_mark(&bytes)).context("the file is not UTF-8")?;
    let items: Vec<&RawValue> = serde_json::from_str(text).context("expected one array of objects")?;
    let mut rows = Vec::with_capacity(items.len());
    let (mut line, mut seen) = (1u64, 0usize);
    for item in items {
        let at = item.get().as_ptr() as usize - text.as_ptr() as usize;
        line += text.as_bytes()[seen..at].iter().filter(|byte| **byte == b'\n').count() as u64;
        seen = at;
        rows.push(Row { line, cells: object(item.get().as_bytes()) });
    }
    Ok(rows)
}

fn object(text: &[u8]) -> Result<Vec<(String, Cell)>, String> {
    let text = std::str::from_utf8(text).map_err(|_| "not UTF-8".to_owned())?;
    let members: Members = serde_json::from_str(text).map_err(|error| {
        // The reader counts within the row, whose own line is said already.
        let words = error.to_string();
        let place = format!(" at line {} column {}", error.line(), error.column());
        match words.strip_suffix(&place) {
            Some(words) if error.line() == 1 && error.column() > 0 => {
                format!("{words} at character {}", error.column())
            }
            Some(words) if error.line() == 1 => words.to_owned(),
            _ => words,
        }
    })?;
    Ok(members.0)
}

/// An object's members in order; a duplicate is refused, for one of the two would be lost.
struct Members(Vec<(String, Cell)>);

impl<'de> serde::Deserialize<'de> for Members {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Members;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object, one row")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members: Vec<(String, Cell)> = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    if members.iter().any(|(other, _)| *other == name) {
                        return Err(serde::de::Error::custom(format!("{name:?} stands twice")));
                    }
                    members.push((name, Cell::Json(Raw::new(value.get()))));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(rows: &[Row]) -> Vec<(u64, bool)> {
        rows.iter().map(|row| (row.line, row.cells.is_ok())).collect()
    }

    #[test]
    fn csv_counts_lines_through_quoted_line_ends() {
        let content = csv_content("id,name\n1,\"a\nb\"\n2\n3,c\n".as_bytes()).unwrap();
        assert_eq!(lines(&content.rows), [(2, true), (4, false), (5, true)]);
    }

    #[test]
    fn csv_counts_lines_whatever_ends_them() {
        let text = "id,name\n\n1,a\n\n\n2,\"b\nb\"\n3\n4,d";
        let expected = [(3, true), (6, true), (8, false), (9, true)];
        for text in [text.to_owned(), text.replace('\n', "\r\n")] {
            let content = csv_content(text.as_bytes()).unwrap();
            assert_eq!(lines(&content.rows), expected, "{text:?}");
        }
        let content = csv_content(&b"id,name\r\n1,\xff\r\n\r\n2,\xff\r\n"[..]).unwrap();
        assert_eq!(lines(&content.rows), [(2, false), (4, false)]);
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_file() {
        let marked = |text: &str| [b"\xef\xbb\xbf", text.as_bytes()].concat();
        let content = csv_content(&*marked("id\r\n1\r\n")).unwrap();
        assert_eq!((content.head, lines(&content.rows)), (Some(vec!["id".to_owned()]), vec![(2, true)]));
        assert_eq!(lines(&ndjson(&*marked("{\"a\":1}\n{\"a\":2}\n")).unwrap()), [(1, true), (2, true)]);
        assert_eq!(lines(&json(&*marked("[{\"a\":1},\n{\"a\":2}]")).unwrap()), [(1, true), (2, true)]);
    }

    #[test]
    fn a_broken_row_says_where_in_its_line() {
        let message = |text: &str| ndjson(text.as_bytes()).unwrap().remove(0).cells.err().unwrap();
        assert_eq!(message("{\"a\": x}"), "expected value at character 7");
        assert_eq!(message("[1]"), "invalid type: sequence, expected an object, one row");
    }

    #[test]
    fn ndjson_keeps_the_good_lines() {
        let rows = ndjson("{\"a\":1}\n\nnonsense\n{\"a\":1,\"a\":2}\n".as_bytes()).unwrap();
        assert_eq!(lines(&rows), [(1, true), (3, false), (4, false)]);
    }

    #[test]
    fn json_array_knows_its_lines() {
        let rows = json("[\n {\"a\":1},\n {\"a\":2}\n]".as_bytes()).unwrap();
        assert_eq!(lines(&rows), [(2, true), (3, true)]);
    }
}
