//! Texts of settings to values: sizes, times, counts, switches, lists. What cannot be read says what was expected.

use std::time::Duration;

/// `8 MiB`, `512KiB`, `1000000`.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let expected = || "a size: 512 KiB, 8 MiB, 1 GiB or a number of bytes".to_owned();
    let (digits, unit) = split_number(text);
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kib" | "k" => 1 << 10,
        "mib" | "m" => 1 << 20,
        "gib" | "g" => 1 << 30,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        _ => return Err(expected()),
    };
    digits.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)).ok_or_else(expected)
}

/// `30s`, `250ms`, `5m`, `1h`, `7d`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let expected = || "a time with its unit: 250ms, 30s, 5m, 1h, 7d".to_owned();
    let (digits, unit) = split_number(text);
    let milliseconds: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(expected()),
    };
    let number = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(milliseconds));
    number.map(Duration::from_millis).ok_or_else(expected)
}

/// A number that is not negative.
pub(super) fn count(text: &str) -> Result<u64, String> {
    text.replace('_', "").parse().map_err(|_| "a number that is not negative".to_owned())
}

/// A count of things held in memory.
pub(super) fn size(text: &str) -> Result<usize, String> {
    usize::try_from(count(text)?).map_err(|_| "a smaller number".to_owned())
}

/// Items separated by commas; empty ones do not count.
pub(super) fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

/// Whether a text is the origin of a page: scheme and host.
pub(super) fn is_origin(text: &str) -> bool {
    text.strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))
        .is_some_and(|host| !host.is_empty() && !host.contains('/'))
}

fn split_number(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (&text[..end], text[end..].trim())
}

/// Yes or no.
pub(super) fn yes(text: &str) -> Result<bool, String> {
    match text {
        "yes" | "true" => Ok(true),
        "no" | "false" => Ok(false),
        _ => Err("yes or no".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(bytes("8 MiB"), Ok(8 << 20));
        assert_eq!(bytes("512KiB"), Ok(512 << 10));
        assert_eq!(bytes("17"), Ok(17));
        assert!(bytes("8 parsecs").is_err());
        assert!(bytes("").is_err());
        assert!(bytes("99999999999 GiB").is_err(), "overflow is refused, not wrapped");
    }

    #[test]
    fn times() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("1h"), Ok(Duration::from_secs(3600)));
        assert!(duration("30").is_err(), "a number without a unit is ambiguous");
    }

    #[test]
    fn lists() {
        assert_eq!(list(" a, ,b "), ["a", "b"]);
        assert!(list("").is_empty());
    }
}
