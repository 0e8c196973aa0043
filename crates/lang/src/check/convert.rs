//! Conversions: which types meet in a third one, and the nodes (or folded literals) that bring a value there.
//!
//! Implicit are int → float, int → decimal, decimal → another scale, and what literals can take on. A decimal and a
//! float never meet by themselves: one is exact and the other is not.

use super::{Checker, literal};
use crate::diagnostic::Diagnostic;
use crate::expr::{Expr, Node};
use crate::types::Type;
use crate::value::{Decimal, Value};

/// Digits of the widest decimal.
pub(super) const PRECISION_MAX: u8 = 18;

/// A decimal of a scale and the widest precision.
pub(super) fn decimal(scale: u8) -> Type {
    Type::Decimal { precision: PRECISION_MAX, scale }
}

/// The type in which two types meet; `None`: they do not.
pub(super) fn common(left: &Type, right: &Type) -> Option<Type> {
    match (left, right) {
        (Type::Null, other) | (other, Type::Null) => Some(other.clone()),
        (Type::Int, Type::Float) | (Type::Float, Type::Int) => Some(Type::Float),
        (Type::Int, Type::Decimal { scale, .. }) | (Type::Decimal { scale, .. }, Type::Int) => {
            Some(decimal(*scale))
        }
        (Type::Decimal { scale: a, precision: p }, Type::Decimal { scale: b, precision: q }) => {
            if a == b && p == q { Some(left.clone()) } else { Some(decimal(*a.max(b))) }
        }
        (Type::Text { max: a }, Type::Text { max: b }) => {
            Some(Type::Text { max: if a == b { *a } else { None } })
        }
        (Type::List(a), Type::List(b)) if a.is_textual() && b.is_textual() => Some(left.clone()),
        _ if left == right => Some(left.clone()),
        _ => None,
    }
}

/// A type as parameters and literals have it: without the limits of the column that it came from.
pub(super) fn widened(ty: &Type) -> Type {
    match ty {
        Type::Text { .. } => Type::Text { max: None },
        Type::Decimal { scale, .. } => decimal(*scale),
        other => other.clone(),
    }
}

impl Checker<'_> {
    /// The expression as another type that [`common`] allowed.
    pub(super) fn convert(&mut self, expr: Expr, to: &Type) -> Option<Expr> {
        let span = expr.span;
        match (&expr.node, &expr.ty, to) {
            (Node::Literal(Value::Null), _, _) => Some(literal(Value::Null, to.clone(), span)),
            (Node::Literal(Value::Int(value)), Type::Int, Type::Float) =>
            {
                #[expect(clippy::cast_precision_loss, reason = "a whole number beside a float is a float")]
                Some(literal(Value::Float(*value as f64), Type::Float, span))
            }
            (Node::Literal(Value::Int(value)), Type::Int, Type::Decimal { scale, .. }) => {
                let exact = Decimal { mantissa: *value, scale: 0 };
                self.scaled(exact, *scale, to, span)
            }
            (Node::Literal(Value::Decimal(value)), Type::Decimal { .. }, Type::Decimal { scale, .. })
                if value.scale <= *scale =>
            {
                self.scaled(*value, *scale, to, span)
            }
            (_, Type::Int, Type::Float | Type::Decimal { .. }) => {
                Some(Expr { ty: to.clone(), node: Node::Convert(Box::new(expr)), span })
            }
            (_, Type::Decimal { scale: from, .. }, Type::Decimal { scale, .. }) if from != scale => {
                Some(Expr { ty: to.clone(), node: Node::Convert(Box::new(expr)), span })
            }
            _ => Some(expr),
        }
    }

    fn scaled(&mut self, value: Decimal, scale: u8, to: &Type, span: crate::source::Span) -> Option<Expr> {
        let factor = 10i64.pow(u32::from(scale - value.scale));
        match value.mantissa.checked_mul(factor) {
            Some(mantissa) if mantissa.unsigned_abs() < 10u64.pow(u32::from(PRECISION_MAX)) => {
                Some(literal(Value::Decimal(Decimal { mantissa, scale }), to.clone(), span))
            }
            _ => self.error(
                "literal.invalid",
                span,
                format!(
                    "a decimal has at most {PRECISION_MAX} digits, {scale} of them behind the point here"
                ),
            ),
        }
    }

    /// The expression as a value for a column, field or setting of a type; an error when it does not fit.
    pub(super) fn coerce(&mut self, expr: Expr, to: &Type) -> Option<Expr> {
        let fits = match (&expr.ty, to) {
            (Type::Null, _) | (Type::Int, Type::Float) => true,
            (Type::Int, Type::Decimal { .. }) => true,
            (Type::Decimal { .. }, Type::Decimal { scale, .. }) => match &expr.node {
                Node::Literal(Value::Decimal(value)) => value.scale <= *scale,
                _ => true,
            },
            (Type::Text { .. } | Type::Enum(_), Type::Text { .. }) => true,
            (Type::List(from), Type::List(item)) => {
                from == item || (from.is_textual() && **item == Type::Text { max: None })
            }
            (from, Type::Ref(table)) => {
                from == to
                    || *from == *self.schema.key_type(*table)
                    || same_text(from, self.schema.key_type(*table))
            }
            (Type::Ref(table), _) => {
                same_text(self.schema.key_type(*table), to) || self.schema.key_type(*table) == to
            }
            (from, _) => from == to,
        };
        if fits {
            let within = match to {
                Type::Float | Type::Decimal { .. } => self.convert(expr, to)?,
                Type::Ref(_) if matches!(expr.node, Node::Literal(Value::Null)) => self.convert(expr, to)?,
                _ => expr,
            };
            return self.bounded(within, to);
        }
        let message = format!("expected {}, found {}", self.describe(to), self.describe(&expr.ty));
        let mut diagnostic = Diagnostic::error("type.mismatch", expr.span, message);
        if let (Type::Decimal { .. }, Type::Decimal { scale, .. }) = (&expr.ty, to) {
            diagnostic = diagnostic.help(format!("write at most {scale} digits behind the point"));
        }
        self.report(diagnostic)
    }

    /// A literal must also keep the length or precision of what it is given to.
    fn bounded(&mut self, expr: Expr, to: &Type) -> Option<Expr> {
        let Node::Literal(value) = &expr.node else { return Some(expr) };
        match (value, to) {
            (Value::Text(text), Type::Text { max: Some(max) }) if text.chars().count() > *max as usize => {
                let message =
                    format!("this text is longer than the {max} characters of {}", self.describe(to));
                self.error("literal.invalid", expr.span, message)
            }
            (Value::Decimal(value), Type::Decimal { precision, .. })
                if value.mantissa.unsigned_abs() >= 10u64.pow(u32::from(*precision)) =>
            {
                let message = format!("this number has more digits than {} holds", self.describe(to));
                self.error("literal.invalid", expr.span, message)
            }
            _ => Some(expr),
        }
    }
}

/// Whether both are text of whatever length.
fn same_text(left: &Type, right: &Type) -> bool {
    matches!((left, right), (Type::Text { .. }, Type::Text { .. }))
}
