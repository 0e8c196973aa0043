//! Which views are alike: a change is judged once for all of them, so what differs must never be taken for the same.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_engine::ctx::{Caller, Claims, Ctx};
use mainstay_engine::part::Operation;
use mainstay_engine::{Engine, document};
use mainstay_lang::value::Value;
use mainstay_testkit::database::{Database, DatabaseKind, schema_of};
use mainstay_testkit::rows::key;
use serde_json::{Value as Json, json};

use super::{Likeness, View};
use crate::plans::Plans;
use crate::request::Request;
use crate::who::{Standing, Who};
use crate::work::now;

const APP: &str = r#"
table Team { name text allow all }
extend User { team Team? allow read }
table Task {
  team  Team?
  owner User?
  note  text?
  n     int
  cost  int?
  allow read
  allow read(cost) if team == user.team or user.can("cost")
}
table Own { n int  owner User?  allow read if owner == user }
"#;

fn request(table: &str, of: &Json) -> Request {
    Request::read(&json!({table: of}).to_string()).unwrap()
}

async fn run(engine: &Engine, document: Json) {
    let documents = document::parse(document.to_string().as_bytes()).unwrap();
    let ctx = Who::default().ctx(Arc::new(Caller::administrator()));
    let ctx = Ctx { now: now(), deadline: Instant::now() + Duration::from_secs(30), ..ctx };
    engine.execute(&ctx, &Operation { documents, ..Operation::default() }).await.unwrap();
}

/// Callers that differ from `a` in one thing each: a user, a mate of another name, another team, a permission, a role, a session,
/// a tenant, nobody, an administrator.
async fn callers(engine: &Engine) -> BTreeMap<char, Arc<Standing>> {
    let [red, blue] = [key(1), key(2)].map(|key| key.to_string());
    let team = |id: &str| json!({"create": true, "id": id, "name": id});
    run(engine, json!({"Team": [team(&red), team(&blue)]})).await;
    let user = |number: usize, team: &str| {
        json!({"create": true, "id": key(number).to_string(), "name": "u",
            "email": format!("u{number}@example.org"), "team": team})
    };
    run(engine, json!({"User": [user(11, &red), user(12, &red), user(13, &blue), user(14, &red)]})).await;
    run(engine, json!({"Grant": {"create": true, "user": key(14).to_string(), "permission": "cost"}})).await;
    let planning = engine.planning().await.unwrap();
    let of = async |number: usize| {
        engine.caller_now(&planning, &Claims::user(key(number))).await.unwrap().unwrap()
    };
    let who = |number: usize| Who { user: Some(key(number)), ..Who::default() };
    let standing = |who: Who, caller: Arc<Caller>| who.standing(planning.clone(), caller);
    let chief = {
        let mut caller = Caller::clone(&*of(11).await);
        Arc::make_mut(&mut caller.roles).insert("chief".to_owned());
        Arc::new(caller)
    };
    let some = Some(Value::Text("s".to_owned()));
    BTreeMap::from([
        ('a', standing(who(11), of(11).await)),
        ('b', standing(who(12), of(12).await)),
        ('c', standing(who(13), of(13).await)),
        ('d', standing(who(14), of(14).await)),
        ('e', standing(who(11), chief)),
        ('f', standing(Who { session: some.clone(), ..who(11) }, of(11).await)),
        ('g', standing(Who { tenant: Some(key(1)), ..who(11) }, of(11).await)),
        ('h', standing(Who::default(), Arc::new(Caller::anonymous()))),
        ('i', standing(Who { admin: true, ..Who::default() }, Arc::new(Caller::administrator()))),
    ])
}

#[tokio::test]
async fn views_are_alike_where_neither_caller_nor_request_makes_a_difference() {
    let database = Database::open(DatabaseKind::Sqlite, schema_of(APP).unwrap()).await.unwrap();
    let engine = &database.engine;
    let plans = Plans::default();
    let callers = callers(engine).await;
    let check = |table: &str, part: Json, expect: &str| {
        let mut groups: BTreeMap<Likeness, String> = BTreeMap::new();
        for (name, standing) in &callers {
            let view = View::new(engine, &plans, standing, &request(table, &part)).unwrap();
            assert!(view.local().is_some(), "{part}");
            groups.entry(view.likeness).or_default().push(*name);
        }
        let mut groups: Vec<String> = groups.into_values().collect();
        groups.sort();
        assert_eq!(groups.join(" "), expect, "{table} {part}");
    };
    let filter = |text: &str| json!({"where": text, "get": ["n"]});
    check("Task", json!({"n": 1, "get": ["n"]}), "abcdefghi");
    check("Task", filter("n > 1"), "abcdefghi");
    check("Task", filter("owner == user"), "aefg b c d hi");
    check("Task", filter("team == user.team"), "abdefg c hi");
    check("Task", filter("note == user.name"), "abcdefg hi");
    check("Task", filter("note == user.email"), "aefg b c d hi");
    check("Task", filter("n > 1 or user.can(\"cost\")"), "abcefghi d");
    check("Task", filter("n > 1 or user.has_role(\"chief\")"), "abcdfghi e");
    check("Task", filter("n > 1 or signed_in"), "abcdefg hi");
    check("Task", filter("n > 1 and (team == user.team or owner == user)"), "aefg b c d hi");
    // The rule of the table, and that of a column, which an administrator does not meet.
    check("Own", json!({"get": ["n"]}), "aefg b c d h i");
    check("Task", json!({"get": ["cost"]}), "abefg c di h");
    // A filter on a column sees it as little as its reader does.
    check("Task", json!({"cost": 5, "get": ["n"]}), "abefg c di h");
}

#[tokio::test]
async fn requests_that_differ_are_not_alike_but_may_share_a_plan() {
    let database = Database::open(DatabaseKind::Sqlite, schema_of(APP).unwrap()).await.unwrap();
    let engine = &database.engine;
    let plans = Plans::default();
    let callers = callers(engine).await;
    let view =
        |name: char, part: Json| View::new(engine, &plans, &callers[&name], &request("Task", &part)).unwrap();
    let check = |one: View, other: View, is_alike: bool, is_shared: bool| {
        assert_eq!(one.likeness == other.likeness, is_alike);
        assert_eq!(Arc::ptr_eq(&one.plan, &other.plan), is_shared);
    };
    let [one, two] = [1, 2].map(|n| json!({"n": n, "get": ["n"]}));
    check(view('a', one.clone()), view('a', one.clone()), true, true);
    check(view('a', one.clone()), view('a', two), false, true);
    let given = |n: i64| json!({"where": "n == $n", "params": {"n": n}, "get": ["n"]});
    check(view('a', given(1)), view('a', given(1)), true, true);
    check(view('a', given(1)), view('a', given(2)), false, true);
    // The same column under another name of the request, and more of them.
    check(view('a', one.clone()), view('a', json!({"n": 1, "get": ["n", "note"]})), false, false);
    let of_team = || json!({"where": "team == user.team", "get": ["n"]});
    check(view('a', of_team()), view('b', of_team()), true, true);
    check(view('a', of_team()), view('c', of_team()), false, true);
    let cost = || json!({"get": ["cost"]});
    check(view('a', cost()), view('d', cost()), false, false);
}
