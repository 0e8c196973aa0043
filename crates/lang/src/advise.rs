//! Warnings about a schema that stands but is probably not meant so: tables that nothing can reach, rules that say
//! nothing, read rules that no index can serve.
//!
//! It reads the finished schema alone. Of the platform's tables it looks at rules alone, for an app may add some.

use crate::diagnostic::Diagnostic;
use crate::expr::{Ask, CompareOp, Expr, Node, Root};
use crate::schema::{Operation, Rule, Schema, Table};
use crate::types::Type;
use crate::value::Value;
use std::cmp::Ordering;

/// All warnings about a schema.
pub(crate) fn advise(schema: &Schema) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    for table in &schema.tables {
        constant_rules(schema, table, &mut problems);
        // What the platform declares is not the reader's to mend; rules may have been added to it.
        if !table.platform {
            unreachable_table(table, &mut problems);
            unreachable_commands(table, &mut problems);
            unindexed_reads(schema, table, &mut problems);
        }
    }
    problems
}

fn unreachable_table(table: &Table, problems: &mut Vec<Diagnostic>) {
    let has_commands = table.stream.as_ref().is_some_and(|stream| !stream.commands.is_empty());
    if table.rules.is_empty() && !has_commands {
        let message = format!("nothing is allowed on `{}`: no caller can reach it", table.name);
        problems.push(
            Diagnostic::warning("rule.none", table.span, message)
                .help("add a line such as `allow read if signed_in`"),
        );
    }
}

fn unreachable_commands(table: &Table, problems: &mut Vec<Diagnostic>) {
    let commands = table.stream.iter().flat_map(|stream| &stream.commands);
    for command in commands.filter(|command| command.allows.is_empty()) {
        let message = format!("nothing allows `{}`: no caller can send it", command.name);
        problems.push(
            Diagnostic::warning("rule.none", command.span, message)
                .help("add a line such as `allow if signed_in`"),
        );
    }
}

fn constant_rules(schema: &Schema, table: &Table, problems: &mut Vec<Diagnostic>) {
    let mut seen = None;
    for rule in &table.rules {
        // One line may have become several rules.
        let Some(condition) = rule.condition.as_ref().filter(|_| seen != Some(rule.span)) else { continue };
        seen = Some(rule.span);
        match truth(schema, condition) {
            Some(Truth::True) => problems.push(
                Diagnostic::warning("rule.constant", condition.span, "this rule is always true")
                    .help("to allow it to everyone, leave `if` away"),
            ),
            Some(Truth::False | Truth::Unknown) => problems.push(
                Diagnostic::warning("rule.constant", condition.span, "this rule is never true")
                    .help("what no rule allows is forbidden anyway"),
            ),
            None => {}
        }
    }
    for check in table.checks.iter().chain(&table.warns) {
        let message = match truth(schema, &check.condition) {
            Some(Truth::True | Truth::Unknown) => "this can never fail",
            Some(Truth::False) => "this always fails: no row could be written",
            None => continue,
        };
        problems.push(Diagnostic::warning("rule.constant", check.condition.span, message));
    }
}

/// A table that declares an index expects to grow; a read rule that has to look at every row of it is worth knowing.
fn unindexed_reads(schema: &Schema, table: &Table, problems: &mut Vec<Diagnostic>) {
    if table.indexes.is_empty() {
        return;
    }
    for rule in table.rules.iter().filter(|rule| is_read_of_rows(rule)) {
        let Some(condition) = &rule.condition else { continue };
        let alternatives = match &condition.node {
            Node::Or(items) => items.as_slice(),
            _ => std::slice::from_ref(&**condition),
        };
        for alternative in alternatives {
            if truth(schema, alternative).is_none() && !is_searchable(alternative) {
                problems.push(
                    Diagnostic::warning(
                        "rule.unindexed",
                        alternative.span,
                        "no index can find the rows that this allows",
                    )
                    .help(format!(
                        "compare a column of `{}` as it is with something of the caller",
                        table.name
                    )),
                );
            }
        }
    }
}

fn is_read_of_rows(rule: &Rule) -> bool {
    rule.operations.contains(&Operation::Read) && rule.columns.is_empty() && rule.relations.is_empty()
}

/// Whether some part that must hold narrows the rows by a plain column, or does not look at the row at all.
fn is_searchable(condition: &Expr) -> bool {
    if condition.is_row_free() {
        return true;
    }
    match &condition.node {
        Node::And(items) => items.iter().any(is_searchable),
        Node::Or(items) => items.iter().all(is_searchable),
        Node::Compare { op, left, right } => {
            let narrows = *op != CompareOp::Ne;
            narrows
                && (is_own_column(left) && right.is_row_free() || is_own_column(right) && left.is_row_free())
        }
        Node::In { value, items } => is_own_column(value) && items.iter().all(Expr::is_row_free),
        Node::IsNull { value, .. } => is_own_column(value),
        Node::Column { .. } => is_own_column(condition),
        Node::Not(inner) => matches!(inner.node, Node::Column { .. }) && is_own_column(inner),
        Node::Many(many) => many.ask == Ask::Any,
        _ => false,
    }
}

/// A column of the row, or of one that it refers to: references have indexes, so these lead to the row as well.
fn is_own_column(expr: &Expr) -> bool {
    matches!(&expr.node, Node::Column { row, .. } if row.root == Root::Scope(0))
}

/// What a condition is, whatever the row and the caller.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Truth {
    True,
    False,
    Unknown,
}

/// The constant truth of a condition; `None`: it depends.
fn truth(schema: &Schema, expr: &Expr) -> Option<Truth> {
    match &expr.node {
        Node::Literal(Value::Bool(true)) => Some(Truth::True),
        Node::Literal(Value::Bool(false)) => Some(Truth::False),
        Node::Literal(Value::Null) => Some(Truth::Unknown),
        Node::Not(inner) => truth(schema, inner).map(|inner| match inner {
            Truth::True => Truth::False,
            Truth::False => Truth::True,
            Truth::Unknown => Truth::Unknown,
        }),
        Node::And(items) => junction(schema, items, Truth::False, Truth::True),
        Node::Or(items) => junction(schema, items, Truth::True, Truth::False),
        Node::Compare { op, left, right } => compare(schema, *op, left, right),
        Node::IsNull { value, negated } => {
            let null = matches!(value.node, Node::Literal(Value::Null));
            let never_null = matches!(value.node, Node::Literal(_)) && !null || is_required(schema, value);
            match (null, never_null) {
                (true, _) => Some(of_bool(!negated)),
                (_, true) => Some(of_bool(*negated)),
                _ => None,
            }
        }
        _ => None,
    }
}

/// `and` and `or`: one part may decide alone; otherwise all must be constant.
fn junction(schema: &Schema, items: &[Expr], decides: Truth, neutral: Truth) -> Option<Truth> {
    let truths: Vec<Option<Truth>> = items.iter().map(|item| truth(schema, item)).collect();
    if truths.contains(&Some(decides)) {
        return Some(decides);
    }
    if truths.contains(&None) {
        return None;
    }
    let unknown = truths.contains(&Some(Truth::Unknown));
    Some(if unknown { Truth::Unknown } else { neutral })
}

fn compare(schema: &Schema, op: CompareOp, left: &Expr, right: &Expr) -> Option<Truth> {
    let order = match (&left.node, &right.node) {
        (Node::Literal(Value::Null), _) | (_, Node::Literal(Value::Null)) => return Some(Truth::Unknown),
        (Node::Literal(left), Node::Literal(right)) => left.compare(right)?,
        // A required column beside itself.
        _ if is_required(schema, left) && same_column(left, right) => Ordering::Equal,
        _ => return None,
    };
    Some(of_bool(match op {
        CompareOp::Eq => order.is_eq(),
        CompareOp::Ne => order.is_ne(),
        CompareOp::Lt => order.is_lt(),
        CompareOp::Le => order.is_le(),
        CompareOp::Gt => order.is_gt(),
        CompareOp::Ge => order.is_ge(),
    }))
}

fn is_required(schema: &Schema, expr: &Expr) -> bool {
    match &expr.node {
        Node::Column { row, table, column } => {
            matches!(row.root, Root::Scope(_))
                && row.hops.is_empty()
                && !schema.table(*table).column(*column).nullable
        }
        _ => false,
    }
}

fn same_column(left: &Expr, right: &Expr) -> bool {
    match (&left.node, &right.node) {
        (Node::Column { row: a, column: x, .. }, Node::Column { row: b, column: y, .. }) => {
            a.root == b.root && a.hops.is_empty() && b.hops.is_empty() && x == y && left.ty != Type::Float
        }
        _ => false,
    }
}

fn of_bool(value: bool) -> Truth {
    if value { Truth::True } else { Truth::False }
}
