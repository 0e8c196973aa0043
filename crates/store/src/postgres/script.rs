//! What is done outside the usual way: changes of tables, checks of the database, plans of statements.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_postgres::SimpleQueryMessage;

use super::connection::{Connection, Purpose, Target};
use super::error::{Failure, is_fatal, with_source};
use crate::StoreError;

/// Whoever changes tables holds this lock, so that nodes which start together do it one after the other.
const SCRIPT_LOCK: i64 = 0x6d61_696e_7374_6179;

/// What a whole database has none of: indexes that a concurrent build left invalid, constraints that old rows were
/// never checked against, pages whose checksum was wrong. Each as a text.
pub(super) const DAMAGES: &str = "
    SELECT format('the index %s is not valid: drop it and build it again', indexrelid::regclass)
    FROM pg_index WHERE NOT indisvalid
    UNION ALL
    SELECT format('the constraint %s of %s was never checked against the rows that were there', conname, conrelid::regclass)
    FROM pg_constraint WHERE NOT convalidated
    UNION ALL
    SELECT format('%s pages of the database had a wrong checksum', checksum_failures)
    FROM pg_stat_database WHERE datname = current_database() AND checksum_failures > 0";

/// The first and the last of the pauses between attempts to take the lock; each is twice the one before. A statement that waited for
/// the lock would itself be waited for by whoever builds an index beside others, which holds it: neither would ever go on.
const PAUSE_MIN: Duration = Duration::from_millis(2);
const PAUSE_MAX: Duration = Duration::from_millis(200);

/// Pauses between attempts.
pub(super) struct Pauses(Duration);

impl Default for Pauses {
    fn default() -> Pauses {
        Pauses(PAUSE_MIN)
    }
}

impl Pauses {
    /// The next one.
    pub(super) async fn next(&mut self) {
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 2).min(PAUSE_MAX);
    }
}

/// Whether one of the functions that try to take a lock has taken [`SCRIPT_LOCK`].
pub(super) async fn try_lock(connection: &Connection, function: &str) -> Result<bool, StoreError> {
    let sql = format!("SELECT {function}({SCRIPT_LOCK})");
    let rows =
        connection.client.simple_query(&sql).await.map_err(|error| Failure::from(error).into_error())?;
    let is_true = |row: &SimpleQueryMessage| match row {
        SimpleQueryMessage::Row(row) => row.get(0) == Some("t"),
        _ => false,
    };
    Ok(rows.iter().any(is_true))
}

/// Runs statements in one transaction that no other node's script runs beside.
pub(super) async fn execute(target: &Arc<Target>, statements: &[String]) -> Result<(), StoreError> {
    // A connection of its own, which takes whatever goes wrong with it when it is dropped.
    let connection = target.connect(Purpose::Write, Instant::now()).await?;
    let mut pauses = Pauses::default();
    loop {
        connection.execute("BEGIN; SET CONSTRAINTS ALL DEFERRED").await.map_err(Failure::into_error)?;
        if try_lock(&connection, "pg_try_advisory_xact_lock").await? {
            break;
        }
        connection.execute("ROLLBACK").await.map_err(Failure::into_error)?;
        pauses.next().await;
    }
    for statement in statements {
        connection.execute(statement).await.map_err(|failure| match failure.into_error() {
            StoreError::Other(words) => StoreError::Other(format!("{words} in: {statement}")),
            other => other,
        })?;
    }
    connection.client.batch_execute("COMMIT").await.map_err(|error| match error.as_db_error() {
        Some(refusal) if !is_fatal(refusal) => Failure::from(error).into_error(),
        _ => StoreError::OutcomeUnknown { detail: with_source(&error) },
    })
}
