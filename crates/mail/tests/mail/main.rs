//! Mail through a real server, on every database: what arrives, what does not, and what is told of it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by stopping")]

mod captured;
mod harness;
mod smtp;
