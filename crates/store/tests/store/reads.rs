//! Reads: one snapshot, limits, and which thread they run on.

use std::pin::pin;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use mainstay_lang::ops::cursor::decode;
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;
use mainstay_sql::statement::{CursorShape, Encoding, ResultShape};
use mainstay_store::{JsonRows, Outcome, Query, ReadLimits, StoreError};

use super::support::{
    NUMBERS, On, TestStore, change, each_database, insert, int, ints, job, json, query, shape, soon, wide,
};

/// Counts to its parameter: as long as one likes.
const COUNT_TO: &str = "WITH RECURSIVE c(x) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT x + 1 FROM c WHERE x < $1) SELECT count(*) FROM c";

fn count_to(end: i64) -> Vec<Query> {
    vec![ints(COUNT_TO, vec![Value::Int(end)])]
}

async fn ten_numbers(on: On) -> TestStore {
    let test = TestStore::new(
        on,
        &[NUMBERS, "CREATE TABLE half (n INTEGER REFERENCES number (n), h DOUBLE PRECISION)"],
    )
    .await;
    let numbers = (1..=10).map(|n| change("INSERT INTO number (n) VALUES ($1)", vec![Value::Int(n)]));
    test.write(job(numbers.collect())).await.unwrap();
    let halves = "INSERT INTO half SELECT n, n / 2.0 FROM number WHERE n > 7";
    test.write(job(vec![change(halves, vec![])])).await.unwrap();
    test
}

async fn read_json(test: &TestStore, query: Query, limits: ReadLimits) -> Result<JsonRows, StoreError> {
    match &test.store.read(vec![query], limits).await?[..] {
        [Outcome::Json(rows)] => Ok(rows.clone()),
        other => panic!("no JSON: {other:?}"),
    }
}

async fn a_batch_sees_one_snapshot(on: On) {
    let test = TestStore::new(
        on,
        &[
            "CREATE TABLE purse (id INTEGER PRIMARY KEY, coins INTEGER)",
            "INSERT INTO purse VALUES (1, 50), (2, 50)",
        ],
    )
    .await;
    let store = test.store.clone();
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let moving = tokio::spawn(async move {
        let coin = |id, by: i64| {
            change("UPDATE purse SET coins = coins + $1 WHERE id = $2", vec![Value::Int(by), Value::Int(id)])
        };
        let mut by = 1;
        while stopped.try_recv().is_err() {
            store.write(soon(), job(vec![coin(1, by), coin(2, -by)])).await.unwrap();
            by = -by;
        }
    });
    for _ in 0..2000 {
        let purse = |id| ints("SELECT coins FROM purse WHERE id = $1", vec![Value::Int(id)]);
        let outcomes = test.store.read(vec![purse(1), purse(2)], wide()).await.unwrap();
        let [Outcome::Values(first), Outcome::Values(second)] = &outcomes[..] else { panic!("{outcomes:?}") };
        let (Value::Int(first), Value::Int(second)) = (&first[0][0], &second[0][0]) else {
            panic!("no ints")
        };
        assert_eq!(first + second, 100);
    }
    stop.send(()).unwrap();
    moving.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_read_goes_to_a_thread_until_it_turns_out_short() {
    let test = TestStore::numbers(On::Sqlite).await;
    let steps = [
        // What is read, then: overruns, reads by threads, inline reads.
        (1_000_000, (1, 1, 0)),
        (1_000_000, (1, 2, 0)),
        (10, (1, 3, 0)),
        (10, (1, 3, 1)),
        (1_000_000, (2, 4, 1)),
    ];
    for (end, expect) in steps {
        let outcomes = test.store.read(count_to(end), wide()).await.unwrap();
        assert_eq!(outcomes, [Outcome::Values(vec![vec![Value::Int(end)]])]);
        let metrics = test.store.metrics();
        assert_eq!((metrics.overruns, metrics.pool_reads, metrics.inline_reads), expect, "after {end}");
    }
}

async fn a_deadline_ends_a_read(on: On) {
    let test = TestStore::numbers(on).await;
    let begun = Instant::now();
    let limits = ReadLimits { deadline: begun + Duration::from_millis(30), ..wide() };
    assert_eq!(test.store.read(count_to(i64::MAX), limits).await, Err(StoreError::Deadline));
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!(test.store.read(count_to(3), limits).await, Err(StoreError::Deadline));
}

async fn a_read_whose_caller_has_gone_frees_its_thread(on: On) {
    let test = TestStore::with(on, &[NUMBERS], |options| options.readers = 1).await;
    {
        let mut endless =
            pin!(test.store.read(
                count_to(i64::MAX),
                ReadLimits { deadline: soon() + Duration::from_secs(3600), ..wide() }
            ));
        assert!(endless.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    let next = test.store.read(count_to(1_000_000), wide()).await;
    assert_eq!(next, Ok(vec![Outcome::Values(vec![vec![Value::Int(1_000_000)]])]));
}

async fn a_read_cannot_write(on: On) {
    let test = TestStore::numbers(on).await;
    let result = test.store.read(vec![change("INSERT INTO number (n) VALUES (1)", vec![])], wide()).await;
    assert!(matches!(result, Err(StoreError::ReadOnly { .. })), "{result:?}");
    assert!(test.all_numbers().await.is_empty());
}

async fn rows_are_counted_nested_ones_included(on: On) {
    let test = ten_numbers(on).await;
    // Three numbers have one half each.
    // On PostgreSQL a nested row begins with a tab.
    let array = on.pick(
        "ms_objects('{\"h\":*}', CAST(h AS TEXT))",
        r#"'[' || coalesce(string_agg(E'\t{"h":' || h || '.0}', ','), '') || ']'"#,
    );
    let nested = format!("SELECT n, (SELECT {array} FROM half WHERE half.n = number.n) FROM number");
    let halves = json(&nested, vec![], &[("n", int()), ("halves", Encoding::Raw)]);
    let rows = read_json(&test, halves.clone(), ReadLimits { rows: 13, ..wide() }).await.unwrap();
    assert_eq!((rows.rows, rows.nested_rows), (10, 3));
    assert!(rows.text.ends_with("{\"n\":10,\"halves\":[{\"h\":5.0}]}"), "{}", rows.text);
    let refused = read_json(&test, halves, ReadLimits { rows: 12, ..wide() }).await;
    assert_eq!(refused, Err(StoreError::RowLimit { limit: 12 }));

    let plain = || ints("SELECT n FROM number", vec![]);
    let limits = ReadLimits { rows: 19, ..wide() };
    let refused = test.store.read(vec![plain(), plain()], limits).await;
    assert_eq!(refused, Err(StoreError::RowLimit { limit: 19 }));
}

async fn bytes_are_counted_over_the_batch(on: On) {
    let test = ten_numbers(on).await;
    let all = || json("SELECT n FROM number", vec![], &[("n", int())]);
    let text = (1..=10).map(|n| format!("{{\"n\":{n}}}")).collect::<Vec<_>>().join(",");
    let bytes = text.len() as u64;
    let rows = read_json(&test, all(), ReadLimits { bytes, ..wide() }).await.unwrap();
    assert_eq!(rows.text, text);
    let limits = ReadLimits { bytes: 2 * bytes - 1, ..wide() };
    let refused = test.store.read(vec![all(), all()], limits).await;
    assert_eq!(refused, Err(StoreError::ByteLimit { limit: limits.bytes }));
}

async fn a_long_text_has_its_room_at_once_the_second_time(on: On) {
    let test = ten_numbers(on).await;
    let text = Encoding::Typed(Type::Text { max: None });
    // The numbers of the table, each with as many letters as make nearly a megabyte together.
    let sql = "SELECT n, replace(n || '', n || '', $1) FROM number";
    let query = json(sql, vec![Value::Text("x".repeat(90_000))], &[("n", int()), ("text", text)]);
    let mut room = Vec::new();
    for _ in 0..2 {
        let outcomes = test.store.read(vec![query.clone()], wide()).await.unwrap();
        let Some(Outcome::Json(rows)) = outcomes.into_iter().next() else { panic!("no JSON") };
        assert!(rows.rows == 10 && rows.text.len() > 900_000, "{} bytes", rows.text.len());
        room.push(rows.text.capacity() as f64 / rows.text.len() as f64);
    }
    assert!(room[0] > 1.1 && room[1] < 1.1, "{room:?}");
}

async fn a_value_beyond_the_databases_limit_is_too_many_bytes(on: On) {
    let test = TestStore::numbers(on).await;
    let list = "SELECT ms_objects('$', hex(zeroblob(10000000))) FROM (VALUES (1), (2), (3), (4), (5))";
    for huge in ["SELECT hex(zeroblob(40000000))", list] {
        let huge = on.pick(huge, "SELECT repeat('x', 80000000)");
        let huge = query(huge, vec![], ResultShape::Values(vec![Type::Text { max: None }]));
        let refused = test.store.read(vec![huge], wide()).await;
        assert!(matches!(refused, Err(StoreError::ByteLimit { .. })), "{refused:?}");
    }
}

async fn a_page_knows_whether_more_follow(on: On) {
    let test = ten_numbers(on).await;
    let page = |limit: i64| {
        let mut page = shape(&[("n", int())]);
        let values = vec![Type::Text { max: None }, Type::Int, Type::Int];
        page.cursor = Some(CursorShape { tag: "tag".into(), values });
        page.probes_more = Some(0);
        let sql = "SELECT n, 'after ' || n, NULL, n FROM number ORDER BY n LIMIT $1 + 1";
        query(sql, vec![Value::Int(limit)], ResultShape::Json(page))
    };
    let first = read_json(&test, page(2), wide()).await.unwrap();
    assert_eq!(first.text, r#"{"n":1},{"n":2}"#);
    let cursor = first.cursor.as_deref().and_then(decode);
    let expect = ("tag".to_owned(), r#"["after 2",null,2]"#.to_owned());
    assert_eq!((first.rows, first.more, cursor), (2, true, Some(expect)));
    let all = read_json(&test, page(10), wide()).await.unwrap();
    assert_eq!((all.rows, all.more, all.cursor), (10, false, None));
    let none = read_json(&test, page(0), wide()).await.unwrap();
    assert_eq!((none.text.as_str(), none.rows, none.more, none.cursor), ("", 0, true, None));
}

async fn a_guarded_member_shows_only_when_its_guard_is_true(on: On) {
    let test = TestStore::numbers(on).await;
    let mut guarded = shape(&[("a", int()), ("b", int())]);
    guarded.members[0].guarded = true;
    let null = on.pick("NULL", "CAST(NULL AS bool)");
    let cases = [("TRUE", r#"{"a":7,"b":8}"#), ("FALSE", r#"{"b":8}"#), (null, r#"{"b":8}"#)];
    for (guard, expect) in cases {
        let sql = format!("SELECT {guard}, 7, 8");
        let row = read_json(&test, query(&sql, vec![], ResultShape::Json(guarded.clone())), wide()).await;
        assert_eq!(row.unwrap().text, expect, "{guard}");
    }
}

async fn an_overflow_is_told_from_other_failures(on: On) {
    let test = TestStore::numbers(on).await;
    test.write(insert(i64::MAX)).await.unwrap();
    let overflow = || ints(on.pick("SELECT ms_add(n, 1) FROM number", "SELECT n + 1 FROM number"), vec![]);
    let refused = test.store.read(vec![overflow()], wide()).await;
    assert!(matches!(refused, Err(StoreError::Arithmetic(_))), "{refused:?}");
    let refused = test.write(job(vec![overflow()])).await;
    assert!(matches!(refused, Err(StoreError::Arithmetic(_))), "{refused:?}");
    let sum = on.pick("ms_sum_int(n)", "sum(n)");
    let sum = format!("SELECT {sum} FROM (SELECT n FROM number UNION ALL SELECT n FROM number) twice");
    let sum = ints(&sum, vec![]);
    let refused = test.store.read(vec![sum], wide()).await;
    assert!(matches!(refused, Err(StoreError::Arithmetic(_))), "{refused:?}");
    let sound =
        test.store.read(vec![ints(on.pick("SELECT ms_add(1, 2)", "SELECT 1 + 2"), vec![])], wide()).await;
    assert_eq!(sound, Ok(vec![Outcome::Values(vec![vec![Value::Int(3)]])]));
}

each_database!(
    a_batch_sees_one_snapshot,
    a_deadline_ends_a_read,
    a_read_whose_caller_has_gone_frees_its_thread,
    a_read_cannot_write,
    rows_are_counted_nested_ones_included,
    bytes_are_counted_over_the_batch,
    a_long_text_has_its_room_at_once_the_second_time,
    a_value_beyond_the_databases_limit_is_too_many_bytes,
    a_page_knows_whether_more_follow,
    a_guarded_member_shows_only_when_its_guard_is_true,
    an_overflow_is_told_from_other_failures,
);

/// Whoever reads keeps a snapshot until something is committed, and reads again behind every commit here.
#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_sqlite_begins_anew_however_often_it_is_read() {
    const ROWS: i64 = 400;
    const ROW_BYTES: usize = 100 << 10;
    let tables = ["CREATE TABLE number (n INTEGER PRIMARY KEY, filling BLOB)"];
    let test = TestStore::with(On::Sqlite, &tables, |options| options.exclusive = true).await;
    let log = test.folder.path().join("test.db-wal");
    for number in 1..=ROWS {
        let values = vec![Value::Int(number), Value::Bytes(vec![7; ROW_BYTES])];
        test.write(job(vec![change("INSERT INTO number VALUES ($1, $2)", values)])).await.unwrap();
        assert_eq!(test.read_ints("SELECT max(n) FROM number").await, [number]);
    }
    // Three times as much has gone through it.
    let bytes = std::fs::metadata(&log).unwrap().len();
    assert!(bytes < ROWS as u64 * ROW_BYTES as u64 / 3, "{bytes} bytes");
}
