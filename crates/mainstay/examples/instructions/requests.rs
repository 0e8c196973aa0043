//! The kinds of requests that are counted, one row each.
//!
//! Each request is made before counting begins, and each answer has to say that it was done: what is counted is never a refusal. Requests
//! of a kind differ in their values alone, so that all of them but those of `nested_new` meet a plan that was made before.

use mainstay::axum::body::Body;
use mainstay::axum::http::{Method, Request};
use mainstay::serde_json::{Value, json};

use crate::client::Client;

/// Requests of one kind.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// How many are asked before it is counted.
    pub(crate) warm: usize,
    /// How many are counted.
    pub(crate) count: usize,
    /// The request at a place.
    pub(crate) request: fn(&Client, usize) -> Request<Body>,
    pub(crate) answer: Answer,
}

/// When a request is over.
#[derive(Clone, Copy)]
pub(crate) enum Answer {
    /// It was answered.
    Whole,
    /// Whoever listens for it was told as well.
    Told,
}

macro_rules! kinds {
    ($($name:ident $warm:literal $count:literal $answer:ident $request:expr;)+) => {
        /// Every kind. The last has listeners, whom all writes after it would meet.
        pub(crate) const KINDS: &[Kind] = &[$(Kind {
            name: stringify!($name),
            warm: $warm,
            count: $count,
            request: $request,
            answer: Answer::$answer,
        },)+];
    };
}

kinds! {
    health           50  200  Whole  |client, _| client.get("/health/live");
    get             300  300  Whole  |client, at| client.get(&item(client, at));
    get_in_session  300  300  Whole  |client, at| client.signed_in(Method::GET, &item(client, at), &Value::Null);
    list             50  100  Whole  |client, _| client.get("/api/Item?limit=30&count&where=rank%20%3C%205");
    list_under_rule  50  100  Whole  |client, _| client.signed_in(Method::GET, "/api/Task?limit=30", &Value::Null);
    aggregate        50  100  Whole  |client, _| client.get("/api/Item?aggregate=rows:count(),most:max(rank)&group=done");
    nested           50  100  Whole  |client, at| client.query(&nested(at));
    nested_new       20   80  Whole  |client, at| client.query(&nested_new(at));
    batch            50  100  Whole  |client, at| client.query(&batch(client, at));
    create          100  200  Whole  |client, at| client.signed_in(Method::POST, "/api/Task", &task(client, at));
    create_nested    50  100  Whole  |client, at| client.signed_in(Method::POST, "/api/Purchase", &order(client, at));
    update          100  200  Whole  |client, at| client.signed_in(Method::PATCH, &own(client, at), &change(at));
    live            100  200  Told   |client, at| client.signed_in(Method::POST, "/api/Alert", &alert(at));
}

/// What those who listen listen to, each to a team of their own.
pub(crate) fn listened(team: usize) -> String {
    format!("/api/Alert?where=team%20%3D%3D%20{team}")
}

fn alert(team: usize) -> Value {
    json!({"team": team, "title": "Something has happened"})
}

fn own(client: &Client, at: usize) -> String {
    format!("/api/Task/{}", text(&client.tasks, at))
}

fn change(at: usize) -> Value {
    json!({"rank": at, "done": true})
}

fn text(ids: &[Value], at: usize) -> &str {
    ids[at % ids.len()].as_str().expect("keys are UUIDs")
}

fn item(client: &Client, at: usize) -> String {
    format!("/api/Item/{}", text(&client.items, at))
}

fn task(client: &Client, at: usize) -> Value {
    json!({"title": format!("Task {at:04}"), "rank": at % 10, "owner": client.user})
}

/// An order of five lines.
fn order(client: &Client, at: usize) -> Value {
    let line = |line: usize| json!({"create": true, "item": client.items[(at + line) % client.items.len()], "quantity": 1 + line});
    json!({"note": "Please ring twice", "lines": (0..5).map(line).collect::<Vec<_>>()})
}

/// Artists of three levels, from one on.
fn nested(at: usize) -> Value {
    json!({"Artist": {
        "id": {"gt": at % 10}, "get": ["name"], "order": ["id"], "limit": 5,
        "albums": {
            "get": ["title"], "order": ["title"],
            "tracks": {"get": ["name", "milliseconds", "unit_price"], "order": ["name"], "limit": 5},
        },
    }})
}

/// The same with columns in an order that nobody has asked for before: it is resolved, guarded and written as SQL anew, and prepared.
fn nested_new(at: usize) -> Value {
    let mut columns = vec!["name", "milliseconds", "unit_price", "created", "updated"];
    // The places of the factorial number system: each number below 120 is another order.
    let (mut rest, mut order) = (at, Vec::new());
    while !columns.is_empty() {
        order.push(columns.remove(rest % columns.len()));
        rest /= columns.len() + 1;
    }
    let mut document = nested(at);
    document["Artist"]["albums"]["tracks"]["get"] = json!(order);
    document
}

/// Ten reads in one request.
fn batch(client: &Client, at: usize) -> Value {
    let read = |read: usize| json!({"Item": {"id": client.items[(at + read) % client.items.len()], "get": ["title", "rank"]}});
    json!((0..10).map(read).collect::<Vec<_>>())
}
