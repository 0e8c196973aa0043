//! `mainstay why`: which rule leaves a row out or refuses a change, which clause of it, with which values.

use std::sync::Arc;

use anyhow::Result;
use mainstay_engine::Why;
use serde_json::json;

use super::query::{caller_context, operation, refusal};
use crate::app::sources;
use crate::cli::{App, CallerArgs};
use crate::output::Output;
use crate::runtime::Runtime;

/// Asks and prints; changes are tried and undone.
pub(crate) fn run(output: Output, app: &App, document: &str, caller: &CallerArgs) -> Result<()> {
    let runtime = Runtime::open(output, app)?;
    let sources = Arc::new(sources(&app.folder)?);
    let ctx = caller_context(&runtime, caller)?;
    let (operation, _) = operation(document)?;
    let found =
        runtime.block_on(runtime.engine.why(&ctx, &operation, &sources)).map_err(|error| refusal(&error))?;
    output.result(words(&found).trim_end(), &json!({"refusals": found}))
}

/// Each refusal with the lines that speak of it and their clauses.
fn words(found: &[Why]) -> String {
    if found.is_empty() {
        return "nothing is left out or refused".to_owned();
    }
    let mut out = String::new();
    for why in found {
        let row = why.row.as_str().map_or_else(|| why.row.to_string(), str::to_owned);
        let column = why.column.as_ref().map(|column| format!(".{column}")).unwrap_or_default();
        out.push_str(&format!("{} {}{column} {row}  ({})\n", why.operation, why.table, why.path));
        if why.lines.is_empty() {
            out.push_str("  no line of the app allows it\n");
        }
        for line in &why.lines {
            out.push_str(&format!("  {}  {}  is {}\n", line.place, line.text, truth(line.result)));
            for clause in &line.clauses {
                out.push_str(&format!("    {} is {}", clause.text, truth(clause.result)));
                for read in &clause.values {
                    out.push_str(&format!("; {} is {}", read.path, read.value));
                }
                out.push('\n');
            }
        }
    }
    out
}

fn truth(result: Option<bool>) -> &'static str {
    match result {
        Some(true) => "true",
        Some(false) => "false",
        None => "unknown (a value in it is null)",
    }
}
