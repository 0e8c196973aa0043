//! Writing: parts that make, change, link and delete rows, in one transaction.
//!
//! A request is planned whole before its transaction begins: names, values and questions are looked up, everything that
//! can be refused without the database is. Then `run` carries the steps out; what may be done is asked of the rules at
//! the points that the language names. Everything is done, or nothing.

mod added_rules;
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
mod planned;
mod prepared;
mod reads;
mod resolve;
mod rows;
mod rules;
mod run;
mod tenants;
mod value;
mod way;
mod why;

use std::pin::Pin;
use std::sync::Arc;

use mainstay_store::{StoreError, Tx, WriteJob};
use parking_lot::Mutex;

use self::explain::Explained;
use self::plan::Step;
use self::planned::Planned;
use self::run::{Awaited, Manner, Run};
use self::way::{LastRun, Way};
use crate::caller::{CallerTables, CallerWatch};
use crate::ctx::Ctx;
use crate::engine::Engine;
use crate::error::Error;
use crate::hook::{Hooking, Touched};
use crate::overrides::RuleWatch;
use crate::part::{Document, Idempotency, Operation};
use crate::planning::Planning;
use crate::response::Response;
use crate::why::Inquiry;
use crate::within::within;

pub(crate) use self::answer::Shown;
pub use self::log::transaction_number;
pub(crate) use self::prepared::Prepared;
pub(crate) use self::resolve::writes;
pub(crate) use self::value::{Problems, read as read_value};

/// Runs an operation of which some part writes, with the hooks that it meets.
///
/// A future without a type of its own, and not made where it is awaited: all that a write can come to would be in the program once
/// more for each crate that asks for one.
#[inline(never)]
pub(crate) fn execute<'a>(
    engine: &'a Engine,
    planning: &'a Arc<Planning>,
    ctx: &'a Ctx,
    operation: &'a Operation,
    hooked: Option<(Hooking, Touched)>,
    along: Option<Along>,
) -> Pin<Box<dyn Future<Output = Result<Done, Error>> + Send + 'a>> {
    Box::pin(carry_out(engine, planning, ctx, operation, hooked, along))
}

async fn carry_out(
    engine: &Engine,
    planning: &Arc<Planning>,
    ctx: &Ctx,
    operation: &Operation,
    hooked: Option<(Hooking, Touched)>,
    along: Option<Along>,
) -> Result<Done, Error> {
    if let Some(idempotency) = &operation.idempotency {
        idempotency::key_check(ctx, &idempotency.key)?;
    }
    let watch = planning.callers.watch();
    let rules = engine.ruling.kept().map(|kept| kept.watch(planning));
    let mut job = job(planning, ctx, operation, hooked, (watch.clone(), None))?;
    job.along = along;
    job.rules.clone_from(&rules);
    let job = Arc::new(job);
    // A write that may find any number of rows does not stand in front of others under one commit.
    let is_bounded = job.planned.as_ref().is_some_and(|planned| planned.is_bounded(planning));
    let waits = job.hooked.is_some();
    let written = loop {
        let asked = job.clone();
        let work: WriteJob<Done, Stopped> = Box::new(move |tx| {
            let job = asked.clone();
            Box::pin(async move { job.run(tx).await.map_err(Stopped::Engine) })
        });
        let written = match (waits, is_bounded) {
            (true, _) => engine.store.write_waiting(ctx.deadline, work).await,
            (false, true) => engine.store.write(ctx.deadline, work).await,
            (false, false) => engine.store.write_alone(ctx.deadline, work).await,
        };
        match &written {
            Err(stopped) if job.is_vague(stopped) => job.last.lock().way = Some(Way::Thorough),
            _ => break written,
        }
    };
    watch.settle();
    if let Some(rules) = rules {
        rules.settle().await;
    }
    // Of one that failed nobody may know whether it was kept.
    if let Some(age_max) = engine.store.read_age_max() {
        engine.recent.note(&ctx.caller, age_max);
    }
    let mut done = written.map_err(|stopped| job.refused(stopped))?;
    if let Some(awaited) = done.awaited.take() {
        done.response = awaited.response()?;
    }
    if let Some(explained) = done.explained.take() {
        done.response.explain = Some(explained.tell(engine).await?);
    }
    Ok(done)
}

/// What else is done in the transaction of an operation, once all of it has been and before it is kept. It may be called again, as
/// the work of a transaction is.
pub type Along = Arc<
    dyn for<'a> Fn(&'a mut Tx) -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>> + Send + Sync,
>;

/// Tries an operation to learn what refuses it, and undoes it. Hooks are left out: what they do elsewhere is not undone.
pub(crate) async fn attempt(
    engine: &Engine,
    planning: &Arc<Planning>,
    ctx: &Ctx,
    operation: &Operation,
    inquiry: &Arc<Inquiry>,
) -> Result<(), Error> {
    let job =
        Arc::new(job(planning, ctx, operation, None, (planning.callers.watch(), Some(inquiry.clone())))?);
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
    planning: &Arc<Planning>,
    ctx: &Ctx,
    operation: &Operation,
    hooked: Option<(Hooking, Touched)>,
    (watch, inquiry): (Arc<CallerWatch>, Option<Arc<Inquiry>>),
) -> Result<Job, Error> {
    let is_seen = hooked.as_ref().is_some_and(|(_, touched)| touched.is_seen(&planning.hooks));
    let planned = match is_seen {
        // What hooks see before it is planned is planned within the transaction.
        true => None,
        false => Some(planned(planning, ctx, &operation.documents)?),
    };
    // Hooks may have done something elsewhere, and whoever asks why is to be told of the first thing that is in the way.
    let is_thorough = hooked.is_some() || inquiry.is_some();
    Ok(Job {
        planned,
        planning: planning.clone(),
        ctx: ctx.clone(),
        idempotency: operation.idempotency.clone(),
        accepted: operation.accepted_warnings.clone(),
        explain: operation.explain,
        caller_tables: planning.callers.tables().clone(),
        watch,
        inquiry,
        hooked: hooked
            .map(|(hooking, touched)| Hooked { hooking, is_answered: touched.is_answered(&planning.hooks) }),
        last: Mutex::new(LastRun { way: is_thorough.then_some(Way::Thorough), ..LastRun::default() }),
        along: None,
        rules: None,
    })
}

fn planned(planning: &Planning, ctx: &Ctx, documents: &[Document]) -> Result<Planned, Error> {
    tracing::debug_span!("plan").in_scope(|| Planned::new(planning, ctx, documents))
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

/// What a request that writes has come to.
pub(crate) struct Done {
    pub(crate) response: Response,
    explained: Option<Explained>,
    /// What is to be answered is only known since it is kept.
    awaited: Option<Awaited>,
    /// Whether the answer is one that was kept: nothing was done.
    pub(crate) is_repeated: bool,
}

/// A planned operation with all that its transaction needs: it outlives the request that asked for it.
struct Job {
    planned: Option<Planned>,
    planning: Arc<Planning>,
    ctx: Ctx,
    idempotency: Option<Idempotency>,
    accepted: Vec<String>,
    explain: bool,
    caller_tables: Arc<CallerTables>,
    watch: Arc<CallerWatch>,
    inquiry: Option<Arc<Inquiry>>,
    hooked: Option<Hooked>,
    last: Mutex<LastRun>,
    along: Option<Along>,
    /// Where rules may be changed while the app runs.
    rules: Option<Arc<RuleWatch>>,
}

/// The hooks of a request that meets some.
struct Hooked {
    hooking: Hooking,
    /// Whether hooks see the answer.
    is_answered: bool,
}

impl Job {
    async fn run(&self, tx: &mut Tx) -> Result<Done, Error> {
        let mut run = Run::new(tx, &self.planning, &self.ctx);
        run.explained = self.explain.then(Explained::default);
        run.inquiry = self.inquiry.as_deref();
        let mut way = self.last.lock().next_way();
        if way != Way::Thorough {
            run.manner = Manner::Swift;
        }
        if way == Way::Outright {
            if let Some(awaited) = self.outright(&mut run)? {
                self.last.lock().way = Some(way);
                return Ok(Done {
                    response: Response::default(),
                    explained: None,
                    awaited: Some(awaited),
                    is_repeated: false,
                });
            }
            way = Way::Glancing;
        }
        self.last.lock().way = Some(way);
        run.may_glance = way == Way::Glancing && self.may_glance().is_some();
        if let Some(hooked) = &self.hooked {
            // It may be run again.
            hooked.hooking.shared.local.clear();
            run.hooking = Some(&hooked.hooking);
        }
        if let Some(inquiry) = run.inquiry {
            inquiry.begin();
        }
        let result = self.carry_out(&mut run).await;
        let concluded = run.conclude(result).await;
        let mut last = self.last.lock();
        last.is_vague = run.is_vague;
        let (response, is_repeated) = concluded?;
        last.put_off = run.take_put_off();
        drop(last);
        Ok(Done { response, explained: run.explained.take(), awaited: None, is_repeated })
    }

    /// The step, with its table's name, where it changes one row, and nothing beside it asks the database something.
    fn may_glance(&self) -> Option<(&str, &Step)> {
        let is_alone =
            self.along.is_none() && self.idempotency.is_none() && self.rules.is_none() && !self.explain;
        self.planned.as_ref().filter(|_| is_alone).and_then(Planned::change_of_one_row)
    }

    /// The same as one statement. Where that changes nothing, the next run has to tell why.
    fn outright(&self, run: &mut Run<'_>) -> Result<Option<Awaited>, Error> {
        let Some((name, step)) = self.may_glance() else { return Ok(None) };
        // Whether it concerns a caller is told before it is kept.
        if self.caller_tables.get(step.table).is_some() {
            return Ok(None);
        }
        tracing::debug_span!("write", table = name).in_scope(|| run.outright(name, step))
    }

    /// Whether it takes a thorough run to tell what was refused.
    fn is_vague(&self, stopped: &Stopped) -> bool {
        let last = self.last.lock();
        let is_vague = match stopped {
            Stopped::Engine(_) => last.is_vague,
            Stopped::Store(StoreError::PutOff { at, error }) => {
                last.way == Some(Way::Outright)
                    || last.put_off.iter().any(|write| write.at == *at && write.is_vague(error))
            }
            Stopped::Store(_) => false,
        };
        is_vague && last.way != Some(Way::Thorough)
    }

    fn refused(&self, stopped: Stopped) -> Error {
        match stopped {
            Stopped::Engine(error) => error,
            Stopped::Store(StoreError::PutOff { at, error }) => {
                match self.last.lock().put_off.iter().find(|write| write.at == at) {
                    Some(write) => write.refused(self.planning.schema(), *error),
                    None => (*error).into(),
                }
            }
            Stopped::Store(error) => error.into(),
        }
    }

    async fn carry_out<'r>(&'r self, run: &mut Run<'r>) -> Result<(Response, bool), Error> {
        if let Some(idempotency) = &self.idempotency
            && let Some(kept) = Box::pin(run.kept_answer(idempotency)).await?
        {
            return Ok((kept, true));
        }
        run.mark().await?;
        let seen;
        let planned = match &self.planned {
            Some(planned) => planned,
            None => {
                seen = Box::pin(self.planned_by_hooks(run)).await?;
                &seen
            }
        };
        run.careful = planned.careful.clone();
        let answers = planned.carry_out(run).await?;
        run.settle().await?;
        // What hooks do on seeing the answer is looked at like everything else.
        let mut early = None;
        let mut late = Some(answers);
        if let Some(hooked) = self.hooked.as_ref().filter(|hooked| hooked.is_answered)
            && let Some(answers) = late.take()
        {
            let hooking = &hooked.hooking;
            let answering = Box::pin(planned.answer(run, answers));
            let mut response = within!(tracing::debug_span!("answer"), answering)?;
            Box::pin(hooking.results(run, &hooking.shared.documents, &mut response)).await?;
            let hooks = &self.planning.hooks.request.on_response;
            response = hooking.call_all(run, hooks, (None, "on_response", ""), response).await?;
            run.settle().await?;
            early = Some(response);
        }
        run.check_tenants().await?;
        if self.rules.is_some() || self.inquiry.is_some() {
            Box::pin(run.check_rules()).await?;
        }
        within!(tracing::debug_span!("checks"), run.check(&self.accepted))?;
        if let Some(inquiry) = &self.inquiry {
            inquiry.complete();
        }
        within!(tracing::debug_span!("log"), run.log())?;
        for row in run.rows.written() {
            match self.caller_tables.get(row.table) {
                None => {}
                Some(None) => self.watch.touch_all(),
                Some(Some(owner)) => {
                    let images = row.before.iter().chain(&row.after);
                    images.for_each(|image| self.watch.touch(&image[owner.0 as usize]));
                }
            }
        }
        if let Some(rules) = self.rules.as_ref().filter(|rules| run.rows.has_written(rules.table())) {
            rules.touch();
        }
        let mut response = match (early, late) {
            (Some(response), _) => response,
            (None, answers) => {
                let answers = answers.unwrap_or_default();
                within!(tracing::debug_span!("answer"), planned.answer(run, answers))?
            }
        };
        response.wrote = run.rows.has_changes();
        if let Some(idempotency) = &self.idempotency {
            run.keep_answer(idempotency, &response).await?;
        }
        if let Some(along) = &self.along {
            Box::pin(run.along(along)).await?;
        }
        run.unmark().await?;
        Ok((response, false))
    }

    /// The plan of what hooks make of the request.
    async fn planned_by_hooks(&self, run: &mut Run<'_>) -> Result<Planned, Error> {
        let Some(Hooked { hooking, .. }) = &self.hooked else {
            return Err(Error::internal("a request without hooks is planned before its transaction"));
        };
        let mut documents = (*hooking.shared.documents).clone();
        hooking.requests(run, &mut documents).await?;
        planned(&self.planning, &self.ctx, &documents)
    }
}
