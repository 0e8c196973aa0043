//! What this capability reads and writes of its own tables, as the server itself and by the engine's one way.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mainstay_engine::ctx::{Caller, Ctx};
use mainstay_engine::error::Error;
use mainstay_engine::part::Operation;
use mainstay_engine::{Engine, document, render};
use mainstay_lang::value::Timestamp;
use serde_json::Value as Json;

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// When what is asked now is given up.
pub(crate) fn deadline() -> Instant {
    Instant::now() + PATIENCE
}

/// The time.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// Reads or writes documents in one transaction; their answers, one for each.
pub(crate) async fn ask(engine: &Engine, documents: Vec<Json>) -> Result<Vec<Json>, Error> {
    let documents = document::parse(Json::Array(documents).to_string().as_bytes())?;
    let operation = Operation { documents, ..Operation::default() };
    let ctx = Ctx {
        caller: Arc::new(Caller::administrator()),
        tenant: None,
        session: None,
        now: now(),
        deadline: deadline(),
        request_id: "security".into(),
        trace: None,
    };
    let response = engine.execute(&ctx, &operation).await?;
    serde_json::from_str(&render(&response, true)).map_err(Error::internal)
}
