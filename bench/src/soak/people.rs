//! Those who ask: accounts, and the token that each has at the moment.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::Scene;
use crate::connection::{Ask, Connection};

/// Accounts.
const COUNT: usize = 20;
const PASSWORD: &str = "a boat that sings by night";
/// Between two sign-ins: each has a new token every minute.
const SIGN_IN_EVERY: Duration = Duration::from_secs(3);
/// Between two letters that are asked for, each of them a job.
const LETTER_EVERY: Duration = Duration::from_secs(2);

/// Accounts with their tokens.
pub(super) struct People {
    ids: Vec<String>,
    tokens: Mutex<Vec<String>>,
}

impl People {
    pub(super) async fn register(port: u16) -> Result<People> {
        let mut connection = Connection::open(port).await?;
        let (mut ids, mut tokens) = (Vec::new(), Vec::new());
        for number in 0..COUNT {
            let body = json!({"email": address(number), "password": PASSWORD, "name": "Somebody"});
            let made = connection.ask("", &Ask::post("/auth/register", &body)).await?.json()?;
            ids.push(made["user"]["id"].as_str().context("an id")?.to_owned());
            tokens.push(access(&made)?);
        }
        Ok(People { ids, tokens: Mutex::new(tokens) })
    }

    /// The token of one of them now; numbers beyond the last begin anew.
    pub(super) fn token(&self, number: usize) -> String {
        self.tokens.lock()[number % COUNT].clone()
    }

    pub(super) fn id(&self, number: usize) -> &str {
        &self.ids[number % COUNT]
    }
}

/// Signs in one after the other, over and over.
pub(super) async fn sign_in(scene: Arc<Scene>) -> Result<()> {
    let mut connection = Connection::open(scene.port).await?;
    let mut ticks = tokio::time::interval(SIGN_IN_EVERY);
    for number in 0.. {
        ticks.tick().await;
        if scene.is_over() {
            break;
        }
        let body = json!({"email": address(number % COUNT), "password": PASSWORD});
        let answer = connection.ask("", &Ask::post("/auth/login", &body).from(place(number))).await?;
        let token = answer.json().and_then(|body| access(&body));
        scene.tally.slow("sign in", &answer);
        if let Ok(token) = token {
            scene.people.tokens.lock()[number % COUNT] = token;
        }
    }
    Ok(())
}

/// Asks for letters, which jobs write.
pub(super) async fn write_letters(scene: Arc<Scene>) -> Result<()> {
    let mut connection = Connection::open(scene.port).await?;
    let mut ticks = tokio::time::interval(LETTER_EVERY);
    for number in 0.. {
        ticks.tick().await;
        if scene.is_over() {
            break;
        }
        // To somebody who may not be there, which only the job finds out: an account takes few letters in an hour.
        let body = json!({"email": format!("perhaps{number}@example.com")});
        let ask = Ask::post("/auth/magic/request", &body).from(place(1_000 + number));
        let answer = connection.ask("", &ask).await?;
        scene.tally.slow("letter", &answer);
    }
    Ok(())
}

/// An address of the network that only a few others come from: attempts are counted by it.
fn place(number: usize) -> String {
    format!("10.{}.{}.1", number / 250 % 250, number % 250)
}

fn address(number: usize) -> String {
    format!("somebody{number}@example.com")
}

fn access(body: &Value) -> Result<String> {
    body["access"].as_str().map(str::to_owned).with_context(|| body.to_string())
}
