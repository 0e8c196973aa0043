//! The command line: exit codes, what goes where, settings, and commands beside a running server.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{App, Ran, Server, until};

const NOTES: &str = r#"app notes "Notes"

table Note {
  text  text(100)
  done  bool = false

  allow all if signed_in
  allow read
}
"#;

/// Generous: a loaded machine must not fail a test. What is promised is much less.
const DEADLINE: Duration = Duration::from_secs(20);

fn ann(app: &App) -> String {
    let ran = app.run(&["user", "create", "APP", "--email", "ann@example.com", "--name", "Ann"]).succeeded();
    ran.stdout.trim().to_owned()
}

#[test]
fn exit_codes_tell_done_refused_and_wrong_usage() {
    let app = App::of(NOTES);
    let file = app.write("rows.csv", "text\nA\n");
    for (code, words) in [
        (0, &["--version"][..]),
        (0, &["--help"]),
        (0, &["serve", "--help"]),
        (0, &["check", "APP"]),
        (0, &["settings", "APP"]),
        (0, &["doctor", "APP"]),
        (0, &["query", "APP", "{\"Note\": {}}"]),
        (0, &["import", "APP", "Note", &file]),
        (0, &["export", "APP", "Note", "-"]),
        (0, &["user", "token", "APP", "--admin"]),
        (1, &["check", "nowhere"]),
        (1, &["serve", "nowhere"]),
        (1, &["query", "APP", "{\"Nope\": {}}"]),
        (1, &["query", "APP", "{\"Note\": {\"create\": true, \"text\": \"x\"}}"]),
        (1, &["query", "APP", "not json"]),
        (1, &["import", "APP", "Note", "nowhere.csv"]),
        (1, &["export", "APP", "Nope", "-"]),
        (1, &["user", "token", "APP", "01900000-0000-7000-8000-000000000000"]),
        (1, &["user", "grant", "APP", "01900000-0000-7000-8000-000000000000", "a/b"]),
        (1, &["user", "create", "APP", "--email", "no address", "--name", "N"]),
        (1, &["doctor", "APP", "--database", "sqlite:/dev/null/no.db"]),
        (2, &[]),
        (2, &["sreve", "APP"]),
        (2, &["serve"]),
        (2, &["query", "APP"]),
        (2, &["query", "APP", "{}", "--as", "x", "--admin"]),
        (2, &["user", "create", "APP", "--email", "a@example.com"]),
        (2, &["user", "token", "APP"]),
        (2, &["completions", "klingon"]),
        (2, &["serve", "APP", "--listen", "nowhere"]),
        (2, &["check", "APP", "--listen", "nowhere"]),
        (2, &["fmt", "APP", "--limits-depth", "-"]),
        (2, &["serve", "APP", "--log-level", "=,loud"]),
        (2, &["serve", "APP", "--log-format", "xml"]),
        (2, &["query", "APP", "{}", "--env", "no name"]),
        (2, &["query", "APP", "{}", "--http-timeout", "soon"]),
        (2, &["query", "APP", "{}", "--as", "somebody"]),
        (2, &["why", "APP", "{}", "--as", "somebody"]),
        (2, &["import", "APP", "Note", &file, "--limits-rows", "many"]),
        (2, &["export", "APP", "Note", "-", "--database", "oracle://x"]),
        (2, &["doctor", "APP", "--auth-secret", "short"]),
        (2, &["settings", "APP", "--database-synchronous", "off"]),
        (2, &["user", "token", "APP", "--admin", "--ttl", "soon"]),
        (2, &["user", "token", "APP", "somebody"]),
        (2, &["user", "grant", "APP", "somebody", "a/b"]),
    ] {
        let ran = app.run(words);
        assert_eq!(ran.code, code, "mainstay {words:?}: {ran:#?}");
        if code != 0 {
            // What the doctor found is its result, good or bad.
            let is_result = words.first() == Some(&"doctor");
            assert!(ran.stdout.is_empty() || is_result, "{words:?}: {ran:#?}");
            assert!(!ran.stderr.is_empty(), "{words:?} says nothing to people: {ran:#?}");
            assert!(!ran.stderr.contains("panicked"), "{words:?}: {ran:#?}");
        }
    }
    let ran = app.run(&["sreve", "APP"]);
    assert!(ran.stderr.contains("serve"), "the nearest command is offered: {}", ran.stderr);
    let version = app.run(&["--version"]).stdout;
    assert_eq!(version.trim(), format!("mainstay {}", env!("CARGO_PKG_VERSION")));
}

#[test]
fn json_is_one_document_on_standard_output() {
    let app = App::of(NOTES);
    let file = app.write("rows.csv", "text\nA\n");
    let out = app.path().join("out.csv").display().to_string();
    let user = app
        .run(&["user", "create", "APP", "--email", "ann@example.com", "--name", "Ann", "--json"])
        .succeeded()
        .json();
    let id = user["id"].as_str().unwrap();
    let token = app.run(&["user", "token", "APP", id, "--json"]).succeeded().json();
    assert!(token["access"].as_str().unwrap().split('.').count() == 3, "{token}");
    for (words, member) in [
        (&["check", "APP"][..], "diagnostics"),
        (&["fmt", "APP"], "changed"),
        (&["settings", "APP"], "settings"),
        (&["doctor", "APP"], "findings"),
        (&["query", "APP", "{\"Note\": {}}"], "Note"),
        (&["import", "APP", "Note", &file], "imported"),
        (&["export", "APP", "Note", &out], "exported"),
        (&["user", "grant", "APP", id, "news/write"], "granted"),
        (&["new", "fresh"], "app"),
    ] {
        let document = app.run(&[words, &["--json"]].concat()).succeeded().json();
        assert!(document.get(member).is_some(), "mainstay {words:?} --json: {document}");
    }
    // A refusal is one document, too, where the command has one to give.
    let broken = App::of("app a \"A\"\ntable T { n strin }\n");
    let checked = broken.run(&["check", "APP", "--json"]).ended(1).json();
    assert_eq!(checked["errors"], 1, "{checked}");
    let refused = app.run(&["query", "APP", "{\"Nope\": {}}", "--json"]).ended(1);
    assert!(refused.stdout.is_empty() || refused.json().is_object(), "{refused:#?}");
}

#[test]
fn a_new_app_serves_at_once() {
    let app = App::of(NOTES);
    let shop = app.path().join("shop").display().to_string();
    app.run(&["new", &shop]).succeeded();
    app.run(&["check", &shop]).succeeded();
    app.run(&["fmt", &shop, "--check"]).succeeded();
    let again = app.run(&["new", &shop]).ended(1);
    assert!(again.stderr.contains("not empty"), "{}", again.stderr);
    let server = Server::of_folder(&app, &shop, &[]);
    let news = server.get("", "/api/News").ok();
    assert!(!news["items"].as_array().unwrap().is_empty(), "the seed is there: {news}");
    assert_eq!(server.request("GET", "/docs").send().status, 200);
    assert_eq!(server.get("", "/openapi.json").ok()["openapi"].as_str().map(|text| &text[..3]), Some("3.1"));
}

#[test]
fn check_prints_every_problem_with_its_place() {
    let app = App::of("app a \"A\"\ntable T {\n  n strin\n  limit int\n  allow read if m == 1\n}\n");
    app.write("more/other.stay", "table U {\n  t Tt\n  t int\n  allow read\n}\ntable {\n");
    let ran = app.run(&["check", "APP"]).ended(1);
    for place in ["app.stay:3:", "app.stay:4:", "app.stay:5:", "other.stay:2:", "other.stay:6:"] {
        assert!(ran.stderr.contains(place), "{place}\n{}", ran.stderr);
    }
    let document = app.run(&["check", "APP", "--json"]).ended(1).json();
    let list = document["diagnostics"].as_array().unwrap();
    assert!(list.len() >= 5 && document["errors"].as_u64().unwrap() >= 5, "{document}");
    assert!(list.iter().all(|found| found["line"].is_u64() && found["message"].is_string()), "{document}");
    // Nothing is served, opened or made of an app that has errors.
    let ran = app.run(&["serve", "APP", "--listen", "127.0.0.1:0"]).ended(1);
    assert!(ran.stderr.contains("app.stay:3:"), "{}", ran.stderr);
    assert!(!app.path().join("data").exists());
}

#[test]
fn fmt_lays_out_once() {
    let untidy = "app a \"A\"\n\n\n\ntable T { n int\n      name text(5) // the name\n allow read }\n";
    let app = App::of(untidy);
    app.run(&["fmt", "APP", "--check"]).ended(1);
    assert_eq!(app.read("app.stay"), untidy, "--check changes nothing");
    app.run(&["fmt", "APP"]).succeeded();
    let tidy = app.read("app.stay");
    assert!(tidy != untidy && tidy.contains("// the name"), "{tidy}");
    app.run(&["fmt", "APP", "--check"]).succeeded();
    app.run(&["fmt", "APP"]).succeeded();
    assert_eq!(app.read("app.stay"), tidy);
    app.write("broken.stay", "table {");
    app.write("app.stay", untidy);
    let ran = app.run(&["fmt", "APP"]).ended(1);
    assert!(ran.stderr.contains("broken.stay"), "{}", ran.stderr);
    assert_eq!(app.read("app.stay"), untidy, "nothing is written when a file cannot be read");
}

#[test]
fn users_are_made_granted_and_trusted() {
    let app = App::of(
        "app a \"A\"\ntable News { title text(20)  allow read  allow write if user.can(\"news/write\") }\n",
    );
    let id = ann(&app);
    let again = app.run(&["user", "create", "APP", "--email", "ANN@example.com", "--name", "A"]).ended(1);
    assert!(again.stderr.contains("email"), "an address is one person's, in any case: {}", again.stderr);
    let server = app.serve();
    let token = app.token(&id);
    let post = |token: &str| {
        server.request("POST", "/api/News").bearer(token).json(&json!({"title": "x"})).send().status
    };
    assert_eq!((post(""), post(&token)), (403, 403));
    // The server knows what a command beside it has granted, and a token made before is good for it.
    app.run(&["user", "grant", "APP", &id, "news/write"]).succeeded();
    until(DEADLINE, || (post(&token) == 201).then_some(()));
    app.run(&["user", "grant", "APP", &id, "news/write"]).ended(1);
    assert_eq!(server.get(&token, "/api/User").ok()["items"][0]["id"], json!(id));
    assert_eq!(post(&app.token("--admin")), 201);
    // As somebody, from the shell.
    let document = "{\"News\": {\"create\": true, \"title\": \"y\"}}";
    app.run(&["query", "APP", document]).ended(1);
    app.run(&["query", "APP", document, "--as", &id]).succeeded();
    app.run(&["query", "APP", document, "--admin"]).succeeded();
    let ran = app.run(&["query", "APP", document, "--as", "01900000-0000-7000-8000-000000000000"]).ended(1);
    assert!(ran.stderr.contains("no such user"), "{}", ran.stderr);
    // A document on standard input.
    let mut child =
        app.command(&["query", "APP", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"{\"News\": {\"aggregate\": {\"n\": \"count()\"}}}").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap(), json!({"News": [{"n": 4}]}));
}

#[test]
fn commands_work_beside_a_server_but_a_second_server_does_not() {
    let app = App::of(NOTES);
    let server = app.serve();
    let second = app.run(&["serve", "APP", "--listen", "127.0.0.1:0"]).ended(1);
    assert!(second.stderr.contains("already") || second.stderr.contains("another"), "{}", second.stderr);
    server.get("", "/health/ready").ok();

    let titles = |server: &Server| server.get("", "/api/Note?count").ok()["count"].as_u64().unwrap();
    assert_eq!(titles(&server), 0);
    for written in 1..=3 {
        let document = "{\"Note\": {\"create\": true, \"text\": \"x\"}}";
        app.run(&["query", "APP", document, "--admin"]).succeeded();
        until(DEADLINE, || (titles(&server) == written).then_some(()));
    }
    let file = app.write("rows.csv", "text\nA\nB\n");
    app.run(&["import", "APP", "Note", &file]).succeeded();
    until(DEADLINE, || (titles(&server) == 5).then_some(()));
    // And the other way: what the server wrote, a command reads.
    let token = app.token("--admin");
    server.request("POST", "/api/Note").bearer(&token).json(&json!({"text": "y"})).send().expect(201);
    let exported = app.run(&["export", "APP", "Note", "-"]).succeeded().stdout;
    assert_eq!(exported.lines().count(), 6);

    // When the first is gone, however it went, the next may serve.
    server.kill();
    assert_eq!(titles(&app.serve()), 6);
}

#[test]
fn sigterm_finishes_what_runs_and_exits_0() {
    let app = App::of(NOTES);
    let mut server = app.serve();
    let token = app.token("--admin");
    let body = json!({"text": "last words"}).to_string();
    let (first, rest) = body.split_at(8);
    let mut running = TcpStream::connect(server.address()).unwrap();
    running.set_read_timeout(Some(DEADLINE)).unwrap();
    write!(
        running,
        "POST /api/Note HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nexpect: 100-continue\r\n\r\n",
        body.len()
    )
    .unwrap();
    // The server asks for the body when it works on the request.
    let mut asked = [0; 12];
    running.read_exact(&mut asked).unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100");
    running.write_all(first.as_bytes()).unwrap();
    server.terminate();
    until(DEADLINE, || TcpStream::connect(server.address()).is_err().then_some(()));
    running.write_all(rest.as_bytes()).unwrap();
    let mut answer = String::new();
    running.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("HTTP/1.1 201"), "{answer}");
    assert_eq!(server.wait().code(), Some(0), "{}", server.said());
    let exported = app.run(&["export", "APP", "Note", "-"]).succeeded().stdout;
    assert!(exported.contains("last words"));
    // It leaves one tidy file.
    assert!(!app.path().join("data/mainstay.db-wal").exists());
}

#[test]
fn settings_flag_over_environment_over_files() {
    let app = App::of(NOTES);
    let value = |words: &[&str], variable: Option<(&str, &str)>| -> (String, String) {
        let mut command = app.command(&[&["settings", "APP", "--json"], words].concat());
        command.envs(variable);
        let listed = Ran::of(&mut command).succeeded().json();
        let found = listed["settings"]
            .as_array()
            .unwrap()
            .iter()
            .find(|setting| setting["name"] == "limits.page")
            .cloned();
        let found = found.expect("the setting is listed");
        (found["value"].as_str().unwrap().to_owned(), found["origin"].as_str().unwrap().to_owned())
    };
    let is = |found: (String, String), value: &str, origin: &str| {
        assert_eq!(found.0, value);
        assert!(found.1.contains(origin), "{found:?}");
    };
    is(value(&[], None), "100", "default");
    app.write("mainstay.toml", "[limits]\npage = 11\n");
    is(value(&[], None), "11", "mainstay.toml");
    app.write("mainstay.production.toml", "[limits]\npage = 12\n");
    is(value(&[], None), "11", "mainstay.toml");
    is(value(&["--env", "production"], None), "12", "mainstay.production.toml");
    app.write("mainstay.local.toml", "[limits]\npage = 13\n");
    is(value(&["--env", "production"], None), "13", "mainstay.local.toml");
    let variable = Some(("MAINSTAY_LIMITS_PAGE", "14"));
    is(value(&[], variable), "14", "MAINSTAY_LIMITS_PAGE");
    is(value(&["--limits-page", "15"], variable), "15", "--limits-page");

    // The server goes by it, and says what nobody reads.
    app.write("mainstay.local.toml", "[limits]\npage = 2\npaeg = 3\n");
    let file = app.write("rows.csv", "text\nA\nB\nC\n");
    app.run(&["import", "APP", "Note", &file]).succeeded();
    let server = app.serve();
    assert_eq!(server.get("", "/api/Note").ok()["items"].as_array().unwrap().len(), 2);
    assert!(
        server.said().contains("limits.paeg") && server.said().contains("limits.page"),
        "{}",
        server.said()
    );
    drop(server);
    let ran = Ran::of(app.command(&["settings", "APP"]).env("MAINSTAY_LISTN", "x")).succeeded();
    assert!(
        ran.stderr.contains("MAINSTAY_LISTN") && ran.stderr.contains("MAINSTAY_LISTEN"),
        "{}",
        ran.stderr
    );
    app.write("mainstay.local.toml", "[limits]\npage = \"many\"\n");
    let ran = app.run(&["settings", "APP"]).ended(1);
    assert!(
        ran.stderr.contains("limits.page") && ran.stderr.contains("mainstay.local.toml"),
        "{}",
        ran.stderr
    );
    app.write("mainstay.local.toml", "[limits\n");
    let ran = app.run(&["serve", "APP"]).ended(1);
    assert!(ran.stderr.contains("mainstay.local.toml"), "{}", ran.stderr);
}

#[test]
fn another_database_and_data_folder() {
    let app = App::of(NOTES);
    let data = app.path().join("elsewhere").display().to_string();
    let file = app.path().join("mine.db").display().to_string();
    let document = "{\"Note\": {\"create\": true, \"text\": \"x\"}}";
    app.run(&["query", "APP", document, "--admin", "--data", &data]).succeeded();
    app.run(&["query", "APP", document, "--admin", "--database", &format!("sqlite:{file}")]).succeeded();
    assert!(Path::new(&data).join("mainstay.db").exists() && Path::new(&file).exists());
    assert!(!app.path().join("data/mainstay.db").exists(), "nothing is made where nobody asked for it");
}

#[test]
fn completions_know_the_commands() {
    let app = App::of(NOTES);
    for shell in ["bash", "zsh", "fish"] {
        let ran = app.run(&["completions", shell]).succeeded();
        for word in ["serve", "import", "listen"] {
            assert!(ran.stdout.contains(word), "{shell}: {word}");
        }
    }
}
