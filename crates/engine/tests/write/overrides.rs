//! Rules that are kept in data: what they let and keep from whom, what is refused when one is saved, and that a broken one lets
//! nobody do more.

use std::collections::BTreeSet;
use std::sync::Arc;

use mainstay_engine::ctx::Caller;
use mainstay_engine::part::Operation;
use mainstay_engine::{Reasons, document, prelude};
use mainstay_lang::source::Sources;
use serde_json::{Value as Json, json};

use crate::app::{App, context, with_keys, without_keys};
use crate::support::{Request, check, refused, send, shown};

const APP: &str = r#"
app shop
use rules
table Team { name text(100)  members User[] by team  allow read if signed_in }
extend User { team Team?  blocked bool?  allow read if signed_in }
table Note {
  title   text(100)
  owner   User?
  team    Team?
  cost    int?
  secret  text? secret
  readers User[]
  likes   User[]
  allow read, update  if owner == user
  allow read(cost)    if user.can("cost")
  allow link(likes)   if owner == user
}
table Closed { name text(100)  note Note? }
table Open   { name text(100)  flag bool?  allow all }
table Org { name text(100) }
stream Barrel {
  place text?
  event Moved { to text }
  command move(to text) { emit Moved { to } }
  on Moved { place = event.to }
  allow read
}
"#;

async fn app() -> App {
    App::new(APP, fixture()).await
}

fn fixture() -> Json {
    json!([
        ["Team", {"id": 11, "name": "Red"}],
        ["Team", {"id": 12, "name": "Blue"}],
        ["User", {"id": 1, "email": "ann@x", "name": "Ann", "team": 11}],
        ["User", {"id": 2, "email": "bob@x", "name": "Bob", "team": 12}],
        ["Note", {"id": 21, "title": "Ann's", "owner": 1, "team": 11, "cost": 5}],
        ["Note", {"id": 22, "title": "Bob's", "owner": 2, "team": 12, "cost": 7}],
        ["Note", {"id": 23, "title": "Nobody's", "cost": 9}],
        ["Closed", {"id": 31, "name": "one"}],
        ["Open", {"id": 41, "name": "yes", "flag": true}],
        ["Open", {"id": 42, "name": "no", "flag": false}],
        ["Open", {"id": 43, "name": "unknown"}],
    ])
}

/// Saves a rule as an administrator.
async fn save(app: &App, rule: Json) {
    let mut part = rule;
    part["create"] = json!(true);
    app.change(&json!({"RuleOverride": part}).to_string()).await;
}

async fn clear(app: &App) {
    app.change(r#"{"RuleOverride": {"delete": true, "all": true}}"#).await;
}

async fn cook(app: &App, user: u32) -> Caller {
    Caller { roles: BTreeSet::from(["cook".to_owned()]).into(), ..app.user(user).await }
}

/// The titles or names that a caller sees.
async fn seen(app: &App, caller: Caller, table: &str, column: &str) -> String {
    let question = json!({table: {"get": [column], "order": "id"}}).to_string();
    match app.run(caller, &question).await {
        Ok(answer) => {
            let answer: Json = serde_json::from_str(&answer).unwrap();
            let rows = answer[table].as_array().unwrap();
            let text = |row: &Json| {
                row.get(column).map_or("-".to_owned(), |value| match value {
                    Json::String(text) => text.clone(),
                    other => other.to_string(),
                })
            };
            rows.iter().map(text).collect::<Vec<_>>().join(" ")
        }
        Err(error) => error.key.text().to_owned(),
    }
}

#[tokio::test]
async fn what_a_rule_in_data_allows_is_allowed_from_then_on() {
    let app = app().await;
    let ann = app.user(1).await;
    assert_eq!(seen(&app, ann.clone(), "Note", "title").await, "Ann's");
    assert_eq!(seen(&app, ann.clone(), "Closed", "name").await, "");
    save(&app, json!({"table": "Note", "operation": "read", "effect": "allow", "condition": "team == user.team or owner == null"})).await;
    save(&app, json!({"table": "Closed", "operation": "read", "effect": "allow"})).await;
    // The caller was read under the rules of before.
    assert_eq!(seen(&app, ann.clone(), "Note", "title").await, "Ann's Nobody's");
    assert_eq!(seen(&app, ann.clone(), "Closed", "name").await, "one");
    assert_eq!(seen(&app, Caller::anonymous(), "Closed", "name").await, "one");
    // A path that no line of the app follows.
    save(&app, json!({"table": "Note", "operation": "read", "effect": "allow", "condition": "title == \"Bob's\" and user.team.name == \"Red\""})).await;
    assert_eq!(seen(&app, ann.clone(), "Note", "title").await, "Ann's Bob's Nobody's");
    app.change(r##"{"Team": {"id": "#11", "set": {"name": "Green"}}}"##).await;
    assert_eq!(seen(&app, app.user(1).await, "Note", "title").await, "Ann's Nobody's");
    clear(&app).await;
    assert_eq!(seen(&app, ann, "Note", "title").await, "Ann's");
    assert_eq!(seen(&app, app.user(1).await, "Closed", "name").await, "");
}

#[tokio::test]
async fn what_one_denies_no_other_allows_and_the_unknown_is_denied() {
    let app = app().await;
    let ann = app.user(1).await;
    assert_eq!(seen(&app, ann.clone(), "Open", "name").await, "yes no unknown");
    save(&app, json!({"table": "Open", "operation": "read", "effect": "deny", "condition": "flag"})).await;
    assert_eq!(seen(&app, ann.clone(), "Open", "name").await, "no");
    save(&app, json!({"table": "Open", "operation": "read", "effect": "allow"})).await;
    assert_eq!(seen(&app, ann.clone(), "Open", "name").await, "no");
    assert_eq!(seen(&app, Caller::administrator(), "Open", "name").await, "yes no unknown");
    save(&app, json!({"table": "Open", "operation": "read", "effect": "deny"})).await;
    assert_eq!(seen(&app, ann.clone(), "Open", "name").await, "");
    app.change(r#"{"RuleOverride": {"all": true, "set": {"active": false}}}"#).await;
    assert_eq!(seen(&app, ann, "Open", "name").await, "yes no unknown");
}

#[tokio::test]
async fn a_rule_for_a_role_is_for_those_who_have_it() {
    let app = app().await;
    save(&app, json!({"role": "cook", "table": "Note", "operation": "read", "effect": "allow"})).await;
    save(&app, json!({"role": "cook", "table": "Open", "operation": "read", "effect": "deny"})).await;
    let (ann, cook) = (app.user(1).await, cook(&app, 1).await);
    assert_eq!(seen(&app, ann.clone(), "Note", "title").await, "Ann's");
    assert_eq!(seen(&app, cook.clone(), "Note", "title").await, "Ann's Bob's Nobody's");
    assert_eq!(seen(&app, ann, "Open", "name").await, "yes no unknown");
    assert_eq!(seen(&app, cook, "Open", "name").await, "");
}

#[tokio::test]
async fn columns_and_links_have_rules_in_data_too() {
    let app = app().await;
    let ann = app.user(1).await;
    assert_eq!(seen(&app, ann.clone(), "Note", "cost").await, "-");
    save(&app, json!({"table": "Note", "operation": "read", "columns": ["cost"], "effect": "allow", "condition": "cost < 8"})).await;
    assert_eq!(seen(&app, ann.clone(), "Note", "cost").await, "5");
    save(&app, json!({"table": "Note", "operation": "read", "columns": ["title", "cost"], "effect": "deny", "condition": "cost > 3"})).await;
    assert_eq!(seen(&app, ann.clone(), "Note", "cost").await, "-");
    assert_eq!(seen(&app, ann.clone(), "Note", "title").await, "-");
    clear(&app).await;
    save(&app, json!({"table": "Note", "operation": "update", "columns": ["title"], "effect": "deny"})).await;
    refused(
        &app,
        ann.clone(),
        r##"{"Note": {"id": "#21", "set": {"title": "x"}}}"##,
        "rule.refused\n/Note you may not change `title`",
    )
    .await;
    check(
        &app,
        ann.clone(),
        r##"{"Note": {"id": "#21", "set": {"team": "#12"}, "get": []}}"##,
        r##"{"Note":[{"id":"#21","team":"#12","edited":true}]}"##,
    )
    .await;

    // `likes` has a line of its own, `readers` goes by the rule of changing the note.
    clear(&app).await;
    let link = |relation: &str| {
        format!(r##"{{"Note": {{"id": "#21", "{relation}": {{"add": ["#2"]}}, "get": []}}}}"##)
    };
    for relation in ["likes", "readers"] {
        save(&app, json!({"table": "Note", "operation": "link", "columns": [relation], "effect": "deny", "condition": "title == \"Ann's\""})).await;
        let words = format!("rule.refused\n/Note/{relation}/add/0 you may not link rows of `{relation}`");
        refused(&app, ann.clone(), &link(relation), &words).await;
        clear(&app).await;
    }
    save(&app, json!({"table": "Note", "operation": "update", "effect": "deny"})).await;
    let words = "rule.refused\n/Note/readers/add/0 you may not change this Note";
    refused(&app, ann.clone(), &link("readers"), words).await;
    save(&app, json!({"table": "Note", "operation": "link", "columns": ["readers"], "effect": "allow", "condition": "owner == user"})).await;
    let done = shown(send(&app, &Request::new(ann, &link("readers"))).await);
    assert_eq!(done, r##"{"Note":[{"id":"#21","readers":[{"id":"#2"}]}]}"##);
}

#[tokio::test]
async fn changes_are_judged_before_and_after() {
    let app = app().await;
    let ann = app.user(1).await;
    save(
        &app,
        json!({"table": "Note", "operation": "update", "effect": "deny", "condition": "new.cost > old.cost"}),
    )
    .await;
    refused(
        &app,
        ann.clone(),
        r##"{"Note": {"id": "#21", "set": {"cost": 6}}}"##,
        "rule.refused\n/Note you may not change this Note",
    )
    .await;
    check(
        &app,
        ann.clone(),
        r##"{"Note": {"id": "#21", "set": {"cost": 4}, "get": []}}"##,
        r##"{"Note":[{"id":"#21","edited":true}]}"##,
    )
    .await;
    save(&app, json!({"table": "Closed", "operation": "create", "effect": "allow", "condition": "note.owner == user"})).await;
    refused(
        &app,
        ann.clone(),
        r##"{"Closed": {"create": true, "name": "n"}}"##,
        "rule.refused\n/Closed you may not create this Closed",
    )
    .await;
    check(
        &app,
        ann.clone(),
        r##"{"Closed": {"create": true, "name": "n", "note": "#21", "get": []}}"##,
        r##"{"Closed":[{"id":"@1","new":true}]}"##,
    )
    .await;
    save(&app, json!({"table": "Note", "operation": "delete", "effect": "allow", "condition": "owner == user and title ~ \"ann\""})).await;
    refused(
        &app,
        app.user(2).await,
        r##"{"Note": {"id": "#22", "delete": true}}"##,
        "rule.refused\n/Note you may not delete this Note",
    )
    .await;
    check(
        &app,
        ann,
        r##"{"Open": {"id": "#41", "delete": true}}"##,
        r##"{"Open":[{"id":"#41","deleted":true}]}"##,
    )
    .await;
}

#[tokio::test]
async fn one_that_cannot_be_read_is_refused_with_its_place() {
    let app = app().await;
    let admin = Caller::administrator;
    let rule = |members: Json| {
        let mut part = json!({"create": true, "table": "Note", "operation": "read", "effect": "allow"});
        part.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        json!({"RuleOverride": part}).to_string()
    };
    for (members, expected) in [
        (json!({"table": "Nota"}), "/RuleOverride/table there is no table `Nota` (did you mean `Note`?)"),
        (
            json!({"table": "RuleOverride"}),
            "/RuleOverride/table who may change the rules is no matter of a row of RuleOverride: extend it in the app",
        ),
        (
            json!({"condition": "titel == \"x\""}),
            "/RuleOverride/condition at character 1: `Note` has no column `titel` (did you mean `title`?)",
        ),
        (
            json!({"condition": "secret == \"x\""}),
            "/RuleOverride/condition at character 1: `Note` has no column `secret`",
        ),
        (json!({"condition": "cost == $x"}), "/RuleOverride/condition at character 9: "),
        (
            json!({"condition": "cost"}),
            "/RuleOverride/condition at character 1: expected a condition (bool), found `int`",
        ),
        (json!({"condition": "cost >"}), "/RuleOverride/condition at character 7: "),
        (json!({"condition": "old.cost > 1"}), "/RuleOverride/condition at character 1: "),
        (
            json!({"columns": ["cost", "titles"]}),
            "/RuleOverride/columns/1 `Note` has no column `titles` (did you mean `title`?)",
        ),
        (
            json!({"columns": ["title"]}),
            "/RuleOverride/columns/0 `title` has no rule of its own for `read`: whoever may read the row may anyway",
        ),
        (json!({"columns": ["id"]}), "/RuleOverride/columns/0 the id is part of every row"),
        (
            json!({"operation": "delete", "columns": ["cost"]}),
            "/RuleOverride/columns/0 a row is deleted whole",
        ),
        (
            json!({"operation": "link", "columns": ["likers"]}),
            "/RuleOverride/columns/0 `Note` has no relation to many rows called `likers` (did you mean `likes`?)",
        ),
        (
            json!({"table": "Barrel", "operation": "update"}),
            "/RuleOverride/operation a stream changes only by its commands",
        ),
        (json!({"role": " "}), "/RuleOverride/role nobody has a role without a name"),
    ] {
        let found = shown(send(&app, &Request::new(admin(), &rule(members.clone()))).await);
        let expected = format!("value.invalid\n{expected}");
        assert!(found.starts_with(&expected), "{members}: {found}");
    }
    // What is changed is as much as what is made; one that is put aside may be as it is.
    save(&app, json!({"id": "00000000-0000-7000-8000-000000000099", "table": "Note", "operation": "read", "effect": "allow"})).await;
    refused(
        &app,
        admin(),
        r##"{"RuleOverride": {"id": "#99", "set": {"condition": "nothing"}}}"##,
        "value.invalid\n/RuleOverride/condition at character 1: `Note` has no column `nothing`",
    )
    .await;
    // Only those who may change rules do.
    refused(
        &app,
        app.user(1).await,
        &rule(json!({})),
        "rule.refused\n/RuleOverride you may not create this RuleOverride",
    )
    .await;
    assert_eq!(seen(&app, app.user(1).await, "RuleOverride", "table").await, "");
    let mut holder = app.user(1).await;
    Arc::make_mut(&mut holder.permissions).insert("rules/admin".to_owned());
    check(&app, holder.clone(), &rule(json!({"condition": "owner == null", "get": ["table"]})), r##"{"RuleOverride":[{"id":"@1","table":"Note","operation":"read","effect":"allow","condition":"owner == null","new":true}]}"##).await;
    assert_eq!(seen(&app, holder, "RuleOverride", "table").await, "Note Note");
}

/// Rows that were saved by an app of before, and mean nothing in this one any more.
#[tokio::test]
async fn a_broken_one_lets_nobody_do_more() {
    let rule = |id: u32, members: Json| {
        let mut row = json!({"id": id, "operation": "read"});
        row.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        json!(["RuleOverride", row])
    };
    let mut rows = fixture();
    rows.as_array_mut().unwrap().extend([
        rule(91, json!({"table": "Note", "effect": "allow", "condition": "gone == 1 or true"})),
        rule(92, json!({"table": "Open", "effect": "deny", "condition": "gone == 1", "role": "cook"})),
        rule(93, json!({"table": "Gone", "effect": "deny"})),
        rule(94, json!({"table": "Note", "columns": ["gone"], "effect": "deny", "role": "cook"})),
        rule(95, json!({"table": "Note", "columns": ["title"], "effect": "deny", "condition": "gone", "role": "waiter"})),
        rule(96, json!({"table": "Closed", "effect": "allow", "role": ""})),
    ]);
    let app = App::new(APP, rows).await;
    // What is written past the engine is looked for by the clock; this makes it look at once.
    save(&app, json!({"table": "Org", "operation": "read", "effect": "deny"})).await;
    let (ann, cook) = (app.user(1).await, cook(&app, 1).await);
    assert_eq!(seen(&app, ann.clone(), "Note", "title").await, "Ann's");
    assert_eq!(seen(&app, ann.clone(), "Open", "name").await, "yes no unknown");
    assert_eq!(seen(&app, ann, "Closed", "name").await, "");
    assert_eq!(seen(&app, cook.clone(), "Open", "name").await, "");
    assert_eq!(seen(&app, cook, "Note", "title").await, "");
    let waiter = Caller { roles: BTreeSet::from(["waiter".to_owned()]).into(), ..app.user(1).await };
    assert_eq!(seen(&app, waiter, "Note", "title").await, "-");
    let planning = app.engine.planning().await.unwrap();
    let broken: Vec<String> = planning.catalog().overrides().broken().map(|(_, words)| words).collect();
    assert_eq!(broken.len(), 6, "{broken:?}");
    // One is put aside as it is, and deleted.
    app.change(
        r##"{"RuleOverride": [{"id": "#92", "set": {"active": false}}, {"id": "#94", "delete": true}]}"##,
    )
    .await;
    let cook = self::cook(&app, 1).await;
    assert_eq!(seen(&app, cook.clone(), "Open", "name").await, "yes no unknown");
    assert_eq!(seen(&app, cook, "Note", "title").await, "Ann's");
    refused(
        &app,
        Caller::administrator(),
        r##"{"RuleOverride": {"id": "#92", "set": {"active": true}}}"##,
        "value.invalid\n/RuleOverride/condition at character 1: `Open` has no column `gone`",
    )
    .await;
}

#[tokio::test]
async fn tenants_stay_apart_whatever_is_allowed() {
    let tables = "table Tenant { name text(100) }\ntable Paper (tenant) { name text(100)  allow read if name == \"public\" }";
    let text = format!("{APP}\n{tables}");
    let app = App::new(&text, fixture()).await;
    for (tenant, name) in [(71, "one"), (72, "two")] {
        app.change(&format!("{{\"Tenant\": {{\"create\": true, \"id\": \"#{tenant}\", \"name\": \"t\"}}}}"))
            .await;
        let body = format!(r#"{{"Paper": {{"create": true, "name": "{name}"}}}}"#);
        let request = Request { tenant: Some(tenant), ..Request::new(Caller::administrator(), &body) };
        send(&app, &request).await.unwrap();
    }
    save(&app, json!({"table": "Paper", "operation": "read", "effect": "allow"})).await;
    let ask = r#"{"Paper": {"get": ["name"]}}"#;
    for (tenant, expected) in [
        (Some(71), r#"{"Paper":[{"id":"@1","name":"one"}]}"#),
        (Some(72), r#"{"Paper":[{"id":"@1","name":"two"}]}"#),
        (None, r#"{"Paper":[]}"#),
    ] {
        let request = Request { tenant, ..Request::new(app.user(1).await, ask) };
        assert_eq!(shown(send(&app, &request).await), expected, "{tenant:?}");
    }
}

#[tokio::test]
async fn whoever_asks_why_is_told_of_them() {
    let app = app().await;
    let keyed = |id: u32, rule: Json| {
        let mut rule = rule;
        rule["id"] = json!(with_keys(&format!("#{id}")));
        rule
    };
    save(&app, keyed(91, json!({"table": "Note", "operation": "read", "effect": "allow", "condition": "team == user.team"}))).await;
    save(&app, keyed(92, json!({"table": "Note", "operation": "read", "effect": "deny", "role": "cook", "condition": "cost > 6", "note": "Too dear."}))).await;
    let mut sources = Sources::default();
    sources.add("app.stay", APP);
    let sources = Arc::new(prelude::load(sources));
    let why = async |caller: Caller, request: &str| -> Reasons {
        let documents = document::parse(with_keys(request).as_bytes()).unwrap();
        let operation = Operation { documents, ..Operation::default() };
        app.engine.why(&context(caller), &operation, &sources).await.unwrap()
    };
    let found = why(cook(&app, 2).await, r##"{"Note": {"id": "#22"}}"##).await;
    let lines = |lines: &[mainstay_engine::Line]| {
        let told = lines.iter().map(|line| {
            let clauses =
                line.clauses.iter().map(|clause| format!("\n    {} = {:?}", clause.text, clause.result));
            format!("{} {} = {:?}{}", line.place, line.text, line.result, clauses.collect::<String>())
        });
        without_keys(&told.collect::<Vec<_>>().join("\n"))
    };
    assert_eq!(
        lines(&found.refusals[0].lines),
        "app.stay:14 allow read, update if owner == user = Some(true)\n    owner == user = Some(true)\n\
         RuleOverride #91 allow read if team == user.team = Some(true)\n    team == user.team = Some(true)"
    );
    assert_eq!(
        lines(&found.refusals[0].denied),
        "RuleOverride #92 deny read if user.has_role(\"cook\") and cost > 6  // Too dear. = Some(true)\n    \
         user.has_role(\"cook\") = Some(true)\n    cost > 6 = Some(true)"
    );
    save(
        &app,
        keyed(93, json!({"table": "Note", "operation": "update", "effect": "deny", "condition": "cost > 1"})),
    )
    .await;
    let found = why(app.user(1).await, r##"{"Note": {"id": "#21", "set": {"title": "x"}}}"##).await;
    assert_eq!(
        lines(&found.refusals[0].denied),
        "RuleOverride #93 deny update if cost > 1 = Some(true)\n    cost > 1 = Some(true)"
    );
}
