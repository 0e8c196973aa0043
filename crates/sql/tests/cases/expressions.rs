//! Every kind of expression, asked of rows.

use std::sync::Arc;

use mainstay_lang::expr::{CallerFact, Expr, Node};
use mainstay_lang::value::{Timestamp, Value};

use crate::harness::{Db, Run};

const APP: &str = r#"
table Team { name text(100) unique, role enum(bar, security, log) = bar, members Person[] by team, friends Team[], befriended Team[] by friends, allow read }
table Person {
  name text
  team Team?
  age int?
  score float?
  balance decimal(10, 2) = 0
  rate decimal(8, 4)?
  active bool = true
  born date?
  seen timestamp?
  at time?
  span duration?
  tags text[] = []
  amounts decimal(5, 2)[] = []
  data json?
  raw bytes?
  key uuid?
  level enum(low, high, top) = low
  allow read
}
"#;

fn people() -> Db {
    let db = Db::new(APP);
    let bar = db.insert("Team", &[("name", r#""Bar""#)]);
    let log = db.insert("Team", &[("name", r#""Log""#), ("role", r#""log""#)]);
    db.link("Team", "friends", &bar, &log);
    let team = format!("\"{bar}\"");
    db.insert(
        "Person",
        &[
            ("name", r#""Ann O'Neil""#),
            ("team", &team),
            ("age", "40"),
            ("score", "1.5"),
            ("balance", r#""10.05""#),
            ("rate", r#""0.3333""#),
            ("born", r#""1984-02-29""#),
            ("seen", r#""2026-01-31T10:00:00.000000Z""#),
            ("at", r#""09:30:00.000000""#),
            ("span", r#""PT1H""#),
            ("tags", r#"["a","b\"c"]"#),
            ("amounts", r#"["1.50"]"#),
            ("data", r#"{"a":{"b":"x"},"n":1.50,"t":true}"#),
            ("raw", r#""AQL/""#),
            ("level", r#""top""#),
        ],
    );
    db.insert("Person", &[("name", r#""Bob""#), ("team", &team), ("age", "7"), ("active", "false")]);
    db.insert("Person", &[("name", r#""Cid""#)]);
    db
}

/// The names of the people for whom a condition is true.
fn who(db: &Db, condition: Expr, run: &Run) -> String {
    let mut select = db.select("Person", &["name"]);
    select.filter = vec![condition];
    select.order = vec![db.order("Person", "name")];
    let statement = mainstay_sql::select(&db.schema, db.dialect, &select);
    let first = |text: &String| text.chars().nth(9).unwrap();
    db.json(&statement, run).0.iter().map(first).collect()
}

#[test]
fn conditions_pass_the_rows_for_which_they_are_true() {
    let db = people();
    let run = Run {
        now: Some(Value::Timestamp(Timestamp::parse("2026-02-01T00:00:00.000000Z").unwrap())),
        ..Run::default()
    };
    let check = |condition: &str, expect: &str| {
        assert_eq!(who(&db, db.filter("Person", condition), &run), expect, "{condition}");
    };
    check("age > 7", "A");
    check("not (age > 7)", "B");
    check("age == null", "C");
    check("age != null and active", "A");
    check("age > 10 or name == \"Cid\"", "AC");
    check("age in [7, 40]", "AB");
    check("not (age in [7, null])", "");
    check("name ~ \"O'n\"", "A");
    check("name !~ \"b\"", "AC");
    check("like(name, \"_o%\")", "B");
    check("starts_with(name, \"C\") or ends_with(name, \"l\")", "AC");
    check("length(name) == 3", "BC");
    check("lower(name) == \"bob\"", "B");
    check("trim(concat(\" \", name)) == name", "ABC");
    check("concat(name, null) == null", "ABC");
    check("age + 1 == 41", "A");
    check("age / 2 == 3", "B");
    check("age % 0 == null", "ABC");
    check("-age < 0", "AB");
    check("abs(-age) == age", "AB");
    check("score * 2.0 == 3.0", "A");
    check("balance == 10.05", "A");
    check("balance + 0.95 == 11", "A");
    check("balance * rate > 3.34 and balance * rate < 3.35", "A");
    check("balance / 3 == 3.35", "A");
    check("round(rate, 2) == 0.33", "A");
    check("balance > 10", "A");
    check("(score ?? 0.0) == 0.0", "BC");
    check("coalesce(age, 0) < 10", "BC");
    check("(if age > 10 then \"old\" else \"young\") == \"young\"", "BC");
    check("level == top", "A");
    check("level < top", "BC");
    check("level >= high", "A");
    check("year(born) == 1984 and month(born) == 2 and day(born) == 29", "A");
    check("born + 1 days == @1984-03-01", "A");
    check("seen < now()", "A");
    check("now() - seen == 14 hours", "A");
    check("seen + span == @2026-01-31T11:00:00Z", "A");
    check("span * 24 == 1 days", "A");
    check("\"a\" in tags", "A");
    check("\"b\\\"c\" in tags", "A");
    check("\"b\" in tags", "");
    check("1.5 in amounts", "A");
    check("length(tags) == 2", "A");
    check("length(raw) == 3", "A");
    check("data.a.b == \"x\"", "A");
    check("data.n == \"1.50\"", "A");
    check("data.a == null", "ABC");
    check("data.t == \"true\"", "A");
}

#[test]
fn paths_and_relations_are_followed() {
    let db = people();
    let check = |condition: &str, expect: &str| {
        assert_eq!(who(&db, db.filter("Person", condition), &Run::default()), expect, "{condition}");
    };
    check("team.name == \"Bar\"", "AB");
    check("team.name != \"Bar\"", "");
    check("team == null", "C");
    check("team.name == null", "C");
    check("team.role == bar and team.name ~ \"A\"", "AB");
    check("team.members.any(age > 10)", "AB");
    check("team.members.all(age > 0)", "ABC");
    check("team.members.all(age > 10)", "C");
    check("team.members.none(age > 40)", "ABC");
    check("team.members.any(this.age > age)", "A");
    check("team.members.count() == 2", "AB");
    check("team.members.count(age > 10) == 1", "AB");
    check("team.members.sum(age) == 47", "AB");
    check("team.members.sum(age) == 0", "C");
    check("team.members.min(age) == 7 and team.members.max(age) == 40", "AB");
    check("team.members.sum(balance) == 10.05", "AB");
    check("team.friends.any(name == \"Log\")", "AB");
    check("team.friends.any(befriended.any(name == \"Bar\"))", "AB");
    check("team.befriended.count() == 0", "ABC");
    // Of no team, the name is unknown, and so is whether it is among one name.
    check("not (name in [team.name])", "AB");
    // An aggregate over values of the enclosing row alone is still one over the relation's rows.
    check("team.members.sum(this.age) == 80", "A");
    check("team.members.max(this.age) == 40", "A");
}

/// A condition turned around to start from an index passes the same rows as the one that is asked of each row.
#[test]
fn turned_conditions_pass_the_same_rows() {
    let db = people();
    let check = |condition: &str, expect: &str, is_turned: bool| {
        let filter = db.filter("Person", condition);
        assert_eq!(who(&db, filter.clone(), &Run::default()), expect, "{condition}");
        let sql = mainstay_sql::count(&db.schema, db.dialect, db.table("Person"), &[filter]).sql;
        let found = sql.contains(" IN (SELECT ") || sql.contains(" = ANY (ARRAY(SELECT ");
        assert_eq!(found, is_turned, "{condition}: {sql}");
    };
    check("team.name == \"Bar\"", "AB", true);
    check("team.name == \"Bar\" or age == null", "ABC", true);
    check("team.name in [\"Log\", \"Bar\"]", "AB", true);
    check("team.friends.any(name == \"Log\")", "AB", true);
    check("team.members.any(team.name == \"Bar\")", "AB", false);
    // Unknown is not true: these must be asked as they are.
    check("not (team.name == \"Log\")", "AB", false);
    check("(team.name == \"Log\") == false", "AB", false);
    // Not indexed.
    check("team.role == bar", "AB", false);
    // Found by key anyway.
    check(
        "id == @none and team.name == \"Bar\""
            .replace("@none", "\"01900000-0000-7000-8000-000000000003\"")
            .as_str(),
        "A",
        false,
    );
}

#[test]
fn the_caller_is_bound_and_never_read() {
    let db = Db::new(
        r#"
table Team { name text, lead Team?, members User[] by team, allow read }
extend User { team Team? }
table Note { text text, team Team?, allow read if team == user.team.lead or user.can("a/b") or team.members.any(id == user.id) }
"#,
    );
    let table = db.schema.table_named("Note").unwrap();
    let rule = table.rules[0].condition.as_deref().unwrap().clone();
    let statement = mainstay_sql::test(&db.schema, db.dialect, table.id, &[rule]);
    assert!(!statement.sql.contains("\"User\" t2 WHERE t2.\"id\" = ?"), "{}", statement.sql);
    let lead = db.insert("Team", &[("name", "\"Lead\"")]);
    let note = db.insert("Note", &[("text", "\"x\""), ("team", &format!("\"{lead}\""))]);
    let key = |text: &str| Value::from_json(&format!("\"{text}\""), db.schema.key_type(table.id)).unwrap();
    let team = db.column("User", "team");
    let lead_column = db.column("Team", "lead");
    let mut run = Run::params(&[key(&note)]);
    let can = CallerFact::Can("a/b".to_owned());
    run.caller = vec![(can.clone(), Value::Bool(false))];
    assert_eq!(db.values(&statement, &run), [[Value::Null]], "an anonymous caller's row is all null");
    run.user.insert((vec![team], lead_column), key(&lead));
    assert_eq!(db.values(&statement, &run), [[Value::Bool(true)]]);
    run.user.clear();
    run.caller = vec![(can, Value::Bool(true))];
    assert_eq!(db.values(&statement, &run), [[Value::Bool(true)]]);
}

#[test]
fn a_test_answers_each_condition_or_nothing() {
    let db = people();
    let conditions =
        [db.filter("Person", "age > 10"), db.filter("Person", "score > 1.0"), db.filter("Person", "active")];
    let statement = mainstay_sql::test(&db.schema, db.dialect, db.table("Person"), &conditions);
    let key = |number| {
        Value::from_json(&format!("\"{}\"", crate::harness::uuid(number)), &mainstay_lang::types::Type::Uuid)
            .unwrap()
    };
    let answer = db.values(&statement, &Run::params(&[key(4)]));
    assert_eq!(answer, [[Value::Bool(false), Value::Null, Value::Bool(false)]]);
    assert!(db.values(&statement, &Run::params(&[key(99)])).is_empty());
}

#[test]
fn old_and_new_rows_are_bound() {
    let db = Db::new(
        "table Team { name text, allow read }\ntable Note { n int, team Team?, allow read, allow update if new.n > old.n and old.team.name == \"A\" }",
    );
    let table = db.schema.table_named("Note").unwrap();
    let rule = table.rules[1].condition.as_deref().unwrap().clone();
    let statement = mainstay_sql::test(&db.schema, db.dialect, table.id, &[rule]);
    let team = db.insert("Team", &[("name", "\"A\"")]);
    let note = db.insert("Note", &[("n", "5")]);
    let key = |text: &str| Value::from_json(&format!("\"{text}\""), db.schema.key_type(table.id)).unwrap();
    let mut run = Run::params(&[key(&note)]);
    let (n, team_column) = (db.column("Note", "n"), db.column("Note", "team"));
    run.old.extend([(n, Value::Int(1)), (team_column, key(&team))]);
    run.new.insert(n, Value::Int(2));
    assert_eq!(db.values(&statement, &run), [[Value::Bool(true)]]);
    run.old.insert(team_column, Value::Null);
    assert_eq!(db.values(&statement, &run), [[Value::Null]]);
}

#[test]
fn overflow_is_an_error_and_not_a_float() {
    let db = people();
    let filter = db.filter("Person", "age + 9223372036854775807 > 0");
    let statement = mainstay_sql::count(&db.schema, db.dialect, db.table("Person"), &[filter]);
    let error = db.try_values(&statement, &Run::default()).unwrap_err();
    assert!(error.contains(mainstay_lang::ops::OVERFLOW), "{error}");
}

#[test]
fn a_long_chain_stays_within_the_depth_that_the_database_takes() {
    let db = people();
    let one = db.filter("Person", "age == 7 or age == 40");
    let Node::Or(items) = &one.node else { panic!("an or") };
    let node = Node::Or(items.iter().cycle().take(5000).cloned().collect());
    assert_eq!(who(&db, Expr { node, ..one }, &Run::default()), "AB");
}

#[test]
fn images_hold_every_column_as_it_was_written() {
    let db = people();
    let images = mainstay_sql::plan::Images {
        table: db.table("Person"),
        filter: vec![db.filter("Person", "age == 40")],
        limit: None,
        lock: Some(mainstay_sql::dialect::Lock::Write),
    };
    let rows = db.values(&mainstay_sql::images(&db.schema, db.dialect, &images), &Run::default());
    let wire: Vec<String> = rows[0].iter().skip(3).map(Value::to_json).collect();
    let expect = format!(
        r#""Ann O'Neil" "{}" 40 1.5 "10.05" "0.3333" true "1984-02-29" "2026-01-31T10:00:00.000000Z" "09:30:00.000000" "PT1H" ["a","b\"c"] ["1.50"] {{"a":{{"b":"x"}},"n":1.50,"t":true}} "AQL/" null "top""#,
        crate::harness::uuid(1)
    );
    assert_eq!(wire.join(" "), expect);
}

#[test]
fn writes_name_rows_by_key() {
    let db = people();
    let person = db.table("Person");
    let key =
        Value::from_json(&format!("\"{}\"", crate::harness::uuid(3)), &mainstay_lang::types::Type::Uuid)
            .unwrap();
    let columns = [db.column("Person", "name"), db.column("Person", "age")];
    let update = mainstay_sql::update(&db.schema, db.dialect, person, &columns);
    let run = Run::params(&[key.clone(), Value::Text("Zoe".to_owned()), Value::Null]);
    assert_eq!(db.write(&update, &run), 1);
    assert_eq!(who(&db, db.filter("Person", "age == null"), &Run::default()), "CZ");
    let delete = mainstay_sql::delete(&db.schema, db.dialect, person);
    assert_eq!(db.write(&delete, &Run::params(&[key])), 1);
    assert_eq!(who(&db, db.filter("Person", "true"), &Run::default()), "BC");
}

/// What a caller may not see is absent from the paths of the caller's filter, turned around or not.
#[test]
fn invisible_rows_are_absent_from_paths_and_relations() {
    let db = people();
    let visible = |table: &str, text: &str| Some(Arc::new(db.filter(table, text)));
    let check = |condition: &str, teams: &str, persons: &str, expect: &str| {
        let mut filter = db.filter("Person", condition);
        plant(&mut filter, &visible("Team", teams), &visible("Person", persons));
        assert_eq!(who(&db, filter, &Run::default()), expect, "{condition}, {teams}, {persons}");
    };
    check("team.name == \"Bar\"", "true", "true", "AB");
    check("team.name == \"Bar\"", "name == \"Log\"", "true", "");
    check("team.name == \"Bar\" or false", "null == name", "true", "");
    check("team.name == null", "name == \"Log\"", "true", "ABC");
    check("team.id == null", "name == \"Log\"", "true", "ABC");
    check("team.id != null", "name == \"Bar\"", "true", "AB");
    check("team.members.any(age > 10)", "true", "age < 10", "");
    check("team.members.all(age < 10)", "true", "age < 10", "ABC");
    check("team.members.none(age > 10)", "true", "age < 10", "ABC");
    check("team.members.count() == 1", "true", "age < 10", "AB");
    check("team.members.sum(age) == 7", "true", "age < 10", "AB");
    check("team.members.sum(age) == 0", "name == \"Log\"", "true", "ABC");
    check("team.friends.any(name == \"Log\")", "true", "true", "AB");
    check("team.friends.any(name == \"Log\")", "name != \"Log\"", "true", "");
}

/// Makes every hop and relation of an expression see only what passes.
fn plant(expr: &mut Expr, teams: &Option<Arc<Expr>>, persons: &Option<Arc<Expr>>) {
    let hops = |row: &mut mainstay_lang::expr::RowPath| {
        for hop in &mut row.hops {
            hop.visible = teams.clone();
        }
    };
    match &mut expr.node {
        Node::Column { row, .. } => hops(row),
        Node::Compare { left, right, .. } => {
            [left, right].into_iter().for_each(|side| plant(side, teams, persons))
        }
        Node::Or(items) | Node::And(items) => items.iter_mut().for_each(|item| plant(item, teams, persons)),
        Node::IsNull { value, .. } => plant(value, teams, persons),
        Node::Many(many) => {
            hops(&mut many.row);
            many.visible = if many.target == many.table { teams.clone() } else { persons.clone() };
        }
        _ => {}
    }
}
