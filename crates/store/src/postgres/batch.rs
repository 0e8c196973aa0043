//! A batch of reads on one connection: sent at once, answered in one round trip.
//!
//! Several statements stand in one REPEATABLE READ transaction, so that all see the same rows; one alone needs none
//! where the connection refuses writes by itself.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use tokio_postgres::{RowStream, Statement};

use super::connection::Connection;
use super::error::Failure;
use super::pipeline::Sent;
use super::rows::{self, Budget};
use crate::query::{Outcome, Query, ReadLimits};

/// How much later than here the server gives up a statement by itself, should nobody be there to cancel it.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// BEGIN that gives each statement of the transaction until a deadline and some grace, as the server sees it.
pub(super) fn begin_until(mode: &str, deadline: Instant, grace: Duration) -> String {
    let patience = deadline.saturating_duration_since(Instant::now()) + grace;
    // None at all would mean that there is no end to it.
    let patience_ms = i32::try_from(patience.as_millis()).unwrap_or(i32::MAX).max(1);
    format!("BEGIN {mode}; SET LOCAL statement_timeout = {patience_ms}")
}

/// What stands around the statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// Nothing.
    Bare,
    /// A transaction that cannot write.
    ReadOnly,
    /// A transaction that sees one snapshot and cannot write.
    Snapshot,
}

impl Frame {
    /// What a batch needs on a connection that refuses writes by itself, or on one that does not.
    pub(super) fn of(queries: &[Query], refuses_writes: bool) -> Frame {
        match queries {
            [_] | [] if refuses_writes => Frame::Bare,
            [_] | [] => Frame::ReadOnly,
            _ => Frame::Snapshot,
        }
    }

    fn begin(self, deadline: Instant) -> Option<String> {
        match self {
            Frame::Bare => None,
            Frame::ReadOnly => Some(begin_until("READ ONLY", deadline, GRACE)),
            Frame::Snapshot => {
                Some(begin_until("ISOLATION LEVEL REPEATABLE READ READ ONLY", deadline, GRACE))
            }
        }
    }
}

/// How a batch went.
pub(super) struct Ran {
    pub(super) result: Result<Vec<Outcome>, Failure>,
    /// Ends when the server has said everything that it still has to say; none: it has.
    pub(super) rest: Option<BoxFuture<'static, ()>>,
}

/// The prepared statements of a batch on a connection.
pub(super) async fn prepare(
    connection: &Connection,
    queries: &[Query],
) -> Result<Vec<Option<Statement>>, Failure> {
    let mut statements = Vec::with_capacity(queries.len());
    for query in queries {
        statements.push(connection.prepare(&query.statement.sql).await?);
    }
    Ok(statements)
}

/// Runs a batch. `sending` is called when it is its turn to be sent, before anybody else's.
pub(super) async fn run(
    connection: &Arc<Connection>,
    queries: &Arc<[Query]>,
    statements: Vec<Option<Statement>>,
    limits: ReadLimits,
    frame: Frame,
    mut sending: impl FnMut(),
) -> Ran {
    let execute = |sql: String| {
        let connection = connection.clone();
        Sent::new(async move { connection.execute(&sql).await })
    };
    let mut begin = frame.begin(limits.deadline).map(execute);
    let mut waiting: VecDeque<Sent<Result<RowStream, Failure>>> = statements
        .into_iter()
        .enumerate()
        .map(|(at, statement)| {
            let (connection, queries) = (connection.clone(), queries.clone());
            Sent::new(async move { connection.start(&queries[at], statement.as_ref(), limits.rows).await })
        })
        .collect();
    let mut commit = begin.is_some().then(|| execute("COMMIT".to_owned()));
    connection
        .send(|cx| {
            sending();
            begin.iter_mut().for_each(|begin| begin.send(cx));
            waiting.iter_mut().for_each(|query| query.send(cx));
            commit.iter_mut().for_each(|commit| commit.send(cx));
        })
        .await;

    let mut unread = None;
    let result = read_all(begin, &mut waiting, queries, limits, &mut unread).await;
    if result.is_ok() {
        // It was read only: how its transaction ends does not matter to it any more. Where it does not end, whoever comes next on the
        // connection is told so.
        if let Some(Err(failure)) = end(commit).await {
            tracing::debug!(?failure, "a read was answered, and its transaction not ended");
        }
        return Ran { result, rest: None };
    }
    let rest = async move {
        while let Some(stream) = &mut unread
            // A connection that is gone says so again and again.
            && let Some(Ok(_)) = stream.next().await
        {}
        for sent in waiting {
            drop(sent.answer().await);
        }
        drop(end(commit).await);
    };
    Ran { result, rest: Some(Box::pin(rest)) }
}

async fn end(commit: Option<Sent<Result<(), Failure>>>) -> Option<Result<(), Failure>> {
    match commit {
        Some(commit) => Some(commit.answer().await),
        None => None,
    }
}

async fn read_all(
    begin: Option<Sent<Result<(), Failure>>>,
    waiting: &mut VecDeque<Sent<Result<RowStream, Failure>>>,
    queries: &[Query],
    limits: ReadLimits,
    unread: &mut Option<std::pin::Pin<Box<RowStream>>>,
) -> Result<Vec<Outcome>, Failure> {
    if let Some(begin) = begin {
        begin.answer().await?;
    }
    let mut budget = Budget::new(limits);
    let mut outcomes = Vec::with_capacity(queries.len());
    for query in queries {
        let Some(sent) = waiting.pop_front() else { break };
        let stream = Box::pin(sent.answer().await?);
        let outcome = rows::read(stream, query, &mut budget).await;
        outcomes.push(outcome.map_err(|(failure, rest)| {
            *unread = rest;
            failure
        })?);
    }
    Ok(outcomes)
}
