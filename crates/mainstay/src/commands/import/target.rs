//! What a file's rows are put into, and how its cells become values of that.
//!
//! Texts of cells are read as their columns say; what a column cannot take is told with the column's name. Nothing here
//! asks the database.

use anyhow::{Result, anyhow, bail};
use mainstay_engine::part::Raw;
use mainstay_lang::schema::{Column, ColumnId, RelationKind, Schema, Table, TableId};
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;

use super::read::Cell;

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

/// Columns by name, each with its JSON.
pub(super) type Fields = Vec<(String, Raw)>;

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

    /// A row's cells as the values of its columns.
    pub(super) fn row(&self, schema: &Schema, cells: Vec<(String, Cell)>) -> Result<Fields, String> {
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
    column.stamp.is_some()
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
