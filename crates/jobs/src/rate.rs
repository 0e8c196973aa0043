//! How often jobs of a name may begin.
//!
//! A rate is kept as one time: when the next job could begin if all that were let through had come evenly spaced. What lies in the
//! future of now plus the span is a debt that has to pass first (the generic cell rate algorithm). Pure: the time is handed in and the
//! new one handed out; who keeps it between workers is no concern here.

use std::time::Duration;

use mainstay_lang::value::Timestamp;

/// So many jobs within a span, which may all begin at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub count: u32,
    /// Within how long.
    pub span: Duration,
}

impl Rate {
    /// Microseconds from one job to the next, when they come evenly.
    fn step_us(self) -> i64 {
        let span = i64::try_from(self.span.as_micros()).unwrap_or(i64::MAX);
        (span / i64::from(self.count.max(1))).max(1)
    }

    /// How many may begin now, when `kept` is what was kept of those before.
    pub(crate) fn available(self, kept: Timestamp, now: Timestamp) -> u32 {
        let room = now.0.saturating_add(self.step_us().saturating_mul(i64::from(self.count)));
        let debt = room.saturating_sub(kept.0.max(now.0));
        u32::try_from((debt / self.step_us()).max(0)).unwrap_or(u32::MAX).min(self.count)
    }

    /// What is to be kept once so many have begun.
    pub(crate) fn begun(self, kept: Timestamp, now: Timestamp, count: u32) -> Timestamp {
        Timestamp(kept.0.max(now.0).saturating_add(self.step_us().saturating_mul(i64::from(count))))
    }

    /// When one may begin again, if none may now.
    pub(crate) fn next(self, kept: Timestamp) -> Timestamp {
        Timestamp(kept.0.saturating_sub(self.step_us().saturating_mul(i64::from(self.count) - 1)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mainstay_lang::value::Timestamp;
    use proptest::prelude::*;

    use super::Rate;

    #[test]
    fn all_of_a_span_may_begin_at_once_and_then_one_by_one() {
        let rate = Rate { count: 3, span: Duration::from_secs(3) };
        let start = Timestamp(1_000_000_000);
        assert_eq!(rate.available(Timestamp(0), start), 3);
        let kept = rate.begun(Timestamp(0), start, 3);
        assert_eq!(rate.available(kept, start), 0);
        assert_eq!(rate.next(kept), Timestamp(start.0 + 1_000_000));
        assert_eq!(rate.available(kept, rate.next(kept)), 1);
        assert_eq!(rate.available(kept, Timestamp(start.0 + 2_500_000)), 2);
        assert_eq!(rate.available(kept, Timestamp(start.0 + 99_000_000)), 3, "and never more");
    }

    proptest! {
        /// Whatever is asked for and whenever: within any span behind the first there are at most two spans' worth, and over
        /// long times no more than the rate.
        #[test]
        fn no_more_begin_than_the_rate_and_one_burst(
            count in 1u32..20,
            span_ms in 1u64..10_000,
            asks in prop::collection::vec((0i64..5_000_000, 0u32..40), 1..60),
        ) {
            let rate = Rate { count, span: Duration::from_millis(span_ms) };
            let (mut kept, mut now, mut begun) = (Timestamp(0), Timestamp(1_700_000_000_000_000), 0u64);
            let start = now;
            for (pause, wanted) in asks {
                now = Timestamp(now.0 + pause);
                let let_through = wanted.min(rate.available(kept, now));
                kept = rate.begun(kept, now, let_through);
                begun += u64::from(let_through);
                let elapsed = (now.0 - start.0) as u64;
                prop_assert!(begun <= u64::from(count) + elapsed / rate.step_us() as u64);
                if rate.available(kept, now) == 0 {
                    prop_assert!(rate.next(kept) > now);
                    prop_assert!(rate.available(kept, rate.next(kept)) >= 1);
                }
            }
        }
    }
}
