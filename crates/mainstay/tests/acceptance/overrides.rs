//! Rules in data, on real servers: a rule that is saved on one holds there at once and on the other within a second, for requests
//! and for those who listen.

use std::time::{Duration, Instant};

use mainstay_testkit::postgres::Postgres;
use mainstay_testkit::socket::Socket;
use serde_json::json;

use crate::support::{App, Server, until};

const NOTES: &str =
    "app notes\nuse rules\ntable Note {\n  title text(100)\n  done bool = false\n  allow read if done\n}\n";

/// The titles that somebody without a name reads.
fn titles(server: &Server) -> Vec<String> {
    let answer = server
        .request("POST", "/query")
        .json(&json!({"Note": {"get": ["title"], "order": "title"}}))
        .send()
        .ok();
    let rows = answer["Note"].as_array().unwrap().iter();
    rows.map(|row| row["title"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_saved_on_one_server_holds_on_the_other_within_a_second() {
    let app = App::of(NOTES);
    let database = Postgres::database();
    let flags = ["--database", database.as_str()];
    let [one, other] = [app.serve_with(&flags), app.serve_with(&flags)];
    let admin = app.run(&["user", "token", "APP", "--admin", "--database", &database]).succeeded();
    let admin = admin.stdout.trim();
    one.query(
        admin,
        &json!({"Note": [{"create": true, "title": "a", "done": true}, {"create": true, "title": "b"}]}),
    )
    .ok();
    assert_eq!(titles(&one), ["a"]);
    until(Duration::from_secs(10), || (titles(&other) == ["a"]).then_some(()));
    let mut listening = Socket::open(&format!("http://{}", other.address()), "").await;
    let first = listening.subscribe(1, json!({"Note": {"get": ["title"]}}), None).await;
    assert_eq!(first["rows"].as_array().unwrap().len(), 1);

    let rule = json!({"RuleOverride": {"create": true, "table": "Note", "operation": "read", "effect": "allow",
        "condition": "not done", "get": []}});
    let saved = one.query(admin, &rule).ok();
    let answered = Instant::now();
    assert_eq!(titles(&one), ["a", "b"], "who was told of it meets the old rules no more");
    until(Duration::from_secs(1), || (titles(&other) == ["a", "b"]).then_some(()));
    let told = listening.hear().await;
    assert_eq!((&told["change"], &told["row"]["title"]), (&json!("enter"), &json!("b")));
    assert!(answered.elapsed() < Duration::from_secs(1), "{:?}", answered.elapsed());

    let id = &saved["RuleOverride"][0]["id"];
    let denied = json!({"RuleOverride": {"id": id, "set": {"effect": "deny", "condition": null}}});
    one.query(admin, &denied).ok();
    assert_eq!(titles(&one), [""; 0]);
    let answered = Instant::now();
    until(Duration::from_secs(1), || titles(&other).is_empty().then_some(()));
    for _ in 0..2 {
        assert_eq!(listening.hear().await["change"], "leave");
    }
    assert!(answered.elapsed() < Duration::from_secs(1), "{:?}", answered.elapsed());
}

/// The app changes under a rule: it is told, asked about and put aside.
#[test]
fn a_rule_that_an_app_has_outgrown_is_told() {
    let app = App::of(NOTES);
    let server = app.serve();
    let admin = app.token("--admin");
    let rule = json!({"create": true, "table": "Note", "operation": "read", "effect": "deny", "condition": "done", "get": []});
    let saved = server.query(&admin, &json!({"RuleOverride": rule})).ok();
    let message = server
        .query(&admin, &json!({"RuleOverride": {"create": true, "table": "Noet", "operation": "read", "effect": "deny"}}))
        .problem_at(422, "value.invalid", "/RuleOverride/table");
    assert_eq!(message, "there is no table `Noet` (did you mean `Note`?)");
    server.query(&admin, &json!({"Note": {"create": true, "title": "a", "done": true}})).ok();
    assert!(titles(&server).is_empty());
    drop(server);
    let why = app.run(&["why", "APP", r#"{"Note": {}}"#]).succeeded().stdout;
    let id = saved["RuleOverride"][0]["id"].as_str().unwrap();
    assert!(
        why.contains(&format!("denied by the override true     RuleOverride {id}  deny read if done")),
        "{why}"
    );
    app.run(&["doctor", "APP"]).succeeded();

    // What is secret has no name in a rule in data.
    app.write(
        "app.stay",
        NOTES.replace("done bool = false", "done bool = false secret").replace("if done", ""),
    );
    let server = app.serve_with(&["--log-level", "warn"]);
    server.query(&admin, &json!({"Note": {"create": true, "title": "b"}})).ok();
    assert!(titles(&server).is_empty(), "what cannot be read of it counts as true");
    assert!(server.said().contains("a rule that is kept in data cannot be read"), "{}", server.said());
    until(Duration::from_secs(10), || {
        let metrics = server.request("GET", "/metrics").send().text;
        metrics.contains("mainstay_rule_overrides_broken 1").then_some(())
    });
    let told = app.run(&["doctor", "APP"]).ended(1).stdout;
    assert!(told.contains(&format!("the RuleOverride \"{id}\" cannot be read: deny read if done")), "{told}");
    server.query(&admin, &json!({"RuleOverride": {"id": id, "set": {"active": false}, "get": []}})).ok();
    assert_eq!(titles(&server), ["a", "b"]);
}
