//! `mainstay::test` itself: an app with jobs of its own in a test, and on PostgreSQL many tests from one template.
//!
//! Where its databases are is said by a variable, so the test of PostgreSQL starts this program again with that.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed, and says where")]

use std::process::{Command, Stdio};
use std::time::Duration;

use mainstay::jobs::Scheduled;
use mainstay::prelude::*;
use mainstay::test::TestApp;
use mainstay_testkit::postgres::Postgres;

mainstay::schema!("tests/data/tasks.stay");

/// Set for the program that is started again.
const VARIABLE: &str = "MAINSTAY_TEST_DATABASE";

async fn app() -> TestApp {
    let app = App::open(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data")).unwrap();
    let nightly = Schedule::parse("0 3 * * *", "Europe/Amsterdam").unwrap();
    let app = app
        .on_processing::<Task>(async |_: &HookCtx, it: &mut typed::Processing<Task>| -> Result<(), Error> {
            if it.old.is_none() {
                it.row.title = it.row.title.to_uppercase();
            }
            Ok(())
        })
        .on_update::<Task>(async |ctx: &HookCtx, tasks: &[typed::Update<Task>]| -> Result<(), Error> {
            for task in tasks.iter().filter(|task| task.old.done != task.new.done) {
                ctx.enqueue(NewJob::new("task.done", &task.new.title)).await?;
            }
            Ok(())
        })
        .on_list_update::<Task>(async |ctx: &HookCtx, it: &ListUpdated| -> Result<(), Error> {
            let words = format!("{} +{} -{}", it.relation, it.added.len(), it.removed.len());
            ctx.admin().query(json!({"Note": {"create": true, "text": words}})).await.map(drop)
        })
        .on_delete::<Task>(async |ctx: &HookCtx, tasks: &[Task]| -> Result<(), Error> {
            let titles: Vec<&str> = tasks.iter().map(|task| task.title.as_str()).collect();
            ctx.admin().query(json!({"Note": {"create": true, "text": titles.join(" ")}})).await.map(drop)
        })
        .rule("Task.unlink", async |ctx: &HookCtx, _: &Changing| -> Result<(), Error> {
            Err(ctx.refuse("task.tagged", "a tag stays"))
        })
        .queue_limit("default", 1)
        .job(Definition::new("task.done", async |job: Running, title: String| {
            if job.job().attempt == 1 {
                return Err(JobError::Retry("not now".to_owned()));
            }
            job.query(json!({"Note": {"create": true, "text": format!("done {title}")}})).await?;
            Ok(())
        }))
        .job(
            Definition::new("report", async |_, _: Scheduled| Ok(()))
                .schedule(nightly, CatchUp::All { most: 10 }),
        );
    TestApp::start(app).await
}

#[tokio::test]
async fn an_app_is_tested_with_its_jobs_and_its_clock() {
    let app = app().await;
    app.set_now("2026-03-27T12:00:00Z");
    assert_eq!(app.work().await, Vec::<String>::new());
    let new = json!({"Task": {"create": true, "title": "milk", "tags": {"add": {"create": true, "name": "food"}}, "get": ["id"]}});
    let made = app.anybody().query(new).await.expect_ok();
    let id = made["Task"][0]["id"].as_str().unwrap();
    assert_eq!(app.changed().await.iter().filter(|change| *change == "create Note").count(), 1);
    app.expect_nothing().await;

    let unlink = json!({"Task": {"id": id, "set": {"tags": []}}});
    let refused = app.anybody().query(unlink).await.expect_refused("hook.refused");
    assert_eq!(refused.errors[0].key, "task.tagged");
    app.expect_nothing().await;

    app.anybody().query(json!({"Task": {"id": id, "set": {"done": true}}})).await.expect_ok();
    assert_eq!(app.enqueued().await, ["task.done"]);
    assert_eq!(app.work().await, ["task.done scheduled: not now"]);
    assert_eq!(app.work().await, Vec::<String>::new(), "its time has not come");
    app.advance(Duration::from_secs(3));
    assert_eq!(app.work().await, ["task.done done"]);
    app.anybody().query(json!({"Task": {"id": id, "delete": true}})).await.expect_ok();
    let notes = app.admin().query(json!({"Note": {"get": ["text"], "order": ["text"]}})).await.expect_ok();
    let notes: Vec<&str> =
        notes["Note"].as_array().unwrap().iter().map(|note| note["text"].as_str().unwrap()).collect();
    assert_eq!(notes[..], ["MILK", "done MILK", "tags +1 -0"]);

    // Three nights, of which the second has no half past two.
    app.advance(Duration::from_secs(3 * 24 * 3600));
    assert_eq!(app.work().await, ["report done"; 3]);
    let at: Vec<String> =
        app.jobs.list(None, Some("report"), 10).await.unwrap().into_iter().map(|row| row.args).collect();
    assert!(at.iter().any(|args| args.contains("2026-03-28T02:00")), "{at:?}");
    assert!(at.iter().any(|args| args.contains("2026-03-29T01:00")), "{at:?}");
}

#[test]
fn tests_on_postgres_are_copies_of_one_template() {
    if std::env::var_os(VARIABLE).is_some() {
        return;
    }
    let server = Postgres::shared();
    let url = Postgres::database();
    let database = url.rsplit('/').next().unwrap();
    let count = |like: &str| {
        let sql = format!("SELECT count(*) FROM pg_database WHERE datname LIKE '{like}'");
        server.run(database, &sql).unwrap().parse::<u32>().unwrap()
    };
    let start = || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "an_app_is_tested_with_its_jobs_and_its_clock"]).env(VARIABLE, &url);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    // Together: whoever is first makes the template.
    let started = [start(), start(), start()];
    for child in started {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    assert_eq!(count("mainstay_test_________________"), 1, "one template");
    assert_eq!(count("mainstay_test_%"), 1, "and nothing else");
}
