//! The hub of a process: one task that follows the change log and knows every subscription.
//!
//! It alone decides what is sent. Changes of local views are decided from their images, at once; rows of held views are read
//! by other tasks ([`crate::work`]) and decided when they come back. Nothing that comes back is applied before the log was
//! followed up to a later point: if the caller has lost a right by the time of the read, the line that says so is seen
//! first, and what was read for the caller as it was is thrown away. That, and that positions are whole snapshots, is why
//! nobody is sent a row that the same moment's read would not have shown.
//!
//! ```text
//!            commits, other nodes, each second
//!                        |
//!  log ──────────▶ catch up ──▶ callers touched?  freeze their sessions, read them anew
//!                        └────▶ routes, trails ──▶ local: images ──▶ enter, update, leave
//!                                              └─▶ held: keys ──▶ tester ──▶ read again, compare ──▶ …
//! ```
//!
//! A subscription that is being read keeps the lines that arrive meanwhile, and drops those that its snapshot has
//! already: that is why there is no gap, and nothing twice.

mod apply;
mod dispatch;
mod sessions;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use mainstay_engine::error::Error;
use mainstay_engine::{Change, Engine, Position};
use mainstay_lang::schema::TableId;
use mainstay_lang::value::Timestamp;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinError;

use crate::Limits;
use crate::metrics::Meters;
use crate::place::{Place, Seal, SealKey};
use crate::queue::{Closed, Event, EventKind, Queue, Seq};
use crate::registry::{Registry, SubId};
use crate::request::Request;
use crate::view::View;
use crate::who::{Standing, Who};
use crate::work::{self, Job, Reader, ToRead, Work, now};

/// A connection's number.
pub(crate) type SessionId = u64;

/// How often the log is looked at when nobody says that it has grown.
const POLL: Duration = Duration::from_secs(1);
/// Lines of the log that are read at a time.
const PAGE: usize = 500;
/// Subscriptions, or refreshes of sessions, that are read at the same time.
const READS_MAX: usize = 4;
/// Lines kept for a subscription that is being read.
const BUFFERED_MAX: usize = 20_000;

/// What connections ask of the hub.
pub(crate) enum Command {
    /// A connection, and who speaks on it.
    Join {
        session: SessionId,
        who: Who,
        queue: Arc<Queue>,
    },
    /// Somebody else speaks on it, or the same one anew.
    Identify {
        session: SessionId,
        who: Who,
    },
    Subscribe {
        session: SessionId,
        tag: Arc<str>,
        request: Arc<Request>,
        since: Option<String>,
    },
    Unsubscribe {
        session: SessionId,
        tag: Arc<str>,
    },
}

/// Lines of the log between two positions.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) from: Position,
    pub(crate) to: Position,
    pub(crate) changes: Vec<Change>,
}

/// How far the log was followed.
struct Cursor {
    from: Position,
    /// Where the lines that are being read end, and the number of the last one.
    within: Option<(Position, i64)>,
}

/// One connection.
struct Session {
    who: Who,
    queue: Arc<Queue>,
    /// None until it was read.
    standing: Option<Arc<Standing>>,
    is_loading: bool,
    /// Whether the caller may have changed since it began to be read.
    again: bool,
    /// Rows of callers that have changed while it was read.
    touched: Vec<(TableId, Box<str>)>,
    /// Rows that the caller was read from.
    rows: Vec<(TableId, Box<str>)>,
    subs: HashMap<Arc<str>, SubId>,
}

/// One subscription.
struct Subscription {
    session: SessionId,
    tag: Arc<str>,
    request: Arc<Request>,
    /// What was read before this number changed is of no use.
    epoch: u32,
    active: Option<Active>,
    /// While its rows are being read: what has happened meanwhile.
    buffer: Option<Box<Buffer>>,
}

/// What a subscription has been told by.
struct Active {
    view: Arc<View>,
    seal: Arc<Seal>,
    /// None: its view is local.
    held: Option<Box<Held>>,
}

/// What is remembered of a view that is not local.
struct Held {
    /// The rows that were told: a hash of each text by key.
    rows: HashMap<Box<str>, u64>,
    /// When to look again.
    wake: Option<Timestamp>,
}

#[derive(Default)]
struct Buffer {
    /// The place from which a new subscription goes on.
    since: Option<String>,
    batches: Vec<Arc<Batch>>,
    lines: usize,
    is_reading: bool,
}

/// The hub's state.
pub(crate) struct Hub {
    reader: Reader,
    sessions: HashMap<SessionId, Session>,
    /// Those who left before they were heard of.
    departed: BTreeSet<SessionId>,
    subs: HashMap<SubId, Subscription>,
    registry: Registry,
    /// Subscriptions by the rows that they were shown, where those are remembered.
    holders: HashMap<(TableId, Box<str>), BTreeSet<SubId>>,
    /// Sessions by the rows that their callers were read from.
    callers: HashMap<(TableId, Box<str>), BTreeSet<SessionId>>,
    /// Subscriptions of each user.
    of_user: HashMap<Box<str>, usize>,
    /// Subscriptions that are being read.
    buffering: BTreeSet<SubId>,
    wakes: BTreeSet<(Timestamp, SubId)>,
    /// When sessions are to be read again, because what they have shown is too long ago then.
    ends: BTreeSet<(Timestamp, SessionId)>,
    cursor: Option<Cursor>,
    next_sub: SubId,
    jobs: mpsc::UnboundedSender<Job>,
    meters: Meters,
}

/// Runs a hub until nobody can speak to it any more.
pub(crate) async fn run(
    engine: Arc<Engine>,
    requests: Handle,
    limits: Limits,
    key: SealKey,
    mut commands: mpsc::Receiver<Command>,
    mut gone: mpsc::UnboundedReceiver<SessionId>,
) {
    let (results, mut work) = mpsc::unbounded_channel();
    let (jobs, jobs_taken) = mpsc::unbounded_channel();
    let (mut own, mut foreign) = engine.commits();
    let reader = Reader {
        schema_print: crate::schema_print(engine.schema()),
        engine,
        requests,
        limits,
        key,
        plans: Arc::default(),
        results,
        places: Arc::new(Semaphore::new(READS_MAX)),
    };
    let mut tester = reader.requests.spawn(work::test(reader.clone(), jobs_taken));
    let mut hub = Hub::new(reader, jobs);
    let mut poll = tokio::time::interval(POLL);
    poll.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut results: Vec<Work> = Vec::new();
    loop {
        let until_wake = hub.until_wake();
        tokio::select! {
            command = commands.recv() => match command {
                Some(command) => hub.obey(command).await,
                None => break,
            },
            Some(session) = gone.recv() => hub.leave(session),
            Some(done) = work.recv() => results.push(done),
            // Where nobody listens, a commit wakes nobody.
            Ok(()) = own.changed(), if hub.cursor.is_some() => {}
            Ok(()) = foreign.changed(), if hub.cursor.is_some() => {}
            _ = poll.tick() => {
                hub.measure();
                hub.freeze_outdated();
            }
            ended = &mut tester => {
                // Without it rows would stay as they are and nobody would know: better that everybody comes back.
                if !ended.as_ref().is_err_and(JoinError::is_cancelled) {
                    tracing::error!(?ended, "the task that reads changed rows has ended; all subscriptions end with it");
                }
                break;
            }
            () = tokio::time::sleep(until_wake) => hub.wake(),
        }
        while let Ok(done) = work.try_recv() {
            results.push(done);
        }
        if hub.catch_up().await {
            for done in results.drain(..) {
                hub.apply(done);
            }
        }
    }
    tester.abort();
}

/// However it ends: nobody waits for what does not come any more.
impl Drop for Hub {
    fn drop(&mut self) {
        for session in self.sessions.values() {
            session.queue.close(Closed::Stopping);
        }
    }
}

impl Hub {
    fn new(reader: Reader, jobs: mpsc::UnboundedSender<Job>) -> Hub {
        Hub {
            reader,
            sessions: HashMap::new(),
            departed: BTreeSet::new(),
            subs: HashMap::new(),
            registry: Registry::default(),
            holders: HashMap::new(),
            callers: HashMap::new(),
            of_user: HashMap::new(),
            buffering: BTreeSet::new(),
            wakes: BTreeSet::new(),
            ends: BTreeSet::new(),
            cursor: None,
            next_sub: 0,
            jobs,
            meters: Meters::new(),
        }
    }

    fn engine(&self) -> &Arc<Engine> {
        &self.reader.engine
    }

    /// Follows the log to where it stands now; `false`: that could not be done, and is to be tried again.
    async fn catch_up(&mut self) -> bool {
        loop {
            let Some(Cursor { from, within }) = &self.cursor else { return true };
            let (from, to) = (from.clone(), within.as_ref().map(|(to, _)| to.clone()));
            let behind = within.as_ref().map_or(0, |(_, seq)| *seq);
            let engine = self.engine().clone();
            let place = (from.clone(), to);
            let read = async move { engine.tail(&place.0, place.1.as_ref(), behind, PAGE).await };
            let tail = match self.reader.ask(read).await {
                Ok(tail) => tail,
                Err(error) => {
                    tracing::warn!(%error, "the change log cannot be followed at the moment");
                    return false;
                }
            };
            let is_last = tail.more.is_none();
            self.cursor = Some(match tail.more {
                Some(seq) => Cursor { from: from.clone(), within: Some((tail.to.clone(), seq)) },
                None => Cursor { from: tail.to.clone(), within: None },
            });
            if !tail.changes.is_empty() {
                self.dispatch(&Arc::new(Batch { from, to: tail.to, changes: tail.changes })).await;
            }
            if is_last {
                return true;
            }
        }
    }

    /// Begins to follow the log, or stops when nobody listens.
    async fn follow(&mut self) -> Result<(), Error> {
        if self.cursor.is_none() {
            let engine = self.engine().clone();
            let from = self.reader.ask(async move { engine.position().await }).await?;
            self.cursor = Some(Cursor { from, within: None });
        }
        Ok(())
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Join { session, who, queue } => self.join(session, who, queue),
            Command::Identify { session, who } => self.identify(session, who),
            Command::Subscribe { session, tag, request, since } => {
                self.subscribe(session, tag, request, since).await;
            }
            Command::Unsubscribe { session, tag } => {
                let sub = self.sessions.get(&session).and_then(|session| session.subs.get(&tag)).copied();
                if let Some(sub) = sub {
                    self.remove(sub);
                }
            }
        }
    }

    /// Begins to read the rows of some subscriptions of a session.
    fn read(&mut self, session: SessionId, standing: Option<Arc<Standing>>, subs: &[SubId]) {
        let Some(who) = self.sessions.get(&session).map(|session| session.who.clone()) else { return };
        let mut list = Vec::with_capacity(subs.len());
        for id in subs {
            let Some(sub) = self.subs.get_mut(id) else { continue };
            sub.epoch += 1;
            let buffer = sub.buffer.get_or_insert_default();
            buffer.is_reading = true;
            let since = buffer.since.clone();
            self.buffering.insert(*id);
            let local = sub.active.as_ref().filter(|active| active.held.is_none());
            list.push(ToRead {
                sub: *id,
                epoch: sub.epoch,
                request: sub.request.clone(),
                old: local.map(|active| active.view.clone()),
                since,
            });
        }
        let asked: Vec<(SubId, u32)> = list.iter().map(|of| (of.sub, of.epoch)).collect();
        let is_anew = standing.is_none();
        let reading = self.reader.requests.spawn(self.reader.clone().read(session, who, standing, list));
        let results = self.reader.results.clone();
        self.reader.requests.spawn(async move {
            if let Err(panic) = reading.await {
                let failed = Error::internal(panic);
                let snapshots = asked.into_iter().map(|(sub, epoch)| (sub, epoch, Err(failed.clone())));
                let standing = is_anew.then(|| Err(failed.clone()));
                // Without a hub nobody waits for it.
                results.send(Work::Read { session, standing, snapshots: snapshots.collect() }).ok();
            }
        });
    }

    /// Forgets a subscription.
    fn remove(&mut self, id: SubId) {
        let Some(sub) = self.subs.remove(&id) else { return };
        self.buffering.remove(&id);
        if let Some(active) = &sub.active {
            self.deactivate(id, active);
        }
        if let Some(session) = self.sessions.get_mut(&sub.session) {
            session.subs.remove(&sub.tag);
            let user = session.user_key();
            self.forget_of_user(user);
        }
        if self.subs.is_empty() && self.sessions.is_empty() {
            self.cursor = None;
        }
    }

    /// Takes what a subscription was told by out of all lists.
    fn deactivate(&mut self, id: SubId, active: &Active) {
        self.registry.remove(id, &active.view);
        self.meters.count(&active.view, -1.0);
        let Some(held) = &active.held else { return };
        if let Some(at) = held.wake {
            self.wakes.remove(&(at, id));
        }
        for key in held.rows.keys() {
            self.release(id, active.view.table, key);
        }
    }

    /// Remembers that a row was shown.
    fn hold(&mut self, id: SubId, table: TableId, key: &str) {
        self.holders.entry((table, key.into())).or_default().insert(id);
    }

    fn release(&mut self, id: SubId, table: TableId, key: &str) {
        let place = (table, key.into());
        if let Some(subs) = self.holders.get_mut(&place) {
            subs.remove(&id);
            if subs.is_empty() {
                self.holders.remove(&place);
            }
        }
    }

    /// Ends a subscription with words.
    fn end(&mut self, id: SubId, error: Error) {
        let Some(sub) = self.subs.get(&id) else { return };
        if let Some(session) = self.sessions.get(&sub.session) {
            session.queue.tell(Event { tag: sub.tag.clone(), kind: EventKind::Ended(Box::new(error)) });
        }
        self.remove(id);
    }

    /// Ends a subscription that can be taken up again from a place.
    fn lag(&mut self, id: SubId, place: Place) {
        let Some(sub) = self.subs.get(&id) else { return };
        if let (Some(session), Some(active)) = (self.sessions.get(&sub.session), &sub.active) {
            let since = Seq { place: Arc::new(place), seal: active.seal.clone() };
            session.queue.tell(Event { tag: sub.tag.clone(), kind: EventKind::Lagged { since } });
        }
        self.meters.lagged.increment(1);
        self.remove(id);
    }

    fn until_wake(&self) -> Duration {
        const LONG: Duration = Duration::from_secs(3600);
        let next = self.wakes.first().map(|(at, _)| *at);
        let next = next.into_iter().chain(self.ends.first().map(|(at, _)| *at)).min();
        let Some(at) = next else { return LONG };
        // A little later, so that the clock of the read is behind it.
        let us = at.0.saturating_sub(now().0).saturating_add(1000);
        u64::try_from(us).map_or(Duration::from_millis(1), Duration::from_micros).min(LONG)
    }

    /// Looks again at the subscriptions whose rows change by themselves now.
    fn wake(&mut self) {
        let now = now();
        self.freeze_ended(now);
        let mut job = Job::default();
        while let Some((at, id)) = self.wakes.first().copied().filter(|(at, _)| *at < now) {
            self.wakes.remove(&(at, id));
            let Some(sub) = self.subs.get_mut(&id) else { continue };
            if let Some(active) = &mut sub.active {
                active.held.iter_mut().for_each(|held| held.wake = None);
                // One that is being read finds its next moment itself.
                if sub.buffer.is_none() {
                    job.all(id, sub.epoch, &active.view);
                }
            }
        }
        self.hand_on(job);
    }

    fn hand_on(&self, job: Job) {
        if !job.is_empty() {
            // The tester ends with the hub.
            self.jobs.send(job).ok();
        }
    }

    fn measure(&self) {
        let depth = self.sessions.values().map(|session| session.queue.len()).max().unwrap_or(0);
        self.meters.measure(self.sessions.len(), depth);
    }
}
