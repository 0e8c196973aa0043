//! Requests that write, and proof of what they did.
//!
//! Everything in the database can be shown as one text, so a refusal is proved by the text being the same afterwards.

use std::sync::Arc;

use mainstay_engine::ctx::{Caller, Ctx};
use mainstay_engine::document;
use mainstay_engine::error::Error;
use mainstay_engine::part::{Idempotency, Operation};
use mainstay_engine::render;
use mainstay_lang::schema::RelationKind;
use mainstay_lang::value::{Timestamp, Value};
use serde_json::{Value as Json, json};

pub(crate) use crate::app::with_keys;
use crate::app::{App, context, id};

/// A request and how it is sent.
pub(crate) struct Request<'a> {
    pub(crate) caller: Caller,
    pub(crate) body: &'a str,
    pub(crate) now: Option<Timestamp>,
    pub(crate) tenant: Option<u32>,
    pub(crate) key: Option<&'a str>,
    pub(crate) accepted: Vec<String>,
}

impl<'a> Request<'a> {
    pub(crate) fn new(caller: Caller, body: &'a str) -> Request<'a> {
        Request { caller, body, now: None, tenant: None, key: None, accepted: Vec::new() }
    }

    pub(crate) fn context(&self) -> Ctx {
        let caller = Caller {
            user: self.caller.user.clone(),
            admin: self.caller.admin,
            permissions: self.caller.permissions.clone(),
            roles: self.caller.roles.clone(),
            row: self.caller.row.clone(),
            ..Caller::anonymous()
        };
        let mut ctx = context(caller);
        ctx.now = self.now.unwrap_or(ctx.now);
        ctx.tenant = self.tenant.map(|tenant| Value::Uuid(id(tenant).parse().unwrap()));
        ctx
    }
}

/// Sends a request; numbers behind `#` stand for keys.
pub(crate) async fn send(app: &App, request: &Request<'_>) -> Result<String, Error> {
    let body = with_keys(request.body);
    let idempotency = request.key.map(|key| Idempotency {
        key: key.to_owned(),
        target: "POST /query".to_owned(),
        body_hash: hash(&body),
    });
    let operation = Operation {
        documents: document::parse(body.as_bytes())?,
        idempotency,
        accepted_warnings: request.accepted.clone(),
        ..Operation::default()
    };
    let response = app.engine.execute(&request.context(), &operation).await?;
    Ok(render(&response, body.trim_start().starts_with('[')))
}

/// Any two bodies that differ have other hashes here.
fn hash(body: &str) -> [u8; 32] {
    let mut hash = [0u8; 32];
    for (index, byte) in body.bytes().enumerate() {
        hash[index % 32] = hash[index % 32].wrapping_mul(31).wrapping_add(byte);
    }
    hash
}

/// Sends a request and compares the answer; keys that were given by the server are written `@1`, `@2`… in order.
pub(crate) async fn check(app: &App, caller: Caller, body: &str, expected: &str) {
    let found = shown(send(app, &Request::new(caller, body)).await);
    compare(body, &found, expected);
}

/// Sends a request that is refused, and proves that nothing in the database is other than it was.
pub(crate) async fn refused(app: &App, caller: Caller, body: &str, expected: &str) {
    let before = everything(app).await;
    let found = shown(send(app, &Request::new(caller, body)).await);
    compare(body, &found, expected);
    assert_eq!(everything(app).await, before, "\nchanged by {body}");
}

pub(crate) fn compare(body: &str, found: &str, expected: &str) {
    assert_eq!(found, expected, "\nfor {body}");
}

/// An answer, or an error as `key: words` and a line for each place.
pub(crate) fn shown(result: Result<String, Error>) -> String {
    match result {
        Ok(answer) => {
            let _: Json = serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"));
            without_keys(&answer)
        }
        Err(error) => {
            let internal = error.internal.map(|words| format!(" ({words})")).unwrap_or_default();
            let mut lines = vec![format!("{}{internal}", error.key.text())];
            lines.extend(error.errors.iter().map(|field| format!("{} {}", field.path, field.message)));
            lines
                .extend(error.warnings.iter().map(|warning| format!("{} {}", warning.path, warning.message)));
            if lines.len() == 1 {
                lines.push(error.detail);
            }
            lines.join("\n")
        }
    }
}

/// Every row with its links, the change log and the counters, as one text.
pub(crate) async fn everything(app: &App) -> String {
    let schema = app.engine.schema();
    let mut question = serde_json::Map::new();
    for table in &schema.tables {
        let mut part = json!({"get": ["*"], "limit": 1000, "order": "id"});
        for relation in
            table.relations.iter().filter(|relation| matches!(relation.kind, RelationKind::Link(_)))
        {
            part[&relation.name] = json!({"get": ["id"], "order": "id"});
        }
        question.insert(table.name.clone(), part);
    }
    let question = Json::Object(question).to_string();
    let rows = app.run(Caller::administrator(), &question).await.unwrap();
    format!("{}\n{}", without_keys(&rows), changes(app).await.len())
}

/// The rows of a part, as an administrator sees them.
pub(crate) async fn rows(app: &App, question: &str) -> String {
    without_keys(&app.run(Caller::administrator(), &with_keys(question)).await.unwrap())
}

/// The change log: table, row, kind, before, after, actor.
pub(crate) async fn changes(app: &App) -> Vec<String> {
    let written =
        |row: &Vec<Value>| without_keys(&row[3..9].iter().map(Value::to_json).collect::<Vec<_>>().join(" "));
    log(app).await.iter().map(written).collect()
}

/// The number of the change log's last line.
pub(crate) async fn last_change(app: &App) -> i64 {
    match log(app).await.last().map(|row| &row[0]) {
        Some(Value::Int(seq)) => *seq,
        other => panic!("no number: {other:?}"),
    }
}

/// Every line of the change log.
async fn log(app: &App) -> Vec<Vec<Value>> {
    let dialect = app.engine.store().dialect();
    let statement = mainstay_sql::system::change_tail(app.engine.schema(), dialect);
    let query = mainstay_store::Query {
        statement: Arc::new(statement),
        values: vec![app.log_start.clone(), Value::Null, Value::Int(i64::MAX)],
    };
    let limits = mainstay_store::ReadLimits {
        rows: u64::MAX,
        bytes: u64::MAX,
        deadline: std::time::Instant::now() + std::time::Duration::from_secs(20),
    };
    let outcome = app.engine.store().read(vec![query], limits).await.unwrap().remove(0);
    let mainstay_store::Outcome::Values(rows) = outcome else { panic!("the change log answers values") };
    rows
}

/// Keys of the fixture as `#n`, others as `@n` in the order in which they come.
pub(crate) fn without_keys(text: &str) -> String {
    let mut known: Vec<String> = Vec::new();
    let mut out = String::new();
    let mut rest = text;
    while let Some((at, key)) = next_key(rest) {
        out.push_str(&rest[..at]);
        match key.strip_prefix("00000000-0000-7000-8000-") {
            Some(digits) => out.push_str(&format!("#{}", digits.parse::<u32>().unwrap())),
            None => {
                let place = known.iter().position(|known| known == key).unwrap_or_else(|| {
                    known.push(key.to_owned());
                    known.len() - 1
                });
                out.push_str(&format!("@{}", place + 1));
            }
        }
        rest = &rest[at + 36..];
    }
    out + rest
}

fn next_key(text: &str) -> Option<(usize, &str)> {
    let is_key = |candidate: &str| {
        candidate.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
    };
    (0..text.len().saturating_sub(35)).find_map(|at| {
        let candidate = text.get(at..at + 36)?;
        is_key(candidate).then_some((at, candidate))
    })
}
