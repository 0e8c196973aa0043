//! Conditions of the schema asked about one row: by its image when that suffices, else by the database.
//!
//! A condition stands in the scope of the row; `old` and `new` are the images around a change. The database is asked
//! about the row as it stands there, so who asks "before" does so before the row is written.

use std::sync::Arc;

use mainstay_lang::eval::Env;
use mainstay_lang::expr::Expr;
use mainstay_lang::schema::{ColumnId, Operation, RelationId, Table, TableId};
use mainstay_lang::value::Value;

use super::prepared::Test;
use super::rows::Image;
use super::run::Run;
use crate::bind::CallerEyes;
use crate::catalog::Rule;
use crate::confirmed::recent_required;
use crate::ctx::Ctx;
use crate::error::{Error, Key};
use crate::within::within;

/// The images around a change.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Change<'i> {
    /// `old.…`
    pub(super) old: Option<&'i Image>,
    /// `new.…`
    pub(super) new: Option<&'i Image>,
}

impl Run<'_> {
    /// Whether a condition is true, false or unknown (`None`) for a row.
    pub(super) async fn truth(
        &mut self,
        table: TableId,
        test: &Test,
        row: &Image,
        change: Change<'_>,
    ) -> Result<Option<bool>, Error> {
        self.truth_for(self.ctx, table, test, row, change).await
    }

    /// The same for the caller of a context.
    async fn truth_for(
        &mut self,
        ctx: &Ctx,
        table: TableId,
        test: &Test,
        row: &Image,
        change: Change<'_>,
    ) -> Result<Option<bool>, Error> {
        if let Some(local) = &test.local {
            let eyes = CallerEyes::new(ctx);
            let env = Env {
                row,
                old: change.old.map(|image| &image[..]),
                new: change.new.map(|image| &image[..]),
                params: &[],
                caller: &eyes,
                now: ctx.now,
                event_at: None,
            };
            return local.test(&env).map_err(|error| Error::new(Key::Arithmetic, error.to_string()));
        }
        Box::pin(self.asked_truth(ctx, table, test, row, change)).await
    }

    /// The same, asked of the database.
    async fn asked_truth(
        &mut self,
        ctx: &Ctx,
        table: TableId,
        test: &Test,
        row: &Image,
        change: Change<'_>,
    ) -> Result<Option<bool>, Error> {
        let statement = self.prepared.test_statement(table, test).clone();
        if self.may_see_waiting(&test.condition) {
            self.settle().await?;
        }
        let rows = self.values_for(ctx, &statement, &row[..1], change).await?;
        Ok(match rows.first().and_then(|row| row.first()) {
            Some(Value::Bool(value)) => Some(*value),
            _ => None,
        })
    }

    /// Whether a rule is true for a row, and stays so.
    pub(super) async fn allows(
        &mut self,
        table: TableId,
        rule: &Rule,
        row: &Image,
        change: Change<'_>,
    ) -> Result<bool, Error> {
        match rule {
            Rule::Never => Ok(false),
            Rule::Always => Ok(true),
            Rule::When(condition) => {
                let span = tracing::debug_span!("guard", table = self.schema().table(table).name);
                within!(span, self.is_met(table, condition, row, change))
            }
        }
    }

    async fn is_met(
        &mut self,
        table: TableId,
        condition: &Arc<Expr>,
        row: &Image,
        change: Change<'_>,
    ) -> Result<bool, Error> {
        let test = self.prepared.test(condition);
        self.hold(table, &test, row, change).await?;
        Ok(self.truth(table, &test, row, change).await? == Some(true))
    }

    /// The table's rule and those of the columns named, or 403. A stream's rows are changed by its commands alone.
    pub(super) async fn require(
        &mut self,
        table: TableId,
        operation: Operation,
        named: &[ColumnId],
        row: &Image,
        change: Change<'_>,
        path: &str,
    ) -> Result<(), Error> {
        if self.schema().table(table).stream.is_some() {
            return Err(stream_refused(self.schema().table(table), path));
        }
        let rule = self.guard().rule(table, operation);
        if !self.allows(table, &rule, row, change).await? {
            Box::pin(self.recent_check(table, &rule, row, change)).await?;
            Box::pin(self.note_refusal(table, operation, None, row, change, path)).await?;
            let name = &self.schema().table(table).name;
            let message = format!("you may not {} this {name}", verb(operation));
            return Err(Error::at(Key::Forbidden, path, "rule", message));
        }
        for column in named {
            let Some(rule) = self.guard().column_rule(table, operation, *column) else { continue };
            if !self.allows(table, rule, row, change).await? {
                Box::pin(self.recent_check(table, rule, row, change)).await?;
                Box::pin(self.note_refusal(table, operation, Some(*column), row, change, path)).await?;
                let name = &self.schema().table(table).column(*column).name;
                let verb = if operation == Operation::Create { "give" } else { "change" };
                return Err(Error::at(Key::Forbidden, path, "rule", format!("you may not {verb} `{name}`")));
            }
        }
        Ok(())
    }

    /// Of a rule that a row does not pass: says so where it would, had the caller shown a moment ago who it is.
    async fn recent_check(
        &mut self,
        table: TableId,
        rule: &Rule,
        row: &Image,
        change: Change<'_>,
    ) -> Result<(), Error> {
        let Some(factor) = self.ctx.missing_of(rule) else { return Ok(()) };
        let ctx = self.ctx.if_confirmed();
        let Rule::When(condition) = rule else { return Ok(()) };
        let test = self.prepared.test(condition);
        match self.truth_for(&ctx, table, &test, row, change).await? {
            Some(true) => Err(recent_required(factor)),
            _ => Ok(()),
        }
    }

    /// Whether the caller may see a row.
    pub(super) async fn is_readable(&mut self, table: TableId, row: &Image) -> Result<bool, Error> {
        let rule = self.guard().rule(table, Operation::Read);
        self.allows(table, &rule, row, Change::default()).await
    }

    /// Whether the caller may see what a column of a row that may be read holds.
    pub(super) async fn is_column_readable(
        &mut self,
        table: TableId,
        column: ColumnId,
        row: &Image,
    ) -> Result<bool, Error> {
        if self.schema().table(table).column(column).secret {
            return Ok(false);
        }
        match self.guard().column_rule(table, Operation::Read, column) {
            Some(rule) => self.allows(table, rule, row, Change::default()).await,
            None => Ok(true),
        }
    }

    /// Whether row and caller suffice for the rule for reading.
    pub(super) fn reads_row_alone(&self, table: TableId) -> bool {
        match self.guard().rule(table, Operation::Read) {
            Rule::Never | Rule::Always => true,
            Rule::When(condition) => self.prepared.test(&condition).local.is_some(),
        }
    }

    /// The rule of `link` or `unlink`, or 403; false when the rule of changing the declaring row governs.
    pub(super) async fn require_link(
        &mut self,
        table: TableId,
        operation: Operation,
        relation: RelationId,
        row: &Image,
        path: &str,
    ) -> Result<bool, Error> {
        let guard = self.guard();
        if let Some(besides) = guard.relation_besides(table, operation, relation) {
            if self.allows(table, &besides.open, row, Change::default()).await? {
                return self.allows(table, &besides.allowed, row, Change::default()).await;
            }
        } else {
            let Some(rule) = guard.relation_rule(table, operation, relation) else { return Ok(false) };
            if self.allows(table, &rule, row, Change::default()).await? {
                return Ok(true);
            }
            self.recent_check(table, &rule, row, Change::default()).await?;
        }
        self.note_refusal(table, operation, None, row, Change::default(), path).await?;
        let name = &self.schema().table(table).relation(relation).name;
        let message = format!("you may not {} rows of `{name}`", verb(operation));
        Err(Error::at(Key::Forbidden, path, "rule", message))
    }
}

/// The rows of a stream are no one's to write.
pub(super) fn stream_refused(table: &Table, path: &str) -> Error {
    let message = format!("{} is a stream: its rows change through its commands only", table.name);
    Error::at(Key::Forbidden, path, "stream", message)
}

fn verb(operation: Operation) -> &'static str {
    match operation {
        Operation::Read => "read",
        Operation::Create => "create",
        Operation::Update => "change",
        Operation::Delete => "delete",
        Operation::Link => "link",
        Operation::Unlink => "unlink",
    }
}
