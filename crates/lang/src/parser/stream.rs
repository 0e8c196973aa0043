//! What only streams have: events, commands, folds.

use super::Parser;
use crate::source::Span;
use crate::syntax::{Command, CommandLine, Event, Expr, Field, Name, On};
use crate::token::Kind;

impl Parser<'_> {
    pub(super) fn event(&mut self, start: Span, docs: String) -> Option<Event> {
        let name = self.name("the name of the event")?;
        let mut fields = Vec::new();
        if self.peek().kind == Kind::LeftBrace {
            fields = self.block(&format!("`{}`", name.text), |parser| parser.block_field());
        }
        Some(Event { docs, name, fields, span: start.to(self.last_span()) })
    }

    fn block_field(&mut self) -> Option<Field> {
        let (_, docs_span) = self.docs();
        self.lose_docs(docs_span);
        if self.peek().kind == Kind::RightBrace { None } else { self.field("a field or `}`") }
    }

    pub(super) fn command(&mut self, start: Span, docs: String) -> Option<Command> {
        let name = self.name("the name of the command")?;
        let params = if self.eat(Kind::LeftParen) {
            self.list(Kind::RightParen, |parser| parser.field("a parameter"))
        } else {
            Vec::new()
        };
        let creates = self.eat_word("creates");
        let body = self.block(&format!("`{}`", name.text), Parser::command_line);
        Some(Command { docs, name, params, creates, body, span: start.to(self.last_span()) })
    }

    fn command_line(&mut self) -> Option<CommandLine> {
        let (_, docs_span) = self.docs();
        self.lose_docs(docs_span);
        let start = self.peek().span;
        match self.word() {
            "allow" => {
                self.bump();
                let condition = self.condition();
                Some(CommandLine::Allow(condition, start.to(self.last_span())))
            }
            "require" => {
                self.bump();
                Some(CommandLine::Require(self.check(start)))
            }
            "emit" => {
                self.bump();
                self.emit(start)
            }
            _ if self.peek().kind == Kind::RightBrace => None,
            word => {
                let meant = crate::suggest::nearest(word, ["allow", "require", "emit"]);
                let found = format!("`{}`", self.slice(self.peek()));
                let message = format!("expected `allow`, `require`, `emit` or `}}`, found {found}");
                self.report(crate::diagnostic::Diagnostic::error("syntax", start, message).suggest(meant));
                self.failed_at = Some(self.at);
                None
            }
        }
    }

    fn emit(&mut self, start: Span) -> Option<CommandLine> {
        let event = self.name("the event to emit")?;
        let mut values = Vec::new();
        if self.peek().kind == Kind::LeftBrace {
            values = self.block(&format!("`{}`", event.text), Parser::emit_value);
        }
        Some(CommandLine::Emit { event, values, span: start.to(self.last_span()) })
    }

    fn emit_value(&mut self) -> Option<(Name, Option<Expr>)> {
        let name = self.name("a field of the event or `}`")?;
        let value = self.eat(Kind::Assign).then(|| self.expr());
        Some((name, value))
    }

    pub(super) fn on(&mut self, start: Span) -> Option<On> {
        let event = self.name("the event to fold")?;
        let sets = self.block(&format!("`{}`", event.text), Parser::fold_set);
        Some(On { event, sets, span: start.to(self.last_span()) })
    }

    fn fold_set(&mut self) -> Option<(Name, Expr)> {
        let name = self.name("a column or `}`")?;
        self.expect(Kind::Assign, "`=` and the column's new value");
        Some((name, self.expr()))
    }
}
