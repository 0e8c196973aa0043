//! Limits of keys, queues and rates, over several workers.

use std::time::Duration;

use mainstay_jobs::{Jobs, NewJob, State, WorkerOptions};

use crate::harness::{
    APP, Args, Database, FakeClock, definitions, find, next, on_each, options, schema, told, until, work,
};

#[test]
fn jobs_of_a_key_run_one_at_a_time_and_in_nobodys_way() {
    on_each(async |kind| {
        let database = Database::open(kind, schema(APP)).await.unwrap();
        let (definition, mut begun) = told("a");
        let jobs = Jobs::new(database.engine.clone(), definitions([definition]));
        let workers = [work(&jobs, options()), work(&jobs, options())];
        let keyed = |n| NewJob::new("a", &Args { n }).one_at_a_time("k").priority(5);
        let ids = jobs.enqueue_all((0..4).map(keyed).collect()).await.unwrap();
        let mut running = next(&mut begun).await;
        let free = jobs.enqueue(NewJob::new("a", &Args { n: 100 })).await.unwrap();
        let other = next(&mut begun).await;
        assert_eq!(other.job.id, free, "one without the key passes those that wait for theirs");
        other.end.send(Ok(())).unwrap();
        until(&jobs, free, State::Done).await;
        for n in 1..4 {
            assert!(begun.try_recv().is_err(), "a second one of the key has begun");
            running.end.send(Ok(())).unwrap();
            running = next(&mut begun).await;
            assert_eq!(running.args.n, n);
        }
        running.end.send(Ok(())).unwrap();
        for id in ids {
            until(&jobs, id, State::Done).await;
        }
        for worker in workers {
            worker.stop().await;
        }
    });
}

#[test]
fn a_queue_runs_no_more_than_its_limit() {
    on_each(async |kind| {
        let database = Database::open(kind, schema(APP)).await.unwrap();
        let (a, mut begun) = told("a");
        let mut known = definitions([a.queue("slow")]);
        known.queue_limit("slow", 2);
        let jobs = Jobs::new(database.engine.clone(), known);
        let ids = jobs.enqueue_all((0..5).map(|n| NewJob::new("a", &Args { n })).collect()).await.unwrap();
        let workers = [work(&jobs, options()), work(&jobs, options())];
        let mut running = vec![next(&mut begun).await, next(&mut begun).await];
        for _ in 0..3 {
            let states = jobs.list(Some(State::Running), None, 10).await.unwrap();
            assert_eq!(states.len(), 2);
            assert!(begun.try_recv().is_err(), "a third one of the queue has begun");
            running.remove(0).end.send(Ok(())).unwrap();
            running.push(next(&mut begun).await);
        }
        for run in running {
            run.end.send(Ok(())).unwrap();
        }
        for id in ids {
            until(&jobs, id, State::Done).await;
        }
        for worker in workers {
            worker.stop().await;
        }
    });
}

#[test]
fn no_more_begin_within_a_span_than_the_rate() {
    on_each(async |kind| {
        let database = Database::open(kind, schema(APP)).await.unwrap();
        let ((a, mut begun), (b, mut begun_b)) = (told("a"), told("b"));
        let clock = FakeClock::new();
        let known = definitions([a.rate(2, Duration::from_secs(10)), b]);
        let jobs = Jobs::with_clock(database.engine.clone(), known, clock.clock());
        let workers = [work(&jobs, options()), work(&jobs, options())];
        jobs.enqueue_all((0..4).map(|n| NewJob::new("a", &Args { n })).collect()).await.unwrap();
        for _ in 0..2 {
            next(&mut begun).await.end.send(Ok(())).unwrap();
        }
        let other = jobs.enqueue(NewJob::new("b", &Args::default())).await.unwrap();
        next(&mut begun_b).await.end.send(Ok(())).unwrap();
        until(&jobs, other, State::Done).await;
        assert!(begun.try_recv().is_err(), "a third one has begun within the span");
        clock.pass(Duration::from_secs(5));
        let third = next(&mut begun).await;
        assert_eq!(third.args.n, 2);
        assert!(begun.try_recv().is_err(), "one at a time behind the first ones");
        third.end.send(Ok(())).unwrap();
        clock.pass(Duration::from_secs(5));
        next(&mut begun).await.end.send(Ok(())).unwrap();
        for worker in workers {
            worker.stop().await;
        }
    });
}

#[test]
fn a_job_of_a_key_whose_worker_was_lost_gives_way() {
    on_each(async |kind| {
        let database = Database::open(kind, schema(APP)).await.unwrap();
        let (definition, mut begun) = told("a");
        let clock = FakeClock::new();
        let known = definitions([definition.attempts(1)]);
        let jobs = Jobs::with_clock(database.engine.clone(), known, clock.clock());
        let first = work(&jobs, WorkerOptions { poll: Duration::from_secs(3600), ..options() });
        let keyed = |n| NewJob::new("a", &Args { n }).one_at_a_time("k");
        let ids = jobs.enqueue_all(vec![keyed(0), keyed(1)]).await.unwrap();
        let lost = next(&mut begun).await;
        until(&jobs, ids[1], State::Blocked).await;
        clock.pass(Duration::from_secs(31));
        let second = work(&jobs, options());
        let then = next(&mut begun).await;
        assert_eq!(then.job.id, ids[1]);
        assert_eq!(find(&jobs, ids[0]).await.state, State::Dead, "that was its last attempt");
        then.end.send(Ok(())).unwrap();
        until(&jobs, ids[1], State::Done).await;
        drop(lost);
        second.stop().await;
        first.stop().await;
    });
}
