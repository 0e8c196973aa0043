//! What a connection has used of its limits while a statement runs.
//!
//! SQLite calls back into Rust from two places: the functions that count rows, and the progress
//! handler of a reader. Neither can return more than "stop", and an error raised by a function reaches us as text; so
//! the reason is kept here, and asked for by whoever sees the statement fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

use crate::StoreError;

/// Instructions between two calls of the progress handler.
pub(crate) const PROGRESS_STEPS: u64 = 1000;

/// The meter of one connection.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    rows: AtomicU64,
    rows_max: AtomicU64,
    /// Rows of the page that are still to come.
    page_left: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    calls: u64,
    pace: Pace,
    overran: bool,
    raised: Option<StoreError>,
}

/// What may end a read before its time.
#[derive(Debug, Default)]
pub(crate) enum Pace {
    /// Nothing.
    #[default]
    Unbound,
    /// On the caller's thread: at most so many calls of the progress handler.
    Inline { calls_max: u64 },
    /// On a reader thread: the deadline, or that nobody waits any more.
    Long { deadline: Instant, abandoned: Arc<AtomicBool> },
}

impl Meter {
    /// Begins to count anew.
    pub(crate) fn start(&self, rows_max: u64, pace: Pace) {
        self.rows.store(0, Ordering::Relaxed);
        self.rows_max.store(rows_max, Ordering::Relaxed);
        *self.state.lock() = State { pace, ..State::default() };
    }

    /// Counts rows, top or nested; an error beyond the limit.
    pub(crate) fn count_rows(&self, more: u64) -> Result<(), StoreError> {
        // Only the thread that runs the statement counts, so two plain accesses suffice.
        let rows = self.rows.load(Ordering::Relaxed) + more;
        self.rows.store(rows, Ordering::Relaxed);
        let limit = self.rows_max.load(Ordering::Relaxed);
        if rows > limit { Err(StoreError::RowLimit { limit }) } else { Ok(()) }
    }

    /// Begins a statement's page of so many rows, `None` for all that there are.
    pub(crate) fn start_page(&self, rows: Option<u64>) {
        self.page_left.store(rows.unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// One row of the page has been read.
    pub(crate) fn keep_row(&self) {
        self.page_left.store(self.page_left.load(Ordering::Relaxed).saturating_sub(1), Ordering::Relaxed);
    }

    /// Whether the next row is one of the page, not the one behind it that tells whether more follow.
    pub(crate) fn is_kept(&self) -> bool {
        self.page_left.load(Ordering::Relaxed) > 0
    }

    /// The most rows that a list may be read to: one more than there may be, so that its count tells that it is too long.
    pub(crate) fn row_cap(&self) -> i64 {
        i64::try_from(self.rows_max.load(Ordering::Relaxed)).unwrap_or(i64::MAX).saturating_add(1)
    }

    /// Rows counted since the start.
    pub(crate) fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Called every [`PROGRESS_STEPS`] instructions; true interrupts the statement.
    pub(crate) fn progress(&self) -> bool {
        let mut state = self.state.lock();
        state.calls += 1;
        match &state.pace {
            Pace::Unbound => false,
            Pace::Inline { calls_max } => {
                state.overran = state.calls > *calls_max;
                state.overran
            }
            Pace::Long { deadline, abandoned } => {
                let stop = abandoned.load(Ordering::Relaxed) || Instant::now() >= *deadline;
                if stop {
                    state.raised = Some(StoreError::Deadline);
                }
                stop
            }
        }
    }

    /// Keeps why a function is about to fail.
    pub(crate) fn raise(&self, error: StoreError) {
        self.state.lock().raised = Some(error);
    }

    /// Why the statement was made to fail, if it was; asked once.
    pub(crate) fn take_raised(&self) -> Option<StoreError> {
        self.state.lock().raised.take()
    }

    /// Whether an inline read took more than its share.
    pub(crate) fn overran(&self) -> bool {
        self.state.lock().overran
    }

    /// Instructions since the start, to the nearest thousand below.
    pub(crate) fn steps(&self) -> u64 {
        self.state.lock().calls * PROGRESS_STEPS
    }
}
