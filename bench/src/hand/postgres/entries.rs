//! The million rows and the orders by hand on PostgreSQL: each request is one statement, two for a list with its count.

use std::sync::Arc;

use anyhow::Result;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use serde::Serialize;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Statement};
use uuid::Uuid;

use super::super::{EntryChange, NewEntry, OfKind, Page, json, json_text, new_order};
use super::Shared;

const ENTRY: &str =
    r#"SELECT "id", "created", "updated", "title", "done", "kind", "rank" FROM "Entry" WHERE "id" = $1"#;
const LIST: &str = r#"SELECT "id", "created", "updated", "title", "done", "kind", "rank" FROM "Entry"
    WHERE "kind" = $1 ORDER BY "rank" DESC, "id" LIMIT 30"#;
const COUNT: &str = r#"SELECT count(*) FROM "Entry" WHERE "kind" = $1"#;
const GENRES: &str =
    r#"SELECT "genre", count(*), sum("milliseconds")::bigint FROM "Track" GROUP BY 1 ORDER BY 1"#;
const CREATE: &str = r#"WITH made AS (
      INSERT INTO "Entry" ("id", "created", "updated", "title", "done", "kind", "rank")
      VALUES ($1, $2, $2, $3, $4, $5, $6))
    INSERT INTO "_change" ("at", "actor", "tenant", "table", "row", "kind", "before", "after")
    VALUES ($2, NULL, NULL, 'Entry', $1::uuid::text, 'create', NULL, $7::text::json)"#;
const CHANGE: &str = r#"WITH old AS (SELECT * FROM "Entry" WHERE "id" = $1 FOR UPDATE), new AS (
      UPDATE "Entry" SET "title" = $2, "updated" = $3 FROM old WHERE "Entry"."id" = old."id" RETURNING "Entry".*),
    line AS (INSERT INTO "_change" ("at", "actor", "tenant", "table", "row", "kind", "before", "after")
      SELECT $3, NULL, NULL, 'Entry', new."id"::text, 'update', row_to_json(old), row_to_json(new) FROM old, new)
    SELECT "id", "created", "updated", "title", "done", "kind", "rank" FROM new"#;
const ORDER: &str = r#"WITH made AS (
      INSERT INTO "Order" ("id", "created", "updated", "customer") VALUES ($1, $2, $2, $3)),
    lines AS (INSERT INTO "OrderLine" ("id", "created", "updated", "order_", "track", "quantity")
      SELECT l.id, $2, $2, $1, l.track, l.quantity
      FROM unnest($4::uuid[], $5::bigint[], $6::bigint[]) AS l (id, track, quantity))
    INSERT INTO "_change" ("at", "actor", "tenant", "table", "row", "kind", "before", "after")
    SELECT $2, NULL, NULL, c.name, c.id, 'create', NULL, c.after::json
    FROM unnest($7::text[], $8::text[], $9::text[]) AS c (name, id, after)"#;

/// What a connection for reading has prepared.
pub(super) struct Reads {
    entry: Statement,
    list: Statement,
    count: Statement,
    genres: Statement,
}

impl Reads {
    pub(super) async fn prepare(client: &Client) -> Result<Reads> {
        Ok(Reads {
            entry: client.prepare(ENTRY).await?,
            list: client.prepare(LIST).await?,
            count: client.prepare(COUNT).await?,
            genres: client.prepare(GENRES).await?,
        })
    }
}

/// What a connection for writing has prepared.
pub(super) struct Writes {
    create: Statement,
    change: Statement,
    order: Statement,
}

impl Writes {
    pub(super) async fn prepare(client: &Client) -> Result<Writes> {
        Ok(Writes {
            create: client.prepare(CREATE).await?,
            change: client.prepare(CHANGE).await?,
            order: client.prepare(ORDER).await?,
        })
    }
}

#[derive(Serialize)]
struct Entry {
    id: Uuid,
    created: Timestamp,
    updated: Timestamp,
    title: String,
    done: bool,
    kind: i64,
    rank: i64,
}

impl Entry {
    fn of(row: &Row) -> Entry {
        Entry {
            id: row.get(0),
            created: row.get(1),
            updated: row.get(2),
            title: row.get(3),
            done: row.get(4),
            kind: row.get(5),
            rank: row.get(6),
        }
    }
}

/// What did not work is the database's fault here.
fn fault(_: tokio_postgres::Error) -> Response {
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

pub(super) async fn entry(State(shared): State<Arc<Shared>>, Path(id): Path<Uuid>) -> Response {
    let reader = shared.reader();
    match reader.client.query_opt(&reader.entries.entry, &[&id]).await {
        Ok(Some(row)) => json(&Entry::of(&row)),
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => fault(error),
    }
}

#[derive(Serialize)]
struct Counted {
    items: Vec<Entry>,
    count: i64,
}

pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    Query(OfKind { kind }): Query<OfKind>,
) -> Response {
    let reader = shared.reader();
    let of: [&(dyn ToSql + Sync); 1] = [&kind];
    // Sent together: nothing waits for the first answer.
    let asked = tokio::try_join!(
        reader.client.query(&reader.entries.list, &of),
        reader.client.query_one(&reader.entries.count, &of),
    );
    match asked {
        Ok((rows, count)) => {
            json(&Counted { items: rows.iter().map(Entry::of).collect(), count: count.get(0) })
        }
        Err(error) => fault(error),
    }
}

#[derive(Serialize)]
struct Genre {
    genre: Option<i64>,
    n: i64,
    ms: i64,
}

pub(super) async fn genres(State(shared): State<Arc<Shared>>) -> Response {
    let reader = shared.reader();
    let rows = match reader.client.query(&reader.entries.genres, &[]).await {
        Ok(rows) => rows,
        Err(error) => return fault(error),
    };
    let items = rows.iter().map(|row| Genre { genre: row.get(0), n: row.get(1), ms: row.get(2) });
    json(&Page { items: items.collect::<Vec<_>>() })
}

pub(super) async fn create(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let Ok(new) = serde_json::from_slice::<NewEntry>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let (id, now) = (Uuid::now_v7(), Timestamp::now());
    let NewEntry { title, done, kind, rank } = new;
    let entry = Entry { id, created: now, updated: now, title, done, kind, rank };
    let text = serde_json::to_string(&entry).unwrap_or_default();
    let Some(lease) = shared.writer().await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let writer = &*lease.writer;
    let done = writer
        .client
        .execute(
            &writer.entries.create,
            &[&id, &now, &entry.title, &entry.done, &entry.kind, &entry.rank, &text],
        )
        .await;
    done.map_or_else(fault, |_| (StatusCode::CREATED, json_text(text)).into_response())
}

pub(super) async fn change(State(shared): State<Arc<Shared>>, Path(id): Path<Uuid>, body: Bytes) -> Response {
    let Ok(change) = serde_json::from_slice::<EntryChange>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let Some(lease) = shared.writer().await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let writer = &*lease.writer;
    match writer.client.query_opt(&writer.entries.change, &[&id, &change.title, &Timestamp::now()]).await {
        Ok(Some(row)) => json(&Entry::of(&row)),
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => fault(error),
    }
}

#[derive(Serialize)]
struct Order {
    id: Uuid,
    created: Timestamp,
    updated: Timestamp,
    customer: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lines: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    id: Uuid,
    track: i64,
    quantity: i64,
}

#[derive(Serialize)]
struct LineRow {
    id: Uuid,
    created: Timestamp,
    updated: Timestamp,
    order_: Uuid,
    track: i64,
    quantity: i64,
}

pub(super) async fn create_order(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let new = match new_order(&body) {
        Ok(new) => new,
        Err(status) => return status.into_response(),
    };
    let (id, now) = (Uuid::now_v7(), Timestamp::now());
    let mut order = Order { id, created: now, updated: now, customer: new.customer, lines: Vec::new() };
    let mut tables = vec!["Order"];
    let mut rows = vec![id.to_string()];
    let mut images = vec![serde_json::to_string(&order).unwrap_or_default()];
    for line in new.lines {
        let (line_id, track, quantity) = (Uuid::now_v7(), line.track, line.quantity);
        let row = LineRow { id: line_id, created: now, updated: now, order_: id, track, quantity };
        tables.push("OrderLine");
        rows.push(line_id.to_string());
        images.push(serde_json::to_string(&row).unwrap_or_default());
        order.lines.push(Line { id: line_id, track, quantity });
    }
    let ids: Vec<Uuid> = order.lines.iter().map(|line| line.id).collect();
    let tracks: Vec<i64> = order.lines.iter().map(|line| line.track).collect();
    let quantities: Vec<i64> = order.lines.iter().map(|line| line.quantity).collect();
    let Some(lease) = shared.writer().await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let writer = &*lease.writer;
    let done = writer
        .client
        .execute(
            &writer.entries.order,
            &[&id, &now, &order.customer, &ids, &tracks, &quantities, &tables, &rows, &images],
        )
        .await;
    done.map_or_else(fault, |_| (StatusCode::CREATED, json(&order)).into_response())
}
