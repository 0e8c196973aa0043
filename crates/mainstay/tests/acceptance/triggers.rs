//! What other programs write into a database that Mainstay made is logged by triggers just as the engine would log it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mainstay_testkit::postgres::{Bouncer, Postgres};
use mainstay_testkit::socket::Socket;
use serde_json::{Value, json};

use crate::support::{App, Server, until};

const TASKS: &str = "
use jobs
table Tag { name text, allow all }
table Task {
  title text
  cost  decimal(10, 2) = 0
  done  bool = false
  state enum(open, shut) = open
  share float = 0.5
  due   timestamp?
  day   date?
  at    time?
  data  json?
  words text[] = []
  cover bytes?
  code  text secret = \"hush\"
  main  Tag?
  tags  Tag[]
  history 1 day
  allow all
}";
const ID: &str = "01900000-0000-7000-8000-0000000000aa";

struct Tasks {
    app: App,
    /// `None`: the embedded one.
    url: Option<String>,
    /// The way past the pooler that its URL leads to.
    past: Option<String>,
}

impl Tasks {
    fn flags(&self) -> Vec<&str> {
        let url = self.url.iter().flat_map(|url| ["--database", url.as_str()]);
        let past = self.past.iter();
        let past = past.flat_map(|url| ["--database-pgbouncer", "yes", "--database-direct", url.as_str()]);
        url.chain(past).collect()
    }

    fn run(&self, words: &[&str]) -> String {
        let words: Vec<&str> = words.iter().copied().chain(self.flags()).collect();
        self.app.run(&words).succeeded().stdout
    }

    fn file(&self) -> PathBuf {
        self.app.path().join("data/mainstay.db")
    }

    /// A statement of another program.
    fn sql(&self, sql: &str) -> String {
        if let Some(url) = &self.url {
            return Postgres::shared().run(url.rsplit('/').next().unwrap(), sql).unwrap();
        }
        let output = std::process::Command::new("sqlite3").arg(self.file()).arg(sql).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn serve(&self) -> Server {
        self.app.serve_with(&self.flags())
    }
}

/// Triggers are put in while a server writes: what it writes stands in the log once, before, meanwhile and afterwards.
fn put_in_beside(tasks: &Tasks, server: &Server) {
    let stop = AtomicBool::new(false);
    let made = std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            let mut made = 0;
            while !stop.load(Ordering::Relaxed) {
                server.query("", &json!({"Tag": {"create": true, "name": "beside"}})).ok();
                made += 1;
            }
            made
        });
        let count = || tasks.sql("SELECT count(*) FROM \"Tag\"").parse::<u64>().unwrap();
        let more = |before: u64| until(Duration::from_secs(20), || (count() > before + 3).then_some(()));
        more(0);
        let on = tasks.app.run(&[&["triggers", "on", "APP"], &tasks.flags()[..]].concat());
        more(count());
        stop.store(true, Ordering::Relaxed);
        on.succeeded();
        writing.join().unwrap()
    });
    let lines =
        tasks.sql("SELECT count(*), count(DISTINCT \"row\") FROM \"_change\" WHERE \"table\" = 'Tag'");
    assert_eq!(lines, format!("{made}|{made}"));
    tasks.sql("DELETE FROM \"_change\"");
}

async fn logs_as_the_engine_does(tasks: &Tasks) {
    let server = tasks.serve();
    put_in_beside(tasks, &server);
    let status = tasks.run(&["triggers", "status", "APP"]);
    assert!(status.contains("on   Task") && !status.contains("Job"), "{status}");
    let mut socket = Socket::open(&format!("http://{}", server.address()), "").await;
    socket.subscribe(1, json!({"Task": {"get": ["title", "cost"]}}), None).await;
    let tag = server.query("", &json!({"Tag": {"create": true, "name": "red"}})).ok()["Tag"][0]["id"].clone();
    let row = json!({"Task": {"create": true, "id": ID, "title": "Say \"so\"\n", "cost": "-0.05", "done": true, "state": "shut",
        "due": "2026-01-31T10:00:00.5Z", "day": "2026-01-31", "at": "10:00:00", "data": {"a": [1, null]}, "words": ["x", "y"], "cover": "AP/+",
        "main": tag, "tags": [tag]}});
    server.query("", &row).ok();
    assert_eq!(socket.hear().await["change"], "enter");
    tasks.sql(&format!("UPDATE \"Task\" SET title = 'Elsewhere' WHERE id = '{ID}'"));
    let frame = socket.hear().await;
    assert_eq!(
        (&frame["change"], &frame["row"]["title"], &frame["row"]["cost"]),
        (&json!("update"), &json!("Elsewhere"), &json!("-0.05"))
    );
    // The trigger's image before is, byte for byte, the engine's image after.
    let engine =
        tasks.sql("SELECT \"after\" FROM \"_change\" WHERE \"table\" = 'Task' AND \"kind\" = 'create'");
    let trigger =
        tasks.sql("SELECT \"before\" FROM \"_change\" WHERE \"table\" = 'Task' AND \"kind\" = 'update'");
    assert_eq!(trigger, engine);
    assert!(!engine.contains("hush") && !engine.contains("code"), "{engine}");
    // A write that changes nothing is none, and one of the engine stands there once.
    tasks.sql(&format!("UPDATE \"Task\" SET title = 'Elsewhere', code = 'hush hush' WHERE id = '{ID}'"));
    server.query("", &json!({"Task": {"id": ID, "set": {"title": "Here", "tags": []}}})).ok();
    tasks.sql(&format!(
        "INSERT INTO \"Task_tags\" (owner, target) VALUES ('{ID}', '{}')",
        tag.as_str().unwrap()
    ));
    let lines = tasks.sql("SELECT \"kind\" FROM \"_change\" WHERE \"table\" = 'Task' ORDER BY \"seq\"");
    assert_eq!(lines.lines().collect::<Vec<_>>(), ["create", "link", "update", "update", "unlink", "link"]);
    // Neither does a row that could go out in one statement with its line stand there twice.
    assert_eq!(tasks.sql("SELECT count(*) FROM \"_change\" WHERE \"table\" = 'Tag'"), "1");
    let linked =
        tasks.sql("SELECT \"after\" FROM \"_change\" WHERE \"kind\" = 'link' ORDER BY \"seq\" DESC LIMIT 1");
    assert_eq!(serde_json::from_str::<Value>(&linked).unwrap(), json!({"tags": tag}));
    drop(server);
    tasks.run(&["triggers", "off", "APP", "Task"]);
    let status = tasks.run(&["triggers", "status", "APP"]);
    assert!(status.contains("off  Task") && status.contains("on   Tag"), "{status}");
    for (table, words) in [("Tusk", "did you mean Task?"), ("Job", "written by Mainstay alone")] {
        let wrong: Vec<&str> = ["triggers", "on", "APP", table].into_iter().chain(tasks.flags()).collect();
        let said = tasks.app.run(&wrong).ended(2).stderr;
        assert!(said.contains(words), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn triggers_log_as_the_engine_does_on_sqlite() {
    logs_as_the_engine_does(&Tasks { app: App::of(TASKS), url: None, past: None }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn triggers_log_as_the_engine_does_on_postgres() {
    let url = Some(Postgres::database());
    logs_as_the_engine_does(&Tasks { app: App::of(TASKS), url, past: None }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn triggers_log_as_the_engine_does_behind_a_pooler() {
    let bouncer = Bouncer::start(3);
    let direct = Postgres::database();
    let url = Some(bouncer.url(direct.rsplit('/').next().unwrap()));
    logs_as_the_engine_does(&Tasks { app: App::of(TASKS), url, past: Some(direct) }).await;
}
