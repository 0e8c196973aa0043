//! From lines of the log to subscriptions.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use mainstay_engine::{Change, ChangeKind};
use mainstay_lang::schema::TableId;
use mainstay_lang::value::Value;

use super::{Batch, Hub};
use crate::keys::RowKeys;
use crate::place::Place;
use crate::queue::ChangeOf;
use crate::registry::SubId;
use crate::trail::Start;
use crate::view::Unshown;
use crate::work::Job;

impl Hub {
    /// Tells everybody who is concerned by some lines.
    pub(super) fn dispatch(&mut self, batch: &Arc<Batch>) {
        self.meters.changes.increment(batch.changes.len() as u64);
        self.freeze_touched(batch);
        let mut overflown = Vec::new();
        for id in &self.buffering {
            let buffer = self.subs.get_mut(id).and_then(|sub| sub.buffer.as_mut());
            let Some(buffer) = buffer else { continue };
            buffer.batches.push(batch.clone());
            buffer.lines += batch.changes.len();
            if buffer.lines > super::BUFFERED_MAX {
                overflown.push(*id);
            }
        }
        for id in overflown {
            self.overflow(id);
        }
        let mut job = Job::default();
        let schema = self.engine().schema().clone();
        for change in &batch.changes {
            for id in self.registry.routed(change) {
                self.routed(id, batch, change, &mut job);
            }
            if matches!(change.kind, ChangeKind::Row { .. }) && self.registry.has_ways(change.table) {
                job.row(change.table, &change.key);
            }
            for (trail, subs) in self.registry.followed(change.table) {
                let Some(reach) = trail.reach(&schema, change) else { continue };
                if reach.start == Start::Row {
                    job.root(reach);
                    continue;
                }
                for id in subs {
                    let Some(sub) = self.subs.get(id) else { continue };
                    if let (Some(active), None) = (&sub.active, &sub.buffer) {
                        job.reach(&reach, *id, sub.epoch, &active.view);
                    }
                }
            }
        }
        for table in job.tables() {
            job.by(table, self.registry.keys(table));
        }
        self.hand_on(job);
    }

    /// Rows that may have changed for those to whom they were shown, and for those whom they find now.
    pub(super) fn located(&mut self, table: TableId, keys: &[Value], rows: &[RowKeys], is_flood: bool) {
        let mut job = Job::default();
        let held = |id: &SubId| {
            let sub = self.subs.get(id)?;
            let active = sub.active.as_ref().filter(|active| active.held.is_some())?;
            // One that is being read will know.
            sub.buffer.is_none().then_some((sub.epoch, &active.view))
        };
        if is_flood {
            for id in self.registry.all(table) {
                if let Some((epoch, view)) = held(&id) {
                    job.all(id, epoch, view);
                }
            }
        }
        let found: HashMap<Box<str>, BTreeSet<SubId>> =
            rows.iter().map(|row| (row.key.to_json().into(), self.registry.found(table, row))).collect();
        for key in keys {
            let text: Box<str> = key.to_json().into();
            let found = found.get(&text).into_iter().flatten();
            let holders = self.holders.get(&(table, text.clone())).into_iter().flatten();
            for id in holders.chain(found) {
                if let Some((epoch, view)) = held(id) {
                    job.key(*id, epoch, view, key);
                }
            }
        }
        self.hand_on(job);
    }

    /// A change of the table of a subscription, unless that is being read.
    fn routed(&mut self, id: SubId, batch: &Batch, change: &Change, job: &mut Job) {
        let Some(sub) = self.subs.get(&id) else { return };
        let (Some(active), None) = (&sub.active, &sub.buffer) else { return };
        if active.view.local.is_some() {
            self.judge(id, batch, change);
        } else if !self.registry.has_ways(change.table) {
            job.key(id, sub.epoch, &active.view, &change.key);
        }
    }

    /// Everything that a line may mean to one subscription: for those that have waited while they were read.
    pub(super) fn concern(&mut self, id: SubId, batch: &Batch, change: &Change, job: &mut Job) {
        let Some(sub) = self.subs.get(&id) else { return };
        let Some(active) = &sub.active else { return };
        let view = active.view.clone();
        let epoch = sub.epoch;
        if change.table == view.table && matches!(change.kind, ChangeKind::Row { .. }) {
            if view.local.is_some() {
                self.judge(id, batch, change);
            } else {
                job.key(id, epoch, &view, &change.key);
            }
        }
        let schema = self.engine().schema().clone();
        for reach in view.reaches(&schema, change) {
            job.reach(&reach, id, epoch, &view);
        }
    }

    /// Decides from the images of a change what it is to a local view.
    pub(super) fn judge(&mut self, id: SubId, batch: &Batch, change: &Change) {
        let ChangeKind::Row { before, after } = &change.kind else { return };
        let Some(sub) = self.subs.get(&id) else { return };
        let Some(active) = &sub.active else { return };
        let view = active.view.clone();
        let Some(local) = &view.local else { return };
        if let (Some(before), Some(after)) = (before, after)
            && local.is_untouched(before, after)
        {
            return;
        }
        let engine = self.engine().clone();
        let shown = view.show(&engine, local, before.as_ref()).and_then(|before| {
            let after = view.show(&engine, local, after.as_ref())?;
            Ok((before, after))
        });
        // Of the line's time, not of now: it may be told long after, and what follows it is forgotten by its own time.
        let place = |seq| Place { at: change.at, from: batch.from.clone(), to: Some(batch.to.clone()), seq };
        let told = match shown {
            Ok((None, None)) => return,
            Ok((Some(before), Some(after))) if before == after => return,
            Ok((None, Some(after))) => (ChangeOf::Enter, after),
            Ok((Some(_), Some(after))) => (ChangeOf::Update, after),
            Ok((Some(_), None)) => (ChangeOf::Leave, key_alone(&change.key.to_json())),
            Err(Unshown::Missing) => return self.lag(id, place(change.seq - 1)),
            Err(Unshown::Failed(error)) => return self.end(id, error),
        };
        if !self.tell(id, told.0, told.1, place(change.seq)) {
            self.lag(id, place(change.seq - 1));
        }
    }
}

/// What is told of a row that has left.
pub(super) fn key_alone(key: &str) -> Box<str> {
    format!("{{\"id\":{key}}}").into()
}
