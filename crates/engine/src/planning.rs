//! What planning a request takes: the app's rules, the limits, the plans that are kept.
//!
//! Shared by the engine and by requests that are planned while a transaction runs. Knows no database to ask.

use std::sync::Arc;

use mainstay_lang::schema::Schema;
use mainstay_sql::Dialect;
use parking_lot::RwLock;

use crate::catalog::Catalog;
use crate::hook::Hooks;
use crate::limits::Limits;
use crate::part::Operation;
use crate::plan_cache::PlanCache;
use crate::plugin::Parts;
use crate::{read, write};

/// An app as far as it is known without its database's rows.
#[derive(Debug)]
pub struct Planning {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) dialect: &'static dyn Dialect,
    /// Those that hold now; a request goes by those that held when it began.
    pub(crate) current_limits: RwLock<Limits>,
    /// Plans of reads.
    pub(crate) plans: PlanCache<read::Prepared>,
    /// Plans of what is shown of new rows.
    pub(crate) shown: PlanCache<Arc<write::Shown>>,
    pub(crate) writes: write::Prepared,
    pub(crate) hooks: Hooks,
    /// Whether there are any hooks: looked at by every request.
    pub(crate) has_hooks: bool,
    pub(crate) parts: Arc<Parts>,
}

impl Planning {
    /// The app's schema.
    pub fn schema(&self) -> &Arc<Schema> {
        self.catalog.schema()
    }

    /// How the app's database is spoken to: one that others made has a spelling of its own.
    pub fn dialect(&self) -> &'static dyn Dialect {
        self.dialect
    }

    /// The app's rules, combined.
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// The limits of requests that begin now.
    pub fn limits(&self) -> Limits {
        *self.current_limits.read()
    }

    /// Sets the limits of requests to come. Plans are made anew: they know how long a page is.
    pub fn set_limits(&self, limits: Limits) {
        if self.limits() != limits {
            *self.current_limits.write() = limits;
            self.plans.clear();
            self.shown.clear();
        }
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
