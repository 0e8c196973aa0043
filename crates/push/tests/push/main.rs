//! Messages to devices, on every database: who has which, what a push service is sent, and what becomes of what it answers.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by stopping")]

mod authorisation;
mod delivery;
mod devices;
mod harness;
mod service;
