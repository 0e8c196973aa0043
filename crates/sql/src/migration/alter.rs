//! A table changed where it is, column by column.
//!
//! While others go on working: no lock that stops them is held for longer than it takes to change the catalogue. Values are
//! filled in first and required afterwards, by a condition that is checked beside others' writes; references likewise. Only a change
//! of type that writes every row anew locks the table for as long as that takes, and says so.

use mainstay_lang::schema::{Column, ColumnId, Table};

use super::pieces::{PIECE_ROWS, Walked, in_pieces};
use super::planner::{Phase, Planner};
use super::table::{Added, Fill, Retyped, Work};
use super::{Mode, Step, Way};
use crate::ddl;

/// New values of a column for the rows that meet a condition; both as SQL over the row `t1`.
struct Rewrite<'a> {
    column: &'a Column,
    fill: &'a str,
    condition: &'a str,
}

impl Planner<'_> {
    pub(super) fn alter_table(&mut self, work: &Work<'_>) {
        let table = work.table;
        for added in &work.added {
            self.add_column(table, added);
        }
        for retyped in &work.retyped {
            self.change_type(table, retyped);
        }
        for replaced in &work.replaced {
            let name = self.write(|w| w.identifier(&replaced.column.db_name));
            let condition = replaced.condition.replace("{0}", &format!("t1.{name}"));
            let change = Rewrite { column: replaced.column, fill: &replaced.fill, condition: &condition };
            self.rewrite_in_pieces(table, &change, Phase::Fill, "replace values");
        }
        for filled in &work.required {
            if let Some(fill) = &filled.fill {
                self.fill_column(table, filled.column, fill, Phase::Fill);
            }
            self.require(table, filled.column, filled.fill.as_deref());
        }
        for column in &work.loosened {
            let words = format!("let {}.{} be null", table.db_name, column.db_name);
            self.alter_column(Phase::Columns, table, column, words, "DROP NOT NULL");
        }
        for column in &work.unreferring {
            self.drop_reference(table, column);
        }
        for column in &work.referring {
            self.refer(table, column);
        }
        for column in &work.defaults {
            let default =
                ddl::kept_default(self.dialect, column).and_then(|value| self.dialect.literal(value));
            let change =
                default.map_or("DROP DEFAULT".to_owned(), |default| format!("SET DEFAULT {default}"));
            let words = format!("set the database's default of {}.{}", table.db_name, column.db_name);
            self.alter_column(Phase::Columns, table, column, words, &change);
        }
        for name in &work.dropped {
            self.drop_column(table, name);
        }
    }

    fn alter_column_text(&self, table: &Table, column: &Column, change: &str) -> String {
        self.alter(&table.db_name, |w| {
            w.text("ALTER COLUMN ");
            w.identifier(&column.db_name);
            w.text(" ");
            w.text(change);
        })
    }

    fn alter_column(&mut self, phase: Phase, table: &Table, column: &Column, words: String, change: &str) {
        let statement = self.alter_column_text(table, column, change);
        self.step(phase, words, statement);
    }

    fn add_column(&mut self, table: &Table, added: &Added<'_>) {
        let column = added.column;
        let place = format!("{}.{}", table.db_name, column.db_name);
        let is_whole = matches!(added.fill, Fill::Nothing | Fill::Default);
        let statement = self.alter(&table.db_name, |w| {
            w.text("ADD COLUMN ");
            if is_whole {
                w.column_definition(column);
            } else {
                let ty = w.schema.storage_type(&column.ty);
                let name = w.dialect.type_name(ty);
                w.identifier(&column.db_name);
                w.text(" ");
                w.text(&name);
            }
        });
        self.step(Phase::Columns, format!("add {place}"), statement);
        match &added.fill {
            Fill::Nothing | Fill::Default => {}
            Fill::Expression(fill) => {
                let default =
                    ddl::kept_default(self.dialect, column).and_then(|value| self.dialect.literal(value));
                if let Some(default) = default {
                    let words = format!("set the database's default of {place}");
                    self.alter_column(
                        Phase::Columns,
                        table,
                        column,
                        words,
                        &format!("SET DEFAULT {default}"),
                    );
                }
                self.fill_column(table, column, fill, Phase::Fill);
                if !column.nullable {
                    self.require(table, column, Some(fill));
                }
            }
            Fill::Number => {
                self.number(table, column);
                self.require(table, column, None);
            }
        }
        if column.target().is_some() {
            self.refer(table, column);
        }
    }

    /// All rows in one statement.
    fn rewrite(&mut self, table: &Table, change: &Rewrite<'_>, phase: Phase, words: &str) {
        let statement = self.rewritten(table, change, "");
        let words = format!("{words} in {}.{}", table.db_name, change.column.db_name);
        let mode = self.long();
        self.push(phase, Step { words, mode, statements: vec![statement], ..Step::default() });
    }

    /// The same a few rows at a time, where others go on working.
    fn rewrite_in_pieces(&mut self, table: &Table, change: &Rewrite<'_>, phase: Phase, words: &str) {
        let key = self.write(|w| {
            w.text("t1.");
            w.identifier(&table.column(ColumnId::ID).db_name);
        });
        let rows = self.write(|w| w.table(table.id, "t1"));
        let ty = self.dialect.type_name(self.schema.key_type(table.id));
        let walked = Walked { rows: &rows, key: &key, ty: &ty };
        let loops = (self.way == Way::Online)
            .then(|| in_pieces(&walked, |among| self.rewritten(table, change, among)))
            .flatten();
        let Some(statement) = loops else { return self.rewrite(table, change, phase, words) };
        let words =
            format!("{words} in {}.{}, {PIECE_ROWS} rows at a time", table.db_name, change.column.db_name);
        self.push(phase, Step { words, mode: Mode::Outside, statements: vec![statement], ..Step::default() });
    }

    fn rewritten(&self, table: &Table, change: &Rewrite<'_>, among: &str) -> String {
        self.write(|w| {
            w.text("UPDATE ");
            w.table(table.id, "t1");
            w.text(" SET ");
            w.identifier(&change.column.db_name);
            w.text(" = ");
            w.text(change.fill);
            w.text(" WHERE ");
            w.text(among);
            w.text(change.condition);
        })
    }

    fn fill_column(&mut self, table: &Table, column: &Column, fill: &str, phase: Phase) {
        let condition = self.write(|w| {
            w.text("t1.");
            w.identifier(&column.db_name);
            w.text(" IS NULL");
        });
        let change = Rewrite { column, fill, condition: &condition };
        self.rewrite_in_pieces(table, &change, phase, "fill in values");
    }

    fn number(&mut self, table: &Table, column: &Column) {
        let numbers = self.numbers(table, column);
        let key = &table.column(ColumnId::ID).db_name;
        let statement = self.write(|w| {
            w.text("UPDATE ");
            w.table(table.id, "t2");
            w.text(" SET ");
            w.identifier(&column.db_name);
            w.text(" = t3.number FROM (SELECT t1.");
            w.identifier(key);
            w.text(" AS key, ");
            w.text(&numbers);
            w.text(" AS number FROM ");
            w.table(table.id, "t1");
            w.text(") t3 WHERE t3.key = t2.");
            w.identifier(key);
        });
        let words = format!("number the rows of {} in {}", table.db_name, column.db_name);
        let mode = self.long();
        self.push(Phase::Fill, Step { words, mode, statements: vec![statement], ..Step::default() });
    }

    /// Makes a column required. Others' writes are held to it before the rows that are there are looked at, for which they need
    /// not wait.
    fn require(&mut self, table: &Table, column: &Column, fill: Option<&str>) {
        let place = format!("{}.{}", table.db_name, column.db_name);
        if self.way == Way::AtOnce {
            return self.alter_column(
                Phase::Require,
                table,
                column,
                format!("require {place}"),
                "SET NOT NULL",
            );
        }
        let name = format!("{place}.required");
        let constraint = |planner: &Self, before: &str, behind: &str| {
            planner.alter(&table.db_name, |w| {
                w.text(before);
                w.identifier(&name);
                w.text(behind);
            })
        };
        let condition = self.write(|w| w.identifier(&column.db_name));
        let add = constraint(self, "ADD CONSTRAINT ", &format!(" CHECK ({condition} IS NOT NULL) NOT VALID"));
        self.step(Phase::Require, format!("require {place} of rows that are written from now on"), add);
        if let Some(fill) = fill {
            // Of rows that were written meanwhile.
            self.fill_column(table, column, fill, Phase::Require);
        }
        let validate = constraint(self, "VALIDATE CONSTRAINT ", "");
        self.push(
            Phase::Require,
            Step {
                words: format!("look whether all rows have a value in {place}"),
                mode: Mode::Alone,
                statements: vec![validate],
                ..Step::default()
            },
        );
        let require = self.alter_column_text(table, column, "SET NOT NULL");
        let drop = constraint(self, "DROP CONSTRAINT ", "");
        let step =
            Step { words: format!("require {place}"), statements: vec![require, drop], ..Step::default() };
        self.push(Phase::Require, step);
    }

    fn refer(&mut self, table: &Table, column: &Column) {
        let place = format!("{}.{}", table.db_name, column.db_name);
        let words = format!("let {place} refer to its table");
        if self.way == Way::AtOnce {
            let statement = ddl::add_reference(self.schema, self.dialect, table, column);
            statement.into_iter().for_each(|statement| self.step(Phase::Refer, words.clone(), statement));
            return;
        }
        let name = format!("{place}.refers");
        let add = self.alter(&table.db_name, |w| {
            w.text("ADD CONSTRAINT ");
            w.identifier(&name);
            w.text(" FOREIGN KEY (");
            w.identifier(&column.db_name);
            w.text(")");
            w.references(&column.ty);
            w.text(" NOT VALID");
        });
        self.step(Phase::Refer, format!("{words}, for rows that are written from now on"), add);
        let validate = self.alter(&table.db_name, |w| {
            w.text("VALIDATE CONSTRAINT ");
            w.identifier(&name);
        });
        self.push(
            Phase::Refer,
            Step {
                words: format!("look whether {place} leads somewhere in all rows"),
                mode: Mode::Alone,
                statements: vec![validate],
                ..Step::default()
            },
        );
    }

    /// The name of the constraint is whatever it was given when it was made.
    fn drop_reference(&mut self, table: &Table, column: &Column) {
        let (table_name, column_name) =
            (self.write(|w| w.quoted(&table.db_name)), self.write(|w| w.quoted(&column.db_name)));
        let statement = format!(
            "DO $$ DECLARE found record; BEGIN \
             FOR found IN SELECT k.conname FROM pg_constraint k \
             JOIN pg_class t ON t.oid = k.conrelid AND t.relnamespace = current_schema()::regnamespace \
             JOIN pg_attribute a ON a.attrelid = t.oid AND k.conkey = ARRAY[a.attnum] \
             WHERE k.contype = 'f' AND t.relname = {table_name} AND a.attname = {column_name} LOOP \
             EXECUTE format('ALTER TABLE %I DROP CONSTRAINT %I', {table_name}, found.conname); \
             END LOOP; END $$"
        );
        self.step(
            Phase::Columns,
            format!("let {}.{} refer to no table", table.db_name, column.db_name),
            statement,
        );
    }

    fn change_type(&mut self, table: &Table, retyped: &Retyped<'_>) {
        let Retyped { column, was, change } = retyped;
        let place = format!("{}.{}", table.db_name, column.db_name);
        let ty = self.schema.storage_type(&column.ty);
        let (from, to) = (self.dialect.type_name(&was.ty), self.dialect.type_name(ty));
        let name = self.write(|w| w.identifier(&column.db_name));
        if from == to {
            if let Some(value) = &change.value {
                let value = value.replace("{0}", &format!("t1.{name}"));
                let condition = format!("t1.{name} IS NOT NULL");
                // Twice would be once too often, so it is all or nothing.
                let change = Rewrite { column, fill: &value, condition: &condition };
                self.rewrite(table, &change, Phase::Fill, "write values anew");
            }
            return;
        }
        let using = match &change.value {
            Some(value) if !self.dialect.widens(&from, &to) => {
                format!(" USING {}", value.replace("{0}", &name))
            }
            _ => String::new(),
        };
        let mut statements = Vec::new();
        if was.default.is_some() {
            statements.push(self.alter_column_text(table, column, "DROP DEFAULT"));
        }
        statements.push(self.alter_column_text(table, column, &format!("TYPE {to}{using}")));
        if let Some(default) =
            ddl::kept_default(self.dialect, column).and_then(|value| self.dialect.literal(value))
        {
            statements.push(self.alter_column_text(table, column, &format!("SET DEFAULT {default}")));
        }
        let locks =
            if using.is_empty() { "" } else { "; the table is locked while its rows are written anew" };
        let words = format!("make {place} {to}{locks}");
        self.push(Phase::Columns, Step { words, statements, ..Step::default() });
    }
}
