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
    let counter = |selector: &str| [text("A"), text("n"), text(selector)];
    let begin = system::counter_begin(&db.schema, db.dialect);
    let begin = |selector: &str| db.write(&begin, &Run::params(&counter(selector)));
    let raise = system::counter_raise(&db.schema, db.dialect);
    let raise = |selector: &str, to| {
        db.write(&raise, &Run::params(&[&counter(selector)[..], &[Value::Int(to)]].concat()))
    };
    assert_eq!(
        [begin("[1]"), begin("[3]"), raise("[1]", 9), raise("[1]", 9), raise("[3]", 9)],
        [0, 1, 1, 0, 0]
    );
    assert_eq!([number("[1]"), number("[3]")].concat(), [10, 1].map(Value::Int));

    let at = Value::Timestamp(Timestamp::parse("2026-01-01T00:00:00.000000Z").unwrap());
    let later = Value::Timestamp(Timestamp::parse("2026-01-02T00:00:00.000000Z").unwrap());
    let line = [text("A"), text("key"), text("create"), Value::Null, Value::Json("{}".to_owned())];
    let shared = [Value::Int(1), at.clone(), Value::Null, text("t")];
    let change = [&shared[..], &line].concat();
    let shown = [&shared[..2], &line, &shared[2..]].concat();
    let position = system::change_position(&db.schema, db.dialect);
    let position = || db.values(&position, &Run::params(&[])).concat().remove(0);
    let before = position();
    let insert = system::change_insert(&db.schema, db.dialect, 1);
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
    let Value::Int(tx) = std::mem::replace(&mut rows[0][1], shown[0].clone()) else { panic!("a number") };
    assert_eq!(tx > 1, knows, "{tx}");
    assert_eq!(rows, [[&[Value::Int(2)], &shown[..]].concat()]);
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

    let three = system::change_insert(&db.schema, db.dialect, 3);
    let lines = ["x", "y", "z"].map(|row| [text("A"), text(row), text("link"), Value::Null, Value::Null]);
    let before = position();
    db.write(&three, &Run::params(&[&shared[..], &lines.concat()].concat()));
    let rows: Vec<Value> =
        tail(&before, &Value::Null, 0, 10).into_iter().map(|line| line[4].clone()).collect();
    assert_eq!(rows, ["x", "y", "z"].map(text), "numbered in their order");

    let bytes = |byte| Value::Bytes(vec![byte]);
    let key = [bytes(1), text("key"), text("POST /query")];
    let kept = [bytes(2), Value::Int(200), bytes(3), at.clone()];
    let insert = system::idempotency_insert(&db.schema, db.dialect);
    db.write(&insert, &Run::params(&[&key[..], &kept].concat()));
    let find = system::idempotency_find(&db.schema, db.dialect);
    assert_eq!(db.values(&find, &Run::params(&key)), [kept]);
    let purge = system::idempotency_purge(&db.schema, db.dialect);
    let mut others = key.clone();
    others[0] = bytes(9);
    let insert = [&others[..], &[bytes(2), Value::Int(200), bytes(3), at.clone()]].concat();
    db.write(&system::idempotency_insert(&db.schema, db.dialect), &Run::params(&insert));
    let purge = |time: &Value, most| db.write(&purge, &Run::params(&[time.clone(), Value::Int(most)]));
    assert_eq!([purge(&at, 9), purge(&later, 1), purge(&later, 9), purge(&later, 9)], [0, 1, 1, 0]);

    let put = system::meta_put(&db.schema, db.dialect);
    db.write(&put, &Run::params(&[text("a"), text("1")]));
    db.write(&put, &Run::params(&[text("a"), text("2")]));
    let get = system::meta_get(&db.schema, db.dialect);
    assert_eq!(db.values(&get, &Run::params(&[text("a")])), [[text("2")]]);
    assert_eq!(db.values(&get, &Run::params(&[text("b")])), Vec::<Vec<Value>>::new());
}
