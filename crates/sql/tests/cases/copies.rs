//! Copying: which tables, what a database lacks of them, and that one that was filled is what a new one would be.

use mainstay_sql::migration::drift::drift;
use mainstay_sql::model::{Model, found};
use mainstay_sql::{copy, ddl};

use crate::harness::{Db, Run, catalogue, schema};

const APP: &str = r#"
table Team { id text(5), name text unique, price decimal(9, 2), tags text[] = [], lead Person?, allow read }
table Person db "legacy person" { team Team db "group", friends Person[], boss Person?, allow read }
"#;

#[test]
fn every_table_is_copied_once_and_facts_come_last() {
    let tables = copy::tables(&schema(APP));
    let names: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
    let expect = [
        "User",
        "Grant",
        "Team",
        "legacy person",
        "Person_friends",
        "_change",
        "_counter",
        "_idempotency",
        "_job",
        "_migration",
        "_meta",
    ];
    assert_eq!(names, expect);
    let change = tables.iter().find(|table| table.name == "_change").unwrap();
    assert!(
        change.columns.iter().all(|column| column.name != "tx"),
        "each database numbers its own transactions"
    );
}

#[test]
fn a_database_that_was_filled_is_what_a_new_one_would_be() {
    let schema = schema(APP);
    let db = Db::empty();
    for statement in copy::begin(&schema, db.dialect, "it's", "0") {
        db.database.script(&statement).unwrap_or_else(|error| panic!("{statement}\n{error}"));
    }
    let tables = copy::tables(&schema);
    let unfinished = catalogue(&db);
    assert_eq!(copy::misfit(&tables, db.dialect, &unfinished), copy::Misfit::default());
    assert!(unfinished.tables.iter().any(|table| table.name == copy::PROGRESS.name));
    let noted = db.values(&copy::progress_read(db.dialect), &Run::default());
    assert_eq!(noted.len(), tables.len());
    assert!(noted.iter().all(|row| row[1].to_string() == "it's"), "{noted:?}");
    for statement in copy::finish(&schema, db.dialect) {
        db.database.script(&statement).unwrap_or_else(|error| panic!("{statement}\n{error}"));
    }
    let (finished, model) = (catalogue(&db), Model::of(&schema, db.dialect));
    let (is, misfits, _) = found(&finished, db.dialect, &model, &Model::default());
    assert_eq!(drift(&model, &is, &misfits), []);
    let fresh = Db::empty();
    for statement in ddl::create_schema(&schema, fresh.dialect) {
        fresh.database.script(&statement).unwrap();
    }
    assert_eq!(catalogue(&db).tables, catalogue(&fresh).tables);
    for statement in copy::drop_all(db.dialect, &finished) {
        db.database.script(&statement).unwrap_or_else(|error| panic!("{statement}\n{error}"));
    }
    assert!(catalogue(&db).tables.is_empty());
}

#[test]
fn what_a_database_lacks_and_has_beside_is_told() {
    let before = schema("table A { a text, b int, gone text?, allow read }\ntable Other { allow read }");
    let now =
        copy::tables(&schema("table A { a text, b float, c text, allow read }\ntable New { allow read }"));
    let db = Db::empty();
    for statement in ddl::create_schema(&before, db.dialect) {
        db.database.script(&statement).unwrap();
    }
    let misfit = copy::misfit(&now, db.dialect, &catalogue(&db));
    let (is, should) = if db.dialect.copies() { ("bigint", "double precision") } else { ("INTEGER", "REAL") };
    let expect = [
        format!("A.b is {is} and should be {should}"),
        "A.c is not there".to_owned(),
        "the table New is not there".to_owned(),
    ];
    assert_eq!(misfit.missing, expect);
    assert_eq!(misfit.undeclared, ["A.gone", "Other"]);
}
