//! Statements on the facts that a database keeps about itself, by name.

use mainstay_lang::schema::Schema;

use super::{META, TEXT};
use crate::dialect::Dialect;
use crate::statement::{Bind, ResultShape, Statement};
use crate::writer::Writer;

/// The value of the fact named `Param(0)`.
pub fn meta_get(schema: &Schema, dialect: &dyn Dialect) -> Statement {
    let mut w = Writer::new(schema, dialect);
    w.text("SELECT \"value\" FROM \"_meta\"");
    w.where_system(&META, META.key);
    w.finish(ResultShape::Values(vec![TEXT]))
}

/// Names and values of the facts whose names are like `Param(0)`.
pub fn meta_like(schema: &Schema, dialect: &dyn Dialect) -> Statement {
    let mut w = Writer::new(schema, dialect);
    w.text("SELECT \"key\", \"value\" FROM \"_meta\" WHERE \"key\" LIKE ");
    w.bind(Bind::Param(0), &TEXT);
    w.finish(ResultShape::Values(vec![TEXT, TEXT]))
}

/// Sets the fact named `Param(0)` to `Param(1)`.
pub fn meta_put(schema: &Schema, dialect: &dyn Dialect) -> Statement {
    let mut w = Writer::new(schema, dialect);
    w.insert_system(&META);
    w.text(" ON CONFLICT (\"key\") DO UPDATE SET \"value\" = excluded.\"value\"");
    w.finish(ResultShape::Nothing)
}

/// [`meta_put`] as one text without binds, for scripts that change tables and remember it in one transaction. Both
/// are the server's own words, never a caller's.
pub fn meta_record(dialect: &dyn Dialect, key: &str, value: &str) -> String {
    meta_text(dialect, key, value, "(\"key\") DO UPDATE SET \"value\" = excluded.\"value\"")
}

/// The same for a fact that stays as it is where it is known already.
pub fn meta_begin(dialect: &dyn Dialect, key: &str, value: &str) -> String {
    meta_text(dialect, key, value, "DO NOTHING")
}

fn meta_text(dialect: &dyn Dialect, key: &str, value: &str, known: &str) -> String {
    let schema = Schema::default();
    let mut w = Writer::new(&schema, dialect);
    w.text("INSERT INTO ");
    w.identifier(META.name);
    w.text(" (\"key\", \"value\") VALUES (");
    w.quoted(key);
    w.text(", ");
    w.quoted(value);
    w.text(") ON CONFLICT ");
    w.text(known);
    w.into_text()
}

/// Forgets a fact, as one text without binds.
pub fn meta_forget(dialect: &dyn Dialect, key: &str) -> String {
    let schema = Schema::default();
    let mut w = Writer::new(&schema, dialect);
    w.text("DELETE FROM ");
    w.identifier(META.name);
    w.text(" WHERE \"key\" = ");
    w.quoted(key);
    w.into_text()
}
