//! Rows that a read leaves out, and columns that it leaves away.
//!
//! The rows that the request's own conditions mean are found past the rules, and each is asked why the caller does not
//! get it: the lines for reading, or conditions that count what may not be read as null. Nested parts are asked the same
//! of the rows that hang on those which the caller may read. No part is asked about more than [`ROWS_MAX`] rows; how
//! many there were beyond that is said.

use std::sync::Arc;

use mainstay_lang::expr::Expr;
use mainstay_lang::schema::{ColumnId, Operation as Action, Table, TableId};
use mainstay_lang::source::Sources;
use mainstay_lang::value::Value;
use mainstay_sql::plan::Images;
use mainstay_sql::statement::Statement;
use mainstay_store::Outcome;

use super::nested::Among;
use super::{Beyond, Probe, Reasons, Why};
use crate::bind;
use crate::catalog::Rule;
use crate::ctx::Ctx;
use crate::engine::Engine;
use crate::error::Error;
use crate::expression::{and, boolean, int};
use crate::guard::Guard;
use crate::overrides::Texts;
use crate::part::{Get, Operation, Part};
use crate::planning::Planning;
use crate::resolve::{Resolver, name};
use crate::write;

/// Rows of one part that are looked at.
const ROWS_MAX: usize = 100;

/// What the parts of an operation do not get.
pub(super) async fn left_out(
    engine: &Engine,
    planning: &Planning,
    ctx: &Ctx,
    operation: &Operation,
    sources: &Sources,
) -> Result<Reasons, Error> {
    let mut reading = Reading { engine, planning, ctx, sources, found: Reasons::default() };
    for document in &operation.documents {
        for entry in &document.entries {
            for part in entry.parts.iter().filter(|part| !part.create) {
                let table = name::table(engine.schema(), &entry.table, &part.path)?;
                if !write::writes(engine.schema(), table, part) {
                    // Whatever is wrong with the request is said before anything is looked at.
                    reading.resolver().read(table.id, part)?;
                }
                reading.part(table, part, None).await?;
            }
        }
    }
    Ok(reading.found)
}

/// Parts being asked, and what came of it.
pub(super) struct Reading<'a> {
    pub(super) engine: &'a Engine,
    planning: &'a Planning,
    ctx: &'a Ctx,
    sources: &'a Sources,
    pub(super) found: Reasons,
}

/// A row that the caller may read, with the columns of it that are withheld.
pub(super) struct Shown {
    pub(super) row: Vec<Value>,
    pub(super) withheld: Vec<ColumnId>,
}

/// A question about single rows: the row's key is the first parameter.
struct Question<'p> {
    table: &'p Table,
    path: &'p str,
    params: Vec<Value>,
}

impl<'a> Reading<'a> {
    pub(super) fn guard(&self) -> Guard<'a> {
        Guard::new(&self.planning.catalog, self.ctx)
    }

    fn texts(&self) -> Texts<'a> {
        Texts { sources: self.sources, overrides: self.planning.catalog.overrides() }
    }

    pub(super) fn resolver(&self) -> Resolver<'a> {
        Resolver::new(&self.planning.catalog, self.guard(), self.engine.limits())
    }

    /// Asks about the rows of a part, those among the given ones when it is nested, then about the parts in it.
    pub(super) async fn part(
        &mut self,
        table: &Table,
        part: &Part,
        among: Option<Among>,
    ) -> Result<(), Error> {
        let schema = self.engine.schema();
        let guard = self.guard();
        let mut resolver = self.resolver();
        resolver.params.add(Value::Null, schema.key_type(table.id));
        let conditions = resolver.conditions(table.id, part)?;
        let mut filter = conditions.clone();
        filter.extend(among.as_ref().map(|among| among.condition(table, &mut resolver.params)));
        let mut asked = Question { table, path: &part.path, params: resolver.params.into_values() };
        let rows = self.meant(&asked, filter).await?;

        let rule = match guard.rule(table.id, Action::Read) {
            Rule::Always => boolean(true),
            Rule::Never => boolean(false),
            Rule::When(condition) => Expr::clone(&condition),
        };
        let seen = and(conditions.iter().map(|condition| guard.eyes(table.id, condition)).collect());
        let through = among.and_then(|among| among.through);
        let way = through.as_ref().map_or(boolean(true), |(_, rule)| rule.clone());
        let lines = Probe::of_rules(schema, self.texts(), table, Action::Read, None);
        let mut own = Probe::new(table.id);
        let words = "the request's own conditions, where what may not be read counts as null";
        own.words(schema, words.to_owned(), &seen);
        let guarded = guarded_columns(guard, table, part);
        let mut shown = Vec::new();
        for row in rows {
            asked.params[0] = row[0].clone();
            let verdict = self.ask(&asked, &[rule.clone(), way.clone(), seen.clone()]).await?;
            let is_true = |index: usize| verdict.get(index) == Some(&Value::Bool(true));
            if !is_true(0) {
                self.tell(&asked, None, &lines).await?;
                continue;
            }
            if let (false, Some((column, _))) = (is_true(1), &through) {
                self.tell_column(&asked, *column).await?;
                continue;
            }
            if !is_true(2) {
                self.tell(&asked, None, &own).await?;
            }
            let mut withheld = Vec::new();
            for (column, rule) in &guarded {
                let verdict = self.ask(&asked, std::slice::from_ref(rule)).await?;
                if verdict.first() != Some(&Value::Bool(true)) {
                    withheld.push(*column);
                    self.tell_column(&asked, *column).await?;
                }
            }
            shown.push(Shown { row, withheld });
        }
        if shown.is_empty() { Ok(()) } else { Box::pin(self.nested(table, part, &shown)).await }
    }

    /// The rows that pass a filter past the rules, as many as are looked at.
    async fn meant(&mut self, asked: &Question<'_>, filter: Vec<Expr>) -> Result<Vec<Vec<Value>>, Error> {
        let (schema, table) = (self.engine.schema(), asked.table);
        let count = mainstay_sql::count(schema, self.engine.dialect, table.id, &filter);
        let count = self.values(count, &asked.params).await?.into_iter().flatten().next();
        if let Some(Value::Int(count)) = count {
            self.beyond(asked.path, table, (count.unsigned_abs() as usize).saturating_sub(ROWS_MAX));
        }
        let rows = self.images(table.id, filter, ROWS_MAX);
        self.values(rows, &asked.params).await
    }

    /// Notes rows that were not looked at.
    pub(super) fn beyond(&mut self, path: &str, table: &Table, rows: usize) {
        if rows > 0 {
            self.found.beyond.push(Beyond { path: path.to_owned(), table: table.name.clone(), rows });
        }
    }

    /// Whole rows that pass every condition.
    pub(super) fn images(&self, table: TableId, filter: Vec<Expr>, rows: usize) -> Statement {
        let limit = Some(int(i64::try_from(rows).unwrap_or(i64::MAX)));
        let images = Images { table, filter, limit, lock: None };
        mainstay_sql::images(self.engine.schema(), self.engine.dialect, &images)
    }

    async fn tell_column(&mut self, asked: &Question<'_>, column: ColumnId) -> Result<(), Error> {
        let schema = self.engine.schema();
        let lines = Probe::of_rules(schema, self.texts(), asked.table, Action::Read, Some(column));
        self.tell(asked, Some(column), &lines).await
    }

    async fn tell(
        &mut self,
        asked: &Question<'_>,
        column: Option<ColumnId>,
        probe: &Probe,
    ) -> Result<(), Error> {
        let answers = self.ask(asked, probe.exprs()).await?;
        let (lines, denied) = probe.lines(&answers);
        self.found.refusals.push(Why {
            path: asked.path.to_owned(),
            table: asked.table.name.clone(),
            row: serde_json::from_str(&asked.params[0].to_json()).unwrap_or_default(),
            operation: "read",
            column: column.map(|column| asked.table.column(column).name.clone()),
            lines,
            denied,
        });
        Ok(())
    }

    /// What expressions say of the row.
    async fn ask(&self, asked: &Question<'_>, exprs: &[Expr]) -> Result<Vec<Value>, Error> {
        if exprs.is_empty() {
            return Ok(Vec::new());
        }
        let statement = mainstay_sql::test(self.engine.schema(), self.engine.dialect, asked.table.id, exprs);
        Ok(self.values(statement, &asked.params).await?.into_iter().next().unwrap_or_default())
    }

    pub(super) async fn values(
        &self,
        statement: Statement,
        params: &[Value],
    ) -> Result<Vec<Vec<Value>>, Error> {
        let query = bind::query(&Arc::new(statement), self.ctx, params);
        let outcomes = self.engine.store.read(vec![query], self.engine.read_limits(self.ctx)).await?;
        match outcomes.into_iter().next() {
            Some(Outcome::Values(rows)) => Ok(rows),
            _ => Err(Error::internal("a test answers values")),
        }
    }
}

/// The columns that a part asks for and that have rules of their own.
fn guarded_columns(guard: Guard<'_>, table: &Table, part: &Part) -> Vec<(ColumnId, Expr)> {
    let is_asked = |name: &str, hidden: bool| {
        let got = part.get.iter().flatten().any(|item| match item {
            Get::All => !hidden,
            Get::Member(member, _) => member == name,
        });
        got || part.fields.iter().any(|(field, _)| field == name)
    };
    let columns = table.columns.iter().filter(|column| !column.secret);
    let asked = columns.filter(|column| is_asked(&column.name, column.hidden));
    asked.filter_map(|column| Some((column.id, guard.output_guard(table.id, column.id)?))).collect()
}
