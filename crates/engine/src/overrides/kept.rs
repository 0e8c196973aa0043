//! Which rules hold now, in a process that serves an app whose rules can be changed while it runs.
//!
//! A request takes the [`Planning`] that holds when it begins and keeps it to its end. A write that changed a rule says so after its
//! commit and before its answer, whoever waits for it or not: no request that begins afterwards goes on before the rules
//! were read again, and where they cannot be read it is refused, because the rules that are known are not those that hold. What
//! other processes have changed is looked for whenever they have committed something, and twice a second besides.
//!
//! An app without such a table has one planning for as long as it is open, and pays nothing.

use std::borrow::Cow;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use mainstay_lang::schema::TableId;
use mainstay_sql::plan::Images;
use mainstay_sql::statement::Statement;
use mainstay_store::{Outcome, Query, ReadLimits, Store};
use parking_lot::RwLock;
use tokio::sync::{Mutex, Notify, watch};

use super::Overrides;
use crate::catalog::Catalog;
use crate::ctx::{Caller, Claims, Ctx};
use crate::error::{Error, Key};
use crate::planning::{Frame, Planning};

/// How often the table is looked at when nobody says that something was changed.
const POLL: Duration = Duration::from_millis(500);
/// How long to wait before looking again where others commit all the time.
const PAUSE: Duration = Duration::from_millis(100);
/// How long reading the table may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The rules of an engine.
#[derive(Debug)]
pub(crate) enum Ruling {
    /// They stay as they are.
    Fixed(Arc<Planning>),
    /// They are changed while the app runs.
    Kept(Arc<Kept>),
}

/// A planning that holds while it is looked at.
pub(crate) enum Held<'e> {
    Fixed(&'e Arc<Planning>),
    Kept(Arc<Planning>),
}

impl Deref for Held<'_> {
    type Target = Arc<Planning>;

    fn deref(&self) -> &Arc<Planning> {
        match self {
            Held::Fixed(planning) => planning,
            Held::Kept(planning) => planning,
        }
    }
}

/// Rules that are changed while the app runs.
#[derive(Debug)]
pub(crate) struct Kept {
    table: TableId,
    store: Arc<Store>,
    rows: Arc<Statement>,
    planning: RwLock<Arc<Planning>>,
    /// How many changes are known of.
    wanted: AtomicU64,
    /// Which of them the planning knows.
    known: AtomicU64,
    turn: Mutex<()>,
    changed: Arc<Notify>,
}

impl Ruling {
    /// The rules of an app, read from its database where they are kept there.
    pub(crate) async fn open(frame: &Arc<Frame>, store: &Arc<Store>) -> Result<Ruling, Error> {
        let catalog = Catalog::new(frame.schema.clone());
        let planning = Arc::new(Planning::new(frame.clone(), catalog, store));
        let Some(table) = super::table(&frame.schema) else { return Ok(Ruling::Fixed(planning)) };
        let images = Images { table: table.id, filter: Vec::new(), limit: None, lock: None };
        let kept = Arc::new(Kept {
            table: table.id,
            store: store.clone(),
            rows: Arc::new(mainstay_sql::images(&frame.schema, frame.dialect, &images)),
            planning: RwLock::new(planning),
            wanted: AtomicU64::new(1),
            known: AtomicU64::new(0),
            turn: Mutex::default(),
            changed: Arc::default(),
        });
        kept.read().await?;
        tokio::spawn(follow(Arc::downgrade(&kept), kept.changed.clone(), store.foreign_changes()));
        Ok(Ruling::Kept(kept))
    }

    /// The rules as they were read last.
    pub(crate) fn known(&self) -> Held<'_> {
        match self {
            Ruling::Fixed(planning) => Held::Fixed(planning),
            Ruling::Kept(kept) => Held::Kept(kept.planning.read().clone()),
        }
    }

    /// The rules as they hold now.
    pub(crate) async fn now(&self) -> Result<Held<'_>, Error> {
        match self {
            Ruling::Kept(kept) if !kept.is_current() => Box::pin(kept.read()).await?,
            _ => {}
        }
        Ok(self.known())
    }

    /// The rules that a request begins under, and its context with its caller as they read it.
    pub(crate) async fn enter<'c>(&'c self, ctx: &'c Ctx) -> Result<(Held<'c>, Cow<'c, Ctx>), Error> {
        if let Ruling::Fixed(planning) = self {
            return Ok((Held::Fixed(planning), Cow::Borrowed(ctx)));
        }
        let planning = self.now().await?;
        let is_known = match (&ctx.caller.user, &ctx.caller.row) {
            (None, _) => true,
            (Some(_), row) => {
                row.as_ref().is_some_and(|row| Arc::ptr_eq(&row.paths, planning.catalog.caller_paths()))
            }
        };
        let ctx = match self {
            Ruling::Kept(kept) if !is_known => Cow::Owned(Box::pin(kept.read_caller(&planning, ctx)).await?),
            _ => Cow::Borrowed(ctx),
        };
        Ok((planning, ctx))
    }

    /// Where rules are changed while the app runs.
    pub(crate) fn kept(&self) -> Option<&Arc<Kept>> {
        match self {
            Ruling::Fixed(_) => None,
            Ruling::Kept(kept) => Some(kept),
        }
    }
}

impl Kept {
    /// The table that they stand in.
    pub(crate) fn table(&self) -> TableId {
        self.table
    }

    fn is_current(&self) -> bool {
        self.known.load(Ordering::Acquire) == self.wanted.load(Ordering::Acquire)
    }

    /// Says that a row was changed.
    pub(crate) fn changed(&self) {
        self.wanted.fetch_add(1, Ordering::AcqRel);
        self.changed.notify_one();
    }

    /// Reads the rules, unless somebody has done so since it was known that they had changed.
    async fn read(&self) -> Result<(), Error> {
        let _turn = self.turn.lock().await;
        if self.is_current() { Ok(()) } else { self.read_in_turn().await }
    }

    /// Looks whether others have changed them.
    async fn look(&self) -> Result<(), Error> {
        let _turn = self.turn.lock().await;
        self.read_in_turn().await
    }

    async fn read_in_turn(&self) -> Result<(), Error> {
        // Taken before reading: what is changed meanwhile is read once more.
        let wanted = self.wanted.load(Ordering::Acquire);
        let query = Query { statement: self.rows.clone(), values: Vec::new() };
        let limits = ReadLimits { rows: u64::MAX, bytes: u64::MAX, deadline: Instant::now() + TIMEOUT };
        let Some(Outcome::Values(rows)) = self.store.read(vec![query], limits).await?.into_iter().next()
        else {
            return Err(Error::internal("rules are read as lists of values"));
        };
        let planning = self.planning.read().clone();
        let schema = planning.schema();
        let overrides = Overrides::read(schema, schema.table(self.table), rows);
        let known = planning.catalog.overrides();
        if overrides.print() != known.print() {
            tell(&overrides, known);
            let catalog = Catalog::with(schema.clone(), overrides);
            let next = Arc::new(planning.under(catalog, &self.store));
            *self.planning.write() = next;
        }
        self.known.store(wanted, Ordering::Release);
        // Each time: when the app is opened, nobody may count yet.
        let catalog = self.planning.read().catalog.clone();
        let (count, broken) = (catalog.overrides().iter().count(), catalog.overrides().broken().count());
        metrics::gauge!("mainstay_rule_overrides").set(count as f64);
        metrics::gauge!("mainstay_rule_overrides_broken").set(broken as f64);
        Ok(())
    }

    /// The same context with the caller as these rules read it.
    async fn read_caller(&self, planning: &Planning, ctx: &Ctx) -> Result<Ctx, Error> {
        let Some(user) = &ctx.caller.user else { return Ok(ctx.clone()) };
        let limits = ReadLimits { rows: u64::MAX, bytes: u64::MAX, deadline: ctx.deadline };
        let claims = Claims { user: user.clone(), tenant: ctx.tenant.clone(), session: ctx.session.clone() };
        let Some(read) = planning.callers.get(&self.store, &claims, limits).await? else {
            return Err(Error::new(Key::Credentials, "The user is no longer there."));
        };
        let caller =
            Caller { row: read.row.clone(), sees_self: OnceLock::new(), ..Caller::clone(&ctx.caller) };
        Ok(Ctx { caller: Arc::new(caller), ..ctx.clone() })
    }

    /// Watches a write that begins under some rules.
    pub(crate) fn watch(self: &Arc<Self>, planning: &Arc<Planning>) -> Arc<RuleWatch> {
        Arc::new(RuleWatch {
            kept: self.clone(),
            planning: planning.clone(),
            is_touched: AtomicBool::new(false),
        })
    }
}

/// Whether a write changes rules, or is one of before they were changed.
///
/// Its end counts, whether somebody waits for it or not: a write whose request went away is finished by the store, which then
/// drops it.
#[derive(Debug)]
pub(crate) struct RuleWatch {
    kept: Arc<Kept>,
    planning: Arc<Planning>,
    is_touched: AtomicBool,
}

impl RuleWatch {
    /// The table whose rows are watched.
    pub(crate) fn table(&self) -> TableId {
        self.kept.table
    }

    /// Notes that a row was written.
    pub(crate) fn touch(&self) {
        self.is_touched.store(true, Ordering::Release);
    }

    /// Says that the write is committed, and reads the rules if it has changed them. Whoever comes later reads them where that fails.
    pub(crate) async fn settle(&self) {
        if self.end()
            && let Err(error) = self.kept.read().await
        {
            tracing::warn!(%error, "rules were changed and cannot be read: requests are refused until they can be");
        }
    }

    fn end(&self) -> bool {
        let is_touched = self.is_touched.swap(false, Ordering::AcqRel);
        if is_touched {
            self.kept.changed();
        }
        // Under other rules callers may be read from tables that this write did not look for.
        if !Arc::ptr_eq(&self.kept.planning.read(), &self.planning) {
            self.planning.callers.forget();
        }
        is_touched
    }
}

impl Drop for RuleWatch {
    fn drop(&mut self) {
        self.end();
    }
}

/// Says what cannot be read of rules that were not there before.
fn tell(overrides: &Overrides, known: &Overrides) {
    for (id, words) in overrides.broken() {
        if !known.broken().any(|(other, told)| (other, &told) == (id, &words)) {
            tracing::warn!(id = %id.to_json(), "a rule that is kept in data cannot be read: {words}");
        }
    }
    tracing::info!(overrides = overrides.iter().count(), "the rules that are kept in data are others now");
}

/// Looks for changes for as long as the engine is there.
async fn follow(kept: Weak<Kept>, own: Arc<Notify>, mut foreign: watch::Receiver<u64>) {
    let mut is_well = true;
    loop {
        tokio::time::sleep(PAUSE).await;
        let is_own = tokio::select! {
            changed = foreign.changed() => match changed {
                Ok(()) => false,
                Err(_) => return,
            },
            () = own.notified() => true,
            () = tokio::time::sleep(POLL) => false,
        };
        let Some(kept) = kept.upgrade() else { return };
        // Whoever wrote has read them already, as a rule.
        let looked = if is_own { kept.read().await } else { kept.look().await };
        match looked {
            Ok(()) => is_well = true,
            Err(error) => {
                if std::mem::take(&mut is_well) {
                    tracing::warn!(%error, "the rules that are kept in data cannot be read at the moment");
                }
            }
        }
    }
}
