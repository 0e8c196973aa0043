//! An app with jobs on a database of its own, and workers for it.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use mainstay_engine::ctx::{Caller, Ctx};
use mainstay_engine::document;
use mainstay_engine::part::Operation;
use mainstay_jobs::{
    Clock, Definition, Definitions, JOB_TABLE, JobError, JobRow, Jobs, Running, State, Worker, WorkerOptions,
};
use mainstay_lang::analyse::analyse;
use mainstay_lang::schema::Schema;
use mainstay_lang::source::Sources;
use mainstay_lang::value::Timestamp;
pub(crate) use mainstay_testkit::database::{Database, DatabaseKind};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const APP: &str = "table Effect { job text(64), allow all }\n";

/// The schema of an app, whose jobs are shown when it says so.
pub(crate) fn schema(text: &str) -> Arc<Schema> {
    let mut sources = mainstay_engine::prelude::load(Sources::default());
    if text.contains("use jobs") {
        sources.add_platform("<jobs>", JOB_TABLE);
    }
    sources.add("app.stay", text);
    let analysis = analyse(&sources);
    Arc::new(analysis.schema.unwrap_or_else(|| panic!("{:?}", analysis.diagnostics)))
}

/// Runs a test on each database.
pub(crate) fn on_each<F: Future<Output = ()>>(test: impl Fn(DatabaseKind) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for kind in DatabaseKind::ALL {
        runtime.block_on(test(*kind));
    }
}

/// A clock that a test moves.
#[derive(Clone)]
pub(crate) struct FakeClock(Arc<AtomicI64>);

impl FakeClock {
    pub(crate) fn new() -> FakeClock {
        FakeClock(Arc::new(AtomicI64::new(Timestamp::parse("2026-03-01T00:00:00Z").unwrap().0)))
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.0.fetch_add(time.as_micros() as i64, Ordering::SeqCst);
    }

    pub(crate) fn clock(&self) -> Clock {
        let at = self.0.clone();
        Clock::new(move || Timestamp(at.load(Ordering::SeqCst)))
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// What a test's handler tells the test.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) args: Args,
    pub(crate) job: JobRow,
    pub(crate) running: Running,
    pub(crate) end: oneshot::Sender<Result<(), JobError>>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Args {
    pub(crate) n: i64,
}

/// A job of a name whose handler tells of itself and ends as the test says.
pub(crate) fn told(name: &str) -> (Definition, mpsc::UnboundedReceiver<Begun>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let definition = Definition::new(name, move |running: Running, args: Args| {
        let sender = sender.clone();
        async move {
            let (end, ended) = oneshot::channel();
            let begun = Begun { args, job: running.job().clone(), running, end };
            sender.send(begun).map_err(|_| JobError::Retry("the test is over".to_owned()))?;
            ended.await.unwrap_or(Err(JobError::Retry("the test let go of it".to_owned())))
        }
    });
    (definition, receiver)
}

/// The next job that begins.
pub(crate) async fn next(receiver: &mut mpsc::UnboundedReceiver<Begun>) -> Begun {
    tokio::time::timeout(PATIENCE, receiver.recv()).await.expect("no job began").expect("no worker is there")
}

pub(crate) fn definitions(all: impl IntoIterator<Item = Definition>) -> Definitions {
    let mut definitions = Definitions::default();
    for definition in all {
        definitions.add(definition);
    }
    definitions
}

pub(crate) fn options() -> WorkerOptions {
    WorkerOptions {
        poll: Duration::from_millis(20),
        lease: Duration::from_secs(30),
        ..WorkerOptions::default()
    }
}

/// A worker that runs until it is told to stop.
pub(crate) struct Work {
    pub(crate) name: String,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

pub(crate) fn work(jobs: &Jobs, options: WorkerOptions) -> Work {
    work_of(Worker::new(jobs.clone(), options))
}

pub(crate) fn work_of(worker: Worker) -> Work {
    let name = worker.name().to_owned();
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(worker.run(async {
        drop(stopped.await);
    }));
    Work { name, stop: Some(stop), task }
}

impl Work {
    /// Ends it without a word, as a machine does that is switched off.
    pub(crate) fn vanish(self) {
        self.task.abort();
        // What it was to be told by must not be taken for the sign to stop.
        std::mem::forget(self.stop);
    }

    pub(crate) async fn stop(mut self) {
        drop(self.stop.take());
        tokio::time::timeout(PATIENCE, self.task).await.expect("the worker stops").unwrap();
    }
}

/// Waits until a job is in a state.
pub(crate) async fn until(jobs: &Jobs, id: Uuid, state: State) -> JobRow {
    let begun = Instant::now();
    loop {
        let row = find(jobs, id).await;
        if row.state == state {
            return row;
        }
        assert!(begun.elapsed() < PATIENCE, "{row:?} is not {state}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) async fn find(jobs: &Jobs, id: Uuid) -> JobRow {
    jobs.find(&[id]).await.unwrap().pop().expect("the job is there")
}

/// An operation that writes one row.
pub(crate) fn effect(job: Uuid) -> Operation {
    let text = format!(r#"{{"Effect": {{"create": true, "job": "{job}"}}}}"#);
    Operation { documents: document::parse(text.as_bytes()).unwrap(), ..Operation::default() }
}

/// One who passes every rule.
pub(crate) fn admin() -> Ctx {
    Ctx {
        caller: Arc::new(Caller::administrator()),
        tenant: None,
        session: None,
        now: Clock::default().now(),
        deadline: Instant::now() + PATIENCE,
        request_id: "test".into(),
        trace: None,
    }
}
