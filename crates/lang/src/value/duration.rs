//! Spans of time in microseconds and their ISO 8601 text.
//!
//! A day is 24 hours. Years and months have no length and are refused; weeks are read as seven days and never written.

use std::fmt;

use super::ascii::{take_byte, take_fraction};

/// Microseconds. Stored as an integer; ISO 8601 (`P1DT2H`) on the wire, days being 24 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(pub i64);

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

impl Duration {
    /// One day.
    pub const DAY: Duration = Duration(DAY);

    /// Reads `P1DT2H3M4.5S`, `-PT1H`, `P2W`; at most six digits of a second.
    pub fn parse(text: &str) -> Option<Duration> {
        let mut rest = text.as_bytes();
        let negative = take_byte(&mut rest, b"-+") == Some(b'-');
        take_byte(&mut rest, b"P")?;
        let mut total = 0i128;
        let mut units: &[(u8, i64)] = &[(b'W', 7 * DAY), (b'D', DAY)];
        let mut parts = 0;
        let mut in_time = false;
        while !rest.is_empty() {
            if !in_time && take_byte(&mut rest, b"T").is_some() {
                in_time = true;
                units = &[(b'H', HOUR), (b'M', MINUTE), (b'S', SECOND)];
                parts = 0;
                continue;
            }
            let (number, fraction) = take_number(&mut rest)?;
            let unit = take_byte(&mut rest, b"WDHMS")?;
            // Units come in falling order, each at most once.
            let place = units.iter().position(|(name, _)| *name == unit)?;
            let (_, micros) = units[place];
            if fraction.is_some() && unit != b'S' {
                return None;
            }
            units = &units[place + 1..];
            total += number * i128::from(micros) + i128::from(fraction.unwrap_or(0));
            parts += 1;
        }
        if parts == 0 {
            return None;
        }
        i64::try_from(if negative { -total } else { total }).ok().map(Duration)
    }
}

/// Digits with at most one fraction of six, as (whole, micros of the fraction).
fn take_number(text: &mut &[u8]) -> Option<(i128, Option<i64>)> {
    let width = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    // Nineteen digits hold every number of microseconds; longer ones could overflow the sum.
    if !(1..=19).contains(&width) {
        return None;
    }
    let (digits, rest) = text.split_at(width);
    let number = std::str::from_utf8(digits).ok()?.parse::<i128>().ok()?;
    *text = rest;
    if text.first() != Some(&b'.') {
        return Some((number, None));
    }
    Some((number, Some(take_fraction(text)?)))
}

/// `P1DT2H3M4.5S`; nothing is `PT0S`.
impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("PT0S");
        }
        let micros = self.0.unsigned_abs();
        let unit = |size: i64| size.unsigned_abs();
        f.write_str(if self.0 < 0 { "-P" } else { "P" })?;
        if micros >= unit(DAY) {
            write!(f, "{}D", micros / unit(DAY))?;
        }
        let of_day = micros % unit(DAY);
        if of_day == 0 {
            return Ok(());
        }
        f.write_str("T")?;
        if of_day >= unit(HOUR) {
            write!(f, "{}H", of_day / unit(HOUR))?;
        }
        if of_day % unit(HOUR) >= unit(MINUTE) {
            write!(f, "{}M", of_day % unit(HOUR) / unit(MINUTE))?;
        }
        let (seconds, mut fraction) = (of_day % unit(MINUTE) / unit(SECOND), of_day % unit(SECOND));
        if fraction == 0 {
            return if seconds == 0 { Ok(()) } else { write!(f, "{seconds}S") };
        }
        let mut width = 6;
        while fraction % 10 == 0 {
            fraction /= 10;
            width -= 1;
        }
        write!(f, "{seconds}.{fraction:0width$}S")
    }
}
