//! Clients that go and come back at any moment while many write: each ends with the exact set, told every change once.
//!
//! What a client may not see is told by the row itself: `mine` says whose it is, `n` counts its changes. Transactions that fail
//! write `n` of a value that no kept one has.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed, and says where")]
#![expect(clippy::print_stdout, reason = "what came of a random run is worth reading")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mainstay_engine::Engine;
use mainstay_engine::ctx::{Caller, Claims, Ctx};
use mainstay_engine::part::Operation;
use mainstay_engine::{document, render};
use mainstay_lang::value::Timestamp;
use mainstay_live::{ChangeOf, Connection, EventKind, Limits, Live, Request, SealKey, Who};
use mainstay_testkit::database::{Database, DatabaseKind, schema_of};
use mainstay_testkit::dice::Dice;
use mainstay_testkit::rows::key;
use serde_json::{Value as Json, json};

const APP: &str = r#"
table Club { name text open bool = true allow all }
table Item {
  mine  User?
  n     int = 0
  club Club?
  allow read if mine == user
  allow create, update, delete
  check n != 666 "never"
}
table Part {
  item Item on delete cascade
  n    int = 0
  allow read if item.mine == user and item.club.open
  allow create, update, delete
}
"#;

const WRITERS: usize = 8;
const CLIENTS: usize = 6;
const PATIENCE: Duration = Duration::from_secs(60);

fn ctx(caller: Caller) -> Ctx {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Ctx {
        caller: Arc::new(caller),
        tenant: None,
        session: None,
        now: Timestamp(i64::try_from(now.as_micros()).unwrap()),
        deadline: Instant::now() + PATIENCE,
        request_id: "test".into(),
        trace: None,
    }
}

async fn execute(engine: &Engine, caller: Caller, document: &Json) -> Result<Json, String> {
    let documents = document::parse(document.to_string().as_bytes()).unwrap();
    let operation = Operation { documents, ..Operation::default() };
    let response = engine.execute(&ctx(caller), &operation).await.map_err(|error| error.to_string())?;
    Ok(serde_json::from_str(&render(&response, document.is_array())).unwrap())
}

/// What all clients together have been through.
#[derive(Default)]
struct Seen {
    told: AtomicUsize,
    resumed: AtomicUsize,
}

impl Seen {
    /// Whether it is enough to prove something: on a busy machine many writes go by before anybody listens.
    fn is_enough(&self, rounds: usize) -> bool {
        self.told.load(Ordering::Relaxed) > 2 * rounds && self.resumed.load(Ordering::Relaxed) > 4
    }
}

/// Writes of one task: rows that come, change, change hands and go, alone and several at a time, some in vain.
async fn write(engine: Arc<Engine>, seed: u64, rounds: usize, seen: Arc<Seen>) -> usize {
    let mut dice = Dice::new(seed);
    let mut kept = 0;
    let until = Instant::now() + PATIENCE;
    let mut round = 0;
    while round < rounds || (!seen.is_enough(rounds) && Instant::now() < until) {
        round += 1;
        let mine = json!(key(1 + dice.below(3)).to_string());
        let item = json!(key(1 + dice.below(30)).to_string());
        let other = json!(key(1 + dice.below(30)).to_string());
        let club = json!(key(1 + dice.below(2)).to_string());
        let raised = json!({"n": {"$add": 1}});
        let document = match dice.below(8) {
            0 => json!({"Item": {"create": true, "id": item, "mine": mine, "club": club}}),
            1 => json!({"Item": {"id": item, "delete": true}}),
            2 => json!({"Item": {"id": item, "set": {"mine": mine, "n": {"$add": 1}}}}),
            3 => json!({"Club": {"id": club, "set": {"open": dice.one_in(2)}}}),
            4 => json!({"Part": {"create": true, "item": item}}),
            5 => {
                json!([{"Item": {"id": item, "set": raised}}, {"Item": {"id": other, "set": {"mine": mine}}}])
            }
            // It fails at its end, after all has been written.
            6 => {
                json!([{"Item": {"id": [item, other], "set": raised}}, {"Item": {"id": item, "set": {"n": 666}}}])
            }
            _ => json!({"Item": {"id": [item, other], "set": raised}}),
        };
        kept += usize::from(execute(&engine, Caller::administrator(), &document).await.is_ok());
    }
    kept
}

/// A client of one user that goes and comes back at random.
struct Client {
    who: Who,
    table: &'static str,
    rows: BTreeMap<String, Json>,
    seq: Option<String>,
    resumed: usize,
    reread: usize,
    lagged: usize,
    told: usize,
    seen: Arc<Seen>,
}

impl Client {
    fn request(&self) -> Request {
        Request::read(&json!({self.table: {"get": ["n"]}}).to_string()).unwrap()
    }

    async fn connect(&self, live: &Live) -> Connection {
        let connection = live.connect(self.who.clone(), None).await;
        connection.subscribe("1".into(), self.request(), self.seq.clone()).await;
        connection
    }

    /// Takes one event; `false`: it lags.
    fn take(&mut self, kind: EventKind) -> bool {
        let shown = |text: &str| -> Json { serde_json::from_str(text).unwrap() };
        let id = |row: &Json| row["id"].to_string();
        match kind {
            EventKind::Ready { seq, rows } => {
                match rows {
                    Some(rows) => {
                        self.reread += 1;
                        let rows = shown(&format!("[{rows}]"));
                        self.rows =
                            rows.as_array().unwrap().iter().map(|row| (id(row), row.clone())).collect();
                    }
                    None => {
                        self.resumed += 1;
                        self.seen.resumed.fetch_add(1, Ordering::Relaxed);
                    }
                }
                self.seq = Some(seq.text());
            }
            EventKind::Change { change, seq, row, .. } => {
                self.told += 1;
                self.seen.told.fetch_add(1, Ordering::Relaxed);
                let row = shown(&row);
                assert_ne!(row["n"], 666, "a transaction that failed was heard of");
                let before = match change {
                    ChangeOf::Enter | ChangeOf::Update => self.rows.insert(id(&row), row.clone()),
                    ChangeOf::Leave => self.rows.remove(&id(&row)),
                };
                assert_eq!(before.is_some(), change != ChangeOf::Enter, "{change:?} of {row}");
                assert_ne!(before.as_ref(), Some(&row), "told twice");
                self.seq = Some(seq.text());
            }
            EventKind::Lagged { since } => {
                self.lagged += 1;
                self.seq = Some(since.text());
                return false;
            }
            EventKind::Ended(error) => panic!("{error}"),
        }
        true
    }

    /// Comes and goes until the writers have ended.
    async fn listen(mut self, live: Live, seed: u64, over: Arc<AtomicBool>) -> Client {
        let mut dice = Dice::new(seed);
        while !over.load(Ordering::Acquire) {
            let connection = self.connect(&live).await;
            for _ in 0..dice.below(30) {
                let next = tokio::time::timeout(Duration::from_millis(200), connection.next());
                match next.await {
                    Ok(event) => {
                        if !self.take(event.unwrap().kind) {
                            break;
                        }
                    }
                    Err(_) => break,
                }
            }
        }
        self
    }

    /// Comes once more and waits until it holds what it should.
    async fn end(&mut self, live: &Live, expected: &BTreeMap<String, Json>) {
        let until = Instant::now() + PATIENCE;
        'again: loop {
            let connection = self.connect(live).await;
            loop {
                assert!(
                    Instant::now() < until,
                    "{} holds {:#?}\ninstead of {expected:#?}",
                    self.table,
                    self.rows
                );
                match tokio::time::timeout(Duration::from_millis(500), connection.next()).await {
                    Ok(event) => {
                        if !self.take(event.unwrap().kind) {
                            continue 'again;
                        }
                    }
                    Err(_) if self.rows == *expected => return,
                    Err(_) => {}
                }
            }
        }
    }
}

async fn exact_sets_for_all(on: DatabaseKind, rounds: usize) {
    let database = Database::open(on, schema_of(APP).unwrap()).await.unwrap();
    let engine = database.engine.clone();
    for number in 1..=3 {
        let user = json!({"User": {"create": true, "id": key(number).to_string(), "name": "u",
            "email": format!("u{number}@example.org")}});
        execute(&engine, Caller::administrator(), &user).await.unwrap();
    }
    for number in 1..=2 {
        let club = json!({"Club": {"create": true, "id": key(number).to_string(), "name": "g"}});
        execute(&engine, Caller::administrator(), &club).await.unwrap();
    }
    // A short queue, so that some lag.
    let limits = Limits { queue_frames: 8, ..Limits::default() };
    let live = Live::start(engine.clone(), SealKey::derive(&[5; 32]), limits);
    let (over, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Seen::default()));
    let listening: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let who = Who { user: Some(key(1 + number % 3)), ..Who::default() };
            let table = if number < 4 { "Item" } else { "Part" };
            let client = Client {
                who,
                table,
                rows: BTreeMap::new(),
                seq: None,
                resumed: 0,
                reread: 0,
                lagged: 0,
                told: 0,
                seen: seen.clone(),
            };
            tokio::spawn(client.listen(live.clone(), number as u64, over.clone()))
        })
        .collect();
    let writing: Vec<_> = (0..WRITERS)
        .map(|number| tokio::spawn(write(engine.clone(), 100 + number as u64, rounds, seen.clone())))
        .collect();
    let mut kept = 0;
    for task in writing {
        kept += task.await.unwrap();
    }
    over.store(true, Ordering::Release);
    assert!(
        kept > rounds && seen.is_enough(rounds),
        "{kept} writes were kept; told {:?}, resumed {:?}",
        seen.told,
        seen.resumed
    );
    for task in listening {
        let mut client = task.await.unwrap();
        let claims = Claims::user(client.who.user.clone().unwrap());
        let planning = engine.planning().await.unwrap();
        let caller = engine.caller_now(&planning, &claims).await.unwrap().unwrap();
        let document = json!({client.table: {"get": ["n"], "limit": 1000}});
        let answer = execute(&engine, Caller::clone(&caller), &document).await.unwrap();
        let rows = answer[client.table].as_array().cloned().unwrap_or_default();
        let expected = rows.into_iter().map(|row| (row["id"].to_string(), row)).collect();
        client.end(&live, &expected).await;
        println!(
            "{on:?} {}: {} rows, told {}, resumed {}, read anew {}, lagged {}",
            client.table,
            client.rows.len(),
            client.told,
            client.resumed,
            client.reread,
            client.lagged
        );
        if client.table == "Item" {
            assert_eq!(client.reread, 1, "who can be told the changes since is told them");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn clients_that_come_and_go_end_with_the_exact_set() {
    let rounds = mainstay_testkit::cases::cases(150);
    for on in DatabaseKind::ALL {
        exact_sets_for_all(*on, rounds).await;
    }
}
