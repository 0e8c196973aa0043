//! Carrying out the steps of a request inside its transaction.
//!
//! The order within a step is the language's: find, to-one parts, create or set, to-many, delete; rules "before" at the
//! operation and "after" once everything nested has run. A [`Run`] remembers what was written; the checks, the change
//! log and the answer come from that memory at the end. Nothing here outlives the transaction.

mod change;
mod create;
mod delete;
mod find;
mod hooks;
mod list;
mod outright;
mod step;
mod swift;
mod unique;

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Instant;

use mainstay_lang::eval::CallerView;
use mainstay_lang::schema::{ColumnId, Operation, Schema, Table, TableId};
use mainstay_lang::value::Value;
use mainstay_sql::dialect::Lock;
use mainstay_sql::statement::Statement;
use mainstay_store::{JsonRows, Outcome, Query, ReadLimits, StoreError, Tx};
use uuid::ContextV7;

use super::Along;
use super::explain::Explained;
use super::hold::Holding;
use super::prepared::Prepared;
use super::rows::{Image, LinkWritten, RowKey, Rows};
use super::rules::Change;
use crate::bind;
use crate::catalog::Catalog;
use crate::ctx::Ctx;
use crate::document::join_path;
use crate::error::{Error, Key};
use crate::guard::Guard;
use crate::hook::Hooking;
use crate::limits::Limits;
use crate::planning::Planning;
use crate::why::Inquiry;

pub(super) use outright::Awaited;
use step::Left;
pub(super) use step::{AnswerRow, Place};
pub(super) use swift::{Lines, Manner};
pub(super) use unique::Careful;

/// One request that writes, or a question of a hook within one, while it runs.
pub(super) struct Run<'a> {
    tx: &'a mut Tx,
    pub(super) planning: &'a Planning,
    pub(super) catalog: &'a Catalog,
    pub(super) ctx: &'a Ctx,
    pub(super) prepared: &'a Prepared,
    pub(super) limits: Limits,
    /// When the caller wants to know why it is refused.
    pub(super) inquiry: Option<&'a Inquiry>,
    /// Where hooks are called.
    pub(super) hooking: Option<&'a Hooking>,
    pub(super) manner: Manner,
    /// Whether the request changes one row and may do with a glance at it.
    pub(super) may_glance: bool,
    /// Rules to be asked once the parts nested in theirs have run.
    afters: Vec<After>,
    /// Tables whose unique values may change hands.
    pub(super) careful: Arc<Careful>,
    /// Updates and links that hooks are still to be told of.
    untold: Vec<hooks::Untold>,
    untold_links: Vec<LinkWritten>,
    /// Why the request fails, whatever else it does.
    broken: Option<Error>,
    memory: Memory,
}

/// What a transaction has come to: handed on to what hooks ask within it, and back.
pub(super) struct Memory {
    /// When the caller wants to know what ran.
    pub(super) explained: Option<Explained>,
    /// What was written so far.
    pub(super) rows: Rows,
    /// Rows whose create rule is still to be asked: what is linked to them meanwhile is part of making them.
    creating: Vec<(TableId, RowKey)>,
    /// Columns that wait for their unique values.
    waiting: Vec<unique::Waiting>,
    /// Rows of others that stay as they are.
    pub(super) held: Holding,
    /// Writes that were put off, and may still be refused.
    put_off: Vec<PutOff>,
    /// How many statements were.
    laters: usize,
    /// What has become of them, once one was refused.
    refusal: Option<Error>,
    /// New rows that wait for their lines of the change log.
    unsent: Vec<swift::NewRow>,
    /// Whether they are written one after the other.
    goes_alone: bool,
    /// The row that is changed, where it is not held.
    glance: Option<swift::Glance>,
    /// Whether what was refused has no exact place, and would have one if the request were carried out thoroughly.
    pub(super) is_vague: bool,
    /// Whether anything was asked of the database.
    has_asked: bool,
    /// Keeps the keys of one request in order within its microsecond.
    uuids: ContextV7,
    /// Whether its lines of the change log are written: what the request has begun with, should a log be made meanwhile.
    pub(super) logs: bool,
}

/// What the transaction remembers is the run's that is on.
impl Deref for Run<'_> {
    type Target = Memory;

    fn deref(&self) -> &Memory {
        &self.memory
    }
}

impl DerefMut for Run<'_> {
    fn deref_mut(&mut self) -> &mut Memory {
        &mut self.memory
    }
}

/// A write that the database may refuse when it comes to it.
#[derive(Debug)]
pub(super) struct PutOff {
    /// Which of the statements for later it is.
    pub(super) at: usize,
    table: TableId,
    places: Vec<(ColumnId, String)>,
    path: String,
    /// Whether other rows stand in its statement.
    is_shared: bool,
    /// Whether references were left to the database.
    is_unasked: bool,
}

/// A rule to be asked of a row once the parts nested in its part have run.
#[derive(Debug)]
struct After {
    operation: Operation,
    table: TableId,
    /// Before the change; of a new row: as it was made.
    old: Image,
    /// Columns named in the write.
    named: Vec<ColumnId>,
    path: String,
}

impl<'a> Run<'a> {
    pub(super) fn new(tx: &'a mut Tx, planning: &'a Planning, ctx: &'a Ctx) -> Run<'a> {
        Run {
            tx,
            planning,
            catalog: &planning.catalog,
            ctx,
            prepared: &planning.writes,
            limits: planning.limits(),
            inquiry: None,
            hooking: None,
            manner: Manner::default(),
            may_glance: false,
            afters: Vec::new(),
            careful: Arc::default(),
            untold: Vec::new(),
            untold_links: Vec::new(),
            broken: None,
            memory: Memory {
                explained: None,
                rows: Rows::new(planning.limits().rows),
                creating: Vec::new(),
                waiting: Vec::new(),
                held: Holding::default(),
                put_off: Vec::new(),
                laters: 0,
                refusal: None,
                unsent: Vec::new(),
                goes_alone: false,
                glance: None,
                is_vague: false,
                has_asked: false,
                uuids: ContextV7::new(),
                logs: planning.writes.keeps_log(),
            },
        }
    }

    pub(super) fn schema(&self) -> &'a Schema {
        self.catalog.schema()
    }

    pub(super) fn guard(&self) -> Guard<'a> {
        Guard::new(self.catalog, self.ctx)
    }

    /// The caller as expressions in memory see it.
    pub(super) fn eyes(&self) -> impl CallerView + 'a {
        bind::CallerEyes::new(self.ctx)
    }

    /// Runs a statement with its values, on what the request has come to.
    pub(super) async fn outcome(&mut self, query: &Query) -> Result<Outcome, Error> {
        self.settle().await?;
        Ok(self.run(query).await?)
    }

    async fn run(&mut self, query: &Query) -> Result<Outcome, StoreError> {
        self.send_unsent().await?;
        let started = self.explained.is_some().then(Instant::now);
        let outcome = self.tx.query(query).await;
        self.explain(query, started);
        self.came_to(&outcome);
        outcome
    }

    /// Whether a statement about the database itself finds something. It is no statement of the request's, and not told as one.
    pub(super) async fn has_rows(&mut self, statement: &Arc<Statement>) -> Result<bool, Error> {
        let query = Query { statement: statement.clone(), values: Vec::new() };
        Ok(matches!(self.tx.query(&query).await?, Outcome::Values(rows) if !rows.is_empty()))
    }

    /// With a statement, those that were put off before it are done, or one of them was refused.
    fn came_to<T>(&mut self, result: &Result<T, StoreError>) {
        let put_off = std::mem::take(&mut self.put_off);
        if let (Err(error), Some(failed)) = (result, self.tx.failed_later())
            && let Some(write) = put_off.into_iter().find(|write| write.at == failed)
        {
            self.is_vague |= write.is_vague(error);
            self.refusal = Some(write.refused(self.schema(), error.clone()));
        }
    }

    /// What the request comes to. What was put off stands before whatever came behind it: where one of both is refused, or
    /// each, that is told first, as it is where nothing is put off. Where all went well so far, it goes out with the commit.
    pub(super) async fn conclude<T>(&mut self, result: Result<T, Error>) -> Result<T, Error> {
        let is_undone = result.is_err() || self.inquiry.is_some();
        let sent = if is_undone { self.send_put_off().await } else { Ok(()) };
        match self.refusal.take() {
            Some(refusal) => Err(refusal),
            None => result.and_then(|result| sent.map(|()| result)),
        }
    }

    /// Has done what was put off, so that it is known whether it was refused.
    async fn send_put_off(&mut self) -> Result<(), Error> {
        if self.put_off.is_empty() && self.unsent.is_empty() {
            return Ok(());
        }
        let sent = match self.send_unsent().await {
            Ok(()) => self.tx.flush().await,
            Err(error) => Err(error),
        };
        self.came_to(&sent);
        sent.map_err(|error| self.refusal.clone().unwrap_or_else(|| error.into()))
    }

    /// Writes that were put off and go out with the commit.
    pub(super) fn take_put_off(&mut self) -> Vec<PutOff> {
        std::mem::take(&mut self.put_off)
    }

    /// Does what somebody else wants to be done in the same transaction.
    pub(super) async fn along(&mut self, along: &Along) -> Result<(), Error> {
        self.settle().await?;
        self.send_unsent().await?;
        along(self.tx).await
    }

    /// Runs a statement whose rows are JSON objects.
    pub(super) async fn json(&mut self, query: &Query, limits: ReadLimits) -> Result<JsonRows, Error> {
        self.settle().await?;
        Ok(self.json_as_stored(query, limits).await?)
    }

    /// The same for what cannot see columns that wait.
    pub(super) async fn json_as_stored(
        &mut self,
        query: &Query,
        limits: ReadLimits,
    ) -> Result<JsonRows, StoreError> {
        self.send_unsent().await?;
        let started = self.explained.is_some().then(Instant::now);
        let rows = self.tx.json(query, limits).await;
        self.explain(query, started);
        self.came_to(&rows);
        rows
    }

    fn explain(&mut self, query: &Query, started: Option<Instant>) {
        if let (Some(explained), Some(started)) = (&mut self.explained, started) {
            explained.note(query, started);
        }
    }

    async fn query(
        &mut self,
        statement: &Arc<Statement>,
        params: &[Value],
        change: Change<'_>,
    ) -> Result<Outcome, StoreError> {
        self.query_for(self.ctx, statement, params, change).await
    }

    async fn query_for(
        &mut self,
        ctx: &Ctx,
        statement: &Arc<Statement>,
        params: &[Value],
        change: Change<'_>,
    ) -> Result<Outcome, StoreError> {
        if self.explained.is_none() && bind::takes_params(statement, params) {
            self.send_unsent().await?;
            let outcome = self.tx.query_with(statement, params).await;
            self.came_to(&outcome);
            return outcome;
        }
        let images =
            bind::Images { old: change.old.map(|image| &image[..]), new: change.new.map(|image| &image[..]) };
        let values = bind::values(&statement.binds, ctx, params, images);
        self.run(&Query { statement: statement.clone(), values }).await
    }

    /// The rows of a statement that reads typed values, on what the request has come to.
    pub(super) async fn values(
        &mut self,
        statement: &Arc<Statement>,
        params: &[Value],
        change: Change<'_>,
    ) -> Result<Vec<Vec<Value>>, Error> {
        self.settle().await?;
        Ok(self.values_as_stored(statement, params, change).await?)
    }

    /// The same for what cannot see columns that wait.
    pub(super) async fn values_as_stored(
        &mut self,
        statement: &Arc<Statement>,
        params: &[Value],
        change: Change<'_>,
    ) -> Result<Vec<Vec<Value>>, StoreError> {
        self.values_for(self.ctx, statement, params, change).await
    }

    /// The same for the caller of a context.
    pub(super) async fn values_for(
        &mut self,
        ctx: &Ctx,
        statement: &Arc<Statement>,
        params: &[Value],
        change: Change<'_>,
    ) -> Result<Vec<Vec<Value>>, StoreError> {
        match self.query_for(ctx, statement, params, change).await? {
            Outcome::Values(rows) => Ok(rows),
            _ => Err(StoreError::Other(format!("no values come back from: {}", statement.sql))),
        }
    }

    /// Runs a statement that writes and tells how many rows it changed.
    pub(super) async fn write(
        &mut self,
        statement: &Arc<Statement>,
        params: &[Value],
    ) -> Result<u64, StoreError> {
        match self.query(statement, params, Change::default()).await? {
            Outcome::Nothing { affected } => Ok(affected),
            _ => Ok(0),
        }
    }

    /// Runs a statement whose result does not matter, together with the next one.
    pub(super) async fn later(&mut self, statement: &Arc<Statement>, params: &[Value]) -> Result<(), Error> {
        self.send_unsent().await?;
        Ok(self.send_later(statement, params).await?)
    }

    async fn send_later(&mut self, statement: &Arc<Statement>, params: &[Value]) -> Result<(), StoreError> {
        let values = bind::values(&statement.binds, self.ctx, params, bind::Images::default());
        self.send_query_later(Query { statement: statement.clone(), values }).await
    }

    /// The same of a statement that nobody waits for where one writes at a time: it is done at once, and its values stay the caller's.
    pub(super) async fn send_params(
        &mut self,
        statement: &Arc<Statement>,
        params: &[Value],
    ) -> Result<(), StoreError> {
        if self.explained.is_some() || !bind::takes_params(statement, params) {
            return self.send_later(statement, params).await;
        }
        let sent = self.tx.query_with(statement, params).await.map(drop);
        self.came_to(&sent);
        sent
    }

    /// The same with its values.
    pub(super) async fn send_query_later(&mut self, query: Query) -> Result<(), StoreError> {
        if let Some(explained) = &mut self.explained {
            explained.note(&query, Instant::now());
        }
        self.laters += 1;
        let sent = self.tx.later(query).await;
        if sent.is_err() {
            self.came_to(&sent);
        }
        sent
    }

    /// Writes a new row, which may be refused, together with the next statement or with its line of the change log where that
    /// saves waiting. `left`: whether references of it were left to the database.
    async fn store_new_row(
        &mut self,
        row: &Image,
        table: TableId,
        places: &[(ColumnId, &str)],
        path: &str,
        left: &[Left<'_>],
    ) -> Result<(), Error> {
        if self.may_put_aside() {
            let write = PutOff { is_unasked: !left.is_empty(), ..PutOff::new(table, places, path) };
            self.put_aside(table, row, write, left);
            return Ok(());
        }
        let statement = self.prepared.insert(table).clone();
        let stored = self.store_row(&statement, row, table, places, path).await;
        match stored {
            // Where one writes at a time, the transaction goes on: now it is asked which one leads nowhere.
            Err(error) if error.key == Key::RelationRefused => {
                for left in left {
                    Box::pin(self.require_readable(left.target, left.key, Lock::Hold, left.path)).await?;
                }
                Err(error)
            }
            stored => stored,
        }
    }

    /// Runs a statement that writes a row and may be refused, together with the next one where that saves waiting. `places`:
    /// where the columns of the write stand in the request.
    pub(super) async fn store_row(
        &mut self,
        statement: &Arc<Statement>,
        params: &[Value],
        table: TableId,
        places: &[(ColumnId, &str)],
        path: &str,
    ) -> Result<(), Error> {
        if !self.prepared.holds() {
            let written = self.write(statement, params).await;
            return written.map(drop).map_err(|error| self.refused(error, table, places, path));
        }
        self.send_unsent().await?;
        self.note_put_off(PutOff::new(table, places, path));
        self.later(statement, params).await
    }

    /// The next statement for later is this write.
    fn note_put_off(&mut self, write: PutOff) {
        let at = self.laters;
        self.put_off.push(PutOff { at, ..write });
    }

    /// Runs a statement that writes a row of a database that others made, and answers the row as it is then: defaults and triggers
    /// may have had their say.
    pub(super) async fn store_row_theirs(
        &mut self,
        statement: &Arc<Statement>,
        params: &[Value],
        table: TableId,
        places: &[(ColumnId, &str)],
        path: &str,
    ) -> Result<Option<Image>, Error> {
        match self.values_as_stored(statement, params, Change::default()).await {
            Ok(rows) => {
                let stored = rows.into_iter().next().map(Image::from);
                match &stored {
                    Some(row) if self.prepared.is_triggered(table) => {
                        let key = row[0].clone();
                        Ok(self.images_by(table, ColumnId::ID, &key, None).await?.pop())
                    }
                    _ => Ok(stored),
                }
            }
            Err(error) => Err(self.refused(error, table, places, path)),
        }
    }

    /// Whole rows whose column has a value, under a lock.
    pub(super) async fn images_by(
        &mut self,
        table: TableId,
        column: ColumnId,
        value: &Value,
        lock: Option<Lock>,
    ) -> Result<Vec<Image>, Error> {
        // A row that is asked for by its key is none of those that wait: they are in memory.
        if column != ColumnId::ID && self.has_waiting(table) {
            self.settle().await?;
        }
        let statement = self.prepared.by_column(table, column, lock).clone();
        let value = std::slice::from_ref(value);
        let rows = self.values_as_stored(&statement, value, Change::default()).await?;
        let images: Vec<Image> = rows.into_iter().map(Image::from).collect();
        self.note_held(table, &images, lock);
        Ok(images)
    }

    /// The row of a key as it stands now, under a lock.
    pub(super) async fn image(
        &mut self,
        table: TableId,
        key: &Value,
        lock: Option<Lock>,
    ) -> Result<Option<Image>, Error> {
        if let Some(written) = self.rows.get(table, key) {
            return Ok(written.after.clone());
        }
        if let Some(image) = self.held.image(table, key, lock) {
            return Ok(Some(image.clone()));
        }
        Ok(self.images_by(table, ColumnId::ID, key, lock).await?.pop())
    }

    /// Asks the rules that had to wait since `mark`.
    async fn ask_afters(&mut self, mark: usize) -> Result<(), Error> {
        for after in self.afters.split_off(mark) {
            // A row that was deleted meanwhile was allowed to go by its own rule.
            let Some(row) = self.rows.current(after.table, &after.old) else { continue };
            let change = match after.operation {
                Operation::Create => Change { old: None, new: Some(&row) },
                _ => Change { old: Some(&after.old), new: Some(&row) },
            };
            self.require(after.table, after.operation, &after.named, &row, change, &after.path).await?;
            if change.old != change.new {
                let images = (change.old, change.new);
                self.require_rust(after.table, after.operation, images, None, &after.path).await?;
            }
            if after.operation == Operation::Create {
                let key = (after.table, RowKey::of(&row[0]));
                self.creating.retain(|creating| *creating != key);
            }
        }
        Ok(())
    }

    fn is_creating(&self, table: TableId, key: &Value) -> bool {
        self.creating.contains(&(table, RowKey::of(key)))
    }

    fn refused(
        &self,
        error: StoreError,
        table: TableId,
        places: &[(ColumnId, &str)],
        part_path: &str,
    ) -> Error {
        refused(self.schema(), error, table, places, part_path)
    }
}

impl PutOff {
    fn new(table: TableId, places: &[(ColumnId, &str)], path: &str) -> PutOff {
        PutOff {
            at: 0,
            table,
            places: places.iter().map(|(column, path)| (*column, (*path).to_owned())).collect(),
            path: path.to_owned(),
            is_shared: false,
            is_unasked: false,
        }
    }

    /// Whether it takes carrying the request out thoroughly to tell what was refused, and where.
    pub(super) fn is_vague(&self, error: &StoreError) -> bool {
        self.is_shared || self.is_unasked && *error == StoreError::ForeignKey
    }

    /// What the database refused about it.
    pub(super) fn refused(&self, schema: &Schema, error: StoreError) -> Error {
        let places: Vec<_> = self.places.iter().map(|(column, path)| (*column, path.as_str())).collect();
        refused(schema, error, self.table, &places, &self.path)
    }
}

/// What the database refused about a row, in the words and at the place of the request. `places`: where the columns of the
/// write stand in it.
fn refused(
    schema: &Schema,
    error: StoreError,
    table: TableId,
    places: &[(ColumnId, &str)],
    part_path: &str,
) -> Error {
    let columns = match &error {
        StoreError::Unique { columns, .. } => columns,
        // A row that was there when the caller was read is gone: refused like any that is not there.
        StoreError::ForeignKey => return find::refused(part_path),
        StoreError::NotNull { column, .. } => {
            return required(schema.table(table), column, part_path);
        }
        _ => return error.into(),
    };
    let table = schema.table(table);
    let columns: Vec<_> = table.columns.iter().filter(|column| columns.contains(&column.db_name)).collect();
    let named = columns.iter().find_map(|column| {
        places.iter().find(|(place, _)| *place == column.id).map(|(_, path)| (*path).to_owned())
    });
    let own = columns.iter().find(|column| Some(column.id) != table.tenant);
    let path = named.or_else(|| own.map(|column| join_path(part_path, &column.name)));
    let names: Vec<String> = columns
        .iter()
        .filter(|column| Some(column.id) != table.tenant)
        .map(|column| format!("`{}`", column.name))
        .collect();
    let what = if names.len() > 1 { "these values in" } else { "this value in" };
    let message = format!("another {} has {what} {} already", table.name, names.join(", "));
    Error::at(Key::Unique, path.unwrap_or_else(|| part_path.to_owned()), "unique", message)
}

/// A column that has to have a value, and was given none.
fn required(table: &Table, column: &str, part_path: &str) -> Error {
    let declared = table.columns.iter().find(|declared| declared.db_name == column);
    let (path, words) = match declared {
        Some(declared) => (join_path(part_path, &declared.name), "is required by the database".to_owned()),
        None => {
            let words = "the database wants a value for its column";
            (part_path.to_owned(), format!("{words} {column}, which the app does not declare"))
        }
    };
    Error::at(Key::Invalid, path, "required", words)
}
