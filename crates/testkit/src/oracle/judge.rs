//! Runs a request through the engine on a real database and compares the answer with what was foretold.

use mainstay_engine::error::{Error, Key};
use mainstay_engine::part::Operation;
use mainstay_engine::{document, render};
use mainstay_lang::schema::{ColumnId, Member, Schema, Table};
use mainstay_lang::value::Value;
use serde_json::Value as Json;

use super::case::{Case, json_of};
use super::predict::{Oracle, Stop};
use super::simulate::Simulation;
use crate::database::{Database, schema_of};
use crate::naive::{Answer, Asker, Naive, World, order};
use crate::rows::NOW;

/// How an answer compares with what was foretold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They agree on an answer.
    Agreed {
        /// Rows of the answer.
        rows: usize,
    },
    /// They agree on a refusal.
    Refused(Key),
    /// There was nothing to foretell.
    Undecided,
    /// They differ: what was expected and what was found.
    Differs {
        /// What kind of difference: it stays the same while a case is made smaller.
        sort: String,
        /// What the oracle says.
        expected: String,
        /// What the engine says.
        found: String,
    },
}

/// Judges one read on a database that holds `world`.
///
/// # Errors
/// When the database cannot be used.
pub async fn read(
    database: &Database,
    world: &World,
    asker: &Asker,
    request: &Json,
) -> anyhow::Result<Verdict> {
    let schema = database.engine.schema().clone();
    let asker = &asker.present(&schema, world);
    let oracle = Oracle { naive: Naive { schema: &schema, world, at_start: world, asker, now: NOW } };
    let expected = oracle.answer(request);
    let found = execute(database, asker, request).await?;
    Ok(compare(&expected, &found))
}

/// The engine's answer to a document.
///
/// # Errors
/// When the caller cannot be read.
pub async fn execute(
    database: &Database,
    asker: &Asker,
    request: &Json,
) -> anyhow::Result<Result<Json, Error>> {
    let ctx = database.context(asker).await?;
    let documents = match document::parse(request.to_string().as_bytes()) {
        Ok(documents) => documents,
        Err(error) => return Ok(Err(error)),
    };
    let operation = Operation { documents, ..Operation::default() };
    Ok(match database.engine.execute(&ctx, &operation).await {
        Ok(response) => Ok(serde_json::from_str(&render(&response, false))?),
        Err(error) => Err(error),
    })
}

fn compare(expected: &Result<Json, Stop>, found: &Result<Json, Error>) -> Verdict {
    let differs = || Verdict::Differs {
        sort: sort(expected.as_ref().err(), found.as_ref().err()),
        expected: match expected {
            Ok(answer) => format!("{answer:#}"),
            Err(stop) => format!("{stop:?}"),
        },
        found: match found {
            Ok(answer) => format!("{answer:#}"),
            Err(error) => format!("{} ({error}) {:?}", error.key.text(), error.errors),
        },
    };
    match (expected, found) {
        (Err(Stop::Undecided), Ok(_)) => Verdict::Undecided,
        (Err(Stop::Undecided), Err(error)) if error.key == Key::Arithmetic => Verdict::Undecided,
        (Err(Stop::Refused(keys)), Err(error)) if keys.contains(&error.key) => Verdict::Refused(error.key),
        (Ok(expected), Ok(found)) if same(expected, found) => Verdict::Agreed { rows: count(found) },
        _ => differs(),
    }
}

/// Judges one write on a database that holds `world`: the state afterwards, and that the answer tells nothing that may
/// not be read.
///
/// # Errors
/// When the database cannot be used.
pub async fn write(
    database: &Database,
    world: &World,
    asker: &Asker,
    request: &Json,
) -> anyhow::Result<Verdict> {
    let schema = database.engine.schema().clone();
    let asker = &asker.present(&schema, world);
    let mut simulation = Simulation::new(&schema, asker, NOW, world.clone());
    let expected = simulation.run(request);
    let foretold = simulation.world.sorted();
    let found = execute(database, asker, request).await?;
    let after = database.world().await?;
    let sort = sort(expected.as_ref().err(), found.as_ref().err());
    let differs = |expected: String, found: String| Ok(Verdict::Differs { sort, expected, found });
    let said = match &found {
        Ok(answer) => format!("{answer:#}"),
        Err(error) => format!("{} ({error}) {:?}", error.key.text(), error.errors),
    };
    if found.is_err() && after != *world {
        return differs("no change after a refusal".into(), difference(&schema, world, world, &after));
    }
    match (&expected, &found) {
        (Err(Stop::Undecided), _) => Ok(Verdict::Undecided),
        (Err(Stop::Refused(keys)), Err(error)) if keys.contains(&error.key) => {
            Ok(Verdict::Refused(error.key))
        }
        (Ok(()), Ok(answer)) => {
            let difference = difference(&schema, world, &foretold, &after);
            if !difference.is_empty() {
                return differs("another state".into(), format!("{said}\n{difference}"));
            }
            let naive = Naive { schema: &schema, world: &after, at_start: world, asker, now: NOW };
            let before = Naive { schema: &schema, world, at_start: world, asker, now: NOW };
            let is_one = request.as_object().is_some_and(|document| document.len() == 1);
            match told(&[naive, before][..1 + usize::from(is_one)], answer) {
                Ok(Some(leak)) => {
                    differs("an answer without what may not be read".into(), format!("{leak}\n{said}"))
                }
                Ok(None) => Ok(Verdict::Agreed { rows: count(answer) }),
                Err(_) => Ok(Verdict::Undecided),
            }
        }
        _ => differs(format!("{expected:?}"), said),
    }
}

fn sort(expected: Option<&Stop>, found: Option<&Error>) -> String {
    let expected = match expected {
        None => "an answer".to_owned(),
        Some(Stop::Undecided) => "undecided".to_owned(),
        Some(Stop::Refused(keys)) => keys.first().map_or("refused", |key| key.text()).to_owned(),
    };
    format!("{expected}, {}", found.map_or("an answer", |error| error.key.text()))
}

/// How two worlds differ. A row's version is the server's: it must have grown where the row was to change.
fn difference(schema: &Schema, before: &World, expected: &World, found: &World) -> String {
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
                let same = match (column.id == ColumnId::UPDATED, before) {
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

/// What a write's answer tells that the caller may read neither afterwards nor, where rows were deleted, before.
fn told(naives: &[Naive<'_>], answer: &Json) -> Answer<Option<String>> {
    for (name, rows) in answer.as_object().into_iter().flatten() {
        let Some(table) = naives[0].schema.table_named(name) else { continue };
        for row in rows.as_array().into_iter().flatten() {
            if let Some(leak) = told_of_row(naives, table, row)? {
                return Ok(Some(leak));
            }
        }
    }
    Ok(None)
}

fn told_of_row(naives: &[Naive<'_>], table: &Table, shown: &Json) -> Answer<Option<String>> {
    let ty = naives[0].schema.key_type(table.id);
    let Ok(key) = Value::from_json(&shown["id"].to_string(), ty) else {
        return Ok(Some(format!("{shown} has no key")));
    };
    let is_deleted = shown.get("deleted").is_some();
    let naive = if is_deleted { naives.last().copied() } else { Some(naives[0]) };
    let found = naive.and_then(|naive| Some((naive, naive.world.row(table.id, &key)?)));
    for (name, value) in shown.as_object().into_iter().flatten() {
        if matches!(name.as_str(), "id" | "new" | "edited" | "deleted") {
            continue;
        }
        let leak = || Ok(Some(format!("{}.{name} of {}: {value}", table.name, shown["id"])));
        let Some((naive, row)) = found else {
            // Of a row that several parts touched, the state between them is not known here.
            if is_deleted {
                continue;
            }
            return leak();
        };
        if !naive.readable(table.id, row)? {
            return leak();
        }
        match table.members.get(name) {
            Some(Member::Column(id)) if value.is_object() => {
                let target = table.column(*id).target().map(|target| naive.schema.table(target));
                if let Some(target) = target
                    && let Some(leak) = told_of_row(naives, target, value)?
                {
                    return Ok(Some(leak));
                }
            }
            Some(Member::Column(id)) => {
                let held = &row[id.0 as usize];
                if !naive.column_readable(table.id, row, *id)? || json_of(held) != *value {
                    return leak();
                }
            }
            Some(Member::Relation(id)) => {
                let target = naive.schema.table(table.relation(*id).target);
                for row in value.as_array().into_iter().flatten() {
                    if let Some(leak) = told_of_row(naives, target, row)? {
                        return Ok(Some(leak));
                    }
                }
            }
            None => return leak(),
        }
    }
    Ok(None)
}

/// Whether a request writes.
fn is_write(json: &Json) -> bool {
    match json {
        Json::Object(members) => members.iter().any(|(name, member)| {
            matches!(name.as_str(), "create" | "set" | "delete" | "add" | "remove") || is_write(member)
        }),
        Json::Array(items) => items.iter().any(is_write),
        _ => false,
    }
}

fn count(answer: &Json) -> usize {
    let lists = answer.as_object().into_iter().flatten().filter_map(|(_, list)| list.as_array());
    lists.map(Vec::len).sum()
}

/// Equal, but for what stands in a cursor and the last digit of a mean.
fn same(expected: &Json, found: &Json) -> bool {
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

/// Judges a case on a database of its own; `None` when it is none: the app or its rows do not hold together.
pub async fn case(case: &Case) -> Option<Verdict> {
    let schema = schema_of(&case.app.text()).ok()?;
    let world = case.world(&schema)?;
    let database = Database::open(schema).await.ok()?;
    database.fill(&world).await.ok()?;
    let world = database.world().await.ok()?;
    let request = case.request.json();
    match is_write(&request) {
        true => write(&database, &world, &case.asker, &request).await.ok(),
        false => read(&database, &world, &case.asker, &request).await.ok(),
    }
}
