//! Which database, and how it is opened.
//!
//! Settings are read elsewhere; here they are only named, with the defaults that were measured.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::thread::available_parallelism;
use std::time::Duration;

use mainstay_sql::{Dialect, POSTGRES, SQLITE};

use crate::postgres::PostgresUrl;

/// Where a database is: `sqlite:PATH`, or `postgres://USER:PASSWORD@HOST:PORT/DATABASE`. A password is never shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A database on a PostgreSQL server.
    Postgres(Box<PostgresUrl>),
}

/// Why a text is no [`DatabaseUrl`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseUrlError {
    /// It begins with something else than a kind of database.
    #[error(
        "\"{given}\" is no database URL: expected sqlite:PATH, such as sqlite:data/mainstay.db, or \
         postgres://USER:PASSWORD@HOST:PORT/DATABASE"
    )]
    Scheme {
        /// What was given, without what may be a password.
        given: String,
    },
    /// The path is missing.
    #[error("sqlite: needs the path of a file, such as sqlite:data/mainstay.db")]
    Path,
    /// What follows `postgres://` cannot be read.
    #[error("{detail}: expected postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full")]
    Postgres {
        /// What is wrong, without values that may be secret.
        detail: String,
    },
}

/// Reads `sqlite:PATH`, where `//` may stand before the path, and `postgres://…` or `postgresql://…`.
impl FromStr for DatabaseUrl {
    type Err = DatabaseUrlError;

    fn from_str(text: &str) -> Result<DatabaseUrl, DatabaseUrlError> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return text.parse().map(|url| DatabaseUrl::Postgres(Box::new(url)));
        }
        let Some(path) = text.strip_prefix("sqlite:") else {
            let given = text.split_once(':').map_or(text, |(scheme, _)| scheme).to_owned();
            return Err(DatabaseUrlError::Scheme { given });
        };
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() || path == ":memory:" {
            return Err(DatabaseUrlError::Path);
        }
        Ok(DatabaseUrl::Sqlite(Path::new(path).to_owned()))
    }
}

impl DatabaseUrl {
    /// How the database there is spoken to.
    pub fn dialect(&self) -> &'static dyn Dialect {
        match self {
            DatabaseUrl::Sqlite(_) => SQLITE,
            DatabaseUrl::Postgres(_) => POSTGRES,
        }
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DatabaseUrl::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            DatabaseUrl::Postgres(url) => url.fmt(f),
        }
    }
}

/// When a commit is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Synchronous {
    /// Once it survives a loss of power.
    #[default]
    Full,
    /// Once it survives the end of the process. A loss of power may take the last commits with it, and leaves the
    /// database whole.
    Normal,
}

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Which database.
    pub url: DatabaseUrl,
    /// Whether this process serves or works: then it looks out for changes that others make beside it, and takes the
    /// folder of a SQLite file for itself.
    pub exclusive: bool,
    /// Whether others made the database: then a SQLite file is not made, and keeps its kind of journal.
    pub existing: bool,
    /// How durable a commit is before it is acknowledged.
    pub synchronous: Synchronous,
    /// SQLite's threads, or PostgreSQL's connections, for reads that take long. On SQLite as many connections again serve
    /// the short ones.
    pub readers: usize,
    /// Prepared statements kept by each connection.
    pub statements_max: usize,
    /// Pages of the database that each connection keeps, in bytes.
    pub page_cache_bytes: u64,
    /// How much of a SQLite file is mapped into memory, in bytes.
    pub mmap_bytes: u64,
    /// Writes, and long reads, that may wait; one more is refused as busy.
    pub queue_max: usize,
    /// Virtual-machine instructions that a read may take on the thread of its caller.
    pub inline_steps_max: u64,
    /// What is PostgreSQL's alone.
    pub postgres: PostgresOptions,
}

/// How a PostgreSQL database is used. With the readers of [`StoreOptions`] and three more for looking out for changes and
/// for changing tables, these are all connections that a process makes.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// Connections that write, one transaction at a time on each.
    pub writers: usize,
    /// Connections that all short reads share.
    pub shared_readers: usize,
    /// Whether the URL leads to `PgBouncer`, or another pooler, that hands out a server for each transaction: then nothing is
    /// kept on a connection, prepared statements included.
    pub pgbouncer: bool,
    /// A way to the same database past the pooler, for what needs a connection of its own: changing tables, and hearing
    /// of changes.
    pub direct_url: Option<PostgresUrl>,
    /// A standby of the database, for reads that may be a little old.
    pub replica_url: Option<PostgresUrl>,
    /// How old what is read there may be.
    pub replica_age_max: Duration,
    /// How long the first run of a write waits for a lock before it begins again. Two that wait for each other are found by the
    /// server after a second at the earliest, and only a superuser may have it look sooner; this lets the other one go on. Whoever
    /// merely waits long is back in the queue, and waits for as long as it takes the second time.
    pub lock_first_max: Duration,
    /// How long connecting may take.
    pub connect_timeout: Duration,
}

impl Default for PostgresOptions {
    fn default() -> PostgresOptions {
        PostgresOptions {
            writers: 16,
            shared_readers: available_parallelism().map_or(2, usize::from).clamp(2, 4),
            pgbouncer: false,
            direct_url: None,
            replica_url: None,
            replica_age_max: Duration::from_secs(1),
            lock_first_max: Duration::from_millis(200),
            connect_timeout: Duration::from_secs(5),
        }
    }
}

impl StoreOptions {
    /// The defaults, for a short command: the folder is not taken.
    pub fn new(url: DatabaseUrl) -> StoreOptions {
        StoreOptions {
            url,
            exclusive: false,
            existing: false,
            synchronous: Synchronous::Full,
            readers: available_parallelism().map_or(2, usize::from).clamp(2, 16),
            statements_max: 512,
            page_cache_bytes: 2 << 20,
            mmap_bytes: 0,
            queue_max: 4096,
            inline_steps_max: 50_000,
            postgres: PostgresOptions::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{DatabaseUrl, DatabaseUrlError};

    fn check(text: &str, expect: Result<&str, DatabaseUrlError>) {
        let read = text.parse::<DatabaseUrl>().map(|url| url.to_string());
        assert_eq!(read, expect.map(str::to_owned), "{text}");
    }

    #[test]
    fn urls_are_read() {
        check("sqlite:data/mainstay.db", Ok("sqlite:data/mainstay.db"));
        check("sqlite:///var/mainstay.db", Ok("sqlite:/var/mainstay.db"));
        check("sqlite:", Err(DatabaseUrlError::Path));
        check("sqlite::memory:", Err(DatabaseUrlError::Path));
        check("data.db", Err(DatabaseUrlError::Scheme { given: "data.db".to_owned() }));
        check("mysql://root:secret@localhost/x", Err(DatabaseUrlError::Scheme { given: "mysql".to_owned() }));
    }
}
