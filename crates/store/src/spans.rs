//! What the database does for a request, as spans beneath that of whoever asks.
//!
//! A statement is told by its text, which holds no value: values are binds. They stand at the level of debugging: where nobody listens
//! to that, they cost a comparison.

use tracing::Span;
use tracing::field::Empty;

use crate::StoreError;
use crate::query::{Outcome, Query};

/// One way to the database and back, with the statement that it is for.
pub(crate) fn statement(system: &'static str, sql: &str) -> Span {
    tracing::debug_span!(
        "sql",
        db.system.name = system,
        db.query.text = sql,
        db.response.returned_rows = Empty,
        rows_written = Empty,
        error.type = Empty,
    )
}

/// One way to the database and back for several statements.
pub(crate) fn statements<'q>(name: &'static str, queries: impl Iterator<Item = &'q Query> + Clone) -> Span {
    let span = match name {
        "commit" => tracing::debug_span!(
            "commit",
            db.system.name = "postgresql",
            db.query.text = Empty,
            db.operation.batch.size = Empty,
            error.type = Empty,
        ),
        _ => tracing::debug_span!(
            "sql",
            db.system.name = "postgresql",
            db.query.text = Empty,
            db.operation.batch.size = Empty,
            db.response.returned_rows = Empty,
            rows_written = Empty,
            error.type = Empty,
        ),
    };
    if !span.is_disabled() {
        let texts: Vec<&str> = queries.map(|query| &*query.statement.sql).collect();
        if !texts.is_empty() {
            span.record("db.query.text", texts.join(";\n"));
        }
        if texts.len() > 1 {
            span.record("db.operation.batch.size", texts.len() as u64);
        }
    }
    span
}

/// Waiting for one's turn.
pub(crate) fn wait(whom: &'static str) -> Span {
    tracing::debug_span!("wait", whom)
}

/// Notes what a statement has come to.
pub(crate) fn came_to(span: &Span, outcome: Result<&Outcome, &StoreError>) {
    if span.is_disabled() {
        return;
    }
    match outcome {
        Ok(Outcome::Json(rows)) => span.record("db.response.returned_rows", rows.rows),
        Ok(Outcome::Values(rows)) => span.record("db.response.returned_rows", rows.len() as u64),
        Ok(Outcome::Nothing { affected }) => span.record("rows_written", *affected),
        Err(error) => {
            failed(span, error);
            span
        }
    };
}

/// Notes that it failed, by the name of the error: a database's words may repeat values.
pub(crate) fn failed(span: &Span, error: &StoreError) {
    if span.is_disabled() {
        return;
    }
    let shown = format!("{error:?}");
    let name = shown.split(|c: char| !c.is_alphanumeric()).next();
    span.record("error.type", name);
}
