//! Cases worth naming. That a specialised expression has the value of the one that it was made from is shown in
//! `mainstay-testkit`, on random ones.

use super::*;
use crate::eval::{Nobody, Scalar};
use crate::expr::{CompareOp, Root};
use crate::schema::{ColumnId, TableId};
use crate::source::Span;

fn make(node: Node, ty: Type) -> Expr {
    Expr { node, ty, span: Span::default() }
}

fn fact(fact: CallerFact) -> Expr {
    make(Node::Caller(fact), Type::Bool)
}

fn column(root: Root) -> Expr {
    let row = RowPath { root, hops: Vec::new() };
    make(Node::Column { row, table: TableId(0), column: ColumnId(2) }, Type::Int)
}

fn own_row() -> Expr {
    let [left, right] = [column(Root::Scope(0)), column(Root::User)].map(Box::new);
    make(Node::Compare { op: CompareOp::Eq, left, right }, Type::Bool)
}

/// A caller with a row and one permission.
struct Ann(Value);

impl CallerView for Ann {
    fn user(&self) -> Option<&Value> {
        Some(&self.0)
    }

    fn can(&self, permission: &str) -> bool {
        permission == "read"
    }

    fn confirmed(&self, _: crate::expr::Confirmed) -> bool {
        false
    }

    fn has_role(&self, _: &str) -> bool {
        false
    }

    fn tenant(&self) -> Option<&Value> {
        None
    }

    fn session(&self) -> Option<&Value> {
        None
    }

    fn user_value(&self, _: &[ColumnId], _: ColumnId) -> Scalar<'_> {
        Scalar::from(&self.0)
    }
}

#[test]
fn a_permission_decides_or_vanishes() {
    let rule = |permission: &str| {
        make(Node::Or(vec![own_row(), fact(CallerFact::Can(permission.into()))]), Type::Bool)
    };
    let ann = Ann(Value::Int(7));
    let shown = |expr: &Expr| format!("{:?}", expr.node);
    let literal = |value| format!("{:?}", Node::Literal(value));
    assert_eq!(shown(&specialise(&rule("read"), &ann, Timestamp(0))), literal(Value::Bool(true)));
    assert_eq!(shown(&specialise(&rule("write"), &ann, Timestamp(0))), shown(&own_row()));
    assert_eq!(shown(&specialise(&rule("write"), &Nobody, Timestamp(0))), literal(Value::Null));
    assert_eq!(shown(&specialise_filter(&rule("write"), &Nobody, Timestamp(0))), literal(Value::Bool(false)));
}

#[test]
fn a_condition_on_the_caller_alone_is_decided_and_a_value_kept() {
    let is_null = make(Node::IsNull { value: Box::new(column(Root::User)), negated: true }, Type::Bool);
    let rule = make(Node::And(vec![is_null, own_row()]), Type::Bool);
    let ann = Ann(Value::Int(7));
    assert_eq!(format!("{:?}", specialise(&rule, &ann, Timestamp(0))), format!("{:?}", own_row()));
    let nobody = specialise(&rule, &Nobody, Timestamp(0));
    assert!(matches!(nobody.node, Node::Literal(Value::Bool(false))), "{nobody:?}");
}
