//! Partial evaluation: a rule as it stands for one caller.
//!
//! Conditions that no row can change (`signed_in`, `user.can("x")`, `user == null`, `user.role == admin`) become
//! `true` or `false` and the logic around them is simplified, so that `… or user.can("x")` does not keep a database
//! from using an index, and a rule that holds for every row vanishes. Values of the caller that are compared with a
//! row's stay as they are, to become binds: rules then have few shapes and statements can be kept. For an anonymous
//! caller those values are null, and fold.
//!
//! [`specialise`] keeps the value for every row, unknown included; [`specialise_filter`] keeps only whether it is true.

mod simplify;

use std::sync::Arc;

use crate::eval::{CallerView, Compiled, Env};
use crate::expr::{Ask, CallerFact, Expr, Hop, Many, Node, Root, RowPath};
use crate::types::Type;
use crate::value::{Timestamp, Value};

use simplify::{literal, simplify};

/// The expression for one caller at one time; it has the same value for every row.
pub fn specialise(expr: &Expr, caller: &dyn CallerView, now: Timestamp) -> Expr {
    Folder { caller, now: Some(now) }.exact(expr)
}

/// The condition for one caller at one time; it is true for the same rows. Where the condition is unknown, the result
/// may be false: for `allow`, `where` and `require`, which ask no more, and not for `check`, which fails on false.
pub fn specialise_filter(expr: &Expr, caller: &dyn CallerView, now: Timestamp) -> Expr {
    Folder { caller, now: Some(now) }.filter(expr)
}

/// The same for as long as the caller stays who it is: what depends on the clock is left as it stands.
pub fn specialise_filter_lasting(expr: &Expr, caller: &dyn CallerView) -> Expr {
    Folder { caller, now: None }.filter(expr)
}

struct Folder<'c> {
    caller: &'c dyn CallerView,
    /// None: the result is to hold at any time.
    now: Option<Timestamp>,
}

impl Folder<'_> {
    /// Where it matters only whether the condition is true.
    fn filter(&self, expr: &Expr) -> Expr {
        let folded = self.fold(expr, true);
        match folded.node {
            Node::Literal(Value::Null) => literal(Value::Bool(false), &folded),
            _ => folded,
        }
    }

    /// Where its value matters.
    fn exact(&self, expr: &Expr) -> Expr {
        self.fold(expr, false)
    }

    /// Something that is compared or computed with: a plain value of the caller is kept for a bind.
    fn operand(&self, expr: &Expr) -> Expr {
        match &expr.node {
            Node::Column { row, .. } => self.column(expr, row),
            Node::Caller(CallerFact::User) if self.caller.user().is_none() => literal(Value::Null, expr),
            Node::Caller(CallerFact::User | CallerFact::Tenant | CallerFact::Session) => expr.clone(),
            _ => self.exact(expr),
        }
    }

    fn fold(&self, expr: &Expr, filter: bool) -> Expr {
        if let Some(decided) = self.decided(expr) {
            return decided;
        }
        let node = match &expr.node {
            Node::Literal(_) | Node::Param(_) | Node::Caller(_) | Node::Clock(_) | Node::EventAt => {
                return expr.clone();
            }
            Node::Column { row, .. } => return self.column(expr, row),
            Node::Not(inner) => Node::Not(Box::new(self.exact(inner))),
            Node::And(items) => Node::And(self.conditions(items, filter)),
            Node::Or(items) => Node::Or(self.conditions(items, filter)),
            Node::Compare { op, left, right } => {
                let (left, right) = self.operands(left, right);
                Node::Compare { op: *op, left, right }
            }
            Node::IsNull { value, negated } => {
                Node::IsNull { value: Box::new(self.operand(value)), negated: *negated }
            }
            Node::In { value, items } => {
                let items = items.iter().map(|item| self.operand(item)).collect();
                Node::In { value: Box::new(self.operand(value)), items }
            }
            Node::InList { value, list } => {
                let (value, list) = self.operands(value, list);
                Node::InList { value, list }
            }
            Node::Contains { value, needle } => {
                let (value, needle) = self.operands(value, needle);
                Node::Contains { value, needle }
            }
            Node::Arithmetic { op, left, right } => {
                let (left, right) = self.operands(left, right);
                Node::Arithmetic { op: *op, left, right }
            }
            Node::Negate(inner) => Node::Negate(Box::new(self.operand(inner))),
            Node::Convert(inner) => Node::Convert(Box::new(self.operand(inner))),
            Node::Rank(inner) => Node::Rank(Box::new(self.operand(inner))),
            Node::JsonPath { value, path } => {
                Node::JsonPath { value: Box::new(self.operand(value)), path: path.clone() }
            }
            Node::Coalesce(items) => Node::Coalesce(items.iter().map(|item| self.operand(item)).collect()),
            Node::If { condition, then, otherwise } => {
                let branch = |expr| Box::new(if filter { self.filter(expr) } else { self.operand(expr) });
                Node::If {
                    condition: Box::new(self.filter(condition)),
                    then: branch(then),
                    otherwise: branch(otherwise),
                }
            }
            Node::Call { function, args } => {
                Node::Call { function: *function, args: args.iter().map(|arg| self.operand(arg)).collect() }
            }
            Node::Many(many) => return self.many(expr, many),
        };
        simplify(Expr { node, ty: expr.ty.clone(), span: expr.span })
    }

    /// Whether one of `and` or `or` is unknown matters as little as it does for the whole.
    fn conditions(&self, items: &[Expr], filter: bool) -> Vec<Expr> {
        items.iter().map(|item| if filter { self.filter(item) } else { self.exact(item) }).collect()
    }

    fn operands(&self, left: &Expr, right: &Expr) -> (Box<Expr>, Box<Expr>) {
        (Box::new(self.operand(left)), Box::new(self.operand(right)))
    }

    fn column(&self, expr: &Expr, row: &RowPath) -> Expr {
        let Some(path) = self.path(row) else { return literal(Value::Null, expr) };
        match &expr.node {
            Node::Column { table, column, .. } => {
                let node = Node::Column { row: path, table: *table, column: *column };
                Expr { node, ty: expr.ty.clone(), span: expr.span }
            }
            _ => expr.clone(),
        }
    }

    /// The path with what this caller may see of it; `None`: it leads nowhere.
    fn path(&self, row: &RowPath) -> Option<RowPath> {
        if row.root == Root::User && self.caller.user().is_none() {
            return None;
        }
        let hop = |hop: &Hop| {
            let visible = self.visible(hop.visible.as_ref())?;
            Some(Hop { column: hop.column, target: hop.target, visible })
        };
        Some(RowPath { root: row.root, hops: row.hops.iter().map(hop).collect::<Option<_>>()? })
    }

    /// What is left of a condition on the rows that count; `None`: none does.
    fn visible(&self, visible: Option<&Arc<Expr>>) -> Option<Option<Arc<Expr>>> {
        let Some(visible) = visible else { return Some(None) };
        let folded = self.filter(visible);
        match folded.node {
            Node::Literal(Value::Bool(true)) => Some(None),
            Node::Literal(_) => None,
            _ => Some(Some(Arc::new(folded))),
        }
    }

    fn many(&self, expr: &Expr, many: &Many) -> Expr {
        let rows = self.path(&many.row).zip(self.visible(many.visible.as_ref()));
        let Some((row, visible)) = rows else { return simplify::of_no_rows(many.ask, expr) };
        let body = many.body.as_ref().map(|body| match many.ask {
            Ask::Any | Ask::All | Ask::None | Ask::Count => self.filter(body),
            Ask::Sum | Ask::Min | Ask::Max => self.operand(body),
        });
        let many = Many {
            row,
            table: many.table,
            relation: many.relation,
            target: many.target,
            ask: many.ask,
            body,
            visible,
        };
        simplify(Expr { node: Node::Many(Box::new(many)), ty: expr.ty.clone(), span: expr.span })
    }

    /// A condition that no row changes as a literal; `None` when rows do, or when it only has an error to tell.
    fn decided(&self, expr: &Expr) -> Option<Expr> {
        if expr.ty != Type::Bool || !expr.is_row_free() {
            return None;
        }
        if self.now.is_none() && reads_clock(expr) {
            return None;
        }
        // Without a clock nothing that is asked here reads it.
        let env = Env::of_row(&[], self.caller, self.now.unwrap_or(Timestamp(0)));
        let truth = Compiled::new(expr).ok()?.test(&env).ok()?;
        Some(literal(truth.map_or(Value::Null, Value::Bool), expr))
    }
}

fn reads_clock(expr: &Expr) -> bool {
    let mut reads = false;
    expr.walk(&mut |expr| reads |= matches!(expr.node, Node::Clock(_)));
    reads
}

#[cfg(test)]
mod tests;
