//! When: a cron line in a time zone.
//!
//! A time that a zone's clock skips in spring comes at the end of the gap; one that it shows twice in autumn comes once.

use std::str::FromStr as _;

use croner::Cron;
use jiff::tz::TimeZone;
use mainstay_lang::value::Timestamp;

/// A cron line and its time zone.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    cron: Cron,
    zone: TimeZone,
}

impl Schedule {
    /// Reads both; what is wrong comes back as what was expected.
    pub(crate) fn parse(cron: &str, zone: &str) -> Result<Schedule, String> {
        Ok(Schedule { cron: self::cron(cron)?, zone: self::zone(zone)? })
    }

    /// The first time behind another; none: there is none in reach.
    pub(crate) fn next_after(&self, at: Timestamp) -> Option<Timestamp> {
        let at = jiff::Timestamp::from_microsecond(at.0).ok()?.to_zoned(self.zone.clone());
        let next = self.cron.find_next_occurrence(&at, false).ok()?;
        Some(Timestamp(next.timestamp().as_microsecond()))
    }
}

/// Reads a cron line.
pub(crate) fn cron(text: &str) -> Result<Cron, String> {
    let expected =
        |error| format!("a cron line, such as \"30 3 * * *\" for half past three each night ({error})");
    Cron::from_str(text).map_err(expected)
}

/// Reads the name of a time zone.
pub(crate) fn zone(text: &str) -> Result<TimeZone, String> {
    TimeZone::get(text).map_err(|_| "a time zone, such as Europe/Amsterdam or UTC".to_owned())
}

#[cfg(test)]
mod tests {
    use mainstay_lang::value::Timestamp;

    use super::Schedule;

    fn check(cron: &str, zone: &str, after: &str, expect: &[&str]) {
        let schedule = Schedule::parse(cron, zone).unwrap();
        let mut at = Timestamp::parse(after).unwrap();
        for expect in expect {
            at = schedule.next_after(at).unwrap();
            assert_eq!(at.to_string(), format!("{expect}:00.000000Z"), "{cron} in {zone} after {after}");
        }
    }

    #[test]
    fn the_clock_of_the_zone_counts() {
        check("30 3 * * *", "UTC", "2026-01-31T03:30:00Z", &["2026-02-01T03:30", "2026-02-02T03:30"]);
        check("0 4 * * sun", "Europe/Amsterdam", "2026-07-01T00:00:00Z", &["2026-07-05T02:00"]);
        check("0 4 * * sun", "Europe/Amsterdam", "2026-01-01T00:00:00Z", &["2026-01-04T03:00"]);
    }

    #[test]
    fn a_day_whose_clock_is_changed_has_one_backup() {
        // 02:30 is not there on 29 March and twice on 25 October.
        check(
            "30 2 * * *",
            "Europe/Amsterdam",
            "2026-03-28T12:00:00Z",
            &["2026-03-29T01:00", "2026-03-30T00:30"],
        );
        check(
            "30 2 * * *",
            "Europe/Amsterdam",
            "2026-10-24T12:00:00Z",
            &["2026-10-25T00:30", "2026-10-26T01:30"],
        );
    }

    #[test]
    fn what_is_no_schedule_says_what_was_expected() {
        assert!(Schedule::parse("tomorrow", "UTC").unwrap_err().starts_with("a cron line, such as"));
        assert!(Schedule::parse("0 0 * * *", "Amsterdam").unwrap_err().starts_with("a time zone"));
    }
}
