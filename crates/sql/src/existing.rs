//! What was recorded of a database beside what it holds: the declared types, which no database tells, kept under a name of
//! their own in `_meta`.

use mainstay_lang::schema::Schema;
use mainstay_lang::types::Type;

use crate::dialect::Dialect;
use crate::difference::declared_types;
use crate::statement::{ResultShape, Statement};
use crate::system;
use crate::writer::Writer;

const TEXT: Type = Type::Text { max: None };

/// Where the declared types are recorded.
const TYPES_KEY: &str = "declared_types";

/// Reads what [`record_types`] recorded; only where the system's tables are there.
pub fn recorded_types(dialect: &dyn Dialect) -> Statement {
    let schema = Schema::default();
    let mut w = Writer::new(&schema, dialect);
    w.text("SELECT \"value\" FROM ");
    w.identifier(system::META.name);
    w.text(" WHERE \"key\" = ");
    w.quoted(TYPES_KEY);
    w.finish(ResultShape::Values(vec![TEXT]))
}

/// Records the declared types, as the last statement of those that bring a database in step.
pub fn record_types(schema: &Schema, dialect: &dyn Dialect) -> String {
    system::meta_record(dialect, TYPES_KEY, &declared_types(schema))
}
