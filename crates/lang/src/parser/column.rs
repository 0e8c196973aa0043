//! Columns, their types and modifiers; parameters and fields, which are a name and a type.

use std::mem::discriminant;

use super::Parser;
use super::words::{Line, MODIFIERS};
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::suggest::nearest;
use crate::syntax::{Column, Field, Modifier, ModifierKind, Name, TypeArg, TypeExpr};
use crate::token::Kind;
use crate::types::SCALARS;

impl Parser<'_> {
    /// A column; the next token is its name.
    pub(super) fn column(&mut self, docs: String) -> Option<Column> {
        let name = self.name("a column")?;
        // Such a column is told from a modifier by the look of its type, so the type has to look like one.
        let is_modifier = name.text == "by" || MODIFIERS.contains(&name.text.as_str());
        if is_modifier && self.peek().kind == Kind::Name && !self.is_type(self.peek()) {
            let found = self.found();
            self.error(format!("expected a type after `{}`, found {found}", name.text));
        }
        let (ty, nullable) = self.nullable_type(&format!("`{}`", name.text), name.span);
        let modifiers = if self.is_stuck() { Vec::new() } else { self.modifiers() };
        let span = name.span.to(self.last_span());
        Some(Column { docs, name, ty, nullable, modifiers, span })
    }

    /// `name type` of a parameter or an event's field.
    pub(super) fn field(&mut self, what: &str) -> Option<Field> {
        let name = self.name(what)?;
        let (ty, nullable) = self.nullable_type(&format!("`{}`", name.text), name.span);
        Some(Field { name, ty, nullable })
    }

    fn nullable_type(&mut self, whose: &str, after: Span) -> (TypeExpr, bool) {
        let mut ty = self.ty(whose, after);
        let nullable = self.eat(Kind::Question);
        if nullable && self.peek().kind == Kind::LeftBracket && self.nth(1).kind == Kind::RightBracket {
            let span = self.bump().span.to(self.bump().span);
            self.report(Diagnostic::error(
                "syntax",
                span,
                "`?` stands behind `[]`: the items of a list are never null",
            ));
            ty.list = true;
            ty.by = self.by();
        }
        (ty, nullable)
    }

    /// A type, on the line of what it belongs to. `after` is where it is missing.
    pub(super) fn ty(&mut self, whose: &str, after: Span) -> TypeExpr {
        let token = self.peek();
        if token.kind != Kind::Name || token.line_start || self.is_stuck() {
            let found = self.found();
            let nothing = Span { start: after.end, ..after };
            self.error(format!("expected a type after {whose}, found {found}"));
            self.suggest_line(after);
            return TypeExpr {
                name: Name { text: String::new(), span: nothing },
                args: Vec::new(),
                list: false,
                by: None,
                span: nothing,
            };
        }
        let name = self.any_name();
        let start = name.span;
        let args = if self.eat(Kind::LeftParen) {
            self.list(Kind::RightParen, Parser::type_arg)
        } else {
            Vec::new()
        };
        let list = !self.is_stuck() && self.eat(Kind::LeftBracket);
        if list {
            self.expect(Kind::RightBracket, "`]`");
        }
        let by = if list { self.by() } else { None };
        TypeExpr { name, args, list, by, span: start.to(self.last_span()) }
    }

    /// `by column` behind `[]`; on a line of its own it may be a column called `by`.
    fn by(&mut self) -> Option<Name> {
        let is_column = self.peek().line_start && self.column_here();
        if !is_column && self.eat_word("by") { self.name("the column of that table") } else { None }
    }

    /// When a type was missing: the word before it may have been meant as the start of a line.
    fn suggest_line(&mut self, word: Span) {
        let word = self.text[word.start as usize..word.end as usize].to_owned();
        let lines = Line::WORDS.iter().map(|(name, _)| *name);
        if let (Some(meant), Some(problem)) = (nearest(&word, lines), self.diagnostics.last_mut())
            && problem.help.is_none()
        {
            problem.help =
                Some(format!("did you mean `{meant}`? otherwise write a name and a type: `title text`"));
        }
    }

    fn type_arg(&mut self) -> Option<TypeArg> {
        let token = self.peek();
        if token.kind == Kind::Int {
            self.bump();
            return Some(TypeArg::Number(self.int(token), token.span));
        }
        self.listed_name("a number or a name").map(TypeArg::Name)
    }

    fn modifiers(&mut self) -> Vec<Modifier> {
        let mut modifiers: Vec<Modifier> = Vec::new();
        while !self.is_stuck() {
            let start = self.peek().span;
            let Some(kind) = self.modifier() else {
                if self.unknown_modifier() {
                    continue;
                }
                break;
            };
            let span = start.to(self.last_span());
            let first = modifiers.iter().find(|other| discriminant(&other.kind) == discriminant(&kind));
            if let Some(first) = first {
                let problem = Diagnostic::error("modifier.twice", span, "this is said twice");
                let problem = problem.related(first.span, "first here");
                self.report(problem);
            }
            modifiers.push(Modifier { kind, span });
        }
        modifiers
    }

    /// The modifier that begins here, if one does.
    fn modifier(&mut self) -> Option<ModifierKind> {
        let (token, next) = (self.peek(), self.nth(1));
        if token.kind == Kind::Assign {
            self.bump();
            return Some(ModifierKind::Default(self.expr()));
        }
        let word = self.word();
        let is_column = token.line_start && self.column_here();
        let is_line = match word {
            "index" | "unique" => next.kind == Kind::LeftParen,
            "on" => self.nth_word(1) != "delete" && (token.line_start || self.nth(2).kind == Kind::LeftBrace),
            _ => false,
        };
        if is_column || is_line || !MODIFIERS.contains(&word) {
            return None;
        }
        self.bump();
        match word {
            "unique" => Some(ModifierKind::Unique),
            "index" => Some(ModifierKind::Index),
            "trim" => Some(ModifierKind::Trim),
            "lower" => Some(ModifierKind::Lower),
            "immutable" => Some(ModifierKind::Immutable),
            "secret" => Some(ModifierKind::Secret),
            "hidden" => Some(ModifierKind::Hidden),
            "min" => Some(ModifierKind::Min(self.operand())),
            "max" => Some(ModifierKind::Max(self.operand())),
            "was" => self.name("the name that it had before").map(ModifierKind::Was),
            "db" => self.db_modifier(),
            "generated" => {
                let always = !self.peek().line_start && self.eat_word("always");
                Some(ModifierKind::Generated { always })
            }
            "of" => {
                self.expect(Kind::LeftParen, "`(` and the columns that the key is put together from");
                Some(ModifierKind::Of(self.list(Kind::RightParen, |parser| parser.listed_name("a column"))))
            }
            "match" => self.match_modifier(),
            "auto" => Some(self.auto_modifier()),
            _ => self.on_delete(),
        }
    }

    fn db_modifier(&mut self) -> Option<ModifierKind> {
        let name = self.text("the name in the database, in quotes")?;
        let mut columns = Vec::new();
        if self.peek().kind == Kind::LeftParen && !self.peek().line_start {
            self.bump();
            columns = self.list(Kind::RightParen, |parser| parser.text("the name of a column, in quotes"));
        }
        Some(ModifierKind::Db(name, columns))
    }

    fn match_modifier(&mut self) -> Option<ModifierKind> {
        if self.peek().kind == Kind::Name && !self.peek().line_start {
            return Some(ModifierKind::MatchNamed(self.any_name()));
        }
        self.text("`email`, `url` or a regular expression in quotes").map(ModifierKind::MatchRegex)
    }

    fn auto_modifier(&mut self) -> ModifierKind {
        let mut selectors = Vec::new();
        if self.eat_word("per") && self.expect(Kind::LeftParen, "`(` and what the counter is counted per") {
            selectors = self.list(Kind::RightParen, |parser| Some(parser.expr()));
        }
        ModifierKind::Auto(selectors)
    }

    fn on_delete(&mut self) -> Option<ModifierKind> {
        if !self.eat_word("delete") {
            self.error("expected `delete` after `on`");
            return None;
        }
        if !matches!(self.word(), "cascade" | "restrict" | "null") {
            let found = self.found();
            self.error(format!("expected `cascade`, `restrict` or `null`, found {found}"));
            return None;
        }
        Some(ModifierKind::OnDelete(self.any_name()))
    }

    /// Reports a word that stands where a modifier could, on the column's own line, and begins nothing else.
    fn unknown_modifier(&mut self) -> bool {
        let token = self.peek();
        let begins_other =
            token.line_start || self.column_here() || self.line_here(super::words::Holder::Stream).is_some();
        if token.kind != Kind::Name || begins_other || self.is_stuck() {
            return false;
        }
        let word = self.slice(token);
        let mut problem = Diagnostic::error("syntax", token.span, format!("unknown modifier `{word}`"));
        problem = match nearest(word, MODIFIERS.iter().copied()) {
            Some(meant) => problem.suggest(Some(meant)),
            None if word == "default" => problem.help("a default is written `= value`"),
            None if matches!(word, "null" | "nullable" | "optional") => {
                problem.help("`?` behind the type allows null")
            }
            None if SCALARS.contains(&self.nth_word(1)) => problem,
            None => problem.help(format!("modifiers are: = value, {}", MODIFIERS.join(", "))),
        };
        self.report(problem);
        self.bump();
        true
    }
}
