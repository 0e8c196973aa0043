//! Whole tables out of a SQLite file and into one.
//!
//! Reading has a connection that cannot write, in one read transaction from its opening on: everything comes from one
//! snapshot, and writers go on beside it. Writing has a connection of its own, whose commits are not waited for on the disk
//! until the end, and which checks no references until then.

use std::path::Path;
use std::sync::Arc;

use mainstay_lang::types::Type;
use mainstay_lang::value::{Date, Decimal, Duration, Time, Timestamp, Value};
use mainstay_sql::copy::CopyTable;
use mainstay_sql::statement::Statement;
use mainstay_sql::{SQLITE, copy};
use parking_lot::Mutex;
use rusqlite::types::{Null, ValueRef};
use rusqlite::{Connection, OpenFlags, Row};

use super::connection::{BUSY_MAX, Session};
use super::error::convert_plain;
use super::json::get;
use super::lock::FolderLock;
use super::meter::Pace;
use super::values::real;
use super::{prepare_path, script};
use crate::StoreError;
use crate::copy::batch::{self, Batch, Batches};
use crate::copy::tuple::{self, Field};
use crate::options::{StoreOptions, Synchronous};
use crate::query::{Bound, Outcome};

/// A file that is read.
#[derive(Debug)]
pub(crate) struct Reader {
    session: Arc<Mutex<Session>>,
    _lock: Option<FolderLock>,
}

/// A file that is filled.
#[derive(Debug)]
pub(crate) struct Filler {
    session: Arc<Mutex<Session>>,
    _lock: FolderLock,
}

impl Reader {
    /// Begins the snapshot. `exclusive`: refuses a file that a server holds, and keeps servers from it.
    pub(crate) fn open(path: &Path, exclusive: bool) -> Result<Reader, StoreError> {
        if !path.is_file() {
            return Err(StoreError::Io { detail: format!("there is no database at {}", path.display()) });
        }
        let lock = if exclusive { Some(FolderLock::take(path)?) } else { None };
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(|error| StoreError::Io {
            detail: format!("cannot open the database {}: {error}", path.display()),
        })?;
        let begin = || -> rusqlite::Result<()> {
            connection.busy_timeout(BUSY_MAX)?;
            connection.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema")
        };
        begin().map_err(|error| convert_plain(&connection, &error))?;
        let session =
            Arc::new(Mutex::new(Session { connection, meter: Arc::default(), log_pages: Arc::default() }));
        Ok(Reader { session, _lock: lock })
    }

    pub(crate) async fn values(
        &self,
        statement: Statement,
        values: Vec<Value>,
    ) -> Result<Vec<Vec<Value>>, StoreError> {
        on(&self.session, move |session| run(session, statement, values)).await
    }

    /// All rows of a table.
    pub(crate) fn stream(&self, table: &CopyTable, in_order: bool) -> Batches {
        let (mut sender, batches) = batch::channel();
        let (session, table) = (self.session.clone(), table.clone());
        tokio::task::spawn_blocking(move || {
            let session = session.lock();
            let read = read(&session, &table, in_order, &mut sender);
            sender.blocking_end(read);
        });
        batches
    }
}

fn read(
    session: &Session,
    table: &CopyTable,
    in_order: bool,
    sender: &mut batch::Sender,
) -> Result<(), StoreError> {
    let failed = |error: rusqlite::Error| convert_plain(&session.connection, &error);
    let sql = copy::read(SQLITE, table, in_order);
    let mut statement = session.connection.prepare(&sql).map_err(failed)?;
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().map_err(failed)? {
        let tuples = sender.tuples();
        let from = tuples.len();
        tuple::begin(tuples, table.columns.len());
        for (place, column) in table.columns.iter().enumerate() {
            let stored = get(row, place)?;
            let field = field(stored, &column.ty);
            let field = field.ok_or_else(|| is_no_value(row, table, place, stored))?;
            tuple::put(tuples, field);
        }
        if sender.end_row(from) && sender.blocking_send().is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// A stored value as it stands in a tuple; none: it is not of the type.
fn field<'r>(stored: ValueRef<'r>, ty: &Type) -> Option<Field<'r>> {
    match (ty, stored) {
        (_, ValueRef::Null) => Some(Field::Null),
        (Type::Bool, ValueRef::Integer(value)) => Some(Field::Bool(value != 0)),
        (Type::Int, ValueRef::Integer(value)) => Some(Field::Int(value)),
        (Type::Duration, ValueRef::Integer(value)) => Some(Field::Duration(Duration(value))),
        (Type::Float, stored) => real(stored).map(Field::Float),
        (Type::Decimal { scale, .. }, ValueRef::Integer(mantissa)) => {
            Some(Field::Decimal(Decimal { mantissa, scale: *scale }))
        }
        (Type::Bytes, ValueRef::Blob(value)) => Some(Field::Bytes(value)),
        (ty, ValueRef::Text(text)) => {
            let text = std::str::from_utf8(text).ok()?;
            match ty {
                Type::Uuid => text.parse().ok().map(Field::Uuid),
                Type::Date => Date::parse(text).map(Field::Date),
                Type::Time => Time::parse(text).map(Field::Time),
                Type::Timestamp => Timestamp::parse(text).map(Field::Timestamp),
                Type::Text { .. } | Type::Enum(_) | Type::File | Type::Json | Type::List(_) => {
                    Some(Field::Text(text))
                }
                _ => None,
            }
        }
        _ => None,
    }
}

fn is_no_value(row: &Row<'_>, table: &CopyTable, place: usize, stored: ValueRef<'_>) -> StoreError {
    let key = table.key.iter().map(|place| match get(row, *place) {
        Ok(ValueRef::Integer(key)) => key.to_string(),
        Ok(ValueRef::Text(key)) => String::from_utf8_lossy(key).into_owned(),
        _ => "?".to_owned(),
    });
    let key = key.collect::<Vec<_>>().join(", ");
    let column = &table.columns[place];
    StoreError::Corrupt {
        detail: format!(
            "{}.{} of the row {key} holds a {} that is no {}",
            table.name,
            column.name,
            stored.data_type(),
            column.ty
        ),
    }
}

impl Filler {
    /// Opens the file, which is made when it is not there, and keeps servers from it.
    pub(crate) fn open(path: &Path, options: &StoreOptions) -> Result<Filler, StoreError> {
        let path = prepare_path(path)?;
        let lock = FolderLock::take(&path)?;
        // What a power cut could take is copied again: how far it came stands in the same transactions.
        let synchronous = Synchronous::Normal;
        // A file that grows is not worth mapping.
        let options = StoreOptions { synchronous, mmap_bytes: 0, ..options.clone() };
        let session = Session::open_writer(&path, &options)?;
        session.execute("PRAGMA foreign_keys = OFF")?;
        // What is sorted for an index would otherwise stand in memory.
        session.execute("PRAGMA temp_store = FILE")?;
        Ok(Filler { session: Arc::new(Mutex::new(session)), _lock: lock })
    }

    pub(crate) async fn values(
        &self,
        statement: Statement,
        values: Vec<Value>,
    ) -> Result<Vec<Vec<Value>>, StoreError> {
        on(&self.session, move |session| run(session, statement, values)).await
    }

    pub(crate) async fn script(&self, statements: Vec<String>) -> Result<(), StoreError> {
        on(&self.session, move |session| {
            let done = script::execute(&mut session.connection, &statements);
            // The script leaves them on.
            session.execute("PRAGMA foreign_keys = OFF")?;
            done
        })
        .await
    }

    /// Writes a batch into the transaction that is open, or into a new one.
    pub(crate) async fn append(&self, table: &Arc<CopyTable>, batch: Batch) -> Result<(), StoreError> {
        let table = table.clone();
        on(&self.session, move |session| append(session, &table, &batch)).await
    }

    /// Notes how far the rows have come, and keeps them.
    pub(crate) async fn commit(&self, note: Statement, values: Vec<Value>) -> Result<(), StoreError> {
        on(&self.session, move |session| {
            begin(session)?;
            run(session, note, values)?;
            session.execute("COMMIT")
        })
        .await
    }

    /// Leaves everything in one file, on the disk.
    pub(crate) async fn close(self) -> Result<(), StoreError> {
        on(&self.session, |session| {
            session.execute("PRAGMA synchronous = FULL")?;
            session.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        })
        .await
    }
}

fn begin(session: &Session) -> Result<(), StoreError> {
    if session.connection.is_autocommit() { session.execute("BEGIN IMMEDIATE") } else { Ok(()) }
}

fn append(session: &Session, table: &CopyTable, batch: &Batch) -> Result<(), StoreError> {
    begin(session)?;
    let failed = |error: rusqlite::Error| session.failed(&error);
    let mut statement = session.connection.prepare_cached(&copy::write(SQLITE, table)).map_err(failed)?;
    let mut rest = &batch.tuples[..];
    let cut_off = || StoreError::Other("a batch of rows ends inside one".to_owned());
    for _ in 0..batch.rows {
        tuple::take_columns(&mut rest).ok_or_else(cut_off)?;
        for (place, column) in table.columns.iter().enumerate() {
            let raw = tuple::take_raw(&mut rest).ok_or_else(cut_off)?;
            let field = raw.map_or(Some(Field::Null), |raw| tuple::read(raw, &column.ty));
            let field = field.ok_or_else(|| StoreError::Corrupt {
                detail: format!("{}.{} would get a value that is no {}", table.name, column.name, column.ty),
            })?;
            bind(&mut statement, place + 1, field).map_err(failed)?;
        }
        statement.raw_execute().map_err(failed)?;
    }
    Ok(())
}

fn bind(statement: &mut rusqlite::Statement<'_>, index: usize, field: Field<'_>) -> rusqlite::Result<()> {
    match field {
        Field::Null => statement.raw_bind_parameter(index, Null),
        Field::Bool(value) => statement.raw_bind_parameter(index, value),
        Field::Int(value) | Field::Duration(Duration(value)) => statement.raw_bind_parameter(index, value),
        Field::Float(value) => statement.raw_bind_parameter(index, value),
        Field::Decimal(value) => statement.raw_bind_parameter(index, value.mantissa),
        Field::Text(value) => statement.raw_bind_parameter(index, value),
        Field::Uuid(value) => {
            statement.raw_bind_parameter(index, &*value.hyphenated().encode_lower(&mut [0; 36]))
        }
        Field::Date(value) => statement.raw_bind_parameter(index, value.to_ascii().as_str()),
        Field::Time(value) => statement.raw_bind_parameter(index, value.to_ascii().as_str()),
        Field::Timestamp(value) => statement.raw_bind_parameter(index, value.to_ascii().as_str()),
        Field::Bytes(value) => statement.raw_bind_parameter(index, value),
    }
}

fn run(session: &Session, statement: Statement, values: Vec<Value>) -> Result<Vec<Vec<Value>>, StoreError> {
    session.meter.start(u64::MAX, Pace::Unbound);
    match session.run(Bound { statement: &statement, values: &values }, u64::MAX)? {
        Outcome::Values(rows) => Ok(rows),
        _ => Ok(Vec::new()),
    }
}

/// Does something with a connection on a thread that may wait.
async fn on<R: Send + 'static>(
    session: &Arc<Mutex<Session>>,
    work: impl FnOnce(&mut Session) -> Result<R, StoreError> + Send + 'static,
) -> Result<R, StoreError> {
    let session = session.clone();
    let done = tokio::task::spawn_blocking(move || work(&mut session.lock())).await;
    done.unwrap_or_else(|error| Err(StoreError::Other(format!("copying broke off: {error}"))))
}
