//! An app with mail on a database of its own.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_engine::ctx::Ctx;
use mainstay_engine::part::Operation;
use mainstay_engine::plugin::Plugins;
use mainstay_engine::{Engine, MayChange, Options, document, limits::Limits};
use mainstay_jobs::{JobRow, Jobs, JobsPlugin, State, Worker, WorkerOptions};
use mainstay_lang::analyse::analyse;
use mainstay_mail::{Allowed, MailOptions, MailPlugin, Smtp, Tls, Way};
use mainstay_store::Store;
pub(crate) use mainstay_testkit::database::DatabaseKind;
use mainstay_testkit::database::Place;
use mainstay_testkit::smtp::SmtpServer;
use serde_json::{Value as Json, json};
use tokio::sync::oneshot;
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(60);
const FROM: &str = "Shop <shop@example.com>";

pub(crate) fn on_each<F: Future<Output = ()>>(test: impl Fn(DatabaseKind) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for kind in DatabaseKind::ALL {
        runtime.block_on(test(*kind));
    }
}

pub(crate) struct App {
    pub(crate) jobs: Jobs,
    stop: Option<oneshot::Sender<()>>,
    task: tokio::task::JoinHandle<()>,
    _place: Place,
    _templates: tempfile::TempDir,
}

/// A way to a server of the test.
pub(crate) fn way(server: &SmtpServer, password: &str, timeout: Duration) -> Way {
    let login = Some(("mainstay".to_owned(), password.to_owned()));
    let certificate = server.certificate();
    let address = ("localhost", server.port);
    let smtp = Smtp::new(address, Tls::StartTls, login, Some(&certificate), timeout, FROM.parse().unwrap());
    Way::Smtp(Box::new(smtp.unwrap()))
}

impl App {
    pub(crate) async fn start(kind: DatabaseKind, way: Way, allowed: Allowed, attempts_max: u32) -> App {
        let templates = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(templates.path().join(name), text).unwrap();
        write(
            "hello.html",
            "---\nsubject: Hello {{ name }}\nlayout: _layout.html\n---\n<p>Grüße, {{ name }}</p><a href=\"https://example.com/x\">Go</a>",
        );
        write("hello.txt", "Grüße, {{ name }}: https://example.com/x");
        write(
            "_layout.html",
            "<html><head><style>p { color: red }</style></head><body>{{ content }}</body></html>",
        );
        let mut options = MailOptions::captured(FROM.parse().unwrap(), templates.path());
        options.way = way;
        options.allowed = allowed;
        options.attempts_max = attempts_max;
        let mut plugins = Plugins::default();
        plugins.add(JobsPlugin::default()).add(MailPlugin::new(options));
        let schema = analyse(&plugins.sources()).schema.unwrap();
        let place = Place::new(kind).unwrap();
        let store = Store::open(&place.options).unwrap();
        let options = Options { may_change: MayChange::IN_DEVELOPMENT, limits: Limits::default() };
        let engine = Engine::open_with(Arc::new(schema), store, options, &plugins).await.unwrap();
        let jobs = Jobs::of_app(Arc::new(engine));
        let poll = Duration::from_millis(20);
        let worker = Worker::new(jobs.clone(), WorkerOptions { poll, ..WorkerOptions::default() });
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(worker.run(async {
            drop(stopped.await);
        }));
        App { jobs, stop: Some(stop), task, _place: place, _templates: templates }
    }

    pub(crate) async fn stop(mut self) {
        drop(self.stop.take());
        self.task.await.unwrap();
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        self.jobs.engine()
    }

    pub(crate) fn admin(&self) -> Ctx {
        Ctx {
            caller: Arc::new(mainstay_engine::ctx::Caller::administrator()),
            tenant: None,
            session: None,
            now: mainstay_jobs::Clock::default().now(),
            deadline: Instant::now() + PATIENCE,
            request_id: "test".into(),
            trace: None,
        }
    }

    /// The rows of mail.
    pub(crate) async fn mails(&self) -> Vec<Json> {
        let get = ["message_id", "recipient", "subject", "state", "problem", "html", "body", "source", "id"];
        let documents = document::parse(json!({"Mail": {"get": get}}).to_string().as_bytes()).unwrap();
        let operation = Operation { documents, ..Operation::default() };
        let response = self.engine().execute(&self.admin(), &operation).await.unwrap();
        serde_json::from_str(&format!("[{}]", response.documents[0].entries[0].rows)).unwrap()
    }

    /// Waits until a job is what it should be.
    pub(crate) async fn until(&self, id: Uuid, is_it: impl Fn(&JobRow) -> bool) -> JobRow {
        let begun = Instant::now();
        loop {
            let row = self.jobs.find(&[id]).await.unwrap().pop().unwrap();
            if is_it(&row) {
                return row;
            }
            assert!(begun.elapsed() < PATIENCE, "{row:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn ended(&self, id: Uuid, state: State) -> JobRow {
        self.until(id, |row| row.state == state).await
    }
}
