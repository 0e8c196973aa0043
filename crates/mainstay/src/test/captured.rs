//! Jobs and mail of a test: what was enqueued, what has become of it, what would have been sent, and that nothing was.

use mainstay_jobs::{State, Worker, WorkerOptions};
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::TestApp;

/// Jobs and mails of one test at most.
const MOST: u32 = 10_000;

/// A mail that would have been sent.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct TestMail {
    id: String,
    /// The template that it was made of.
    pub template: String,
    /// Who it goes to, separated by commas.
    pub recipient: String,
    /// Its subject.
    pub subject: String,
    /// `captured`, or `failed`.
    pub state: String,
    /// Why it could not be made.
    pub problem: Option<String>,
    /// As HTML.
    pub html: Option<String>,
    /// As text.
    pub body: Option<String>,
    /// As it would have left, headers and attachments included.
    pub source: Option<String>,
}

impl TestApp {
    /// Names of the jobs that were enqueued since this was last asked, in order, those of the clock included once [`TestApp::work`] has
    /// looked at it. Empty: none were.
    ///
    /// # Panics
    /// When the queue cannot be read.
    pub async fn enqueued(&self) -> Vec<String> {
        let rows = self.jobs.list(None, None, MOST).await.unwrap_or_else(|error| panic!("{error}"));
        let mut state = self.state.lock();
        // The newest come first.
        let new = rows.into_iter().rev().filter(|row| state.told.insert(format!("job {}", row.id)));
        new.map(|row| row.name).collect()
    }

    /// Runs the jobs that are due by the test's clock, and those that they enqueue, one after the other. Tells what has become of each
    /// run: `mail.send done`, `report dead: why`, `report scheduled: why` where it will be tried again.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn work(&self) -> Vec<String> {
        let worker = Worker::new(self.jobs.clone(), WorkerOptions::default());
        let rows = worker.drain().await.unwrap_or_else(|error| panic!("{error}"));
        rows.into_iter()
            .map(|row| match (row.state, row.error) {
                (State::Done, _) | (_, None) => format!("{} {}", row.name, row.state),
                (state, Some(error)) => format!("{} {state}: {error}", row.name),
            })
            .collect()
    }

    /// Mail that would have been sent since this was last asked, in order. Empty: none would. Mail is made by jobs: see
    /// [`TestApp::work`].
    ///
    /// # Panics
    /// When the app does not `use mail`.
    pub async fn mails(&self) -> Vec<TestMail> {
        let uses_mail = self.engine.schema().uses.iter().any(|used| used == "mail");
        assert!(uses_mail, "the app does not `use mail`");
        self.new_mail().await
    }

    /// Nothing was changed, enqueued or sent since it was last asked what was.
    ///
    /// # Panics
    /// When something was, with all of it.
    #[track_caller]
    pub fn expect_nothing(&self) -> impl Future<Output = ()> + '_ {
        let caller = std::panic::Location::caller();
        async move {
            let (changed, enqueued) = (self.changed().await, self.enqueued().await);
            let mails: Vec<String> = self.new_mail().await.into_iter().map(|mail| mail.subject).collect();
            let is_quiet = changed.is_empty() && enqueued.is_empty() && mails.is_empty();
            assert!(is_quiet, "at {caller}: changes {changed:?}, jobs {enqueued:?}, mails {mails:?}");
        }
    }

    pub(super) async fn new_mail(&self) -> Vec<TestMail> {
        if self.engine.schema().table_named("Mail").is_none_or(|table| !table.platform) {
            return Vec::new();
        }
        let get = ["id", "template", "recipient", "subject", "state", "problem", "html", "body", "source"];
        // These tell the order in which mails were asked for; the clock stands still.
        let part = json!({"get": get, "order": ["message_id"], "limit": 1000});
        let mut answer = self.admin().query(json!({"Mail": part})).await.expect_ok();
        let rows: Vec<Json> = serde_json::from_value(answer["Mail"].take()).unwrap_or_default();
        let read = |row| serde_json::from_value(row).unwrap_or_else(|error| panic!("a mail: {error}"));
        let mails: Vec<TestMail> = rows.into_iter().map(read).collect();
        let mut state = self.state.lock();
        mails.into_iter().filter(|mail| state.told.insert(format!("mail {}", mail.id))).collect()
    }
}
