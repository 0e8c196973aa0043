//! What is still to be found out about changes: rows that may have changed, and for whom.
//!
//! The hub notes, the tester works it off. Nothing is read here.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use mainstay_lang::schema::TableId;
use mainstay_lang::value::Value;

use super::KEYS_MAX;
use crate::clause::By;
use crate::registry::SubId;
use crate::trail::{Reach, Start};
use crate::view::View;

/// Rows that may have changed, by subscription.
#[derive(Default)]
pub(crate) struct Job {
    pub(super) subs: HashMap<SubId, Candidates>,
    /// Rows still to be found, and for whom.
    pub(super) reaches: Vec<(Reach, Vec<SubId>)>,
    /// Rows still to be found, for whomever they find.
    pub(super) roots: Vec<Reach>,
    /// Rows whose keys are to be read, for whomever they find.
    pub(super) rows: HashMap<TableId, BTreeMap<Box<str>, Value>>,
    /// What the keys of rows are made of.
    pub(super) by: HashMap<TableId, Vec<By>>,
}

pub(super) struct Candidates {
    pub(super) epoch: u32,
    pub(super) view: Arc<View>,
    pub(super) keys: BTreeMap<Box<str>, Value>,
    pub(super) all: bool,
}

impl Job {
    pub(crate) fn is_empty(&self) -> bool {
        self.subs.is_empty() && self.roots.is_empty() && self.rows.is_empty()
    }

    /// Notes a row that may have changed for whomever it finds.
    pub(crate) fn row(&mut self, table: TableId, key: &Value) {
        self.rows.entry(table).or_default().insert(key.to_json().into(), key.clone());
    }

    /// Notes rows that may have changed for whomever they find.
    pub(crate) fn root(&mut self, reach: Reach) {
        if reach.steps.is_empty() {
            reach.keys.iter().for_each(|key| self.row(reach.table, key));
        } else if !self.roots.contains(&reach) {
            self.roots.push(reach);
        }
    }

    /// The tables of rows that are to find somebody.
    pub(crate) fn tables(&self) -> BTreeSet<TableId> {
        self.roots.iter().map(|reach| reach.table).chain(self.rows.keys().copied()).collect()
    }

    /// Says what the keys of a table's rows are made of.
    pub(crate) fn by(&mut self, table: TableId, by: Vec<By>) {
        self.by.insert(table, by);
    }

    /// Notes a subscription, of which rows will be named.
    fn of(&mut self, sub: SubId, epoch: u32, view: &Arc<View>) -> &mut Candidates {
        let new = || Candidates { epoch, view: view.clone(), keys: BTreeMap::new(), all: false };
        let known = self.subs.entry(sub).or_insert_with(new);
        if known.epoch != epoch {
            // All its rows were read since.
            *known = new();
        }
        known
    }

    pub(crate) fn key(&mut self, sub: SubId, epoch: u32, view: &Arc<View>, key: &Value) {
        self.of(sub, epoch, view).keys.insert(key.to_json().into(), key.clone());
    }

    pub(crate) fn all(&mut self, sub: SubId, epoch: u32, view: &Arc<View>) {
        self.of(sub, epoch, view).all = true;
    }

    pub(crate) fn reach(&mut self, reach: &Reach, sub: SubId, epoch: u32, view: &Arc<View>) {
        self.of(sub, epoch, view);
        if reach.steps.is_empty() && reach.start == Start::Row {
            for key in &reach.keys {
                self.key(sub, epoch, view, key);
            }
            return;
        }
        match self.reaches.iter_mut().find(|(known, _)| known == reach) {
            Some((_, subs)) => subs.push(sub),
            None => self.reaches.push((reach.clone(), vec![sub])),
        }
    }

    pub(super) fn merge(&mut self, more: Job) {
        more.roots.into_iter().for_each(|reach| self.root(reach));
        for (table, rows) in more.rows {
            self.rows.entry(table).or_default().extend(rows);
        }
        self.by.extend(more.by);
        for (sub, candidates) in more.subs {
            let known = self.of(sub, candidates.epoch, &candidates.view);
            known.all |= candidates.all;
            known.keys.extend(candidates.keys);
        }
        for (reach, subs) in more.reaches {
            match self.reaches.iter_mut().find(|(known, _)| *known == reach) {
                Some((_, known)) => known.extend(subs),
                None => self.reaches.push((reach, subs)),
            }
        }
    }
}

impl Candidates {
    /// The keys to be asked for; `None`: all rows are.
    pub(super) fn named(&self) -> Option<Vec<Value>> {
        (!self.all && self.keys.len() <= KEYS_MAX).then(|| self.keys.values().cloned().collect())
    }
}
