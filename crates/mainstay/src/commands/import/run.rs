//! Rows are put in, all in one transaction or chunk by chunk, and failures are led back to lines.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use anyhow::{Context as _, Result, anyhow};
use indicatif::ProgressBar;
use mainstay_engine::error::{Error, Kind};
use mainstay_engine::part::{Document, Entry, Operation, Part, Raw};
use mainstay_lang::schema::{Table, TableId};

use super::operation::{Place, as_field};
use super::read::Row;
use super::target::{Fields, Target};
use super::{Mode, Report};
use crate::runtime::Runtime;

/// With `--skip-bad`, so many rows share a transaction: a bad row costs one more try of its chunk, no more.
const CHUNK_ROWS: usize = 500;

/// A line that could not be imported.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Problem {
    line: u64,
    message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.line, self.message)
    }
}

/// Imports the rows; what is bad comes back by line.
pub(super) fn import(
    runtime: &Runtime,
    target: &Target,
    rows: Vec<Row>,
    mode: Mode<'_>,
    bar: &ProgressBar,
) -> Result<Report> {
    let schema = runtime.engine.schema();
    let mut problems = Vec::new();
    let mut good = Vec::new();
    for row in rows {
        let line = row.line;
        match row.cells.and_then(|cells| target.row(schema, cells)) {
            Ok(fields) => good.push((line, fields)),
            Err(message) => problems.push(Problem { line, message }),
        }
    }
    if !problems.is_empty() && !mode.skip_bad {
        return Ok(Report { imported: 0, problems });
    }
    bar.set_message("writing");
    bar.set_length(good.len() as u64);
    bar.set_position(0);

    let chunk = if mode.skip_bad { CHUNK_ROWS } else { good.len().max(1) };
    let mut imported = 0;
    let mut rest = good;
    while !rest.is_empty() {
        let tail = rest.split_off(chunk.min(rest.len()));
        imported += write_chunk(runtime, target, rest, mode, &mut problems)?;
        rest = tail;
        bar.set_position(imported as u64);
    }
    problems.sort_by_key(|problem| problem.line);
    Ok(Report { imported, problems })
}

/// One transaction, tried again without the rows that were refused when those may be skipped.
fn write_chunk(
    runtime: &Runtime,
    target: &Target,
    mut rows: Vec<(u64, Fields)>,
    mode: Mode<'_>,
    problems: &mut Vec<Problem>,
) -> Result<usize> {
    while !rows.is_empty() {
        let existing = match target {
            Target::Rows(table) if mode.upsert => existing_keys(runtime, *table, &rows, "id")?,
            Target::Rows(_) => HashSet::new(),
            Target::Links { table, owner, .. } => {
                let owners = existing_keys(runtime, *table, &rows, owner)?;
                let lost = without_owner(runtime.engine.schema().table(*table), &mut rows, owner, &owners);
                let is_refused = !lost.is_empty() && !mode.skip_bad;
                problems.extend(lost);
                if is_refused {
                    return Ok(0);
                }
                owners
            }
        };
        let (mut operation, places) = target.operation(runtime.engine.schema(), &rows, &existing);
        operation.idempotency = mode.once.cloned();
        let Err(error) = runtime.block_on(runtime.engine.execute(&runtime.admin(), &operation)) else {
            return Ok(rows.len());
        };
        let mut bad = BTreeMap::new();
        for (place, message) in refused_places(&error) {
            // What is said of an owner without a link is true of all of its lines.
            let is_meant = |row: &&(usize, Option<usize>)| {
                row.0 == place.0 && (place.1.is_none() || row.1.is_none() || row.1 == place.1)
            };
            for row in places.iter().enumerate().filter(|(_, row)| is_meant(row)).map(|(row, _)| row) {
                bad.entry(row).or_insert_with(|| message.clone());
            }
        }
        if bad.is_empty() || matches!(error.key.kind(), Kind::Internal | Kind::Unavailable) {
            return Err(anyhow!("{error}"))
                .context("the import was refused as a whole; nothing of it was kept");
        }
        problems.extend(
            bad.iter().map(|(row, message)| Problem { line: rows[*row].0, message: message.clone() }),
        );
        if !mode.skip_bad {
            return Ok(0);
        }
        let mut index = 0;
        rows.retain(|_| {
            index += 1;
            !bad.contains_key(&(index - 1))
        });
    }
    Ok(0)
}

/// The places that an error names, with what is wrong there.
fn refused_places(error: &Error) -> Vec<(Place, String)> {
    error
        .errors
        .iter()
        .map(|field| (&field.path, &field.message))
        .chain(error.warnings.iter().map(|warning| (&warning.path, &warning.message)))
        .filter_map(|(path, message)| {
            let steps: Vec<&str> = path.split('/').skip(2).collect();
            let (index, column) = steps.split_first()?;
            let index = index.parse().ok()?;
            if let [_, "add", link, ..] = column {
                return Some(((index, link.parse().ok()), message.clone()));
            }
            let column = column.join(".");
            let words = if column.is_empty() { message.clone() } else { format!("{column}: {message}") };
            Some(((index, None), words))
        })
        .collect()
}

/// Takes out the links of owners that are not there. A part that finds no row does nothing, which would count as done.
fn without_owner(
    table: &Table,
    rows: &mut Vec<(u64, Fields)>,
    owner: &str,
    existing: &HashSet<String>,
) -> Vec<Problem> {
    let mut lost = Vec::new();
    rows.retain(|(line, fields)| {
        let is_there = fields.iter().any(|(name, key)| name == owner && existing.contains(key.get()));
        if !is_there {
            lost.push(Problem { line: *line, message: format!("{owner}: there is no such {}", table.name) });
        }
        is_there
    });
    lost
}

/// Which of the keys that rows have in a column are in the table already, as raw JSON.
fn existing_keys(
    runtime: &Runtime,
    table: TableId,
    rows: &[(u64, Fields)],
    column: &str,
) -> Result<HashSet<String>> {
    let name = &runtime.engine.schema().table(table).name;
    let mut keys: Vec<Raw> = Vec::new();
    let mut seen = HashSet::new();
    for (_, fields) in rows {
        let key = fields.iter().find(|(name, _)| name == column).map(|(_, key)| key);
        keys.extend(key.filter(|key| seen.insert(key.get())).cloned());
    }
    let mut found = HashSet::new();
    for some in keys.chunks(CHUNK_ROWS) {
        let list = format!("[{}]", some.iter().map(|key| key.get()).collect::<Vec<_>>().join(","));
        let part = Part {
            path: format!("/{name}/0"),
            fields: vec![("id".to_owned(), as_field(Raw::new(list)))],
            limit: Some(some.len() as u64),
            get: Some(Vec::new()),
            ..Part::default()
        };
        let entry = Entry { table: name.clone(), parts: vec![part] };
        let operation =
            Operation { documents: vec![Document { entries: vec![entry] }], ..Operation::default() };
        let response = runtime
            .block_on(runtime.engine.execute(&runtime.admin(), &operation))
            .map_err(|error| anyhow!("{error}"))?;
        for answer in response.documents.iter().flat_map(|document| &document.entries) {
            let rows = format!("[{}]", answer.rows);
            let rows: Vec<BTreeMap<String, &serde_json::value::RawValue>> = serde_json::from_str(&rows)?;
            found.extend(
                rows.into_iter().filter_map(|mut row| row.remove("id")).map(|key| key.get().to_owned()),
            );
        }
    }
    Ok(found)
}
