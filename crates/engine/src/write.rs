//! Writing: parts that make, change, link and delete rows, in one transaction.
//!
//! A request is planned whole before its transaction begins: names, values and questions are looked up, everything that
//! can be refused without the database is. Then `run` carries the steps out; what may be done is asked of the rules at
//! the points that the language names. Everything is done, or nothing.

mod address;
mod answer;
mod checks;
mod depend;
mod explain;
mod hold;
mod idempotency;
mod log;
mod operator;
mod plan;
mod prepared;
mod reads;
mod resolve;
mod rows;
mod rules;
mod run;
mod tenants;
mod value;
mod why;

use std::collections::HashSet;
use std::sync::Arc;

use mainstay_lang::schema::TableId;
use mainstay_lang::value::Value;
use mainstay_store::{Outcome, ReadLimits, StoreError, Tx, WriteJob};
use parking_lot::Mutex;

use self::explain::Explained;
use self::plan::Step;
use self::resolve::Planner;
use self::run::{AnswerRow, Careful, Place, PutOff, Run};
use crate::bind;
use crate::caller::CallerWatch;
use crate::catalog::Catalog;
use crate::ctx::Ctx;
use crate::engine::Engine;
use crate::error::{Error, Key};
use crate::limits::Limits;
use crate::part::{Idempotency, Operation};
use crate::read;
use crate::resolve::name;
use crate::response::{DocumentAnswer, EntryAnswer, Response};
use crate::why::Inquiry;

pub(crate) use self::answer::Shown;
pub(crate) use self::prepared::Prepared;
pub(crate) use self::resolve::writes;
pub(crate) use self::value::{Problems, read as read_value};

/// Runs an operation of which some part writes.
pub(crate) async fn execute(engine: &Engine, ctx: &Ctx, operation: &Operation) -> Result<Response, Error> {
    if let Some(idempotency) = &operation.idempotency {
        idempotency::key_check(ctx, &idempotency.key)?;
    }
    let watch = engine.callers.watch();
    let job = Arc::new(job(engine, ctx, operation, watch.clone(), None)?);
    let asked = job.clone();
    // A write that may find any number of rows does not stand in front of others under one commit.
    let is_bounded = job.is_bounded();
    let work: WriteJob<(Response, Option<Explained>), Stopped> = Box::new(move |tx| {
        let job = job.clone();
        Box::pin(async move { job.run(tx).await.map_err(Stopped::Engine) })
    });
    let written = match is_bounded {
        true => engine.store.write(ctx.deadline, work).await,
        false => engine.store.write_alone(ctx.deadline, work).await,
    };
    watch.settle();
    // Of one that failed nobody may know whether it was kept.
    if let Some(age_max) = engine.store.read_age_max() {
        engine.recent.note(&ctx.caller, age_max);
    }
    let (mut response, explained) = written.map_err(|stopped| asked.refused(stopped))?;
    if let Some(explained) = explained {
        response.explain = Some(explained.tell(engine).await?);
    }
    Ok(response)
}

/// Tries an operation to learn what refuses it, and undoes it.
pub(crate) async fn attempt(
    engine: &Engine,
    ctx: &Ctx,
    operation: &Operation,
    inquiry: &Arc<Inquiry>,
) -> Result<(), Error> {
    let job = Arc::new(job(engine, ctx, operation, engine.callers.watch(), Some(inquiry.clone()))?);
    let work: WriteJob<(), Error> = Box::new(move |tx| {
        let job = job.clone();
        Box::pin(async move {
            job.run(tx).await?;
            Err(Error::internal("tried, and undone"))
        })
    });
    engine.store.write(ctx.deadline, work).await
}

fn job(
    engine: &Engine,
    ctx: &Ctx,
    operation: &Operation,
    watch: Arc<CallerWatch>,
    inquiry: Option<Arc<Inquiry>>,
) -> Result<Job, Error> {
    let documents = plan(engine, ctx, operation)?;
    let careful = Careful::of(engine.schema(), steps(&documents));
    Ok(Job {
        documents,
        careful,
        catalog: engine.catalog.clone(),
        prepared: engine.writes.clone(),
        limits: engine.limits,
        ctx: ctx.clone(),
        idempotency: operation.idempotency.clone(),
        accepted: operation.accepted_warnings.clone(),
        explain: operation.explain,
        caller_tables: engine.callers.tables().clone(),
        watch,
        inquiry,
        put_off: Mutex::default(),
    })
}

/// Why nothing was kept.
enum Stopped {
    /// The job came to that.
    Engine(Error),
    /// The database did, before the job began or when it was to be kept.
    Store(StoreError),
}

impl From<StoreError> for Stopped {
    fn from(error: StoreError) -> Stopped {
        Stopped::Store(error)
    }
}

/// A planned operation with all that its transaction needs: it outlives the request that asked for it.
struct Job {
    documents: Vec<Vec<EntryPlan>>,
    careful: Careful,
    catalog: Arc<Catalog>,
    prepared: Arc<Prepared>,
    limits: Limits,
    ctx: Ctx,
    idempotency: Option<Idempotency>,
    accepted: Vec<String>,
    explain: bool,
    caller_tables: Arc<HashSet<TableId>>,
    watch: Arc<CallerWatch>,
    inquiry: Option<Arc<Inquiry>>,
    /// Of the last run: writes that go out with the commit.
    put_off: Mutex<Vec<PutOff>>,
}

/// One entry of a document.
struct EntryPlan {
    table: String,
    parts: Vec<PartPlan>,
}

/// One part at the top of a document.
enum PartPlan {
    /// It writes, or something nested in it does.
    Write(Box<Step>),
    /// It only reads, and sees what the parts before it wrote.
    Read(read::Prepared, Vec<Value>),
}

/// What one part answers, as long as the rows that were written are not read again.
enum PartAnswer<'p> {
    Rows(Vec<AnswerRow<'p>>),
    Read(EntryAnswer),
}

fn plan(engine: &Engine, ctx: &Ctx, operation: &Operation) -> Result<Vec<Vec<EntryPlan>>, Error> {
    let schema = engine.schema();
    let mut planner = Planner::new(engine, ctx);
    let mut documents = Vec::with_capacity(operation.documents.len());
    for document in &operation.documents {
        let mut entries = Vec::with_capacity(document.entries.len());
        for entry in &document.entries {
            let mut parts = Vec::with_capacity(entry.parts.len());
            for part in &entry.parts {
                let table = name::table(schema, &entry.table, &part.path)?;
                parts.push(if writes(schema, table, part) {
                    PartPlan::Write(Box::new(planner.top(table, part)?))
                } else {
                    let (prepared, params) = read::prepare(engine, ctx, &entry.table, part)?;
                    PartPlan::Read(prepared, params)
                });
            }
            entries.push(EntryPlan { table: entry.table.clone(), parts });
        }
        documents.push(entries);
    }
    planner.finish()?;
    Ok(documents)
}

/// The parts that write.
fn steps(documents: &[Vec<EntryPlan>]) -> impl Iterator<Item = &Step> {
    documents.iter().flatten().flat_map(|entry| &entry.parts).filter_map(|part| match part {
        PartPlan::Write(step) => Some(&**step),
        PartPlan::Read(..) => None,
    })
}

impl Job {
    /// Whether the request says how many rows it writes.
    fn is_bounded(&self) -> bool {
        steps(&self.documents).all(|step| step.is_bounded(self.catalog.schema()))
    }

    async fn run(&self, tx: &mut Tx) -> Result<(Response, Option<Explained>), Error> {
        let mut run = Run::new(tx, &self.catalog, &self.prepared, &self.ctx, &self.limits, &self.careful);
        run.explained = self.explain.then(Explained::default);
        run.inquiry = self.inquiry.as_deref();
        if let Some(inquiry) = run.inquiry {
            inquiry.begin();
        }
        let result = self.carry_out(&mut run).await;
        let response = run.conclude(result).await?;
        *self.put_off.lock() = run.take_put_off();
        Ok((response, run.explained))
    }

    fn refused(&self, stopped: Stopped) -> Error {
        match stopped {
            Stopped::Engine(error) => error,
            Stopped::Store(StoreError::PutOff { at, error }) => {
                match self.put_off.lock().iter().find(|write| write.at == at) {
                    Some(write) => write.refused(self.catalog.schema(), *error),
                    None => (*error).into(),
                }
            }
            Stopped::Store(error) => error.into(),
        }
    }

    async fn carry_out<'r>(&'r self, run: &mut Run<'r>) -> Result<Response, Error> {
        if let Some(idempotency) = &self.idempotency
            && let Some(kept) = run.kept_answer(idempotency).await?
        {
            return Ok(kept);
        }
        let mut answers = Vec::with_capacity(self.documents.len());
        for entries in &self.documents {
            let mut document = Vec::with_capacity(entries.len());
            for entry in entries {
                let mut parts = Vec::with_capacity(entry.parts.len());
                for part in &entry.parts {
                    parts.push(self.part(run, part).await?);
                }
                document.push((entry.table.as_str(), parts));
            }
            answers.push(document);
        }
        run.settle().await?;
        run.check_tenants().await?;
        run.check(&self.accepted).await?;
        if let Some(inquiry) = &self.inquiry {
            inquiry.complete();
        }
        run.log().await?;
        if run.rows.written().iter().any(|row| self.caller_tables.contains(&row.table)) {
            self.watch.touch();
        }
        let mut response = Response { wrote: run.rows.has_changes(), ..Response::default() };
        for document in answers {
            let mut entries = Vec::with_capacity(document.len());
            for (table, parts) in document {
                entries.push(self.answer(run, table, parts).await?);
            }
            response.documents.push(DocumentAnswer { entries });
        }
        if let Some(idempotency) = &self.idempotency {
            run.keep_answer(idempotency, &response).await?;
        }
        Ok(response)
    }

    async fn part<'p>(&'p self, run: &mut Run<'p>, part: &'p PartPlan) -> Result<PartAnswer<'p>, Error> {
        match part {
            PartPlan::Write(step) => run.step(step, Place::default()).await.map(PartAnswer::Rows),
            PartPlan::Read(prepared, params) => self.read(run, prepared, params).await.map(PartAnswer::Read),
        }
    }

    async fn read(
        &self,
        run: &mut Run<'_>,
        prepared: &read::Prepared,
        params: &[Value],
    ) -> Result<EntryAnswer, Error> {
        let Limits { rows, bytes, .. } = self.limits;
        let limits = ReadLimits { rows, bytes, deadline: self.ctx.deadline };
        let query = bind::query(&prepared.rows, &self.catalog, &self.ctx, params);
        let rows = run.json(&query, limits).await?;
        let mut answer = EntryAnswer { paged: prepared.paged, ..EntryAnswer::default() };
        read::append(&mut answer, &rows);
        answer.next = rows.cursor;
        if let Some(count) = &prepared.count {
            let query = bind::query(count, &self.catalog, &self.ctx, params);
            let Outcome::Values(rows) = run.outcome(&query).await? else {
                return Err(Error::internal("a count is a value"));
            };
            let Some(Value::Int(count)) = rows.into_iter().flatten().next() else {
                return Err(Error::internal("a count is one number"));
            };
            answer.count = Some(count.unsigned_abs());
        }
        Ok(answer)
    }

    async fn answer(
        &self,
        run: &mut Run<'_>,
        table: &str,
        parts: Vec<PartAnswer<'_>>,
    ) -> Result<EntryAnswer, Error> {
        let mut answer = EntryAnswer { table: table.to_owned(), ..EntryAnswer::default() };
        let is_one = parts.len() == 1;
        for part in parts {
            let part = match part {
                PartAnswer::Read(part) => part,
                PartAnswer::Rows(rows) => EntryAnswer {
                    row_count: rows.len() as u64,
                    rows: run.render(&rows).await?,
                    ..EntryAnswer::default()
                },
            };
            if part.row_count > 0 {
                if answer.row_count > 0 {
                    answer.rows.push(',');
                }
                answer.rows.push_str(&part.rows);
                answer.row_count += part.row_count;
            }
            if let Some(count) = part.count {
                *answer.count.get_or_insert(0) += count;
            }
            // Several parts share a list, so no one place is behind all of them.
            if is_one {
                answer.paged = part.paged;
                answer.next = part.next;
            }
        }
        if answer.rows.len() as u64 > self.limits.bytes {
            let words = format!("the answer has more than {} bytes", self.limits.bytes);
            return Err(Error::new(Key::Limit, words));
        }
        Ok(answer)
    }
}
