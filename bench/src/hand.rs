//! The limit: what a good engineer would write by hand for these five requests with axum and rusqlite.
//!
//! Point reads and lists run inline on the async worker with cached statements; writes go to one thread that commits in
//! groups. Tokens are verified, the rule is in the SQL, answers have the same members. A create comes in two kinds: with the
//! SQL of Mainstay's, which writes a line of the change log beside the row, and with the row alone.

mod postgres;

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use rusqlite::{Connection, OpenFlags, params};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

struct Shared {
    database: String,
    key: DecodingKey,
    writer: SyncSender<Job>,
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
    let (writer, jobs) = sync_channel(4096);
    let path = database.to_owned();
    std::thread::spawn(move || write_groups(&path, &jobs));
    let shared = Arc::new(Shared { database: database.to_owned(), key, writer });
    Router::new()
        .route("/items/{id}", get(item))
        .route("/tasks", get(tasks).post(create))
        .route("/tasks/logged", post(create_logged))
        .route("/artists", post(artists))
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

fn json(body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn item(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    let found = with_reader(&shared, |reader| {
        let mut statement = reader.prepare_cached(
            r#"SELECT "id", "created", "updated", "title", "done", "rank" FROM "Item" WHERE "id" = ?1"#,
        )?;
        statement.query_row([&id], |row| {
            Ok(Item {
                id: row.get(0)?,
                created: row.get(1)?,
                updated: row.get(2)?,
                title: row.get(3)?,
                done: row.get(4)?,
                rank: row.get(5)?,
            })
        })
    });
    match found {
        Ok(item) => json(&item),
        Err(rusqlite::Error::QueryReturnedNoRows) => StatusCode::NOT_FOUND.into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[derive(Serialize)]
struct Page<T> {
    items: Vec<T>,
}

async fn tasks(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let user = match caller(&shared.key, &headers) {
        Ok(user) => user,
        Err(status) => return status.into_response(),
    };
    let found = with_reader(&shared, |reader| {
        let mut statement = reader.prepare_cached(
            r#"SELECT "id", "created", "updated", "title", "done", "rank", "owner" FROM "Task"
               WHERE "owner" = ?1 ORDER BY "created" DESC, "id" LIMIT 30"#,
        )?;
        let rows = statement.query_map([&user], |row| {
            Ok(Task {
                id: row.get(0)?,
                created: row.get(1)?,
                updated: row.get(2)?,
                title: row.get(3)?,
                done: row.get(4)?,
                rank: row.get(5)?,
                owner: row.get(6)?,
            })
        })?;
        rows.collect::<rusqlite::Result<Vec<_>>>()
    });
    match found {
        Ok(items) => json(&Page { items }),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Ten artists with their albums and tracks in one statement: the one that Mainstay makes of the same question, without
/// the call that counts nested rows. `json_object` with `json(…)` around each nested list, which parses it again, is
/// slower.
async fn artists(State(shared): State<Arc<Shared>>) -> Response {
    let found = with_reader(&shared, |reader| {
        let mut statement = reader.prepare_cached(
            r#"SELECT concat('{"id":', a."id", ',"name":', json_quote(a."name"), ',"albums":', (
                 SELECT concat('[', string_agg(concat('{"id":', b."id", ',"title":', json_quote(b."title"), ',"tracks":', (
                   SELECT concat('[', string_agg(concat('{"id":', t."id", ',"name":', json_quote(t."name"),
                     ',"milliseconds":', t."milliseconds", '}'), ','), ']')
                   FROM (SELECT "id", "name", "milliseconds" FROM "Track" WHERE "album" = b."id" ORDER BY "id") t), '}'), ','), ']')
                 FROM (SELECT "id", "title" FROM "Album" WHERE "artist" = a."id" ORDER BY "id") b), '}')
               FROM (SELECT "id", "name" FROM "Artist" ORDER BY "id" LIMIT 10) a"#,
        )?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
        rows.collect::<rusqlite::Result<Vec<_>>>()
    });
    match found {
        Ok(rows) => {
            let body = format!("{{\"Artist\":[{}]}}", rows.join(","));
            ([(header::CONTENT_TYPE, "application/json")], body).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Whether a row's line of the change log is written with it.
#[derive(Clone, Copy, PartialEq)]
enum Log {
    Line,
    Nothing,
}

async fn create(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    write(&shared, &headers, &body, Log::Nothing).await
}

async fn create_logged(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    write(&shared, &headers, &body, Log::Line).await
}

async fn write(shared: &Shared, headers: &HeaderMap, body: &[u8], log: Log) -> Response {
    let new = match new_task(&shared.key, headers, body) {
        Ok(new) => new,
        Err(status) => return status.into_response(),
    };
    let (answer, answered) = oneshot::channel();
    if shared.writer.try_send(Job { new, at: now(), log, answer }).is_err() {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    match answered.await {
        Ok(Ok(task)) => (StatusCode::CREATED, json(&task)).into_response(),
        _ => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

struct Job {
    new: NewTask,
    at: String,
    log: Log,
    answer: oneshot::Sender<Result<Task, String>>,
}

/// Takes what waits, inserts it in one transaction, answers after the commit.
fn write_groups(database: &str, jobs: &Receiver<Job>) {
    let connection = Connection::open(database).expect("the database is there");
    connection
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;")
        .expect("pragmas of every SQLite");
    while let Ok(first) = jobs.recv() {
        let group: Vec<Job> = std::iter::once(first).chain(jobs.try_iter().take(255)).collect();
        connection.execute_batch("BEGIN IMMEDIATE").expect("one writer");
        let done: Vec<_> = group
            .into_iter()
            .map(|job| (insert(&connection, job.new, job.at, job.log), job.answer))
            .collect();
        let committed = connection.execute_batch("COMMIT").map_err(|error| error.to_string());
        for (inserted, answer) in done {
            // A client that went away needs no answer.
            drop(answer.send(committed.clone().and(inserted)));
        }
    }
}

fn insert(connection: &Connection, new: NewTask, at: String, log: Log) -> Result<Task, String> {
    let id = uuid::Uuid::now_v7().to_string();
    let NewTask { title, rank, owner } = new;
    let task = Task { id, created: at.clone(), updated: at, title, done: false, rank, owner };
    let inserted = connection
        .prepare_cached(
            r#"INSERT INTO "Task" ("id", "created", "updated", "title", "done", "rank", "owner")
               VALUES (?1, ?2, ?2, ?3, 0, ?4, ?5)"#,
        )
        .and_then(|mut insert| {
            insert.execute(params![task.id, task.created, task.title, task.rank, task.owner])
        })
        .and_then(|_| if log == Log::Line { insert_line(connection, &task) } else { Ok(()) });
    inserted.map(|()| task).map_err(|error| error.to_string())
}

/// The line of the change log that Mainstay writes with a new row, in the same transaction.
fn insert_line(connection: &Connection, task: &Task) -> rusqlite::Result<()> {
    let tx = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    let after = serde_json::to_string(task).unwrap_or_default();
    let mut insert = connection.prepare_cached(
        r#"INSERT INTO "_change" ("tx", "at", "actor", "tenant", "table", "row", "kind", "before", "after")
           VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"#,
    )?;
    let nothing: Option<&str> = None;
    let tx = i64::try_from(tx).unwrap_or(i64::MAX);
    insert.execute(params![
        tx,
        task.created,
        task.owner,
        nothing,
        "Task",
        task.id,
        "create",
        nothing,
        after
    ])?;
    Ok(())
}

/// `2026-01-31T10:00:00.000000Z`
fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (seconds, micros) = (since.as_secs(), since.subsec_micros());
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Civil from days, Howard Hinnant, <https://howardhinnant.github.io/date_algorithms.html>.
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let of_era = shifted % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{micros:06}Z",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}
