//! Statements of a transaction that are sent together: one way there and back for all of them.
//!
//! The server carries them out in their order, each on what it finds when its turn comes, and none behind one that failed.
//! BEGIN is an exception: where it fails, those behind it are transactions of their own, and nobody can say any more that
//! nothing was done.
//!
//! Answers are taken off a connection in the order of the statements, each as it comes: the connection reads on only as far as
//! whoever asked has taken what is there, so that waiting for a later answer alone would be waiting for ever.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use futures_util::future::{join, try_join_all};
use tokio_postgres::Statement;

use super::connection::Connection;
use super::error::{Failure, is_fatal, with_source};
use super::pipeline::Sent;
use super::rows::{self, Budget};
use crate::StoreError;
use crate::query::{Kept, Outcome, Query, ReadLimits};

/// Statements that were sent before another one.
type Earlier = Vec<Sent<Result<(), Failure>>>;

/// Why statements that were sent together did not all succeed.
pub(super) struct Stopped {
    pub(super) failure: Failure,
    /// Which of those to be run before the last one it was.
    pub(super) at: Option<usize>,
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Stopped {
        Stopped { failure, at: None }
    }
}

/// Runs a statement, and before it those that were to be run together with it: all are sent before any is waited for.
pub(super) async fn run(
    connection: &Arc<Connection>,
    begin: Option<String>,
    later: Vec<Query>,
    query: Option<&Query>,
    limits: ReadLimits,
) -> Result<Outcome, Stopped> {
    let prepared = match query.map(|query| (&query.statement.sql, connection.prepared(&query.statement.sql)))
    {
        None => None,
        Some((_, Some(statement))) => statement,
        Some((sql, None)) => connection.prepare(sql).await?,
    };
    let begins = begin.is_some();
    let earlier = send(connection, begin, later).await?;
    let Some(query) = query else {
        answers(earlier, begins).await.and(false)?;
        return Ok(Outcome::Nothing { affected: 0 });
    };
    // Sent when this is first polled, behind those above.
    let last = connection.start(query, prepared.as_ref(), limits.rows);
    let (earlier, stream) = join(answers(earlier, begins), last).await;
    earlier.and(stream.is_ok())?;
    let mut budget = Budget::new(limits);
    let outcome = rows::read(Box::pin(stream?), query, &mut budget).await;
    // What rows are left are taken off the connection before its next answer.
    outcome.map_err(|(failure, _)| failure.into())
}

/// Sends BEGIN and statements, in this order, and waits for none of them.
async fn send(
    connection: &Arc<Connection>,
    begin: Option<String>,
    later: Vec<Query>,
) -> Result<Earlier, Failure> {
    let prepared = try_join_all(later.iter().map(|query| connection.prepare(&query.statement.sql))).await?;
    let begin = begin.map(|begin| {
        let connection = connection.clone();
        Sent::new(async move { connection.execute(&begin).await })
    });
    let later = later.into_iter().zip(prepared).map(|(query, statement)| {
        let connection = connection.clone();
        Sent::new(async move {
            let stream = connection.start(&query, statement.as_ref(), u64::MAX).await?;
            let limits = ReadLimits { rows: u64::MAX, bytes: u64::MAX, deadline: Instant::now() };
            let outcome = rows::read(Box::pin(stream), &query, &mut Budget::new(limits)).await;
            outcome.map(drop).map_err(|(failure, _)| failure)
        })
    });
    let mut sent: Earlier = begin.into_iter().chain(later).collect();
    poll_fn(|cx| {
        sent.iter_mut().for_each(|sent| sent.send(cx));
        Poll::Ready(())
    })
    .await;
    Ok(sent)
}

/// What statements that were sent together have come to.
struct Answers {
    stopped: Option<Stopped>,
    /// One behind that was carried out all the same.
    done_behind: bool,
}

/// Waits for all of them. `begins`: the first one is BEGIN.
async fn answers(sent: Earlier, begins: bool) -> Answers {
    let mut answers = Answers { stopped: None, done_behind: false };
    for (at, sent) in sent.into_iter().enumerate() {
        match (sent.answer().await, &answers.stopped) {
            (Ok(()), None) | (Err(_), Some(_)) => {}
            (Ok(()), Some(_)) => answers.done_behind = true,
            (Err(failure), None) => {
                answers.stopped = Some(Stopped { failure, at: at.checked_sub(usize::from(begins)) });
            }
        }
    }
    answers
}

impl Answers {
    /// Whether all were carried out. `is_last_done`: the one that was sent behind them was.
    ///
    /// Only a cancel request from outside can make BEGIN fail. Then those behind it may have been carried out as transactions of
    /// their own.
    fn and(self, is_last_done: bool) -> Result<(), Stopped> {
        match self.stopped {
            None => Ok(()),
            Some(Stopped { failure, at: None }) if self.done_behind || is_last_done => {
                let detail = format!("the transaction did not begin: {}", failure.into_error());
                Err(Failure::Refused(StoreError::OutcomeUnknown { detail }).into())
            }
            Some(stopped) => Err(stopped),
        }
    }
}

/// What has become of a transaction that was to be kept.
pub(super) enum Committed {
    /// Everything is kept.
    Kept,
    /// It has ended, and nothing of it is kept.
    Undone(Stopped),
    /// It has not ended.
    Open(Failure),
    /// Nobody knows.
    Unknown(String),
}

/// COMMIT, and together with it the statements that are still to be run.
pub(super) async fn commit(
    connection: &Arc<Connection>,
    begin: Option<String>,
    before: Vec<Query>,
) -> Committed {
    let begins = begin.is_some();
    let earlier = match send(connection, begin, before).await {
        Ok(earlier) => earlier,
        Err(failure) => return Committed::Open(failure),
    };
    let (earlier, ended) = join(answers(earlier, begins), connection.client.batch_execute("COMMIT")).await;
    match earlier.and(false) {
        Ok(()) => {}
        Err(stopped) => return stopped.ended(),
    }
    match ended {
        Ok(()) => kept(connection),
        Err(error) => match error.as_db_error() {
            Some(refusal) if !is_fatal(refusal) => Committed::Undone(Failure::from(error).into()),
            _ => Committed::Unknown(with_source(&error)),
        },
    }
}

/// Runs the only statement of a transaction, which is kept with it: the server needs no BEGIN and no COMMIT for that. `told`: what comes
/// back.
pub(super) async fn run_and_keep(connection: &Connection, query: &Query, told: Option<&Kept>) -> Committed {
    let statement = match connection.prepared(&query.statement.sql) {
        Some(statement) => statement,
        None => match connection.prepare(&query.statement.sql).await {
            Ok(statement) => statement,
            Err(failure) => return Committed::Open(failure),
        },
    };
    match run_alone(connection, query, statement.as_ref()).await {
        Ok(outcome) => {
            if let (Some(told), Outcome::Values(rows)) = (told, outcome) {
                told.tell(rows);
            }
            kept(connection)
        }
        Err(failure) => Stopped { failure, at: Some(0) }.ended(),
    }
}

async fn run_alone(
    connection: &Connection,
    query: &Query,
    statement: Option<&Statement>,
) -> Result<Outcome, Failure> {
    let stream = connection.start(query, statement, u64::MAX).await?;
    let limits = ReadLimits { rows: u64::MAX, bytes: u64::MAX, deadline: Instant::now() };
    let outcome = rows::read(Box::pin(stream), query, &mut Budget::new(limits)).await;
    outcome.map_err(|(failure, _)| failure)
}

fn kept(connection: &Connection) -> Committed {
    if connection.is_unreplicated() {
        return Committed::Unknown("it was committed, and no standby has it yet".to_owned());
    }
    Committed::Kept
}

impl Stopped {
    /// What has become of a transaction whose end was sent behind the statement.
    fn ended(self) -> Committed {
        match self.failure {
            Failure::Refused(StoreError::OutcomeUnknown { detail }) => Committed::Unknown(detail),
            // A connection that was lost may have been lost behind the end.
            Failure::Gone(error) => Committed::Unknown(error.to_string()),
            _ => Committed::Undone(self),
        }
    }
}
