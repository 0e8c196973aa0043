//! Reads for subscriptions, outside of the hub: first rows, rows for a caller who has changed, rows that may have changed.
//!
//! All of them go through the engine, each with the position at which it was read. What comes back is applied by the hub, which
//! knows whether it is still wanted. A database that is away is waited for: nobody is told of it who is not waiting.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mainstay_engine::ctx::{Caller, Ctx};
use mainstay_engine::error::{Error, Key, Kind};
use mainstay_engine::{Among, Change, Engine, Position, Reading, WatchedRow};
use mainstay_lang::schema::TableId;
use mainstay_lang::value::{Timestamp, Value};
use tokio::sync::{Semaphore, mpsc};

use crate::clause::By;
use crate::clock::{Boundary, midnight_after};
use crate::hub::{Batch, SessionId};
use crate::keys::{self, RowKeys};
use crate::place::{Place, Seal, SealKey};
use crate::registry::SubId;
use crate::trail::{Reach, Start};
use crate::view::{Request, View};
use crate::{Limits, Who};

/// How long one read may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How soon a read that the database could not answer is tried again.
const RETRY: Duration = Duration::from_millis(200);
/// How often a fault of the server is tried again.
const FAULTS_MAX: u32 = 3;
/// Rows that may have changed and are asked for by key; more are read all together.
const KEYS_MAX: usize = 1000;
/// Subscriptions whose rows are read in one snapshot.
const CHUNK: usize = 64;
/// Lines of the log read for one `since`; who is further behind reads the rows.
const REPLAY_MAX: usize = 20_000;
/// Lines read at a time.
const PAGE: usize = 1000;
/// A line may be as much older than its commit as a request may run, and clocks of nodes differ.
const AGE_SLACK_US: i64 = 120_000_000;

/// What has come back.
pub(crate) enum Work {
    /// Of some subscriptions of one session, all their rows.
    Read {
        session: SessionId,
        /// For a session whose caller was read anew.
        caller: Option<Result<Option<Arc<Caller>>, Error>>,
        snapshots: Vec<(SubId, u32, Result<Snapshot, Error>)>,
    },
    /// Rows of a table that may have changed for somebody, with the keys by which they find whom.
    Located {
        table: TableId,
        keys: Vec<Value>,
        rows: Vec<RowKeys>,
        /// There are too many, or nobody knows which: it may be all of them.
        is_flood: bool,
    },
    /// Of one subscription, rows that may have changed.
    Tested { sub: SubId, epoch: u32, tested: Result<Tested, Error> },
}

/// What a subscription is to be filled with.
pub(crate) struct Snapshot {
    pub(crate) view: Arc<View>,
    pub(crate) position: Position,
    /// The rows at the position; none: the changes of `replay` lead there.
    pub(crate) rows: Option<Vec<WatchedRow>>,
    /// What the view before would have shown at the position, where nobody knows what it has shown.
    pub(crate) old_rows: Option<Vec<WatchedRow>>,
    pub(crate) replay: Option<(Place, Vec<Batch>)>,
    /// When to look again.
    pub(crate) wake: Option<Timestamp>,
}

/// Rows that may have changed, as they are.
pub(crate) struct Tested {
    pub(crate) position: Position,
    /// The keys that were asked for; none: all.
    pub(crate) keys: Option<Vec<Value>>,
    pub(crate) rows: Vec<WatchedRow>,
    pub(crate) wake: Option<Timestamp>,
}

/// A subscription whose rows are to be read.
pub(crate) struct ToRead {
    pub(crate) sub: SubId,
    pub(crate) epoch: u32,
    pub(crate) request: Arc<Request>,
    /// The view that decided until now what was sent, if it kept no keys.
    pub(crate) old: Option<Arc<View>>,
    /// The place from which a new subscription goes on.
    pub(crate) since: Option<String>,
}

/// What every read needs.
#[derive(Clone)]
pub(crate) struct Reader {
    pub(crate) engine: Arc<Engine>,
    pub(crate) limits: Limits,
    pub(crate) key: SealKey,
    pub(crate) schema_print: Arc<[u8]>,
    pub(crate) results: mpsc::UnboundedSender<Work>,
    pub(crate) places: Arc<Semaphore>,
}

impl Reader {
    /// Reads the rows of some subscriptions of one session; first its caller, unless that is known.
    pub(crate) async fn read(
        self,
        session: SessionId,
        who: Who,
        known: Option<Arc<Caller>>,
        list: Vec<ToRead>,
    ) {
        let Ok(_place) = self.places.clone().acquire_owned().await else { return };
        let is_anew = known.is_none();
        let caller = match known {
            Some(caller) => Ok(Some(caller)),
            None => self.caller(&who).await,
        };
        let mut snapshots = Vec::with_capacity(list.len());
        if let Ok(Some(caller)) = &caller {
            for to_read in list {
                let snapshot = self.snapshot(&who, caller, &to_read).await;
                snapshots.push((to_read.sub, to_read.epoch, snapshot));
            }
        }
        // Nobody is there to be told when the hub has ended.
        self.results.send(Work::Read { session, caller: is_anew.then_some(caller), snapshots }).ok();
    }

    async fn caller(&self, who: &Who) -> Result<Option<Arc<Caller>>, Error> {
        match (&who.user, who.admin) {
            (_, true) => Ok(Some(Arc::new(Caller::administrator()))),
            (None, _) => Ok(Some(Arc::new(Caller::anonymous()))),
            (Some(user), _) => self.persist(|| self.engine.caller_now(user)).await,
        }
    }

    async fn snapshot(&self, who: &Who, caller: &Arc<Caller>, of: &ToRead) -> Result<Snapshot, Error> {
        let view = Arc::new(View::new(&self.engine, who.ctx(caller.clone()), &of.request)?);
        if let Some(since) = &of.since
            && let Some(place) = self.seal(who, &view, &of.request).read(since)?
            && let Some(snapshot) = self.replay(&view, place).await?
        {
            return Ok(snapshot);
        }
        let old = of.old.as_deref();
        let (position, mut read, now) = self
            .persist(|| async {
                let now = now();
                let contexts = [at(&view.ctx, now), at(old.map_or(&view.ctx, |old| &old.ctx), now)];
                let all = Among::All(self.limits.rows + 1);
                let new = Reading { ctx: &contexts[0], watch: &view.watch, among: all };
                let old = old.map(|old| Reading { ctx: &contexts[1], watch: &old.watch, among: all });
                let readings: Vec<Reading<'_>> = std::iter::once(new).chain(old).collect();
                let (position, rows) = self.engine.read_watched(&readings, deadline()).await?;
                Ok((position, rows, now))
            })
            .await
            .map_err(too_large)?;
        let old_rows = old.and_then(|_| read.pop());
        let rows = read.pop().unwrap_or_default();
        if rows.len() as u64 > self.limits.rows {
            return Err(self.too_many_rows());
        }
        let wake = self.persist(|| self.wake(&view, now)).await?;
        Ok(Snapshot { view, position, rows: Some(rows), old_rows, replay: None, wake })
    }

    /// The changes since a place; `None`: they cannot be told, or are too many.
    async fn replay(&self, view: &Arc<View>, place: Place) -> Result<Option<Snapshot>, Error> {
        if view.local.is_none() {
            return Ok(None);
        }
        let position = self.persist(|| self.engine.position()).await?;
        let last = place.to.as_ref().unwrap_or(&place.from);
        if !self.engine.is_reached(last, &position) {
            return Ok(None);
        }
        if place.at.0.saturating_sub(AGE_SLACK_US) < self.engine.oldest_change(view.table, now()).0 {
            let words = "The changes since then are no longer kept: subscribe without `since`.";
            return Err(Error::new(Key::LiveGone, words));
        }
        let mut batches = Vec::new();
        let mut lines = 0;
        let mut spans = vec![(last.clone(), position.clone(), 0)];
        if let Some(to) = &place.to {
            spans.insert(0, (place.from.clone(), to.clone(), place.seq));
        }
        for (from, to, mut behind) in spans {
            loop {
                let tail = self.persist(|| self.engine.tail(&from, Some(&to), behind, PAGE)).await?;
                lines += PAGE.min(tail.changes.len());
                let is_own = |change: &Change| change.table == view.table;
                let changes = tail.changes.into_iter().filter(is_own).collect();
                batches.push(Batch { from: from.clone(), to: to.clone(), changes });
                match tail.more {
                    Some(_) if lines > REPLAY_MAX => return Ok(None),
                    Some(seq) => behind = seq,
                    None => break,
                }
            }
        }
        let replay = Some((place, batches));
        Ok(Some(Snapshot { view: view.clone(), position, rows: None, old_rows: None, replay, wake: None }))
    }

    /// What the places of a subscription are sealed with.
    pub(crate) fn seal(&self, who: &Who, view: &View, request: &Request) -> Seal {
        let who = format!("{who:?}");
        let part = format!("{:?}", request.part);
        let pieces: [&[u8]; 5] = [
            who.as_bytes(),
            &view.caller_hash,
            request.table.as_bytes(),
            part.as_bytes(),
            &self.schema_print,
        ];
        Seal::new(&self.key, self.engine.identity(), &pieces)
    }

    /// The next moment at which rows change by themselves.
    async fn wake(&self, view: &View, after: Timestamp) -> Result<Option<Timestamp>, Error> {
        let mut next: Option<Timestamp> = None;
        for boundary in &view.boundaries {
            let at = match boundary {
                Boundary::Midnight => Some(midnight_after(after)),
                Boundary::Moment(at) => Some(*at).filter(|at| *at >= after),
                Boundary::Column { table, of, offset } => {
                    let behind = Value::Timestamp(Timestamp(after.0.saturating_sub(*offset)));
                    let ctx = at(&view.ctx, after);
                    match self.engine.least_after(*table, of, behind, &ctx).await? {
                        Some(Value::Timestamp(least)) => Some(Timestamp(least.0.saturating_add(*offset))),
                        _ => None,
                    }
                }
            };
            next = [next, at].into_iter().flatten().min();
        }
        Ok(next)
    }

    fn too_many_rows(&self) -> Error {
        let words = format!("A subscription may hold {} rows; restrict it.", self.limits.rows);
        Error::new(Key::LiveTooLarge, words)
    }

    /// Tries again what the database could not do.
    async fn persist<T, F>(&self, mut read: impl FnMut() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut faults = 0;
        loop {
            let error = match read().await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            match error.key.kind() {
                Kind::Unavailable if !self.results.is_closed() => {}
                Kind::Internal if faults < FAULTS_MAX && !self.results.is_closed() => faults += 1,
                _ => return Err(error),
            }
            tracing::warn!(%error, "a read for subscriptions is tried again");
            tokio::time::sleep(RETRY).await;
        }
    }
}

/// Rows that may have changed, by subscription.
#[derive(Default)]
pub(crate) struct Job {
    subs: HashMap<SubId, Candidates>,
    /// Rows still to be found, and for whom.
    reaches: Vec<(Reach, Vec<SubId>)>,
    /// Rows still to be found, for whomever they find.
    roots: Vec<Reach>,
    /// Rows whose keys are to be read, for whomever they find.
    rows: HashMap<TableId, BTreeMap<Box<str>, Value>>,
    /// What the keys of rows are made of.
    by: HashMap<TableId, Vec<By>>,
}

struct Candidates {
    epoch: u32,
    view: Arc<View>,
    keys: BTreeMap<Box<str>, Value>,
    all: bool,
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

    fn merge(&mut self, more: Job) {
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

/// Tests rows that may have changed, one job after the other, until there are no more jobs.
pub(crate) async fn test(reader: Reader, mut jobs: mpsc::UnboundedReceiver<Job>) {
    while let Some(mut job) = jobs.recv().await {
        while let Ok(more) = jobs.try_recv() {
            job.merge(more);
        }
        reader.find(&mut job).await;
        reader.locate(&mut job).await;
        let is_to_do =
            |(_, of): &(SubId, Candidates)| of.all || !of.keys.is_empty() || !of.view.boundaries.is_empty();
        let subs: Vec<(SubId, Candidates)> = job.subs.into_iter().filter(is_to_do).collect();
        for chunk in subs.chunks(CHUNK) {
            reader.test(chunk).await;
        }
    }
}

impl Reader {
    /// Walks back to the rows that changes elsewhere may concern.
    async fn find(&self, job: &mut Job) {
        let reaches = std::mem::take(&mut job.reaches);
        let roots = std::mem::take(&mut job.roots);
        if reaches.is_empty() && roots.is_empty() {
            return;
        }
        let ctx = nobody();
        let schema = self.engine.schema();
        let found = self
            .persist(|| {
                let conditions = reaches.iter().map(|(reach, _)| reach).chain(&roots).map(|reach| {
                    let (condition, params) = reach.condition(schema);
                    (reach.table, condition, params)
                });
                let (conditions, ctx) = (conditions.collect(), at(&ctx, now()));
                async move { self.engine.keys_where(conditions, KEYS_MAX as u64 + 1, &ctx).await }
            })
            .await;
        // What cannot be found out may be anything.
        let mut found = found.ok().map(Vec::into_iter);
        for (reach, subs) in reaches {
            let keys = found.as_mut().and_then(Iterator::next);
            for sub in subs {
                let Some(candidates) = job.subs.get_mut(&sub) else { continue };
                match (&keys, reach.start) {
                    (Some(keys), Start::Row) => {
                        let keys = keys.iter();
                        candidates.keys.extend(keys.map(|key| (key.to_json().into(), key.clone())));
                    }
                    (Some(keys), Start::User) => {
                        let user = candidates.view.ctx.caller.user.as_ref();
                        let is_among = user.is_some_and(|user| keys.contains(user));
                        candidates.all |= is_among || keys.len() > KEYS_MAX;
                    }
                    (None, _) => candidates.all = true,
                }
            }
        }
        for reach in roots {
            match found.as_mut().and_then(Iterator::next) {
                Some(keys) if keys.len() <= KEYS_MAX => keys.iter().for_each(|key| job.row(reach.table, key)),
                _ => self.located(reach.table, Vec::new(), None),
            }
        }
    }

    /// Reads the keys of rows that are to find those whom they may concern.
    async fn locate(&self, job: &mut Job) {
        for (table, rows) in std::mem::take(&mut job.rows) {
            let by = job.by.remove(&table).unwrap_or_default();
            let keys: Vec<Value> = rows.into_values().collect();
            for keys in keys.chunks(KEYS_MAX) {
                let read = self.persist(|| async {
                    let ctx = at(&nobody(), now());
                    let rows = self.engine.rows_of(table, keys::outputs(&by), keys, &ctx).await?;
                    let schema = self.engine.schema();
                    let keys = rows.into_iter().map(|row| {
                        let json = serde_json::from_str(&row.text).map_err(Error::internal)?;
                        keys::keys_of(schema, table, &by, row.key, &json)
                    });
                    keys.collect::<Result<Vec<_>, _>>()
                });
                let rows = read.await.ok();
                self.located(table, keys.to_vec(), rows);
            }
        }
    }

    fn located(&self, table: TableId, keys: Vec<Value>, rows: Option<Vec<RowKeys>>) {
        let is_flood = rows.is_none();
        let located = Work::Located { table, keys, rows: rows.unwrap_or_default(), is_flood };
        // Nobody is there to be told when the hub has ended.
        self.results.send(located).ok();
    }

    async fn test(&self, chunk: &[(SubId, Candidates)]) {
        match self.test_together(chunk).await {
            Ok(tested) => {
                for ((sub, candidates), tested) in chunk.iter().zip(tested) {
                    self.answer(*sub, candidates, tested).await;
                }
            }
            // One that fails must not take the others with it.
            Err(_) if chunk.len() > 1 => {
                for one in chunk {
                    Box::pin(self.test(std::slice::from_ref(one))).await;
                }
            }
            Err(error) => {
                let (sub, candidates) = &chunk[0];
                self.tell(*sub, candidates, Err(too_large(error)));
            }
        }
    }

    async fn test_together(&self, chunk: &[(SubId, Candidates)]) -> Result<Vec<Tested>, Error> {
        self.persist(|| async {
            let now = now();
            let keys: Vec<Option<Vec<Value>>> = chunk.iter().map(|(_, of)| of.named()).collect();
            let contexts: Vec<Ctx> = chunk.iter().map(|(_, of)| at(&of.view.ctx, now)).collect();
            let readings: Vec<Reading<'_>> = chunk
                .iter()
                .zip(keys.iter().zip(&contexts))
                .map(|((_, of), (keys, ctx))| {
                    let among = match keys {
                        Some(keys) => Among::Keys(keys),
                        None => Among::All(self.limits.rows + 1),
                    };
                    Reading { ctx, watch: &of.view.watch, among }
                })
                .collect();
            let (position, rows) = self.engine.read_watched(&readings, deadline()).await?;
            let tested = keys.into_iter().zip(rows).map(|(keys, rows)| Tested {
                position: position.clone(),
                keys,
                rows,
                wake: Some(now),
            });
            Ok(tested.collect())
        })
        .await
    }

    /// Sends what was tested on its way; until now `wake` says when that was.
    async fn answer(&self, sub: SubId, candidates: &Candidates, mut tested: Tested) {
        let tested = match tested.wake.take() {
            _ if tested.rows.len() as u64 > self.limits.rows => Err(self.too_many_rows()),
            Some(then) => match self.persist(|| self.wake(&candidates.view, then)).await {
                Ok(wake) => Ok(Tested { wake, ..tested }),
                Err(error) => Err(error),
            },
            None => Ok(tested),
        };
        self.tell(sub, candidates, tested);
    }

    fn tell(&self, sub: SubId, candidates: &Candidates, tested: Result<Tested, Error>) {
        // Nobody is there to be told when the hub has ended.
        self.results.send(Work::Tested { sub, epoch: candidates.epoch, tested }).ok();
    }
}

impl Candidates {
    /// The keys to be asked for; `None`: all rows are.
    fn named(&self) -> Option<Vec<Value>> {
        (!self.all && self.keys.len() <= KEYS_MAX).then(|| self.keys.values().cloned().collect())
    }
}

/// The server's clock.
pub(crate) fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
}

/// For reads that are for nobody's eyes.
fn nobody() -> Ctx {
    Who::default().ctx(Arc::new(Caller::anonymous()))
}

fn at(ctx: &Ctx, now: Timestamp) -> Ctx {
    Ctx { now, deadline: deadline(), ..ctx.clone() }
}

fn deadline() -> Instant {
    Instant::now() + TIMEOUT
}

/// An answer that is too large is a subscription that is.
fn too_large(error: Error) -> Error {
    match error.key {
        Key::Limit => Error { key: Key::LiveTooLarge, ..error },
        _ => error,
    }
}
