//! Nothing that is put into the parser or the formatter makes it panic, and formatting loses nothing.
//!
//! Three sources of text: arbitrary characters, words of the language in any order, and valid files with something
//! cut out, doubled or put in.

use mainstay_lang::diagnostic::{Diagnostic, Severity, render};
use mainstay_lang::format::format;
use mainstay_lang::parser::{parse_expr, parse_file};
use mainstay_lang::source::{Sources, Span};
use mainstay_lang::syntax::File;
use proptest::prelude::*;

const LANGUAGE: &str = include_str!("examples/language.stay");

const WORDS: &[&str] = &[
    "table",
    "extend",
    "stream",
    "dataset",
    "flag",
    "setting",
    "app",
    "use",
    "T",
    "Team",
    "a",
    "b",
    "int",
    "text",
    "text(5)",
    "enum",
    "(",
    ")",
    "[",
    "]",
    "[]",
    "{",
    "}",
    ",",
    ".",
    "?",
    "??",
    "=",
    "==",
    "!=",
    "<",
    ">=",
    "~",
    "!~",
    "+",
    "-",
    "*",
    "/",
    "%",
    "&&",
    "!",
    "1",
    "2.5",
    "30",
    "days",
    "@2026-01-31",
    "$p",
    "\"x\"",
    "'y'",
    "\"open",
    "unique",
    "index",
    "trim",
    "lower",
    "min",
    "max",
    "match",
    "on",
    "delete",
    "cascade",
    "db",
    "auto",
    "per",
    "by",
    "label",
    "order",
    "history",
    "allow",
    "read",
    "if",
    "then",
    "else",
    "check",
    "warn",
    "event",
    "command",
    "emit",
    "require",
    "and",
    "or",
    "not",
    "in",
    "null",
    "true",
    "// c\n",
    "/// d\n",
    "\n",
    "\n\n",
    "\0",
    "é",
    "\u{feff}",
];

/// The tree as text, without places and with comments as their words alone.
fn shape(file: &File) -> String {
    let mut file = file.clone();
    let comments: Vec<String> = file.comments.drain(..).map(|comment| comment.text).collect();
    let spans = regex::Regex::new(r"Span \{[^}]*\}").expect("the pattern is well formed");
    format!("{} {comments:?}", spans.replace_all(&format!("{file:?}"), "_"))
}

fn check_places(text: &str, problems: &[Diagnostic]) {
    for problem in problems {
        for span in std::iter::once(&problem.span).chain(problem.related.iter().map(|(span, _)| span)) {
            let Span { start, end, .. } = *span;
            assert!(start <= end, "{problem:?}");
            assert!(text.get(start as usize..end as usize).is_some(), "{problem:?}");
        }
    }
}

fn check(text: &str) {
    let (file, problems) = parse_file(0, text);
    check_places(text, &problems);
    let mut sources = Sources::default();
    sources.add("x.stay", text);
    render(&sources, &problems[..problems.len().min(3)], false);
    let valid = problems.iter().all(|problem| problem.severity == Severity::Warning);
    match format(text) {
        Err(errors) => assert!(!valid && !errors.is_empty()),
        Ok(formatted) => {
            assert!(valid, "text with errors was formatted");
            let (again, problems) = parse_file(0, &formatted);
            let errors: Vec<_> = problems.iter().filter(|one| one.severity == Severity::Error).collect();
            assert!(errors.is_empty(), "{errors:?}\n{formatted}");
            assert_eq!(shape(&again), shape(&file), "\n{text}\n---\n{formatted}");
            assert_eq!(format(&formatted).as_ref(), Ok(&formatted), "\n{text}");
        }
    }
    let (_, problems) = parse_expr(0, text);
    check_places(text, &problems);
}

/// Places between the tokens of a text: white space outside of quotes and comments.
fn gaps(text: &str) -> Vec<usize> {
    let mut gaps = Vec::new();
    for (start, line) in text.split_inclusive('\n').scan(0, |at, line| {
        *at += line.len();
        Some((*at - line.len(), line))
    }) {
        let mut quoted = false;
        for (at, c) in line.char_indices() {
            quoted ^= c == '"';
            if !quoted && line[at..].starts_with("//") {
                break;
            }
            if !quoted && (c == ' ' || c == '\n') {
                gaps.push(start + at);
            }
        }
    }
    gaps
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_text(text in "(?s).{0,200}") {
        check(&text);
    }

    #[test]
    fn words_in_any_order(words in prop::collection::vec((prop::sample::select(WORDS), any::<bool>()), 0..60)) {
        let text: String = words.iter().flat_map(|(word, space)| [*word, if *space { " " } else { "" }]).collect();
        check(&text);
        check(&format!("table T {{ a int {text} }}"));
        check(&format!("flag f = a {text}"));
    }

    #[test]
    fn valid_files_with_something_changed(
        from in any::<prop::sample::Index>(),
        len in 0usize..40,
        word in prop::sample::select(WORDS),
        what in 0..3,
    ) {
        let boundaries: Vec<usize> = LANGUAGE.char_indices().map(|(at, _)| at).collect();
        let first = from.index(boundaries.len());
        let (start, end) = (boundaries[first], boundaries[(first + len).min(boundaries.len() - 1)]);
        let (before, cut, after) = (&LANGUAGE[..start], &LANGUAGE[start..end], &LANGUAGE[end..]);
        check(&match what {
            0 => format!("{before}{after}"),
            1 => format!("{before}{cut}{cut}{after}"),
            _ => format!("{before} {word} {cut}{after}"),
        });
    }

    #[test]
    fn valid_files_with_other_white_space(
        changes in prop::collection::vec((
            any::<prop::sample::Index>(),
            prop::sample::select(&["\n", "\n\n\n", "  ", " // c\n", "\n// d\n", "\r\n", "\n/// e\n", "\t"][..]),
        ), 0..6),
    ) {
        let gaps = gaps(LANGUAGE);
        let mut changes: Vec<(usize, &str)> = changes.iter().map(|(at, with)| (gaps[at.index(gaps.len())], *with)).collect();
        changes.sort_unstable();
        let mut text = LANGUAGE.to_owned();
        for (at, with) in changes.iter().rev() {
            text.insert_str(*at, with);
        }
        check(&text);
    }
}
