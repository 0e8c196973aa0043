//! The statements on the system's own tables.

use mainstay_lang::value::{Timestamp, Value};
use mainstay_sql::system;

use crate::harness::{Db, Run};

#[test]
fn the_systems_statements() {
    let db = Db::new("table A { a text, allow read }");
    let text = |text: &str| Value::Text(text.to_owned());
    let next = system::counter_next(&db.schema, db.dialect);
    let number =
        |selector: &str| db.values(&next, &Run::params(&[text("A"), text("n"), text(selector)])).concat();
    assert_eq!(
        [number("[1]"), number("[1]"), number("[2]"), number("[1]")].concat(),
        [1, 2, 1, 3].map(Value::Int)
    );

    let at = Value::Timestamp(Timestamp::parse("2026-01-01T00:00:00.000000Z").unwrap());
    let later = Value::Timestamp(Timestamp::parse("2026-01-02T00:00:00.000000Z").unwrap());
    let change = [
        Value::Int(1),
        at.clone(),
        text("A"),
        text("key"),
        text("create"),
        Value::Null,
        Value::Json("{}".to_owned()),
        Value::Null,
        Value::Null,
    ];
    let position = system::change_position(&db.schema, db.dialect);
    let position = || db.values(&position, &Run::params(&[])).concat().remove(0);
    let before = position();
    let insert = system::change_insert(&db.schema, db.dialect);
    assert_eq!(db.write(&insert, &Run::params(&change)), 1);
    let between = position();
    assert_eq!(db.write(&insert, &Run::params(&change)), 1);
    let tail = system::change_tail(&db.schema, db.dialect);
    let tail = |from: &Value, to: &Value, behind, most| {
        let params = [from.clone(), to.clone(), Value::Int(behind), Value::Int(most)];
        db.values(&tail, &Run::params(&params))
    };
    let numbers = |rows: Vec<Vec<Value>>| rows.into_iter().map(|row| row[0].clone()).collect::<Vec<_>>();
    assert_eq!(numbers(tail(&before, &Value::Null, 0, 10)), [1, 2].map(Value::Int));
    assert_eq!(numbers(tail(&before, &Value::Null, 0, 1)), [Value::Int(1)]);
    assert_eq!(numbers(tail(&before, &Value::Null, 1, 10)), [Value::Int(2)]);
    assert_eq!(numbers(tail(&before, &between, 0, 10)), [Value::Int(1)]);
    assert!(tail(&position(), &Value::Null, 0, 10).is_empty());
    let mut rows = tail(&between, &Value::Null, 0, 10);
    // A database that knows the number of the transaction keeps that.
    let knows = db.dialect.transaction().is_some();
    let Value::Int(tx) = std::mem::replace(&mut rows[0][1], change[0].clone()) else { panic!("a number") };
    assert_eq!(tx > 1, knows, "{tx}");
    assert_eq!(rows, [[&[Value::Int(2)], &change[..]].concat()]);
    let purge = system::change_purge(&db.schema, db.dialect);
    let purged = |name: &str, at: &Value, count: i64| {
        db.write(&purge, &Run::params(&[text(name), at.clone(), Value::Int(count)]))
    };
    let next = system::change_next_table(&db.schema, db.dialect);
    let next = |name: &str| db.values(&next, &Run::params(&[text(name)])).concat();
    assert_eq!([next(""), next("A")].concat(), [text("A"), Value::Null]);
    assert_eq!([purged("A", &at, 9), purged("B", &later, 9), purged("A", &later, 1)], [0, 0, 1]);
    assert_eq!(numbers(tail(&before, &Value::Null, 0, 10)), [Value::Int(2)], "the oldest goes first");
    assert_eq!(purged("A", &later, 9), 0, "the last line keeps its number from being given again");
    db.write(&insert, &Run::params(&change));
    assert_eq!(purged("A", &later, 9), 1);

    let bytes = |byte| Value::Bytes(vec![byte]);
    let key = [bytes(1), text("key"), text("POST /query")];
    let kept = [bytes(2), Value::Int(200), bytes(3), at.clone()];
    let insert = system::idempotency_insert(&db.schema, db.dialect);
    db.write(&insert, &Run::params(&[&key[..], &kept].concat()));
    let find = system::idempotency_find(&db.schema, db.dialect);
    assert_eq!(db.values(&find, &Run::params(&key)), [kept]);
    let purge = system::idempotency_purge(&db.schema, db.dialect);
    assert_eq!(db.write(&purge, &Run::params(&[at])), 0);
    assert_eq!(db.write(&purge, &Run::params(&[later])), 1);

    let put = system::meta_put(&db.schema, db.dialect);
    db.write(&put, &Run::params(&[text("a"), text("1")]));
    db.write(&put, &Run::params(&[text("a"), text("2")]));
    let get = system::meta_get(&db.schema, db.dialect);
    assert_eq!(db.values(&get, &Run::params(&[text("a")])), [[text("2")]]);
    assert_eq!(db.values(&get, &Run::params(&[text("b")])), Vec::<Vec<Value>>::new());
}
