//! Those who listen: sockets, each read by a task that only counts, on a thread of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

use super::{Subject, pocketbase};

/// How a server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Mainstay,
    PocketBase,
}

/// Nothing comes any more.
const SILENCE: Duration = Duration::from_secs(5);

/// Connections that listen, until this is dropped.
pub(super) struct Listeners {
    runtime: Option<tokio::runtime::Runtime>,
    counters: Arc<Counters>,
}

/// What was told.
#[derive(Debug, Default)]
struct Counters {
    count: AtomicUsize,
    last: parking_lot::Mutex<Option<Instant>>,
    /// Microseconds from sending a row to hearing of it.
    latencies: parking_lot::Mutex<Vec<u32>>,
}

/// What was told since it was asked last.
pub(super) struct Told {
    pub(super) count: usize,
    pub(super) last: Option<Instant>,
    latencies: Vec<u32>,
}

impl Told {
    pub(super) fn p50_ms(&self) -> f64 {
        self.quantile(0.5)
    }

    pub(super) fn p99_ms(&self) -> f64 {
        self.quantile(0.99)
    }

    fn quantile(&self, part: f64) -> f64 {
        let at = (self.latencies.len() as f64 * part) as usize;
        self.latencies.get(at).map_or(f64::NAN, |us| f64::from(*us) / 1000.0)
    }
}

impl Listeners {
    /// Opens connections, each with a subscription for each of the filters, and waits until all stand.
    pub(super) async fn open(subject: &Subject, count: usize, filters: &[Value]) -> Result<Listeners> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let opened = Listeners { runtime: Some(runtime), counters: Arc::default() };
        opened.come(subject, count, filters).await?;
        Ok(opened)
    }

    async fn come(&self, subject: &Subject, count: usize, filters: &[Value]) -> Result<()> {
        let runtime = self.runtime.as_ref().context("it runs until it is dropped")?;
        let (ready, mut are_ready) = mpsc::unbounded_channel();
        let (port, way) = (subject.server.port, subject.way);
        for number in 0..count {
            let (counters, ready) = (self.counters.clone(), ready.clone());
            // Each socket has filters of its own, as far as they are told apart by numbers.
            let filters: Vec<Value> = filters.iter().map(|filter| own(filter, number)).collect();
            runtime.spawn(async move {
                let ended = match way {
                    Way::Mainstay => socket(port, &filters, &counters, &ready).await,
                    Way::PocketBase => pocketbase::listen(port, |event| counters.note(event), &ready).await,
                };
                if let Err(error) = ended {
                    // Whoever waited for it to stand has heard of it; later it is missed among those told.
                    ready.send(Err(error)).ok();
                }
            });
            // In portions, as a crowd that comes through a door.
            if number % 50 == 49 || number + 1 == count {
                for _ in 0..=number % 50 {
                    are_ready.recv().await.context("the listeners have ended")??;
                }
            }
        }
        Ok(())
    }

    /// Waits until so many events were told, or none comes any more.
    pub(super) async fn told(&self, count: usize) -> Told {
        let mut seen = 0;
        let mut since = Instant::now();
        loop {
            let now = self.counters.count.load(Ordering::Relaxed);
            if now > seen {
                (seen, since) = (now, Instant::now());
            }
            if seen >= count || since.elapsed() > SILENCE {
                return self.take();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// What is told within a time.
    pub(super) async fn told_within(&self, time: Duration) -> Told {
        tokio::time::sleep(time).await;
        self.take()
    }

    fn take(&self) -> Told {
        let mut latencies = std::mem::take(&mut *self.counters.latencies.lock());
        latencies.sort_unstable();
        let count = self.counters.count.swap(0, Ordering::Relaxed);
        Told { count, last: self.counters.last.lock().take(), latencies }
    }
}

impl Drop for Listeners {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Counters {
    /// Notes an event by its text.
    fn note(&self, event: &str) {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        // One of a few is timed, all are counted.
        if count.is_multiple_of(8) {
            let now = Instant::now();
            *self.last.lock() = Some(now);
            let sent = event.split_once("\"sent\":").map(|(_, rest)| rest);
            let digits =
                sent.map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default());
            if let Some(sent) = digits.and_then(|digits| digits.parse::<u64>().ok()) {
                let us = u32::try_from(now_us().saturating_sub(sent)).unwrap_or(u32::MAX);
                self.latencies.lock().push(us);
            }
        } else {
            *self.last.lock() = Some(Instant::now());
        }
    }
}

/// Microseconds since 1970.
pub(crate) fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// A filter that is this socket's alone, unless it is everybody's.
fn own(filter: &Value, number: usize) -> Value {
    match filter["channel"].as_i64() {
        Some(channel) if channel < 0 => {
            let place = i64::try_from(number).unwrap_or(i64::MAX) * 1_000;
            json!({"channel": channel - place})
        }
        _ => filter.clone(),
    }
}

async fn socket(
    port: u16,
    filters: &[Value],
    counters: &Counters,
    ready: &mpsc::UnboundedSender<Result<()>>,
) -> Result<()> {
    let (mut socket, _) = tokio_tungstenite::connect_async(format!("ws://127.0.0.1:{port}/live")).await?;
    for (id, filter) in filters.iter().enumerate() {
        let mut part = filter.clone();
        part["get"] = json!(["sent", "text"]);
        // What was written before is no matter.
        part["where"] = json!("sent > $now");
        part["params"] = json!({"now": now_us()});
        let frame = json!({"id": id, "subscribe": {"Signal": part}});
        socket.send(Message::Text(frame.to_string().into())).await?;
        let answer = loop {
            match socket.next().await.context("no answer")?? {
                Message::Text(answer) => break answer,
                _ => continue,
            }
        };
        if !answer.contains("\"ready\"") {
            bail!("{answer}");
        }
    }
    ready.send(Ok(()))?;
    while let Some(message) = socket.next().await {
        match message? {
            Message::Text(text) if text.contains("\"change\"") => counters.note(&text),
            Message::Text(text) => eprintln!("{text}"),
            _ => {}
        }
    }
    Ok(())
}
