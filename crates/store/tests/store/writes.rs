//! Group commit: what is shared, what is not, and what is never answered.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use mainstay_lang::types::Type;
use mainstay_lang::value::Value;
use mainstay_sql::statement::ResultShape;
use mainstay_store::{Outcome, StoreError, WriteJob};

use super::support::{NUMBERS, On, TestStore, change, each_database, insert, ints, job, query, soon};

fn taken(table: &str, columns: &[&str]) -> StoreError {
    StoreError::Unique {
        table: table.to_owned(),
        columns: columns.iter().map(|column| (*column).to_owned()).collect(),
    }
}

/// Queues jobs behind a closed gate and opens it, so that they stand in one group.
async fn in_one_group(test: &TestStore, jobs: Vec<WriteJob<(), StoreError>>) -> Vec<Result<(), StoreError>> {
    let gate = test.close_gate().await;
    let mut handles = Vec::new();
    for (index, job) in jobs.into_iter().enumerate() {
        handles.push(test.spawn(job));
        test.queued(index as u64 + 1).await;
    }
    gate.open().await;
    let mut results = Vec::new();
    for handle in handles {
        results.push(handle.await.unwrap());
    }
    results
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_that_wait_share_a_commit() {
    let test = TestStore::numbers(On::Sqlite).await;
    let commits_before = test.store.metrics().commits;
    let results = in_one_group(&test, (0..100).map(insert).collect()).await;
    assert_eq!(results, vec![Ok(()); 100]);
    let commits = test.store.metrics().commits - commits_before;
    assert!(commits <= 2, "the gate's and one for all, not {commits}");
    assert_eq!(test.all_numbers().await, (0..100).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_writes_alone_shares_no_commit() {
    let test = TestStore::numbers(On::Sqlite).await;
    let commits_before = test.store.metrics().commits;
    let gate = test.close_gate().await;
    let mut handles = Vec::new();
    for number in 1..=4 {
        let job = insert(number);
        handles.push(if number % 2 == 0 { test.spawn_alone(job) } else { test.spawn(job) });
        test.queued(number.unsigned_abs()).await;
    }
    gate.open().await;
    for handle in handles {
        assert_eq!(handle.await.unwrap(), Ok(()));
    }
    let commits = test.store.metrics().commits - commits_before;
    assert!(
        commits >= 4,
        "the gate's, which the first may share, and one for each of the others, not {commits}"
    );
    assert_eq!(test.all_numbers().await, [1, 2, 3, 4]);
}

async fn a_failing_job_is_undone_alone(on: On) {
    let test = TestStore::one_writer(on).await;
    let half = job(vec![
        change("INSERT INTO number (n) VALUES (7)", vec![]),
        change("INSERT INTO number (n) VALUES (1)", vec![]),
    ]);
    let results = in_one_group(&test, vec![insert(1), half, insert(2)]).await;
    assert_eq!(results, [Ok(()), Err(taken("number", &["n"])), Ok(())]);
    assert_eq!(test.all_numbers().await, [1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_spoils_its_group_makes_others_run_again_once() {
    let test = TestStore::numbers(On::Sqlite).await;
    let half = |n: i64| {
        job(vec![
            change("INSERT INTO number (n) VALUES ($1)", vec![Value::Int(n)]),
            change("INSERT INTO number (n) VALUES ($1)", vec![Value::Int(n)]),
        ])
    };
    let failed = Err(taken("number", &["n"]));
    assert_eq!(
        in_one_group(&test, vec![insert(1), half(7), insert(2)]).await,
        [Ok(()), failed.clone(), Ok(())]
    );
    let reruns = test.store.metrics().reruns;
    assert!(
        (2..=3).contains(&reruns),
        "the first, the one that failed, and the gate's if it is with them: {reruns}"
    );
    // From now on each has a savepoint for a while, so that nobody can do that again and again.
    assert_eq!(in_one_group(&test, vec![insert(3), half(8), insert(4)]).await, [Ok(()), failed, Ok(())]);
    assert_eq!(test.store.metrics().reruns, reruns);
    assert_eq!(test.all_numbers().await, [1, 2, 3, 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_fails_before_it_writes_or_all_alone_spoils_nothing() {
    let test = TestStore::numbers(On::Sqlite).await;
    let failed = Err(taken("number", &["n"]));
    let results = in_one_group(&test, vec![insert(1), insert(1), insert(2)]).await;
    assert_eq!(results, [Ok(()), failed.clone(), Ok(())]);
    let half = || {
        job(vec![
            change("INSERT INTO number (n) VALUES (3)", vec![]),
            change("INSERT INTO number (n) VALUES (1)", vec![]),
        ])
    };
    assert_eq!(test.store.write(soon(), half()).await, failed);
    assert_eq!(test.store.write(soon(), insert(4)).await, Ok(()));
    assert_eq!(test.store.metrics().reruns, 0);
    assert_eq!(test.all_numbers().await, [1, 2, 4]);
}

const ROLLING_BACK: &str = "CREATE TRIGGER unlucky BEFORE INSERT ON number WHEN new.n = 13
    BEGIN SELECT RAISE(ROLLBACK, 'thirteen'); END";

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_transaction_is_run_again_without_its_culprit() {
    let test = TestStore::new(On::Sqlite, &[NUMBERS, ROLLING_BACK]).await;
    // The second 1 fails in the group and again alone; the 2 behind the culprit has not run when it is lost.
    let results = in_one_group(&test, vec![insert(1), insert(1), insert(13), insert(2)]).await;
    assert_eq!(
        results,
        [
            Ok(()),
            Err(taken("number", &["n"])),
            Err(StoreError::Check { constraint: "thirteen".to_owned() }),
            Ok(())
        ]
    );
    assert_eq!(test.all_numbers().await, [1, 2]);
    assert!(test.store.metrics().reruns >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_ignores_the_loss_of_its_transaction_is_not_kept() {
    let test = TestStore::new(On::Sqlite, &[NUMBERS, ROLLING_BACK]).await;
    let stubborn: WriteJob<(), StoreError> = Box::new(|tx| {
        Box::pin(async move {
            tx.query(&change("INSERT INTO number (n) VALUES (13)", vec![])).await.unwrap_err();
            let second = tx.query(&change("INSERT INTO number (n) VALUES (14)", vec![])).await;
            assert!(matches!(second, Err(StoreError::Lost { .. })), "{second:?}");
            Ok(())
        })
    });
    let results = in_one_group(&test, vec![insert(1), stubborn, insert(2)]).await;
    assert!(matches!(results[..], [Ok(()), Err(StoreError::Lost { .. }), Ok(())]), "{results:?}");
    assert_eq!(test.all_numbers().await, [1, 2]);
}

async fn a_panic_harms_nobody_else(on: On) {
    let test = TestStore::one_writer(on).await;
    let panicking: WriteJob<(), StoreError> = Box::new(|tx| {
        Box::pin(async move {
            tx.query(&change("INSERT INTO number (n) VALUES (3)", vec![])).await?;
            panic!("on purpose");
        })
    });
    let results = in_one_group(&test, vec![insert(1), panicking, insert(2)]).await;
    let panicked = StoreError::Other("a write job panicked: on purpose".to_owned());
    assert_eq!(results, [Ok(()), Err(panicked), Ok(())]);
    assert_eq!(test.all_numbers().await, [1, 2]);
    test.write(insert(4)).await.unwrap();
}

async fn a_deadline_ends_a_job_between_statements(on: On) {
    let test = TestStore::numbers(on).await;
    let deadline = Instant::now() + Duration::from_millis(20);
    let slow: WriteJob<(), StoreError> = Box::new(|tx| {
        Box::pin(async move {
            tx.query(&change("INSERT INTO number (n) VALUES (1)", vec![])).await?;
            while Instant::now() < tx.deadline() {
                std::hint::spin_loop();
            }
            tx.query(&change("INSERT INTO number (n) VALUES (2)", vec![])).await?;
            Ok(())
        })
    });
    assert_eq!(test.store.write(deadline, slow).await, Err(StoreError::Deadline));
    assert!(test.all_numbers().await.is_empty());
}

async fn a_job_whose_deadline_has_passed_is_not_begun(on: On) {
    let test = TestStore::numbers(on).await;
    let begun = Arc::new(AtomicBool::new(false));
    let seen = begun.clone();
    let job: WriteJob<(), StoreError> = Box::new(move |_| {
        seen.store(true, Ordering::Relaxed);
        Box::pin(async { Ok(()) })
    });
    assert_eq!(test.store.write(Instant::now(), job).await, Err(StoreError::Deadline));
    assert!(!begun.load(Ordering::Relaxed));
}

async fn a_job_whose_caller_has_gone_is_not_begun(on: On) {
    let test = TestStore::one_writer(on).await;
    let gate = test.close_gate().await;
    {
        let mut write = pin!(test.store.write(soon(), insert(1)));
        assert!(write.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    gate.open().await;
    test.write(insert(2)).await.unwrap();
    assert_eq!(test.all_numbers().await, [2]);
}

async fn a_full_queue_refuses_at_once(on: On) {
    let test = TestStore::with(on, &[NUMBERS], |options| {
        options.queue_max = 2;
        options.postgres.writers = 1;
    })
    .await;
    let gate = test.close_gate().await;
    let waiting = [test.spawn(insert(1)), test.spawn(insert(2))];
    test.queued(2).await;
    let refused = test.write(insert(3)).await;
    assert!(matches!(refused, Err(StoreError::Busy { .. })), "{refused:?}");
    gate.open().await;
    for handle in waiting {
        handle.await.unwrap().unwrap();
    }
    assert_eq!(test.all_numbers().await, [1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_waits_for_something_else_is_undone() {
    let test = TestStore::numbers(On::Sqlite).await;
    let waiting: WriteJob<(), StoreError> = Box::new(|tx| {
        Box::pin(async move {
            tx.query(&change("INSERT INTO number (n) VALUES (1)", vec![])).await?;
            std::future::pending::<()>().await;
            Ok(())
        })
    });
    let result = test.write(waiting).await;
    assert!(matches!(result, Err(StoreError::Other(_))), "{result:?}");
    assert!(test.all_numbers().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_keeps_what_was_acknowledged() {
    let test = TestStore::new(
        On::Sqlite,
        &["CREATE TABLE blob (id INTEGER PRIMARY KEY, data BLOB NOT NULL)", "PRAGMA max_page_count = 60"],
    )
    .await;
    let sql = "INSERT INTO blob (id, data) VALUES ($1, $2)";
    let blob = |id| job(vec![change(sql, vec![Value::Int(id), Value::Bytes(vec![0; 3000])])]);
    let results = in_one_group(&test, (0..120).map(blob).collect()).await;
    let acknowledged: Vec<i64> =
        (0..).zip(&results).filter(|(_, result)| result.is_ok()).map(|(id, _)| id).collect();
    let full = results.iter().filter(|result| matches!(result, Err(StoreError::Full { .. }))).count();
    assert!(!acknowledged.is_empty());
    assert_eq!(acknowledged.len() + full, results.len(), "{results:?}");
    assert_eq!(test.read_ints("SELECT id FROM blob ORDER BY id").await, acknowledged);
    assert_eq!(test.store.integrity_check().await.unwrap(), Vec::<String>::new());
    // What needs no room still works.
    test.write(job(vec![change("DELETE FROM blob WHERE id = 0", vec![])])).await.unwrap();
}

async fn what_was_answered_is_seen_by_the_next_read(on: On) {
    let test = TestStore::numbers(on).await;
    for number in 0..200 {
        test.write(insert(number)).await.unwrap();
        assert_eq!(test.read_ints("SELECT max(n) FROM number").await, [number]);
    }
}

async fn a_job_reads_its_own_changes_and_hands_out_what_it_likes(on: On) {
    let test = TestStore::numbers(on).await;
    let job: WriteJob<(u64, Outcome), StoreError> = Box::new(|tx| {
        Box::pin(async move {
            let inserted = tx.query(&change("INSERT INTO number (n) VALUES (1), (2)", vec![])).await?;
            let Outcome::Nothing { affected } = inserted else { panic!("rows came back") };
            Ok((affected, tx.query(&ints("SELECT sum(n) FROM number", vec![])).await?))
        })
    });
    let result = test.store.write(soon(), job).await;
    assert_eq!(result, Ok((2, Outcome::Values(vec![vec![Value::Int(3)]]))));
}

async fn closing_finishes_what_waits_and_takes_no_more(on: On) {
    let test = TestStore::one_writer(on).await;
    let gate = test.close_gate().await;
    let waiting: Vec<_> = (0..5).map(|number| test.spawn(insert(number))).collect();
    test.queued(5).await;
    let mut closing = pin!(test.store.close());
    assert!(closing.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert_eq!(test.write(insert(9)).await, Err(StoreError::Closed));
    gate.open().await;
    for handle in waiting {
        handle.await.unwrap().unwrap();
    }
    closing.await;
    if on == On::Postgres {
        return;
    }
    let log = test.folder.path().join("test.db-wal");
    // Whoever closes a database last removes its log, or leaves it empty.
    assert_eq!(std::fs::metadata(log).map_or(0, |log| log.len()), 0);
}

async fn constraints_are_told_apart(on: On) {
    let test = TestStore::new(
        on,
        &[
            "CREATE TABLE team (id INTEGER PRIMARY KEY, name TEXT NOT NULL, size INTEGER CHECK (size > 0),
            boss INTEGER REFERENCES team (id), UNIQUE (name, size))",
            "CREATE UNIQUE INDEX Team_boss_name ON team (boss, lower(name))",
            "INSERT INTO team VALUES (1, 'Bar', 2, NULL), (2, 'Log', 2, 1)",
        ],
    )
    .await;
    let cases = [
        ("INSERT INTO team VALUES (1, 'x', 1, NULL)", taken("team", &["id"])),
        ("INSERT INTO team VALUES (3, 'Bar', 2, NULL)", taken("team", &["name", "size"])),
        ("INSERT INTO team VALUES (3, 'LOG', 9, 1)", taken("team", &["boss"])),
        ("INSERT INTO team VALUES (3, 'x', 1, 99)", StoreError::ForeignKey),
        ("DELETE FROM team WHERE id = 1", StoreError::ForeignKey),
        (
            "INSERT INTO team VALUES (3, NULL, 1, NULL)",
            StoreError::NotNull { table: "team".to_owned(), column: "name".to_owned() },
        ),
        (
            "INSERT INTO team VALUES (3, 'x', 0, NULL)",
            StoreError::Check { constraint: on.pick("size > 0", "team_size_check").to_owned() },
        ),
    ];
    for (sql, expect) in cases {
        assert_eq!(test.write(job(vec![change(sql, vec![])])).await, Err(expect), "{sql}");
    }
    assert_eq!(test.read_ints("SELECT count(*) FROM team").await, [2]);
}

async fn a_statement_with_too_few_values_is_not_run(on: On) {
    let test = TestStore::numbers(on).await;
    let mut broken = query("INSERT INTO number (n) VALUES ($1)", vec![Value::Int(1)], ResultShape::Nothing);
    broken.values.clear();
    let result = test.write(job(vec![broken])).await;
    assert!(matches!(result, Err(StoreError::Other(_))), "{result:?}");
    let wrong_type = query("SELECT 'x'", vec![], ResultShape::Values(vec![Type::Int]));
    let result = test.write(job(vec![wrong_type])).await;
    assert!(matches!(result, Err(StoreError::Misfit { .. })), "{result:?}");
}

async fn who_listens_is_told_of_the_commits_that_say_so(on: On) {
    let test = TestStore::numbers(on).await;
    let (listeners, mut heard) = tokio::sync::watch::channel(0u64);
    let telling = |number: i64| -> WriteJob<(), StoreError> {
        let listeners = listeners.clone();
        Box::new(move |tx| {
            let listeners = listeners.clone();
            Box::pin(async move {
                tx.tell_of_commit(&listeners);
                tx.tell_of_commit(&listeners);
                let before = *listeners.borrow();
                tx.query(&change("INSERT INTO number (n) VALUES ($1)", vec![Value::Int(number)])).await?;
                assert_eq!(*listeners.borrow(), before, "nobody is told before the commit");
                Ok(())
            })
        })
    };
    test.write(telling(1)).await.unwrap();
    heard.changed().await.unwrap();
    test.write(insert(2)).await.unwrap();
    test.write(telling(3)).await.unwrap();
    heard.wait_for(|commits| *commits > 1).await.unwrap();
    assert_eq!(*heard.borrow(), 2, "once for each, and not for the one between them");
}

each_database!(
    who_listens_is_told_of_the_commits_that_say_so,
    a_failing_job_is_undone_alone,
    a_panic_harms_nobody_else,
    a_deadline_ends_a_job_between_statements,
    a_job_whose_deadline_has_passed_is_not_begun,
    a_job_whose_caller_has_gone_is_not_begun,
    a_full_queue_refuses_at_once,
    what_was_answered_is_seen_by_the_next_read,
    a_job_reads_its_own_changes_and_hands_out_what_it_likes,
    closing_finishes_what_waits_and_takes_no_more,
    constraints_are_told_apart,
    a_statement_with_too_few_values_is_not_run,
);
