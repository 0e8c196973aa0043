//! How long a job that failed waits for its next attempt.
//!
//! The pause doubles with each attempt and is never longer than a limit. A random part of it is taken away, so that jobs that failed
//! together, as when what they call is down, do not all come back together. Pure: chance is handed in.

use std::time::Duration;

/// The pauses between attempts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// Behind the first attempt.
    pub first: Duration,
    /// The longest.
    pub longest: Duration,
    /// By how much of itself a pause may be shorter: 0 to 1.
    pub jitter: f64,
}

impl Default for Backoff {
    fn default() -> Backoff {
        Backoff { first: Duration::from_secs(2), longest: Duration::from_secs(3600), jitter: 0.25 }
    }
}

impl Backoff {
    /// The pause behind an attempt, the first one being 1; `chance` lies between 0 and 1.
    pub fn pause(&self, attempt: u32, chance: f64) -> Duration {
        let doubled = self.first.checked_mul(1u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX));
        let full = doubled.unwrap_or(self.longest).min(self.longest);
        full.mul_f64(1.0 - self.jitter.clamp(0.0, 1.0) * chance.clamp(0.0, 1.0))
    }
}

/// A number between 0 and 1 for a job's attempt: nobody has to guess it, but others must not have the same.
pub(crate) fn chance(id: uuid::Uuid, attempt: u32) -> f64 {
    use std::hash::{BuildHasher as _, RandomState};
    let random = RandomState::new().hash_one((id, attempt));
    f64::from((random >> 32) as u32) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::Backoff;

    #[test]
    fn pauses_double_until_the_longest() {
        let backoff =
            Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(60), jitter: 0.0 };
        let pauses: Vec<u64> = (1..=8).map(|attempt| backoff.pause(attempt, 0.5).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
    }

    proptest! {
        #[test]
        fn a_pause_lies_between_its_shortest_and_the_longest(
            first_ms in 1u64..100_000,
            longest_ms in 1u64..10_000_000,
            jitter in 0.0f64..=1.0,
            attempt in 1u32..=200,
            chance in 0.0f64..=1.0,
        ) {
            let backoff = Backoff {
                first: Duration::from_millis(first_ms),
                longest: Duration::from_millis(longest_ms),
                jitter,
            };
            let full = backoff.pause(attempt, 0.0);
            let pause = backoff.pause(attempt, chance);
            prop_assert!(full <= backoff.longest);
            prop_assert!(pause <= full);
            prop_assert!(pause + Duration::from_micros(1) >= full.mul_f64(1.0 - jitter));
            prop_assert!(backoff.pause(attempt + 1, 0.0) >= full, "pauses never get shorter");
        }
    }
}
