//! Dates, times of day and instants: their texts and their calendar parts.
//!
//! Every text form has one length and sorts as the value does, so that the database may compare texts. Formatting
//! allocates nothing. Nothing here reads a clock.

use std::fmt;

use super::ascii::{Ascii, take_byte, take_digits, take_fraction};
use super::calendar::{civil_from_days, days_from_civil, days_in_month};

/// Microseconds of a day.
const DAY_MICROS: i64 = 86_400_000_000;

/// Days since 1970-01-01. Stored as text `YYYY-MM-DD`, which sorts the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(pub i32);

/// Microseconds since midnight. Stored as text `HH:MM:SS.ffffff`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub i64);

/// Microseconds since 1970-01-01T00:00:00Z. Stored as text `YYYY-MM-DDTHH:MM:SS.ffffffZ`, which sorts the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Date {
    /// 0001-01-01
    pub const MIN: Date = Date(-719_162);
    /// 9999-12-31
    pub const MAX: Date = Date(2_932_896);

    /// The date that many days after 1970-01-01; `None` outside the years 0001 to 9999.
    pub fn from_days(days: i64) -> Option<Date> {
        let date = Date(i32::try_from(days).ok()?);
        (Date::MIN..=Date::MAX).contains(&date).then_some(date)
    }

    /// Reads `2026-01-31`.
    pub fn parse(text: &str) -> Option<Date> {
        let mut rest = text.as_bytes();
        let date = take_date(&mut rest)?;
        rest.is_empty().then_some(date)
    }

    /// Year, month and day.
    pub fn civil(self) -> (i64, i64, i64) {
        civil_from_days(self.0.into())
    }

    /// `2026-01-31`
    pub fn to_ascii(self) -> Ascii<10> {
        let mut out = Ascii(*b"0000-00-00");
        put_date(&mut out, self.0.into());
        out
    }
}

impl Time {
    /// 00:00:00
    pub const MIN: Time = Time(0);
    /// 23:59:59.999999
    pub const MAX: Time = Time(DAY_MICROS - 1);

    /// Reads `10:00`, `10:00:00` or `10:00:00.000000`.
    pub fn parse(text: &str) -> Option<Time> {
        let mut rest = text.as_bytes();
        let hours_and_minutes = take_hours_and_minutes(&mut rest)?;
        if rest.is_empty() {
            return Some(Time(hours_and_minutes));
        }
        let seconds = take_seconds(&mut rest)?;
        rest.is_empty().then_some(Time(hours_and_minutes + seconds))
    }

    /// `10:00:00.000000`
    pub fn to_ascii(self) -> Ascii<15> {
        let mut out = Ascii(*b"00:00:00.000000");
        put_time(&mut out, 0, self.0);
        out
    }
}

impl Timestamp {
    /// 0001-01-01T00:00:00Z
    pub const MIN: Timestamp = Timestamp(Date::MIN.0 as i64 * DAY_MICROS);
    /// 9999-12-31T23:59:59.999999Z
    pub const MAX: Timestamp = Timestamp((Date::MAX.0 as i64 + 1) * DAY_MICROS - 1);

    /// The instant that many microseconds after 1970; `None` outside the years 0001 to 9999.
    pub fn from_micros(micros: i64) -> Option<Timestamp> {
        let timestamp = Timestamp(micros);
        (Timestamp::MIN..=Timestamp::MAX).contains(&timestamp).then_some(timestamp)
    }

    /// Reads RFC 3339 with any offset and at most six digits of a second: `2026-01-31T11:00:00.5+01:00`.
    pub fn parse(text: &str) -> Option<Timestamp> {
        let mut rest = text.as_bytes();
        let date = take_date(&mut rest)?;
        take_byte(&mut rest, b"Tt ")?;
        let time = take_hours_and_minutes(&mut rest)? + take_seconds(&mut rest)?;
        let offset = take_offset(&mut rest)?;
        if !rest.is_empty() {
            return None;
        }
        Timestamp::from_micros(i64::from(date.0) * DAY_MICROS + time - offset)
    }

    /// The day in UTC.
    pub fn date(self) -> Date {
        let days = i32::try_from(self.0.div_euclid(DAY_MICROS));
        Date(days.expect("an instant of the years 0001 to 9999 is few days from 1970"))
    }

    /// `2026-01-31T10:00:00.000000Z`
    pub fn to_ascii(self) -> Ascii<27> {
        let mut out = Ascii(*b"0000-00-00T00:00:00.000000Z");
        put_date(&mut out, self.0.div_euclid(DAY_MICROS));
        put_time(&mut out, 11, self.0.rem_euclid(DAY_MICROS));
        out
    }
}

fn take_date(text: &mut &[u8]) -> Option<Date> {
    let year = take_digits(text, 4)?;
    take_byte(text, b"-")?;
    let month = take_digits(text, 2)?;
    take_byte(text, b"-")?;
    let day = take_digits(text, 2)?;
    if year == 0 || !(1..=12).contains(&month) || !(1..=days_in_month(year, month)).contains(&day) {
        return None;
    }
    Date::from_days(days_from_civil(year, month, day))
}

fn take_hours_and_minutes(text: &mut &[u8]) -> Option<i64> {
    let hours = take_digits(text, 2).filter(|hours| *hours < 24)?;
    take_byte(text, b":")?;
    let minutes = take_digits(text, 2).filter(|minutes| *minutes < 60)?;
    Some((hours * 60 + minutes) * 60_000_000)
}

/// `:SS[.ffffff]`. A leap second is refused: no database here keeps one.
fn take_seconds(text: &mut &[u8]) -> Option<i64> {
    take_byte(text, b":")?;
    let seconds = take_digits(text, 2).filter(|seconds| *seconds < 60)?;
    Some(seconds * 1_000_000 + take_fraction(text)?)
}

fn take_offset(text: &mut &[u8]) -> Option<i64> {
    match take_byte(text, b"Zz+-")? {
        b'+' => take_hours_and_minutes(text),
        b'-' => take_hours_and_minutes(text).map(|offset| -offset),
        _ => Some(0),
    }
}

fn put_date<const N: usize>(out: &mut Ascii<N>, days: i64) {
    let (year, month, day) = civil_from_days(days);
    out.put(0, 4, small(year));
    out.put(5, 2, small(month));
    out.put(8, 2, small(day));
}

fn put_time<const N: usize>(out: &mut Ascii<N>, at: usize, micros: i64) {
    let seconds = small(micros / 1_000_000);
    out.put(at, 2, seconds / 3600);
    out.put(at + 3, 2, seconds / 60 % 60);
    out.put(at + 6, 2, seconds % 60);
    out.put(at + 9, 6, small(micros % 1_000_000));
}

fn small(number: i64) -> u32 {
    u32::try_from(number).expect("a year, or less than a day's seconds or a second's microseconds")
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_ascii().fmt(f)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_ascii().fmt(f)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_ascii().fmt(f)
    }
}
