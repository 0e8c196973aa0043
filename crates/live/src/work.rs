//! Reads for subscriptions, outside of the hub: first rows, rows for a caller who has changed, rows that may have changed.
//!
//! All of them go through the engine, each with the position at which it was read. What comes back is applied by the hub, which
//! knows whether it is still wanted. A database that is away is waited for: nobody is told of it who is not waiting.

mod job;
mod tester;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mainstay_engine::ctx::{Caller, Claims, Ctx};
use mainstay_engine::error::{Error, Key, Kind};
use mainstay_engine::{Among, Engine, Position, Reading, WatchedRow};
use mainstay_lang::schema::TableId;
use mainstay_lang::value::{Timestamp, Value};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};

use crate::Limits;
use crate::clock::{Boundary, midnight_after};
use crate::hub::{Batch, SessionId};
use crate::keys::RowKeys;
use crate::place::{Place, Seal, SealKey};
use crate::plans::Plans;
use crate::registry::SubId;
use crate::request::Request;
use crate::verdict::Verdict;
use crate::view::View;
use crate::who::{Standing, Who};

pub(crate) use job::Job;
pub(crate) use tester::test;

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
const PAGE: usize = 500;
/// A line may be as much older than its commit as a request may run, and clocks of nodes differ.
const AGE_SLACK_US: i64 = 120_000_000;

/// What has come back.
pub(crate) enum Work {
    /// Of some subscriptions of one session, all their rows.
    Read {
        session: SessionId,
        /// For a session whose caller was read anew.
        standing: Option<Result<Option<Arc<Standing>>, Error>>,
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
    pub(crate) replay: Option<Replay>,
    /// When to look again.
    pub(crate) wake: Option<Timestamp>,
}

/// What has happened since a place, as far as it is to be told.
pub(crate) struct Replay {
    pub(crate) since: Place,
    /// Lines that show, and no others.
    pub(crate) batches: Vec<Batch>,
    /// Whether it ends before the position, because it is more than may wait for a connection.
    pub(crate) is_cut: bool,
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
    /// Where the database is asked from.
    pub(crate) requests: Handle,
    pub(crate) limits: Limits,
    pub(crate) key: SealKey,
    pub(crate) plans: Arc<Plans>,
    pub(crate) schema_print: Arc<[u8]>,
    pub(crate) results: mpsc::UnboundedSender<Work>,
    pub(crate) places: Arc<Semaphore>,
}

impl Reader {
    /// Asks the database from where requests do.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        question: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        self.requests.spawn(question).await.map_err(Error::internal)?
    }

    /// Reads the rows of some subscriptions of one session; first its caller, unless that is known.
    pub(crate) async fn read(
        self,
        session: SessionId,
        who: Who,
        known: Option<Arc<Standing>>,
        list: Vec<ToRead>,
    ) {
        let Ok(_place) = self.places.clone().acquire_owned().await else { return };
        let is_anew = known.is_none();
        let standing = match known {
            Some(standing) => Ok(Some(standing)),
            None => self.standing(&who).await,
        };
        let mut snapshots = Vec::with_capacity(list.len());
        if let Ok(Some(standing)) = &standing {
            for to_read in list {
                let snapshot = self.snapshot(standing, &to_read).await;
                snapshots.push((to_read.sub, to_read.epoch, snapshot));
            }
        }
        // Nobody is there to be told when the hub has ended.
        self.results.send(Work::Read { session, standing: is_anew.then_some(standing), snapshots }).ok();
    }

    async fn standing(&self, who: &Who) -> Result<Option<Arc<Standing>>, Error> {
        let planning = self.persist(|| self.engine.planning()).await?;
        let caller = match (&who.user, who.admin) {
            (_, true) => Arc::new(Caller::administrator()),
            (None, _) => Arc::new(Caller::anonymous()),
            (Some(user), _) => {
                let claims =
                    Claims { user: user.clone(), tenant: who.tenant.clone(), session: who.session.clone() };
                match self.persist(|| self.engine.caller_now(&planning, &claims)).await? {
                    Some(caller) => caller,
                    None => return Ok(None),
                }
            }
        };
        Ok(Some(who.standing(planning, caller)))
    }

    async fn snapshot(&self, standing: &Arc<Standing>, of: &ToRead) -> Result<Snapshot, Error> {
        let view = Arc::new(View::new(&self.engine, &self.plans, standing, &of.request)?);
        if let Some(since) = &of.since
            && let Some(place) = self.seal(standing, &of.request).read(since)?
            && let Some(snapshot) = self.replay(&view, place).await?
        {
            return Ok(snapshot);
        }
        let old = of.old.as_deref();
        let (position, mut read, now) = self
            .persist(|| async {
                let now = now();
                let before = old.map_or(standing, |old| &old.standing);
                let contexts = [at(&standing.ctx, now), at(&before.ctx, now)];
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
        let Some(local) = view.local() else { return Ok(None) };
        let position = self.persist(|| self.engine.position()).await?;
        let last = place.to.as_ref().unwrap_or(&place.from);
        if !self.engine.is_reached(last, &position) {
            return Ok(None);
        }
        if place.at.0.saturating_sub(AGE_SLACK_US) < self.engine.oldest_change(view.table, now()).0 {
            let words = "The changes since then are no longer kept: subscribe without `since`.";
            return Err(Error::new(Key::LiveGone, words));
        }
        let mut spans = vec![(last.clone(), position.clone(), 0)];
        if let Some(to) = &place.to {
            spans.insert(0, (place.from.clone(), to.clone(), place.seq));
        }
        let mut replay = Replay { since: place, batches: Vec::new(), is_cut: false };
        let (mut lines, mut shown) = (0, 0);
        'spans: for (from, to, mut behind) in spans {
            loop {
                let tail = self.persist(|| self.engine.tail(&from, Some(&to), behind, PAGE)).await?;
                lines += PAGE.min(tail.changes.len());
                let mut changes = Vec::new();
                for change in tail.changes.into_iter().filter(|change| change.table == view.table) {
                    match Verdict::of(view, local, &change) {
                        Verdict::Nothing => {}
                        Verdict::Missing => return Ok(None),
                        Verdict::Tell(..) | Verdict::Failed(_) => changes.push(change),
                    }
                }
                shown += changes.len();
                replay.batches.push(Batch { from: from.clone(), to: to.clone(), changes });
                if shown > self.limits.queue_frames {
                    replay.is_cut = true;
                    break 'spans;
                }
                match tail.more {
                    Some(_) if lines > REPLAY_MAX => return Ok(None),
                    Some(seq) => behind = seq,
                    None => break,
                }
            }
        }
        let snapshot = Snapshot {
            view: view.clone(),
            position,
            rows: None,
            old_rows: None,
            replay: Some(replay),
            wake: None,
        };
        Ok(Some(snapshot))
    }

    /// What the places of a subscription are sealed with.
    pub(crate) fn seal(&self, standing: &Standing, request: &Request) -> Seal {
        let rules = standing.planning.catalog().overrides().print();
        let pieces: [&[u8]; 4] = [&standing.print, request.print(), &self.schema_print, rules];
        Seal::new(&self.key, &self.engine.identity(), &pieces)
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
                    let ctx = at(&view.standing.ctx, after);
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

#[cfg(test)]
mod tests;
