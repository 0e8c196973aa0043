//! `backup` and `restore`: whole, from one moment, beside a running server, into either kind of database; and a file that is
//! not whole does nothing.

use std::fs;
use std::time::Duration;

use mainstay_testkit::postgres::Postgres;
use serde_json::{Value, json};

use crate::moving::{KINDS, everything, fill, goes_on, holds_whole_orders, orders, while_orders_come};
use crate::support::{App, Ran, until};

/// Generous: a loaded machine must not fail a test.
const DEADLINE: Duration = Duration::from_secs(60);

fn file(app: &App, name: &str) -> String {
    app.path().parent().unwrap().join(name).display().to_string()
}

/// A place for a database of each kind.
fn places(app: &App, name: &str) -> [String; 2] {
    [format!("sqlite:{}", file(app, name)), Postgres::database()]
}

#[test]
fn what_is_backed_up_comes_back_in_either_kind() {
    let app = App::of(KINDS);
    let mut tables: Vec<Value> = Vec::new();
    for from in places(&app, "from.db") {
        let server = app.serve_with(&["--database", &from]);
        fill(&server);
        let expected = everything(&server);
        let backup = file(&app, "kinds.backup");
        let report = app.run(&["backup", "APP", &backup, "--database", &from, "--json"]).succeeded().json();
        assert_eq!(report["bytes"], fs::metadata(&backup).unwrap().len());
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&backup).unwrap().permissions().mode() & 0o077, 0, "it holds secrets");
        // What is written now is not in it.
        goes_on(&server);
        let check = app.run(&["restore", "APP", &backup, "--check", "--json"]).succeeded().json();
        assert_eq!(check["tables"], report["tables"]);
        for to in places(&app, "to.db") {
            let restored =
                app.run(&["restore", "APP", &backup, "--database", &to, "--json"]).succeeded().json();
            assert_eq!(restored["tables"], report["tables"], "{from} to {to}");
            let server = app.serve_with(&["--database", &to, "--env", "production"]);
            assert_eq!(everything(&server), expected, "{from} to {to}");
            goes_on(&server);
        }
        fs::remove_file(file(&app, "to.db")).unwrap();
        tables.push(report["tables"].clone());
    }
    // A counter may be made before it is first asked where others write at the same time.
    let names = |tables: &Value| -> Vec<Value> {
        let tables = tables.as_array().unwrap().iter().filter(|table| table["table"] != "_counter");
        tables.map(|table| json!([table["table"], table["rows"]])).collect()
    };
    assert_eq!(names(&tables[0]), names(&tables[1]));
}

#[test]
fn a_backup_is_of_one_moment_while_orders_come() {
    let app = orders();
    for from in places(&app, "orders.db") {
        let server = app.serve_with(&["--database", &from]);
        let backup = file(&app, "orders.backup");
        let words = ["backup", "APP", &backup, "--database", &from];
        let (_, before, after) = while_orders_come(&server, || app.run(&words).succeeded());
        let to = format!("sqlite:{}", file(&app, "restored.db"));
        app.run(&["restore", "APP", &backup, "--database", &to, "--replace"]).succeeded();
        holds_whole_orders(&app, &to, before, after);
    }
}

#[test]
fn a_database_that_holds_something_is_replaced_only_when_asked_to() {
    let app = App::of(KINDS);
    let backup = file(&app, "kinds.backup");
    for url in places(&app, "kinds.db") {
        let server = app.serve_with(&["--database", &url]);
        fill(&server);
        let expected = everything(&server);
        app.run(&["backup", "APP", &backup, "--database", &url]).succeeded();
        server.request("DELETE", "/api/Order/7").send().expect(204);
        drop(server);
        let refused = app.run(&["restore", "APP", &backup, "--database", &url]).ended(1);
        assert!(
            refused.stderr.contains("not empty") && refused.stderr.contains("--replace"),
            "{}",
            refused.stderr
        );
        app.run(&["restore", "APP", &backup, "--database", &url, "--replace"]).succeeded();
        let server = app.serve_with(&["--database", &url]);
        assert_eq!(everything(&server), expected, "{url}");
    }
}

#[test]
fn a_file_that_is_not_whole_does_nothing() {
    let app = App::of(KINDS);
    let url = format!("sqlite:{}", file(&app, "from.db"));
    fill(&app.serve_with(&["--database", &url]));
    let backup = file(&app, "kinds.backup");
    app.run(&["backup", "APP", &backup, "--database", &url]).succeeded();
    let whole = fs::read(&backup).unwrap();
    let target = file(&app, "target.db");
    let to = format!("sqlite:{target}");
    let refused = |bytes: &[u8], words: &str| {
        fs::write(&backup, bytes).unwrap();
        let ran = app.run(&["restore", "APP", &backup, "--database", &to, "--replace"]).ended(1);
        assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
        assert!(ran.stderr.contains("nothing was changed"), "{}", ran.stderr);
        assert!(!fs::exists(&target).unwrap());
    };
    refused(b"", "it is no backup");
    refused(b"SQLite format 3\0 and more than that", "it is no backup");
    refused(b"mainstay backup 9\nand more", "made by another version");
    // Everywhere: in the first line, in what tells lengths, in hashes, in rows, in the end.
    for part in 0..12 {
        let at = part * (whole.len() - 1) / 11;
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        refused(&damaged, "it is ");
        if at > 0 {
            refused(&whole[..at], "it is ");
        }
    }
    refused(&[&whole[..], b"more"].concat(), "there is more behind its end");
    fs::write(&backup, &whole).unwrap();
    app.run(&["restore", "APP", &backup, "--database", &to]).succeeded();
    let missing = app.run(&["restore", "APP", "nowhere.backup", "--database", &to]).ended(1);
    assert!(missing.stderr.contains("nowhere.backup"), "{}", missing.stderr);
}

/// The rows come back under the schema that they were of, and the app's newer one is brought in step as always.
#[test]
fn an_app_that_has_changed_since_is_brought_in_step() {
    let app = App::of("app notes \"Notes\"\n\ntable Note {\n  text  text\n  allow all\n}\n");
    for from in places(&app, "from.db") {
        app.write("app.stay", "app notes \"Notes\"\n\ntable Note {\n  text  text\n  allow all\n}\n");
        let server = app.serve_with(&["--database", &from]);
        server.request("POST", "/api/Note").json(&json!({"text": "old"})).send().expect(201);
        drop(server);
        let folder = file(&app, "backups");
        fs::create_dir_all(&folder).unwrap();
        let report = app.run(&["backup", "APP", &folder, "--database", &from, "--json"]).succeeded().json();
        let backup = report["file"].as_str().unwrap().to_owned();
        assert!(backup.starts_with(&format!("{folder}/notes-")) && backup.ends_with("Z.backup"), "{backup}");
        app.write(
            "app.stay",
            "app notes \"Notes\"\n\ntable Note {\n  text  text\n  more  text?\n  allow all\n}\n",
        );
        for to in places(&app, "to.db") {
            let ran = app.run(&["restore", "APP", &backup, "--database", &to]).succeeded();
            assert!(ran.stderr.contains("the app's tables have changed since"), "{}", ran.stderr);
            let server = app.serve_with(&["--database", &to]);
            let rows = server.get("", "/api/Note").ok();
            assert_eq!((&rows["items"][0]["text"], &rows["items"][0]["more"]), (&json!("old"), &Value::Null));
        }
        let then = file(&app, "then");
        app.run(&["restore", "APP", &backup, "--sources", &then]).succeeded();
        assert!(!fs::read_to_string(format!("{then}/app.stay")).unwrap().contains("more"));
        app.run(&["check", &then]).succeeded();
        app.run(&["restore", "APP", &backup, "--sources", &then]).ended(1);
        for gone in [folder, then] {
            fs::remove_dir_all(gone).unwrap();
        }
        fs::remove_file(file(&app, "to.db")).unwrap();
    }
}

/// Backups of an app's folder, the oldest first.
fn backups_in(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name.ends_with(".backup"));
    names.sort();
    names
}

#[test]
fn a_server_makes_backups_by_the_clock_and_keeps_the_newest() {
    let app = App::of(KINDS);
    for url in places(&app, "kinds.db") {
        let folder = file(&app, "backups");
        let flags = [
            "--database",
            &url,
            "--backup-schedule",
            "* * * * * *",
            "--backup-directory",
            &folder,
            "--backup-keep",
            "2",
        ];
        let doctor = || app.run(&[&["doctor", "APP", "--json"][..], &flags].concat());
        let finding = |ran: &Ran| {
            let findings = ran.json();
            let mut findings = findings["findings"].as_array().unwrap().iter();
            findings.find(|finding| finding["subject"] == "backups").unwrap()["words"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        let first = doctor();
        assert!(finding(&first).starts_with("none was made yet; the next one is due"), "{first:?}");
        let server = app.serve_with(&flags);
        fill(&server);
        let newest = until(DEADLINE, || backups_in(&folder).into_iter().next());
        until(DEADLINE, || {
            let names = backups_in(&folder);
            (names.len() == 2 && !names.contains(&newest)).then_some(())
        });
        let metrics = server.get("", "/metrics").text;
        let made = metrics.lines().find(|line| line.starts_with("mainstay_backups_total{outcome=\"ok\"}"));
        assert!(made.is_some_and(|line| !line.ends_with(" 0")), "{metrics}");
        assert!(metrics.contains("mainstay_backup_last_success_seconds "), "{metrics}");
        assert!(finding(&doctor().succeeded()).contains("the last good one is"));
        let last = format!("{folder}/{newest}");
        assert!(!fs::exists(&last).unwrap(), "the oldest went");
        let last = format!("{folder}/{}", backups_in(&folder).pop().unwrap());
        let to = format!("sqlite:{}", file(&app, "restored.db"));
        // It may be among those that go meanwhile.
        fs::copy(&last, file(&app, "kept.backup")).unwrap();
        app.run(&["restore", "APP", &file(&app, "kept.backup"), "--database", &to, "--replace"]).succeeded();

        // One that fails is told by the metrics and by the doctor, beside the last good one.
        let rename = "ALTER TABLE \"Plain\" RENAME TO gone";
        match url.strip_prefix("sqlite:") {
            Some(path) => rusqlite::Connection::open(path).unwrap().execute_batch(rename).unwrap(),
            None => drop(Postgres::shared().run(url.rsplit_once('/').unwrap().1, rename).unwrap()),
        }
        until(DEADLINE, || {
            let metrics = server.get("", "/metrics").text;
            metrics.contains("mainstay_backups_total{outcome=\"failed\"}").then_some(())
        });
        let words = finding(&doctor().ended(1));
        assert!(
            words.contains("failed: the source does not fit the app")
                && words.contains("the last good one is"),
            "{words}"
        );
        drop(server);
        fs::remove_dir_all(&folder).unwrap();
    }
}
