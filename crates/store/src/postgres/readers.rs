//! Reads: short ones on a few connections that everybody shares, long ones on connections of their own.
//!
//! A shared connection answers in the order of asking, without waiting for an answer before it takes the next question:
//! that is several times faster than one connection for each reader. Its price is that a long statement stands in the
//! way of those behind it. So a **watchdog** looks at who is first in each line: one whose deadline has passed or whose
//! caller has gone is cancelled; one that takes long while others wait is cancelled as well, remembered as long, and
//! begun again on a connection of its own. A cancel request may reach the server when it has gone on to the next
//! in line; that one is begun again too, which a read never minds. When it meets a COMMIT, the transaction stays open and has failed: the
//! connection is given up, and those who find it so begin again elsewhere.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;
use tokio::time::{sleep_until, timeout_at};
use tokio_postgres::Statement;
use tracing::Instrument as _;

use super::batch::{self, Frame, Ran};
use super::connection::{Connection, Purpose, Target};
use super::error::Failure;
use super::pipeline::Finishing;
use super::pool::Pool;
use crate::metrics::{Counters, count};
use crate::query::{Outcome, Query, ReadLimits};
use crate::{StoreError, spans};

/// How long a statement may keep others waiting.
const OVERRUN: Duration = Duration::from_millis(100);

/// How often the watchdog looks while anything is being read.
const TICK: Duration = Duration::from_millis(10);

/// How long after a cancel request another follows: the first may have come before there was anything to cancel.
const CANCEL_AGAIN: Duration = Duration::from_millis(250);

/// How long after a cancel request a connection on which nothing moves is taken for dead.
const STUCK: Duration = Duration::from_secs(5);

/// Statements that are known to be long. Forgotten all at once beyond this: they are soon learnt again.
const LONG_MAX: usize = 1024;

/// How often a read is begun again when its connection was lost, or is of no use, or its statements did not fit the tables any more.
const ATTEMPTS_MAX: u32 = 2;

/// Both ways of reading.
pub(super) struct Readers {
    target: Arc<Target>,
    slots: Vec<Slot>,
    exclusive: Arc<Pool>,
    counters: Arc<Counters>,
    long: Mutex<HashSet<Arc<str>>>,
    /// How many there are in `long`, so that the usual case takes no lock.
    long_len: AtomicUsize,
    closed: AtomicBool,
    watchdog_sleeps: AtomicBool,
    wake: Notify,
}

/// A place for a shared connection, which is made when it is needed.
#[derive(Default)]
struct Slot {
    shared: RwLock<Option<Arc<Shared>>>,
    connecting: tokio::sync::Mutex<()>,
}

/// A shared connection and those who wait for its answers.
struct Shared {
    connection: Arc<Connection>,
    line: Mutex<Line>,
}

struct Line {
    tickets: VecDeque<Arc<Ticket>>,
    /// When the first in line became it.
    first_since: Instant,
    /// When it was first asked to be cancelled, and when last.
    cancelled: Option<(Instant, Instant)>,
}

/// A read, as the watchdog sees it.
struct Ticket {
    deadline: Instant,
    abandoned: AtomicBool,
    abandon: Notify,
    overran: AtomicBool,
}

impl Ticket {
    /// Whether nobody waits for it any more.
    fn is_over(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed) || Instant::now() >= self.deadline
    }

    /// Whether it was cancelled because it kept others waiting.
    fn overran(&self) -> bool {
        self.overran.load(Ordering::Relaxed)
    }

    /// Waits until nobody does.
    async fn over(&self) {
        tokio::select! {
            () = sleep_until(self.deadline.into()) => {}
            () = self.abandon.notified() => {}
        }
    }
}

/// Tells the watchdog that nobody waits any more.
struct AbandonOnDrop(Arc<Ticket>);

impl Drop for AbandonOnDrop {
    fn drop(&mut self) {
        self.0.abandoned.store(true, Ordering::Relaxed);
        self.0.abandon.notify_one();
    }
}

impl Readers {
    pub(super) fn new(
        target: Arc<Target>,
        shared: usize,
        exclusive: Arc<Pool>,
        counters: Arc<Counters>,
    ) -> Arc<Readers> {
        Arc::new(Readers {
            target,
            slots: std::iter::repeat_with(Slot::default).take(shared.max(1)).collect(),
            exclusive,
            counters,
            long: Mutex::default(),
            long_len: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            watchdog_sleeps: AtomicBool::new(false),
            wake: Notify::new(),
        })
    }

    pub(super) async fn read(
        self: &Arc<Readers>,
        batch: Vec<Query>,
        limits: ReadLimits,
    ) -> Result<Vec<Outcome>, StoreError> {
        if self.closed.load(Ordering::Relaxed) {
            return Err(StoreError::Closed);
        }
        for query in &batch {
            query.check_values()?;
        }
        let ticket = Arc::new(Ticket {
            deadline: limits.deadline,
            abandoned: AtomicBool::new(false),
            abandon: Notify::new(),
            overran: AtomicBool::new(false),
        });
        let _guard = AbandonOnDrop(ticket.clone());
        let readers = self.clone();
        let queries: Arc<[Query]> = batch.into();
        let span = spans::statements("sql", queries.iter());
        let run = async move { readers.read_to_end(queries, limits, &ticket).await };
        let result = Finishing::new(run.instrument(span.clone())).finish().await;
        match &result {
            Ok(outcomes) => outcomes.iter().for_each(|outcome| spans::came_to(&span, Ok(outcome))),
            Err(error) => spans::failed(&span, error),
        }
        result
    }

    /// Long reads that wait for a connection.
    pub(super) fn waiting(&self) -> usize {
        self.exclusive.waiting()
    }

    /// Takes no further reads; those that were begun go on.
    pub(super) async fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        for slot in &self.slots {
            *slot.shared.write() = None;
        }
        self.exclusive.close().await;
    }

    async fn read_to_end(
        &self,
        queries: Arc<[Query]>,
        limits: ReadLimits,
        ticket: &Arc<Ticket>,
    ) -> Result<Vec<Outcome>, StoreError> {
        let mut is_long = queries.iter().any(|query| self.is_long(&query.statement.sql));
        let mut attempts = 0;
        loop {
            if ticket.is_over() {
                return Err(StoreError::Deadline);
            }
            let result = match is_long {
                true => Box::pin(self.read_alone(&queries, limits, ticket)).await,
                false => self.read_shared(&queries, limits, ticket).await,
            };
            match result {
                Ok(outcomes) => return Ok(outcomes),
                // Cancelling may end the connection.
                Err(Failure::Cancelled | Failure::Gone(_)) if ticket.is_over() => {
                    return Err(StoreError::Deadline);
                }
                Err(Failure::Cancelled | Failure::Gone(_)) if !is_long && ticket.overran() => {
                    is_long = true;
                    count(&self.counters.overruns);
                    self.remember(&queries);
                }
                // It was the next in line when a cancel request came for the one before.
                Err(Failure::Cancelled) if !is_long => is_long = true,
                Err(Failure::Gone(_) | Failure::Stale(_) | Failure::Torn(_)) if attempts < ATTEMPTS_MAX => {
                    attempts += 1;
                }
                Err(failure) => return Err(failure.into_error()),
            }
        }
    }

    async fn read_shared(
        &self,
        queries: &Arc<[Query]>,
        limits: ReadLimits,
        ticket: &Arc<Ticket>,
    ) -> Result<Vec<Outcome>, Failure> {
        let slot = self.choose();
        let (shared, statements) = match slot.usable().and_then(|shared| shared.prepared(queries)) {
            Some(ready) => ready,
            None => Box::pin(self.prepare(slot, queries, ticket)).await?,
        };
        let frame = Frame::of(queries, !self.target.pooled);
        let sending = || {
            shared.enter(ticket);
            self.wake_watchdog();
        };
        let Ran { result, rest } =
            batch::run(&shared.connection, queries, statements, limits, frame, sending).await;
        match rest {
            None => shared.leave(ticket),
            Some(rest) => {
                // The watchdog ends what the server still does for it.
                if matches!(result, Err(Failure::Refused(_))) {
                    ticket.abandoned.store(true, Ordering::Relaxed);
                }
                let (shared, ticket) = (shared.clone(), ticket.clone());
                tokio::spawn(async move {
                    rest.await;
                    shared.leave(&ticket);
                });
            }
        }
        match &result {
            Ok(_) => count(&self.counters.inline_reads),
            Err(Failure::Gone(_) | Failure::Torn(_)) => slot.forget(&shared),
            Err(Failure::Stale(_)) => shared.connection.forget_statements(),
            Err(_) => {}
        }
        result
    }

    /// A connection with everything that the batch needs, however long that takes.
    async fn prepare(
        &self,
        slot: &Slot,
        queries: &[Query],
        ticket: &Ticket,
    ) -> Result<(Arc<Shared>, Vec<Option<Statement>>), Failure> {
        let deadline = ticket.deadline.into();
        let connected = timeout_at(deadline, self.connect(slot, Instant::now())).await;
        let shared = connected.map_err(|_| Failure::Cancelled)??;
        let prepared = timeout_at(deadline, batch::prepare(&shared.connection, queries)).await;
        let statements = prepared.unwrap_or_else(|_| {
            // It waits for a table that somebody else changes, in the way of everybody behind it. Those begin again.
            shared.connection.cancel();
            Err(Failure::Cancelled)
        });
        if matches!(statements, Err(Failure::Gone(_) | Failure::Torn(_))) {
            slot.forget(&shared);
        }
        Ok((shared, statements?))
    }

    async fn read_alone(
        &self,
        queries: &Arc<[Query]>,
        limits: ReadLimits,
        ticket: &Ticket,
    ) -> Result<Vec<Outcome>, Failure> {
        let leasing = self.exclusive.lease(ticket.deadline).instrument(spans::wait("connection"));
        let mut lease = tokio::select! {
            lease = leasing => lease?,
            () = ticket.over() => return Err(Failure::Cancelled),
        };
        count(&self.counters.pool_reads);
        let connection = lease.connection().clone();
        let frame = Frame::of(queries, false);
        let begun = Instant::now();
        lease.soil();
        let run = async {
            let statements = batch::prepare(&connection, queries).await?;
            let Ran { result, rest } =
                batch::run(&connection, queries, statements, limits, frame, || {}).await;
            if let Some(rest) = rest {
                if matches!(result, Err(Failure::Refused(_))) {
                    connection.cancel();
                }
                // Without this the connection is not clean, and goes.
                rest.await;
            }
            result
        };
        let result = tokio::select! {
            result = run => result,
            () = ticket.over() => {
                connection.cancel();
                return Err(Failure::Cancelled);
            }
        };
        match &result {
            Ok(_) => {
                lease.clean();
                if begun.elapsed() < OVERRUN / 2 {
                    self.forget(queries);
                }
            }
            Err(Failure::Stale(_)) => connection.forget_statements(),
            Err(_) => {}
        }
        result
    }

    /// The slot with the shortest line, the first of several: one reader at a time keeps to one connection, which the
    /// server and the machine's caches like better than another one each time.
    fn choose(&self) -> &Slot {
        self.slots.iter().min_by_key(|slot| slot.waiting()).expect("there is at least one")
    }

    async fn connect(&self, slot: &Slot, asked: Instant) -> Result<Arc<Shared>, StoreError> {
        if let Some(shared) = slot.usable() {
            return Ok(shared);
        }
        let _connecting = slot.connecting.lock().await;
        if let Some(shared) = slot.usable() {
            return Ok(shared);
        }
        let connection = Arc::new(self.target.connect(Purpose::Read, asked).await?);
        let line = Line { tickets: VecDeque::new(), first_since: Instant::now(), cancelled: None };
        let shared = Arc::new(Shared { connection, line: Mutex::new(line) });
        if self.closed.load(Ordering::Relaxed) {
            return Err(StoreError::Closed);
        }
        *slot.shared.write() = Some(shared.clone());
        Ok(shared)
    }

    fn is_long(&self, sql: &str) -> bool {
        self.long_len.load(Ordering::Relaxed) > 0 && self.long.lock().contains(sql)
    }

    fn remember(&self, queries: &[Query]) {
        let mut long = self.long.lock();
        if long.len() >= LONG_MAX {
            long.clear();
        }
        long.extend(queries.iter().map(|query| query.statement.sql.clone()));
        self.long_len.store(long.len(), Ordering::Relaxed);
    }

    fn forget(&self, queries: &[Query]) {
        let mut long = self.long.lock();
        for query in queries {
            long.remove(&query.statement.sql);
        }
        self.long_len.store(long.len(), Ordering::Relaxed);
    }

    fn wake_watchdog(&self) {
        // After it has entered the line, so that either this sees the watchdog asleep or the watchdog sees the line.
        if self.watchdog_sleeps.load(Ordering::SeqCst) && self.watchdog_sleeps.swap(false, Ordering::SeqCst) {
            self.wake.notify_one();
        }
    }

    /// Looks at the lines for as long as there are any, and sleeps while there are none.
    pub(super) async fn watch(self: Arc<Readers>) {
        loop {
            for shared in self.slots.iter().filter_map(|slot| slot.shared.read().clone()) {
                shared.look();
            }
            self.watchdog_sleeps.store(true, Ordering::SeqCst);
            if self.slots.iter().all(|slot| slot.waiting() == 0) {
                self.wake.notified().await;
            }
            self.watchdog_sleeps.store(false, Ordering::SeqCst);
            tokio::time::sleep(TICK).await;
        }
    }
}

impl Slot {
    fn waiting(&self) -> usize {
        self.shared.read().as_ref().map_or(0, |shared| shared.line.lock().tickets.len())
    }

    fn usable(&self) -> Option<Arc<Shared>> {
        self.shared.read().clone().filter(|shared| !shared.connection.is_closed())
    }

    fn forget(&self, gone: &Arc<Shared>) {
        let mut shared = self.shared.write();
        if shared.as_ref().is_some_and(|shared| Arc::ptr_eq(shared, gone)) {
            *shared = None;
        }
    }
}

impl Shared {
    /// Itself with the statements of a batch, when all are there.
    fn prepared(self: Arc<Shared>, queries: &[Query]) -> Option<(Arc<Shared>, Vec<Option<Statement>>)> {
        let statements = queries.iter().map(|query| self.connection.prepared(&query.statement.sql));
        let statements = statements.collect::<Option<_>>()?;
        Some((self, statements))
    }

    fn enter(&self, ticket: &Arc<Ticket>) {
        let mut line = self.line.lock();
        if line.tickets.is_empty() {
            line.first_since = Instant::now();
        }
        line.tickets.push_back(ticket.clone());
    }

    fn leave(&self, ticket: &Arc<Ticket>) {
        let mut line = self.line.lock();
        if let Some(at) = line.tickets.iter().position(|other| Arc::ptr_eq(other, ticket)) {
            line.tickets.remove(at);
            line.first_since = Instant::now();
            line.cancelled = None;
        }
    }

    /// Cancels the first in line when it must not go on, and ends the connection when that does not help.
    fn look(&self) {
        let mut line = self.line.lock();
        let Some(first) = line.tickets.front() else { return };
        let now = Instant::now();
        let first_cancel = match line.cancelled {
            Some((first_cancel, _)) if now - first_cancel > STUCK => {
                tracing::warn!("a connection to the database does not answer any more, and is given up");
                self.connection.abort();
                return;
            }
            Some((_, last_cancel)) if now - last_cancel < CANCEL_AGAIN => return,
            Some((first_cancel, _)) => first_cancel,
            None => {
                let overran = line.tickets.len() > 1 && now - line.first_since > OVERRUN;
                if !overran && !first.is_over() {
                    return;
                }
                first.overran.store(overran, Ordering::Relaxed);
                now
            }
        };
        line.cancelled = Some((first_cancel, now));
        self.connection.cancel();
    }
}
