//! A database as one file: the rows of every table as tuples, the text of the schema that they are of, counts and checksums.
//!
//! A line that names the form, then blocks, each compressed and bound to all blocks before it by a hash, so that a file that is
//! damaged, cut off or put together is known as such before anything is done with it:
//!
//! | block | holds |
//! |---|---|
//! | `H` | the head: who made it, when, the schema's sources, the tables with their columns |
//! | `T` | the name of the table that begins |
//! | `R` | tuples of it, as many as there may be |
//! | `M` | the last one: each table's count and checksum |
//!
//! A file that is being written has another name until it is whole.

mod block;
mod read;
mod write;

use serde::{Deserialize, Serialize};

pub use read::{Archive, ArchiveSource};
pub use write::write;

use super::{Checksum, tuple};
use mainstay_sql::copy::CopyTable;

/// The first line of every file; its number changes with what only newer programs can read.
const FIRST_LINE: &[u8] = b"mainstay backup 1\n";
/// What the first line of any version begins with.
const FIRST_WORDS: &[u8] = b"mainstay backup ";

/// What a file says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveHead {
    /// The version of the program that made it.
    pub version: String,
    /// The app's name.
    pub app: String,
    /// When, in RFC 3339.
    pub made: String,
    /// The kind of database that its rows come from; filled in when it is written.
    pub database: String,
    /// The number of the last line of the change log that it holds; filled in when it is written.
    pub last_change: i64,
    /// The text of the schema, file by file.
    pub sources: Vec<ArchiveFile>,
    /// Its tables; filled in when it is written.
    #[serde(default)]
    tables: Vec<ArchiveTable>,
}

/// One file of the schema's text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveFile {
    /// Its path in the app's folder.
    pub name: String,
    /// Its text.
    pub text: String,
    /// Whether the platform brought it.
    pub platform: bool,
}

/// A table and its columns, in the order of its tuples.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ArchiveTable {
    name: String,
    columns: Vec<ArchiveColumn>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ArchiveColumn {
    name: String,
    /// How its values stand in a tuple.
    form: String,
}

/// What stands at the end.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    tables: Vec<ManifestTable>,
}

#[derive(Debug, Serialize, Deserialize)]
struct ManifestTable {
    name: String,
    rows: u64,
    checksum: String,
}

impl ArchiveHead {
    /// A head without tables.
    pub fn new(version: &str, app: &str, made: String, sources: Vec<ArchiveFile>) -> ArchiveHead {
        ArchiveHead {
            version: version.to_owned(),
            app: app.to_owned(),
            made,
            database: String::new(),
            last_change: 0,
            sources,
            tables: Vec::new(),
        }
    }
}

impl ArchiveTable {
    fn of(table: &CopyTable) -> ArchiveTable {
        let columns = table
            .columns
            .iter()
            .map(|column| ArchiveColumn { name: column.name.clone(), form: tuple::form(&column.ty) });
        ArchiveTable { name: table.name.clone(), columns: columns.collect() }
    }
}

/// Where a table's tuples begin in a file, and what they come to.
#[derive(Clone, Copy, Debug)]
struct Place {
    offset: u64,
    rows: u64,
    checksum: Checksum,
}
