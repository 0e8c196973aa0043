//! How answers and states of a database compare.

use mainstay_lang::schema::{Schema, Stamp};
use serde_json::Value as Json;

use crate::naive::{World, order};

/// How two worlds differ. A row's version is the server's: it must have grown where the row was to change.
pub(super) fn difference(schema: &Schema, before: &World, expected: &World, found: &World) -> String {
    let mut words = Vec::new();
    for table in &schema.tables {
        let keys =
            |world: &World| world.rows(table.id).iter().map(|row| row[0].to_json()).collect::<Vec<_>>();
        if keys(expected) != keys(found) {
            words.push(format!("{}: rows {:?}, not {:?}", table.name, keys(found), keys(expected)));
            continue;
        }
        for (expected, found) in expected.rows(table.id).iter().zip(found.rows(table.id)) {
            let before = before.row(table.id, &expected[0]);
            for (at, column) in table.columns.iter().enumerate() {
                let same = match (column.stamp == Some(Stamp::Updated), before) {
                    (true, Some(before)) if before[at] != expected[at] => {
                        order(&found[at], &before[at]) == Some(std::cmp::Ordering::Greater)
                    }
                    _ => expected[at] == found[at],
                };
                if !same {
                    words.push(format!(
                        "{} {}: {} is {}, not {}",
                        table.name,
                        found[0].to_json(),
                        column.name,
                        found[at].to_json(),
                        expected[at].to_json(),
                    ));
                }
            }
        }
    }
    for (name, pairs) in &found.links {
        let expected = expected.links.get(name).map_or(&[][..], Vec::as_slice);
        if expected != pairs.as_slice() {
            words.push(format!("{name}: {pairs:?}, not {expected:?}"));
        }
    }
    words.join("\n")
}

/// Equal, but for what stands in a cursor and the last digit of a mean.
pub(super) fn same(expected: &Json, found: &Json) -> bool {
    match (expected, found) {
        (Json::Object(expected), Json::Object(found)) => {
            expected.len() == found.len()
                && expected.iter().all(|(name, value)| match (found.get(name), name.as_str()) {
                    (Some(found), "next") => found.is_null() == value.is_null(),
                    (Some(found), _) => same(value, found),
                    (None, _) => false,
                })
        }
        (Json::Array(expected), Json::Array(found)) => {
            expected.len() == found.len() && expected.iter().zip(found).all(|(a, b)| same(a, b))
        }
        (Json::Number(a), Json::Number(b)) if a.is_f64() || b.is_f64() => {
            let (a, b) = (a.as_f64().unwrap_or(f64::NAN), b.as_f64().unwrap_or(f64::NAN));
            (a - b).abs() <= a.abs().max(b.abs()) * 1e-12
        }
        (expected, found) => expected == found,
    }
}
