//! Walking a list by its cursors: page after page it must be the list, however rows tie and wherever nulls stand.
//!
//! The oracle knows no cursors. What follows a page is foretold by counting rows off the whole list.

use serde_json::Value as Json;

use super::{Verdict, compare, execute};
use crate::database::Database;
use crate::oracle::predict::Oracle;

/// More pages than any list here has.
const PAGES_MAX: usize = 60;

/// Follows the cursors of an answer, at the top and in the lists of an only row, to the end.
pub(super) async fn follow(
    database: &Database,
    oracle: &Oracle<'_>,
    request: &Json,
    answer: &Json,
    verdict: Verdict,
) -> anyhow::Result<Verdict> {
    let Some((table, part)) = only(request) else { return Ok(verdict) };
    if let Some(next) = cursor(answer, table) {
        let place = Place { table, list: None };
        return walk(database, oracle, request, &place, next).await.map(|found| found.unwrap_or(verdict));
    }
    let rows = answer[table].as_array().map_or(&[][..], Vec::as_slice);
    let [row] = rows else { return Ok(verdict) };
    for list in part.keys() {
        if let Some(next) = cursor(row, list) {
            let place = Place { table, list: Some(list) };
            if let Some(found) = walk(database, oracle, request, &place, next).await? {
                return Ok(found);
            }
        }
    }
    Ok(verdict)
}

/// Where a list stands in a request.
struct Place<'p> {
    table: &'p str,
    list: Option<&'p str>,
}

impl Place<'_> {
    fn part<'j>(&self, request: &'j mut Json) -> &'j mut Json {
        let part = &mut request[self.table];
        match self.list {
            None => part,
            Some(list) => &mut part[list],
        }
    }
}

async fn walk(
    database: &Database,
    oracle: &Oracle<'_>,
    request: &Json,
    place: &Place<'_>,
    next: String,
) -> anyhow::Result<Option<Verdict>> {
    let (mut counted, mut walked, mut next) = (request.clone(), request.clone(), Some(next));
    let first = place.part(&mut counted);
    let (Some(size), Json::Null) = (first["limit"].as_u64(), &first["offset"]) else { return Ok(None) };
    let mut pages = 1;
    while let Some(cursor_here) = next {
        place.part(&mut counted)["offset"] = (size * pages as u64).into();
        place.part(&mut walked)["after"] = cursor_here.into();
        let expected = oracle.answer(&counted);
        let found = execute(database, oracle.naive.asker, &walked, &[]).await?;
        let verdict = compare(&expected, &oracle.refused(&counted), &found);
        if let Verdict::Differs { sort, expected, found } = &verdict {
            return Ok(Some(Verdict::Differs {
                sort: format!("page, {sort}"),
                expected: format!("page {}: {expected}", pages + 1),
                found: found.clone(),
            }));
        }
        let Ok(answer) = found else { return Ok(Some(verdict)) };
        next = match place.list {
            None => cursor(&answer, place.table),
            Some(list) => cursor(&answer[place.table][0], list),
        };
        pages += 1;
        anyhow::ensure!(pages < PAGES_MAX, "cursors lead nowhere: {walked}");
    }
    Ok(None)
}

/// The only part of a document, with its table.
fn only(request: &Json) -> Option<(&str, &serde_json::Map<String, Json>)> {
    let document = request.as_object().filter(|document| document.len() == 1)?;
    let (table, part) = document.iter().next()?;
    Some((table, part.as_object()?))
}

fn cursor(row: &Json, list: &str) -> Option<String> {
    row.get(format!("{list}@"))?.get("next")?.as_str().map(str::to_owned)
}
