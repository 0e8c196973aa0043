//! Pages by cursor: whatever the order, reading page after page gives every row once, in the order of the whole.

use mainstay_lang::ops::cursor;
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;
use mainstay_sql::plan::{OutputKind, Select};
use mainstay_sql::statement::ResultShape;

use crate::harness::{Db, Run, output, param};

const APP: &str = r#"
table Team { name text, items Item[] by team, allow read }
table Item {
  team Team?
  n int
  m int?
  t text?
  d decimal(6, 2)?
  at timestamp?
  level enum(low, high, top) = low
  flag bool?
  index (n)
  allow read
}
"#;

fn items() -> Db {
    let db = Db::new(APP);
    let groups = ["\"b\"", "\"a\""].map(|name| format!("\"{}\"", db.insert("Team", &[("name", name)])));
    for n in 0..24 {
        let n: usize = n;
        let text = |choices: &[&str]| choices[n * 7 % choices.len()].to_owned();
        db.insert(
            "Item",
            &[
                ("team", &text(&[&groups[0], "null", &groups[1], "null", &groups[0]])),
                ("n", &text(&["3", "1", "2"])),
                ("m", &text(&["null", "5", "5", "-1"])),
                ("t", &text(&["\"x\"", "null", "\"\\\"quoted\\\"\"", "\"\""])),
                ("d", &text(&["\"1.50\"", "\"10.00\"", "null"])),
                (
                    "at",
                    &text(&["null", "\"2026-01-31T10:00:00.000000Z\"", "\"2025-01-31T10:00:00.000000Z\""]),
                ),
                ("level", &text(&["\"low\"", "\"high\"", "\"top\"", "\"high\"", "\"low\""])),
                ("flag", &text(&["true", "null", "false"])),
            ],
        );
    }
    db
}

/// All rows, then page by page.
fn check(db: &Db, order: &[&str], mut select: Select) {
    select.order = order.iter().map(|item| db.order("Item", item)).collect();
    select.paged = true;
    let types: Vec<Type> = select.order.iter().map(|item| item.by.ty.clone()).chain([Type::Uuid]).collect();
    let types: Vec<Type> = types.iter().map(|ty| db.schema.storage_type(ty).clone()).collect();
    let (all, _) = db.json(&mainstay_sql::select(&db.schema, db.dialect, &select), &Run::default());
    assert!(all.len() > 10);

    let size: u32 = 3;
    select.limit = Some(param(0, &Type::Int));
    let mut seen = Vec::new();
    let mut params = vec![Value::Int(i64::from(size))];
    loop {
        let statement = mainstay_sql::select(&db.schema, db.dialect, &select);
        let ResultShape::Json(shape) = &statement.result else { panic!("json") };
        assert!(shape.cursor.is_some() && shape.probes_more.is_some());
        let (mut page, cursors) = db.json(&statement, &Run::params(&params));
        let more = page.len() > size as usize;
        page.truncate(size as usize);
        seen.extend(page);
        if !more {
            break;
        }
        let (_, values) = cursor::decode(&cursors[size as usize - 1]).unwrap();
        let list: Vec<Box<serde_json::value::RawValue>> = serde_json::from_str(&values).unwrap();
        params.truncate(1);
        params.extend(list.iter().zip(&types).map(|(raw, ty)| Value::from_json(raw.get(), ty).unwrap()));
        select.after = Some((1..).zip(&types).map(|(index, ty)| param(index, ty)).collect());
    }
    assert_eq!(seen, all, "{order:?}");
}

#[test]
fn pages_join_to_the_whole_in_every_order() {
    let db = items();
    let select = db.select("Item", &["id", "n", "m", "t", "level"]);
    for order in [
        &[][..],
        &["id"],
        &["-id"],
        &["n"],
        &["-n"],
        &["m"],
        &["-m"],
        &["m nulls first"],
        &["-m nulls first"],
        &["n", "m"],
        &["-n", "m nulls first", "-t"],
        &["m", "-n", "t nulls first"],
        &["level"],
        &["-level", "n"],
        &["-d", "at"],
        &["at nulls first", "-d"],
        &["flag", "-flag nulls first", "n"],
        &["team.name", "-n"],
        &["-team.name nulls first"],
        &["team", "n"],
        &["n", "-id", "m"],
        &["n + coalesce(m, 0)"],
    ] {
        check(&db, order, select.clone());
    }
}

#[test]
fn pages_of_rows_with_something_nested_and_a_filter() {
    let db = items();
    let mut select = db.select("Item", &["id"]);
    let team = db.select("Team", &["name"]);
    let kind = OutputKind::One { column: db.column("Item", "team"), select: Box::new(team) };
    select.outputs.push(output("team", kind));
    select.filter = vec![db.filter("Item", "n < 3 or team != null")];
    check(&db, &["-m", "n"], select.clone());
    check(&db, &["n", "m"], select);
}

#[test]
fn nulls_come_last_unless_asked_first_and_enums_in_declared_order() {
    let db = items();
    let column = |order: &str, name: &str| {
        let mut select = db.select("Item", &[name]);
        select.order = vec![db.order("Item", order)];
        let text = db.rows(&select);
        let mut values: Vec<&str> = text.split(['{', '}']).filter(|part| part.contains(':')).collect();
        values.dedup();
        values.iter().map(|part| part.split_once(':').unwrap().1).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(column("m", "m"), "-1 5 null");
    assert_eq!(column("-m", "m"), "5 -1 null");
    assert_eq!(column("m nulls first", "m"), "null -1 5");
    assert_eq!(column("-m nulls first", "m"), "null 5 -1");
    assert_eq!(column("level", "level"), r#""low" "high" "top""#);
    assert_eq!(column("-level", "level"), r#""top" "high" "low""#);
}

#[test]
fn limits_and_offsets() {
    let db = items();
    let mut select = db.select("Item", &["n"]);
    select.order = vec![db.order("Item", "n")];
    select.offset = Some(crate::harness::int(22));
    assert_eq!(db.rows(&select), r#"[{"n":3},{"n":3}]"#);
    select.limit = Some(crate::harness::int(1));
    assert_eq!(db.rows(&select), r#"[{"n":3}]"#);
}
