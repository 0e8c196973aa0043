//! `?explain` of a write: every statement that its transaction ran, how often and how long, and how the database means to
//! run it.
//!
//! Values are left out: they are the caller's, and the text does not change with them.

use std::time::{Duration, Instant};

use mainstay_store::Query;
use serde_json::json;

use crate::engine::Engine;
use crate::error::Error;

/// The statements of one transaction, in the order in which they first ran.
#[derive(Debug, Default)]
pub(super) struct Explained {
    statements: Vec<Ran>,
}

#[derive(Debug)]
struct Ran {
    query: Query,
    runs: u64,
    time: Duration,
}

impl Explained {
    /// Notes a run that began at `started` and has just ended.
    pub(super) fn note(&mut self, query: &Query, started: Instant) {
        let time = started.elapsed();
        match self.statements.iter_mut().find(|ran| ran.query.statement.sql == query.statement.sql) {
            Some(ran) => {
                ran.runs += 1;
                ran.time += time;
            }
            None => self.statements.push(Ran { query: query.clone(), runs: 1, time }),
        }
    }

    /// A JSON object.
    pub(super) async fn tell(self, engine: &Engine) -> Result<String, Error> {
        let mut statements = Vec::with_capacity(self.statements.len());
        for ran in self.statements {
            let plan = engine.store.explain(&ran.query).await?;
            let us = u64::try_from(ran.time.as_micros()).unwrap_or(u64::MAX);
            let sql = &*ran.query.statement.sql;
            statements.push(json!({"sql": sql, "plan": plan, "runs": ran.runs, "run_us": us}));
        }
        Ok(json!({"statements": statements}).to_string())
    }
}
