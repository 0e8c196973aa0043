//! The life of one job: enqueued, delayed, tried again, ended, stopped, retried by hand.

use std::time::Duration;

use mainstay_jobs::{Backoff, Definition, JobError, Jobs, Kept, NewJob, State, Unique, WorkerOptions};
use serde_json::json;

use crate::harness::{
    APP, Args, Database, FakeClock, definitions, effect, find, next, on_each, options, schema, told, until,
    work,
};

#[test]
fn a_job_is_there_when_its_transaction_is_and_runs_once() {
    on_each(async |kind| {
        let database = Database::open(kind, schema(APP)).await.unwrap();
        let (definition, mut begun) = told("a");
        let jobs = Jobs::new(database.engine.clone(), definitions([definition]));
        let worker = work(&jobs, options());
        let ctx = database
            .context(&mainstay_testkit::naive::Asker { admin: true, ..Default::default() })
            .await
            .unwrap();
        let along = jobs.along(vec![NewJob::new("a", &Args { n: 1 }).asked_by(&ctx)]).unwrap();
        database.engine.execute_along(&ctx, &effect(uuid::Uuid::nil()), along).await.unwrap();
        let first = next(&mut begun).await;
        assert_eq!((first.args.n, first.job.attempt, first.job.request.as_deref()), (1, 1, Some("test")));
        assert_eq!(first.job.actor.as_deref(), Some("admin"));
        assert_eq!(first.running.ctx().request_id.as_ref(), "test");
        first.end.send(Ok(())).unwrap();
        until(&jobs, first.job.id, State::Done).await;

        // One of a request that fails is not there, and nobody hears of it.
        let along = jobs.along(vec![NewJob::new("a", &Args { n: 2 })]).unwrap();
        let wrong = mainstay_engine::document::parse(br#"{"Effect": {"create": true}}"#).unwrap();
        let wrong = mainstay_engine::part::Operation { documents: wrong, ..Default::default() };
        database.engine.execute_along(&ctx, &wrong, along).await.unwrap_err();
        assert_eq!(jobs.list(None, None, 10).await.unwrap().len(), 1);
        worker.stop().await;
    });
}

#[test]
fn a_name_that_nobody_has_is_refused_and_one_that_this_worker_lacks_is_kept() {
    on_each(async |kind| {
        let database = Database::open(kind, schema(APP)).await.unwrap();
        let (a, mut begun_a) = told("a");
        let (b, _begun_b) = told("b");
        let all = Jobs::new(database.engine.clone(), definitions([a.clone(), b]));
        let only_a = Jobs::new(database.engine.clone(), definitions([a]));
        only_a.enqueue(NewJob::new("c", &())).await.unwrap_err();
        let unknown = all.enqueue(NewJob::new("b", &Args { n: 1 }).priority(9)).await.unwrap();
        let known = all.enqueue(NewJob::new("a", &Args { n: 2 })).await.unwrap();
        let worker = work(&only_a, options());
        next(&mut begun_a).await.end.send(Ok(())).unwrap();
        until(&all, known, State::Done).await;
        worker.stop().await;
        assert_eq!(find(&all, unknown).await.state, State::Ready);
    });
}

#[test]
fn what_fails_is_tried_again_later_and_later_and_dead_in_the_end() {
    on_each(async |kind| {
        let database = Database::open(kind, schema(APP)).await.unwrap();
        let (definition, mut begun) = told("a");
        let backoff = Backoff { jitter: 0.0, ..Backoff::default() };
        let clock = FakeClock::new();
        let known = definitions([definition.attempts(3).backoff(backoff)]);
        let jobs = Jobs::with_clock(database.engine.clone(), known, clock.clock());
        let worker = work(&jobs, options());
        let id = jobs.enqueue(NewJob::new("a", &Args::default())).await.unwrap();
        for (attempt, pause_s) in [(1, 2), (2, 4)] {
            let run = next(&mut begun).await;
            assert_eq!(run.job.attempt, attempt);
            run.end.send(Err(JobError::Retry(format!("failure {attempt}")))).unwrap();
            let row = until(&jobs, id, State::Scheduled).await;
            assert_eq!(row.run_at.0 - clock.now().0, pause_s * 1_000_000);
            assert_eq!(row.error, Some(format!("failure {attempt}")));
            clock.pass(Duration::from_millis(pause_s as u64 * 1000 - 1));
            jobs.list(None, None, 1).await.unwrap();
            assert_eq!(find(&jobs, id).await.state, State::Scheduled, "not before its time");
            clock.pass(Duration::from_millis(1));
        }
        next(&mut begun).await.end.send(Err(JobError::Retry("the last".to_owned()))).unwrap();
        let row = until(&jobs, id, State::Dead).await;
        assert_eq!((row.attempt, row.error.as_deref()), (3, Some("the last")));
        assert_eq!(row.finished, Some(clock.now()));

        // By hand it begins anew.
        assert_eq!(jobs.retry(&[id]).await.unwrap(), [id]);
        let run = next(&mut begun).await;
        assert_eq!(run.job.attempt, 1);
        run.end.send(Ok(())).unwrap();
        until(&jobs, id, State::Done).await;
        worker.stop().await;
    });
}

#[test]
fn a_job_can_give_itself_up_or_ask_for_another_time() {
    on_each(async |kind| {
        let database = Database::open(kind, schema(APP)).await.unwrap();
        let (definition, mut begun) = told("a");
        let jobs = Jobs::new(database.engine.clone(), definitions([definition]));
        let worker = work(&jobs, options());
        let id = jobs.enqueue(NewJob::new("a", &Args::default())).await.unwrap();
        next(&mut begun).await.end.send(Err(JobError::Later(Duration::ZERO))).unwrap();
        let again = next(&mut begun).await;
        assert_eq!(again.job.attempt, 1, "asking for another time is no attempt");
        again.end.send(Err(JobError::Discard("never".to_owned()))).unwrap();
        assert_eq!(until(&jobs, id, State::Dead).await.error.as_deref(), Some("never"));
        let wrong = jobs.enqueue(NewJob::new("a", &json!({"n": "one"}))).await.unwrap();
        let row = until(&jobs, wrong, State::Dead).await;
        assert!(row.error.as_deref().is_some_and(|words| words.contains("arguments")), "{row:?}");
        worker.stop().await;
    });
}

#[test]
fn a_panic_is_a_failure_like_any_other() {
    on_each(async |kind| {
        let database = Database::open(kind, schema(APP)).await.unwrap();
        let definition = Definition::new("a", async |_, ()| panic!("oh")).attempts(1);
        let jobs = Jobs::new(database.engine.clone(), definitions([definition]));
        let worker = work(&jobs, options());
        let id = jobs.enqueue(NewJob::new("a", &())).await.unwrap();
        let row = until(&jobs, id, State::Dead).await;
        assert_eq!(row.error.as_deref(), Some("its handler panicked: oh"));
        worker.stop().await;
    });
}

#[test]
fn a_job_that_takes_too_long_or_is_cancelled_is_dropped_where_it_waits() {
    on_each(async |kind| {
        let database = Database::open(kind, schema(APP)).await.unwrap();
        let (definition, mut begun) = told("a");
        let known = definitions([definition.attempts(1)]);
        let jobs = Jobs::new(database.engine.clone(), known);
        let lease = Duration::from_millis(300);
        let worker = work(&jobs, WorkerOptions { lease, ..options() });
        let slow = NewJob::new("a", &Args::default()).timeout(Duration::from_millis(50));
        let slow = jobs.enqueue(slow).await.unwrap();
        let mut run = next(&mut begun).await;
        run.end.closed().await;
        let row = until(&jobs, slow, State::Dead).await;
        assert_eq!(row.error.as_deref(), Some("it took longer than 50ms"));

        let unwanted = jobs.enqueue(NewJob::new("a", &Args::default())).await.unwrap();
        let mut run = next(&mut begun).await;
        assert_eq!(jobs.cancel(&[unwanted]).await.unwrap(), [(unwanted, State::Running)]);
        run.end.closed().await;
        until(&jobs, unwanted, State::Cancelled).await;

        let later = NewJob::new("a", &Args::default()).delay(Duration::from_secs(3600));
        let later = jobs.enqueue(later).await.unwrap();
        assert_eq!(jobs.cancel(&[later]).await.unwrap(), [(later, State::Cancelled)]);
        assert_eq!(jobs.cancel(&[later]).await.unwrap(), []);
        worker.stop().await;
    });
}

#[test]
fn a_worker_that_stops_lets_jobs_end_and_hands_back_what_does_not() {
    on_each(async |kind| {
        let database = Database::open(kind, schema(APP)).await.unwrap();
        let (definition, mut begun) = told("a");
        let jobs = Jobs::new(database.engine.clone(), definitions([definition]));
        let short = WorkerOptions { stop_timeout: Duration::from_millis(100), ..options() };
        let worker = work(&jobs, short);
        let quick = jobs.enqueue(NewJob::new("a", &Args { n: 1 })).await.unwrap();
        let quick_run = next(&mut begun).await;
        let slow = jobs.enqueue(NewJob::new("a", &Args { n: 2 })).await.unwrap();
        let mut slow_run = next(&mut begun).await;
        let stopping = tokio::spawn(worker.stop());
        quick_run.end.send(Ok(())).unwrap();
        slow_run.end.closed().await;
        stopping.await.unwrap();
        assert_eq!(find(&jobs, quick).await.state, State::Done);
        let row = find(&jobs, slow).await;
        assert_eq!(
            (row.state, row.attempt, row.worker),
            (State::Ready, 0, None),
            "as if it had not been begun"
        );
    });
}

#[test]
fn jobs_of_a_lost_worker_come_back_and_what_it_says_of_them_does_not_count() {
    on_each(async |kind| {
        let database = Database::open(kind, schema(APP)).await.unwrap();
        let (definition, mut begun) = told("a");
        let clock = FakeClock::new();
        let known = definitions([definition.attempts(2)]);
        let jobs = Jobs::with_clock(database.engine.clone(), known, clock.clock());
        // A lease that nobody renews in the time of the test, but by the clock of the test.
        let first = work(&jobs, WorkerOptions { poll: Duration::from_secs(3600), ..options() });
        let id = jobs.enqueue(NewJob::new("a", &Args::default())).await.unwrap();
        let lost = next(&mut begun).await;
        assert_eq!(lost.job.id, id);
        assert_eq!(find(&jobs, id).await.worker.as_deref(), Some(&*first.name));
        clock.pass(Duration::from_secs(31));
        assert_eq!(jobs.rescue().await.unwrap(), 1);
        let again = next(&mut begun).await;
        assert_eq!((again.job.id, again.job.attempt), (id, 2));
        let ctx = lost.running.ctx();
        let error = lost.running.complete_with(&ctx, &effect(id)).await.unwrap_err();
        assert_eq!(error.key, mainstay_engine::error::Key::Version, "{error:?}");
        again.running.complete_with(&again.running.ctx(), &effect(id)).await.unwrap();
        assert_eq!(find(&jobs, id).await.state, State::Done);
        // What the handler does behind the end of its job changes nothing of it.
        again.end.send(Err(JobError::Retry("too late".to_owned()))).unwrap();
        // The lost run may have been given up meanwhile, and hears nothing any more.
        lost.end.send(Ok(())).ok();
        first.stop().await;
        assert_eq!(find(&jobs, id).await.state, State::Done);
        let effects = database.world().await.unwrap();
        let table = database.engine.schema().table_named("Effect").unwrap().id;
        assert_eq!(effects.rows(table).len(), 1);
    });
}

#[test]
fn one_waits_under_a_unique_key_and_another_while_it_runs() {
    on_each(async |kind| {
        let database = Database::open(kind, schema(APP)).await.unwrap();
        let (definition, mut begun) = told("a");
        let jobs = Jobs::new(database.engine.clone(), definitions([definition]));
        let new = |n, unique| NewJob::new("a", &Args { n }).unique("k", unique);
        let first = jobs.enqueue(new(1, Unique::Ignore)).await.unwrap();
        assert_eq!(jobs.enqueue(new(2, Unique::Ignore)).await.unwrap(), first);
        assert_eq!(find(&jobs, first).await.args, r#"{"n":1}"#);
        assert_eq!(jobs.enqueue(new(3, Unique::Replace)).await.unwrap(), first);
        assert_eq!(find(&jobs, first).await.args, r#"{"n":3}"#);
        let worker = work(&jobs, options());
        let run = next(&mut begun).await;
        assert_eq!(run.args.n, 3);
        let second = jobs.enqueue(new(4, Unique::Ignore)).await.unwrap();
        assert_ne!(second, first, "the one that runs has read what it read");
        run.end.send(Ok(())).unwrap();
        next(&mut begun).await.end.send(Ok(())).unwrap();
        until(&jobs, second, State::Done).await;
        worker.stop().await;
    });
}

#[test]
fn progress_is_seen_and_what_is_finished_is_forgotten_in_time() {
    on_each(async |kind| {
        let database = Database::open(kind, schema(APP)).await.unwrap();
        let (definition, mut begun) = told("a");
        let clock = FakeClock::new();
        let jobs = Jobs::with_clock(database.engine.clone(), definitions([definition]), clock.clock());
        let worker = work(&jobs, options());
        let done = jobs.enqueue(NewJob::new("a", &Args::default())).await.unwrap();
        let run = next(&mut begun).await;
        run.running.progress(&json!({"done": 3, "of": 7})).await.unwrap();
        assert_eq!(find(&jobs, done).await.progress.as_deref(), Some(r#"{"done":3,"of":7}"#));
        run.end.send(Ok(())).unwrap();
        until(&jobs, done, State::Done).await;
        let dead = jobs.enqueue(NewJob::new("a", &Args::default())).await.unwrap();
        next(&mut begun).await.end.send(Err(JobError::Discard("no".to_owned()))).unwrap();
        until(&jobs, dead, State::Dead).await;
        worker.stop().await;
        let later = NewJob::new("a", &Args::default()).delay(Duration::from_secs(1 << 30));
        let waits = jobs.enqueue(later).await.unwrap();
        let kept = Kept::default();
        assert_eq!(jobs.prune(kept).await.unwrap(), 0);
        clock.pass(kept.done + Duration::from_secs(1));
        assert_eq!(jobs.prune(kept).await.unwrap(), 1);
        let left: Vec<_> = jobs.list(None, None, 10).await.unwrap().into_iter().map(|row| row.id).collect();
        assert_eq!(left, [waits, dead]);
        clock.pass(kept.dead);
        assert_eq!(jobs.prune(kept).await.unwrap(), 1);
        assert_eq!(jobs.list(None, None, 10).await.unwrap().len(), 1, "what waits is never forgotten");
    });
}
