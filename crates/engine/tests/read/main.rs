//! Reads through the engine on SQLite: what is answered, and what is not.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by stopping")]

use mainstay_testkit::database::DatabaseKind;

#[expect(dead_code, reason = "the writes' tests use what these do not")]
mod app;
mod festival;
mod limits;
mod shop;
mod why;

/// Where everything here runs.
pub(crate) const ON: DatabaseKind = DatabaseKind::Sqlite;
