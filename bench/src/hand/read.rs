//! What is read by hand: each a cached statement on the connection of the worker that has the request.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

use super::{Entry, Item, OfKind, Page, Shared, Task, caller, json, json_text, with_reader};

/// What was found, as JSON.
fn answered<T: Serialize>(found: rusqlite::Result<T>) -> Response {
    match found {
        Ok(found) => json(&found),
        Err(rusqlite::Error::QueryReturnedNoRows) => StatusCode::NOT_FOUND.into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

pub(super) async fn item(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
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
    answered(found)
}

pub(super) async fn entry(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response {
    let found = with_reader(&shared, |reader| {
        let mut statement = reader.prepare_cached(
            r#"SELECT "id", "created", "updated", "title", "done", "kind", "rank" FROM "Entry" WHERE "id" = ?1"#,
        )?;
        statement.query_row([&id], Entry::of)
    });
    answered(found)
}

#[derive(Serialize)]
struct Counted {
    items: Vec<Entry>,
    count: i64,
}

/// The last 30 of a kind and how many there are.
pub(super) async fn entries(
    State(shared): State<Arc<Shared>>,
    Query(OfKind { kind }): Query<OfKind>,
) -> Response {
    let found = with_reader(&shared, |reader| {
        let mut statement = reader.prepare_cached(
            r#"SELECT "id", "created", "updated", "title", "done", "kind", "rank" FROM "Entry"
               WHERE "kind" = ?1 ORDER BY "rank" DESC, "id" LIMIT 30"#,
        )?;
        let items = statement.query_map([kind], Entry::of)?.collect::<rusqlite::Result<Vec<_>>>()?;
        let mut statement = reader.prepare_cached(r#"SELECT count(*) FROM "Entry" WHERE "kind" = ?1"#)?;
        let count = statement.query_row([kind], |row| row.get(0))?;
        Ok(Counted { items, count })
    });
    answered(found)
}

#[derive(Serialize)]
struct Genre {
    genre: Option<i64>,
    n: i64,
    ms: i64,
}

/// Of each genre how many tracks there are, and how long they are together.
pub(super) async fn genres(State(shared): State<Arc<Shared>>) -> Response {
    let found = with_reader(&shared, |reader| {
        let mut statement = reader.prepare_cached(
            r#"SELECT "genre", count(*), sum("milliseconds") FROM "Track" GROUP BY 1 ORDER BY 1"#,
        )?;
        let rows = statement
            .query_map([], |row| Ok(Genre { genre: row.get(0)?, n: row.get(1)?, ms: row.get(2)? }))?;
        rows.collect::<rusqlite::Result<Vec<_>>>()
    });
    answered(found.map(|items| Page { items }))
}

pub(super) async fn tasks(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
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
    answered(found.map(|items| Page { items }))
}

/// Ten artists with their albums and tracks in one statement: the one that Mainstay makes of the same question, without
/// the call that counts nested rows. `json_object` with `json(…)` around each nested list, which parses it again, is
/// slower.
pub(super) async fn artists(State(shared): State<Arc<Shared>>) -> Response {
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
            json_text(body)
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
