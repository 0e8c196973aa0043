//! Changing tables by a script, one process at a time.
//!
//! Whoever has the turn keeps all others from it, servers that bring a database in step included, until it is dropped. A script is
//! one transaction or none; what its parts mean is the affair of whoever wrote them.

use std::time::Duration;

use crate::postgres;
use crate::sqlite;
use crate::{Store, StoreError};

/// A part of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What is done with its statements.
    pub kind: PartKind,
    /// The statements, each without the semicolon at its end.
    pub statements: Vec<String>,
}

/// What is done with the statements of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartKind {
    /// They are run.
    Run,
    /// They are run, and each row that comes back is a text that says what is in the way: then the script fails.
    Look,
    /// They are run to build the table of this name anew, whose triggers, and indexes that they do not make, are made again behind
    /// them. On PostgreSQL the same as [`PartKind::Run`].
    Rebuild(String),
}

/// A script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// Its parts, in order.
    pub parts: Vec<Part>,
    /// Whether it stands in one transaction; otherwise each statement is kept as soon as it has succeeded.
    pub in_transaction: bool,
    /// How long it may wait for locks of others, again and again, before it gives up. While it waits for one it stands in the way of
    /// others for a few seconds at most.
    pub patience: Duration,
}

/// Why a script did not come to its end. One in a transaction has then changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// The database failed, or was not to be had.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A part that looks found something.
    #[error("{}", .found.join("\n"))]
    Found {
        /// Which part.
        part: usize,
        /// What it found.
        found: Vec<String>,
    },
    /// A statement failed.
    #[error("{error}, in: {statement}")]
    Statement {
        /// Of which part.
        part: usize,
        /// The statement.
        statement: String,
        /// How.
        error: StoreError,
    },
}

/// The turn to change tables.
pub struct Turn<'s> {
    inner: Inner<'s>,
}

enum Inner<'s> {
    Sqlite(sqlite::Turn<'s>),
    Postgres(Box<postgres::Turn>),
}

impl std::fmt::Debug for Turn<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Turn")
    }
}

impl Store {
    /// Waits for the turn to change tables.
    ///
    /// # Errors
    /// When the database is not to be had, or there is only a pooler's way to it, on which nobody can keep a turn.
    pub async fn turn(&self) -> Result<Turn<'_>, StoreError> {
        let inner = match self.database() {
            crate::store::Database::Sqlite(sqlite) => Inner::Sqlite(sqlite.turn().await?),
            crate::store::Database::Postgres(postgres) => Inner::Postgres(Box::new(postgres.turn().await?)),
        };
        Ok(Turn { inner })
    }

    /// The same for changes that servers stand while they run: on SQLite one need not be stopped.
    ///
    /// # Errors
    /// As [`Store::turn`].
    pub async fn turn_beside_servers(&self) -> Result<Turn<'_>, StoreError> {
        let inner = match self.database() {
            crate::store::Database::Sqlite(sqlite) => Inner::Sqlite(sqlite.turn_beside_servers().await?),
            crate::store::Database::Postgres(postgres) => Inner::Postgres(Box::new(postgres.turn().await?)),
        };
        Ok(Turn { inner })
    }
}

impl Turn<'_> {
    /// Runs a script to its end. On SQLite references are checked once, when its transaction ends.
    ///
    /// # Errors
    /// Why it did not come to its end.
    pub async fn run(&self, script: Script) -> Result<(), ScriptError> {
        match &self.inner {
            Inner::Sqlite(turn) => turn.run(script).await,
            Inner::Postgres(turn) => turn.run(&script).await,
        }
    }
}
