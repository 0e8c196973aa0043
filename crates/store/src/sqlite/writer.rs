//! The one thread that writes: group commit.
//!
//! It begins a transaction, runs every job that waits (those that arrive meanwhile too, up to a bound), commits once,
//! and only then answers them all: one wait for the disk for many callers. A lone job is not delayed; groups form
//! while the previous one waits for the disk. A job that may take long is a group of its own.
//!
//! A job that fails is undone alone. Savepoints around all jobs would do that, but they make SQLite copy every page
//! that a job touches first, a fifth of the work of a small write. So jobs run without, as most succeed or fail before
//! they have written; when one fails later, the transaction is rolled back and its jobs run again with a savepoint
//! each, as do those of some groups to come, so that a client whose writes fail cannot make others' run twice for ever.
//!
//! Some failures (a full disk, `RAISE(ROLLBACK)`) take the whole transaction with them; then the one that failed gets
//! its error, and the others run again one by one, because what they have come to, success or failure, may rest on
//! rows that are gone.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::watch;

use super::connection::{BUSY_MAX, LOG_PAGES_MAX};
use super::job::Job;
use super::queue::{Popped, Queue};
use super::readers::Readers;
use crate::metrics::{Counters, count};
use crate::tx::tell;
use crate::{StoreError, Tx};

/// Most jobs in one group, and how long one may grow: what the first of them waits for the others.
const GROUP_JOBS_MAX: usize = 256;
const GROUP_TIME_MAX: Duration = Duration::from_millis(10);

/// So many groups run with a savepoint for each job after a job has spoilt one without.
const GUARDED_GROUPS: u32 = 100;

/// After so long without an idle moment the writer lets go of the database for a moment. Other processes poll for the
/// lock twice as often, so that they get it at the first pause.
const BUSY_TIME_MAX: Duration = Duration::from_millis(50);
const PAUSE: Duration = Duration::from_millis(1);

/// How often the idle writer looks for changes of other processes, and for snapshots to be ended.
const FOREIGN_POLL: Duration = Duration::from_millis(50);

/// A write-ahead log that has not begun anew behind being moved into the file, because somebody read from it, is moved again when it
/// has grown by so many pages.
const LOG_PAGES_MORE: i32 = 500;

/// What the writer is asked to do.
pub(crate) enum Task {
    /// To be committed with others.
    Write(Box<dyn Job>),
    /// To be committed by itself.
    WriteAlone(Box<dyn Job>),
    /// Has the connection for itself, outside any transaction.
    Alone(Box<dyn FnOnce(&mut Connection) + Send>),
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Task::Write(_) => "Write",
            Task::WriteAlone(_) => "WriteAlone",
            Task::Alone(_) => "Alone",
        })
    }
}

/// The state of the thread.
pub(crate) struct Writer {
    pub(crate) tx: Tx,
    pub(crate) queue: Arc<Queue<Task>>,
    pub(crate) counters: Arc<Counters>,
    /// Told of changes by other processes; none: nobody looks.
    pub(crate) foreign: Option<watch::Sender<u64>>,
    /// The number by which such changes are told.
    pub(crate) version: Option<i64>,
    /// Told of commits by this process.
    pub(crate) commits: watch::Sender<u64>,
    /// Told of commits; waited for before the last checkpoint, which one of them would keep from emptying the log.
    pub(crate) readers: Arc<Readers>,
    /// How many groups to come run with a savepoint for each job.
    pub(crate) guarded_groups: u32,
    /// How many pages the write-ahead log had when it was moved into the file last; 0: it has begun anew since.
    pub(crate) log_pages_moved: i32,
}

/// What has become of a job's changes.
enum Fate {
    /// They are kept, or undone alone, or there were none.
    Settled,
    /// They are to be undone, and only the whole transaction can be.
    Spoilt,
    /// The whole transaction is gone.
    Lost,
}

impl Writer {
    /// Works until the queue is closed and empty.
    pub(crate) fn run(mut self) {
        let patience = self.foreign.as_ref().map(|_| FOREIGN_POLL);
        self.version = self.data_version();
        let mut busy_since = Instant::now();
        let mut released = Instant::now();
        loop {
            let idle = self.queue.len() == 0;
            if idle {
                busy_since = Instant::now();
            } else if busy_since.elapsed() > BUSY_TIME_MAX {
                std::thread::sleep(PAUSE);
                busy_since = Instant::now();
            }
            match self.queue.pop(patience) {
                Popped::Item(Task::Write(job)) => self.run_group(VecDeque::from([job]), GROUP_JOBS_MAX),
                Popped::Item(Task::WriteAlone(job)) => self.run_group(VecDeque::from([job]), 1),
                Popped::Item(Task::Alone(task)) => {
                    task(self.connection());
                    self.look_for_foreign_changes();
                }
                Popped::Timeout => self.look_for_foreign_changes(),
                Popped::Closed => break,
            }
            self.move_log();
            if released.elapsed() >= FOREIGN_POLL {
                self.readers.release();
                released = Instant::now();
            }
        }
        self.readers.join();
        self.checkpoint();
    }

    fn connection(&mut self) -> &mut Connection {
        &mut self.tx.sqlite().connection
    }

    /// Runs one of the writer's own statements.
    fn execute(&mut self, sql: &str) -> Result<(), StoreError> {
        self.tx.sqlite().execute(sql)
    }

    /// Runs the jobs given, and others that wait up to `jobs_max`, in one transaction.
    fn run_group(&mut self, mut waiting: VecDeque<Box<dyn Job>>, jobs_max: usize) {
        if !self.begin(&mut waiting, jobs_max) {
            return;
        }
        // From here on nobody else changes anything, so that what a job learns of such changes stays true until its end.
        self.look_for_foreign_changes();
        let begun = Instant::now();
        let guarded = self.guarded_groups > 0;
        self.guarded_groups = self.guarded_groups.saturating_sub(1);
        let mut ran: Vec<Box<dyn Job>> = Vec::new();
        loop {
            let may_grow = ran.len() + waiting.len() < jobs_max && begun.elapsed() < GROUP_TIME_MAX;
            let next = waiting.pop_front().or_else(|| if may_grow { self.next_write() } else { None });
            let Some(mut job) = next else { break };
            if job.is_abandoned() {
                continue;
            }
            match self.run_job(&mut *job, guarded) {
                Fate::Settled => ran.push(job),
                Fate::Spoilt => {
                    self.roll_back();
                    return self.run_guarded(ran, job, waiting);
                }
                Fate::Lost => {
                    self.answer(job);
                    self.run_again(ran, waiting);
                    return;
                }
            }
        }
        self.commit(ran);
    }

    fn next_write(&self) -> Option<Box<dyn Job>> {
        match self.queue.pop_if(|task| matches!(task, Task::Write(_)))? {
            Task::Write(job) => Some(job),
            Task::WriteAlone(_) | Task::Alone(_) => None,
        }
    }

    /// Begins the transaction. Other processes may have the database for a while: then those whose deadline passes
    /// are answered, and false means that nobody is left to begin for.
    fn begin(&mut self, waiting: &mut VecDeque<Box<dyn Job>>, jobs_max: usize) -> bool {
        let give_up = Instant::now() + BUSY_MAX;
        loop {
            let error = match self.execute("BEGIN IMMEDIATE") {
                Ok(()) => return true,
                Err(error) => error,
            };
            let is_busy = matches!(error, StoreError::Busy { .. });
            while waiting.len() < jobs_max
                && let Some(job) = self.next_write()
            {
                waiting.push_back(job);
            }
            let now = Instant::now();
            for mut job in std::mem::take(waiting) {
                if is_busy && now < give_up && now < job.deadline() {
                    waiting.push_back(job);
                    continue;
                }
                job.fail(if is_busy && now < give_up { StoreError::Deadline } else { error.clone() });
                self.answer(job);
            }
            if waiting.is_empty() {
                return false;
            }
        }
    }

    /// Runs one job, under a savepoint when it is guarded.
    fn run_job(&mut self, job: &mut dyn Job, guarded: bool) -> Fate {
        if guarded && let Err(error) = self.execute("SAVEPOINT job") {
            job.fail(error);
            return self.lose();
        }
        let changes = self.connection().total_changes();
        let kept = job.run(&mut self.tx);
        if self.connection().is_autocommit() {
            if kept {
                // It went on after the statement that ended the transaction, and must not be told that all is well.
                job.fail(StoreError::Lost { detail: "a statement of it ended it".to_owned() });
            }
            return Fate::Lost;
        }
        if !guarded {
            let is_clean = kept || self.connection().total_changes() == changes;
            return if is_clean { Fate::Settled } else { Fate::Spoilt };
        }
        let undone = if kept { Ok(()) } else { self.execute("ROLLBACK TO job") };
        match undone.and_then(|()| self.execute("RELEASE job")) {
            Ok(()) => Fate::Settled,
            Err(error) => {
                if kept {
                    job.fail(error);
                }
                self.lose()
            }
        }
    }

    /// What a group becomes after one of its jobs has failed behind its first change, now undone with all others.
    fn run_guarded(&mut self, ran: Vec<Box<dyn Job>>, failed: Box<dyn Job>, waiting: VecDeque<Box<dyn Job>>) {
        if ran.is_empty() {
            // Nobody else was in it, so the failure stands; who waits begins anew.
            self.answer(failed);
            if !waiting.is_empty() {
                self.run_group(waiting, GROUP_JOBS_MAX);
            }
            return;
        }
        self.guarded_groups = GUARDED_GROUPS;
        self.counters.reruns.fetch_add(ran.len() as u64 + 1, Ordering::Relaxed);
        self.run_group(ran.into_iter().chain([failed]).chain(waiting).collect(), GROUP_JOBS_MAX);
    }

    /// Makes sure that nothing of the transaction stays.
    fn lose(&mut self) -> Fate {
        self.roll_back();
        Fate::Lost
    }

    fn roll_back(&mut self) {
        if !self.connection().is_autocommit()
            && let Err(error) = self.execute("ROLLBACK")
        {
            tracing::error!(%error, "the writer could not roll back");
        }
    }

    fn run_again(&mut self, ran: Vec<Box<dyn Job>>, waiting: VecDeque<Box<dyn Job>>) {
        for job in ran.into_iter().chain(waiting) {
            count(&self.counters.reruns);
            self.run_group(VecDeque::from([job]), 1);
        }
    }

    fn commit(&mut self, mut ran: Vec<Box<dyn Job>>) {
        ran.iter_mut().for_each(|job| job.commits());
        let begun = Instant::now();
        let committed = self.execute("COMMIT");
        self.readers.committed();
        match &committed {
            Ok(()) if ran.is_empty() => {}
            Ok(()) => self.counters.committed(ran.len(), begun.elapsed()),
            Err(error) => {
                tracing::error!(%error, jobs = ran.len(), "a group could not be committed");
                self.lose();
            }
        }
        let is_kept = committed.is_ok() && !ran.is_empty();
        for mut job in ran {
            if let Err(error) = &committed {
                job.fail(error.clone());
            }
            self.answer(job);
        }
        // Those who wrote are answered first: whoever follows the log can wait that long.
        if is_kept {
            self.commits.send_modify(|commits| *commits += 1);
            tell(self.tx.take_told());
        }
    }

    fn answer(&self, job: Box<dyn Job>) {
        count(&self.counters.jobs);
        job.answer();
    }

    /// A number that changes when others than this connection have changed the database.
    fn data_version(&mut self) -> Option<i64> {
        let session = self.tx.sqlite();
        let mut statement = session.connection.prepare_cached("PRAGMA data_version").ok()?;
        statement.query_row([], |row| row.get(0)).ok()
    }

    fn look_for_foreign_changes(&mut self) {
        if self.foreign.is_none() {
            return;
        }
        let now = self.data_version();
        if now != self.version {
            self.version = now;
            self.readers.committed();
            if let Some(foreign) = &self.foreign {
                foreign.send_modify(|changes| *changes += 1);
            }
        }
    }

    /// Moves the write-ahead log into the database file when it has become long. A snapshot that is kept keeps the log from beginning
    /// anew, whether anybody reads from it or not; so all of them are ended, before and behind.
    fn move_log(&mut self) {
        let pages = self.tx.sqlite().log_pages.load(Ordering::Relaxed);
        if pages < self.log_pages_moved {
            self.log_pages_moved = 0;
        }
        let is_due = match self.log_pages_moved {
            0 => pages >= LOG_PAGES_MAX,
            moved => pages >= moved + LOG_PAGES_MORE,
        };
        if !is_due {
            return;
        }
        self.readers.release_all();
        if let Err(error) = self.connection().query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
            tracing::warn!(%error, "the write-ahead log could not be moved into the database; it grows");
        }
        self.readers.release_all();
        self.log_pages_moved = pages;
    }

    /// Moves everything into the database file, so that it can be copied alone once the store is closed.
    fn checkpoint(&mut self) {
        let moved = self.connection().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        if let Err(error) = moved {
            tracing::warn!(%error, "the write-ahead log could not be moved into the database; it is kept");
        }
    }
}
