//! Statements that look for rows in the way of a change: each row of a result is a text that says what it is.
//!
//! They come before anything is changed, so tables and columns bear the names that they had before. Values are shown unless they
//! are guarded.

use mainstay_lang::schema::Table;

use super::planner::{Phase, Planner};
use super::{Mode, Step};
use crate::ddl::{IndexColumn, IndexPlan};
use crate::model::ModelColumn;
use crate::writer::Writer;

/// So many values with duplicates are named.
const NAMED_MAX: usize = 20;

/// A condition that rows must not fulfil, as SQL over the row.
pub(super) struct Lookout<'c> {
    pub(super) table: &'c Table,
    pub(super) column: &'c str,
    /// `have no value`, behind how many rows there are.
    pub(super) words: String,
}

impl Planner<'_> {
    /// Looks for rows of which a condition, made of the column's quoted name, is true.
    pub(super) fn look_out(&mut self, lookout: &Lookout<'_>, condition: impl FnOnce(&str) -> String) {
        let Lookout { table, column, words } = lookout;
        let (old_table, old_column) = self.before_renames(&table.db_name, column);
        let (_, old_key) = self.before_renames(&table.db_name, Planner::key_of(table));
        let column_text = self.write(|w| w.identifier(&old_column));
        let condition = condition(&column_text);
        let statement = self.write(|w| {
            w.text("SELECT ");
            w.quoted(&format!("{}.{column}: ", table.db_name));
            w.text(" || CAST(count(*) AS TEXT) || ");
            w.quoted(&format!(" rows {words}, such as {} ", table.name));
            w.text(" || min(CAST(");
            w.identifier(&old_key);
            w.text(" AS TEXT)) FROM ");
            w.identifier(&old_table);
            w.text(" WHERE ");
            w.text(&condition);
            w.text(" HAVING count(*) > 0");
        });
        self.check(Phase::Check, format!("look for rows of {} that {words}", table.db_name), statement);
    }

    fn check(&mut self, phase: Phase, words: String, statement: String) {
        let mode = if phase == Phase::Check { Mode::Joined } else { self.long() };
        let step = Step { words, mode, is_check: true, statements: vec![statement], ..Step::default() };
        self.push(phase, step);
    }

    /// Looks for values that a unique index would refuse.
    pub(super) fn look_for_duplicates(&mut self, table: &Table, index: &IndexPlan) {
        let was = &self.from.tables[&table.db_name];
        let is = &self.to.tables[&table.db_name];
        let is_there = |column: &IndexColumn| {
            let place = (table.db_name.clone(), column.name.clone());
            was.columns.contains_key(&column.name) && !self.touched.contains(&place)
        };
        let first = index.columns.iter().all(is_there);
        // Values that are filled in can be looked at when they are.
        let phase = if first { Phase::Check } else { Phase::CheckAgain };
        let name = |planner: &Planner<'_>, column: &str| {
            if first {
                planner.before_renames(&table.db_name, column)
            } else {
                (table.db_name.clone(), column.to_owned())
            }
        };
        let columns: Vec<(String, ModelColumn)> = index
            .columns
            .iter()
            .map(|column| {
                let model = if first { &was.columns[&column.name] } else { &is.columns[&column.name] };
                (name(self, &column.name).1, model.clone())
            })
            .collect();
        let (old_table, old_key) = name(self, Planner::key_of(table));
        let shown: Vec<&str> = index.columns.iter().map(|column| column.name.as_str()).collect();
        let place = format!("{}.{}", table.db_name, shown.join(", "));
        let statement = self.write(|w| {
            w.text("SELECT ");
            w.quoted(&format!("{place}: "));
            w.text(" || CAST(count(*) AS TEXT) || ");
            w.quoted(" rows have the same value");
            for (name, column) in columns.iter().filter(|(_, column)| !column.guarded) {
                w.text(" || ' ' || ");
                value_text(w, name, column);
            }
            w.text(" || ");
            w.quoted(&format!(", such as {} ", table.name));
            w.text(" || ");
            for (function, behind) in [("min", " || ' and ' || "), ("max", " FROM ")] {
                w.text(function);
                w.text("(CAST(");
                w.identifier(&old_key);
                w.text(" AS TEXT))");
                w.text(behind);
            }
            w.identifier(&old_table);
            w.text(" WHERE ");
            w.separated(" AND ", &columns, |w, (name, _)| {
                w.identifier(name);
                w.text(" IS NOT NULL");
            });
            w.text(" GROUP BY ");
            w.separated(", ", &columns, |w, (name, _)| w.identifier(name));
            w.text(" HAVING count(*) > 1 ORDER BY count(*) DESC LIMIT ");
            w.number(NAMED_MAX);
        });
        self.check(
            phase,
            format!("look for rows of {} with the same {}", table.db_name, shown.join(", ")),
            statement,
        );
    }
}

fn value_text(w: &mut Writer<'_>, name: &str, column: &ModelColumn) {
    let template = w.dialect.json(&column.ty).template(true);
    w.template(&template, |w, _| w.identifier(name));
}
