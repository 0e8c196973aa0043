//! Why a row is left out, or a change refused.

use std::sync::Arc;

use mainstay_engine::ctx::Caller;
use mainstay_engine::part::Operation;
use mainstay_engine::{Why, document, prelude};
use mainstay_lang::source::Sources;

use crate::app::{App, context, with_keys, without_keys};
use crate::festival::{SCHEMA, festival};

async fn why(app: &App, caller: Caller, request: &str) -> Vec<Why> {
    let mut sources = Sources::default();
    sources.add("app.stay", SCHEMA);
    let sources = Arc::new(prelude::load(sources));
    let documents = document::parse(with_keys(request).as_bytes()).unwrap();
    let operation = Operation { documents, ..Operation::default() };
    app.engine.why(&context(caller), &operation, &sources).await.unwrap()
}

/// Each refusal on a line, its lines and clauses below it.
fn tell(found: &[Why]) -> String {
    let mut out = String::new();
    for why in found {
        let column = why.column.as_ref().map(|column| format!(" {column}")).unwrap_or_default();
        let row = why.row.as_str().unwrap_or_default();
        out.push_str(&format!("{} {} {row}{column} at {}\n", why.operation, why.table, why.path));
        for line in &why.lines {
            out.push_str(&format!("  {} {} = {}\n", line.place, line.text, truth(line.result)));
            for clause in &line.clauses {
                let values: Vec<String> =
                    clause.values.iter().map(|read| format!("{} {}", read.path, read.value)).collect();
                out.push_str(&format!(
                    "    {} = {} ({})\n",
                    clause.text,
                    truth(clause.result),
                    values.join(", ")
                ));
            }
        }
    }
    without_keys(&out)
}

fn truth(result: Option<bool>) -> &'static str {
    match result {
        Some(true) => "true",
        Some(false) => "false",
        None => "unknown",
    }
}

#[tokio::test]
async fn a_row_left_out_names_the_clauses_and_their_values() {
    let app = festival().await;
    let found = why(&app, app.user(11).await, r##"{"Alert": {"severity": "info"}}"##).await;
    assert_eq!(
        tell(&found),
        r##"read Alert #23 at /Alert
  app.stay:33 allow read if sender == user.team or receivers.any(id == user.team) or user.can("alert/read") = false
    sender == user.team = false (sender "#3", user.team "#1")
    receivers.any(id == user.team) = false (user.team "#1")
    user.can("alert/read") = false ()
"##
    );
    // What the caller gets needs no reason.
    assert_eq!(tell(&why(&app, app.user(11).await, r##"{"Alert": {"severity": "serious"}}"##).await), "");
    // A row that the caller's own conditions lose, because they look at what may not be read.
    let found = why(&app, app.user(11).await, r##"{"Alert": {"where": "assignee.name == \"Bob\""}}"##).await;
    assert_eq!(
        tell(&found),
        "read Alert #22 at /Alert\n   the request's own conditions, where what may not be read counts as null = unknown\n"
    );
}

#[tokio::test]
async fn a_refused_change_names_its_rule_and_is_undone() {
    let app = festival().await;
    let request = r##"{"Alert": {"id": "#22", "set": {"title": "Brawl", "severity": "info"}}}"##;
    assert_eq!(
        tell(&why(&app, app.user(11).await, request).await),
        r##"update Alert #22 severity at /Alert
  app.stay:36 allow update(severity) if user.can("alert/severity") = false
    user.can("alert/severity") = false ()
"##
    );
    let request = r##"{"Alert": {"create": true, "title": "Hm", "sender": "#2"}}"##;
    let told = tell(&why(&app, app.user(11).await, request).await);
    let (first, rest) = told.split_once('\n').unwrap();
    assert!(first.starts_with("create Alert ") && first.ends_with(" at /Alert"), "{first}");
    assert_eq!(
        rest,
        "  app.stay:34 allow create if sender == user.team = false\n    sender == user.team = false (sender \"#2\", user.team \"#1\")\n"
    );
    let request = r##"{"Alert": {"id": "#22", "set": {"due": "2020-01-01T00:00:00Z"}}}"##;
    assert_eq!(
        tell(&why(&app, app.user(11).await, request).await),
        r##"check Alert #22 at /Alert
  app.stay:39 check due == null or due > created "An alert is due after it was made." = false
    due == null = false (due "2020-01-01T00:00:00.000000Z")
    due > created = false (due "2020-01-01T00:00:00.000000Z", created "2026-01-31T10:01:00.000000Z")
"##
    );
    // Allowed, and still only tried.
    let request = r##"{"Alert": {"id": "#22", "set": {"title": "Brawl"}}}"##;
    assert_eq!(tell(&why(&app, app.user(11).await, request).await), "");
    app.check(
        app.user(11).await,
        r##"{"Alert": {"id": "#22", "get": ["title"]}}"##,
        r##"{"Alert":[{"id":"#22","title":"Fight"}]}"##,
    )
    .await;
}
