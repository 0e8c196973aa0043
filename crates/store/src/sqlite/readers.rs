//! Reads: short ones on the thread of the caller, long ones on threads of their own.
//!
//! A read by key takes a few microseconds, less than handing it to another thread. So every batch is begun where it
//! is asked for, with a budget of virtual-machine instructions; one that overruns is interrupted and begun again on a
//! reader thread, with its deadline. Statements that overran go to a thread at once, until they turn out short
//! there.
//!
//! Beginning and ending a snapshot takes locks on the file, which cost as much as the rest of a read by key. So a
//! connection keeps its snapshot for as long as nobody commits: the writer counts commits before it answers them, those
//! of other processes too as soon as it sees them, and a connection whose count is old begins anew. Snapshots that
//! nobody uses are ended by the writer now and then, because the log cannot be emptied under them.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tracing::Span;

use super::connection::Session;
use super::meter::{PROGRESS_STEPS, Pace};
use super::queue::{Popped, Queue};
use crate::metrics::{Counters, count};
use crate::options::StoreOptions;
use crate::query::{JsonRows, Outcome, Query, ReadLimits};
use crate::{StoreError, spans};

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
    free: Mutex<Vec<Reader>>,
    /// Commits of this process and, where the writer looks for them, of others.
    commits: AtomicU64,
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
    span: Span,
    wait: Span,
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
        let first = Reader::open(path, options)?;
        let inner = Arc::new(Inner {
            path: path.to_owned(),
            options: options.clone(),
            counters,
            free: Mutex::new(vec![first]),
            commits: AtomicU64::new(0),
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
        let (span, wait) = (Span::current(), spans::wait("reader"));
        self.inner.queue.push(LongRead { batch, limits, abandoned, span, wait, reply })?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Uses a connection on the caller's thread, without a budget: for what is known to be short.
    pub(crate) fn with_session<R>(
        &self,
        work: impl FnOnce(&Session) -> Result<R, StoreError>,
    ) -> Result<R, StoreError> {
        let borrowed = match self.inner.borrow()? {
            Some(borrowed) => borrowed,
            None => Borrowed::new(&self.inner, Reader::open(&self.inner.path, &self.inner.options)?),
        };
        let session = &borrowed.reader().session;
        session.meter.start(u64::MAX, Pace::Unbound);
        work(session)
    }

    /// Says that something was committed: from now on every read sees it.
    pub(crate) fn committed(&self) {
        self.inner.commits.fetch_add(1, Ordering::Release);
    }

    /// Ends the snapshots that nobody uses and that are no longer of now.
    pub(crate) fn release(&self) {
        let commits = self.inner.commits.load(Ordering::Acquire);
        for reader in self.inner.free.lock().iter_mut() {
            if reader.snapshot.is_some_and(|of| of != commits) {
                reader.end();
            }
        }
    }

    /// Ends all snapshots that nobody uses at the moment, and has those in use ended behind their read.
    pub(crate) fn release_all(&self) {
        self.committed();
        self.release();
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
        let mut borrowed = match self.borrow() {
            Ok(borrowed) => borrowed?,
            Err(error) => return Some(Err(error)),
        };
        let reader = borrowed.reader_mut();
        let calls_max = self.options.inline_steps_max / PROGRESS_STEPS;
        reader.session.meter.start(limits.rows, Pace::Inline { calls_max });
        // Other processes' commits are seen only by who looks for them, which is who has the folder.
        // Without a write-ahead log a snapshot that is kept keeps everybody from writing, so none is where the journal is not ours.
        let result = match self.options.exclusive && !self.options.existing {
            true => reader.read(batch, limits, &self.commits),
            false => reader.session.read_batch(batch, limits),
        };
        match result {
            Err((at, _)) if reader.session.meter.overran() => {
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
        if let Some(reader) = free {
            return Ok(Some(Borrowed::new(self, reader)));
        }
        if self.opened.fetch_add(1, Ordering::Relaxed) >= self.options.readers {
            self.opened.fetch_sub(1, Ordering::Relaxed);
            return Ok(None);
        }
        let reader = Reader::open(&self.path, &self.options).inspect_err(|_| {
            self.opened.fetch_sub(1, Ordering::Relaxed);
        })?;
        Ok(Some(Borrowed::new(self, reader)))
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
        while let Popped::Item(mut read) = self.queue.pop(None) {
            if read.abandoned.load(Ordering::Relaxed) {
                continue;
            }
            read.wait = Span::none();
            let entered = read.span.clone().entered();
            let work = || self.open_once(&mut session).and_then(|session| self.read_long(session, &read));
            let result = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
                session = None;
                Err(StoreError::Other("a read panicked".to_owned()))
            });
            count(&self.counters.pool_reads);
            drop(entered);
            drop(read.span);
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

/// A connection for the callers' threads, and the snapshot that it keeps.
#[derive(Debug)]
struct Reader {
    session: Session,
    /// How many commits there were when its snapshot was begun.
    snapshot: Option<u64>,
}

impl Reader {
    fn open(path: &Path, options: &StoreOptions) -> Result<Reader, StoreError> {
        Ok(Reader { session: Session::open_reader(path, options)?, snapshot: None })
    }

    /// Reads a batch from a snapshot in which all that was counted as committed is seen.
    fn read(
        &mut self,
        batch: &[Query],
        limits: ReadLimits,
        commits: &AtomicU64,
    ) -> Result<Vec<Outcome>, (usize, StoreError)> {
        // Taken before the snapshot: what is committed in between makes it old from the start, and is seen all the same.
        let commits = commits.load(Ordering::Acquire);
        if self.snapshot != Some(commits) {
            self.end();
            self.session.execute("BEGIN").map_err(|error| (0, error))?;
            self.snapshot = Some(commits);
        }
        self.session.run_batch(batch, limits).inspect_err(|_| self.end())
    }

    /// Ends its snapshot.
    fn end(&mut self) {
        if self.snapshot.take().is_some() {
            self.session.end_snapshot();
        }
    }
}

/// A connection that goes back when it is dropped.
struct Borrowed<'i> {
    inner: &'i Inner,
    reader: Option<Reader>,
}

impl<'i> Borrowed<'i> {
    fn new(inner: &'i Inner, reader: Reader) -> Borrowed<'i> {
        Borrowed { inner, reader: Some(reader) }
    }

    fn reader(&self) -> &Reader {
        self.reader.as_ref().expect("taken only when dropped")
    }

    fn reader_mut(&mut self) -> &mut Reader {
        self.reader.as_mut().expect("taken only when dropped")
    }
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        let mut free = self.inner.free.lock();
        if free.len() < self.inner.options.readers && !self.inner.stopped.load(Ordering::Relaxed) {
            free.extend(self.reader.take());
        }
    }
}

impl Session {
    /// Runs a batch from one snapshot of its own; an error with the index of the statement that failed.
    fn read_batch(&self, batch: &[Query], limits: ReadLimits) -> Result<Vec<Outcome>, (usize, StoreError)> {
        let _snapshot = match batch {
            [] | [_] => None,
            _ => Some(Snapshot::begin(self).map_err(|error| (0, error))?),
        };
        self.run_batch(batch, limits)
    }

    /// Runs a batch under the meter as it stands.
    fn run_batch(&self, batch: &[Query], limits: ReadLimits) -> Result<Vec<Outcome>, (usize, StoreError)> {
        let mut bytes_left = limits.bytes;
        let mut outcomes = Vec::with_capacity(batch.len());
        for (at, query) in batch.iter().enumerate() {
            let outcome = self.run(query.bound(), bytes_left).map_err(|error| {
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

    fn end_snapshot(&self) {
        // An interrupted statement leaves the transaction open, as nothing was written in it.
        if !self.connection.is_autocommit()
            && let Err(error) = self.execute("ROLLBACK")
        {
            tracing::error!(%error, "a reader could not end its snapshot");
        }
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
        self.0.end_snapshot();
    }
}
