//! What comes back from reads: snapshots that fill subscriptions, and rows that may have changed.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use mainstay_engine::error::{Error, Key};
use mainstay_engine::{ChangeKind, Engine, Position, WatchedRow};

use super::dispatch::Judged;
use super::{Active, Batch, Buffer, Held, Hub};
use crate::place::Place;
use crate::queue::{ChangeOf, Event, EventKind, Seq};
use crate::registry::SubId;
use crate::verdict::key_alone;
use crate::view::{Unshown, View};
use crate::work::{Job, Replay, Snapshot, Tested, Work, now};

/// Rows that were sent: a hash of each text by key.
type Rows = HashMap<Box<str>, u64>;

static HASHES: LazyLock<RandomState> = LazyLock::new(RandomState::new);

fn hash_of(text: &str) -> u64 {
    HASHES.hash_one(text)
}

impl Hub {
    /// Takes what was read. The log was followed beyond it.
    pub(super) fn apply(&mut self, done: Work) {
        match done {
            Work::Read { session, standing, snapshots } => {
                if let Some(standing) = standing
                    && !self.take_caller(session, standing)
                {
                    return;
                }
                for (id, epoch, snapshot) in snapshots {
                    let is_wanted = self.subs.get(&id).is_some_and(|sub| sub.epoch == epoch);
                    match snapshot {
                        _ if !is_wanted => {}
                        Ok(snapshot) => self.fill(id, snapshot),
                        Err(error) => self.end(id, error),
                    }
                }
                self.read_waiting(session);
            }
            Work::Located { table, keys, rows, is_flood } => self.located(table, &keys, &rows, is_flood),
            Work::Tested { sub: id, epoch, tested } => {
                let Some(sub) = self.subs.get(&id) else { return };
                if sub.epoch != epoch || sub.buffer.is_some() {
                    return;
                }
                match tested {
                    Ok(tested) => self.compare(id, tested),
                    Err(error) => self.end(id, error),
                }
            }
        }
    }

    /// Reads the subscriptions that have come while their session was being read.
    fn read_waiting(&mut self, session: u64) {
        let Some(known) = self.sessions.get(&session) else { return };
        let (Some(standing), false) = (known.standing.clone(), known.is_loading) else { return };
        let is_waiting = |id: &SubId| {
            let buffer = self.subs.get(id).and_then(|sub| sub.buffer.as_ref());
            buffer.is_some_and(|buffer| !buffer.is_reading)
        };
        let waiting: Vec<SubId> = known.subs.values().copied().filter(is_waiting).collect();
        if !waiting.is_empty() {
            self.read(session, Some(standing), &waiting);
        }
    }

    /// Fills a subscription with a snapshot, then with what has happened since.
    fn fill(&mut self, id: SubId, snapshot: Snapshot) {
        let Snapshot { view, position, rows, old_rows, replay, wake } = snapshot;
        let engine = self.engine().clone();
        let Some(sub) = self.subs.get_mut(&id) else { return };
        let Some(session) = self.sessions.get(&sub.session) else { return };
        let buffer = sub.buffer.take().unwrap_or_default();
        self.buffering.remove(&id);
        let seal = Arc::new(self.reader.seal(&view.standing, &sub.request));
        let before = sub.active.take();
        let place = Place::at(now(), &position);
        let is_held = view.local().is_none();
        let shown = || rows.iter().flatten().map(held_row).collect();
        let held = is_held.then(|| Box::new(Held { rows: shown(), wake }));
        sub.active = Some(Active { view: view.clone(), seal: seal.clone(), held });
        let tag = sub.tag.clone();
        let queue = session.queue.clone();
        if let Some(before) = &before {
            self.deactivate(id, before);
        }
        if is_held {
            for row in rows.iter().flatten() {
                self.hold(id, view.table, &row.key.to_json());
            }
        }
        self.registry.add(id, &view);
        self.meters.count(&view, 1.0);
        self.wakes.extend(wake.map(|at| (at, id)));
        match before {
            None => {
                let (place, rows) = match &replay {
                    Some(replay) => (replay.since.clone(), None),
                    None => (place, rows.map(joined)),
                };
                let seq = Seq { place: Arc::new(place), seal };
                queue.tell(Event { tag, kind: EventKind::Ready { seq, rows } });
                if let Some(replay) = replay {
                    self.tell_again(id, &replay);
                }
            }
            Some(before) => {
                let rows = rows.unwrap_or_default();
                let held = match (before.held, old_rows) {
                    (Some(held), _) => Ok(held.rows),
                    (None, Some(old)) => shown_before(&engine, &before.view, old, &buffer, &position),
                    (None, None) => Err(Unshown::Missing),
                };
                match held {
                    Ok(held) => self.tell_difference(id, &held, &rows, &position),
                    Err(Unshown::Missing) => return self.lag(id, place),
                    Err(Unshown::Failed(error)) => return self.end(id, error),
                }
            }
        }
        let mut job = Job::default();
        for batch in &buffer.batches {
            for change in batch.changes.iter().filter(|change| !engine.is_behind(change, &position)) {
                self.concern(id, batch, change, &mut job);
            }
        }
        self.hand_on(job);
    }

    /// Tells what somebody who has come back has missed.
    fn tell_again(&mut self, id: SubId, replay: &Replay) {
        let mut told = None;
        for batch in &replay.batches {
            for change in &batch.changes {
                let mut judged = Judged::of(batch, change);
                self.judge(id, &mut judged);
                told = Some(judged.place);
            }
        }
        // What was not read is told from here on, even if there is room by now.
        if let (true, Some(told)) = (replay.is_cut, told) {
            self.lag(id, Place::clone(&told));
        }
    }

    /// Compares rows that may have changed with what was sent of them.
    fn compare(&mut self, id: SubId, tested: Tested) {
        let Tested { position, keys, rows, wake } = tested;
        let Some(active) = self.subs.get_mut(&id).and_then(|sub| sub.active.as_mut()) else { return };
        let Some(held) = &mut active.held else { return };
        if let Some(at) = std::mem::replace(&mut held.wake, wake) {
            self.wakes.remove(&(at, id));
        }
        self.wakes.extend(wake.map(|at| (at, id)));
        let before: Rows = match keys {
            None => std::mem::take(&mut held.rows),
            Some(keys) => {
                let known = keys.iter().filter_map(|key| held.rows.remove_entry(key.to_json().as_str()));
                known.collect()
            }
        };
        held.rows.extend(rows.iter().map(held_row));
        let table = active.view.table;
        let is_full = held.rows.len() as u64 > self.reader.limits.rows;
        for key in before.keys() {
            self.release(id, table, key);
        }
        for row in &rows {
            self.hold(id, table, &row.key.to_json());
        }
        if is_full {
            let words = format!("A subscription may hold {} rows; restrict it.", self.reader.limits.rows);
            return self.end(id, Error::new(Key::LiveTooLarge, words));
        }
        self.tell_difference(id, &before, &rows, &position);
    }

    /// Sends what differs between what was sent and what is.
    fn tell_difference(&mut self, id: SubId, held: &Rows, rows: &[WatchedRow], position: &Position) {
        let place = Arc::new(Place::at(now(), position));
        let mut there: Vec<Box<str>> = Vec::with_capacity(rows.len());
        for row in rows {
            let key: Box<str> = row.key.to_json().into();
            let change = match held.get(&key) {
                None => Some(ChangeOf::Enter),
                Some(known) if *known != hash_of(&row.text) => Some(ChangeOf::Update),
                Some(_) => None,
            };
            there.push(key);
            if let Some(change) = change
                && !self.tell(id, change, Arc::from(&*row.text), place.clone())
            {
                return self.lag(id, Place::clone(&place));
            }
        }
        there.sort_unstable();
        for key in held.keys().filter(|key| there.binary_search(key).is_err()) {
            if !self.tell(id, ChangeOf::Leave, key_alone(key), place.clone()) {
                return self.lag(id, Place::clone(&place));
            }
        }
    }

    /// Sends a change; `false`: there is no room for it.
    pub(super) fn tell(&self, id: SubId, change: ChangeOf, row: Arc<str>, place: Arc<Place>) -> bool {
        let Some(sub) = self.subs.get(&id) else { return true };
        let (Some(active), Some(session)) = (&sub.active, self.sessions.get(&sub.session)) else {
            return true;
        };
        self.meters.events.increment(1);
        let seq = Seq { place, seal: active.seal.clone() };
        let kind = EventKind::Change { change, seq, row, found: Instant::now() };
        session.queue.offer(Event { tag: sub.tag.clone(), kind })
    }

    /// Too much has happened while a subscription was being read.
    pub(super) fn overflow(&mut self, id: SubId) {
        let error = Error {
            retry_after_s: Some(1),
            ..Error::new(Key::Overloaded, "Too much has changed while the rows were read; subscribe again.")
        };
        self.end(id, error);
    }
}

fn held_row(row: &WatchedRow) -> (Box<str>, u64) {
    (row.key.to_json().into(), hash_of(&row.text))
}

fn joined(rows: Vec<WatchedRow>) -> Box<str> {
    let mut text = String::with_capacity(rows.iter().map(|row| row.text.len() + 1).sum());
    for row in rows {
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(&row.text);
    }
    text.into()
}

/// What a local view had shown when its session was frozen: what it would show at the position, but of rows that have
/// changed since, what it showed before.
fn shown_before(
    engine: &Engine,
    view: &View,
    rows: Vec<WatchedRow>,
    buffer: &Buffer,
    position: &Position,
) -> Result<Rows, Unshown> {
    let Some(local) = view.local() else { return Err(Unshown::Missing) };
    let mut held: Rows = rows.iter().map(held_row).collect();
    let mut seen = std::collections::HashSet::new();
    let lines = buffer.batches.iter().flat_map(|batch: &Arc<Batch>| &batch.changes);
    for change in lines.filter(|change| change.table == view.table && engine.is_behind(change, position)) {
        let ChangeKind::Row { before, .. } = &change.kind else { continue };
        let key: Box<str> = change.key.to_json().into();
        if !seen.insert(key.clone()) {
            continue;
        }
        match view.show(local, before.as_ref())? {
            Some(text) => held.insert(key, hash_of(&text)),
            None => held.remove(&key),
        };
    }
    Ok(held)
}
