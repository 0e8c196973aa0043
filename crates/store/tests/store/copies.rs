//! Whole databases, copied: every value arrives as it was, a file is whole or refused, and who loses his connection goes on.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mainstay_lang::schema::Schema;
use mainstay_lang::value::{Date, Decimal, Duration, Time, Timestamp, Value};
use mainstay_sql::migration::ledger;
use mainstay_sql::model::Model;
use mainstay_sql::statement::ResultShape;
use mainstay_sql::{copy, ddl};
use mainstay_store::copy::{
    Access, Archive, ArchiveHead, Copied, CopyError, Destination, Filling, Source, archive_write,
    check_source, transfer,
};
use mainstay_store::{DatabaseUrl, Outcome, Query, Store, StoreError, StoreOptions};
use mainstay_testkit::database::schema_of;
use mainstay_testkit::postgres::Postgres;
use mainstay_testkit::proxy::Proxy;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};
use tempfile::TempDir;

use super::support::{job, wide};

const CELLS: &str = "table Cell {
    flag bool?, whole int?, real float?, amount decimal(18, 4)?, words text?, code uuid?, day date?, clock time?,
    moment timestamp?, span duration?, tree json?, raw bytes?, tags text[]?, allow all
}";

/// A row of `Cell`, any column of which may be null.
fn row() -> impl Strategy<Value = Vec<Value>> {
    let text = || prop_oneof!["[ -~]{0,20}", any::<String>()].prop_map(|text| text.replace('\0', ""));
    let float = prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO;
    let uuid = || any::<u128>().prop_map(|value| Value::Uuid(uuid::Uuid::from_u128(value)));
    let moment = || {
        (-62_135_596_800_000_000i64..253_402_300_800_000_000).prop_map(|us| Value::Timestamp(Timestamp(us)))
    };
    let amount = (-999_999_999_999_999_999i64..=999_999_999_999_999_999)
        .prop_map(|mantissa| Value::Decimal(Decimal { mantissa, scale: 4 }));
    let cells = vec![
        any::<bool>().prop_map(Value::Bool).boxed(),
        any::<i64>().prop_map(Value::Int).boxed(),
        float.prop_map(|value| Value::Float(value + 0.0)).boxed(),
        amount.boxed(),
        text().prop_map(Value::Text).boxed(),
        uuid().boxed(),
        (-719_162i32..=2_932_896).prop_map(|days| Value::Date(Date(days))).boxed(),
        (0i64..86_400_000_000).prop_map(|us| Value::Time(Time(us))).boxed(),
        moment().boxed(),
        any::<i64>().prop_map(|us| Value::Duration(Duration(us))).boxed(),
        text().prop_map(|text| Value::Json(format!("[{}]", Value::Text(text).to_json()))).boxed(),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Value::Bytes).boxed(),
        prop::collection::vec(text().prop_map(Value::Text), 0..4).prop_map(Value::List).boxed(),
    ];
    let cells: Vec<_> =
        cells.into_iter().map(|cell| prop_oneof![1 => Just(Value::Null), 4 => cell].boxed()).collect();
    (uuid(), moment(), moment(), cells)
        .prop_map(|(id, created, updated, cells)| [id, created, updated].into_iter().chain(cells).collect())
}

/// So many rows, always the same.
fn some(count: usize) -> Vec<Vec<Value>> {
    let mut runner = TestRunner::deterministic();
    (0..count).map(|_| row().new_tree(&mut runner).unwrap().current()).collect()
}

/// A folder with databases of the tests' schema.
struct Place {
    schema: Arc<Schema>,
    folder: TempDir,
}

impl Place {
    fn new() -> Place {
        Place { schema: schema_of(CELLS).unwrap(), folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn sqlite(&self, name: &str) -> StoreOptions {
        StoreOptions::new(DatabaseUrl::Sqlite(self.path(name)))
    }

    /// A database with these rows.
    async fn filled(&self, options: &StoreOptions, rows: &[Vec<Value>]) {
        let store = Store::open(options).unwrap();
        let mut statements = ddl::create_schema(&self.schema, store.dialect());
        statements.push(ledger::record(store.dialect(), &Model::of(&self.schema, store.dialect())));
        store.execute_script(statements).await.unwrap();
        let cell = self.schema.table_named("Cell").unwrap().id;
        let insert = Arc::new(mainstay_sql::insert(&self.schema, store.dialect(), cell));
        let insert = |row: &Vec<Value>| Query { statement: insert.clone(), values: row.clone() };
        let queries = rows.iter().map(insert).collect();
        store.write(super::support::soon(), job(queries)).await.unwrap();
        store.close().await;
    }

    /// Everything in `Cell`, in the order of keys.
    async fn rows(&self, options: &StoreOptions) -> Vec<Vec<Value>> {
        let store = Store::open(options).unwrap();
        let table = self.schema.table_named("Cell").unwrap();
        let names: Vec<String> =
            table.columns.iter().map(|column| format!("\"{}\"", column.db_name)).collect();
        let types = table.columns.iter().map(|column| column.ty.clone()).collect();
        let sql = format!("SELECT {} FROM \"Cell\" ORDER BY \"id\"", names.join(", "));
        let read = super::support::query(&sql, vec![], ResultShape::Values(types));
        let mut outcomes = store.read(vec![read], wide()).await.unwrap();
        let Some(Outcome::Values(rows)) = outcomes.pop() else { panic!("{outcomes:?}") };
        rows
    }

    async fn transfer(&self, from: &StoreOptions, to: &StoreOptions) -> Result<Vec<Copied>, CopyError> {
        let mut source = Source::open(from, Access::Alone).await?;
        assert_eq!(check_source(&mut source, &self.schema).await?, Vec::<String>::new());
        self.fill(&source, to).await
    }

    async fn fill(&self, source: &Source, to: &StoreOptions) -> Result<Vec<Copied>, CopyError> {
        let filling =
            Filling { schema: &self.schema, source_name: "here", replace: false, while_serving: false };
        transfer(source, Destination::open(to).await?, filling, &mut |_| {}).await
    }

    async fn backup(&self, from: &StoreOptions, path: &Path) -> Vec<Copied> {
        let mut source = Source::open(from, Access::Shared).await.unwrap();
        check_source(&mut source, &self.schema).await.unwrap();
        let head = ArchiveHead::new("0", "cells", "2026-01-31T10:00:00Z".to_owned(), Vec::new());
        archive_write(&source, &self.schema, head, path, &mut |_| {}).await.unwrap()
    }
}

fn postgres(url: &str) -> StoreOptions {
    StoreOptions::new(url.parse().unwrap())
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[test]
fn every_value_arrives_as_it_was() {
    let runtime = runtime();
    let mut runner = TestRunner::new(Config { cases: 5, failure_persistence: None, ..Config::default() });
    let rows = prop::collection::btree_map(any::<u128>(), row(), 40..80);
    let check = |rows: std::collections::BTreeMap<u128, Vec<Value>>| {
        let rows: Vec<Vec<Value>> = rows
            .into_iter()
            .map(|(id, mut row)| {
                row[0] = Value::Uuid(uuid::Uuid::from_u128(id));
                row
            })
            .collect();
        let place = Place::new();
        let (first, back, restored) =
            (place.sqlite("first.db"), place.sqlite("back.db"), place.sqlite("restored.db"));
        let there = postgres(&Postgres::database());
        runtime.block_on(async {
            place.filled(&first, &rows).await;
            let one = place.transfer(&first, &there).await.unwrap();
            let other = place.transfer(&there, &back).await.unwrap();
            assert_eq!(one, other);
            let file = place.path("file.backup");
            assert_eq!(place.backup(&there, &file).await, one);
            let archive = Archive::open(&file, &mut |_, _| {}).unwrap();
            assert_eq!(archive.tables(), one);
            let source = Source::archive(archive.source(&copy::tables(&place.schema)).unwrap());
            assert_eq!(place.fill(&source, &restored).await.unwrap(), one);
            for at in [&there, &back, &restored] {
                assert_eq!(place.rows(at).await, rows);
            }
        });
        Ok(())
    };
    runner.run(&rows, check).unwrap();
}

/// Wherever a file is damaged or cut, that is seen before anything is done with it.
#[test]
fn a_file_is_whole_or_refused() {
    let place = Place::new();
    let file = place.path("file.backup");
    let from = place.sqlite("from.db");
    let rows = some(20);
    runtime().block_on(async {
        place.filled(&from, &rows).await;
        place.backup(&from, &file).await;
    });
    let whole = fs::read(&file).unwrap();
    let damage = (any::<prop::sample::Index>(), 1u8..=255, any::<bool>());
    let mut runner = TestRunner::new(Config { cases: 2000, failure_persistence: None, ..Config::default() });
    let check = |(at, change, cut): (prop::sample::Index, u8, bool)| {
        let at = at.index(whole.len());
        let mut bytes = whole.clone();
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] ^= change;
        }
        fs::write(&file, bytes).unwrap();
        let opened = Archive::open(&file, &mut |_, _| {});
        prop_assert!(matches!(opened, Err(CopyError::Archive { .. })), "{:?}", opened.map(|_| ()));
        Ok(())
    };
    runner.run(&damage, check).unwrap();
    fs::write(&file, &whole).unwrap();
    Archive::open(&file, &mut |_, _| {}).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_loses_his_connection_goes_on() {
    let place = Place::new();
    let from = place.sqlite("from.db");
    let rows = some(50);
    place.filled(&from, &rows).await;
    let url = Postgres::database();
    let direct = postgres(&url);
    let server = Postgres::shared().port();
    for lost in
        [&b"COPY \"Cell\""[..], b"UPDATE \"_move\"", b"COMMIT", b"CREATE INDEX", b"DROP TABLE \"_move\""]
    {
        let proxy = Proxy::start(server).await.unwrap();
        proxy.cut_answer(lost);
        let through = postgres(&url.replace(&server.to_string(), &proxy.port().to_string()));
        let error = place.transfer(&from, &through).await.unwrap_err();
        let words = error.to_string();
        assert!(!words.is_empty());
        let store = Store::open(&direct).unwrap();
        let catalogue = store.catalogue(super::support::soon()).await.unwrap();
        let unfinished = catalogue.table(copy::PROGRESS.name).is_some();
        assert!(unfinished || catalogue.tables.is_empty(), "{}: {words}", String::from_utf8_lossy(lost));
    }
    let copied = place.transfer(&from, &direct).await.unwrap();
    let cells = copied.iter().find(|copied| copied.table == "Cell").unwrap();
    assert_eq!(cells.rows, 50);
    let mut expected = rows;
    expected.sort_by_key(|row| row[0].to_string());
    assert_eq!(place.rows(&direct).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_at_a_time_fills_a_database() {
    let place = Place::new();
    let url = Postgres::database();
    for to in [place.sqlite("to.db"), postgres(&url)] {
        let first = Destination::open(&to).await.unwrap();
        let second = Destination::open(&to).await.err();
        let expected =
            matches!(second, Some(CopyError::Store(StoreError::Locked { .. } | StoreError::Busy { .. })));
        assert!(expected, "{second:?}");
        drop(first);
        // The server may take a moment to see that the connection is gone.
        let deadline = super::support::soon();
        while Destination::open(&to).await.is_err() {
            assert!(std::time::Instant::now() < deadline, "the first one is still in the way");
        }
    }
}

/// A server that is about to leave is waited for; one that stays is in the way.
#[tokio::test(flavor = "multi_thread")]
async fn connections_of_a_server_just_stopped_are_waited_for() {
    let place = Place::new();
    let url = Postgres::database();
    let options = postgres(&url);
    place.filled(&options, &[]).await;
    let store = Store::open(&options).unwrap();
    store.catalogue(super::support::soon()).await.unwrap();
    let stays = Source::open(&options, Access::Alone).await.err();
    assert!(matches!(stays, Some(CopyError::Served { count: 1.. })), "{stays:?}");
    let opening = tokio::spawn(async move { Source::open(&options, Access::Alone).await.map(drop) });
    let name = url.rsplit_once('/').unwrap().1;
    let readers = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                   AND application_name = 'mainstay' AND query LIKE '%pg_stat_activity%'";
    let deadline = super::support::soon();
    while Postgres::shared().run(name, readers).unwrap() == "0" {
        assert!(std::time::Instant::now() < deadline, "nobody looks");
    }
    store.close().await;
    drop(store);
    opening.await.unwrap().unwrap();
}

/// Whoever may read everything, and no more, may copy it.
#[tokio::test(flavor = "multi_thread")]
async fn reading_is_all_that_the_source_is_asked_for() {
    let place = Place::new();
    let url = Postgres::database();
    place.filled(&postgres(&url), &[]).await;
    let name = url.rsplit_once('/').unwrap().1;
    let role = format!("reader_{name}");
    let run = |sql: &str| Postgres::shared().run(name, sql).unwrap();
    run(&format!("CREATE ROLE {role} LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}"));
    let reader = postgres(&url.replace("postgres@", &format!("{role}@")));
    place.transfer(&reader, &place.sqlite("to.db")).await.unwrap();
    run(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}
