//! Problems as text for people, with the lines they are about, and as data for programs.
//!
//! Both in the order of files and places. Spans that lie outside of their text are drawn in, so that a problem is
//! shown badly rather than not at all.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde::Serialize;

use super::{Diagnostic, Severity};
use crate::source::{Sources, Span};

/// The problems with excerpts of the text, each followed by an empty line; with colours for a terminal or without.
pub fn render(sources: &Sources, diagnostics: &[Diagnostic], color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let mut out = String::new();
    for diagnostic in sorted(diagnostics) {
        out += &renderer.render(&[group(sources, diagnostic)]);
        out += "\n\n";
    }
    out
}

/// A problem as data: what `--json` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// `error` or `warning`.
    pub severity: &'static str,
    /// Stable name.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// The file's name.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// What to do about it.
    pub help: Option<String>,
}

/// The problems as data.
pub fn list(sources: &Sources, diagnostics: &[Diagnostic]) -> Vec<Listed> {
    let listed = |diagnostic: &Diagnostic| {
        let (line, column) = sources.position(diagnostic.span);
        let file = sources.files().get(diagnostic.span.file as usize);
        Listed {
            severity: match diagnostic.severity {
                Severity::Warning => "warning",
                Severity::Error => "error",
            },
            code: diagnostic.code,
            message: diagnostic.message.clone(),
            file: file.map_or_else(String::new, |file| file.name.clone()),
            line,
            column,
            help: diagnostic.help.clone(),
        }
    };
    sorted(diagnostics).into_iter().map(listed).collect()
}

fn sorted(diagnostics: &[Diagnostic]) -> Vec<&Diagnostic> {
    let mut sorted: Vec<&Diagnostic> = diagnostics.iter().collect();
    sorted.sort_by_key(|diagnostic| diagnostic.span);
    sorted
}

fn group<'a>(sources: &'a Sources, diagnostic: &'a Diagnostic) -> Group<'a> {
    let level = match diagnostic.severity {
        Severity::Warning => Level::WARNING,
        Severity::Error => Level::ERROR,
    };
    let mut group = Group::with_title(level.primary_title(&diagnostic.message).id(diagnostic.code));
    let elsewhere = |span: &Span| span.file != diagnostic.span.file;
    if let Some((snippet, text)) = snippet(sources, diagnostic.span) {
        let label = Some(diagnostic.label.as_str()).filter(|label| !label.is_empty());
        let primary = AnnotationKind::Primary.span(range(text, diagnostic.span)).label(label);
        let related = diagnostic.related.iter().filter(|(span, _)| !elsewhere(span));
        let context = related.map(|(span, words)| {
            AnnotationKind::Context.span(range(text, *span)).label(Some(words.as_str()))
        });
        group = group.element(snippet.annotation(primary).annotations(context));
    }
    for (span, words) in diagnostic.related.iter().filter(|(span, _)| elsewhere(span)) {
        if let Some((snippet, text)) = snippet(sources, *span) {
            let context = AnnotationKind::Context.span(range(text, *span)).label(Some(words.as_str()));
            group = group.element(snippet.annotation(context));
        }
    }
    match &diagnostic.help {
        Some(help) => group.element(Level::HELP.message(help)),
        None => group,
    }
}

/// The file of a span as something to draw in; `None` for a place in no file.
fn snippet(sources: &Sources, span: Span) -> Option<(Snippet<'_, annotate_snippets::Annotation<'_>>, &str)> {
    let file = sources.files().get(span.file as usize)?;
    Some((Snippet::source(file.text.as_str()).path(file.name.as_str()), &file.text))
}

/// The bytes of a span, within the text and on the boundaries of characters.
fn range(text: &str, span: Span) -> Range<usize> {
    let start = text.floor_char_boundary(span.start as usize);
    let end = text.ceil_char_boundary(span.end as usize);
    start..end.max(start)
}

#[cfg(test)]
mod tests {
    use super::{list, render};
    use crate::diagnostic::Diagnostic;
    use crate::source::{Sources, Span};

    fn sources() -> Sources {
        let mut sources = Sources::default();
        sources.add("a.stay", "table Größe {\n  titel  text\n}\n");
        sources.add("b.stay", "table B { x Grösse }");
        sources
    }

    fn problems() -> Vec<Diagnostic> {
        vec![
            Diagnostic::error(
                "name.unknown",
                Span { file: 1, start: 12, end: 19 },
                "there is no table `Grösse`",
            )
            .label("not known")
            .related(Span { file: 0, start: 6, end: 13 }, "there is this one")
            .help("did you mean `Größe`?"),
            Diagnostic::warning("style", Span { file: 0, start: 18, end: 23 }, "odd name")
                .related(Span { file: 0, start: 0, end: 5 }, "in this table"),
        ]
    }

    #[test]
    fn shows_the_lines() {
        insta::assert_snapshot!(render(&sources(), &problems(), false), @"
        warning[style]: odd name
         --> a.stay:2:3
          |
        1 | table Größe {
          | ----- in this table
        2 |   titel  text
          |   ^^^^^

        error[name.unknown]: there is no table `Grösse`
         --> b.stay:1:13
          |
        1 | table B { x Grösse }
          |             ^^^^^^ not known
          |
         ::: a.stay:1:7
          |
        1 | table Größe {
          |       ----- there is this one
          |
          = help: did you mean `Größe`?
        ");
    }

    #[test]
    fn colours_only_when_asked() {
        assert!(render(&sources(), &problems(), true).contains('\u{1b}'));
        assert!(!render(&sources(), &problems(), false).contains('\u{1b}'));
    }

    #[test]
    fn places_are_counted_in_characters() {
        let listed = list(&sources(), &problems());
        let places: Vec<_> = listed.iter().map(|one| (one.file.as_str(), one.line, one.column)).collect();
        assert_eq!(places, [("a.stay", 2, 3), ("b.stay", 1, 13)]);
        assert_eq!(listed[0].severity, "warning");
        assert_eq!(listed[1].help.as_deref(), Some("did you mean `Größe`?"));
    }

    #[test]
    fn places_outside_of_the_text_are_drawn_in() {
        for span in [
            Span { file: 0, start: 9, end: 900 },
            Span { file: 0, start: 900, end: 901 },
            Span { file: 0, start: 5, end: 3 },
            Span { file: 9, start: 0, end: 1 },
        ] {
            let text =
                render(&sources(), &[Diagnostic::error("x", span, "lost").related(span, "here")], false);
            assert!(text.contains("lost"), "{text}");
        }
    }
}
