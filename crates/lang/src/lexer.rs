//! From text to tokens.
//!
//! Never fails: what cannot be read is reported and left out, or read as what was probably meant (`'text'`, `&&`), so
//! that the parser sees as much as possible. The last token is always [`Kind::End`]. Comments are kept beside the
//! tokens, documentation (`///`) stands among them.

mod literal;

pub(crate) use literal::unescape;

use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::syntax::Comment;
use crate::token::{Kind, Token};

/// What a text consists of.
pub(crate) struct Lexed {
    /// In order, the last one is [`Kind::End`].
    pub(crate) tokens: Vec<Token>,
    /// `//` comments in order.
    pub(crate) comments: Vec<Comment>,
    /// What could not be read.
    pub(crate) diagnostics: Vec<Diagnostic>,
}

/// Splits a text into tokens.
pub(crate) fn lex(file: u32, text: &str) -> Lexed {
    let out = Lexed { tokens: Vec::new(), comments: Vec::new(), diagnostics: Vec::new() };
    let mut lexer = Lexer { file, text, at: 0, line_start: true, out };
    if text.starts_with('\u{feff}') {
        lexer.at = '\u{feff}'.len_utf8();
    }
    while lexer.at < text.len() {
        lexer.step();
    }
    // Problems "at the end" are shown behind the last token rather than on an empty line far below it.
    let end = lexer.out.tokens.last().map_or(0, |token| token.span.end);
    let span = Span { file, start: end, end };
    lexer.out.tokens.push(Token { kind: Kind::End, span, line_start: true });
    lexer.out
}

struct Lexer<'a> {
    file: u32,
    text: &'a str,
    /// Byte offset of what is read next; always on a character's boundary.
    at: usize,
    line_start: bool,
    out: Lexed,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Moves past the characters that satisfy a condition.
    fn skip_while(&mut self, condition: impl Fn(char) -> bool) {
        let rest = self.rest();
        self.at += rest.find(|c| !condition(c)).unwrap_or(rest.len());
    }

    fn span_from(&self, start: usize) -> Span {
        span(self.file, start, self.at)
    }

    fn push(&mut self, kind: Kind, start: usize) {
        let token = Token { kind, span: self.span_from(start), line_start: self.line_start };
        self.line_start = false;
        self.out.tokens.push(token);
    }

    fn report(&mut self, start: usize, message: impl Into<String>) -> &mut Diagnostic {
        let diagnostic = Diagnostic::error("syntax", self.span_from(start), message);
        self.out.diagnostics.push(diagnostic);
        self.out.diagnostics.last_mut().expect("it has just been pushed")
    }

    fn step(&mut self) {
        let start = self.at;
        let Some(c) = self.peek() else { return };
        match c {
            '\n' => {
                self.at += 1;
                self.line_start = true;
            }
            ' ' | '\t' | '\r' | '\u{c}' => self.at += 1,
            '/' if self.rest().starts_with("//") => self.comment(),
            'a'..='z' | 'A'..='Z' | '_' => self.name(),
            '0'..='9' => self.number(),
            '"' | '\'' => self.quoted(c),
            '@' => self.instant(),
            '$' => self.param(),
            _ => match mark(self.rest()) {
                Some((kind, len)) => {
                    self.at += len;
                    self.report_foreign(kind, start);
                    self.push(kind, start);
                }
                None => self.unknown(c),
            },
        }
    }

    /// Marks of other languages are read as what they mean there, once that has been said.
    fn report_foreign(&mut self, kind: Kind, start: usize) {
        let written = &self.text[start..self.at];
        let meant = match (kind, written) {
            (Kind::And, _) => "and",
            (Kind::Or, _) => "or",
            (Kind::Not, _) => "not",
            (Kind::NotEqual, "<>") => "!=",
            _ => return,
        };
        self.report(start, format!("`{written}` is written `{meant}` here"));
    }

    fn comment(&mut self) {
        let start = self.at;
        let trailing = !self.line_start;
        self.skip_while(|c| c != '\n');
        let text = self.text[start..self.at].trim_end();
        let is_doc = text.starts_with("///") && !text.starts_with("////");
        if is_doc && !trailing {
            self.push_trimmed_doc(start, text.len());
            return;
        }
        let span = span(self.file, start, start + text.len());
        if is_doc {
            let message = "documentation (`///`) stands on lines of its own, above what it describes";
            self.out.diagnostics.push(
                Diagnostic::warning("docs.misplaced", span, message)
                    .help("move it above, or make it a comment: `//`"),
            );
        }
        self.out.comments.push(Comment { text: text.to_owned(), span, trailing });
    }

    fn push_trimmed_doc(&mut self, start: usize, len: usize) {
        let token = Token { kind: Kind::Doc, span: span(self.file, start, start + len), line_start: true };
        self.line_start = false;
        self.out.tokens.push(token);
    }

    fn name(&mut self) {
        let start = self.at;
        self.skip_while(|c| c.is_alphanumeric() || c == '_');
        if !self.text[start..self.at].is_ascii() {
            self.report(start, "a name consists of the letters a to z, digits and `_`");
        }
        self.push(Kind::Name, start);
    }

    fn param(&mut self) {
        let start = self.at;
        self.at += 1;
        self.skip_while(|c| c.is_ascii_alphanumeric() || c == '_');
        if self.at == start + 1 {
            self.report(start, "`$` is followed by the name of a parameter");
            return;
        }
        self.push(Kind::Param, start);
    }

    fn unknown(&mut self, c: char) {
        let start = self.at;
        if c.is_alphabetic() {
            self.name();
            return;
        }
        // A run of the same mark (or of control characters) is one problem.
        self.skip_while(|next| next == c);
        let diagnostic = match c {
            '\0' => self.report(start, "the text contains U+0000, which is not allowed"),
            c if c.is_control() => self
                .report(start, format!("the control character U+{:04X} is not allowed here", u32::from(c))),
            c => self.report(start, format!("unexpected `{c}`")),
        };
        let help = match c {
            ':' => "a type stands right behind the name: `title text`",
            ';' => "lines need no end mark",
            '#' => "a comment begins with `//`",
            '`' => "text stands in double quotes",
            _ => return,
        };
        diagnostic.help = Some(help.to_owned());
    }
}

/// The operator or bracket that a text begins with, and its length.
fn mark(text: &str) -> Option<(Kind, usize)> {
    const MARKS: &[(&str, Kind)] = &[
        ("??", Kind::Coalesce),
        ("==", Kind::Equal),
        ("!=", Kind::NotEqual),
        ("<>", Kind::NotEqual),
        ("<=", Kind::LessEqual),
        (">=", Kind::GreaterEqual),
        ("!~", Kind::NotContains),
        ("&&", Kind::And),
        ("||", Kind::Or),
        ("!", Kind::Not),
        ("(", Kind::LeftParen),
        (")", Kind::RightParen),
        ("[", Kind::LeftBracket),
        ("]", Kind::RightBracket),
        ("{", Kind::LeftBrace),
        ("}", Kind::RightBrace),
        (",", Kind::Comma),
        (".", Kind::Dot),
        ("?", Kind::Question),
        ("=", Kind::Assign),
        ("<", Kind::Less),
        (">", Kind::Greater),
        ("~", Kind::Contains),
        ("+", Kind::Plus),
        ("-", Kind::Minus),
        ("*", Kind::Star),
        ("/", Kind::Slash),
        ("%", Kind::Percent),
    ];
    MARKS.iter().find(|(mark, _)| text.starts_with(mark)).map(|(mark, kind)| (*kind, mark.len()))
}

/// A text of 4 GiB or more is never read by the callers; its far places would fold into the last one.
fn span(file: u32, start: usize, end: usize) -> Span {
    let offset = |at| u32::try_from(at).unwrap_or(u32::MAX);
    Span { file, start: offset(start), end: offset(end) }
}

#[cfg(test)]
mod tests;
