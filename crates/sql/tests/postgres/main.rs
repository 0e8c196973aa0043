//! What is generated, run on PostgreSQL: answers, plans and counts.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../cases/aggregates.rs"]
mod aggregates;
mod catalogues;
#[path = "../cases/copies.rs"]
mod copies;
mod database;
#[path = "../cases/expressions.rs"]
mod expressions;
#[path = "../cases/harness.rs"]
mod harness;
#[path = "../cases/keysets.rs"]
mod keysets;
#[path = "../cases/migrations.rs"]
mod migrations;
#[path = "../cases/nesting.rs"]
mod nesting;
#[path = "../cases/operators.rs"]
mod operators;
mod plans;
mod schemas;
#[path = "../cases/shown.rs"]
mod shown;
#[path = "../cases/spelling.rs"]
mod spelling;
#[path = "../cases/system.rs"]
mod system;
mod texts;
