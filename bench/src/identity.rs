//! What knowing who asks costs: a request of a session beside one of a plain token, sign-ins whose time must tell nothing, a flood of them,
//! and the memory of sessions.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::data;
use crate::postgres::server::Postgres;
use crate::scenario::{Request, Scenario, measure};
use crate::servers::{Server, free_port};

const APP: &str =
    "app people\nuse identity\n\ntable Item {\n  title text(200)\n  allow read if signed_in\n}\n";
const SECRET: &str = "9fXQ2c7mTz4LrVbN8sKpWd3hYj6GtEaU";
const PASSWORD: &str = "a boat that sings by night";

/// Accounts that are tried once each, and as many that are none.
const ACCOUNTS: usize = 150;
/// Sign-ins at once.
const FLOOD: usize = 1_000;
/// Sessions that are made. Tables in memory grow by doubling: after nearly a power of two they hold little that is empty.
const SESSIONS: usize = 32_000;
/// As many of them let the server come to its size: its connections, statements and buffers are no session's.
const FIRST: usize = 1_000;
/// As many of them are made at once.
const AT_ONCE: usize = 50;

/// An answer: its status, its body, and how long it took.
struct Answer {
    status: u16,
    body: Value,
    took: Duration,
}

/// Asks over a connection of its own, from an address of its own.
async fn ask(
    port: u16,
    method: &str,
    path: &str,
    (token, from): (&str, usize),
    body: &Value,
) -> Result<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let authorization =
        if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
    let address = format!("10.{}.{}.{}", from / 62_500 % 250, from / 250 % 250, from % 250 + 1);
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nX-Forwarded-For: {address}\r\n{authorization}\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let began = Instant::now();
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let took = began.elapsed();
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n").context("no answer")?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("no status")?;
    Ok(Answer { status, body: serde_json::from_str(body).unwrap_or(Value::Null), took })
}

fn mainstay(app: &Path, words: &[&str]) -> Result<Command> {
    let mut command = Command::new(data::binary()?);
    command.args(&words[..1]).arg(app).args(&words[1..]).env("MAINSTAY_AUTH_SECRET", SECRET);
    Ok(command)
}

/// What can be run by itself.
pub(crate) const PARTS: [&str; 4] = ["requests", "timing", "flood", "sessions"];

/// Runs some of the parts and prints what they measure.
pub(crate) fn run(parts: &[&str]) -> Result<()> {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let folder = tempfile::tempdir()?;
    let app = folder.path().join("people");
    std::fs::create_dir_all(&app)?;
    std::fs::write(app.join("app.stay"), APP)?;
    let port = free_port()?;
    let serve = || -> Result<Command> {
        let listen = format!("127.0.0.1:{port}");
        let mut command = mainstay(&app, &["serve", "--listen", &listen, "--log-level", "warn"])?;
        command.args(["--http-trusted-proxies", "127.0.0.1"]);
        command.args(["--identity-verified", "no", "--identity-anonymous", "yes"]);
        Ok(command)
    };
    let start = || Server::start(serve()?, port);
    let server = start()?;
    let plain = |words: &[&str]| -> Result<String> {
        let mut command = Command::new(data::binary()?);
        let output = command.args(words).env("MAINSTAY_AUTH_SECRET", SECRET).output()?;
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    };
    let folder_text = app.display().to_string();
    let admin = plain(&["user", "token", &folder_text, "--admin", "--ttl", "1d"])?;
    let (session, user, item) = tokio.block_on(async {
        let item = ask(port, "POST", "/api/Item", (&admin, 0), &json!({"title": "Item"})).await?;
        let body = json!({"email": "bench@example.com", "password": PASSWORD, "name": "Bench"});
        let made = ask(port, "POST", "/auth/register", ("", 0), &body).await?;
        let text =
            |value: &Value| value.as_str().map(str::to_owned).context("an answer without what was asked for");
        anyhow::Ok((text(&made.body["access"])?, text(&made.body["user"]["id"])?, text(&item.body["id"])?))
    })?;
    let token = plain(&["user", "token", &folder_text, &user, "--ttl", "1d"])?;
    let get = |token: &str| {
        Request::get(server.url(&format!("/api/Item/{item}")))
            .header(format!("Authorization: Bearer {token}"))
    };
    let is_asked = |part: &str| parts.contains(&part);
    let requests = || {
        measure(
            &[Scenario {
                name: "get by id: session, beside a plain token",
                target: Some(0.95),
                ours: get(&session),
                theirs: Box::new(get(&token)),
            }],
            5,
            2,
        )
    };
    if is_asked("requests") {
        requests()?;
        println!();
    }
    if is_asked("timing") || is_asked("flood") {
        tokio.block_on(accounts(port))?;
    }
    if is_asked("timing") {
        tokio.block_on(timing(port))?;
    }
    if is_asked("flood") {
        flood(&server, &token, &item)?;
        tokio.block_on(sign_in_under_load(&server, &token, &item))?;
    }
    drop(server);
    if is_asked("sessions") {
        let postgres = Postgres::start()?;
        postgres.psql("CREATE DATABASE people")?;
        let start = || -> Result<Server> {
            let mut command = serve()?;
            command.env("MAINSTAY_DATABASE", postgres.url("people"));
            Server::start(command, port)
        };
        sessions(&tokio, &start, &admin)?;
    }
    Ok(())
}

/// The address of one of those who have an account.
fn account(number: usize) -> String {
    format!("somebody{number}@example.com")
}

async fn accounts(port: u16) -> Result<()> {
    for number in 0..ACCOUNTS {
        let body = json!({"email": account(number), "password": PASSWORD, "name": "Somebody"});
        let made = ask(port, "POST", "/auth/register", ("", number), &body).await?;
        if made.status != 201 {
            bail!("registering: {} {}", made.status, made.body);
        }
    }
    Ok(())
}

/// Whether the time of a refused sign-in tells an account from none: by ranks (Mann and Whitney), because times are not normal.
async fn timing(port: u16) -> Result<()> {
    let mut times: Vec<(Duration, bool)> = Vec::with_capacity(2 * ACCOUNTS);
    for number in 0..ACCOUNTS {
        for is_known in [true, false] {
            let email = if is_known { account(number) } else { format!("nobody{number}@example.com") };
            let from = 10_000 + 2 * number + usize::from(is_known);
            let body = json!({"email": email, "password": "a guess at it"});
            let answer = ask(port, "POST", "/auth/login", ("", from), &body).await?;
            if answer.status != 401 {
                bail!("a guess was answered {}", answer.status);
            }
            times.push((answer.took, is_known));
        }
    }
    times.sort_unstable();
    let of = |wanted: bool| times.iter().filter(move |(_, is_known)| *is_known == wanted);
    let median =
        |wanted: bool| of(wanted).nth(ACCOUNTS / 2).map_or(0.0, |(took, _)| took.as_secs_f64() * 1000.0);
    let ranks: f64 =
        times.iter().enumerate().filter(|(_, (_, known))| *known).map(|(rank, _)| rank as f64 + 1.0).sum();
    let n = ACCOUNTS as f64;
    let u = ranks - n * (n + 1.0) / 2.0;
    let z = (u - n * n / 2.0) / (n * n * (2.0 * n + 1.0) / 12.0).sqrt();
    println!("refused sign-in, median: known {:.2} ms, unknown {:.2} ms", median(true), median(false));
    println!("  rank test: z = {z:.2}   (told apart beyond 2.58)");
    Ok(())
}

/// Reads at a pace, on a thread that nothing else of this program delays; the slowest but one in a hundred, in milliseconds.
fn reads(port: u16, token: &str, item: &str, count: usize) -> std::thread::JoinHandle<Result<f64>> {
    let head =
        format!("GET /api/Item/{item} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n");
    std::thread::spawn(move || {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        let mut times = Vec::with_capacity(count);
        let mut answer = [0; 4096];
        for _ in 0..count {
            let began = Instant::now();
            stream.write_all(head.as_bytes())?;
            // A short answer comes in one piece.
            let read = stream.read(&mut answer)?;
            if !answer[..read].starts_with(b"HTTP/1.1 200") {
                bail!("{}", String::from_utf8_lossy(&answer[..read]));
            }
            times.push(began.elapsed().as_secs_f64() * 1000.0);
            std::thread::sleep(Duration::from_millis(5));
        }
        times.sort_by(f64::total_cmp);
        Ok(times[count * 99 / 100])
    })
}

/// Keeps a processor busy until it is killed.
pub(crate) fn spin() -> ! {
    loop {
        std::hint::spin_loop();
    }
}

/// The same reads beside a process that only spins, and that the kernel gives what nobody else wants: what hashes cost others that are
/// made by a thread of this kind cannot be less on this machine.
fn reads_beside_spinning(port: u16, token: &str, item: &str) -> Result<f64> {
    let mut spinning = Command::new("chrt")
        .args(["--idle", "0"])
        .arg(std::env::current_exe()?)
        .arg("spin")
        .spawn()
        .context("chrt, of util-linux")?;
    let slowest = joined(reads(port, token, item, 1000));
    spinning.kill()?;
    spinning.wait()?;
    slowest
}

/// Tries to sign in so often at once, and prints how many answers of which status there were.
pub(crate) fn attempts(words: &[&str]) -> Result<()> {
    let [port, kind] = words else { bail!("attempts PORT empty|password, and not {}", words.join(" ")) };
    let port: u16 = port.parse()?;
    let is_empty = *kind == "empty";
    println!("begun");
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answers = tokio.block_on(join_all((0..FLOOD).map(|number| async move {
        let sign_in = json!({"email": account(number % ACCOUNTS), "password": PASSWORD});
        let body = if is_empty { json!({}) } else { sign_in };
        ask(port, "POST", "/auth/login", ("", 50_000 + number), &body).await
    })));
    let mut statuses: BTreeMap<String, usize> = BTreeMap::new();
    for answer in answers {
        *statuses.entry(answer.map_or("none".to_owned(), |answer| answer.status.to_string())).or_default() +=
            1;
    }
    println!("{}", serde_json::to_string(&statuses)?);
    Ok(())
}

fn flood(server: &Server, token: &str, item: &str) -> Result<()> {
    let port = server.port;
    let idle = joined(reads(port, token, item, 1000))?;
    let spinning = reads_beside_spinning(port, token, item)?;
    let at_once = |kind: &str| -> Result<(Value, f64, f64)> {
        // Behind the server, whose machine it would not be on.
        let mut flooding = Command::new("nice")
            .args(["-n", "19"])
            .arg(std::env::current_exe()?)
            .args(["attempts", &port.to_string(), kind])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .context("nice, of coreutils")?;
        let mut begun = String::new();
        let mut told = BufReader::new(flooding.stdout.take().context("a pipe")?);
        told.read_line(&mut begun)?;
        // For as long as hashes are made.
        let watched = reads(port, token, item, 1000);
        let mut statuses = String::new();
        told.read_line(&mut statuses)?;
        let memory = server.memory_mib()?;
        flooding.wait()?;
        Ok((serde_json::from_str(&statuses)?, joined(watched)?, memory))
    };
    let (_, refused, _) = at_once("empty")?;
    let before = server.memory_mib()?;
    let (statuses, busy, memory) = at_once("password")?;
    let count = |wanted: &str| statuses[wanted].as_u64().unwrap_or(0);
    println!("{FLOOD} sign-ins at once: {} let in, {} told to come later", count("200"), count("503"));
    println!(
        "  reads meanwhile, p99: {busy:.2} ms, {:.2} of idle ({idle:.2} ms)   (target < 3)",
        busy / idle
    );
    println!(
        "  beside a process of the lowest priority that spins, instead: {spinning:.2} ms, {:.2} of idle",
        spinning / idle
    );
    println!(
        "  beside as many requests that are refused at sight, instead: {refused:.2} ms, {:.2} of idle",
        refused / idle
    );
    println!("  memory: {before:.1} MiB before, {memory:.1} MiB meanwhile");
    Ok(())
}

/// How long one sign-in takes while reads take all of the machine that they can get.
async fn sign_in_under_load(server: &Server, token: &str, item: &str) -> Result<()> {
    let port = server.port;
    let sign_in = async |number: usize| {
        let body = json!({"email": account(number), "password": PASSWORD});
        let answer = ask(port, "POST", "/auth/login", ("", 60_000 + number), &body).await?;
        if answer.status != 200 {
            bail!("a sign-in was answered {}: {}", answer.status, answer.body);
        }
        anyhow::Ok(answer.took.as_secs_f64() * 1000.0)
    };
    let mut idle = sign_in(0).await?;
    idle = idle.min(sign_in(1).await?);
    let mut load = Command::new("wrk")
        .args(["--threads", "2", "--connections", "64", "--duration", "15s"])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .arg(server.url(&format!("/api/Item/{item}")))
        .stdout(std::process::Stdio::null())
        .spawn()?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut busy = Vec::new();
    for number in 2..7 {
        busy.push(sign_in(number).await?);
    }
    let was_busy = load.try_wait()?.is_none();
    load.kill()?;
    load.wait()?;
    busy.sort_by(f64::total_cmp);
    println!("a sign-in: {idle:.0} ms; while 64 connections read as fast as they can: {busy:.0?} ms");
    if !was_busy {
        println!("  (the reads had ended before)");
    }
    Ok(())
}

fn joined(reading: std::thread::JoinHandle<Result<f64>>) -> Result<f64> {
    reading.join().map_err(|_| anyhow::anyhow!("the thread that reads has panicked"))?
}

/// What a session takes while it is in use. On PostgreSQL, whose server keeps the pages of its tables: what an embedded database keeps
/// of its rows is none of a session's.
fn sessions(tokio: &tokio::runtime::Runtime, start: &dyn Fn() -> Result<Server>, admin: &str) -> Result<()> {
    let server = start()?;
    let (tokens, item) = tokio.block_on(async {
        let item = ask(server.port, "POST", "/api/Item", (admin, 0), &json!({"title": "Item"})).await?;
        let item = item.body["id"].as_str().context("an item without an id")?.to_owned();
        let mut tokens = Vec::with_capacity(SESSIONS);
        for first in (0..SESSIONS).step_by(AT_ONCE) {
            let made = join_all((first..first + AT_ONCE).map(async |number| {
                ask(server.port, "POST", "/auth/anonymous", ("", 100_000 + number), &json!({})).await
            }));
            for made in made.await {
                let made = made?;
                let access = made.body["access"].as_str();
                tokens.push(access.with_context(|| format!("{} {}", made.status, made.body))?.to_owned());
            }
        }
        anyhow::Ok((tokens, item))
    })?;
    drop(server);
    let server = start()?;
    let path = format!("/api/Item/{item}");
    let used = async |tokens: &[String]| {
        for token in tokens {
            let answer = ask(server.port, "GET", &path, (token, 0), &Value::Null).await?;
            if answer.status != 200 {
                bail!("a session was answered {}: {}", answer.status, answer.body);
            }
        }
        anyhow::Ok(())
    };
    let (first, others) = tokens.split_at(FIRST);
    tokio.block_on(used(first))?;
    let before = server.own_memory_mib()?;
    tokio.block_on(used(others))?;
    let kib = (server.own_memory_mib()? - before) * 1024.0 / others.len() as f64;
    println!("memory of a session in use: {kib:.2} KiB   (100,000 below 50 MB: 0.49)");
    Ok(())
}
