//! Runs a request through the engine on a real database and compares the answer with what was foretold.

mod compare;
mod pages;
mod told;

use std::collections::BTreeSet;

use mainstay_engine::error::{Error, Key};
use mainstay_engine::part::Operation;
use mainstay_engine::{document, render};
use mainstay_lang::schema::{RelationKind, Schema, Table, TableId};
use mainstay_lang::value::Value;
use serde_json::Value as Json;

use self::compare::{difference, same};
use self::told::told;
use super::case::Case;
use super::predict::{Oracle, Refusals, Stop};
use super::simulate::{Said, Simulation, writes};
use crate::database::{Database, DatabaseKind, schema_of};
use crate::naive::{Asker, Naive, World, added};
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
    let added = added::read(&schema, world);
    let naive = Naive { schema: &schema, world, at_start: world, asker, now: NOW, added: &added };
    let oracle = Oracle { naive };
    let expected = oracle.answer(request);
    let found = execute(database, asker, request, &[]).await?;
    let verdict = match (&expected, &found) {
        // It computes what is the same for every row before it knows whether a row asks for it.
        (Ok(_), Err(error)) if error.key == Key::Arithmetic && database.kind == DatabaseKind::Postgres => {
            Verdict::Undecided
        }
        (_, Err(error)) if error.key == Key::AuthRecent && sees_nothing(&oracle.naive, request) => {
            Verdict::Refused(error.key)
        }
        _ => compare(&expected, &oracle.refused(request), &found),
    };
    match (&verdict, &found) {
        (Verdict::Agreed { .. }, Ok(answer)) => {
            pages::follow(database, &oracle, request, answer, verdict).await
        }
        _ => Ok(verdict),
    }
}

/// The engine's answer to a document.
///
/// # Errors
/// When the caller cannot be read.
pub async fn execute(
    database: &Database,
    asker: &Asker,
    request: &Json,
    accepted: &[String],
) -> anyhow::Result<Result<Json, Error>> {
    let ctx = database.context(asker).await?;
    let documents = match document::parse(request.to_string().as_bytes()) {
        Ok(documents) => documents,
        Err(error) => return Ok(Err(error)),
    };
    let operation = Operation { documents, accepted_warnings: accepted.to_vec(), ..Operation::default() };
    Ok(match database.engine.execute(&ctx, &operation).await {
        Ok(response) => Ok(serde_json::from_str(&render(&response, false))?),
        Err(error) => Err(error),
    })
}

/// Whether somebody may be told that all they lack is to have shown a moment ago who they are: of a table that they name they see no
/// row as it is.
fn sees_nothing(naive: &Naive<'_>, request: &Json) -> bool {
    let documents = match request {
        Json::Array(documents) => documents.iter().collect(),
        document => vec![document],
    };
    let mut names =
        documents.iter().filter_map(|document| document.as_object()).flat_map(|document| document.keys());
    names.any(|name| {
        let table = naive.schema.table_named(name);
        table.is_some_and(|table| {
            !naive.world.rows(table.id).iter().any(|row| naive.readable(table.id, row).unwrap_or(true))
        })
    })
}

fn compare(expected: &Result<Json, Stop>, refused: &Refusals, found: &Result<Json, Error>) -> Verdict {
    let differs = || Verdict::Differs {
        sort: sort(expected.as_ref().err(), found.as_ref().err()),
        expected: match expected {
            Ok(answer) => format!("{answer:#}"),
            Err(stop) => format!("{stop:?}"),
        },
        found: shown(found),
    };
    match (expected, found) {
        (Err(Stop::Undecided), Ok(_)) => Verdict::Undecided,
        (Err(Stop::Undecided), Err(error)) if error.key == Key::Arithmetic => Verdict::Undecided,
        (Err(Stop::Refused(keys)), Err(error)) if keys.contains(&error.key) => Verdict::Refused(error.key),
        // Of several things that are wrong, any may be told first.
        (_, Err(error)) if refused.may.contains(&error.key) => Verdict::Refused(error.key),
        (Ok(expected), Ok(found)) if same(expected, found) => Verdict::Agreed { rows: count(found) },
        _ => differs(),
    }
}

/// Judges one write on a database that holds `world`, which becomes the state afterwards: that it is the one foretold, and that the answer tells nothing that may
/// not be read. Warnings are accepted once they were told.
///
/// # Errors
/// When the database cannot be used.
pub async fn write(
    database: &Database,
    world: &mut World,
    asker: &Asker,
    request: &Json,
) -> anyhow::Result<Verdict> {
    let before = world.clone();
    let asker = &asker.present(database.engine.schema(), &before);
    judged_write(database, &before, asker, request, world).await
}

/// `after`: the rows that the last attempt left.
async fn judged_write(
    database: &Database,
    world: &World,
    asker: &Asker,
    request: &Json,
    after: &mut World,
) -> anyhow::Result<Verdict> {
    let schema = database.engine.schema().clone();
    let mut simulation = Simulation::new(&schema, asker, NOW, world.clone());
    let mut expected = simulation.run(request);
    if joins_tenants(&schema, world, &simulation.world) {
        match &mut expected {
            Ok(()) => expected = Err(Stop::Refused(vec![Key::Invalid])),
            Err(Stop::Refused(keys)) => keys.push(Key::Invalid),
            Err(Stop::Undecided) => {}
        }
    }
    let said = std::mem::take(&mut simulation.said);
    let foretold = simulation.world.sorted();
    let sort = |found: &Result<Json, Error>| sort(expected.as_ref().err(), found.as_ref().err());
    let differs = |expected: String, found: &Result<Json, Error>, more: &str| Verdict::Differs {
        sort: sort(found),
        expected,
        found: format!("{}\n{more}", shown(found)),
    };
    let mut accepted: Vec<String> = Vec::new();
    let mut is_one_withheld = false;
    loop {
        let found = execute(database, asker, request, &accepted).await?;
        *after = database.world().await?;
        if found.is_err() && *after != *world {
            let change = difference(&schema, world, world, after);
            return Ok(differs("no change after a refusal".into(), &found, &change));
        }
        let is_open = |key| (key == Key::Check && !said.open_checks.is_empty()) || key == Key::Warnings;
        match (&expected, &found) {
            (Err(Stop::Undecided), _) => return Ok(Verdict::Undecided),
            // In the place of another refusal, or of finding nothing.
            (_, Err(error)) if error.key == Key::AuthRecent => {
                let added = added::read(&schema, world);
                let naive = Naive { schema: &schema, world, at_start: world, asker, now: NOW, added: &added };
                return match expected.is_err() || sees_nothing(&naive, request) {
                    true => Ok(Verdict::Refused(error.key)),
                    false => Ok(differs(format!("{expected:?}"), &found, "")),
                };
            }
            (_, Err(error)) if error.key == Key::Warnings && said.has_warnings() => {
                let told: BTreeSet<String> = error.warnings.iter().map(|w| w.message.clone()).collect();
                let is_complete = said.is_told(&told, &said.warnings, &said.open_warnings);
                if accepted.is_empty() && !is_complete {
                    return Ok(differs(format!("{said:?}"), &found, ""));
                }
                let ids: Vec<String> = error.warnings.iter().map(|warning| warning.id.clone()).collect();
                if ids.iter().any(|id| accepted.contains(id)) || ids.is_empty() {
                    return Ok(differs("accepted warnings let pass".into(), &found, ""));
                }
                // First all but one, to see that it still refuses.
                is_one_withheld = accepted.is_empty() && ids.len() > 1;
                accepted.extend(ids.into_iter().skip(usize::from(is_one_withheld)));
            }
            (Err(Stop::Refused(keys)), Err(error))
                if keys.contains(&error.key) && error.key != Key::Warnings =>
            {
                let told: BTreeSet<String> = error.errors.iter().map(|e| e.message.clone()).collect();
                if error.key == Key::Check && !said.is_told(&told, &said.checks, &said.open_checks) {
                    return Ok(differs(format!("{said:?}"), &found, ""));
                }
                return Ok(Verdict::Refused(error.key));
            }
            (Ok(()), Err(error)) if is_open(error.key) => return Ok(Verdict::Refused(error.key)),
            (_, Err(error)) if error.key == Key::Unique && simulation.is_taken => {
                return Ok(Verdict::Refused(error.key));
            }
            (_, Ok(_)) if is_one_withheld => {
                return Ok(differs("the warning that was not accepted".into(), &found, ""));
            }
            (expected, Ok(answer)) if expected.is_ok() || said.is_passed(&accepted) => {
                let difference = difference(&schema, world, &foretold, after);
                if !difference.is_empty() {
                    return Ok(differs("another state".into(), &found, &difference));
                }
                let added = added::read(&schema, world);
                let naive =
                    Naive { schema: &schema, world: after, at_start: world, asker, now: NOW, added: &added };
                let before = Naive { world, ..naive };
                return Ok(match told(&naive, before, request, answer) {
                    Ok(Some(leak)) => differs("an answer without what may not be read".into(), &found, &leak),
                    Ok(None) => Verdict::Agreed { rows: count(answer) },
                    Err(_) => Verdict::Undecided,
                });
            }
            _ => return Ok(differs(format!("{expected:?}"), &found, "")),
        }
    }
}

/// Whether a request leaves a row or link, other than it was before, that leads from one tenant's row to another's.
fn joins_tenants(schema: &Schema, before: &World, after: &World) -> bool {
    let tenant_of = |table: &Table, row: &[Value]| table.tenant.map(|tenant| row[tenant.0 as usize].clone());
    let differs = |of: &Option<Value>, to: TableId, key: &Value| {
        let target = after.row(to, key).and_then(|row| tenant_of(schema.table(to), row));
        matches!((of, target), (Some(of), Some(target)) if *of != target)
    };
    let by_column = schema.tables.iter().any(|table| {
        after.rows(table.id).iter().any(|row| {
            let was = before.row(table.id, &row[0]);
            table.columns.iter().any(|column| {
                let (place, key) = (column.id.0 as usize, &row[column.id.0 as usize]);
                let is_new = was.is_none_or(|was| was[place] != *key);
                is_new && column.target().is_some_and(|to| differs(&tenant_of(table, row), to, key))
            })
        })
    });
    let relations = schema.tables.iter().flat_map(|table| &table.relations);
    let mut links = relations.filter_map(|relation| match &relation.kind {
        RelationKind::Link(link) => Some(link),
        _ => None,
    });
    by_column
        || links.any(|link| {
            let pairs = |world: &World| world.links.get(&link.db_name).cloned().unwrap_or_default();
            let known = pairs(before);
            pairs(after).iter().filter(|pair| !known.contains(pair)).any(|(owner, target)| {
                let row = after.row(link.owner, owner);
                let of = row.and_then(|row| tenant_of(schema.table(link.owner), row));
                differs(&of, link.target, target)
            })
        })
}

impl Said {
    fn has_warnings(&self) -> bool {
        self.checks.is_empty() && !(self.warnings.is_empty() && self.open_warnings.is_empty())
    }

    /// Whether warnings alone stood in the way, and were accepted.
    fn is_passed(&self, accepted: &[String]) -> bool {
        self.has_warnings() && !accepted.is_empty()
    }

    /// Everything that must be told is, and nothing that may not.
    fn is_told(&self, told: &BTreeSet<String>, must: &BTreeSet<String>, may: &BTreeSet<String>) -> bool {
        must.is_subset(told) && told.iter().all(|message| must.contains(message) || may.contains(message))
    }
}

fn shown(found: &Result<Json, Error>) -> String {
    match found {
        Ok(answer) => format!("{answer:#}"),
        Err(error) => {
            format!("{} ({error}) {:?} {:?}", error.key.text(), error.errors, error.warnings)
        }
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

fn count(answer: &Json) -> usize {
    let lists = answer.as_object().into_iter().flatten().filter_map(|(_, list)| list.as_array());
    lists.map(Vec::len).sum()
}

/// Judges a case on a database of a kind; `None` when it is none: the app or its rows do not hold together.
pub async fn case(kind: DatabaseKind, case: &Case) -> Option<Verdict> {
    let schema = schema_of(&case.app.text()).ok()?;
    let world = case.world(&schema)?;
    let database = Database::open(kind, schema).await.ok()?;
    database.fill(&world).await.ok()?;
    let mut world = database.world().await.ok()?;
    let request = case.request.json();
    match writes(&request) {
        true => write(&database, &mut world, &case.asker, &request).await.ok(),
        false => read(&database, &world, &case.asker, &request).await.ok(),
    }
}
