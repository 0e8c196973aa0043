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
        let tables = [system::CHANGE.name, system::COUNTER.name];
        let statements = tables.map(|name| {
            self.write(|w| {
                w.text("UPDATE ");
                w.identifier(name);
                w.text(" SET \"table\" = ");
                w.quoted(is);
                w.text(" WHERE \"table\" = ");
                w.quoted(was);
            })
        });
        self.push(
            Phase::Rename,
            Step {
                words: format!("let the change log and the counters of {was} be those of {is}"),
                statements: statements.into(),
                ..Step::default()
            },
        );
    }

    /// A column has another name in the language.
    pub(super) fn rename_column_in_log(&mut self, table: &str, was: &str, is: &str) {
        let images = self.update_images(table, [was, is], self.dialect.json_rename(), |update| update(""));
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
        let statements = images.into_iter().chain([counter]).collect();
        let words = format!("let the change log and the counters call {table}.{was} {is}");
        self.push(Phase::Rename, Step { words, statements, ..Step::default() });
    }

    /// Values that must not be there any more.
    pub(super) fn scrub(&mut self, table: &Table, column: &Column) {
        // What has been taken out is not there a second time, so it can be done in pieces.
        let is_online = self.way == Way::Online;
        let seq = Walked { rows: "\"_change\"", key: "\"seq\"", ty: &self.dialect.type_name(&Type::Int) };
        let images =
            self.update_images(&table.name, [&column.name; 2], self.dialect.json_remove(), |update| {
                is_online.then(|| in_pieces(&seq, update)).flatten().unwrap_or_else(|| update(""))
            });
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
        let mode = if is_online { Mode::Outside } else { Mode::Joined };
        self.push(Phase::Log, Step { words, mode, statements, ..Step::default() });
    }

    /// Both images of a table's lines changed by a template of the JSON `{0}`, the member's name `{1}` and its new one `{2}`.
    /// `whole` makes a statement of an update that takes the first words of its condition.
    fn update_images(
        &self,
        table: &str,
        names: [&str; 2],
        template: &str,
        whole: impl Fn(&dyn Fn(&str) -> String) -> String,
    ) -> [String; 2] {
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
            whole(&update)
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
