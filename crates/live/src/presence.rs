//! Who is connected, as rows of the table `Presence`, for apps that use it.
//!
//! A row stands for a connection of a user, and the node that holds the connection writes it: what comes and goes within
//! a moment is gathered and written together, and the last action once a minute, however much is asked for. Rows are written
//! through the engine like all others, so subscribers hear of them by the change log.
//!
//! A node that dies cannot take its rows out, so each notes a fact about itself again and again (its *beat*). The
//! others take out the rows of a node whose beat they have not seen change for as long as the lease is: by their own clocks,
//! because those of two machines may differ. A node that was only away finds fewer rows than it wrote, and writes them anew
//! under another number.
//!
//! Connections wait for none of it: they leave messages for one task, which knows everything and locks nothing.

mod rows;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use mainstay_engine::Engine;
use mainstay_engine::error::Error;
use mainstay_lang::value::{Timestamp, Value};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, sleep};
use uuid::Uuid;

use self::rows::Rows;
use crate::hub::SessionId;
use crate::work::now;

/// How long those who come and go are gathered before they are written.
const GATHER: Duration = Duration::from_millis(200);
/// How old the last action in a row may be, in microseconds.
const ACTED_AGE_MAX: i64 = 60_000_000;
/// How often a node beats within its lease.
const BEATS: u32 = 3;
/// What the names of nodes' facts begin with.
const FACT: &str = "node.";

/// What connections say.
enum Message {
    /// Somebody is there.
    Came(SessionId, Here),
    Went(SessionId),
    /// The server stops, and whoever says so waits until the rows are gone.
    Stop(oneshot::Sender<()>),
}

/// A connection of somebody.
struct Here {
    row: Uuid,
    who: Value,
    device: Option<Arc<str>>,
    since: Timestamp,
    acted: Arc<AtomicI64>,
    /// The last action that the row tells; none: there is no row.
    told: Option<i64>,
}

/// The way for connections to say that they are there.
#[derive(Clone, Debug)]
pub(crate) struct Presence {
    messages: mpsc::UnboundedSender<Message>,
}

impl Presence {
    /// `None`: the app has no such table. To be called inside a runtime.
    pub(crate) fn start(engine: &Arc<Engine>, lease: Duration) -> Option<Presence> {
        // One of this name in a database that others made is theirs.
        engine.schema().table_named(rows::TABLE).filter(|table| table.platform)?;
        let (messages, taken) = mpsc::unbounded_channel();
        let node = Node {
            rows: Rows::new(engine.clone()),
            lease,
            id: Uuid::new_v4(),
            beats: 0,
            here: HashMap::new(),
            left: Vec::new(),
            others: HashMap::new(),
        };
        tokio::spawn(node.run(taken));
        Some(Presence { messages })
    }

    pub(crate) fn came(
        &self,
        session: SessionId,
        who: Value,
        device: Option<Arc<str>>,
        acted: Arc<AtomicI64>,
    ) {
        let since = now();
        acted.store(since.0, Ordering::Relaxed);
        let here = Here { row: Uuid::now_v7(), who, device, since, acted, told: None };
        self.say(Message::Came(session, here));
    }

    pub(crate) fn went(&self, session: SessionId) {
        self.say(Message::Went(session));
    }

    /// Takes out the rows of this node.
    pub(crate) async fn stop(&self) {
        let (done, is_done) = oneshot::channel();
        self.say(Message::Stop(done));
        // Whether it was done or is not to be done: there is nothing to wait for any more.
        is_done.await.ok();
    }

    fn say(&self, message: Message) {
        // The task ends when the server does.
        self.messages.send(message).ok();
    }
}

/// This process among those that serve the app.
struct Node {
    rows: Rows,
    lease: Duration,
    id: Uuid,
    beats: u64,
    here: HashMap<SessionId, Here>,
    /// Rows of those who have gone.
    left: Vec<Uuid>,
    /// The others' beats, and since when they are what they are.
    others: HashMap<String, (String, Instant)>,
}

impl Node {
    /// Until nobody can come any more.
    async fn run(mut self, mut messages: mpsc::UnboundedReceiver<Message>) {
        let mut beat = interval(self.lease / BEATS);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stopped = None;
        loop {
            let is_beat = tokio::select! {
                message = messages.recv() => {
                    let Some(message) = message else { return };
                    stopped = self.take(message);
                    if stopped.is_none() {
                        sleep(GATHER).await;
                    }
                    false
                }
                _ = beat.tick() => true,
            };
            while let Ok(message) = messages.try_recv() {
                stopped = self.take(message).or(stopped);
            }
            if let Some(done) = stopped.take() {
                self.end().await;
                // Whoever asked may have given up.
                done.send(()).ok();
                return;
            }
            let done = if is_beat { self.beat().await } else { self.write().await };
            if let Err(error) = done {
                tracing::warn!(%error, "who is connected could not be written; tried again later");
            }
        }
    }

    fn take(&mut self, message: Message) -> Option<oneshot::Sender<()>> {
        match message {
            // New credentials of the same user.
            Message::Came(session, here)
                if self.here.get(&session).is_some_and(|known| known.who == here.who) => {}
            Message::Came(session, here) => {
                let before = self.here.insert(session, here);
                self.left.extend(before.and_then(|before| before.told.map(|_| before.row)));
            }
            Message::Went(session) => {
                let before = self.here.remove(&session);
                self.left.extend(before.and_then(|before| before.told.map(|_| before.row)));
            }
            Message::Stop(done) => return Some(done),
        }
        None
    }

    fn fact(&self) -> String {
        format!("{FACT}{}", self.id.simple())
    }

    /// Says that this node is alive, and looks whether the others are.
    async fn beat(&mut self) -> Result<(), Error> {
        let engine = self.rows.engine().clone();
        if self.beats == 0 && engine.is_alone() {
            // Whoever was there before has left without a word.
            self.others_end(engine.facts(FACT).await?.into_iter().map(|(name, _)| name)).await?;
        }
        self.beats += 1;
        engine.fact_put(&self.fact(), &self.beats.to_string()).await?;
        self.look().await?;
        let written = self.here.values().filter(|here| here.told.is_some()).count() + self.left.len();
        if self.rows.count(self.id).await? != written as u64 {
            // The others have taken this node for dead, or rows have gone with their users.
            let before = std::mem::replace(&mut self.id, Uuid::new_v4());
            engine.fact_put(&self.fact(), &self.beats.to_string()).await?;
            self.rows.end_of(before).await?;
            engine.fact_forget(&format!("{FACT}{}", before.simple())).await?;
            self.left.clear();
            for here in self.here.values_mut() {
                here.row = Uuid::now_v7();
                here.told = None;
            }
        }
        let late: Vec<SessionId> =
            self.here.iter().filter(|(_, here)| here.is_late()).map(|(id, _)| *id).collect();
        for session in late.chunks(rows::CHUNK) {
            let at = now();
            let rows: Vec<Uuid> = session.iter().map(|session| self.here[session].row).collect();
            self.rows.acted(&rows, at).await?;
            for session in session {
                if let Some(here) = self.here.get_mut(session) {
                    here.told = Some(at.0);
                }
            }
        }
        self.write().await
    }

    /// Takes out the rows of nodes whose leases have ended.
    async fn look(&mut self) -> Result<(), Error> {
        let own = self.fact();
        let facts = self.rows.engine().facts(FACT).await?;
        self.others.retain(|name, _| facts.iter().any(|(known, _)| known == name));
        for (name, beat) in facts.into_iter().filter(|(name, _)| *name != own) {
            match self.others.get_mut(&name) {
                Some((known, _)) if *known == beat => {}
                Some(known) => *known = (beat, Instant::now()),
                None => {
                    self.others.insert(name, (beat, Instant::now()));
                }
            }
        }
        let is_over = |(name, (_, since)): (&String, &(String, Instant))| {
            (since.elapsed() > self.lease).then(|| name.clone())
        };
        let dead: Vec<String> = self.others.iter().filter_map(is_over).collect();
        self.others_end(dead.into_iter()).await
    }

    async fn others_end(&mut self, names: impl Iterator<Item = String>) -> Result<(), Error> {
        for name in names {
            if let Some(id) = name.strip_prefix(FACT).and_then(|id| Uuid::try_parse(id).ok()) {
                let count = self.rows.end_of(id).await?;
                tracing::info!(node = %id, rows = count, "a node is gone, and those who were connected to it");
            }
            // Last, so that whoever is stopped before has it done by another.
            self.rows.engine().fact_forget(&name).await?;
            self.others.remove(&name);
        }
        Ok(())
    }

    /// Writes who has come and gone.
    async fn write(&mut self) -> Result<(), Error> {
        if self.beats == 0 {
            // Nobody would take the rows out without this node's fact.
            return Ok(());
        }
        while !self.left.is_empty() {
            let chunk = self.left.len().min(rows::CHUNK);
            self.rows.end(&self.left[..chunk]).await?;
            self.left.drain(..chunk);
        }
        let new: Vec<SessionId> =
            self.here.iter().filter(|(_, here)| here.told.is_none()).map(|(id, _)| *id).collect();
        for sessions in new.chunks(rows::CHUNK) {
            let list: Vec<&Here> = sessions.iter().filter_map(|session| self.here.get(session)).collect();
            match self.rows.begin(self.id, &list).await {
                Ok(()) => sessions.iter().for_each(|session| self.is_written(*session)),
                Err(error) if rows::is_passing(&error) => return Err(error),
                // One of them cannot be written, because its user has just been deleted: the others can.
                Err(_) => {
                    for session in sessions {
                        match self.rows.begin(self.id, &[&self.here[session]]).await {
                            Ok(()) => self.is_written(*session),
                            Err(error) if rows::is_passing(&error) => return Err(error),
                            Err(error) => {
                                tracing::info!(%error, "somebody who is connected has no row");
                                self.here.remove(session);
                            }
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn is_written(&mut self, session: SessionId) {
        if let Some(here) = self.here.get_mut(&session) {
            here.told = Some(here.since.0);
        }
    }

    /// Takes out everything that this node has written.
    async fn end(&mut self) {
        let engine = self.rows.engine().clone();
        let ended = async {
            self.rows.end_of(self.id).await?;
            engine.fact_forget(&self.fact()).await
        };
        if let Err(error) = ended.await {
            tracing::warn!(%error, "those who were connected stay in the table until the lease of this node ends");
        }
    }
}

impl Here {
    /// Whether the row tells of an action that is too old.
    fn is_late(&self) -> bool {
        self.told.is_some_and(|told| self.acted.load(Ordering::Relaxed) >= told.saturating_add(ACTED_AGE_MAX))
    }
}
