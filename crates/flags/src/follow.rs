//! Reading the rows, at the start and whenever they may have changed.
//!
//! Every commit of others is taken for one that may have changed them, because nobody says what it was: the table is small, and it is read a
//! few times in a second at most. Of this process's own commits only those count that follow a write of the table, for there
//! may be thousands of the others.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mainstay_engine::ctx::{Caller, Ctx};
use mainstay_engine::error::Error;
use mainstay_engine::part::Operation;
use mainstay_engine::{Engine, document};
use mainstay_lang::value::Timestamp;
use metrics::counter;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::held::{Flags, Held};

/// Between two looks at the table: what is changed meanwhile is seen by the second one.
const PAUSE: Duration = Duration::from_millis(200);
/// Looked at all the same: nobody tells of the commits of a command that has ended at once, and one beside the server that has the file
/// hears of none.
const POLL: Duration = Duration::from_millis(500);
/// How long a look may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Rows that are read together.
const PAGE: u64 = 500;

/// Reads all rows, and begins to follow what changes them for as long as the engine is there.
pub(crate) async fn begin(engine: Arc<Engine>, flags: Flags) -> Result<(), Error> {
    // Before the first look, so that nothing is missed between the two.
    let commits = engine.commits();
    flags.hold(read(&engine, &flags).await?);
    for stray in flags.strays() {
        let tenant = stray.tenant.unwrap_or_default();
        tracing::warn!(
            name = stray.name,
            tenant,
            why = stray.why,
            "a value of `FlagValue` is kept and not served"
        );
    }
    let engine = Arc::downgrade(&engine);
    tokio::spawn(async move { follow(&engine, &flags, commits).await });
    Ok(())
}

type Commits = (tokio::sync::watch::Receiver<u64>, tokio::sync::watch::Receiver<u64>);

async fn follow(engine: &Weak<Engine>, flags: &Flags, (mut own, mut foreign): Commits) {
    let mut is_told = true;
    // Of its own, so that commits that mean nothing do not put it off.
    let mut poll = interval(POLL);
    poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let may_differ = tokio::select! {
            changed = own.changed() => match changed {
                Ok(()) => flags.is_touched(),
                Err(_) => return,
            },
            changed = foreign.changed(), if is_told => {
                is_told = changed.is_ok();
                true
            }
            _ = poll.tick() => true,
        };
        if !may_differ {
            continue;
        }
        let Some(engine) = engine.upgrade() else { return };
        let outcome = match read(&engine, flags).await {
            Ok(held) => {
                flags.hold(held);
                "read"
            }
            Err(error) => {
                tracing::warn!(%error, "flags and settings could not be read, and stay as they were; tried again");
                "failed"
            }
        };
        counter!("mainstay_flags_reads_total", "outcome" => outcome).increment(1);
        drop(engine);
        sleep(PAUSE).await;
    }
}

/// A row.
#[derive(Deserialize)]
struct Line {
    name: String,
    for_tenant: Option<String>,
    value: Box<RawValue>,
}

async fn read(engine: &Engine, flags: &Flags) -> Result<Held, Error> {
    let mut held = Held::default();
    let page = PAGE.min(engine.limits().page_max);
    let mut after: Option<String> = None;
    loop {
        let mut part = json!({"get": ["name", "for_tenant", "value"], "order": ["id"], "limit": page});
        if let Some(cursor) = &after {
            part["after"] = json!(cursor);
        }
        let documents = document::parse(json!({"FlagValue": part}).to_string().as_bytes())?;
        let operation = Operation { documents, ..Operation::default() };
        let response = engine.execute(&ctx(), &operation).await?;
        let entry = response.documents.into_iter().flat_map(|document| document.entries).next();
        let entry = entry.ok_or_else(|| Error::internal("a read without an answer"))?;
        let lines: Vec<Line> = serde_json::from_str(&format!("[{}]", entry.rows)).map_err(Error::internal)?;
        for line in lines {
            held.add(flags.declarations(), line.name, line.for_tenant, line.value.get());
        }
        after = entry.next;
        if after.is_none() {
            return Ok(held);
        }
    }
}

fn ctx() -> Ctx {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Ctx {
        caller: Arc::new(Caller::administrator()),
        tenant: None,
        session: None,
        now: Timestamp(i64::try_from(now.as_micros()).unwrap_or(i64::MAX)),
        deadline: Instant::now() + TIMEOUT,
        request_id: "flags".into(),
        trace: None,
    }
}
