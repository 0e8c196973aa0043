//! The way from one schema to another: what is planned, what is asked, what is refused, and where it leads.
//!
//! Steps are run here one after the other in their order, with nothing but the statements that stand in them; random ways with rows
//! in them, and what is broken off, are tried above.

use mainstay_lang::types::Type;
use mainstay_lang::value::Value;
use mainstay_sql::migration::drift::drift;
use mainstay_sql::migration::{Effect, Hints, Plan, Way, ground, plan};
use mainstay_sql::model::{Model, found};

use crate::harness::{Db, catalogue, schema};

/// The plan from one app to another, or why there is none.
fn way(before: &str, after: &str, hints: &Hints) -> Result<Plan, Vec<String>> {
    let dialect = crate::database::Database::DIALECT;
    let from = Model::of(&schema(before), dialect);
    plan(&schema(after), dialect, &from, hints, Way::AtOnce)
        .map_err(|obstacles| obstacles.iter().map(ToString::to_string).collect())
}

/// The statements that bring a database of one app to another, having been run there.
pub(crate) fn step(before: &str, after: &str) -> Vec<String> {
    let db = Db::new(before);
    let plan = way(before, after, &Hints::default()).unwrap();
    db.database.begin_script();
    for statement in plan.statements() {
        db.database.script(statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    db.database.end_script();
    let wanted = Model::of(&schema(after), db.dialect);
    let (is, misfits, _) = found(&catalogue(&db), db.dialect, &wanted, &Model::default());
    assert_eq!(drift(&wanted, &is, &misfits), [], "{before} to {after}");
    plan.statements().cloned().collect()
}

#[test]
fn an_empty_database_gets_everything() {
    let app = schema("table A { a text unique, b A?, c A[], n int index, order -n, allow read }");
    let db = Db::empty();
    let plan = plan(&app, db.dialect, &Model::default(), &Hints::default(), Way::Online).unwrap();
    let ground = ground(db.dialect, &catalogue(&db));
    let mut all: Vec<String> = ground.into_iter().chain(plan.statements().cloned()).collect();
    let mut wanted = mainstay_sql::ddl::create_schema(&app, db.dialect);
    all.sort();
    wanted.sort();
    assert_eq!(all, wanted);
    assert_eq!((plan.removed.len(), plan.effect()), (0, Effect::Safe));
}

#[test]
fn a_database_in_step_needs_nothing() {
    let app = "table A { a text unique, b A?, c A[], n int index, order -n, allow read }";
    assert!(way(app, app, &Hints::default()).unwrap().is_empty());
}

#[test]
fn what_cannot_be_known_is_asked_for() {
    let check = |before: &str, after: &str, words: &[&str]| {
        let app = |lines: &str| format!("table A {{ {lines} allow read }}");
        let found = way(&app(before), &app(after), &Hints::default()).map(|_| ());
        assert_eq!(found, Err(words.iter().map(|text| (*text).to_owned()).collect()), "{before} to {after}");
    };
    check(
        "n int,",
        "m int,",
        &[
            "A.n is gone and m is new: say --rename A.n=m if it is the same under another name, or --drop A.n if its values may go",
            "A.m: is new and required, and nothing says what the rows that are there have in it: give it a default, make it nullable, \
             or say --fill A.m=EXPRESSION",
        ],
    );
    check(
        "tags B[], allow read } table B { t text,",
        "labels B[], allow read } table B { t text,",
        &[
            "A.tags is gone and labels is new: say --rename A.tags=labels if it is the same under another name, or --drop A.tags if its \
             values may go",
        ],
    );
    check(
        "t text, allow read } table B { x int, y int?,",
        "t text, allow read } table C { x int, z int?,",
        &[
            "B is gone and C is new: say --rename B=C if it is the same under another name, or --drop B if its values may go",
        ],
    );
    check(
        "n json,",
        "n int,",
        &[
            "A.n: is json and is declared to be int, and no value becomes the other by itself: add a column, fill it by a step written by \
             hand, and drop this one",
        ],
    );
    check(
        "n User?,",
        "n A?,",
        &[
            "A.n: refers to User and is declared to refer to A, whose rows have other keys: add a column for the new reference, fill it, \
             and drop this one",
        ],
    );
}

#[test]
fn what_is_said_is_done() {
    let said = |renames: &[(&str, &str)], drops: &[&str], fills: &[(&str, &str)]| Hints {
        renames: renames.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect(),
        drops: drops.iter().map(|text| (*text).to_owned()).collect(),
        fills: fills.iter().map(|(place, text)| ((*place).to_owned(), (*text).to_owned())).collect(),
    };
    let check = |before: &str, after: &str, hints: &Hints, words: &[&str]| {
        let plan = way(before, after, hints).unwrap();
        let changes: Vec<&str> = plan.changes.iter().map(|change| change.words.as_str()).collect();
        assert_eq!(changes, words, "{before} to {after}");
    };
    let before = "table A { n int, tags B[], allow read }\ntable B { t text, allow read }";
    check(
        before,
        "table A { m int, labels B[], allow read }\ntable B { t text, allow read }",
        &said(&[("A.n", "m"), ("A.tags", "labels")], &[], &[]),
        &["the links A_tags are called A_labels", "A.n is renamed to m"],
    );
    check(
        before,
        "table C was A { m int was n, tags D[], allow read }\ntable D was B { t text, allow read }",
        &Hints::default(),
        &[
            "A is renamed to C",
            "B is renamed to D",
            "the links A_tags are called C_tags",
            "A.n is renamed to m",
        ]
        .map(|words| if words.starts_with("A.n") { "C.n is renamed to m" } else { words }),
    );
    check(
        before,
        "table A { n int, allow read }\ntable B { t text, allow read }",
        &Hints::default(),
        &["A_tags is dropped: its links are lost"],
    );
    check(
        before,
        "table A { n int, m int, tags B[], allow read }\ntable B { t text, allow read }",
        &said(&[], &[], &[("A.m", "n + 1")]),
        &["A.m is new: rows that are there get n + 1"],
    );
    let unused = way(before, before, &said(&[], &["A.x"], &[])).unwrap_err();
    assert_eq!(unused, ["A.x: is nothing that is gone, so it is neither renamed nor dropped"]);
    let wrong = way(
        before,
        "table A { n int, m int, tags B[], allow read }\ntable B { t text, allow read }",
        &said(&[], &[], &[("A.m", "k")]),
    );
    assert!(wrong.unwrap_err()[0].starts_with("A.m: --fill \"k\": `A` has no column `k`"));
}

#[test]
fn enums_grow_in_the_record_alone() {
    let grown = way(
        "table A { e enum(x, y), allow read }",
        "table A { e enum(y, x, z), allow read }",
        &Hints::default(),
    )
    .unwrap();
    assert_eq!((grown.steps.len(), grown.effect(), grown.added.len()), (0, Effect::Safe, 1));
    let shrunk = way(
        "table A { e enum(x, y), allow read }",
        "table A { e enum(y, z), allow read }",
        &Hints::default(),
    );
    let shrunk = shrunk.unwrap();
    assert!(shrunk.steps.len() == 1 && shrunk.steps[0].is_check, "{shrunk:#?}");
}

/// A column that becomes secret leaves the change log and the answers that are kept.
#[test]
fn what_becomes_guarded_is_forgotten() {
    let (before, after) = ("table A { pin text, allow read }", "table A { pin text secret, allow read }");
    let db = Db::new(before);
    let line = |image: &str| {
        let tx = if db.dialect.transaction().is_some() { "" } else { "tx, " };
        let number = if tx.is_empty() { "" } else { "1, " };
        format!(
            "INSERT INTO \"_change\" ({tx}\"at\", \"table\", \"row\", \"kind\", \"after\") \
             VALUES ({number}'2026-01-31T00:00:00.000000Z', 'A', 'x', 'create', '{image}')"
        )
    };
    db.database.script(&line("{\"pin\":\"1234\",\"n\":1.50}")).unwrap();
    db.database.script(&line("{\"n\":2}")).unwrap();
    let keep = mainstay_sql::system::idempotency_insert(&db.schema, db.dialect);
    let bytes = |text: &str| Value::Bytes(text.as_bytes().to_vec());
    let at = Value::from_json("\"2026-01-31T00:00:00.000000Z\"", &Type::Timestamp).unwrap();
    let text = |text: &str| Value::Text(text.to_owned());
    let kept =
        [bytes("who"), text("key"), text("POST /query"), bytes("hash"), Value::Int(200), bytes("1234"), at];
    db.database.write(&keep.sql, &kept).unwrap();
    for statement in way(before, after, &Hints::default()).unwrap().statements() {
        db.database.script(statement).unwrap();
    }
    let answers = "SELECT \"key\", \"status\", \"answer\" FROM \"_idempotency\"";
    let types = [Type::Text { max: None }, Type::Int, Type::Bytes];
    let forgotten = [vec![text("key"), Value::Int(410), bytes("hash")]];
    assert_eq!(db.database.read(answers, &[], &types).unwrap(), forgotten);
    let images = db.database.read("SELECT \"after\" FROM \"_change\" ORDER BY \"seq\"", &[], &[Type::Json]);
    let images: Vec<String> =
        images.unwrap().concat().iter().map(|image| image.to_string().replace(' ', "")).collect();
    assert_eq!(images, ["{\"n\":1.50}", "{\"n\":2}"]);
}

#[test]
fn what_somebody_changed_by_hand_is_told() {
    let app = "table A { a text unique, n int?, b A?, allow read }";
    let db = Db::new(app);
    let left = Model::of(&schema(app), db.dialect);
    let told = |db: &Db| {
        let (is, misfits, besides) = found(&catalogue(db), db.dialect, &left, &Model::default());
        let drifts = drift(&left, &is, &misfits).iter().map(ToString::to_string).collect::<Vec<_>>();
        (drifts, besides.iter().map(|of| format!("{} {}", of.table, of.what)).collect::<Vec<_>>())
    };
    assert_eq!(told(&db), (vec![], vec![]));
    for statement in [
        "DROP INDEX \"A.a.unique\"",
        "ALTER TABLE \"A\" DROP COLUMN \"n\"",
        "ALTER TABLE \"A\" ADD COLUMN \"extra\" INTEGER",
        "CREATE INDEX \"by_extra\" ON \"A\" (\"extra\")",
        "CREATE TABLE \"Elsewhere\" (\"x\" INTEGER)",
    ] {
        db.database.script(statement).unwrap();
    }
    let (drifts, besides) = told(&db);
    assert_eq!(drifts, ["A.n is missing", "the index A.a.unique is missing or not valid"]);
    assert_eq!(besides, ["A column extra", "A index by_extra"]);
}

/// What an earlier release recorded of its databases, and what this one makes of it.
#[test]
fn a_database_of_an_earlier_release_is_understood() {
    let app = "table A { a text, d decimal(9, 2), e enum(x, y)?, b A?, tags text[], allow read }";
    let db = Db::new(app);
    let record = "A\tid\tuuid\nA\tcreated\ttimestamp\nA\tupdated\ttimestamp\nA\ta\ttext\nA\td\tdecimal with 2 digits behind the \
                  point\nA\te\tenum(x, y)\nA\tb\trow of A\nA\ttags\ttext[]\n";
    let declared = Model::of(&schema(app), db.dialect);
    let recorded = Model::recorded(None, Some(record), &declared).unwrap();
    let (is, misfits, besides) = found(&catalogue(&db), db.dialect, &recorded, &declared);
    assert_eq!((is, misfits, besides), (declared.clone(), vec![], vec![]));
    // The meaning of a column is the recorded one, whatever is declared now.
    let other = app.replace("decimal(9, 2)", "decimal(9, 3)").replace("enum(x, y)", "enum(y, z)");
    let now = Model::of(&schema(&other), db.dialect);
    let recorded = Model::recorded(None, Some(record), &now).unwrap();
    let types = ["d", "e"].map(|column| recorded.column("A", column).unwrap().ty.to_string());
    assert_eq!(types, ["decimal(18, 2)", "enum(x, y)"]);
}

#[test]
fn a_database_made_before_an_index_of_the_system_is_given_it() {
    let db = Db::new("table A { a text, allow read }");
    assert_eq!(ground(db.dialect, &catalogue(&db)), Vec::<String>::new());
    db.database.script("DROP INDEX \"_change.row.table\"").unwrap();
    for step in ground(db.dialect, &catalogue(&db)) {
        db.database.script(&step).unwrap();
    }
    assert_eq!(ground(db.dialect, &catalogue(&db)), Vec::<String>::new());
}
