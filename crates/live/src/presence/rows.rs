//! The rows of `Presence`, written and read through the engine as an administrator's request would be.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_engine::ctx::{Caller, Ctx};
use mainstay_engine::error::{Error, Kind};
use mainstay_engine::part::Operation;
use mainstay_engine::response::Response;
use mainstay_engine::{Engine, document};
use mainstay_lang::value::{Timestamp, Value};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::Here;
use crate::Who;
use crate::work::now;

/// The table's name.
pub(super) const TABLE: &str = "Presence";
/// Rows that one request writes.
pub(super) const CHUNK: usize = 200;
/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Whether the same may succeed later.
pub(super) fn is_passing(error: &Error) -> bool {
    matches!(error.key.kind(), Kind::Unavailable | Kind::Internal)
}

/// The table's rows.
pub(super) struct Rows {
    engine: Arc<Engine>,
    ctx: Ctx,
}

impl Rows {
    pub(super) fn new(engine: Arc<Engine>) -> Rows {
        let ctx = Who { admin: true, ..Who::default() }.ctx(Arc::new(Caller::administrator()));
        Rows { engine, ctx: Ctx { request_id: "presence".into(), ..ctx } }
    }

    pub(super) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Makes rows of a node.
    pub(super) async fn begin(&self, node: Uuid, list: &[&Here]) -> Result<(), Error> {
        let row = |here: &&Here| {
            json!({
                "create": true,
                "id": text(here.row),
                "who": value(&here.who),
                "device": here.device.as_deref(),
                "since": value(&Value::Timestamp(here.since)),
                "acted": value(&Value::Timestamp(here.since)),
                "node": text(node),
            })
        };
        self.run(Json::Array(list.iter().map(row).collect())).await.map(drop)
    }

    /// Says when somebody has acted last.
    pub(super) async fn acted(&self, rows: &[Uuid], at: Timestamp) -> Result<(), Error> {
        let part = json!({"id": texts(rows), "set": {"acted": value(&Value::Timestamp(at))}});
        self.run(part).await.map(drop)
    }

    /// Takes out rows.
    pub(super) async fn end(&self, rows: &[Uuid]) -> Result<(), Error> {
        self.run(json!({"id": texts(rows), "delete": true})).await.map(drop)
    }

    /// Takes out all rows of a node, and says how many those were.
    pub(super) async fn end_of(&self, node: Uuid) -> Result<usize, Error> {
        let mut count = 0;
        loop {
            let found = self.run(json!({"node": text(node), "limit": CHUNK})).await?;
            let entry = found.documents.into_iter().flat_map(|document| document.entries).next();
            let rows: Vec<Json> = entry
                .map(|entry| serde_json::from_str(&format!("[{}]", entry.rows)))
                .transpose()
                .map_err(Error::internal)?
                .unwrap_or_default();
            let ids: Vec<&Json> = rows.iter().map(|row| &row["id"]).collect();
            if ids.is_empty() {
                return Ok(count);
            }
            self.run(json!({"id": ids, "delete": true})).await?;
            count += ids.len();
        }
    }

    /// How many rows a node has.
    pub(super) async fn count(&self, node: Uuid) -> Result<u64, Error> {
        let found = self.run(json!({"node": text(node), "count": true, "limit": 1})).await?;
        let mut entries = found.documents.iter().flat_map(|document| &document.entries);
        Ok(entries.next().and_then(|entry| entry.count).unwrap_or(0))
    }

    async fn run(&self, part: Json) -> Result<Response, Error> {
        let documents = document::parse(json!({ TABLE: part }).to_string().as_bytes())?;
        let ctx = Ctx { now: now(), deadline: Instant::now() + TIMEOUT, ..self.ctx.clone() };
        self.engine.execute(&ctx, &Operation { documents, ..Operation::default() }).await
    }
}

/// A value as the wire has it.
fn value(of: &Value) -> Json {
    serde_json::from_str(&of.to_json()).expect("a value is JSON")
}

fn text(id: Uuid) -> String {
    id.hyphenated().to_string()
}

fn texts(ids: &[Uuid]) -> Vec<String> {
    ids.iter().copied().map(text).collect()
}
