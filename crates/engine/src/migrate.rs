//! Migrations on a database: where it stands among them, and bringing it to the last.
//!
//! What a file does is in the file; here is decided whether it may be done: every step is told in the ledger in the transaction that
//! keeps it, what was begun is gone on with, and what is not as it was left is said before anything is changed. Whoever applies
//! has the turn to change tables, and looks once more when it comes.

mod apply;
mod known;
mod standing;

use mainstay_sql::migration::drift::Drift;
use mainstay_sql::migration::file::FileError;
use mainstay_sql::model::LineError;
use mainstay_store::{ScriptError, StoreError};

pub use apply::{Applied, ApplyOptions, apply};
pub use known::{Known, Migrated, look};
pub use standing::{FileState, Standing, standing};

/// Why migrations were not applied, or cannot be judged.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A move or a restore into the database has not come to its end.
    #[error("the database was left unfinished by a move or a restore: run the same command again first")]
    Unfinished,
    /// A file is no migration, or files do not follow each other.
    #[error(transparent)]
    File(#[from] FileError),
    /// A later release recorded what this one does not know.
    #[error("what is recorded in the database is not known to this release: {0}")]
    Record(#[from] LineError),
    /// The ledger tells of files that are not there.
    #[error("applied to this database and not among the app's files: {}", .0.join(", "))]
    Missing(Vec<String>),
    /// A database that was made without migrations, and is as none of them leaves it.
    #[error(
        "the database was made without migrations and is not as any of them leaves it; what differs from {file}:\n{}\nWrite the migrations for \
         what it holds first, with the schema that it was made for: see the chapter on migrations, \"A database that is there already\"",
        lines(.drifts)
    )]
    Unlike {
        /// The file that it was compared with at last.
        file: String,
        /// How it differs.
        drifts: Vec<Drift>,
    },
    /// The database is not as its migrations left it.
    #[error("the database is not as its migrations left it:\n{}\nMend it, or go on with --despite-drift", lines(.0))]
    Drifted(Vec<Drift>),
    /// It would lose values, and nobody has said that it may.
    #[error("these steps lose values; say --allow-destructive if they may:\n{}", indented(.0))]
    Destructive(Vec<String>),
    /// A table that has to be built anew has something that is nobody's here and would be lost.
    #[error(
        "{table} has {what}, which nobody declared and building the table anew would lose: declare it, or drop it"
    )]
    Beside {
        /// The table.
        table: String,
        /// `column extra`.
        what: String,
    },
    /// A step failed; those before it are kept unless they stood in one transaction with it.
    #[error("{file}, step {step} ({words}): {error}{behind}")]
    Step {
        /// The file.
        file: String,
        /// Which step, from 1.
        step: usize,
        /// What it does.
        words: String,
        /// How it failed.
        error: Box<ScriptError>,
        /// What is kept of the file, and what to do.
        behind: &'static str,
    },
    /// All was applied, and the database is not as it should be.
    #[error("everything was applied, but the database is not as the migrations say:\n{}", lines(.0))]
    Missed(Vec<Drift>),
}

fn lines(drifts: &[Drift]) -> String {
    drifts.iter().map(|drift| format!("  {drift}")).collect::<Vec<_>>().join("\n")
}

fn indented(texts: &[String]) -> String {
    texts.iter().map(|text| format!("  {text}")).collect::<Vec<_>>().join("\n")
}
