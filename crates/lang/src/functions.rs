//! The functions of the language: one table that drives the checker and the documents.
//!
//! It knows names, arguments and results; what a function computes stands in [`crate::ops`] for memory and in
//! `mainstay-sql` for databases.

use crate::expr::{Clock, Function};
use crate::types::Type;

/// A function as an author sees it.
#[derive(Debug)]
pub struct Signature {
    /// Its name.
    pub name: &'static str,
    /// Kinds of its arguments, each with a name for the documents.
    pub args: &'static [(&'static str, Kind)],
    /// Whether the last argument may be given any number of times, once at least.
    pub variadic: bool,
    /// What it yields.
    pub returns: Returns,
    /// What it becomes.
    pub lowering: Lowering,
    /// One line for the documents.
    pub docs: &'static str,
}

/// What an argument may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text or an enum's value.
    Text,
    /// A whole number.
    Int,
    /// A decimal or float.
    Fraction,
    /// Any number or a duration.
    Magnitude,
    /// A date or timestamp.
    Day,
    /// Text, bytes or a list.
    Sized,
    /// Anything.
    Any,
}

/// What a call yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returns {
    /// `bool`
    Bool,
    /// `int`
    Int,
    /// `text`
    Text,
    /// `timestamp`
    Timestamp,
    /// `date`
    Date,
    /// The type of the first argument.
    First,
}

/// What a call becomes in the typed tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lowering {
    /// A call of a function.
    Function(Function),
    /// A reading of the request's clock.
    Clock(Clock),
    /// The first argument that is not null.
    Coalesce,
}

const fn function(
    name: &'static str,
    args: &'static [(&'static str, Kind)],
    returns: Returns,
    function: Function,
    docs: &'static str,
) -> Signature {
    Signature { name, args, variadic: false, returns, lowering: Lowering::Function(function), docs }
}

/// Every function, by name.
pub const FUNCTIONS: &[Signature] = &[
    function(
        "abs",
        &[("x", Kind::Magnitude)],
        Returns::First,
        Function::Abs,
        "Magnitude of a number or duration.",
    ),
    Signature {
        name: "coalesce",
        args: &[("x", Kind::Any)],
        variadic: true,
        returns: Returns::First,
        lowering: Lowering::Coalesce,
        docs: "The first argument that is not null; as `a ?? b`.",
    },
    Signature {
        name: "concat",
        args: &[("text", Kind::Text)],
        variadic: true,
        returns: Returns::Text,
        lowering: Lowering::Function(Function::Concat),
        docs: "Texts joined; null when any of them is null.",
    },
    function("day", &[("x", Kind::Day)], Returns::Int, Function::Day, "Day of the month, 1 to 31, in UTC."),
    function(
        "ends_with",
        &[("text", Kind::Text), ("end", Kind::Text)],
        Returns::Bool,
        Function::EndsWith,
        "Whether a text ends with another, case-sensitive.",
    ),
    function(
        "length",
        &[("x", Kind::Sized)],
        Returns::Int,
        Function::Length,
        "Code points of a text, bytes of bytes, items of a list.",
    ),
    function(
        "like",
        &[("text", Kind::Text), ("pattern", Kind::Text)],
        Returns::Bool,
        Function::Like,
        "Whether a text matches a pattern, case-sensitive: `%` any characters, `_` one, `\\` escapes.",
    ),
    function(
        "lower",
        &[("text", Kind::Text)],
        Returns::Text,
        Function::Lower,
        "ASCII letters to lower case.",
    ),
    function("month", &[("x", Kind::Day)], Returns::Int, Function::Month, "Month, 1 to 12, in UTC."),
    Signature {
        name: "now",
        args: &[],
        variadic: false,
        returns: Returns::Timestamp,
        lowering: Lowering::Clock(Clock::Now),
        docs: "The time of the request, the same throughout it.",
    },
    function(
        "round",
        &[("x", Kind::Fraction), ("digits", Kind::Int)],
        Returns::First,
        Function::Round,
        "Rounded to that many digits behind the point, half away from zero.",
    ),
    function(
        "starts_with",
        &[("text", Kind::Text), ("start", Kind::Text)],
        Returns::Bool,
        Function::StartsWith,
        "Whether a text starts with another, case-sensitive.",
    ),
    Signature {
        name: "today",
        args: &[],
        variadic: false,
        returns: Returns::Date,
        lowering: Lowering::Clock(Clock::Today),
        docs: "The date of the request in UTC.",
    },
    function(
        "trim",
        &[("text", Kind::Text)],
        Returns::Text,
        Function::Trim,
        "Without white space at both ends.",
    ),
    function(
        "upper",
        &[("text", Kind::Text)],
        Returns::Text,
        Function::Upper,
        "ASCII letters to upper case.",
    ),
    function("year", &[("x", Kind::Day)], Returns::Int, Function::Year, "Year, in UTC."),
];

/// The function of a name.
pub fn find(name: &str) -> Option<&'static Signature> {
    FUNCTIONS.iter().find(|signature| signature.name == name)
}

impl Signature {
    /// Whether it takes that many arguments.
    pub fn takes(&self, count: usize) -> bool {
        if self.variadic { count >= self.args.len() } else { count == self.args.len() }
    }

    /// The kind of the argument at an index.
    pub fn kind(&self, index: usize) -> Kind {
        self.args.get(index).or(self.args.last()).map_or(Kind::Any, |(_, kind)| *kind)
    }

    /// `like(text, pattern)`
    pub fn usage(&self) -> String {
        let names: Vec<&str> = self.args.iter().map(|(name, _)| *name).collect();
        let more = if self.variadic { ", …" } else { "" };
        format!("`{}({}{more})`", self.name, names.join(", "))
    }
}

impl Kind {
    /// Whether a value of a type may be given.
    pub fn accepts(self, ty: &Type) -> bool {
        match self {
            Kind::Text => ty.is_textual(),
            Kind::Int => *ty == Type::Int,
            Kind::Fraction => matches!(ty, Type::Float | Type::Decimal { .. }),
            Kind::Magnitude => ty.is_numeric() || *ty == Type::Duration,
            Kind::Day => matches!(ty, Type::Date | Type::Timestamp),
            Kind::Sized => matches!(ty, Type::Text { .. } | Type::Bytes | Type::List(_)),
            Kind::Any => true,
        }
    }

    /// For messages.
    pub fn words(self) -> &'static str {
        match self {
            Kind::Text => "text",
            Kind::Int => "a whole number",
            Kind::Fraction => "a decimal or float",
            Kind::Magnitude => "a number or duration",
            Kind::Day => "a date or timestamp",
            Kind::Sized => "text, bytes or a list",
            Kind::Any => "a value",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_every_function_is_documented() {
        assert!(FUNCTIONS.windows(2).all(|pair| pair[0].name < pair[1].name));
        assert!(FUNCTIONS.iter().all(|signature| signature.docs.ends_with('.')));
    }
}
