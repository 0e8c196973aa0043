//! Foreign keys as relations, both ways; tables that only stand between two others as many-to-many.
//!
//! Columns get their names here too, because one that refers to a row is called after the row. What a foreign key does that no relation does
//! is noted.

use mainstay_lang::types::Type;

use super::names::{Names, plural, without_key};
use super::{Column, Key, Table};
use crate::catalogue::{Catalogue, FoundReference, FoundTable, ReferenceAction};
use crate::dialect::Dialect;
use crate::forms::{Form, Kept};

/// A to-many relation on its way into the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Many {
    pub(crate) name: String,
    /// The name of the other table.
    pub(crate) target: String,
    /// What it is the other side of; none: it is declared here.
    pub(crate) by: Option<String>,
    /// The table between and its two columns, where it is declared here.
    pub(crate) link: Option<(String, [String; 2])>,
}

/// Names all columns and relates all tables; answers how many tables became relations.
pub(super) fn relate(
    catalogue: &Catalogue,
    dialect: &dyn Dialect,
    tables: &mut Vec<Table<'_>>,
    notes: &mut Vec<String>,
) -> usize {
    let between: Vec<usize> =
        (0..tables.len()).filter(|at| is_between(catalogue, dialect, tables, &tables[*at])).collect();
    let links: Vec<(&FoundTable, [FoundReference; 2], Vec<String>)> = between
        .iter()
        .map(|at| {
            let table = &tables[*at];
            let side = |name: &String| table.found.reference(name).cloned().unwrap_or_default();
            let keys = &table.found.key;
            (table.found, [side(&keys[0]), side(&keys[1])], table.notes.clone())
        })
        .collect();
    let mut at = 0;
    tables.retain(|_| {
        at += 1;
        !between.contains(&(at - 1))
    });
    for at in 0..tables.len() {
        name_columns(tables, at);
    }
    for at in 0..tables.len() {
        reverse(tables, at);
    }
    for (found, sides, own) in &links {
        link(tables, found, sides, notes);
        notes.extend(own.iter().map(|note| format!("{}: {note}", found.name)));
    }
    links.len()
}

fn place(tables: &[Table<'_>], db_name: &str) -> Option<usize> {
    tables.iter().position(|table| table.found.name == db_name)
}

/// The table that a foreign key of one column leads to the key of.
fn target(tables: &[Table<'_>], reference: &FoundReference) -> Option<usize> {
    let at = place(tables, &reference.table)?;
    let [_] = reference.columns.as_slice() else { return None };
    match (&tables[at].key, reference.target_columns.as_slice()) {
        (Key::One(key), [column]) if key == column => Some(at),
        _ => None,
    }
}

/// Whether a table says nothing but which rows of two others belong together.
fn is_between(catalogue: &Catalogue, dialect: &dyn Dialect, tables: &[Table<'_>], table: &Table<'_>) -> bool {
    let found = table.found;
    let [one, other] = found.key.as_slice() else { return false };
    let leads = |name: &String| {
        let reference = found.reference(name);
        let bare = found.column(name).is_some_and(|column| {
            let ty = table.columns.iter().find(|known| known.found.name == *name).map(|known| &known.ty);
            let form =
                ty.and_then(|ty| dialect.form(Kept { found: column, ty, is_indexed: true, sample: None }));
            form.is_some_and(|form| form == Form::default() || dialect.is_bare_key(&form))
        });
        bare && reference.is_some_and(|reference| target(tables, reference).is_some())
    };
    // When it was linked is all that may stand beside, as long as the database writes it by itself.
    let is_stamp = |column: &Column<'_>| {
        column.found.name == *one
            || column.found.name == *other
            || (column.ty == Type::Timestamp && column.found.default.is_some())
    };
    let is_referred = catalogue
        .tables
        .iter()
        .any(|other| other.references.iter().any(|reference| reference.table == found.name));
    found.references.len() == 2
        && leads(one)
        && leads(other)
        && table.columns.len() == found.columns.len()
        && table.columns.iter().all(is_stamp)
        && !is_referred
}

fn name_columns(tables: &mut [Table<'_>], at: usize) {
    let found = tables[at].found;
    let mut notes = Vec::new();
    let mut names = Names::default();
    ["id", "created", "updated", "tenant"].iter().for_each(|name| names.keep(name));
    let mut targets = Vec::new();
    for reference in &found.references {
        note_reference(reference, &mut notes);
        match target(tables, reference) {
            Some(target) if tables[at].key != Key::One(reference.columns[0].clone()) => {
                targets.push((reference.columns[0].clone(), target));
            }
            Some(_) => notes.push(format!(
                "its key is also a reference to {}, which a key cannot be: the reference is the database's alone",
                reference.table
            )),
            None => notes.push(format!(
                "the foreign key ({}) to {} ({}) is the database's alone: {}",
                reference.columns.join(", "),
                reference.table,
                reference.target_columns.join(", "),
                match place(tables, &reference.table) {
                    None => "that table is not among those that are served",
                    Some(_) if reference.columns.len() > 1 => "a relation has one column",
                    Some(_) => "it does not lead to the table's key",
                }
            )),
        }
    }
    let key = tables[at].key.clone();
    let is_key = |name: &str| matches!(&key, Key::One(one) if one == name);
    // Plain columns first: one that refers gives way to one that is called like its row.
    let mut order: Vec<usize> = (0..tables[at].columns.len()).collect();
    let refers = |name: &str| targets.iter().any(|(column, _)| column == name);
    order.sort_by_key(|index| refers(&tables[at].columns[*index].found.name));
    let stamps = stamps(&tables[at]);
    for index in order {
        let column = &mut tables[at].columns[index];
        let db_name = column.found.name.clone();
        if is_key(&db_name) {
            column.name = "id".to_owned();
        } else if let Some((_, stamp)) = stamps.iter().find(|(name, _)| *name == db_name) {
            column.name = (*stamp).to_owned();
        } else if let Some((_, target)) = targets.iter().find(|(name, _)| *name == db_name) {
            column.target = Some(*target);
            let row = without_key(&db_name);
            column.name = names.member(if names.is_taken(&row) { &db_name } else { &row });
        } else {
            column.name = names.member(&db_name);
        }
    }
    tables[at].names = names;
    tables[at].notes.extend(notes);
}

/// The columns that are `created` and `updated` by their names, and hold every instant that the server may write.
fn stamps(table: &Table<'_>) -> Vec<(String, &'static str)> {
    let fits = |column: &Column<'_>| {
        column.ty == Type::Timestamp
            && !column.found.nullable
            && !column.found.generated
            && column.found.type_name.starts_with("timestamp with")
    };
    let named = |names: &[&str]| {
        let column = table
            .columns
            .iter()
            .find(|column| fits(column) && names.contains(&column.found.name.to_ascii_lowercase().as_str()));
        column.map(|column| column.found.name.clone())
    };
    let created = named(&["created", "created_at", "createdat", "created_on"]);
    let updated = named(&["updated", "updated_at", "updatedat", "updated_on", "modified_at"]);
    created.map(|name| (name, "created")).into_iter().chain(updated.map(|name| (name, "updated"))).collect()
}

fn note_reference(reference: &FoundReference, notes: &mut Vec<String>) {
    let columns = reference.columns.join(", ");
    if reference.on_delete == ReferenceAction::SetDefault {
        notes.push(format!(
            "({columns}): `on delete set default` has no word here, so a deletion is refused instead"
        ));
    }
    if reference.on_update != ReferenceAction::Restrict {
        notes.push(format!(
            "({columns}): what happens `on update` stays with the database; no key is changed from here"
        ));
    }
    if !reference.validated {
        notes.push(format!(
            "({columns}): not all rows were checked against the foreign key; one may lead nowhere"
        ));
    }
}

/// Relations of other tables' rows that refer to a table's.
fn reverse(tables: &mut [Table<'_>], of: usize) {
    let referring: Vec<(usize, String)> =
        tables[of].columns.iter().filter_map(|column| Some((column.target?, column.name.clone()))).collect();
    for (target, by) in &referring {
        let several = referring.iter().filter(|(other, _)| other == target).count() > 1;
        let own = plural(&mainstay_lang::naming::to_snake_case(&tables[of].name));
        let wanted = if several { format!("{own}_by_{by}") } else { own };
        let name = tables[*target].names.member(&wanted);
        let many = Many { name, target: tables[of].name.clone(), by: Some(by.clone()), link: None };
        tables[*target].relations.push(many);
    }
}

fn link(
    tables: &mut [Table<'_>],
    found: &FoundTable,
    [one, other]: &[FoundReference; 2],
    notes: &mut Vec<String>,
) {
    let (Some(owner), Some(target)) = (place(tables, &one.table), place(tables, &other.table)) else {
        return;
    };
    let wanted = plural(&without_key(&other.columns[0]));
    let name = tables[owner].names.member(&wanted);
    let target_name = tables[target].name.clone();
    let columns = [one.columns[0].clone(), other.columns[0].clone()];
    tables[owner].relations.push(Many {
        name: name.clone(),
        target: target_name,
        by: None,
        link: Some((found.name.clone(), columns)),
    });
    let owner_name = tables[owner].name.clone();
    let back = plural(&without_key(&one.columns[0]));
    let back_name = tables[target].names.member(&back);
    tables[target].relations.push(Many {
        name: back_name,
        target: owner_name,
        by: Some(name.clone()),
        link: None,
    });
    let keys = [&one.columns[0], &other.columns[0]];
    for column in found.columns.iter().filter(|column| !keys.contains(&&column.name)) {
        notes.push(format!(
            "{} became the relation {}.{name}, whose links have no columns: {} keeps what the database gives it",
            found.name, tables[owner].name, column.name
        ));
    }
    for trigger in &found.triggers {
        notes.push(format!("{}: the trigger {trigger} goes on as ever", found.name));
    }
    for check in &found.checks {
        notes.push(format!("{}: the condition {} stays with the database", found.name, check.text));
    }
}
