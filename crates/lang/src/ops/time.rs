//! Arithmetic of dates, timestamps and durations.
//!
//! Results outside the years 0001 to 9999 are overflows. A date moves by whole days: what a duration has beyond them
//! is dropped toward zero.

use super::OpError;
use crate::value::{Date, Duration, Timestamp};

/// `timestamp + duration`
pub fn timestamp_add(at: Timestamp, by: Duration) -> Result<Timestamp, OpError> {
    at.0.checked_add(by.0).and_then(Timestamp::from_micros).ok_or(OpError::overflow("addition"))
}

/// `timestamp - duration`
pub fn timestamp_back(at: Timestamp, by: Duration) -> Result<Timestamp, OpError> {
    at.0.checked_sub(by.0).and_then(Timestamp::from_micros).ok_or(OpError::overflow("subtraction"))
}

/// `timestamp - timestamp`
pub fn timestamp_sub(a: Timestamp, b: Timestamp) -> Result<Duration, OpError> {
    a.0.checked_sub(b.0).map(Duration).ok_or(OpError::overflow("subtraction"))
}

/// `date + duration`
pub fn date_add(date: Date, by: Duration) -> Result<Date, OpError> {
    let days = by.0 / Duration::DAY.0;
    Date::from_days(i64::from(date.0) + days).ok_or(OpError::overflow("addition"))
}

/// `date - duration`
pub fn date_back(date: Date, by: Duration) -> Result<Date, OpError> {
    let days = by.0 / Duration::DAY.0;
    Date::from_days(i64::from(date.0) - days).ok_or(OpError::overflow("subtraction"))
}

/// `date - date`
pub fn date_sub(a: Date, b: Date) -> Duration {
    Duration((i64::from(a.0) - i64::from(b.0)) * Duration::DAY.0)
}
