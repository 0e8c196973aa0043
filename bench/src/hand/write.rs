//! What is written by hand: one thread takes what waits, does it in one transaction, and answers after the commit.
//!
//! A request's answer is made before it waits, and is the text of its line of the change log as well where both are the same.

mod order;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use rusqlite::{Connection, OptionalExtension as _, params};
use tokio::sync::oneshot;
use uuid::Uuid;

pub(super) use self::order::create_order;
use super::{Entry, EntryChange, Log, NewEntry, Shared, Task, json_text, new_task};

/// What is done within a group; its answer is the body of the response, without one there is no such row.
type Work = Box<dyn FnOnce(&Connection) -> rusqlite::Result<Option<String>> + Send>;

struct Job {
    work: Work,
    answer: oneshot::Sender<Result<Option<String>, String>>,
}

/// The thread that writes.
pub(crate) struct Writer {
    jobs: SyncSender<Job>,
}

impl Writer {
    /// Starts the thread on a database.
    pub(crate) fn start(database: &str) -> Writer {
        let (jobs, waiting) = sync_channel(4096);
        let path = database.to_owned();
        std::thread::spawn(move || write_groups(&path, &waiting));
        Writer { jobs }
    }

    /// Has it done and waits for the commit.
    pub(crate) async fn run(&self, work: Work) -> Result<Option<String>, StatusCode> {
        let (answer, answered) = oneshot::channel();
        self.jobs.try_send(Job { work, answer }).map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
        match answered.await {
            Ok(Ok(body)) => Ok(body),
            _ => Err(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
}

/// Takes what waits, does it in one transaction, answers after the commit.
fn write_groups(database: &str, jobs: &Receiver<Job>) {
    let connection = Connection::open(database).expect("the database is there");
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA wal_autocheckpoint = 2000;",
        )
        .expect("pragmas of every SQLite");
    connection.set_prepared_statement_cache_capacity(64);
    while let Ok(first) = jobs.recv() {
        let group: Vec<Job> = std::iter::once(first).chain(jobs.try_iter().take(255)).collect();
        connection.execute_batch("BEGIN IMMEDIATE").expect("one writer");
        let done: Vec<_> = group
            .into_iter()
            .map(|job| ((job.work)(&connection).map_err(|error| error.to_string()), job.answer))
            .collect();
        let committed = connection.execute_batch("COMMIT").map_err(|error| error.to_string());
        for (body, answer) in done {
            // A client that went away needs no answer.
            drop(answer.send(committed.clone().and(body)));
        }
    }
}

pub(super) async fn create(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    create_task(&shared, &headers, &body, Log::Nothing).await
}

pub(super) async fn create_logged(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    create_task(&shared, &headers, &body, Log::Line).await
}

async fn create_task(shared: &Shared, headers: &HeaderMap, body: &[u8], log: Log) -> Response {
    let new = match new_task(&shared.key, headers, body) {
        Ok(new) => new,
        Err(status) => return status.into_response(),
    };
    let (id, at) = (Uuid::now_v7().to_string(), now());
    let task = Task {
        id,
        created: at.clone(),
        updated: at,
        title: new.title,
        done: false,
        rank: new.rank,
        owner: new.owner,
    };
    let text = serde_json::to_string(&task).unwrap_or_default();
    created(shared.writer.run(Box::new(move |connection| insert_task(connection, &task, text, log))).await)
}

/// A row of `Task`, with its line or without; the text of the row is the answer.
pub(crate) fn insert_task(
    connection: &Connection,
    task: &Task,
    text: String,
    log: Log,
) -> rusqlite::Result<Option<String>> {
    connection
        .prepare_cached(
            r#"INSERT INTO "Task" ("id", "created", "updated", "title", "done", "rank", "owner")
               VALUES (?1, ?2, ?2, ?3, 0, ?4, ?5)"#,
        )?
        .execute(params![task.id, task.created, task.title, task.rank, task.owner])?;
    if log == Log::Line {
        Line { table: "Task", row: &task.id, at: &task.created, actor: Some(&task.owner) }
            .created(connection, &text)?;
    }
    Ok(Some(text))
}

pub(super) async fn create_entry(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let Ok(new) = serde_json::from_slice::<NewEntry>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let (id, at) = (Uuid::now_v7().to_string(), now());
    let NewEntry { title, done, kind, rank } = new;
    let entry = Entry { id, created: at.clone(), updated: at, title, done, kind, rank };
    let text = serde_json::to_string(&entry).unwrap_or_default();
    let work = move |connection: &Connection| {
        connection
            .prepare_cached(
                r#"INSERT INTO "Entry" ("id", "created", "updated", "title", "done", "kind", "rank")
                   VALUES (?1, ?2, ?2, ?3, ?4, ?5, ?6)"#,
            )?
            .execute(params![entry.id, entry.created, entry.title, entry.done, entry.kind, entry.rank])?;
        let line = Line { table: "Entry", row: &entry.id, at: &entry.created, actor: None };
        line.created(connection, &text)?;
        Ok(Some(text))
    };
    created(shared.writer.run(Box::new(work)).await)
}

/// The row is read, changed and logged with both images within the group.
pub(super) async fn change(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    let Ok(change) = serde_json::from_slice::<EntryChange>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let work = move |connection: &Connection| {
        let found = connection
            .prepare_cached(
                r#"SELECT "id", "created", "updated", "title", "done", "kind", "rank" FROM "Entry" WHERE "id" = ?1"#,
            )?
            .query_row([&id], Entry::of)
            .optional()?;
        let Some(mut entry) = found else { return Ok(None) };
        let before = serde_json::to_string(&entry).unwrap_or_default();
        (entry.title, entry.updated) = (change.title, now());
        connection
            .prepare_cached(r#"UPDATE "Entry" SET "title" = ?1, "updated" = ?2 WHERE "id" = ?3"#)?
            .execute(params![entry.title, entry.updated, entry.id])?;
        let after = serde_json::to_string(&entry).unwrap_or_default();
        let line = Line { table: "Entry", row: &entry.id, at: &entry.updated, actor: None };
        line.changed(connection, &before, &after)?;
        Ok(Some(after))
    };
    match shared.writer.run(Box::new(work)).await {
        Ok(Some(body)) => json_text(body),
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(status) => status.into_response(),
    }
}

fn created(done: Result<Option<String>, StatusCode>) -> Response {
    match done {
        Ok(body) => (StatusCode::CREATED, json_text(body.unwrap_or_default())).into_response(),
        Err(status) => status.into_response(),
    }
}

/// A line of the change log that Mainstay writes with a row, in the same transaction.
struct Line<'r> {
    table: &'static str,
    row: &'r str,
    at: &'r str,
    actor: Option<&'r str>,
}

impl Line<'_> {
    fn created(&self, connection: &Connection, after: &str) -> rusqlite::Result<()> {
        self.write(connection, "create", None, after)
    }

    fn changed(&self, connection: &Connection, before: &str, after: &str) -> rusqlite::Result<()> {
        self.write(connection, "update", Some(before), after)
    }

    fn write(
        &self,
        connection: &Connection,
        kind: &str,
        before: Option<&str>,
        after: &str,
    ) -> rusqlite::Result<()> {
        let tx = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        let tx = i64::try_from(tx).unwrap_or(i64::MAX);
        let tenant: Option<&str> = None;
        let mut insert = connection.prepare_cached(
            r#"INSERT INTO "_change" ("tx", "at", "actor", "tenant", "table", "row", "kind", "before", "after")
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"#,
        )?;
        insert
            .execute(params![tx, self.at, self.actor, tenant, self.table, self.row, kind, before, after])?;
        Ok(())
    }
}

/// `2026-01-31T10:00:00.000000Z`
pub(super) fn now() -> String {
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
