//! Jobs and mail through the binary: `mainstay jobs …`, `mainstay work`, the inbox page, and mail that comes back.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use mainstay_engine::plugin::Plugins;
use mainstay_engine::{Engine, MayChange, Options, limits::Limits};
use mainstay_jobs::{Definition, Definitions, Jobs, JobsPlugin, NewJob};
use mainstay_lang::analyse::analyse;
use mainstay_mail::{MAIL_JOB, Mail, MailOptions, MailPlugin};
use mainstay_store::Store;
use serde_json::{Value, json};

use crate::support::{App, until};

const APP: &str = "app post\n\nuse mail\n\nextend Mail {\n  allow read if user.can(\"mail/read\")\n}\n";

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn app() -> App {
    let app = App::of(APP);
    app.write(
        "mail/hello.html",
        "---\nsubject: Hello {{ name }}\n---\n<p>Hello <a href=\"https://example.com/x\">{{ name }}</a></p>",
    );
    app.write("mail/hello.txt", "Hello {{ name }}: https://example.com/x");
    app
}

/// Enqueues as a program of the app would that is a release ahead of the binary: it knows a name more.
fn enqueue(app: &App, new: Vec<NewJob>) -> Vec<String> {
    let options = MailOptions::captured("app@localhost".parse().unwrap(), app.path().join("mail"));
    let mut plugins = Plugins::default();
    plugins.add(JobsPlugin::default()).add(MailPlugin::new(options));
    let mut sources = plugins.sources();
    sources.add("app.stay", APP);
    let schema = Arc::new(analyse(&sources).schema.unwrap());
    let mut known = Definitions::default();
    for name in [MAIL_JOB, "later.thing"] {
        known.add(Definition::new(name, async |_, _: Value| Ok(())));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Store::open(&app.store_options()).unwrap();
        let options = Options { may_change: MayChange::default(), limits: Limits::default() };
        let engine = Engine::open_with(schema, store, options, &plugins).await.unwrap();
        let ids = Jobs::new(Arc::new(engine), known).enqueue_all(new).await.unwrap();
        ids.into_iter().map(|id| id.to_string()).collect()
    })
}

fn hello(to: &str) -> NewJob {
    Mail::new("hello", to, json!({"name": "Ann"})).job()
}

/// A running `mainstay work`.
struct Work {
    child: Child,
    said: String,
}

impl Work {
    fn start(app: &App, flags: &[&str]) -> Work {
        let words = [&["work", "APP", "--log-level", "error"], flags].concat();
        let mut child = app.command(&words).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("working: ") {
            assert!(lines.read_line(&mut said).unwrap() > 0, "mainstay work ended:\n{said}");
        }
        // Somebody has to read on, or the worker would wait for room in the pipe.
        std::thread::spawn(move || drop(lines.read_to_end(&mut Vec::new())));
        Work { child, said }
    }

    fn terminate(mut self) -> ExitStatus {
        let killed = std::process::Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(killed.success());
        self.child.wait().unwrap()
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn show(app: &App, id: &str) -> Value {
    app.run(&["jobs", "show", "APP", id]).succeeded().json()
}

fn until_state(app: &App, id: &str, state: &str) -> Value {
    until(PATIENCE, || Some(show(app, id)).filter(|job| job["state"] == state))
}

#[test]
fn jobs_are_looked_at_run_cancelled_retried_and_forgotten() {
    let app = app();
    assert_eq!(app.run(&["jobs", "stats", "APP"]).succeeded().stdout, "no jobs\n");
    let wrong = Mail::new("helo", "ann@example.com", json!({}));
    let ids = enqueue(
        &app,
        vec![
            hello("ann@example.com"),
            wrong.job(),
            NewJob::new("later.thing", &json!({"n": 1})).priority(9),
            NewJob::new("later.thing", &json!({"n": 2})).delay(Duration::from_secs(3600)),
        ],
    );
    let [sent, dead, kept, scheduled] = &ids[..] else { panic!("{ids:?}") };
    let list = app.run(&["jobs", "list", "APP", "--json"]).succeeded().json();
    assert_eq!(list.as_array().map(Vec::len), Some(4), "{list}");
    let ready = app.run(&["jobs", "list", "APP", "--state", "ready", "--name", "later.thing"]).succeeded();
    assert!(ready.stdout.starts_with(&format!("{kept}  ready       0/25")), "{}", ready.stdout);
    assert_eq!(ready.stdout.lines().count(), 1);
    assert_eq!(show(&app, kept)["args"], json!({"n": 1}));
    let stats = app.run(&["jobs", "stats", "APP"]).succeeded().stdout;
    assert!(stats.contains("       2  ready      mail.send\n"), "{stats}");

    // What is asked wrongly is said, and nothing is done.
    let wrong = app.run(&["jobs", "list", "APP", "--state", "redy"]).ended(2);
    assert!(wrong.stderr.contains("expected one of scheduled, ready, blocked"), "{}", wrong.stderr);
    app.run(&["jobs", "show", "APP", "17"]).ended(2);
    let nobody = app.run(&["jobs", "show", "APP", "01900000-0000-7000-8000-000000000000"]).ended(1);
    assert!(nobody.stderr.contains("there is no job"), "{}", nobody.stderr);

    let cancelled = app.run(&["jobs", "cancel", "APP", scheduled]).succeeded();
    assert_eq!(cancelled.stdout, "1 jobs cancelled\n");
    let again = app.run(&["jobs", "cancel", "APP", scheduled, "--json"]).succeeded();
    assert_eq!(again.json(), json!({"cancelled": 0}));
    assert_eq!(show(&app, scheduled)["state"], "cancelled");

    // A worker that is to do something else does nothing here; one that may does what it knows.
    let idle = Work::start(&app, &["--jobs-only", "report.*"]);
    assert!(idle.said.contains("working: 0 names of jobs"), "{}", idle.said);
    let work = Work::start(&app, &[]);
    assert!(work.said.contains("working: 1 names of jobs, 32 at a time"), "{}", work.said);
    until_state(&app, sent, "done");
    let failed = until_state(&app, dead, "dead");
    assert!(failed["error"].as_str().unwrap().contains("did you mean hello?"), "{failed}");
    assert_eq!(show(&app, kept)["state"], "ready", "a name that nobody here knows waits");
    assert!(idle.terminate().success());

    // Mended, it is retried while the worker runs.
    app.write("mail/helo.html", "---\nsubject: Hi\n---\n<p>Hi</p>");
    app.write("mail/helo.txt", "Hi");
    let retried = app.run(&["jobs", "retry", "APP", "--name", "mail.send"]).succeeded();
    assert_eq!(retried.stdout, "1 jobs retried\n");
    until_state(&app, dead, "done");
    assert!(work.terminate().success());

    let forgotten = app.run(&["jobs", "prune", "APP", "--done", "0s", "--dead", "1h", "--json"]).succeeded();
    assert_eq!(forgotten.json(), json!({"forgotten": 2}));
    let left = app.run(&["jobs", "list", "APP", "--json"]).succeeded().json();
    let mut left: Vec<&str> =
        left.as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap()).collect();
    left.sort_unstable();
    let mut expected = [kept.as_str(), scheduled.as_str()];
    expected.sort_unstable();
    assert_eq!(left, expected);
}

#[test]
fn captured_mail_is_looked_at_in_development_and_nowhere_else() {
    let app = app();
    app.run(&["jobs", "stats", "APP"]).succeeded();
    let ids = enqueue(&app, vec![hello("ann@example.com")]);
    let server = app.serve_with(&["--log-level", "info"]);
    until_state(&app, &ids[0], "done");
    let list = server.get("", "/_dev/mail");
    assert_eq!(list.status, 200, "{}", list.text);
    assert!(list.header("content-type").starts_with("text/html"));
    let place = list.text.find("/_dev/mail/").map(|at| &list.text[at..at + "/_dev/mail/".len() + 36]);
    let shown = server.get("", place.expect("the list leads to the mail")).text;
    for part in [
        "Hello Ann",
        "<iframe sandbox=",
        "Subject: Hello Ann",
        "Message-ID: ",
        "https:&#x2f;&#x2f;example.com&#x2f;x",
    ] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
    assert_eq!(server.get("", "/_dev/mail/01900000-0000-7000-8000-000000000000").status, 404);
    server.get("", "/metrics");
    let said = until(PATIENCE, || Some(server.said()).filter(|said| said.contains("/_dev/mail/{id}")));
    assert!(!said.contains("(none)"), "{said}");
    drop(server);

    let flags = ["--env", "production", "--mail-host", "localhost", "--mail-port", "9"];
    let server = app.serve_with(&flags);
    assert_eq!(server.get("", "/_dev/mail").status, 404);
    assert_eq!(
        server.request("POST", "/mail/bounces").send().status,
        404,
        "nobody is believed without a secret"
    );
}

#[test]
fn mail_that_comes_back_is_told_by_whoever_knows_the_secret() {
    let app = app();
    app.run(&["jobs", "stats", "APP"]).succeeded();
    let ids = enqueue(&app, vec![hello("ann@example.com")]);
    let server = app.serve_with(&["--mail-bounce-secret", "a-secret-of-the-service"]);
    until_state(&app, &ids[0], "done");
    let admin = app.token("--admin");
    let mail = || server.query(&admin, &json!({"Mail": {"get": ["message_id", "state", "problem"]}})).ok();
    let message_id = mail()["Mail"][0]["message_id"].as_str().unwrap().to_owned();
    let bare = message_id.trim_matches(['<', '>']);
    let bounce = json!({"message_id": bare, "reason": "550 no such user"});
    let tell = |token: &str, body: &Value| {
        server.request("POST", "/mail/bounces").bearer(token).json(body).send().status
    };
    assert_eq!(tell("", &bounce), 401);
    assert_eq!(tell("a-secret-of-the-servicf", &bounce), 401);
    // An administrator of the app is not the mail service.
    assert_eq!(tell(&admin, &bounce), 401);
    assert_eq!(mail()["Mail"][0]["state"], "captured");
    assert_eq!(tell("a-secret-of-the-service", &json!({"id": bare})), 400);
    let unknown = json!([bounce, {"message_id": "<x@elsewhere>"}]);
    // Told twice, as services do, and one that somebody else has sent.
    for _ in 0..2 {
        assert_eq!(tell("a-secret-of-the-service", &unknown), 204);
    }
    let bounced = mail();
    assert_eq!(
        (&bounced["Mail"][0]["state"], &bounced["Mail"][0]["problem"]),
        (&json!("bounced"), &json!("550 no such user"))
    );
}
