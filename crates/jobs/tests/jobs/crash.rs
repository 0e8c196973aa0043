//! Workers that are killed at any moment: no job is lost, each that ended with its effects has them exactly once, and the more urgent
//! ones were begun first.
//!
//! Workers are processes, this test program itself, which finds in its environment that it is to work. How many jobs:
//! `MAINSTAY_JOBS=100000`.

use std::collections::HashMap;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_engine::part::Operation;
use mainstay_engine::{Engine, MayChange, Options, document, limits::Limits};
use mainstay_jobs::{Definition, Definitions, JobError, JobRow, Jobs, NewJob, Running, State, WorkerOptions};
use mainstay_store::{Store, StoreOptions, Synchronous};
use mainstay_testkit::dice::Dice;
use mainstay_testkit::naive::World;
use uuid::Uuid;

use crate::harness::{APP, Database, on_each, schema, work};

const URL: &str = "MAINSTAY_TEST_WORKS_ON";
const WORKERS: usize = 3;
const LEASE: Duration = Duration::from_secs(2);

/// Workers take at the same time, each some: so far apart they may be in telling when that was.
const AT_ONCE_US: i64 = 1_000_000;

fn jobs_wanted() -> usize {
    std::env::var("MAINSTAY_JOBS").map_or(400, |text| text.parse().expect("MAINSTAY_JOBS is a number"))
}

fn operation(text: &str) -> Operation {
    Operation { documents: document::parse(text.as_bytes()).unwrap(), ..Operation::default() }
}

fn effect(what: &str, job: Uuid) -> Operation {
    operation(&format!(r#"{{"Effect": {{"create": true, "job": "{what} {job}"}}}}"#))
}

/// One kind of job ends with its effects, the other has them before it ends.
fn known() -> Definitions {
    let mut known = Definitions::default();
    known.add(Definition::new("with", async |running: Running, ()| {
        let done = running.complete_with(&running.ctx(), &effect("with", running.job().id)).await;
        done.map(drop).map_err(|error| JobError::Retry(error.to_string()))
    }));
    known.add(Definition::new("before", async |running: Running, ()| {
        let done = running.engine().execute(&running.ctx(), &effect("before", running.job().id)).await;
        done.map(drop).map_err(|error| JobError::Retry(error.to_string()))
    }));
    known
}

fn store_options(url: &str) -> StoreOptions {
    let mut options = StoreOptions::new(url.parse().unwrap());
    // A process that is killed loses nothing of what the system has taken.
    options.synchronous = Synchronous::Normal;
    options.exclusive = url.starts_with("postgres");
    options.readers = 1;
    options.postgres.shared_readers = 1;
    options.postgres.writers = 4;
    options
}

async fn open(url: &str) -> Jobs {
    let store = Store::open(&store_options(url)).unwrap();
    let options = Options { may_change: MayChange::default(), limits: Limits::default() };
    Jobs::new(Arc::new(Engine::open(schema(APP), store, options).await.unwrap()), known())
}

/// What a worker's process does: works until it is killed. In a usual run it does nothing.
#[test]
fn a_process_that_works() {
    let Ok(url) = std::env::var(URL) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let jobs = open(&url).await;
        let poll = Duration::from_millis(50);
        let options = WorkerOptions { lease: LEASE, poll, concurrency: 4, ..WorkerOptions::default() };
        let _work = work(&jobs, options);
        std::future::pending::<()>().await;
    });
}

fn start(url: &str) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "crash::a_process_that_works", "--nocapture"]).env(URL, url);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Ends what was started, however the test ends.
struct Processes(Vec<Child>);

impl Drop for Processes {
    fn drop(&mut self) {
        for child in &mut self.0 {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// Of jobs that were all there before anybody worked none was begun while a more urgent one waited. Only of those that were begun once
/// is it known when they waited: what was killed comes back when its lease ends.
fn urgent_ones_came_first(done: &[JobRow]) {
    let once = done.iter().filter(|job| job.attempt == 1);
    let mut begun: Vec<_> = once.map(|job| (job.priority, job.started.unwrap().0)).collect();
    assert!(begun.len() * 2 > done.len(), "most are begun once");
    begun.sort_unstable_by_key(|(priority, at)| (std::cmp::Reverse(*priority), *at));
    // When the last of those was begun that are more urgent than the one that is looked at.
    let (mut before, mut level, mut latest) = (i64::MIN, i64::MAX, i64::MIN);
    for (priority, at) in begun {
        if priority != level {
            (level, before) = (priority, before.max(latest));
        }
        latest = latest.max(at);
        let early_us = before.saturating_sub(at);
        assert!(
            early_us < AT_ONCE_US,
            "one of priority {priority} was begun {early_us} µs before a more urgent one"
        );
    }
}

#[test]
fn nothing_is_lost_when_workers_are_killed() {
    on_each(async |kind| {
        let database = Database::open(kind, schema(APP)).await.unwrap();
        let url = database.url();
        let jobs = Jobs::new(database.engine.clone(), known());
        let count = jobs_wanted();
        let mut all: HashMap<Uuid, &str> = HashMap::new();
        let some: Vec<usize> = (0..count).collect();
        for some in some.chunks(1000) {
            let name = |n: &usize| if n.is_multiple_of(2) { "with" } else { "before" };
            let new = some
                .iter()
                .map(|n| NewJob::new(name(n), &()).attempts(1000).priority((n % 5) as i64))
                .collect();
            let ids = jobs.enqueue_all(new).await.unwrap();
            all.extend(ids.into_iter().zip(some.iter().map(name)));
        }
        let mut processes = Processes((0..WORKERS).map(|_| start(&url)).collect());
        let mut dice = Dice::new(7);
        // Workers are killed more often than they would end many.
        let patience = Duration::from_secs(120 + count as u64 / 50);
        let begun = Instant::now();
        let mut kills = 0;
        loop {
            let counts = jobs.counts().await.unwrap();
            let left: u64 = counts.iter().filter(|count| !count.1.is_final()).map(|count| count.2).sum();
            if left == 0 {
                break;
            }
            assert!(begun.elapsed() < patience, "{counts:?} after {kills} kills");
            // At any moment of what they do, for as long as there is something to be killed in.
            tokio::time::sleep(Duration::from_millis(30 + dice.below(300) as u64)).await;
            let victim = &mut processes.0[dice.below(WORKERS)];
            victim.kill().unwrap();
            victim.wait().unwrap();
            *victim = start(&url);
            kills += 1;
        }
        drop(processes);
        let world: World = database.world().await.unwrap();
        let table = database.engine.schema().table_named("Effect").unwrap();
        let place = table.column_named("job").unwrap().id.0 as usize;
        let mut effects: HashMap<String, usize> = HashMap::new();
        for row in world.rows(table.id) {
            *effects.entry(row[place].to_string()).or_default() += 1;
        }
        for (id, name) in &all {
            let times = effects.remove(&format!("{name} {id}")).unwrap_or(0);
            match *name {
                "with" => assert_eq!(times, 1, "{id} ended with its effects, after {kills} kills"),
                _ => assert!(times >= 1, "{id} has no effect, after {kills} kills"),
            }
        }
        assert!(effects.is_empty(), "effects of no job: {effects:?}");
        eprintln!("{kind:?}: {count} jobs, {kills} kills, {:?}", begun.elapsed());
        assert_eq!(jobs.list(Some(State::Dead), None, 10).await.unwrap(), []);
        let done = jobs.list(Some(State::Done), None, u32::try_from(count).unwrap()).await.unwrap();
        assert_eq!(done.len(), count);
        urgent_ones_came_first(&done);
    });
}
