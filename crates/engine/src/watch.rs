//! Reads for those who hold on to a set of rows: all of them, or those of some keys, and where the change log stood.
//!
//! A [`Watch`] is a part's plan for one caller, made by the same resolver and the same guard as a request's. Whoever keeps
//! it keeps a caller with it; when the caller changes, it is made anew. What stands in it (conditions, outputs and their
//! guards) may be read, so that somebody can tell which changes matter; rows come out of [`Engine::read_watched`] alone.

use std::sync::Arc;
use std::time::Instant;

use mainstay_lang::expr::{CompareOp, Expr, Node};
use mainstay_lang::filter::AggregateFunction;
use mainstay_lang::schema::{ColumnId, TableId};
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;
use mainstay_sql::plan::{Aggregate, Computed, Output, OutputKind, Select};
use mainstay_store::{Outcome, Query, ReadLimits};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::bind;
use crate::ctx::Ctx;
use crate::document::join_path;
use crate::engine::{Engine, no_log};
use crate::error::{Error, Key};
use crate::expression::{column_here, compare, expr, int};
use crate::guard::Guard;
use crate::part::Part;
use crate::planning::Planning;
use crate::resolve::{Resolver, name};
use crate::tail::{self, Position};

/// Keywords of a part that can be watched.
const KEYWORDS: &[&str] = &["get", "params", "where"];

/// A part as one caller sees it.
#[derive(Clone, Debug)]
pub struct Watch {
    /// The plan: conditions with the rules in them, outputs with their guards, no order and no limit.
    pub select: Arc<Select>,
    /// The values of its parameters.
    pub params: Vec<Value>,
}

/// Which of the watched rows are read.
#[derive(Clone, Copy, Debug)]
pub enum Among<'a> {
    /// All of them, up to a number.
    All(u64),
    /// Those with these keys.
    Keys(&'a [Value]),
}

/// A read of watched rows.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    /// Who reads: the caller that the watch was made for.
    pub ctx: &'a Ctx,
    /// What.
    pub watch: &'a Watch,
    /// Which rows.
    pub among: Among<'a>,
}

/// A row as its caller sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct WatchedRow {
    /// Its key.
    pub key: Value,
    /// The JSON object.
    pub text: Box<str>,
}

impl Engine {
    /// The plan of a part, under the rules of one time, for a caller who wants to know of its changes.
    ///
    /// # Errors
    /// Everything that can be wrong with a read, and [`Key::LiveUnsupported`] for what a set of rows does not have.
    pub fn watch(&self, planning: &Planning, ctx: &Ctx, table: &str, part: &Part) -> Result<Watch, Error> {
        if !self.keeps_log() {
            return Err(no_log("be subscribed to"));
        }
        let table = name::table(self.schema(), table, &part.path)?;
        if let Some(word) = part.keywords.iter().find(|word| !KEYWORDS.contains(word)) {
            return Err(unsupported(&join_path(&part.path, word), word));
        }
        let guard = Guard::lasting(&planning.catalog, ctx);
        let mut resolver = Resolver::new(&planning.catalog, guard, self.limits());
        let mut select = resolver.watched(table.id, part)?;
        self.without_hidden(&mut select, &part.path)?;
        Ok(Watch { select: Arc::new(select), params: resolver.params.into_values() })
    }

    /// Reads watched rows, all in one snapshot, and says where the change log stood in it. Rows come in no order.
    ///
    /// # Errors
    /// When one of them cannot be read; then none is.
    pub async fn read_watched(
        &self,
        readings: &[Reading<'_>],
        deadline: Instant,
    ) -> Result<(Position, Vec<Vec<WatchedRow>>), Error> {
        let mut batch = vec![self.position_query()];
        batch.extend(readings.iter().map(|reading| self.reading_query(reading)));
        let bytes = self.limits().bytes.saturating_mul(readings.len().max(1) as u64);
        let limits = ReadLimits { rows: u64::MAX, bytes, deadline };
        let mut outcomes = self.store.read(batch, limits).await?.into_iter();
        let position = tail::position(outcomes.next())?;
        let rows = readings.iter().zip(outcomes);
        let rows = rows.map(|(reading, outcome)| self.watched_rows(reading.watch.select.table, outcome));
        Ok((position, rows.collect::<Result<_, _>>()?))
    }

    /// The keys of the rows of a table for which a condition holds, at most so many: for the server's own eyes, to find out
    /// whom a change may concern. Nothing of it is to be shown.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn keys_where(
        &self,
        conditions: Vec<(TableId, Expr, Vec<Value>)>,
        max: u64,
        ctx: &Ctx,
    ) -> Result<Vec<Vec<Value>>, Error> {
        let tables: Vec<TableId> = conditions.iter().map(|(table, ..)| *table).collect();
        let queries = conditions.into_iter().map(|(table, condition, params)| {
            let key = Output { name: "id".to_owned(), kind: OutputKind::Column(ColumnId::ID), guard: None };
            let mut select = Select::of(table);
            select.filter.push(condition);
            select.outputs.push(key);
            select.limit = Some(int(i64::try_from(max).unwrap_or(i64::MAX)));
            let statement = Arc::new(mainstay_sql::select(self.schema(), self.dialect, &select));
            bind::query(&statement, ctx, &params)
        });
        let limits = ReadLimits { rows: u64::MAX, bytes: u64::MAX, deadline: ctx.deadline };
        let outcomes = self.store.read(queries.collect(), limits).await?;
        let keys = tables.into_iter().zip(outcomes).map(|(table, outcome)| {
            let rows = self.watched_rows(table, outcome)?;
            Ok(rows.into_iter().map(|row| row.key).collect())
        });
        keys.collect()
    }

    /// Rows of these keys with members of one's choosing: for the server's own eyes, as [`Engine::keys_where`].
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn rows_of(
        &self,
        table: TableId,
        outputs: Vec<Output>,
        keys: &[Value],
        ctx: &Ctx,
    ) -> Result<Vec<WatchedRow>, Error> {
        let key = Output { name: "id".to_owned(), kind: OutputKind::Column(ColumnId::ID), guard: None };
        let mut select = Select::of(table);
        select.outputs.push(key);
        select.outputs.extend(outputs);
        let watch = Watch { select: Arc::new(select), params: Vec::new() };
        let query = self.reading_query(&Reading { ctx, watch: &watch, among: Among::Keys(keys) });
        let limits = ReadLimits { rows: u64::MAX, bytes: u64::MAX, deadline: ctx.deadline };
        match self.store.read(vec![query], limits).await?.into_iter().next() {
            Some(outcome) => self.watched_rows(table, outcome),
            None => Err(Error::internal("a read answers")),
        }
    }

    /// The least time that an expression over the rows of a table says behind another one; none: it says none. For the
    /// server's own eyes, as [`Engine::keys_where`].
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn least_after(
        &self,
        table: TableId,
        of: &Expr,
        after: Value,
        ctx: &Ctx,
    ) -> Result<Option<Value>, Error> {
        let behind = compare(CompareOp::Gt, of.clone(), expr(Node::Param(0), of.ty.clone()));
        let least = Computed { function: AggregateFunction::Min, of: Some(of.clone()) };
        let plan = Aggregate {
            table,
            filter: vec![behind],
            groups: Vec::new(),
            values: vec![("least".to_owned(), least)],
            order: Vec::new(),
            limit: None,
            offset: None,
        };
        let statement = Arc::new(mainstay_sql::aggregate(self.schema(), self.dialect, &plan));
        let query = bind::query(&statement, ctx, &[after]);
        let limits = ReadLimits { rows: u64::MAX, bytes: u64::MAX, deadline: ctx.deadline };
        let Some(Outcome::Json(rows)) = self.store.read(vec![query], limits).await?.into_iter().next() else {
            return Err(Error::internal("an aggregate is answered as JSON"));
        };
        let least: Least<'_> = serde_json::from_str(&rows.text).map_err(Error::internal)?;
        let value = Value::from_json(least.least.get(), &of.ty).map_err(Error::internal)?;
        Ok((!value.is_null()).then_some(value))
    }

    fn reading_query(&self, reading: &Reading<'_>) -> Query {
        let mut select = Select::clone(&reading.watch.select);
        let mut params = reading.watch.params.clone();
        match reading.among {
            Among::All(max) => select.limit = Some(int(i64::try_from(max).unwrap_or(i64::MAX))),
            Among::Keys(keys) => {
                let id = column_here(self.schema().table(select.table), ColumnId::ID);
                // Sizes are powers of two, so that few statements serve any number of keys.
                let count = keys.len().next_power_of_two();
                let last = keys.last().cloned().unwrap_or(Value::Null);
                let keys = keys.iter().cloned().chain(std::iter::repeat(last)).take(count);
                let items = keys.map(|key| {
                    let index = u32::try_from(params.len()).expect("parameters are few");
                    params.push(key);
                    expr(Node::Param(index), id.ty.clone())
                });
                let items = items.collect();
                select.filter.insert(0, expr(Node::In { value: Box::new(id), items }, Type::Bool));
            }
        }
        let statement = Arc::new(mainstay_sql::select(self.schema(), self.dialect, &select));
        bind::query(&statement, reading.ctx, &params)
    }

    fn watched_rows(&self, table: TableId, outcome: Outcome) -> Result<Vec<WatchedRow>, Error> {
        let Outcome::Json(rows) = outcome else {
            return Err(Error::internal("rows are answered as JSON"));
        };
        let text = format!("[{}]", rows.text);
        let rows: Vec<&RawValue> = serde_json::from_str(&text).map_err(Error::internal)?;
        let ty = self.schema().key_type(table);
        let row = |row: &RawValue| {
            let keyed: Keyed<'_> = serde_json::from_str(row.get()).map_err(Error::internal)?;
            let key = Value::from_json(keyed.id.get(), ty).map_err(Error::internal)?;
            Ok(WatchedRow { key, text: row.get().into() })
        };
        rows.into_iter().map(row).collect()
    }

    /// Leaves out what no live frame shows, and refuses what is not one row beside another.
    fn without_hidden(&self, select: &mut Select, path: &str) -> Result<(), Error> {
        let table = self.schema().table(select.table);
        select.order.clear();
        select.outputs.retain(|output| match output.kind {
            OutputKind::Column(column) | OutputKind::One { column, .. } => !table.column(column).hidden,
            _ => true,
        });
        for output in &mut select.outputs {
            match &mut output.kind {
                OutputKind::Column(_) => {}
                OutputKind::One { select, .. } => {
                    self.without_hidden(select, &join_path(path, &output.name))?;
                }
                _ => return Err(unsupported(&join_path(path, &output.name), &output.name)),
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Keyed<'a> {
    #[serde(borrow)]
    id: &'a RawValue,
}

#[derive(Deserialize)]
struct Least<'a> {
    #[serde(borrow)]
    least: &'a RawValue,
}

fn unsupported(path: &str, word: &str) -> Error {
    let words = format!(
        "`{word}` has no place in a subscription, which is a set of rows: constraints, `where`, `get` and relations to one \
         row have"
    );
    Error::at(Key::LiveUnsupported, path, "live", words)
}
