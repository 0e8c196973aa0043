//! A table built anew under its name, where the database cannot change its columns: SQLite's way to do it
//! (<https://www.sqlite.org/lang_altertable.html#otheralter>).
//!
//! What can be done by less is: a column that may be null or has a constant default is added, one that nothing holds is
//! dropped, values that only change their meaning are written in place. Whoever runs the steps looks after references, which are
//! checked at the end, and after triggers, which go with the old table.

use mainstay_lang::schema::Column;
use mainstay_lang::types::Type;

use super::Step;
use super::planner::{Phase, Planner};
use super::table::{Fill, Work};
use crate::ddl;
use crate::model::constant_default;

impl Planner<'_> {
    pub(super) fn rebuild_table(&mut self, work: &Work<'_>) {
        if self.must_rebuild(work) {
            self.rebuild(work);
        } else {
            self.change_in_place(work);
        }
    }

    fn must_rebuild(&self, work: &Work<'_>) -> bool {
        let was = &self.from.tables[&work.table.db_name];
        let is_held = |name: &String| was.columns[name].references.is_some();
        let needs = |fill: &Fill| matches!(fill, Fill::Expression(_) | Fill::Number);
        let is_stored_otherwise = |ty: &Type, column: &Column| {
            self.dialect.type_name(ty) != self.dialect.type_name(self.schema.storage_type(&column.ty))
        };
        !work.required.is_empty()
            || !work.loosened.is_empty()
            || !work.referring.is_empty()
            || !work.unreferring.is_empty()
            || work.dropped.iter().any(is_held)
            || work.added.iter().any(|added| needs(&added.fill))
            || work.retyped.iter().any(|retyped| is_stored_otherwise(&retyped.was.ty, retyped.column))
    }

    fn change_in_place(&mut self, work: &Work<'_>) {
        let table = work.table;
        for added in &work.added {
            let column = added.column;
            let constant = constant_default(column).and_then(|value| self.dialect.literal(value));
            let statement = self.alter(&table.db_name, |w| {
                w.text("ADD COLUMN ");
                w.column_definition(column);
                // It stays in the database and means nothing: each row is written with a value.
                if let (Fill::Default, Some(constant)) = (&added.fill, &constant) {
                    w.text(" DEFAULT ");
                    w.text(constant);
                }
            });
            self.step(Phase::Columns, format!("add {}.{}", table.db_name, column.db_name), statement);
        }
        let names =
            work.retyped.iter().map(|retyped| retyped.column).chain(work.replaced.iter().map(|of| of.column));
        let mut names: Vec<&Column> = names.collect();
        names.dedup_by_key(|column| column.id);
        for column in names {
            let value = self.value(work, column);
            let name = self.write(|w| w.identifier(&column.db_name));
            if value == format!("t1.{name}") {
                continue;
            }
            let statement = self.write(|w| {
                w.text("UPDATE ");
                w.identifier(&table.db_name);
                w.text(" AS t1 SET ");
                w.text(&name);
                w.text(" = ");
                w.text(&value);
                w.text(" WHERE ");
                w.text(&name);
                w.text(" IS NOT NULL");
            });
            self.step(
                Phase::Fill,
                format!("write the values of {}.{} anew", table.db_name, column.db_name),
                statement,
            );
        }
        for name in &work.dropped {
            self.drop_column(table, name);
        }
    }

    fn rebuild(&mut self, work: &Work<'_>) {
        let table = work.table;
        let new = format!("{}~new", table.db_name);
        let create = ddl::create_table_as(self.schema, self.dialect, table, &new);
        let values: Vec<String> = table.columns.iter().map(|column| self.value(work, column)).collect();
        let copy = self.write(|w| {
            w.text("INSERT INTO ");
            w.identifier(&new);
            w.text(" (");
            w.separated(", ", &table.columns, |w, column| w.identifier(&column.db_name));
            w.text(") SELECT ");
            w.separated(", ", &values, |w, value| w.text(value));
            w.text(" FROM ");
            w.table(table.id, "t1");
        });
        let drop = self.write(|w| {
            w.text("DROP TABLE ");
            w.identifier(&table.db_name);
        });
        let rename = self.alter(&new, |w| {
            w.text("RENAME TO ");
            w.identifier(&table.db_name);
        });
        let lost = match &work.dropped[..] {
            [] => String::new(),
            dropped => format!(", without {}", dropped.join(", ")),
        };
        let mut statements = vec![create, copy, drop, rename];
        // A new unique one waits until somebody has looked for duplicates among values that were just filled in.
        let was = &self.from.tables[&table.db_name].indexes;
        let is = self.to.tables[&table.db_name].indexes.iter();
        let indexes =
            is.filter(|(key, index)| !index.unique || was.contains_key(*key)).map(|(_, index)| index);
        statements.extend(indexes.map(|index| ddl::create_index(self.schema, self.dialect, index)));
        self.rebuilt.insert(table.db_name.clone());
        self.push(
            Phase::Columns,
            Step {
                words: format!("build the table {} anew{lost}", table.db_name),
                is_destructive: !work.dropped.is_empty(),
                rebuilds: Some(table.db_name.clone()),
                statements,
                ..Step::default()
            },
        );
    }

    /// What a column of the new table gets of a row of the old one, which is called `t1`.
    fn value(&self, work: &Work<'_>, column: &Column) -> String {
        let name = self.write(|w| {
            w.text("t1.");
            w.identifier(&column.db_name);
        });
        if let Some(added) = work.added.iter().find(|added| added.column.id == column.id) {
            return match &added.fill {
                Fill::Nothing => "NULL".to_owned(),
                Fill::Default => constant_default(column)
                    .and_then(|value| self.dialect.literal(value))
                    .unwrap_or_else(|| "NULL".to_owned()),
                Fill::Expression(fill) => fill.clone(),
                Fill::Number => self.numbers(work.table, column),
            };
        }
        let mut value = name.clone();
        let retyped = work.retyped.iter().find(|retyped| retyped.column.id == column.id);
        if let Some(change) = retyped.and_then(|retyped| retyped.change.value.as_ref()) {
            value = change.replace("{0}", &name);
        }
        if let Some(replaced) = work.replaced.iter().find(|replaced| replaced.column.id == column.id) {
            let condition = replaced.condition.replace("{0}", &name);
            value = format!("CASE WHEN {condition} THEN {} ELSE {value} END", replaced.fill);
        }
        let filled = work.required.iter().find(|filled| filled.column.id == column.id);
        if let Some(fill) = filled.and_then(|filled| filled.fill.as_ref()) {
            value = format!("coalesce({value}, {fill})");
        }
        value
    }
}
