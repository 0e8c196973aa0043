//! From tokens to the tree of a file.
//!
//! Recursive descent; members need no separators, because each is recognised by its first tokens (`parser/words.rs`). It never
//! fails and never stops early: a part that cannot be read is reported once, the parser goes on at the next
//! line that can begin something, and what was understood of the broken part stays in the tree, so that names declared
//! there are known. Whether names mean anything is not its business.

mod column;
mod expr;
mod item;
mod stream;
mod table;
mod words;

use crate::diagnostic::Diagnostic;
use crate::lexer::{lex, unescape};
use crate::reserved::is_expression_word;
use crate::source::Span;
use crate::syntax::{Expr, File, Name, Text};
use crate::token::{Kind, Token};

/// Reads a file. `file` is its index in the [`Sources`](crate::source::Sources). With an error among the problems, the
/// tree is what could be understood.
pub fn parse_file(file: u32, text: &str) -> (File, Vec<Diagnostic>) {
    let lexed = lex(file, text);
    let mut parser = Parser::new(text, lexed.tokens, lexed.diagnostics, true);
    let mut tree = parser.file();
    tree.comments = lexed.comments;
    (tree, parser.finish())
}

/// Reads a text that is one expression, a filter for example.
pub fn parse_expr(file: u32, text: &str) -> (Expr, Vec<Diagnostic>) {
    let lexed = lex(file, text);
    let mut parser = Parser::new(text, lexed.tokens, lexed.diagnostics, false);
    let expr = parser.expr();
    if parser.peek().kind != Kind::End {
        let found = parser.found();
        parser.error(format!("expected an operator or the end of the expression, found {found}"));
    }
    (expr, parser.finish())
}

struct Parser<'a> {
    text: &'a str,
    /// The last one is [`Kind::End`].
    tokens: Vec<Token>,
    /// Index of the next token.
    at: usize,
    /// How many expressions are open.
    depth: usize,
    /// Whether lines mean something: in a file, but not in a filter.
    lines: bool,
    diagnostics: Vec<Diagnostic>,
    /// The token at which the last problem was reported. Nothing more is said there until the parser has moved on.
    failed_at: Option<usize>,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, tokens: Vec<Token>, diagnostics: Vec<Diagnostic>, lines: bool) -> Parser<'a> {
        Parser { text, tokens, at: 0, depth: 0, lines, diagnostics, failed_at: None }
    }

    /// All problems, in the order of their places.
    fn finish(mut self) -> Vec<Diagnostic> {
        self.diagnostics.sort_by_key(|diagnostic| (diagnostic.span.start, diagnostic.span.end));
        self.diagnostics
    }

    fn peek(&self) -> Token {
        self.nth(0)
    }

    /// The token `n` places ahead; the end behind the last one.
    fn nth(&self, n: usize) -> Token {
        self.tokens[(self.at + n).min(self.tokens.len() - 1)]
    }

    fn slice(&self, token: Token) -> &'a str {
        &self.text[token.span.start as usize..token.span.end as usize]
    }

    /// The next token as a word; empty when it is none.
    fn word(&self) -> &'a str {
        self.nth_word(0)
    }

    fn nth_word(&self, n: usize) -> &'a str {
        let token = self.nth(n);
        if token.kind == Kind::Name { self.slice(token) } else { "" }
    }

    fn bump(&mut self) -> Token {
        let token = self.peek();
        if token.kind != Kind::End {
            self.at += 1;
        }
        token
    }

    fn eat(&mut self, kind: Kind) -> bool {
        let stands = self.peek().kind == kind;
        if stands {
            self.bump();
        }
        stands
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let stands = self.word() == word;
        if stands {
            self.bump();
        }
        stands
    }

    /// The place of the token before the next one.
    fn last_span(&self) -> Span {
        self.tokens[self.at.saturating_sub(1)].span
    }

    /// Reports a problem at the next token, or behind the last one when the next token stands on another line: what is
    /// missing is missing there.
    fn error(&mut self, message: impl Into<String>) {
        if self.failed_at == Some(self.at) {
            return;
        }
        self.failed_at = Some(self.at);
        let token = self.peek();
        let mut span = token.span;
        if token.line_start && self.at > 0 && self.lines && token.kind != Kind::RightBrace {
            let last = self.last_span();
            span = Span { start: last.end, end: last.end, ..last };
        }
        self.diagnostics.push(Diagnostic::error("syntax", span, message));
    }

    /// Reports a problem after which the parser goes on where it stands.
    fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Whether the last problem was reported right here, so that something has to be skipped.
    fn is_stuck(&self) -> bool {
        self.failed_at == Some(self.at)
    }

    fn expect(&mut self, kind: Kind, what: &str) -> bool {
        let stands = self.eat(kind);
        if !stands {
            let found = self.found();
            self.error(format!("expected {what}, found {found}"));
        }
        stands
    }

    /// The next token in words.
    fn found(&self) -> String {
        let token = self.peek();
        match token.kind {
            Kind::End if self.lines => "the end of the file".to_owned(),
            Kind::End => "the end of the text".to_owned(),
            Kind::RightBrace => "`}`".to_owned(),
            _ if token.line_start && self.at > 0 && self.lines => "the end of the line".to_owned(),
            Kind::Doc => "a documentation line".to_owned(),
            Kind::Text => "a text".to_owned(),
            _ => format!("`{}`", self.slice(token)),
        }
    }

    /// A name that the author gives or refers to.
    fn name(&mut self, what: &str) -> Option<Name> {
        let token = self.peek();
        if token.kind != Kind::Name {
            let found = self.found();
            self.error(format!("expected {what}, found {found}"));
            return None;
        }
        let name = self.any_name();
        if is_expression_word(&name.text) {
            let message = format!("`{}` is a word of the language and cannot be a name", name.text);
            self.report(Diagnostic::error("name.reserved", name.span, message));
        }
        Some(name)
    }

    /// The next token, which is a [`Kind::Name`], whatever word it is.
    fn any_name(&mut self) -> Name {
        let token = self.bump();
        Name { text: self.slice(token).to_owned(), span: token.span }
    }

    /// A text literal; what it is for is said when it is missing.
    fn text(&mut self, what: &str) -> Option<Text> {
        let token = self.peek();
        if token.kind != Kind::Text {
            let found = self.found();
            self.error(format!("expected {what}, found {found}"));
            return None;
        }
        self.bump();
        Some(Text { text: unescape(self.slice(token), |_, _, _| {}), span: token.span })
    }

    fn text_if_any(&mut self) -> Option<Text> {
        if self.peek().kind == Kind::Text { self.text("a text") } else { None }
    }

    /// `///` lines: their text, and the place of the first one.
    fn docs(&mut self) -> (String, Option<Span>) {
        let first = self.peek();
        let mut lines = Vec::new();
        while self.peek().kind == Kind::Doc {
            let token = self.bump();
            let line = &self.slice(token)["///".len()..];
            lines.push(line.strip_prefix(' ').unwrap_or(line));
        }
        (lines.join("\n"), (first.kind == Kind::Doc).then_some(first.span))
    }

    /// Says that documentation stands where nothing can have it.
    fn lose_docs(&mut self, docs: Option<Span>) {
        if let Some(span) = docs {
            let message = "this documentation belongs to nothing";
            let help = "`///` describes the table, column, event, command, dataset, flag or setting below it; \
                        a comment begins with `//`";
            self.report(Diagnostic::warning("docs.misplaced", span, message).help(help));
        }
    }

    /// Items between commas, up to a closing bracket; the opening one has been read.
    fn list<T>(&mut self, close: Kind, mut item: impl FnMut(&mut Self) -> Option<T>) -> Vec<T> {
        let mut items = Vec::new();
        let (open, what) = (self.last_span(), if close == Kind::RightParen { "`)`" } else { "`]`" });
        while !self.eat(close) {
            let before = self.at;
            items.extend(item(self));
            if !self.is_stuck() && (self.eat(Kind::Comma) && self.at > before) {
                continue;
            }
            if self.eat(close) {
                break;
            }
            let found = self.found();
            self.error(format!("expected `,` or {what}, found {found}"));
            self.skip_list(open, close);
            break;
        }
        items
    }

    /// Goes behind the bracket that closes a list, when it is found before something else begins.
    fn skip_list(&mut self, open: Span, close: Kind) {
        let mut depth = 0usize;
        for (offset, token) in self.tokens[self.at..].iter().enumerate() {
            match token.kind {
                Kind::LeftBrace | Kind::RightBrace | Kind::End | Kind::Doc => return,
                Kind::Name if token.line_start && self.line_begins(offset) => return,
                Kind::LeftParen | Kind::LeftBracket => depth += 1,
                kind if kind == close && depth == 0 && token.span.start > open.start => {
                    self.at += offset + 1;
                    self.failed_at = None;
                    return;
                }
                Kind::RightParen | Kind::RightBracket => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    /// Members between braces. Commas between them mean nothing.
    fn block<T>(&mut self, what: &str, mut member: impl FnMut(&mut Self) -> Option<T>) -> Vec<T> {
        let mut members = Vec::new();
        let open = self.peek().span;
        if !self.expect(Kind::LeftBrace, &format!("`{{` and what belongs to {what}")) {
            return members;
        }
        loop {
            while self.eat(Kind::Comma) {}
            if self.eat(Kind::RightBrace) {
                break;
            }
            if self.peek().kind == Kind::End || self.at_declaration() {
                let message = format!("the block of {what} is not closed");
                let end = self.last_span();
                let span = Span { start: end.end, end: end.end, ..end };
                let problem = Diagnostic::error("syntax", span, message).label("`}` is missing");
                self.report(problem.related(open, "it is opened here"));
                break;
            }
            let before = self.at;
            members.extend(member(self));
            if self.is_stuck() || self.at == before {
                self.skip_member(before);
            }
        }
        members
    }

    /// Goes on to the next line that can begin something, or to the end of the block, past `before` in any case.
    fn skip_member(&mut self, before: usize) {
        self.failed_at = None;
        let mut depth = 0usize;
        loop {
            let token = self.peek();
            let moved = self.at > before;
            let begins = token.line_start && matches!(token.kind, Kind::Name | Kind::Doc);
            match token.kind {
                Kind::End => return,
                Kind::RightBrace if depth == 0 => return,
                _ if moved && begins && (depth == 0 || self.at_declaration()) => return,
                Kind::RightBrace => depth -= 1,
                Kind::LeftBrace => depth += 1,
                _ => {}
            }
            self.bump();
        }
    }
}

#[cfg(test)]
mod tests;
