//! Statements on the ledger, and on the recorded schema beside it. They stand in scripts with the steps that they tell of, so they
//! are texts without binds, of the server's own words.

use mainstay_lang::expr::Clock;
use mainstay_lang::schema::Schema;
use mainstay_lang::value::Value;

use super::file::File;
use crate::dialect::Dialect;
use crate::model::Model;
use crate::statement::{ResultShape, Statement};
use crate::system;
use crate::writer::Writer;

/// Where the recorded schema is kept in `_meta`.
const SCHEMA_KEY: &str = "schema";

/// Where earlier releases kept the types of columns.
const TYPES_KEY: &str = "declared_types";

/// A line of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The file's number.
    pub number: i64,
    /// Its name behind the number.
    pub name: String,
    /// The step, from 1; 0: the file was taken as done.
    pub step: i64,
    /// How many steps the file had.
    pub steps: i64,
    /// The file's checksum when the step was run.
    pub checksum: String,
    /// What the step does.
    pub words: String,
    /// When it was begun.
    pub started: String,
    /// When it was done; none: it is not.
    pub finished: Option<String>,
}

/// Reads the whole ledger in its order; only where the system's tables are there.
pub fn entries(dialect: &dyn Dialect) -> Statement {
    let schema = Schema::default();
    let mut w = Writer::new(&schema, dialect);
    w.text("SELECT ");
    w.separated(", ", &system::MIGRATION.columns[1..], |w, column| w.identifier(column.name));
    w.text(" FROM ");
    w.identifier(system::MIGRATION.name);
    w.text(" WHERE \"database\" = ");
    w.quoted(dialect.kind());
    w.text(" ORDER BY \"number\", \"name\", \"step\"");
    let types = system::MIGRATION.columns[1..].iter().map(|column| column.ty.clone());
    w.finish(ResultShape::Values(types.collect()))
}

impl Entry {
    /// A row of [`entries`].
    pub fn read(row: &[Value]) -> Option<Entry> {
        let [
            Value::Int(number),
            Value::Text(name),
            Value::Int(step),
            Value::Int(steps),
            Value::Text(checksum),
            Value::Text(words),
            started,
            finished,
        ] = row
        else {
            return None;
        };
        Some(Entry {
            number: *number,
            name: name.clone(),
            step: *step,
            steps: *steps,
            checksum: checksum.clone(),
            words: words.clone(),
            started: started.to_string(),
            finished: (!finished.is_null()).then(|| finished.to_string()),
        })
    }
}

/// Notes that a step was begun, or done. `step` counts from 1.
pub fn note(dialect: &dyn Dialect, file: &File, step: usize, is_done: bool) -> String {
    let words = step.checked_sub(1).and_then(|index| file.steps.get(index)).map(|step| step.words.as_str());
    write(dialect, |w| {
        w.text("INSERT INTO ");
        w.identifier(system::MIGRATION.name);
        w.text(" (");
        w.separated(", ", system::MIGRATION.columns, |w, column| w.identifier(column.name));
        w.text(") VALUES (");
        w.quoted(dialect.kind());
        w.text(", ");
        w.number(file.number);
        w.text(", ");
        w.quoted(&file.name);
        w.text(", ");
        w.number(step);
        w.text(", ");
        w.number(file.steps.len());
        w.text(", ");
        w.quoted(&file.checksum);
        w.text(", ");
        w.quoted(words.unwrap_or("taken as done: the database was as this migration leaves it"));
        w.text(", ");
        w.text(dialect.clock(Clock::Now));
        w.text(", ");
        w.text(if is_done { dialect.clock(Clock::Now) } else { "NULL" });
        w.text(") ON CONFLICT (\"database\", \"number\", \"name\", \"step\") DO UPDATE SET ");
        let taken: &[&str] =
            if is_done { &["finished", "checksum", "steps"] } else { &["started", "checksum", "steps"] };
        w.separated(", ", taken, |w, name| {
            w.identifier(name);
            w.text(" = excluded.");
            w.identifier(name);
        });
    })
}

/// Gives a file's lines the number that it has now.
pub fn renumber(dialect: &dyn Dialect, file: &File, number: i64) -> String {
    write(dialect, |w| {
        w.text("UPDATE ");
        w.identifier(system::MIGRATION.name);
        w.text(" SET \"number\" = ");
        w.number(file.number);
        w.text(" WHERE \"database\" = ");
        w.quoted(dialect.kind());
        w.text(" AND \"number\" = ");
        w.number(number);
        w.text(" AND \"name\" = ");
        w.quoted(&file.name);
    })
}

/// Records a schema, as what the database holds from now on.
pub fn record(dialect: &dyn Dialect, model: &Model) -> String {
    system::meta_record(dialect, SCHEMA_KEY, &model.to_string())
}

/// Reads what was recorded, by this release and by an earlier one: name and value of each. Only where the system's tables are
/// there.
pub fn records(dialect: &dyn Dialect) -> Statement {
    let schema = Schema::default();
    let mut w = Writer::new(&schema, dialect);
    w.text("SELECT \"key\", \"value\" FROM ");
    w.identifier(system::META.name);
    w.text(" WHERE \"key\" IN (");
    w.separated(", ", [SCHEMA_KEY, TYPES_KEY], |w, key| w.quoted(key));
    w.text(")");
    let text = mainstay_lang::types::Type::Text { max: None };
    w.finish(ResultShape::Values(vec![text.clone(), text]))
}

/// What [`records`] read: of this release, and of an earlier one.
pub fn read_records(rows: &[Vec<Value>]) -> [Option<String>; 2] {
    [SCHEMA_KEY, TYPES_KEY].map(|wanted| {
        rows.iter().find_map(|row| match &row[..] {
            [Value::Text(key), Value::Text(value)] if key == wanted => Some(value.clone()),
            _ => None,
        })
    })
}

fn write(dialect: &dyn Dialect, write: impl FnOnce(&mut Writer<'_>)) -> String {
    let schema = Schema::default();
    let mut w = Writer::new(&schema, dialect);
    write(&mut w);
    w.into_text()
}
