//! What this capability reads and writes: its own tables, as the server itself.
//!
//! Everything goes through the engine, as any request does: one transaction, the change log, hooks and checks. Rules are passed,
//! because what is decided here stands before them; secrets are read by look-ups, which no request has.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use mainstay_engine::ctx::{Caller, Ctx};
use mainstay_engine::error::{Error, Key};
use mainstay_engine::hook::Row;
use mainstay_engine::part::Operation;
use mainstay_engine::{Engine, Lookup, document, render};
use mainstay_http::RequestCtx;
use mainstay_jobs::{Jobs, NewJob};
use mainstay_lang::value::{Timestamp, Value};
use parking_lot::Mutex;
use serde_json::{Value as Json, json};
use uuid::Uuid;

/// How long a look at credentials may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Look-ups by table and filter.
pub(crate) type Lookups = Mutex<HashMap<(&'static str, &'static str), Lookup>>;

/// The tables in the hands of the server, at one time.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) engine: Arc<Engine>,
    /// As an administrator.
    ctx: Ctx,
    lookups: Arc<Lookups>,
}

impl Desk {
    pub(crate) fn new(engine: &Arc<Engine>, ctx: &Ctx, lookups: &Arc<Lookups>) -> Desk {
        let caller = Arc::new(Caller::administrator());
        let ctx = Ctx { caller, tenant: None, session: None, ..ctx.clone() };
        Desk { engine: engine.clone(), ctx, lookups: lookups.clone() }
    }

    /// For what is looked at before a request has a context.
    pub(crate) fn at(engine: &Arc<Engine>, now: Timestamp, lookups: &Arc<Lookups>) -> Desk {
        static ADMIN: LazyLock<Arc<Caller>> = LazyLock::new(|| Arc::new(Caller::administrator()));
        static REQUEST_ID: LazyLock<Arc<str>> = LazyLock::new(|| "identity".into());
        let ctx = Ctx {
            caller: ADMIN.clone(),
            tenant: None,
            session: None,
            now,
            deadline: Instant::now() + PATIENCE,
            request_id: REQUEST_ID.clone(),
            trace: None,
        };
        Desk { engine: engine.clone(), ctx, lookups: lookups.clone() }
    }

    pub(crate) fn of(request: &RequestCtx, lookups: &Arc<Lookups>) -> Desk {
        Desk::new(&request.engine, &request.ctx, lookups)
    }

    /// The clock of the request.
    pub(crate) fn now(&self) -> Timestamp {
        self.ctx.now
    }

    /// When the request is given up.
    pub(crate) fn deadline(&self) -> Instant {
        self.ctx.deadline
    }

    /// Reads or writes documents in one transaction; their answers, one for each.
    pub(crate) async fn ask(&self, documents: Vec<Json>) -> Result<Vec<Json>, Error> {
        self.ask_and_enqueue(documents, Vec::new()).await
    }

    /// The same, and enqueues jobs in the same transaction.
    pub(crate) async fn ask_and_enqueue(
        &self,
        documents: Vec<Json>,
        jobs: Vec<NewJob>,
    ) -> Result<Vec<Json>, Error> {
        let operation = operation(&Json::Array(documents))?;
        let response = match jobs.is_empty() {
            true => return self.run(&operation).await,
            false => {
                let jobs = jobs.into_iter().map(|job| job.asked_by(&self.ctx)).collect();
                let along = Jobs::of_app(self.engine.clone()).along(jobs)?;
                self.engine.execute_along(&self.ctx, &operation, along).await?
            }
        };
        serde_json::from_str(&render(&response, true)).map_err(Error::internal)
    }

    /// Carries an operation out.
    pub(crate) async fn run(&self, operation: &Operation) -> Result<Vec<Json>, Error> {
        let response = self.engine.execute(&self.ctx, operation).await?;
        serde_json::from_str(&render(&response, true)).map_err(Error::internal)
    }

    /// The rows of a table for which a filter is true, secrets included.
    pub(crate) async fn rows(
        &self,
        table: &'static str,
        filter: &'static str,
        values: &[(&str, Value)],
    ) -> Result<Vec<Row>, Error> {
        let known = self.lookups.lock().get(&(table, filter)).cloned();
        let lookup = match known {
            Some(lookup) => lookup,
            None => {
                let made = self.engine.lookup(table, filter)?;
                self.lookups.lock().insert((table, filter), made.clone());
                made
            }
        };
        self.engine.look_up(&lookup, self.ctx.deadline, values).await
    }

    /// The first of them.
    pub(crate) async fn row(
        &self,
        table: &'static str,
        filter: &'static str,
        values: &[(&str, Value)],
    ) -> Result<Option<Row>, Error> {
        Ok(self.rows(table, filter, values).await?.into_iter().next())
    }
}

/// A document of the query language as an operation.
pub(crate) fn operation(document: &Json) -> Result<Operation, Error> {
    let documents = document::parse(document.to_string().as_bytes())?;
    Ok(Operation { documents, ..Operation::default() })
}

/// A value in its wire form.
pub(crate) fn wire(value: &Value) -> Json {
    serde_json::from_str(&value.to_json()).unwrap_or(Json::Null)
}

/// A key that is a UUID from its wire form; null where it is none, which no row has.
pub(crate) fn key(json: &Json) -> Value {
    json.as_str().and_then(|text| Uuid::try_parse(text).ok()).map_or(Value::Null, Value::Uuid)
}

/// A time so many seconds from another.
pub(crate) fn later(at: Timestamp, by: Duration) -> Timestamp {
    Timestamp(at.0.saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
}

/// A time so many seconds before another.
pub(crate) fn earlier(at: Timestamp, by: Duration) -> Timestamp {
    Timestamp(at.0.saturating_sub(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
}

/// A line for those who have to look into what has happened.
pub(crate) fn event(kind: &str, who: Option<&Value>, address: Option<&str>, detail: Json) -> Json {
    let who = who.map_or(Json::Null, wire);
    json!({"SecurityEvent": {"create": true, "kind": kind, "who": who, "address": address, "detail": detail}})
}

/// The time in a column of a row.
pub(crate) fn time(row: &Row, column: &str) -> Option<Timestamp> {
    match row.value(column) {
        Ok(Value::Timestamp(at)) => Some(*at),
        _ => None,
    }
}

/// Whether a write has come too late: somebody else has changed the row, or made it.
pub(crate) fn is_race(error: &Error) -> bool {
    matches!(error.key, Key::Version | Key::Unique)
}
