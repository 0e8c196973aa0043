//! Hearing of changes that others make, and telling them of ours.
//!
//! After commits one NOTIFY goes out for all of them together, on a connection of its own: inside the transactions it
//! would make their commits wait for each other. A notification can be lost with the connection that would have brought
//! it, and whoever writes past Mainstay sends none, so the database is also asked once a second how many transactions
//! there have been: more than we began means somebody else's.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, sleep, sleep_until};
use uuid::Uuid;

use super::connection::{Connection, Purpose, Target};
use super::error::Failure;
use super::writer::Writer;

/// Commits within this are told of together.
const TOGETHER: Duration = Duration::from_millis(5);

/// How often the database is asked, and how soon after it was lost it is tried again.
const POLL: Duration = Duration::from_secs(1);

/// The number that the next transaction gets. One of ours that wrote nothing got none and can hide one of somebody
/// else's, which is why notifications come first.
const NEXT_TRANSACTION: &str = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text";

/// Looks out for changes of others until it is dropped.
pub(super) async fn watch(target: Arc<Target>, writer: Arc<Writer>, foreign: watch::Sender<u64>) {
    let node = Uuid::new_v4().simple().to_string();
    let mut lost = false;
    loop {
        let (sender, notified) = mpsc::unbounded_channel();
        let connected = target.connect_listening(Purpose::Tell, Instant::now(), Some(sender)).await;
        let ended = match connected {
            Ok(connection) => {
                if std::mem::replace(&mut lost, false) {
                    // Whatever was told meanwhile was told to nobody.
                    foreign.send_modify(|changes| *changes += 1);
                }
                listen(&target, &connection, &node, &writer, notified, &foreign).await
            }
            Err(error) => Err(error.into()),
        };
        if let Err(failure) = ended {
            lost = true;
            tracing::warn!(error = %failure.into_error(), "changes of other nodes are not heard of at the moment");
            sleep(POLL).await;
        }
    }
}

async fn listen(
    target: &Target,
    connection: &Connection,
    node: &str,
    writer: &Writer,
    mut notified: mpsc::UnboundedReceiver<String>,
    foreign: &watch::Sender<u64>,
) -> Result<(), Failure> {
    // A pooler would hand the connection to somebody else after this; then asking has to do.
    if !target.pooled {
        connection.execute("LISTEN mainstay_change").await?;
    }
    let tell = format!("NOTIFY mainstay_change, '{node}'");
    let mut commits = writer.commits.subscribe();
    commits.mark_unchanged();
    let mut poll = interval(POLL);
    poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = None;
    let mut told = tokio::time::Instant::now();
    loop {
        tokio::select! {
            payload = notified.recv() => match payload {
                Some(payload) if payload == node => {}
                Some(_) => foreign.send_modify(|changes| *changes += 1),
                None => {
                    let detail = "the connection that listens ended".to_owned();
                    return Err(Failure::Gone(crate::StoreError::Lost { detail }));
                }
            },
            changed = commits.changed() => {
                if changed.is_err() {
                    return Ok(());
                }
                // The first one of a while is told of at once: somebody may wait for it.
                sleep_until(told + TOGETHER).await;
                commits.mark_unchanged();
                connection.execute(&tell).await?;
                told = tokio::time::Instant::now();
            }
            _ = poll.tick() => {
                // Read before the database is asked, so that those begun meanwhile are not taken for somebody else's.
                let begun = writer.begun.load(Ordering::Relaxed);
                let next = next_transaction(connection).await?;
                if let Some((begun_then, next_then)) = seen
                    && next.saturating_sub(next_then) > writer.begun.load(Ordering::Relaxed) - begun_then
                {
                    foreign.send_modify(|changes| *changes += 1);
                }
                seen = Some((begun, next));
            }
        }
    }
}

async fn next_transaction(connection: &Connection) -> Result<u64, Failure> {
    let rows = connection.client.simple_query(NEXT_TRANSACTION).await?;
    let number = rows.iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
        _ => None,
    });
    Ok(number.unwrap_or(0))
}
