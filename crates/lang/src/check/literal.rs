//! Literals, and the words that take their type from what stands beside them.
//!
//! A text beside a uuid, date, time, timestamp, duration, enum or reference is read as one, and a bad one is an error
//! at its place; a number with a point is a float beside a float and else a decimal of its own digits.

use super::{Checker, convert, literal};
use crate::diagnostic::Diagnostic;
use crate::expr::{Expr, Node};
use crate::naming::did_you_mean;
use crate::source::Span;
use crate::syntax::{self, BinaryOp, ExprKind, Name};
use crate::types::Type;
use crate::value::{Date, Decimal, Duration, Timestamp, Value};

/// Names of duration units and their length in microseconds.
const UNITS: [(&str, i64); 7] = [
    ("microsecond", 1),
    ("millisecond", 1_000),
    ("second", 1_000_000),
    ("minute", 60_000_000),
    ("hour", 3_600_000_000),
    ("day", 86_400_000_000),
    ("week", 604_800_000_000),
];

impl Checker<'_> {
    /// Whether a part has no type of its own and should be read after its neighbour.
    pub(super) fn is_needy(&self, expr: &syntax::Expr) -> bool {
        let mut pending = vec![expr];
        while let Some(expr) = pending.pop() {
            match &expr.kind {
                ExprKind::Text(_)
                | ExprKind::Null
                | ExprKind::Param(_)
                | ExprKind::Number(_)
                | ExprKind::Date(_) => {}
                ExprKind::Name(name) if !self.is_known(&name.text) => {}
                ExprKind::Paren(inner) | ExprKind::Negate(inner) => pending.push(inner),
                ExprKind::If(_, then, otherwise) => pending.extend([&**then, &**otherwise]),
                ExprKind::Binary(op, left, right) if !is_truth(*op) => pending.extend([&**left, &**right]),
                _ => return false,
            }
        }
        true
    }

    pub(super) fn number(&mut self, digits: &str, span: Span, hint: Option<&Type>) -> Option<Expr> {
        if hint == Some(&Type::Float) {
            return match digits.parse::<f64>() {
                Ok(value) if value.is_finite() => Some(literal(Value::Float(value), Type::Float, span)),
                _ => self.error("literal.invalid", span, "this number is too large for a float"),
            };
        }
        match Decimal::parse(digits) {
            Ok(value) => Some(literal(Value::Decimal(value), convert::decimal(value.scale), span)),
            Err(_) => self.error("literal.invalid", span, "a decimal has at most 18 digits"),
        }
    }

    pub(super) fn text(&mut self, text: &str, span: Span, hint: Option<&Type>) -> Option<Expr> {
        let plain = || literal(Value::Text(text.to_owned()), Type::Text { max: None }, span);
        let Some(hint) = hint else { return Some(plain()) };
        let target = match hint {
            Type::Ref(table) => self.schema.key_type(*table).clone(),
            other => other.clone(),
        };
        let example = match &target {
            Type::Enum(of) => {
                return match of.rank(text) {
                    Some(_) => Some(literal(Value::Text(text.to_owned()), target.clone(), span)),
                    None => self.unknown_value(text, &of.values, span),
                };
            }
            Type::Uuid => "01890a5d-ac96-774b-bcce-b302099a8057",
            Type::Date => "2026-01-31",
            Type::Time => "10:00:00",
            Type::Timestamp => "2026-01-31T10:00:00Z",
            Type::Duration => "P1DT2H",
            Type::Json => "{\"a\": 1}",
            Type::Bytes => "aGVsbG8=",
            Type::File => "01890a5d-ac96-774b-bcce-b302099a8057",
            _ => return Some(plain()),
        };
        match Value::parse_text(text, &target) {
            Ok(value) => Some(literal(value, target, span)),
            Err(_) => self.report(
                Diagnostic::error(
                    "literal.invalid",
                    span,
                    format!("this text is no {}", self.describe(&target)),
                )
                .help(format!("for example: {example}")),
            ),
        }
    }

    pub(super) fn date(&mut self, text: &str, span: Span, hint: Option<&Type>) -> Option<Expr> {
        let Some(date) = Date::parse(text) else {
            return self.error("literal.invalid", span, "there is no such date; for example: @2026-01-31");
        };
        // A day beside an instant is its first microsecond in UTC, as one would say "created since that day".
        if hint == Some(&Type::Timestamp) {
            let instant = Timestamp(i64::from(date.0) * 86_400_000_000);
            return Some(literal(Value::Timestamp(instant), Type::Timestamp, span));
        }
        Some(literal(Value::Date(date), Type::Date, span))
    }

    pub(super) fn timestamp(&mut self, text: &str, span: Span) -> Option<Expr> {
        match Timestamp::parse(text) {
            Some(value) => Some(literal(Value::Timestamp(value), Type::Timestamp, span)),
            None => self.error(
                "literal.invalid",
                span,
                "there is no such instant; for example: @2026-01-31T10:00:00Z",
            ),
        }
    }

    pub(super) fn duration(&mut self, count: i64, unit: &Name, span: Span) -> Option<Expr> {
        let singular = unit.text.strip_suffix('s').unwrap_or(&unit.text);
        if let Some((_, length)) = UNITS.iter().find(|(name, _)| *name == singular) {
            return match count.checked_mul(*length) {
                Some(micros) => Some(literal(Value::Duration(Duration(micros)), Type::Duration, span)),
                None => self.error("literal.invalid", span, "this duration is too long"),
            };
        }
        if singular == "month" || singular == "year" {
            return self.report(
                Diagnostic::error("literal.invalid", unit.span, format!("a {singular} has no fixed length"))
                    .help("a duration is counted in seconds, minutes, hours, days or weeks"),
            );
        }
        let names = UNITS.map(|(name, _)| format!("{name}s"));
        let mut diagnostic =
            Diagnostic::error("name.unknown", unit.span, format!("`{}` is no unit of time", unit.text));
        if let Some(help) = did_you_mean(&unit.text, names.iter().map(String::as_str)) {
            diagnostic = diagnostic.help(help);
        }
        self.report(diagnostic)
    }

    /// `[a, b]` where a list is expected: every item must be a constant.
    pub(super) fn list(&mut self, items: &[syntax::Expr], span: Span, hint: Option<&Type>) -> Option<Expr> {
        let Some(Type::List(of)) = hint else {
            return self.error(
                "expression.misplaced",
                span,
                "a list may stand only behind `in` or as a list's default",
            );
        };
        let mut values = Vec::new();
        let mut complete = true;
        for item in items {
            match self.assigned(item, of) {
                Some(Expr { node: Node::Literal(value), .. }) => values.push(value),
                Some(_) => {
                    complete = false;
                    self.error("expression.misplaced", item.span, "the items of a list are constants");
                }
                None => complete = false,
            }
        }
        if !complete {
            return None;
        }
        Some(literal(Value::List(values), Type::List(of.clone()), span))
    }

    /// `$name`: its type is that of whatever stands beside it.
    pub(super) fn open_param(&mut self, name: &Name, span: Span, hint: Option<&Type>) -> Option<Expr> {
        if !self.place.open_params {
            let message = format!(
                "`${}` belongs to a filter's text; {} has no such parameters",
                name.text, self.place.what
            );
            return self.error("expression.misplaced", span, message);
        }
        let wanted = hint.filter(|ty| **ty != Type::Null).map(convert::widened);
        let index = match self.open_params.iter().position(|(known, _)| *known == name.text) {
            Some(index) => index,
            None => {
                self.open_params.push((name.text.clone(), None));
                self.open_params.len() - 1
            }
        };
        let known = &mut self.open_params[index].1;
        if known.is_none() {
            *known = wanted;
        }
        let ty = known.clone().unwrap_or(Type::Null);
        let index = u32::try_from(index).expect("a text has fewer than 2^32 parameters");
        Some(Expr { node: Node::Param(index), ty, span })
    }

    pub(super) fn unknown_value(&mut self, text: &str, values: &[String], span: Span) -> Option<Expr> {
        let mut diagnostic =
            Diagnostic::error("name.unknown", span, format!("`{text}` is no value of this enum"));
        let listed = || format!("its values are {}", values.join(", "));
        diagnostic =
            diagnostic.help(did_you_mean(text, values.iter().map(String::as_str)).unwrap_or_else(listed));
        self.report(diagnostic)
    }
}

fn is_truth(op: BinaryOp) -> bool {
    !matches!(
        op,
        BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div | BinaryOp::Rem | BinaryOp::Coalesce
    )
}
