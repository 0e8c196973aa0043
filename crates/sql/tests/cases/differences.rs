//! What an existing database lacks of a schema, as the database itself tells it.

use mainstay_lang::types::Type;
use mainstay_sql::catalogue;
use mainstay_sql::difference::{Existing, Unsafe, declared_types, differences};

use crate::harness::{Db, Run, schema};

/// What a database has, and what was recorded of it.
fn introspect(db: &Db, recorded: &mainstay_lang::schema::Schema) -> Existing {
    let results = catalogue::statements(db.dialect);
    let results = results.iter().map(|statement| db.values(statement, &Run::default())).collect();
    Existing { declared_types: Some(declared_types(recorded)), catalogue: catalogue::read(results) }
}

/// Brings a database that has one schema in step with another; the statements, or the words.
pub(crate) fn step(before: &str, after: &str) -> Result<Vec<String>, Vec<String>> {
    let db = Db::new(before);
    let after = schema(after);
    let words = |problems: Vec<Unsafe>| problems.iter().map(ToString::to_string).collect::<Vec<_>>();
    let steps = differences(&after, db.dialect, &introspect(&db, &db.schema)).map_err(words)?;
    for step in &steps {
        db.database.script(step).unwrap_or_else(|error| panic!("{step}: {error}"));
    }
    let again = differences(&after, db.dialect, &introspect(&db, &after)).map_err(words)?;
    assert_eq!(again, Vec::<String>::new(), "nothing is left to do");
    Ok(steps)
}

#[test]
fn an_empty_database_gets_everything() {
    let app = schema("table A { a text unique, b A?, c A[], n int index, order -n, allow read }");
    let db = Db::empty();
    let steps = differences(&app, db.dialect, &introspect(&db, &db.schema)).unwrap();
    assert_eq!(steps, mainstay_sql::ddl::create_schema(&app, db.dialect));
}

#[test]
fn a_database_in_step_needs_nothing() {
    let app = "table A { a text unique, b A?, c A[], n int index, order -n, allow read }";
    assert_eq!(step(app, app), Ok(vec![]));
}

#[test]
fn what_is_not_safe_is_said() {
    let check = |before: &str, after: &str, words: &[&str]| {
        let found =
            step(&format!("table A {{ {before} allow read }}"), &format!("table A {{ {after} allow read }}"));
        assert_eq!(found, Err(words.iter().map(|text| (*text).to_owned()).collect()), "{before} to {after}");
    };
    let name = |ty: Type| crate::database::Database::DIALECT.type_name(&ty).into_owned();
    let decimal = |precision, scale| name(Type::Decimal { precision, scale });
    check(
        "n int,",
        "n text,",
        &[
            &format!(
                "A.n: is {} in the database and is declared to be {}",
                name(Type::Int),
                name(Type::Text { max: None })
            ),
            "A.n: was int and is declared to be text",
        ],
    );
    let (two, three) = (decimal(9, 2), decimal(9, 3));
    let seen = format!("A.n: is {two} in the database and is declared to be {three}");
    let said = [seen.as_str()].into_iter().filter(|_| two != three);
    check(
        "n decimal(9, 2),",
        "n decimal(9, 3),",
        &said.chain([
            "A.n: was decimal with 2 digits behind the point and is declared to be decimal with 3 digits behind the point",
        ]).collect::<Vec<_>>(),
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
        |db: &Db| differences(&after, db.dialect, &introspect(db, &db.schema)).map_err(|found| found.len());
    assert_eq!(problems(&db), Err(6));
    for step in [
        "ALTER TABLE \"A\" DROP COLUMN \"n\"",
        "ALTER TABLE \"A\" RENAME COLUMN \"t\" TO \"u\"",
        "DROP TABLE \"B\"",
    ] {
        db.database.script(step).unwrap();
    }
    assert_eq!(problems(&db), Ok(vec![]));
}

#[test]
fn a_database_made_before_an_index_of_the_system_is_given_it() {
    let db = Db::new("table A { a text, allow read }");
    db.database.script("DROP INDEX \"_change.table.row\"").unwrap();
    let steps = differences(&db.schema, db.dialect, &introspect(&db, &db.schema)).unwrap();
    steps.iter().for_each(|step| db.database.script(step).unwrap());
    let again = differences(&db.schema, db.dialect, &introspect(&db, &db.schema)).unwrap();
    assert_eq!((steps.is_empty(), again), (false, Vec::<String>::new()));
}
