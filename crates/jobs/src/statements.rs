//! The statements on the table of jobs, made once, and their running.
//!
//! Whatever changes a job goes through [`change`], so that who follows the change log hears of it where the app shows its jobs.

use std::sync::Arc;

use mainstay_engine::bind;
use mainstay_lang::schema::Schema;
use mainstay_lang::value::{Timestamp, Value};
use mainstay_sql::Dialect;
use mainstay_sql::statement::Statement;
use mainstay_sql::system::{self, job};
use mainstay_store::{Outcome, Query, StoreError, Tx};
use serde::Serialize;
use uuid::Uuid;

use crate::log::Logged;
use crate::row;

pub(crate) struct Statements {
    pub(crate) insert: Arc<Statement>,
    pub(crate) insert_or_ignore: Arc<Statement>,
    pub(crate) insert_or_replace: Arc<Statement>,
    pub(crate) find_unique: Arc<Statement>,
    pub(crate) promote: Arc<Statement>,
    pub(crate) next_due: Arc<Statement>,
    pub(crate) mark: Arc<Statement>,
    pub(crate) park: Arc<Statement>,
    pub(crate) running_of_key: Arc<Statement>,
    pub(crate) running_of_queue: Arc<Statement>,
    pub(crate) blocked_keys: Arc<Statement>,
    pub(crate) release: Arc<Statement>,
    pub(crate) release_batches: Arc<Statement>,
    pub(crate) renew: Arc<Statement>,
    pub(crate) settle: Arc<Statement>,
    pub(crate) finish: Arc<Statement>,
    pub(crate) rescue: Arc<Statement>,
    pub(crate) cancel: Arc<Statement>,
    pub(crate) retry: Arc<Statement>,
    pub(crate) progress: Arc<Statement>,
    pub(crate) prune: Arc<Statement>,
    pub(crate) images: Arc<Statement>,
    pub(crate) list: Arc<Statement>,
    pub(crate) counts: Arc<Statement>,
    pub(crate) fact: Arc<Statement>,
    pub(crate) remember: Arc<Statement>,
    pub(crate) steady: Option<Arc<Statement>>,
    lazy: Option<Arc<Statement>>,
    pub(crate) turn: Option<Arc<Statement>>,
    pub(crate) logged: Option<Logged>,
}

impl Statements {
    pub(crate) fn new(schema: &Arc<Schema>, dialect: &'static dyn Dialect) -> Statements {
        let made = |make: fn(&Schema, &dyn Dialect) -> Statement| Arc::new(make(schema, dialect));
        let insert = |conflict| Arc::new(job::insert(schema, dialect, conflict));
        Statements {
            insert: insert(job::Conflict::None),
            insert_or_ignore: insert(job::Conflict::Ignore),
            insert_or_replace: insert(job::Conflict::Replace),
            find_unique: made(job::find_unique),
            promote: made(job::promote),
            next_due: made(job::next_due),
            mark: made(job::mark),
            park: made(job::park),
            running_of_key: made(job::running_of_key),
            running_of_queue: made(job::running_of_queue),
            blocked_keys: made(job::blocked_keys),
            release: made(job::release),
            release_batches: made(job::release_batches),
            renew: made(job::renew),
            settle: made(job::settle),
            finish: made(job::finish),
            rescue: made(job::rescue),
            cancel: made(job::cancel),
            retry: made(job::retry),
            progress: made(job::progress),
            prune: made(job::prune),
            images: made(job::images),
            list: made(job::list),
            counts: made(job::counts),
            fact: made(system::meta_get),
            remember: made(system::meta_put),
            steady: job::steady(schema, dialect).map(Arc::new),
            lazy: job::lazy(schema, dialect).map(Arc::new),
            turn: job::turn(schema, dialect).map(Arc::new),
            logged: Logged::of(schema, dialect),
        }
    }

    /// Keeps the statements behind it to their indexes.
    pub(crate) async fn steady(&self, tx: &mut Tx) -> Result<(), StoreError> {
        match &self.steady {
            Some(steady) => tx.later(query(steady, &[])).await,
            None => Ok(()),
        }
    }

    /// Lets the transaction end without waiting for the disk.
    pub(crate) async fn lazy(&self, tx: &mut Tx) -> Result<(), StoreError> {
        match &self.lazy {
            Some(lazy) => tx.later(query(lazy, &[])).await,
            None => Ok(()),
        }
    }

    /// What was changed is nobody else's concern, unless somebody follows the log.
    pub(crate) fn quiet(&self, tx: &mut Tx, changed: usize) {
        if changed == 0 || self.logged.is_none() {
            tx.keep_quiet();
        }
    }

    /// Waits until nobody else has the turn of a name.
    pub(crate) async fn turn(&self, tx: &mut Tx, name: &str) -> Result<(), StoreError> {
        match &self.turn {
            Some(turn) => tx.later(query(turn, &[Value::Text(name.to_owned())])).await,
            None => Ok(()),
        }
    }
}

/// A statement with its values.
pub(crate) fn query(statement: &Arc<Statement>, params: &[Value]) -> Query {
    bind::without_caller(statement, params)
}

/// Runs a statement that reads values.
pub(crate) async fn values(
    tx: &mut Tx,
    statement: &Arc<Statement>,
    params: &[Value],
) -> Result<Vec<Vec<Value>>, StoreError> {
    match tx.query(&query(statement, params)).await? {
        Outcome::Values(rows) => Ok(rows),
        _ => Err(StoreError::Other(format!("no values come back from: {}", statement.sql))),
    }
}

/// Runs a statement that reads one number.
pub(crate) async fn number(tx: &mut Tx, statement: &Arc<Statement>, param: &str) -> Result<u32, StoreError> {
    let rows = values(tx, statement, &[Value::Text(param.to_owned())]).await?;
    let number = rows.into_iter().flatten().next().and_then(row::int).unwrap_or(0);
    Ok(u32::try_from(number).unwrap_or(u32::MAX))
}

/// The fact of a name as a time.
pub(crate) async fn time_of(
    tx: &mut Tx,
    statements: &Statements,
    name: &str,
) -> Result<Option<Timestamp>, StoreError> {
    let rows = values(tx, &statements.fact, &[Value::Text(name.to_owned())]).await?;
    let text = rows.into_iter().flatten().next().and_then(row::text);
    Ok(text.and_then(|text| text.parse().ok()).map(Timestamp))
}

/// Keeps a time as the fact of a name.
pub(crate) async fn keep_time(
    tx: &mut Tx,
    statements: &Statements,
    name: &str,
    at: Timestamp,
) -> Result<(), StoreError> {
    let params = [Value::Text(name.to_owned()), Value::Text(at.0.to_string())];
    tx.later(query(&statements.remember, &params)).await
}

/// Rows as the JSON text that statements take.
pub(crate) fn json(rows: &impl Serialize) -> Result<Value, StoreError> {
    let text = serde_json::to_string(rows).map_err(|error| StoreError::Other(error.to_string()))?;
    Ok(Value::Json(text))
}

/// Ids as the JSON text that statements take.
pub(crate) fn ids_json<'i>(ids: impl IntoIterator<Item = &'i Uuid>) -> Value {
    let mut text = "[".to_owned();
    for id in ids {
        text.push_str(if text.len() > 1 { ",{\"id\":\"" } else { "{\"id\":\"" });
        text.push_str(id.as_hyphenated().encode_lower(&mut Uuid::encode_buffer()));
        text.push_str("\"}");
    }
    text.push(']');
    Value::Json(text)
}

/// The ids in the first column.
pub(crate) fn ids(rows: Vec<Vec<Value>>) -> Vec<Uuid> {
    rows.into_iter().filter_map(|row| row.into_iter().next().and_then(row::uuid)).collect()
}
