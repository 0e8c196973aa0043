//! Subscriptions on the real binary: other processes' writes, two servers on one database, one of them killed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mainstay_testkit::postgres::Postgres;
use mainstay_testkit::socket::{Heard, Socket};
use serde_json::{Value, json};

use crate::support::{App, Server, until};

const TASKS: &str = "table Task { title text, n int = 0, history 1 day, allow all }";

fn url(server: &Server) -> String {
    format!("http://{}", server.address())
}

/// What another process writes is heard of within a second, on SQLite by looking at the file.
#[tokio::test]
async fn what_another_process_writes_is_heard_of() {
    let app = App::of(TASKS);
    let server = app.serve();
    let mut socket = Socket::open(&url(&server), "").await;
    socket.subscribe(1, json!({"Task": {"get": ["title"]}}), None).await;
    let started = Instant::now();
    let file = app.write("tasks.csv", "title\nImported\n");
    app.run(&["import", "APP", "Task", &file]).succeeded();
    let frame = socket.hear().await;
    assert_eq!((&frame["change"], &frame["row"]["title"]), (&json!("enter"), &json!("Imported")));
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

/// A subscriber on one server hears of writes through the other one. When its server is killed under load, it goes on at
/// the other from where it was, and misses nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_loses_nobody_a_change() {
    let app = App::of(TASKS);
    let database = Postgres::database();
    let flags = ["--database", database.as_str()];
    // Servers that share a secret take each other's places.
    let [one, other] = [app.serve_with(&flags), app.serve_with(&flags)];
    let part = json!({"Task": {"get": ["title", "n"]}});
    let mut socket = Socket::open(&url(&one), "").await;
    let mut place = socket.subscribe(1, part.clone(), None).await["ready"].as_str().unwrap().to_owned();

    let writer = reqwest::Client::new();
    let address = url(&other);
    let writing = tokio::spawn(async move {
        let mut made = Vec::new();
        for number in 0..200 {
            let row = json!({"title": format!("{number}")});
            let answer = writer.post(format!("{address}/api/Task")).json(&row).send().await.unwrap();
            let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
            let path = format!("{address}/api/Task/{}", answer["id"].as_str().unwrap());
            writer.patch(path).json(&json!({"n": 1})).send().await.unwrap();
            made.push(answer["id"].as_str().unwrap().to_owned());
        }
        made
    });

    let mut rows: BTreeMap<String, Value> = BTreeMap::new();
    let mut server = Some(one);
    let mut heard = 0;
    while rows.len() < 200 || rows.values().any(|row| row["n"] == 0) {
        let frame = match socket.hear_any().await {
            Heard::Frame(frame) => frame,
            // The server is gone.
            Heard::Gone | Heard::Closed(..) => {
                socket = Socket::open(&url(&other), "").await;
                let ready = socket.subscribe(1, part.clone(), Some(&place)).await;
                assert!(ready.get("rows").is_none(), "the changes since are told: {ready}");
                continue;
            }
        };
        let id = frame["row"]["id"].as_str().unwrap().to_owned();
        let before = rows.insert(id, frame["row"].clone());
        let kind = if before.is_some() { "update" } else { "enter" };
        assert_eq!(frame["change"], kind, "{frame}");
        assert_ne!(before.as_ref(), Some(&frame["row"]), "told twice");
        place = frame["seq"].as_str().unwrap().to_owned();
        heard += 1;
        if heard == 60
            && let Some(server) = server.take()
        {
            server.kill();
        }
    }
    let mut made = writing.await.unwrap();
    made.sort_unstable();
    assert_eq!(rows.into_keys().collect::<Vec<_>>(), made);
    assert!(server.is_none(), "the server was killed on the way");
}

/// A place goes on over a restart, but not in a database that a restore or a move has filled: there the same numbers stand for
/// other changes.
#[tokio::test]
async fn a_place_is_one_of_its_database_alone() {
    let app = App::of(TASKS);
    let file = |name: &str| app.path().parent().unwrap().join(name).display().to_string();
    let part = json!({"Task": {"get": ["title"]}});
    let make = |server: &Server, title: &str| {
        server.request("POST", "/api/Task").json(&json!({"title": title})).send().expect(201);
    };
    let refused = async |server: &Server, place: &str| {
        let frame = json!({"id": 1, "subscribe": part, "since": place});
        let answer = Socket::open(&url(server), "").await.ask(frame).await;
        assert_eq!(
            (&answer["status"], &answer["body"]["key"]),
            (&json!(410), &json!("live.gone")),
            "{answer}"
        );
    };
    let databases = [format!("sqlite:{}", file("one.db")), Postgres::database()];
    for (number, database) in databases.iter().enumerate() {
        let serve = || app.serve_with(&["--database", database]);
        let server = serve();
        make(&server, "Before");
        let backup = file(&format!("{number}.backup"));
        app.run(&["backup", "APP", &backup, "--database", database]).succeeded();
        let mut socket = Socket::open(&url(&server), "").await;
        let place = socket.subscribe(1, part.clone(), None).await["ready"].as_str().unwrap().to_owned();
        make(&server, "After");
        drop((socket, server));

        let server = serve();
        let mut socket = Socket::open(&url(&server), "").await;
        assert!(socket.subscribe(1, part.clone(), Some(&place)).await.get("rows").is_none());
        assert_eq!(socket.hear().await["row"]["title"], "After");
        drop((socket, server));

        app.run(&["restore", "APP", &backup, "--replace", "--database", database]).succeeded();
        let server = serve();
        // There are as many changes as there were, so that nothing but the database itself is another.
        make(&server, "Other");
        refused(&server, &place).await;
        let mut socket = Socket::open(&url(&server), "").await;
        let place = socket.subscribe(1, part.clone(), None).await["ready"].as_str().unwrap().to_owned();
        drop((socket, server));

        for target in [Postgres::database(), format!("sqlite:{}", file(&format!("{number}.moved.db")))] {
            app.run(&["move", "APP", "--from", database, "--to", &target]).succeeded();
            refused(&app.serve_with(&["--database", &target]), &place).await;
        }
    }
}

const HALL: &str = "app hall\nuse presence\nextend Presence { allow read if signed_in }";

/// Who is connected to any server of the app is told by every one. When a server is killed, those who were connected to it
/// leave once its lease has ended; one that stops takes its own along; one that begins alone clears up at once.
#[tokio::test(flavor = "multi_thread")]
async fn who_was_connected_to_a_server_that_died_is_there_no_longer() {
    let app = App::of(HALL);
    let database = Postgres::database();
    let flags = ["--database", database.as_str(), "--live-presence-lease", "2s"];
    let [one, other] = [app.serve_with(&flags), app.serve_with(&flags)];
    let user = app.run(&[
        "user",
        "create",
        "APP",
        "--email",
        "a@b.example",
        "--name",
        "Ann",
        "--json",
        "--database",
        &database,
    ]);
    let user = user.succeeded().json()["id"].as_str().unwrap().to_owned();
    let token = app
        .run(&["user", "token", "APP", &user, "--database", &database])
        .succeeded()
        .stdout
        .trim()
        .to_owned();
    let mut watching = Socket::open_at(&url(&other), "/live?device=other", &token).await;
    let first = watching.subscribe(1, json!({"Presence": {"get": ["device"]}}), None).await;
    let mut rows: BTreeMap<String, String> = BTreeMap::new();
    let mut take = |row: &Value, kind: &str| {
        let id = row["id"].as_str().unwrap().to_owned();
        match kind {
            "leave" => rows.remove(&id),
            _ => rows.insert(id, row["device"].as_str().unwrap().to_owned()),
        };
        let mut devices: Vec<String> = rows.values().cloned().collect();
        devices.sort_unstable();
        devices.join(" ")
    };
    let mut devices = String::new();
    for row in first["rows"].as_array().unwrap() {
        devices = take(row, "enter");
    }
    let _there = Socket::open_at(&url(&one), "/live?device=one", &token).await;
    while devices != "one other" {
        let frame = watching.hear().await;
        devices = take(&frame["row"], frame["change"].as_str().unwrap());
    }
    one.kill();
    while devices != "other" {
        let frame = watching.hear().await;
        devices = take(&frame["row"], frame["change"].as_str().unwrap());
    }
    let facts = "SELECT count(*) FROM \"_meta\" WHERE \"key\" LIKE 'node.%'";
    let name = database.rsplit_once('/').unwrap().1;
    until(Duration::from_secs(20), || (Postgres::shared().run(name, facts).unwrap() == "1").then_some(()));
    let mut other = other;
    other.terminate();
    other.wait();
    assert_eq!(Postgres::shared().run(name, "SELECT count(*) FROM \"Presence\"").unwrap(), "0");
    assert_eq!(Postgres::shared().run(name, facts).unwrap(), "0");
}

/// On a database that one server alone can serve, those of one that was killed leave when the next begins.
#[tokio::test]
async fn who_was_connected_before_a_crash_is_not_there_behind_it() {
    let app = App::of(HALL);
    let server = app.serve();
    let user =
        app.run(&["user", "create", "APP", "--email", "a@b.example", "--name", "Ann", "--json"]).succeeded();
    let token = app.token(user.json()["id"].as_str().unwrap());
    let mut socket = Socket::open_at(&url(&server), "/live?device=before", &token).await;
    let part = json!({"Presence": {"get": ["device"]}});
    if socket.subscribe(1, part.clone(), None).await["rows"] == json!([]) {
        socket.hear().await;
    }
    server.kill();
    let server = app.serve();
    let devices = || {
        let list = server.get(&token, "/api/Presence?get=device").ok();
        list["items"].as_array().unwrap().iter().map(|row| row["device"].clone()).collect::<Vec<_>>()
    };
    until(Duration::from_secs(10), || (devices() == [json!(null); 0]).then_some(()));
}
