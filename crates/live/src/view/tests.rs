//! Which views are alike: a change is judged once for all of them, so what differs must never be taken for the same.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_engine::ctx::{Caller, Ctx};
use mainstay_engine::part::Operation;
use mainstay_engine::{Engine, document};
use mainstay_lang::value::Value;
use mainstay_testkit::database::{Database, DatabaseKind, schema_of};
use mainstay_testkit::rows::key;
use serde_json::{Value as Json, json};

use super::{Plans, Request, View};
use crate::Who;
use crate::work::now;

const APP: &str = "
table Team { name text allow all }
extend User { team Team? }
table Task {
  team Team
  n    int
  cost int?
  allow read if team == user.team
  allow read(cost) if user.can(\"cost\")
}
";

fn part(of: Json) -> Request {
    let mut documents = document::parse(json!({"Task": of}).to_string().as_bytes()).unwrap();
    let part = documents.remove(0).entries.remove(0).parts.remove(0);
    Request { table: "Task".to_owned(), part }
}

async fn run(engine: &Engine, document: Json) {
    let documents = document::parse(document.to_string().as_bytes()).unwrap();
    let ctx = Who::default().ctx(Arc::new(Caller::administrator()));
    let ctx = Ctx { now: now(), deadline: Instant::now() + Duration::from_secs(30), ..ctx };
    engine.execute(&ctx, &Operation { documents, ..Operation::default() }).await.unwrap();
}

#[tokio::test]
async fn views_are_alike_where_neither_caller_nor_request_makes_a_difference() {
    let database = Database::open(DatabaseKind::Sqlite, schema_of(APP).unwrap()).await.unwrap();
    let engine = &database.engine;
    let [red, blue] = [key(1), key(2)].map(|key| key.to_string());
    let user = |number: usize, team: &str| {
        json!({"create": true, "id": key(number).to_string(), "name": "u",
            "email": format!("u{number}@example.org"), "team": team})
    };
    run(engine, json!({"Team": [{"create": true, "id": red, "name": "r"}, {"create": true, "id": blue, "name": "b"}]})).await;
    run(engine, json!({"User": [user(11, &red), user(12, &red), user(13, &blue), user(14, &red)]})).await;
    run(engine, json!({"Grant": {"create": true, "user": key(14).to_string(), "permission": "cost"}})).await;
    let plans = Plans::default();
    let view = async |user: Value, of: Json| {
        let caller = engine.caller_now(&user).await.unwrap().unwrap();
        View::new(engine, &plans, Who { user: Some(user), ..Who::default() }.ctx(caller), &part(of)).unwrap()
    };
    let all = json!({"get": ["n"]});
    let one = view(key(11), all.clone()).await;
    let mate = view(key(12), all.clone()).await;
    assert_eq!(one.likeness, mate.likeness, "the team alone decides");
    let other = view(key(13), all.clone()).await;
    assert_ne!(one.likeness, other.likeness, "another team");
    let few = view(key(11), json!({"n": 1, "get": ["n"]})).await;
    let others = view(key(11), json!({"n": 2, "get": ["n"]})).await;
    assert_ne!(few.likeness, others.likeness, "another value");
    assert_ne!(one.likeness, view(key(11), json!({"get": ["team"]})).await.likeness, "other columns");
    let cost = json!({"get": ["cost"]});
    let [poor, rich] = [view(key(11), cost.clone()).await, view(key(14), cost).await];
    assert_ne!(poor.likeness, rich.likeness, "a permission");
    // What differs in values alone has one plan in memory.
    let shared = |a: &View, b: &View| Arc::ptr_eq(a.local.as_ref().unwrap(), b.local.as_ref().unwrap());
    assert!(shared(&one, &other) && shared(&few, &others) && !shared(&one, &few) && !shared(&poor, &rich));
}
