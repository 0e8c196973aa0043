//! The answers to [`super::statements`] put together.
//!
//! A row that has not the form that was asked for would be a fault of a dialect; it is read as far as it goes.

use std::collections::BTreeMap;

use mainstay_lang::value::Value;

use super::{
    Catalogue, FoundCheck, FoundColumn, FoundEnum, FoundIndex, FoundReference, FoundTable, FoundView,
    ReferenceAction, TableKind,
};
use crate::ddl::IndexColumn;
use crate::scan;

/// A row of an answer.
struct Row(Vec<Value>);

impl Row {
    fn maybe(&self, at: usize) -> Option<String> {
        match self.0.get(at) {
            Some(Value::Text(text)) => Some(text.clone()),
            _ => None,
        }
    }

    fn text(&self, at: usize) -> String {
        self.maybe(at).unwrap_or_default()
    }

    fn flag(&self, at: usize) -> bool {
        self.0.get(at) == Some(&Value::Bool(true))
    }
}

/// The database as the results of [`super::statements`] tell it.
pub fn read(results: Vec<Vec<Vec<Value>>>) -> Catalogue {
    let mut results = results.into_iter().map(|rows| rows.into_iter().map(Row).collect::<Vec<_>>());
    let mut next = || results.next().unwrap_or_default();
    let mut found = Catalogue::default();
    let mut tables: BTreeMap<String, FoundTable> = BTreeMap::new();
    for row in next() {
        relation(&row, &mut found, &mut tables);
    }
    let mut each = |rows: Vec<Row>, put: &dyn Fn(&mut FoundTable, &Row)| {
        for row in rows {
            if let Some(table) = tables.get_mut(&row.text(0)) {
                put(table, &row);
            }
        }
    };
    each(next(), &|table, row| table.columns.push(column(row)));
    each(next(), &|table, row| table.key.push(row.text(1)));
    each(next(), &reference);
    each(next(), &index);
    each(next(), &|table, row| table.checks.push(FoundCheck { name: row.text(1), text: row.text(2) }));
    each(next(), &|table, row| table.triggers.push(row.text(1)));
    for row in next() {
        let (name, value) = (row.text(0), row.text(1));
        match found.enums.last_mut().filter(|last| last.name == name) {
            Some(known) => known.values.push(value),
            None => found.enums.push(FoundEnum { name, values: vec![value] }),
        }
    }
    found.has_setup = !next().is_empty();
    lead_to_keys(&mut tables);
    found.tables = tables.into_values().collect();
    found
}

fn relation(row: &Row, found: &mut Catalogue, tables: &mut BTreeMap<String, FoundTable>) {
    let (name, kind) = (row.text(0), row.text(1));
    let kind = match kind.as_str() {
        "view" | "materialized" => {
            let view = FoundView { name, materialized: kind == "materialized", definition: row.text(3) };
            found.views.push(view);
            return;
        }
        "partitioned" => TableKind::Partitioned,
        "partition" => TableKind::Partition,
        "foreign" => TableKind::Foreign,
        _ => TableKind::Plain,
    };
    // Where a database keeps the text of a table, it tells of its checks nowhere else.
    let checks = row.maybe(3).map(|definition| scan::checks(&definition)).unwrap_or_default();
    let checks = checks.into_iter().map(|text| FoundCheck { name: String::new(), text }).collect();
    let table =
        FoundTable { name: name.clone(), kind, comment: row.maybe(2), checks, ..FoundTable::default() };
    tables.insert(name, table);
}

fn column(row: &Row) -> FoundColumn {
    FoundColumn {
        name: row.text(1),
        type_name: row.text(2),
        base_type: row.maybe(3),
        nullable: row.flag(4),
        default: row.maybe(5),
        identity: row.flag(6),
        generated: row.flag(7),
        comment: row.maybe(8),
    }
}

fn reference(table: &mut FoundTable, row: &Row) {
    let name = row.text(1);
    if table.references.last().is_none_or(|last| last.name != name) {
        table.references.push(FoundReference {
            name,
            table: row.text(3),
            on_delete: action(&row.text(5)),
            on_update: action(&row.text(6)),
            validated: row.flag(7),
            ..FoundReference::default()
        });
    }
    let last = table.references.last_mut().expect("one was put there when it was missing");
    last.columns.push(row.text(2));
    last.target_columns.extend(row.maybe(4));
}

fn action(text: &str) -> ReferenceAction {
    match text {
        "CASCADE" => ReferenceAction::Cascade,
        "SET NULL" => ReferenceAction::SetNull,
        "SET DEFAULT" => ReferenceAction::SetDefault,
        _ => ReferenceAction::Restrict,
    }
}

/// A reference that names no columns leads to the key of its table.
fn lead_to_keys(tables: &mut BTreeMap<String, FoundTable>) {
    let keys: BTreeMap<String, Vec<String>> =
        tables.iter().map(|(name, table)| (name.clone(), table.key.clone())).collect();
    for reference in tables.values_mut().flat_map(|table| &mut table.references) {
        if reference.target_columns.is_empty() {
            reference.target_columns = keys.get(&reference.table).cloned().unwrap_or_default();
        }
    }
}

fn index(table: &mut FoundTable, row: &Row) {
    let name = row.text(1);
    if table.indexes.last().is_none_or(|last| last.name != name) {
        table.indexes.push(FoundIndex {
            name,
            unique: row.flag(2),
            constraint: row.flag(3),
            is_partial: row.flag(4),
            is_valid: row.flag(5),
            ..FoundIndex::default()
        });
    }
    let last = table.indexes.last_mut().expect("one was put there when it was missing");
    match row.maybe(6) {
        Some(name) => last.columns.push(IndexColumn { name, descending: row.flag(7) }),
        None => last.has_expressions = true,
    }
}
