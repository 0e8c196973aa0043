//! A worker: takes jobs, runs their handlers, renews its leases, writes what became of them.
//!
//! ```text
//! wake-up ─→ claim (one transaction a batch) ─→ a task a job ─→ settle (one statement for all that ended meanwhile)
//!                                                 ↑ lease (renews, stops what was cancelled or lost)
//! tick, once a second: leases that ended, batches, keys, schedules
//! ```
//!
//! Nothing is held in the database while a handler runs but its lease. Whatever a worker writes about a job asks whether the job is
//! still its own, in the same attempt: one that was taken for dead changes nothing any more. What is not written because the database
//! is away is written later, or the lease ends and the job comes back.

mod claim;
mod lease;
mod run;
mod settle;

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;
use uuid::Uuid;

use self::claim::Claim;
pub use self::run::Running;
use self::settle::Ended;
pub(crate) use self::settle::release;
use crate::definition::Definitions;
use crate::error::JobsError;
use crate::jobs::Jobs;
use crate::row::JobRow;
use crate::tick;

/// How a worker works.
#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// Jobs at a time.
    pub concurrency: usize,
    /// How long a job is believed to run without a sign of its worker.
    pub lease: Duration,
    /// How long jobs may go on when the worker is asked to stop, before they are handed back.
    pub stop_timeout: Duration,
    /// How often it looks for jobs that nobody told it of.
    pub poll: Duration,
}

impl Default for WorkerOptions {
    fn default() -> WorkerOptions {
        WorkerOptions {
            concurrency: 32,
            lease: Duration::from_secs(60),
            stop_timeout: Duration::from_secs(20),
            poll: Duration::from_secs(1),
        }
    }
}

/// Jobs of a batch at most, and results written together.
const TOGETHER: usize = 1000;

/// Two looks that find nothing are so far apart at least.
const PAUSE: Duration = Duration::from_millis(1);

/// A worker of an app.
pub struct Worker {
    pub(crate) shared: Arc<Shared>,
    ended: mpsc::UnboundedReceiver<Ended>,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Worker({})", self.shared.name)
    }
}

/// What the tasks of a worker share.
pub(crate) struct Shared {
    pub(crate) jobs: Jobs,
    /// The jobs that it takes.
    pub(crate) taken: Definitions,
    pub(crate) options: WorkerOptions,
    /// Its name in the table.
    pub(crate) name: String,
    /// Places for jobs.
    slots: Arc<Semaphore>,
    ended: mpsc::UnboundedSender<Ended>,
    held: Mutex<HashMap<Uuid, Held>>,
}

/// A job that runs here.
struct Held {
    stop: Option<oneshot::Sender<Stop>>,
}

/// Why a job is stopped from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// Somebody does not want it any more.
    Cancelled,
    /// Somebody else has it.
    Lost,
    /// The worker ends.
    HandBack,
}

impl Worker {
    /// A worker for the jobs that an app knows.
    pub fn new(jobs: Jobs, options: WorkerOptions) -> Worker {
        let all = jobs.definitions().clone();
        Worker::of(jobs, all, options)
    }

    /// A worker for some of them: the others are left to whoever takes those.
    pub fn of(jobs: Jobs, taken: Definitions, options: WorkerOptions) -> Worker {
        let (sender, ended) = mpsc::unbounded_channel();
        let slots = Arc::new(Semaphore::new(options.concurrency.max(1)));
        let name = Uuid::now_v7().to_string();
        let held = Mutex::new(HashMap::new());
        Worker { shared: Arc::new(Shared { jobs, taken, options, name, slots, ended: sender, held }), ended }
    }

    /// Its name in the table.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Does what is due by the queue's clock, and what comes of that, one after the other until nothing is left to be done now. Tells
    /// what has become of each, in order: for tests, and for whoever works off a queue and ends.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn drain(self) -> Result<Vec<JobRow>, JobsError> {
        let Worker { shared, .. } = self;
        let claim = Claim::new(&shared.jobs, &shared.taken);
        let mut begun = Vec::new();
        loop {
            tick::look(&shared, tick::Keys::All).await?;
            let taken = claim.take(&shared, 1).await?;
            if taken.rows.is_empty() && !taken.may_be_more {
                break;
            }
            for row in taken.rows {
                begun.push(row.id);
                // Nobody stops it.
                let (_stop, stopped) = oneshot::channel();
                let mut ended: Vec<Ended> = run::run(&shared, row, stopped).await.into_iter().collect();
                settle::settle_all(&shared, &mut ended).await;
            }
        }
        let found = shared.jobs.find(&begun).await?;
        let row = |id: &Uuid| found.iter().find(|row| row.id == *id).cloned();
        Ok(begun.iter().filter_map(row).collect())
    }

    /// Works until it is asked to stop; then lets what runs come to its end, and hands back what does not.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) {
        let Worker { shared, ended } = self;
        let (stopping, stopped) = watch::channel(false);
        let mut aside = JoinSet::new();
        aside.spawn(lease::renew(shared.clone()));
        aside.spawn(tick::tick(shared.clone()));
        // All of them go when this future does.
        let (mut settling, mut claiming) = (JoinSet::new(), JoinSet::new());
        settling.spawn(settle::settle(shared.clone(), ended));
        claiming.spawn(take(shared.clone(), stopped));
        stop.await;
        stopping.send_replace(true);
        // It is in the middle of a transaction at most, and what that took is handed back below.
        if !matches!(claiming.join_next().await, Some(Ok(()))) {
            tracing::error!("taking jobs had panicked");
        }
        let all = u32::try_from(shared.options.concurrency.max(1)).unwrap_or(u32::MAX);
        let idle = shared.slots.acquire_many(all);
        if tokio::time::timeout(shared.options.stop_timeout, idle).await.is_err() {
            let count = shared.held.lock().len();
            tracing::info!(count, "jobs that have not come to their end are handed back");
            for held in shared.held.lock().values_mut() {
                held.stop(Stop::HandBack);
            }
            drop(shared.slots.acquire_many(all).await);
        }
        aside.shutdown().await;
        // The last result has been sent: whoever writes them comes to its end.
        let last = shared.ended.send(Ended::last());
        if last.is_err() || !matches!(settling.join_next().await, Some(Ok(()))) {
            tracing::error!("results of jobs were not written; they will run again");
        }
    }
}

impl Held {
    fn stop(&mut self, why: Stop) {
        if let Some(stop) = self.stop.take() {
            // One that ended in this moment needs no stopping.
            let _ended = stop.send(why);
        }
    }
}

/// Takes jobs whenever there is room and there may be some.
async fn take(shared: Arc<Shared>, mut stopped: watch::Receiver<bool>) {
    let claim = Claim::new(&shared.jobs, &shared.taken);
    let store = shared.jobs.engine.store();
    let mut woken = shared.jobs.outbox.woken.subscribe();
    let mut foreign = store.foreign_changes();
    while !*stopped.borrow() {
        let room = tokio::select! {
            permit = shared.slots.clone().acquire_owned() => permit,
            _ = stopped.changed() => return,
        };
        let Ok(first) = room else { return };
        drop(first);
        let room = shared.slots.available_permits().clamp(1, TOGETHER);
        // Whatever is told from here on is not seen by this look.
        woken.mark_unchanged();
        foreign.mark_unchanged();
        let begun = Instant::now();
        let taken = match claim.take(&shared, room).await {
            Ok(taken) => taken,
            Err(error) => {
                tracing::warn!(%error, "jobs could not be taken; tried again soon");
                claim::Taken::none(shared.options.poll)
            }
        };
        crate::meters::claimed(taken.rows.len());
        let may_be_more = taken.may_be_more;
        for row in taken.rows {
            start(&shared, row).await;
        }
        if may_be_more {
            continue;
        }
        let pause = taken.next.unwrap_or(shared.options.poll).min(shared.options.poll);
        tokio::select! {
            _ = woken.changed() => {}
            Ok(()) = foreign.changed() => {}
            () = sleep(pause.max(PAUSE)) => {}
            _ = stopped.changed() => return,
        }
        if begun.elapsed() < PAUSE {
            sleep(PAUSE).await;
        }
    }
}

/// Runs a job in a task of its own.
async fn start(shared: &Arc<Shared>, row: JobRow) {
    // There is room: no more were taken.
    let Ok(slot) = shared.slots.clone().acquire_owned().await else { return };
    let (stop, stopped) = oneshot::channel();
    shared.held.lock().insert(row.id, Held { stop: Some(stop) });
    let shared = shared.clone();
    tokio::spawn(async move {
        let id = row.id;
        let ended = run::run(&shared, row, stopped).await;
        shared.held.lock().remove(&id);
        if let Some(ended) = ended
            && shared.ended.send(ended).is_err()
        {
            tracing::error!(job = %id, "its result has nobody to write it; it will run again");
        }
        drop(slot);
    });
}
