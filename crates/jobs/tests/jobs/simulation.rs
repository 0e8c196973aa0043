//! Many things at once, by chance, under a clock that jumps: jobs fail, workers vanish in the middle of them, leases end under those who
//! still work. Whatever happens, each job comes to an end, its effects are there once when it is done and never when it is dead, it is
//! not begun more often than it may be, and never before its time.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use mainstay_jobs::{Backoff, JobError, Jobs, NewJob, State, WorkerOptions};
use mainstay_testkit::dice::Dice;
use uuid::Uuid;

use crate::harness::{
    APP, Args, Begun, Database, FakeClock, definitions, effect, on_each, options, schema, told, work,
};

const ATTEMPTS_MAX: u32 = 4;
const STEPS: usize = 120;
const JOBS_MAX: usize = 25;
const PATIENCE: Duration = Duration::from_secs(60);

/// Ends a job together with its effect, or learns that it is somebody else's.
async fn complete(begun: Begun) {
    let ctx = begun.running.ctx();
    match begun.running.complete_with(&ctx, &effect(begun.job.id)).await {
        Ok(_) => {}
        Err(error) => assert_eq!(error.key, mainstay_engine::error::Key::Version, "{error:?}"),
    }
    // Nobody waits for it where its worker has given it up.
    let _given_up = begun.end.send(Ok(()));
}

#[test]
fn every_job_comes_to_its_end_whatever_happens() {
    on_each(async |kind| {
        for seed in 0..kind.share(20) as u64 {
            let mut dice = Dice::new(seed);
            let database = Database::open(kind, schema(APP)).await.unwrap();
            let (definition, mut told) = told("a");
            let clock = FakeClock::new();
            let backoff = Backoff { jitter: 0.5, ..Backoff::default() };
            let known = definitions([definition.attempts(ATTEMPTS_MAX).backoff(backoff).key_limit(2)]);
            let jobs = Jobs::with_clock(database.engine.clone(), known, clock.clock());
            let few = WorkerOptions { concurrency: 3, ..options() };
            let mut workers = vec![work(&jobs, few.clone()), work(&jobs, few.clone())];
            let mut running: Vec<Begun> = Vec::new();
            let mut all: Vec<Uuid> = Vec::new();
            let mut begun_at: HashMap<Uuid, usize> = HashMap::new();
            for _ in 0..STEPS {
                while let Ok(begun) = told.try_recv() {
                    assert!(begun.job.run_at <= clock.now(), "before its time: {:?}", begun.job);
                    *begun_at.entry(begun.job.id).or_default() += 1;
                    running.push(begun);
                }
                match dice.below(12) {
                    0..3 if all.len() < JOBS_MAX => {
                        let mut new = NewJob::new("a", &Args { n: all.len() as i64 });
                        new = new
                            .priority(dice.below(3) as i64)
                            .delay(Duration::from_secs(dice.below(20) as u64));
                        if dice.one_in(3) {
                            new = new.one_at_a_time(format!("key {}", dice.below(2)));
                        }
                        all.push(jobs.enqueue(new).await.unwrap());
                    }
                    3..6 if !running.is_empty() => {
                        complete(running.swap_remove(dice.below(running.len()))).await
                    }
                    6..8 if !running.is_empty() => {
                        let failing = running.swap_remove(dice.below(running.len()));
                        let _given_up = failing.end.send(Err(JobError::Retry("by chance".to_owned())));
                    }
                    8 => clock.pass(Duration::from_millis(dice.below(20_000) as u64)),
                    9 => {
                        jobs.rescue().await.unwrap();
                    }
                    10 if dice.one_in(3) => {
                        // It vanishes without a word; its handlers may go on for a while, as those of one that is cut off do.
                        let place = dice.below(workers.len());
                        std::mem::replace(&mut workers[place], work(&jobs, few.clone())).vanish();
                    }
                    _ => tokio::task::yield_now().await,
                }
            }
            let begun = Instant::now();
            loop {
                while let Ok(begun) = told.try_recv() {
                    *begun_at.entry(begun.job.id).or_default() += 1;
                    running.push(begun);
                }
                for begun in running.drain(..) {
                    complete(begun).await;
                }
                let counts = jobs.counts().await.unwrap();
                if counts.iter().all(|count| count.1.is_final()) {
                    break;
                }
                assert!(begun.elapsed() < PATIENCE, "seed {seed}: {counts:?}");
                clock.pass(Duration::from_secs(7));
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            for worker in workers {
                worker.stop().await;
            }
            let world = database.world().await.unwrap();
            let table = database.engine.schema().table_named("Effect").unwrap();
            let place = table.column_named("job").unwrap().id.0 as usize;
            let rows = world.rows(table.id);
            for row in jobs.find(&all).await.unwrap() {
                let effects =
                    rows.iter().filter(|effect| effect[place].to_string() == row.id.to_string()).count();
                let expect = usize::from(row.state == State::Done);
                assert_eq!(effects, expect, "seed {seed}: {row:?}");
                assert!(row.attempt <= i64::from(ATTEMPTS_MAX), "seed {seed}: {row:?}");
                assert!(
                    begun_at.get(&row.id).is_none_or(|times| *times <= ATTEMPTS_MAX as usize),
                    "seed {seed}: {row:?}"
                );
            }
        }
    });
}
