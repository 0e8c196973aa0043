//! The change log and the counters, which know tables and columns by their declared names.

use mainstay_lang::schema::{Column, ColumnId, Table};
use mainstay_lang::types::Type;

use super::pieces::{Walked, in_pieces};
use super::planner::{Phase, Planner};
use super::{Mode, Step, Way};
use crate::dialect::Dialect;
use crate::system;
use crate::writer::Writer;

impl Planner<'_> {
    /// A table has another name in the language.
    pub(super) fn rename_in_log(&mut self, was: &str, is: &str) {
        let update = |table: &str, among: &str| {
            self.write(|w| {
                w.text("UPDATE ");
                w.identifier(table);
                w.text(" SET \"table\" = ");
                w.quoted(is);
                w.text(" WHERE ");
                w.text(among);
                w.text("\"table\" = ");
                w.quoted(was);
            })
        };
        let counters = update(system::COUNTER.name, "");
        let lines = self.in_log(&|among| update(system::CHANGE.name, among));
        self.renamed_in_log(was, is, vec![lines], counters);
    }

    /// A column has another name in the language.
    pub(super) fn rename_column_in_log(&mut self, table: &str, was: &str, is: &str) {
        let images = self.update_images(table, [was, is], self.dialect.json_rename());
        let counter = self.write(|w| {
            w.text("UPDATE ");
            w.identifier(system::COUNTER.name);
            w.text(" SET \"column\" = ");
            w.quoted(is);
            w.text(" WHERE \"table\" = ");
            w.quoted(table);
            w.text(" AND \"column\" = ");
            w.quoted(was);
        });
        self.renamed_in_log(&format!("{table}.{was}"), is, images.into(), counter);
    }

    /// The steps of another name. Where others go on working, the log is changed in pieces behind all that waits for nobody: a
    /// line that has the new name is left alone, so that it can be gone on with, and no server starts before it is through.
    fn renamed_in_log(&mut self, was: &str, is: &str, lines: Vec<String>, counters: String) {
        if self.way == Way::Online {
            self.step(Phase::Rename, format!("let the counters of {was} be those of {is}"), counters);
            let words = format!("let the change log call {was} {is}, a few lines at a time");
            self.push(Phase::Log, Step { words, mode: Mode::Outside, statements: lines, ..Step::default() });
        } else {
            let words = format!("let the change log and the counters call {was} {is}");
            let statements = lines.into_iter().chain([counters]).collect();
            self.push(Phase::Rename, Step { words, statements, ..Step::default() });
        }
    }

    /// An update of the change log that leaves alone what it has changed before: in pieces, where others go on working.
    fn in_log(&self, update: &dyn Fn(&str) -> String) -> String {
        let seq = Walked { rows: "\"_change\"", key: "\"seq\"", ty: &self.dialect.type_name(&Type::Int) };
        let pieces = (self.way == Way::Online).then(|| in_pieces(&seq, update)).flatten();
        pieces.unwrap_or_else(|| update(""))
    }

    /// Values that must not be there any more.
    pub(super) fn scrub(&mut self, table: &Table, column: &Column) {
        let images = self.update_images(&table.name, [&column.name; 2], self.dialect.json_remove());
        // Answers are texts whole, and nobody can say which of them shows the column. What is left tells that the request was
        // carried out, so that it is not carried out again.
        let answers = self.write(|w| {
            w.text("UPDATE ");
            w.identifier(system::IDEMPOTENCY.name);
            w.text(" SET \"status\" = ");
            w.number(system::ANSWER_FORGOTTEN);
            w.text(", \"answer\" = \"body_hash\"");
        });
        let statements = images.into_iter().chain([answers]).collect();
        let words = format!(
            "take the values of {}.{} out of the change log and kept answers",
            table.name, column.name
        );
        let mode = if self.way == Way::Online { Mode::Outside } else { Mode::Joined };
        self.push(Phase::Log, Step { words, mode, statements, ..Step::default() });
    }

    /// Both images of a table's lines changed by a template of the JSON `{0}`, the member's name `{1}` and its new one `{2}`.
    fn update_images(&self, table: &str, names: [&str; 2], template: &str) -> [String; 2] {
        ["before", "after"].map(|image| {
            let update = |among: &str| {
                self.write(|w| {
                    let operand = |w: &mut Writer<'_>, index: usize| match index {
                        0 => w.identifier(image),
                        index => w.quoted(names[index - 1]),
                    };
                    w.text("UPDATE ");
                    w.identifier(system::CHANGE.name);
                    w.text(" SET ");
                    w.identifier(image);
                    w.text(" = ");
                    w.template(template, operand);
                    w.text(" WHERE ");
                    w.text(among);
                    w.text("\"table\" = ");
                    w.quoted(table);
                    w.text(" AND \"kind\" IN ('create', 'update', 'delete') AND ");
                    w.template(self.dialect.json_has(), operand);
                })
            };
            self.in_log(&update)
        })
    }

    /// A counter goes on behind the greatest number that there is for each value of its selectors.
    pub(super) fn raise_counter(&mut self, table: &Table, column: &Column) {
        let Some(auto) = &column.auto else { return };
        let statement = self.write(|w| {
            let scope = w.scope("t1", table.id, None);
            w.text("INSERT INTO ");
            w.identifier(system::COUNTER.name);
            w.text(" (\"table\", \"column\", \"selector\", \"value\") SELECT ");
            w.quoted(&table.name);
            w.text(", ");
            w.quoted(&column.name);
            w.text(", '['");
            let mut separator = " || ";
            if let Some(tenant) = table.tenant {
                w.text(separator);
                let template = json(w.dialect, w.schema.storage_type(&table.column(tenant).ty));
                w.template(&template, |w, _| w.alone(scope, |w| w.scope_column(scope, tenant)));
                separator = " || ',' || ";
            }
            for selector in &auto.selectors {
                w.text(separator);
                let template = json(w.dialect, w.schema.storage_type(&selector.ty));
                w.template(&template, |w, _| w.alone(scope, |w| w.expr(selector)));
                separator = " || ',' || ";
            }
            w.text(" || ']', max(");
            w.scope_column(scope, column.id);
            w.text(") FROM ");
            w.table(table.id, "t1");
            // A WHERE keeps SQLite from reading ON as part of a join.
            w.text(" WHERE ");
            w.scope_column(scope, column.id);
            w.text(" IS NOT NULL GROUP BY 3 ON CONFLICT (\"table\", \"column\", \"selector\") DO UPDATE SET \"value\" = excluded.\"value\" WHERE ");
            w.identifier(system::COUNTER.name);
            w.text(".\"value\" < excluded.\"value\"");
        });
        let words =
            format!("let the counter of {}.{} go on behind its greatest numbers", table.name, column.name);
        self.step(Phase::Log, words, statement);
    }

    /// The numbers that rows get which were there before their counter, as SQL over the row.
    pub(super) fn numbers(&self, table: &Table, column: &Column) -> String {
        let selectors = column.auto.iter().flat_map(|auto| &auto.selectors);
        self.write(|w| {
            let scope = w.scope("t1", table.id, None);
            w.text("row_number() OVER (");
            let mut separator = "PARTITION BY ";
            if let Some(tenant) = table.tenant {
                w.text(separator);
                w.scope_column(scope, tenant);
                separator = ", ";
            }
            for selector in selectors {
                w.text(separator);
                w.alone(scope, |w| w.expr(selector));
                separator = ", ";
            }
            w.text(if separator == ", " { " " } else { "" });
            w.text("ORDER BY ");
            if let Some(created) = table.created {
                w.scope_column(scope, created);
                w.text(", ");
            }
            w.scope_column(scope, ColumnId::ID);
            w.text(")");
        })
    }
}

/// The template of a value's JSON text.
fn json(dialect: &dyn Dialect, ty: &Type) -> String {
    dialect.json(ty).template(true).into_owned()
}
