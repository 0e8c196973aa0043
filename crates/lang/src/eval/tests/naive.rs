//! An evaluator without cleverness: truth as numbers, integers in 128 bits, texts as vectors of characters.
//!
//! It looks at every operand, follows relations in [`World`], and answers [`Failed`] as soon as anything overflows.

use super::world::World;
use crate::eval::CallerView;
use crate::expr::{ArithmeticOp, Ask, CallerFact, Clock, CompareOp, Expr, Function, Node, Root, RowPath};
use crate::types::Type;
use crate::value::{Date, Decimal, Duration, Timestamp, Value};

/// Something overflowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Failed;

type Answer = Result<Value, Failed>;

pub(crate) fn eval(expr: &Expr, world: &World) -> Answer {
    let of = |expr: &Expr| eval(expr, world);
    let all = |items: &[Expr]| items.iter().map(of).collect::<Result<Vec<_>, _>>();
    Ok(match &expr.node {
        Node::Literal(value) => value.clone(),
        Node::Param(index) => world.params[*index as usize].clone(),
        Node::Caller(CallerFact::User) => world.user().cloned().unwrap_or(Value::Null),
        Node::Caller(CallerFact::SignedIn) => Value::Bool(world.user.is_some()),
        Node::Caller(CallerFact::Can(what) | CallerFact::HasRole(what)) => {
            Value::Bool(world.allowed && what == "a")
        }
        Node::Caller(CallerFact::Tenant | CallerFact::Session) => Value::Null,
        Node::Clock(Clock::Now) => Value::Timestamp(world.now),
        Node::Clock(Clock::Today) => Value::Date(Date::parse(&world.now.to_string()[..10]).unwrap()),
        Node::EventAt => Value::Timestamp(world.now),
        Node::Column { row, column, .. } => match row_at(row, world)? {
            Some(row) => row[column.0 as usize].clone(),
            None => Value::Null,
        },
        Node::Not(inner) => truth_of(2 - truth(&of(inner)?)),
        Node::And(items) => truth_of(all(items)?.iter().map(truth).min().unwrap_or(2)),
        Node::Or(items) => truth_of(all(items)?.iter().map(truth).max().unwrap_or(0)),
        Node::Compare { op, left, right } => compare(*op, &of(left)?, &of(right)?),
        Node::IsNull { value, negated } => Value::Bool((of(value)? == Value::Null) != *negated),
        Node::In { value, items } => {
            let value = of(value)?;
            let equal = |item: &Value| truth(&compare(CompareOp::Eq, &value, item));
            truth_of(all(items)?.iter().map(equal).max().unwrap_or(0))
        }
        Node::InList { value, list } => match (of(value)?, of(list)?) {
            (Value::Null, _) | (_, Value::Null) => Value::Null,
            (value, Value::List(items)) => Value::Bool(items.contains(&value)),
            other => panic!("{other:?}"),
        },
        Node::Contains { value, needle } => match (of(value)?, of(needle)?) {
            (Value::Text(value), Value::Text(needle)) => {
                Value::Bool(value.to_ascii_lowercase().contains(&needle.to_ascii_lowercase()))
            }
            _ => Value::Null,
        },
        Node::Arithmetic { op, left, right } => arithmetic(*op, of(left)?, of(right)?, &expr.ty)?,
        Node::Negate(inner) => arithmetic(ArithmeticOp::Sub, Value::Int(0), of(inner)?, &expr.ty)?,
        Node::Coalesce(items) => {
            for item in items {
                let value = of(item)?;
                if value != Value::Null {
                    return Ok(value);
                }
            }
            Value::Null
        }
        Node::If { condition, then, otherwise } => {
            if of(condition)? == Value::Bool(true) {
                of(then)?
            } else {
                of(otherwise)?
            }
        }
        Node::Call { function, args } => call(*function, &all(args)?)?,
        Node::Convert(inner) => convert(of(inner)?, &expr.ty)?,
        Node::Rank(inner) => match (of(inner)?, &inner.ty) {
            (Value::Text(name), Type::Enum(values)) => {
                Value::Int(values.values.iter().position(|value| *value == name).unwrap() as i64)
            }
            _ => Value::Null,
        },
        Node::JsonPath { value, path } => match of(value)? {
            Value::Json(text) => {
                let json: serde_json::Value = serde_json::from_str(&text).unwrap();
                match path.iter().try_fold(&json, |json, name| json.get(name)) {
                    Some(serde_json::Value::String(text)) => Value::Text(text.clone()),
                    Some(serde_json::Value::Null) | None => Value::Null,
                    Some(other) => panic!("{other} is not in the test's data"),
                }
            }
            _ => Value::Null,
        },
        Node::Many(many) => {
            let mut truths = Vec::new();
            for child in row_at(&many.row, world)?.map_or(&[][..], |_| &world.children) {
                let inside = World { row: child.clone(), ..world.clone() };
                let is_true = |condition: &Expr| Ok(eval(condition, &inside)? == Value::Bool(true));
                if many.visible.as_ref().map_or(Ok(true), |visible| is_true(visible))? {
                    truths.push(many.body.as_ref().map_or(Ok(true), is_true)?);
                }
            }
            Value::Bool(match many.ask {
                Ask::Any => truths.contains(&true),
                Ask::All => !truths.contains(&false),
                Ask::None => !truths.contains(&true),
                other => panic!("{other:?} is not made here"),
            })
        }
    })
}

fn row_at(path: &RowPath, world: &World) -> Result<Option<Vec<Value>>, Failed> {
    let mut row = match path.root {
        Root::Scope(_) => Some(world.row.clone()),
        Root::Old => world.old.clone(),
        Root::New => world.new.clone(),
        Root::User => world.user.clone(),
    };
    for hop in &path.hops {
        let target = row.and(world.target.clone());
        row = match (target, &hop.visible) {
            (Some(target), Some(visible)) => {
                let inside = World { row: target.clone(), ..world.clone() };
                (eval(visible, &inside)? == Value::Bool(true)).then_some(target)
            }
            (target, _) => target,
        };
    }
    Ok(row)
}

/// False 0, unknown 1, true 2: conjunction is the least, disjunction the greatest.
fn truth(value: &Value) -> i32 {
    match value {
        Value::Bool(false) => 0,
        Value::Null => 1,
        Value::Bool(true) => 2,
        other => panic!("{other:?} is no truth value"),
    }
}

fn truth_of(truth: i32) -> Value {
    [Value::Bool(false), Value::Null, Value::Bool(true)][truth as usize].clone()
}

fn compare(op: CompareOp, left: &Value, right: &Value) -> Value {
    let order = match (left, right) {
        (Value::Null, _) | (_, Value::Null) => return Value::Null,
        (Value::Text(a), Value::Text(b)) => a.chars().cmp(b.chars()),
        (Value::Decimal(a), Value::Decimal(b)) => {
            let wide = |d: &Decimal| i128::from(d.mantissa) * 10i128.pow(18 - u32::from(d.scale));
            wide(a).cmp(&wide(b))
        }
        (a, b) => a.compare(b).unwrap(),
    };
    Value::Bool(match op {
        CompareOp::Eq => order as i8 == 0,
        CompareOp::Ne => order as i8 != 0,
        CompareOp::Lt => (order as i8) < 0,
        CompareOp::Le => order as i8 <= 0,
        CompareOp::Gt => order as i8 > 0,
        CompareOp::Ge => order as i8 >= 0,
    })
}

fn arithmetic(op: ArithmeticOp, left: Value, right: Value, ty: &Type) -> Answer {
    use ArithmeticOp::{Add, Div, Mul, Rem, Sub};
    let by_zero = matches!(op, Div | Rem);
    if left == Value::Null || right == Value::Null {
        return Ok(Value::Null);
    }
    if let (Value::Float(a), Value::Float(b)) = (&left, &right) {
        if by_zero && *b == 0.0 {
            return Ok(Value::Null);
        }
        let result = match op {
            Add => a + b,
            Sub => a - b,
            Mul => a * b,
            Div => a / b,
            Rem => a % b,
        };
        return if result.is_finite() { Ok(Value::Float(result + 0.0)) } else { Err(Failed) };
    }
    if let (Value::Decimal(a), Value::Decimal(b)) = (&left, &right) {
        if by_zero && b.mantissa == 0 {
            return Ok(Value::Null);
        }
        let (x, y) = (i128::from(a.mantissa), i128::from(b.mantissa));
        let Type::Decimal { scale, .. } = ty else { panic!("{ty}") };
        // Both sides have one scale here; a product comes at twice it, a quotient at none.
        let (mantissa, from) = match op {
            Add => (x + y, a.scale),
            Sub => (x - y, a.scale),
            Rem => (x % y, a.scale),
            Mul => (x * y, a.scale + b.scale),
            Div => (rounded(x * 10i128.pow((*scale).into()), y), *scale),
        };
        return at_scale(mantissa, from, *scale);
    }
    let (days, micros) = (86_400_000_000i128, |value: &Value| wide(value));
    let (x, y) = (micros(&left), micros(&right));
    let result = match (&left, &right, op) {
        (Value::Date(_), Value::Duration(_), Add) => x + y / days,
        (Value::Date(_), Value::Duration(_), Sub) => x - y / days,
        (Value::Date(_), Value::Date(_), Sub) => (x - y) * days,
        (_, _, Add) => x + y,
        (_, _, Sub) => x - y,
        (_, _, Mul) => x * y,
        (_, _, Div | Rem) if y == 0 => return Ok(Value::Null),
        (_, _, Div) => x / y,
        (_, _, Rem) => x % y,
    };
    let narrow = i64::try_from(result).map_err(|_| Failed)?;
    match (ty, &right) {
        (Type::Int, _) => Ok(Value::Int(narrow)),
        (Type::Duration, _) => Ok(Value::Duration(Duration(narrow))),
        (Type::Timestamp, _) => Timestamp::from_micros(narrow).map(Value::Timestamp).ok_or(Failed),
        (Type::Date, _) => Date::from_days(narrow).map(Value::Date).ok_or(Failed),
        (other, _) => panic!("{other}"),
    }
}

fn wide(value: &Value) -> i128 {
    match value {
        Value::Int(value) => (*value).into(),
        Value::Duration(value) => value.0.into(),
        Value::Timestamp(value) => value.0.into(),
        Value::Date(value) => value.0.into(),
        other => panic!("{other:?}"),
    }
}

/// Half away from zero, by adding half of the divisor to the magnitude.
fn rounded(dividend: i128, divisor: i128) -> i128 {
    let size = (2 * dividend.abs() + divisor.abs()) / (2 * divisor.abs());
    size * dividend.signum() * divisor.signum()
}

fn at_scale(mantissa: i128, from: u8, to: u8) -> Answer {
    let power = |digits: u8| 10i128.pow(digits.into());
    let mantissa = if to >= from { mantissa * power(to - from) } else { rounded(mantissa, power(from - to)) };
    Decimal::new(mantissa, to).map(Value::Decimal).ok_or(Failed)
}

fn convert(value: Value, ty: &Type) -> Answer {
    match (value, ty) {
        (Value::Null, _) => Ok(Value::Null),
        (Value::Int(value), Type::Float) => Ok(Value::Float(value as f64)),
        (Value::Int(value), Type::Decimal { scale, .. }) => at_scale(value.into(), 0, *scale),
        (Value::Decimal(value), Type::Decimal { scale, .. }) => {
            at_scale(value.mantissa.into(), value.scale, *scale)
        }
        other => panic!("{other:?}"),
    }
}

fn call(function: Function, args: &[Value]) -> Answer {
    if args.contains(&Value::Null) {
        return Ok(Value::Null);
    }
    let text = |index: usize| match &args[index] {
        Value::Text(text) => text.clone(),
        other => panic!("{other:?}"),
    };
    let part = |range: std::ops::Range<usize>| args[0].to_string()[range].parse::<i64>().unwrap();
    Ok(match (function, args) {
        (Function::Year, _) => Value::Int(part(0..4)),
        (Function::Month, _) => Value::Int(part(5..7)),
        (Function::Day, _) => Value::Int(part(8..10)),
        (Function::Lower, _) => Value::Text(text(0).to_ascii_lowercase()),
        (Function::Upper, _) => Value::Text(text(0).to_ascii_uppercase()),
        (Function::Trim, _) => Value::Text(text(0).trim_matches(' ').to_owned()),
        (Function::Concat, _) => Value::Text(text(0) + &text(1)),
        (Function::Length, [Value::List(items)]) => Value::Int(items.len() as i64),
        (Function::Length, _) => Value::Int(text(0).chars().collect::<Vec<_>>().len() as i64),
        (Function::StartsWith, _) => Value::Bool(text(0).find(&text(1)) == Some(0)),
        (Function::EndsWith, _) => {
            let (of, end) = (text(0), text(1));
            Value::Bool(of.len() >= end.len() && of.as_bytes()[of.len() - end.len()..] == *end.as_bytes())
        }
        // The matcher has a naive one of its own, beside it.
        (Function::Like, _) => Value::Bool(crate::ops::text::like(&text(0), &text(1)).map_err(|_| Failed)?),
        (Function::Abs, [Value::Int(value)]) => Value::Int(value.checked_abs().ok_or(Failed)?),
        (Function::Abs, [Value::Float(value)]) => Value::Float(value.abs()),
        (Function::Round, [Value::Decimal(value), Value::Int(digits)]) => {
            let shift = i64::from(value.scale) - digits;
            let unit = 10i128.pow(u32::try_from(shift).unwrap());
            return at_scale(rounded(value.mantissa.into(), unit) * unit, value.scale, value.scale);
        }
        other => panic!("{other:?}"),
    })
}
