//! A specialised expression has the value of the one that it was made from, for every row.

use proptest::prelude::*;

use super::*;
use crate::eval::Nobody;
use crate::eval::tests::naive;
use crate::eval::tests::world::{World, any_condition, any_expr, any_world};
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

    fn has_role(&self, _: &str) -> bool {
        false
    }

    fn tenant(&self) -> Option<&Value> {
        None
    }

    fn session(&self) -> Option<&Value> {
        None
    }

    fn user_value(&self, _: &[ColumnId], _: ColumnId) -> Option<&Value> {
        Some(&self.0)
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

fn asks_facts(expr: &Expr) -> bool {
    let mut asks = false;
    expr.walk(&mut |part| {
        asks |= matches!(
            part.node,
            Node::Caller(CallerFact::Can(_) | CallerFact::HasRole(_) | CallerFact::SignedIn)
        );
    });
    asks
}

fn check_exact(expr: &Expr, world: &World) -> Result<(), TestCaseError> {
    let folded = specialise(expr, world, world.now);
    if let Ok(value) = naive::eval(expr, world) {
        let kept = naive::eval(&folded, world).map(|value| value.to_json());
        prop_assert_eq!(kept, Ok(value.to_json()), "{:?} became {:?}", expr, &folded);
    }
    prop_assert!(!asks_facts(&folded), "{:?}", folded);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn a_specialised_expression_has_the_same_value(expr in any_expr(true), world in any_world()) {
        check_exact(&expr, &world)?;
    }

    #[test]
    fn a_specialised_filter_is_true_for_the_same_rows(expr in any_condition(true), world in any_world()) {
        let folded = specialise_filter(&expr, &world, world.now);
        if let Ok(value) = naive::eval(&expr, &world) {
            let passes = naive::eval(&folded, &world) == Ok(Value::Bool(true));
            prop_assert_eq!(passes, value == Value::Bool(true), "{:?} became {:?}", expr, &folded);
        }
        prop_assert!(!matches!(folded.node, Node::Literal(Value::Null)));
        prop_assert!(!asks_facts(&folded), "{:?}", folded);
    }
}
