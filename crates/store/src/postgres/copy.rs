//! Whole tables out of a PostgreSQL database and into one, by binary `COPY`.
//!
//! Reading has a connection with one read-only REPEATABLE READ transaction from its opening on: everything comes from one
//! snapshot. Writing has a connection of its own and a lock of its own on the database, so that two that fill it do not meet.
//! Neither stands behind a pooler.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt as _, StreamExt as _};
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;
use mainstay_sql::copy::CopyTable;
use mainstay_sql::statement::{ResultShape, Statement};
use mainstay_sql::{POSTGRES, copy};
use tokio_postgres::CopyInSink;

use super::PostgresUrl;
use super::connection::{Connection, Purpose, Target};
use super::error::Failure;
use super::rows::{self, Budget};
use super::script;
use crate::StoreError;
use crate::copy::batch::{self, Batch, Batches};
use crate::copy::tuple::{self, Field};
use crate::options::StoreOptions;
use crate::query::{Outcome, Query, ReadLimits};

/// What begins and ends a stream of tuples: <https://www.postgresql.org/docs/current/sql-copy.html>.
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
const HEADER_BYTES: usize = 19;
const HEADER: &[u8; HEADER_BYTES] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const TRAILER: &[u8] = &[0xff, 0xff];

/// Held by whoever fills a database.
const FILL_LOCK: i64 = 0x6d61_696e_6669_6c6c;

/// How long one statement of the store's own may take here: a large table is counted, an index is made.
const PATIENCE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Copying takes its time, and waits for the other side.
const PATIENT: &str =
    "SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0";

/// A database that is read.
pub(crate) struct Reader {
    connection: Arc<Connection>,
}

/// A database that is filled.
pub(crate) struct Filler {
    target: Arc<Target>,
    connection: Arc<Connection>,
    /// The rows on their way into one table.
    sink: Option<Pin<Box<CopyInSink<Bytes>>>>,
}

impl Reader {
    /// Begins the snapshot.
    pub(crate) async fn open(url: &PostgresUrl, options: &StoreOptions) -> Result<Reader, StoreError> {
        let target = Arc::new(Target::new(url, options, false)?);
        Reader::on(&target).await
    }

    async fn on(target: &Arc<Target>) -> Result<Reader, StoreError> {
        let connection = Arc::new(target.connect(Purpose::Read, Instant::now()).await?);
        let begin = format!("{PATIENT}; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT 1");
        connection.execute(&begin).await.map_err(Failure::into_error)?;
        Ok(Reader { connection })
    }

    pub(crate) async fn values(
        &self,
        statement: Statement,
        values: Vec<Value>,
    ) -> Result<Vec<Vec<Value>>, StoreError> {
        run(&self.connection, statement, values).await
    }

    /// How many other connections of servers and workers there are to the same database, as far as this user may see.
    pub(crate) async fn others(&self) -> Result<i64, StoreError> {
        // What a transaction has once seen of activity it would see for ever.
        let forget = self.connection.execute("SELECT pg_stat_clear_snapshot()").await;
        forget.map_err(Failure::into_error)?;
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                   AND application_name = 'mainstay' AND pid <> pg_backend_pid()";
        let statement =
            Statement { sql: sql.into(), binds: Vec::new(), result: ResultShape::Values(vec![Type::Int]) };
        let rows = self.values(statement, Vec::new()).await?;
        Ok(rows.first().and_then(|row| row.first()).map_or(0, |count| match count {
            Value::Int(count) => *count,
            _ => 0,
        }))
    }

    /// All rows of a table.
    pub(crate) fn stream(&self, table: &CopyTable, in_order: bool) -> Batches {
        let (mut sender, batches) = batch::channel();
        let (connection, table) = (self.connection.clone(), table.clone());
        tokio::spawn(async move {
            let read = read(&connection, &table, in_order, &mut sender).await;
            sender.end(read).await;
        });
        batches
    }
}

async fn read(
    connection: &Connection,
    table: &CopyTable,
    in_order: bool,
    sender: &mut batch::Sender,
) -> Result<(), StoreError> {
    let failed = |error| Failure::from(error).into_error();
    let sql = copy::read(POSTGRES, table, in_order);
    let mut stream = Box::pin(connection.client.copy_out(&sql).await.map_err(failed)?);
    let mut pending = BytesMut::new();
    let mut began = false;
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(failed)?;
        // A piece is a row with most servers, but no server has promised it.
        let mut rest = if pending.is_empty() {
            &piece[..]
        } else {
            pending.extend_from_slice(&piece);
            &pending[..]
        };
        if !began {
            let Some((header, behind)) = rest.split_at_checked(HEADER_BYTES) else {
                pending = BytesMut::from(rest);
                continue;
            };
            if !header.starts_with(SIGNATURE) {
                return Err(StoreError::Other("the server sent rows in an unknown form".to_owned()));
            }
            began = true;
            rest = behind;
        }
        while let Some(row) = tuple::take(&mut rest, table.columns.len()) {
            let tuples = sender.tuples();
            let from = tuples.len();
            write_tuple(row, table, tuples)?;
            if sender.end_row(from) && sender.send().await.is_err() {
                return Ok(());
            }
        }
        if rest == TRAILER {
            rest = &[];
        }
        pending = BytesMut::from(rest);
    }
    if pending.is_empty() {
        return Ok(());
    }
    Err(StoreError::Other(format!("the rows of {} ended inside one", table.name)))
}

/// A server's tuple in the one spelling of its values.
fn write_tuple(mut row: &[u8], table: &CopyTable, out: &mut Vec<u8>) -> Result<(), StoreError> {
    let whole = row;
    let wrong = |place: usize| {
        let column = &table.columns[place];
        StoreError::Corrupt {
            detail: format!(
                "{}.{} of the row {} holds a value that is no {}",
                table.name,
                column.name,
                key_of(whole, table),
                column.ty
            ),
        }
    };
    tuple::take_columns(&mut row);
    tuple::begin(out, table.columns.len());
    for (place, column) in table.columns.iter().enumerate() {
        let raw = tuple::take_raw(&mut row).ok_or_else(|| wrong(place))?;
        let field = raw.map_or(Some(Field::Null), |raw| tuple::read(raw, &column.ty));
        tuple::put(out, field.ok_or_else(|| wrong(place))?);
    }
    Ok(())
}

fn key_of(mut row: &[u8], table: &CopyTable) -> String {
    tuple::take_columns(&mut row);
    let fields: Vec<_> = table
        .columns
        .iter()
        .map(|column| tuple::take_raw(&mut row).flatten().and_then(|raw| tuple::read(raw, &column.ty)))
        .collect();
    let show = |place: &usize| match fields.get(*place) {
        Some(Some(Field::Int(key))) => key.to_string(),
        Some(Some(Field::Text(key))) => (*key).to_owned(),
        Some(Some(Field::Uuid(key))) => key.to_string(),
        _ => "?".to_owned(),
    };
    table.key.iter().map(show).collect::<Vec<_>>().join(", ")
}

impl Filler {
    /// Connects, and makes sure that nobody else fills the database.
    pub(crate) async fn open(url: &PostgresUrl, options: &StoreOptions) -> Result<Filler, StoreError> {
        let target = Arc::new(Target::new(url, options, false)?);
        let connection = Arc::new(target.connect(Purpose::Write, Instant::now()).await?);
        // What a crash of the server could take is copied again: how far it came stands in the same transactions.
        let settings = format!("{PATIENT}; SET synchronous_commit = off");
        connection.execute(&settings).await.map_err(Failure::into_error)?;
        let sql = format!("SELECT pg_try_advisory_lock({FILL_LOCK})");
        let statement =
            Statement { sql: sql.into(), binds: Vec::new(), result: ResultShape::Values(vec![Type::Bool]) };
        let rows = run(&connection, statement, Vec::new()).await?;
        if rows != [[Value::Bool(true)]] {
            return Err(StoreError::Busy { reason: "another move or restore is filling it" });
        }
        Ok(Filler { target, connection, sink: None })
    }

    pub(crate) async fn values(
        &self,
        statement: Statement,
        values: Vec<Value>,
    ) -> Result<Vec<Vec<Value>>, StoreError> {
        run(&self.connection, statement, values).await
    }

    pub(crate) async fn script(&self, statements: Vec<String>) -> Result<(), StoreError> {
        let patient = std::iter::once(PATIENT.to_owned());
        let statements: Vec<String> = patient.chain(statements).collect();
        script::execute(&self.target, &statements).await
    }

    /// A reader of what is kept.
    pub(crate) async fn reader(&self) -> Result<Reader, StoreError> {
        Reader::on(&self.target).await
    }

    /// Writes a batch into the transaction that is open, or into a new one.
    pub(crate) async fn append(&mut self, table: &CopyTable, batch: Batch) -> Result<(), StoreError> {
        let failed = |error| Failure::from(error).into_error();
        let sink = match &mut self.sink {
            Some(sink) => sink,
            none => {
                self.connection.execute("BEGIN").await.map_err(Failure::into_error)?;
                let sql = copy::write(POSTGRES, table);
                let mut sink = Box::pin(self.connection.client.copy_in(&sql).await.map_err(failed)?);
                sink.send(Bytes::from_static(HEADER)).await.map_err(failed)?;
                none.insert(sink)
            }
        };
        sink.send(Bytes::from_owner(batch.tuples)).await.map_err(failed)
    }

    /// Notes how far the rows have come, and keeps them.
    pub(crate) async fn commit(&mut self, note: Statement, values: Vec<Value>) -> Result<(), StoreError> {
        let failed = |error| Failure::from(error).into_error();
        match self.sink.take() {
            Some(mut sink) => {
                sink.send(Bytes::from_static(TRAILER)).await.map_err(failed)?;
                sink.as_mut().finish().await.map_err(failed)?;
            }
            None => self.connection.execute("BEGIN").await.map_err(Failure::into_error)?,
        }
        run(&self.connection, note, values).await?;
        self.connection.execute("COMMIT").await.map_err(Failure::into_error)
    }
}

async fn run(
    connection: &Connection,
    statement: Statement,
    values: Vec<Value>,
) -> Result<Vec<Vec<Value>>, StoreError> {
    let query = Query { statement: Arc::new(statement), values };
    let limits = ReadLimits { rows: u64::MAX, bytes: u64::MAX, deadline: Instant::now() + PATIENCE };
    let run = async {
        let prepared = connection.prepare(&query.statement.sql).await?;
        let stream = connection.start(&query, prepared.as_ref(), u64::MAX).await?;
        let read = rows::read(Box::pin(stream), &query, &mut Budget::new(limits)).await;
        read.map_err(|(failure, _)| failure)
    };
    match run.await.map_err(Failure::into_error)? {
        Outcome::Values(rows) => Ok(rows),
        _ => Ok(Vec::new()),
    }
}
