//! Whether the database finds the rows of a request by an index, by its own words.
//!
//! It knows what both databases call looking at all rows of a table, and nothing of the statements.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::connection::{Ask, Connection};

/// The steps by which the database does what is asked for, as an administrator is told them.
pub(super) async fn steps(connection: &mut Connection, token: &str, ask: &Ask) -> Result<Vec<String>> {
    let sign = if ask.path.contains('?') { '&' } else { '?' };
    let ask = Ask { path: format!("{}{sign}explain", ask.path), ..ask.clone() };
    let answer = connection.ask(token, &ask).await?.json()?;
    // A row and a list have it beside them, a document as one of its keywords.
    let explained = if answer["explain"].is_object() { &answer["explain"] } else { &answer["@explain"] };
    let statements = explained["statements"].as_array().with_context(|| answer.to_string())?;
    let mut steps = Vec::new();
    for statement in statements {
        let plan = statement["plan"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let before = steps.len();
        steps.extend(plan.map(str::to_owned));
        // Of a row that is only put in SQLite has nothing to say.
        if steps.len() == before && !statement["sql"].as_str().is_some_and(|sql| sql.starts_with("INSERT ")) {
            bail!("the database says nothing of how it does {statement}");
        }
    }
    Ok(steps)
}

/// That no step looks at all rows of a table.
pub(super) fn check(table: &str, steps: &[String]) -> Result<()> {
    match steps.iter().find(|step| is_walk(table, step, steps)) {
        Some(step) => bail!("{}, which looks at all rows:\n  {}", step.trim(), steps.join("\n  ")),
        None => Ok(()),
    }
}

/// Whether a step goes over all rows of a table, be it by an index that has all of them. SQLite calls a table by what the statement calls it,
/// a letter and a number, and so it calls what another step has found.
fn is_walk(table: &str, step: &str, steps: &[String]) -> bool {
    let of_sqlite =
        step.trim().strip_prefix("SCAN ").and_then(|rest| rest.split(' ').next()).is_some_and(|name| {
            let is_found = |other: &String| {
                let made = ["CO-ROUTINE ", "MATERIALIZE "].map(|how| other.trim().strip_prefix(how));
                made.contains(&Some(name))
            };
            name.starts_with('t') && !steps.iter().any(is_found)
        });
    of_sqlite || step.contains(&format!("Seq Scan on \"{table}\""))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_walk_over_the_table_is_told_from_a_search_and_from_a_walk_over_what_was_found() {
        let check = |steps: &[&str]| {
            let steps: Vec<String> = steps.iter().map(|step| (*step).to_owned()).collect();
            super::check("Book", &steps)
        };
        for walk in [
            "  SCAN t1",
            "SCAN t2 USING INDEX a",
            "  ->  Parallel Seq Scan on \"Book\" t1  (cost=0.00..9.00)",
        ] {
            assert!(check(&["SEARCH t3 USING INDEX a (id=?)", walk]).is_err(), "{walk}");
        }
        for other in [
            "SEARCH t1 USING INDEX a (shelf=?)",
            "SCAN (subquery-2)",
            "Seq Scan on \"Hall\" t1",
            "Index Scan using a on \"Book\" t1",
        ] {
            assert!(check(&[other]).is_ok(), "{other}");
        }
        assert!(check(&["CO-ROUTINE t2", "  SEARCH t2 USING INDEX a (hall=?)", "SCAN t2"]).is_ok());
        assert!(check(&[]).is_ok(), "a row is put in");
    }
}
