//! Flags and settings on the real binary: `mainstay flags` beside a server, and what `doctor` makes of rows without a declaration.

use std::time::Duration;

use mainstay_testkit::postgres::Postgres;
use serde_json::{Value, json};

use crate::support::{App, Server, until};

const APP: &str =
    "app shop\nuse flags\nflag new_checkout = false \"The new one\"\nsetting level int = 5 \"How many\"\n";

fn is_on(server: &Server) -> Value {
    server.request("GET", "/flags").send().ok()["new_checkout"].clone()
}

/// Waits as long as a change may take, and a busy machine on top.
fn until_on(server: &Server, expected: bool) {
    until(Duration::from_secs(20), || (is_on(server) == expected).then_some(()));
}

#[test]
fn what_the_command_line_sets_holds_on_all_servers() {
    let database = Postgres::database();
    for flags in [vec![], vec!["--database", database.as_str()]] {
        let app = App::of(APP);
        let count = if flags.is_empty() { 1 } else { 2 };
        let servers: Vec<Server> = (0..count).map(|_| app.serve_with(&flags)).collect();
        servers.iter().for_each(|server| assert_eq!(is_on(server), false));
        let run = |words: &[&str]| app.run(&[&["flags", "APP"], words, &flags].concat());
        run(&["set", "new_checkout", "true"]).succeeded();
        servers.iter().for_each(|server| until_on(server, true));
        let refused = run(&["set", "new_chekout", "true"]).ended(1);
        assert!(refused.stderr.contains("did you mean `new_checkout`?"), "{}", refused.stderr);
        let listed = run(&["list"]).succeeded();
        assert!(
            listed.stdout.contains("new_checkout  flag     changed   true  The new one"),
            "{}",
            listed.stdout
        );
        run(&["unset", "new_checkout"]).succeeded();
        servers.iter().for_each(|server| until_on(server, false));
    }
}

#[test]
fn a_value_that_nobody_is_served_any_more_is_told_by_the_doctor() {
    let app = App::of(APP);
    app.run(&["flags", "APP", "set", "level", "6"]).succeeded();
    let well = app.run(&["doctor", "APP", "--json"]).succeeded().json();
    let of_flags = |found: &Value| {
        let found =
            found["findings"].as_array().unwrap().iter().find(|found| found["subject"] == "flags").cloned();
        found.unwrap()
    };
    assert_eq!(of_flags(&well)["well"], true);
    app.write("app.stay", "app shop\nuse flags\nflag new_checkout = false \"The new one\"\n");
    let ill = of_flags(&app.run(&["doctor", "APP", "--json"]).ended(1).json());
    assert_eq!(ill["well"], false);
    assert!(ill["words"].as_str().unwrap().contains("level: the app does not declare it any more"), "{ill}");
    app.run(&["flags", "APP", "unset", "level"]).succeeded();
    assert_eq!(of_flags(&app.run(&["doctor", "APP", "--json"]).succeeded().json())["well"], true);
}

#[test]
fn the_settings_say_which_of_the_apps_clients_may_see() {
    let app = App::of(APP);
    let server = app.serve_with(&["--flags-shown", "level"]);
    assert_eq!(server.request("GET", "/settings").send().ok(), json!({"level": 5}));
    drop(server);
    let refused = app.run(&["query", "APP", "{}", "--admin", "--flags-shown", "levl"]).ended(1);
    assert!(refused.stderr.contains("did you mean `level`?"), "{}", refused.stderr);
}
