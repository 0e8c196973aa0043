#![doc = include_str!("../README.md")]

mod advise;
mod clause;
mod clock;
mod hub;
mod keys;
mod metrics;
mod place;
mod plans;
mod presence;
mod queue;
mod registry;
mod request;
mod threads;
mod trail;
mod verdict;
mod view;
mod who;
mod work;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use mainstay_engine::Engine;
use mainstay_lang::schema::Schema;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

pub use advise::advise;
pub use place::SealKey;
pub use queue::{ChangeOf, Closed, Event, EventKind, Seq};
pub use request::Request;
pub use who::Who;

use hub::{Command, SessionId};
use presence::Presence;
use queue::Queue;
use threads::Threads;

/// How much subscribers may ask for.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Rows that one subscription may hold.
    pub rows: u64,
    /// Subscriptions of one connection.
    pub per_connection: usize,
    /// Subscriptions of one user on all connections to this process; nobody's are bounded by connections alone.
    pub per_user: usize,
    /// Changes that may wait for one connection.
    pub queue_frames: usize,
    /// Bytes of changes that may wait for one connection.
    pub queue_bytes: usize,
    /// How long those who were connected to a process that has died are still said to be there.
    pub presence_lease: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            rows: 10_000,
            per_connection: 200,
            per_user: 2_000,
            queue_frames: 4_096,
            queue_bytes: 4 << 20,
            presence_lease: Duration::from_secs(30),
        }
    }
}

/// The subscriptions of a process.
#[derive(Clone, Debug)]
pub struct Live {
    commands: mpsc::Sender<Command>,
    gone: mpsc::UnboundedSender<SessionId>,
    next: Arc<AtomicU64>,
    presence: Option<Presence>,
    limits: Limits,
    threads: Arc<Threads>,
}

/// Commands that may wait for the hub; who has more to say waits.
const COMMANDS_MAX: usize = 256;

impl Live {
    /// Starts the hub, which ends when this and all connections are gone. To be called inside a runtime.
    pub fn start(engine: Arc<Engine>, key: SealKey, limits: Limits) -> Live {
        let (commands, taken) = mpsc::channel(COMMANDS_MAX);
        let (gone, left) = mpsc::unbounded_channel();
        let presence = Presence::start(&engine, limits.presence_lease);
        let threads = Arc::new(Threads::start());
        let hub =
            threads.spawn(hub::run(engine, threads.requests().clone(), limits.clone(), key, taken, left));
        tokio::spawn(async move {
            match hub.await {
                Err(ended) if ended.is_panic() => {
                    tracing::error!(%ended, "subscriptions have ended and can be made no more until a restart");
                }
                _ => {}
            }
        });
        Live { commands, gone, next: Arc::default(), presence, limits, threads }
    }

    /// Runs what tells somebody of changes, on threads that stand back behind those of requests. What it does for a request
    /// of that somebody does not belong there.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.threads.spawn(task);
    }

    /// A connection for somebody, from a device by its own words.
    pub async fn connect(&self, who: Who, device: Option<Arc<str>>) -> Connection {
        let session = self.next.fetch_add(1, Ordering::Relaxed);
        let queue = Arc::new(Queue::new(self.limits.queue_frames, self.limits.queue_bytes));
        let acted = Arc::new(AtomicI64::new(0));
        let connection = Connection { session, live: self.clone(), queue: queue.clone(), device, acted };
        connection.is_there(&who);
        connection.say(Command::Join { session, who, queue }).await;
        connection
    }

    /// Says that nobody is connected here any more, for as long as the database lets it.
    pub async fn stop(&self) {
        if let Some(presence) = &self.presence {
            presence.stop().await;
        }
    }
}

/// One subscriber with any number of subscriptions; they end with it.
#[derive(Debug)]
pub struct Connection {
    session: SessionId,
    live: Live,
    queue: Arc<Queue>,
    device: Option<Arc<str>>,
    /// When it has acted last, in microseconds since 1970.
    acted: Arc<AtomicI64>,
}

impl Connection {
    /// Says that somebody else listens from now on, or the same one with new credentials. Subscriptions stay, and are told
    /// what this one sees.
    pub async fn identify(&self, who: Who) {
        self.is_there(&who);
        self.say(Command::Identify { session: self.session, who }).await;
    }

    /// Says that the client has done something.
    pub fn act(&self) {
        self.acted.store(work::now().0, Ordering::Relaxed);
    }

    fn is_there(&self, who: &Who) {
        match (&self.live.presence, &who.user) {
            (Some(presence), Some(user)) => {
                presence.came(self.session, user.clone(), self.device.clone(), self.acted.clone());
            }
            (Some(presence), None) => presence.went(self.session),
            (None, _) => {}
        }
    }

    /// Asks for a subscription under a name of the client's own; what comes of it is told by [`Connection::next`].
    pub async fn subscribe(&self, tag: Arc<str>, request: Request, since: Option<String>) {
        let request = Arc::new(request);
        self.say(Command::Subscribe { session: self.session, tag, request, since }).await;
    }

    /// Ends a subscription. What waits is still told.
    pub async fn unsubscribe(&self, tag: Arc<str>) {
        self.say(Command::Unsubscribe { session: self.session, tag }).await;
    }

    /// What is told next, or why nothing is told any more. One at a time may wait for it.
    ///
    /// # Errors
    /// The reason for the end.
    pub async fn next(&self) -> Result<Event, Closed> {
        self.queue.next().await
    }

    /// What is told next, if it waits already.
    pub fn try_next(&self) -> Option<Event> {
        self.queue.try_next()
    }

    /// Whether no more than half of this connection's queue is full: whoever asks for more should wait until then.
    pub fn has_room(&self) -> bool {
        self.queue.has_room()
    }

    /// Ends it with a reason; what waits is still told.
    pub fn close(&self, why: Closed) {
        self.queue.close(why);
    }

    async fn say(&self, command: Command) {
        if self.live.commands.send(command).await.is_err() {
            self.queue.close(Closed::Stopping);
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Without a hub there is nothing to be forgotten.
        self.live.gone.send(self.session).ok();
        if let Some(presence) = &self.live.presence {
            presence.went(self.session);
        }
    }
}

/// A hash of everything that decides what rows and rules are.
fn schema_print(schema: &Schema) -> Arc<[u8]> {
    let mut hash = Sha256::new();
    for table in &schema.tables {
        // Their maps of names have no order of their own.
        let (columns, relations, rules) = (&table.columns, &table.relations, &table.rules);
        hash.update(format!("{} {:?} {columns:?} {relations:?} {rules:?}", table.name, table.tenant));
    }
    Arc::from(hash.finalize().as_slice())
}
