//! Reading what a database holds, for [`crate::difference`].
//!
//! Each dialect tells its tables, references and indexes in rows of one form; the declared types, which no database
//! tells, are a fact kept under a name of its own in `_meta`.

use std::collections::BTreeMap;

use mainstay_lang::schema::Schema;
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;

use crate::ddl::IndexColumn;
use crate::dialect::Dialect;
use crate::difference::{Existing, ExistingColumn, ExistingIndex, ExistingTable, declared_types};
use crate::statement::{ResultShape, Statement};
use crate::system;
use crate::writer::Writer;

const TEXT: Type = Type::Text { max: None };

/// Where the declared types are recorded.
const TYPES_KEY: &str = "declared_types";

/// The statements whose results [`read`] takes, in that order.
pub fn statements(dialect: &dyn Dialect) -> Vec<Statement> {
    let [columns, references, indexes, setup] = dialect.existing();
    let statement = |sql: &str, types: &[Type]| Statement {
        sql: sql.into(),
        binds: Vec::new(),
        result: ResultShape::Values(types.to_vec()),
    };
    vec![
        statement(columns, &[TEXT, TEXT, TEXT, Type::Bool, Type::Bool]),
        statement(references, &[TEXT, TEXT, TEXT]),
        statement(indexes, &[TEXT, TEXT, Type::Bool, TEXT, Type::Bool]),
        statement(setup, &[TEXT]),
    ]
}

/// The database as the results of [`statements`] tell it; declared types are read apart.
pub fn read(results: Vec<Vec<Vec<Value>>>) -> Existing {
    let mut tables: BTreeMap<String, ExistingTable> = BTreeMap::new();
    let mut results = results.into_iter();
    for row in results.next().unwrap_or_default() {
        let [
            Value::Text(table),
            Value::Text(name),
            Value::Text(type_name),
            Value::Bool(nullable),
            Value::Bool(key),
        ] = row.as_slice()
        else {
            continue;
        };
        let found = tables
            .entry(table.clone())
            .or_insert_with(|| ExistingTable { name: table.clone(), ..ExistingTable::default() });
        found.columns.push(ExistingColumn {
            name: name.clone(),
            type_name: type_name.clone(),
            nullable: *nullable,
            key: *key,
            references: None,
        });
    }
    for row in results.next().unwrap_or_default() {
        let [Value::Text(table), Value::Text(column), Value::Text(target)] = row.as_slice() else { continue };
        let columns = tables.get_mut(table).into_iter().flat_map(|table| &mut table.columns);
        columns
            .filter(|found| found.name == *column)
            .for_each(|found| found.references = Some(target.clone()));
    }
    for row in results.next().unwrap_or_default() {
        let [
            Value::Text(table),
            Value::Text(index),
            Value::Bool(unique),
            Value::Text(column),
            Value::Bool(descending),
        ] = row.as_slice()
        else {
            continue;
        };
        let Some(table) = tables.get_mut(table) else { continue };
        let column = IndexColumn { name: column.clone(), descending: *descending };
        match table.indexes.iter_mut().find(|found| found.name == *index) {
            Some(found) => found.columns.push(column),
            None => {
                table.indexes.push(ExistingIndex {
                    name: index.clone(),
                    columns: vec![column],
                    unique: *unique,
                });
            }
        }
    }
    let has_setup = results.next().is_some_and(|rows| !rows.is_empty());
    Existing { tables: tables.into_values().collect(), has_setup, declared_types: None }
}

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
