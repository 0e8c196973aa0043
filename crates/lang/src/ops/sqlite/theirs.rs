//! Values that others wrote into a SQLite database, in the language's form, and back in theirs.
//!
//! SQLite binds nobody to a column's type: truth values come as numbers or words, instants as texts of several forms or as numbers, decimals as
//! floats. What can be read without a doubt is; anything else is [`OpError::Misfit`], never a guess. Null stays null.

use super::{SqlArg, SqlResult};
use crate::ops::OpError;
use crate::value::{Date, Decimal, Time, Timestamp, json::minify};
use SqlArg::{Blob, Int, Null, Real, Text};

/// Numbers of milliseconds since 1970 are at least this, numbers of seconds less.
const MILLISECONDS_MIN: i64 = 10_000_000_000;
/// The greatest whole number up to which a float has each.
const FLOAT_EXACT_MAX: f64 = 9_007_199_254_740_992.0;

type Answer = Result<SqlResult, OpError>;

fn misfit(expected: &'static str) -> Answer {
    Err(OpError::Misfit { expected })
}

pub(super) fn int(value: SqlArg<'_>) -> Answer {
    match value {
        Null => Ok(SqlResult::Null),
        Int(value) => Ok(SqlResult::Int(value)),
        Real(value) if value.fract() == 0.0 && value.abs() <= FLOAT_EXACT_MAX => {
            Ok(SqlResult::Int(value as i64))
        }
        _ => misfit("int"),
    }
}

pub(super) fn bool(value: SqlArg<'_>) -> Answer {
    let word = |text: &str, words: [&str; 4]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    match value {
        Null => Ok(SqlResult::Null),
        Int(value @ (0 | 1)) => Ok(SqlResult::Int(value)),
        Text(text) if word(text, ["true", "t", "yes", "1"]) => Ok(SqlResult::Int(1)),
        Text(text) if word(text, ["false", "f", "no", "0"]) => Ok(SqlResult::Int(0)),
        _ => misfit("bool"),
    }
}

pub(super) fn real(value: SqlArg<'_>) -> Answer {
    match value {
        Null => Ok(SqlResult::Null),
        Int(value) => Ok(SqlResult::Real(value as f64)),
        // Adding zero makes the negative zero positive.
        Real(value) if value.is_finite() => Ok(SqlResult::Real(value + 0.0)),
        _ => misfit("float"),
    }
}

pub(super) fn text(value: SqlArg<'_>) -> Answer {
    match value {
        Null => Ok(SqlResult::Null),
        Text(text) => Ok(SqlResult::Text(text.to_owned())),
        // A column that says nothing of its type keeps numbers as such.
        Int(value) => Ok(SqlResult::Text(value.to_string())),
        _ => misfit("text"),
    }
}

pub(super) fn blob(value: SqlArg<'_>) -> Answer {
    match value {
        Null => Ok(SqlResult::Null),
        Blob(bytes) => Ok(SqlResult::Blob(bytes.to_vec())),
        _ => misfit("bytes"),
    }
}

pub(super) fn json(value: SqlArg<'_>) -> Answer {
    match value {
        Null => Ok(SqlResult::Null),
        Text(text) => match minify(text) {
            Ok(text) => Ok(SqlResult::Text(text)),
            Err(_) => misfit("json"),
        },
        Int(value) => Ok(SqlResult::Text(value.to_string())),
        _ => misfit("json"),
    }
}

/// A number of any kind as a decimal's mantissa.
pub(super) fn decimal(value: SqlArg<'_>, scale: i64) -> Answer {
    let digits = match value {
        Null => return Ok(SqlResult::Null),
        Int(value) => value.to_string(),
        // The shortest text that is the same float: what was meant when it was written.
        Real(value) if value.is_finite() => value.to_string(),
        Text(text) => text.trim().to_owned(),
        _ => return misfit("decimal"),
    };
    let scale = u8::try_from(scale).map_err(|_| OpError::Argument)?;
    match Decimal::parse_number(&digits).ok().and_then(|value| value.rescale_exact(scale)) {
        Some(value) => Ok(SqlResult::Int(value.mantissa)),
        None => misfit("decimal of its scale"),
    }
}

/// A decimal as the number that others keep.
pub(super) fn to_number(mantissa: i64, scale: i64) -> Answer {
    let scale = u8::try_from(scale).map_err(|_| OpError::Argument)?;
    let text = Decimal { mantissa, scale }.to_string();
    if let Ok(whole) = text.parse::<i64>() {
        return Ok(SqlResult::Int(whole));
    }
    let value: f64 = text.parse().map_err(|_| OpError::Argument)?;
    match decimal(Real(value), i64::from(scale)) {
        Ok(SqlResult::Int(back)) if back == mantissa => Ok(SqlResult::Real(value)),
        _ => misfit("decimal that a float of the database can be"),
    }
}

pub(super) fn date(value: SqlArg<'_>) -> Answer {
    match value {
        Null => Ok(SqlResult::Null),
        Text(text) => match Date::parse(text) {
            Some(date) => Ok(SqlResult::Text(date.to_ascii().as_str().to_owned())),
            // A day may have been kept as its first instant.
            None => match instant(text) {
                Some(at) if at.to_ascii().as_str().get(11..26) == Some("00:00:00.000000") => {
                    Ok(SqlResult::Text(at.to_ascii().as_str()[..10].to_owned()))
                }
                _ => misfit("date"),
            },
        },
        _ => misfit("date"),
    }
}

pub(super) fn time(value: SqlArg<'_>) -> Answer {
    match value {
        Null => Ok(SqlResult::Null),
        Text(text) => {
            let full = if text.len() == 5 { format!("{text}:00") } else { text.to_owned() };
            match Time::parse(&full) {
                Some(time) => Ok(SqlResult::Text(time.to_ascii().as_str().to_owned())),
                None => misfit("time"),
            }
        }
        _ => misfit("time"),
    }
}

pub(super) fn timestamp(value: SqlArg<'_>) -> Answer {
    let at = match value {
        Null => return Ok(SqlResult::Null),
        Text(text) => instant(text),
        Int(number) => {
            let factor = if number.abs() >= MILLISECONDS_MIN { 1_000 } else { 1_000_000 };
            number.checked_mul(factor).and_then(Timestamp::from_micros)
        }
        _ => None,
    };
    match at {
        Some(at) => Ok(SqlResult::Text(at.to_ascii().as_str().to_owned())),
        None => misfit("timestamp"),
    }
}

/// An instant in any of the forms of ISO 8601 that databases hold; without a zone it is of UTC, as SQLite's own are.
fn instant(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if text.len() == 10 {
        return Timestamp::parse(&format!("{text}T00:00:00Z"));
    }
    let (day, rest) = (text.get(..10)?, text.get(11..)?);
    if !matches!(text.as_bytes()[10], b'T' | b't' | b' ') {
        return None;
    }
    let at = rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len());
    let (time, zone) = (rest[..at].trim_end(), &rest[at..]);
    let time = if time.len() == 5 { format!("{time}:00") } else { time.to_owned() };
    // Digits behind the sixth are of no instant that the language has.
    let time = match time.split_once('.') {
        Some((whole, digits)) => format!("{whole}.{:.6}", digits),
        None => time,
    };
    let zone = match zone.len() {
        0 => "Z".to_owned(),
        3 => format!("{zone}:00"),
        5 => format!("{}:{}", &zone[..3], &zone[3..]),
        _ => zone.to_ascii_uppercase(),
    };
    Timestamp::parse(&format!("{day}T{time}{zone}"))
}

/// An instant as others write theirs; the codes are those of the dialect.
pub(super) fn to_instant(text: &str, code: i64) -> Answer {
    let at = Timestamp::parse(text).ok_or(OpError::Argument)?;
    let whole = |separator: &str| {
        let canonical = at.to_ascii();
        let canonical = canonical.as_str();
        let digits = canonical[20..26].trim_end_matches('0');
        let point = if digits.is_empty() { "" } else { "." };
        SqlResult::Text(format!("{}{separator}{}{point}{digits}", &canonical[..10], &canonical[11..19]))
    };
    Ok(match code {
        1 => whole(" "),
        2 => SqlResult::Int(at.0.div_euclid(1_000_000)),
        3 => SqlResult::Int(at.0.div_euclid(1_000)),
        4 => whole("T"),
        _ => SqlResult::Text(at.to_ascii().as_str().to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::super::{SqlArg, SqlResult};
    use super::{bool, decimal, int, timestamp, to_instant, to_number};
    use crate::ops::OpError;
    use SqlArg::{Int, Null, Real, Text};

    #[test]
    fn instants_of_others_are_read_in_every_form_and_written_in_theirs() {
        let check = |given: SqlArg<'_>, code: i64, expect: &str| {
            let Ok(SqlResult::Text(read)) = timestamp(given) else { panic!("{given:?} is no instant") };
            assert_eq!(read, expect, "{given:?}");
            let back = to_instant(&read, code).unwrap();
            assert_eq!(timestamp(back.as_arg()), Ok(SqlResult::Text(read)), "{given:?} back as {back:?}");
        };
        check(Text("2006-02-15 04:34:33"), 1, "2006-02-15T04:34:33.000000Z");
        check(Text("2006-02-15 04:34:33.25"), 1, "2006-02-15T04:34:33.250000Z");
        check(Text("2006-02-15T04:34:33+02"), 4, "2006-02-15T02:34:33.000000Z");
        check(Text("2006-02-15"), 1, "2006-02-15T00:00:00.000000Z");
        check(Text("2006-02-15 04:34"), 1, "2006-02-15T04:34:00.000000Z");
        check(Int(1_139_978_073), 2, "2006-02-15T04:34:33.000000Z");
        check(Int(1_139_978_073_000), 3, "2006-02-15T04:34:33.000000Z");
        for wrong in [Text("soon"), Text("2006-13-15 04:34:33"), Text(""), Real(2_453_781.5)] {
            assert_eq!(timestamp(wrong), Err(OpError::Misfit { expected: "timestamp" }), "{wrong:?}");
        }
        assert_eq!(timestamp(Null), Ok(SqlResult::Null));
        assert_eq!(
            to_instant("2006-02-15T04:34:33.000000Z", 1),
            Ok(SqlResult::Text("2006-02-15 04:34:33".to_owned()))
        );
    }

    #[test]
    fn decimals_of_others_are_what_was_meant() {
        assert_eq!(decimal(Real(0.99), 2), Ok(SqlResult::Int(99)));
        assert_eq!(decimal(Real(4.1), 2), Ok(SqlResult::Int(410)));
        assert_eq!(decimal(Int(5), 2), Ok(SqlResult::Int(500)));
        assert_eq!(decimal(Text("12.30"), 2), Ok(SqlResult::Int(1230)));
        assert!(decimal(Real(0.999), 2).is_err());
        assert!(decimal(Text("dear"), 2).is_err());
        assert_eq!(to_number(410, 2), Ok(SqlResult::Real(4.1)));
        assert_eq!(to_number(500, 2), Ok(SqlResult::Real(5.0)));
        assert_eq!(to_number(5, 0), Ok(SqlResult::Int(5)));
        assert!(to_number(123_456_789_012_345_679, 2).is_err());
    }

    #[test]
    fn nothing_is_guessed() {
        assert_eq!(bool(Text("T")), Ok(SqlResult::Int(1)));
        assert_eq!(bool(Int(2)), Err(OpError::Misfit { expected: "bool" }));
        assert_eq!(int(Real(3.0)), Ok(SqlResult::Int(3)));
        assert_eq!(int(Real(3.5)), Err(OpError::Misfit { expected: "int" }));
        assert_eq!(int(Text("3")), Err(OpError::Misfit { expected: "int" }));
    }
}
