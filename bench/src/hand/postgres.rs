//! The same by hand on PostgreSQL, with tokio-postgres: reads pipelined on a few connections that everybody shares,
//! writes one at a time on each of a pool, and every statement prepared once for each connection.
//!
//! A create comes in two kinds: with the SQL of Mainstay's, which writes a line of the change log beside the row, and with the
//! row alone. Each is one statement that commits by itself, which is the least that a durable write can cost.

mod entries;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use jiff::Timestamp;
use jsonwebtoken::DecodingKey;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_postgres::types::{Json, ToSql};
use tokio_postgres::{Client, NoTls, Statement};
use uuid::Uuid;

use super::{Log, Page, caller, json, new_task};

/// As many as Mainstay has unless it is told otherwise.
const READERS: usize = 2;
const WRITERS: usize = 16;

const ITEM: &str =
    r#"SELECT "id", "created", "updated", "title", "done", "rank" FROM "Item" WHERE "id" = $1"#;
const TASKS: &str = r#"SELECT "id", "created", "updated", "title", "done", "rank", "owner" FROM "Task"
    WHERE "owner" = $1 ORDER BY "created" DESC, "id" LIMIT 30"#;
const TASK: &str = r#"INSERT INTO "Task" ("id", "created", "updated", "title", "done", "rank", "owner")
    VALUES ($1, $2, $2, $3, false, $4, $5)"#;

/// The same with its line of the change log, as Mainstay writes it.
const TASK_LOGGED: &str = r#"WITH made AS (
      INSERT INTO "Task" ("id", "created", "updated", "title", "done", "rank", "owner")
      VALUES ($1, $2, $2, $3, false, $4, $5))
    INSERT INTO "_change" ("at", "actor", "tenant", "table", "row", "kind", "before", "after")
    VALUES ($2, $6, NULL, 'Task', $7, 'create', NULL, $8)"#;

/// The statement that Mainstay makes of the same question, without what counts the rows nested in it.
const ARTISTS: &str = r#"SELECT a."id", a."name", (
      SELECT concat('[', string_agg(concat('{"id":', b."id", ',"title":', to_json(b."title"), ',"tracks":', (
        SELECT concat('[', string_agg(concat('{"id":', t."id", ',"name":', to_json(t."name"),
          ',"milliseconds":', t."milliseconds", '}'), ','), ']')
        FROM (SELECT "id", "name", "milliseconds" FROM "Track" WHERE "album" = b."id" ORDER BY "id") t), '}'), ','), ']')
      FROM (SELECT "id", "title" FROM "Album" WHERE "artist" = a."id" ORDER BY "id") b)
    FROM (SELECT "id", "name" FROM "Artist" ORDER BY "id" LIMIT 10) a"#;

struct Shared {
    key: DecodingKey,
    readers: Vec<Reader>,
    next: AtomicUsize,
    writers: Mutex<Vec<Arc<Writer>>>,
    free: Semaphore,
}

struct Reader {
    client: Client,
    item: Statement,
    tasks: Statement,
    artists: Statement,
    entries: entries::Reads,
}

struct Writer {
    client: Client,
    task: Statement,
    task_logged: Statement,
    entries: entries::Writes,
}

#[derive(Debug, Serialize)]
struct Task {
    id: Uuid,
    created: Timestamp,
    updated: Timestamp,
    title: String,
    done: bool,
    rank: i64,
    owner: Uuid,
}

#[derive(Serialize)]
struct Item<'r> {
    id: Uuid,
    created: Timestamp,
    updated: Timestamp,
    title: &'r str,
    done: bool,
    rank: i64,
}

pub(super) async fn routes(url: &str, key: DecodingKey) -> Result<Router> {
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let client = connect(url).await?;
        let item = client.prepare(ITEM).await?;
        let (tasks, artists) = (client.prepare(TASKS).await?, client.prepare(ARTISTS).await?);
        let entries = entries::Reads::prepare(&client).await?;
        readers.push(Reader { client, item, tasks, artists, entries });
    }
    let mut writers = Vec::new();
    for _ in 0..WRITERS {
        let client = connect(url).await?;
        let (task, task_logged) = (client.prepare(TASK).await?, client.prepare(TASK_LOGGED).await?);
        let entries = entries::Writes::prepare(&client).await?;
        writers.push(Arc::new(Writer { client, task, task_logged, entries }));
    }
    let shared = Arc::new(Shared {
        key,
        readers,
        next: AtomicUsize::new(0),
        writers: Mutex::new(writers),
        free: Semaphore::new(WRITERS),
    });
    Ok(Router::new()
        .route("/items/{id}", get(item))
        .route("/tasks", get(tasks).post(create))
        .route("/tasks/logged", post(create_logged))
        .route("/artists", post(artists))
        .route("/entries/{id}", get(entries::entry).patch(entries::change))
        .route("/entries", get(entries::list).post(entries::create))
        .route("/genres", get(entries::genres))
        .route("/orders", post(entries::create_order))
        .with_state(shared))
}

async fn connect(url: &str) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

impl Shared {
    fn reader(&self) -> &Reader {
        &self.readers[self.next.fetch_add(1, Ordering::Relaxed) % READERS]
    }

    async fn writer(&self) -> Option<Lease<'_>> {
        let permit = self.free.acquire().await.ok()?;
        let writer = self.writers.lock().pop()?;
        Some(Lease { shared: self, writer, _permit: permit })
    }
}

/// A connection of one request's own, which goes back whatever becomes of the request.
struct Lease<'s> {
    shared: &'s Shared,
    writer: Arc<Writer>,
    _permit: SemaphorePermit<'s>,
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        self.shared.writers.lock().push(self.writer.clone());
    }
}

async fn item(State(shared): State<Arc<Shared>>, Path(id): Path<Uuid>) -> Response {
    let reader = shared.reader();
    match reader.client.query_opt(&reader.item, &[&id]).await {
        Ok(Some(row)) => json(&Item {
            id: row.get(0),
            created: row.get(1),
            updated: row.get(2),
            title: row.get(3),
            done: row.get(4),
            rank: row.get(5),
        }),
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn tasks(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let owner = match caller(&shared.key, &headers) {
        Ok(user) => user,
        Err(status) => return status.into_response(),
    };
    let Ok(owner) = Uuid::parse_str(&owner) else { return StatusCode::FORBIDDEN.into_response() };
    let reader = shared.reader();
    let Ok(rows) = reader.client.query(&reader.tasks, &[&owner]).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let items: Vec<Task> = rows
        .iter()
        .map(|row| Task {
            id: row.get(0),
            created: row.get(1),
            updated: row.get(2),
            title: row.get(3),
            done: row.get(4),
            rank: row.get(5),
            owner: row.get(6),
        })
        .collect();
    json(&Page { items })
}

async fn artists(State(shared): State<Arc<Shared>>) -> Response {
    let reader = shared.reader();
    let Ok(rows) = reader.client.query(&reader.artists, &[]).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let mut body = String::from("{\"Artist\":[");
    for (index, row) in rows.iter().enumerate() {
        let name = serde_json::to_string(row.get::<_, &str>(1)).unwrap_or_default();
        let comma = if index == 0 { "" } else { "," };
        let (id, albums): (i64, &str) = (row.get(0), row.get(2));
        body.push_str(&format!("{comma}{{\"id\":{id},\"name\":{name},\"albums\":{albums}}}"));
    }
    body.push_str("]}");
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
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
    let Ok(owner) = Uuid::parse_str(&new.owner) else { return StatusCode::FORBIDDEN.into_response() };
    let (id, now) = (Uuid::now_v7(), Timestamp::now());
    let task = Task { id, created: now, updated: now, title: new.title, done: false, rank: new.rank, owner };
    let Some(lease) = shared.writer().await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let Writer { client, task: insert, task_logged, .. } = &*lease.writer;
    let done = match log {
        Log::Nothing => client.execute(insert, &[&id, &now, &task.title, &task.rank, &owner]).await,
        Log::Line => {
            let after = Json(&task);
            let (row, actor) = (id.to_string(), &new.owner);
            let values: [&(dyn ToSql + Sync); 8] =
                [&id, &now, &task.title, &task.rank, &owner, actor, &row, &after];
            client.execute(task_logged, &values).await
        }
    };
    match done {
        Ok(_) => (StatusCode::CREATED, json(&task)).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
