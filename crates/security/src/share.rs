//! Servers that share a database tell each other once a second what they have let through.
//!
//! Each has a row, in which the last seconds stand, and reads those of the others: a write and a read a second while anything is
//! counted, none for each request, and nothing at all where nothing is. A request is decided from memory. So servers know of each
//! other what was a second or two ago: a client that asks all of them at once gets what the limit lets through at once from each,
//! and from then on as much as the limit says from all of them together.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use mainstay_engine::Engine;
use mainstay_engine::error::Error;
use mainstay_lang::value::Timestamp;
use serde_json::{Value as Json, json};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use uuid::Uuid;

use crate::desk::{ask, now};
use crate::limiter::{Counted, Limiter};

/// How often a server tells, and looks what others have told.
const BEAT: Duration = Duration::from_secs(1);
/// Beats that stand in a row: whoever looks late has missed none of them.
const BEATS_TOLD: usize = 5;
/// Clients that are told of in one beat: those that have asked most.
const CLIENTS_TOLD: usize = 2000;
/// A row that has not changed for so long is that of a server that has ended.
const LEFT: Duration = Duration::from_secs(60);
/// Servers that are read of.
const SERVERS_MAX: usize = 200;

/// A beat as it is told: its number, and who was let through how often.
type Beat = (u64, Vec<(String, String, u32)>);

/// The part of this server.
pub(crate) struct Share {
    limiter: Arc<Limiter>,
    /// Counts what was taken in of others.
    taken: watch::Sender<u64>,
    id: String,
}

/// What of the others is known here already.
#[derive(Default)]
struct Known {
    /// The last beat of each.
    beats: HashMap<String, u64>,
    own: Vec<Beat>,
    number: u64,
    has_row: bool,
    is_counting: bool,
}

impl Share {
    pub(crate) fn new(limiter: Arc<Limiter>, taken: watch::Sender<u64>) -> Share {
        limiter.share();
        Share { limiter, taken, id: Uuid::now_v7().to_string() }
    }

    /// Tells and looks for as long as the engine is there.
    pub(crate) async fn run(self, engine: Weak<Engine>) {
        let mut beats = interval(BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut known = Known::default();
        loop {
            beats.tick().await;
            let Some(engine) = engine.upgrade() else { return };
            let used = self.limiter.take_used();
            known.is_counting |= !used.is_empty();
            // A command that has the app open for a moment counts nothing, and a server that nobody has asked yet neither.
            if !known.is_counting {
                continue;
            }
            if let Err(error) = self.beat(&engine, &mut known, used).await {
                tracing::debug!(%error, "limits are not shared at the moment");
                known.has_row = false;
            }
        }
    }

    async fn beat(
        &self,
        engine: &Engine,
        known: &mut Known,
        used: HashMap<Counted, u32>,
    ) -> Result<(), Error> {
        known.number += 1;
        let had_something = !known.own.is_empty();
        known.own.retain(|(number, _)| number + BEATS_TOLD as u64 > known.number);
        if !used.is_empty() {
            known.own.push((known.number, told(used)));
        }
        let mut documents = Vec::new();
        if !known.own.is_empty() || had_something {
            documents.push(match known.has_row {
                true => json!({"RateReport": {"id": self.id, "set": {"beats": known.own}}}),
                false => json!({"RateReport": {"id": self.id, "create": true, "beats": known.own}}),
            });
        }
        let since = Timestamp(now().0 - LEFT.as_micros() as i64);
        if known.number.is_multiple_of(LEFT.as_secs()) {
            documents.push(json!({"RateReport": {"updated": {"lt": since.to_string()}, "delete": true}}));
        }
        documents.push(json!({"RateReport": {
            "id": {"not": self.id},
            "updated": {"ge": since.to_string()},
            "get": ["beats"],
            "limit": SERVERS_MAX,
        }}));
        let tells = documents.len() > 1;
        let answer = ask(engine, documents).await;
        let answer = match answer {
            // The row went while this server had nothing to tell; or it is there, and the answer was lost.
            Err(error) => {
                known.has_row = !known.has_row;
                return Err(error);
            }
            Ok(answer) => answer,
        };
        known.has_row |= tells;
        let rows = answer.last().map(|last| &last["RateReport"]);
        for row in rows.and_then(Json::as_array).into_iter().flatten() {
            self.take(known, row);
        }
        known.beats.retain(|id, _| rows.is_some_and(|rows| names(rows, id)));
        Ok(())
    }

    /// Counts what the row of another server tells that is not known yet.
    fn take(&self, known: &mut Known, row: &Json) {
        let id = row["id"].as_str().unwrap_or_default();
        let Ok(beats) = serde_json::from_value::<Vec<Beat>>(row["beats"].clone()) else { return };
        let last = known.beats.entry(id.to_owned()).or_default();
        for (number, clients) in beats.into_iter().filter(|(number, _)| number > &*last).collect::<Vec<_>>() {
            *last = number;
            for (limit, client, count) in clients {
                let read = |hex: &str| u64::from_str_radix(hex, 16).ok();
                if let (Some(limit), Some(client)) = (read(&limit), read(&client)) {
                    self.limiter.charge((limit, client), count);
                }
            }
            self.taken.send_modify(|taken| *taken += 1);
        }
    }
}

fn names(rows: &Json, id: &str) -> bool {
    rows.as_array().into_iter().flatten().any(|row| row["id"] == id)
}

fn told(used: HashMap<Counted, u32>) -> Vec<(String, String, u32)> {
    let mut used: Vec<_> = used.into_iter().collect();
    used.sort_unstable_by_key(|(_, count)| std::cmp::Reverse(*count));
    used.truncate(CLIENTS_TOLD);
    used.into_iter()
        .map(|((limit, client), count)| (format!("{limit:x}"), format!("{client:x}"), count))
        .collect()
}
