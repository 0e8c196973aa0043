//! Somebody else on a test's database: holds locks in the way of whoever is tested, and sees who waits for them.

use std::time::{Duration, Instant};

use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// How long anybody may take to come to where a test waits for him.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection of somebody else.
pub struct Outside {
    client: Client,
    /// Looks at who waits: inside a transaction the answer would stay what it was at first.
    watcher: Client,
}

impl Outside {
    /// Connects to a database by its URL.
    ///
    /// # Panics
    /// When it cannot be reached.
    pub async fn connect(url: &str) -> Outside {
        Outside { client: connect(url).await, watcher: connect(url).await }
    }

    /// Runs statements; the rows of all, each its columns as texts.
    ///
    /// # Panics
    /// When the database refuses one.
    pub async fn run(&self, sql: &str) -> Vec<Vec<String>> {
        texts(&self.client, sql).await
    }

    /// How many of the database's users wait for a lock.
    pub async fn waiting(&self) -> usize {
        let waiting = "SELECT count(*) FROM pg_stat_activity \
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        texts(&self.watcher, waiting).await[0][0].parse().expect("a number")
    }

    /// Waits until so many wait for a lock, or until `done`.
    ///
    /// # Panics
    /// When neither comes.
    pub async fn until_waiting(&self, users: usize, mut done: impl FnMut() -> bool) {
        let begun = Instant::now();
        while self.waiting().await < users && !done() {
            assert!(begun.elapsed() < PATIENCE, "{users} should wait for a lock");
        }
    }
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("the test's database");
    tokio::spawn(connection);
    client
}

async fn texts(client: &Client, sql: &str) -> Vec<Vec<String>> {
    let messages = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let texts = |message| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|at| row.get(at).unwrap_or_default().to_owned()).collect())
        }
        _ => None,
    };
    messages.into_iter().filter_map(texts).collect()
}
