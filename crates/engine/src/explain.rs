//! `?explain`: the statements of a read, how the database means to run them, and how long they took.
//!
//! Values are left out: they are the caller's, and the text does not change with them.

use std::time::{Duration, Instant};

use mainstay_store::Query;
use serde_json::json;

use crate::engine::Engine;
use crate::error::Error;
use crate::read::Batch;

/// What is told once the statements have run.
pub(crate) struct Explained {
    statements: Vec<(String, Query)>,
    plan: Duration,
}

impl Explained {
    /// The statements of a batch whose planning began at `started` and has just ended.
    pub(crate) fn new(batch: &Batch<'_>, started: Instant) -> Explained {
        let paths = batch.paths.iter().map(|path| (*path).to_owned());
        Explained { statements: paths.zip(batch.queries.iter().cloned()).collect(), plan: started.elapsed() }
    }

    /// A JSON object.
    pub(crate) async fn tell(self, engine: &Engine, run: Duration) -> Result<String, Error> {
        let mut statements = Vec::with_capacity(self.statements.len());
        for (path, query) in &self.statements {
            let plan = engine.store.explain(query).await?;
            statements.push(json!({"part": path, "sql": &*query.statement.sql, "plan": plan}));
        }
        let us = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let told = json!({"statements": statements, "plan_us": us(self.plan), "run_us": us(run)});
        Ok(told.to_string())
    }
}
