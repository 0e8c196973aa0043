//! Which database, and how it is opened.
//!
//! Settings are read elsewhere; here they are only named, with the defaults that were measured.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::thread::available_parallelism;

/// Where a database is: `sqlite:PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A SQLite file.
    Sqlite(PathBuf),
}

/// Why a text is no [`DatabaseUrl`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseUrlError {
    /// It begins with something else than a kind of database.
    #[error("\"{given}\" is no database URL: expected sqlite:PATH, such as sqlite:data/mainstay.db")]
    Scheme {
        /// What was given, without what may be a password.
        given: String,
    },
    /// The path is missing.
    #[error("sqlite: needs the path of a file, such as sqlite:data/mainstay.db")]
    Path,
}

/// Reads `sqlite:PATH`, where `//` may stand before the path.
impl FromStr for DatabaseUrl {
    type Err = DatabaseUrlError;

    fn from_str(text: &str) -> Result<DatabaseUrl, DatabaseUrlError> {
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

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DatabaseUrl::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
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
    /// Whether this process serves or works: then it takes the folder for itself, and looks out for changes that
    /// short commands make beside it.
    pub exclusive: bool,
    /// How durable a commit is before it is acknowledged.
    pub synchronous: Synchronous,
    /// Threads for reads that take long; as many connections again serve the short ones.
    pub readers: usize,
    /// Prepared statements kept by each connection.
    pub statements_max: usize,
    /// Pages of the database that each connection keeps, in bytes.
    pub page_cache_bytes: u64,
    /// How much of the database file is mapped into memory, in bytes; shared by the connections.
    pub mmap_bytes: u64,
    /// Writes, and long reads, that may wait; one more is refused as busy.
    pub queue_max: usize,
    /// Virtual-machine instructions that a read may take on the thread of its caller.
    pub inline_steps_max: u64,
}

impl StoreOptions {
    /// The defaults, for a short command: the folder is not taken.
    pub fn new(url: DatabaseUrl) -> StoreOptions {
        StoreOptions {
            url,
            exclusive: false,
            synchronous: Synchronous::Full,
            readers: available_parallelism().map_or(2, usize::from).clamp(2, 16),
            statements_max: 512,
            page_cache_bytes: 8 << 20,
            mmap_bytes: 256 << 20,
            queue_max: 4096,
            inline_steps_max: 50_000,
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
