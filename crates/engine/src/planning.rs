//! What planning a request takes: the app as it stands for as long as it is open, its rules as they are now, the plans that
//! are kept under them.
//!
//! Shared by the engine and by requests that are planned while a transaction runs. A [`Planning`] never changes: rules that
//! are changed while the app runs are another one, and a request has one from its beginning to its end. Knows no database to ask.

use std::ops::Deref;
use std::sync::Arc;

use mainstay_lang::schema::Schema;
use mainstay_lang::value::Timestamp;
use mainstay_sql::Dialect;
use mainstay_store::Store;
use parking_lot::RwLock;

use crate::caller::{Callers, Sources};
use crate::catalog::Catalog;
use crate::ctx::Ctx;
use crate::hook::Hooks;
use crate::limits::Limits;
use crate::part::Operation;
use crate::plan_cache::PlanCache;
use crate::plugin::Parts;
use crate::{read, write};

/// What of an app stays as it is while it is open.
#[derive(Debug)]
pub struct Frame {
    pub(crate) schema: Arc<Schema>,
    pub(crate) dialect: &'static dyn Dialect,
    /// Those that hold now; a request goes by those that held when it began.
    pub(crate) current_limits: RwLock<Limits>,
    pub(crate) hooks: Hooks,
    /// Whether there are any hooks: looked at by every request.
    pub(crate) has_hooks: bool,
    pub(crate) parts: Arc<Parts>,
}

/// An app as far as it is known without its database's rows, under the rules of one time.
#[derive(Debug)]
pub struct Planning {
    frame: Arc<Frame>,
    pub(crate) catalog: Arc<Catalog>,
    /// Plans of reads.
    pub(crate) plans: PlanCache<read::Prepared>,
    /// Plans of what is shown of new rows.
    pub(crate) shown: PlanCache<Arc<write::Shown>>,
    pub(crate) writes: write::Prepared,
    /// Who asks, as these rules read it.
    pub(crate) callers: Callers,
}

/// What stays as it is, is known under any rules.
impl Deref for Planning {
    type Target = Frame;

    fn deref(&self) -> &Frame {
        &self.frame
    }
}

impl Frame {
    /// The app's schema.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// How the app's database is spoken to: one that others made has a spelling of its own.
    pub fn dialect(&self) -> &'static dyn Dialect {
        self.dialect
    }

    /// The limits of requests that begin now.
    pub fn limits(&self) -> Limits {
        *self.current_limits.read()
    }

    /// Whether some part of an operation writes.
    pub(crate) fn writes_in(&self, operation: &Operation) -> bool {
        let mut entries = operation.documents.iter().flat_map(|document| &document.entries);
        entries.any(|entry| {
            // A table that does not exist is refused by the reader.
            let table = self.schema().table_named(&entry.table);
            table
                .is_some_and(|table| entry.parts.iter().any(|part| write::writes(self.schema(), table, part)))
        })
    }

    /// What plugins have handed to crates above: routes, jobs, commands.
    pub fn parts(&self) -> &Arc<Parts> {
        &self.parts
    }
}

impl Planning {
    /// Under the rules of a catalogue.
    pub(crate) fn new(frame: Arc<Frame>, catalog: Catalog, store: &Store) -> Planning {
        let sources = frame.parts.get::<Sources>().cloned().unwrap_or_default();
        let callers = Callers::new(&catalog, frame.dialect, store, Arc::new(sources));
        Planning::with(frame, catalog, store, callers)
    }

    /// The same app under other rules. Nothing that was planned, and no caller that was read, is of use any more.
    pub(crate) fn under(&self, catalog: Catalog, store: &Store) -> Planning {
        let callers = self.callers.again(&catalog, self.dialect);
        Planning::with(self.frame.clone(), catalog, store, callers)
    }

    fn with(frame: Arc<Frame>, catalog: Catalog, store: &Store, callers: Callers) -> Planning {
        let writes = write::Prepared::new(&catalog, frame.dialect, store.foreign_changes());
        Planning {
            frame,
            catalog: Arc::new(catalog),
            plans: PlanCache::new(),
            shown: PlanCache::new(),
            writes,
            callers,
        }
    }

    /// When what rules ask a caller to have shown a moment ago is over next; none: nothing is, or no rule asks.
    pub fn confirmed_ends(&self, ctx: &Ctx) -> Option<Timestamp> {
        ctx.confirmed_ends(&self.catalog)
    }

    /// Which of what rules ask of this kind a caller has.
    pub fn confirmed(&self, ctx: &Ctx) -> Vec<bool> {
        self.catalog.confirmations().iter().map(|asked| ctx.confirmed(*asked)).collect()
    }

    /// The app's rules, combined.
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }
}
