//! In which order jobs are taken, by many workers at once; batches; the clock's jobs.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use mainstay_jobs::{CatchUp, Definition, Jobs, NewJob, Running, Schedule, State, WorkerOptions};
use parking_lot::Mutex;
use uuid::Uuid;

use crate::harness::{
    APP, Args, Database, DatabaseKind, FakeClock, definitions, find, next, on_each, options, schema, told,
    until, work,
};

#[test]
fn the_greater_priority_comes_first_and_the_older_among_equals() {
    on_each(async |kind| {
        let database = Database::open(kind, schema(APP)).await.unwrap();
        let ((a, mut begun), (b, _)) = (told("a"), told("b"));
        let jobs = Jobs::new(database.engine.clone(), definitions([a, b]));
        let priorities = [0, 5, -3, 5, 9, 0];
        let new =
            priorities.iter().zip(0..).map(|(priority, n)| NewJob::new("a", &Args { n }).priority(*priority));
        jobs.enqueue_all(new.collect()).await.unwrap();
        let worker = work(&jobs, WorkerOptions { concurrency: 1, ..options() });
        let mut order = Vec::new();
        for _ in priorities {
            let run = next(&mut begun).await;
            order.push(run.args.n);
            run.end.send(Ok(())).unwrap();
        }
        assert_eq!(order, [4, 1, 3, 0, 5, 2]);
        worker.stop().await;
    });
}

#[test]
fn many_workers_take_each_job_once() {
    on_each(async |kind| {
        let database = Database::open(kind, schema(APP)).await.unwrap();
        let seen: Arc<Mutex<Vec<Uuid>>> = Arc::default();
        let note = seen.clone();
        let definition = Definition::new("a", move |running: Running, _: Args| {
            note.lock().push(running.job().id);
            std::future::ready(Ok(()))
        });
        let jobs = Jobs::new(database.engine.clone(), definitions([definition]));
        let workers: Vec<_> = (0..4).map(|_| work(&jobs, options())).collect();
        let mut all = HashSet::new();
        for _ in 0..10 {
            let new = (0..100).map(|n| NewJob::new("a", &Args { n }));
            all.extend(jobs.enqueue_all(new.collect()).await.unwrap());
        }
        for id in &all {
            until(&jobs, *id, State::Done).await;
        }
        for worker in workers {
            worker.stop().await;
        }
        let seen = seen.lock();
        assert_eq!((seen.len(), seen.iter().copied().collect::<HashSet<_>>()), (1000, all));
    });
}

#[test]
fn a_batch_calls_back_when_all_of_it_has_ended() {
    on_each(async |kind| {
        let database = Database::open(kind, schema(APP)).await.unwrap();
        let ((a, mut begun), (then, mut begun_then)) = (told("a"), told("then"));
        let jobs = Jobs::new(database.engine.clone(), definitions([a.attempts(1), then]));
        let worker = work(&jobs, options());
        let members = (0..3).map(|n| NewJob::new("a", &Args { n })).collect();
        let batch = jobs.batch(members, NewJob::new("then", &Args { n: 9 })).await.unwrap();
        let runs = [next(&mut begun).await, next(&mut begun).await, next(&mut begun).await];
        let mut ids = Vec::new();
        for (place, run) in runs.into_iter().enumerate() {
            assert_eq!(run.job.batch, Some(batch));
            assert_eq!(find(&jobs, batch).await.state, State::Waiting);
            ids.push(run.job.id);
            // One that is dead has ended too.
            let end = if place == 1 { Err(mainstay_jobs::JobError::Retry("no".to_owned())) } else { Ok(()) };
            run.end.send(end).unwrap();
        }
        let last = next(&mut begun_then).await;
        assert_eq!((last.job.id, last.args.n), (batch, 9));
        last.end.send(Ok(())).unwrap();
        until(&jobs, batch, State::Done).await;
        let nobody = jobs.batch(Vec::new(), NewJob::new("then", &Args { n: 10 })).await.unwrap();
        assert_eq!(next(&mut begun_then).await.job.id, nobody, "a batch of none has ended");
        worker.stop().await;
    });
}

#[test]
fn the_clock_makes_a_job_once_however_many_look() {
    on_each(async |kind| {
        let database = Database::open(kind, schema(APP)).await.unwrap();
        let clock = FakeClock::new();
        let hourly = Schedule::parse("0 * * * *", "Europe/Amsterdam").unwrap();
        let (definition, _begun) = told("a");
        let definition = definition.schedule(hourly, CatchUp::All { most: 100 });
        let jobs =
            Jobs::with_clock(database.engine.clone(), definitions([definition.clone()]), clock.clock());
        assert_eq!(jobs.enqueue_scheduled(&definition).await.unwrap(), 0, "nothing was missed at first");
        clock.pass(Duration::from_secs(2 * 3600 + 1));
        let looks = (0..4).map(|_| jobs.enqueue_scheduled(&definition));
        let made = futures_util::future::join_all(looks).await;
        assert_eq!(made.into_iter().map(Result::unwrap).sum::<usize>(), 2);
        let args: HashSet<_> =
            jobs.list(None, Some("a"), 10).await.unwrap().into_iter().map(|row| row.args).collect();
        let expect = ["01", "02"].map(|hour| format!(r#"{{"at":"2026-03-01T{hour}:00:00.000000Z"}}"#));
        assert_eq!(args, HashSet::from(expect));
    });
}

/// Whoever is told of a commit looks for jobs, and looking is a commit: were others told of that, two servers would never rest.
#[test]
fn looking_for_jobs_tells_nobody() {
    on_each(async |kind| {
        if kind == DatabaseKind::Sqlite {
            // There commits of this process alone are told, and to itself.
            return;
        }
        let database = Database::open(kind, schema(APP)).await.unwrap();
        let (definition, _begun) = told("a");
        let jobs = Jobs::new(database.engine.clone(), definitions([definition]));
        let commits = database.engine.store().commits();
        let told = *commits.borrow();
        let worker = work(&jobs, options());
        let before = database.engine.store().metrics().commits;
        while database.engine.store().metrics().commits < before + 20 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(*commits.borrow(), told);
        worker.stop().await;
    });
}
