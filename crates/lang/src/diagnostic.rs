//! Problems found in `.stay` text, and how they are shown.

mod render;

pub use render::{Listed, list, render};

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

impl Diagnostic {
    /// A problem because of which there is no schema.
    pub fn error(code: &'static str, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Severity::Error, code, span, message.into())
    }

    /// A problem with which the schema stands.
    pub fn warning(code: &'static str, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Severity::Warning, code, span, message.into())
    }

    fn new(severity: Severity, code: &'static str, span: Span, message: String) -> Diagnostic {
        Diagnostic { severity, code, message, span, label: String::new(), help: None, related: Vec::new() }
    }

    /// With words at the place itself.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Diagnostic {
        self.label = label.into();
        self
    }

    /// With what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(help.into());
        self
    }

    /// With `did you mean …?` when there is something to suggest.
    #[must_use]
    pub fn suggest(mut self, nearest: Option<&str>) -> Diagnostic {
        if let Some(nearest) = nearest {
            self.help = Some(format!("did you mean `{nearest}`?"));
        }
        self
    }

    /// With another place that matters; may be said more than once.
    #[must_use]
    pub fn related(mut self, span: Span, words: impl Into<String>) -> Diagnostic {
        self.related.push((span, words.into()));
        self
    }
}
