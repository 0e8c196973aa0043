//! When: a cron line in a time zone, and which of the times that have passed are made up for.
//!
//! A time that a zone's clock skips in spring comes at the end of the gap; one that it shows twice in autumn comes once. Pure: the
//! present is handed in.

use std::str::FromStr as _;

use croner::Cron;
use jiff::tz::TimeZone;
use mainstay_lang::value::Timestamp;

/// What becomes of the times that nobody was there for, as when no worker ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CatchUp {
    /// One job makes up for all of them.
    Latest,
    /// One job, unless its time lies back longer than this: then none.
    Within(std::time::Duration),
    /// A job for each, so many at a time.
    All {
        /// How many at a time.
        most: usize,
    },
}

/// What a schedule asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    /// The times for which jobs are made.
    pub(crate) made: Vec<Timestamp>,
    /// The time behind which to go on.
    pub(crate) last: Timestamp,
}

/// A cron line and its time zone.
#[derive(Clone, Debug)]
pub struct Schedule {
    cron: Cron,
    zone: TimeZone,
}

impl Schedule {
    /// Reads both.
    ///
    /// # Errors
    /// What was expected.
    pub fn parse(cron: &str, zone: &str) -> Result<Schedule, String> {
        Ok(Schedule { cron: self::cron(cron)?, zone: self::zone(zone)? })
    }

    /// The last time before or at another; none: there is none in reach.
    fn last_at(&self, at: Timestamp) -> Option<Timestamp> {
        let at = jiff::Timestamp::from_microsecond(at.0).ok()?.to_zoned(self.zone.clone());
        let last = self.cron.find_previous_occurrence(&at, true).ok()?;
        Some(Timestamp(last.timestamp().as_microsecond()))
    }

    /// The times behind `last` up to `now` at which a job is to be made, under a policy, and the last of all of them.
    pub(crate) fn due(&self, last: Timestamp, now: Timestamp, catch_up: CatchUp) -> Option<Due> {
        let latest = self.last_at(now).filter(|latest| *latest > last)?;
        let made = match catch_up {
            CatchUp::Latest => vec![latest],
            CatchUp::Within(patience) => {
                let is_young = crate::clock::after(latest, patience) >= now;
                if is_young { vec![latest] } else { Vec::new() }
            }
            CatchUp::All { most } => {
                let mut made = Vec::new();
                let mut at = last;
                while made.len() < most
                    && let Some(next) = self.next_after(at).filter(|next| *next <= now)
                {
                    made.push(next);
                    at = next;
                }
                // What was not made this time is behind the last one that was.
                let last = made.last().copied().unwrap_or(latest);
                return Some(Due { made, last });
            }
        };
        Some(Due { made, last: latest })
    }

    /// The first time behind another; none: there is none in reach.
    pub fn next_after(&self, at: Timestamp) -> Option<Timestamp> {
        let at = jiff::Timestamp::from_microsecond(at.0).ok()?.to_zoned(self.zone.clone());
        let next = self.cron.find_next_occurrence(&at, false).ok()?;
        Some(Timestamp(next.timestamp().as_microsecond()))
    }
}

/// Reads a cron line.
///
/// # Errors
/// What was expected.
pub fn cron(text: &str) -> Result<Cron, String> {
    let expected =
        |error| format!("a cron line, such as \"30 3 * * *\" for half past three each night ({error})");
    Cron::from_str(text).map_err(expected)
}

/// Reads the name of a time zone.
///
/// # Errors
/// What was expected.
pub fn zone(text: &str) -> Result<TimeZone, String> {
    TimeZone::get(text).map_err(|_| "a time zone, such as Europe/Amsterdam or UTC".to_owned())
}

#[cfg(test)]
mod tests {
    use mainstay_lang::value::Timestamp;

    use std::time::Duration;

    use proptest::prelude::*;

    use super::{CatchUp, Schedule};

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
    fn a_day_whose_clock_is_changed_has_one_time() {
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

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn what_was_missed_is_made_up_for_as_the_policy_says() {
        let hourly = Schedule::parse("0 * * * *", "UTC").unwrap();
        let (last, now) = (at("2026-01-01T00:00:00Z"), at("2026-01-01T05:30:00Z"));
        let made = |catch_up| hourly.due(last, now, catch_up).unwrap();
        assert_eq!(made(CatchUp::Latest).made, [at("2026-01-01T05:00:00Z")]);
        assert_eq!(made(CatchUp::Within(Duration::from_secs(3600))).made, [at("2026-01-01T05:00:00Z")]);
        let late = made(CatchUp::Within(Duration::from_secs(60)));
        assert_eq!(
            (late.made, late.last),
            (Vec::new(), at("2026-01-01T05:00:00Z")),
            "too late, and never again"
        );
        let all = made(CatchUp::All { most: 100 });
        assert_eq!(all.made.len(), 5);
        let some = made(CatchUp::All { most: 2 });
        assert_eq!(
            (some.made.len(), some.last),
            (2, at("2026-01-01T02:00:00Z")),
            "the others come next time"
        );
        assert_eq!(hourly.due(at("2026-01-01T05:00:00Z"), now, CatchUp::Latest), None);
    }

    const ZONES: [&str; 5] =
        ["UTC", "Europe/Amsterdam", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// A scheduler that looks at any times, over two changes of the clock and more, makes a job for each time exactly once, in
        /// order, and never one for a time that has not come.
        #[test]
        fn each_time_comes_once_whenever_it_is_looked_for(
            minute in 0u32..60,
            hour in prop::option::of(0u32..24),
            zone in prop::sample::select(&ZONES[..]),
            start_h in 0i64..24 * 300,
            looks_min in prop::collection::vec(1i64..60 * 60, 1..40),
        ) {
            let cron = format!("{minute} {} * * *", hour.map_or("*".to_owned(), |hour| hour.to_string()));
            let schedule = Schedule::parse(&cron, zone).unwrap();
            let start = Timestamp(at("2026-01-15T00:00:00Z").0 + start_h * 3_600_000_000);
            let (mut last, mut now, mut made) = (start, start, Vec::new());
            for look_min in looks_min {
                now = Timestamp(now.0 + look_min * 60_000_000);
                if let Some(due) = schedule.due(last, now, CatchUp::All { most: 10_000 }) {
                    prop_assert!(due.made.iter().all(|at| *at > last && *at <= now));
                    made.extend(due.made);
                    last = due.last;
                }
                prop_assert_eq!(schedule.due(last, now, CatchUp::Latest), None, "nothing is left over");
            }
            let mut expect = Vec::new();
            let mut at = start;
            while let Some(next) = schedule.next_after(at).filter(|next| *next <= now) {
                expect.push(next);
                at = next;
            }
            prop_assert_eq!(&made, &expect);
            if hour.is_some() {
                // Once a day, also on the days of 23, 24½ and 25 hours.
                for pair in made.windows(2) {
                    let hours = (pair[1].0 - pair[0].0) as f64 / 3.6e9;
                    prop_assert!((22.9..=25.1).contains(&hours), "{hours} hours between {} and {}", pair[0], pair[1]);
                }
            }
        }
    }
}
