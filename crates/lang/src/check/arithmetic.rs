//! Arithmetic: numbers of one kind, and times with durations.
//!
//! For decimals `+ - %` bring both sides to the greater scale, `*` adds the scales (18 at most) and `/` keeps six
//! digits more than its sides have; the evaluators read the scales from the types.

use super::{Checker, convert, literal};
use crate::diagnostic::Diagnostic;
use crate::expr::{ArithmeticOp, Expr, Node};
use crate::source::Span;
use crate::syntax::{self, BinaryOp};
use crate::types::Type;
use crate::value::{Decimal, Duration, Value};

/// Digits that a quotient has behind those of its operands.
const QUOTIENT_DIGITS: u8 = 6;

impl Checker<'_> {
    pub(super) fn arithmetic(
        &mut self,
        op: BinaryOp,
        left: &syntax::Expr,
        right: &syntax::Expr,
        span: Span,
        hint: Option<&Type>,
    ) -> Option<Expr> {
        let op = arithmetic_op(op);
        let (left, right) = self.operands(op, left, right, hint)?;
        let (left, right) = match (&left.ty, &right.ty) {
            (Type::Null, ty) if ty.is_numeric() => (literal(Value::Null, ty.clone(), left.span), right),
            (ty, Type::Null) if ty.is_numeric() => {
                let null = literal(Value::Null, ty.clone(), right.span);
                (left, null)
            }
            _ => (left, right),
        };
        if left.ty.is_numeric() && right.ty.is_numeric() {
            return self.numeric(op, left, right, span);
        }
        let (left, right) =
            if op == ArithmeticOp::Mul && right.ty == Type::Duration { (right, left) } else { (left, right) };
        let Some(ty) = temporal(op, &left.ty, &right.ty) else {
            return self.no_arithmetic(op, &left, &right, span);
        };
        let node = Node::Arithmetic { op, left: Box::new(left), right: Box::new(right) };
        Some(Expr { node, ty, span })
    }

    /// Both sides; one without a type of its own takes what goes with the other.
    fn operands(
        &mut self,
        op: ArithmeticOp,
        left: &syntax::Expr,
        right: &syntax::Expr,
        hint: Option<&Type>,
    ) -> Option<(Expr, Expr)> {
        match (self.is_needy(left), self.is_needy(right)) {
            (true, false) => {
                let right = self.check(right, hint)?;
                let left = self.check(left, Some(&partner(op, &right.ty, hint)))?;
                Some((left, right))
            }
            (false, true) => {
                let left = self.check(left, hint)?;
                let right = self.check(right, Some(&partner(op, &left.ty, hint)))?;
                Some((left, right))
            }
            _ => self.pair(left, right, hint.filter(|ty| ty.is_numeric())),
        }
    }

    fn numeric(&mut self, op: ArithmeticOp, left: Expr, right: Expr, span: Span) -> Option<Expr> {
        let Some(common) = convert::common(&left.ty, &right.ty) else {
            return self.no_arithmetic(op, &left, &right, span);
        };
        let product = matches!(op, ArithmeticOp::Mul | ArithmeticOp::Div);
        let (left, right, ty) = if matches!(common, Type::Decimal { .. }) && product {
            // Scales need not agree here: a whole number joins with none.
            let (left, right) = (self.whole_as_decimal(left)?, self.whole_as_decimal(right)?);
            let (a, b) = (scale(&left.ty), scale(&right.ty));
            let digits = if op == ArithmeticOp::Mul { a + b } else { a.max(b) + QUOTIENT_DIGITS };
            (left, right, convert::decimal(digits.min(convert::PRECISION_MAX)))
        } else {
            let ty = convert::widened(&common);
            (self.convert(left, &common)?, self.convert(right, &common)?, ty)
        };
        let node = Node::Arithmetic { op, left: Box::new(left), right: Box::new(right) };
        Some(Expr { node, ty, span })
    }

    fn whole_as_decimal(&mut self, expr: Expr) -> Option<Expr> {
        if expr.ty == Type::Int { self.convert(expr, &convert::decimal(0)) } else { Some(expr) }
    }

    fn no_arithmetic(&mut self, op: ArithmeticOp, left: &Expr, right: &Expr, span: Span) -> Option<Expr> {
        let (a, b) = (self.describe(&left.ty), self.describe(&right.ty));
        let sign = match op {
            ArithmeticOp::Add => '+',
            ArithmeticOp::Sub => '-',
            ArithmeticOp::Mul => '*',
            ArithmeticOp::Div => '/',
            ArithmeticOp::Rem => '%',
        };
        let mut diagnostic =
            Diagnostic::error("type.mismatch", span, format!("`{sign}` is not made for {a} and {b}"));
        let help = match (&left.ty, &right.ty) {
            (l, r) if l.is_textual() && r.is_textual() && op == ArithmeticOp::Add => {
                Some("join texts with concat(a, b)")
            }
            (Type::Float, Type::Decimal { .. }) | (Type::Decimal { .. }, Type::Float) => {
                Some("a decimal is exact and a float is not: declare both as one of them")
            }
            (Type::Date | Type::Timestamp, Type::Int) => Some("say of what: `… + 3 days`"),
            _ => None,
        };
        if let Some(help) = help {
            diagnostic = diagnostic.help(help);
        }
        self.report(diagnostic)
    }

    pub(super) fn negate(&mut self, inner: &syntax::Expr, span: Span, hint: Option<&Type>) -> Option<Expr> {
        let inner = self.check(inner, hint.filter(|ty| ty.is_numeric()))?;
        if !(inner.ty.is_numeric() || inner.ty == Type::Duration) {
            let message = format!("expected a number, found {}", self.describe(&inner.ty));
            return self.error("type.mismatch", inner.span, message);
        }
        let folded = match &inner.node {
            Node::Literal(Value::Int(value)) => value.checked_neg().map(Value::Int),
            // From zero, so that zero stays the one zero that there is.
            Node::Literal(Value::Float(value)) => Some(Value::Float(0.0 - value)),
            Node::Literal(Value::Decimal(value)) => {
                Some(Value::Decimal(Decimal { mantissa: -value.mantissa, scale: value.scale }))
            }
            Node::Literal(Value::Duration(value)) => {
                value.0.checked_neg().map(|micros| Value::Duration(Duration(micros)))
            }
            _ => None,
        };
        let ty = inner.ty.clone();
        Some(match folded {
            Some(value) => literal(value, ty, span),
            None => Expr { node: Node::Negate(Box::new(inner)), ty, span },
        })
    }
}

/// What an operand without a type of its own is beside a known one, when the whole should be of the hinted type.
fn partner(op: ArithmeticOp, known: &Type, hint: Option<&Type>) -> Type {
    match (known, op, hint) {
        (Type::Timestamp | Type::Date, ArithmeticOp::Sub, Some(Type::Duration)) => known.clone(),
        (Type::Timestamp | Type::Date, ..) => Type::Duration,
        (Type::Duration, ArithmeticOp::Mul | ArithmeticOp::Div, _) => Type::Int,
        (Type::Duration, _, Some(whole @ (Type::Timestamp | Type::Date))) => whole.clone(),
        _ => known.clone(),
    }
}

/// The type of arithmetic with times; `None`: there is no such.
fn temporal(op: ArithmeticOp, left: &Type, right: &Type) -> Option<Type> {
    use ArithmeticOp::{Add, Div, Mul, Sub};
    match (left, op, right) {
        (Type::Timestamp, Add | Sub, Type::Duration) => Some(Type::Timestamp),
        (Type::Date, Add | Sub, Type::Duration) => Some(Type::Date),
        (Type::Timestamp, Sub, Type::Timestamp) | (Type::Date, Sub, Type::Date) => Some(Type::Duration),
        (Type::Duration, Add | Sub, Type::Duration) => Some(Type::Duration),
        (Type::Duration, Mul | Div, Type::Int) => Some(Type::Duration),
        _ => None,
    }
}

fn scale(ty: &Type) -> u8 {
    match ty {
        Type::Decimal { scale, .. } => *scale,
        _ => 0,
    }
}

fn arithmetic_op(op: BinaryOp) -> ArithmeticOp {
    match op {
        BinaryOp::Sub => ArithmeticOp::Sub,
        BinaryOp::Mul => ArithmeticOp::Mul,
        BinaryOp::Div => ArithmeticOp::Div,
        BinaryOp::Rem => ArithmeticOp::Rem,
        _ => ArithmeticOp::Add,
    }
}
