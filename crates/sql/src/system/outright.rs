//! A row that is changed, its line of the change log and the answer, all in one statement that sees the row before and after.
//!
//! What has to be true of the row before it is written stands in the statement as well: it changes the row of a key if it is there,
//! is what it is believed to be, and becomes another. Where it changes nothing, it does not say why.

use std::sync::Arc;

use mainstay_lang::expr::{Clock, Expr};
use mainstay_lang::schema::{ColumnId, Schema, TableId};
use mainstay_lang::types::Type;

use super::{TEXT, change_line_columns};
use crate::dialect::{Dialect, OutrightSpelling};
use crate::statement::{Bind, ResultShape, Statement};
use crate::writer::{ScopeId, Writer};

/// A change of one row.
#[derive(Clone, Copy, Debug)]
pub struct Outright<'a> {
    /// Its table.
    pub table: TableId,
    /// Columns that are given new values.
    pub columns: &'a [ColumnId],
    /// Conditions that are true of the row as it was, and as it becomes.
    pub readable: Option<&'a Arc<Expr>>,
    /// The same for conditions that speak of the change as well.
    pub rules: &'a [Arc<Expr>],
    /// Conditions that are not false of the row as it becomes.
    pub checks: &'a [Arc<Expr>],
    /// Whether the row has to be of a version.
    pub is_versioned: bool,
    /// Columns that may have so many bytes together.
    pub measured: &'a [ColumnId],
    /// Columns whose values come back.
    pub shown: &'a [ColumnId],
}

/// Makes the change, where a database has such statements: [`Dialect::outright`]. Conditions follow no relation. Parameters: the key, the
/// new values, the key as a text, who does it, for which tenant; the version; the bytes.
pub fn change_outright(schema: &Schema, dialect: &dyn Dialect, change: &Outright<'_>) -> Statement {
    let spelling =
        dialect.outright().expect("who changes a row outright has asked whether there is such a thing");
    let Outright { table, columns, shown, .. } = *change;
    let of = schema.table(table);
    let behind = u32::try_from(1 + columns.len()).expect("few columns");
    let mut w = Writer::new(schema, dialect);
    let (target, source) = (w.alias(), w.alias());
    let old = w.scope(&source, table, None);
    w.text("WITH \"#changed\" AS (UPDATE ");
    w.table(table, &target);
    w.text(" SET ");
    let given = w.new_values(change, &spelling, old);
    w.separated(", ", &given, |w, (column, value)| {
        w.identifier(&of.column(*column).db_name);
        w.text(" = ");
        w.text(value);
    });
    let new = w.scope_with(old, given);
    w.text(" FROM ");
    w.table(table, &source);
    w.text(" WHERE ");
    let key = of.column(ColumnId::ID);
    w.separated(" AND ", [&target, &source], |w, alias| {
        w.text(alias);
        w.text(".");
        w.identifier(&key.db_name);
        w.text(" = ");
        w.bind(Bind::Param(0), &key.ty);
    });
    w.text(" AND ");
    w.template(spelling.same, |w, index| w.text([&target, &source][index]));
    w.text(" AND (");
    w.separated(" OR ", columns, |w, column| w.differs(old, new, *column));
    w.text(")");
    if let Some(updated) = of.updated.filter(|_| change.is_versioned) {
        w.text(" AND ");
        w.scope_column(old, updated);
        w.text(" = ");
        w.bind(Bind::Param(behind + 3), &Type::Timestamp);
    }
    for row in [old, new] {
        w.all(row, change.readable, " IS TRUE");
        w.images = Some((old, new));
        w.all(row, change.rules, " IS TRUE");
        w.images = None;
    }
    w.all(new, change.checks, " IS NOT FALSE");
    if !change.measured.is_empty() {
        w.text(" AND ");
        w.separated(" + ", change.measured, |w, column| {
            w.template(spelling.bytes, |w, _| w.scope_column(old, *column));
        });
        w.text(" <= ");
        w.bind(Bind::Param(behind + 4), &Type::Int);
    }
    w.text(" RETURNING ");
    for column in shown {
        w.text(&target);
        w.text(".");
        w.identifier(&of.column(*column).db_name);
        w.text(", ");
    }
    w.separated(", ", [(&source, "#before"), (&target, "#after")], |w, (alias, name)| {
        let image = w.capture(|w| w.image(of, alias));
        w.template(dialect.trigger_image(), |w, _| w.text(&image));
        w.text(" AS ");
        w.identifier(name);
    });
    w.text("), \"#line\" AS (");
    let (shared, own) = change_line_columns(&mut w, 0);
    w.text(" SELECT ");
    w.separated(", ", shared.iter().chain(&own), |w, (_, column)| match column.name {
        "at" => w.bind(Bind::Clock(Clock::Now), &Type::Timestamp),
        "actor" => w.bind(Bind::Param(behind + 1), &TEXT),
        "tenant" => w.bind(Bind::Param(behind + 2), &TEXT),
        "table" => w.quoted(&of.name),
        "row" => w.bind(Bind::Param(behind), &TEXT),
        "kind" => w.quoted("update"),
        "before" => w.identifier("#before"),
        "after" => w.identifier("#after"),
        other => unreachable!("a line has no {other} where its transaction is known"),
    });
    w.text(" FROM \"#changed\") SELECT ");
    w.separated(", ", shown, |w, column| w.identifier(&of.column(*column).db_name));
    w.text(" FROM \"#changed\"");
    let types = shown.iter().map(|column| schema.storage_type(&of.column(*column).ty).clone());
    w.finish(ResultShape::Changes(types.collect()))
}

impl Writer<'_> {
    /// The columns that get others than they had, and what they get.
    fn new_values(
        &mut self,
        change: &Outright<'_>,
        spelling: &OutrightSpelling,
        old: ScopeId,
    ) -> Vec<(ColumnId, String)> {
        let of = self.schema.table(change.table);
        let mut given: Vec<(ColumnId, String)> = (1..)
            .zip(change.columns)
            .map(|(param, column)| {
                (*column, self.capture(|w| w.bind(Bind::Param(param), &of.column(*column).ty)))
            })
            .collect();
        if let Some(updated) = of.updated {
            let later = self.capture(|w| {
                w.template(spelling.later, |w, index| match index {
                    0 => w.bind(Bind::Clock(Clock::Now), &Type::Timestamp),
                    _ => w.scope_column(old, updated),
                });
            });
            given.push((updated, later));
        }
        given
    }

    /// Whether a column becomes another than it was.
    fn differs(&mut self, old: ScopeId, new: ScopeId, column: ColumnId) {
        let ty = &self.schema.table(self.table_of(old)).column(column).ty;
        let template = self.dialect.compared(self.schema.storage_type(ty)).unwrap_or("{0}");
        self.template(template, |w, _| w.scope_column(old, column));
        self.text(" IS DISTINCT FROM ");
        self.template(template, |w, _| w.scope_column(new, column));
    }

    /// Conditions on the row of a scope, behind others.
    fn all<'e>(&mut self, scope: ScopeId, conditions: impl IntoIterator<Item = &'e Arc<Expr>>, are: &str) {
        for condition in conditions {
            self.text(" AND (");
            self.alone(scope, |w| w.expr(condition));
            self.text(")");
            self.text(are);
        }
    }
}
