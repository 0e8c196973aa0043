//! What is stored comes back as the same value and as the same JSON that the value itself would write.

use mainstay_lang::types::Type;
use mainstay_lang::value::{Date, Decimal, Duration, Time, Timestamp, Value};
use mainstay_sql::statement::{Encoding, ResultShape};
use mainstay_store::{Outcome, StoreOptions, Synchronous};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::support::{On, TestStore, change, job, json, query, shape, wide};

fn text() -> impl Strategy<Value = String> {
    // Databases do not keep U+0000, and no value has it.
    prop_oneof!["[ -~]{0,20}", any::<String>()].prop_map(|text| text.replace('\0', ""))
}

fn typed_value() -> BoxedStrategy<(Type, Value)> {
    let float = prop_oneof![
        prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO,
        (-1000i32..1000).prop_map(f64::from)
    ];
    let scalar = prop_oneof![
        any::<bool>().prop_map(|value| (Type::Bool, Value::Bool(value))),
        any::<i64>().prop_map(|value| (Type::Int, Value::Int(value))),
        float.prop_map(|value| (Type::Float, Value::Float(value + 0.0))),
        (-999_999_999_999_999_999i64..=999_999_999_999_999_999, 0u8..=18).prop_map(|(mantissa, scale)| {
            (Type::Decimal { precision: 18, scale }, Value::Decimal(Decimal { mantissa, scale }))
        }),
        text().prop_map(|value| (Type::Text { max: None }, Value::Text(value))),
        any::<u128>().prop_map(|value| (Type::Uuid, Value::Uuid(uuid::Uuid::from_u128(value)))),
        (-719_162i32..=2_932_896).prop_map(|days| (Type::Date, Value::Date(Date(days)))),
        (0i64..86_400_000_000).prop_map(|us| (Type::Time, Value::Time(Time(us)))),
        (-62_135_596_800_000_000i64..253_402_300_800_000_000)
            .prop_map(|us| (Type::Timestamp, Value::Timestamp(Timestamp(us)))),
        any::<i64>().prop_map(|us| (Type::Duration, Value::Duration(Duration(us)))),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(|value| (Type::Bytes, Value::Bytes(value))),
    ];
    let whole = scalar.prop_flat_map(|(ty, value)| {
        let list_type = Type::List(ty.clone().into());
        let list = prop::collection::vec(Just(value.clone()), 0..4).prop_map(Value::List);
        let json = Value::Json(format!("{{\"a\":[{}]}}", value.to_json()));
        prop_oneof![
            6 => Just((ty.clone(), value)),
            1 => Just((ty, Value::Null)),
            1 => Just((Type::Json, json)),
            1 => list.prop_map(move |list| (list_type.clone(), list)),
        ]
    });
    whole.boxed()
}

/// The column of the tables below that holds a type.
fn column(on: On, ty: &Type) -> &'static str {
    match ty {
        Type::Float => "fraction",
        Type::Bytes => "bytes",
        Type::Int | Type::Duration => "whole",
        Type::Text { .. } | Type::Json | Type::List(_) => "words",
        Type::Bool => on.pick("whole", "truth"),
        Type::Decimal { .. } => on.pick("whole", "amount"),
        Type::Uuid => on.pick("words", "key"),
        Type::Date => on.pick("words", "day"),
        Type::Time => on.pick("words", "clock"),
        _ => on.pick("words", "moment"),
    }
}

const SQLITE: &str = "CREATE TABLE cell (whole INTEGER, fraction REAL, words TEXT, bytes BLOB) STRICT";

const POSTGRES: &str = "CREATE TABLE cell (whole int8, fraction float8, words text, bytes bytea, truth bool,
    amount numeric, key uuid, day date, clock time, moment timestamptz)";

fn check_all(on: On, adjust: impl FnOnce(&mut StoreOptions)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let test = runtime.block_on(TestStore::with(on, &[on.pick(SQLITE, POSTGRES)], adjust));
    let mut runner = TestRunner::new(Config { cases: 1000, failure_persistence: None, ..Config::default() });
    runner.run(&typed_value(), |(ty, value)| runtime.block_on(check(on, &test, ty, value))).unwrap();
}

#[test]
fn every_value_comes_back_as_it_was_from_sqlite() {
    check_all(On::Sqlite, |options| options.synchronous = Synchronous::Normal);
}

#[test]
fn every_value_comes_back_as_it_was_from_postgres() {
    check_all(On::Postgres, |_| {});
}

#[test]
fn every_value_comes_back_as_it_was_from_postgres_without_prepared_statements() {
    check_all(On::Postgres, |options| options.postgres.pgbouncer = true);
}

async fn check(on: On, test: &TestStore, ty: Type, value: Value) -> Result<(), TestCaseError> {
    let column = column(on, &ty);
    let insert = format!("INSERT INTO cell ({column}) VALUES ($1)");
    test.write(job(vec![change("DELETE FROM cell", vec![]), change(&insert, vec![value.clone()])]))
        .await
        .unwrap();
    let select = format!("SELECT {column} FROM cell");
    let batch = vec![
        query(&select, vec![], ResultShape::Values(vec![ty.clone()])),
        json(&select, vec![], &[("v", Encoding::Typed(ty))]),
    ];
    let outcomes = test.store.read(batch, wide()).await.unwrap();
    let [Outcome::Values(rows), Outcome::Json(rows_as_json)] = &outcomes[..] else { panic!("{outcomes:?}") };
    prop_assert_eq!(&rows[..], &[vec![value.clone()]]);
    prop_assert_eq!(&rows_as_json.text, &format!("{{\"v\":{}}}", value.to_json()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_of_a_domain_are_lists_of_its_base() {
    let script = [
        "CREATE DOMAIN small AS integer CHECK (VALUE < 1000)",
        "CREATE DOMAIN smaller AS small CHECK (VALUE < 100)",
        "CREATE TABLE measured (n smaller)",
        "INSERT INTO measured VALUES (1), (NULL), (7)",
    ];
    let test = TestStore::new(On::Postgres, &script).await;
    let member = ("n", Encoding::Typed(Type::Int));
    let list = Encoding::Arrays(shape(&[member]).members);
    let query = json("SELECT array_agg(n) FROM measured", vec![], &[("lines", list)]);
    let outcomes = test.store.read(vec![query], wide()).await.unwrap();
    let Outcome::Json(rows) = &outcomes[0] else { panic!("{outcomes:?}") };
    assert_eq!(rows.text, r#"{"lines":[{"n":1},{"n":null},{"n":7}]}"#);
}
