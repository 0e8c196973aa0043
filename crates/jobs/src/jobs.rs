//! The queue of an app: jobs are enqueued, looked at, cancelled, retried and forgotten here.
//!
//! [`Outbox`] is the part that needs no engine: whoever has a transaction enqueues in it, so that the job is there exactly when what it
//! is about is. Each change of a job wakes the workers of this process; those of others hear of the commit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use mainstay_engine::plugin::Parts;
use mainstay_engine::{Along, Clock, Engine};
use mainstay_lang::schema::Schema;
use mainstay_lang::value::{Timestamp, Value};
use mainstay_sql::Dialect;
use mainstay_sql::system::job::Conflict;
use mainstay_store::{Outcome, ReadLimits, StoreError, Tx, WriteJob};
use parking_lot::Mutex;
use tokio::sync::watch;
use tracing::Instrument as _;
use tracing::field::Empty;
use uuid::Uuid;

use crate::definition::Definitions;
use crate::error::JobsError;
use crate::new::{NewJob, NewRow};
use crate::row::{self, JobRow, State};
use crate::statements::{self, Statements, ids, ids_json, json, query, values};

/// How long a change of the queue by itself may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Jobs that one transaction changes at most: some milliseconds of the writer's time.
const TOGETHER: usize = 1000;

/// How long finished jobs are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Those that were done.
    pub done: Duration,
    /// Those that are dead or were cancelled.
    pub dead: Duration,
}

impl Default for Kept {
    fn default() -> Kept {
        Kept { done: Duration::from_secs(24 * 3600), dead: Duration::from_secs(30 * 24 * 3600) }
    }
}

/// Under which ids jobs stand, once they do.
pub(crate) type Enqueued = Arc<Mutex<Vec<Uuid>>>;

/// Enqueues in transactions that others hold.
pub(crate) struct Outbox {
    pub(crate) statements: Statements,
    pub(crate) definitions: Definitions,
    pub(crate) clock: Clock,
    pub(crate) woken: watch::Sender<u64>,
}

/// The app's one outbox, in its engine's parts: hooks and workers of a process wake each other.
#[derive(Default)]
pub(crate) struct Queue {
    pub(crate) clock: Clock,
    outbox: OnceLock<Arc<Outbox>>,
}

/// The outbox of an app whose plugins have said which jobs there are.
pub(crate) fn outbox_of(parts: &Parts, schema: &Arc<Schema>, dialect: &'static dyn Dialect) -> Arc<Outbox> {
    let made = |clock: Clock| {
        let definitions = parts.get::<Definitions>().cloned().unwrap_or_default();
        Arc::new(Outbox::new(Statements::new(schema, dialect), definitions, clock))
    };
    match parts.get::<Queue>() {
        Some(queue) => queue.outbox.get_or_init(|| made(queue.clock.clone())).clone(),
        None => made(Clock::default()),
    }
}

/// The queue of an app.
#[derive(Clone)]
pub struct Jobs {
    pub(crate) engine: Arc<Engine>,
    pub(crate) outbox: Arc<Outbox>,
}

impl std::fmt::Debug for Jobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Jobs")
    }
}

impl Outbox {
    fn new(statements: Statements, definitions: Definitions, clock: Clock) -> Outbox {
        let (woken, _) = watch::channel(0);
        Outbox { statements, definitions, clock, woken }
    }

    /// What enqueues rows in the transaction of an operation.
    pub(crate) fn along(self: &Arc<Self>, rows: BTreeMap<u8, Vec<NewRow>>) -> (Along, Enqueued) {
        let (outbox, rows, enqueued) = (self.clone(), Arc::new(rows), Enqueued::default());
        let told = enqueued.clone();
        let along: Along = Arc::new(move |tx| {
            let (outbox, rows, told) = (outbox.clone(), rows.clone(), told.clone());
            Box::pin(async move {
                let ids = outbox.insert(tx, &rows).await?;
                *told.lock() = ids;
                Ok(())
            })
        });
        (along, enqueued)
    }

    pub(crate) fn rows(&self, new: Vec<NewJob>) -> Result<BTreeMap<u8, Vec<NewRow>>, JobsError> {
        let now = self.clock.now();
        let mut rows: BTreeMap<u8, Vec<NewRow>> = BTreeMap::new();
        for new in new {
            let kind = match new.conflict() {
                Conflict::None => 0,
                Conflict::Ignore => 1,
                Conflict::Replace => 2,
            };
            let row = new.into_row(&self.definitions, now)?;
            let same = |other: &NewRow| other.name == row.name && other.unique_key == row.unique_key;
            let group = rows.entry(kind).or_default();
            // One statement cannot change the row that it has just made: the last one is what would stand there.
            match group.iter_mut().find(|other| kind > 0 && same(other)) {
                Some(_) if kind == 1 => {}
                Some(other) => *other = row,
                None => group.push(row),
            }
        }
        Ok(rows)
    }

    /// Inserts rows, and tells the ids under which they stand: those of others where these wait already.
    pub(crate) async fn insert(
        &self,
        tx: &mut Tx,
        rows: &BTreeMap<u8, Vec<NewRow>>,
    ) -> Result<Vec<Uuid>, StoreError> {
        let span = tracing::debug_span!("enqueue", jobs = Empty);
        if !span.is_disabled() {
            let names: BTreeSet<&str> = rows.values().flatten().map(|row| &*row.name).collect();
            span.record("jobs", names.into_iter().collect::<Vec<_>>().join(", "));
        }
        self.insert_all(tx, rows).instrument(span).await
    }

    async fn insert_all(
        &self,
        tx: &mut Tx,
        rows: &BTreeMap<u8, Vec<NewRow>>,
    ) -> Result<Vec<Uuid>, StoreError> {
        let now = self.clock.now();
        let statements = &self.statements;
        let mut all = Vec::new();
        for (kind, rows) in rows {
            let params = [json(rows)?, Value::Timestamp(now)];
            let given: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
            if *kind == 0 {
                tx.later(query(&statements.insert, &params)).await?;
                statements.log(tx, &Default::default(), &given, now).await?;
                all.extend(given);
                continue;
            }
            let insert =
                if *kind == 1 { &statements.insert_or_ignore } else { &statements.insert_or_replace };
            let made = ids(values(tx, insert, &params).await?);
            statements.log(tx, &Default::default(), &made, now).await?;
            for row in rows {
                if made.contains(&row.id) {
                    all.push(row.id);
                    continue;
                }
                let key = row.unique_key.clone().unwrap_or_default();
                let params = [Value::Text(row.name.clone()), Value::Text(key)];
                let found = ids(values(tx, &statements.find_unique, &params).await?);
                all.extend(found);
            }
        }
        // They are there when it is committed, and not before.
        tx.tell_of_commit(&self.woken);
        Ok(all)
    }

    pub(crate) fn wake(&self) {
        self.woken.send_modify(|times| *times += 1);
    }
}

impl Jobs {
    /// The queue of an app.
    pub fn new(engine: Arc<Engine>, definitions: Definitions) -> Jobs {
        Jobs::with_clock(engine, definitions, Clock::default())
    }

    /// The queue of an app whose plugins have said which jobs there are.
    pub fn of_app(engine: Arc<Engine>) -> Jobs {
        let outbox = outbox_of(engine.parts(), engine.schema(), engine.store().dialect());
        Jobs { engine, outbox }
    }

    /// The same under a clock of one's own.
    pub fn with_clock(engine: Arc<Engine>, definitions: Definitions, clock: Clock) -> Jobs {
        let statements = Statements::new(engine.schema(), engine.store().dialect());
        Jobs { engine, outbox: Arc::new(Outbox::new(statements, definitions, clock)) }
    }

    /// The app.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// The jobs that the app knows.
    pub fn definitions(&self) -> &Definitions {
        &self.outbox.definitions
    }

    /// Enqueues a job, and tells its id: that of another where one waits under its unique key.
    ///
    /// # Errors
    /// When no job has its name, or the database fails.
    pub async fn enqueue(&self, new: NewJob) -> Result<Uuid, JobsError> {
        let enqueued = self.enqueue_all(vec![new]).await?;
        enqueued.into_iter().next().ok_or_else(|| JobsError::Row("nothing was enqueued".to_owned()))
    }

    /// Enqueues jobs, all of them or none.
    ///
    /// # Errors
    /// As [`Jobs::enqueue`].
    pub async fn enqueue_all(&self, new: Vec<NewJob>) -> Result<Vec<Uuid>, JobsError> {
        let rows = Arc::new(self.outbox.rows(new)?);
        let outbox = self.outbox.clone();
        let enqueued = self.write(move |tx| {
            let (outbox, rows) = (outbox.clone(), rows.clone());
            Box::pin(async move { outbox.insert(tx, &rows).await })
        });
        Ok(enqueued.await?)
    }

    /// Enqueues jobs in a transaction that somebody else holds: they are there when it is committed.
    ///
    /// # Errors
    /// As [`Jobs::enqueue`].
    pub async fn enqueue_in(&self, tx: &mut Tx, new: Vec<NewJob>) -> Result<Vec<Uuid>, JobsError> {
        let rows = self.outbox.rows(new)?;
        Ok(self.outbox.insert(tx, &rows).await?)
    }

    /// What enqueues jobs in the transaction of an operation; see [`Engine::execute_along`].
    ///
    /// # Errors
    /// When no job has one of the names.
    pub fn along(&self, new: Vec<NewJob>) -> Result<Along, JobsError> {
        Ok(self.outbox.along(self.outbox.rows(new)?).0)
    }

    /// Enqueues jobs, and one more that waits until all of them are done, dead or cancelled. Tells the id of that one, which is the
    /// batch's.
    ///
    /// # Errors
    /// As [`Jobs::enqueue`].
    pub async fn batch(&self, members: Vec<NewJob>, then: NewJob) -> Result<Uuid, JobsError> {
        let now = self.outbox.clock.now();
        let definitions = &self.outbox.definitions;
        let mut last = then.into_row(definitions, now)?;
        let is_empty = members.is_empty();
        last.state = if is_empty { State::Ready.text() } else { State::Waiting.text() };
        let batch = last.id;
        let mut rows = Vec::with_capacity(members.len() + 1);
        for member in members {
            let mut row = member.into_row(definitions, now)?;
            row.batch = Some(batch);
            // A job that is there already belongs to whoever enqueued it.
            row.unique_key = None;
            rows.push(row);
        }
        rows.push(last);
        let rows = Arc::new(BTreeMap::from([(0, rows)]));
        let outbox = self.outbox.clone();
        self.write(move |tx| {
            let (outbox, rows) = (outbox.clone(), rows.clone());
            Box::pin(async move { outbox.insert(tx, &rows).await })
        })
        .await?;
        self.outbox.wake();
        Ok(batch)
    }

    /// Cancels jobs that wait, and asks those that run to stop. Tells which those are and what they are now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn cancel(&self, wanted: &[Uuid]) -> Result<Vec<(Uuid, State)>, JobsError> {
        let mut cancelled = Vec::new();
        for some in wanted.chunks(TOGETHER) {
            let rows = self.change(some, |statements| statements.cancel.clone()).await?;
            cancelled.extend(rows.into_iter().filter_map(|row| {
                let mut row = row.into_iter();
                let id = row::uuid(row.next()?)?;
                Some((id, State::parse(&row::text(row.next()?)?)?))
            }));
        }
        self.outbox.wake();
        Ok(cancelled)
    }

    /// Lets jobs run again that are dead, were cancelled or done, or wait for their next attempt, as if they were new. Tells which.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn retry(&self, wanted: &[Uuid]) -> Result<Vec<Uuid>, JobsError> {
        let mut retried = Vec::new();
        for some in wanted.chunks(TOGETHER) {
            retried.extend(ids(self.change(some, |statements| statements.retry.clone()).await?));
        }
        self.outbox.wake();
        Ok(retried)
    }

    /// Runs a statement on some jobs, and logs what it has made of them.
    async fn change(
        &self,
        wanted: &[Uuid],
        statement: fn(&Statements) -> Arc<mainstay_sql::statement::Statement>,
    ) -> Result<Vec<Vec<Value>>, JobsError> {
        let (outbox, wanted) = (self.outbox.clone(), Arc::new(wanted.to_vec()));
        let now = outbox.clock.now();
        let changed = self
            .write(move |tx| {
                let (outbox, wanted) = (outbox.clone(), wanted.clone());
                Box::pin(async move {
                    let statements = &outbox.statements;
                    let before = statements.before(tx, &wanted).await?;
                    let params = [ids_json(wanted.iter()), Value::Timestamp(now)];
                    let rows = values(tx, &statement(statements), &params).await?;
                    statements.log(tx, &before, &ids(rows.clone()), now).await?;
                    Ok(rows)
                })
            })
            .await?;
        Ok(changed)
    }

    /// Jobs, the newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list(
        &self,
        state: Option<State>,
        name: Option<&str>,
        limit: u32,
    ) -> Result<Vec<JobRow>, JobsError> {
        let text = |text: Option<&str>| text.map_or(Value::Null, |text| Value::Text(text.to_owned()));
        let params = [text(state.map(State::text)), text(name), Value::Int(i64::from(limit))];
        self.read(&self.outbox.statements.list, &params).await?.into_iter().map(JobRow::read).collect()
    }

    /// Jobs of some ids.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn find(&self, wanted: &[Uuid]) -> Result<Vec<JobRow>, JobsError> {
        let (outbox, params) = (self.outbox.clone(), Arc::new([ids_json(wanted)]));
        let rows = self
            .write(move |tx| {
                let (outbox, params) = (outbox.clone(), params.clone());
                Box::pin(async move {
                    tx.keep_quiet();
                    values(tx, &outbox.statements.images, &params[..]).await
                })
            })
            .await?;
        rows.into_iter().map(JobRow::read).collect()
    }

    /// How many jobs there are of each name and state, and since when the first of them could run.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn counts(&self) -> Result<Vec<(String, State, u64, Timestamp)>, JobsError> {
        let rows = self.read(&self.outbox.statements.counts, &[]).await?;
        let count = |row: Vec<Value>| {
            let mut row = row.into_iter();
            let name = row::text(row.next()?)?;
            let state = State::parse(&row::text(row.next()?)?)?;
            Some((name, state, row::int(row.next()?)?.unsigned_abs(), row::at(row.next()?)?))
        };
        Ok(rows.into_iter().filter_map(count).collect())
    }

    /// Forgets finished jobs that are older than they are kept, and says how many those were. To be called now and then.
    ///
    /// # Errors
    /// When the database fails; what was forgotten until then stays so.
    pub async fn prune(&self, kept: Kept) -> Result<u64, JobsError> {
        let now = self.outbox.clock.now();
        let back = |kept: Duration| {
            Timestamp(now.0.saturating_sub(i64::try_from(kept.as_micros()).unwrap_or(i64::MAX)))
        };
        let ages = [(State::Done, kept.done), (State::Dead, kept.dead), (State::Cancelled, kept.dead)];
        let most = Value::Int(i64::try_from(TOGETHER).unwrap_or(i64::MAX));
        let mut forgotten = 0;
        for (state, age) in ages {
            let params = [Value::Text(state.text().to_owned()), Value::Timestamp(back(age)), most.clone()];
            let params = Arc::new(params);
            loop {
                let (outbox, params) = (self.outbox.clone(), params.clone());
                let count = self
                    .write(move |tx| {
                        let (outbox, params) = (outbox.clone(), params.clone());
                        Box::pin(async move {
                            tx.keep_quiet();
                            let outcome = tx.query(&query(&outbox.statements.prune, &params[..])).await?;
                            Ok(if let Outcome::Nothing { affected } = outcome { affected } else { 0 })
                        })
                    })
                    .await?;
                forgotten += count;
                if count < TOGETHER as u64 {
                    break;
                }
            }
        }
        Ok(forgotten)
    }

    /// Runs work in a transaction of its own.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl for<'a> Fn(&'a mut Tx) -> BoxFuture<'a, Result<T, StoreError>> + Send + Sync + 'static,
    ) -> Result<T, StoreError> {
        let work: WriteJob<T, StoreError> = Box::new(work);
        self.engine.store().write(Instant::now() + PATIENCE, work).await
    }

    pub(crate) async fn read(
        &self,
        statement: &Arc<mainstay_sql::statement::Statement>,
        params: &[Value],
    ) -> Result<Vec<Vec<Value>>, StoreError> {
        let limits = ReadLimits { rows: u64::MAX, bytes: u64::MAX, deadline: Instant::now() + PATIENCE };
        let outcomes = self.engine.store().read(vec![statements::query(statement, params)], limits).await?;
        match outcomes.into_iter().next() {
            Some(Outcome::Values(rows)) => Ok(rows),
            _ => Err(StoreError::Other(format!("no values come back from: {}", statement.sql))),
        }
    }
}
