//! What the project promises, tried again on PostgreSQL: the same apps, commands and requests, and the same answers.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed, and says where")]

use mainstay_testkit::database::DatabaseKind;

#[path = "../acceptance/bad_input.rs"]
mod bad_input;
#[path = "../acceptance/contract_language.rs"]
mod contract_language;
#[path = "../acceptance/contract_protocol.rs"]
mod contract_protocol;
#[path = "../acceptance/crash.rs"]
mod crash;
#[path = "../acceptance/import_export.rs"]
mod import_export;
#[path = "../acceptance/jobs.rs"]
mod jobs;
#[path = "../acceptance/reload.rs"]
mod reload;
mod stopped;
mod support;

/// Where the apps of these tests keep their rows.
pub(crate) const ON: DatabaseKind = DatabaseKind::Postgres;
