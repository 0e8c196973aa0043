//! Measurements, not tests, of the store beside the bare driver with the same statements:
//! `STORE_SPEED_URL=postgres://… cargo test --release -p mainstay-store --test store speed_postgres -- --ignored --nocapture`.
//!
//! Without a URL the tests' own server is measured, which waits for no disk.

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join;
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;
use mainstay_sql::statement::{Encoding, ResultShape};
use mainstay_store::{Query, Store, StoreOptions};
use mainstay_testkit::postgres::Postgres;
use tokio_postgres::{Client, NoTls};

use super::support::{change, job, query, shape, soon, wide};

const ROWS: u128 = 20_000;
const SELECT: &str = "SELECT id, created, name, email, age FROM speed WHERE id = $1::uuid";
const INSERT: &str = "INSERT INTO speed_written (id, name) VALUES ($1::uuid, $2::text)";

fn url() -> String {
    std::env::var("STORE_SPEED_URL").unwrap_or_else(|_| Postgres::database())
}

fn key(at: u128) -> uuid::Uuid {
    uuid::Uuid::from_u128(0x0192_e4a0_7b1c_7d2e_8f3a_0000_0000_0000 + (at % ROWS) * 0x9e37)
}

async fn prepare(url: &str) -> Arc<Store> {
    let store = Store::open(&StoreOptions::new(url.parse().unwrap())).unwrap();
    let script = [
        "DROP TABLE IF EXISTS speed, speed_written",
        "CREATE TABLE speed (id uuid PRIMARY KEY, created timestamptz NOT NULL, name text NOT NULL,
            email text NOT NULL, age bigint)",
        "CREATE TABLE speed_written (id uuid NOT NULL, name text NOT NULL)",
    ];
    store.execute_script(script.map(str::to_owned).to_vec()).await.unwrap();
    let insert = "INSERT INTO speed VALUES ($1::uuid, now(), $2::text, $3::text, 7)";
    let person = |at| {
        let texts = [format!("Person number {at}"), format!("person{at}@example.org")].map(Value::Text);
        change(insert, [&[Value::Uuid(key(at))][..], &texts].concat())
    };
    store.write(soon(), job((0..ROWS).map(person).collect())).await.unwrap();
    Arc::new(store)
}

async fn connect(url: &str) -> Arc<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    Arc::new(client)
}

/// Runs so much work in so many tasks, and says how much of it was done in a second.
async fn rate<F: Future<Output = ()> + Send>(
    what: &str,
    tasks: u128,
    total: u128,
    work: impl Fn(u128, u128) -> F + Clone + Send + 'static,
) {
    let begun = Instant::now();
    let handles: Vec<_> = (0..tasks)
        .map(|task| {
            let work = work.clone();
            tokio::spawn(async move {
                for at in 0..total / tasks {
                    work(task, at * tasks + task).await;
                }
            })
        })
        .collect();
    for handle in handles {
        handle.await.unwrap();
    }
    eprintln!("{what}, {tasks} tasks: {:.0} /s", total as f64 / begun.elapsed().as_secs_f64());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn speed_of_reads_by_key() {
    let url = url();
    let store = prepare(&url).await;
    let text = || Encoding::Typed(Type::Text { max: None });
    let members = [
        ("id", Encoding::Typed(Type::Uuid)),
        ("created", Encoding::Typed(Type::Timestamp)),
        ("name", text()),
        ("email", text()),
        ("age", Encoding::Typed(Type::Int)),
    ];
    let by_key = Arc::new(query(SELECT, vec![Value::Null], ResultShape::Json(shape(&members))));
    let clients = [connect(&url).await, connect(&url).await];
    let mut statements = Vec::new();
    for client in &clients {
        statements.push(client.prepare(SELECT).await.unwrap());
    }
    let bare: Arc<Vec<_>> = Arc::new(clients.into_iter().zip(statements).collect());
    for tasks in [1, 64, 1, 64, 1, 64] {
        let total = if tasks == 1 { 10_000 } else { 100_000 };
        let bare = bare.clone();
        rate("read by key, bare driver", tasks, total, move |task, at| {
            let bare = bare.clone();
            async move {
                let (client, statement) = &bare[task as usize % bare.len()];
                let row = client.query_one(statement, &[&key(at * 7919)]).await.unwrap();
                let text = format!(
                    r#"{{"id":"{}","created":"","name":"{}","email":"{}","age":{}}}"#,
                    row.get::<_, uuid::Uuid>(0),
                    row.get::<_, &str>(2),
                    row.get::<_, &str>(3),
                    row.get::<_, i64>(4)
                );
                std::hint::black_box(text);
            }
        })
        .await;
        let (store, by_key) = (store.clone(), by_key.clone());
        rate("read by key, store", tasks, total, move |_, at| {
            let (store, by_key) = (store.clone(), by_key.clone());
            async move {
                let query =
                    Query { statement: by_key.statement.clone(), values: vec![Value::Uuid(key(at * 7919))] };
                store.read(vec![query], wide()).await.unwrap();
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn speed_of_small_writes() {
    let url = url();
    let store = prepare(&url).await;
    let mut bare = Vec::new();
    for _ in 0..16 {
        let client = connect(&url).await;
        let statement = client.prepare(INSERT).await.unwrap();
        bare.push(tokio::sync::Mutex::new((client, statement)));
    }
    let bare = Arc::new(bare);
    let insert = Arc::new(change(INSERT, vec![Value::Null, Value::Null]));
    for tasks in [1, 16, 64, 1, 16, 64] {
        let total = if tasks == 1 { 1_000 } else { 16_000 };
        for pipelined in [false, true] {
            let bare = bare.clone();
            let what = if pipelined { "write, bare driver, pipelined BEGIN" } else { "write, bare driver" };
            rate(what, tasks, total, move |task, at| {
                let bare = bare.clone();
                async move {
                    let (client, statement) = &*bare[task as usize % bare.len()].lock().await;
                    let (key, name) = (key(at), format!("number {at}"));
                    let insert = async { client.execute(statement, &[&key, &name]).await.unwrap() };
                    if pipelined {
                        join(async { client.batch_execute("BEGIN").await.unwrap() }, insert).await;
                    } else {
                        client.batch_execute("BEGIN").await.unwrap();
                        insert.await;
                    }
                    client.batch_execute("COMMIT").await.unwrap();
                }
            })
            .await;
        }
        let (store, insert) = (store.clone(), insert.clone());
        rate("write, store", tasks, total, move |_, at| {
            let (store, insert) = (store.clone(), insert.clone());
            async move {
                let values = vec![Value::Uuid(key(at)), Value::Text(format!("number {at}"))];
                let query = Query { statement: insert.statement.clone(), values };
                store.write(soon(), job(vec![query])).await.unwrap();
            }
        })
        .await;
    }
}
