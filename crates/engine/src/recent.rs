//! Who has written lately, so that everybody sees what he wrote himself, wherever reads are answered.
//!
//! Only kept where some reads may be a little old. What was written longer ago than those may be is forgotten: it is seen
//! by then, or nothing is read there.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::ctx::Caller;

/// From so many on it is looked who can be forgotten.
const KNOWN_MAX: usize = 1024;

/// When whom a write was answered last.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    writes: Mutex<HashMap<String, Instant>>,
}

/// Those who have no name share one.
fn name(caller: &Caller) -> String {
    match &caller.user {
        Some(user) => user.to_string(),
        None if caller.admin => "admin".to_owned(),
        None => String::new(),
    }
}

impl Recent {
    /// The caller has written just now; reads may be so old.
    pub(crate) fn note(&self, caller: &Caller, age_max: Duration) {
        let mut writes = self.writes.lock();
        if writes.len() >= KNOWN_MAX {
            writes.retain(|_, written| written.elapsed() <= age_max);
        }
        writes.insert(name(caller), Instant::now());
    }

    /// When the caller has written last, as far as that matters.
    pub(crate) fn last(&self, caller: &Caller) -> Option<Instant> {
        self.writes.lock().get(&name(caller)).copied()
    }
}
