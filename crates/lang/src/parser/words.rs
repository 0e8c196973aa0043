//! What a line begins with.
//!
//! No word is reserved for the lines of a table: `label`, `check` or `event` may be columns. A line is read as a column
//! when a type stands behind its first word, and as what the word says otherwise; the cases that remain (`label text`)
//! go to the word. A type is known by its look: a scalar's name or a capital letter.

use super::Parser;
use crate::token::{Kind, Token};
use crate::types::SCALARS;

/// Words that may follow a column's type.
pub(super) const MODIFIERS: &[&str] = &[
    "auto",
    "db",
    "generated",
    "hidden",
    "immutable",
    "index",
    "lower",
    "match",
    "max",
    "min",
    "of",
    "on",
    "secret",
    "trim",
    "unique",
    "was",
];

/// Units of duration literals.
const UNITS: &[&str] = &[
    "microsecond",
    "microseconds",
    "millisecond",
    "milliseconds",
    "second",
    "seconds",
    "minute",
    "minutes",
    "hour",
    "hours",
    "day",
    "days",
    "week",
    "weeks",
];

/// What the braces belong to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Holder {
    /// `table` or `extend`
    Table,
    /// `stream`
    Stream,
}

/// A line of a table that is no column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Label,
    Index,
    Unique,
    Order,
    History,
    Allow,
    Check,
    Warn,
    Event,
    Command,
    On,
    Without,
}

impl Line {
    pub(super) const WORDS: &[(&str, Line)] = &[
        ("label", Line::Label),
        ("index", Line::Index),
        ("unique", Line::Unique),
        ("order", Line::Order),
        ("history", Line::History),
        ("allow", Line::Allow),
        ("check", Line::Check),
        ("warn", Line::Warn),
        ("event", Line::Event),
        ("command", Line::Command),
        ("on", Line::On),
        ("without", Line::Without),
    ];

    pub(super) fn named(word: &str) -> Option<Line> {
        Line::WORDS.iter().find(|(name, _)| *name == word).map(|(_, line)| *line)
    }
}

impl Parser<'_> {
    /// The line that begins here, unless it is a column.
    pub(super) fn line_here(&self, holder: Holder) -> Option<Line> {
        let line = Line::named(self.word())?;
        let next = self.nth(1);
        let behind = self.nth(2);
        let typed = self.is_type(next) && !next.line_start;
        let scalar = typed && !self.is_upper(next);
        let name = next.kind == Kind::Name && !next.line_start;
        let stands = match line {
            Line::Label => name && !(typed && (!scalar || self.goes_on_as_column(2))),
            Line::Order => {
                next.kind == Kind::Minus || (name && !(typed && (!scalar || self.goes_on_as_column(2))))
            }
            Line::History => next.kind == Kind::Int,
            Line::Index | Line::Unique => next.kind == Kind::LeftParen,
            Line::Allow => name && !typed,
            Line::Check | Line::Warn => self.begins_operand(next) && (!typed || self.is_infix(2)),
            Line::Event => match holder {
                Holder::Stream => name && !scalar && !self.goes_on_as_column(2),
                Holder::Table => name && behind.kind == Kind::LeftBrace,
            },
            Line::Command => {
                name && (behind.kind == Kind::LeftBrace
                    || self.nth_word(2) == "creates"
                    || (behind.kind == Kind::LeftParen && !scalar))
            }
            Line::On => name && behind.kind == Kind::LeftBrace,
            Line::Without => name && !typed,
        };
        stands.then_some(line)
    }

    /// Whether a column begins here: a name and a type on one line.
    pub(super) fn column_here(&self) -> bool {
        let next = self.nth(1);
        self.peek().kind == Kind::Name && self.is_type(next) && !next.line_start
    }

    /// Whether the word `n` places ahead probably begins a line of a table.
    pub(super) fn line_begins(&self, n: usize) -> bool {
        let next = self.nth(n + 1);
        Line::named(self.nth_word(n)).is_some() || (self.is_type(next) && !next.line_start)
    }

    /// Whether a line of a table begins here although an expression might go on: only at the start of a line.
    pub(super) fn breaks_expression(&self) -> bool {
        self.lines
            && self.peek().line_start
            && (self.column_here()
                || self.nth(1).kind == Kind::Assign
                || self.line_here(Holder::Stream).is_some()
                || self.command_line_here())
    }

    fn command_line_here(&self) -> bool {
        matches!(self.word(), "require" | "emit" | "allow") && self.begins_operand(self.nth(1))
    }

    /// Whether a declaration begins here, so that the block before it was not closed.
    pub(super) fn at_declaration(&self) -> bool {
        let behind = self.nth(2).kind;
        let opens = behind == Kind::LeftBrace
            || behind == Kind::LeftParen
            || matches!(self.nth_word(2), "db" | "was");
        self.peek().line_start
            && self.is_upper(self.nth(1))
            && match self.word() {
                "table" | "extend" | "stream" => opens,
                "dataset" => behind == Kind::Dot,
                _ => false,
            }
    }

    /// Whether a token looks like a type.
    pub(super) fn is_type(&self, token: Token) -> bool {
        self.is_upper(token) || (token.kind == Kind::Name && SCALARS.contains(&self.slice(token)))
    }

    fn is_upper(&self, token: Token) -> bool {
        token.kind == Kind::Name && self.slice(token).starts_with(|c: char| c.is_ascii_uppercase())
    }

    /// Whether the token `n` places ahead continues a column's declaration on the same line.
    fn goes_on_as_column(&self, n: usize) -> bool {
        let token = self.nth(n);
        let behind = self.nth(n + 1).kind;
        match token.kind {
            _ if token.line_start => false,
            Kind::LeftParen | Kind::LeftBracket | Kind::Question | Kind::Assign => true,
            Kind::Name => match self.slice(token) {
                "index" | "unique" => behind != Kind::LeftParen,
                "on" => self.nth_word(n + 1) == "delete",
                word => MODIFIERS.contains(&word),
            },
            _ => false,
        }
    }

    /// Whether the token `n` places ahead can only continue an expression or end a rule.
    fn is_infix(&self, n: usize) -> bool {
        let token = self.nth(n);
        match token.kind {
            Kind::Name => matches!(self.slice(token), "and" | "or" | "in" | "not"),
            Kind::Text | Kind::Dot | Kind::Coalesce | Kind::Contains | Kind::NotContains => true,
            Kind::Equal
            | Kind::NotEqual
            | Kind::Less
            | Kind::LessEqual
            | Kind::Greater
            | Kind::GreaterEqual => true,
            Kind::Plus | Kind::Minus | Kind::Star | Kind::Slash | Kind::Percent | Kind::And | Kind::Or => {
                true
            }
            _ => false,
        }
    }

    fn begins_operand(&self, token: Token) -> bool {
        match token.kind {
            Kind::Name => !matches!(self.slice(token), "and" | "or" | "in" | "then" | "else"),
            Kind::Int | Kind::Number | Kind::Text | Kind::Date | Kind::Timestamp | Kind::Param => true,
            Kind::LeftParen | Kind::LeftBracket | Kind::Minus | Kind::Not => true,
            _ => false,
        }
    }

    /// Whether the next word is the unit of the number before it. On another line, or in front of a type or `=`, it is
    /// the name of something else.
    pub(super) fn unit_here(&self) -> bool {
        let (token, behind) = (self.peek(), self.nth(1));
        let names_something = behind.kind == Kind::Assign || (self.is_type(behind) && !behind.line_start);
        UNITS.contains(&self.word()) && !(self.lines && (token.line_start || names_something))
    }
}
