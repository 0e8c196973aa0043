//! The turn to change tables of a PostgreSQL database: an advisory lock on a connection of its own, on which scripts run.
//!
//! A change of a table waits for whoever reads it, and everybody else waits behind it. So no wait for a lock is long: it is given
//! up after a moment, the transaction with it, and tried again a little later, when others have had their turn.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::error::SqlState;

use super::connection::{Connection, Purpose, Target};
use super::error::{Failure, is_fatal, with_source};
use super::script::{Pauses, try_lock};
use super::{HEALTH_MAX, Postgres};
use crate::StoreError;
use crate::turn::{PartKind, Script, ScriptError};

/// How long one wait for a lock may take, in which others wait behind.
const LOCK_MAX: Duration = Duration::from_secs(2);

/// How soon the server notices that a process with the turn is gone.
const GONE_MAX: Duration = Duration::from_secs(2);

/// The first pause between two attempts; each is twice the one before, up to the last.
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// Held as long as it lives: the lock goes with the connection.
pub(crate) struct Turn {
    connection: Connection,
}

impl Postgres {
    pub(crate) async fn turn(&self) -> Result<Turn, StoreError> {
        let target: &Arc<Target> = &self.direct;
        if target.pooled {
            let detail = "tables are changed on a connection of one's own, which a pooler does not give: set database.direct_url to a \
                          way past it";
            return Err(StoreError::Other(detail.to_owned()));
        }
        let connection = target.connect(Purpose::Write, Instant::now()).await?;
        // A process that was killed gives the turn back in the midst of a statement, not only behind it.
        let watch = format!("SET client_connection_check_interval = {}", GONE_MAX.as_millis());
        if let Err(failure) = connection.execute(&watch).await {
            tracing::debug!(error = %failure.into_error(), "the server cannot look whether its client is still there");
        }
        let mut pauses = Pauses::default();
        while !try_lock(&connection, "pg_try_advisory_lock").await? {
            pauses.next().await;
        }
        self.same_database(&connection).await?;
        Ok(Turn { connection })
    }

    /// That a way past a pooler leads to where the pooler does: what is changed by the one would be missed by the other. The lock that
    /// the one has taken is seen by the other, in this database of this server alone.
    async fn same_database(&self, locking: &Connection) -> Result<(), StoreError> {
        if !self.has_direct_url {
            return Ok(());
        }
        let pid = locking.client.simple_query("SELECT pg_backend_pid()").await;
        let pid = pid.map_err(|error| Failure::from(error).into_error())?;
        let pid = pid.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0)?.parse::<i32>().ok(),
            _ => None,
        });
        let sees = format!(
            "SELECT 'yes' FROM pg_locks l JOIN pg_database d ON d.oid = l.database \
             WHERE l.locktype = 'advisory' AND l.granted AND d.datname = current_database() AND l.pid = {}",
            pid.unwrap_or_default()
        );
        if self.texts(&sees, HEALTH_MAX).await?.is_empty() {
            let detail = "database.direct_url leads to another database than database does: the two have to be ways to the same one";
            return Err(StoreError::Other(detail.to_owned()));
        }
        Ok(())
    }
}

impl Turn {
    pub(crate) async fn run(&self, script: &Script) -> Result<(), ScriptError> {
        let give_up = Instant::now() + script.patience;
        let mut pause = PAUSE_MIN;
        loop {
            let error = match self.attempt(script).await {
                Err(Attempt::Locked(error)) if Instant::now() + pause < give_up => error,
                Err(Attempt::Locked(error) | Attempt::Failed(error)) => return Err(error),
                Ok(()) => return Ok(()),
            };
            tracing::warn!(%error, pause_ms = pause.as_millis(), "others hold a lock that a change of tables needs; it is tried again");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn attempt(&self, script: &Script) -> Result<(), Attempt> {
        if !script.in_transaction {
            return self.parts(script).await;
        }
        let begin =
            format!("BEGIN; SET LOCAL lock_timeout = {}; SET CONSTRAINTS ALL DEFERRED", LOCK_MAX.as_millis());
        self.connection
            .execute(&begin)
            .await
            .map_err(|failure| Attempt::Failed(failure.into_error().into()))?;
        if let Err(error) = self.parts(script).await {
            // Where the connection is gone, so is the transaction.
            if let Err(failure) = self.connection.execute("ROLLBACK").await {
                tracing::debug!(error = %failure.into_error(), "a transaction that failed could not be rolled back");
            }
            return Err(error);
        }
        let committed = self.connection.client.batch_execute("COMMIT").await;
        committed.map_err(|error| {
            let error = match error.as_db_error() {
                Some(refusal) if !is_fatal(refusal) => Failure::from(error).into_error(),
                _ => StoreError::OutcomeUnknown { detail: with_source(&error) },
            };
            Attempt::Failed(error.into())
        })
    }

    async fn parts(&self, script: &Script) -> Result<(), Attempt> {
        for (part, of) in script.parts.iter().enumerate() {
            let mut found = Vec::new();
            for statement in &of.statements {
                // Each by itself: several in one message would be a transaction.
                let rows = self.connection.client.simple_query(statement).await.map_err(|error| {
                    let is_locked = matches!(
                        error.code(),
                        Some(&SqlState::LOCK_NOT_AVAILABLE | &SqlState::T_R_DEADLOCK_DETECTED)
                    );
                    let error = ScriptError::Statement {
                        part,
                        statement: statement.clone(),
                        error: Failure::from(error).into_error(),
                    };
                    // What is in no transaction stands being run again.
                    if is_locked { Attempt::Locked(error) } else { Attempt::Failed(error) }
                })?;
                if of.kind == PartKind::Look {
                    found.extend(rows.iter().filter_map(|row| match row {
                        SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or_default().to_owned()),
                        _ => None,
                    }));
                }
            }
            if !found.is_empty() {
                return Err(Attempt::Failed(ScriptError::Found { part, found }));
            }
        }
        Ok(())
    }
}

/// Why an attempt failed.
enum Attempt {
    /// Others held a lock; nothing is changed.
    Locked(ScriptError),
    Failed(ScriptError),
}
