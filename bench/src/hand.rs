//! The limit: what a good engineer would write by hand for these requests with axum and rusqlite.
//!
//! Point reads and lists run inline on the async worker with cached statements; writes go to one thread that commits in
//! groups. Tokens are verified, the rule is in the SQL, answers have the same members. A create comes in two kinds: with the
//! SQL of Mainstay's, which writes a line of the change log beside the row, and with the row alone.

mod postgres;
pub(crate) mod raw;
mod read;
mod write;

use std::cell::RefCell;
use std::sync::Arc;

use anyhow::Result;
use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use rusqlite::{Connection, OpenFlags};
use serde::{Deserialize, Serialize};

use self::write::Writer;

struct Shared {
    database: String,
    key: DecodingKey,
    writer: Writer,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
}

#[derive(Deserialize)]
struct NewTask {
    title: String,
    rank: i64,
    owner: String,
}

#[derive(Serialize)]
struct Task {
    id: String,
    created: String,
    updated: String,
    title: String,
    done: bool,
    rank: i64,
    owner: String,
}

#[derive(Serialize)]
struct Entry {
    id: String,
    created: String,
    updated: String,
    title: String,
    done: bool,
    kind: i64,
    rank: i64,
}

impl Entry {
    /// Of the columns in their order.
    fn of(row: &rusqlite::Row<'_>) -> rusqlite::Result<Entry> {
        Ok(Entry {
            id: row.get(0)?,
            created: row.get(1)?,
            updated: row.get(2)?,
            title: row.get(3)?,
            done: row.get(4)?,
            kind: row.get(5)?,
            rank: row.get(6)?,
        })
    }
}

/// Columns of a row of a million, as it is sent.
#[derive(Deserialize)]
struct NewEntry {
    title: String,
    #[serde(default)]
    done: bool,
    #[serde(default)]
    kind: i64,
    #[serde(default)]
    rank: i64,
}

#[derive(Deserialize)]
struct EntryChange {
    title: String,
}

#[derive(Deserialize)]
struct NewOrder {
    customer: String,
    lines: Vec<NewLine>,
}

#[derive(Deserialize)]
struct NewLine {
    track: i64,
    quantity: i64,
}

/// Which of the million.
#[derive(Deserialize)]
struct OfKind {
    kind: i64,
}

#[derive(Serialize)]
struct Item {
    id: String,
    created: String,
    updated: String,
    title: String,
    done: bool,
    rank: i64,
}

thread_local! {
    // One connection for each async worker: nothing is shared, nothing is locked.
    static READER: RefCell<Option<Connection>> = const { RefCell::new(None) };
}

/// Serves until it is killed.
pub(crate) fn serve(database: &str, port: u16, secret: &str) -> Result<()> {
    let key = DecodingKey::from_secret(secret.as_bytes());
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let routes = match database.starts_with("postgres://") {
            true => postgres::routes(database, key).await?,
            false => routes(database, key),
        };
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
        Ok(axum::serve(listener, routes).await?)
    })
}

fn routes(database: &str, key: DecodingKey) -> Router {
    let shared = Arc::new(Shared { database: database.to_owned(), key, writer: Writer::start(database) });
    Router::new()
        .route("/items/{id}", get(read::item))
        .route("/entries/{id}", get(read::entry).patch(write::change))
        .route("/entries", get(read::entries).post(write::create_entry))
        .route("/genres", get(read::genres))
        .route("/tasks", get(read::tasks).post(write::create))
        .route("/tasks/logged", post(write::create_logged))
        .route("/artists", post(read::artists))
        .route("/orders", post(write::create_order))
        .with_state(shared)
}

fn with_reader<T>(
    shared: &Shared,
    read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    READER.with_borrow_mut(|reader| {
        if reader.is_none() {
            let connection = Connection::open_with_flags(&shared.database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
            connection.set_prepared_statement_cache_capacity(64);
            *reader = Some(connection);
        }
        read(reader.as_ref().expect("opened above"))
    })
}

fn caller(key: &DecodingKey, headers: &HeaderMap) -> Result<String, StatusCode> {
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .ok_or(StatusCode::UNAUTHORIZED)?;
    let mut validation = Validation::new(Algorithm::HS256);
    validation.validate_aud = false;
    jsonwebtoken::decode::<Claims>(token, key, &validation)
        .map(|data| data.claims.sub)
        .map_err(|_| StatusCode::UNAUTHORIZED)
}

/// The task that a caller may make: one of the caller's own.
fn new_task(key: &DecodingKey, headers: &HeaderMap, body: &[u8]) -> Result<NewTask, StatusCode> {
    let user = caller(key, headers)?;
    let new: NewTask = serde_json::from_slice(body).map_err(|_| StatusCode::BAD_REQUEST)?;
    if new.owner == user { Ok(new) } else { Err(StatusCode::FORBIDDEN) }
}

/// A page of a list.
#[derive(Serialize)]
struct Page<T> {
    items: Vec<T>,
}

/// Whether a row's line of the change log is written with it.
#[derive(Clone, Copy, PartialEq)]
enum Log {
    Line,
    Nothing,
}

/// An order that a client may make: it has lines, and each a quantity that is allowed.
fn new_order(body: &[u8]) -> Result<NewOrder, StatusCode> {
    let new: NewOrder = serde_json::from_slice(body).map_err(|_| StatusCode::BAD_REQUEST)?;
    let is_right = new.customer.chars().count() <= 120
        && new.lines.iter().all(|line| (1..=1000).contains(&line.quantity));
    if is_right { Ok(new) } else { Err(StatusCode::UNPROCESSABLE_ENTITY) }
}

fn json_text(body: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

fn json(body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
