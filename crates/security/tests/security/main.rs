//! The capability from outside, over TCP: headers, limits, certificates, what servers share.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by stopping")]

mod acme;
mod harness;
mod headers;
mod limits;
mod shared;
mod tls;
