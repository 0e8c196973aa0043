//! Expressions that callers send.

use super::analysed;
use super::dump::dump;
use crate::filter::{compile_aggregate, compile_filter, compile_value};
use crate::schema::{Schema, TableId};

const SCHEMA: &str = "
extend User { team Team?, code text? secret }
table Team { name text(100), pin text? secret, allow read }
table Item {
  title text(50), team Team, kind enum(low, high), n int, price decimal(10, 2), due timestamp?, tags text[]
  pin text? secret, notes Note[] by item, data json?, user User?, allow read
}
table Note { item Item, text text, pin text? secret, allow read }
";

fn schema() -> (Schema, TableId) {
    let (_, analysis) = analysed(SCHEMA);
    let schema = analysis.schema.expect("the schema of these tests is right");
    let item = schema.table_names["Item"];
    (schema, item)
}

#[test]
fn filters_are_typed_with_their_parameters() {
    let (schema, item) = schema();
    for (text, expected, params) in [
        ("due == null or due < now()", "(or (null due) (Lt due Now))", ""),
        ("title ~ $q", "(~ title $0)", "q text"),
        ("$q == null or title ~ $q", "(or (null $0) (~ title $0))", "q text"),
        (
            "n > $least and price * $factor > 10",
            "(and (Gt n $0) (Gt (Mul price $1):decimal(18, 4) \"10.0000\":decimal))",
            "least int, factor decimal(18, 2)",
        ),
        ("kind == $kind", "(Eq kind $0)", "kind enum(low, high)"),
        ("team in $teams", "(in team $0)", "teams uuid[]"),
        ("$tag in tags", "(in $0 tags)", "tag text"),
        ("due > now() - $ago", "(Gt due (Sub Now $0):timestamp)", "ago duration"),
        ("team == user.team", "(Eq team user.team)", ""),
        ("notes.any(text ~ $q)", "(Any notes (~ text $0))", "q text"),
        // Beyond the caller's own row, a target's key is read through the target.
        ("team.id == $team", "(Eq team.id $0)", "team uuid"),
        // In a request a column named like the caller is the column.
        ("user == $user", "(Eq user $0)", "user row"),
    ] {
        let found = match compile_filter(&schema, item, text) {
            Ok(filter) => (
                dump(&schema, &filter.condition),
                filter.params.iter().map(|(name, ty)| format!("{name} {ty}")).collect::<Vec<_>>().join(", "),
            ),
            Err(_) => (String::new(), String::new()),
        };
        assert_eq!(found, (expected.to_owned(), params.to_owned()), "{text}");
    }
}

#[test]
fn a_caller_cannot_name_what_is_not_for_callers() {
    let (schema, item) = schema();
    for (text, expected) in [
        ("pin == \"1\"", "0..3 `Item` has no column `pin`"),
        ("team.pin == \"1\"", "5..8 `Team` has no column `pin`"),
        ("notes.any(pin == \"1\")", "10..13 `Note` has no column `pin`"),
        ("title == user.code", ""),
        ("old.title == title", "0..3 `old.` has no meaning in a filter"),
        ("title", "0..5 expected a condition (bool), found `text(50)`"),
        (
            "$a == $b",
            "0..8 nothing says the type of `$a`: compare it with a column; 0..8 nothing says the type of `$b`: compare it with a column",
        ),
        ("title == ", ""),
    ] {
        let problems = compile_filter(&schema, item, text).expect_err(text);
        let found: Vec<String> =
            problems.iter().map(|p| format!("{}..{} {}", p.span.start, p.span.end, p.message)).collect();
        if !expected.is_empty() {
            assert_eq!(found.join("; "), expected, "{text}");
        }
    }
}

#[test]
fn the_caller_has_the_plain_columns_of_its_own_row() {
    let (_, analysis) = analysed(
        "
        extend User { team Team?, code text? secret }
        table Team { name text, allow read }
        table Item { title text, team Team, allow read }
    ",
    );
    let schema = analysis.schema.expect("right");
    let item = schema.table_names["Item"];
    assert!(compile_filter(&schema, item, "team == user.team and title == user.name").is_ok());
    for (text, expected) in [
        ("title == user.team.name", "a filter cannot follow relations here"),
        ("title == user.code", "`User` has no column `code`"),
    ] {
        let problems = compile_filter(&schema, item, text).expect_err(text);
        assert_eq!(problems[0].message, expected, "{text}");
    }
}

#[test]
fn orders_groups_and_aggregates() {
    let (schema, item) = schema();
    for (text, expected) in [
        ("team.name", "team.name text(100)"),
        ("n * 2", "(Mul n 2:int):int int"),
        ("kind", "kind enum(low, high)"),
        ("notes.count()", "(Count notes) int"),
    ] {
        let value = compile_value(&schema, item, text).expect(text);
        assert_eq!(format!("{} {}", dump(&schema, &value), value.ty), expected);
    }
    for text in ["tags", "data", "pin", "notes", "$x", "nn"] {
        assert!(compile_value(&schema, item, text).is_err(), "{text}");
    }
    for (text, expected) in [
        ("count()", "Count - int"),
        ("count(due)", "Count due int"),
        ("sum(n * price)", "Sum (Mul (as decimal(18, 0) n) price):decimal(18, 2) decimal(18, 2)"),
        ("avg(price)", "Avg price float"),
        ("max(due)", "Max due timestamp"),
    ] {
        let aggregate = compile_aggregate(&schema, item, text).expect(text);
        let arg = aggregate.arg.as_ref().map_or_else(|| "-".to_owned(), |arg| dump(&schema, arg));
        assert_eq!(format!("{:?} {arg} {}", aggregate.function, aggregate.ty), expected);
    }
    for text in ["n", "sum()", "sum(title)", "median(n)", "max(tags)", "sum(pin)", "count(n, n)"] {
        assert!(compile_aggregate(&schema, item, text).is_err(), "{text}");
    }
}
