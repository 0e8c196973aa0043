//! An order with its lines, by hand: one transaction, a line of the change log for each row.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use rusqlite::{Connection, params};
use serde::Serialize;
use uuid::Uuid;

use super::super::{Shared, new_order};
use super::{Line, created, now};

#[derive(Serialize)]
pub(crate) struct Order {
    id: String,
    created: String,
    updated: String,
    customer: String,
    lines: Vec<OrderLine>,
}

/// A line as it is answered.
#[derive(Serialize)]
struct OrderLine {
    id: String,
    track: i64,
    quantity: i64,
}

/// A row as its line of the change log has it.
#[derive(Serialize)]
struct OrderRow<'r> {
    id: &'r str,
    created: &'r str,
    updated: &'r str,
    customer: &'r str,
}

#[derive(Serialize)]
struct LineRow<'r> {
    id: &'r str,
    created: &'r str,
    updated: &'r str,
    order_: &'r str,
    track: i64,
    quantity: i64,
}

pub(crate) async fn create_order(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let new = match new_order(&body) {
        Ok(new) => new,
        Err(status) => return status.into_response(),
    };
    let at = now();
    let lines = new.lines.into_iter().map(|line| OrderLine {
        id: Uuid::now_v7().to_string(),
        track: line.track,
        quantity: line.quantity,
    });
    let id = Uuid::now_v7().to_string();
    let order =
        Order { id, created: at.clone(), updated: at, customer: new.customer, lines: lines.collect() };
    created(shared.writer.run(Box::new(move |connection| insert(connection, &order).map(Some))).await)
}

/// Foreign keys are SQLite's to check.
fn insert(connection: &Connection, order: &Order) -> rusqlite::Result<String> {
    let at = order.created.as_str();
    connection
        .prepare_cached(
            r#"INSERT INTO "Order" ("id", "created", "updated", "customer") VALUES (?1, ?2, ?2, ?3)"#,
        )?
        .execute(params![order.id, at, order.customer])?;
    let row = OrderRow { id: &order.id, created: at, updated: at, customer: &order.customer };
    let log = Line { table: "Order", row: &order.id, at, actor: None };
    log.created(connection, &serde_json::to_string(&row).unwrap_or_default())?;
    for line in &order.lines {
        connection
            .prepare_cached(
                r#"INSERT INTO "OrderLine" ("id", "created", "updated", "order_", "track", "quantity")
                   VALUES (?1, ?2, ?2, ?3, ?4, ?5)"#,
            )?
            .execute(params![line.id, at, order.id, line.track, line.quantity])?;
        let row = LineRow {
            id: &line.id,
            created: at,
            updated: at,
            order_: &order.id,
            track: line.track,
            quantity: line.quantity,
        };
        let log = Line { table: "OrderLine", row: &line.id, at, actor: None };
        log.created(connection, &serde_json::to_string(&row).unwrap_or_default())?;
    }
    Ok(serde_json::to_string(order).unwrap_or_default())
}
