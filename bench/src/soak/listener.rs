//! One who listens to notes: the rows that it holds, the place up to which it was told, and the way back from there.
//!
//! It holds what the protocol lets it hold and nothing else, so that in the end that can be compared with what a read answers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::Scene;
use super::socket::{Heard, Socket};
use crate::connection::{Ask, Connection};
use crate::live::now_us;

/// Nothing more comes.
const QUIET: Duration = Duration::from_secs(2);
/// Rows of a page of a read.
const PAGE: usize = 1_000;

/// What it asks for.
enum Wanted {
    /// Titles of a team's notes.
    Team(String),
    /// All there is of all notes since a moment.
    All { begun_us: u64 },
}

/// A subscriber with one subscription.
pub(super) struct Listener {
    scene: Arc<Scene>,
    number: usize,
    wanted: Wanted,
    /// None while it is away.
    socket: Option<Socket>,
    /// Whether the socket has a subscription, or has been asked for one.
    is_subscribed: bool,
    /// By id: when each was sent.
    rows: BTreeMap<String, u64>,
    place: Option<String>,
}

impl Listener {
    /// Listens to one team.
    pub(super) async fn to_team(scene: Arc<Scene>, number: usize) -> Result<Listener> {
        let team = scene.teams[number % scene.teams.len()].clone();
        Listener::begin(scene, number, Wanted::Team(team)).await
    }

    /// Listens to everything from now on: the rows that are there already would be megabytes at once.
    pub(super) async fn to_all(scene: Arc<Scene>, number: usize) -> Result<Listener> {
        Listener::begin(scene, number, Wanted::All { begun_us: now_us() }).await
    }

    async fn begin(scene: Arc<Scene>, number: usize, wanted: Wanted) -> Result<Listener> {
        let mut listener = Listener {
            scene,
            number,
            wanted,
            socket: None,
            is_subscribed: false,
            rows: BTreeMap::new(),
            place: None,
        };
        listener.come_back().await?;
        Ok(listener)
    }

    /// Opens another socket and goes on from its place.
    pub(super) async fn come_back(&mut self) -> Result<()> {
        self.socket = Some(Socket::open(&self.scene, self.number).await?);
        self.subscribe().await
    }

    /// Goes away without a word.
    pub(super) fn leave(&mut self) {
        self.socket = None;
    }

    async fn subscribe(&mut self) -> Result<()> {
        let socket = self.socket.as_mut().context("a socket")?;
        socket.subscribe(&self.wanted.part(), self.place.as_deref()).await?;
        self.is_subscribed = true;
        Ok(())
    }

    /// Gives the socket the token that its user has now.
    pub(super) async fn identify(&mut self) -> Result<()> {
        let socket = self.socket.as_mut().context("a socket")?;
        socket.identify(&self.scene.people.token(self.number)).await
    }

    /// Takes in what comes next; may be dropped at any time. When it was told that it lagged it goes on from there.
    pub(super) async fn hear(&mut self) -> Result<Heard> {
        let heard = self.socket.as_mut().context("a socket")?.hear().await?;
        match &heard {
            Heard::Ready { place, rows } => {
                if let Some(rows) = rows {
                    self.rows.clear();
                    for row in rows {
                        self.take(row["id"].as_str().context("an id")?, row)?;
                    }
                }
                self.place = Some(place.clone());
            }
            Heard::Change { place, id, row } => {
                match row {
                    Some(row) => self.take(id, row)?,
                    None => drop(self.rows.remove(id)),
                }
                self.place = Some(place.clone());
            }
            Heard::Lagged { place } => {
                self.place = Some(place.clone());
                // Whoever drops this before it is asked for finds out below.
                self.is_subscribed = false;
                self.subscribe().await?;
            }
            Heard::Gone => {}
        }
        Ok(heard)
    }

    fn take(&mut self, id: &str, row: &Value) -> Result<()> {
        let sent = row["sent"].as_u64().with_context(|| format!("when it was sent: {row}"))?;
        self.rows.insert(id.to_owned(), sent);
        Ok(())
    }

    /// Listens until nothing more comes, and compares what it holds with what a read answers.
    pub(super) async fn settle(&mut self) -> Result<()> {
        if !self.is_subscribed {
            self.subscribe().await?;
        }
        while let Ok(heard) = tokio::time::timeout(QUIET, self.hear()).await {
            if matches!(heard?, Heard::Gone) {
                self.come_back().await?;
            }
        }
        let answered = self.read().await?;
        if answered != self.rows {
            let differing = answered.iter().filter(|(id, sent)| self.rows.get(*id) != Some(*sent)).count();
            bail!(
                "it holds {} rows where a read answers {}, of which {differing} are missing or older",
                self.rows.len(),
                answered.len()
            );
        }
        self.scene.tally.happened("held what a read answers");
        Ok(())
    }

    async fn read(&self) -> Result<BTreeMap<String, u64>> {
        let mut connection = Connection::open(self.scene.port).await?;
        let mut rows = BTreeMap::new();
        let list = format!("/api/Note?where={}&get=sent&order=id&limit={PAGE}", self.wanted.filter());
        let mut after = String::new();
        loop {
            let ask = Ask::get(format!("{list}{after}"));
            let page = connection.ask(&self.scene.people.token(self.number), &ask).await?.json()?;
            for row in page["items"].as_array().context("items")? {
                let id = row["id"].as_str().context("an id")?;
                rows.insert(id.to_owned(), row["sent"].as_u64().context("when it was sent")?);
            }
            match page["next"].as_str() {
                Some(next) => after = format!("&after={}", next.replace('+', "%2B")),
                None => return Ok(rows),
            }
        }
    }
}

impl Wanted {
    fn part(&self) -> Value {
        match self {
            Wanted::Team(team) => json!({"team": team, "get": ["title", "sent"]}),
            Wanted::All { begun_us } => {
                json!({"get": "*", "where": "sent > $begun", "params": {"begun": begun_us}})
            }
        }
    }

    /// The same as a filter in an address.
    fn filter(&self) -> String {
        match self {
            Wanted::Team(team) => format!("team%20==%20%22{team}%22"),
            Wanted::All { begun_us } => format!("sent%20%3E%20{begun_us}"),
        }
    }
}
