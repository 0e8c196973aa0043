//! Every operator and function over values at the edges of their types: the database against the evaluator in memory.
//!
//! Each expression is asked of one row at a time, so that a failure is that row's own.

use mainstay_lang::eval::{Compiled, Env, Nobody, Scalar};
use mainstay_lang::ops::text::WILD_PATTERN_MAX;
use mainstay_lang::value::{Date, Decimal, Duration, Timestamp, Value};

use crate::harness::{Db, Run};
use crate::spelling::Dice;

const APP: &str = r#"
table T {
  n int? m int? digits int?
  f float? g float?
  p decimal(18, 2)? q decimal(18, 6)? r decimal(18, 18)?
  at timestamp? until timestamp? day date? other date? span duration?
  t text? u text? e enum(low, mid, top)? raw bytes? list text[]? numbers float[]? data json? code uuid?
  allow read
}
"#;

const EXPRESSIONS: [&str; 66] = [
    "n + m",
    "n - m",
    "n * m",
    "n / m",
    "n % m",
    "-n",
    "abs(n)",
    "n * 1.5",
    "n + f",
    "f + g",
    "f - g",
    "f * g",
    "f / g",
    "f % g",
    "-f",
    "abs(f)",
    "f * f",
    "f * 0.5",
    "1.0 / f",
    "f < g",
    "f == g",
    "p + q",
    "p - q",
    "p * q",
    "p / q",
    "p % q",
    "p * r",
    "r / q",
    "r * r",
    "r / r",
    "-p",
    "abs(r)",
    "p + n",
    "q * n",
    "p / n",
    "p < q",
    "round(f, digits)",
    "round(g, 0)",
    "round(p, digits)",
    "round(q, 3)",
    "round(r, digits)",
    "round(f, n)",
    "at + span",
    "at - span",
    "at - until",
    "day + span",
    "day - span",
    "day - other",
    "span + span",
    "span * m",
    "span / m",
    "-span",
    "abs(span)",
    "year(at) * 10000 + month(at) * 100 + day(at)",
    "year(day) * 10000 + month(day) * 100 + day(day)",
    "t ~ u",
    "like(t, u)",
    "starts_with(t, u)",
    "ends_with(t, u)",
    "concat(lower(t), upper(u), e)",
    "trim(t)",
    "length(t) + length(raw) + length(list)",
    "t < u",
    "(u in list) == (f in numbers)",
    "data.a",
    "if e < mid then n else coalesce(m, 0)",
];

fn random_row(dice: &mut Dice, db: &Db) {
    let quoted = |text: String| Value::Text(text).to_json();
    let timestamp = |dice: &mut Dice| {
        quoted(Timestamp(dice.below(315_537_897_600_000_000) - 62_135_596_800_000_000).to_string())
    };
    let date = |dice: &mut Dice| quoted(Date(dice.below(3_652_059) as i32 - 719_162).to_string());
    let decimal = |dice: &mut Dice, scale| {
        quoted(Decimal { mantissa: dice.number() % 1_000_000_000_000_000_000, scale }.to_string())
    };
    let texts = |dice: &mut Dice| {
        quoted(
            (0..dice.below(6)).map(|_| dice.pick(&['a', 'A', '%', '_', '\\', 'é', 'É', ' ', '\t'])).collect(),
        )
    };
    let json = [
        r#"{"a":1.50}"#,
        r#"{"a":"x\u00e9"}"#,
        r#"{"a":[1]}"#,
        r#"{"b":1,"a":true}"#,
        "[1]",
        r#"{"a":null}"#,
    ];
    let text = texts(dice);
    let float = Value::Float(dice.float()).to_json();
    let all = [
        ("n", dice.number().to_string()),
        ("m", dice.number().to_string()),
        ("digits", (dice.below(60) - 30).to_string()),
        ("f", float.clone()),
        ("g", Value::Float(dice.float()).to_json()),
        ("p", decimal(dice, 2)),
        ("q", decimal(dice, 6)),
        ("r", decimal(dice, 18)),
        ("at", timestamp(dice)),
        ("until", timestamp(dice)),
        ("day", date(dice)),
        ("other", date(dice)),
        ("span", quoted(Duration(dice.number()).to_string())),
        ("t", text),
        ("u", texts(dice)),
        ("e", quoted(dice.pick(&["low", "mid", "top"]).to_owned())),
        ("raw", Value::Bytes(vec![7; dice.below(5) as usize]).to_json()),
        ("list", format!("[{},\"a\"]", texts(dice))),
        ("numbers", format!("[{},{float}]", Value::Float(dice.float()).to_json())),
        ("data", dice.pick(&json).to_owned()),
    ];
    let given: Vec<(&str, &str)> =
        all.iter().filter(|_| dice.below(12) > 0).map(|(name, raw)| (*name, raw.as_str())).collect();
    db.insert("T", &given);
}

#[test]
fn the_database_computes_as_memory_does() {
    let db = Db::new(APP);
    let mut dice = Dice(0x2545_f491_4f6c_dd1d);
    for _ in 0..120 {
        random_row(&mut dice, &db);
    }
    let table = db.table("T");
    let plan = mainstay_sql::plan::Images { table, filter: Vec::new(), limit: None, lock: None };
    let rows = db.values(&mainstay_sql::images(&db.schema, db.dialect, &plan), &Run::default());
    assert_eq!(rows.len(), 120);
    let (mut answered, mut overflowed) = (0, 0);
    for text in EXPRESSIONS {
        let expr = db.value("T", text);
        let compiled = Compiled::new(&expr).unwrap();
        let statement = mainstay_sql::test(&db.schema, db.dialect, table, std::slice::from_ref(&expr));
        for row in &rows {
            let env = Env::of_row(row, &Nobody, Timestamp(0));
            let expected = compiled.eval(&env).map(Scalar::into_value);
            let found = db.try_values(&statement, &Run::params(&row[..1]));
            match (expected, found) {
                (Ok(expected), Ok(found)) => {
                    assert_eq!(found[0][0].to_json(), expected.to_json(), "{text}\n{row:?}");
                    answered += usize::from(!expected.is_null());
                }
                (Err(_), Err(words)) => {
                    assert!(words.contains(mainstay_lang::ops::OVERFLOW), "{text}: {words}");
                    overflowed += 1;
                }
                (expected, found) => panic!("{text}: {found:?} instead of {expected:?}\n{row:?}"),
            }
        }
    }
    println!("{answered} answers, {overflowed} overflows");
    assert!(answered > 4000 && overflowed > 300, "{answered} answers, {overflowed} overflows");
}

#[test]
fn long_patterns_are_refused_only_where_a_wildcard_makes_them_slow() {
    let db = Db::new("table T { t text?, u text?, allow read }");
    let table = db.table("T");
    let expr = db.value("T", "like(t, u)");
    let statement = mainstay_sql::test(&db.schema, db.dialect, table, std::slice::from_ref(&expr));
    let long = "é".repeat(WILD_PATTERN_MAX);
    let quoted = |text: String| Value::Text(text).to_json();
    let refused = Err(mainstay_lang::ops::OpError::PatternTooLong.to_string());
    let cases = [
        (Some(long.clone()), long.clone(), Ok(Value::Bool(true))),
        (Some(long.clone()), format!("{}_", &long[2..]), Ok(Value::Bool(true))),
        (Some(long.clone()), format!("{long}_"), refused.clone()),
        (Some(long.clone()), format!("{long}\\\\_"), refused),
        (Some(format!("{long}_")), format!("{long}\\_"), Ok(Value::Bool(true))),
        (Some(long.clone()), format!("%{}%%", &long[2..]), Ok(Value::Bool(true))),
        (None, format!("{long}_"), Ok(Value::Null)),
    ];
    for (text, pattern, expected) in cases {
        let pattern = quoted(pattern);
        let text = text.map(quoted);
        let given: Vec<(&str, &str)> =
            text.iter().map(|text| ("t", text.as_str())).chain([("u", pattern.as_str())]).collect();
        let key = Value::from_json(&format!("\"{}\"", db.insert("T", &given)), db.schema.key_type(table));
        let found = db.try_values(&statement, &Run::params(&[key.unwrap()]));
        match (found, expected) {
            (Ok(found), expected) => assert_eq!(Ok(&found[0][0]), expected.as_ref(), "{pattern:.20}"),
            (Err(words), Err(expected)) => assert!(words.contains(&expected), "{words}"),
            (Err(words), Ok(_)) => panic!("{words}"),
        }
    }
}
