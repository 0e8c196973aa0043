//! The life of a schema: planned into files, applied to a database that others use, broken off and gone on with, on either database.

mod renames;

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;
use std::time::Duration;

use mainstay_testkit::postgres::Postgres;
use serde_json::json;

use crate::support::{App, Ran, until};

const ONE: &str = r#"
table Product {
  name   text(100)
  price  decimal(9, 2) = 0.00
  shelf  text(20)?
  pin    text?
  history 30 days
  allow all
}
"#;

const TWO: &str = r#"
table Product {
  name   text(100)  unique
  cost   decimal(9, 2) = 0.00
  rank   int
  pin    text?  secret
  maker  Maker?
  history 30 days
  allow all
}
table Maker { name text, allow all }
"#;

/// What makes the second of the first.
const HINTS: [&str; 6] = [
    "--rename",
    "Product.price=cost",
    "--fill",
    "Product.rank=if cost > 2.00 then 1 else 2",
    "--drop",
    "Product.shelf",
];

/// An app on one of the databases, in production: nothing changes by itself.
struct Shop {
    app: App,
    /// Which database; none: the app's own file.
    url: Option<String>,
}

impl Shop {
    /// One on each database.
    fn each(test: impl Fn(&Shop)) {
        for url in [None, Some(Postgres::database())] {
            test(&Shop { app: App::of(ONE), url });
        }
    }

    fn words<'w>(&'w self, words: &[&'w str]) -> Vec<&'w str> {
        let mut words = words.to_vec();
        words.extend(["--env", "production"]);
        words.extend(self.url.iter().flat_map(|url| ["--database", url.as_str()]));
        words
    }

    fn run(&self, words: &[&str]) -> Ran {
        self.app.run(&self.words(words))
    }

    /// `mainstay migrate …`
    fn migrate(&self, command: &str, more: &[&str]) -> Ran {
        let mut words = vec!["migrate", command, "APP"];
        words.extend(more);
        self.run(&words)
    }

    fn folder(&self) -> &'static str {
        if self.url.is_some() { "migrations/postgres" } else { "migrations/sqlite" }
    }

    fn query(&self, document: &serde_json::Value) -> serde_json::Value {
        self.run(&["query", "APP", &document.to_string(), "--admin"]).succeeded().json()
    }

    fn make(&self, name: &str, more: serde_json::Value) {
        let mut part = json!({"create": true, "name": name});
        part.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.query(&json!({"Product": part}));
    }

    /// The first version, planned and applied to an empty database, with rows.
    fn begun(&self) {
        self.migrate("plan", &[]).succeeded();
        self.migrate("apply", &[]).succeeded();
        self.make("Tea", json!({"price": "2.50", "shelf": "A1", "pin": "1234"}));
        self.make("Salt", json!({"price": "0.40"}));
    }
}

#[test]
fn a_schema_goes_from_one_version_to_the_next() {
    Shop::each(|shop| {
        let refused = shop.migrate("apply", &[]).ended(1);
        assert!(refused.stderr.contains("has no migrations: run `mainstay migrate plan"), "{refused:?}");
        shop.begun();
        shop.app.write("app.stay", TWO);
        let unfit = shop.run(&["query", "APP", "{\"Product\": {}}"]).ended(1);
        assert!(unfit.stderr.contains("the database does not fit the app"), "{unfit:?}");
        assert!(unfit.stderr.contains("`mainstay migrate apply "), "{unfit:?}");
        let asked = shop.migrate("plan", &[]).ended(1);
        for words in ["--rename Product.price=cost", "--fill Product.rank=EXPRESSION"] {
            assert!(asked.stderr.contains(words), "{asked:?}");
        }
        shop.migrate("plan", &[&["--check"], &HINTS[..]].concat()).ended(1);
        let planned = shop.migrate("plan", &[&["--name", "Costs & ranks"], &HINTS[..]].concat()).succeeded();
        let name = format!("{}/0002_costs_ranks.sql", shop.folder());
        assert!(planned.stdout.trim().ends_with(&name), "{planned:?}");
        let text = shop.app.read(&name);
        for words in [
            "-- Product.price is renamed to cost\n",
            "-- Product.shelf is dropped: its values are lost (destructive)\n",
            "--   - column Product.shelf text?\n",
        ] {
            assert!(text.contains(words), "{text}");
        }
        shop.migrate("plan", &["--check"]).succeeded();
        let status = shop.migrate("status", &[]).succeeded();
        assert!(status.stdout.contains("0002_costs_ranks: pending"), "{status:?}");
        let refused = shop.migrate("apply", &[]).ended(1);
        assert!(refused.stderr.contains("--allow-destructive"), "{refused:?}");
        let rehearsed = shop.migrate("apply", &["--dry-run", "--allow-destructive", "--json"]).succeeded();
        assert_eq!(rehearsed.json()["applied"][0]["file"], "0002_costs_ranks", "{rehearsed:?}");
        shop.migrate("apply", &["--allow-destructive"]).succeeded();
        let found = shop.query(&json!({"Product": {"get": ["name", "cost", "rank"], "order": "name"}}));
        let found = found["Product"].as_array().unwrap().iter().map(|row| {
            [&row["name"], &row["cost"], &row["rank"]].map(|value| value.to_string().replace('"', ""))
        });
        assert_eq!(found.collect::<Vec<_>>(), [["Salt", "0.40", "2"], ["Tea", "2.50", "1"]]);
        let again = shop.migrate("apply", &["--json"]).succeeded();
        assert_eq!(again.json()["applied"], json!([]), "{again:?}");
        let status = shop.migrate("status", &["--json"]).succeeded().json();
        assert_eq!((&status["drift"], &status["unplanned"]), (&json!([]), &json!([])), "{status}");
    });
}

/// The history goes on under the new name, and has lost what became secret.
#[test]
fn the_history_of_rows_goes_on() {
    Shop::each(|shop| {
        shop.begun();
        shop.app.write("app.stay", TWO);
        shop.migrate("plan", &HINTS).succeeded();
        shop.migrate("apply", &["--allow-destructive"]).succeeded();
        let rows = shop.query(&json!({"Product": {"name": "Tea", "get": ["id"]}}));
        let id = rows["Product"][0]["id"].as_str().unwrap();
        let flags = shop.words(&[]);
        let server = shop.app.serve_with(&flags);
        let history = server.get("", &format!("/api/Product/{id}/history")).ok();
        let version = &history["items"][0]["row"];
        assert_eq!(version["cost"], "2.50", "{history}");
        assert!(!history.to_string().contains("1234"), "{history}");
    });
}

#[test]
fn rows_in_the_way_are_named_and_nothing_is_changed() {
    Shop::each(|shop| {
        shop.begun();
        shop.make("Tea", json!({}));
        shop.app.write("app.stay", ONE.replace("text(100)", "text(100) unique"));
        shop.migrate("plan", &[]).succeeded();
        let refused = shop.migrate("apply", &[]).ended(1);
        assert!(refused.stderr.contains("Product.name: 2 rows have the same value \"Tea\""), "{refused:?}");
        assert!(refused.stderr.contains("Nothing of this migration was kept"), "{refused:?}");
        shop.app.write("app.stay", ONE);
        assert_eq!(shop.query(&json!({"Product": {"count": true}}))["Product"].as_array().unwrap().len(), 3);
    });
}

/// A database that an earlier release made, which kept no ledger.
#[test]
fn a_database_without_a_ledger_is_taken_as_it_is() {
    Shop::each(|shop| {
        // Made by a server, as long as the app has no migrations.
        shop.make("Tea", json!({"price": "2.50"}));
        match &shop.url {
            None => {
                let file = file_of(shop);
                file.execute_batch(
                    "DROP TABLE \"_migration\"; DELETE FROM \"_meta\" WHERE \"key\" = 'schema'",
                )
                .unwrap();
            }
            Some(url) => {
                let name = url.rsplit_once('/').unwrap().1;
                let sql = "DROP TABLE \"_migration\"; DELETE FROM \"_meta\" WHERE \"key\" = 'schema'";
                Postgres::shared().run(name, sql).unwrap();
            }
        }
        shop.migrate("plan", &[]).succeeded();
        let status = shop.migrate("status", &[]).succeeded();
        assert!(status.stdout.contains("is as 0001_start leaves it"), "{status:?}");
        shop.app.write("app.stay", TWO);
        shop.migrate("plan", &HINTS).succeeded();
        let applied = shop.migrate("apply", &["--allow-destructive", "--json"]).succeeded().json();
        assert_eq!(applied["taken"], json!(["0001_start"]), "{applied}");
        assert_eq!(applied["applied"].as_array().unwrap().len(), 1, "{applied}");
        assert_eq!(shop.query(&json!({"Product": {"get": ["cost"]}}))["Product"][0]["cost"], "2.50");
    });
}

/// The app has gone on since; nobody wrote a migration for what its database holds.
#[test]
fn the_first_migration_is_what_a_database_holds() {
    Shop::each(|shop| {
        shop.make("Tea", json!({"price": "2.50"}));
        shop.app.write("app.stay", TWO);
        let unfit = shop.run(&["serve", "APP"]).ended(1);
        assert!(unfit.stderr.contains("`mainstay migrate plan "), "{unfit:?}");
        let planned = shop.migrate("plan", &HINTS).succeeded();
        assert!(
            planned.stdout.contains("0001_start.sql") && planned.stdout.contains("/0002_"),
            "{planned:?}"
        );
        let applied = shop.migrate("apply", &["--allow-destructive", "--json"]).succeeded().json();
        assert_eq!(applied["taken"], json!(["0001_start"]), "{applied}");
        assert_eq!(shop.query(&json!({"Product": {"get": ["cost"]}}))["Product"][0]["cost"], "2.50");
        // The first one makes it from nothing, too.
        let other = Shop { app: App::of(TWO), url: shop.url.as_ref().map(|_| Postgres::database()) };
        for entry in std::fs::read_dir(shop.app.path().join(shop.folder())).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            other.app.write(&format!("{}/{name}", shop.folder()), std::fs::read(&path).unwrap());
        }
        other.migrate("apply", &["--allow-destructive"]).succeeded();
        other.make("Salt", json!({"rank": 1}));
    });
}

#[test]
fn what_somebody_changed_by_hand_stops_a_migration() {
    Shop::each(|shop| {
        shop.begun();
        let sql = "DROP INDEX \"Product.name.unique\"";
        shop.app.write("app.stay", ONE.replace("text(100)", "text(100) unique"));
        shop.migrate("plan", &[]).succeeded();
        shop.migrate("apply", &[]).succeeded();
        match &shop.url {
            None => file_of(shop).execute_batch(sql).unwrap(),
            Some(url) => drop(Postgres::shared().run(url.rsplit_once('/').unwrap().1, sql).unwrap()),
        }
        shop.migrate("plan", &["--by-hand", "--name", "more"]).succeeded();
        let refused = shop.migrate("apply", &[]).ended(1);
        assert!(refused.stderr.contains("the index Product.name.unique is missing"), "{refused:?}");
        let status = shop.migrate("status", &[]).succeeded();
        assert!(status.stdout.contains("differs: the index Product.name.unique is missing"), "{status:?}");
    });
}

/// Steps by hand stand between those that are planned; a file that changed after it was applied is told.
#[test]
fn steps_by_hand_are_run_in_their_order() {
    Shop::each(|shop| {
        shop.begun();
        let name = format!("{}/0002_louder.sql", shop.folder());
        shop.app
            .write(&name, "UPDATE \"Product\" SET \"name\" = upper(\"name\"); -- all of them; even these\n");
        shop.migrate("apply", &[]).succeeded();
        let found = shop.query(&json!({"Product": {"get": ["name"], "order": "name"}}));
        assert_eq!(found["Product"][1]["name"], "TEA");
        shop.app.write(&name, "UPDATE \"Product\" SET \"name\" = lower(\"name\");\n");
        let again = shop.migrate("apply", &[]).succeeded();
        assert!(again.stderr.contains("0002_louder was edited after it was applied"), "{again:?}");
        std::fs::remove_file(shop.app.path().join(&name)).unwrap();
        let missing = shop.migrate("apply", &[]).ended(1);
        assert!(missing.stderr.contains("0002_louder"), "{missing:?}");
    });
}

/// Two branches have each added a migration, and one was applied before they met.
#[test]
fn a_file_that_was_given_another_number_is_the_same_file() {
    Shop::each(|shop| {
        shop.begun();
        let path = |number: u32, name: &str| format!("{}/{number:04}_{name}.sql", shop.folder());
        let text = "UPDATE \"Product\" SET \"name\" = \"name\" || '!';";
        shop.app.write(&path(2, "mine"), text);
        shop.migrate("apply", &[]).succeeded();
        shop.app.write(&path(2, "yours"), "UPDATE \"Product\" SET \"name\" = \"name\" || '?';");
        let twice = shop.migrate("apply", &[]).ended(1);
        assert!(twice.stderr.contains("0002_mine and 0002_yours have the same number"), "{twice:?}");
        std::fs::rename(shop.app.path().join(path(2, "mine")), shop.app.path().join(path(3, "mine")))
            .unwrap();
        shop.migrate("apply", &[]).succeeded();
        let found = shop.query(&json!({"Product": {"get": ["name"], "order": "name"}}));
        assert_eq!(found["Product"][1]["name"], "Tea!?");
    });
}

#[test]
fn an_empty_database_waits_for_its_migrations() {
    Shop::each(|shop| {
        shop.migrate("plan", &[]).succeeded();
        let refused = shop.run(&["serve", "APP"]).ended(1);
        assert!(refused.stderr.contains("the database is empty"), "{refused:?}");
        assert!(refused.stderr.contains("`mainstay migrate apply "), "{refused:?}");
        shop.migrate("apply", &[]).succeeded();
        let flags = shop.words(&[]);
        shop.app.serve_with(&flags).get("", "/api/Product").ok();
    });
}

/// In development a server has brought its database in step by itself; the migration that does the same is taken as done.
#[test]
fn a_database_in_development_is_ahead_of_its_ledger() {
    for url in [None, Some(Postgres::database())] {
        let app = App::of(ONE);
        let run = |words: &[&str]| {
            let mut words = words.to_vec();
            words.extend(url.iter().flat_map(|url| ["--database", url.as_str()]));
            app.run(&words).succeeded()
        };
        run(&["migrate", "plan", "APP"]);
        run(&["query", "APP", "{\"Product\": {\"create\": true, \"name\": \"Tea\"}}", "--admin"]);
        run(&["migrate", "apply", "APP"]);
        app.write("app.stay", ONE.replace("pin    text?", "pin text?\n  size int = 3\n  code text? index"));
        run(&["query", "APP", "{\"Product\": {\"get\": [\"size\"]}}"]);
        run(&["migrate", "plan", "APP"]);
        let applied = run(&["migrate", "apply", "APP", "--json"]).json();
        assert_eq!(applied["taken"].as_array().map(Vec::len), Some(1), "{applied}");
        let again = run(&["migrate", "apply", "APP", "--json"]).json();
        assert_eq!((&again["taken"], &again["applied"]), (&json!([]), &json!([])), "{again}");
    }
}

/// Killed while a step runs that no transaction undoes: what came before is kept, and the next run goes on behind it.
#[test]
fn a_migration_that_was_killed_goes_on() {
    let shop = Shop { app: App::of(ONE), url: Some(Postgres::database()) };
    shop.begun();
    let text = "-- step: first\nUPDATE \"Product\" SET \"name\" = \"name\" || '1';\n\
                -- step (outside a transaction): slow\nSELECT pg_sleep(60);\n\
                -- step: last\nUPDATE \"Product\" SET \"name\" = \"name\" || '2';\n";
    let name = "migrations/postgres/0002_slow.sql";
    shop.app.write(name, text);
    let mut command = shop.app.command(&shop.words(&["migrate", "apply", "APP"]));
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("step 2: slow")));
    // The step was begun once the ledger tells of it.
    let database = shop.url.as_deref().unwrap().rsplit_once('/').unwrap().1;
    until(Duration::from_secs(10), || {
        let begun = "SELECT count(*) FROM _migration WHERE step = 2 AND name = 'slow'";
        (Postgres::shared().run(database, begun).unwrap() == "1").then_some(())
    });
    child.kill().unwrap();
    child.wait().unwrap();
    let status = shop.migrate("status", &[]).succeeded();
    assert!(status.stdout.contains("0002_slow: applied in part: 1 of 3 steps"), "{status:?}");
    let refused = shop.run(&["serve", "APP"]).ended(1);
    assert!(refused.stderr.contains("0002_slow is applied in part"), "{refused:?}");
    shop.app.write(name, text.replace("pg_sleep(60)", "pg_sleep(0)"));
    shop.migrate("apply", &[]).succeeded();
    let found = shop.query(&json!({"Product": {"get": ["name"], "order": "name"}}));
    assert_eq!(found["Product"][1]["name"], "Tea12");
}

/// A long table is filled a few rows at a time: what is done when it fails stays done, and nobody waits for it who writes other rows.
#[test]
fn values_are_filled_in_by_pieces_and_gone_on_with() {
    let shop = Shop { app: App::of(ONE), url: Some(Postgres::database()) };
    shop.begun();
    let database = shop.url.as_deref().unwrap().rsplit_once('/').unwrap().1;
    let sql = |sql: &str| Postgres::shared().run(database, sql).unwrap();
    sql("DELETE FROM \"Product\"; INSERT INTO \"Product\" (id, created, updated, name, price) \
         SELECT ('00000000-0000-7000-8000-' || lpad(i::text, 12, '0'))::uuid, now(), now(), 'P' || i, i FROM generate_series(1, 12000) i; \
         CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
         'BEGIN IF NEW.name = ''P11000'' AND NEW.rank IS NOT NULL THEN RAISE ''not this one''; END IF; RETURN NEW; END'");
    shop.app.write("app.stay", ONE.replace("  shelf", "  rank int\n  shelf"));
    let planned = ["--name", "rank", "--fill", "Product.rank=if price > 100 then 1 else 2"];
    shop.migrate("plan", &planned).succeeded();
    let file = shop.app.read("migrations/postgres/0002_rank.sql");
    assert!(file.contains("fill in values in Product.rank, 5000 rows at a time"), "{file}");
    // The column is there once the first step is done.
    let refuse = "CREATE TRIGGER refuse BEFORE UPDATE ON \"Product\" FOR EACH ROW EXECUTE FUNCTION refuse()";
    sql(refuse);
    let failed = shop.migrate("apply", &[]).ended(1);
    assert!(
        failed.stderr.contains("not this one") && failed.stderr.contains("goes on from there"),
        "{failed:?}"
    );
    let filled = "SELECT count(*) FROM \"Product\" WHERE rank IS NOT NULL";
    assert_eq!(sql(filled), "10000", "two pieces of three");
    let status = shop.migrate("status", &[]).succeeded();
    assert!(status.stdout.contains("0002_rank: applied in part"), "{status:?}");
    sql("DROP TRIGGER refuse ON \"Product\"");
    // What was filled in before is not touched again: somebody else may hold it meanwhile.
    let holder = std::thread::spawn({
        let database = database.to_owned();
        move || {
            let hold =
                "BEGIN; UPDATE \"Product\" SET name = 'held' WHERE name = 'P1'; SELECT pg_sleep(3); COMMIT";
            Postgres::shared().run(&database, hold)
        }
    });
    until(Duration::from_secs(10), || {
        let holds = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(3)%' AND state = 'active' AND pid <> pg_backend_pid() AND datname = current_database()";
        (sql(holds) != "0").then_some(())
    });
    shop.migrate("apply", &[]).succeeded();
    holder.join().unwrap().unwrap();
    let counts = "SELECT count(*) FILTER (WHERE rank = 1), count(*) FILTER (WHERE rank = 2) FROM \"Product\"";
    assert_eq!(sql(counts), "11900|100");
    let server = shop.app.serve_with(&[
        "--env",
        "production",
        "--auth-secret",
        "9fXQ2c7mTz4LrVbN8sKpWd3hYj6GtEaU",
        "--database",
        shop.url.as_deref().unwrap(),
    ]);
    let metrics = server.get("", "/metrics").text;
    assert!(metrics.contains("\nmainstay_migrations_applied 2\n"), "{metrics}");
    assert!(
        metrics.contains("mainstay_migration_last_duration_seconds")
            && metrics.contains("mainstay_migration_last_finished_seconds")
    );
}

/// `plan` at a terminal, with answers typed into it: how it ended, and what was shown.
fn plan_at_a_terminal(shop: &Shop, answers: &str) -> (bool, String) {
    let of = shop.app.command(&shop.words(&[
        "migrate",
        "plan",
        "APP",
        "--name",
        "next",
        "--fill",
        "Product.rank=1",
    ]));
    let quoted = |word: &std::ffi::OsStr| format!("'{}'", word.to_str().unwrap().replace('\'', "'\\''"));
    let words: Vec<String> = std::iter::once(of.get_program()).chain(of.get_args()).map(quoted).collect();
    let mut command = std::process::Command::new("script");
    command.args(["-qec", &words.join(" "), "/dev/null"]).current_dir(of.get_current_dir().unwrap());
    for (name, value) in of.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(answers.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether a column was renamed or went is asked of whoever sits there, and again until the answer is one.
#[test]
fn whether_something_was_renamed_is_asked() {
    Shop::each(|shop| {
        shop.begun();
        shop.app.write("app.stay", TWO);
        let file = format!("{}/0002_next.sql", shop.folder());
        let (planned, said) = plan_at_a_terminal(shop, "");
        assert!(!planned && said.contains("nothing was planned"), "{said}");
        assert!(!shop.app.path().join(&file).exists());

        let (planned, said) = plan_at_a_terminal(shop, "perhaps\ncost\n");
        assert!(planned, "{said}");
        for words in ["Product.price is gone. Is it now called", "1  cost", "d  nothing any more"] {
            assert!(said.contains(words), "{words}\n{said}");
        }
        let renamed = shop.app.read(&file);
        assert!(renamed.contains("-- Product.price is renamed to cost"), "{renamed}");
        assert!(renamed.contains("-- Product.shelf is dropped"), "{renamed}");
        std::fs::remove_file(shop.app.path().join(&file)).unwrap();

        let (planned, said) = plan_at_a_terminal(shop, "d\n");
        assert!(planned, "{said}");
        let dropped = shop.app.read(&file);
        assert!(
            dropped.contains("-- Product.price is dropped") && dropped.contains("-- Product.cost is new"),
            "{dropped}"
        );
        // Nobody is asked who cannot answer.
        std::fs::remove_file(shop.app.path().join(&file)).unwrap();
        let refused = shop.migrate("plan", &["--fill", "Product.rank=1"]).ended(1);
        assert!(refused.stderr.contains("say --rename Product.price=cost"), "{refused:?}");
    });
}

/// An index whose building was broken off is in the way of nobody.
#[test]
fn an_index_that_was_left_invalid_is_built_again() {
    let shop = Shop { app: App::of(ONE), url: Some(Postgres::database()) };
    shop.begun();
    shop.make("Tea", json!({}));
    let database = shop.url.as_deref().unwrap().rsplit_once('/').unwrap().1;
    let build = "CREATE UNIQUE INDEX CONCURRENTLY \"Product.name.unique\" ON \"Product\" (\"name\")";
    Postgres::shared().run(database, build).unwrap_err();
    let rename = "UPDATE \"Product\" SET name = name || id::text WHERE name = 'Tea'";
    Postgres::shared().run(database, rename).unwrap();
    shop.app.write("app.stay", ONE.replace("text(100)", "text(100) unique"));
    shop.migrate("plan", &[]).succeeded();
    shop.migrate("apply", &[]).succeeded();
    let valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = '\"Product.name.unique\"'::regclass";
    assert_eq!(Postgres::shared().run(database, valid).unwrap(), "t");
}

/// A long reader holds a lock: whoever comes behind the migration is served all the same, and it comes through when the reader
/// has gone.
#[test]
fn a_migration_that_waits_stands_in_nobodys_way() {
    let shop = Shop { app: App::of(ONE), url: Some(Postgres::database()) };
    shop.begun();
    let url = shop.url.clone().unwrap();
    let database = url.rsplit_once('/').unwrap().1.to_owned();
    shop.app.write("app.stay", ONE.replace("pin    text?", "pin text?\n  size int = 3"));
    shop.migrate("plan", &[]).succeeded();
    let reader = std::thread::spawn({
        let database = database.clone();
        move || {
            Postgres::shared()
                .run(&database, "BEGIN; SELECT count(*) FROM \"Product\"; SELECT pg_sleep(6); COMMIT")
        }
    });
    until(Duration::from_secs(10), || {
        let sleeps = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(6)%' AND pid <> pg_backend_pid() AND datname = current_database()";
        (Postgres::shared().run(&database, sleeps).unwrap() != "0").then_some(())
    });
    let migration =
        shop.app.command(&shop.words(&["migrate", "apply", "APP"])).stderr(Stdio::piped()).spawn().unwrap();
    until(Duration::from_secs(20), || {
        let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
        (Postgres::shared().run(&database, waits).unwrap() != "0").then_some(())
    });
    // It is tried for two seconds at a time, and others come in between.
    let slowest = "SET statement_timeout = '5s'; SELECT count(*) FROM \"Product\"";
    assert_eq!(Postgres::shared().run(&database, slowest).unwrap(), "2");
    let ended = migration.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    reader.join().unwrap().unwrap();
}

#[test]
fn of_two_that_apply_at_once_one_has_nothing_to_do() {
    Shop::each(|shop| {
        shop.begun();
        shop.app.write("app.stay", TWO);
        shop.migrate("plan", &HINTS).succeeded();
        let both: Vec<Ran> = std::thread::scope(|scope| {
            let apply = || shop.migrate("apply", &["--allow-destructive", "--json"]);
            let running = [scope.spawn(apply), scope.spawn(apply)];
            running.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let mut counts: Vec<usize> =
            both.into_iter().map(|ran| ran.succeeded().json()["applied"].as_array().unwrap().len()).collect();
        counts.sort_unstable();
        assert_eq!(counts, [0, 1]);
    });
}

/// The file is one server's.
#[test]
fn a_sqlite_database_is_not_changed_under_its_server() {
    let shop = Shop { app: App::of(ONE), url: None };
    shop.begun();
    let flags = shop.words(&[]);
    let server = shop.app.serve_with(&flags);
    shop.app.write("migrations/sqlite/0002_more.sql", "UPDATE \"Product\" SET \"name\" = 'x';");
    let refused = shop.migrate("apply", &[]).ended(1);
    assert!(refused.stderr.contains("another mainstay server or worker is running"), "{refused:?}");
    drop(server);
    shop.migrate("apply", &[]).succeeded();
}

/// What others made beside the app's tables outlives their being built anew.
#[test]
fn triggers_views_and_indexes_of_others_outlive_a_rebuild() {
    let shop = Shop { app: App::of(ONE), url: None };
    shop.begun();
    let sql = "CREATE INDEX by_shelf ON \"Product\" (shelf);
               CREATE VIEW cheap AS SELECT name FROM \"Product\" WHERE price < 100;
               CREATE TABLE seen (n INTEGER);
               CREATE TRIGGER counted AFTER UPDATE ON \"Product\" BEGIN INSERT INTO seen VALUES (1); END;";
    file_of(&shop).execute_batch(sql).unwrap();
    shop.app.write("app.stay", ONE.replace("shelf  text(20)?", "shelf  text(20) = \"-\""));
    shop.migrate("plan", &[]).succeeded();
    shop.migrate("apply", &[]).succeeded();
    let file = file_of(&shop);
    let count = |sql: &str| file.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM sqlite_master WHERE name IN ('by_shelf', 'counted', 'cheap')"), 3);
    assert_eq!(count("SELECT count(*) FROM cheap"), 1);
    file.execute_batch("ALTER TABLE \"Product\" ADD COLUMN extra TEXT").unwrap();
    shop.app.write("app.stay", ONE);
    shop.migrate("plan", &[]).succeeded();
    let refused = shop.migrate("apply", &[]).ended(1);
    assert!(refused.stderr.contains("Product has column extra"), "{refused:?}");
}

fn file_of(shop: &Shop) -> rusqlite::Connection {
    rusqlite::Connection::open(shop.app.path().join("data/mainstay.db")).unwrap()
}
