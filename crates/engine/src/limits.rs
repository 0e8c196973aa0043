//! How much one request may ask for.
//!
//! The defaults leave room for ten levels and ten thousand rows. What passes a limit is refused; nothing is cut in
//! silence.

use std::time::Duration;

/// The limits of one request; every one is a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Levels of parts, the top level counted.
    pub depth: usize,
    /// Parts of all documents together.
    pub parts: usize,
    /// Rows read or written, nested ones included.
    pub rows: u64,
    /// Bytes of the answer.
    pub bytes: u64,
    /// Rows of a top-level read that says no `limit`.
    pub page_default: u64,
    /// Greatest `limit` of a top-level read.
    pub page_max: u64,
    /// How long one hook of a plugin may take; on SQLite other writers wait for it.
    pub hook: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            depth: 16,
            parts: 20_000,
            rows: 20_000,
            bytes: 32 << 20,
            page_default: 100,
            page_max: 1000,
            hook: Duration::from_secs(5),
        }
    }
}
