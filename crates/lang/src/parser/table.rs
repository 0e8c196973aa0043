//! The lines of a table or stream, columns and what only streams have left out.

use super::Parser;
use super::words::{Holder, Line};
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::suggest::nearest;
use crate::syntax::{Allow, Check, Member, Name, Text};
use crate::token::Kind;

impl Parser<'_> {
    pub(super) fn member(&mut self, holder: Holder) -> Option<Member> {
        let (docs, docs_span) = self.docs();
        let token = self.peek();
        if token.kind != Kind::Name {
            self.lose_docs(docs_span);
            if token.kind != Kind::RightBrace && !self.at_declaration() {
                let message = format!("expected a column, a rule or `}}`, found `{}`", self.slice(token));
                self.report(Diagnostic::error("syntax", token.span, message));
                self.failed_at = Some(self.at);
            }
            return None;
        }
        let Some(line) = self.line_here(holder).or_else(|| self.misspelt_line()) else {
            return self.column(docs).map(Member::Column);
        };
        if !matches!(line, Line::Event | Line::Command) {
            self.lose_docs(docs_span);
        }
        self.line(line, docs)
    }

    fn line(&mut self, line: Line, docs: String) -> Option<Member> {
        let start = self.bump().span;
        match line {
            Line::Label => self.name("the column that stands for a row").map(Member::Label),
            Line::Index => {
                let columns = self.columns();
                Some(Member::Index { columns, span: start.to(self.last_span()) })
            }
            Line::Unique => {
                let columns = self.columns();
                Some(Member::Unique { columns, span: start.to(self.last_span()) })
            }
            Line::Order => {
                let items = self.order_items();
                Some(Member::Order { items, span: start.to(self.last_span()) })
            }
            Line::History => {
                let duration = self.operand();
                Some(Member::History { duration, span: start.to(self.last_span()) })
            }
            Line::Without => {
                let mut columns = Vec::new();
                while let Some(name) = self.name("`created` or `updated`") {
                    columns.push(name);
                    if !self.eat(Kind::Comma) || self.begins_member() {
                        break;
                    }
                }
                Some(Member::Without { columns, span: start.to(self.last_span()) })
            }
            Line::Allow => Some(Member::Allow(self.allow(start))),
            Line::Check => Some(Member::Check(self.check(start))),
            Line::Warn => Some(Member::Warn(self.check(start))),
            Line::Event => self.event(start, docs).map(Member::Event),
            Line::Command => self.command(start, docs).map(Member::Command),
            Line::On => self.on(start).map(Member::On),
        }
    }

    /// `alow read if …`, `index title`: no column, because no type follows, and at most one letter away from a
    /// line's word.
    fn misspelt_line(&mut self) -> Option<Line> {
        let word = self.word();
        if self.column_here() || self.nth(1).line_start || self.nth(1).kind == Kind::RightBrace {
            return None;
        }
        let meant = nearest(word, Line::WORDS.iter().map(|(name, _)| *name))?;
        let distance = strsim::damerau_levenshtein(word, meant);
        if distance > 1 {
            return None;
        }
        if distance == 1 {
            let message = format!("`{word}` begins no line of a table, and no type follows it");
            self.report(Diagnostic::error("syntax", self.peek().span, message).suggest(Some(meant)));
        }
        Line::named(meant)
    }

    /// `(a, b)`
    fn columns(&mut self) -> Vec<Name> {
        if !self.expect(Kind::LeftParen, "`(` and columns") {
            return Vec::new();
        }
        self.list(Kind::RightParen, |parser| parser.listed_name("a column"))
    }

    /// A name in parentheses, unless the parentheses were left open and a line of the table begins.
    pub(super) fn listed_name(&mut self, what: &str) -> Option<Name> {
        if self.breaks_expression() {
            let found = self.found();
            self.error(format!("expected {what} or `)`, found {found}"));
            return None;
        }
        self.name(what)
    }

    fn order_items(&mut self) -> Vec<(Name, bool)> {
        let mut items = Vec::new();
        loop {
            let descending = self.eat(Kind::Minus);
            let Some(name) = self.name("a column to order by") else { return items };
            items.push((name, descending));
            if !self.eat(Kind::Comma) || self.begins_member() {
                return items;
            }
        }
    }

    /// Whether the comma before ended a line rather than went on with its list.
    fn begins_member(&self) -> bool {
        self.column_here() || self.line_here(Holder::Stream).is_some()
    }

    fn allow(&mut self, start: Span) -> Allow {
        let mut operations = Vec::new();
        loop {
            if self.word() == "if" {
                self.error("expected an operation, such as `read`, before `if`");
                self.failed_at = None;
                break;
            }
            let Some(name) =
                self.name("an operation: read, create, update, delete, link, unlink, write or all")
            else {
                break;
            };
            let columns = if self.peek().kind == Kind::LeftParen { self.columns() } else { Vec::new() };
            operations.push((name, columns));
            if !self.eat(Kind::Comma) || self.begins_member() {
                break;
            }
        }
        let condition = self.condition();
        Allow { operations, condition, span: start.to(self.last_span()) }
    }

    /// `if expr`, or nothing.
    pub(super) fn condition(&mut self) -> Option<crate::syntax::Expr> {
        self.eat_word("if").then(|| self.expr())
    }

    /// A condition and its message, behind `check`, `warn` or `require`.
    pub(super) fn check(&mut self, start: Span) -> Check {
        let condition = self.expr();
        let message = self.text("a message for people, in quotes");
        let span = self.last_span();
        let message = message.unwrap_or(Text { text: String::new(), span });
        Check { condition, message, span: start.to(span) }
    }
}
