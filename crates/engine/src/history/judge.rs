//! What a caller may see of an image in the change log.
//!
//! The rules for reading are asked of the image as if the row had those values now: in memory where row and caller suffice,
//! else by the database with the image in the row's place, so that related rows count as they stand. An image may lack
//! columns: secret ones, and those that its table did not have. Of those nothing is known, so a rule that may look at
//! one is not passed.

use std::sync::Arc;

use mainstay_lang::eval::{Compiled, Env};
use mainstay_lang::expr::{Expr, Node, RowPath};
use mainstay_lang::schema::{ColumnId, Table};
use mainstay_lang::value::Value;
use mainstay_sql::statement::Statement;
use mainstay_store::{Outcome, Query};

use super::{Image, Line};
use crate::bind::{self, CallerEyes};
use crate::ctx::Ctx;
use crate::engine::Engine;
use crate::error::Error;
use crate::expression::walk_all;
use crate::guard::Guard;
use crate::planning::Planning;

/// What is shown of a line.
pub(super) struct Seen {
    /// The version: names and values.
    pub(super) row: Vec<(String, Value)>,
    /// The columns that an update has changed, as far as both sides may be seen; `None`: nothing is known of a before.
    pub(super) changed: Option<Vec<String>>,
}

/// The rules for reading rows of a table, for one caller.
pub(super) struct Judge<'e> {
    engine: &'e Engine,
    ctx: &'e Ctx,
    table: &'e Table,
    /// The rule of rows first, then those of guarded columns.
    rules: Vec<Rule>,
    /// The columns that can be shown, and the place of their rule.
    columns: Vec<(ColumnId, Option<usize>)>,
    /// Answers all rules that read other rows, in their order.
    asked: Option<Arc<Statement>>,
}

/// A condition with all that is needed to ask it of an image.
struct Rule {
    condition: Expr,
    /// When row and caller suffice.
    local: Option<Compiled>,
}

impl<'e> Judge<'e> {
    pub(super) fn new(engine: &'e Engine, planning: &Planning, ctx: &'e Ctx, table: &'e Table) -> Judge<'e> {
        let guard = Guard::new(&planning.catalog, ctx);
        let rule = |condition: Expr| {
            let local = condition.is_row_local().then(|| Compiled::new(&condition).ok()).flatten();
            Rule { condition, local }
        };
        let mut rules =
            vec![rule(guard.read_filter(table.id).unwrap_or_else(|| crate::expression::boolean(true)))];
        let mut columns = Vec::with_capacity(table.columns.len());
        for column in table.columns.iter().filter(|column| !column.secret && !column.hidden) {
            let place = guard.output_guard(table.id, column.id).map(|condition| {
                rules.push(rule(condition));
                rules.len() - 1
            });
            columns.push((column.id, place));
        }
        let asked: Vec<Expr> =
            rules.iter().filter(|rule| rule.local.is_none()).map(|rule| rule.condition.clone()).collect();
        let asked = (!asked.is_empty())
            .then(|| Arc::new(mainstay_sql::test_given(engine.schema(), engine.dialect, table.id, &asked)));
        Judge { engine, ctx, table, rules, columns, asked }
    }

    /// A row of the log's statement.
    pub(super) fn line(&self, row: Vec<Value>) -> Result<Line, Error> {
        let unreadable = || Error::internal("a line of the change log cannot be read");
        let [seq, at, kind, before, after, actor] = <[Value; 6]>::try_from(row).map_err(|_| unreadable())?;
        let (Value::Int(seq), Value::Text(kind)) = (seq, kind) else { return Err(unreadable()) };
        let image = |value: Value| match value {
            Value::Json(text) => Image::read(self.engine.schema(), self.table, &text).map(Some),
            _ => Ok(None),
        };
        let (before, after) = (image(before)?, image(after)?);
        let (version, before) = match after {
            Some(after) => (after, before),
            None => (before.ok_or_else(unreadable)?, None),
        };
        let actor = match actor {
            Value::Text(actor) => Some(actor),
            _ => None,
        };
        Ok(Line { seq, at, kind, version, before, actor })
    }

    /// The lines whose version the caller may see.
    pub(super) async fn seen(&self, lines: Vec<Line>) -> Result<Vec<(Line, Seen)>, Error> {
        let images = || lines.iter().flat_map(|line| std::iter::once(&line.version).chain(&line.before));
        let mut answers = match &self.asked {
            Some(statement) => {
                let query = |image: &Image| Query {
                    statement: statement.clone(),
                    values: bind::values(&statement.binds, self.ctx, &image.values, bind::Images::default()),
                };
                let batch: Vec<Query> = images().map(query).collect();
                self.engine.store.read(batch, self.engine.read_limits(self.ctx)).await?.into_iter()
            }
            None => Vec::new().into_iter(),
        };
        let mut verdicts = Vec::with_capacity(lines.len());
        for line in &lines {
            let version = self.verdict(&line.version, &mut answers)?;
            let before = match &line.before {
                Some(before) => Some(self.verdict(before, &mut answers)?),
                None => None,
            };
            verdicts.push((version, before));
        }
        let seen = lines.into_iter().zip(verdicts).filter_map(|(line, (version, before))| {
            let shown = version?;
            let row = shown.iter().map(|column| {
                (self.table.column(*column).name.clone(), line.version.values[column.0 as usize].clone())
            });
            let row = row.collect();
            let changed = match (&line.before, before.flatten()) {
                (Some(image), Some(before)) => Some(self.changed(&line.version, &shown, image, &before)),
                _ => None,
            };
            Some((line, Seen { row, changed }))
        });
        Ok(seen.collect())
    }

    /// The columns that may be seen of an image; `None`: the image may not. Takes the image's own answer off the others'.
    fn verdict(
        &self,
        image: &Image,
        answers: &mut impl Iterator<Item = Outcome>,
    ) -> Result<Option<Vec<ColumnId>>, Error> {
        let mut asked = Vec::new();
        if self.asked.is_some() {
            match answers.next() {
                Some(Outcome::Values(rows)) => asked = rows.into_iter().next().unwrap_or_default(),
                _ => return Err(Error::internal("rules answer values")),
            }
        }
        let mut asked = asked.into_iter();
        let eyes = CallerEyes::new(self.ctx);
        let env = Env::of_row(&image.values, &eyes, self.ctx.now);
        let passes: Vec<bool> = self
            .rules
            .iter()
            .map(|rule| {
                let passes = match &rule.local {
                    // What cannot be computed is not true.
                    Some(local) => matches!(local.test(&env), Ok(Some(true))),
                    None => asked.next() == Some(Value::Bool(true)),
                };
                passes && !may_read(&rule.condition, &image.missing)
            })
            .collect();
        if !passes[0] {
            return Ok(None);
        }
        let shown = self.columns.iter().filter(|(column, place)| {
            place.is_none_or(|place| passes[place]) && !image.missing.contains(column)
        });
        Ok(Some(shown.map(|(column, _)| *column).collect()))
    }

    /// The row's version changes with every other column, so it is no news.
    fn changed(
        &self,
        version: &Image,
        shown: &[ColumnId],
        before: &Image,
        shown_before: &[ColumnId],
    ) -> Vec<String> {
        let differs = |column: &&ColumnId| {
            let place = column.0 as usize;
            Some(**column) != self.table.updated
                && shown_before.contains(column)
                && version.values[place] != before.values[place]
        };
        shown.iter().filter(differs).map(|column| self.table.column(*column).name.clone()).collect()
    }
}

/// Whether a condition may look at one of these columns of its row. Columns of other rows that have the same number count
/// as well: rather too few versions than one too many.
fn may_read(condition: &Expr, columns: &[ColumnId]) -> bool {
    if columns.is_empty() {
        return false;
    }
    let mut reads = false;
    walk_all(condition, &mut |expr| {
        let hops = |row: &RowPath| row.hops.iter().any(|hop| columns.contains(&hop.column));
        reads |= match &expr.node {
            Node::Column { row, column, .. } => columns.contains(column) || hops(row),
            Node::Many(many) => hops(&many.row),
            _ => false,
        };
    });
    reads
}
