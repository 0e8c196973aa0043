//! PostgreSQL that crashes, connections that are lost at the worst moment, transactions that clash.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mainstay_lang::types::Type;
use mainstay_lang::value::Value;
use mainstay_sql::statement::ResultShape;
use mainstay_store::{Outcome, Query, ReadLimits, Store, StoreError, StoreOptions, Tx, WriteJob};
use mainstay_testkit::postgres::{Outside, OwnPostgres, Postgres};
use mainstay_testkit::proxy::Proxy;
use tokio::sync::Notify;

use super::support::{NUMBERS, On, TestStore, change, insert, ints, job, query, soon, wide};

const TWINS: [&str; 2] = [NUMBERS, "CREATE TABLE twin (n BIGINT NOT NULL)"];

/// Two rows for each job, so that half of one would show.
fn pair(number: i64) -> WriteJob<(), StoreError> {
    let row = |sql| change(sql, vec![Value::Int(number)]);
    job(vec![row("INSERT INTO number (n) VALUES ($1)"), row("INSERT INTO twin (n) VALUES ($1)")])
}

/// The fewest round trips that one of several goes takes: a packet may always be split.
async fn round_trips(proxy: &Proxy, mut go: impl AsyncFnMut()) -> u64 {
    let mut fewest = u64::MAX;
    for _ in 0..20 {
        let before = proxy.round_trips();
        go().await;
        fewest = fewest.min(proxy.round_trips() - before);
    }
    fewest
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_together_costs_one_round_trip() {
    let (test, proxy) = through_a_proxy().await;
    let one = || ints("SELECT 1", vec![]);
    let reading = async || drop(test.store.read(vec![one()], wide()).await.unwrap());
    assert_eq!(round_trips(&proxy, reading).await, 1);
    let reading = async || drop(test.store.read(vec![one(), one(), one()], wide()).await.unwrap());
    assert_eq!(round_trips(&proxy, reading).await, 1);
    let mut numbers = 0..;
    let writing = async || test.write(insert(numbers.next().unwrap())).await.unwrap();
    assert_eq!(round_trips(&proxy, writing).await, 2, "BEGIN with the statement, and COMMIT");
    let mut numbers = 100..;
    let writing = async || test.write(pair(numbers.next().unwrap())).await.unwrap();
    assert_eq!(round_trips(&proxy, writing).await, 3);
    assert_eq!(round_trips(&proxy, async || test.write(job(vec![])).await.unwrap()).await, 0);
}

/// A job that counts how often it is run.
fn counted(runs: &Arc<AtomicU32>, inner: WriteJob<(), StoreError>) -> WriteJob<(), StoreError> {
    let (runs, inner) = (runs.clone(), Arc::new(inner));
    Box::new(move |tx| {
        runs.fetch_add(1, Ordering::Relaxed);
        let inner = inner.clone();
        Box::pin(async move { inner(tx).await })
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_a_crash_of_the_server() {
    let mut server = OwnPostgres::start_new();
    let store = Arc::new(Store::open(&StoreOptions::new(server.url().parse().unwrap())).unwrap());
    store.execute_script(TWINS.map(str::to_owned).to_vec()).await.unwrap();
    let kept = Arc::new(AtomicU64::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let (store, kept, stop) = (store.clone(), kept.clone(), stop.clone());
            tokio::spawn(async move {
                let mut results = Vec::new();
                for round in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let number = round * 8 + task;
                    let result = store.write(soon(), pair(number)).await;
                    kept.fetch_add(u64::from(result.is_ok()), Ordering::Relaxed);
                    results.push((number, result));
                }
                results
            })
        })
        .collect();
    let wait_for = async |more: u64| {
        let wanted = kept.load(Ordering::Relaxed) + more;
        while kept.load(Ordering::Relaxed) < wanted {
            tokio::task::yield_now().await;
        }
    };
    for _ in 0..3 {
        wait_for(200).await;
        server.crash();
        let begun = Instant::now();
        let away = store.read(vec![ints("SELECT 1", vec![])], wide()).await;
        assert!(matches!(away, Err(StoreError::Unavailable { .. } | StoreError::Lost { .. })), "{away:?}");
        assert!(begun.elapsed() < Duration::from_secs(4), "it is told at once");
        server.start();
    }
    wait_for(200).await;
    stop.store(true, Ordering::Relaxed);

    let (mut acknowledged, mut unknown) = (BTreeSet::new(), BTreeSet::new());
    for task in tasks {
        for (number, result) in task.await.unwrap() {
            match result {
                Ok(()) => drop(acknowledged.insert(number)),
                Err(StoreError::OutcomeUnknown { .. }) => drop(unknown.insert(number)),
                Err(StoreError::Unavailable { .. } | StoreError::Lost { .. }) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
    }
    let limits = ReadLimits { rows: u64::MAX, ..wide() };
    let all = vec![ints("SELECT n FROM number", vec![]), ints("SELECT n FROM twin", vec![])];
    let outcomes = store.read(all, limits).await.unwrap();
    let [numbers, twins] = &outcomes[..] else { panic!("{outcomes:?}") };
    let set = |outcome: &Outcome| match outcome {
        Outcome::Values(rows) => rows
            .iter()
            .map(|row| if let Value::Int(number) = row[0] { number } else { panic!("no int") })
            .collect::<BTreeSet<i64>>(),
        other => panic!("{other:?}"),
    };
    let (numbers, twins) = (set(numbers), set(twins));
    assert_eq!(numbers, twins, "half a job is there");
    assert!(numbers.is_superset(&acknowledged), "lost: {:?}", acknowledged.difference(&numbers));
    let surplus: Vec<_> =
        numbers.difference(&acknowledged).filter(|number| !unknown.contains(number)).collect();
    assert!(surplus.is_empty(), "kept, though refused: {surplus:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_is_told_at_once() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("postgres://ann:secret@127.0.0.1:{port}/app");
    let store = Store::open(&StoreOptions::new(url.parse().unwrap())).unwrap();
    let begun = Instant::now();
    let errors = [
        store.read(vec![ints("SELECT 1", vec![])], wide()).await.unwrap_err(),
        store.write(soon(), insert(1)).await.unwrap_err(),
        store.execute_script(vec![]).await.unwrap_err(),
        store.health().await.unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
        let words = error.to_string();
        assert!(words.contains(&format!("postgres://ann@127.0.0.1:{port}/app")), "{words}");
        assert!(!words.contains("secret"), "{words}");
    }
    assert!(begun.elapsed() < Duration::from_secs(4));
}

/// A store whose connections go through a proxy.
async fn through_a_proxy() -> (TestStore, Proxy) {
    let proxy = Proxy::start(Postgres::shared().port()).await.unwrap();
    let port = proxy.port();
    let test = TestStore::with(On::Postgres, &TWINS, |options| {
        let direct = options.url.to_string();
        let (_, database) = direct.rsplit_once('/').unwrap();
        options.url = format!("postgres://postgres@127.0.0.1:{port}/{database}").parse().unwrap();
    })
    .await;
    (test, proxy)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_without_an_answer_is_not_tried_again() {
    let (test, proxy) = through_a_proxy().await;
    let runs = Arc::new(AtomicU32::new(0));
    test.write(pair(1)).await.unwrap();

    proxy.cut_answer(b"COMMIT");
    let result = test.write(counted(&runs, pair(2))).await;
    assert!(matches!(result, Err(StoreError::OutcomeUnknown { .. })), "{result:?}");
    proxy.cut_request(b"COMMIT");
    let result = test.write(counted(&runs, pair(3))).await;
    assert!(matches!(result, Err(StoreError::OutcomeUnknown { .. })), "{result:?}");
    assert_eq!(runs.load(Ordering::Relaxed), 2);
    assert_eq!(test.all_numbers().await, [1, 2], "the one was kept and the other not");
    test.write(pair(4)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_connection_is_lost_before_its_commit_is_run_again() {
    let (test, proxy) = through_a_proxy().await;
    test.write(pair(1)).await.unwrap();
    let cuts: [fn(&Proxy); 3] = [
        |proxy| proxy.cut_request(b"BEGIN"),
        |proxy| proxy.cut_answer(b"BEGIN"),
        // The Bind message of the second statement, which holds the number in eight bytes.
        |proxy| proxy.cut_answer(&[0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 7]),
    ];
    for (index, cut) in cuts.into_iter().enumerate() {
        let runs = Arc::new(AtomicU32::new(0));
        let number = 5 + index as i64;
        cut(&proxy);
        test.write(counted(&runs, pair(number))).await.unwrap();
        assert_eq!(runs.load(Ordering::Relaxed), 2, "cut {index}");
    }
    assert_eq!(test.all_numbers().await, [1, 5, 6, 7]);
    assert_eq!(test.read_ints("SELECT n FROM twin ORDER BY n").await, [1, 5, 6, 7]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_ended_by_the_server_is_replaced() {
    let test = TestStore::new(On::Postgres, &TWINS).await;
    let runs = Arc::new(AtomicU32::new(0));
    let killed: WriteJob<(), StoreError> = Box::new(|tx| {
        Box::pin(async move {
            tx.query(&change("INSERT INTO number (n) VALUES (1)", vec![])).await?;
            let pid = tx.query(&ints("SELECT pg_backend_pid()", vec![])).await?;
            let Outcome::Values(rows) = pid else { panic!("no pid") };
            let Value::Int(pid) = rows[0][0] else { panic!("no pid") };
            static KILLED: AtomicBool = AtomicBool::new(false);
            if !KILLED.swap(true, Ordering::Relaxed) {
                Postgres::shared()
                    .run("postgres", &format!("SELECT pg_terminate_backend({pid}, 5000)"))
                    .unwrap();
            }
            tx.query(&change("INSERT INTO twin (n) VALUES (1)", vec![])).await?;
            Ok(())
        })
    });
    test.write(counted(&runs, killed)).await.unwrap();
    assert_eq!(runs.load(Ordering::Relaxed), 2);
    assert_eq!(test.store.metrics().reruns, 1);

    // All of them, those that nobody uses at the moment and the shared ones for reading.
    test.all_numbers().await;
    let database = test.database.clone();
    let others = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let ended = Postgres::shared().run(&database, others).unwrap();
    assert!(ended.lines().count() >= 2, "{ended}");
    assert_eq!(test.all_numbers().await, [1]);
    test.write(pair(2)).await.unwrap();
}

/// Locks two rows, the second one once the other job has locked its first.
fn crossing(first: i64, second: i64, barrier: Arc<tokio::sync::Barrier>) -> WriteJob<(), StoreError> {
    let met = Arc::new(AtomicBool::new(false));
    Box::new(move |tx| {
        let (barrier, met) = (barrier.clone(), met.clone());
        Box::pin(async move {
            let add = |n| change("UPDATE number SET hits = hits + 1 WHERE n = $1", vec![Value::Int(n)]);
            tx.query(&add(first)).await?;
            // Only the first run waits: the other job may be through when this is run again.
            if !met.swap(true, Ordering::Relaxed) {
                barrier.wait().await;
            }
            tx.query(&add(second)).await?;
            Ok(())
        })
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadlock_is_run_again() {
    let script = [
        "CREATE TABLE number (n BIGINT PRIMARY KEY, hits BIGINT NOT NULL)",
        "INSERT INTO number VALUES (1, 0), (2, 0)",
    ];
    let test = TestStore::new(On::Postgres, &script).await;
    let barrier = Arc::new(tokio::sync::Barrier::new(2));
    let begun = Instant::now();
    let jobs = [crossing(1, 2, barrier.clone()), crossing(2, 1, barrier)].map(|job| test.spawn(job));
    for job in jobs {
        job.await.unwrap().unwrap();
    }
    // The server looks for such after a second.
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(test.read_ints("SELECT hits FROM number").await, [2, 2]);
    // Both go back when neither is much earlier.
    assert!((1..=2).contains(&test.store.metrics().reruns));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_is_kept_for_long_is_waited_for() {
    let script = [
        "CREATE TABLE number (n BIGINT PRIMARY KEY, hits BIGINT NOT NULL)",
        "INSERT INTO number VALUES (1, 0)",
    ];
    let test = TestStore::new(On::Postgres, &script).await;
    let outside = Outside::connect(&Postgres::shared().url(&test.database)).await;
    outside.run("BEGIN; UPDATE number SET hits = 1").await;
    let job = test.spawn(job(vec![change("UPDATE number SET hits = hits + 1", vec![])]));
    // It has come back once, and waits for as long as it takes.
    while test.store.metrics().reruns == 0 {
        tokio::task::yield_now().await;
    }
    outside.until_waiting(1, || false).await;
    outside.run("COMMIT").await;
    job.await.unwrap().unwrap();
    assert_eq!(test.read_ints("SELECT hits FROM number").await, [2]);
    assert_eq!(test.store.metrics().reruns, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_serialisation_failure_is_run_again() {
    let script = ["CREATE TABLE number (n BIGINT PRIMARY KEY)", "INSERT INTO number VALUES (0)"];
    let test = TestStore::new(On::Postgres, &script).await;
    let raise = || -> WriteJob<(), StoreError> {
        Box::new(|tx| {
            Box::pin(async move {
                tx.query(&change("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", vec![])).await?;
                let Outcome::Values(rows) = tx.query(&ints("SELECT n FROM number", vec![])).await? else {
                    panic!("no rows");
                };
                let Value::Int(number) = rows[0][0] else { panic!("no int") };
                tx.query(&change("UPDATE number SET n = $1", vec![Value::Int(number + 1)])).await?;
                Ok(())
            })
        })
    };
    for job in (0..20).map(|_| test.spawn(raise())).collect::<Vec<_>>() {
        job.await.unwrap().unwrap();
    }
    assert_eq!(test.read_ints("SELECT n FROM number").await, [20], "no rise was lost");
    assert!(test.store.metrics().reruns > 0, "they met");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_passes_over_a_failure_is_not_kept() {
    let test = TestStore::new(On::Postgres, &TWINS).await;
    let stubborn: WriteJob<(), StoreError> = Box::new(|tx| {
        Box::pin(async move {
            tx.query(&change("INSERT INTO twin (n) VALUES (1)", vec![])).await?;
            tx.query(&change("INSERT INTO twin (n) VALUES (NULL)", vec![])).await.unwrap_err();
            let next = tx.query(&change("INSERT INTO twin (n) VALUES (2)", vec![])).await;
            assert!(matches!(next, Err(StoreError::Lost { .. })), "{next:?}");
            Ok(())
        })
    });
    let result = test.write(stubborn).await;
    assert!(matches!(result, Err(StoreError::Lost { .. })), "{result:?}");
    assert_eq!(test.read_ints("SELECT count(*) FROM twin").await, [0]);
}

/// Each row of it is an answer of its own, because the server remarks something before it.
const REMARKING: &str = "CREATE FUNCTION remarking(n BIGINT) RETURNS BIGINT LANGUAGE plpgsql AS
    $$ BEGIN RAISE NOTICE 'row %', n; RETURN n; END $$";

#[tokio::test(flavor = "multi_thread")]
async fn a_long_answer_to_an_earlier_statement_does_not_stand_in_the_way() {
    let test = TestStore::new(On::Postgres, &[NUMBERS, REMARKING]).await;
    let many = || ints("SELECT remarking(n) FROM generate_series(1, 20) AS n", vec![]);
    let before_another: WriteJob<(), StoreError> = Box::new(move |tx| {
        Box::pin(async move {
            tx.later(many()).await?;
            tx.query(&change("INSERT INTO number (n) VALUES (1)", vec![])).await.map(drop)
        })
    });
    test.write(before_another).await.unwrap();
    let before_the_commit: WriteJob<(), StoreError> = Box::new(move |tx| {
        Box::pin(async move {
            tx.later(many()).await?;
            tx.later(change("INSERT INTO number (n) VALUES (2)", vec![])).await
        })
    });
    test.write(before_the_commit).await.unwrap();
    assert_eq!(test.all_numbers().await, [1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_was_left_behind_on_a_shared_connection_is_no_readers_fault() {
    let test = TestStore::with(On::Postgres, &[NUMBERS], |options| options.postgres.shared_readers = 1).await;
    test.write(insert(1)).await.unwrap();
    let read = |sql: &'static str| test.store.read(vec![ints(sql, vec![])], wide());
    // What a cancel request leaves that meets a COMMIT: a transaction that has failed and not ended.
    read("BEGIN").await.unwrap();
    read("SELECT 1 / 0").await.unwrap_err();
    let all = (0..8).map(|_| read("SELECT n FROM number"));
    for answer in futures_util::future::join_all(all).await {
        let outcomes = answer.unwrap();
        assert!(matches!(&outcomes[..], [Outcome::Values(rows)] if rows.len() == 1), "{outcomes:?}");
    }
}

/// How many transactions of the test's database wait for their next statement.
fn idle_in_transaction(test: &TestStore) -> String {
    let sql = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
    Postgres::shared().run(&test.database, sql).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_was_begun_is_finished_when_its_caller_goes() {
    let test = TestStore::new(On::Postgres, &TWINS).await;
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow: WriteJob<(), StoreError> = {
        let (begun, go_on) = (begun.clone(), go_on.clone());
        Box::new(move |tx: &mut Tx| {
            let (begun, go_on) = (begun.clone(), go_on.clone());
            Box::pin(async move {
                tx.query(&change("INSERT INTO number (n) VALUES (1)", vec![])).await?;
                begun.notify_one();
                go_on.notified().await;
                tx.query(&change("INSERT INTO twin (n) VALUES (1)", vec![])).await?;
                Ok(())
            })
        })
    };
    let caller = test.spawn(slow);
    begun.notified().await;
    assert_eq!(idle_in_transaction(&test), "1");
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    go_on.notify_one();
    // Waits for the job.
    test.store.close().await;
    assert_eq!(Postgres::shared().run(&test.database, "SELECT count(*) FROM twin").unwrap(), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_without_an_end_is_undone_at_its_deadline() {
    let test = TestStore::new(On::Postgres, &TWINS).await;
    let endless: WriteJob<(), StoreError> = Box::new(|tx| {
        Box::pin(async move {
            tx.query(&change("INSERT INTO number (n) VALUES (1)", vec![])).await?;
            std::future::pending().await
        })
    });
    let deadline = Instant::now() + Duration::from_millis(100);
    assert_eq!(test.store.write(deadline, endless).await, Err(StoreError::Deadline));
    assert_eq!(idle_in_transaction(&test), "0");
    assert!(test.all_numbers().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_waits_for_a_lock_ends_at_its_deadline() {
    let test = TestStore::new(On::Postgres, &[NUMBERS, "INSERT INTO number VALUES (1)"]).await;
    let (locked, let_go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let add = || change("UPDATE number SET n = n + 1", vec![]);
    let holder = {
        let (locked, let_go) = (locked.clone(), let_go.clone());
        test.spawn(Box::new(move |tx| {
            let (locked, let_go) = (locked.clone(), let_go.clone());
            Box::pin(async move {
                tx.query(&add()).await?;
                locked.notify_one();
                let_go.notified().await;
                Ok(())
            })
        }))
    };
    locked.notified().await;
    let deadline = Instant::now() + Duration::from_millis(100);
    assert_eq!(test.store.write(deadline, job(vec![add()])).await, Err(StoreError::Deadline));
    let_go.notify_one();
    holder.await.unwrap().unwrap();
    assert_eq!(test.all_numbers().await, [2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_prepared_before_a_change_of_tables_go_on() {
    let test = TestStore::with(On::Postgres, &TWINS, |options| options.postgres.shared_readers = 1).await;
    let any = |sql| query(sql, vec![], ResultShape::Values(vec![Type::Int]));
    let read = || any("SELECT n FROM number");
    let returning: fn() -> WriteJob<(), StoreError> = || {
        Box::new(|tx| {
            Box::pin(async move {
                tx.query(&query(
                    "UPDATE number SET n = n + 1 RETURNING *",
                    vec![],
                    ResultShape::Values(vec![Type::Int]),
                ))
                .await?;
                Ok(())
            })
        })
    };
    test.write(pair(1)).await.unwrap();
    test.write(returning()).await.unwrap();
    test.store.read(vec![read()], wide()).await.unwrap();
    let changes = ["ALTER TABLE number ALTER n TYPE int", "ALTER TABLE number ADD note text"];
    test.store.execute_script(changes.map(str::to_owned).to_vec()).await.unwrap();
    let outcomes = test.store.read(vec![read()], wide()).await.unwrap();
    assert_eq!(outcomes, [Outcome::Values(vec![vec![Value::Int(2)]])]);
    test.write(returning()).await.unwrap();
    assert_eq!(test.store.metrics().reruns, 1, "the write was begun again");
    assert_eq!(test.all_numbers().await, [3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_read_does_not_keep_short_ones_waiting() {
    let test = TestStore::with(On::Postgres, &TWINS, |options| options.postgres.shared_readers = 1).await;
    let sleep = || ints("SELECT 7 FROM pg_sleep(6)", vec![]);
    let (store, begun) = (test.store.clone(), Instant::now());
    let long = tokio::spawn(async move { store.read(vec![sleep()], wide()).await });
    let short = async {
        while test.store.metrics().overruns == 0 && !long.is_finished() {
            test.store.read(vec![ints("SELECT 1", vec![])], wide()).await.unwrap();
        }
    };
    short.await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(long.await.unwrap(), Ok(vec![Outcome::Values(vec![vec![Value::Int(7)]])]));
    assert_eq!(test.store.metrics().pool_reads, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_beyond_the_limit_is_not_waited_for() {
    let test = TestStore::with(On::Postgres, &TWINS, |options| options.postgres.shared_readers = 1).await;
    let begun = Instant::now();
    let endless = || ints("SELECT generate_series(1, 9000000000)", vec![]);
    let limits = ReadLimits { rows: 10, ..wide() };
    let batches: [Vec<Query>; 2] = [vec![endless()], vec![endless(), ints("SELECT 1", vec![])]];
    for batch in batches {
        assert_eq!(test.store.read(batch, limits).await, Err(StoreError::RowLimit { limit: 10 }));
        assert!(test.all_numbers().await.is_empty());
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_counts_its_rows_is_told_as_too_many() {
    let raising = "CREATE FUNCTION too_many() RETURNS bigint LANGUAGE plpgsql
        AS $$ BEGIN RAISE 'too many' USING ERRCODE = 'MSROW'; END $$";
    let test = TestStore::new(On::Postgres, &[raising]).await;
    let limits = ReadLimits { rows: 5, ..wide() };
    let result = test.store.read(vec![ints("SELECT too_many()", vec![])], limits).await;
    assert_eq!(result, Err(StoreError::RowLimit { limit: 5 }));
}
