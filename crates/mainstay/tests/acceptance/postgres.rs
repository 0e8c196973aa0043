//! An app served from PostgreSQL, by one server and by two.

use mainstay_testkit::postgres::Postgres;
use serde_json::{Value, json};

use crate::support::{App, Server};

/// The staff office.
const NANCY: &str = "01900000-0000-7000-8000-000000000003";

/// An answer without the times at which rows were written.
fn timeless(mut answer: Value) -> Value {
    match &mut answer {
        Value::Object(members) => {
            members.retain(|name, _| name != "created" && name != "updated");
            members.values_mut().for_each(|member| *member = timeless(member.take()));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = timeless(item.take())),
        _ => {}
    }
    answer
}

#[test]
fn a_shop_answers_from_either_database_alike() {
    let (here, there) = (App::example("chinook"), App::example("chinook"));
    let url = Postgres::database();
    let flags = ["--database", url.as_str()];
    let (sqlite, postgres) = (here.serve(), there.serve_with(&flags));
    assert!(postgres.said().contains("seeded 15612 rows from 12 files"), "{}", postgres.said());
    let token = here.token(NANCY);
    let other = there.run(&["user", "token", "APP", NANCY, "--database", &url]).succeeded();
    let other = other.stdout.trim();
    for document in [
        json!({"InvoiceLine": {
            "aggregate": {"earned": "sum(unit_price * quantity)", "sold": "sum(quantity)"},
            "group": ["track.album.artist.name"], "order": ["-earned"], "limit": 3}}),
        json!({"Customer": {"get": ["*"], "invoices": {"get": ["*"], "lines": {"get": ["*"]}}, "limit": 20}}),
        json!({"Track": {"name": {"like": "%love%"}, "get": ["*"], "order": "-milliseconds", "limit": 20, "count": true}}),
        json!({"Playlist": {"get": ["name"], "tracks": {"get": ["name"], "limit": 3, "count": true}, "limit": 10}}),
        json!({"Artist": {"create": true, "name": "Testers", "albums": {"create": true, "title": "One"}, "get": ["*"]}}),
        json!({"Artist": {"name": "Testers", "set": {"name": "Tried"}, "get": ["name"]}}),
        json!({"Artist": {"create": true, "name": 7}}),
    ] {
        let [found, expected] = [postgres.query(other, &document), sqlite.query(&token, &document)];
        assert_eq!(found.status, expected.status, "{document}");
        let [found, expected] = [found, expected].map(|answer| {
            let mut answer: Value = serde_json::from_str(&answer.text).unwrap();
            answer["request_id"].take();
            timeless(answer)
        });
        assert_eq!(found, expected, "{document}");
    }
}

/// Reads, writes and refusals as somebody sent them, one a line.
const RECORDED: &str = include_str!("data/chinook.requests.ndjson");

/// An answer's text without what no two servers have alike: the request's id, and when rows were written.
fn unstamped(text: &str) -> String {
    let mut left = text.to_owned();
    for name in ["\"request_id\":\"", "\"created\":\"", "\"updated\":\""] {
        let mut from = 0;
        while let Some(at) = left[from..].find(name) {
            let begin = from + at + name.len();
            let end = begin + left[begin..].find('"').unwrap();
            left.replace_range(begin..end, "");
            from = begin;
        }
    }
    left
}

/// The same answers, byte for byte, to two hundred requests of five callers.
#[test]
fn recorded_requests_are_answered_alike() {
    let (here, there) = (App::example("chinook"), App::example("chinook"));
    let url = Postgres::database();
    let (sqlite, postgres) = (here.serve(), there.serve_with(&["--database", &url]));
    let tokens: Vec<(&str, [String; 2])> = [
        ("luis", "01900000-0000-7000-8000-000000000001"),
        ("jane", "01900000-0000-7000-8000-000000000002"),
        ("nancy", NANCY),
        ("admin", "--admin"),
    ]
    .map(|(who, user)| {
        let other = there.run(&["user", "token", "APP", user, "--database", &url]).succeeded();
        (who, [here.token(user), other.stdout.trim().to_owned()])
    })
    .into();
    let (mut answered, mut refused) = (0, 0);
    for line in RECORDED.lines() {
        let recorded: Value = serde_json::from_str(line).unwrap();
        let (method, path) = recorded["send"].as_str().unwrap().split_once(' ').unwrap();
        let token = |at: usize| {
            let known = tokens.iter().find(|(who, _)| recorded["as"] == **who);
            known.map_or("", |(_, tokens)| tokens[at].as_str())
        };
        let ask = |server: &Server, token: &str| {
            let request = server.request(method, path).bearer(token);
            let request = if recorded["body"].is_null() { request } else { request.json(&recorded["body"]) };
            request.send()
        };
        let [expected, found] = [ask(&sqlite, token(0)), ask(&postgres, token(1))];
        assert_eq!(found.status, expected.status, "{line}\n{}\n{}", found.text, expected.text);
        assert!(expected.status < 500, "{line}\n{}", expected.text);
        assert_eq!(unstamped(&found.text), unstamped(&expected.text), "{line}");
        assert_eq!(found.header("content-type"), expected.header("content-type"), "{line}");
        if expected.status < 400 { answered += 1 } else { refused += 1 }
    }
    assert!(answered >= 110 && refused >= 40 && answered + refused == 200, "{answered} and {refused}");
}

#[test]
fn two_servers_share_a_database() {
    let app = App::of("table Task { title text unique, history 1 day, allow all }");
    let url = Postgres::database();
    let flags = ["--database", url.as_str()];
    let one = app.serve_with(&flags);
    let other = app.serve_with(&flags);
    let made = one.request("POST", "/api/Task").json(&json!({"title": "Buy tea"})).send().expect(201);
    let id = made["id"].as_str().unwrap();
    assert_eq!(other.get("", &format!("/api/Task/{id}")).ok()["title"], "Buy tea");
    let taken = other.request("POST", "/api/Task").json(&json!({"title": "Buy tea"})).send();
    taken.problem_at(409, "unique", "/title");
    other.request("PATCH", &format!("/api/Task/{id}")).json(&json!({"title": "Drink it"})).send().ok();
    let history = one.get("", &format!("/api/Task/{id}/history")).ok();
    assert_eq!(history["items"].as_array().map(Vec::len), Some(2), "{history}");
    drop((one, other));
    let again = app.serve_with(&flags);
    assert_eq!(again.get("", "/api/Task").ok()["items"][0]["title"], "Drink it");
}

/// Servers started together on one empty database.
fn together(app: &App, url: &str, servers: usize) -> Vec<Server> {
    std::thread::scope(|scope| {
        let start = || app.serve_with(&["--database", url]);
        let starting: Vec<_> = (0..servers).map(|_| scope.spawn(start)).collect();
        starting.into_iter().map(|server| server.join().unwrap()).collect()
    })
}

#[test]
fn servers_that_begin_together_make_one_set_of_tables() {
    let app = App::of("table Task { title text unique, allow all }");
    let url = Postgres::database();
    let servers = together(&app, &url, 3);
    servers[0].request("POST", "/api/Task").json(&json!({"title": "Buy tea"})).send().expect(201);
    for server in &servers {
        assert_eq!(server.get("", "/api/Task").ok()["items"][0]["title"], "Buy tea");
    }
}

#[test]
fn servers_that_begin_together_load_the_first_rows_once() {
    let app = App::of(
        "table Task { id int, title text, steps Step[] by task, allow all } table Step { task Task, allow all }",
    );
    app.write(
        "seed/1_Task.csv",
        (1..=500).map(|id| format!("{id},task {id}\n")).fold("id,title\n".to_owned(), |a, b| a + &b),
    );
    app.write(
        "seed/2.json",
        r#"{"Task": {"create": true, "title": "last", "steps": [{"create": true}, {"create": true}]}}"#,
    );
    let url = Postgres::database();
    let servers = together(&app, &url, 3);
    for server in &servers {
        let count =
            json!({"Task": {"aggregate": {"tasks": "count()"}}, "Step": {"aggregate": {"steps": "count()"}}});
        let counted = server.query("", &count).ok();
        assert_eq!(counted, json!({"Task": [{"tasks": 501}], "Step": [{"steps": 2}]}), "{}", server.said());
    }
    // Who comes when all is loaded has nothing to tell.
    let told = |server: &Server| server.said().contains("seeded 501 rows from 2 files");
    assert!(servers.iter().any(told), "{:?}", servers.iter().map(Server::said).collect::<Vec<_>>());
    drop(servers);
    let again = app.serve_with(&["--database", &url]);
    assert!(!again.said().contains("seeded"), "{}", again.said());
}
