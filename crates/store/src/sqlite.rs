//! SQLite behind the store: one writer thread, readers, the folder's lock.
//!
//! The file is in write-ahead mode: readers never wait for the writer nor it for them. All changes that this process
//! makes go through the writer's connection, so whatever else changes the file is another process.

mod connection;
mod copy;
mod error;
mod functions;
mod job;
mod json;
mod lock;
mod meter;
mod queue;
mod readers;
mod run;
mod script;
mod turn;
mod values;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

pub(crate) use connection::Session;
pub(crate) use copy::{Filler, Reader};
pub(crate) use json::{into_text, write_base64, write_text};
pub(crate) use turn::Turn;

use self::job::{Job, TypedJob};
use self::lock::FolderLock;
use self::queue::Queue;
use self::readers::Readers;
use self::writer::{Task, Writer};
use crate::metrics::{Counters, StoreMetrics};
use crate::options::StoreOptions;
use crate::query::{Outcome, Query, ReadLimits};
use crate::store::{Health, WriteJob};
use crate::{StoreError, Tx};

/// A SQLite file that is open.
#[derive(Debug)]
pub(crate) struct Sqlite {
    path: PathBuf,
    queue: Arc<Queue<Task>>,
    readers: Arc<Readers>,
    counters: Arc<Counters>,
    foreign: watch::Receiver<u64>,
    commits: watch::Receiver<u64>,
    writer_ended: watch::Receiver<bool>,
    writer: Mutex<Option<JoinHandle<()>>>,
    lock: Option<FolderLock>,
}

impl Sqlite {
    pub(crate) fn open(path: &Path, options: &StoreOptions) -> Result<Sqlite, StoreError> {
        let path = &prepare_path(path)?;
        let lock = if options.exclusive { Some(FolderLock::take(path)?) } else { None };
        let mut session = Session::open_writer(path, options)?;
        session.watch_log()?;
        let counters = Arc::new(Counters::default());
        let readers = Arc::new(Readers::start(path, options, counters.clone())?);
        let queue = Arc::new(Queue::new(options.queue_max));
        let (foreign_sender, foreign) = watch::channel(0);
        let (commits_sender, commits) = watch::channel(0);
        let (ended_sender, writer_ended) = watch::channel(false);
        let writer = Writer {
            tx: Tx::new(session),
            queue: queue.clone(),
            counters: counters.clone(),
            foreign: options.exclusive.then_some(foreign_sender),
            commits: commits_sender,
            readers: readers.clone(),
            version: None,
            guarded_groups: 0,
            log_pages_moved: 0,
        };
        let thread = std::thread::Builder::new().name("mainstay-write".to_owned()).spawn(move || {
            writer.run();
            ended_sender.send_replace(true);
        });
        let thread = thread
            .map_err(|error| StoreError::Io { detail: format!("cannot start the writer thread: {error}") })?;
        Ok(Sqlite {
            path: path.clone(),
            queue,
            readers,
            counters,
            foreign,
            commits,
            writer_ended,
            writer: Mutex::new(Some(thread)),
            lock,
        })
    }

    pub(crate) async fn read(
        &self,
        batch: Vec<Query>,
        limits: ReadLimits,
    ) -> Result<Vec<Outcome>, StoreError> {
        self.readers.read(batch, limits).await
    }

    pub(crate) async fn write<T, E>(&self, deadline: Instant, job: WriteJob<T, E>) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.enqueue(TypedJob::new(job, deadline), Task::Write).await
    }

    pub(crate) async fn write_alone<T, E>(&self, deadline: Instant, job: WriteJob<T, E>) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.enqueue(TypedJob::new(job, deadline), Task::WriteAlone).await
    }

    pub(crate) async fn write_waiting<T, E>(&self, deadline: Instant, job: WriteJob<T, E>) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.enqueue(TypedJob::waiting(job, deadline), Task::WriteAlone).await
    }

    async fn enqueue<T, E>(
        &self,
        job: TypedJob<T, E>,
        task: impl FnOnce(Box<dyn Job>) -> Task,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.queue.push(task(Box::new(job.answering(reply))))?;
        answer.await.unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }

    pub(crate) async fn execute_script(&self, statements: Vec<String>) -> Result<(), StoreError> {
        self.alone(move |connection| script::execute(connection, &statements)).await
    }

    pub(crate) async fn integrity_check(&self) -> Result<Vec<String>, StoreError> {
        self.alone(|connection| script::integrity_check(connection)).await
    }

    pub(crate) fn explain(&self, query: &Query) -> Result<Vec<String>, StoreError> {
        self.readers.with_session(|session| script::explain(session, query))
    }

    pub(crate) fn health(&self) -> Result<Health, StoreError> {
        if *self.writer_ended.borrow() {
            return Err(StoreError::Closed);
        }
        self.readers.with_session(|session| session.execute("SELECT count(*) FROM sqlite_schema"))?;
        Ok(Health { write_queue: self.queue.len() as u64, read_queue: self.readers.waiting() as u64 })
    }

    pub(crate) fn metrics(&self) -> StoreMetrics {
        StoreMetrics {
            write_queue: self.queue.len() as u64,
            read_queue: self.readers.waiting() as u64,
            foreign_changes: *self.foreign.borrow(),
            ..self.counters.snapshot()
        }
    }

    pub(crate) fn commits(&self) -> watch::Receiver<u64> {
        self.commits.clone()
    }

    pub(crate) fn foreign_changes(&self) -> watch::Receiver<u64> {
        self.foreign.clone()
    }

    /// Lets both sides finish what they took.
    pub(crate) async fn close(&self) {
        self.readers.stop();
        self.queue.close();
        let mut ended = self.writer_ended.clone();
        // An error means that the thread is gone without having said so, which is as good.
        drop(ended.wait_for(|ended| *ended).await);
    }

    /// Lets the writer do something outside any transaction.
    async fn alone<R: Send + 'static>(
        &self,
        task: impl FnOnce(&mut Connection) -> Result<R, StoreError> + Send + 'static,
    ) -> Result<R, StoreError> {
        let (reply, answer) = oneshot::channel();
        let readers = self.readers.clone();
        let task = move |connection: &mut Connection| {
            let result = task(connection);
            readers.committed();
            if reply.send(result).is_err() {
                tracing::debug!("a task of the writer was finished after its caller had gone");
            }
        };
        self.queue.push(Task::Alone(Box::new(task)))?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        self.readers.stop();
        self.queue.close();
        let Some(thread) = self.writer.lock().take() else { return };
        // The last reference to the store may be inside a job that the writer drops.
        if thread.thread().id() != std::thread::current().id() && thread.join().is_err() {
            tracing::error!("the writer thread had panicked");
        }
    }
}

/// Makes the folder, and one path of all that lead to the same file, so that one lock stands for it.
fn prepare_path(path: &Path) -> Result<PathBuf, StoreError> {
    let absolute = std::path::absolute(path)
        .map_err(|error| StoreError::Io { detail: format!("{} is no path: {error}", path.display()) })?;
    if let Some(folder) = absolute.parent() {
        std::fs::create_dir_all(folder).map_err(|error| StoreError::Io {
            detail: format!("cannot make the folder {} for the database: {error}", folder.display()),
        })?;
    }
    Ok(absolute.canonicalize().unwrap_or(absolute))
}
