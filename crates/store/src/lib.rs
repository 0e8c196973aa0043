//! Runs statements on a database: reads of one snapshot, writes in transactions, the folder's lock.
//!
//! Knows no rules, no tables of an app and no HTTP. Statements come ready from `mainstay-sql` with a value for each
//! bind; what a row means is said by the statement's result shape. The public types are the same for every
//! database; all that is SQLite's own stands in `sqlite.rs` and `sqlite/`.
//!
//! The invariant: nothing is answered before it is durable, and what was answered is seen by every later read.

mod error;
mod metrics;
mod options;
mod query;
mod sqlite;
mod store;
mod tx;

pub use error::StoreError;
pub use metrics::{BUCKETS, StoreMetrics};
pub use options::{DatabaseUrl, DatabaseUrlError, StoreOptions, Synchronous};
pub use query::{JsonRows, Outcome, Query, ReadLimits};
pub use store::{Health, Store, WriteJob};
pub use tx::Tx;
