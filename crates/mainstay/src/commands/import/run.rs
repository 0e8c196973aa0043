//! Rows to parts, parts to operations, failures back to lines.
//!
//! A row's part is at `/Table/INDEX` of the document, so that the paths of a refused operation lead back to rows and
//! from there to lines of the file.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use anyhow::{Context as _, Result, anyhow, bail};
use indicatif::ProgressBar;
use mainstay_engine::error::{Error, Kind};
use mainstay_engine::part::{Document, Entry, Field, Operation, Part, Raw};
use mainstay_lang::schema::{Column, ColumnId, RelationKind, Schema, Table, TableId};
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;

use super::read::{Cell, Row};
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

/// Where rows go.
pub(super) enum Target {
    /// Rows of a table.
    Rows(TableId),
    /// Links of a many-to-many relation: the owner's column, the target's column, both named in the file.
    Links { table: TableId, relation: String, owner: String, target: String },
}

impl Target {
    /// `Table` or `Table.relation`.
    pub(super) fn find(schema: &Schema, name: &str) -> Result<Target> {
        let (table_name, relation_name) =
            name.split_once('.').map_or((name, None), |(table, rest)| (table, Some(rest)));
        let table = schema
            .table_named(table_name)
            .ok_or_else(|| unknown("table", table_name, schema.tables.iter().map(|table| &*table.name)))?;
        let Some(relation_name) = relation_name else { return Ok(Target::Rows(table.id)) };
        let relation = table.relation_named(relation_name).ok_or_else(|| {
            unknown("relation", relation_name, table.relations.iter().map(|relation| &*relation.name))
        })?;
        let RelationKind::Link(_) = relation.kind else {
            bail!(
                "{name} keeps no links of its own; import the rows of {} instead",
                schema.table(relation.target).name
            );
        };
        Ok(Target::Links {
            table: table.id,
            relation: relation.name.clone(),
            owner: snake(&table.name),
            target: snake(&schema.table(relation.target).name),
        })
    }
}

fn unknown<'a>(what: &str, name: &str, names: impl Iterator<Item = &'a str>) -> anyhow::Error {
    let nearest = mainstay_lang::suggest::nearest(name, names);
    let suggestion = nearest.map(|nearest| format!("; did you mean {nearest}?")).unwrap_or_default();
    anyhow!("no {what} is called {name}{suggestion}")
}

/// `MediaType` → `media_type`.
fn snake(name: &str) -> String {
    let mut text = String::new();
    for (index, letter) in name.chars().enumerate() {
        if letter.is_ascii_uppercase() && index > 0 {
            text.push('_');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
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

/// Where in an operation a row went: its part, and for a link its place among those of its owner.
type Place = (usize, Option<usize>);

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

type Fields = Vec<(String, Raw)>;

impl Target {
    /// Refuses a head line that no row could go with, once instead of for each row.
    pub(super) fn check_head(&self, schema: &Schema, head: &[String]) -> Result<()> {
        for (index, name) in head.iter().enumerate() {
            if head[..index].contains(name) {
                bail!("{name} stands twice in the head line");
            }
        }
        match self {
            Target::Rows(id) => {
                for name in head {
                    column(schema.table(*id), name).map_err(|message| match head {
                        [only] if only.contains([';', '\t']) => {
                            anyhow!("{message} (columns are separated by commas)")
                        }
                        _ => anyhow!("{message}"),
                    })?;
                }
                Ok(())
            }
            Target::Links { owner, target, .. } => {
                let is_known = |name: &String| name == owner || name == target || name == "id";
                if head.iter().all(is_known) && head.contains(owner) && head.contains(target) {
                    Ok(())
                } else {
                    bail!("expected the columns {owner} and {target}")
                }
            }
        }
    }

    fn row(&self, schema: &Schema, cells: Vec<(String, Cell)>) -> Result<Fields, String> {
        match self {
            Target::Rows(id) => {
                let table = schema.table(*id);
                cells
                    .into_iter()
                    .filter_map(|(name, cell)| table_field(schema, table, name, cell).transpose())
                    .collect()
            }
            Target::Links { table, relation, owner, target } => {
                let table = schema.table(*table);
                let other = table.relation_named(relation).map_or(table.id, |relation| relation.target);
                let mut fields = Fields::new();
                for (name, cell) in cells {
                    // A link has no key of its own; a file made from a table of links may have one.
                    let key = match &name {
                        name if name == owner => schema.key_type(table.id),
                        name if name == target => schema.key_type(other),
                        name if name == "id" => continue,
                        _ => return Err(format!("{name}: expected the columns {owner} and {target}")),
                    };
                    let raw = raw(cell, key).map_err(|message| format!("{name}: {message}"))?;
                    fields.push((name, raw.ok_or("both sides of a link are required")?));
                }
                if fields.len() == 2 {
                    Ok(fields)
                } else {
                    Err(format!("expected the columns {owner} and {target}"))
                }
            }
        }
    }

    /// The operation for some rows, and for each row its place in it.
    fn operation(
        &self,
        schema: &Schema,
        rows: &[(u64, Fields)],
        existing: &HashSet<String>,
    ) -> (Operation, Vec<Place>) {
        let mut parts: Vec<Part> = Vec::new();
        let mut places = Vec::with_capacity(rows.len());
        let table = match self {
            Target::Rows(id) => {
                let table = schema.table(*id);
                for (index, (_, fields)) in rows.iter().enumerate() {
                    places.push((index, None));
                    parts.push(row_part(&table.name, index, fields, existing));
                }
                table
            }
            Target::Links { table, relation, owner, target } => {
                let table = schema.table(*table);
                let mut of_owner: BTreeMap<String, usize> = BTreeMap::new();
                for (_, fields) in rows {
                    let value = |name: &str| {
                        fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.clone())
                    };
                    let (Some(from), Some(to)) = (value(owner), value(target)) else { continue };
                    let index = *of_owner.entry(from.get().to_owned()).or_insert_with(|| {
                        let index = parts.len();
                        parts.push(link_part(&table.name, index, relation, from));
                        index
                    });
                    places.push((index, Some(add_link(&mut parts[index], to))));
                }
                table
            }
        };
        let entry = Entry { table: table.name.clone(), parts };
        let documents = vec![Document { entries: vec![entry] }];
        (Operation { documents, ..Operation::default() }, places)
    }
}

fn row_part(table: &str, index: usize, fields: &Fields, existing: &HashSet<String>) -> Part {
    let path = format!("/{table}/{index}");
    let key = fields.iter().find(|(name, _)| name == "id").map(|(_, value)| value);
    let is_there = key.is_some_and(|key| existing.contains(key.get()));
    let field = |(name, value): &(String, Raw)| (name.clone(), as_field(value.clone()));
    let mut part = Part { path, get: Some(Vec::new()), ..Part::default() };
    if is_there {
        part.fields = fields.iter().filter(|(name, _)| name == "id").map(field).collect();
        part.set = Some(fields.iter().filter(|(name, _)| name != "id").map(field).collect());
    } else {
        part.fields = fields.iter().map(field).collect();
        part.create = true;
    }
    part
}

fn link_part(table: &str, index: usize, relation: &str, owner: Raw) -> Part {
    let path = format!("/{table}/{index}");
    // Without `get` only what was added is answered, not all that the relation holds.
    let links = Part { path: format!("{path}/{relation}"), keywords: vec!["add"], ..Part::default() };
    let text = Raw::new("null");
    Part {
        path,
        fields: vec![
            ("id".to_owned(), Field::Scalar(owner)),
            (relation.to_owned(), Field::Object(text, Ok(Box::new(links)))),
        ],
        get: Some(Vec::new()),
        ..Part::default()
    }
}

/// Adds a link to those of its owner; says which of them it is.
fn add_link(part: &mut Part, target: Raw) -> usize {
    let Some((_, Field::Object(_, Ok(links)))) = part.fields.last_mut() else { return 0 };
    let index = links.add.len();
    let path = format!("{}/add/{index}", links.path);
    links.add.push(Part {
        path,
        fields: vec![("id".to_owned(), Field::Scalar(target))],
        get: Some(Vec::new()),
        ..Part::default()
    });
    index
}

/// A raw value in the form that parts have.
fn as_field(raw: Raw) -> Field {
    match raw.get().as_bytes().first() {
        Some(b'[') => {
            let items: Vec<&serde_json::value::RawValue> =
                serde_json::from_str(raw.get()).unwrap_or_default();
            let items = items.into_iter().map(|item| as_field(Raw::new(item.get()))).collect();
            Field::Array(raw, items)
        }
        Some(b'{') => Field::Object(raw, Ok(Box::default())),
        _ => Field::Scalar(raw),
    }
}

/// A cell as raw JSON for its column; `None`: left to the column's default.
fn table_field(
    schema: &Schema,
    table: &Table,
    name: String,
    cell: Cell,
) -> Result<Option<(String, Raw)>, String> {
    let column = column(table, &name)?;
    if is_stamp(column) {
        return Ok(None);
    }
    let raw = raw(cell, schema.storage_type(&column.ty)).map_err(|message| format!("{name}: {message}"))?;
    Ok(match raw {
        Some(raw) => Some((name, raw)),
        None if column.default.is_some() || column.id == ColumnId::ID => None,
        None => Some((name, Raw::new("null"))),
    })
}

/// A column by its name in a file.
fn column<'t>(table: &'t Table, name: &str) -> Result<&'t Column, String> {
    table.column_named(name).ok_or_else(|| {
        let known = table.columns.iter().map(|column| &*column.name);
        let nearest = mainstay_lang::suggest::nearest(name.trim(), known);
        let suggestion = nearest.map(|nearest| format!("; did you mean {nearest}?")).unwrap_or_default();
        format!("{name}: no such column{suggestion}")
    })
}

/// `created` and `updated` are the server's own, so an export can be imported again.
fn is_stamp(column: &Column) -> bool {
    column.id == ColumnId::CREATED || column.id == ColumnId::UPDATED
}

/// A cell's JSON; `None`: empty.
fn raw(cell: Cell, ty: &Type) -> Result<Option<Raw>, String> {
    match cell {
        Cell::Json(raw) if raw.get() == "null" => Ok(None),
        // Keys are compared as texts, and a UUID may be written in several ways.
        Cell::Json(raw) if *ty == Type::Uuid => match Value::from_json(raw.get(), ty) {
            Ok(key) => Ok(Some(Raw::new(key.to_json()))),
            Err(error) => Err(error.to_string()),
        },
        Cell::Json(raw) => Ok(Some(raw)),
        Cell::Text(text) if text.is_empty() => Ok(None),
        Cell::Text(text) => {
            let value = Value::parse_text(&text, ty).map_err(|error| error.to_string())?;
            let mut json = Vec::new();
            value.write_json(&mut json);
            let json = String::from_utf8(json).map_err(|error| error.to_string())?;
            Ok(Some(Raw::new(json)))
        }
    }
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
