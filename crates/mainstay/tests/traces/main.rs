//! Traces as a collector gets them: an app with hooks and jobs on each database, its server and its worker in this process, and a
//! collector that decodes what it is sent.
//!
//! A process has one subscriber, so all tests here share one, and each looks at the traces that it has begun.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed, and says where")]

#[path = "../acceptance/support/collector.rs"]
mod collector;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use collector::{Collector, Seen};
use mainstay_engine::error::Error;
use mainstay_engine::hook::{HookCtx, Row};
use mainstay_engine::plugin::{Plugin, Plugins, Setup};
use mainstay_engine::trace::begin_traces;
use mainstay_engine::{Engine, MayChange, Options, limits::Limits};
use mainstay_http::{Options as HttpOptions, Server, TokenSecret};
use mainstay_jobs::{
    Definition, HookJobs as _, JobSetup as _, Jobs, JobsPlugin, NewJob, Running, Worker, WorkerOptions,
};
use mainstay_lang::analyse::analyse;
use mainstay_store::Store;
use mainstay_testkit::database::{DatabaseKind, Place};
use mainstay_trace::{Exporter, Recorder, RecorderFilter, Resource, Target};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use uuid::Uuid;

const PARENT: &str = "00f067aa0ba902b7";

/// A value that no span may tell.
const VALUE: &str = "nobody-else-reads-this";

/// The one collector of this process. It turns the first batch away, which so has to be sent twice.
fn collector() -> &'static Collector {
    static COLLECTOR: OnceLock<Collector> = OnceLock::new();
    COLLECTOR.get_or_init(|| {
        let collector = Collector::start(1);
        let target = Target::parse(&collector.url, "x-team=7").unwrap();
        let resource = Resource {
            service: "notes".to_owned(),
            version: "1.2.3".to_owned(),
            environment: "test".to_owned(),
        };
        let exporter = Exporter::start(target, &resource).unwrap();
        begin_traces(1.0);
        let recorder = Recorder::new(Some(exporter)).with_filter(RecorderFilter);
        tracing_subscriber::registry().with(recorder).init();
        collector
    })
}

struct Notes;

impl Plugin for Notes {
    fn name(&self) -> &str {
        "notes"
    }

    fn schema(&self) -> &str {
        "table Note {\n  title text unique\n  size int = 1\n  check size != 13 \"not of size 13\"\n  allow all\n}"
    }

    fn build(&self, setup: &mut Setup<'_>) {
        setup.table("Note").on_create(created);
        setup.job(Definition::new("follow", async |running: Running, _: Value| {
            running
                .query(json!({"Note": {"create": true, "title": format!("of {}", running.job().id)}}))
                .await?;
            running.jobs().enqueue(NewJob::new("last", &json!({}))).await?;
            Ok(())
        }));
        setup.job(Definition::new("last", async |_: Running, _: Value| Ok(())));
    }
}

async fn created(ctx: &HookCtx, row: &mut Row) -> Result<(), Error> {
    match row.text("title") {
        Some(title) if title.starts_with("follow") => {
            ctx.enqueue(NewJob::new("follow", &json!({}))).await.map(drop)
        }
        Some(title) if title.starts_with("break") => Err(Error::internal("the disk is on fire")),
        _ => Ok(()),
    }
}

/// A served app with a worker.
struct App {
    url: String,
    client: Client,
    stop: Vec<oneshot::Sender<()>>,
    tasks: Vec<JoinHandle<()>>,
    _place: Place,
}

impl App {
    async fn start(kind: DatabaseKind) -> App {
        collector();
        let mut plugins = Plugins::default();
        plugins.add(JobsPlugin::default()).add(Notes);
        let schema = Arc::new(analyse(&plugins.sources()).schema.expect("the plugin's table stands"));
        let place = Place::new(kind).unwrap();
        let store = Store::open(&place.options).unwrap();
        let options = Options { may_change: MayChange::IN_DEVELOPMENT, limits: Limits::default() };
        let engine = Arc::new(Engine::open_with(schema, store, options, &plugins).await.unwrap());
        let mut options = HttpOptions::new(TokenSecret::new([7; TokenSecret::BYTES_MIN]).unwrap());
        options.listen.set_port(0);
        let server = Server::bind(options, engine.clone()).await.unwrap();
        let url = format!("http://{}", server.local_addr());
        let (stop_server, server_stopped) = oneshot::channel::<()>();
        let (stop_worker, worker_stopped) = oneshot::channel::<()>();
        let options = WorkerOptions { poll: Duration::from_millis(20), ..WorkerOptions::default() };
        let worker = Worker::new(Jobs::of_app(engine), options);
        let tasks = vec![
            tokio::spawn(server.serve(async { drop(server_stopped.await) })),
            tokio::spawn(worker.run(async { drop(worker_stopped.await) })),
        ];
        App { url, client: Client::new(), stop: vec![stop_server, stop_worker], tasks, _place: place }
    }

    /// Asks within a trace, or as the header says; answers the status, the body and where the request stood.
    async fn ask(&self, traceparent: &str, document: Value) -> (u16, Value, String) {
        let request = self.client.post(format!("{}/query", self.url)).json(&document);
        let request = request.header("traceparent", traceparent).header("tracestate", "vendor=x1");
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let place = response.headers()["traceresponse"].to_str().unwrap().to_owned();
        (status, response.json().await.unwrap(), place)
    }

    async fn stop(self) {
        drop(self.stop);
        for task in self.tasks {
            task.await.unwrap();
        }
    }
}

fn on_each<F: Future<Output = ()>>(test: impl Fn(DatabaseKind) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for kind in DatabaseKind::ALL {
        runtime.block_on(test(*kind));
    }
}

/// A new trace of somebody who calls: its id and header.
fn caller(flags: &str) -> (String, String) {
    let id = Uuid::new_v4().simple().to_string();
    let header = format!("00-{id}-{PARENT}-{flags}");
    (id, header)
}

fn create(title: &str) -> Value {
    json!({"Note": {"create": true, "title": format!("{title} {VALUE} {}", Uuid::new_v4())}})
}

fn named<'s>(spans: &'s [Seen], name: &str) -> &'s Seen {
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no {name}: {spans:#?}"))
}

/// Whether a span is part of another one.
fn is_within(spans: &[Seen], part: &Seen, of: &Seen) -> bool {
    let mut at = part;
    while let Some(parent) = spans.iter().find(|span| span.id == at.parent) {
        if parent.id == of.id {
            return true;
        }
        at = parent;
    }
    false
}

fn has(name: &str) -> impl Fn(&[Seen]) -> bool {
    move |spans| spans.iter().any(|span| span.name == name)
}

#[test]
fn a_request_and_the_jobs_behind_it_are_one_tree() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let (id, header) = caller("01");
        let (status, _, place) = app.ask(&header, create("follow")).await;
        assert_eq!(status, 200);
        let spans = collector().trace(&id, |spans| has("POST /query")(spans) && has("process last")(spans));

        let root = named(&spans, "POST /query");
        assert_eq!(place, format!("00-{id}-{}-01", root.id));
        assert_eq!((&*root.parent, root.kind, root.is_error), (PARENT, 2, false));
        assert_eq!((root.attribute("http.response.status_code"), &*root.state), ("200", "vendor=x1"));
        assert_eq!((root.attribute("http.route"), root.attribute("url.path")), ("/query", "/query"));
        assert_eq!(root.resource["service.name"], "notes");

        let follow = named(&spans, "process follow");
        assert_eq!(
            (&follow.parent, follow.kind),
            (&root.id, 5),
            "the job is a step of what its request led to"
        );
        assert_eq!(
            named(&spans, "process last").parent,
            follow.id,
            "a job goes on with the trace of its own"
        );
        // Each is part of one that is there, and begins and ends within it; jobs come later than what asked for them.
        for span in spans.iter().filter(|span| span.id != root.id) {
            let parent = spans.iter().find(|parent| parent.id == span.parent);
            let parent = parent.unwrap_or_else(|| panic!("part of nothing: {span:#?}"));
            assert!(span.from <= span.to && span.from >= parent.from, "{span:#?} {parent:#?}");
            assert!(span.kind == 5 || span.to <= parent.to, "{span:#?} {parent:#?}");
        }

        let execute = spans.iter().find(|span| span.name == "execute" && span.parent == root.id).unwrap();
        let hook = named(&spans, "hook Note.on_create");
        assert_eq!(hook.attribute("mainstay.plugin"), "notes");
        // The job enqueues one as well, and spans come in any order.
        let enqueue = spans.iter().find(|span| span.name == "enqueue" && is_within(&spans, span, hook));
        let enqueue = enqueue.unwrap_or_else(|| panic!("the hook enqueues nothing: {spans:#?}"));
        assert_eq!((enqueue.attribute("jobs"), enqueue.kind), ("follow", 4));
        assert!(is_within(&spans, hook, execute));
        for name in ["credentials", "body", "render"] {
            assert_eq!(named(&spans, name).parent, root.id, "{name}");
        }
        for name in ["plan", "wait", "checks", "log", "commit"] {
            assert!(spans.iter().any(|span| span.name == name && is_within(&spans, span, execute)), "{name}");
        }
        let insert = spans.iter().find(|span| span.attribute("db.query.text").contains("INTO \"Note\""));
        let insert = insert.unwrap_or_else(|| panic!("no statement: {spans:#?}"));
        let system = match kind {
            DatabaseKind::Sqlite => "sqlite",
            DatabaseKind::Postgres => "postgresql",
        };
        assert_eq!((insert.attribute("db.system.name"), insert.kind), (system, 3));
        let of_job = spans.iter().find(|span| {
            span.attribute("db.query.text").contains("INTO \"Note\"") && is_within(&spans, span, follow)
        });
        assert!(of_job.is_some(), "what the job writes is a step of it: {spans:#?}");
        assert!(!format!("{spans:?}").contains(VALUE), "values are nobody's business");
        assert!(
            collector()
                .heads()
                .iter()
                .all(|head| head.starts_with("POST /v1/traces ") && head.contains("x-team: 7"))
        );
        app.stop().await;
    });
}

#[test]
fn what_fails_is_told_where_it_failed() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let (id, header) = caller("01");
        let (status, problem, _) = app.ask(&header, create("break")).await;
        assert_eq!((status, problem["trace_id"].as_str()), (500, Some(&*id)), "{problem}");
        let spans = collector().trace(&id, has("POST /query"));
        let root = named(&spans, "POST /query");
        assert!(root.is_error && root.attribute("error.type") == "500", "{root:#?}");
        let (name, said) = root.events.first().unwrap_or_else(|| panic!("{root:#?}"));
        assert!(name == "exception" && said["exception.message"].contains("the disk is on fire"), "{said:?}");
        assert_eq!(named(&spans, "hook Note.on_create").attribute("mainstay.refused"), "hook.failed");
        // What was left early is closed all the same.
        assert!(spans.iter().all(|span| span.to >= span.from && span.to <= root.to), "{spans:#?}");

        // What the client did wrong is no error of the server's.
        let (id, header) = caller("01");
        let wrong = json!({"Note": {"create": true, "title": "a", "size": 13}});
        assert_eq!(app.ask(&header, wrong).await.0, 422);
        let spans = collector().trace(&id, has("POST /query"));
        assert!(spans.iter().all(|span| !span.is_error), "{spans:#?}");
        assert_eq!(named(&spans, "execute").attribute("mainstay.refused"), "check.failed");
        assert_eq!(named(&spans, "checks").kind, 1);

        // A statement that the database refuses is one of the client's, and of the database's.
        let twice = json!({"Note": [{"create": true, "title": "b"}, {"create": true, "title": "b"}]});
        let (id, header) = caller("01");
        assert_eq!(app.ask(&header, twice).await.0, 409);
        let spans = collector().trace(&id, has("POST /query"));
        let failed = spans.iter().find(|span| span.is_error).unwrap_or_else(|| panic!("{spans:#?}"));
        assert_eq!((failed.kind, named(&spans, "POST /query").is_error), (3, false));
        app.stop().await;
    });
}

#[test]
fn who_calls_says_which_trace_and_whether_it_is_kept() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let (left_out, header) = caller("00");
        let (_, _, place) = app.ask(&header, create("follow")).await;
        assert_eq!(
            place, header,
            "nothing of it is kept, so what is behind is still found under the caller's step"
        );

        // What is no trace is none, and one of the server's own begins.
        let (_, _, place) =
            app.ask("00-00000000000000000000000000000000-00f067aa0ba902b7-01", create("a")).await;
        let own = place[3..35].to_owned();
        assert!(place.ends_with("-03") && !own.starts_with("0000000000000000"), "{place}");
        let spans = collector().trace(&own, has("POST /query"));
        assert_eq!(named(&spans, "POST /query").parent, "");

        // By now whatever was kept of the one before has come: one queue holds them in order. Its job is over as well.
        let (id, header) = caller("01");
        app.ask(&header, create("follow")).await;
        collector().trace(&id, has("process last"));
        collector().trace(&left_out, |spans| spans.is_empty());
        app.stop().await;
    });
}
