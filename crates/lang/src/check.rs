//! The type checker: an expression as written, in a [`Place`], becomes a typed [`Expr`].
//!
//! It finds every problem of an expression, not only the first: a part that is wrong yields `None` once its
//! diagnostic has been given, and its neighbours are still looked at. A type hint travels down to the words that have
//! no type of their own (text for a date, bare enum names, `null`, `$name`); conversions are written into the tree.
//!
//! Invariant: an expression that comes out is closed under its place, so that it can be planted on any row of it.

mod arithmetic;
mod call;
mod compare;
mod convert;
mod literal;
mod many;
mod path;
mod place;

use crate::diagnostic::Diagnostic;
use crate::expr::{Expr, Node};
use crate::schema::{Schema, TableId};
use crate::source::Span;
use crate::syntax::{self, BinaryOp, ExprKind};
use crate::types::Type;
use crate::value::Value;

pub(crate) use place::{CallerUse, Place};

/// How deep an expression may be nested; `and` and `or` chains count once.
const DEPTH_MAX: u32 = 128;

/// The checker of the expressions of one place.
pub(crate) struct Checker<'a> {
    schema: &'a Schema,
    place: Place<'a>,
    problems: &'a mut Vec<Diagnostic>,
    frames: Vec<Frame>,
    current: Option<usize>,
    depth: u32,
    open_params: Vec<(String, Option<Type>)>,
}

/// The row of a scope: the place's own row first, then one for each `any(…)` entered.
#[derive(Clone, Copy)]
struct Frame {
    table: TableId,
    parent: Option<usize>,
}

impl<'a> Checker<'a> {
    /// A checker for a place; what it finds wrong goes to `problems`.
    pub(crate) fn new(
        schema: &'a Schema,
        place: Place<'a>,
        problems: &'a mut Vec<Diagnostic>,
    ) -> Checker<'a> {
        let frames: Vec<Frame> =
            place.row.iter().map(|table| Frame { table: *table, parent: None }).collect();
        let current = if frames.is_empty() { None } else { Some(0) };
        Checker { schema, place, problems, frames, current, depth: 0, open_params: Vec::new() }
    }

    /// Knows the types of some `$name` parameters from an earlier pass over the same text.
    pub(crate) fn with_params(mut self, params: Vec<(String, Option<Type>)>) -> Checker<'a> {
        self.open_params = params;
        self
    }

    /// The `$name` parameters seen so far, in order of first appearance, with what is known of their types.
    pub(crate) fn into_params(self) -> Vec<(String, Option<Type>)> {
        self.open_params
    }

    /// An expression that must be true or false.
    pub(crate) fn condition(&mut self, expr: &syntax::Expr) -> Option<Expr> {
        let checked = self.check(expr, Some(&Type::Bool))?;
        match checked.ty {
            Type::Bool => Some(checked),
            Type::Ref(_) => {
                let message = format!("expected a condition, found {}", self.describe(&checked.ty));
                self.report(
                    Diagnostic::error("type.mismatch", expr.span, message)
                        .help("to ask whether there is one, write `… != null`"),
                )
            }
            _ => {
                let message = format!("expected a condition (bool), found {}", self.describe(&checked.ty));
                self.error("type.mismatch", expr.span, message)
            }
        }
    }

    /// An expression that must fit a column, field or setting of a type.
    pub(crate) fn assigned(&mut self, expr: &syntax::Expr, to: &Type) -> Option<Expr> {
        let checked = self.check(expr, Some(to))?;
        self.coerce(checked, to)
    }

    /// An expression of any type; the hint helps literals and bare names.
    pub(crate) fn check(&mut self, expr: &syntax::Expr, hint: Option<&Type>) -> Option<Expr> {
        if self.depth == DEPTH_MAX {
            let message = format!("this expression is nested more than {DEPTH_MAX} levels deep");
            return self.error("expression.depth", expr.span, message);
        }
        self.depth += 1;
        let checked = self.check_kind(expr, hint);
        self.depth -= 1;
        checked
    }

    fn check_kind(&mut self, expr: &syntax::Expr, hint: Option<&Type>) -> Option<Expr> {
        let span = expr.span;
        match &expr.kind {
            ExprKind::Int(value) => Some(literal(Value::Int(*value), Type::Int, span)),
            ExprKind::Number(digits) => self.number(digits, span, hint),
            ExprKind::Text(text) => self.text(text, span, hint),
            ExprKind::Bool(value) => Some(literal(Value::Bool(*value), Type::Bool, span)),
            ExprKind::Null => Some(literal(Value::Null, hint.cloned().unwrap_or(Type::Null), span)),
            ExprKind::Date(text) => self.date(text, span, hint),
            ExprKind::Timestamp(text) => self.timestamp(text, span),
            ExprKind::Duration(count, unit) => self.duration(*count, unit, span),
            ExprKind::Param(name) => self.open_param(name, span, hint),
            ExprKind::Name(_) | ExprKind::Member(..) => self.path(expr, hint),
            ExprKind::Call(name, args) => self.call(name, args, span, hint),
            ExprKind::Method(base, name, args) => self.method(base, name, args, span),
            ExprKind::Not(inner) => {
                let inner = self.condition(inner)?;
                Some(Expr { node: Node::Not(Box::new(inner)), ty: Type::Bool, span })
            }
            ExprKind::Negate(inner) => self.negate(inner, span, hint),
            ExprKind::Binary(op, left, right) => self.binary(expr, *op, left, right, hint),
            ExprKind::In(value, list, negated) => {
                let found = self.contained(value, list, span)?;
                if !negated {
                    return Some(found);
                }
                Some(Expr { node: Node::Not(Box::new(found)), ty: Type::Bool, span })
            }
            ExprKind::List(items) => self.list(items, span, hint),
            ExprKind::If(condition, then, otherwise) => {
                self.conditional(condition, then, otherwise, span, hint)
            }
            ExprKind::Paren(inner) => self.check(inner, hint),
            ExprKind::Error => None,
        }
    }

    fn binary(
        &mut self,
        whole: &syntax::Expr,
        op: BinaryOp,
        left: &syntax::Expr,
        right: &syntax::Expr,
        hint: Option<&Type>,
    ) -> Option<Expr> {
        match op {
            BinaryOp::And | BinaryOp::Or => self.junction(whole, op),
            BinaryOp::Coalesce => self.coalesce_chain(whole, hint),
            BinaryOp::Contains => self.contains(left, right, whole.span),
            BinaryOp::NotContains => {
                let found = self.contains(left, right, whole.span)?;
                Some(Expr { node: Node::Not(Box::new(found)), ty: Type::Bool, span: whole.span })
            }
            BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div | BinaryOp::Rem => {
                self.arithmetic(op, left, right, whole.span, hint)
            }
            _ => self.compare(op, left, right, whole.span),
        }
    }

    /// A chain of one of `and`, `or` becomes one node, however long it is.
    fn junction(&mut self, whole: &syntax::Expr, op: BinaryOp) -> Option<Expr> {
        let operands = chain(whole, op);
        let checked: Vec<Option<Expr>> =
            operands.into_iter().map(|operand| self.condition(operand)).collect();
        let items = checked.into_iter().collect::<Option<Vec<Expr>>>()?;
        let node = if op == BinaryOp::And { Node::And(items) } else { Node::Or(items) };
        Some(Expr { node, ty: Type::Bool, span: whole.span })
    }

    fn coalesce_chain(&mut self, whole: &syntax::Expr, hint: Option<&Type>) -> Option<Expr> {
        let operands = chain(whole, BinaryOp::Coalesce);
        self.coalesce(&operands, whole.span, hint)
    }

    /// The first of several that is not null: all brought to one type.
    fn coalesce(&mut self, operands: &[&syntax::Expr], span: Span, hint: Option<&Type>) -> Option<Expr> {
        let items = self.same_type(operands, hint)?;
        let ty = items.first()?.ty.clone();
        Some(Expr { node: Node::Coalesce(items), ty, span })
    }

    fn conditional(
        &mut self,
        condition: &syntax::Expr,
        then: &syntax::Expr,
        otherwise: &syntax::Expr,
        span: Span,
        hint: Option<&Type>,
    ) -> Option<Expr> {
        let condition = self.condition(condition);
        let mut branches = self.same_type(&[then, otherwise], hint)?.into_iter();
        let then = Box::new(branches.next()?);
        let otherwise = Box::new(branches.next()?);
        let ty = then.ty.clone();
        Some(Expr { node: Node::If { condition: Box::new(condition?), then, otherwise }, ty, span })
    }

    /// Several operands, brought to one type: those that know their own type are looked at first and hint the others.
    fn same_type(&mut self, operands: &[&syntax::Expr], hint: Option<&Type>) -> Option<Vec<Expr>> {
        let mut checked: Vec<Option<Expr>> = operands.iter().map(|_| None).collect();
        let mut known = hint.cloned();
        let mut complete = true;
        for needy in [false, true] {
            for (slot, operand) in checked.iter_mut().zip(operands) {
                if self.is_needy(operand) != needy {
                    continue;
                }
                *slot = self.check(operand, known.as_ref());
                match slot {
                    Some(expr) if known.is_none() && expr.ty != Type::Null => known = Some(expr.ty.clone()),
                    Some(_) => {}
                    None => complete = false,
                }
            }
        }
        if !complete {
            return None;
        }
        let mut items = checked.into_iter().collect::<Option<Vec<Expr>>>()?;
        let mut common = items.first()?.ty.clone();
        for item in &items[1..] {
            let Some(both) = convert::common(&common, &item.ty) else {
                let message = format!(
                    "this is {}, but the other is {}",
                    self.describe(&item.ty),
                    self.describe(&common)
                );
                self.error("type.mismatch", item.span, message);
                return None;
            };
            common = both;
        }
        items = items.into_iter().map(|item| self.convert(item, &common)).collect::<Option<Vec<Expr>>>()?;
        Some(items)
    }

    /// Gives a diagnostic; `None` says to the caller that it has been given.
    fn report(&mut self, diagnostic: Diagnostic) -> Option<Expr> {
        self.problems.push(diagnostic);
        None
    }

    fn error(&mut self, code: &'static str, span: Span, message: impl Into<String>) -> Option<Expr> {
        self.report(Diagnostic::error(code, span, message))
    }

    /// A type for people; a reference names its table.
    pub(crate) fn describe(&self, ty: &Type) -> String {
        describe(self.schema, ty)
    }
}

/// A type for people; a reference names its table.
pub(crate) fn describe(schema: &Schema, ty: &Type) -> String {
    match ty {
        Type::Ref(table) => format!("a row of `{}`", schema.table(*table).name),
        Type::Null => "null".into(),
        other => format!("`{other}`"),
    }
}

/// A literal of a type.
pub(crate) fn literal(value: Value, ty: Type, span: Span) -> Expr {
    Expr { node: Node::Literal(value), ty, span }
}

/// The operands of a chain of one operator, in order; parentheses of the same operator are looked through.
fn chain(whole: &syntax::Expr, op: BinaryOp) -> Vec<&syntax::Expr> {
    let mut pending = vec![whole];
    let mut operands = Vec::new();
    while let Some(expr) = pending.pop() {
        match &expr.kind {
            ExprKind::Binary(found, left, right) if *found == op => {
                pending.push(right);
                pending.push(left);
            }
            _ => operands.push(expr),
        }
    }
    operands
}
