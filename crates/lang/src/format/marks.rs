//! What the layout has to know of the tree, by the places of tokens.

use std::collections::{HashMap, HashSet};

use super::align::Class;
use crate::source::Span;
use crate::syntax::{
    Column, Command, CommandLine, Event, Expr, ExprKind, Field, File, Item, Member, ModifierKind, Name, On,
    TypeExpr,
};
use crate::token::{Kind, Token};

/// Places are the first bytes of tokens.
#[derive(Default)]
pub(super) struct Marks {
    /// Tokens that begin a line.
    pub(super) lines: HashMap<u32, Class>,
    /// Tokens that begin a cell within their line.
    pub(super) cells: HashSet<u32>,
    /// Tokens with no space before them.
    pub(super) tight: HashSet<u32>,
    /// Tokens with no space behind them.
    pub(super) unary: HashSet<u32>,
    /// `{` of blocks that are written on one line when they fit, and whether commas stand between their parts.
    pub(super) small: HashMap<u32, bool>,
    /// Tokens that begin a part of such a block.
    pub(super) parts: HashSet<u32>,
}

impl Marks {
    pub(super) fn of(file: &File, tokens: &[Token]) -> Marks {
        let mut marker = Marker { tokens, marks: Marks::default() };
        marker.file(file);
        marker.marks
    }
}

struct Marker<'a> {
    tokens: &'a [Token],
    marks: Marks,
}

impl Marker<'_> {
    /// The first token at or behind a place.
    fn token_at(&self, place: u32) -> Option<Token> {
        self.tokens.get(self.tokens.partition_point(|token| token.span.start < place)).copied()
    }

    /// The last token before a place.
    fn token_before(&self, place: u32) -> Option<Token> {
        let index = self.tokens.partition_point(|token| token.span.start < place);
        index.checked_sub(1).map(|index| self.tokens[index])
    }

    fn line(&mut self, span: Span, class: Class) {
        self.marks.lines.insert(span.start, class);
    }

    fn cell(&mut self, span: Span) {
        self.marks.cells.insert(span.start);
    }

    /// No space between a name and the parenthesis behind it.
    fn tight_paren(&mut self, name: &Name) {
        if let Some(token) = self.token_at(name.span.end).filter(|token| token.kind == Kind::LeftParen) {
            self.marks.tight.insert(token.span.start);
        }
    }

    /// The block whose `{` is the first one behind a place.
    fn small_block(&mut self, after: u32, commas: bool, parts: impl Iterator<Item = Span>) {
        if let Some(token) = self.token_at(after).filter(|token| token.kind == Kind::LeftBrace) {
            self.marks.small.insert(token.span.start, commas);
        }
        self.marks.parts.extend(parts.map(|part| part.start));
    }

    fn file(&mut self, file: &File) {
        if let Some(app) = &file.app {
            self.line(app.span, Class::Plain);
        }
        for name in &file.uses {
            if let Some(token) = self.token_before(name.span.start).filter(|token| token.kind == Kind::Name) {
                self.line(token.span, Class::Plain);
            }
        }
        file.items.iter().for_each(|item| self.item(item));
    }

    fn item(&mut self, item: &Item) {
        match item {
            Item::Table(table) | Item::Extend(table) | Item::Stream(table) => {
                self.line(table.span, Class::Block);
                table.members.iter().for_each(|member| self.member(member));
            }
            Item::Dataset(dataset) => {
                self.line(dataset.span, Class::Block);
                for (name, reference) in &dataset.members {
                    self.line(name.span, Class::Reference);
                    if let Some(token) = self.token_at(name.span.end).filter(|_| *reference) {
                        self.cell(token.span);
                    }
                }
            }
            Item::Flag(flag) => {
                self.line(flag.span, Class::Value);
                self.cell(flag.name.span);
                self.expr(&flag.default);
                flag.description.iter().for_each(|text| self.cell(text.span));
            }
            Item::Setting(setting) => {
                self.line(setting.span, Class::Value);
                self.cell(setting.name.span);
                self.ty(&setting.ty);
                self.expr(&setting.default);
                setting.description.iter().for_each(|text| self.cell(text.span));
            }
        }
    }

    fn member(&mut self, member: &Member) {
        match member {
            Member::Column(column) => self.column(column),
            Member::Label(name) => {
                if let Some(token) = self.token_before(name.span.start) {
                    self.line(token.span, Class::Plain);
                }
            }
            Member::Index { span, .. } | Member::Unique { span, .. } | Member::Without { span, .. } => {
                self.line(*span, Class::Plain);
            }
            Member::Order { items, span } => {
                self.line(*span, Class::Plain);
                for (name, _) in items.iter().filter(|(_, descending)| *descending) {
                    self.marks.unary.extend(self.token_before(name.span.start).map(|token| token.span.start));
                }
            }
            Member::History { duration, span } => {
                self.line(*span, Class::Plain);
                self.expr(duration);
            }
            Member::Allow(allow) => {
                self.line(allow.span, Class::Allow);
                allow.operations.iter().for_each(|(name, _)| self.tight_paren(name));
                self.condition(allow.condition.as_ref());
            }
            Member::Check(check) | Member::Warn(check) => {
                self.line(check.span, Class::Check);
                self.cell(check.condition.span);
                self.expr(&check.condition);
                self.cell(check.message.span);
            }
            Member::Event(event) => self.event(event),
            Member::Command(command) => self.command(command),
            Member::On(on) => self.on(on),
        }
    }

    fn column(&mut self, column: &Column) {
        self.line(column.span, Class::Column);
        self.cell(column.ty.span);
        self.ty(&column.ty);
        column.modifiers.first().iter().for_each(|modifier| self.cell(modifier.span));
        for modifier in &column.modifiers {
            match &modifier.kind {
                ModifierKind::Default(expr) | ModifierKind::Min(expr) | ModifierKind::Max(expr) => {
                    self.expr(expr)
                }
                ModifierKind::Auto(selectors) => selectors.iter().for_each(|expr| self.expr(expr)),
                _ => {}
            }
        }
    }

    fn ty(&mut self, ty: &TypeExpr) {
        self.tight_paren(&ty.name);
        let within = |token: &&Token| token.span.start >= ty.span.start && token.span.end <= ty.span.end;
        let first = self.tokens.partition_point(|token| token.span.start < ty.span.start);
        let tokens = self.tokens[first..].iter().take_while(within);
        let brackets = tokens.filter(|token| token.kind == Kind::LeftBracket);
        self.marks.tight.extend(brackets.map(|token| token.span.start));
    }

    /// A condition begins its cell with the `if` before it.
    fn condition(&mut self, condition: Option<&Expr>) {
        if let Some(condition) = condition {
            self.marks.cells.extend(self.token_before(condition.span.start).map(|token| token.span.start));
            self.expr(condition);
        }
    }

    fn event(&mut self, event: &Event) {
        self.line(event.span, Class::Event);
        self.fields(&event.fields);
        self.small_block(event.name.span.end, true, event.fields.iter().map(|field| field.name.span));
    }

    fn fields(&mut self, fields: &[Field]) {
        fields.iter().for_each(|field| self.ty(&field.ty));
    }

    fn command(&mut self, command: &Command) {
        self.line(command.span, Class::Plain);
        self.tight_paren(&command.name);
        self.fields(&command.params);
        for line in &command.body {
            match line {
                CommandLine::Allow(condition, span) => {
                    self.line(*span, Class::Command);
                    self.condition(condition.as_ref());
                }
                CommandLine::Require(check) => {
                    self.line(check.span, Class::Command);
                    self.cell(check.condition.span);
                    self.expr(&check.condition);
                    self.cell(check.message.span);
                }
                CommandLine::Emit { event, values, span } => {
                    self.line(*span, Class::Command);
                    self.cell(event.span);
                    values.iter().filter_map(|(_, value)| value.as_ref()).for_each(|value| self.expr(value));
                    self.small_block(event.span.end, true, values.iter().map(|(name, _)| name.span));
                }
            }
        }
    }

    fn on(&mut self, on: &On) {
        self.line(on.span, Class::Event);
        on.sets.iter().for_each(|(_, value)| self.expr(value));
        self.small_block(on.event.span.end, false, on.sets.iter().map(|(name, _)| name.span));
    }

    fn expr(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Negate(inner) => {
                self.marks.unary.insert(expr.span.start);
                self.expr(inner);
            }
            // The least int is one literal with its sign.
            ExprKind::Int(value) if *value < 0 => {
                self.marks.unary.insert(expr.span.start);
            }
            ExprKind::Call(name, args) => {
                self.tight_paren(name);
                args.iter().for_each(|arg| self.expr(arg));
            }
            ExprKind::Method(base, name, args) => {
                self.expr(base);
                self.tight_paren(name);
                args.iter().for_each(|arg| self.expr(arg));
            }
            ExprKind::Member(inner, _) | ExprKind::Not(inner) | ExprKind::Paren(inner) => self.expr(inner),
            ExprKind::Binary(_, left, right) | ExprKind::In(left, right, _) => {
                self.expr(left);
                self.expr(right);
            }
            ExprKind::List(items) => items.iter().for_each(|item| self.expr(item)),
            ExprKind::If(condition, then, otherwise) => {
                for part in [condition, then, otherwise] {
                    self.expr(part);
                }
            }
            _ => {}
        }
    }
}
