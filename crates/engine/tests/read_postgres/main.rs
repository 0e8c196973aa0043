//! Reads through the engine on PostgreSQL, the same as on SQLite: what is answered, and what is not.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by stopping")]

use mainstay_testkit::database::DatabaseKind;

#[path = "../read/app.rs"]
#[expect(dead_code, reason = "the writes' tests use what these do not")]
mod app;
#[path = "../read/festival.rs"]
mod festival;
#[path = "../read/limits.rs"]
mod limits;
mod replica;
#[path = "../read/shop.rs"]
mod shop;
#[path = "../read/why.rs"]
mod why;

/// Where everything here runs.
pub(crate) const ON: DatabaseKind = DatabaseKind::Postgres;
