//! A bounded queue between tasks that must not wait and a thread that does.
//!
//! Pushing never blocks: a full queue is the caller's to report. Closing it lets the thread take what is left.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::StoreError;

/// A first-in first-out queue with an upper bound.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    pushed: Condvar,
    items_max: usize,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<T>,
    closed: bool,
}

/// What waiting for an item has brought.
#[derive(Debug)]
pub(crate) enum Popped<T> {
    Item(T),
    Timeout,
    /// The queue is closed and empty.
    Closed,
}

impl<T> Queue<T> {
    pub(crate) fn new(items_max: usize) -> Queue<T> {
        Queue {
            state: Mutex::new(State { items: VecDeque::new(), closed: false }),
            pushed: Condvar::new(),
            items_max,
        }
    }

    /// Appends an item, unless the queue is full or closed.
    pub(crate) fn push(&self, item: T) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(StoreError::Closed);
        }
        if state.items.len() >= self.items_max {
            return Err(StoreError::Busy { reason: "too much is waiting already" });
        }
        state.items.push_back(item);
        drop(state);
        self.pushed.notify_one();
        Ok(())
    }

    /// The first item, waiting for one as long as `patience`; `None`: for ever.
    pub(crate) fn pop(&self, patience: Option<Duration>) -> Popped<T> {
        let until = patience.map(|patience| Instant::now() + patience);
        let mut state = self.state.lock();
        loop {
            if let Some(item) = state.items.pop_front() {
                return Popped::Item(item);
            }
            if state.closed {
                return Popped::Closed;
            }
            match until {
                None => self.pushed.wait(&mut state),
                Some(until) => {
                    if self.pushed.wait_until(&mut state, until).timed_out() && state.items.is_empty() {
                        return if state.closed { Popped::Closed } else { Popped::Timeout };
                    }
                }
            }
        }
    }

    /// The first item if there is one and it is `wanted`.
    pub(crate) fn pop_if(&self, wanted: impl FnOnce(&T) -> bool) -> Option<T> {
        let mut state = self.state.lock();
        if wanted(state.items.front()?) { state.items.pop_front() } else { None }
    }

    /// Items that wait.
    pub(crate) fn len(&self) -> usize {
        self.state.lock().items.len()
    }

    /// Takes no further items.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.pushed.notify_all();
    }
}
