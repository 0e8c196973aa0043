//! A job as its row tells it.

use std::fmt;

use mainstay_lang::value::{Timestamp, Value};
use serde::{Serialize, Serializer};
use uuid::Uuid;

use crate::error::JobsError;

macro_rules! states {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal;)+) => {
        /// Where a job is in its life.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum State { $($(#[doc = $doc])+ $name,)+ }

        impl State {
            /// Every state, in the order of a job's life.
            pub const ALL: &'static [State] = &[$(State::$name,)+];

            /// As it stands in the table.
            pub fn text(self) -> &'static str { match self { $(State::$name => $text,)+ } }

            /// The state of a text.
            pub fn parse(text: &str) -> Option<State> {
                match text { $($text => Some(State::$name),)+ _ => None }
            }
        }
    };
}

states! {
    /// Its time has not come.
    Scheduled = "scheduled";
    /// A worker may take it.
    Ready = "ready";
    /// As many of its key run as may.
    Blocked = "blocked";
    /// The jobs of its batch are not done.
    Waiting = "waiting";
    /// A worker has it.
    Running = "running";
    /// It was done.
    Done = "done";
    /// It failed as often as it might; kept until somebody retries or forgets it.
    Dead = "dead";
    /// Somebody did not want it any more.
    Cancelled = "cancelled";
}

impl State {
    /// Whether nothing happens with it any more by itself.
    pub fn is_final(self) -> bool {
        matches!(self, State::Done | State::Dead | State::Cancelled)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text())
    }
}

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text())
    }
}

/// A row of the table of jobs.
#[derive(Clone, Debug, PartialEq)]
pub struct JobRow {
    /// Its key.
    pub id: Uuid,
    /// When it was enqueued.
    pub created: Timestamp,
    /// When something happened to it last.
    pub updated: Timestamp,
    /// What is to be done.
    pub name: String,
    /// Where its name belongs.
    pub queue: String,
    /// The greater, the sooner.
    pub priority: i64,
    /// Where it is in its life.
    pub state: State,
    /// What its handler is given: JSON.
    pub args: String,
    /// Not before this.
    pub run_at: Timestamp,
    /// How often it was begun.
    pub attempt: i64,
    /// How often it may be.
    pub attempts_max: i64,
    /// How long one attempt may take, in milliseconds, when not as its name says.
    pub timeout_ms: Option<i64>,
    /// Whether somebody wants it to stop.
    pub cancel: bool,
    /// Who has it.
    pub worker: Option<String>,
    /// Until when that is believed.
    pub lease_until: Option<Timestamp>,
    /// When it was begun last.
    pub started: Option<Timestamp>,
    /// When it came to its end.
    pub finished: Option<Timestamp>,
    /// How it failed last.
    pub error: Option<String>,
    /// How far it has come: JSON.
    pub progress: Option<String>,
    /// Under which no other of its name may wait.
    pub unique_key: Option<String>,
    /// Of which only so many run at a time.
    pub limit_key: Option<String>,
    /// The job that waits for it.
    pub batch: Option<Uuid>,
    /// The request that enqueued it.
    pub request: Option<String>,
    /// The trace that it belongs to.
    pub trace: Option<String>,
    /// Who enqueued it.
    pub actor: Option<String>,
    /// For which tenant.
    pub tenant: Option<String>,
}

/// Takes the columns of a row one by one.
struct Columns(std::vec::IntoIter<Value>);

impl Columns {
    fn next(&mut self) -> Result<Value, JobsError> {
        self.0.next().ok_or_else(|| JobsError::Row("it has too few columns".to_owned()))
    }

    fn optional<T>(&mut self, read: impl FnOnce(Value) -> Option<T>) -> Result<Option<T>, JobsError> {
        match self.next()? {
            Value::Null => Ok(None),
            value => {
                let shown = value.to_string();
                read(value).map(Some).ok_or_else(|| JobsError::Row(format!("{shown} is of another type")))
            }
        }
    }

    fn required<T>(&mut self, read: impl FnOnce(Value) -> Option<T>) -> Result<T, JobsError> {
        self.optional(read)?.ok_or_else(|| JobsError::Row("a value is missing".to_owned()))
    }
}

pub(crate) fn uuid(value: Value) -> Option<Uuid> {
    if let Value::Uuid(id) = value { Some(id) } else { None }
}

pub(crate) fn text(value: Value) -> Option<String> {
    match value {
        Value::Text(text) | Value::Json(text) => Some(text),
        _ => None,
    }
}

pub(crate) fn int(value: Value) -> Option<i64> {
    if let Value::Int(int) = value { Some(int) } else { None }
}

pub(crate) fn at(value: Value) -> Option<Timestamp> {
    if let Value::Timestamp(at) = value { Some(at) } else { None }
}

fn state(value: Value) -> Option<State> {
    State::parse(&text(value)?)
}

pub(crate) fn truth(value: Value) -> Option<bool> {
    if let Value::Bool(truth) = value { Some(truth) } else { None }
}

impl JobRow {
    /// Reads all columns, in the table's order.
    pub(crate) fn read(values: Vec<Value>) -> Result<JobRow, JobsError> {
        let mut columns = Columns(values.into_iter());
        Ok(JobRow {
            id: columns.required(uuid)?,
            created: columns.required(at)?,
            updated: columns.required(at)?,
            name: columns.required(text)?,
            queue: columns.required(text)?,
            priority: columns.required(int)?,
            state: columns.required(state)?,
            args: columns.required(text)?,
            run_at: columns.required(at)?,
            attempt: columns.required(int)?,
            attempts_max: columns.required(int)?,
            timeout_ms: columns.optional(int)?,
            cancel: columns.required(truth)?,
            worker: columns.optional(text)?,
            lease_until: columns.optional(at)?,
            started: columns.optional(at)?,
            finished: columns.optional(at)?,
            error: columns.optional(text)?,
            progress: columns.optional(text)?,
            unique_key: columns.optional(text)?,
            limit_key: columns.optional(text)?,
            batch: columns.optional(uuid)?,
            request: columns.optional(text)?,
            trace: columns.optional(text)?,
            actor: columns.optional(text)?,
            tenant: columns.optional(text)?,
        })
    }
}
