//! Reads that may be a little old, on a standby.
//!
//! How old what a standby shows is, is known from positions in the write-ahead log: the primary is asked for its own again
//! and again, and what was written before the asking is there once the standby has replayed up to that. A read goes to the
//! standby only when everything from before a time that the reader names is known to be there, and nothing else is missing for
//! longer than the settings allow. When the standby is away, behind, or fails, the primary answers instead.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::time::sleep;
use tokio_postgres::SimpleQueryMessage;

use super::connection::{Connection, Purpose, Target};
use super::error::Failure;
use super::readers::Readers;
use crate::StoreError;
use crate::metrics::count;
use crate::query::{Outcome, Query, ReadLimits};

/// How often both are asked.
const POLL: Duration = Duration::from_millis(50);

/// How soon after it was found away the standby is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Positions of the primary that are remembered while the standby is behind.
const POSITIONS_MAX: usize = 1024;

/// Where the primary writes, in bytes.
const WRITTEN: &str = "SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::text";

/// Up to where a standby has replayed; null on a server that is none.
const REPLAYED: &str =
    "SELECT (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() - '0/0'::pg_lsn END)::text";

/// A standby.
pub(super) struct Replica {
    pub(super) readers: Arc<Readers>,
    /// How old what is read there may be.
    pub(super) age_max: Duration,
    /// Everything that was committed before this is there; none: it is away, or nothing is known of it yet.
    seen: Mutex<Option<Instant>>,
    reads: AtomicU64,
    refused: AtomicU64,
}

impl Replica {
    pub(super) fn new(readers: Arc<Readers>, age_max: Duration) -> Arc<Replica> {
        Arc::new(Replica {
            readers,
            age_max,
            seen: Mutex::new(None),
            reads: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        })
    }

    /// Batches that it answered, and those that the primary answered because it could not.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.reads.load(Ordering::Relaxed), self.refused.load(Ordering::Relaxed))
    }

    /// Whether everything from before a time is there, and what is missing is not too old.
    fn has(&self, since: Option<Instant>) -> bool {
        let Some(seen) = *self.seen.lock() else { return false };
        seen.elapsed() <= self.age_max && since.is_none_or(|since| seen >= since)
    }

    /// Reads a batch in which everything from before `since` is to be seen; none: the primary has to be asked.
    pub(super) async fn read(
        &self,
        batch: &[Query],
        limits: ReadLimits,
        since: Option<Instant>,
    ) -> Option<Result<Vec<Outcome>, StoreError>> {
        if !self.has(since) {
            count(&self.refused);
            return None;
        }
        match self.readers.read(batch.to_vec(), limits).await {
            Ok(outcomes) => {
                count(&self.reads);
                Some(Ok(outcomes))
            }
            Err(
                error @ (StoreError::Deadline
                | StoreError::Closed
                | StoreError::RowLimit { .. }
                | StoreError::ByteLimit { .. }
                | StoreError::Arithmetic(_)),
            ) => Some(Err(error)),
            // It is away, its answer was in the way of what it replays, its tables are not what they will be.
            Err(error) => {
                tracing::debug!(%error, "a read is asked of the primary instead of its standby");
                if matches!(error, StoreError::Unavailable { .. } | StoreError::Lost { .. }) {
                    *self.seen.lock() = None;
                }
                count(&self.refused);
                None
            }
        }
    }

    /// Looks how far it is until it is dropped.
    pub(super) async fn watch(self: Arc<Replica>, standby: Arc<Target>, primary: Arc<Target>) {
        let mut was_told = false;
        loop {
            let Err(failure) = self.follow(&standby, &primary, &mut was_told).await;
            *self.seen.lock() = None;
            if !std::mem::replace(&mut was_told, true) {
                let error = failure.into_error();
                tracing::warn!(%error, "the database's replica cannot be read from; the primary answers alone");
            }
            sleep(RETRY).await;
        }
    }

    async fn follow(
        &self,
        standby: &Arc<Target>,
        primary: &Arc<Target>,
        was_told: &mut bool,
    ) -> Result<std::convert::Infallible, Failure> {
        let primary = primary.connect(Purpose::Read, Instant::now()).await?;
        let standby = standby.connect(Purpose::Read, Instant::now()).await?;
        let mut positions: VecDeque<(Instant, u64)> = VecDeque::new();
        loop {
            let asked = Instant::now();
            let written = position(&primary, WRITTEN).await?;
            if positions.len() >= POSITIONS_MAX {
                positions.pop_front();
            }
            positions.push_back((asked, written.unwrap_or(u64::MAX)));
            let Some(replayed) = position(&standby, REPLAYED).await? else {
                let words = "database.replica_url leads to a server that is no standby";
                return Err(StoreError::Other(words.to_owned()).into());
            };
            while let Some((asked, _)) = positions.pop_front_if(|(_, written)| *written <= replayed) {
                *self.seen.lock() = Some(asked);
                *was_told = false;
            }
            sleep(POLL).await;
        }
    }
}

async fn position(connection: &Connection, sql: &str) -> Result<Option<u64>, Failure> {
    let messages = connection.client.simple_query(sql).await?;
    Ok(messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
        _ => None,
    }))
}
