//! Comparisons: `==` and its kin, `in`, `~`.
//!
//! The side that knows its type is read first and hints the other. `== null` is a test of its own; `<` on enums
//! compares declared places; a value inside json is text and takes a number or bool beside `==` in its JSON form.

use super::path::Thing;
use super::{Checker, Frame, convert, literal};
use crate::diagnostic::Diagnostic;
use crate::expr::{Ask, CompareOp, Expr, Many, Node, RowPath};
use crate::schema::ColumnId;
use crate::source::Span;
use crate::syntax::{self, BinaryOp, ExprKind};
use crate::types::Type;
use crate::value::Value;

impl Checker<'_> {
    pub(super) fn compare(
        &mut self,
        op: BinaryOp,
        left: &syntax::Expr,
        right: &syntax::Expr,
        span: Span,
    ) -> Option<Expr> {
        let op = compare_op(op);
        match (is_null(left), is_null(right)) {
            (false, true) => return self.null_test(op, left, right.span, span),
            (true, false) => return self.null_test(op, right, left.span, span),
            _ => {}
        }
        let (left, right) = self.pair(left, right, None)?;
        self.compare_checked(op, left, right, span)
    }

    /// Two operands, the one that knows its type first.
    pub(super) fn pair(
        &mut self,
        left: &syntax::Expr,
        right: &syntax::Expr,
        hint: Option<&Type>,
    ) -> Option<(Expr, Expr)> {
        let needy = (self.is_needy(left), self.is_needy(right));
        if needy == (true, false) {
            let right = self.check(right, None);
            let left = self.check(left, right.as_ref().map(|expr| &expr.ty).or(hint))?;
            return Some((left, right?));
        }
        let left = self.check(left, if needy.0 { hint } else { None });
        let right = self.check(right, left.as_ref().map(|expr| &expr.ty))?;
        Some((left?, right))
    }

    fn null_test(&mut self, op: CompareOp, value: &syntax::Expr, null: Span, span: Span) -> Option<Expr> {
        let negated = match op {
            CompareOp::Eq => false,
            CompareOp::Ne => true,
            _ => {
                return self.report(
                    Diagnostic::error("type.mismatch", null, "nothing is less or greater than null")
                        .help("test for null with `== null` or `!= null`"),
                );
            }
        };
        let value = Box::new(self.check(value, None)?);
        Some(Expr { node: Node::IsNull { value, negated }, ty: Type::Bool, span })
    }

    fn compare_checked(&mut self, op: CompareOp, left: Expr, right: Expr, span: Span) -> Option<Expr> {
        let equality = matches!(op, CompareOp::Eq | CompareOp::Ne);
        if let (false, Some(row)) =
            (equality, [&left, &right].into_iter().find(|side| matches!(side.ty, Type::Ref(_))))
        {
            let message = format!("{} has no order", self.describe(&row.ty));
            return self.error("type.mismatch", row.span, message);
        }
        let (left, right) = if equality { as_json_text(left, right) } else { (left, right) };
        let (left, right) = match (&left.ty, &right.ty) {
            (Type::Enum(a), Type::Enum(b)) if a == b && !equality => (rank(left), rank(right)),
            (Type::Enum(_), Type::Text { .. }) | (Type::Text { .. }, Type::Enum(_)) if equality => {
                (left, right)
            }
            (Type::Ref(table), key) | (key, Type::Ref(table))
                if equality && self.is_key(key, self.schema.key_type(*table)) =>
            {
                (left, right)
            }
            _ => {
                let Some(common) = convert::common(&left.ty, &right.ty) else {
                    return self.mismatch(&left, &right);
                };
                (self.convert(left, &common)?, self.convert(right, &common)?)
            }
        };
        if !comparable(&left.ty, equality) {
            let message = if equality {
                format!("{} cannot be compared", self.describe(&left.ty))
            } else {
                format!("{} has no order", self.describe(&left.ty))
            };
            return self.error("type.mismatch", span, message);
        }
        let node = Node::Compare { op, left: Box::new(left), right: Box::new(right) };
        Some(Expr { node, ty: Type::Bool, span })
    }

    fn is_key(&self, ty: &Type, key: &Type) -> bool {
        ty == key || matches!((ty, key), (Type::Text { .. }, Type::Text { .. }))
    }

    pub(super) fn mismatch(&mut self, left: &Expr, right: &Expr) -> Option<Expr> {
        let (a, b) = (self.describe(&left.ty), self.describe(&right.ty));
        let message = format!("{a} and {b} cannot be compared");
        let mut diagnostic =
            Diagnostic::error("type.mismatch", right.span, message).label(format!("this is {b}"));
        diagnostic.related.push((left.span, format!("this is {a}")));
        let is_json = |expr: &Expr| matches!(expr.node, Node::JsonPath { .. });
        match (&left.ty, &right.ty) {
            (Type::Float, Type::Decimal { .. }) | (Type::Decimal { .. }, Type::Float) => {
                diagnostic =
                    diagnostic.help("a decimal is exact and a float is not: declare both as one of them");
            }
            _ if is_json(left) || is_json(right) => {
                diagnostic =
                    diagnostic.help("a value inside json is text; what is compared by order wants a column");
            }
            _ => {}
        }
        self.report(diagnostic)
    }

    /// `value in list`, where the list is written out, a column, a parameter, or the rows of a relation.
    pub(super) fn contained(
        &mut self,
        value: &syntax::Expr,
        list: &syntax::Expr,
        span: Span,
    ) -> Option<Expr> {
        match &bare(list).kind {
            ExprKind::List(items) => self.in_items(value, items, span),
            ExprKind::Param(name) => {
                let value = self.check(value, None)?;
                let item = match convert::widened(&value.ty) {
                    Type::Ref(table) => convert::widened(self.schema.key_type(table)),
                    other => other,
                };
                let hint = (item != Type::Null).then(|| Type::List(item.into()));
                let list = self.open_param(name, list.span, hint.as_ref())?;
                Some(in_list(value, list, span))
            }
            ExprKind::Name(_) | ExprKind::Member(..) => match self.thing(list, None)? {
                Thing::Many { row, table, relation, .. } => self.in_rows(value, row, table, relation, span),
                Thing::Value(list) => self.in_value(value, list, span),
                Thing::Row { key, .. } => {
                    let message = format!("{} is one row, not many", self.describe(&key.ty));
                    self.report(
                        Diagnostic::error("type.mismatch", list.span, message).help("compare it with `==`"),
                    )
                }
            },
            _ => {
                let list = self.check(list, None)?;
                self.in_value(value, list, span)
            }
        }
    }

    fn in_items(&mut self, value: &syntax::Expr, items: &[syntax::Expr], span: Span) -> Option<Expr> {
        // Every item is read once, or nested lists would double the work at each level.
        let teller =
            if self.is_needy(value) { items.iter().position(|item| !self.is_needy(item)) } else { None };
        let mut told = teller.map(|index| self.check(&items[index], None));
        let hint = told.as_ref().and_then(|item| item.as_ref()).map(|item| item.ty.clone());
        let mut value = self.check(value, hint.as_ref())?;
        let mut checked = Vec::new();
        let mut complete = true;
        for (index, item) in items.iter().enumerate() {
            let item = match told.take_if(|_| teller == Some(index)) {
                Some(item) => item,
                None => self.check(item, Some(&value.ty)),
            };
            match item {
                Some(item) => checked.push(item),
                None => complete = false,
            }
        }
        if !complete {
            return None;
        }
        let mut common = value.ty.clone();
        for item in &mut checked {
            let (left, right) = as_json_text(value, item.clone());
            (value, *item) = (left, right);
            let keyed = match (&value.ty, &item.ty) {
                (Type::Ref(table), key) | (key, Type::Ref(table)) => {
                    self.is_key(key, self.schema.key_type(*table))
                }
                (a, b) => a.is_textual() && b.is_textual(),
            };
            if keyed {
                continue;
            }
            match convert::common(&common, &item.ty) {
                Some(both) => common = both,
                None => return self.mismatch(&value, item),
            }
        }
        if !comparable(&common, true) {
            let message = format!("{} cannot be compared", self.describe(&common));
            return self.error("type.mismatch", value.span, message);
        }
        let value = Box::new(self.convert(value, &common)?);
        let items =
            checked.into_iter().map(|item| self.convert(item, &common)).collect::<Option<Vec<Expr>>>()?;
        Some(Expr { node: Node::In { value, items }, ty: Type::Bool, span })
    }

    fn in_value(&mut self, value: &syntax::Expr, list: Expr, span: Span) -> Option<Expr> {
        let Type::List(of) = &list.ty else {
            let message = format!("expected a list or many rows, found {}", self.describe(&list.ty));
            return self.report(
                Diagnostic::error("type.mismatch", list.span, message)
                    .help("`in` takes [a, b], a list column or a to-many relation; `~` asks whether a text contains another"),
            );
        };
        let of = (**of).clone();
        let value = self.check(value, Some(&of))?;
        let value = self.coerce(value, &convert::widened(&of))?;
        Some(in_list(value, list, span))
    }

    /// `user in members`: some row of the relation is that row.
    fn in_rows(
        &mut self,
        value: &syntax::Expr,
        row: RowPath,
        table: crate::schema::TableId,
        relation: crate::schema::RelationId,
        span: Span,
    ) -> Option<Expr> {
        let target = self.schema.table(table).relation(relation).target;
        // The value is read in the scope of the relation's rows, but its bare names are those of the row outside.
        self.frames.push(Frame { table: target, parent: self.current });
        let value = self.check(value, Some(&Type::Ref(target)));
        self.frames.pop();
        let value = value?;
        let id = Node::Column { row: RowPath::here(), table: target, column: ColumnId::ID };
        let id = Expr { node: id, ty: Type::Ref(target), span: value.span };
        let body = self.compare_checked(CompareOp::Eq, id, value, span)?;
        let many = Many { row, table, relation, target, ask: Ask::Any, body: Some(body), visible: None };
        Some(Expr { node: Node::Many(Box::new(many)), ty: Type::Bool, span })
    }

    /// `text ~ needle`
    pub(super) fn contains(&mut self, left: &syntax::Expr, right: &syntax::Expr, span: Span) -> Option<Expr> {
        let text = Type::Text { max: None };
        let left = self.check(left, Some(&text));
        let right = self.check(right, Some(&text));
        let (left, right) = (left?, right?);
        for side in [&left, &right] {
            if side.ty.is_textual() || side.ty == Type::Null {
                continue;
            }
            let message = format!("`~` looks for text in text, but this is {}", self.describe(&side.ty));
            let mut diagnostic = Diagnostic::error("type.mismatch", side.span, message);
            if matches!(side.ty, Type::List(_)) {
                diagnostic = diagnostic.help("to look for an item of a list, write `item in list`");
            }
            return self.report(diagnostic);
        }
        let node = Node::Contains { value: Box::new(left), needle: Box::new(right) };
        Some(Expr { node, ty: Type::Bool, span })
    }
}

fn in_list(value: Expr, list: Expr, span: Span) -> Expr {
    Expr { node: Node::InList { value: Box::new(value), list: Box::new(list) }, ty: Type::Bool, span }
}

fn rank(expr: Expr) -> Expr {
    let span = expr.span;
    Expr { node: Node::Rank(Box::new(expr)), ty: Type::Int, span }
}

/// A number or bool beside a value inside json takes its JSON form, for that value is text.
fn as_json_text(left: Expr, right: Expr) -> (Expr, Expr) {
    let form = |expr: Expr| -> Expr {
        let text = match &expr.node {
            Node::Literal(Value::Int(value)) => value.to_string(),
            Node::Literal(Value::Bool(value)) => value.to_string(),
            _ => return expr,
        };
        literal(Value::Text(text), Type::Text { max: None }, expr.span)
    };
    match (&left.node, &right.node) {
        (Node::JsonPath { .. }, Node::Literal(_)) => (left, form(right)),
        (Node::Literal(_), Node::JsonPath { .. }) => (form(left), right),
        _ => (left, right),
    }
}

fn comparable(ty: &Type, equality: bool) -> bool {
    match ty {
        Type::Json | Type::List(_) => false,
        Type::Bool | Type::Bytes | Type::File | Type::Ref(_) | Type::Enum(_) => equality,
        _ => true,
    }
}

fn compare_op(op: BinaryOp) -> CompareOp {
    match op {
        BinaryOp::Ne => CompareOp::Ne,
        BinaryOp::Lt => CompareOp::Lt,
        BinaryOp::Le => CompareOp::Le,
        BinaryOp::Gt => CompareOp::Gt,
        BinaryOp::Ge => CompareOp::Ge,
        _ => CompareOp::Eq,
    }
}

/// The expression inside any parentheses.
pub(super) fn bare(expr: &syntax::Expr) -> &syntax::Expr {
    let mut expr = expr;
    while let ExprKind::Paren(inner) = &expr.kind {
        expr = inner;
    }
    expr
}

fn is_null(expr: &syntax::Expr) -> bool {
    matches!(bare(expr).kind, ExprKind::Null)
}
