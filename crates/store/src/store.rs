//! The store: one value through which a process reads and writes its database.
//!
//! Shared by reference from everywhere; every method takes `&self`. Which database stands behind is decided when it
//! is opened and shows nowhere else.

use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use mainstay_sql::{Dialect, POSTGRES, SQLITE};
use tokio::sync::watch;

use crate::metrics::StoreMetrics;
use crate::options::{DatabaseUrl, StoreOptions};
use crate::postgres::Postgres;
use crate::query::{Outcome, Query, ReadLimits};
use crate::sqlite::Sqlite;
use crate::{StoreError, Tx};

/// The work of one transaction. It is called again, from its beginning, when the transaction was lost through no
/// fault of its own, so whatever it prepares outside must stand being prepared twice.
///
/// On SQLite its future must wait for nothing but the [`Tx`], as it stands in the way of every other writer, unless it is given
/// to [`Store::write_waiting`].
pub type WriteJob<T, E> = Box<dyn for<'a> Fn(&'a mut Tx) -> BoxFuture<'a, Result<T, E>> + Send + Sync>;

/// A database that is open.
#[derive(Debug)]
pub struct Store {
    database: Database,
}

/// Which one it is. Every method of the store goes to the one of the same name.
///
/// The futures of PostgreSQL's are large, and whoever waits for a method carries the larger one of both in its own, so they are
/// boxed: what is an allocation beside a way to a server would be kilobytes to be moved about for every request on SQLite.
#[derive(Debug)]
pub(crate) enum Database {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

/// How a store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// Write jobs that wait.
    pub write_queue: u64,
    /// Long reads that wait.
    pub read_queue: u64,
}

impl Store {
    /// Opens the database. A SQLite file is made with its folder when they do not exist, and the folder is taken when
    /// asked to. A PostgreSQL server is connected to when it is first needed; this is called inside a runtime then.
    pub fn open(options: &StoreOptions) -> Result<Store, StoreError> {
        let database = match &options.url {
            DatabaseUrl::Sqlite(path) => Database::Sqlite(Sqlite::open(path, options)?),
            DatabaseUrl::Postgres(url) => Database::Postgres(Postgres::open(url, options)?),
        };
        Ok(Store { database })
    }

    /// Which database it is, for what not every method of the store is about.
    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    /// The spelling of the statements that it runs.
    pub fn dialect(&self) -> &'static dyn Dialect {
        match &self.database {
            Database::Sqlite(_) => SQLITE,
            Database::Postgres(_) => POSTGRES,
        }
    }

    /// Reads a batch, all of it from one snapshot. Statements that write are refused.
    pub async fn read(&self, batch: Vec<Query>, limits: ReadLimits) -> Result<Vec<Outcome>, StoreError> {
        match &self.database {
            Database::Sqlite(sqlite) => sqlite.read(batch, limits).await,
            Database::Postgres(postgres) => Box::pin(postgres.read(batch, limits)).await,
        }
    }

    /// Reads a batch as [`Store::read`] does, but where there is a replica, what it sees may be as old as
    /// [`Store::read_age_max`] says. Everything that was committed before `since` is there all the same.
    pub async fn read_aged(
        &self,
        batch: Vec<Query>,
        limits: ReadLimits,
        since: Option<Instant>,
    ) -> Result<Vec<Outcome>, StoreError> {
        match &self.database {
            Database::Sqlite(sqlite) => sqlite.read(batch, limits).await,
            Database::Postgres(postgres) => Box::pin(postgres.read_aged(batch, limits, since)).await,
        }
    }

    /// How old what [`Store::read_aged`] sees may be; none: it is never old.
    pub fn read_age_max(&self) -> Option<Duration> {
        match &self.database {
            Database::Sqlite(_) => None,
            Database::Postgres(postgres) => postgres.read_age_max(),
        }
    }

    /// Runs a job in a transaction and answers once it is durable.
    ///
    /// What the job answers with `Err` is undone. Dropping the returned future withdraws a job that has not begun; one
    /// that has begun is finished.
    pub async fn write<T, E>(&self, deadline: Instant, job: WriteJob<T, E>) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        match &self.database {
            Database::Sqlite(sqlite) => sqlite.write(deadline, job).await,
            Database::Postgres(postgres) => Box::pin(postgres.write(deadline, job)).await,
        }
    }

    /// Runs a job as [`Store::write`] does, but in a transaction that it shares with no other: for one that may touch so
    /// many rows that others should not wait for it under the same commit.
    pub async fn write_alone<T, E>(&self, deadline: Instant, job: WriteJob<T, E>) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        match &self.database {
            Database::Sqlite(sqlite) => sqlite.write_alone(deadline, job).await,
            // Each transaction has a connection of its own.
            Database::Postgres(postgres) => Box::pin(postgres.write(deadline, job)).await,
        }
    }

    /// Runs a job as [`Store::write_alone`] does, but one whose future may wait for other things than its [`Tx`]. On SQLite no
    /// other writer has its turn meanwhile, so it is given up at its deadline wherever it stands.
    pub async fn write_waiting<T, E>(&self, deadline: Instant, job: WriteJob<T, E>) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        match &self.database {
            Database::Sqlite(sqlite) => sqlite.write_waiting(deadline, job).await,
            // Each transaction has a connection of its own.
            Database::Postgres(postgres) => Box::pin(postgres.write(deadline, job)).await,
        }
    }

    /// Runs statements that change tables and indexes, in one transaction. References are checked once, at its end,
    /// so that a table may be built anew under the same name.
    pub async fn execute_script(&self, statements: Vec<String>) -> Result<(), StoreError> {
        match &self.database {
            Database::Sqlite(sqlite) => sqlite.execute_script(statements).await,
            Database::Postgres(postgres) => Box::pin(postgres.execute_script(statements)).await,
        }
    }

    /// How the database means to run a statement: one line for each step.
    pub async fn explain(&self, query: &Query) -> Result<Vec<String>, StoreError> {
        match &self.database {
            Database::Sqlite(sqlite) => sqlite.explain(query),
            Database::Postgres(postgres) => Box::pin(postgres.explain(query)).await,
        }
    }

    /// Whether the database can be read and takes writes.
    pub async fn health(&self) -> Result<Health, StoreError> {
        match &self.database {
            Database::Sqlite(sqlite) => sqlite.health(),
            Database::Postgres(postgres) => Box::pin(postgres.health()).await,
        }
    }

    /// Reads the whole database and says what is damaged in it; nothing when it is whole.
    pub async fn integrity_check(&self) -> Result<Vec<String>, StoreError> {
        match &self.database {
            Database::Sqlite(sqlite) => sqlite.integrity_check().await,
            Database::Postgres(postgres) => Box::pin(postgres.integrity_check()).await,
        }
    }

    /// What was counted since the store was opened.
    pub fn metrics(&self) -> StoreMetrics {
        match &self.database {
            Database::Sqlite(sqlite) => sqlite.metrics(),
            Database::Postgres(postgres) => postgres.metrics(),
        }
    }

    /// How often other processes were found to have changed the database: what was derived from its rows is stale
    /// when the number has grown. Looked at several times a second by the store that has the folder.
    pub fn foreign_changes(&self) -> watch::Receiver<u64> {
        match &self.database {
            Database::Sqlite(sqlite) => sqlite.foreign_changes(),
            Database::Postgres(postgres) => postgres.foreign_changes(),
        }
    }

    /// How often this process has committed something: whoever follows the change log waits for the number to grow.
    pub fn commits(&self) -> watch::Receiver<u64> {
        match &self.database {
            Database::Sqlite(sqlite) => sqlite.commits(),
            Database::Postgres(postgres) => postgres.commits(),
        }
    }

    /// Takes no new work, finishes what was taken, and leaves the database in one file. Idempotent.
    pub async fn close(&self) {
        match &self.database {
            Database::Sqlite(sqlite) => sqlite.close().await,
            Database::Postgres(postgres) => Box::pin(postgres.close()).await,
        }
    }
}
