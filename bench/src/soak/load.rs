//! The requests: each connection is somebody with notes of their own, and asks at a pace.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::{CONNECTIONS, PER_SECOND, Scene, people};
use crate::connection::{Answer, Ask, Connection};
use crate::live::now_us;

/// Notes of each connection: from then on the oldest goes when one is made.
const NOTES: usize = 100;
/// What a note says: long enough that whoever does not read fills what waits for them.
const BODY_BYTES: usize = 1_200;
/// Requests before the same kinds come again.
const ROUND: usize = 20;

/// Begins to ask, until the scene is over.
pub(super) fn begin(scene: &Arc<Scene>) -> Vec<JoinHandle<()>> {
    let mut all =
        vec![spawn(scene, "sign-ins", people::sign_in), spawn(scene, "letters", people::write_letters)];
    for number in 0..CONNECTIONS {
        let ask = move |scene| async move { Somebody::new(scene, number).await?.ask_on().await };
        all.push(spawn(scene, "load", ask));
    }
    all
}

/// Begins something that goes on until the scene is over; what it fails with is an error.
pub(super) fn spawn<F>(
    scene: &Arc<Scene>,
    name: &'static str,
    work: impl FnOnce(Arc<Scene>) -> F,
) -> JoinHandle<()>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let (work, scene) = (work(scene.clone()), scene.clone());
    tokio::spawn(async move {
        if let Err(error) = work.await {
            scene.tally.error(format!("{name} has ended: {error:#}"));
        }
    })
}

/// One who asks.
struct Somebody {
    scene: Arc<Scene>,
    connection: Connection,
    number: usize,
    asked: usize,
    notes: VecDeque<String>,
}

impl Somebody {
    async fn new(scene: Arc<Scene>, number: usize) -> Result<Somebody> {
        let connection = Connection::open(scene.port).await?;
        Ok(Somebody { scene, connection, number, asked: 0, notes: VecDeque::new() })
    }

    async fn ask_on(&mut self) -> Result<()> {
        // One after the other, so that they do not all ask at the same moment.
        let pause = Duration::from_secs_f64(CONNECTIONS as f64 / PER_SECOND);
        tokio::time::sleep(pause.mul_f64(self.number as f64 / CONNECTIONS as f64)).await;
        let mut ticks = tokio::time::interval(pause);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.scene.is_over() {
            ticks.tick().await;
            self.asked += 1;
            // Nobody begins the round at the same place.
            match (self.asked + self.number) % ROUND {
                0 | 10 => self.create().await?,
                5 | 15 if self.notes.len() > NOTES => self.delete().await?,
                5 | 15 => self.create().await?,
                2 | 8 | 14 => self.update().await?,
                3 | 7 | 11 | 17 => self.list().await?,
                4 | 12 => self.nested().await?,
                _ => self.get().await?,
            }
        }
        Ok(())
    }

    /// Mostly another one each time.
    fn note(&self) -> Option<&str> {
        let index = self.asked * 7 % self.notes.len().max(1);
        self.notes.get(index).map(String::as_str)
    }

    fn team(&self) -> &str {
        &self.scene.teams[(self.number + self.asked / ROUND) % self.scene.teams.len()]
    }

    async fn ask(&mut self, what: &'static str, ask: &Ask) -> Result<Answer> {
        let answer = self.connection.ask(&self.scene.people.token(self.number), ask).await?;
        self.scene.tally.request(what, &answer);
        Ok(answer)
    }

    /// A note with two comments, in a request that may be sent again.
    async fn create(&mut self) -> Result<()> {
        let comment = |number: usize| json!({"create": true, "text": format!("Comment {number}")});
        let note = json!({"Note": {
            "create": true, "team": self.team(), "author": self.scene.people.id(self.number), "sent": now_us(),
            "title": format!("Note {}", self.asked), "body": "x".repeat(BODY_BYTES), "comments": [comment(1), comment(2)],
        }});
        let key = format!("{}-{}", self.number, self.asked);
        let answer = self.ask("create", &Ask::post("/query", &note).once(key)).await?;
        if let Ok(body) = answer.json() {
            let id = body["Note"][0]["id"].as_str().with_context(|| answer.body.clone())?;
            self.notes.push_back(id.to_owned());
        }
        Ok(())
    }

    async fn delete(&mut self) -> Result<()> {
        let Some(id) = self.notes.pop_front() else { return Ok(()) };
        self.ask("delete", &Ask::delete(format!("/api/Note/{id}"))).await?;
        Ok(())
    }

    async fn update(&mut self) -> Result<()> {
        let Some(id) = self.note() else { return self.list().await };
        let set = json!({"title": format!("Note, changed {}", self.asked), "sent": now_us()});
        let ask = Ask::patch(format!("/api/Note/{id}?get=title"), &set);
        self.ask("update", &ask).await?;
        Ok(())
    }

    async fn get(&mut self) -> Result<()> {
        let Some(id) = self.note() else { return self.list().await };
        let ask = Ask::get(format!("/api/Note/{id}"));
        self.ask("get", &ask).await?;
        Ok(())
    }

    async fn list(&mut self) -> Result<()> {
        let filter =
            format!("/api/Note?where=team%20==%20%22{}%22&get=title,sent&limit=30&count", self.team());
        self.ask("list", &Ask::get(filter)).await?;
        Ok(())
    }

    async fn nested(&mut self) -> Result<()> {
        let asked = json!({"Team": {"id": self.team(), "get": ["name"], "notes": {
            "get": ["title"], "order": ["-created"], "limit": 10, "author": {"get": ["name"]}, "comments": {"get": ["text"]},
        }}});
        self.ask("nested", &Ask::post("/query", &asked)).await?;
        Ok(())
    }
}
