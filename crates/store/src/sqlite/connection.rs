//! A connection: how it is opened, and what every connection is told.
//!
//! The writer's and the readers' differ in three things: the writer makes the file and its journal mode, readers
//! refuse to write, and only readers have a progress handler, because an interrupted INSERT would roll back the
//! whole transaction with all neighbours in it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::hooks::Wal;
use rusqlite::limits::Limit;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::error::convert_plain;
use super::functions;
use super::meter::{Meter, PROGRESS_STEPS};
use crate::StoreError;
use crate::options::{StoreOptions, Synchronous};

/// Largest text, blob or row, in bytes: what stands in the way of a query that builds an endless text.
pub(crate) const VALUE_BYTES_MAX: u64 = 64 << 20;

/// How long the database may be locked by others before that is an error.
pub(crate) const BUSY_MAX: Duration = Duration::from_secs(30);

/// How long one attempt to lock the database waits, before the deadlines of those who wait are looked at.
pub(crate) const BUSY_SLICE: Duration = Duration::from_millis(100);

/// How often a locked database is tried again. SQLite's own handler waits up to 100 ms between attempts and would
/// rarely hit the pause that a busy writer makes for others.
const BUSY_POLL: Duration = Duration::from_micros(500);

/// The log of a write-ahead journal is cut back to this after a checkpoint.
const JOURNAL_BYTES_MAX: u64 = 64 << 20;

/// A write-ahead log of so many pages is moved into the database file, after which it begins anew.
pub(super) const LOG_PAGES_MAX: i32 = 2000;

/// A connection and its meter.
#[derive(Debug)]
pub(crate) struct Session {
    pub(super) connection: Connection,
    pub(super) meter: Arc<Meter>,
    /// Of the connection that writes: how many pages the write-ahead log had at its last commit.
    pub(super) log_pages: Arc<AtomicI32>,
}

impl Session {
    /// Opens the connection that writes; makes the file.
    pub(crate) fn open_writer(path: &Path, options: &StoreOptions) -> Result<Session, StoreError> {
        let make = if options.existing { OpenFlags::empty() } else { OpenFlags::SQLITE_OPEN_CREATE };
        let mut session = Session::open(path, options, make)?;
        let connection = &mut session.connection;
        if connection.is_readonly("main").map_err(|error| explain_open(path, connection, &error))? {
            return Err(StoreError::ReadOnly {
                detail: format!("{} may not be written by this user", path.display()),
            });
        }
        if !options.existing {
            set_journal(path, connection)?;
        }
        let synchronous = match options.synchronous {
            Synchronous::Full => "FULL",
            Synchronous::Normal => "NORMAL",
        };
        connection
            .execute_batch(&format!(
                "PRAGMA synchronous = {synchronous};
                 PRAGMA fullfsync = ON;
                 PRAGMA foreign_keys = ON;
                 PRAGMA journal_size_limit = {JOURNAL_BYTES_MAX};
                 PRAGMA wal_autocheckpoint = {LOG_PAGES_MAX};"
            ))
            .map_err(|error| explain_open(path, connection, &error))?;
        wait_when_busy(connection, BUSY_SLICE).map_err(|error| convert_plain(connection, &error))?;
        Ok(session)
    }

    /// Counts the pages of the write-ahead log, and leaves it to whoever commits to move them into the file: by itself SQLite does that
    /// as a part of the commit, before those who wait for it are answered.
    pub(crate) fn watch_log(&mut self) -> Result<(), StoreError> {
        let log_pages = self.log_pages.clone();
        let hook = move |_: &mut Wal, pages| {
            log_pages.store(pages, Ordering::Relaxed);
            Ok(())
        };
        let connection = &mut self.connection;
        connection.wal_hook(Some(hook)).map_err(|error| convert_plain(connection, &error))
    }

    /// Opens a connection that only reads, from a file that the writer has made.
    pub(crate) fn open_reader(path: &Path, options: &StoreOptions) -> Result<Session, StoreError> {
        let mut session = Session::open(path, options, OpenFlags::empty())?;
        let meter = session.meter.clone();
        let handler = Some(move || meter.progress());
        let steps = i32::try_from(PROGRESS_STEPS).expect("a thousand");
        session
            .connection
            .progress_handler(steps, handler)
            .and_then(|()| session.connection.execute_batch("PRAGMA query_only = ON"))
            .and_then(|()| keep_sorted_in_files(&session.connection))
            .and_then(|()| wait_when_busy(&mut session.connection, BUSY_SLICE))
            .map_err(|error| explain_open(path, &session.connection, &error))?;
        Ok(session)
    }

    fn open(path: &Path, options: &StoreOptions, more: OpenFlags) -> Result<Session, StoreError> {
        // A connection is used by one thread at a time, so SQLite's own mutexes are not needed.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | more;
        let connection =
            Connection::open_with_flags(path, flags).map_err(|error| cannot_open(path, options, &error))?;
        let mut session = Session { connection, meter: Arc::default(), log_pages: Arc::default() };
        prepare(&mut session, options).map_err(|error| explain_open(path, &session.connection, &error))?;
        Ok(session)
    }
}

/// What every connection is told.
fn prepare(session: &mut Session, options: &StoreOptions) -> rusqlite::Result<()> {
    let connection = &mut session.connection;
    wait_when_busy(connection, BUSY_MAX)?;
    for (config, on) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        // Triggers of others may take double quotes for those of a text.
        (DbConfig::SQLITE_DBCONFIG_DQS_DML, options.existing),
        (DbConfig::SQLITE_DBCONFIG_DQS_DDL, options.existing),
        // Otherwise a bound value that a plan might have looked at, a `LIMIT ?` to begin with, makes SQLite parse and plan
        // the whole statement anew at each run.
        (DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true),
    ] {
        connection.set_db_config(config, on)?;
    }
    let bytes_max = i32::try_from(VALUE_BYTES_MAX).expect("well under two gigabytes");
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, bytes_max)?;
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    connection.set_prepared_statement_cache_capacity(options.statements_max);
    // Mapping the file saves copies. It is left to whoever asks for it: a fault of the disk is then the process's end instead of an error,
    // and what is mapped counts as memory of the process.
    connection.execute_batch(&format!(
        "PRAGMA cache_size = -{};
         PRAGMA mmap_size = {};
         PRAGMA temp_store = MEMORY;",
        options.page_cache_bytes / 1024,
        options.mmap_bytes
    ))?;
    functions::register(connection, &session.meter)
}

/// Lets SQLite sort in one piece of memory, and beyond [`StoreOptions::page_cache_bytes`] in files: what is sorted in memory alone
/// is allocated row by row, which takes a tenth of the instructions of an aggregate, and is bounded by nothing. Where no file can be made,
/// it stays in memory.
fn keep_sorted_in_files(connection: &Connection) -> rusqlite::Result<()> {
    static CAN_MAKE_FILES: LazyLock<bool> =
        LazyLock::new(|| temporary_folders().any(|folder| can_make_file(&folder)));
    if *CAN_MAKE_FILES { connection.execute_batch("PRAGMA temp_store = FILE") } else { Ok(()) }
}

/// Where SQLite makes temporary files: in the first that there is and may be written to (<https://sqlite.org/tempfiles.html>).
fn temporary_folders() -> impl Iterator<Item = PathBuf> {
    let told = ["SQLITE_TMPDIR", "TMPDIR"].into_iter().filter_map(std::env::var_os).map(PathBuf::from);
    told.chain(["/var/tmp", "/usr/tmp", "/tmp", "."].map(PathBuf::from))
}

fn can_make_file(folder: &Path) -> bool {
    let path = folder.join(format!("mainstay-{}", std::process::id()));
    let made = File::options().write(true).create_new(true).open(&path).is_ok();
    made && std::fs::remove_file(&path).is_ok()
}

/// Tries again for so long when the database is locked.
fn wait_when_busy(connection: &mut Connection, patience: Duration) -> rusqlite::Result<()> {
    let calls_max = patience.as_micros() / BUSY_POLL.as_micros();
    connection.busy_handler(Some(move |calls: i32| {
        std::thread::sleep(BUSY_POLL);
        u128::from(calls.unsigned_abs()) < calls_max
    }))
}

/// Asks for write-ahead logging. Another process that opens the file at the same moment may hold it for a while.
fn set_journal(path: &Path, connection: &Connection) -> Result<(), StoreError> {
    let mut attempts = BUSY_MAX.as_millis() / BUSY_SLICE.as_millis();
    let mode = loop {
        let mode = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0));
        match mode {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && attempts > 0 => {
                attempts -= 1;
                // Not every step of the change calls the busy handler.
                std::thread::sleep(BUSY_POLL);
            }
            mode => break mode.map_err(|error| explain_open(path, connection, &error))?,
        }
    };
    if mode.eq_ignore_ascii_case("wal") {
        return Ok(());
    }
    Err(StoreError::Io {
        detail: format!(
            "{} stands on a file system that cannot keep a write-ahead log (a network drive?); \
             choose a folder on a local disk",
            path.display()
        ),
    })
}

fn explain_open(path: &Path, connection: &Connection, error: &rusqlite::Error) -> StoreError {
    if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) {
        let detail =
            format!("{} is a file, but no SQLite database; move it away or name another", path.display());
        return StoreError::Corrupt { detail };
    }
    convert_plain(connection, error)
}

fn cannot_open(path: &Path, options: &StoreOptions, error: &rusqlite::Error) -> StoreError {
    if options.existing && !path.exists() {
        let detail =
            format!("{}: there is no such database, and the app wants one that is there", path.display());
        return StoreError::Io { detail };
    }
    if path.is_dir() {
        let detail = format!("{} is a folder; a database is a file in it", path.display());
        return StoreError::Io { detail };
    }
    StoreError::Io { detail: format!("cannot open the database {}: {error}", path.display()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::DatabaseUrl;

    /// A sort in memory alone would be as large as what is sorted.
    #[test]
    fn readers_sort_in_bounded_memory() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        let options = StoreOptions::new(DatabaseUrl::Sqlite(path.clone()));
        let writer = Session::open_writer(&path, &options).unwrap();
        let reader = Session::open_reader(&path, &options).unwrap();
        let kept = |session: &Session| {
            session.connection.query_row("PRAGMA temp_store", [], |row| row.get::<_, i64>(0)).unwrap()
        };
        assert_eq!((kept(&writer), kept(&reader)), (2, 1));
        assert!(!can_make_file(&path.join("no folder")));
    }
}
