//! Reads: short ones on the thread of the caller, long ones on threads of their own.
//!
//! A read by key takes a few microseconds, less than handing it to another thread. So every batch is begun where it
//! is asked for, with a budget of virtual-machine instructions; one that overruns is interrupted and begun again on a
//! reader thread, with its deadline. Statements that overran go to a thread at once, until they turn out short
//! there.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::connection::Session;
use super::meter::{PROGRESS_STEPS, Pace};
use super::queue::{Popped, Queue};
use crate::StoreError;
use crate::metrics::{Counters, count};
use crate::options::StoreOptions;
use crate::query::{JsonRows, Outcome, Query, ReadLimits};

/// Statements that are known to be long. Forgotten all at once beyond this: they are soon learnt again.
const LONG_MAX: usize = 1024;

/// Both ways of reading.
#[derive(Debug)]
pub(crate) struct Readers {
    inner: Arc<Inner>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    options: StoreOptions,
    counters: Arc<Counters>,
    /// Connections for the callers' threads that nobody uses, the last one used on top.
    free: Mutex<Vec<Session>>,
    opened: AtomicUsize,
    stopped: AtomicBool,
    queue: Queue<LongRead>,
    long: Mutex<HashSet<Arc<str>>>,
    /// How many there are in `long`, so that the usual case takes no lock.
    long_len: AtomicUsize,
}

/// A batch for a reader thread.
#[derive(Debug)]
struct LongRead {
    batch: Vec<Query>,
    limits: ReadLimits,
    abandoned: Arc<AtomicBool>,
    reply: oneshot::Sender<Result<Vec<Outcome>, StoreError>>,
}

/// Tells the reader thread that nobody waits any more.
struct AbandonOnDrop(Arc<AtomicBool>);

impl Drop for AbandonOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Readers {
    /// Opens one connection, so that what is wrong shows at once, and starts the threads.
    pub(crate) fn start(
        path: &Path,
        options: &StoreOptions,
        counters: Arc<Counters>,
    ) -> Result<Readers, StoreError> {
        let first = Session::open_reader(path, options)?;
        let inner = Arc::new(Inner {
            path: path.to_owned(),
            options: options.clone(),
            counters,
            free: Mutex::new(vec![first]),
            opened: AtomicUsize::new(1),
            stopped: AtomicBool::new(false),
            queue: Queue::new(options.queue_max),
            long: Mutex::default(),
            long_len: AtomicUsize::new(0),
        });
        let spawn = |number: usize| {
            let inner = inner.clone();
            let builder = std::thread::Builder::new().name(format!("mainstay-read-{number}"));
            builder.spawn(move || inner.serve())
        };
        let threads = (1..=options.readers)
            .map(spawn)
            .collect::<Result<_, _>>()
            .map_err(|error| StoreError::Io { detail: format!("cannot start a reader thread: {error}") })?;
        Ok(Readers { inner, threads: Mutex::new(threads) })
    }

    /// Reads a batch from one snapshot.
    pub(crate) async fn read(
        &self,
        batch: Vec<Query>,
        limits: ReadLimits,
    ) -> Result<Vec<Outcome>, StoreError> {
        if Instant::now() >= limits.deadline {
            return Err(StoreError::Deadline);
        }
        if let Some(result) = self.inner.read_inline(&batch, limits) {
            return result;
        }
        let abandoned = Arc::new(AtomicBool::new(false));
        let _guard = AbandonOnDrop(abandoned.clone());
        let (reply, answer) = oneshot::channel();
        self.inner.queue.push(LongRead { batch, limits, abandoned, reply })?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Uses a connection on the caller's thread, without a budget: for what is known to be short.
    pub(crate) fn with_session<R>(
        &self,
        work: impl FnOnce(&Session) -> Result<R, StoreError>,
    ) -> Result<R, StoreError> {
        let borrowed = match self.inner.borrow()? {
            Some(borrowed) => borrowed,
            None => Borrowed::new(&self.inner, Session::open_reader(&self.inner.path, &self.inner.options)?),
        };
        borrowed.session().meter.start(u64::MAX, Pace::Unbound);
        work(borrowed.session())
    }

    /// Long reads that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.inner.queue.len()
    }

    /// Takes no further reads. Those that wait are still answered.
    pub(crate) fn stop(&self) {
        self.inner.stopped.store(true, Ordering::Relaxed);
        self.inner.queue.close();
        self.inner.free.lock().clear();
    }

    /// Waits until the threads have ended and their connections are closed.
    pub(crate) fn join(&self) {
        for thread in std::mem::take(&mut *self.threads.lock()) {
            if thread.join().is_err() {
                tracing::error!("a reader thread had panicked");
            }
        }
    }
}

impl Inner {
    /// Reads on this thread; `None`: it is a matter for a reader thread.
    fn read_inline(&self, batch: &[Query], limits: ReadLimits) -> Option<Result<Vec<Outcome>, StoreError>> {
        if batch.iter().any(|query| self.is_long(&query.statement.sql)) {
            return None;
        }
        let borrowed = match self.borrow() {
            Ok(borrowed) => borrowed?,
            Err(error) => return Some(Err(error)),
        };
        let session = borrowed.session();
        let calls_max = self.options.inline_steps_max / PROGRESS_STEPS;
        session.meter.start(limits.rows, Pace::Inline { calls_max });
        match session.read_batch(batch, limits) {
            Err((at, _)) if session.meter.overran() => {
                count(&self.counters.overruns);
                self.remember(&batch[at].statement.sql);
                None
            }
            // Waiting for a lock is not done on this thread either.
            Err((_, StoreError::Busy { .. })) => None,
            result => {
                count(&self.counters.inline_reads);
                Some(result.map_err(|(_, error)| error))
            }
        }
    }

    /// A free connection, a new one, or none when there are enough.
    fn borrow(&self) -> Result<Option<Borrowed<'_>>, StoreError> {
        if self.stopped.load(Ordering::Relaxed) {
            return Err(StoreError::Closed);
        }
        let free = self.free.lock().pop();
        if let Some(session) = free {
            return Ok(Some(Borrowed::new(self, session)));
        }
        if self.opened.fetch_add(1, Ordering::Relaxed) >= self.options.readers {
            self.opened.fetch_sub(1, Ordering::Relaxed);
            return Ok(None);
        }
        let session = Session::open_reader(&self.path, &self.options).inspect_err(|_| {
            self.opened.fetch_sub(1, Ordering::Relaxed);
        })?;
        Ok(Some(Borrowed::new(self, session)))
    }

    fn is_long(&self, sql: &str) -> bool {
        self.long_len.load(Ordering::Relaxed) > 0 && self.long.lock().contains(sql)
    }

    fn remember(&self, sql: &Arc<str>) {
        let mut long = self.long.lock();
        if long.len() >= LONG_MAX {
            long.clear();
        }
        long.insert(sql.clone());
        self.long_len.store(long.len(), Ordering::Relaxed);
    }

    fn forget(&self, batch: &[Query]) {
        let mut long = self.long.lock();
        for query in batch {
            long.remove(&query.statement.sql);
        }
        self.long_len.store(long.len(), Ordering::Relaxed);
    }

    /// The work of a reader thread.
    fn serve(&self) {
        let mut session = None;
        while let Popped::Item(read) = self.queue.pop(None) {
            if read.abandoned.load(Ordering::Relaxed) {
                continue;
            }
            let work = || self.open_once(&mut session).and_then(|session| self.read_long(session, &read));
            let result = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
                session = None;
                Err(StoreError::Other("a read panicked".to_owned()))
            });
            count(&self.counters.pool_reads);
            if read.reply.send(result).is_err() {
                tracing::debug!("a read was finished after its caller had gone");
            }
        }
    }

    fn open_once<'s>(&self, session: &'s mut Option<Session>) -> Result<&'s Session, StoreError> {
        match session {
            Some(session) => Ok(session),
            None => Ok(session.insert(Session::open_reader(&self.path, &self.options)?)),
        }
    }

    fn read_long(&self, session: &Session, read: &LongRead) -> Result<Vec<Outcome>, StoreError> {
        let LongRead { batch, limits, abandoned, .. } = read;
        loop {
            if Instant::now() >= limits.deadline {
                return Err(StoreError::Deadline);
            }
            let pace = Pace::Long { deadline: limits.deadline, abandoned: abandoned.clone() };
            session.meter.start(limits.rows, pace);
            match session.read_batch(batch, *limits) {
                Err((_, StoreError::Busy { .. })) => {}
                result => {
                    if session.meter.steps() < self.options.inline_steps_max / 2 {
                        self.forget(batch);
                    }
                    return result.map_err(|(_, error)| error);
                }
            }
        }
    }
}

/// A connection that goes back when it is dropped.
struct Borrowed<'i> {
    inner: &'i Inner,
    session: Option<Session>,
}

impl<'i> Borrowed<'i> {
    fn new(inner: &'i Inner, session: Session) -> Borrowed<'i> {
        Borrowed { inner, session: Some(session) }
    }

    fn session(&self) -> &Session {
        self.session.as_ref().expect("taken only when dropped")
    }
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        let mut free = self.inner.free.lock();
        if free.len() < self.inner.options.readers && !self.inner.stopped.load(Ordering::Relaxed) {
            free.extend(self.session.take());
        }
    }
}

impl Session {
    /// Runs a batch under the meter as it stands; an error with the index of the statement that failed.
    fn read_batch(&self, batch: &[Query], limits: ReadLimits) -> Result<Vec<Outcome>, (usize, StoreError)> {
        let _snapshot = match batch {
            [] | [_] => None,
            _ => Some(Snapshot::begin(self).map_err(|error| (0, error))?),
        };
        let mut bytes_left = limits.bytes;
        let mut outcomes = Vec::with_capacity(batch.len());
        for (at, query) in batch.iter().enumerate() {
            let outcome = self.run(query, bytes_left).map_err(|error| {
                let is_bytes = matches!(&error, StoreError::ByteLimit { limit } if *limit == bytes_left);
                (at, if is_bytes { StoreError::ByteLimit { limit: limits.bytes } } else { error })
            })?;
            if let Outcome::Json(JsonRows { text, .. }) = &outcome {
                bytes_left -= text.len() as u64;
            }
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }
}

/// A read transaction, ended when dropped.
struct Snapshot<'s>(&'s Session);

impl Snapshot<'_> {
    fn begin(session: &Session) -> Result<Snapshot<'_>, StoreError> {
        session.execute("BEGIN")?;
        Ok(Snapshot(session))
    }
}

impl Drop for Snapshot<'_> {
    fn drop(&mut self) {
        // An interrupted statement leaves the transaction open, as nothing was written in it.
        if !self.0.connection.is_autocommit()
            && let Err(error) = self.0.execute("ROLLBACK")
        {
            tracing::error!(%error, "a reader could not end its snapshot");
        }
    }
}
