//! From text to a schema: parses every file, resolves names, types expressions, and says all that is wrong at once.
//!
//! Invariant: there is a schema exactly when no diagnostic is an error.

use crate::advise;
use crate::diagnostic::{Diagnostic, Severity};
use crate::parser;
use crate::resolve::{self, Parsed};
use crate::schema::Schema;
use crate::source::{Sources, Span};
use crate::syntax;
use std::collections::HashSet;

/// What came of an app's text.
#[derive(Debug)]
pub struct Analysis {
    /// The schema; `None` when anything is wrong.
    pub schema: Option<Schema>,
    /// Errors and warnings, in the order of their places.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads all files of an app as one schema.
pub fn analyse(sources: &Sources) -> Analysis {
    let mut diagnostics = Vec::new();
    let mut files = Vec::new();
    for (index, source) in sources.files().iter().enumerate() {
        let index = u32::try_from(index).expect("an app has fewer than 2^32 files");
        let (tree, problems) = parser::parse_file(index, &source.text);
        diagnostics.extend(problems);
        files.push(Parsed { tree, platform: source.platform });
    }
    leave_out_unused(sources, &mut files);
    let (schema, problems) = resolve::resolve(&files);
    // What could not be read has been said; that it means nothing either is no news.
    let unread: HashSet<Span> = diagnostics.iter().map(|problem| problem.span).collect();
    diagnostics.extend(problems.into_iter().filter(|problem| !unread.contains(&problem.span)));
    let failed = diagnostics.iter().any(|problem| problem.severity == Severity::Error);
    if !failed {
        diagnostics.extend(advise::advise(&schema));
    }
    diagnostics.sort_by_key(|problem| problem.span);
    diagnostics.dedup();
    Analysis { schema: if failed { None } else { Some(schema) }, diagnostics }
}

/// Empties the platform's files of capabilities that the app does not use.
fn leave_out_unused(sources: &Sources, files: &mut [Parsed]) {
    let used: HashSet<String> =
        files.iter().flat_map(|file| &file.tree.uses).map(|name| name.text.clone()).collect();
    for (file, source) in files.iter_mut().zip(sources.files()) {
        if source.capability.is_some_and(|capability| !used.contains(capability)) {
            file.tree = syntax::File::default();
        }
    }
}

#[cfg(test)]
mod tests;
