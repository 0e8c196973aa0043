//! `{"n": {"$add": 1}}`: changes that are computed from what the column holds.
//!
//! They are computed here, from an image of the row that was read for writing in the same transaction, so that bounds
//! and patterns hold for the result; nothing can come between the two. Null stays null, as in the language, but a null
//! list is taken for an empty one by `$append`.

use mainstay_lang::expr::ArithmeticOp;
use mainstay_lang::ops::{OpError, number, time};
use mainstay_lang::types::Type;
use mainstay_lang::value::{Decimal, Duration, Value};

/// What to do with the value that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    /// Plus.
    Add,
    /// Minus.
    Sub,
    /// Times.
    Mul,
    /// An item at the end of a list.
    Append,
    /// Every equal item out of a list.
    Remove,
    /// Text at the end of a text.
    Concat,
}

impl Operator {
    /// Every operator with its name on the wire.
    pub(super) const ALL: [(&'static str, Operator); 6] = [
        ("$add", Operator::Add),
        ("$sub", Operator::Sub),
        ("$mul", Operator::Mul),
        ("$append", Operator::Append),
        ("$remove", Operator::Remove),
        ("$concat", Operator::Concat),
    ];

    /// The operator of a name.
    pub(super) fn named(name: &str) -> Option<Operator> {
        Operator::ALL.iter().find(|(text, _)| *text == name).map(|(_, operator)| *operator)
    }

    /// The type of what stands beside it, for a column of a storage type; `None` when it does not work there.
    pub(super) fn operand(self, column: &Type) -> Option<Type> {
        match (self, column) {
            (Operator::Add | Operator::Sub, Type::Timestamp | Type::Date) => Some(Type::Duration),
            (Operator::Add | Operator::Sub, ty) if ty.is_numeric() || *ty == Type::Duration => {
                Some(ty.clone())
            }
            (Operator::Mul, Type::Duration) => Some(Type::Int),
            // A factor has its own number of digits: 1.19 times a whole price.
            (Operator::Mul, Type::Decimal { .. }) => Some(Type::Decimal { precision: 18, scale: 9 }),
            (Operator::Mul, ty) if ty.is_numeric() => Some(ty.clone()),
            (Operator::Append | Operator::Remove, Type::List(of)) => Some((**of).clone()),
            (Operator::Concat, Type::Text { .. }) => Some(Type::Text { max: None }),
            _ => None,
        }
    }

    /// The new value. `operand` is of the type that [`Self::operand`] says.
    ///
    /// # Errors
    /// When the result is outside of the range of its type.
    pub(super) fn apply(self, held: &Value, operand: &Value, ty: &Type) -> Result<Value, OpError> {
        if operand.is_null() || (held.is_null() && self != Operator::Append) {
            return Ok(Value::Null);
        }
        let op = match self {
            Operator::Sub => ArithmeticOp::Sub,
            Operator::Mul => ArithmeticOp::Mul,
            _ => ArithmeticOp::Add,
        };
        let back = self == Operator::Sub;
        let result = match (held, operand) {
            (Value::Int(a), Value::Int(b)) => number::int(op, *a, *b)?.map(Value::Int),
            (Value::Float(a), Value::Float(b)) => number::float(op, *a, *b)?.map(Value::Float),
            (Value::Decimal(a), Value::Decimal(b)) => {
                number::decimal(op, *a, *b, a.scale)?.map(|result| fit(result, ty)).transpose()?
            }
            (Value::Duration(a), Value::Duration(b)) => micros(op, a.0, b.0)?,
            (Value::Duration(a), Value::Int(b)) => micros(op, a.0, *b)?,
            (Value::Timestamp(a), Value::Duration(b)) => {
                let moved = if back { time::timestamp_back(*a, *b) } else { time::timestamp_add(*a, *b) };
                Some(Value::Timestamp(moved?))
            }
            (Value::Date(a), Value::Duration(b)) => {
                Some(Value::Date(if back { time::date_back(*a, *b) } else { time::date_add(*a, *b) }?))
            }
            (Value::Text(a), Value::Text(b)) => Some(Value::Text(format!("{a}{b}"))),
            (Value::Null, item) => Some(Value::List(vec![item.clone()])),
            (Value::List(items), item) if self == Operator::Remove => {
                Some(Value::List(items.iter().filter(|held| *held != item).cloned().collect()))
            }
            (Value::List(items), item) => Some(Value::List(items.iter().chain([item]).cloned().collect())),
            _ => return Err(OpError::Argument),
        };
        Ok(result.unwrap_or(Value::Null))
    }
}

fn micros(op: ArithmeticOp, a: i64, b: i64) -> Result<Option<Value>, OpError> {
    Ok(number::int(op, a, b)?.map(|us| Value::Duration(Duration(us))))
}

/// The column's precision may be smaller than what a decimal can hold.
fn fit(result: Decimal, ty: &Type) -> Result<Value, OpError> {
    let Type::Decimal { precision, .. } = ty else { return Err(OpError::Argument) };
    let fits = result.mantissa.unsigned_abs() < 10u64.pow(u32::from(*precision));
    if fits { Ok(Value::Decimal(result)) } else { Err(OpError::Overflow { operation: "a decimal" }) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mainstay_lang::types::Type;
    use mainstay_lang::value::Value;

    use super::Operator;

    fn check(ty: &Type, held: &str, name: &str, operand: &str, expect: Result<&str, &str>) {
        let operator = Operator::named(name).expect("a name of the table");
        let held = Value::from_json(held, ty).expect("held");
        let wanted = operator.operand(ty).expect("works on the type");
        let operand = Value::from_json(operand, &wanted).expect("operand");
        let result = operator.apply(&held, &operand, ty).map(|value| value.to_json());
        let result = result.map_err(|error| error.to_string());
        assert_eq!(result.as_deref().map_err(|words| &words[..]), expect, "{held:?} {name} {operand:?}");
    }

    #[test]
    fn computes_from_what_is_held() {
        let decimal = Type::Decimal { precision: 5, scale: 2 };
        let list = Type::List(Arc::new(Type::Text { max: None }));
        let text = Type::Text { max: None };
        check(&Type::Int, "1", "$add", "2", Ok("3"));
        check(&Type::Int, "1", "$sub", "2", Ok("-1"));
        check(&Type::Int, "null", "$add", "2", Ok("null"));
        check(&Type::Int, "9223372036854775807", "$add", "1", Err("arithmetic overflow in addition"));
        check(&Type::Float, "1.5", "$mul", "2", Ok("3.0"));
        check(&Type::Float, "1e308", "$mul", "10", Err("arithmetic overflow in multiplication"));
        check(&decimal, "\"10.01\"", "$mul", "1.19", Ok("\"11.91\""));
        check(&decimal, "\"999.99\"", "$add", "\"0.01\"", Err("arithmetic overflow in a decimal"));
        check(&text, "\"a\"", "$concat", "\"b\"", Ok("\"ab\""));
        check(&list, "[\"a\"]", "$append", "\"b\"", Ok("[\"a\",\"b\"]"));
        check(&list, "null", "$append", "\"b\"", Ok("[\"b\"]"));
        check(&list, "[\"a\",\"b\",\"a\"]", "$remove", "\"a\"", Ok("[\"b\"]"));
        check(
            &Type::Timestamp,
            "\"2026-01-31T10:00:00Z\"",
            "$add",
            "\"P1D\"",
            Ok("\"2026-02-01T10:00:00.000000Z\""),
        );
        check(&Type::Date, "\"2026-01-31\"", "$sub", "\"PT47H\"", Ok("\"2026-01-30\""));
        check(&Type::Duration, "\"PT1H\"", "$mul", "3", Ok("\"PT3H\""));
    }

    #[test]
    fn works_on_no_other_types() {
        assert_eq!(Operator::Add.operand(&Type::Text { max: None }), None);
        assert_eq!(Operator::Append.operand(&Type::Int), None);
        assert_eq!(Operator::Mul.operand(&Type::Date), None);
    }
}
