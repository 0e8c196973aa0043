#![doc = include_str!("../README.md")]

mod catalogue;
pub mod copy;
mod error;
mod metrics;
mod options;
mod postgres;
mod query;
mod spans;
mod sqlite;
mod store;
mod turn;
mod tx;

pub use error::StoreError;
pub use metrics::{BUCKETS, StoreMetrics};
pub use options::{DatabaseUrl, DatabaseUrlError, PostgresOptions, StoreOptions, Synchronous};
pub use postgres::PostgresUrl;
pub use query::{JsonRows, Kept, Outcome, Query, ReadLimits};
pub use store::{Health, Store, WriteJob};
pub use turn::{Part, PartKind, Script, ScriptError, Turn};
pub use tx::Tx;
