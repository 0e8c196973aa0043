//! Building and moving typed expressions.
//!
//! Pure tree work: nothing here knows rules, callers or requests.

use mainstay_lang::expr::{Ask, CompareOp, Expr, Function, Many, Node, Root, RowPath};
use mainstay_lang::schema::{ColumnId, Table, TableId};
use mainstay_lang::source::Span;
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;

/// The place of an expression that no text says.
pub(crate) const NOWHERE: Span = Span { file: 0, start: 0, end: 0 };

pub(crate) fn expr(node: Node, ty: Type) -> Expr {
    Expr { node, ty, span: NOWHERE }
}

pub(crate) fn boolean(value: bool) -> Expr {
    expr(Node::Literal(Value::Bool(value)), Type::Bool)
}

pub(crate) fn null(ty: Type) -> Expr {
    expr(Node::Literal(Value::Null), ty)
}

pub(crate) fn int(value: i64) -> Expr {
    expr(Node::Literal(Value::Int(value)), Type::Int)
}

/// A column of the innermost row.
pub(crate) fn column_here(table: &Table, column: ColumnId) -> Expr {
    column_at(RowPath::here(), table.id, column, table.column(column).ty.clone())
}

pub(crate) fn column_at(row: RowPath, table: TableId, column: ColumnId, ty: Type) -> Expr {
    expr(Node::Column { row, table, column }, ty)
}

pub(crate) fn compare(op: CompareOp, left: Expr, right: Expr) -> Expr {
    expr(Node::Compare { op, left: Box::new(left), right: Box::new(right) }, Type::Bool)
}

pub(crate) fn is_null(value: Expr, negated: bool) -> Expr {
    expr(Node::IsNull { value: Box::new(value), negated }, Type::Bool)
}

pub(crate) fn not(inner: Expr) -> Expr {
    expr(Node::Not(Box::new(inner)), Type::Bool)
}

/// All of them; of nothing: true.
pub(crate) fn and(mut items: Vec<Expr>) -> Expr {
    match items.len() {
        0 => boolean(true),
        1 => items.remove(0),
        _ => expr(Node::And(items), Type::Bool),
    }
}

/// Any of them; of nothing: false.
pub(crate) fn or(mut items: Vec<Expr>) -> Expr {
    match items.len() {
        0 => boolean(false),
        1 => items.remove(0),
        _ => expr(Node::Or(items), Type::Bool),
    }
}

pub(crate) fn if_else(condition: Expr, then: Expr, otherwise: Expr) -> Expr {
    let ty = then.ty.clone();
    let node =
        Node::If { condition: Box::new(condition), then: Box::new(then), otherwise: Box::new(otherwise) };
    expr(node, ty)
}

/// A caller's expression, asked only where `rule` is true when it could fail. A database evaluates conditions in the order
/// that it likes, and an overflow on a row that may not be read would tell of that row.
pub(crate) fn asked_behind(rule: Option<&Expr>, of: Expr) -> Expr {
    match rule {
        Some(rule) if can_fail(&of) => {
            let otherwise = null(of.ty.clone());
            if_else(rule.clone(), of, otherwise)
        }
        _ => of,
    }
}

/// Whether evaluating it may overflow, or meet a pattern that is too long.
fn can_fail(of: &Expr) -> bool {
    let mut fails = false;
    of.walk(&mut |expr| {
        fails |= match &expr.node {
            Node::Arithmetic { .. } | Node::Negate(_) | Node::Convert(_) => true,
            Node::Call { function, .. } => {
                matches!(function, Function::Abs | Function::Round | Function::Like)
            }
            Node::Many(many) => many.ask == Ask::Sum,
            _ => false,
        };
    });
    fails
}

/// The expression of one row as one about the row at `prefix`: what it says of its row, it then says of that one.
pub(crate) fn prefixed(of: &Expr, prefix: &RowPath) -> Expr {
    move_root(of, prefix, 0)
}

/// `depth` counts the relations' scopes that have been entered since the row that moves.
fn move_root(of: &Expr, prefix: &RowPath, depth: u8) -> Expr {
    let moved = map_children(of, &mut |child, entered| move_root(child, prefix, depth + u8::from(entered)));
    let node = match moved.node {
        Node::Column { row, table, column } => {
            Node::Column { row: move_path(row, prefix, depth), table, column }
        }
        Node::Many(many) => {
            Node::Many(Box::new(Many { row: move_path(many.row.clone(), prefix, depth), ..*many }))
        }
        other => other,
    };
    Expr { node, ..moved }
}

fn move_path(path: RowPath, prefix: &RowPath, depth: u8) -> RowPath {
    if path.root != Root::Scope(depth) {
        return path;
    }
    let root = match prefix.root {
        Root::Scope(level) => Root::Scope(level + depth),
        other => other,
    };
    RowPath { root, hops: prefix.hops.iter().cloned().chain(path.hops).collect() }
}

/// The same expression with each direct child replaced; `entered` says that the child stands in a relation's scope.
pub(crate) fn map_children(of: &Expr, map: &mut dyn FnMut(&Expr, bool) -> Expr) -> Expr {
    let mut one = |child: &Expr| Box::new(map(child, false));
    let node = match &of.node {
        leaf @ (Node::Literal(_)
        | Node::Param(_)
        | Node::Caller(_)
        | Node::Clock(_)
        | Node::EventAt
        | Node::Column { .. }) => leaf.clone(),
        Node::Not(inner) => Node::Not(one(inner)),
        Node::Negate(inner) => Node::Negate(one(inner)),
        Node::Convert(inner) => Node::Convert(one(inner)),
        Node::Rank(inner) => Node::Rank(one(inner)),
        Node::And(items) => Node::And(items.iter().map(|item| *one(item)).collect()),
        Node::Or(items) => Node::Or(items.iter().map(|item| *one(item)).collect()),
        Node::Coalesce(items) => Node::Coalesce(items.iter().map(|item| *one(item)).collect()),
        Node::Compare { op, left, right } => Node::Compare { op: *op, left: one(left), right: one(right) },
        Node::Arithmetic { op, left, right } => {
            Node::Arithmetic { op: *op, left: one(left), right: one(right) }
        }
        Node::IsNull { value, negated } => Node::IsNull { value: one(value), negated: *negated },
        Node::JsonPath { value, path } => Node::JsonPath { value: one(value), path: path.clone() },
        Node::In { value, items } => {
            Node::In { value: one(value), items: items.iter().map(|item| *one(item)).collect() }
        }
        Node::InList { value, list } => Node::InList { value: one(value), list: one(list) },
        Node::Contains { value, needle } => Node::Contains { value: one(value), needle: one(needle) },
        Node::If { condition, then, otherwise } => {
            Node::If { condition: one(condition), then: one(then), otherwise: one(otherwise) }
        }
        Node::Call { function, args } => {
            Node::Call { function: *function, args: args.iter().map(|arg| *one(arg)).collect() }
        }
        Node::Many(many) => {
            let body = many.body.as_ref().map(|body| map(body, true));
            let copy = Many { row: many.row.clone(), visible: many.visible.clone(), body, ..**many };
            Node::Many(Box::new(copy))
        }
    };
    Expr { node, ty: of.ty.clone(), span: of.span }
}

/// Calls `visit` for each direct child, in relations' scopes too.
pub fn for_children<'e>(of: &'e Expr, visit: &mut dyn FnMut(&'e Expr)) {
    match &of.node {
        Node::Literal(_)
        | Node::Param(_)
        | Node::Caller(_)
        | Node::Clock(_)
        | Node::EventAt
        | Node::Column { .. } => {}
        Node::Not(inner) | Node::Negate(inner) | Node::Convert(inner) | Node::Rank(inner) => visit(inner),
        Node::And(items) | Node::Or(items) | Node::Coalesce(items) => items.iter().for_each(visit),
        Node::Compare { left, right, .. } | Node::Arithmetic { left, right, .. } => {
            visit(left);
            visit(right);
        }
        Node::IsNull { value, .. } | Node::JsonPath { value, .. } => visit(value),
        Node::In { value, items } => {
            visit(value);
            items.iter().for_each(visit);
        }
        Node::InList { value, list } => {
            visit(value);
            visit(list);
        }
        Node::Contains { value, needle } => {
            visit(value);
            visit(needle);
        }
        Node::If { condition, then, otherwise } => {
            visit(condition);
            visit(then);
            visit(otherwise);
        }
        Node::Call { args, .. } => args.iter().for_each(visit),
        Node::Many(many) => many.body.iter().for_each(visit),
    }
}

/// Whether an expression looks at any row but the caller's.
pub(crate) fn reads_row(expr: &Expr) -> bool {
    let mut reads = false;
    expr.walk(&mut |expr| {
        reads |= match &expr.node {
            Node::Column { row, .. } => row.root != Root::User,
            Node::Many(many) => many.row.root != Root::User,
            _ => false,
        };
    });
    reads
}

/// Calls `visit` for every expression inside, `visible` conditions too.
pub(crate) fn walk_all(of: &Expr, visit: &mut dyn FnMut(&Expr)) {
    let mut hidden = Vec::new();
    of.walk(&mut |expr| {
        visit(expr);
        let path = match &expr.node {
            Node::Column { row, .. } => Some(row),
            Node::Many(many) => {
                hidden.extend(many.visible.clone());
                Some(&many.row)
            }
            _ => None,
        };
        hidden.extend(path.into_iter().flat_map(|row| &row.hops).filter_map(|hop| hop.visible.clone()));
    });
    for visible in hidden {
        walk_all(&visible, visit);
    }
}
