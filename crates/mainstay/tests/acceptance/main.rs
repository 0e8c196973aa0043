//! What the project promises, tried on the real `mainstay` binary: apps in folders, commands with their exit codes,
//! requests over TCP.
//!
//! One test binary of many files, because linking costs more than compiling here. A file is one subject; what all of
//! them need is in [`support`].

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed, and says where")]

use mainstay_testkit::database::DatabaseKind;

mod backups;
mod bad_input;
mod browser;
mod chinook;
mod cli;
mod contract_language;
mod contract_protocol;
mod crash;
mod flags;
mod import_export;
mod jobs;
mod live;
mod migrate;
mod moving;
mod overrides;
mod postgres;
mod pulled;
mod reload;
mod security;
mod support;
mod traces;
mod triggers;

/// Where the apps of these tests keep their rows, unless a flag says otherwise.
pub(crate) const ON: DatabaseKind = DatabaseKind::Sqlite;
