//! What is done outside the usual way: changes of tables, checks of the file, plans of statements.

use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::connection::{BUSY_MAX, Session};
use super::error::convert_plain;
use crate::StoreError;
use crate::query::Query;

/// Runs statements in one transaction with references checked at its end instead of at each statement, which is how
/// SQLite wants a table to be built anew: <https://www.sqlite.org/lang_altertable.html#otheralter>.
pub(crate) fn execute(connection: &mut Connection, statements: &[String]) -> Result<(), StoreError> {
    // The pragma has no effect inside a transaction.
    batch(connection, "PRAGMA foreign_keys = OFF")?;
    let done = execute_unchecked(connection, statements);
    if done.is_err() && !connection.is_autocommit() {
        batch(connection, "ROLLBACK")?;
    }
    batch(connection, "PRAGMA foreign_keys = ON")?;
    done
}

fn execute_unchecked(connection: &Connection, statements: &[String]) -> Result<(), StoreError> {
    begin(connection, BUSY_MAX)?;
    for statement in statements {
        batch(connection, statement).map_err(|error| match error {
            StoreError::Other(words) => StoreError::Other(format!("{words} in: {statement}")),
            other => other,
        })?;
    }
    let broken: bool = connection
        .query_row("SELECT EXISTS (SELECT 1 FROM pragma_foreign_key_check)", [], |row| row.get(0))
        .map_err(|error| convert_plain(connection, &error))?;
    if broken {
        return Err(StoreError::ForeignKey);
    }
    batch(connection, "COMMIT")
}

/// Begins the transaction, however long one attempt waits for others.
pub(super) fn begin(connection: &Connection, patience: Duration) -> Result<(), StoreError> {
    let give_up = Instant::now() + patience;
    loop {
        match batch(connection, "BEGIN IMMEDIATE") {
            Err(StoreError::Busy { .. }) if Instant::now() < give_up => {}
            result => return result,
        }
    }
}

pub(super) fn batch(connection: &Connection, sql: &str) -> Result<(), StoreError> {
    connection.execute_batch(sql).map_err(|error| convert_plain(connection, &error))
}

/// Everything that is damaged, references that lead nowhere included.
pub(crate) fn integrity_check(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let read = |sql: &str| -> rusqlite::Result<Vec<String>> {
        connection.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
    };
    let mut found = read("SELECT integrity_check FROM pragma_integrity_check")
        .map_err(|error| convert_plain(connection, &error))?;
    found.retain(|line| line != "ok");
    let references = read(
        "SELECT format('row %s of %s refers to a row of %s that does not exist', rowid, \"table\", parent)
         FROM pragma_foreign_key_check",
    );
    found.extend(references.map_err(|error| convert_plain(connection, &error))?);
    Ok(found)
}

/// The steps of a statement, each indented under the one that it belongs to.
pub(crate) fn explain(session: &Session, query: &Query) -> Result<Vec<String>, StoreError> {
    let read = || -> rusqlite::Result<Vec<String>> {
        let sql = format!("EXPLAIN QUERY PLAN {}", query.statement.sql);
        let mut statement = session.connection.prepare(&sql)?;
        let mut rows = statement.raw_query();
        let mut depths = std::collections::HashMap::from([(0, 0)]);
        let mut lines = Vec::new();
        while let Some(row) = rows.next()? {
            let (id, parent): (i64, i64) = (row.get(0)?, row.get(1)?);
            let depth = depths.get(&parent).copied().unwrap_or(0);
            depths.insert(id, depth + 1);
            lines.push(format!("{}{}", "  ".repeat(depth), row.get::<_, String>(3)?));
        }
        Ok(lines)
    };
    read().map_err(|error| session.failed(&error))
}
