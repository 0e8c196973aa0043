//! Jobs that hooks enqueue: there when their request is kept, and only then.

use std::sync::Arc;

use mainstay_engine::error::{Error, Key};
use mainstay_engine::hook::{HookCtx, Results, Row};
use mainstay_engine::part::Operation;
use mainstay_engine::plugin::{Plugin, Plugins, Setup};
use mainstay_engine::response::Response;
use mainstay_engine::{Engine, MayChange, Options, document, limits::Limits};
use mainstay_jobs::{
    Definition, HookJobs as _, JobSetup as _, Jobs, JobsPlugin, NewJob, State, Unique, Worker,
};
use mainstay_lang::analyse::analyse;
use mainstay_store::Store;
use mainstay_testkit::database::{DatabaseKind, Place};

use crate::harness::{Args, admin, next, on_each, options, told, until, work_of};

/// Enqueues when an `Effect` is made, and where its name says so.
struct Asks(Definition);

impl Plugin for Asks {
    fn name(&self) -> &str {
        "asks"
    }

    fn schema(&self) -> &str {
        "table Effect { job text(64) unique, allow all }"
    }

    fn build(&self, setup: &mut Setup<'_>) {
        setup.job(self.0.clone());
        setup.table("Effect").on_create(created).on_result(shown);
        setup.on_success(async |ctx: &HookCtx, response: &Response| -> Result<(), Error> {
            if response.wrote {
                ctx.enqueue(NewJob::new("after", &Args { n: 3 }).unique("one", Unique::Ignore)).await?;
            }
            Ok(())
        });
        setup.job(Definition::new("after", async |_, _: Args| Ok(())));
    }
}

async fn created(ctx: &HookCtx, row: &mut Row) -> Result<(), Error> {
    let name = match row.text("job") {
        Some("unknown") => "aa",
        _ => "a",
    };
    let first = ctx.enqueue(NewJob::new(name, &Args { n: 1 }).unique("same", Unique::Ignore)).await?;
    let again = ctx.enqueue(NewJob::new("a", &Args { n: 2 }).unique("same", Unique::Ignore)).await?;
    assert_eq!(first, again, "the one that waits does for both");
    Ok(())
}

async fn shown(ctx: &HookCtx, results: &mut Results) -> Result<(), Error> {
    let asks = results.rows.iter().any(|row| row.names().count() == 2);
    if asks { ctx.enqueue(NewJob::new("a", &Args { n: 9 })).await.map(drop) } else { Ok(()) }
}

async fn open(kind: DatabaseKind, definition: Definition) -> (Arc<Engine>, Place) {
    let mut plugins = Plugins::default();
    plugins.add(JobsPlugin::default()).add(Asks(definition));
    let schema = analyse(&plugins.sources()).schema.unwrap();
    let place = Place::new(kind).unwrap();
    let store = Store::open(&place.options).unwrap();
    let options = Options { may_change: MayChange::IN_DEVELOPMENT, limits: Limits::default() };
    let engine = Engine::open_with(Arc::new(schema), store, options, &plugins).await.unwrap();
    (Arc::new(engine), place)
}

async fn run(engine: &Engine, text: &str) -> Result<Response, Error> {
    let documents = document::parse(text.as_bytes())?;
    engine.execute(&admin(), &Operation { documents, ..Operation::default() }).await
}

#[test]
fn what_a_hook_enqueues_is_kept_with_its_request_and_found_at_once() {
    on_each(async |kind| {
        let (definition, mut begun) = told("a");
        let (engine, _place) = open(kind, definition).await;
        let jobs = Jobs::of_app(engine.clone());
        let worker = work_of(Worker::new(jobs.clone(), options()));
        run(&engine, r#"{"Effect": {"create": true, "job": "x"}}"#).await.unwrap();
        let first = next(&mut begun).await;
        assert_eq!((first.args.n, first.job.request.as_deref()), (1, Some("test")));
        assert_eq!(first.job.actor.as_deref(), Some("admin"));
        first.end.send(Ok(())).unwrap();
        until(&jobs, first.job.id, State::Done).await;
        worker.stop().await;

        // The second row is refused, and the job of the first one goes with it.
        let count = async || jobs.list(None, Some("a"), 100).await.unwrap().len();
        let both = r#"{"Effect": [{"create": true, "job": "y"}, {"create": true, "job": "x"}]}"#;
        assert_eq!(run(&engine, both).await.unwrap_err().key, Key::Unique);
        let error = run(&engine, r#"{"Effect": {"create": true, "job": "unknown"}}"#).await.unwrap_err();
        assert!(error.detail.contains("did you mean a?"), "{error}");
        assert_eq!(count().await, 1);

        // Nothing is written for who reads, and said so.
        let read = run(&engine, r#"{"Effect": {"get": ["job"]}}"#).await.unwrap_err();
        assert_eq!(read.key, Key::HookFailed);
        assert_eq!(count().await, 1);

        // Behind its request a hook enqueues by itself, and what it enqueues calls no hooks again.
        assert_eq!(jobs.list(None, Some("after"), 100).await.unwrap().len(), 1);
    });
}

#[test]
fn a_process_enqueues_what_it_leaves_to_others() {
    on_each(async |kind| {
        let (definition, mut begun) = told("a");
        let (engine, _place) = open(kind, definition).await;
        let jobs = Jobs::of_app(engine);
        let only = |name: &'static str| jobs.definitions().clone().only(move |known| known == name);
        let front = work_of(Worker::of(jobs.clone(), only("after"), options()));
        let left = jobs.enqueue(NewJob::new("a", &Args { n: 1 })).await.unwrap();
        let own = jobs.enqueue(NewJob::new("after", &Args { n: 1 })).await.unwrap();
        until(&jobs, own, State::Done).await;
        assert_eq!(crate::harness::find(&jobs, left).await.state, State::Ready);
        let back = work_of(Worker::of(jobs.clone(), only("a"), options()));
        next(&mut begun).await.end.send(Ok(())).unwrap();
        until(&jobs, left, State::Done).await;
        front.stop().await;
        back.stop().await;
    });
}
