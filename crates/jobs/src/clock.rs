//! Times that jobs are put off to.

use std::time::Duration;

use mainstay_lang::value::Timestamp;

/// A time behind another.
pub(crate) fn after(at: Timestamp, pause: Duration) -> Timestamp {
    Timestamp(at.0.saturating_add(i64::try_from(pause.as_micros()).unwrap_or(i64::MAX)))
}
