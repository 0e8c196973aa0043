//! What subscriptions have in common, kept once: most of them differ in their caller and their parameters alone, and a plan takes
//! far more memory than these do.
//!
//! Nothing is decided here. What is shared has no caller in it; who has the same plan sees what the own rights and parameters
//! let through it.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Weak};

use mainstay_engine::Watch;
use mainstay_lang::schema::Schema;
use mainstay_sql::plan::Select;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use crate::clause::{By, Route};
use crate::registry::Entry;
use crate::trail::{self, Trail};
use crate::view::Local;

/// A plan, and what is made of it.
#[derive(Debug)]
pub(crate) struct Plan {
    select: Arc<Select>,
    /// None: more than the row's own columns decide.
    pub(crate) local: Option<Local>,
    /// Where else a change may concern its rows.
    pub(crate) trails: Box<[Trail]>,
}

/// Those that somebody has.
#[derive(Debug, Default)]
pub(crate) struct Plans {
    plans: Shared<[u8; 32], Plan>,
    ways: Shared<By, By>,
}

impl Plans {
    /// The plan of a watch, the one that there is if others have the same.
    pub(crate) fn plan(&self, schema: &Schema, watch: &mut Watch) -> Arc<Plan> {
        let print = Sha256::digest(format!("{:?}", watch.select)).into();
        let plan = self.plans.get(print, || Plan {
            select: watch.select.clone(),
            local: Local::new(schema, &watch.select),
            trails: trail::trails(schema, &watch.select).into(),
        });
        watch.select = plan.select.clone();
        plan
    }

    /// A route as it is registered.
    pub(crate) fn entry(&self, route: Route) -> Entry {
        let by = self.ways.get(route.by.clone(), || route.by);
        Entry::new(by, &route.keys)
    }
}

/// Values that are kept for as long as somebody has them.
#[derive(Debug)]
struct Shared<K, V>(Mutex<HashMap<K, Weak<V>>>);

impl<K, V> Default for Shared<K, V> {
    fn default() -> Self {
        Shared(Mutex::default())
    }
}

impl<K: Eq + Hash, V> Shared<K, V> {
    fn get(&self, key: K, make: impl FnOnce() -> V) -> Arc<V> {
        let mut known = self.0.lock();
        if let Some(value) = known.get(&key).and_then(Weak::upgrade) {
            return value;
        }
        if known.len() == known.capacity() {
            // Before it grows, those that nobody has any more make room.
            known.retain(|_, value| value.strong_count() > 0);
        }
        let value = Arc::new(make());
        known.insert(key, Arc::downgrade(&value));
        value
    }
}
