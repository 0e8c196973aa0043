//! Names of a request: found, or refused with the nearest one.
//!
//! For a caller a secret column has no name: it is unknown like any other word, and never offered.

use mainstay_lang::reserved::QUERY_WORDS;
use mainstay_lang::schema::{Column, Member, Schema, Table};
use mainstay_lang::suggest::nearest;

use crate::error::{Error, Key};

/// Names longer than this are not compared with others: that takes quadratic time.
const SUGGESTION_MAX: usize = 64;

/// The table of a name that a caller gave.
///
/// # Errors
/// [`Key::NameUnknown`] at `path`.
pub fn table<'s>(schema: &'s Schema, name: &str, path: &str) -> Result<&'s Table, Error> {
    schema.table_named(name).ok_or_else(|| {
        unknown(
            path,
            "table",
            name,
            "there is no table",
            schema.tables.iter().map(|table| table.name.as_str()),
        )
    })
}

/// The column or relation of a name that a caller gave.
///
/// # Errors
/// [`Key::NameUnknown`] at `path`.
pub fn member(table: &Table, name: &str, path: &str) -> Result<Member, Error> {
    match table.members.get(name) {
        Some(Member::Column(id)) if table.column(*id).secret => Err(unknown_member(table, name, path)),
        Some(member) => Ok(*member),
        None => Err(unknown_member(table, name, path)),
    }
}

/// The column of a name that a caller gave.
///
/// # Errors
/// [`Key::NameUnknown`] at `path` when it is no column, or a to-many relation.
pub fn column<'t>(table: &'t Table, name: &str, path: &str) -> Result<&'t Column, Error> {
    match member(table, name, path)? {
        Member::Column(id) => Ok(table.column(id)),
        Member::Relation(_) => Err(unknown_member(table, name, path)),
    }
}

/// The error for a name that a table does not have.
pub fn unknown_member(table: &Table, name: &str, path: &str) -> Error {
    let columns = table.columns.iter().filter(|column| !column.secret).map(|column| column.name.as_str());
    let relations = table.relations.iter().map(|relation| relation.name.as_str());
    let what = format!("`{}` has no column, relation or keyword", table.name);
    unknown(path, "name", name, &what, columns.chain(relations).chain(QUERY_WORDS.iter().copied()))
}

/// The error for a name that is none of `candidates`.
pub fn unknown<'c>(
    path: &str,
    key: &str,
    name: &str,
    what: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Error {
    let shown: String = name.chars().take(SUGGESTION_MAX).collect();
    let near = (name.len() <= SUGGESTION_MAX).then(|| nearest(name, candidates)).flatten();
    let suggestion = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    Error::at(Key::NameUnknown, path, key, format!("{what} `{shown}`{suggestion}"))
}
