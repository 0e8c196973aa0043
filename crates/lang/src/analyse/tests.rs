//! Whole apps and what is said of them.

use super::{Analysis, analyse};
use crate::diagnostic::Severity;
use crate::source::Sources;

mod dump;
mod existing;
mod expressions;
mod language;
mod problems;
mod requests;
mod tables;

/// What the platform declares.
const PRELUDE: &str = "\
table User { email text(320) unique trim lower match email, name text(200) trim, label name, allow read if id == user.id }
table Grant { user User on delete cascade, permission text(200), unique (user, permission) }
table Work db \"_work\" { state text }
";

fn analysed(text: &str) -> (Sources, Analysis) {
    let mut sources = Sources::default();
    sources.add_platform("<platform>", PRELUDE);
    sources.add("app.stay", text);
    let analysis = analyse(&sources);
    (sources, analysis)
}

/// Every diagnostic as `E code [the text at its place] message · help`.
fn listed(text: &str) -> Vec<String> {
    let (sources, analysis) = analysed(text);
    analysis
        .diagnostics
        .iter()
        .map(|problem| {
            let severity = if problem.severity == Severity::Error { "E" } else { "W" };
            let help = problem.help.as_ref().map_or_else(String::new, |help| format!(" · {help}"));
            let place = sources.slice(problem.span);
            format!("{severity} {} [{place}] {}{help}", problem.code, problem.message)
        })
        .collect()
}
