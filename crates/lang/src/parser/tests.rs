//! Trees shown as text, for the tests of each kind of syntax.

use super::{parse_expr, parse_file};
use crate::diagnostic::{Diagnostic, Severity};
use crate::syntax::{BinaryOp, Expr, ExprKind, File, Item, Member};

mod errors;
mod expressions;
mod tables;

/// An expression with every operator in front of its operands, in parentheses.
fn dump_expr(expr: &Expr) -> String {
    let all = |items: &[Expr]| items.iter().map(dump_expr).collect::<Vec<_>>().join(" ");
    match &expr.kind {
        ExprKind::Int(value) => value.to_string(),
        ExprKind::Number(digits) => digits.clone(),
        ExprKind::Text(text) => format!("{text:?}"),
        ExprKind::Bool(value) => value.to_string(),
        ExprKind::Null => "null".to_owned(),
        ExprKind::Date(text) | ExprKind::Timestamp(text) => format!("@{text}"),
        ExprKind::Duration(count, unit) => format!("{count}_{}", unit.text),
        ExprKind::Param(name) => format!("${}", name.text),
        ExprKind::Name(name) => name.text.clone(),
        ExprKind::Member(base, name) => format!("{}.{}", dump_expr(base), name.text),
        ExprKind::Call(name, args) => format!("{}({})", name.text, all(args)),
        ExprKind::Method(base, name, args) => format!("{}.{}({})", dump_expr(base), name.text, all(args)),
        ExprKind::Not(inner) => format!("(not {})", dump_expr(inner)),
        ExprKind::Negate(inner) => format!("(- {})", dump_expr(inner)),
        ExprKind::Binary(op, left, right) => {
            format!("({} {} {})", sign(*op), dump_expr(left), dump_expr(right))
        }
        ExprKind::In(left, right, negated) => {
            format!("({} {} {})", if *negated { "!in" } else { "in" }, dump_expr(left), dump_expr(right))
        }
        ExprKind::List(items) => format!("[{}]", all(items)),
        ExprKind::If(condition, then, otherwise) => {
            format!("(if {} {} {})", dump_expr(condition), dump_expr(then), dump_expr(otherwise))
        }
        ExprKind::Paren(inner) => format!("<{}>", dump_expr(inner)),
        ExprKind::Error => "!".to_owned(),
    }
}

fn sign(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Or => "or",
        BinaryOp::And => "and",
        BinaryOp::Eq => "==",
        BinaryOp::Ne => "!=",
        BinaryOp::Lt => "<",
        BinaryOp::Le => "<=",
        BinaryOp::Gt => ">",
        BinaryOp::Ge => ">=",
        BinaryOp::Contains => "~",
        BinaryOp::NotContains => "!~",
        BinaryOp::Coalesce => "??",
        BinaryOp::Add => "+",
        BinaryOp::Sub => "-",
        BinaryOp::Mul => "*",
        BinaryOp::Div => "/",
        BinaryOp::Rem => "%",
    }
}

/// The members of the only item of a text, one word each: a column's name, or what the line is.
fn members(file: &File) -> Vec<String> {
    let [Item::Table(table) | Item::Extend(table) | Item::Stream(table)] = file.items.as_slice() else {
        panic!("one table is expected: {:?}", file.items);
    };
    let member = |member: &Member| match member {
        Member::Column(column) => format!("{} {}", column.name.text, column.ty.name.text),
        Member::Label(name) => format!("LABEL {}", name.text),
        Member::Index { columns, .. } => format!("INDEX {}", columns.len()),
        Member::Unique { columns, .. } => format!("UNIQUE {}", columns.len()),
        Member::Order { items, .. } => format!("ORDER {}", items.len()),
        Member::Without { columns, .. } => format!("WITHOUT {}", columns.len()),
        Member::History { duration, .. } => format!("HISTORY {}", dump_expr(duration)),
        Member::Allow(allow) => format!("ALLOW {}", allow.operations.len()),
        Member::Check(check) => format!("CHECK {}", dump_expr(&check.condition)),
        Member::Warn(check) => format!("WARN {}", dump_expr(&check.condition)),
        Member::Event(event) => format!("EVENT {} {}", event.name.text, event.fields.len()),
        Member::Command(command) => format!("COMMAND {} {}", command.name.text, command.body.len()),
        Member::On(on) => format!("ON {} {}", on.event.text, on.sets.len()),
    };
    table.members.iter().map(member).collect()
}

/// Each problem as `line:column message`, counted in characters from 1.
fn places(text: &str, problems: &[Diagnostic]) -> Vec<String> {
    let place = |problem: &Diagnostic| {
        let before = &text[..problem.span.start as usize];
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        let mark = if problem.severity == Severity::Warning { "warning: " } else { "" };
        format!("{line}:{column} {mark}{}", problem.message)
    };
    problems.iter().map(place).collect()
}

#[test]
fn the_documented_examples_parse() {
    let text = include_str!("../../tests/examples/language.stay");
    let (file, problems) = parse_file(0, text);
    assert_eq!(places(text, &problems), Vec::<String>::new());
    assert_eq!(file.items.len(), 9);
    assert_eq!(file.app.unwrap().title.unwrap().text, "Festival operations");
    assert_eq!(file.uses[0].text, "identity");
}
