//! How the lines for one operation are one rule.
//!
//! Looks at conditions alone: whose they are, and what of a table they are about, is known around it.

use std::sync::Arc;

use mainstay_lang::expr::{Expr, Node};
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;

use super::Rule;

/// Any of the lines; a line without a condition allows everyone.
pub(super) fn any<'a>(lines: impl Iterator<Item = Option<&'a Arc<Expr>>>) -> Rule {
    let mut conditions: Vec<&Arc<Expr>> = Vec::new();
    for line in lines {
        match line.map(|condition| (condition, &condition.node)) {
            None | Some((_, Node::Literal(Value::Bool(true)))) => return Rule::Always,
            Some((_, Node::Literal(_))) => {}
            Some((condition, _)) => conditions.push(condition),
        }
    }
    match conditions.as_slice() {
        [] => Rule::Never,
        [one] => Rule::When(Arc::clone(one)),
        [first, ..] => {
            let span = first.span;
            let items = conditions.iter().map(|condition| Expr::clone(condition)).collect();
            Rule::When(Arc::new(Expr { node: Node::Or(items), ty: Type::Bool, span }))
        }
    }
}

/// What is allowed, as far as none of the lines denies it; a line without a condition denies everything. Where one is unknown the whole
/// is not true: what may be denied is.
pub(super) fn none_of<'a>(allowed: Rule, denied: impl Iterator<Item = Option<&'a Arc<Expr>>>) -> Rule {
    let mut conditions: Vec<Expr> = Vec::new();
    for line in denied {
        match line.map(|condition| (condition, &condition.node)) {
            Some((_, Node::Literal(Value::Bool(false)))) => {}
            None | Some((_, Node::Literal(_))) => return Rule::Never,
            Some((condition, _)) => {
                let node = Node::Not(Box::new(Expr::clone(condition)));
                conditions.push(Expr { node, ty: Type::Bool, span: condition.span });
            }
        }
    }
    match allowed {
        _ if conditions.is_empty() => return allowed,
        Rule::Never => return Rule::Never,
        Rule::Always => {}
        Rule::When(condition) => conditions.insert(0, Expr::clone(&condition)),
    }
    let span = conditions[0].span;
    Rule::When(Arc::new(match conditions.pop() {
        Some(one) if conditions.is_empty() => one,
        last => {
            conditions.extend(last);
            Expr { node: Node::And(conditions), ty: Type::Bool, span }
        }
    }))
}
