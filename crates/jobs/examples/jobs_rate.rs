//! How fast the queue is, on a database of its own: `jobs_rate URL COUNT PENDING`. One line of JSON for the benchmark.
//!
//! Measured: enqueueing in batches, jobs that do nothing from the first claim to the last result, the time from enqueueing one to its
//! handler while all is idle, and the same draining with many jobs pending behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use mainstay_engine::limits::Limits;
use mainstay_engine::{Engine, MayChange, Options, prelude};
use mainstay_jobs::{Definition, Definitions, Jobs, NewJob, Worker, WorkerOptions};
use mainstay_lang::analyse::analyse;
use mainstay_lang::source::Sources;
use mainstay_store::{Store, StoreOptions};
use tokio::sync::{Notify, mpsc, oneshot};

const TOGETHER: usize = 1000;
const WAKES: usize = 200;

struct Done {
    count: AtomicUsize,
    wanted: AtomicUsize,
    all: Notify,
}

async fn enqueue(jobs: &Jobs, name: &str, count: usize, priority: i64) -> Result<Duration> {
    let begun = Instant::now();
    let batches = count.div_ceil(TOGETHER);
    let tasks = (0..4).map(|task| {
        let (jobs, name) = (jobs.clone(), name.to_owned());
        tokio::spawn(async move {
            for batch in (task..batches).step_by(4) {
                let size = TOGETHER.min(count - batch * TOGETHER);
                let new = (0..size).map(|n| NewJob::new(&name, &n).priority(priority)).collect();
                jobs.enqueue_all(new).await?;
            }
            Ok::<(), mainstay_jobs::JobsError>(())
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await??;
    }
    Ok(begun.elapsed())
}

/// The time in which a worker does `count` of the jobs that wait.
async fn drain(jobs: &Jobs, done: &Arc<Done>, count: usize) -> Result<Duration> {
    done.count.store(0, Ordering::SeqCst);
    done.wanted.store(count, Ordering::SeqCst);
    let (stop, stopped) = oneshot::channel::<()>();
    let options = WorkerOptions { concurrency: 1000, ..WorkerOptions::default() };
    let worker = Worker::new(jobs.clone(), options);
    let begun = Instant::now();
    let running = tokio::spawn(worker.run(async {
        drop(stopped.await);
    }));
    done.all.notified().await;
    drop(stop);
    running.await?;
    Ok(begun.elapsed())
}

async fn measure(url: &str, count: usize, pending: usize) -> Result<serde_json::Value> {
    let analysis = analyse(&prelude::load(Sources::default()));
    let schema = Arc::new(analysis.schema.context("the platform's tables are a schema")?);
    let mut options = StoreOptions::new(url.parse()?);
    options.exclusive = true;
    let store = Store::open(&options)?;
    let options = Options { may_change: MayChange::IN_DEVELOPMENT, limits: Limits::default() };
    let engine = Arc::new(Engine::open(schema, store, options).await?);

    let done = Arc::new(Done { count: 0.into(), wanted: 0.into(), all: Notify::new() });
    let (woken, mut wakes) = mpsc::unbounded_channel();
    let mut known = Definitions::default();
    let counted = done.clone();
    known.add(Definition::new("nothing", move |_, _: u64| {
        if counted.count.fetch_add(1, Ordering::SeqCst) + 1 == counted.wanted.load(Ordering::SeqCst) {
            counted.all.notify_one();
        }
        std::future::ready(Ok(()))
    }));
    known.add(Definition::new("wake", move |_, _: u64| {
        let sent = woken.send(Instant::now());
        std::future::ready(sent.map_err(Into::into))
    }));
    let jobs = Jobs::new(engine.clone(), known.clone());

    let enqueued = enqueue(&jobs, "nothing", count, 0).await?;
    let worked = drain(&jobs, &done, count).await?;

    let (stop, stopped) = oneshot::channel::<()>();
    let worker = Worker::new(jobs.clone(), WorkerOptions::default());
    let running = tokio::spawn(worker.run(async {
        drop(stopped.await);
    }));
    let mut waits = Vec::with_capacity(WAKES);
    for _ in 0..WAKES {
        let begun = Instant::now();
        jobs.enqueue(NewJob::new("wake", &0)).await?;
        let at = wakes.recv().await.context("the worker runs")?;
        waits.push(at.saturating_duration_since(begun));
    }
    drop(stop);
    running.await?;
    waits.sort();

    let mut beside = None;
    if pending > 0 {
        enqueue(&jobs, "nothing", pending, 0).await?;
        beside = Some(drain(&jobs, &done, count).await?);
    }
    engine.store().close().await;
    let rate = |time: Duration| (count as f64 / time.as_secs_f64()).round();
    Ok(serde_json::json!({
        "enqueued_per_s": rate(enqueued),
        "worked_per_s": rate(worked),
        "worked_per_s_with_pending": beside.map(rate),
        "wake_p50_ms": waits[WAKES / 2].as_secs_f64() * 1000.0,
        "wake_p99_ms": waits[WAKES * 99 / 100].as_secs_f64() * 1000.0,
    }))
}

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [url, count, pending] = &words[..] else { anyhow::bail!("usage: jobs_rate URL COUNT PENDING") };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let measured = runtime.block_on(measure(url, count.parse()?, pending.parse()?))?;
    serde_json::to_writer(std::io::stdout(), &measured)?;
    Ok(())
}
