//! A plan that makes what a database holds already: the first migration of one that was made without any.
//!
//! Made of the model alone, for the schema that the database was made for may be nobody's any more.

use mainstay_lang::schema::Schema;
use mainstay_lang::value::Value;

use super::{Change, Effect, Plan, Step};
use crate::ddl::IndexPlan;
use crate::dialect::{ColumnRole, Dialect};
use crate::model::{Model, ModelColumn, ModelTable};
use crate::writer::Writer;

/// Columns that stand first in every table.
const FIRST: [&str; 3] = ["id", "created", "updated"];

/// The plan from nothing to a model.
pub fn baseline(model: &Model, dialect: &dyn Dialect) -> Plan {
    let mut plan = Plan { added: model.lines(), ..Plan::default() };
    for (name, table) in &model.tables {
        let shown = table.declared.as_ref().unwrap_or(name);
        plan.changes.push(Change { words: format!("{shown} is new"), effect: Effect::Safe });
        plan.steps.push(step(format!("make the table {name}"), create_table(dialect, model, name, table)));
    }
    for (name, table) in model.tables.iter().filter(|_| !dialect.refers_ahead()) {
        for (column, of) in table.columns.iter().filter(|(_, of)| of.references.is_some()) {
            let statement = write(dialect, |w| {
                w.text("ALTER TABLE ");
                w.identifier(name);
                w.text(" ADD FOREIGN KEY (");
                w.identifier(column);
                w.text(")");
                references(w, model, of);
            });
            plan.steps.push(step(format!("{name}.{column} refers to its table"), statement));
        }
    }
    for index in model.tables.values().flat_map(|table| table.indexes.values()) {
        let statement = create_index(dialect, model, index);
        plan.steps.push(step(format!("make the index {}", index.name_in(dialect)), statement));
    }
    plan
}

fn step(words: String, statement: String) -> Step {
    Step { words, statements: vec![statement], ..Step::default() }
}

fn write(dialect: &dyn Dialect, write: impl FnOnce(&mut Writer<'_>)) -> String {
    let schema = Schema::default();
    let mut w = Writer::new(&schema, dialect);
    write(&mut w);
    w.into_text()
}

fn create_table(dialect: &dyn Dialect, model: &Model, name: &str, table: &ModelTable) -> String {
    let keys: Vec<&String> = table.columns.iter().filter(|(_, of)| of.key).map(|(name, _)| name).collect();
    let place = |name: &str| FIRST.iter().position(|first| *first == name).unwrap_or(FIRST.len());
    let mut columns: Vec<(&String, &ModelColumn)> = table.columns.iter().collect();
    columns.sort_by_key(|(name, _)| (place(name), *name));
    write(dialect, |w| {
        w.text("CREATE TABLE ");
        w.identifier(name);
        w.text(" (");
        w.separated(", ", columns, |w, (name, column)| {
            let is_key = column.key && keys.len() == 1;
            let role = if is_key { ColumnRole::Key } else { ColumnRole::Plain };
            w.identifier(name);
            w.text(" ");
            w.text(&dialect.column(w.schema, &column.ty, column.nullable, role));
            if let Some(default) = default(dialect, column) {
                w.text(" DEFAULT ");
                w.text(&default);
            }
            // Elsewhere they come once all tables are there.
            if dialect.refers_ahead() {
                references(w, model, column);
            }
        });
        if keys.len() > 1 {
            w.text(", PRIMARY KEY (");
            w.separated(", ", &keys, |w, name| w.identifier(name));
            w.text(")");
        }
        w.text(")");
        w.text(dialect.table_options(keys.len() > 1));
    })
}

fn default(dialect: &dyn Dialect, column: &ModelColumn) -> Option<String> {
    let value = Value::from_json(column.default.as_ref()?, &column.ty).ok()?;
    dialect.literal(&value)
}

fn references(w: &mut Writer<'_>, model: &Model, column: &ModelColumn) {
    let Some(target) = &column.references else { return };
    let key = model.tables.get(target).and_then(|table| table.columns.iter().find(|(_, of)| of.key));
    w.text(" REFERENCES ");
    w.identifier(target);
    if let Some((key, _)) = key {
        w.text(" (");
        w.identifier(key);
        w.text(")");
    }
    w.text(" ON DELETE RESTRICT");
}

fn create_index(dialect: &dyn Dialect, model: &Model, index: &IndexPlan) -> String {
    write(dialect, |w| {
        w.text(if index.unique { "CREATE UNIQUE INDEX " } else { "CREATE INDEX " });
        w.identifier(&index.name_in(dialect));
        w.text(" ON ");
        w.identifier(&index.table);
        w.text(" (");
        w.separated(", ", &index.columns, |w, column| {
            w.identifier(&column.name);
            w.text(if column.descending { " DESC" } else { "" });
            if model.column(&index.table, &column.name).is_some_and(|of| of.nullable) {
                w.text(dialect.index_nulls(column.descending));
            }
        });
        w.text(")");
    })
}
