//! From lines of the log to subscriptions.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use mainstay_engine::{Change, ChangeKind};
use mainstay_lang::schema::TableId;
use mainstay_lang::value::Value;

use super::{Batch, Hub};
use crate::keys::RowKeys;
use crate::place::Place;
use crate::registry::SubId;
use crate::trail::Start;
use crate::verdict::Verdict;
use crate::view::Likeness;
use crate::work::{Job, now};

/// Subscribers who are told before others may run.
const TOLD_TOGETHER: usize = 256;

impl Hub {
    /// Tells everybody who is concerned by some lines.
    pub(super) async fn dispatch(&mut self, batch: &Arc<Batch>) {
        self.meters.changes.increment(batch.changes.len() as u64);
        let found = now();
        for change in &batch.changes {
            self.meters.lag.record(found.0.saturating_sub(change.at.0).max(0) as f64 / 1e6);
        }
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
        let mut told = 0;
        for change in &batch.changes {
            let mut judged = Judged::of(batch, change);
            for some in self.registry.routed(change).chunks(TOLD_TOGETHER) {
                if told + some.len() > TOLD_TOGETHER {
                    // Those who were told are let through to send it.
                    tokio::task::yield_now().await;
                    told = 0;
                }
                told += some.len();
                some.iter().for_each(|id| self.routed(*id, &mut job, &mut judged));
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
    fn routed(&mut self, id: SubId, job: &mut Job, judged: &mut Judged<'_>) {
        let Some(sub) = self.subs.get(&id) else { return };
        let (Some(active), None) = (&sub.active, &sub.buffer) else { return };
        if active.view.local().is_some() {
            self.judge(id, judged);
        } else if !self.registry.has_ways(judged.change.table) {
            job.key(id, sub.epoch, &active.view, &judged.change.key);
        }
    }

    /// Everything that a line may mean to one subscription: for those that have waited while they were read.
    pub(super) fn concern(&mut self, id: SubId, batch: &Batch, change: &Change, job: &mut Job) {
        let Some(sub) = self.subs.get(&id) else { return };
        let Some(active) = &sub.active else { return };
        let view = active.view.clone();
        let epoch = sub.epoch;
        if change.table == view.table && matches!(change.kind, ChangeKind::Row { .. }) {
            if view.local().is_some() {
                self.judge(id, &mut Judged::of(batch, change));
            } else {
                job.key(id, epoch, &view, &change.key);
            }
        }
        let schema = self.engine().schema().clone();
        for reach in view.reaches(&schema, change) {
            job.reach(&reach, id, epoch, &view);
        }
    }

    /// Decides from the images of a change what it is to a local view; views that are alike see the same.
    pub(super) fn judge(&mut self, id: SubId, judged: &mut Judged<'_>) {
        let Some(sub) = self.subs.get(&id) else { return };
        let Some(active) = &sub.active else { return };
        let view = &active.view;
        let Some(local) = view.local() else { return };
        let verdict = match judged.verdicts.get(&view.likeness) {
            Some(verdict) => verdict.clone(),
            None => {
                let verdict = Verdict::of(view, local, judged.change);
                judged.verdicts.insert(view.likeness, verdict.clone());
                verdict
            }
        };
        let is_told = match verdict {
            Verdict::Nothing => true,
            Verdict::Tell(of, row) => self.tell(id, of, row, judged.place.clone()),
            Verdict::Missing => false,
            Verdict::Failed(error) => return self.end(id, *error),
        };
        if !is_told {
            // Back to before this change, to be told of it later.
            let place = Place::clone(&judged.place);
            self.lag(id, Place { seq: place.seq - 1, ..place });
        }
    }
}

/// What a change was found to be to local views, for as long as that one change is looked at.
pub(super) struct Judged<'c> {
    change: &'c Change,
    /// Behind the change.
    pub(super) place: Arc<Place>,
    verdicts: HashMap<Likeness, Verdict>,
}

impl<'c> Judged<'c> {
    pub(super) fn of(batch: &Batch, change: &'c Change) -> Judged<'c> {
        // Of the line's time, not of now: it may be told long after, and what follows it is forgotten by its own time.
        let (from, to) = (batch.from.clone(), Some(batch.to.clone()));
        let place = Arc::new(Place { at: change.at, from, to, seq: change.seq });
        Judged { change, place, verdicts: HashMap::new() }
    }
}
