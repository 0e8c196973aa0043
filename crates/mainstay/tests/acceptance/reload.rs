//! SIGHUP through the binary: what can change while it runs does, and what cannot is said.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;

use crate::support::{App, Server, until};

const PATIENCE: Duration = Duration::from_secs(60);

fn hang_up(id: u32) {
    let killed = std::process::Command::new("kill").args(["-HUP", &id.to_string()]).status().unwrap();
    assert!(killed.success());
}

/// Waits until the server has said something, and answers the line.
fn said(server: &Server, words: &str) -> String {
    let line = || server.said().lines().find(|line| line.contains(words)).map(str::to_owned);
    until(PATIENCE, line)
}

#[test]
fn settings_change_while_the_server_runs_as_far_as_they_can() {
    let app = App::of("table Task { title text unique, history 1 day, allow all }");
    app.write("mainstay.toml", "[limits]\npage = 1\n[log]\nlevel = \"info\"\n");
    let server = app.serve_with(&["--log-level", "info"]);
    for title in ["a", "b", "c"] {
        server.request("POST", "/api/Task").json(&json!({"title": title})).send().expect(201);
    }
    let page = || {
        let answer = server.query("", &json!({"Task": {"get": ["title"]}})).ok();
        answer["Task"].as_array().map(Vec::len).unwrap()
    };
    assert_eq!(page(), 1);

    app.write("mainstay.toml", "[limits]\npage = 2\n[http]\nmax_requests = 7\n[auth]\nsecret = \"0123456789abcdef0123456789abcdef\"\n");
    hang_up(server.id());
    let line = said(&server, "settings read again");
    assert!(line.contains("taken: limits.page = 2 (mainstay.toml); only with a restart: "), "{line}");
    assert!(line.contains("http.max_requests = 7 (mainstay.toml)"), "{line}");
    assert!(line.contains("auth.secret = … (mainstay.toml)") && !line.contains("0123456789"), "{line}");
    assert_eq!(page(), 2, "also of a request whose plan was kept");

    // What cannot be read leaves everything as it was, and the process alive.
    app.write("mainstay.toml", "[limits]\npage = \"many\"\n");
    hang_up(server.id());
    let line = said(&server, "the settings cannot be read");
    assert!(line.contains("limits.page (mainstay.toml): expected"), "{line}");
    assert_eq!(page(), 2);

    app.write("mainstay.toml", "[limits]\npage = 3\n");
    hang_up(server.id());
    let line = said(&server, "limits.page = 3");
    assert!(line.ends_with("only with a restart: none"), "{line}");
    assert_eq!(page(), 3);
}

#[test]
fn the_level_of_the_log_changes_while_the_server_runs() {
    let app = App::of("table Task { title text, allow all }");
    app.write("mainstay.toml", "[log]\nlevel = \"info\"\n");
    let server = Server::of_folder_as_set(&app);
    server.get("", "/api/Task").ok();
    said(&server, "route=\"/api/{table}\"");
    app.write("mainstay.toml", "[log]\nlevel = \"debug\"\n");
    hang_up(server.id());
    said(&server, "taken: log.level = debug");
    server.get("", "/api/Task").ok();
    said(&server, "execute writes=false");
}

#[test]
fn a_worker_reads_its_settings_again_and_goes_on() {
    let app = App::of("table Task { title text, allow all }");
    app.write("mainstay.toml", "[log]\nlevel = \"info\"\n");
    let mut worker = app.command(&["work", "APP"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(worker.stderr.take().unwrap()).lines().map_while(Result::ok);
    let mut said = |words: &str| {
        lines.find(|line| line.contains(words)).unwrap_or_else(|| panic!("it ended without {words:?}"))
    };
    said("working: ");
    app.write("mainstay.toml", "[log]\nlevel = \"debug\"\n[jobs]\nconcurrency = 7\n");
    hang_up(worker.id());
    let line = said("settings read again");
    assert!(
        line.contains("taken: log.level = debug (mainstay.toml); only with a restart: jobs.concurrency = 7"),
        "{line}"
    );
    app.write("mainstay.toml", "[limits]\npage = \"many\"\n");
    hang_up(worker.id());
    said("the settings cannot be read");
    let killed = std::process::Command::new("kill").arg(worker.id().to_string()).status().unwrap();
    assert!(killed.success());
    assert!(worker.wait().unwrap().success());
}
