//! Whole databases, row by row: from one database into another, into a file, and out of one.
//!
//! Every side tells its rows as the same tuples, in the order of their keys and from one snapshot, with a checksum that does not
//! depend on the kind of database. What is filled is read again afterwards and compared. How far it has come is kept
//! with the rows, so that whoever is stopped in the middle goes on where he was, once the rows before it have been found to
//! be the same still.
//!
//! Knows no rules and no files of an app: which tables there are is told by [`mainstay_sql::copy`].

mod archive;
pub(crate) mod batch;
mod checksum;
mod error;
mod side;
mod transfer;
pub(crate) mod tuple;

pub use archive::{Archive, ArchiveFile, ArchiveHead, ArchiveSource, write as archive_write};
pub use checksum::Checksum;
pub use error::CopyError;
pub use side::{Access, Destination, Source};
pub use transfer::{Copied, Filling, Step, check_source, transfer};
