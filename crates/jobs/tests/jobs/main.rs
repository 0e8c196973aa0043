//! Jobs on every database: what is promised of the queue and its workers.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by stopping")]

mod claims;
mod crash;
mod harness;
mod hooks;
mod life;
mod limits;
mod others;
mod plans;
mod shown;
mod simulation;
