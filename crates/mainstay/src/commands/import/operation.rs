//! Rows as the parts of one operation.
//!
//! A row's part is at `/Table/INDEX` of the document, so that the paths of a refused operation lead back to rows and
//! from there to lines of the file.

use std::collections::{BTreeMap, HashSet};

use mainstay_engine::part::{Document, Entry, Field, Operation, Part, Raw};
use mainstay_lang::schema::Schema;

use super::target::{Fields, Target};

/// Where in an operation a row went: its part, and for a link its place among those of its owner.
pub(super) type Place = (usize, Option<usize>);

impl Target {
    /// The operation for some rows, and for each row its place in it.
    pub(super) fn operation(
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
pub(super) fn as_field(raw: Raw) -> Field {
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
