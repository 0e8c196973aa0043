//! The engine of one app: its rules over its database.
//!
//! Every way in ends here: an operation and its context go in, a response comes out. Reads are one batch of one
//! snapshot; as soon as one part writes, all parts run in one transaction.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Instant;

use mainstay_lang::schema::{Schema, TableId};
use mainstay_lang::value::Value;
use mainstay_sql::forms::Forms;
use mainstay_store::{ReadLimits, Store};
use parking_lot::RwLock;
use tracing::field::Empty;

use crate::adopt;
use crate::ctx::{Caller, Claims, Ctx};
use crate::error::{Error, Key};
use crate::history::LogStatements;
use crate::identity;
use crate::limits::Limits;
use crate::meters::Meters;
use crate::migrate::Migrated;
use crate::open::{self, MayChange, OpenError};
use crate::overrides::{Held, Ruling};
use crate::part::Operation;
use crate::planning::{Frame, Planning};
use crate::plugin::Plugins;
use crate::read;
use crate::recent::Recent;
use crate::response::Response;
use crate::tail::Change;
use crate::within::within;
use crate::write::{self, Along};

/// How an engine is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// What may be done to the database.
    pub may_change: MayChange,
    /// The limits of one request.
    pub limits: Limits,
}

/// An app on its database.
#[derive(Debug)]
pub struct Engine {
    frame: Arc<Frame>,
    pub(crate) ruling: Ruling,
    pub(crate) store: Arc<Store>,
    pub(crate) log: LogStatements,
    pub(crate) meters: Meters,
    pub(crate) recent: Recent,
    pub(crate) identity: RwLock<Arc<str>>,
    migrated: Migrated,
}

/// What of the app stays as it is, is the engine's too.
impl Deref for Engine {
    type Target = Frame;

    fn deref(&self) -> &Frame {
        &self.frame
    }
}

impl Engine {
    /// Opens an app; makes its tables where the options and what is there let it.
    ///
    /// # Errors
    /// When the database does not fit the schema, in words that say what to do.
    pub async fn open(schema: Arc<Schema>, store: Store, options: Options) -> Result<Engine, OpenError> {
        Engine::open_with(schema, store, options, &Plugins::default()).await
    }

    /// The same with plugins, whose tables stand in the schema ([`Plugins::sources`]). A plugin that does not fit the app is
    /// told before anything is changed.
    ///
    /// # Errors
    /// When the database does not fit the schema, or a plugin the app.
    pub async fn open_with(
        schema: Arc<Schema>,
        store: Store,
        options: Options,
        plugins: &Plugins,
    ) -> Result<Engine, OpenError> {
        let (hooks, parts) = plugins.build(&schema)?;
        let (dialect, migrated) = if schema.existing {
            (adopt::adopt(&schema, &store).await?, Migrated::default())
        } else {
            let migrated = open::fit(&schema, &store, options.may_change).await?;
            (store.dialect(), migrated)
        };
        let identity = identity::of(&schema, dialect, &store).await?;
        let log = LogStatements::new(&schema, dialect);
        let frame = Arc::new(Frame {
            schema,
            dialect,
            current_limits: RwLock::new(options.limits),
            has_hooks: !hooks.is_empty(),
            hooks,
            parts: Arc::new(parts),
        });
        let store = Arc::new(store);
        let ruling = Ruling::open(&frame, &store).await.map_err(OpenError::Rules)?;
        Ok(Engine {
            frame,
            ruling,
            store,
            log,
            meters: Meters::new(),
            recent: Recent::default(),
            identity: RwLock::new(identity),
            migrated,
        })
    }

    /// Whether the database keeps a change log, which one that others made does once it was asked to.
    pub fn keeps_log(&self) -> bool {
        self.dialect.forms().is_none_or(Forms::keeps_log)
    }

    /// Waits until the database keeps a change log, and has it kept by this process too from then on. At once where it does, and when
    /// the store is closed.
    pub async fn await_log(&self) {
        let Some(forms) = self.dialect.forms().filter(|forms| !forms.keeps_log()) else { return };
        let mut foreign = self.store.foreign_changes();
        loop {
            match identity::made_by_others(self.schema(), self.dialect, &self.store).await {
                Ok(Some(identity)) => {
                    *self.identity.write() = identity;
                    // Not before: whoever finds that there is a log asks which one.
                    return forms.begin_log();
                }
                Ok(None) => {}
                Err(error) => tracing::debug!(%error, "whether there is a change log could not be asked"),
            }
            if foreign.changed().await.is_err() {
                return;
            }
        }
    }

    /// The app under the rules that hold now.
    ///
    /// # Errors
    /// When they have changed and cannot be read.
    pub async fn planning(&self) -> Result<Arc<Planning>, Error> {
        Ok(Arc::clone(&*self.ruling.now().await?))
    }

    /// Whether those are the rules that were read last.
    pub fn holds(&self, planning: &Arc<Planning>) -> bool {
        Arc::ptr_eq(&self.ruling.known(), planning)
    }

    /// The same as they were read last.
    pub(crate) fn planning_known(&self) -> Held<'_> {
        self.ruling.known()
    }

    /// Says that rules were changed past this engine: whoever asks for them from now on is given those that are there.
    pub fn reread_rules(&self) {
        if let Some(kept) = self.ruling.kept() {
            kept.changed();
        }
    }

    /// Whether a line of the change log changes the rules; then whoever asks for them from now on is given those that it led to.
    pub fn changes_rules(&self, change: &Change) -> bool {
        let kept = self.ruling.kept().filter(|kept| kept.table() == change.table);
        kept.inspect(|kept| kept.changed()).is_some()
    }

    /// Sets the limits of requests to come. Plans are made anew: they know how long a page is.
    pub fn set_limits(&self, limits: Limits) {
        if self.limits() != limits {
            *self.current_limits.write() = limits;
            let planning = self.planning_known();
            planning.plans.clear();
            planning.shown.clear();
        }
    }

    /// What migrations the database had gone through when it was opened.
    pub fn migrated(&self) -> Migrated {
        self.migrated
    }

    /// The app's database.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Runs an operation.
    ///
    /// # Errors
    /// Whatever is wrong with it, or not allowed to its caller; then nothing was changed.
    pub async fn execute(&self, ctx: &Ctx, operation: &Operation) -> Result<Response, Error> {
        self.run(ctx, operation, None).await
    }

    /// Runs an operation, and something else in the same transaction: both are kept, or neither is.
    ///
    /// # Errors
    /// As [`Engine::execute`], and whatever `along` answers.
    pub async fn execute_along(
        &self,
        ctx: &Ctx,
        operation: &Operation,
        along: Along,
    ) -> Result<Response, Error> {
        self.run(ctx, operation, Some(along)).await
    }

    async fn run(&self, ctx: &Ctx, operation: &Operation, along: Option<Along>) -> Result<Response, Error> {
        let writes = along.is_some() || self.writes_in(operation);
        let span = tracing::debug_span!("execute", writes, refused = Empty);
        let started = Instant::now();
        let result = within!(span.clone(), self.carry_out(ctx, operation, writes, along));
        let refused = result.as_ref().err().map(|error| error.key);
        span.record("refused", refused.map(Key::text));
        let meters = if writes { &self.meters.writes } else { &self.meters.reads };
        meters.note(refused, started.elapsed());
        result
    }

    async fn carry_out(
        &self,
        ctx: &Ctx,
        operation: &Operation,
        writes: bool,
        along: Option<Along>,
    ) -> Result<Response, Error> {
        let (planning, ctx) = self.ruling.enter(ctx).await?;
        let (planning, ctx) = (&*planning, &*ctx);
        match (self.has_hooks, writes) {
            (true, _) => self.execute_by(planning, ctx, operation, None, along).await,
            (false, true) => {
                write::execute(self, planning, ctx, operation, None, along).await.map(|done| done.response)
            }
            (false, false) => read::run(self, planning, ctx, operation).await,
        }
    }

    /// The caller that claims are about; `None` when there is no such user, or not that session any more.
    ///
    /// # Errors
    /// When the database cannot be read, or the user does not belong to the tenant.
    pub async fn caller(&self, claims: &Claims) -> Result<Option<Arc<Caller>>, Error> {
        let deadline = Instant::now() + CALLER_TIMEOUT;
        let limits = ReadLimits { rows: self.limits().rows, bytes: self.limits().bytes, deadline };
        self.ruling.now().await?.callers.get(&self.store, claims, limits).await
    }

    /// The same as some rules read it now, whatever was known before: for those who hold on to a caller for long.
    ///
    /// # Errors
    /// As [`Engine::caller`].
    pub async fn caller_now(
        &self,
        planning: &Planning,
        claims: &Claims,
    ) -> Result<Option<Arc<Caller>>, Error> {
        let deadline = Instant::now() + CALLER_TIMEOUT;
        let limits = ReadLimits { rows: self.limits().rows, bytes: self.limits().bytes, deadline };
        planning.callers.read(&self.store, claims, limits).await
    }

    /// Callers in memory.
    pub fn callers_kept(&self) -> usize {
        self.planning_known().callers.kept()
    }

    /// Another one whenever something may have been written that a plugin has called a table of callers
    /// ([`Setup::caller_table`](crate::plugin::Setup::caller_table)): what was read of it before is old then.
    pub fn callers_version(&self) -> (u64, u64) {
        self.planning_known().callers.version()
    }

    /// The rows that a caller was read from, in the form of [`Engine::callers_touched`]: a change of one of them may change the caller.
    pub fn rows_of_caller(&self, caller: &Caller) -> Vec<(TableId, Value)> {
        self.planning_known().callers.rows_of(&self.schema, caller)
    }

    /// Whether requests can be served.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn ready(&self) -> Result<(), Error> {
        self.store.health().await?;
        Ok(())
    }

    pub(crate) fn read_limits(&self, ctx: &Ctx) -> ReadLimits {
        ReadLimits { rows: self.limits().rows, bytes: self.limits().bytes, deadline: ctx.deadline }
    }
}

/// Why something that needs the change log cannot be done.
pub(crate) fn no_log(what: &str) -> Error {
    let words = format!(
        "the database was made by others and keeps no change log, without which it cannot {what}: `mainstay triggers on` makes one"
    );
    Error::new(Key::LogOff, words)
}

/// A caller is read before its request's own time is known to matter.
const CALLER_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);
