//! What waits to be sent to one connection: bounded, so that a client that does not read costs no memory and nobody waits
//! for it.
//!
//! Changes find room or do not; who is turned away is told so once, by words that always find room because there are no
//! more of them than subscriptions.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use mainstay_engine::error::Error;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::place::{Place, Seal};

/// Events that an empty queue keeps room for.
const KEPT_CAPACITY: usize = 16;

/// What has become of a row for a subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeOf {
    /// It is there now.
    Enter,
    /// It looks different now.
    Update,
    /// It is there no longer.
    Leave,
}

impl ChangeOf {
    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            ChangeOf::Enter => "enter",
            ChangeOf::Update => "update",
            ChangeOf::Leave => "leave",
        }
    }
}

/// A place that can be told.
#[derive(Clone, Debug)]
pub struct Seq {
    pub(crate) place: Arc<Place>,
    pub(crate) seal: Arc<Seal>,
}

impl Seq {
    /// The place as text, which a later `since` may be.
    pub fn text(&self) -> String {
        let mut text = String::new();
        self.write_to(&mut text);
        text
    }

    /// Writes the place behind a text.
    pub fn write_to(&self, text: &mut String) {
        self.seal.write_to(&self.place, text);
    }
}

/// Something that a subscriber is told.
#[derive(Clone, Debug)]
pub struct Event {
    /// The subscription, by the name that the client has given it.
    pub tag: Arc<str>,
    /// What.
    pub kind: EventKind,
}

/// What a subscriber is told.
#[derive(Clone, Debug)]
pub enum EventKind {
    /// The subscription stands.
    Ready {
        /// Where its rows were read.
        seq: Seq,
        /// The rows, JSON objects joined by commas; none: the changes since the place that was given follow.
        rows: Option<Box<str>>,
    },
    /// A row has changed.
    Change {
        /// How.
        change: ChangeOf,
        /// Behind this change.
        seq: Seq,
        /// The row as a JSON object; of one that has left, its key alone.
        row: Arc<str>,
        /// When the change was found.
        found: Instant,
    },
    /// There was no room: the subscription has ended, and can be taken up again from here.
    Lagged {
        /// Everything before it was sent.
        since: Seq,
    },
    /// The subscription was refused, or has ended.
    Ended(Box<Error>),
}

/// Why nothing comes any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closed {
    /// The session is gone: the user is no longer there, or the token has ended.
    Session(&'static str),
    /// The server stops.
    Stopping,
}

/// The queue of one connection.
#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    news: Notify,
    frames_max: usize,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct State {
    events: VecDeque<Event>,
    bytes: usize,
    closed: Option<Closed>,
}

impl Queue {
    pub(crate) fn new(frames_max: usize, bytes_max: usize) -> Queue {
        Queue { state: Mutex::default(), news: Notify::new(), frames_max, bytes_max }
    }

    /// Adds a change if there is room for it.
    #[must_use]
    pub(crate) fn offer(&self, event: Event) -> bool {
        let mut state = self.state.lock();
        if state.closed.is_some() {
            return true;
        }
        let bytes = event.bytes();
        if state.events.len() >= self.frames_max || state.bytes + bytes > self.bytes_max {
            return false;
        }
        state.bytes += bytes;
        state.events.push_back(event);
        drop(state);
        self.news.notify_one();
        true
    }

    /// Adds something of which there is no more than one for each thing that the client asked for.
    pub(crate) fn tell(&self, event: Event) {
        let mut state = self.state.lock();
        if state.closed.is_some() {
            return;
        }
        state.bytes += event.bytes();
        state.events.push_back(event);
        drop(state);
        self.news.notify_one();
    }

    /// Ends it: what waits is still sent.
    pub(crate) fn close(&self, why: Closed) {
        self.state.lock().closed.get_or_insert(why);
        self.news.notify_one();
    }

    /// The next event, or why there is none any more. For one reader; may be dropped at any time.
    pub(crate) async fn next(&self) -> Result<Event, Closed> {
        loop {
            if let Some(event) = self.try_next() {
                return Ok(event);
            }
            if let Some(why) = &self.state.lock().closed {
                return Err(why.clone());
            }
            self.news.notified().await;
        }
    }

    /// The next event, if one waits.
    pub(crate) fn try_next(&self) -> Option<Event> {
        let mut state = self.state.lock();
        let event = state.events.pop_front()?;
        state.bytes -= event.bytes();
        if state.events.is_empty() && state.events.capacity() > KEPT_CAPACITY {
            // Who was behind once does not need the room for ever.
            state.events = VecDeque::new();
        }
        Some(event)
    }

    /// Whether no more than half of it is full.
    pub(crate) fn has_room(&self) -> bool {
        let state = self.state.lock();
        state.events.len() * 2 <= self.frames_max && state.bytes * 2 <= self.bytes_max
    }

    pub(crate) fn len(&self) -> usize {
        self.state.lock().events.len()
    }
}

impl Event {
    /// Roughly what it takes of memory.
    fn bytes(&self) -> usize {
        let text = match &self.kind {
            EventKind::Ready { rows, .. } => rows.as_ref().map_or(0, |rows| rows.len()),
            EventKind::Change { row, .. } => row.len(),
            EventKind::Lagged { .. } | EventKind::Ended(_) => 0,
        };
        text + 256
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mainstay_engine::error::{Error, Key};

    use super::{Closed, Event, EventKind, Queue};

    fn event(tag: &str) -> Event {
        Event { tag: Arc::from(tag), kind: EventKind::Ended(Box::new(Error::new(Key::NotFound, ""))) }
    }

    #[tokio::test]
    async fn what_finds_no_room_is_turned_away_and_what_must_be_said_is_not() {
        let queue = Queue::new(2, 1 << 20);
        assert!(queue.offer(event("1")) && queue.offer(event("2")));
        assert!(!queue.offer(event("3")));
        queue.tell(event("4"));
        let mut tags = Vec::new();
        for _ in 0..3 {
            tags.push(queue.next().await.unwrap().tag.to_string());
        }
        assert_eq!(tags, ["1", "2", "4"]);
        assert!(queue.offer(event("5")), "there is room again");
        queue.close(Closed::Stopping);
        assert!(queue.next().await.is_ok(), "what waits is still sent");
        assert_eq!(queue.next().await.unwrap_err(), Closed::Stopping);
    }

    #[tokio::test]
    async fn bytes_count_too() {
        let queue = Queue::new(100, 600);
        assert!(queue.offer(event("1")) && queue.offer(event("2")));
        assert!(!queue.offer(event("3")));
    }
}
