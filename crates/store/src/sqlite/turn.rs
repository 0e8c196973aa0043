//! The turn to change tables of a SQLite file: a lock on a file of its own, and scripts run by the writer.
//!
//! Besides the lock of the folder, which says that a server works there: whoever waits for a turn waits, whoever meets a server is
//! refused.

use std::fs::{File, OpenOptions};
use std::path::PathBuf;

use rusqlite::Connection;

use super::Sqlite;
use super::error::convert_plain;
use super::lock::FolderLock;
use super::script::{batch, begin};
use crate::StoreError;
use crate::turn::{PartKind, Script, ScriptError};

/// Held as long as it lives.
pub(crate) struct Turn<'s> {
    sqlite: &'s Sqlite,
    /// Where the store does not hold it for as long as it is open. Given back first: whoever waits for the turn wants it next.
    _folder: Option<FolderLock>,
    _lock: File,
}

impl Sqlite {
    pub(crate) async fn turn(&self) -> Result<Turn<'_>, StoreError> {
        let lock = self.turn_lock().await?;
        let folder = if self.lock.is_none() { Some(FolderLock::take(&self.path)?) } else { None };
        Ok(Turn { sqlite: self, _lock: lock, _folder: folder })
    }

    /// For what a server that runs need not be stopped for.
    pub(crate) async fn turn_beside_servers(&self) -> Result<Turn<'_>, StoreError> {
        Ok(Turn { sqlite: self, _lock: self.turn_lock().await?, _folder: None })
    }

    async fn turn_lock(&self) -> Result<File, StoreError> {
        let mut name = self.path.as_os_str().to_owned();
        name.push(".migrate.lock");
        let path = PathBuf::from(name);
        let failed = |what: &str, error: std::io::Error| StoreError::Io {
            detail: format!("cannot {what} {}: {error}", path.display()),
        };
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(|error| failed("open", error))?;
        // Waiting for the lock takes a thread, of which the runtime has some for that.
        let locked = tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await;
        locked
            .map_err(|error| StoreError::Other(format!("waiting for the turn to change tables: {error}")))?
            .map_err(|error| failed("lock", error))
    }
}

impl Turn<'_> {
    pub(crate) async fn run(&self, script: Script) -> Result<(), ScriptError> {
        // What went wrong with the script is an answer of the task, not its failure.
        self.sqlite.alone(move |connection| Ok(run(connection, &script))).await?
    }
}

/// References are looked at once, at the end of the transaction: <https://www.sqlite.org/lang_altertable.html#otheralter>.
fn run(connection: &mut Connection, script: &Script) -> Result<(), ScriptError> {
    // The pragma has no effect inside a transaction.
    batch(connection, "PRAGMA foreign_keys = OFF")?;
    let done = run_unchecked(connection, script);
    if done.is_err() && !connection.is_autocommit() {
        batch(connection, "ROLLBACK")?;
    }
    batch(connection, "PRAGMA foreign_keys = ON; PRAGMA legacy_alter_table = OFF")?;
    done
}

fn run_unchecked(connection: &Connection, script: &Script) -> Result<(), ScriptError> {
    if script.in_transaction {
        begin(connection, script.patience)?;
    }
    for (index, part) in script.parts.iter().enumerate() {
        let failed = |statement: &str, error: StoreError| ScriptError::Statement {
            part: index,
            statement: statement.to_owned(),
            error,
        };
        match &part.kind {
            PartKind::Run => {
                for statement in &part.statements {
                    batch(connection, statement).map_err(|error| failed(statement, error))?;
                }
            }
            PartKind::Look => {
                for statement in &part.statements {
                    let found = texts(connection, statement).map_err(|error| failed(statement, error))?;
                    if !found.is_empty() {
                        return Err(ScriptError::Found { part: index, found });
                    }
                }
            }
            PartKind::Rebuild(table) => {
                let kept = attached(connection, table)?;
                // Otherwise renaming the new table would change what refers to the old one, and would stumble over views of it.
                batch(connection, "PRAGMA legacy_alter_table = ON")?;
                for statement in &part.statements {
                    batch(connection, statement).map_err(|error| failed(statement, error))?;
                }
                batch(connection, "PRAGMA legacy_alter_table = OFF")?;
                let made = attached(connection, table)?;
                for (name, statement) in
                    kept.iter().filter(|(name, _)| !made.iter().any(|(made, _)| made == name))
                {
                    // An index of this project's that is missing now is one that is no longer wanted.
                    if !name.starts_with(&format!("{table}.")) {
                        batch(connection, statement).map_err(|error| failed(statement, error))?;
                    }
                }
            }
        }
    }
    if !script.in_transaction {
        return Ok(());
    }
    let broken = texts(
        connection,
        "SELECT format('row %s of %s refers to a row of %s that does not exist', rowid, \"table\", parent)
         FROM pragma_foreign_key_check LIMIT 20",
    )?;
    if !broken.is_empty() {
        let part = script.parts.len().saturating_sub(1);
        return Err(ScriptError::Found { part, found: broken });
    }
    Ok(batch(connection, "COMMIT")?)
}

/// Names and definitions of a table's triggers and indexes.
fn attached(connection: &Connection, table: &str) -> Result<Vec<(String, String)>, StoreError> {
    let read = || {
        connection
            .prepare("SELECT name, sql FROM sqlite_master WHERE tbl_name = ?1 AND type IN ('index', 'trigger') AND sql IS NOT NULL")?
            .query_map([table], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<Vec<(String, String)>>>()
    };
    read().map_err(|error| convert_plain(connection, &error))
}

/// The first column of each row, as text.
fn texts(connection: &Connection, sql: &str) -> Result<Vec<String>, StoreError> {
    let read = || {
        connection
            .prepare(sql)?
            .query_map([], |row| row.get::<_, Option<String>>(0).map(Option::unwrap_or_default))?
            .collect::<rusqlite::Result<Vec<String>>>()
    };
    read().map_err(|error| convert_plain(connection, &error))
}
