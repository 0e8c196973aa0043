//! Why a copy was not made, in words for whoever asked for it.

use std::path::PathBuf;

use super::Checksum;
use crate::StoreError;

/// Why copying a database failed. What had been filled until then stays, marked as unfinished.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// One of the two databases failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// One of the two databases failed at a table.
    #[error("{table}: {error}")]
    Table {
        /// The table.
        table: String,
        /// How.
        error: StoreError,
    },
    /// The source is not a database of this schema.
    #[error("the source does not fit the app; bring it in step first:\n{}", lines(.0))]
    Misfit(Vec<String>),
    /// The source holds what the schema does not know, and so would not be copied.
    #[error(
        "the source holds what the app does not declare and what would be left behind:\n{}\nDeclare it, or leave it behind with --leave-undeclared",
        lines(.0)
    )]
    Undeclared(Vec<String>),
    /// Servers run on the source.
    #[error(
        "{count} connections of servers are open on the source, and what they write from now on would be left behind: stop \
         them, or take the rows as they are now with --while-serving"
    )]
    Served {
        /// How many connections.
        count: i64,
    },
    /// The target holds tables.
    #[error("the target is not empty: it holds {}; nothing was changed", some(tables))]
    NotEmpty {
        /// Their names.
        tables: Vec<String>,
    },
    /// The target is being filled from something else.
    #[error(
        "the target was left unfinished by another copy, from {source_name}; finish that one, or empty the target first"
    )]
    OtherSource {
        /// What it was filled from.
        source_name: String,
    },
    /// The target was begun for a schema that is not this one.
    #[error("the target was left unfinished, and made for another schema; empty it first:\n{}", lines(.0))]
    OtherSchema(Vec<String>),
    /// What was read again is not what was written.
    #[error(
        "{table} differs: {rows} rows with checksum {checksum} were read, {found_rows} with {found} are in the target"
    )]
    Differs {
        /// The table.
        table: String,
        /// Rows of the source.
        rows: u64,
        /// Their checksum.
        checksum: Checksum,
        /// Rows of the target.
        found_rows: u64,
        /// Their checksum.
        found: Checksum,
    },
    /// The source was written to meanwhile.
    #[error(
        "the source was written to meanwhile (change {then} became {now}); stop what writes to it and run the same command \
         again, which copies only what has changed, or take the rows as they were with --while-serving"
    )]
    SourceChanged {
        /// The last change of the snapshot.
        then: i64,
        /// The last change now.
        now: i64,
    },
    /// References or indexes could not be made over the rows.
    #[error("all rows are there, but the target cannot be finished: {0}")]
    Finish(StoreError),
    /// The file is no backup.
    #[error("{}: {detail}; nothing was changed", path.display())]
    Archive {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// A file cannot be read or written.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's words.
        error: std::io::Error,
    },
}

/// As many names as say what it is.
fn some(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let more = names.len().saturating_sub(SHOWN);
    let shown = names[..names.len() - more].join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

fn lines(texts: &[String]) -> String {
    texts.iter().map(|text| format!("  {text}")).collect::<Vec<_>>().join("\n")
}
