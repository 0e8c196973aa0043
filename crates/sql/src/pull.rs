//! A database that others made as the text of a `.stay` file.
//!
//! Pure: what the database holds goes in, with answers to the [`questions`] that only its rows can answer; a text and notes come out. What the
//! language has no words for stands in the notes, and beside its table in the text: nothing is left out in silence. What is written serves the
//! database as it is; see [`crate::forms`].

mod default;
mod names;
mod relations;
mod write;

use std::collections::BTreeMap;

use mainstay_lang::schema::Schema;
use mainstay_lang::types::Type;

use crate::catalogue::{Catalogue, FoundColumn, FoundTable, TableKind};
use crate::dialect::Dialect;
use crate::forms::Kept;
use crate::statement::{ResultShape, Statement};
use crate::system;
use crate::writer::Writer;

use names::Names;

/// A type that a column may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The type.
    pub ty: Type,
    /// Whether the column's values have to be looked at first.
    pub is_tried: bool,
    /// What is to be said when it is taken, behind the column's name.
    pub words: Option<String>,
}

impl Candidate {
    pub(crate) fn sure(ty: Type) -> Candidate {
        Candidate { ty, is_tried: false, words: None }
    }

    pub(crate) fn tried(ty: Type) -> Candidate {
        Candidate { ty, is_tried: true, words: None }
    }

    pub(crate) fn saying(self, words: String) -> Candidate {
        Candidate { words: Some(words), ..self }
    }
}

/// A column whose type its values have to tell.
#[derive(Clone, Debug)]
pub struct Question {
    /// Table and column in the database.
    pub place: (String, String),
    /// For each candidate in order: a statement that fails when a value is no such one; none: it is taken unseen.
    pub tries: Vec<Option<Statement>>,
}

/// The columns whose values have to be looked at.
pub fn questions(catalogue: &Catalogue, dialect: &dyn Dialect) -> Vec<Question> {
    let schema = Schema::default();
    let mut questions = Vec::new();
    for table in catalogue.tables.iter().filter(|table| is_taken(table)) {
        for column in &table.columns {
            let candidates = dialect.candidates(column, &catalogue.enums);
            if candidates.first().is_none_or(|first| !first.is_tried) {
                continue;
            }
            let tries = candidates.iter().map(|candidate| {
                candidate.is_tried.then(|| attempt(&schema, dialect, table, column, &candidate.ty))
            });
            let place = (table.name.clone(), column.name.clone());
            questions.push(Question { place, tries: tries.collect() });
        }
    }
    questions
}

fn attempt(
    schema: &Schema,
    dialect: &dyn Dialect,
    table: &FoundTable,
    column: &FoundColumn,
    ty: &Type,
) -> Statement {
    let form = dialect.form(Kept { found: column, ty, is_indexed: false, sample: None }).unwrap_or_default();
    let mut w = Writer::new(schema, dialect);
    w.text("SELECT count(");
    match &form.read {
        Some(template) => w.template(template, |w, _| w.identifier(&column.name)),
        None => w.identifier(&column.name),
    }
    w.text(") FROM ");
    w.identifier(&table.name);
    w.finish(ResultShape::Values(vec![Type::Int]))
}

/// Which candidate each question came to; none that is tried fits a column that is missing.
pub type Answers = BTreeMap<(String, String), Option<usize>>;

/// What a database became.
#[derive(Clone, Debug, Default)]
pub struct Pulled {
    /// The `.stay` file, not laid out yet.
    pub text: String,
    /// What is not in it, or not as it is in the database, each in words.
    pub notes: Vec<String>,
    /// How many tables it declares.
    pub tables: usize,
    /// How many many-to-many relations.
    pub links: usize,
}

/// A table on its way into the file.
#[derive(Debug)]
pub(crate) struct Table<'c> {
    pub(crate) found: &'c FoundTable,
    /// Its name in the language.
    pub(crate) name: String,
    pub(crate) key: Key,
    /// The columns that have a type.
    pub(crate) columns: Vec<Column<'c>>,
    pub(crate) relations: Vec<relations::Many>,
    pub(crate) names: Names,
    /// What is to be said about it.
    pub(crate) notes: Vec<String>,
}

/// A column on its way into the file.
#[derive(Debug)]
pub(crate) struct Column<'c> {
    pub(crate) found: &'c FoundColumn,
    /// Its name in the language.
    pub(crate) name: String,
    pub(crate) ty: Type,
    /// The place of the table that it refers to.
    pub(crate) target: Option<usize>,
}

/// What a row is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// One column.
    One(String),
    /// Several.
    Several(Vec<String>),
}

/// Whether a table's rows can be served at all, its key left aside.
fn is_taken(table: &FoundTable) -> bool {
    matches!(table.kind, TableKind::Plain | TableKind::Partitioned) && !table.name.starts_with('_')
}

/// Makes the file.
pub fn pull(catalogue: &Catalogue, dialect: &dyn Dialect, app: &str, answers: &Answers) -> Pulled {
    let mut notes = Vec::new();
    let mut tables = tables(catalogue, dialect, answers, &mut notes);
    let links = relations::relate(catalogue, dialect, &mut tables, &mut notes);
    beside(catalogue, &tables, &mut notes);
    let mut pulled = Pulled { notes, links, tables: tables.len(), ..Pulled::default() };
    write::write(app, &mut tables, &mut pulled);
    pulled
}

fn tables<'c>(
    catalogue: &'c Catalogue,
    dialect: &dyn Dialect,
    answers: &Answers,
    notes: &mut Vec<String>,
) -> Vec<Table<'c>> {
    let mut taken = Names::default();
    let mut tables = Vec::new();
    for found in &catalogue.tables {
        if !is_taken(found) {
            let is_system = system::TABLES.iter().any(|table| table.name == found.name);
            let words = match found.kind {
                _ if is_system => continue,
                TableKind::Partition => "is a part of another table, through which its rows are served",
                TableKind::Foreign => "is a foreign or virtual table",
                _ => "has a name that begins with _, which Mainstay keeps for itself",
            };
            notes.push(format!("the table {} is left out: it {words}", found.name));
            continue;
        }
        let mut own = Vec::new();
        let columns = columns(found, catalogue, dialect, answers, &mut own);
        match key(found, &columns) {
            Ok(key) => {
                let name = taken.table(&found.name);
                let columns = columns.into_iter().map(|(found, ty)| Column {
                    found,
                    name: String::new(),
                    ty,
                    target: None,
                });
                tables.push(Table {
                    found,
                    name,
                    key,
                    columns: columns.collect(),
                    relations: Vec::new(),
                    names: Names::default(),
                    notes: own,
                });
            }
            Err(words) => notes.push(format!("the table {} is left out: {words}", found.name)),
        }
    }
    tables
}

/// The columns that have a type, with it.
fn columns<'c>(
    found: &'c FoundTable,
    catalogue: &Catalogue,
    dialect: &dyn Dialect,
    answers: &Answers,
    notes: &mut Vec<String>,
) -> Vec<(&'c FoundColumn, Type)> {
    let mut columns = Vec::new();
    for column in &found.columns {
        let candidates = dialect.candidates(column, &catalogue.enums);
        let asked = answers.get(&(found.name.clone(), column.name.clone()));
        let chosen = asked.map_or(Some(0), |answer| *answer).and_then(|at| candidates.into_iter().nth(at));
        let Some(candidate) = chosen else {
            notes.push(format!(
                "the column {} is left out: it is {} and holds values that no type of the language has",
                column.name,
                if column.type_name.is_empty() { "of no type" } else { &column.type_name }
            ));
            continue;
        };
        if let Some(words) = candidate.words {
            notes.push(format!("the column {} {words}", column.name));
        }
        columns.push((column, candidate.ty));
    }
    columns
}

/// What rows are known by: the primary key, or the first unique index that can stand in its place.
fn key(found: &FoundTable, columns: &[(&FoundColumn, Type)]) -> Result<Key, String> {
    let type_of = |name: &str| columns.iter().find(|(column, _)| column.name == name).map(|(_, ty)| ty);
    let is_key_type =
        |name: &&String| matches!(type_of(name), Some(Type::Int | Type::Uuid | Type::Text { .. }));
    let is_part = |name: &&String| {
        matches!(type_of(name), Some(Type::Int | Type::Uuid | Type::Text { .. } | Type::Date | Type::Enum(_)))
    };
    match found.key.as_slice() {
        [] => {}
        [one] if is_key_type(&one) => return Ok(Key::One(one.clone())),
        [one] if !is_part(&one) => {
            return Err(format!("its key {one} is no whole number, text or uuid"));
        }
        several if several.iter().all(|name| is_part(&name)) => return Ok(Key::Several(several.to_vec())),
        _ => return Err("its key has columns that no key can be put together from".to_owned()),
    }
    let is_required = |name: &str| found.column(name).is_some_and(|column| !column.nullable);
    let mut uniques = found.indexes.iter().filter(|index| index.unique && index.is_plain());
    let stands_in = uniques.find_map(|index| match index.columns.as_slice() {
        [one] if is_required(&one.name) && is_key_type(&&one.name) => Some(Key::One(one.name.clone())),
        _ => None,
    });
    stands_in.ok_or_else(|| "it has no primary key, and nothing else that tells its rows apart".to_owned())
}

/// What is in the database and in none of the tables.
fn beside(catalogue: &Catalogue, tables: &[Table<'_>], notes: &mut Vec<String>) {
    for view in &catalogue.views {
        let what = if view.materialized { "materialized view" } else { "view" };
        notes.push(format!("the {what} {} is left out: a read of its tables takes its place", view.name));
    }
    let is_used = |name: &str| {
        let mut columns = tables.iter().flat_map(|table| &table.columns);
        columns.any(|column| column.found.type_name == name || column.found.type_name == format!("{name}[]"))
    };
    for of in catalogue.enums.iter().filter(|of| !is_used(&of.name)) {
        notes.push(format!("the type {} is left out: no column that is taken has it", of.name));
    }
}
