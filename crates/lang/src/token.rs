//! The words and marks of the language, with their places.
//!
//! A token knows where it stands and whether it is the first of its line; its text is looked up in the source.
//! Keywords are plain names here: which of them are special depends on where they stand, and the parser knows that.

use crate::source::Span;

/// A token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    /// What it is.
    pub(crate) kind: Kind,
    /// Where it stands.
    pub(crate) span: Span,
    /// Whether nothing but white space stands before it on its line.
    pub(crate) line_start: bool,
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `name`, keywords included.
    Name,
    /// `12`
    Int,
    /// `1.5`
    Number,
    /// `"text"`
    Text,
    /// `@2026-01-31`
    Date,
    /// `@2026-01-31T10:00:00Z`
    Timestamp,
    /// `$name`
    Param,
    /// `/// text`, the first thing of its line.
    Doc,
    /// `(`
    LeftParen,
    /// `)`
    RightParen,
    /// `[`
    LeftBracket,
    /// `]`
    RightBracket,
    /// `{`
    LeftBrace,
    /// `}`
    RightBrace,
    /// `,`
    Comma,
    /// `.`
    Dot,
    /// `?`
    Question,
    /// `??`
    Coalesce,
    /// `=`
    Assign,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
    /// `~`
    Contains,
    /// `!~`
    NotContains,
    /// `+`
    Plus,
    /// `-`
    Minus,
    /// `*`
    Star,
    /// `/`
    Slash,
    /// `%`
    Percent,
    /// `&&`, already reported: read as `and`.
    And,
    /// `||`, already reported: read as `or`.
    Or,
    /// `!`, already reported: read as `not`.
    Not,
    /// After the last token.
    End,
}
