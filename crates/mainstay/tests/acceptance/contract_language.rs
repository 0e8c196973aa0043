//! The language's contract: what a `.stay` file says about tables, rules and expressions is what the server does.
//!
//! The examples are the contract's own, festival first; where it shows no data, a small table has some.

use serde_json::{Value, json};

use crate::support::{Answer, App, Server, encode};

const BAR: &str = "01900000-0000-7000-8000-000000000101";
const SECURITY: &str = "01900000-0000-7000-8000-000000000102";
const CONTROL: &str = "01900000-0000-7000-8000-000000000103";
const ANN: &str = "01900000-0000-7000-8000-000000000201";
const BOB: &str = "01900000-0000-7000-8000-000000000202";
const CLEO: &str = "01900000-0000-7000-8000-000000000203";

/// The contract's app, word by word, with the one table that it names and leaves out.
const FESTIVAL: &str = include_str!("data/festival.stay");

fn ids(rows: &Value) -> Vec<&str> {
    rows.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect()
}

fn post(server: &Server, token: &str, table: &str, row: &Value) -> Answer {
    server.request("POST", &format!("/api/{table}")).bearer(token).json(row).send()
}

fn patch(server: &Server, token: &str, path: &str, row: &Value) -> Answer {
    server.request("PATCH", &format!("/api/{path}")).bearer(token).json(row).send()
}

fn id_of(row: &Value) -> String {
    row["id"].as_str().unwrap().to_owned()
}

#[test]
fn the_page_s_own_app_checks_and_is_laid_out_as_it_says() {
    let app = App::of(FESTIVAL);
    let checked = app.run(&["check", "APP", "--json"]).succeeded().json();
    assert_eq!((&checked["errors"], &checked["warnings"]), (&json!(0), &json!(0)), "{checked}");
}

#[test]
fn streams_datasets_flags_and_settings_check_before_they_are_served() {
    let app = App::of(include_str!("data/stock.stay"));
    let checked = app.run(&["check", "APP", "--json"]).succeeded().json();
    assert_eq!(checked["errors"], 0, "{checked}");
}

#[test]
fn festival_teams_and_alerts_follow_their_rules() {
    let app = App::example("festival");
    let server = app.serve();
    let (ann, bob, cleo) = (app.token(ANN), app.token(BOB), app.token(CLEO));

    // `allow read if signed_in`: what may not be read does not exist.
    let teams = |token: &str| server.query(token, &json!({"Team": {"get": "*", "order": "name"}})).ok();
    assert_eq!(teams(""), json!({"Team": []}));
    assert_eq!(ids(&teams(&bob)["Team"]), [BAR, CONTROL, SECURITY]);
    server.get("", &format!("/api/Team/{BAR}")).problem(404, "row.not_found");

    // `allow create … if user.can("team/admin")`; `trim`, the default of an enum, `unique`.
    post(&server, &bob, "Team", &json!({"name": "Toilets"})).problem(403, "rule.refused");
    let team = post(&server, &cleo, "Team", &json!({"name": "  Toilets "})).expect(201);
    assert_eq!(
        (&team["name"], &team["role"], &team["location"]),
        (&json!("Toilets"), &json!("bar"), &json!(null))
    );
    let message =
        post(&server, &cleo, "Team", &json!({"name": "Toilets"})).problem_at(409, "unique", "/name");
    assert!(!message.is_empty());
    post(&server, &cleo, "Team", &json!({"name": "x", "role": "baar"})).problem_at(
        422,
        "value.invalid",
        "/role",
    );
    post(&server, &cleo, "Team", &json!({"location": "x"})).problem_at(422, "value.invalid", "/name");
    let long = "n".repeat(101);
    post(&server, &cleo, "Team", &json!({"name": long})).problem_at(422, "value.invalid", "/name");
    assert_eq!(teams(&cleo)["Team"].as_array().unwrap().len(), 4, "what was refused made nothing");

    // `extend User`, and team mates who see each other.
    let me = server.query(&ann, &json!({"User": {"get": ["name"], "team": {"get": ["name"]}}})).ok();
    assert_eq!(me, json!({"User": [{"id": ANN, "name": "Ann", "team": {"id": BAR, "name": "Bar 1"}}]}));

    // `allow create if sender == user.team`
    let alert = json!({"title": "Ice", "sender": BAR, "receivers": [SECURITY]});
    let made = post(&server, &ann, "Alert", &alert).expect(201);
    let id = id_of(&made);
    assert_eq!(made["severity"], "info");
    post(&server, &ann, "Alert", &json!({"title": "x", "sender": SECURITY})).problem(403, "rule.refused");
    post(&server, "", "Alert", &json!({"title": "x", "sender": BAR})).expect(403);

    // `allow read`: sender, receivers, and whoever holds alert/read; cleo's team is neither.
    for token in [&ann, &bob, &cleo] {
        let seen = server.query(token, &json!({"Alert": {"get": ["title"]}})).ok();
        assert_eq!(ids(&seen["Alert"]), [id.as_str()]);
    }

    // `allow update if receivers.any(…)`: ann may read it but not change it (403, not 404); bob may, but not severity.
    let path = format!("Alert/{id}");
    patch(&server, &ann, &path, &json!({"title": "y"})).problem(403, "rule.refused");
    assert_eq!(patch(&server, &bob, &path, &json!({"title": "Ice!"})).ok()["title"], "Ice!");
    // A guard on a column is asked because the column is named, changed or not.
    patch(&server, &bob, &path, &json!({"title": "no", "severity": "info"})).problem(403, "rule.refused");
    // Both rules are needed: cleo holds the column's permission alone.
    patch(&server, &cleo, &path, &json!({"severity": "warning"})).problem(403, "rule.refused");
    let row = server.get(&bob, &format!("/api/{path}")).ok();
    assert_eq!((&row["title"], &row["severity"]), (&json!("Ice!"), &json!("info")), "{row}");

    // After the change the rule must hold too: bob may not give away what lets him.
    let take = json!({"Alert": {"id": id, "set": {"receivers": [CONTROL]}}});
    server.query(&bob, &take).problem(403, "rule.refused");
    assert_eq!(receivers(&server, &cleo, &id), [SECURITY]);

    // `check`: the whole request fails with its words. `warn`: 409 with an id that lets it through.
    let late = json!({"title": "late", "sender": BAR, "due": "2020-01-01T00:00:00Z"});
    let problem = post(&server, &ann, "Alert", &late).problem(422, "check.failed");
    assert!(problem.to_string().contains("An alert is due after it was made."), "{problem}");
    let serious = json!({"title": "fire", "sender": BAR, "severity": "serious"});
    let problem = post(&server, &ann, "Alert", &serious).problem(409, "warnings.unaccepted");
    assert_eq!(problem["warnings"][0]["message"], "A serious alert should have somebody on it.");
    let assigned = json!({"title": "fire", "sender": BAR, "severity": "serious", "assignee": ANN});
    post(&server, &ann, "Alert", &assigned).expect(201);

    // `allow delete`; `on delete cascade` from the sender takes its alerts along.
    server.request("DELETE", &format!("/api/{path}")).bearer(&bob).send().problem(403, "rule.refused");
    server.request("DELETE", &format!("/api/Team/{BAR}")).bearer(&cleo).send().expect(204);
    let left = server.query(&cleo, &json!({"Alert": {"get": ["title"]}, "Team": {"id": BAR}})).ok();
    assert_eq!(left, json!({"Alert": [], "Team": []}));
    // `team Team?` has no line of its own: its users are kept, without a team.
    let me = server.query(&ann, &json!({"User": {"id": ANN, "get": ["team"]}})).ok();
    assert_eq!(me["User"][0]["team"], json!(null));
}

fn receivers(server: &Server, token: &str, alert: &str) -> Vec<String> {
    let document = json!({"Alert": {"id": alert, "receivers": {"get": ["name"]}}});
    let answer = server.query(token, &document).ok();
    ids(&answer["Alert"][0]["receivers"]).into_iter().map(str::to_owned).collect()
}

const MODIFIERS: &str = r#"
app modifiers "Modifiers"

/// A thing with a number for each year and kind.
table Thing {
  number   int auto per (kind)
  kind     enum(small, large) = small
  code     text(10) lower trim unique match "^[a-z]+$"
  mail     text(100)? match email
  site     text(100)? match url
  size     int = 3 min 1 max 10
  made     date = today()
  maker    text(20)? immutable
  pin      text(20)? secret
  note     text(50)? hidden
  tags     text[]?
  private  text(50)?
  legacy   text(20)? db "old_name"
  parts    Part[] by thing
  order number
  allow all
  allow read(private) if signed_in
  allow update(code)  if old.code != "fixed" and new.code != "taken"
}
table Part {
  id     int
  thing  Thing on delete restrict
  allow all
}
table Key {
  id     text(8)
  value  int index
  allow all
}
table Silent {
  name text(10)
}
"#;

#[test]
fn modifiers_do_what_they_say() {
    let app = App::of(MODIFIERS);
    let warned = app.run(&["check", "APP"]).succeeded();
    assert!(warned.stderr.contains("Silent"), "a table without any allow is reported: {}", warned.stderr);
    let server = app.serve();
    let make = |row: Value| post(&server, "", "Thing", &row);

    let first = make(
        json!({"code": " ABC ", "maker": "m", "pin": "1234", "note": "n", "tags": ["a", "b"], "private": "p"}),
    );
    let first = first.expect(201);
    let today = &first["created"].as_str().unwrap()[..10];
    assert_eq!(
        (&first["number"], &first["code"], &first["size"], &first["made"], &first["tags"]),
        (&json!(1), &json!("abc"), &json!(3), &json!(today), &json!(["a", "b"])),
    );
    let shown = server.get("", &format!("/api/Thing/{}", id_of(&first))).ok();
    for absent in ["pin", "note", "private"] {
        assert!(shown.get(absent).is_none(), "{absent} is not shown: {shown}");
    }
    assert_eq!(make(json!({"code": "b", "kind": "large"})).expect(201)["number"], 1, "counted per kind");

    // `auto per`: a refused request takes no number.
    make(json!({"code": "abc"})).problem_at(409, "unique", "/code");
    assert_eq!(make(json!({"code": "c"})).expect(201)["number"], 2);
    make(json!({"code": "d", "number": 9})).expect(422);

    for (row, path) in [
        (json!({"code": "a1"}), "/code"),
        (json!({"code": "e", "mail": "nobody"}), "/mail"),
        (json!({"code": "e", "site": "nowhere"}), "/site"),
        (json!({"code": "e", "size": 0}), "/size"),
        (json!({"code": "e", "size": 11}), "/size"),
        (json!({"code": "e", "size": null}), "/size"),
        (json!({"code": "e", "made": "2026-02-30"}), "/made"),
        (json!({"code": "e", "tags": ["a", 1]}), "/tags"),
    ] {
        let message = make(row).problem_at(422, "value.invalid", path);
        assert!(!message.is_empty());
    }
    // All that is wrong is told at once.
    let all = make(json!({"code": "A 1", "size": 0, "mail": "x"})).problem(422, "value.invalid");
    assert_eq!(all["errors"].as_array().unwrap().len(), 3, "{all}");

    // `immutable` may be said at creation only; `hidden` may be asked for; `secret` never.
    let path = format!("Thing/{}", id_of(&first));
    patch(&server, "", &path, &json!({"maker": "other"})).expect(422);
    assert_eq!(server.get("", &format!("/api/{path}?get=note,maker")).ok()["note"], "n");
    let pin = server.get("", &format!("/api/{path}?get=pin"));
    assert!(pin.status == 400 && !pin.text.contains("1234"), "{}", pin.text);
    for part in [json!({"pin": "1234"}), json!({"where": "pin == \"1234\""}), json!({"order": "pin"})] {
        server.query("", &json!({"Thing": part})).expect(400);
    }

    // A guarded column is absent from an answer, null in a filter, no order; a token opens it.
    let open = app.run(&["user", "create", "APP", "--email", "a@example.com", "--name", "A"]).succeeded();
    let token = app.token(open.stdout.trim());
    let count = |token: &str, part: Value| {
        server.query(token, &json!({"Thing": part})).ok()["Thing"].as_array().unwrap().len()
    };
    assert_eq!(count("", json!({"private": "p"})), 0);
    assert_eq!(count("", json!({"where": "private == null"})), 3);
    assert_eq!(count(&token, json!({"where": "private != null"})), 1);
    server.query("", &json!({"Thing": {"order": "private"}})).problem(403, "column.guarded");
    server.query(&token, &json!({"Thing": {"order": "private"}})).ok();
    assert_eq!(server.get(&token, &format!("/api/{path}?get=private")).ok()["private"], "p");
    assert!(server.get("", &format!("/api/{path}?get=private")).ok().get("private").is_none());

    // `old.` and `new.` are the row before and after.
    patch(&server, "", &path, &json!({"code": "taken"})).problem(403, "rule.refused");
    patch(&server, "", &path, &json!({"code": "fixed"})).ok();
    patch(&server, "", &path, &json!({"code": "free"})).problem(403, "rule.refused");
    assert_eq!(server.get("", &format!("/api/{path}?get=code")).ok()["code"], "fixed");

    // Other kinds of keys; a relation that restricts deletion.
    let part = post(&server, "", "Part", &json!({"thing": first["id"]})).expect(201);
    assert_eq!(part["id"], 1);
    server.request("DELETE", &format!("/api/{path}")).send().problem(409, "delete.restricted");
    server.request("DELETE", "/api/Part/1").send().expect(204);
    server.request("DELETE", &format!("/api/{path}")).send().expect(204);
    post(&server, "", "Key", &json!({"id": "k/1", "value": 5})).expect(201);
    assert_eq!(server.get("", &format!("/api/Key/{}", encode("k/1"))).ok()["value"], 5);
    post(&server, "", "Silent", &json!({"name": "x"})).problem(403, "rule.refused");

    // `///` reaches the description of the interface.
    let openapi = server.get("", "/openapi.json");
    assert!(openapi.text.contains("A thing with a number for each year and kind."));
}

#[test]
fn reserved_and_badly_cased_names_are_errors_that_say_so() {
    for (line, words) in [
        ("limit int", "limit"),
        ("where text(5)", "where"),
        ("Title text(5)", "title"),
        ("titel text(5)  label title", "titel"),
        ("n strin", "strin"),
        ("n int = \"x\"", "int"),
        ("n int  check n > m \"m\"", "m"),
    ] {
        let app = App::of(&format!("app a \"A\"\ntable T {{\n  {line}\n  allow read\n}}\n"));
        let ran = app.run(&["check", "APP"]).ended(1);
        assert!(ran.stderr.contains(words) && ran.stderr.contains("app.stay:3"), "{line}\n{}", ran.stderr);
    }
}

const VALUES: &str = r#"
app values "Values"
table Value {
  id    text(10)
  b     bool?
  i     int?
  f     float?
  d     decimal(10, 2)?
  t     text?
  s     text(5)?
  u     uuid?
  day   date?
  clock time?
  at    timestamp?
  span  duration?
  j     json?
  raw   bytes?
  e     enum(low, mid, high)?
  list  int[]?
  allow all
}
"#;

#[test]
fn every_type_keeps_its_form_on_the_wire() {
    let app = App::of(VALUES);
    let server = app.serve();
    let cases = [
        ("b", json!(true), json!(true)),
        ("i", json!(9_223_372_036_854_775_807_i64), json!(9_223_372_036_854_775_807_i64)),
        ("i", json!(-9_223_372_036_854_775_808_i64), json!(-9_223_372_036_854_775_808_i64)),
        ("f", json!(0.1), json!(0.1)),
        ("f", json!(1e300), json!(1e300)),
        ("d", json!("1000.5"), json!("1000.50")),
        ("d", json!(1000.5), json!("1000.50")),
        ("d", json!("-0.01"), json!("-0.01")),
        ("t", json!("Zoë 😀 \"\\\n"), json!("Zoë 😀 \"\\\n")),
        ("s", json!("äöüß😀"), json!("äöüß😀")),
        ("u", json!("018F0000-0000-7000-8000-00000000000A"), json!("018f0000-0000-7000-8000-00000000000a")),
        ("day", json!("2024-02-29"), json!("2024-02-29")),
        ("clock", json!("10:00:00"), json!("10:00:00.000000")),
        ("at", json!("2026-01-31T10:00:00Z"), json!("2026-01-31T10:00:00.000000Z")),
        ("at", json!("2026-01-31T12:00:00.5+02:00"), json!("2026-01-31T10:00:00.500000Z")),
        ("span", json!("P1DT2H3M4.5S"), json!("P1DT2H3M4.5S")),
        ("span", json!("PT0S"), json!("PT0S")),
        ("span", json!("-PT1H"), json!("-PT1H")),
        ("raw", json!("AAH/"), json!("AAH/")),
        ("e", json!("mid"), json!("mid")),
        ("list", json!([1, 2, 3]), json!([1, 2, 3])),
    ];
    for (index, (column, given, kept)) in cases.iter().enumerate() {
        let id = format!("v{index}");
        let made = post(&server, "", "Value", &json!({"id": id, *column: given})).expect(201);
        assert_eq!(&made[column], kept, "{column} of the answer");
        let read = server.get("", &format!("/api/Value/{id}")).ok();
        assert_eq!(&read[column], kept, "{column} read again");
    }
    // Members of json stay as written, order and digits too.
    let written = r#"{"z":1.50,"a":[true,null,{"é":"x"}],"n":12345678901234567890}"#;
    let made = server.request("POST", "/api/Value").body(format!(r#"{{"id":"json","j":{written}}}"#)).send();
    made.expect(201);
    assert!(made.text.contains(written), "{}", made.text);

    for (column, wrong) in [
        ("b", json!(1)),
        ("i", json!(1.5)),
        ("i", json!("1")),
        ("f", json!("x")),
        ("d", json!("1.005")),
        ("d", json!("123456789.00")),
        ("t", json!("nul\u{0}")),
        ("t", json!(5)),
        ("s", json!("sixsix")),
        ("u", json!("no")),
        ("day", json!("2023-02-29")),
        ("clock", json!("25:00:00")),
        ("at", json!("2026-01-31")),
        ("span", json!("P1M")),
        ("raw", json!("?")),
        ("e", json!("middle")),
        ("list", json!(1)),
    ] {
        post(&server, "", "Value", &json!({"id": "bad", column: wrong})).problem_at(
            422,
            "value.invalid",
            &format!("/{column}"),
        );
        // In a constraint too.
        let path = format!("/Value/{column}");
        if column != "list" && column != "t" {
            server.query("", &json!({"Value": {column: wrong}})).problem_at(422, "value.invalid", &path);
        }
    }
    server.get("", "/api/Value/bad").problem(404, "row.not_found");
}

const EXPRESSIONS: &str = r#"
app expressions "Expressions"
table Club {
  id       text(5)
  name     text(20)
  members  Member[] by club
  friends  Member[]
  allow all
}
table Member {
  id      text(5)
  name    text(20)?
  active  bool = true
  age     int?
  weight  float = 1.5
  price   decimal(10, 2) = 1
  level   enum(low, mid, high) = low
  born    date?
  seen    timestamp?
  spent   duration?
  data    json?
  club    Club?
  allow all
}
"#;

#[test]
fn expressions_mean_what_the_page_says() {
    let app = App::of(EXPRESSIONS);
    let server = app.serve();
    let rows = json!({"Club": [
        {"create": true, "id": "c1", "name": "Chess", "members": [
            {"create": true, "id": "a", "name": "Ann", "age": 30, "price": "2.50", "level": "high", "born": "1996-02-29",
             "seen": "2026-01-31T10:00:00Z", "spent": "PT36H", "data": {"address": {"city": "Bonn"}}},
            {"create": true, "id": "b", "name": "bob", "age": null, "active": false, "level": "mid"}]},
        {"create": true, "id": "c2", "name": "Empty"}],
      "Member": {"create": true, "id": "z", "name": null, "age": 7, "weight": 3.0, "price": "0.10"}});
    server.query("", &rows).ok();
    let link = json!({"Club": {"id": "c1", "friends": {"add": [{"id": "z"}, "a"]}}});
    server.query("", &link).ok();

    let members = [
        // literals and comparisons
        ("age == 30", "a"),
        ("age != 30", "z"),
        ("age < 30", "z"),
        ("age <= 30", "az"),
        ("age > 7", "a"),
        ("age >= 7", "az"),
        ("not (age >= 7)", ""),
        ("weight == 1.5", "ab"),
        ("price == 2.5", "a"),
        ("price > 0.1", "ab"),
        ("active", "az"),
        ("active == false", "b"),
        ("true", "abz"),
        ("level == high", "a"),
        ("level < high", "bz"),
        ("level in [low, mid]", "bz"),
        ("born == @1996-02-29", "a"),
        ("seen == @2026-01-31T10:00:00Z", "a"),
        ("seen < now()", "a"),
        ("seen + 30 days > @2026-03-01T00:00:00Z", "a"),
        ("born + 1 days == @1996-03-01", "a"),
        ("spent > 1 days", "a"),
        // null
        ("age == null", "b"),
        ("age != null", "az"),
        ("name == null", "z"),
        ("age == 30 or name == \"bob\"", "ab"),
        ("age > 0 and active", "az"),
        ("age ?? 0 == 0", "b"),
        // text
        ("name ~ \"ANN\"", "a"),
        ("name !~ \"n\"", "b"),
        ("name in [\"Ann\", \"bob\"]", "ab"),
        ("name > \"Z\"", "b"),
        ("like(name, \"A%\")", "a"),
        ("like(name, \"a%\")", ""),
        ("like(name, \"_o_\")", "b"),
        ("starts_with(name, \"A\")", "a"),
        ("ends_with(name, \"b\")", "b"),
        ("lower(name) == \"ann\"", "a"),
        ("upper(name) == \"BOB\"", "b"),
        ("length(name) == 3", "ab"),
        ("trim(concat(\" \", name)) == \"bob\"", "b"),
        ("coalesce(name, \"none\") == \"none\"", "z"),
        // numbers
        ("age / 4 == 7", "a"),
        ("age % 4 == 3", "z"),
        ("age / 0 == null", "abz"),
        ("age * 2 - 10 == 50", "a"),
        ("abs(0 - age) == 7", "z"),
        ("round(weight, 0) == 3.0", "z"),
        ("price * 2 == 5", "a"),
        // dates
        ("year(born) == 1996 and month(born) == 2 and day(born) == 29", "a"),
        ("born < today()", "a"),
        // paths, to-many, conditions, json
        ("club.name == \"Chess\"", "ab"),
        ("club.members.any(name == \"bob\")", "ab"),
        ("club == null", "z"),
        ("if active then age == 7 else true", "bz"),
        ("data.address.city == \"Bonn\"", "a"),
        ("user == null", "abz"),
        ("signed_in", ""),
        ("not signed_in", "abz"),
    ];
    for (filter, expect) in members {
        assert_eq!(found(&server, "Member", filter), expect, "{filter}");
    }
    let clubs = [
        ("members.any(active)", "c1"),
        ("members.any()", "c1"),
        ("members.all(active)", "c2"),
        ("members.none(age > 30)", "c1c2"),
        // `all`: every row *is* true, and bob's unknown is not.
        ("members.all(age > 1)", "c2"),
        ("members.count() == 2", "c1"),
        ("members.count() == 0", "c2"),
        ("members.count(active) == 1", "c1"),
        ("members.sum(age) == 30", "c1"),
        ("members.sum(age) == 0", "c2"),
        ("members.min(age) == 30", "c1"),
        ("members.max(age) == null", "c2"),
        ("members.sum(price) == 3.5", "c1"),
        ("friends.any(id == \"z\")", "c1"),
        ("friends.count() == 2", "c1"),
        ("members.any(this.name == \"Chess\" and level == mid)", "c1"),
    ];
    for (filter, expect) in clubs {
        assert_eq!(found(&server, "Club", filter), expect, "{filter}");
    }

    // Typed and checked: the place, what was expected, the nearest name.
    for (filter, words) in [
        ("nam == \"x\"", "name"),
        ("age == \"x\"", "int"),
        ("level == medium", "mid"),
        ("age +", "end"),
        ("lenght(name) == 1", "length"),
        ("age", "bool"),
        ("price == weight", "decimal"),
        ("name == 'x'", "double quotes"),
    ] {
        let path = format!("/api/Member?where={}", encode(filter));
        let problem = server.get("", &path).expect(400);
        assert!(problem["detail"].as_str().unwrap().contains(words), "{filter}: {problem}");
    }
    let overflow = format!("/api/Member?where={}", encode("age * 9223372036854775807 > 0"));
    server.get("", &overflow).problem(422, "expression.overflow");
}

/// The keys of the rows that a filter finds, in their order.
fn found(server: &Server, table: &str, filter: &str) -> String {
    let answer = server.get("", &format!("/api/{table}?order=id&get=id&where={}", encode(filter)));
    ids(&answer.ok()["items"]).concat()
}

#[test]
fn seeds_run_once_in_name_order() {
    let app = App::of(EXPRESSIONS);
    app.write("seed/02_Member.csv", "id,name,age,club\na,Ann,30,c1\nb,,,\n");
    app.write("seed/01_Club.ndjson", "{\"id\":\"c1\",\"name\":\"Chess\"}\n");
    app.write("seed/03_links.json", r#"{"Club": {"id": "c1", "friends": {"add": "b"}}}"#);
    for _ in 0..2 {
        let server = app.serve();
        assert_eq!(found(&server, "Member", "true"), "ab");
        assert_eq!(found(&server, "Club", "friends.any(name == null) and members.any(age == 30)"), "c1");
    }
}
