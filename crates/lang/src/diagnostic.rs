//! Problems found in `.stay` text, and how they are shown.

use crate::source::Span;

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The schema stands, but probably not as meant.
    Warning,
    /// There is no schema.
    Error,
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad.
    pub severity: Severity,
    /// Stable name, `syntax`, `name.unknown`, `type.mismatch`, …
    pub code: &'static str,
    /// What is wrong, in one sentence.
    pub message: String,
    /// Where.
    pub span: Span,
    /// Words at the place itself; empty: none.
    pub label: String,
    /// What to do about it: `did you mean "sender"?`
    pub help: Option<String>,
    /// Other places that matter, with words.
    pub related: Vec<(Span, String)>,
}
