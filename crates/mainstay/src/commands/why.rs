//! `mainstay why`: which rule leaves a row out or refuses a change, which clause of it, with which values.

use std::sync::Arc;

use anyhow::Result;
use mainstay_engine::{Line, Reasons, Why};

use super::query::{caller_context, operation, refusal};
use crate::app::sources;
use crate::cli::{App, CallerArgs};
use crate::output::Output;
use crate::runtime::Runtime;

/// Asks and prints; changes are tried and undone.
pub(crate) fn run(output: Output, app: &App, document: &str, caller: &CallerArgs) -> Result<()> {
    let runtime = Runtime::open(output, app)?;
    let sources = Arc::new(sources(app)?);
    let ctx = caller_context(&runtime, caller)?;
    let (operation, _) = operation(document)?;
    let reasons =
        runtime.block_on(runtime.engine.why(&ctx, &operation, &sources)).map_err(|error| refusal(&error))?;
    output.result(words(&reasons).trim_end(), &serde_json::to_value(&reasons)?)
}

/// Each refusal with the lines that speak of it and their clauses.
fn words(reasons: &Reasons) -> String {
    let mut out = String::new();
    for why in &reasons.refusals {
        out.push_str(&format!("{}: {}\n", why.path, subject(why)));
        if why.lines.is_empty() {
            out.push_str("  no line of the app allows it\n");
        }
        for line in &why.lines {
            out.push_str(&line_words(line));
        }
        for line in why.denied.iter().filter(|line| line.result != Some(false)) {
            out.push_str(&format!("  denied by the override {}", line_words(line).trim_start()));
        }
    }
    if out.is_empty() {
        out.push_str("nothing is left out or refused\n");
    }
    for beyond in &reasons.beyond {
        let (path, rows, table) = (&beyond.path, beyond.rows, &beyond.table);
        out.push_str(&format!(
            "{path}: {rows} more of {table} were not looked at; constrain the part to see them\n"
        ));
    }
    out
}

/// What happened to what.
fn subject(why: &Why) -> String {
    let row = why.row.as_str().map_or_else(|| why.row.to_string(), str::to_owned);
    let row = format!("{} {row}", why.table);
    match (why.operation, &why.column) {
        ("read", None) => format!("{row} is left out"),
        ("read", Some(column)) => format!("`{column}` of {row} is withheld"),
        ("check", _) => format!("{row} fails a check"),
        ("warn", _) => format!("{row} is warned of"),
        (operation, None) => format!("{operation} of {row} is refused"),
        (operation, Some(column)) => format!("{operation} of `{column}` of {row} is refused"),
    }
}

fn line_words(line: &Line) -> String {
    let place = if line.place.is_empty() { String::new() } else { format!("{}  ", line.place) };
    let mut out = format!("  {:7}  {place}{}\n", truth(line.result), line.text);
    for clause in &line.clauses {
        let values: Vec<String> =
            clause.values.iter().map(|read| format!("{} = {}", read.path, read.value)).collect();
        let values = if values.is_empty() { String::new() } else { format!("   ({})", values.join(", ")) };
        out.push_str(&format!("    {:7}  {}{values}\n", truth(clause.result), clause.text));
    }
    out
}

/// Unknown is what a comparison with null is; it allows as little as false.
fn truth(result: Option<bool>) -> &'static str {
    match result {
        Some(true) => "true",
        Some(false) => "false",
        None => "unknown",
    }
}
