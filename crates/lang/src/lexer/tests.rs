//! Text and its tokens.

use super::{lex, unescape};
use crate::token::Kind;

/// One line a token: its kind and text; then one line a problem.
fn dump(text: &str) -> String {
    let lexed = lex(0, text);
    let slice = |span: crate::source::Span| &text[span.start as usize..span.end as usize];
    let mut out = String::new();
    for token in lexed.tokens.iter().filter(|token| token.kind != Kind::End) {
        let first = if token.line_start { "^" } else { "" };
        out += &format!("{first}{:?} {}\n", token.kind, slice(token.span));
    }
    for comment in &lexed.comments {
        out += &format!("comment {} {}\n", comment.text, comment.trailing);
    }
    for problem in &lexed.diagnostics {
        out += &format!("! {}: {}\n", slice(problem.span), problem.message);
    }
    out
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    assert_eq!(dump(text).lines().collect::<Vec<_>>(), expected, "{text}");
}

#[test]
fn tokens() {
    check("due == null", &["^Name due", "Equal ==", "Name null"]);
    check("a\n  b ?? c?", &["^Name a", "^Name b", "Coalesce ??", "Name c", "Question ?"]);
    check("1 1.5 1.x 30 days", &["^Int 1", "Number 1.5", "Int 1", "Dot .", "Name x", "Int 30", "Name days"]);
    check("$from!~-x", &["^Param $from", "NotContains !~", "Minus -", "Name x"]);
    check(
        "@2026-01-31 @2026-01-31T10:00:00.5+02:00",
        &["^Date @2026-01-31", "Timestamp @2026-01-31T10:00:00.5+02:00"],
    );
    check("@2026-01-31-x", &["^Date @2026-01-31", "Minus -", "Name x"]);
    check("/// doc\na // note", &["^Doc /// doc", "^Name a", "comment // note true"]);
    check("\u{feff}a\r\nb", &["^Name a", "^Name b"]);
    check("//// four", &["comment //// four false"]);
}

#[test]
fn what_cannot_be_read_is_reported_and_the_rest_goes_on() {
    check("a \0\0 b", &["^Name a", "Name b", "! \0\0: the text contains U+0000, which is not allowed"]);
    check("a: b", &["^Name a", "Name b", "! :: unexpected `:`"]);
    check("\"open\nb", &["^Text \"open", "^Name b", "! \"open: the text is not closed"]);
    check(
        "'x' && y",
        &[
            "^Text 'x'",
            "And &&",
            "Name y",
            "! 'x': text stands in double quotes: `\"`",
            "! &&: `&&` is written `and` here",
        ],
    );
    check("30days", &["^Int 30", "Name days", "! 30days: a number runs into a word"]);
    check("größe", &["^Name größe", "! größe: a name consists of the letters a to z, digits and `_`"]);
    check("@2026-02-30", &["^Date @2026-02-30", "! @2026-02-30: there is no day 2026-02-30"]);
    check(
        "@2026-01-31T10:00:00",
        &[
            "^Timestamp @2026-01-31T10:00:00",
            "! @2026-01-31T10:00:00: a timestamp ends with its zone: `Z` for UTC",
        ],
    );
    check(
        "@soon $",
        &[
            "^Date @soon",
            "! @soon: `@` begins a date or a timestamp",
            "! $: `$` is followed by the name of a parameter",
        ],
    );
    check(r#""a\qb""#, &[r#"^Text "a\qb""#, r"! \q: `\q` means nothing; a backslash itself is written `\\`"]);
}

#[test]
fn escapes() {
    for (literal, expected) in [
        (r#""plain""#, Some("plain")),
        (r#""a\"b\\c\n\t\r""#, Some("a\"b\\c\n\t\r")),
        (r#""\u{20AC}\u{1F600}""#, Some("€😀")),
        (r#""\u{D800}""#, None),
        (r#""\u{0}""#, None),
        (r#""\u{}""#, None),
        (r#""\u20""#, None),
        (r#""\u{1234567890}""#, None),
    ] {
        let mut problems = 0;
        let text = unescape(literal, |_, _, _| problems += 1);
        match expected {
            Some(expected) => assert_eq!((text.as_str(), problems), (expected, 0), "{literal}"),
            None => assert_eq!(problems, 1, "{literal}"),
        }
    }
}
