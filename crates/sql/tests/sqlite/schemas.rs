//! Tables and indexes, the system's statements, and what an existing database lacks.

use mainstay_lang::schema::Schema;
use mainstay_lang::value::{Timestamp, Value};
use mainstay_sql::ddl::{IndexColumn, create_schema};
use mainstay_sql::difference::{
    Existing, ExistingColumn, ExistingIndex, ExistingTable, declared_types, differences,
};
use mainstay_sql::{SQLITE, system};
use rusqlite::Connection;

use crate::harness::{Db, Run, schema};

#[test]
fn tables_and_indexes_of_a_schema() {
    let schema = schema(
        r#"
table Team { name text(100) unique, friends Team[], allow read }
table Thing {
  id int
  team Team
  owner User?
  number int?
  price decimal(10, 2)
  data json?
  index (team, number)
  order -number
  allow read if number == 3 or owner == user
}
"#,
    );
    let statements = create_schema(&schema, SQLITE);
    let of_app: Vec<&str> = statements
        .iter()
        .map(String::as_str)
        .filter(|text| text.contains("\"Thing") || text.contains("\"Team_friends"))
        .collect();
    insta::assert_snapshot!(of_app.join("\n"), @r#"
    CREATE TABLE "Thing" ("id" INTEGER PRIMARY KEY, "created" TEXT NOT NULL, "updated" TEXT NOT NULL, "team" TEXT NOT NULL REFERENCES "Team" ("id") ON DELETE RESTRICT, "owner" TEXT REFERENCES "User" ("id") ON DELETE RESTRICT, "number" INTEGER, "price" INTEGER NOT NULL, "data" TEXT) STRICT
    CREATE TABLE "Team_friends" ("owner" TEXT NOT NULL REFERENCES "Team" ("id") ON DELETE RESTRICT, "target" TEXT NOT NULL REFERENCES "Team" ("id") ON DELETE RESTRICT, PRIMARY KEY ("owner", "target")) STRICT, WITHOUT ROWID
    CREATE INDEX "Thing.team.number.index" ON "Thing" ("team", "number")
    CREATE INDEX "Thing.number.index" ON "Thing" ("number")
    CREATE INDEX "Thing.owner.-number.index" ON "Thing" ("owner", "number" DESC)
    CREATE INDEX "Team_friends.target.owner.index" ON "Team_friends" ("target", "owner")
    "#);
}

#[test]
fn indexes_of_a_tenant_begin_with_it() {
    let schema = schema(
        "table Tenant { name text, allow read }\ntable Doc (tenant) { code text unique, day date index, allow read if code == user.name }",
    );
    let statements = create_schema(&schema, SQLITE);
    let of_doc: Vec<&str> =
        statements.iter().map(String::as_str).filter(|text| text.contains("INDEX \"Doc")).collect();
    insta::assert_snapshot!(of_doc.join("\n"), @r#"
    CREATE UNIQUE INDEX "Doc.tenant.code.unique" ON "Doc" ("tenant", "code")
    CREATE INDEX "Doc.tenant.day.index" ON "Doc" ("tenant", "day")
    "#);
}

/// What a database has, as a store would tell it.
fn introspect(conn: &Connection, recorded: &Schema) -> Existing {
    let list = |sql: &str, name: &str| -> Vec<Vec<rusqlite::types::Value>> {
        let mut statement = conn.prepare(sql).unwrap();
        let columns = statement.column_count();
        let rows = statement.query_map([name], |row| (0..columns).map(|column| row.get(column)).collect());
        rows.unwrap().map(Result::unwrap).collect()
    };
    let text = |value: &rusqlite::types::Value| match value {
        rusqlite::types::Value::Text(text) => text.clone(),
        rusqlite::types::Value::Integer(number) => number.to_string(),
        _ => String::new(),
    };
    let names = list("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE ?1", "sqlite%");
    let tables = names.iter().map(|row| {
        let name = text(&row[0]);
        let foreign = list("SELECT \"from\", \"table\" FROM pragma_foreign_key_list(?1)", &name);
        let columns = list("SELECT name, type, \"notnull\", pk FROM pragma_table_info(?1)", &name);
        let indexes =
            list("SELECT name, \"unique\" FROM pragma_index_list(?1) WHERE origin = 'c' ORDER BY seq", &name);
        ExistingTable {
            columns: columns
                .iter()
                .map(|row| ExistingColumn {
                    name: text(&row[0]),
                    type_name: text(&row[1]),
                    nullable: text(&row[2]) == "0" && text(&row[3]) == "0",
                    key: text(&row[3]) != "0",
                    references: foreign.iter().find(|key| key[0] == row[0]).map(|key| text(&key[1])),
                })
                .collect(),
            indexes: indexes
                .iter()
                .map(|row| ExistingIndex {
                    name: text(&row[0]),
                    unique: text(&row[1]) == "1",
                    columns: list(
                        "SELECT name, \"desc\" FROM pragma_index_xinfo(?1) WHERE key = 1 ORDER BY seqno",
                        &text(&row[0]),
                    )
                    .iter()
                    .map(|row| IndexColumn { name: text(&row[0]), descending: text(&row[1]) == "1" })
                    .collect(),
                })
                .collect(),
            name,
        }
    });
    Existing { tables: tables.collect(), declared_types: Some(declared_types(recorded)) }
}

/// Brings a database that has one schema in step with another; the statements, or the words.
fn step(before: &str, after: &str) -> Result<Vec<String>, Vec<String>> {
    let db = Db::new(before);
    let after = schema(after);
    let words = |problems: Vec<mainstay_sql::difference::Unsafe>| {
        problems.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let steps = differences(&after, SQLITE, &introspect(&db.conn, &db.schema)).map_err(words)?;
    for step in &steps {
        db.conn.execute_batch(step).unwrap_or_else(|error| panic!("{step}: {error}"));
    }
    let again = differences(&after, SQLITE, &introspect(&db.conn, &after)).map_err(words)?;
    assert_eq!(again, Vec::<String>::new(), "nothing is left to do");
    Ok(steps)
}

#[test]
fn a_database_in_step_needs_nothing() {
    let app = "table A { a text unique, b A?, c A[], n int index, order -n, allow read }";
    assert_eq!(step(app, app), Ok(vec![]));
}

#[test]
fn a_database_made_before_an_index_of_the_system_is_given_it() {
    let db = Db::new("table A { a text, allow read }");
    db.conn.execute_batch("DROP INDEX \"_change.table.at\"").unwrap();
    let steps = differences(&db.schema, SQLITE, &introspect(&db.conn, &db.schema)).unwrap();
    steps.iter().for_each(|step| db.conn.execute_batch(step).unwrap());
    let again = differences(&db.schema, SQLITE, &introspect(&db.conn, &db.schema)).unwrap();
    assert_eq!((steps.is_empty(), again), (false, Vec::<String>::new()));
}

#[test]
fn what_is_safe_is_done() {
    let before = "table A { a text unique, allow read }";
    let after = "table A { a text, b A?, c A[], n int = 5 index, t text = \"it's\", e enum(x, y) = y, on bool = true, allow read }\ntable B { a A, allow read }";
    let steps = step(before, after).unwrap();
    insta::assert_snapshot!(steps.join("\n"), @r#"
    ALTER TABLE "A" ADD COLUMN "b" TEXT REFERENCES "A" ("id") ON DELETE RESTRICT
    ALTER TABLE "A" ADD COLUMN "n" INTEGER NOT NULL DEFAULT 5
    ALTER TABLE "A" ADD COLUMN "t" TEXT NOT NULL DEFAULT 'it''s'
    ALTER TABLE "A" ADD COLUMN "e" TEXT NOT NULL DEFAULT 'y'
    ALTER TABLE "A" ADD COLUMN "on" INTEGER NOT NULL DEFAULT 1
    CREATE TABLE "B" ("id" TEXT NOT NULL PRIMARY KEY, "created" TEXT NOT NULL, "updated" TEXT NOT NULL, "a" TEXT NOT NULL REFERENCES "A" ("id") ON DELETE RESTRICT) STRICT
    CREATE TABLE "A_c" ("owner" TEXT NOT NULL REFERENCES "A" ("id") ON DELETE RESTRICT, "target" TEXT NOT NULL REFERENCES "A" ("id") ON DELETE RESTRICT, PRIMARY KEY ("owner", "target")) STRICT, WITHOUT ROWID
    DROP INDEX "A.a.unique"
    CREATE INDEX "A.n.index" ON "A" ("n")
    CREATE INDEX "A.b.index" ON "A" ("b")
    CREATE INDEX "B.a.index" ON "B" ("a")
    CREATE INDEX "A_c.target.owner.index" ON "A_c" ("target", "owner")
    "#);
}

#[test]
fn what_is_not_safe_is_said() {
    let check = |before: &str, after: &str, words: &[&str]| {
        let found =
            step(&format!("table A {{ {before} allow read }}"), &format!("table A {{ {after} allow read }}"));
        assert_eq!(found, Err(words.iter().map(|text| (*text).to_owned()).collect()), "{before} to {after}");
    };
    check(
        "n int,",
        "n text,",
        &[
            "A.n: is INTEGER in the database and is declared to be TEXT",
            "A.n: was int and is declared to be text",
        ],
    );
    check(
        "n decimal(9, 2),",
        "n decimal(9, 3),",
        &[
            "A.n: was decimal with 2 digits behind the point and is declared to be decimal with 3 digits behind the point",
        ],
    );
    check("n int?,", "n int,", &["A.n: may be null in the database but not in the declaration"]);
    check("n int,", "n int?,", &["A.n: is required in the database but not in the declaration"]);
    check(
        "n int,",
        "",
        &[
            "A.n: is required in the database but not declared: no row could be made",
            "A.n: is in the database but no longer declared: declare it, or drop it from the database",
        ],
    );
    check("e enum(x, y),", "e enum(y, z),", &["A.e: was enum(x, y) and is declared to be enum(y, z)"]);
    check(
        "",
        "n int,",
        &[
            "A.n: is new and required, and nothing says what the rows that are there have in it: make it nullable or give it a constant default",
        ],
    );
    check(
        "n User?,",
        "n A?,",
        &[
            "A.n: refers to User in the database and is declared to refer to A",
            "A.n: was row of User and is declared to be row of A",
        ],
    );
}

/// Columns and tables are dropped and renamed by hand, and the record of what was there is older than that.
#[test]
fn what_was_dropped_or_renamed_by_hand_is_no_difference() {
    let db = Db::new("table A { n int, t text, allow read }\ntable B { t text, allow read }");
    let after = schema("table A { u text, allow read }");
    let problems =
        |db: &Db| differences(&after, SQLITE, &introspect(&db.conn, &db.schema)).map_err(|found| found.len());
    assert_eq!(problems(&db), Err(6));
    db.conn
        .execute_batch("ALTER TABLE A DROP COLUMN n; ALTER TABLE A RENAME COLUMN t TO u; DROP TABLE B")
        .unwrap();
    assert_eq!(problems(&db), Ok(vec![]));
}

#[test]
fn the_systems_statements() {
    let db = Db::new("table A { a text, allow read }");
    let text = |text: &str| Value::Text(text.to_owned());
    let next = system::counter_next(&db.schema, SQLITE);
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
    let insert = system::change_insert(&db.schema, SQLITE);
    assert_eq!(db.write(&insert, &Run::params(&change)), 1);
    assert_eq!(db.write(&insert, &Run::params(&change)), 1);
    let after = system::change_after(&db.schema, SQLITE);
    let rows = db.values(&after, &Run::params(&[Value::Int(1), Value::Int(10)]));
    assert_eq!(rows, [[&[Value::Int(2)], &change[..]].concat()]);
    let purge = system::change_purge(&db.schema, SQLITE);
    let purged = |name: &str, at: &Value, count: i64| {
        db.write(&purge, &Run::params(&[text(name), at.clone(), Value::Int(count)]))
    };
    let next = system::change_next_table(&db.schema, SQLITE);
    let next = |name: &str| db.values(&next, &Run::params(&[text(name)])).concat();
    assert_eq!([next(""), next("A")].concat(), [text("A"), Value::Null]);
    assert_eq!([purged("A", &at, 9), purged("B", &later, 9), purged("A", &later, 1)], [0, 0, 1]);
    // The oldest goes first.
    assert_eq!(db.values(&after, &Run::params(&[Value::Int(0), Value::Int(10)])).concat()[0], Value::Int(2));
    assert_eq!(purged("A", &later, 9), 0, "the last line keeps its number from being given again");
    db.write(&insert, &Run::params(&change));
    assert_eq!(purged("A", &later, 9), 1);

    let bytes = |byte| Value::Bytes(vec![byte]);
    let key = [bytes(1), text("key"), text("POST /query")];
    let kept = [bytes(2), Value::Int(200), bytes(3), at.clone()];
    let insert = system::idempotency_insert(&db.schema, SQLITE);
    db.write(&insert, &Run::params(&[&key[..], &kept].concat()));
    let find = system::idempotency_find(&db.schema, SQLITE);
    assert_eq!(db.values(&find, &Run::params(&key)), [kept]);
    let purge = system::idempotency_purge(&db.schema, SQLITE);
    assert_eq!(db.write(&purge, &Run::params(&[at])), 0);
    assert_eq!(db.write(&purge, &Run::params(&[later])), 1);

    let put = system::meta_put(&db.schema, SQLITE);
    db.write(&put, &Run::params(&[text("a"), text("1")]));
    db.write(&put, &Run::params(&[text("a"), text("2")]));
    let get = system::meta_get(&db.schema, SQLITE);
    assert_eq!(db.values(&get, &Run::params(&[text("a")])), [[text("2")]]);
    assert_eq!(db.values(&get, &Run::params(&[text("b")])), Vec::<Vec<Value>>::new());
}

#[test]
fn indexes_that_another_one_serves_are_left_out() {
    let check = |columns: &str, expect: &[&str]| {
        let schema = schema(&format!("table T {{ {columns} }}"));
        let names: Vec<String> = mainstay_sql::ddl::indexes(&schema)
            .into_iter()
            .filter(|index| index.table == "T")
            .map(|index| index.name)
            .collect();
        assert_eq!(names, expect, "{columns}");
    };
    let owned = "owner User, n int,";
    check(&format!("{owned} allow read"), &["T.owner.index"]);
    check(&format!("{owned} order -n, allow read"), &["T.-n.id.index", "T.owner.index"]);
    check(&format!("{owned} order -n, allow read if owner == user"), &["T.owner.-n.id.index"]);
    // Many rows may be made at one time: pages of them are read without sorting all.
    let listed = format!("{owned} order -n, index (owner, n), allow read if owner == user");
    check(&listed, &["T.owner.-n.id.index"]);
    check(&format!("id int, {listed}"), &["T.owner.-n.index"]);
    check(&format!("{owned} order -n, index (owner), allow read if owner == user"), &["T.owner.-n.id.index"]);
    check(&format!("{owned} order -n, unique (owner), allow read if owner == user"), &["T.owner.unique"]);
    check(
        &format!("{owned} order -n, allow read if owner == user or n == 3"),
        &["T.owner.-n.id.index", "T.n.id.index"],
    );
    check(&format!("{owned} id int, order -n, index (n), allow read"), &["T.-n.index", "T.owner.index"]);
    check(
        "parent T?, children T[] by parent, n int, order n, allow read",
        &["T.n.id.index", "T.parent.n.id.index"],
    );
}
