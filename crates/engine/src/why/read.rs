//! Rows that a read leaves out, and columns that it leaves away.
//!
//! The rows that the request's own conditions mean are found past the rules, and each is asked why the caller does not
//! get it: the lines for reading, or conditions that count what may not be read as null. Only the rows of top-level parts
//! are looked at: for nested ones, their table is asked for at the top.

use std::sync::Arc;

use mainstay_lang::expr::Expr;
use mainstay_lang::schema::{ColumnId, Operation as Action, Table};
use mainstay_lang::source::Sources;
use mainstay_lang::value::Value;
use mainstay_sql::plan::Images;
use mainstay_sql::statement::Statement;
use mainstay_store::Outcome;

use super::{Probe, Why};
use crate::bind;
use crate::catalog::Rule;
use crate::ctx::Ctx;
use crate::engine::Engine;
use crate::error::Error;
use crate::expression::{and, boolean, int};
use crate::guard::Guard;
use crate::part::{Get, Operation, Part};
use crate::resolve::{Resolver, name};

/// Rows of one part that are looked at.
const ROWS_MAX: i64 = 100;

/// What the parts of an operation do not get.
pub(super) async fn left_out(
    engine: &Engine,
    ctx: &Ctx,
    operation: &Operation,
    sources: &Sources,
) -> Result<Vec<Why>, Error> {
    let mut found = Vec::new();
    for document in &operation.documents {
        for entry in &document.entries {
            for part in entry.parts.iter().filter(|part| !part.create) {
                let table = name::table(engine.schema(), &entry.table, &part.path)?;
                let asked = Asked { engine, ctx, sources, table, part };
                asked.left_out(&mut found).await?;
            }
        }
    }
    Ok(found)
}

/// A part whose rows are asked.
struct Asked<'a> {
    engine: &'a Engine,
    ctx: &'a Ctx,
    sources: &'a Sources,
    table: &'a Table,
    part: &'a Part,
}

impl Asked<'_> {
    async fn left_out(&self, found: &mut Vec<Why>) -> Result<(), Error> {
        let (schema, table) = (self.engine.schema(), self.table);
        let guard = Guard::new(&self.engine.catalog, self.ctx);
        let mut resolver = Resolver::new(&self.engine.catalog, guard, &self.engine.limits);
        // The first parameter of a test is the row's key.
        resolver.params.add(Value::Null, schema.key_type(table.id));
        let conditions = resolver.conditions(table.id, self.part)?;
        let mut params = resolver.params.into_values();
        let images = Images {
            table: table.id,
            filter: conditions.clone(),
            limit: Some(int(ROWS_MAX)),
            for_update: false,
        };
        let meant = mainstay_sql::images(schema, self.engine.dialect, &images);
        let rows = self.values(Arc::new(meant), &params).await?;

        let rule = match guard.rule(table.id, Action::Read) {
            Rule::Always => boolean(true),
            Rule::Never => boolean(false),
            Rule::When(condition) => Expr::clone(&condition),
        };
        let seen = and(conditions.iter().map(|condition| guard.eyes(table.id, condition)).collect());
        let lines = Probe::of_rules(schema, self.sources, table, Action::Read, None);
        let mut own = Probe::new(table.id);
        let words = "the request's own conditions, where what may not be read counts as null";
        own.words(schema, words.to_owned(), &seen);
        let guarded = self.guarded_columns(&guard);
        for row in rows {
            params[0] = row[0].clone();
            let verdict = self.ask(&[rule.clone(), seen.clone()], &params).await?;
            if verdict.first() != Some(&Value::Bool(true)) {
                found.push(self.why(&row[0], None, &lines, &params).await?);
                continue;
            }
            if verdict.get(1) != Some(&Value::Bool(true)) {
                found.push(self.why(&row[0], None, &own, &params).await?);
                continue;
            }
            for (column, rule) in &guarded {
                if self.ask(std::slice::from_ref(rule), &params).await?.first() != Some(&Value::Bool(true)) {
                    let lines = Probe::of_rules(schema, self.sources, table, Action::Read, Some(*column));
                    found.push(self.why(&row[0], Some(*column), &lines, &params).await?);
                }
            }
        }
        Ok(())
    }

    /// The columns that the part asks for and that have rules of their own.
    fn guarded_columns(&self, guard: &Guard<'_>) -> Vec<(ColumnId, Expr)> {
        let is_asked = |name: &str, hidden: bool| {
            let got = self.part.get.iter().flatten().any(|item| match item {
                Get::All => !hidden,
                Get::Member(member, _) => member == name,
            });
            got || self.part.fields.iter().any(|(field, _)| field == name)
        };
        let columns = self.table.columns.iter().filter(|column| !column.secret);
        let asked = columns.filter(|column| is_asked(&column.name, column.hidden));
        asked.filter_map(|column| Some((column.id, guard.output_guard(self.table.id, column.id)?))).collect()
    }

    async fn why(
        &self,
        key: &Value,
        column: Option<ColumnId>,
        probe: &Probe,
        params: &[Value],
    ) -> Result<Why, Error> {
        let answers = self.ask(probe.exprs(), params).await?;
        Ok(Why {
            path: self.part.path.clone(),
            table: self.table.name.clone(),
            row: serde_json::from_str(&key.to_json()).unwrap_or_default(),
            operation: "read",
            column: column.map(|column| self.table.column(column).name.clone()),
            lines: probe.lines(&answers),
        })
    }

    /// What expressions say of the row whose key is the first parameter.
    async fn ask(&self, exprs: &[Expr], params: &[Value]) -> Result<Vec<Value>, Error> {
        if exprs.is_empty() {
            return Ok(Vec::new());
        }
        let statement = mainstay_sql::test(self.engine.schema(), self.engine.dialect, self.table.id, exprs);
        Ok(self.values(Arc::new(statement), params).await?.into_iter().next().unwrap_or_default())
    }

    async fn values(&self, statement: Arc<Statement>, params: &[Value]) -> Result<Vec<Vec<Value>>, Error> {
        let query = bind::query(&statement, &self.engine.catalog, self.ctx, params);
        let outcomes = self.engine.store.read(vec![query], self.engine.read_limits(self.ctx)).await?;
        match outcomes.into_iter().next() {
            Some(Outcome::Values(rows)) => Ok(rows),
            _ => Err(Error::internal("a test answers values")),
        }
    }
}
