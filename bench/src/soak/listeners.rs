//! Subscribers: some who read at once, some who stall until they are told that they lag, some who leave without a word and come back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpSocket;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Bytes, Message, client::IntoClientRequest as _};

use super::Scene;
use super::load::spawn;
use crate::live::now_us;

/// How many there are of each kind.
const ATTENTIVE: usize = 40;
const SLOW: usize = 6;
const RESTLESS: usize = 10;
/// How long a slow one does not read: more comes then than may wait, and the server has not yet taken it for gone.
const STALL: Duration = Duration::from_secs(50);
/// What the system keeps for a slow one, who is to lag because of the server's queue.
const RECEIVE_BYTES: u32 = 16 << 10;
/// Between two tokens that an attentive one gives its socket; each is good for longer.
const TOKEN_EVERY: Duration = Duration::from_secs(300);

type Socket = WebSocketStream<tokio::net::TcpStream>;

/// Begins to listen, until the runtime ends.
pub(super) fn begin(scene: &Arc<Scene>) {
    for number in 0..ATTENTIVE {
        spawn(scene, "an attentive subscriber", move |scene| attentive(scene, number));
    }
    for number in 0..SLOW {
        spawn(scene, "a slow subscriber", move |scene| slow(scene, number));
    }
    for number in 0..RESTLESS {
        spawn(scene, "a restless subscriber", move |scene| restless(scene, number));
    }
}

/// Reads at once, and stays.
async fn attentive(scene: Arc<Scene>, number: usize) -> Result<()> {
    let mut socket = connect(&scene, number).await?;
    let team = scene.teams[number % scene.teams.len()].clone();
    subscribe(&mut socket, &json!({"team": team, "get": ["title", "sent"]}), None).await?;
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + TOKEN_EVERY, TOKEN_EVERY);
    loop {
        tokio::select! {
            _ = ticks.tick() => send(&mut socket, &json!({"id": 0, "auth": scene.people.token(number)})).await?,
            frame = next(&mut socket) => match Heard::of(&frame?)? {
                Heard::Change { sent: Some(sent), .. } => {
                    scene.tally.told(now_us().saturating_sub(sent) as f64 / 1000.0);
                }
                Heard::Lagged(_) => bail!("lagged"),
                _ => {}
            },
        }
    }
}

/// Asks for everything and does not read for a while, until it is told where to go on.
async fn slow(scene: Arc<Scene>, number: usize) -> Result<()> {
    let mut since = None;
    // From now on: the rows that are there already would be megabytes at once, which is not what is looked for.
    let part = json!({"get": "*", "where": "sent > $begun", "params": {"begun": now_us()}});
    loop {
        let mut socket = connect(&scene, number).await?;
        subscribe(&mut socket, &part, since.as_deref()).await?;
        tokio::time::sleep(STALL).await;
        since = loop {
            match Heard::of(&next(&mut socket).await?)? {
                Heard::Lagged(seq) => {
                    scene.tally.happened("lagged");
                    break Some(seq);
                }
                // The system has kept all of it: it is up to date again.
                Heard::Change { is_late: false, seq, .. } => break Some(seq),
                _ => {}
            }
        };
    }
}

/// Goes away in the middle of things, and comes back for what it has missed.
async fn restless(scene: Arc<Scene>, number: usize) -> Result<()> {
    let team = scene.teams[number % scene.teams.len()].clone();
    let mut since = None;
    for turn in 0_u64.. {
        let mut socket = connect(&scene, number).await?;
        let part = json!({"team": team, "get": ["title", "sent"]});
        let mut place = subscribe(&mut socket, &part, since.as_deref()).await?;
        let stays = Duration::from_secs(3 + (number as u64 + turn) % 10);
        let reads = async {
            loop {
                match Heard::of(&next(&mut socket).await?)? {
                    Heard::Change { seq, .. } => place = seq,
                    Heard::Lagged(_) => bail!("lagged"),
                    Heard::Other => {}
                }
            }
        };
        // What it has heard up to then is kept; the end of the time is no error.
        if let Ok(ended) = tokio::time::timeout(stays, reads).await {
            let _: () = ended?;
        }
        since = Some(place);
        scene.tally.happened("came back");
        drop(socket);
        tokio::time::sleep(Duration::from_millis(500 * (number as u64 % 4))).await;
    }
    Ok(())
}

/// What a frame says.
enum Heard {
    Change {
        seq: String,
        /// When the row was sent, in microseconds since 1970, where it says so.
        sent: Option<u64>,
        /// Whether it had waited: it is older than a second.
        is_late: bool,
    },
    Lagged(String),
    Other,
}

impl Heard {
    fn of(frame: &Value) -> Result<Heard> {
        let text = |name: &str| frame[name].as_str().unwrap_or_default().to_owned();
        if frame["status"].as_u64().is_some_and(|status| status >= 400) {
            bail!("{frame}");
        }
        if frame["lagged"].as_bool() == Some(true) {
            return Ok(Heard::Lagged(text("since")));
        }
        if frame["change"].is_null() {
            return Ok(Heard::Other);
        }
        let sent = frame["row"]["sent"].as_u64();
        let is_late = sent.is_none_or(|sent| now_us().saturating_sub(sent) > 1_000_000);
        Ok(Heard::Change { seq: text("seq"), sent, is_late })
    }
}

async fn connect(scene: &Scene, number: usize) -> Result<Socket> {
    let tcp = TcpSocket::new_v4()?;
    tcp.set_recv_buffer_size(RECEIVE_BYTES)?;
    let stream = tcp.connect(([127, 0, 0, 1], scene.port).into()).await?;
    let mut request = format!("ws://127.0.0.1:{}/live", scene.port).into_client_request()?;
    let bearer = format!("Bearer {}", scene.people.token(number));
    request.headers_mut().insert("Authorization", bearer.parse()?);
    Ok(tokio_tungstenite::client_async(request, stream).await?.0)
}

/// Asks for notes, and waits until the subscription stands; its place. Where the place is too old, it begins anew.
async fn subscribe(socket: &mut Socket, part: &Value, since: Option<&str>) -> Result<String> {
    send(socket, &json!({"id": 1, "subscribe": {"Note": part}, "since": since})).await?;
    let began = Instant::now();
    loop {
        let frame = next(socket).await?;
        if let Some(place) = frame["ready"].as_str() {
            return Ok(place.to_owned());
        }
        if frame["status"].as_u64().is_some_and(|status| status >= 400) {
            bail!("{frame}");
        }
        if began.elapsed() > Duration::from_secs(30) {
            bail!("no answer to a subscription");
        }
    }
}

async fn send(socket: &mut Socket, frame: &Value) -> Result<()> {
    Ok(socket.send(Message::Text(frame.to_string().into())).await?)
}

async fn next(socket: &mut Socket) -> Result<Value> {
    loop {
        match socket.next().await.context("a socket was closed")?? {
            Message::Text(text) => return Ok(serde_json::from_str(&text)?),
            Message::Ping(bytes) => socket.send(Message::Pong(Bytes::clone(&bytes))).await?,
            Message::Close(why) => bail!("a socket was closed: {why:?}"),
            _ => {}
        }
    }
}
