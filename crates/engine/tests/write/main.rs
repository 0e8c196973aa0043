//! Writes through the engine on SQLite: what is done, what is answered, and what is left as it was.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by stopping")]

use mainstay_testkit::database::DatabaseKind;

#[path = "../read/app.rs"]
#[expect(dead_code, reason = "the reads' tests use what these do not")]
mod app;
mod checks;
mod commits;
mod concurrent;
mod create;
mod delete;
mod history;
mod hooks;
mod links;
mod outright;
mod overrides;
mod requests;
mod rules;
mod set;
mod shop;
mod support;
mod tenants;
mod together;
mod unique;

/// Where everything here runs.
pub(crate) const ON: DatabaseKind = DatabaseKind::Sqlite;
