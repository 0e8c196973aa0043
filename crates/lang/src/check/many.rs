//! Questions to the rows of a to-many relation: `members.any(active)`, `lines.sum(quantity * price)`.
//!
//! The body is read in the scope of the relation's row; `this` is the row outside.

use super::{Checker, Frame, convert};
use crate::diagnostic::Diagnostic;
use crate::expr::{Ask, Expr, Many, Node, RowPath};
use crate::naming::did_you_mean;
use crate::schema::{RelationId, TableId};
use crate::source::Span;
use crate::syntax::{self, Name};
use crate::types::Type;

/// The methods of a to-many relation.
const ASKS: [(&str, Ask); 7] = [
    ("any", Ask::Any),
    ("all", Ask::All),
    ("none", Ask::None),
    ("count", Ask::Count),
    ("sum", Ask::Sum),
    ("min", Ask::Min),
    ("max", Ask::Max),
];

/// A relation of a row that has been reached.
pub(super) struct Relation {
    pub(super) row: RowPath,
    pub(super) table: TableId,
    pub(super) relation: RelationId,
}

impl Checker<'_> {
    pub(super) fn many(
        &mut self,
        of: Relation,
        method: &Name,
        args: &[syntax::Expr],
        span: Span,
    ) -> Option<Expr> {
        let Some((_, ask)) = ASKS.iter().find(|(name, _)| *name == method.text) else {
            let mut diagnostic = Diagnostic::error(
                "name.unknown",
                method.span,
                format!("many rows cannot be asked `{}`", method.text),
            );
            let listed = || "they can be asked any, all, none, count, sum, min and max".to_owned();
            let help = did_you_mean(&method.text, ASKS.iter().map(|(name, _)| *name)).unwrap_or_else(listed);
            diagnostic = diagnostic.help(help);
            return self.report(diagnostic);
        };
        let ask = *ask;
        let optional = matches!(ask, Ask::Any | Ask::None | Ask::Count);
        if args.len() > 1 || (args.is_empty() && !optional) {
            let what = match ask {
                Ask::Any | Ask::None | Ask::Count => "at most one condition",
                Ask::All => "one condition",
                Ask::Sum | Ask::Min | Ask::Max => "one value",
            };
            let message = format!("`{}` takes {what}, found {}", method.text, args.len());
            return self.error("function.arguments", span, message);
        }
        let target = self.schema.table(of.table).relation(of.relation).target;
        let body = match args.first() {
            None => None,
            Some(arg) => Some(self.body(arg, target, ask)?),
        };
        let ty = match (ask, &body) {
            (Ask::Any | Ask::All | Ask::None, _) => Type::Bool,
            (Ask::Sum | Ask::Min | Ask::Max, Some(body)) => convert::widened(&body.ty),
            _ => Type::Int,
        };
        let Relation { row, table, relation } = of;
        let many = Many { row, table, relation, target, ask, body, visible: None };
        Some(Expr { node: Node::Many(Box::new(many)), ty, span })
    }

    fn body(&mut self, arg: &syntax::Expr, target: TableId, ask: Ask) -> Option<Expr> {
        let outer = self.current;
        self.frames.push(Frame { table: target, parent: outer });
        self.current = Some(self.frames.len() - 1);
        let body = match ask {
            Ask::Any | Ask::All | Ask::None | Ask::Count => self.condition(arg),
            Ask::Sum => self.check(arg, None).and_then(|body| self.summable(body)),
            Ask::Min | Ask::Max => self.check(arg, None).and_then(|body| self.ordered(body)),
        };
        self.frames.pop();
        self.current = outer;
        body
    }

    /// A number, as `sum` takes.
    pub(crate) fn summable(&mut self, body: Expr) -> Option<Expr> {
        if body.ty.is_numeric() {
            return Some(body);
        }
        let message = format!("expected a number, found {}", self.describe(&body.ty));
        self.error("type.mismatch", body.span, message)
    }

    /// Something with a least and a greatest.
    pub(crate) fn ordered(&mut self, body: Expr) -> Option<Expr> {
        match body.ty {
            Type::Int | Type::Float | Type::Decimal { .. } | Type::Text { .. } => Some(body),
            Type::Date | Type::Time | Type::Timestamp | Type::Duration => Some(body),
            _ => {
                let message = format!("{} has no least or greatest", self.describe(&body.ty));
                self.error("type.mismatch", body.span, message)
            }
        }
    }
}
