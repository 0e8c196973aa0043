//! What can go wrong between a statement and its database.
//!
//! The same for every database, so that whoever maps it to words for a caller does so once. Names of tables and
//! columns are the database's, not the schema's. Every variant can be cloned, because a commit that fails is
//! answered to all whose work stood in it.

use std::any::Any;
use std::path::PathBuf;

/// Why a statement, a transaction or a store as a whole failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Another row has these values already.
    #[error("another row of {table} has the same {}", columns.join(", "))]
    Unique {
        /// The table.
        table: String,
        /// The columns of the constraint; empty when the index is over expressions alone.
        columns: Vec<String>,
    },
    /// A row is referred to that does not exist, or one is deleted that others refer to.
    #[error("a reference would lead nowhere")]
    ForeignKey,
    /// A column that needs a value got none.
    #[error("{table}.{column} must not be null")]
    NotNull {
        /// The table.
        table: String,
        /// The column.
        column: String,
    },
    /// A CHECK constraint of the database is not met.
    #[error("the constraint {constraint} is not met")]
    Check {
        /// Its name, or its text when it has none.
        constraint: String,
    },
    /// A value in the database is none of the type that the app says its column has.
    #[error("{detail}")]
    Misfit {
        /// What was found, and where as far as it is known; not the value, which may be a secret.
        detail: String,
    },
    /// An expression left the range of its type for some row.
    #[error("{0}")]
    Arithmetic(String),
    /// The result has more rows than allowed, nested ones included.
    #[error("the result has more than {limit} rows")]
    RowLimit {
        /// How many were allowed.
        limit: u64,
    },
    /// The result, or one value of it, has more bytes than allowed.
    #[error("the result has more than {limit} bytes")]
    ByteLimit {
        /// How many were allowed.
        limit: u64,
    },
    /// The time that was given is over. Nothing was changed.
    #[error("the deadline has passed")]
    Deadline,
    /// Too much is waiting already, or another process kept the database locked. Nothing was changed.
    #[error("the database is busy: {reason}")]
    Busy {
        /// Who is in the way.
        reason: &'static str,
    },
    /// The disk, or the room that the database may take, is full.
    #[error("no room is left for the database: {detail}")]
    Full {
        /// The database's words.
        detail: String,
    },
    /// The database may not be written.
    #[error("the database cannot be written: {detail}")]
    ReadOnly {
        /// The database's words, or the path and the system's.
        detail: String,
    },
    /// Reading or writing a file failed.
    #[error("{detail}")]
    Io {
        /// What was tried, where, and the system's words.
        detail: String,
    },
    /// Another server runs on the same folder.
    #[error(
        "another mainstay server or worker is running on {}{}; stop it first, or choose another folder with --data",
        path.display(),
        holder.as_ref().map(|holder| format!(" (process {holder})")).unwrap_or_default()
    )]
    Locked {
        /// The database whose folder is taken.
        path: PathBuf,
        /// The process that holds it, when it could be learnt.
        holder: Option<String>,
    },
    /// The file is no database, or a damaged one.
    #[error("{detail}")]
    Corrupt {
        /// What was found, and where.
        detail: String,
    },
    /// The database cannot be reached, or takes nobody at the moment. Nothing was changed.
    #[error("the database cannot be reached: {detail}")]
    Unavailable {
        /// Which, and the system's words or the server's.
        detail: String,
    },
    /// The connection was lost between asking for a commit and being told of it: the change may have been kept or not.
    /// It was not tried again, which might have made it twice.
    #[error("whether the change was kept is not known: {detail}")]
    OutcomeUnknown {
        /// How the connection was lost, as far as is known.
        detail: String,
    },
    /// The transaction, or the connection under it, was lost before its end. Nothing was changed.
    #[error("the transaction was lost: {detail}")]
    Lost {
        /// How, as far as is known.
        detail: String,
    },
    /// A statement that was put off was refused when the job was to be kept, and with it everything else.
    #[error("{error}")]
    PutOff {
        /// Which of those put off, the first one being 0.
        at: usize,
        /// Why.
        error: Box<StoreError>,
    },
    /// The store is being closed.
    #[error("the store is closed")]
    Closed,
    /// A fault of the server: a statement that the database does not take, a result of another type than promised, a
    /// job that panicked.
    #[error("{0}")]
    Other(String),
}

impl StoreError {
    /// Whether the same request, of which nothing was kept, may succeed later without anybody having mended anything.
    pub fn is_temporary(&self) -> bool {
        match self {
            StoreError::Busy { .. }
            | StoreError::Deadline
            | StoreError::Unavailable { .. }
            | StoreError::Lost { .. }
            | StoreError::Closed => true,
            StoreError::PutOff { error, .. } => error.is_temporary(),
            _ => false,
        }
    }

    /// A write job that panicked.
    pub(crate) fn panicked(panic: &(dyn Any + Send)) -> StoreError {
        let words = panic
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("without words");
        StoreError::Other(format!("a write job panicked: {words}"))
    }
}
