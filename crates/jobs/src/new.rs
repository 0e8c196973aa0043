//! A job that is to be enqueued.

use std::time::Duration;

use mainstay_engine::ctx::Ctx;
use mainstay_lang::value::Timestamp;
use mainstay_sql::system::job::Conflict;
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::clock::after;
use crate::definition::Definitions;
use crate::error::JobsError;
use crate::row::State;

/// What happens when a job of the same name and key waits already. One that runs has read what it read: it is in nobody's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unique {
    /// The one that waits does for both.
    Ignore,
    /// The one that waits gets the arguments, the time and the priority of the new one.
    Replace,
}

/// When.
#[derive(Clone, Copy, Debug)]
enum When {
    Now,
    In(Duration),
    At(Timestamp),
}

/// A job that is to be enqueued.
#[derive(Clone, Debug)]
pub struct NewJob {
    pub(crate) name: String,
    args: Result<String, String>,
    when: When,
    priority: Option<i64>,
    attempts_max: Option<u32>,
    timeout: Option<Duration>,
    unique: Option<(String, Unique)>,
    limit_key: Option<String>,
    asked: Asked,
}

/// Who asked for it.
#[derive(Clone, Debug, Default)]
struct Asked {
    request: Option<String>,
    trace: Option<String>,
    actor: Option<String>,
    tenant: Option<String>,
}

/// What a job that runs hands on to those that it enqueues.
pub(crate) struct Around {
    pub(crate) request: Option<String>,
    pub(crate) trace: Option<String>,
}

tokio::task_local! {
    /// The job whose handler runs here.
    pub(crate) static AROUND: Around;
}

/// A row as the statement takes it.
#[derive(Debug, Serialize)]
pub(crate) struct NewRow {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    queue: String,
    priority: i64,
    pub(crate) state: &'static str,
    args: Box<RawValue>,
    run_at: String,
    attempts_max: u32,
    timeout_ms: Option<u64>,
    pub(crate) unique_key: Option<String>,
    limit_key: Option<String>,
    pub(crate) batch: Option<Uuid>,
    request: Option<String>,
    trace: Option<String>,
    actor: Option<String>,
    tenant: Option<String>,
    cancel: bool,
}

impl NewJob {
    /// A job of a name, with its arguments.
    pub fn new(name: impl Into<String>, args: &impl Serialize) -> NewJob {
        let args = serde_json::to_string(args).map_err(|error| error.to_string());
        NewJob {
            name: name.into(),
            args,
            when: When::Now,
            priority: None,
            attempts_max: None,
            timeout: None,
            unique: None,
            limit_key: None,
            asked: Asked::default(),
        }
    }

    /// Not before a pause has passed.
    #[must_use]
    pub fn delay(self, pause: Duration) -> NewJob {
        NewJob { when: When::In(pause), ..self }
    }

    /// Not before a time.
    #[must_use]
    pub fn at(self, at: Timestamp) -> NewJob {
        NewJob { when: When::At(at), ..self }
    }

    /// The greater, the sooner.
    #[must_use]
    pub fn priority(self, priority: i64) -> NewJob {
        NewJob { priority: Some(priority), ..self }
    }

    /// How often it is tried.
    #[must_use]
    pub fn attempts(self, attempts_max: u32) -> NewJob {
        NewJob { attempts_max: Some(attempts_max.max(1)), ..self }
    }

    /// How long one attempt may take.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> NewJob {
        NewJob { timeout: Some(timeout), ..self }
    }

    /// At most one of its name waits under this key.
    #[must_use]
    pub fn unique(self, key: impl Into<String>, unique: Unique) -> NewJob {
        NewJob { unique: Some((key.into(), unique)), ..self }
    }

    /// Jobs of this key run one by one, or as many at a time as their definition says.
    #[must_use]
    pub fn one_at_a_time(self, key: impl Into<String>) -> NewJob {
        NewJob { limit_key: Some(key.into()), ..self }
    }

    /// Who asked for it: the request's id, caller and tenant go with it, so that what it does can be found by them.
    #[must_use]
    pub fn asked_by(mut self, ctx: &Ctx) -> NewJob {
        let caller = &ctx.caller;
        let admin = caller.admin.then(|| "admin".to_owned());
        self.asked.request = Some(ctx.request_id.to_string());
        self.asked.actor = caller.user.as_ref().map(ToString::to_string).or(admin);
        self.asked.tenant = ctx.tenant.as_ref().map(ToString::to_string);
        self.asked.trace = ctx.trace.as_ref().map(ToString::to_string);
        self
    }

    /// The trace that it belongs to, as `traceparent` says it. What a handler enqueues belongs to that of its job unless it says so.
    #[must_use]
    pub fn trace(mut self, trace: impl Into<String>) -> NewJob {
        self.asked.trace = Some(trace.into());
        self
    }

    /// What a job enqueues that was asked for by nobody else goes on with the request and the trace of that job.
    fn go_on(&mut self) {
        let asked = &mut self.asked;
        // An error means that no job runs here.
        let _outside = AROUND.try_with(|around| {
            if asked.request.is_none() {
                asked.request.clone_from(&around.request);
            }
            if asked.trace.is_none() {
                asked.trace.clone_from(&around.trace);
            }
        });
    }

    pub(crate) fn conflict(&self) -> Conflict {
        match &self.unique {
            None => Conflict::None,
            Some((_, Unique::Ignore)) => Conflict::Ignore,
            Some((_, Unique::Replace)) => Conflict::Replace,
        }
    }

    /// The row that it becomes.
    pub(crate) fn into_row(mut self, definitions: &Definitions, now: Timestamp) -> Result<NewRow, JobsError> {
        self.go_on();
        let definition = definitions.get(&self.name)?;
        let raw = self.args.and_then(|args| {
            // A null would be none at all to the database.
            let args = if args == "null" { "{}".to_owned() } else { args };
            RawValue::from_string(args).map_err(|error| error.to_string())
        });
        let args = raw.map_err(|detail| JobsError::Args { name: self.name.clone(), detail })?;
        let run_at = match self.when {
            When::Now => now,
            When::In(pause) => after(now, pause),
            When::At(at) => at.max(now),
        };
        let state = if run_at > now { State::Scheduled } else { State::Ready };
        Ok(NewRow {
            id: Uuid::now_v7(),
            queue: definition.queue.clone(),
            priority: self.priority.unwrap_or(definition.priority),
            state: state.text(),
            args,
            run_at: run_at.to_string(),
            attempts_max: self.attempts_max.unwrap_or(definition.attempts_max),
            timeout_ms: self.timeout.map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)),
            unique_key: self.unique.map(|(key, _)| key),
            limit_key: self.limit_key,
            batch: None,
            request: self.asked.request,
            trace: self.asked.trace,
            actor: self.asked.actor,
            tenant: self.asked.tenant,
            name: self.name,
            cancel: false,
        })
    }
}
