//! A part taken apart: its constraints alone, and its question alone.
//!
//! Both are parts that only read, so finding rows and answering go the same way as every other read. What is asked of a
//! row is what `get` names, what constrained it, and what was written; secret columns come back on no way.

use mainstay_lang::schema::{Member, Schema, Table};

use super::{nested, nested_writes};
use crate::part::{Field, Get, Part};
use crate::resolve::output::is_asked_into;

/// Keywords that say which rows are meant.
const FINDING: &[&str] = &["params", "required", "where"];

/// The part without what it writes and asks.
pub(super) fn constraint_of(schema: &Schema, table: &Table, part: &Part) -> Part {
    let fields = part.fields.iter().filter_map(|(name, field)| {
        let field = match nested(schema, table, name, field) {
            Some((target, _)) => constraint_field(schema, target, field)?,
            None => field.clone(),
        };
        Some((name.clone(), field))
    });
    Part {
        path: part.path.clone(),
        keywords: part.keywords.iter().copied().filter(|word| FINDING.contains(word)).collect(),
        fields: fields.collect(),
        required: part.required,
        filter: part.filter.clone(),
        params: part.params.clone(),
        ..Part::default()
    }
}

/// Nested parts that make rows, or that do not restrict the rows around them, are no constraint.
fn constraint_field(schema: &Schema, target: &Table, field: &Field) -> Option<Field> {
    match field {
        Field::Object(raw, Ok(part)) if part.required && !part.create => {
            let part = constraint_of(schema, target, part);
            Some(Field::Object(raw.clone(), Ok(Box::new(part))))
        }
        Field::Object(_, Ok(_)) => None,
        Field::Array(raw, items) => {
            let kept: Vec<Field> =
                items.iter().filter_map(|item| constraint_field(schema, target, item)).collect();
            (!kept.is_empty() || items.is_empty()).then(|| Field::Array(raw.clone(), kept))
        }
        other => Some(other.clone()),
    }
}

/// Whether `add` and `remove` stand beside `get`: then the relation shows what it holds afterwards, not what was added.
pub(super) fn asks_beside_change(field: &Field) -> bool {
    let is_change = |part: &&Part| part.keywords.iter().any(|word| matches!(*word, "add" | "remove"));
    field.part().ok().flatten().filter(is_change).is_some_and(|part| part.get.is_some())
}

/// What the answer shows of a row that the part makes.
pub(super) fn of_created(schema: &Schema, table: &Table, part: &Part) -> Part {
    let named = part.fields.iter().map(|(name, _)| name);
    shown(schema, table, part, named.collect(), Vec::new())
}

/// What the answer shows of rows that the part finds.
pub(super) fn of_found(schema: &Schema, table: &Table, part: &Part) -> Part {
    let set = part.set.iter().flatten().map(|(name, _)| name);
    let named = part.fields.iter().map(|(name, _)| name).chain(set);
    let reads = part.fields.iter().filter(|(name, field)| {
        nested(schema, table, name, field).is_some()
            && (!nested_writes(schema, table, name, field) || asks_beside_change(field))
    });
    let reads = reads.map(|(name, field)| (name.clone(), field_of_read(field))).collect();
    shown(schema, table, part, named.collect(), reads)
}

/// Nested constraints choose what is shown under a row, not any more whether the row is.
fn field_of_read(field: &Field) -> Field {
    match field {
        Field::Object(raw, Ok(part)) => {
            let mut part = part.clone();
            part.required = false;
            part.add.clear();
            part.remove.clear();
            part.keywords.retain(|word| !matches!(*word, "required" | "add" | "remove"));
            Field::Object(raw.clone(), Ok(part))
        }
        Field::Array(raw, items) => Field::Array(raw.clone(), items.iter().map(field_of_read).collect()),
        other => other.clone(),
    }
}

fn shown(
    schema: &Schema,
    table: &Table,
    part: &Part,
    named: Vec<&String>,
    reads: Vec<(String, Field)>,
) -> Part {
    let is_plain = |name: &str| match table.members.get(name) {
        Some(Member::Column(id)) => !table.column(*id).secret,
        _ => false,
    };
    // What a nested part answers stands under its name already, unless `get` says itself what to show there.
    let is_nested = |name: &str| {
        let is_relation = matches!(table.members.get(name), Some(Member::Relation(_)));
        let mut fields = part.fields.iter().filter(|(field_name, _)| field_name == name);
        fields.any(|(_, field)| is_relation || nested(schema, table, name, field).is_some())
    };
    // `*` names every column that stands there in no other way.
    let columns = || {
        let plain = table.columns.iter().filter(|column| !column.secret && !column.hidden);
        let plain = plain.filter(|column| !is_nested(&column.name) && !is_asked_into(part, &column.name));
        plain.map(|column| Get::Member(column.name.clone(), Vec::new())).collect()
    };
    let mut get: Vec<Get> = Vec::new();
    let asked = part.get.iter().flatten().flat_map(|item| match item {
        Get::All if part.fields.iter().any(|(name, _)| is_nested(name)) => columns(),
        item => vec![item.clone()],
    });
    let named = named.into_iter().filter(|name| is_plain(name) && !is_asked_into(part, name));
    let named = named.map(|name| Get::Member(name.clone(), Vec::new()));
    for item in named.chain(asked) {
        let is_doubled = matches!(&item, Get::Member(name, members) if members.is_empty() && is_nested(name))
            || get.contains(&item);
        if !is_doubled {
            get.push(item);
        }
    }
    Part { path: part.path.clone(), keywords: vec!["get"], fields: reads, get: Some(get), ..Part::default() }
}
