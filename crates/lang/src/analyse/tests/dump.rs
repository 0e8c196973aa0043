//! A typed expression as one line of text: every name with its table, every conversion written out.

use crate::expr::{Expr, Node, Root, RowPath};
use crate::schema::Schema;

pub(super) fn dump(schema: &Schema, expr: &Expr) -> String {
    let go = |inner: &Expr| dump(schema, inner);
    let list = |items: &[Expr]| items.iter().map(go).collect::<Vec<_>>().join(" ");
    match &expr.node {
        Node::Literal(value) if value.is_null() => format!("null:{}", expr.ty),
        Node::Literal(value) => format!("{}:{}", value.to_json(), value.type_name()),
        Node::Param(index) => format!("${index}"),
        Node::Caller(fact) => format!("{fact:?}"),
        Node::Clock(clock) => format!("{clock:?}"),
        Node::EventAt => "event.at".into(),
        Node::Column { row, table, column } => {
            format!("{}{}", way(schema, row), schema.table(*table).column(*column).name)
        }
        Node::Not(inner) => format!("(not {})", go(inner)),
        Node::And(items) => format!("(and {})", list(items)),
        Node::Or(items) => format!("(or {})", list(items)),
        Node::Compare { op, left, right } => format!("({op:?} {} {})", go(left), go(right)),
        Node::IsNull { value, negated } => {
            format!("({} {})", if *negated { "some" } else { "null" }, go(value))
        }
        Node::In { value, items } => format!("(in {} [{}])", go(value), list(items)),
        Node::InList { value, list } => format!("(in {} {})", go(value), go(list)),
        Node::Contains { value, needle } => format!("(~ {} {})", go(value), go(needle)),
        Node::Arithmetic { op, left, right } => format!("({op:?} {} {}):{}", go(left), go(right), expr.ty),
        Node::Negate(inner) => format!("(- {})", go(inner)),
        Node::Coalesce(items) => format!("(?? {})", list(items)),
        Node::If { condition, then, otherwise } => {
            format!("(if {} {} {})", go(condition), go(then), go(otherwise))
        }
        Node::Call { function, args } => format!("({function:?} {})", list(args)),
        Node::Convert(inner) => format!("(as {} {})", expr.ty, go(inner)),
        Node::Rank(inner) => format!("(rank {})", go(inner)),
        Node::JsonPath { value, path } => format!("(json {} {})", go(value), path.join(".")),
        Node::Many(many) => {
            let relation = &schema.table(many.table).relation(many.relation).name;
            let body = many.body.as_ref().map_or_else(String::new, |body| format!(" {}", go(body)));
            format!("({:?} {}{relation}{body})", many.ask, way(schema, &many.row))
        }
    }
}

fn way(schema: &Schema, row: &RowPath) -> String {
    let mut text = match row.root {
        Root::Scope(0) => String::new(),
        Root::Scope(levels) => format!("^{levels}."),
        Root::Old => "old.".into(),
        Root::New => "new.".into(),
        Root::User => "user.".into(),
    };
    for hop in &row.hops {
        // The column's name alone: which table it belongs to follows from the hop before.
        let named = schema.tables.iter().filter_map(|table| table.columns.get(hop.column.0 as usize));
        let column =
            named.into_iter().find(|column| column.id == hop.column && column.target() == Some(hop.target));
        text.push_str(column.map_or("?", |column| column.name.as_str()));
        text.push('.');
    }
    text
}
