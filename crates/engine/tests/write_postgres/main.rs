//! Writes through the engine on PostgreSQL, the same as on SQLite: what is done, what is answered, and what is left as it was.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by stopping")]

use mainstay_testkit::database::DatabaseKind;

#[path = "../read/app.rs"]
mod app;
#[path = "../write/checks.rs"]
mod checks;
#[path = "../write/concurrent.rs"]
mod concurrent;
#[path = "../write/create.rs"]
mod create;
mod deadlines;
#[path = "../write/delete.rs"]
mod delete;
#[path = "../write/history.rs"]
mod history;
#[path = "../write/hooks.rs"]
mod hooks;
mod interleaved;
#[path = "../write/links.rs"]
mod links;
#[path = "../write/outright.rs"]
mod outright;
#[path = "../write/overrides.rs"]
mod overrides;
mod pooler;
#[path = "../write/requests.rs"]
mod requests;
mod round_trips;
#[path = "../write/rules.rs"]
mod rules;
#[path = "../write/set.rs"]
mod set;
#[path = "../write/shop.rs"]
mod shop;
mod skew;
#[path = "../write/support.rs"]
mod support;
#[path = "../write/tenants.rs"]
mod tenants;
#[path = "../write/together.rs"]
mod together;
#[path = "../write/unique.rs"]
mod unique;

/// Where everything here runs.
pub(crate) const ON: DatabaseKind = DatabaseKind::Postgres;
