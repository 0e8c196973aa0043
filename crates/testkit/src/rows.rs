//! Random rows for a schema: few values, so that they meet, nulls, and the extremes of each type.

use std::collections::HashSet;

use mainstay_lang::schema::{Column, ColumnId, Index, RelationKind, Schema, Table, TableId};
use mainstay_lang::types::Type;
use mainstay_lang::value::{Date, Decimal, Duration, Time, Timestamp, Value};
use mainstay_sql::forms::compose_key;

use crate::author::key_text;
use crate::dice::Dice;
use crate::naive::{Row, World};

/// The clock of every request: 2026-01-31T12:00:00Z.
pub const NOW: Timestamp = Timestamp(1_769_860_800_000_000);

/// The key of a small number.
pub fn key(number: usize) -> Value {
    Value::Uuid(key_text(number).parse().expect("the text of a uuid"))
}

/// How many tenants rows belong to.
pub const TENANTS: usize = 2;

/// The key of a tenant.
pub fn tenant(number: usize) -> Value {
    key(70 + number)
}

/// Rows for every table: `users` users, and up to `rows` of each other table that is the app's own.
///
/// # Panics
/// When a table's required relations go in a circle.
pub fn world(schema: &Schema, dice: &mut Dice, users: usize, rows: usize, extremes: bool) -> World {
    let mut world = World::empty(schema);
    let counts: Vec<usize> = schema
        .tables
        .iter()
        .map(|table| match table.name.as_str() {
            "User" => users,
            _ if table.platform => 0,
            _ => dice.below(rows) + 1,
        })
        .collect();
    for table in &schema.tables {
        for number in 1..=counts[table.id.0 as usize] {
            let row = row(schema, dice, table.id, number, &counts, extremes);
            world.tables[table.id.0 as usize].push(row);
        }
        keep_unique(table, &mut world.tables[table.id.0 as usize]);
        compose_keys(table, &mut world.tables[table.id.0 as usize]);
        for relation in &table.relations {
            let RelationKind::Link(link) = &relation.kind else { continue };
            let (owners, targets) = (counts[table.id.0 as usize], counts[relation.target.0 as usize]);
            let pairs = world.links.entry(link.db_name.clone()).or_default();
            for owner in 1..=owners {
                for target in 1..=targets {
                    if dice.one_in(3) {
                        pairs.push((key(owner), key(target)));
                    }
                }
            }
        }
    }
    world
}

/// Puts the keys together of rows whose key is no column of its own; of several with the same one the first stays.
fn compose_keys(table: &Table, rows: &mut Vec<Row>) {
    if table.key_of.is_empty() {
        return;
    }
    for row in &mut *rows {
        row[0] = compose_key(table.key_of.iter().map(|column| &row[column.0 as usize]));
    }
    let mut seen = HashSet::new();
    rows.retain(|row| seen.insert(row[0].to_string()));
}

/// Makes values null that an earlier row has, where they must be unique.
fn keep_unique(table: &Table, rows: &mut [Row]) {
    for index in &table.uniques {
        let Some(column) = index.columns.iter().find(|column| table.column(**column).nullable) else {
            continue;
        };
        for at in 1..rows.len() {
            if rows[..at].iter().any(|other| collides(table, index, other, &rows[at])) {
                rows[at][column.0 as usize] = Value::Null;
            }
        }
    }
}

/// Whether two rows have the same values where they must be unique, which null never is.
pub fn collides(table: &Table, index: &Index, a: &[Value], b: &[Value]) -> bool {
    let columns = index.columns.iter().copied().chain(table.tenant);
    columns.map(|column| column.0 as usize).all(|at| !a[at].is_null() && a[at] == b[at])
}

fn row(
    schema: &Schema,
    dice: &mut Dice,
    table: TableId,
    number: usize,
    counts: &[usize],
    extremes: bool,
) -> Row {
    let table = schema.table(table);
    let value = |column: &Column| match (column.id, column.name.as_str(), &column.ty) {
        (ColumnId::ID, ..) => key(number),
        _ if column.stamp.is_some() => {
            let hours = i64::try_from(dice.below(3)).expect("few");
            Value::Timestamp(Timestamp(NOW.0 - hours * 3_600_000_000))
        }
        (id, ..) if Some(id) == table.tenant => tenant(dice.below(TENANTS)),
        (_, "email", _) if table.platform => Value::Text(format!("user{number}@example.org")),
        _ if column.nullable && dice.one_in(5) => Value::Null,
        (_, _, Type::Ref(target)) => match counts[target.0 as usize] {
            0 => Value::Null,
            count => key(dice.below(count) + 1),
        },
        (_, _, ty) => scalar(dice, ty, extremes),
    };
    table.columns.iter().map(value).collect()
}

/// A value of a storage type.
///
/// # Panics
/// For types that no rows are made of here: files.
pub fn scalar(dice: &mut Dice, ty: &Type, extremes: bool) -> Value {
    let extreme = extremes && dice.one_in(4);
    match ty {
        Type::Bool => Value::Bool(dice.one_in(2)),
        Type::Int if extreme => Value::Int(*dice.pick(&[i64::MAX, i64::MIN, i64::MIN + 1])),
        Type::Int => Value::Int(*dice.pick(&[0, 1, 2, -3])),
        Type::Float if extreme => {
            let values = [f64::MAX, f64::MIN, 5e-324, f64::EPSILON, 0.1, 9_007_199_254_740_993.0];
            Value::Float(*dice.pick(&values))
        }
        Type::Float => Value::Float(*dice.pick(&[0.0, 0.5, 2.0, -1.5])),
        Type::Decimal { precision, scale } => {
            let limit = 10i64.pow(u32::from(*precision));
            let one = 10i64.pow(u32::from(*scale));
            let usual = [0, one, one / 2, -one * 9 / 4, 1];
            let mantissa = if extreme { *dice.pick(&[limit - 1, 1 - limit]) } else { *dice.pick(&usual) };
            // One is too large for a column with all its digits behind the point.
            let mantissa = mantissa.clamp(1 - limit, limit - 1);
            Value::Decimal(Decimal { mantissa, scale: *scale })
        }
        Type::Text { .. } => Value::Text((*dice.pick(TEXTS)).to_owned()),
        Type::Uuid => key(dice.below(8)),
        Type::Date if extreme => Value::Date(*dice.pick(&[Date::MIN, Date::MAX])),
        Type::Date => Value::Date(*dice.pick(&[Date(0), Date(20_484), Date(20_483)])),
        Type::Time => Value::Time(*dice.pick(&[Time::MIN, Time::MAX, Time(36_000_000_000)])),
        Type::Timestamp if extreme => Value::Timestamp(*dice.pick(&[Timestamp::MIN, Timestamp::MAX])),
        Type::Timestamp => {
            Value::Timestamp(*dice.pick(&[NOW, Timestamp(NOW.0 - 1), Timestamp(NOW.0 + 86_400_000_000)]))
        }
        Type::Duration if extreme => Value::Duration(*dice.pick(&[Duration(i64::MIN), Duration(i64::MAX)])),
        Type::Duration => {
            Value::Duration(*dice.pick(&[Duration(0), Duration(-86_400_000_001), Duration(3_600_000_000)]))
        }
        Type::Enum(of) => Value::Text(dice.pick(&of.values).clone()),
        Type::List(_) => {
            let lists: [&[&str]; 3] = [&[], &["a", ""], &["aB", "ä", "a"]];
            let texts = *dice.pick(&lists);
            Value::List(texts.iter().map(|text| Value::Text((*text).to_owned())).collect())
        }
        Type::Json => {
            let jsons = [
                r#"{"a":{"b":"x"},"n":1.0}"#,
                r#"{"a":"ä","n":12,"x":{"y":true}}"#,
                "[1]",
                r#"{"a":null}"#,
                "null",
            ];
            Value::Json((*dice.pick(&jsons)).to_owned())
        }
        Type::Bytes => Value::Bytes(dice.pick(&[vec![], vec![0, 255], vec![128]]).clone()),
        other => panic!("no values of {other} are made here"),
    }
}

/// Texts: empty, patterns, white space, letters outside ASCII, of several bytes, combining.
const TEXTS: &[&str] =
    &["", "a", "aB", "A%", "_b", " b\t", "ä", "Ä", "\\%", "xbx", "\u{1F600}", "e\u{301}", "\u{FFFD}"];
