//! Who may be concerned by a change: subscriptions by the keys of their routes, and by the trails that end at a table.
//!
//! Knows nothing of what a subscription sees. For each table there are as many look-ups as there are sets of columns that
//! somebody's route has, which the app's rules and filters decide, not the number of subscribers.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, LazyLock};

use mainstay_engine::{Change, ChangeKind};
use mainstay_lang::schema::TableId;

use crate::clause::{By, key_of};
use crate::keys::RowKeys;
use crate::trail::Trail;
use crate::view::View;

/// A subscription's number.
pub(crate) type SubId = u64;

#[derive(Debug, Default)]
pub(crate) struct Registry {
    routes: HashMap<TableId, Vec<Pattern>>,
    trails: HashMap<TableId, Vec<Followed>>,
}

/// A route of a subscription, as it is kept for as long as that is: a hash of each key. Two keys of one hash find what waits under
/// either, which is judged anyway.
#[derive(Debug)]
pub(crate) struct Entry {
    by: Arc<By>,
    keys: Box<[u64]>,
}

impl Entry {
    pub(crate) fn new(by: Arc<By>, keys: &[Box<str>]) -> Entry {
        Entry { by, keys: keys.iter().map(|key| hash_of(key)).collect() }
    }

    /// What its keys are made of.
    pub(crate) fn by(&self) -> &By {
        &self.by
    }
}

fn hash_of(key: &str) -> u64 {
    static HASHES: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    HASHES.hash_one(key)
}

/// The subscriptions whose routes are made of the same.
#[derive(Debug)]
struct Pattern {
    by: Arc<By>,
    subs: HashMap<u64, Subs>,
}

/// The subscriptions under one key: often one alone.
#[derive(Debug)]
enum Subs {
    One(SubId),
    Many(BTreeSet<SubId>),
}

impl Subs {
    fn insert(&mut self, sub: SubId) {
        match self {
            Subs::One(one) if *one == sub => {}
            Subs::One(one) => *self = Subs::Many(BTreeSet::from([*one, sub])),
            Subs::Many(many) => {
                many.insert(sub);
            }
        }
    }

    /// Takes one out; `true`: there is none left.
    fn remove(&mut self, sub: SubId) -> bool {
        match self {
            Subs::One(one) => *one == sub,
            Subs::Many(many) => {
                many.remove(&sub);
                many.is_empty()
            }
        }
    }

    fn iter(&self) -> impl Iterator<Item = SubId> {
        let (one, many) = match self {
            Subs::One(one) => (Some(*one), None),
            Subs::Many(many) => (None, Some(many)),
        };
        one.into_iter().chain(many.into_iter().flat_map(|many| many.iter().copied()))
    }
}

/// The subscriptions that depend on what a trail leads to.
#[derive(Debug)]
struct Followed {
    trail: Trail,
    subs: BTreeSet<SubId>,
}

impl Registry {
    pub(crate) fn add(&mut self, sub: SubId, view: &View) {
        for route in &view.routes {
            let patterns = self.routes.entry(view.table).or_default();
            let at = match patterns.iter().position(|pattern| pattern.by == route.by) {
                Some(at) => at,
                None => {
                    patterns.push(Pattern { by: route.by.clone(), subs: HashMap::new() });
                    patterns.len() - 1
                }
            };
            for key in &route.keys {
                patterns[at].subs.entry(*key).or_insert(Subs::One(sub)).insert(sub);
            }
        }
        for trail in view.trails() {
            for table in trail.tables() {
                let followed = self.trails.entry(table).or_default();
                match followed.iter_mut().find(|followed| followed.trail == *trail) {
                    Some(followed) => {
                        followed.subs.insert(sub);
                    }
                    None => followed.push(Followed { trail: trail.clone(), subs: BTreeSet::from([sub]) }),
                }
            }
        }
    }

    pub(crate) fn remove(&mut self, sub: SubId, view: &View) {
        if let Some(patterns) = self.routes.get_mut(&view.table) {
            for route in &view.routes {
                let pattern = patterns.iter_mut().find(|pattern| pattern.by == route.by);
                let Some(pattern) = pattern else { continue };
                for key in &route.keys {
                    if pattern.subs.get_mut(key).is_some_and(|subs| subs.remove(sub)) {
                        pattern.subs.remove(key);
                    }
                }
            }
            patterns.retain(|pattern| !pattern.subs.is_empty());
        }
        for trail in view.trails() {
            for table in trail.tables() {
                let Some(followed) = self.trails.get_mut(&table) else { continue };
                if let Some(known) = followed.iter_mut().find(|known| known.trail == *trail) {
                    known.subs.remove(&sub);
                }
                followed.retain(|followed| !followed.subs.is_empty());
            }
        }
    }

    /// The subscriptions of the table itself that the images of a change find, each once.
    pub(crate) fn routed(&self, change: &Change) -> Vec<SubId> {
        let mut found = Vec::new();
        let ChangeKind::Row { before, after } = &change.kind else { return found };
        for pattern in self.routes.get(&change.table).into_iter().flatten() {
            let By::Columns(columns) = &*pattern.by else { continue };
            for image in before.iter().chain(after) {
                // What is not known could be anything.
                if columns.iter().any(|column| image.missing.contains(column)) {
                    found.extend(pattern.subs.values().flat_map(Subs::iter));
                } else {
                    let key = hash_of(&key_of(columns, &image.values));
                    found.extend(pattern.subs.get(&key).into_iter().flat_map(Subs::iter));
                }
            }
        }
        // There may be a thousand of them, found in runs that are in order: faster than a tree.
        found.sort();
        found.dedup();
        found
    }

    /// What the keys are made of by which rows of a table find subscriptions.
    pub(crate) fn keys(&self, table: TableId) -> Vec<By> {
        let patterns = self.routes.get(&table).into_iter().flatten();
        patterns.map(|pattern| By::clone(&pattern.by)).collect()
    }

    /// Whether some subscription is found by what no image says.
    pub(crate) fn has_ways(&self, table: TableId) -> bool {
        let mut patterns = self.routes.get(&table).into_iter().flatten();
        patterns.any(|pattern| matches!(*pattern.by, By::Way(_)))
    }

    /// The subscriptions that a row finds by its keys.
    pub(crate) fn found(&self, table: TableId, row: &RowKeys) -> BTreeSet<SubId> {
        let mut found = BTreeSet::new();
        for pattern in self.routes.get(&table).into_iter().flatten() {
            for (_, key) in row.keys.iter().filter(|(by, _)| *by == *pattern.by) {
                found.extend(pattern.subs.get(&hash_of(key)).into_iter().flat_map(Subs::iter));
            }
        }
        found
    }

    /// Every subscription to a table.
    pub(crate) fn all(&self, table: TableId) -> BTreeSet<SubId> {
        let patterns = self.routes.get(&table).into_iter().flatten();
        patterns.flat_map(|pattern| pattern.subs.values()).flat_map(Subs::iter).collect()
    }

    /// The trails that may end at a change, with those who follow them.
    pub(crate) fn followed(&self, table: TableId) -> impl Iterator<Item = (&Trail, &BTreeSet<SubId>)> {
        let followed = self.trails.get(&table).into_iter().flatten();
        followed.map(|followed| (&followed.trail, &followed.subs))
    }
}
