//! REST says the same as the query language: random requests are asked both ways, of two databases with the same rows.
//!
//! What the query language must answer is the oracle's business. Here both go through the server's own routes, and the
//! rows, refusals and states must be the same; only statuses and the frame around the rows are REST's own.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed, and says where")]

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, header};
use mainstay_http::{Options, Subject, TokenSecret, issue_token, service};
use mainstay_lang::expr::Node;
use mainstay_lang::schema::{Member, Schema, Table};
use mainstay_lang::value::Value;
use mainstay_testkit::cases::{cases, first_seed};
use mainstay_testkit::database::{Database, DatabaseKind};
use mainstay_testkit::dice::Dice;
use mainstay_testkit::naive::World;
use mainstay_testkit::oracle::generate;
use mainstay_testkit::oracle::request::Requests;
use mainstay_testkit::rows;
use serde_json::{Map, Value as Json, json};
use tower::ServiceExt;

/// Requests on one pair of databases.
const REQUESTS: usize = 30;
const TOKEN_TTL: std::time::Duration = std::time::Duration::from_secs(3600);

/// A request of REST.
struct Rest {
    method: Method,
    path: String,
    body: Option<Json>,
}

/// One of the two databases with the routes to it.
struct Side {
    database: Database,
    routes: Router,
    secret: TokenSecret,
}

/// What came back, in the query language's form.
#[derive(Debug, PartialEq)]
enum Said {
    Rows(Json),
    Done,
    Refused(String),
}

impl Side {
    async fn open(on: DatabaseKind, schema: &Arc<Schema>, world: &World) -> Side {
        let database = Database::open(on, schema.clone()).await.unwrap();
        database.fill(world).await.unwrap();
        let secret = TokenSecret::new([7; TokenSecret::BYTES_MIN]).unwrap();
        let routes = service(Options::new(secret.clone()), database.engine.clone());
        Side { database, routes, secret }
    }

    async fn ask(&self, caller: Option<&Subject>, rest: &Rest) -> (u16, Json) {
        let mut request =
            Request::builder().method(&rest.method).uri(&rest.path).header(header::HOST, "localhost");
        if let Some(caller) = caller {
            let token = issue_token(&self.secret, &self.database.engine.schema().app, caller, TOKEN_TTL);
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let body = match &rest.body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        let answer = self.routes.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let status = answer.status().as_u16();
        let bytes = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or(Json::Null))
    }

    /// The rows without the times that the server gives.
    async fn state(&self) -> World {
        let mut world = self.database.world().await.unwrap();
        let schema = self.database.engine.schema();
        for table in &schema.tables {
            let is_given = |at: usize| {
                let column = &table.columns[at];
                let is_clock = column.default.as_ref().is_some_and(|d| matches!(d.node, Node::Clock(_)));
                is_clock || column.stamp.is_some()
            };
            for row in &mut world.tables[table.id.0 as usize] {
                (0..row.len()).filter(|at| is_given(*at)).for_each(|at| row[at] = Value::Null);
            }
        }
        world
    }
}

fn key_of(problem: &Json) -> Said {
    Said::Refused(problem["key"].as_str().unwrap_or("no key").to_owned())
}

/// What an answer of `POST /query` says.
fn query_said((status, answer): (u16, Json), table: &str, is_read: bool, meets_row: bool) -> Said {
    if status != 200 {
        return key_of(&answer);
    }
    if !is_read {
        let is_empty = answer[table].as_array().is_none_or(Vec::is_empty);
        return if meets_row && is_empty { Said::Refused("row.not_found".into()) } else { Said::Done };
    }
    let beside = &answer[format!("{table}@")];
    let mut list = json!({"items": answer[table], "next": beside["next"]});
    if !beside["count"].is_null() {
        list["count"] = beside["count"].clone();
    }
    Said::Rows(list)
}

fn rest_said((status, answer): (u16, Json), is_read: bool) -> Said {
    match status {
        200..300 if is_read => Said::Rows(answer),
        200..300 => Said::Done,
        _ => key_of(&answer),
    }
}

fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// A list, both ways: what the query language says in keywords REST says in parameters.
fn read(table: &Table, part: &Map<String, Json>, dice: &mut Dice) -> (Rest, Json) {
    let (mut asked, mut parameters) = (Map::new(), Vec::new());
    let texts = |json: &Json| -> Vec<String> {
        json.as_array().into_iter().flatten().map(|item| item.as_str().unwrap().to_owned()).collect()
    };
    for (name, json) in part {
        let text = match name.as_str() {
            "where" => json.as_str().unwrap().to_owned(),
            "limit" | "offset" | "count" => json.to_string(),
            "get" | "order" | "group" => texts(json).join(","),
            "aggregate" => {
                let pairs = json.as_object().unwrap().iter();
                pairs
                    .map(|(name, of)| format!("{name}:{}", of.as_str().unwrap()))
                    .collect::<Vec<_>>()
                    .join(",")
            }
            _ => continue,
        };
        asked.insert(name.clone(), json.clone());
        if name != "order" || !text.is_empty() {
            parameters.push((name.clone(), text));
        }
    }
    if !part.contains_key("aggregate") {
        if !part.contains_key("get") {
            asked.insert("get".into(), json!(["*"]));
        } else if let Some(relation) = table.relations.first().filter(|_| dice.one_in(2)) {
            let got = asked["get"].as_array_mut().unwrap();
            got.retain(|name| *name != json!(relation.name));
            let get = parameters.iter_mut().find(|(name, _)| name == "get").unwrap();
            get.1 = texts(&asked["get"]).join(",");
            let separator = if get.1.is_empty() { "" } else { "," };
            get.1.push_str(&format!("{separator}{}(id,created)", relation.name));
            asked.insert(relation.name.clone(), json!({"get": ["id", "created"]}));
        }
    }
    let parameters: Vec<String> =
        parameters.iter().map(|(name, text)| format!("{name}={}", encode(text))).collect();
    let path = format!("/api/{}?{}", table.name, parameters.join("&"));
    (Rest { method: Method::GET, path, body: None }, Json::Object(asked))
}

/// A write, as REST has it; `None`: it has not.
fn write(table: &Table, part: &Json) -> Option<Rest> {
    let path = |rest: &str| format!("/api/{}{rest}", table.name);
    if let Some(rows) = part.as_array() {
        let rows = rows.iter().map(|row| write(table, row)?.body).collect::<Option<Vec<Json>>>()?;
        return Some(Rest { method: Method::POST, path: path(""), body: Some(rows.into()) });
    }
    let mut part = part.as_object()?.clone();
    part.shift_remove("get");
    if part.shift_remove("create").is_some() {
        return Some(Rest { method: Method::POST, path: path(""), body: Some(part.into()) });
    }
    let id = part.shift_remove("id")?.as_str()?.to_owned();
    let (name, json) = part.iter().next().filter(|_| part.len() == 1)?;
    match name.as_str() {
        "set" => {
            Some(Rest { method: Method::PATCH, path: path(&format!("/{id}")), body: Some(json.clone()) })
        }
        "delete" => Some(Rest { method: Method::DELETE, path: path(&format!("/{id}")), body: None }),
        relation if matches!(table.members.get(relation), Some(Member::Relation(_))) => {
            let (word, target) = json.as_object()?.iter().next()?;
            let target = target.as_object().filter(|target| target.len() == 1)?.get("id")?.as_str()?;
            let method = if word == "add" { Method::PUT } else { Method::DELETE };
            Some(Rest { method, path: path(&format!("/{id}/{relation}/{target}")), body: None })
        }
        _ => None,
    }
}

#[tokio::test]
async fn rest_answers_as_the_query_language_does() {
    for on in DatabaseKind::ALL {
        let count = cases(on.share(1_000).max(400));
        let (mut done, mut said) = (0, BTreeMap::<String, usize>::new());
        let mut seed = first_seed();
        while done < count {
            done += one_app(*on, seed, &mut said).await;
            seed += 1;
        }
        assert!(said["GET 200"] * 3 > done, "{said:?}");
        // Links are rarely allowed: that they are made at all takes more cases than a usual run has.
        for method in ["POST", "PATCH", "DELETE"] {
            assert!(said.get(&format!("{method} 200")).is_some_and(|times| *times > 0), "{said:?}");
        }
    }
}

async fn one_app(on: DatabaseKind, seed: u64, counted: &mut BTreeMap<String, usize>) -> usize {
    let mut dice = Dice::new(seed);
    let (app, schema) = generate::app(&mut dice, false);
    let users = 1 + dice.below(3);
    let world = rows::world(&schema, &mut dice, users, 6, false);
    let [by_rest, by_query] = [Side::open(on, &schema, &world).await, Side::open(on, &schema, &world).await];
    let mut done = 0;
    // Rows that were written bear the time at which they were, which is another one on each side.
    let is_read = dice.one_in(2);
    for _ in 0..REQUESTS {
        let mut requests = Requests { schema: &schema, world: &world, dice: &mut dice, extremes: false };
        let document = if is_read { requests.read() } else { requests.write() }.json();
        let (name, part) = document.as_object().unwrap().iter().next().unwrap();
        let table = schema.table_named(name).unwrap();
        let (rest, part) = match is_read {
            true => read(table, part.as_object().unwrap(), &mut dice),
            false => match write(table, part) {
                Some(rest) => (rest, part.clone()),
                None => continue,
            },
        };
        let caller = match dice.below(6) {
            0 => None,
            1 => Some(Subject::Admin),
            _ => Some(Subject::User(mainstay_testkit::author::key_text(1 + dice.below(users)))),
        };
        let query = Rest { method: Method::POST, path: "/query".into(), body: Some(json!({ name: part })) };
        let meets_row = part.get("id").is_some() && part.get("create").is_none();
        let found = by_rest.ask(caller.as_ref(), &rest).await;
        *counted.entry(format!("{} {}", rest.method, found.0 / 100 * 100)).or_default() += 1;
        let found = rest_said(found, is_read);
        let expected = query_said(by_query.ask(caller.as_ref(), &query).await, name, is_read, meets_row);
        let words = format!(
            "seed {seed}: {} {}\n{:?}\nas {caller:?}\n{}",
            rest.method,
            rest.path,
            rest.body,
            app.text().0
        );
        assert_eq!(found, expected, "{words}");
        if !is_read {
            assert_eq!(by_rest.state().await, by_query.state().await, "{words}");
        }
        done += 1;
    }
    done
}
