//! What is generated, run on SQLite: answers, plans and counts.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod aggregates;
mod expressions;
mod harness;
mod keysets;
mod nesting;
mod plans;
mod schemas;
mod texts;
mod write_plans;
