//! That the answer to a write tells nothing that the caller may not read.

use mainstay_lang::schema::{Member, Table};
use mainstay_lang::value::Value;
use serde_json::Value as Json;

use crate::naive::{Answer, Naive};
use crate::oracle::case::json_of;
use crate::oracle::simulate::writes;

/// What a write's answer tells that the caller may read neither afterwards nor, where rows were deleted, before. `None`:
/// nothing. What a row that goes shows is known here when nothing else of the request touched it.
pub(super) fn told(
    after: &Naive<'_>,
    before: Naive<'_>,
    request: &Json,
    answer: &Json,
) -> Answer<Option<String>> {
    let naives = [*after, before];
    let naives = &naives[..1 + usize::from(is_one_write(request))];
    for (name, rows) in answer.as_object().into_iter().flatten() {
        let Some(table) = after.schema.table_named(name) else { continue };
        for row in rows.as_array().into_iter().flatten() {
            if let Some(leak) = told_of_row(naives, table, row)? {
                return Ok(Some(leak));
            }
        }
    }
    Ok(None)
}

/// Whether a document writes in one place only.
fn is_one_write(request: &Json) -> bool {
    let Some(document) = request.as_object().filter(|document| document.len() == 1) else { return false };
    document.values().all(|part| {
        part.as_object().is_some_and(|part| {
            part.iter().all(|(name, json)| matches!(name.as_str(), "set" | "delete") || !writes(json))
        })
    })
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
            // A nested part that found nothing.
            Some(Member::Column(id)) if value.is_null() && table.column(*id).target().is_some() => {}
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
