//! Running one job: its handler until it ends, its time is over, or somebody stops it; and what becomes of it then.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use mainstay_engine::ctx::{Caller, Ctx};
use mainstay_engine::error::{Error, Key};
use mainstay_engine::part::Operation;
use mainstay_engine::response::Response;
use mainstay_engine::trace::TraceContext;
use mainstay_engine::{Along, Engine, document, render};
use mainstay_lang::value::{Timestamp, Value};
use serde::Serialize;
use serde_json::Value as Json;
use tokio::sync::oneshot;
use tracing::Instrument as _;
use tracing::field::Empty;

use super::settle::{Ended, Outcome, write_in};
use super::{Shared, Stop};
use crate::backoff::chance;
use crate::clock::after;
use crate::error::{JobError, JobsError};
use crate::jobs::Jobs;
use crate::meters;
use crate::new::{AROUND, Around, NewJob};
use crate::row::{JobRow, State};
use crate::statements::query;

/// A job while it runs, for its handler.
#[derive(Clone)]
pub struct Running {
    shared: Arc<Shared>,
    row: Arc<JobRow>,
    deadline: Instant,
    trace: Option<Arc<TraceContext>>,
    /// Set once the job was completed together with its effects.
    completed: Arc<AtomicBool>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Running({} {})", self.row.name, self.row.id)
    }
}

impl Running {
    /// The job as it was taken.
    pub fn job(&self) -> &JobRow {
        &self.row
    }

    /// The queue, to enqueue others.
    pub fn jobs(&self) -> &Jobs {
        &self.shared.jobs
    }

    /// The app.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.shared.jobs.engine
    }

    /// When the attempt is given up.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// A context for operations of the job: past every rule, under the id of the request that enqueued it.
    pub fn ctx(&self) -> Ctx {
        let request = self.row.request.clone().unwrap_or_else(|| self.row.id.to_string());
        Ctx {
            caller: Arc::new(Caller::administrator()),
            tenant: None,
            session: None,
            now: self.now(),
            deadline: self.deadline,
            request_id: request.into(),
            trace: self.trace.clone(),
        }
    }

    /// Asks past every rule, under the id of the request that enqueued the job: a document of the query language in, its answer out.
    ///
    /// # Errors
    /// As any request.
    pub async fn query(&self, document: Json) -> Result<Json, Error> {
        let documents = document::parse(document.to_string().as_bytes())?;
        let operation = Operation { documents, ..Operation::default() };
        let response = self.engine().execute(&self.ctx(), &operation).await?;
        serde_json::from_str(&render(&response, document.is_array())).map_err(Error::internal)
    }

    /// What time it is.
    pub fn now(&self) -> Timestamp {
        self.shared.jobs.outbox.clock.now()
    }

    /// Tells how far the job has come: for whoever looks at it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn progress(&self, progress: &(impl Serialize + Sync)) -> Result<(), JobsError> {
        let text = serde_json::to_string(progress)
            .map_err(|error| JobsError::Args { name: self.row.name.clone(), detail: error.to_string() })?;
        let (outbox, id, worker) = (self.shared.jobs.outbox.clone(), self.row.id, self.shared.name.clone());
        let now = self.now();
        self.shared
            .jobs
            .write(move |tx| {
                let (outbox, worker, text) = (outbox.clone(), worker.clone(), text.clone());
                Box::pin(async move {
                    let statements = &outbox.statements;
                    let before = statements.before(tx, &[id]).await?;
                    let params =
                        [Value::Uuid(id), Value::Text(worker), Value::Json(text), Value::Timestamp(now)];
                    tx.later(query(&statements.progress, &params)).await?;
                    statements.log(tx, &before, &[id], now).await
                })
            })
            .await?;
        Ok(())
    }

    /// Runs an operation and ends the job in the same transaction: its effects are there exactly once, however often the job was
    /// begun. What the handler does behind it does not undo that.
    ///
    /// # Errors
    /// As any operation; and when the job is somebody else's by now: then nothing was changed.
    pub async fn complete_with(&self, ctx: &Ctx, operation: &Operation) -> Result<Response, Error> {
        self.complete_and_enqueue(ctx, operation, Vec::new()).await
    }

    /// The same, and enqueues other jobs with it.
    ///
    /// # Errors
    /// As [`Running::complete_with`].
    pub async fn complete_and_enqueue(
        &self,
        ctx: &Ctx,
        operation: &Operation,
        new: Vec<NewJob>,
    ) -> Result<Response, Error> {
        let outbox = self.shared.jobs.outbox.clone();
        let rows = Arc::new(outbox.rows(new)?);
        let (worker, row) = (self.shared.name.clone(), self.row.clone());
        let along: Along = Arc::new(move |tx| {
            let (outbox, worker, rows) = (outbox.clone(), worker.clone(), rows.clone());
            let outcome = Outcome::new(&row, State::Done, outbox.clock.now());
            Box::pin(async move {
                if !rows.is_empty() {
                    outbox.insert(tx, &rows).await?;
                }
                let written = write_in(tx, &outbox, &worker, &[outcome]).await?;
                if written.is_empty() {
                    return Err(Error::new(Key::Version, "the job is somebody else's by now"));
                }
                Ok(())
            })
        });
        let response = self.shared.jobs.engine.execute_along(ctx, operation, along).await?;
        self.completed.store(true, Ordering::Release);
        Ok(response)
    }
}

/// Runs a job to what becomes of it; none: nothing is to be said of it.
pub(super) async fn run(
    shared: &Arc<Shared>,
    row: JobRow,
    stopped: oneshot::Receiver<Stop>,
) -> Option<Ended> {
    let Ok(definition) = shared.jobs.definitions().get(&row.name).cloned() else {
        return Some(Ended::new(shared, &row, Some(hand_back(&row, shared.jobs.outbox.clock.now()))));
    };
    let own = row.timeout_ms.map(|own_ms| Duration::from_millis(own_ms.unsigned_abs()));
    let timeout = own.unwrap_or(definition.timeout);
    let row = Arc::new(row);
    let asked = row.trace.as_deref().and_then(|trace| TraceContext::parse(trace, None));
    let trace = asked.map(|asked| asked.child()).or_else(TraceContext::begin).map(Arc::new);
    let running = Running {
        shared: shared.clone(),
        row: row.clone(),
        deadline: Instant::now() + timeout,
        trace: trace.clone(),
        completed: Arc::default(),
    };
    let completed = running.completed.clone();
    let span = tracing::info_span!(
        "job",
        name = row.name,
        id = %row.id,
        attempt = row.attempt,
        request_id = row.request,
        trace_id = trace.as_ref().map(|trace| display(trace.id())),
        span_id = trace.as_ref().and_then(|trace| trace.recorded_id()).map(display),
        parent_span_id = trace.as_ref().and_then(|trace| trace.parent_id()).map(display),
    );
    let around = Around { request: row.request.clone(), trace: trace.as_ref().map(ToString::to_string) };
    let waited = row.started.map_or(0, |started| started.0.saturating_sub(row.run_at.0));
    meters::begun(&row.name, Duration::from_micros(waited.max(0).unsigned_abs()));
    let begun = Instant::now();
    let handler = AROUND.scope(around, async { (definition.run)(running, row.args.clone()).await });
    let handler = AssertUnwindSafe(handler.instrument(span.clone())).catch_unwind();
    let result = tokio::select! {
        result = tokio::time::timeout(timeout, handler) => match result {
            Ok(Ok(result)) => Ran::Ended(result),
            Ok(Err(panic)) => Ran::Ended(Err(JobError::Retry(panicked(&*panic)))),
            Err(_) => Ran::Ended(Err(JobError::Retry(format!("it took longer than {timeout:?}")))),
        },
        Ok(why) = stopped => Ran::Stopped(why),
    };
    let now = shared.jobs.outbox.clock.now();
    meters::stopped(&row.name);
    let (outcome, told) = if completed.load(Ordering::Acquire) {
        (None, "done")
    } else {
        match result {
            Ran::Stopped(Stop::Lost) => {
                span.in_scope(|| tracing::warn!("the job was taken for lost, and is stopped"));
                meters::ended(&row.name, "lost", begun.elapsed());
                return None;
            }
            Ran::Stopped(Stop::Cancelled) => (Some(Outcome::new(&row, State::Cancelled, now)), "cancelled"),
            Ran::Stopped(Stop::HandBack) => (Some(hand_back(&row, now)), "handed_back"),
            Ran::Ended(Ok(())) => (Some(Outcome::new(&row, State::Done, now)), "done"),
            Ran::Ended(Err(JobError::Later(pause))) => {
                let outcome = Outcome { undone: 1, ..again(&row, now, pause) };
                (Some(outcome), "later")
            }
            Ran::Ended(Err(JobError::Discard(words))) => {
                (Some(Outcome { error: Some(words), ..Outcome::new(&row, State::Dead, now) }), "dead")
            }
            Ran::Ended(Err(JobError::Retry(words))) if row.attempt >= row.attempts_max => {
                (Some(Outcome { error: Some(words), ..Outcome::new(&row, State::Dead, now) }), "dead")
            }
            Ran::Ended(Err(JobError::Retry(words))) => {
                let attempt = u32::try_from(row.attempt).unwrap_or(u32::MAX);
                let pause = definition.backoff.pause(attempt, chance(row.id, attempt));
                (Some(Outcome { error: Some(words), ..again(&row, now, pause) }), "retried")
            }
        }
    };
    meters::ended(&row.name, told, begun.elapsed());
    async {
        let error = outcome.as_ref().and_then(|outcome| outcome.error.as_deref());
        match told {
            "dead" => tracing::error!(error, outcome = told, tree = Empty, "the job is dead"),
            "retried" => {
                tracing::warn!(error, outcome = told, tree = Empty, "the job failed, and is tried again");
            }
            _ => {
                let took_ms = begun.elapsed().as_millis() as u64;
                tracing::debug!(outcome = told, took_ms, tree = Empty, "the job ended");
            }
        }
    }
    .instrument(span)
    .await;
    Some(Ended::new(shared, &row, outcome))
}

/// How a handler came to its end.
enum Ran {
    Ended(Result<(), JobError>),
    Stopped(Stop),
}

/// What a handler said that panicked.
fn panicked(panic: &(dyn Any + Send)) -> String {
    let said = panic.downcast_ref::<&str>().copied();
    let said = said.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("its handler panicked: {}", said.unwrap_or("without a word"))
}

fn again(row: &JobRow, now: Timestamp, pause: Duration) -> Outcome {
    let run_at = after(now, pause);
    let state = if run_at > now { State::Scheduled } else { State::Ready };
    Outcome { run_at: Some(run_at.to_string()), ..Outcome::new(row, state, now) }
}

/// A job that somebody else may take at once, as if it had not been begun.
fn hand_back(row: &JobRow, now: Timestamp) -> Outcome {
    Outcome { undone: 1, ..Outcome::new(row, State::Ready, now) }
}
