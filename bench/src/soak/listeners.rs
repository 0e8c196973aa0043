//! Subscribers: some who read at once, some who stall and are told that they lag, some who stand still until they are cut off, some who
//! leave without a word and come back.
//!
//! What each of them may meet is what the protocol says, and everything else is an error: only those who read nothing for half a minute
//! are cut off, and all of them hold in the end what a read answers.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval_at, timeout};

use super::Scene;
use super::listener::Listener;
use super::load::spawn;
use super::socket::Heard;
use crate::live::now_us;

/// How many there are of each kind.
const ATTENTIVE: usize = 40;
const SLOW: usize = 6;
const STILL: usize = 4;
const RESTLESS: usize = 10;
/// How long a slow one does not read: more comes then than may wait, and nobody is cut off for it.
const STALL: Duration = Duration::from_secs(15);
/// How long one stands still: twice as long as the server waits.
const STAND_STILL: Duration = Duration::from_secs(60);
/// Between two tokens that an attentive one gives its socket; each is good for a quarter of an hour.
const TOKEN_EVERY: Duration = Duration::from_secs(300);

/// What has to have happened for a run to say anything of it.
pub(super) const EXPECTED: [&str; 4] = ["lagged", "was cut off", "came back", "held what a read answers"];

/// Begins to listen, until the scene is over.
pub(super) fn begin(scene: &Arc<Scene>) -> Vec<JoinHandle<()>> {
    let mut all = Vec::new();
    for number in 0..ATTENTIVE {
        all.push(spawn(scene, "an attentive subscriber", move |scene| attentive(scene, number)));
    }
    for number in 0..SLOW {
        all.push(spawn(scene, "a slow subscriber", move |scene| slow(scene, number)));
    }
    for number in 0..STILL {
        all.push(spawn(scene, "a subscriber that stands still", move |scene| still(scene, number)));
    }
    for number in 0..RESTLESS {
        all.push(spawn(scene, "a restless subscriber", move |scene| restless(scene, number)));
    }
    all
}

/// Reads at once, and stays.
async fn attentive(scene: Arc<Scene>, number: usize) -> Result<()> {
    let mut listener = Listener::to_team(scene.clone(), number).await?;
    let mut ticks = interval_at(Instant::now() + TOKEN_EVERY, TOKEN_EVERY);
    loop {
        tokio::select! {
            _ = ticks.tick() => listener.identify().await?,
            heard = listener.hear() => {
                let heard = heard?;
                if let Some(sent) = heard.sent() {
                    scene.tally.told(now_us().saturating_sub(sent) as f64 / 1000.0);
                }
                stayed(&heard)?;
            }
            () = scene.over() => return listener.settle().await,
        }
    }
}

/// Asks for everything and does not read for a while, again and again.
async fn slow(scene: Arc<Scene>, number: usize) -> Result<()> {
    let mut listener = Listener::to_all(scene.clone(), number).await?;
    while !scene.is_over() {
        catch_up(&scene, &mut listener, |heard| match heard {
            Heard::Gone => bail!("cut off, though it had stalled for {STALL:?} alone"),
            _ => Ok(()),
        })
        .await?;
        // Whoever is cut off hears so, and comes back with a new one.
        listener.identify().await.ok();
        timeout(STALL, scene.over()).await.ok();
    }
    listener.settle().await
}

/// Asks for everything and does not read until it is taken for gone.
async fn still(scene: Arc<Scene>, number: usize) -> Result<()> {
    let mut listener = Listener::to_all(scene.clone(), number).await?;
    while !scene.is_over() {
        catch_up(&scene, &mut listener, |_| Ok(())).await?;
        // Whoever is cut off hears so, and comes back with a new one.
        listener.identify().await.ok();
        timeout(STAND_STILL, scene.over()).await.ok();
    }
    listener.settle().await
}

/// Listens until it is up to date, comes back where it was cut off, or until the scene is over.
async fn catch_up(
    scene: &Scene,
    listener: &mut Listener,
    allow: impl Fn(&Heard) -> Result<()>,
) -> Result<()> {
    loop {
        let heard = tokio::select! {
            heard = listener.hear() => heard?,
            () = scene.over() => return Ok(()),
        };
        allow(&heard)?;
        match heard {
            Heard::Lagged { .. } => scene.tally.happened("lagged"),
            Heard::Gone => {
                scene.tally.happened("was cut off");
                listener.come_back().await?;
            }
            heard if heard.is_fresh() => return Ok(()),
            _ => {}
        }
    }
}

/// Goes away in the middle of things, and comes back for what it has missed.
async fn restless(scene: Arc<Scene>, number: usize) -> Result<()> {
    let mut listener = Listener::to_team(scene.clone(), number).await?;
    for turn in 0_u64.. {
        // The end of the time is no error: what it has heard up to then is kept.
        let stays = Duration::from_secs(3 + (number as u64 + turn) % 10);
        if let Ok(ended) = timeout(stays, stay(&mut listener)).await {
            ended?;
        }
        if scene.is_over() {
            break;
        }
        listener.leave();
        tokio::time::sleep(Duration::from_millis(500 * (number as u64 % 4))).await;
        listener.come_back().await?;
        scene.tally.happened("came back");
    }
    listener.settle().await
}

async fn stay(listener: &mut Listener) -> Result<()> {
    loop {
        stayed(&listener.hear().await?)?;
    }
}

/// Whoever reads at once is neither told that they lag nor cut off.
fn stayed(heard: &Heard) -> Result<()> {
    match heard {
        Heard::Lagged { .. } => bail!("lagged"),
        Heard::Gone => bail!("cut off"),
        _ => Ok(()),
    }
}
