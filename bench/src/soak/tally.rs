//! What was counted: requests with their times by the minute, what subscribers were told, and what went wrong.

use std::collections::BTreeMap;
use std::time::Instant;

use parking_lot::Mutex;

use crate::connection::Answer;
use crate::fit::quantile;

/// Errors that are told in full; the others are counted.
const ERRORS_SHOWN: usize = 20;

/// Counts, from its beginning.
pub(super) struct Tally {
    began: Instant,
    counts: Mutex<Counts>,
}

/// The counts as they stand.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    /// Of each minute: how long requests took, in milliseconds.
    pub(super) took_ms: Vec<Vec<f64>>,
    /// Of each minute: how long after a row was sent somebody was told of it, in milliseconds.
    pub(super) told_ms: Vec<Vec<f64>>,
    /// How often what was done, errors included.
    pub(super) done: BTreeMap<&'static str, u64>,
    pub(super) errors: u64,
    pub(super) errors_shown: Vec<String>,
}

impl Tally {
    pub(super) fn begin() -> Tally {
        Tally { began: Instant::now(), counts: Mutex::default() }
    }

    /// Counts a request.
    pub(super) fn request(&self, what: &'static str, answer: &Answer) {
        let minute = self.minute();
        timed(&mut self.counts.lock().took_ms, minute, answer.took.as_secs_f64() * 1000.0);
        self.slow(what, answer);
    }

    /// Counts one that is slow by intent, as a sign-in is: its time is not one of the others'.
    pub(super) fn slow(&self, what: &'static str, answer: &Answer) {
        if !answer.is_success() {
            self.error(format!("{what}: {} {}", answer.status, answer.body));
        }
        self.happened(what);
    }

    pub(super) fn happened(&self, what: &'static str) {
        *self.counts.lock().done.entry(what).or_default() += 1;
    }

    /// Counts a change that somebody was told.
    pub(super) fn told(&self, ms: f64) {
        let minute = self.minute();
        let mut counts = self.counts.lock();
        timed(&mut counts.told_ms, minute, ms);
        *counts.done.entry("told").or_default() += 1;
    }

    pub(super) fn error(&self, error: String) {
        let mut counts = self.counts.lock();
        counts.errors += 1;
        if counts.errors_shown.len() < ERRORS_SHOWN {
            eprintln!("{error}");
            counts.errors_shown.push(error);
        }
    }

    pub(super) fn end(&self) -> Counts {
        self.counts.lock().clone()
    }

    fn minute(&self) -> usize {
        usize::try_from(self.began.elapsed().as_secs() / 60).unwrap_or(0)
    }
}

impl Counts {
    /// Of each minute that has times: the value below which this part of them lies.
    pub(super) fn by_minute(minutes: &[Vec<f64>], part: f64) -> Vec<f64> {
        minutes.iter().map(|times| quantile(&mut times.clone(), part)).filter(|ms| !ms.is_nan()).collect()
    }
}

fn timed(minutes: &mut Vec<Vec<f64>>, minute: usize, ms: f64) {
    if minutes.len() <= minute {
        minutes.resize_with(minute + 1, Vec::new);
    }
    minutes[minute].push(ms);
}
