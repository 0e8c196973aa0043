//! What was written of callers, counted.
//!
//! A write tells whose callers it has changed once it is committed; whoever keeps one looks whether it has been counted since. What
//! was written is not known here, nor what a caller is.

use std::collections::BTreeSet;
use std::hash::BuildHasher as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mainstay_lang::value::Value;
use parking_lot::Mutex;

use super::name::write_key;

/// What tells that callers read before may have changed: how many writes there were that concern everybody, that concern a
/// user, and of other processes, all together. As none of them is ever fewer, together they are as many as before only
/// while each is.
pub(super) type Generation = u64;

/// Counters that users share: a write about one of them lets callers of one in so many be read again.
const COUNTERS: usize = 1024;

/// Counts writes to what callers are read from.
#[derive(Debug)]
pub(super) struct Changes {
    pub(super) of_all: AtomicU64,
    of_users: Box<[AtomicU64]>,
    hasher: foldhash::fast::FixedState,
}

impl Default for Changes {
    fn default() -> Changes {
        let of_users = (0..COUNTERS).map(|_| AtomicU64::new(0)).collect();
        Changes { of_all: AtomicU64::new(0), of_users, hasher: foldhash::fast::FixedState::default() }
    }
}

impl Changes {
    /// The counter of a user.
    fn counter(&self, user: &Value) -> usize {
        let hash = match user {
            Value::Uuid(id) => self.hasher.hash_one(id),
            other => {
                let mut key = Vec::with_capacity(32);
                write_key(other, &mut key);
                self.hasher.hash_one(key)
            }
        };
        hash as usize % COUNTERS
    }

    /// How things stand for a user.
    pub(super) fn generation(&self, user: &Value) -> Generation {
        let of_user = &self.of_users[self.counter(user)];
        self.of_all.load(Ordering::Acquire).wrapping_add(of_user.load(Ordering::Acquire))
    }
}

/// Whose callers a write has changed.
///
/// Its end counts as a change, too: a write whose request went away is finished by the store, which then drops it.
#[derive(Debug)]
pub(crate) struct CallerWatch {
    touched: Mutex<Touched>,
    changes: Arc<Changes>,
}

#[derive(Debug, Default)]
struct Touched {
    all: bool,
    counters: BTreeSet<usize>,
}

impl CallerWatch {
    pub(super) fn new(changes: &Arc<Changes>) -> Arc<CallerWatch> {
        Arc::new(CallerWatch { touched: Mutex::default(), changes: changes.clone() })
    }

    /// Notes that a row of everybody's callers was written.
    pub(crate) fn touch_all(&self) {
        self.touched.lock().all = true;
    }

    /// Notes that a row of a user's callers was written.
    pub(crate) fn touch(&self, user: &Value) {
        self.touched.lock().counters.insert(self.changes.counter(user));
    }

    /// Says that the write is committed.
    pub(crate) fn settle(&self) {
        let touched = self.touched.lock();
        if touched.all {
            self.changes.of_all.fetch_add(1, Ordering::AcqRel);
        }
        for counter in &touched.counters {
            self.changes.of_users[*counter].fetch_add(1, Ordering::AcqRel);
        }
    }
}

impl Drop for CallerWatch {
    fn drop(&mut self) {
        self.settle();
    }
}
