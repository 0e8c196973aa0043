//! Times as SAML writes them, compared with clocks that may differ a little.

use std::time::Duration;

use mainstay_lang::value::Timestamp;

use super::refused::Refused;
use crate::desk::{earlier, later};

/// Reads an `xs:dateTime`. More digits of a second than a microsecond has are cut.
///
/// # Errors
/// When it is none, or says no offset.
pub(crate) fn instant(text: &str, what: &'static str) -> Result<Timestamp, Refused> {
    let text = text.trim();
    let short = match text.split_once('.') {
        Some((whole, rest)) => {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (fraction, offset) = rest.split_at(digits);
            format!("{whole}.{}{offset}", &fraction[..digits.min(6)])
        }
        None => text.to_owned(),
    };
    // A message gives a time with `T`, as XML does.
    let parsed = Timestamp::parse(&short).filter(|_| text.contains('T'));
    parsed.ok_or(Refused::Time(what))
}

/// Whether it is certainly before that, by whichever clock.
pub(crate) fn is_before(at: Timestamp, limit: Timestamp, skew: Duration) -> bool {
    later(at, skew) < limit
}

/// Whether it is certainly not before that, by whichever clock.
pub(crate) fn is_at_or_after(at: Timestamp, limit: Timestamp, skew: Duration) -> bool {
    earlier(at, skew) >= limit
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mainstay_lang::value::Timestamp;

    use super::{instant, is_at_or_after, is_before};

    #[test]
    fn times_are_read_as_providers_write_them() {
        let check = |text: &str, expect: &str| {
            assert_eq!(
                instant(text, "NotBefore").map(|at| at.to_string()).ok().as_deref(),
                Some(expect),
                "{text}"
            );
        };
        check("2026-01-31T10:00:00Z", "2026-01-31T10:00:00.000000Z");
        check("2026-01-31T10:00:00.123Z", "2026-01-31T10:00:00.123000Z");
        check("2026-01-31T10:00:00.1234567Z", "2026-01-31T10:00:00.123456Z");
        check("2026-01-31T11:00:00+01:00", "2026-01-31T10:00:00.000000Z");
        for wrong in
            ["", "2026-01-31", "2026-01-31T10:00:00", "2026-01-31 10:00:00Z", "2026-01-31T10:00:00.é", "."]
        {
            assert!(instant(wrong, "NotBefore").is_err(), "{wrong}");
        }
    }

    #[test]
    fn clocks_may_differ_by_so_much_and_no_more() {
        let at = |seconds: i64| Timestamp(seconds * 1_000_000);
        let skew = Duration::from_secs(60);
        assert!(!is_before(at(0), at(60), skew));
        assert!(is_before(at(0), at(61), skew));
        assert!(!is_at_or_after(at(59), at(0), skew));
        assert!(is_at_or_after(at(60), at(0), skew));
    }
}
