//! Cases worth naming. That the evaluator agrees with a naive one on random expressions is shown in `mainstay-testkit`.

use super::*;
use crate::expr::{ArithmeticOp, CompareOp, Function, Hop, Node, RowPath};
use crate::schema::TableId;
use crate::source::Span;
use crate::types::Type;
use crate::value::Decimal;

fn make(node: Node, ty: Type) -> Expr {
    Expr { node, ty, span: Span::default() }
}

fn value(value: Value, ty: Type) -> Expr {
    make(Node::Literal(value), ty)
}

fn boolean(truth: Option<bool>) -> Expr {
    value(truth.map_or(Value::Null, Value::Bool), Type::Bool)
}

fn int(number: i64) -> Expr {
    value(Value::Int(number), Type::Int)
}

fn arithmetic(op: ArithmeticOp, left: Expr, right: Expr, ty: Type) -> Expr {
    make(Node::Arithmetic { op, left: Box::new(left), right: Box::new(right) }, ty)
}

fn eval(expr: &Expr) -> Result<Value, EvalError> {
    let compiled = Compiled::new(expr).unwrap();
    compiled.eval(&Env::of_row(&[], &Nobody, Timestamp(0))).map(Scalar::into_value)
}

#[test]
fn logic_is_three_valued() {
    let (yes, no, unknown) = (Some(true), Some(false), None);
    for (a, b, and, or) in [
        (yes, yes, yes, yes),
        (yes, no, no, yes),
        (yes, unknown, unknown, yes),
        (no, no, no, no),
        (no, unknown, no, unknown),
        (unknown, unknown, unknown, unknown),
    ] {
        for (a, b) in [(a, b), (b, a)] {
            let both = || vec![boolean(a), boolean(b)];
            let test = |node| {
                let expr = make(node, Type::Bool);
                Compiled::new(&expr).unwrap().test(&Env::of_row(&[], &Nobody, Timestamp(0))).unwrap()
            };
            assert_eq!(test(Node::And(both())), and, "{a:?} and {b:?}");
            assert_eq!(test(Node::Or(both())), or, "{a:?} or {b:?}");
        }
    }
}

#[test]
fn in_is_unknown_when_a_null_could_have_been_it() {
    let in_list = |of: Option<i64>, items: &[Option<i64>]| {
        let one = |of: &Option<i64>| value(of.map_or(Value::Null, Value::Int), Type::Int);
        let node = Node::In { value: Box::new(one(&of)), items: items.iter().map(one).collect() };
        eval(&make(node, Type::Bool)).unwrap()
    };
    assert_eq!(in_list(Some(1), &[Some(2), Some(1), None]), Value::Bool(true));
    assert_eq!(in_list(Some(1), &[Some(2)]), Value::Bool(false));
    assert_eq!(in_list(Some(1), &[Some(2), None]), Value::Null);
    assert_eq!(in_list(None, &[Some(2)]), Value::Null);
    assert_eq!(in_list(None, &[]), Value::Bool(false));
}

#[test]
fn arithmetic_of_decimals_has_the_scale_of_its_type() {
    let money = |text: &str| {
        let decimal = Decimal::parse(text).unwrap();
        value(Value::Decimal(decimal), Type::Decimal { precision: 18, scale: decimal.scale })
    };
    let at = |scale| Type::Decimal { precision: 18, scale };
    let check = |op, a, b, scale, expect: &str| {
        assert_eq!(eval(&arithmetic(op, money(a), money(b), at(scale))).unwrap().to_string(), expect);
    };
    check(ArithmeticOp::Add, "1.50", "2.25", 2, "3.75");
    check(ArithmeticOp::Mul, "1.50", "0.5", 3, "0.750");
    check(ArithmeticOp::Div, "10.00", "3", 8, "3.33333333");
    check(ArithmeticOp::Rem, "-7.50", "2.00", 2, "-1.50");
    check(ArithmeticOp::Div, "1", "0", 6, "");
    let huge = arithmetic(ArithmeticOp::Mul, money("999999999999"), money("9999999"), at(0));
    assert_eq!(eval(&huge), Err(EvalError::Overflow { operation: "multiplication" }));
}

#[test]
fn an_error_behind_what_decides_does_not_show() {
    let overflow = || {
        let sum = arithmetic(ArithmeticOp::Add, int(i64::MAX), int(1), Type::Int);
        let node = Node::Compare { op: CompareOp::Gt, left: Box::new(sum), right: Box::new(int(0)) };
        make(node, Type::Bool)
    };
    let or = |items| eval(&make(Node::Or(items), Type::Bool));
    assert_eq!(or(vec![boolean(Some(true)), overflow()]), Ok(Value::Bool(true)));
    assert_eq!(or(vec![boolean(None), overflow()]), Err(EvalError::Overflow { operation: "addition" }));
}

#[test]
fn what_follows_relations_is_not_local() {
    let mut row = RowPath::here();
    row.hops.push(Hop { column: ColumnId(1), target: TableId(0), visible: None });
    let column = Node::Column { row, table: TableId(0), column: ColumnId::ID };
    assert_eq!(Compiled::new(&make(column, Type::Int)).unwrap_err(), NotLocal);
}

#[test]
fn values_of_another_type_are_an_error_and_no_answer() {
    let call = make(Node::Call { function: Function::Lower, args: vec![int(1)] }, Type::Text { max: None });
    assert_eq!(eval(&call), Err(EvalError::Argument));
    let text = value(Value::Text("1".into()), Type::Text { max: None });
    let compare = Node::Compare { op: CompareOp::Eq, left: Box::new(int(1)), right: Box::new(text) };
    assert_eq!(eval(&make(compare, Type::Bool)), Err(EvalError::Argument));
}
