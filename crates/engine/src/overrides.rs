//! Rules that are kept in data: rows of `RuleOverride`, read as rules of the app.
//!
//! A row is resolved and typed against the running schema when it is saved (`write/added_rules.rs`) and again whenever it is read
//! ([`read`]), because the app may have changed in between. What a row says that cannot be read any more never lets anybody do
//! more: an `allow` that is broken says nothing, and of a `deny` what cannot be read counts as true. [`crate::catalog`]
//! combines what stands here with the app's own lines; [`kept`] knows which rules hold now.

mod kept;
mod read;

use std::sync::Arc;

use mainstay_lang::expr::Expr;
use mainstay_lang::rule::{self, Target};
use mainstay_lang::schema::{ColumnId, Operation, RelationId, Schema, Table, TableId};
use mainstay_lang::source::{Sources, Span};
use mainstay_lang::value::Value;

pub(crate) use self::kept::{Held, RuleWatch, Ruling};
pub(crate) use self::read::Row;

/// The table.
const TABLE: &str = "RuleOverride";

/// Rows that there may be: each costs every request on its table a little.
pub const OVERRIDES_MAX: usize = 1000;

/// Files of conditions have numbers from here on: no app has so many.
const FILE_FIRST: u32 = 1 << 31;

/// The table of an app that has it. One of this name that an app declares itself is its own.
pub(crate) fn table(schema: &Schema) -> Option<&Table> {
    schema.table_named(TABLE).filter(|table| table.platform)
}

/// Whether a rule lets somebody do more or less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// More.
    Allow,
    /// Less, whatever allows.
    Deny,
}

/// One row, as a rule.
#[derive(Debug)]
pub struct Override {
    /// The key of the row.
    pub id: Value,
    /// As a line of an app would be: `deny update(cost) if …`.
    pub text: String,
    /// What the row says it is there for.
    pub note: Option<String>,
    /// What cannot be read of it, in words; empty: nothing is wrong.
    pub problems: Vec<String>,
    pub(crate) effect: Effect,
    pub(crate) table: TableId,
    pub(crate) operation: Operation,
    pub(crate) target: Target,
    /// Under which condition; `None`: always. Closed under one row of the table.
    pub(crate) condition: Option<Arc<Expr>>,
    /// The text of the condition.
    source: String,
}

/// The rows that are active, as rules.
#[derive(Debug, Default)]
pub struct Overrides {
    list: Vec<Override>,
    /// Those that are about nothing that there is any more.
    lost: Vec<(Value, String)>,
    print: Vec<u8>,
}

impl Overrides {
    /// Each of them that is in force, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = &Override> {
        self.list.iter()
    }

    /// Those that cannot be read as they are, with what is wrong.
    pub fn broken(&self) -> impl Iterator<Item = (&Value, String)> {
        let broken = self.list.iter().filter(|of| !of.problems.is_empty());
        let told = broken.map(|of| (&of.id, format!("{}: {}", of.text, of.problems.join("; "))));
        told.chain(self.lost.iter().map(|(id, words)| (id, words.clone())))
    }

    /// A hash of all that they say; empty where there are none.
    pub fn print(&self) -> &[u8] {
        &self.print
    }

    /// Those about an operation on the rows of a table.
    pub(crate) fn of_rows(
        &self,
        table: TableId,
        operation: Operation,
        effect: Effect,
    ) -> impl Iterator<Item = &Override> {
        self.of(table, operation, effect).filter(|of| of.target == Target::Rows)
    }

    /// Those about an operation on a column of its own.
    pub(crate) fn of_column(
        &self,
        table: TableId,
        operation: Operation,
        effect: Effect,
        column: ColumnId,
    ) -> impl Iterator<Item = &Override> {
        self.of(table, operation, effect)
            .filter(move |of| matches!(&of.target, Target::Columns(columns) if columns.contains(&column)))
    }

    /// Those about making or ending the links of a relation.
    pub(crate) fn of_relation(
        &self,
        table: TableId,
        operation: Operation,
        effect: Effect,
        relation: RelationId,
    ) -> impl Iterator<Item = &Override> {
        self.of(table, operation, effect).filter(move |of| match &of.target {
            Target::Rows => true,
            Target::Columns(_) => false,
            Target::Relations(relations) => relations.contains(&relation),
        })
    }

    /// Those that have a say in an operation on the rows of a table, or on one column of them.
    pub(crate) fn about(
        &self,
        table: TableId,
        operation: Operation,
        column: Option<ColumnId>,
    ) -> impl Iterator<Item = &Override> {
        let effects = [Effect::Allow, Effect::Deny].into_iter();
        effects.flat_map(move |effect| self.of(table, operation, effect)).filter(move |of| match &of.target {
            Target::Columns(columns) => column.is_some_and(|column| columns.contains(&column)),
            Target::Rows | Target::Relations(_) => column.is_none(),
        })
    }

    fn of(&self, table: TableId, operation: Operation, effect: Effect) -> impl Iterator<Item = &Override> {
        self.list.iter().filter(move |of| {
            // A broken one that allows says nothing.
            let counts = of.effect == Effect::Deny || of.problems.is_empty();
            of.table == table && of.operation == operation && of.effect == effect && counts
        })
    }
}

/// Where texts of conditions stand: in the app's files, or in rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Texts<'a> {
    pub(crate) sources: &'a Sources,
    pub(crate) overrides: &'a Overrides,
}

impl Texts<'_> {
    /// The text of a place.
    pub(crate) fn slice(&self, span: Span) -> &str {
        match span.file.checked_sub(FILE_FIRST) {
            None => self.sources.slice(span),
            Some(index) => {
                let of = self.overrides.list.get(index as usize);
                let text = of.and_then(|of| of.source.get(span.start as usize..span.end as usize));
                text.unwrap_or_default()
            }
        }
    }
}

/// `deny update(cost) if owner == user`
fn text_of(effect: Effect, operation: Operation, row: &Row<'_>) -> String {
    let effect = if effect == Effect::Allow { "allow" } else { "deny" };
    let mut text = format!("{effect} {}", rule::name_of(operation));
    if !row.columns.is_empty() {
        text.push_str(&format!("({})", row.columns.join(", ")));
    }
    let role = row.role.as_ref().map(|role| format!("user.has_role({role:?})"));
    let conditions: Vec<String> = role.into_iter().chain(row.condition.map(str::to_owned)).collect();
    if !conditions.is_empty() {
        text.push_str(&format!(" if {}", conditions.join(" and ")));
    }
    text
}
