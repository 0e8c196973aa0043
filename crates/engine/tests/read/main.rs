//! Reads through the engine on a real SQLite file: what is answered, and what is not.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by stopping")]

mod app;
mod festival;
mod shop;
mod why;
