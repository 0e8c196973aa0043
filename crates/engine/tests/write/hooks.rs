//! Hooks of plugins: when they are called, what they may change, what they may ask, and what becomes of those that fail, loop
//! or hang.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mainstay_engine::ctx::Caller;
use mainstay_engine::error::{Error, Key};
use mainstay_engine::hook::{
    Changing, Deleted, HookCtx, ListUpdated, Processing, Results, Row, Update, Updated,
};
use mainstay_engine::limits::Limits;
use mainstay_engine::part::Part;
use mainstay_engine::plugin::{Plugin, Plugins, Setup};
use mainstay_engine::response::Response;
use mainstay_testkit::database::Place;
use serde_json::{Value as Json, json};

use crate::app::App;
use crate::support::{changes, check, refused, rows};

const APP: &str = r##"
table Order {
  title  text(20)
  slug   text(20)
  total  int = 0
  lines  Line[] by parent
  tags   Tag[]
  allow read, update, delete
  allow create if total < 100
}
table Line { parent Order on delete cascade, n int, note Note?, allow all }
table Note { text text, parent Order?, allow all }
table Tag { name text unique, orders Order[] by tags, allow all }
table Secret { text text, allow create }
table Plain { n int, allow all }
"##;

type Build = fn(&mut Setup<'_>);

/// A plugin of one test.
struct Of(&'static str, Build);

impl Plugin for Of {
    fn name(&self) -> &str {
        self.0
    }

    fn build(&self, setup: &mut Setup<'_>) {
        (self.1)(setup);
    }
}

async fn app(rows: Json, builds: &[(&'static str, Build)]) -> App {
    limited(rows, Limits::default(), builds).await
}

async fn limited(rows: Json, limits: Limits, builds: &[(&'static str, Build)]) -> App {
    let mut plugins = Plugins::default();
    for (name, build) in builds {
        plugins.add(Of(name, *build));
    }
    App::plugged(Place::new(crate::ON).unwrap(), limits, APP, rows, &plugins).await
}

/// What hooks have written down, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn of(app: &App) -> Log {
        app.engine.parts().get::<Log>().unwrap().clone()
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

fn note(ctx: &HookCtx, words: impl Into<String>) -> Result<(), Error> {
    ctx.kept::<Log>()?.0.lock().unwrap().push(words.into());
    Ok(())
}

fn order(id: u32) -> Json {
    json!(["Order", {"id": id, "title": format!("t{id}"), "slug": format!("t{id}")}])
}

/// Writes down every call, with the table's name and what it is about.
fn recorder(setup: &mut Setup<'_>) {
    setup.part::<Log>();
    for table in ["Order", "Line", "Note", "Tag"] {
        setup
            .table(table)
            .on_request(async |ctx: &HookCtx, part: &mut Part| -> Result<(), Error> {
                note(ctx, format!("request {}", part.path))
            })
            .on_processing(async |ctx: &HookCtx, it: &mut Processing| -> Result<(), Error> {
                let what = if it.old.is_some() { "set" } else { "create" };
                if it.row.table() == "Order" && it.row.text("slug").is_none() {
                    let title = it.row.text("title").unwrap_or_default().to_lowercase();
                    it.row.set("slug", title)?;
                }
                note(ctx, format!("processing {} {what} {}", it.row.table(), ctx.path()))
            })
            .on_create(async |ctx: &HookCtx, row: &mut Row| -> Result<(), Error> {
                note(ctx, format!("create {} {}", row.table(), ctx.path()))
            })
            .on_update(async |ctx: &HookCtx, it: &Updated| -> Result<(), Error> {
                let table = it.rows[0].new.table();
                note(ctx, format!("update {table} {} {}", it.rows.len(), ctx.path()))
            })
            .on_list_update(async |ctx: &HookCtx, it: &ListUpdated| -> Result<(), Error> {
                note(
                    ctx,
                    format!("list {} +{} -{} {}", it.relation, it.added.len(), it.removed.len(), ctx.path()),
                )
            })
            .on_delete(async |ctx: &HookCtx, it: &Deleted| -> Result<(), Error> {
                note(ctx, format!("delete {} {} {}", it.rows[0].table(), it.rows.len(), ctx.path()))
            })
            .on_result(async |ctx: &HookCtx, it: &mut Results| -> Result<(), Error> {
                note(ctx, format!("result {} {}", it.rows.len(), ctx.path()))
            });
    }
    setup
        .on_response(async |ctx: &HookCtx, _: &mut Response| -> Result<(), Error> { note(ctx, "response") })
        .on_success(async |ctx: &HookCtx, _: &Response| -> Result<(), Error> { note(ctx, "success") })
        .on_error(async |ctx: &HookCtx, error: &Error| -> Result<(), Error> {
            note(ctx, format!("error {}", error.key.text()))
        });
}

#[tokio::test]
async fn hooks_are_called_in_the_order_that_the_book_tells() {
    let app = app(
        json!([
            order(1),
            order(2),
            ["Line", {"id": 3, "parent": 1, "n": 1}],
            ["Note", {"id": 4, "text": "n", "parent": 1}],
            ["Tag", {"id": 5, "name": "a"}],
            ["Order.tags", {"owner": 1, "target": 5}]
        ]),
        &[("recorder", recorder)],
    )
    .await;
    let log = Log::of(&app);
    let caller = Caller::anonymous;
    // A nested create: the row, what is nested in it, its links.
    app.run(
        caller(),
        r##"{"Order": {"create": true, "title": "New",
             "lines": [{"create": true, "n": 1, "note": {"create": true, "text": "x"}}],
             "tags": {"add": {"create": true, "name": "b"}}}}"##,
    )
    .await
    .unwrap();
    let expected = "
        request /Order
        request /Order/lines/0
        request /Order/lines/0/note
        request /Order/tags
        request /Order/tags/add
        processing Order create /Order
        create Order /Order
        processing Note create /Order/lines/0/note
        create Note /Order/lines/0/note
        processing Line create /Order/lines/0
        create Line /Order/lines/0
        processing Tag create /Order/tags/add
        create Tag /Order/tags/add
        list tags +1 -0 /Order/tags
        list orders +1 -0 /Order/tags
        result 1 /Order/lines/note
        result 1 /Order/lines
        result 1 /Order/tags
        result 1 /Order
        response
        success";
    assert_eq!(log.take(), lines(expected));
    // Changes: those that change nothing are not told, the others of one part together.
    check(
        &app,
        caller(),
        r##"{"Order": {"id": ["#1", "#2"], "set": {"title": "t1"}, "get": ["id"]}}"##,
        r##"{"Order":[{"id":"#1","title":"t1"},{"id":"#2","title":"t1","edited":true}]}"##,
    )
    .await;
    let expected = "
        request /Order
        processing Order set /Order
        update Order 1 /Order
        result 2 /Order
        response
        success";
    assert_eq!(log.take(), lines(expected));
    // A deletion with what hangs on it.
    check(
        &app,
        caller(),
        r##"{"Order": {"id": "#1", "delete": true, "get": ["id"]}}"##,
        r##"{"Order":[{"id":"#1","deleted":true}]}"##,
    )
    .await;
    let expected = "
        request /Order
        delete Order 1 /Order
        delete Line 1 /Order
        update Note 1 /Order
        list orders +0 -1 /Order
        result 1 /Order
        response
        success";
    assert_eq!(log.take(), lines(expected));
    // A failure: nothing behind it is called but what is told of errors.
    let body = r##"[{"Order": {"create": true, "title": "x"}}, {"Tag": {"create": true, "name": "a"}}]"##;
    let error = app.run(caller(), body).await.unwrap_err();
    assert_eq!((error.key, error.errors[0].path.as_str()), (Key::Unique, "/1/Tag/name"));
    let expected = "
        request /0/Order
        request /1/Tag
        processing Order create /0/Order
        create Order /0/Order
        processing Tag create /1/Tag
        error unique";
    assert_eq!(log.take(), lines(expected));
    assert_eq!(rows(&app, r##"{"Order": {"title": "x"}}"##).await, r##"{"Order":[]}"##);
    log.take();
    // Reads have hooks as well.
    app.run(caller(), r##"{"Order": {"lines": {}}}"##).await.unwrap();
    let read = log.take();
    assert_eq!(read.first().map(String::as_str), Some("request /Order"));
    assert_eq!(read[read.len() - 2..], ["response", "success"]);
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[tokio::test]
async fn what_a_hook_sets_is_validated_and_asked_of_the_rules() {
    fn build(setup: &mut Setup<'_>) {
        setup
            .table("Order")
            .on_processing(async |_: &HookCtx, it: &mut Processing| -> Result<(), Error> {
                let title = it.row.text("title").unwrap_or_default().to_owned();
                it.row.set("slug", title.to_lowercase())
            })
            .on_create(async |_: &HookCtx, row: &mut Row| -> Result<(), Error> {
                let title = row.text("title").unwrap_or_default();
                match title.strip_prefix("total ").map(str::parse::<i64>) {
                    Some(Ok(total)) => row.set("total", total),
                    Some(Err(_)) => row.set("total", "no number"),
                    None => Ok(()),
                }
            });
    }
    let app = app(json!([]), &[("slugs", build)]).await;
    let caller = Caller::anonymous;
    check(
        &app,
        caller(),
        r##"{"Order": {"create": true, "title": "total 7", "get": ["slug", "total"]}}"##,
        r##"{"Order":[{"id":"@1","title":"total 7","slug":"total 7","total":7,"new":true}]}"##,
    )
    .await;
    assert_eq!(changes(&app).await.len(), 1, "the row stands in the log once");
    check(
        &app,
        caller(),
        r##"{"Order": {"title": "total 7", "set": {"title": "ABC"}, "get": ["slug"]}}"##,
        r##"{"Order":[{"id":"@1","title":"ABC","slug":"abc","edited":true}]}"##,
    )
    .await;
    refused(
        &app,
        caller(),
        r##"{"Order": {"create": true, "title": "total 100"}}"##,
        "rule.refused\n/Order you may not create this Order",
    )
    .await;
    let error = app.run(caller(), r##"{"Order": {"create": true, "title": "total x"}}"##).await.unwrap_err();
    assert_eq!(error.key, Key::Invalid);
    assert!(error.detail.starts_with("Order.on_create of the plugin `slugs`: "), "{}", error.detail);
    assert_eq!(error.errors[0].path, "/Order");
}

#[tokio::test]
async fn questions_pass_the_guard_unless_they_say_otherwise() {
    fn build(setup: &mut Setup<'_>) {
        setup.part::<Log>();
        setup.table("Plain").on_create(async |ctx: &HookCtx, row: &mut Row| -> Result<(), Error> {
            let secrets = json!({"Secret": {"get": ["text"]}});
            let seen = ctx.query(secrets.clone()).await?;
            let all = ctx.admin().query(secrets).await?;
            note(ctx, format!("{seen} {all}"))?;
            match row.get::<i64>("n")? {
                1 => ctx.query(json!({"Secret": {"create": true, "text": "made"}})).await.map(drop),
                2 => ctx.read_only().query(json!({"Secret": {"create": true, "text": "no"}})).await.map(drop),
                3 => ctx.query(json!({"Secret": {"all": true, "delete": true}})).await.map(drop),
                // Errors that a hook lets pass are none the less of the request.
                _ => ctx.query(json!({"Tag": {"create": true, "name": "a"}})).await.map(drop).or(Ok(())),
            }
        });
    }
    let app =
        app(json!([["Secret", {"id": 1, "text": "s"}], ["Tag", {"id": 2, "name": "a"}]]), &[("asks", build)])
            .await;
    let caller = Caller::anonymous;
    check(
        &app,
        caller(),
        r##"{"Plain": {"create": true, "n": 1, "get": ["n"]}}"##,
        r##"{"Plain":[{"id":"@1","n":1,"new":true}]}"##,
    )
    .await;
    let seen = Log::of(&app).take();
    assert_eq!(
        seen,
        [r##"{"Secret":[]} {"Secret":[{"id":"00000000-0000-7000-8000-000000000001","text":"s"}]}"##]
    );
    assert_eq!(
        rows(&app, r##"{"Secret": {"get": ["text"], "order": "text"}}"##).await,
        r##"{"Secret":[{"id":"@1","text":"made"},{"id":"#1","text":"s"}]}"##
    );
    let failed = |words: &str| format!("hook.failed ({words})\nPlain.on_create of the plugin `asks` failed");
    let read_only = failed(
        "Plain.on_create of the plugin `asks`: a question that writes was asked where hooks may only read",
    );
    refused(&app, caller(), r##"{"Plain": {"create": true, "n": 2}}"##, &read_only).await;
    let unique = "unique\n/Plain another Tag has this value in `name` already";
    refused(&app, caller(), r##"{"Plain": {"create": true, "n": 4}}"##, unique).await;
    // What the caller cannot see is not there to be deleted.
    check(
        &app,
        caller(),
        r##"{"Plain": {"create": true, "n": 3, "get": ["n"]}}"##,
        r##"{"Plain":[{"id":"@1","n":3,"new":true}]}"##,
    )
    .await;
}

#[tokio::test]
async fn a_loop_is_cut_and_its_chain_named() {
    fn build(setup: &mut Setup<'_>) {
        setup.table("Plain").on_create(async |ctx: &HookCtx, row: &mut Row| -> Result<(), Error> {
            let n = row.get::<i64>("n")?;
            ctx.query(json!({"Tag": {"create": true, "name": format!("{n}")}})).await.map(drop)
        });
        setup.table("Tag").on_create(async |ctx: &HookCtx, row: &mut Row| -> Result<(), Error> {
            let n: i64 = row.text("name").and_then(|name| name.parse().ok()).unwrap_or_default();
            ctx.query(json!({"Plain": {"create": true, "n": n + 1}})).await.map(drop)
        });
    }
    let app = app(json!([]), &[("loops", build)]).await;
    let error = app.run(Caller::anonymous(), r##"{"Plain": {"create": true, "n": 1}}"##).await.unwrap_err();
    assert_eq!(error.key, Key::HookLoop);
    let chain = "Plain.on_create (loops) → Tag.on_create (loops) → Plain.on_create (loops)";
    assert!(error.detail.contains(chain), "{}", error.detail);
    assert_eq!(changes(&app).await, Vec::<String>::new());
}

#[tokio::test]
async fn results_are_changed_wherever_rows_stand() {
    fn build(setup: &mut Setup<'_>) {
        setup
            .table("Line")
            .on_request(async |_: &HookCtx, part: &mut Part| -> Result<(), Error> {
                if part.create { part.assign("n", 5) } else { Ok(()) }
            })
            .on_result(async |_: &HookCtx, it: &mut Results| -> Result<(), Error> {
                for row in &mut it.rows {
                    let n: i64 = row.get("n")?.unwrap_or_default();
                    row.set("double", 2 * n)?;
                    row.remove("id");
                }
                Ok(())
            });
    }
    let app = app(json!([order(1), ["Line", {"id": 2, "parent": 1, "n": 3}]]), &[("results", build)]).await;
    let caller = Caller::anonymous;
    check(
        &app,
        caller(),
        r##"{"Order": {"get": ["title"], "lines": {"get": ["id", "n"]}}}"##,
        r##"{"Order":[{"id":"#1","title":"t1","lines":[{"n":3,"double":6}]}]}"##,
    )
    .await;
    check(
        &app,
        caller(),
        r##"{"Order": {"id": "#1", "get": ["title"], "lines": {"create": true, "n": 1, "get": ["n"]}}}"##,
        r##"{"Order":[{"id":"#1","title":"t1","lines":[{"n":5,"new":true,"double":10}]}]}"##,
    )
    .await;
}

#[tokio::test]
async fn a_rule_in_rust_refuses_what_the_declared_ones_allow() {
    fn build(setup: &mut Setup<'_>) {
        setup.rule("Plain.update", async |ctx: &HookCtx, it: &Changing| -> Result<(), Error> {
            let (Some(old), Some(new)) = (&it.old, &it.new) else { return Ok(()) };
            if new.get::<i64>("n")? < old.get::<i64>("n")? {
                return Err(ctx.refuse("plain.falls", "it never falls"));
            }
            Ok(())
        });
    }
    let app = app(json!([["Plain", {"id": 1, "n": 5}]]), &[("rules", build)]).await;
    let caller = Caller::anonymous;
    check(
        &app,
        caller(),
        r##"{"Plain": {"id": "#1", "set": {"n": 6}, "get": ["n"]}}"##,
        r##"{"Plain":[{"id":"#1","n":6,"edited":true}]}"##,
    )
    .await;
    let body = r##"{"Plain": {"id": "#1", "set": {"n": 4}}}"##;
    refused(&app, caller(), body, "hook.refused\n/Plain it never falls").await;
}

#[tokio::test]
async fn a_rule_in_rust_is_asked_about_links_from_either_side() {
    fn build(setup: &mut Setup<'_>) {
        async fn stays(ctx: &HookCtx, it: &Changing) -> Result<(), Error> {
            let (Some(link), Some(order)) = (&it.link, &it.new) else { return Ok(()) };
            let is_closed = order.text("title") == Some("closed");
            assert_eq!(link.relation, "tags");
            if is_closed { Err(ctx.refuse("order.closed", "it is closed")) } else { Ok(()) }
        }
        setup.rule("Order.link", stays).rule("Order.unlink", stays);
    }
    let rows = json!([
        ["Order", {"id": 1, "title": "closed", "slug": "c"}],
        ["Order", {"id": 2, "title": "open", "slug": "o"}],
        ["Tag", {"id": 3, "name": "a"}],
        ["Tag", {"id": 4, "name": "b"}],
        ["Order.tags", {"owner": 1, "target": 3}]
    ]);
    let app = app(rows, &[("rules", build)]).await;
    let caller = Caller::anonymous;
    for (body, path) in [
        (r##"{"Order": {"id": "#1", "tags": {"add": ["#4"]}}}"##, "/Order/tags/add/0"),
        (r##"{"Order": {"id": "#1", "tags": {"remove": ["#3"]}}}"##, "/Order/tags/remove/0"),
        (r##"{"Tag": {"id": "#4", "orders": {"add": ["#1"]}}}"##, "/Tag/orders/add/0"),
        (r##"{"Order": {"create": true, "title": "closed", "slug": "d", "tags": ["#3"]}}"##, "/Order/tags/0"),
    ] {
        refused(&app, caller(), body, &format!("hook.refused\n{path} it is closed")).await;
    }
    assert!(changes(&app).await.is_empty(), "nothing was changed");
    check(
        &app,
        caller(),
        r##"{"Order": {"id": "#2", "tags": {"add": ["#3", "#4"]}, "get": ["id"]}}"##,
        r##"{"Order":[{"id":"#2","tags":[{"id":"#3"},{"id":"#4"}]}]}"##,
    )
    .await;
    // Whoever passes every rule passes these.
    app.change(r##"{"Order": {"id": "#1", "tags": {"remove": ["#3"]}}}"##).await;
}

#[tokio::test]
async fn hooks_leave_values_for_each_other() {
    #[derive(Clone)]
    struct Seen(i64);
    fn first(setup: &mut Setup<'_>) {
        setup.part::<Log>();
        setup.table("Plain").on_create(async |ctx: &HookCtx, row: &mut Row| -> Result<(), Error> {
            ctx.local().set(Seen(row.get("n")?));
            Ok(())
        });
    }
    fn second(setup: &mut Setup<'_>) {
        setup.on_success(async |ctx: &HookCtx, _: &Response| -> Result<(), Error> {
            let seen = ctx.local().get::<Seen>().map(|seen| seen.0);
            let parent = ctx.parent().is_some();
            note(ctx, format!("{seen:?} {} {parent}", ctx.is_admin()))
        });
    }
    let app = app(json!([]), &[("first", first), ("second", second)]).await;
    app.run(Caller::anonymous(), r##"{"Plain": {"create": true, "n": 7}}"##).await.unwrap();
    assert_eq!(Log::of(&app).take(), ["Some(7) false false"]);
}

/// A hook that never ends, of either kind, is left behind at its time: its request is undone, and other writers go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hook_that_hangs_is_left_behind() {
    fn build(setup: &mut Setup<'_>) {
        setup.table("Plain").on_create(async |_: &HookCtx, row: &mut Row| -> Result<(), Error> {
            match row.get::<i64>("n")? {
                1 => std::future::pending::<()>().await,
                // A call that blocks its thread: what no runtime can stop.
                _ => std::thread::sleep(Duration::from_secs(3)),
            }
            Ok(())
        });
    }
    let limits = Limits { hook: Duration::from_millis(300), ..Limits::default() };
    let app = Arc::new(limited(json!([]), limits, &[("hangs", build)]).await);
    for n in [1, 2] {
        let hanging = tokio::spawn({
            let app = app.clone();
            async move {
                app.run(Caller::anonymous(), &format!(r##"{{"Plain": {{"create": true, "n": {n}}}}}"##)).await
            }
        });
        let started = Instant::now();
        let tag = format!(r##"{{"Tag": {{"create": true, "name": "{n}"}}}}"##);
        app.run(Caller::anonymous(), &tag).await.unwrap();
        let error = hanging.await.unwrap().unwrap_err();
        assert_eq!(error.key, Key::HookTimeout, "{error}");
        assert!(error.detail.starts_with("Plain.on_create of the plugin `hangs`"), "{}", error.detail);
        // Behind the hang the next writer has its turn.
        let tag = format!(r##"{{"Tag": {{"create": true, "name": "{n} again"}}}}"##);
        app.run(Caller::anonymous(), &tag).await.unwrap();
        assert!(started.elapsed() < Duration::from_millis(2500), "{:?}", started.elapsed());
    }
    assert_eq!(rows(&app, r##"{"Plain": {"get": ["n"]}}"##).await, r##"{"Plain":[]}"##);
}

/// Requests on tables without hooks go the way they would without any plugin: together with others under one commit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_meets_no_hook_shares_its_commit() {
    fn build(setup: &mut Setup<'_>) {
        setup.table("Order").on_update(async |_: &HookCtx, _: &Updated| -> Result<(), Error> { Ok(()) });
    }
    let app = Arc::new(app(json!([order(1)]), &[("elsewhere", build)]).await);
    let explained = |app: Arc<App>, body: &'static str| async move {
        let operation = mainstay_engine::part::Operation {
            documents: mainstay_engine::document::parse(crate::support::with_keys(body).as_bytes()).unwrap(),
            explain: true,
            ..Default::default()
        };
        let ctx = crate::app::context(Caller::anonymous());
        let explain = app.engine.execute(&ctx, &operation).await.unwrap().explain.unwrap();
        let explain: Json = serde_json::from_str(&explain).unwrap();
        explain["statements"].as_array().unwrap().len()
    };
    // The row and its line of the log, with a hook on another table or without any; PostgreSQL is told both at once.
    let written = match crate::ON {
        mainstay_testkit::database::DatabaseKind::Sqlite => 2,
        mainstay_testkit::database::DatabaseKind::Postgres => 1,
    };
    assert_eq!(explained(app.clone(), r##"{"Plain": {"create": true, "n": 1}}"##).await, written);
    // Even where a hook is called, its call adds no statement: found, changed, logged.
    assert_eq!(explained(app.clone(), r##"{"Order": {"id": "#1", "set": {"title": "x"}}}"##).await, 3);
}

#[tokio::test]
async fn a_plugin_that_names_what_is_not_there_is_refused() {
    fn build(setup: &mut Setup<'_>) {
        setup.table("Ordre").on_update(async |_: &HookCtx, _: &Updated| -> Result<(), Error> { Ok(()) });
        setup.rule("Order.read", async |_: &HookCtx, _: &Changing| -> Result<(), Error> { Ok(()) });
    }
    let schema = crate::app::schema(APP);
    let place = Place::new(crate::ON).unwrap();
    let store = mainstay_store::Store::open(&place.options).unwrap();
    let options = mainstay_engine::Options {
        may_change: mainstay_engine::MayChange::IN_DEVELOPMENT,
        limits: Limits::default(),
    };
    let mut plugins = Plugins::default();
    plugins.add(Of("typo", build));
    let error = mainstay_engine::Engine::open_with(schema, store, options, &plugins).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the plugin `typo` does not fit the app:\n  there is no table `Ordre`, did you mean `Order`?\n  a rule is named \
         `Table.create`, `.update`, `.delete`, `.link` or `.unlink`, not `Order.read`"
    );
}

/// A plugin with a table of its own.
struct Tabled;

impl Plugin for Tabled {
    fn name(&self) -> &str {
        "tabled"
    }

    fn schema(&self) -> &str {
        "table Note { words text, allow all }"
    }

    fn build(&self, _: &mut Setup<'_>) {}
}

#[tokio::test]
async fn a_plugin_brings_no_table_into_a_database_that_others_made() {
    let mut plugins = Plugins::default();
    plugins.add(Tabled);
    let mut sources = plugins.sources();
    sources
        .add("app.stay", "app others existing\ntable Thing { id int, without created, updated, allow all }");
    let schema = std::sync::Arc::new(mainstay_lang::analyse::analyse(&sources).schema.unwrap());
    let script = "CREATE TABLE \"Thing\" (id INTEGER PRIMARY KEY)";
    let bare = mainstay_testkit::database::schema_of(
        "app others existing\ntable Thing { id int, without created, updated, allow all }",
    );
    let database =
        mainstay_testkit::database::Database::of_others(crate::ON, bare.unwrap(), script).await.unwrap();
    let store = mainstay_store::Store::open(&mainstay_store::StoreOptions {
        existing: true,
        ..mainstay_store::StoreOptions::new(database.url().parse().unwrap())
    });
    let options = mainstay_engine::Options {
        may_change: mainstay_engine::MayChange::default(),
        limits: Limits::default(),
    };
    let error =
        mainstay_engine::Engine::open_with(schema, store.unwrap(), options, &plugins).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the plugin `tabled` does not fit the app:\n  it brings tables, and a database that others made (`app NAME existing`) has none but theirs"
    );
}

#[tokio::test]
async fn deletions_are_told_before_and_may_make_way() {
    fn build(setup: &mut Setup<'_>) {
        setup.part::<Log>();
        setup.table("Order").on_delete(async |ctx: &HookCtx, it: &Deleted| -> Result<(), Error> {
            // A line that it adds now goes with the others, and is told like them.
            let order = it.rows[0].key().to_string();
            ctx.query(json!({"Line": {"create": true, "parent": order, "n": 9}})).await.map(drop)
        });
        setup.table("Line").on_delete(async |ctx: &HookCtx, it: &Deleted| -> Result<(), Error> {
            let numbers: Result<Vec<i64>, Error> = it.rows.iter().map(|row| row.get("n")).collect();
            note(ctx, format!("{:?}", numbers?))
        });
    }
    let app = app(json!([order(1), ["Line", {"id": 2, "parent": 1, "n": 1}]]), &[("deletes", build)]).await;
    check(
        &app,
        Caller::anonymous(),
        r##"{"Order": {"id": "#1", "delete": true, "get": ["id"]}}"##,
        r##"{"Order":[{"id":"#1","deleted":true}]}"##,
    )
    .await;
    assert_eq!(Log::of(&app).take(), ["[1]", "[9]"]);
    assert_eq!(rows(&app, r##"{"Line": {"get": ["n"]}}"##).await, r##"{"Line":[]}"##);
}

/// What a hook writes and what its request writes are one: the row that both change holds what both have set.
#[tokio::test]
async fn a_hook_and_its_request_change_one_row() {
    fn build(setup: &mut Setup<'_>) {
        setup.table("Line").on_create(async |ctx: &HookCtx, row: &mut Row| -> Result<(), Error> {
            let order: String = row.get("parent")?;
            let part = json!({"Order": {"id": order, "set": {"total": {"$add": row.get::<i64>("n")?}}}});
            ctx.query(part).await.map(drop)
        });
        setup.table("Order").on_update(async |_: &HookCtx, it: &Updated| -> Result<(), Error> {
            assert!(it.rows.iter().all(|row: &Update| row.changed("total") || row.changed("title")));
            Ok(())
        });
    }
    let app = app(json!([order(1)]), &[("totals", build)]).await;
    check(
        &app,
        Caller::anonymous(),
        r##"{"Order": {"id": "#1", "set": {"title": "x"}, "get": ["title", "total"],
             "lines": [{"create": true, "n": 2, "get": ["n"]}, {"create": true, "n": 3, "get": ["n"]}]}}"##,
        r##"{"Order":[{"id":"#1","title":"x","total":5,"lines":[{"id":"@1","n":2,"new":true},{"id":"@2","n":3,"new":true}],"edited":true}]}"##,
    )
    .await;
    assert_eq!(changes(&app).await.len(), 3, "one line for each row");
}

/// Rows that a request names by their keys alone are written like others, and so are those that it leaves out of a list.
#[tokio::test]
async fn rows_named_by_key_are_told_of() {
    fn build(setup: &mut Setup<'_>) {
        setup.part::<Log>();
        setup.table("Tag").on_list_update(async |ctx: &HookCtx, it: &ListUpdated| -> Result<(), Error> {
            note(ctx, format!("{} +{} -{}", it.relation, it.added.len(), it.removed.len()))
        });
        setup.table("Line").on_update(async |ctx: &HookCtx, it: &Updated| -> Result<(), Error> {
            note(ctx, format!("{} moved", it.rows.len()))
        });
    }
    let rows = json!([
        order(1),
        order(2),
        ["Line", {"id": 3, "parent": 1, "n": 1}],
        ["Tag", {"id": 5, "name": "a"}],
        ["Tag", {"id": 6, "name": "b"}],
        ["Order.tags", {"owner": 1, "target": 5}]
    ]);
    let app = app(rows, &[("keys", build)]).await;
    app.change(r##"{"Order": {"id": "#1", "set": {"tags": ["#6"]}}}"##).await;
    let mut told = Log::of(&app).take();
    told.sort();
    assert_eq!(told, ["orders +0 -1", "orders +1 -0"]);
    app.change(r##"{"Order": {"id": "#2", "lines": {"add": ["#3"]}}}"##).await;
    assert_eq!(Log::of(&app).take(), ["1 moved"]);
}
