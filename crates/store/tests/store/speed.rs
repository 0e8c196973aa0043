//! Measurements, not tests: `cargo test --release -p mainstay-store --test store speed -- --ignored --nocapture`.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use mainstay_lang::types::Type;
use mainstay_lang::value::Value;
use mainstay_sql::statement::{Encoding, ResultShape};
use mainstay_store::Query;

use super::support::{On, TestStore, change, insert, job, query, shape, soon, wide};

async fn people(rows: i64) -> TestStore {
    let test = TestStore::new(On::Sqlite, &[
        "CREATE TABLE Person (id TEXT PRIMARY KEY, created TEXT NOT NULL, updated TEXT NOT NULL, name TEXT NOT NULL,
            email TEXT NOT NULL, age INTEGER) STRICT",
        "CREATE TABLE number (n INTEGER NOT NULL) STRICT",
    ])
    .await;
    let sql = "INSERT INTO Person VALUES ($1, '2026-01-31T10:00:00.000000Z', '2026-01-31T10:00:00.000000Z', $2, $3, $4)";
    let person = |at: i64| {
        let values = vec![
            Value::Uuid(key(at)),
            Value::Text(format!("Person number {at}")),
            Value::Text(format!("person{at}@example.org")),
            Value::Int(at % 100),
        ];
        change(sql, values)
    };
    test.write(job((0..rows).map(person).collect())).await.unwrap();
    test
}

fn key(at: i64) -> uuid::Uuid {
    uuid::Uuid::from_u128(0x0192_e4a0_7b1c_7d2e_8f3a_0000_0000_0000 + at as u128 * 0x9e37)
}

/// The least that the same reads can cost: one connection, one statement, the text put together.
fn read_by_hand(path: &Path, sql: &str, reads: i64, rows: i64) -> f64 {
    let connection = rusqlite::Connection::open(path).unwrap();
    let begun = Instant::now();
    for at in 0..reads {
        let mut statement = connection.prepare_cached(sql).unwrap();
        let text = statement.query_one([key(at * 7919 % rows).to_string()], |row| {
            let text = |column| row.get_ref(column)?.as_str().map_err(rusqlite::Error::from);
            let age: i64 = row.get(5)?;
            Ok(format!(
                r#"{{"id":"{}","created":"{}","updated":"{}","name":"{}","email":"{}","age":{age}}}"#,
                text(0)?,
                text(1)?,
                text(2)?,
                text(3)?,
                text(4)?
            ))
        });
        std::hint::black_box(text.unwrap());
    }
    begun.elapsed().as_secs_f64() * 1e6 / reads as f64
}

fn get(template: &Query, at: i64) -> Query {
    Query { statement: template.statement.clone(), values: vec![Value::Uuid(key(at))] }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn speed_of_a_read_by_key() {
    let rows = 20_000;
    let test = people(rows).await;
    let text = || Encoding::Typed(Type::Text { max: None });
    let members = [
        ("id", Encoding::Typed(Type::Uuid)),
        ("created", Encoding::Typed(Type::Timestamp)),
        ("updated", Encoding::Typed(Type::Timestamp)),
        ("name", text()),
        ("email", text()),
        ("age", Encoding::Typed(Type::Int)),
    ];
    let sql = "SELECT id, created, updated, name, email, age FROM Person WHERE id = $1";
    let by_key = query(sql, vec![Value::Null], ResultShape::Json(shape(&members)));
    let reads = 300_000;
    let path = test.folder.path().join("test.db");
    for _ in 0..3 {
        println!("read by key, by hand: {:.2} µs", read_by_hand(&path, sql, reads, rows));
        let begun = Instant::now();
        for at in 0..reads {
            test.store.read(vec![get(&by_key, at * 7919 % rows)], wide()).await.unwrap();
        }
        println!("read by key, one task: {:.2} µs", begun.elapsed().as_secs_f64() * 1e6 / reads as f64);
    }
    let by_key = Arc::new(by_key);
    let begun = Instant::now();
    let tasks = (0..64).map(|task| {
        let (store, by_key) = (test.store.clone(), by_key.clone());
        tokio::spawn(async move {
            for at in 0..reads / 64 {
                store.read(vec![get(&by_key, (at * 64 + task) * 7919 % rows)], wide()).await.unwrap();
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    println!("read by key, 64 tasks: {:.0} /s", reads as f64 / begun.elapsed().as_secs_f64());

    let list = "SELECT id, created, updated, name, email, age FROM Person WHERE age < $1 LIMIT 30";
    let list = query(list, vec![Value::Int(50)], ResultShape::Json(shape(&members)));
    let begun = Instant::now();
    for _ in 0..20_000 {
        test.store.read(vec![list.clone()], wide()).await.unwrap();
    }
    println!("list of 30: {:.2} µs", begun.elapsed().as_secs_f64() * 1e6 / 20_000.0);
    let metrics = test.store.metrics();
    println!("inline {}, pool {}", metrics.inline_reads, metrics.pool_reads);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn speed_of_durable_inserts() {
    for tasks in [1, 8, 32, 64, 256] {
        let test = people(1).await;
        let total = if tasks == 1 { 2_000 } else { 40_000 };
        let before = test.store.metrics();
        let begun = Instant::now();
        let handles = (0..tasks).map(|task| {
            let store = test.store.clone();
            tokio::spawn(async move {
                for at in 0..total / tasks {
                    store.write(soon(), insert(at * tasks + task)).await.unwrap();
                }
            })
        });
        for handle in handles.collect::<Vec<_>>() {
            handle.await.unwrap();
        }
        let took = begun.elapsed().as_secs_f64();
        let after = test.store.metrics();
        let commits = after.commits - before.commits;
        println!(
            "{tasks} tasks: {:.0} inserts/s, {commits} commits, {:.0} µs a commit, {:.1} jobs a commit",
            total as f64 / took,
            (after.commit_us_total - before.commit_us_total) as f64 / commits as f64,
            total as f64 / commits as f64,
        );
    }
}

#[tokio::test]
#[ignore = "a measurement"]
async fn speed_of_steps() {
    let test = TestStore::numbers(On::Sqlite).await;
    let count_to =
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < $1) SELECT count(*) FROM c";
    for end in [1000, 2000, 3000, 4000, 6000] {
        let query = query(count_to, vec![Value::Int(end)], ResultShape::Values(vec![Type::Int]));
        let begun = Instant::now();
        test.store.read(vec![query], wide()).await.unwrap();
        println!("count to {end}: {:?}, overruns {}", begun.elapsed(), test.store.metrics().overruns);
    }
}
