//! What follows from literals among the operands of one node, under three-valued logic.
//!
//! Looks at one node whose operands are simplified already; asks nothing about callers. An error that an operand could
//! have raised is lost where another decides, as evaluation from left to right would lose it too.

use crate::expr::{Ask, Expr, Node};
use crate::types::Type;
use crate::value::{Decimal, Duration, Value};

/// A literal in the place of an expression.
pub(super) fn literal(value: Value, of: &Expr) -> Expr {
    Expr { node: Node::Literal(value), ty: of.ty.clone(), span: of.span }
}

/// The expression, or a simpler one of the same value and type.
pub(super) fn simplify(expr: Expr) -> Expr {
    let (ty, span) = (expr.ty.clone(), expr.span);
    let node = match expr.node {
        Node::Not(inner) => match inner.node {
            Node::Literal(Value::Bool(truth)) => Node::Literal(Value::Bool(!truth)),
            Node::Literal(Value::Null) => Node::Literal(Value::Null),
            Node::Not(inner) => return *inner,
            node => Node::Not(Box::new(Expr { node, ..*inner })),
        },
        Node::And(items) => junction(items, false),
        Node::Or(items) => junction(items, true),
        Node::Coalesce(items) => return coalesce(items, ty, span),
        Node::If { condition, then, otherwise } => match condition.node {
            Node::Literal(Value::Bool(true)) => return *then,
            Node::Literal(_) => return *otherwise,
            _ => Node::If { condition, then, otherwise },
        },
        Node::IsNull { value, negated } => match value.node {
            Node::Literal(value) => Node::Literal(Value::Bool(value.is_null() != negated)),
            _ => Node::IsNull { value, negated },
        },
        Node::Many(many) => match (many.ask, many.body.as_ref().map(|body| &body.node)) {
            (Ask::Any, Some(Node::Literal(Value::Bool(false)))) => Node::Literal(Value::Bool(false)),
            (Ask::None, Some(Node::Literal(Value::Bool(false)))) => Node::Literal(Value::Bool(true)),
            (Ask::All, Some(Node::Literal(Value::Bool(true)))) => Node::Literal(Value::Bool(true)),
            (Ask::Count, Some(Node::Literal(Value::Bool(false)))) => Node::Literal(Value::Int(0)),
            _ => Node::Many(many),
        },
        node if has_null_operand(&node) => Node::Literal(Value::Null),
        node => node,
    };
    // A junction of one is that one, with its own place in the text.
    match node {
        Node::And(mut items) | Node::Or(mut items) if items.len() == 1 => {
            items.pop().expect("there is exactly one")
        }
        node => Expr { node, ty, span },
    }
}

/// What a question to no rows at all is answered.
pub(super) fn of_no_rows(ask: Ask, expr: &Expr) -> Expr {
    let value = match (ask, &expr.ty) {
        (Ask::Any, _) => Value::Bool(false),
        (Ask::All | Ask::None, _) => Value::Bool(true),
        (Ask::Min | Ask::Max, _) => Value::Null,
        (Ask::Sum, Type::Float) => Value::Float(0.0),
        (Ask::Sum, Type::Decimal { scale, .. }) => Value::Decimal(Decimal { mantissa: 0, scale: *scale }),
        (Ask::Sum, Type::Duration) => Value::Duration(Duration(0)),
        (Ask::Count | Ask::Sum, _) => Value::Int(0),
    };
    literal(value, expr)
}

/// Conjunction (`decisive` false) or disjunction (`decisive` true) without what cannot change it.
fn junction(items: Vec<Expr>, decisive: bool) -> Node {
    let mut kept: Vec<Expr> = Vec::with_capacity(items.len());
    let mut unknown = false;
    let mut pending = items.into_iter().rev().collect::<Vec<_>>();
    while let Some(item) = pending.pop() {
        match item.node {
            Node::Literal(Value::Bool(truth)) if truth == decisive => {
                return Node::Literal(Value::Bool(decisive));
            }
            Node::Literal(Value::Bool(_)) => {}
            Node::Literal(Value::Null) if unknown => {}
            Node::And(inner) if !decisive => pending.extend(inner.into_iter().rev()),
            Node::Or(inner) if decisive => pending.extend(inner.into_iter().rev()),
            _ => {
                unknown |= is_null(&item);
                kept.push(item);
            }
        }
    }
    match kept.len() {
        0 => Node::Literal(Value::Bool(!decisive)),
        _ if decisive => Node::Or(kept),
        _ => Node::And(kept),
    }
}

fn coalesce(items: Vec<Expr>, ty: Type, span: crate::source::Span) -> Expr {
    let mut kept: Vec<Expr> = items.into_iter().filter(|item| !is_null(item)).collect();
    // Nothing behind a literal is ever looked at.
    if let Some(first) = kept.iter().position(|item| matches!(item.node, Node::Literal(_))) {
        kept.truncate(first + 1);
    }
    match kept.len() {
        0 => Expr { node: Node::Literal(Value::Null), ty, span },
        1 => kept.pop().expect("there is exactly one"),
        _ => Expr { node: Node::Coalesce(kept), ty, span },
    }
}

fn is_null(expr: &Expr) -> bool {
    matches!(expr.node, Node::Literal(Value::Null))
}

/// Whether it is an operation that is null as soon as one operand is, and one is.
fn has_null_operand(node: &Node) -> bool {
    match node {
        Node::Compare { left, right, .. } | Node::Arithmetic { left, right, .. } => {
            is_null(left) || is_null(right)
        }
        Node::Contains { value, needle } => is_null(value) || is_null(needle),
        // Not even null is in an empty list.
        Node::In { value, items } => is_null(value) && !items.is_empty(),
        Node::InList { value, list } => is_null(value) || is_null(list),
        Node::Negate(inner) | Node::Convert(inner) | Node::Rank(inner) => is_null(inner),
        Node::JsonPath { value, .. } => is_null(value),
        Node::Call { args, .. } => args.iter().any(is_null),
        _ => false,
    }
}
