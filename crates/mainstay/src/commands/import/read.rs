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

/// Reads a whole file; its ending says the form, `-` is ndjson from standard input.
pub(super) fn rows(path: &Path, bar: &ProgressBar) -> Result<Vec<Row>> {
    if path == Path::new("-") {
        return ndjson(std::io::stdin().lock());
    }
    let file = File::open(path).with_context(|| format!("reading {}", path.display()))?;
    bar.set_length(file.metadata().map_or(0, |data| data.len()));
    let source = bar.wrap_read(file);
    let extension = path.extension().and_then(|text| text.to_str()).unwrap_or("").to_ascii_lowercase();
    match extension.as_str() {
        "csv" => csv_rows(source).with_context(|| format!("reading {}", path.display())),
        "ndjson" | "jsonl" => {
            ndjson(BufReader::new(source)).with_context(|| format!("reading {}", path.display()))
        }
        "json" => json(source).with_context(|| format!("reading {}", path.display())),
        _ => bail!("{}: the file's ending should be csv, ndjson or json", path.display()),
    }
}

fn csv_rows(source: impl Read) -> Result<Vec<Row>> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(source);
    let head: Vec<String> = reader
        .headers()
        .map_err(|error| anyhow!("the head line: {error}"))?
        .iter()
        .map(str::to_owned)
        .collect();
    let mut rows = Vec::new();
    let mut record = csv::StringRecord::new();
    loop {
        let before = reader.position().line();
        match reader.read_record(&mut record) {
            Ok(false) => return Ok(rows),
            Ok(true) => {
                let line = record.position().map_or(before, csv::Position::line);
                rows.push(Row { line, cells: csv_cells(&head, &record) });
            }
            Err(error) => match error.kind() {
                csv::ErrorKind::Io(_) => return Err(error.into()),
                csv::ErrorKind::Utf8 { pos, err } => rows.push(Row {
                    line: pos.as_ref().map_or(before, csv::Position::line),
                    cells: Err(format!("not UTF-8 in field {}", err.field() + 1)),
                }),
                _ => rows.push(Row { line: before, cells: Err(error.to_string()) }),
            },
        }
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
        if bytes.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        rows.push(Row { line: index as u64 + 1, cells: object(&bytes) });
    }
    Ok(rows)
}

/// The line of a row in one JSON document is found by counting line ends up to it.
fn json(mut source: impl Read) -> Result<Vec<Row>> {
    let mut text = String::new();
    source.read_to_string(&mut text)?;
    let items: Vec<&RawValue> = serde_json::from_str(&text).context("expected one array of objects")?;
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
    let members: Members = serde_json::from_str(text).map_err(|error| error.to_string())?;
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
        let rows = csv_rows("id,name\n1,\"a\nb\"\n2\n3,c\n".as_bytes()).unwrap();
        assert_eq!(lines(&rows), [(2, true), (4, false), (5, true)]);
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
