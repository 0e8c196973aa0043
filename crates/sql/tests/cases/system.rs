//! The statements on the system's own tables.

use mainstay_lang::value::{Timestamp, Value};
use mainstay_sql::system::{self, LoggedTables};

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
    let insert = system::change_insert(&db.schema, db.dialect, system::Count::One);
    assert_eq!(db.write(&insert, &Run::params(&change)), 1);
    let between = position();
    assert_eq!(db.write(&insert, &Run::params(&change)), 1);
    let first = system::change_tail(&db.schema, db.dialect);
    let next = system::change_tail_next(&db.schema, db.dialect);
    let tail = |from: &Value, to: &Value, behind, most| {
        let (from, to, most) = (from.clone(), to.clone(), Value::Int(most));
        match behind {
            0 => db.values(&first, &Run::params(&[from, to, most])),
            _ => db.values(&next, &Run::params(&[from, to, Value::Int(behind), most])),
        }
    };
    let numbers = |rows: Vec<Vec<Value>>| rows.into_iter().map(|row| row[0].clone()).collect::<Vec<_>>();
    assert_eq!(numbers(tail(&before, &Value::Null, 0, 10)), [1, 2].map(Value::Int));
    assert_eq!(numbers(tail(&before, &Value::Null, 0, 1)), [Value::Int(1)]);
    assert_eq!(numbers(tail(&before, &Value::Null, 1, 10)), [Value::Int(2)]);
    assert_eq!(numbers(tail(&before, &between, 0, 10)), [Value::Int(1)]);
    assert!(tail(&before, &between, 1, 10).is_empty());
    assert!(tail(&position(), &Value::Null, 0, 10).is_empty());
    let mut rows = tail(&between, &Value::Null, 0, 10);
    // A database that knows the number of the transaction keeps that.
    let knows = db.dialect.transaction().is_some();
    let Value::Int(tx) = std::mem::replace(&mut rows[0][1], shown[0].clone()) else { panic!("a number") };
    assert_eq!(tx > 1, knows, "{tx}");
    assert_eq!(rows, [[&[Value::Int(2)], &shown[..]].concat()]);
    let oldest = system::change_oldest(&db.schema, db.dialect);
    let oldest = |behind, most| db.values(&oldest, &Run::params(&[Value::Int(behind), Value::Int(most)]));
    assert_eq!(
        oldest(0, 10),
        [[Value::Int(1), at.clone()]],
        "the last line keeps its number from being given again"
    );
    db.write(&insert, &Run::params(&change));
    assert_eq!(oldest(0, 10).len(), 2);
    assert_eq!(oldest(0, 1).len(), 1);
    assert_eq!(oldest(1, 10), [[Value::Int(2), at.clone()]]);
    let purged = |tables: LoggedTables, [behind, last]: [i64; 2], before: &Value| {
        let purge = system::change_purge(&db.schema, db.dialect, &tables);
        db.write(&purge, &Run::params(&[Value::Int(behind), Value::Int(last), before.clone()]))
    };
    let [a, b] = ["A", "B"].map(|name| vec![name.to_owned()]);
    assert_eq!(purged(LoggedTables::These(a.clone()), [0, 2], &at), 0, "none is so old");
    assert_eq!(purged(LoggedTables::These(b.clone()), [0, 2], &later), 0);
    assert_eq!(purged(LoggedTables::Others(a.clone()), [0, 2], &later), 0);
    assert_eq!(purged(LoggedTables::These(a), [0, 1], &later), 1);
    assert_eq!(numbers(tail(&before, &Value::Null, 0, 10)), [2, 3].map(Value::Int));
    assert_eq!(purged(LoggedTables::Others(b), [1, 2], &later), 1);
    assert_eq!(purged(LoggedTables::Others(Vec::new()), [0, 9], &later), 1, "of every table");

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
