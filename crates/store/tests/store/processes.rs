//! Several processes on one file: one that is killed, and two beside each other.
//!
//! The other process is this test binary again, told by its environment what to be.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_lang::value::Value;
use mainstay_store::{Store, StoreError};

use super::support::{NUMBERS, On, TestStore, change, insert, ints, job, options, soon, wide};

const ROLE: &str = "STORE_TEST_ROLE";
const PATH: &str = "STORE_TEST_PATH";
const FIRST: &str = "STORE_TEST_FIRST";

/// Two rows for each job, so that half of one would show.
const TABLES: [&str; 2] =
    ["CREATE TABLE number (n INTEGER NOT NULL UNIQUE)", "CREATE TABLE twin (n INTEGER NOT NULL)"];

fn spawn(role: &str, path: &Path, first: i64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::processes::other_process", "--ignored", "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .env(PATH, path)
        .env(FIRST, first.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Numbers that the other process says were acknowledged. A line cut off by its end is none.
fn acknowledged(line: &str) -> Option<i64> {
    line.split_once("ack ")?.1.strip_suffix(" ok\n")?.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the other process of the tests below"]
async fn other_process() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let path = std::env::var(PATH).unwrap();
    let first: i64 = std::env::var(FIRST).unwrap().parse().unwrap();
    if role == "holder" {
        return hold(Path::new(&path));
    }
    let mut options = options(path.into());
    options.exclusive = role == "server";
    let store = Arc::new(Store::open(&options).unwrap());
    if role == "command" {
        for number in first..first + 50 {
            write_pair(&store, number).await;
        }
        store.close().await;
        return;
    }
    let tasks = (0..16).map(|task| {
        let store = store.clone();
        tokio::spawn(async move {
            for round in 0.. {
                write_pair(&store, first + round * 16 + task).await;
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

/// Locks the database, says so, and lets go when its input ends.
fn hold(path: &Path) {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    acknowledge(0);
    std::io::stdin().read_line(&mut String::new()).unwrap();
    connection.execute_batch("ROLLBACK").unwrap();
}

async fn write_pair(store: &Store, number: i64) {
    let pair = ["INSERT INTO number (n) VALUES ($1)", "INSERT INTO twin (n) VALUES ($1)"];
    let pair = pair.map(|sql| change(sql, vec![Value::Int(number)]));
    store.write(soon(), job(pair.to_vec())).await.unwrap();
    acknowledge(number);
}

fn acknowledge(number: i64) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "ack {number} ok").unwrap();
    out.flush().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_a_kill() {
    let test = TestStore::new(On::Sqlite, &TABLES).await;
    test.store.close().await;
    let path = test.folder.path().join("test.db");
    let mut all = BTreeSet::new();
    for round in 0..5 {
        let mut child = spawn("server", &path, round * 1_000_000);
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        let mut wanted = 40 + round * 37;
        // The end of the output comes some time after the kill, with what was still acknowledged until then.
        while out.read_line(&mut line).unwrap() > 0 {
            all.extend(acknowledged(&line));
            wanted -= i64::from(acknowledged(&line).is_some());
            if wanted == 0 {
                child.kill().unwrap();
            }
            line.clear();
        }
        assert!(wanted <= 0, "the other process ended by itself");
        child.wait().unwrap();

        let reopened = Store::open(&options(path.clone())).unwrap();
        let reopened = TestStore {
            store: Arc::new(reopened),
            folder: tempfile::tempdir().unwrap(),
            database: String::new(),
        };
        assert_eq!(reopened.store.integrity_check().await.unwrap(), Vec::<String>::new());
        let twins = reopened.read_all("SELECT n FROM twin").await;
        let numbers = reopened.read_all("SELECT n FROM number").await;
        assert_eq!(numbers, twins, "half a job is there");
        assert!(numbers.is_superset(&all), "lost: {:?}", all.difference(&numbers));
        reopened.store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_writes_beside_a_busy_server() {
    let test = TestStore::with(On::Sqlite, &TABLES, |options| options.exclusive = true).await;
    let mut changes = test.store.foreign_changes();
    changes.mark_unchanged();
    let mut child = spawn("command", &test.folder.path().join("test.db"), 1_000_000);
    let out = BufReader::new(child.stdout.take().unwrap());
    // The server keeps writing for as long as the command runs.
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let busy: Vec<_> = (0..8)
        .map(|task| {
            let (store, stopped) = (test.store.clone(), stopped.clone());
            tokio::spawn(async move {
                let mut written = 0;
                while !*stopped.borrow() {
                    store.write(soon(), insert(task * 10_000 + written)).await.unwrap();
                    written += 1;
                }
                written
            })
        })
        .collect();
    let commands = tokio::task::spawn_blocking(move || {
        out.lines().filter_map(|line| acknowledged(&(line.unwrap() + "\n"))).collect::<Vec<_>>()
    });
    let commands = commands.await.unwrap();
    assert!(child.wait().unwrap().success());
    stop.send(true).unwrap();
    let mut written = 0;
    for task in busy {
        written += task.await.unwrap();
    }
    assert_eq!(commands, (1_000_000..1_000_050).collect::<Vec<_>>());
    assert_eq!(test.read_ints("SELECT count(*) FROM number").await, [written + 50]);
    changes.changed().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_kept_its_snapshot_sees_what_others_committed_once_they_are_noticed() {
    let test = TestStore::with(On::Sqlite, &TABLES, |options| options.exclusive = true).await;
    let count = "SELECT count(*) FROM number";
    let mut changes = test.store.foreign_changes();
    assert_eq!(test.read_ints(count).await, [0]);
    changes.mark_unchanged();
    let other = Store::open(&options(test.folder.path().join("test.db"))).unwrap();
    other.write(soon(), insert(1)).await.unwrap();
    changes.changed().await.unwrap();
    assert_eq!(test.read_ints(count).await, [1]);
    // Who does not look for others asks the file each time.
    let read = |store: Arc<Store>| async move {
        store.read(vec![ints("SELECT n FROM number ORDER BY n", vec![])], wide()).await.unwrap()
    };
    let other = Arc::new(other);
    read(other.clone()).await;
    test.write(insert(2)).await.unwrap();
    assert_eq!(read(other).await, read(test.store.clone()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_snapshot_does_not_keep_the_log_from_being_emptied() {
    let test = TestStore::with(On::Sqlite, &[NUMBERS, "CREATE TABLE Page (bytes BLOB) STRICT"], |options| {
        options.exclusive = true;
    })
    .await;
    assert_eq!(test.read_ints("SELECT count(*) FROM Page").await, [0]);
    let log = test.folder.path().join("test.db-wal");
    let mut longest = 0;
    for _ in 0..600 {
        let page = change("INSERT INTO Page (bytes) VALUES (zeroblob(100000))", vec![]);
        test.write(job(vec![page])).await.unwrap();
        longest = longest.max(std::fs::metadata(&log).unwrap().len());
    }
    // 60 MB were written; the log is cut back whenever it has 8 MB and nobody reads from it.
    assert!(longest < 40_000_000, "the log has grown to {longest} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_locked_by_others_is_waited_for() {
    let test = TestStore::new(On::Sqlite, &TABLES).await;
    let mut child = spawn("holder", &test.folder.path().join("test.db"), 0);
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while acknowledged(&line).is_none() {
        line.clear();
        assert!(out.read_line(&mut line).unwrap() > 0, "the other process has ended");
    }
    // Longer than one attempt to lock the database; only who has no time is refused.
    let patient = test.spawn(insert(1));
    let hasty = Instant::now() + Duration::from_millis(250);
    assert_eq!(test.store.write(hasty, insert(2)).await, Err(StoreError::Deadline));
    let store = test.store.clone();
    let script = tokio::spawn(async move { store.execute_script(vec!["DELETE FROM twin".to_owned()]).await });
    assert!(!patient.is_finished());
    drop(child.stdin.take());
    patient.await.unwrap().unwrap();
    script.await.unwrap().unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(test.all_numbers().await, [1]);
}
