//! SQLite's errors as the store's.
//!
//! Constraint failures carry their columns only inside the message, whose form SQLite keeps stable:
//! `UNIQUE constraint failed: Team.name, Team.role`. An index over expressions is named instead:
//! `UNIQUE constraint failed: index 'Team_name'`.

use rusqlite::ffi;
use rusqlite::{Connection, Error};

use super::connection::VALUE_BYTES_MAX;
use super::meter::Meter;
use crate::StoreError;

/// Says what a failure of SQLite means. A reason kept by the meter goes before SQLite's own words.
pub(crate) fn convert(connection: &Connection, meter: &Meter, error: &Error) -> StoreError {
    match meter.take_raised() {
        Some(raised) => raised,
        None => convert_plain(connection, error),
    }
}

/// The same where no function of ours can have failed.
pub(crate) fn convert_plain(connection: &Connection, error: &Error) -> StoreError {
    let Error::SqliteFailure(failure, message) = error else {
        return StoreError::Other(error.to_string());
    };
    let detail = message.clone().unwrap_or_else(|| failure.to_string());
    match failure.extended_code {
        ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_ROWID => {
            unique(connection, named(&detail))
        }
        ffi::SQLITE_CONSTRAINT_FOREIGNKEY => StoreError::ForeignKey,
        ffi::SQLITE_CONSTRAINT_NOTNULL => {
            let (table, column) = named(&detail).split_once('.').unwrap_or(("", named(&detail)));
            StoreError::NotNull { table: table.to_owned(), column: column.to_owned() }
        }
        ffi::SQLITE_CONSTRAINT_CHECK => StoreError::Check { constraint: named(&detail).to_owned() },
        ffi::SQLITE_CONSTRAINT_TRIGGER | ffi::SQLITE_CONSTRAINT_DATATYPE => {
            StoreError::Check { constraint: detail }
        }
        extended => by_primary_code(extended & 0xff, detail),
    }
}

fn by_primary_code(code: i32, detail: String) -> StoreError {
    match code {
        ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED => {
            StoreError::Busy { reason: "another process keeps the database locked" }
        }
        ffi::SQLITE_INTERRUPT => StoreError::Deadline,
        ffi::SQLITE_TOOBIG => StoreError::ByteLimit { limit: VALUE_BYTES_MAX },
        ffi::SQLITE_FULL => StoreError::Full { detail },
        ffi::SQLITE_READONLY => StoreError::ReadOnly { detail },
        ffi::SQLITE_IOERR | ffi::SQLITE_CANTOPEN => StoreError::Io { detail },
        ffi::SQLITE_CORRUPT | ffi::SQLITE_NOTADB => StoreError::Corrupt { detail },
        _ => StoreError::Other(detail),
    }
}

/// What a constraint's message names.
fn named(detail: &str) -> &str {
    detail.split_once(": ").map_or(detail, |(_, named)| named)
}

fn unique(connection: &Connection, named: &str) -> StoreError {
    if let Some(index) = named.strip_prefix("index '").and_then(|rest| rest.strip_suffix('\'')) {
        return unique_index(connection, index);
    }
    let table = named.split_once('.').map_or("", |(table, _)| table);
    let column = |item: &str| match item.split_once('.') {
        Some((_, column)) => column.to_owned(),
        None => item.to_owned(),
    };
    StoreError::Unique { table: table.to_owned(), columns: named.split(", ").map(column).collect() }
}

/// The table of an index and those of its columns that are no expressions.
fn unique_index(connection: &Connection, index: &str) -> StoreError {
    let table = connection
        .query_row("SELECT tbl_name FROM sqlite_schema WHERE type = 'index' AND name = ?1", [index], |row| {
            row.get(0)
        })
        .unwrap_or_default();
    let columns = connection
        .prepare("SELECT name FROM pragma_index_info(?1) WHERE name IS NOT NULL ORDER BY seqno")
        .and_then(|mut statement| statement.query_map([index], |row| row.get(0))?.collect());
    StoreError::Unique { table, columns: columns.unwrap_or_default() }
}
