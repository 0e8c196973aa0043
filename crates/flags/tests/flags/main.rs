//! Flags and settings through a real server, on every database: what holds for whom, who may change it, what clients are told.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by stopping")]

mod authorisation;
mod code;
mod command;
mod harness;
mod nodes;
mod ofrep;
mod openfeature;
mod rules;
mod values;
