//! The two sides of a copy, whichever databases they are.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_lang::value::Value;
use mainstay_sql::catalogue::{self, Catalogue};
use mainstay_sql::copy::CopyTable;
use mainstay_sql::statement::Statement;
use mainstay_sql::{Dialect, POSTGRES, SQLITE, copy};

use super::CopyError;
use super::archive::ArchiveSource;
use super::batch::{Batch, Batches};
use crate::options::{DatabaseUrl, StoreOptions};
use crate::{StoreError, postgres, sqlite};

/// How long connections of a server that was stopped may still be seen, and how often that is looked at.
const LEAVING_MAX: Duration = Duration::from_secs(3);
const LEAVING_POLL: Duration = Duration::from_millis(50);

/// What kinds of databases are called in files and documents.
const SQLITE_KIND: &str = "sqlite";
const POSTGRES_KIND: &str = "postgres";

/// Who else may use the source meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// No server: one that runs is refused.
    Alone,
    /// Anybody: what is written after the snapshot is not in it.
    Shared,
}

/// Where rows come from: one snapshot of a database, or a file.
pub struct Source {
    side: SourceSide,
    options: StoreOptions,
    /// The last change of the snapshot.
    last_change: i64,
}

enum SourceSide {
    Sqlite(sqlite::Reader),
    Postgres(postgres::Reader),
    Archive(ArchiveSource),
}

impl Source {
    /// Begins a snapshot of a database.
    ///
    /// # Errors
    /// When it cannot be read, or somebody is there who should not be.
    pub async fn open(options: &StoreOptions, access: Access) -> Result<Source, CopyError> {
        let side = match &options.url {
            DatabaseUrl::Sqlite(path) => {
                SourceSide::Sqlite(sqlite::Reader::open(path, access == Access::Alone)?)
            }
            DatabaseUrl::Postgres(url) => {
                let url = options.postgres.direct_url.as_ref().unwrap_or(url);
                let reader = postgres::Reader::open(url, options).await?;
                if access == Access::Alone {
                    alone(&reader).await?;
                }
                SourceSide::Postgres(reader)
            }
        };
        Ok(Source { side, options: options.clone(), last_change: 0 })
    }

    /// A file that has been found whole.
    pub fn archive(archive: ArchiveSource) -> Source {
        let options = StoreOptions::new(DatabaseUrl::Sqlite(archive.path().to_owned()));
        let last_change = archive.last_change();
        Source { side: SourceSide::Archive(archive), options, last_change }
    }

    /// The number of the last line of the change log in the snapshot; known once [`super::check_source`] has looked.
    pub fn last_change(&self) -> i64 {
        self.last_change
    }

    /// The kind of database that the rows come from.
    pub fn kind(&self) -> &str {
        match &self.side {
            SourceSide::Sqlite(_) => SQLITE_KIND,
            SourceSide::Postgres(_) => POSTGRES_KIND,
            SourceSide::Archive(archive) => archive.database(),
        }
    }

    /// How the database is spoken to; none: it is a file.
    pub(super) fn dialect(&self) -> Option<&'static dyn Dialect> {
        match &self.side {
            SourceSide::Sqlite(_) => Some(SQLITE),
            SourceSide::Postgres(_) => Some(POSTGRES),
            SourceSide::Archive(_) => None,
        }
    }

    /// What the database holds.
    pub(super) async fn catalogue(&self, dialect: &'static dyn Dialect) -> Result<Catalogue, StoreError> {
        let mut results = Vec::new();
        for statement in catalogue::statements(dialect) {
            results.push(self.values(statement).await?);
        }
        Ok(catalogue::read(results))
    }

    async fn values(&self, statement: Statement) -> Result<Vec<Vec<Value>>, StoreError> {
        match &self.side {
            SourceSide::Sqlite(reader) => reader.values(statement, Vec::new()).await,
            SourceSide::Postgres(reader) => reader.values(statement, Vec::new()).await,
            SourceSide::Archive(_) => Ok(Vec::new()),
        }
    }

    /// How many rows a table has.
    pub(super) async fn count(&self, table: &CopyTable) -> Result<u64, StoreError> {
        match (&self.side, self.dialect()) {
            (SourceSide::Archive(archive), _) => Ok(archive.rows(&table.name)),
            (_, Some(dialect)) => number(&self.values(copy::count(dialect, table)).await?),
            (_, None) => Ok(0),
        }
    }

    /// Finds out where the change log stands in the snapshot.
    pub(super) async fn read_last_change(&mut self) -> Result<(), StoreError> {
        if let Some(dialect) = self.dialect() {
            self.last_change = last_change(&self.values(copy::last_change(dialect)).await?);
        }
        Ok(())
    }

    /// Where the change log stands now, past the snapshot.
    pub(super) async fn last_change_now(&self) -> Result<i64, StoreError> {
        let rows = match (&self.side, &self.options.url) {
            (SourceSide::Sqlite(_), DatabaseUrl::Sqlite(path)) => {
                sqlite::Reader::open(path, false)?.values(copy::last_change(SQLITE), Vec::new()).await?
            }
            (SourceSide::Postgres(_), DatabaseUrl::Postgres(url)) => {
                let url = self.options.postgres.direct_url.as_ref().unwrap_or(url);
                let reader = postgres::Reader::open(url, &self.options).await?;
                reader.values(copy::last_change(POSTGRES), Vec::new()).await?
            }
            _ => return Ok(self.last_change),
        };
        Ok(last_change(&rows))
    }

    /// All rows of a table in the order of its key.
    pub(super) fn stream(&self, table: &CopyTable) -> Batches {
        match &self.side {
            SourceSide::Sqlite(reader) => reader.stream(table, true),
            SourceSide::Postgres(reader) => reader.stream(table, true),
            SourceSide::Archive(archive) => archive.stream(table),
        }
    }
}

/// Waits a moment for connections to end, which a server that was just stopped leaves behind.
async fn alone(reader: &postgres::Reader) -> Result<(), CopyError> {
    let give_up = Instant::now() + LEAVING_MAX;
    loop {
        match reader.others().await? {
            0 => return Ok(()),
            count if Instant::now() >= give_up => return Err(CopyError::Served { count }),
            _ => tokio::time::sleep(LEAVING_POLL).await,
        }
    }
}

fn last_change(rows: &[Vec<Value>]) -> i64 {
    match rows.first().map(Vec::as_slice) {
        Some([Value::Int(number)]) => *number,
        _ => 0,
    }
}

fn number(rows: &[Vec<Value>]) -> Result<u64, StoreError> {
    u64::try_from(last_change(rows)).map_err(|_| StoreError::Other("a count is negative".to_owned()))
}

/// A database that is filled. Nobody else fills it meanwhile, and no server of this machine runs on a file of it.
pub struct Destination {
    side: DestinationSide,
    options: StoreOptions,
}

enum DestinationSide {
    Sqlite(sqlite::Filler),
    Postgres(postgres::Filler),
}

impl Destination {
    /// Opens a database; a file is made when it is not there.
    ///
    /// # Errors
    /// When it cannot be written, or somebody is there already.
    pub async fn open(options: &StoreOptions) -> Result<Destination, CopyError> {
        let side = match &options.url {
            DatabaseUrl::Sqlite(path) => DestinationSide::Sqlite(sqlite::Filler::open(path, options)?),
            DatabaseUrl::Postgres(url) => {
                let url = options.postgres.direct_url.as_ref().unwrap_or(url);
                DestinationSide::Postgres(postgres::Filler::open(url, options).await?)
            }
        };
        Ok(Destination { side, options: options.clone() })
    }

    /// The kind of database that is filled.
    pub(super) fn kind(&self) -> &'static str {
        match &self.side {
            DestinationSide::Sqlite(_) => SQLITE_KIND,
            DestinationSide::Postgres(_) => POSTGRES_KIND,
        }
    }

    pub(super) fn dialect(&self) -> &'static dyn Dialect {
        match &self.side {
            DestinationSide::Sqlite(_) => SQLITE,
            DestinationSide::Postgres(_) => POSTGRES,
        }
    }

    /// What the database holds.
    pub(super) async fn catalogue(&self) -> Result<Catalogue, StoreError> {
        let mut results = Vec::new();
        for statement in catalogue::statements(self.dialect()) {
            results.push(self.values(statement, Vec::new()).await?);
        }
        Ok(catalogue::read(results))
    }

    pub(super) async fn values(
        &self,
        statement: Statement,
        values: Vec<Value>,
    ) -> Result<Vec<Vec<Value>>, StoreError> {
        match &self.side {
            DestinationSide::Sqlite(filler) => filler.values(statement, values).await,
            DestinationSide::Postgres(filler) => filler.values(statement, values).await,
        }
    }

    /// Runs statements in one transaction.
    pub(super) async fn script(&self, statements: Vec<String>) -> Result<(), StoreError> {
        match &self.side {
            DestinationSide::Sqlite(filler) => filler.script(statements).await,
            DestinationSide::Postgres(filler) => filler.script(statements).await,
        }
    }

    /// Writes a batch, to be kept by the next [`Destination::commit`].
    pub(super) async fn append(&mut self, table: &Arc<CopyTable>, batch: Batch) -> Result<(), StoreError> {
        match &mut self.side {
            DestinationSide::Sqlite(filler) => filler.append(table, batch).await,
            DestinationSide::Postgres(filler) => filler.append(table, batch).await,
        }
    }

    /// Keeps what was appended, and a note of how far that is.
    pub(super) async fn commit(&mut self, note: Statement, values: Vec<Value>) -> Result<(), StoreError> {
        match &mut self.side {
            DestinationSide::Sqlite(filler) => filler.commit(note, values).await,
            DestinationSide::Postgres(filler) => filler.commit(note, values).await,
        }
    }

    /// All rows of a table as they are kept, in any order.
    pub(super) async fn stream(&self, table: &CopyTable) -> Result<Batches, StoreError> {
        match (&self.side, &self.options.url) {
            (DestinationSide::Postgres(filler), _) => Ok(filler.reader().await?.stream(table, false)),
            (DestinationSide::Sqlite(_), DatabaseUrl::Sqlite(path)) => {
                Ok(sqlite::Reader::open(path, false)?.stream(table, false))
            }
            (DestinationSide::Sqlite(_), DatabaseUrl::Postgres(_)) => {
                unreachable!("the side was made of the URL")
            }
        }
    }

    /// Leaves it to others.
    pub(super) async fn close(self) -> Result<(), StoreError> {
        match self.side {
            DestinationSide::Sqlite(filler) => filler.close().await,
            DestinationSide::Postgres(_) => Ok(()),
        }
    }
}
