//! Scalars without cleverness: integers in 128 bits, texts as characters, patterns by trying everything.

use std::cmp::Ordering;

use mainstay_lang::expr::{ArithmeticOp, CompareOp, Function};
use mainstay_lang::types::{EnumType, Type};
use mainstay_lang::value::{Date, Decimal, Duration, Timestamp, Value};

use super::{Answer, Failed};

const FAILED: Failed = Failed { certain: true };

/// A comparison; with null it is unknown.
pub fn compare(op: CompareOp, left: &Value, right: &Value) -> Value {
    let Some(order) = order(left, right) else { return Value::Null };
    Value::Bool(match op {
        CompareOp::Eq => order == Ordering::Equal,
        CompareOp::Ne => order != Ordering::Equal,
        CompareOp::Lt => order == Ordering::Less,
        CompareOp::Le => order != Ordering::Greater,
        CompareOp::Gt => order == Ordering::Greater,
        CompareOp::Ge => order != Ordering::Less,
    })
}

/// The order of two values of one type; none with null.
///
/// # Panics
/// When the types differ or have no order.
pub fn order(left: &Value, right: &Value) -> Option<Ordering> {
    Some(match (left, right) {
        (Value::Null, _) | (_, Value::Null) => return None,
        (Value::Text(a), Value::Text(b)) => a.chars().cmp(b.chars()),
        (Value::Decimal(a), Value::Decimal(b)) => {
            let wide = |d: &Decimal| i128::from(d.mantissa) * 10i128.pow(18 - u32::from(d.scale));
            wide(a).cmp(&wide(b))
        }
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b).expect("floats are finite"),
        (Value::Uuid(a), Value::Uuid(b)) => a.to_string().cmp(&b.to_string()),
        (Value::Time(a), Value::Time(b)) => a.0.cmp(&b.0),
        (Value::Bytes(a), Value::Bytes(b)) => a.cmp(b),
        (a, b) if std::mem::discriminant(a) == std::mem::discriminant(b) => wide(a).cmp(&wide(b)),
        other => panic!("{other:?} are not compared"),
    })
}

pub(super) fn arithmetic(op: ArithmeticOp, left: &Value, right: &Value, ty: &Type) -> Answer {
    match (left, right) {
        (Value::Null, _) | (_, Value::Null) => Ok(Value::Null),
        (Value::Float(a), Value::Float(b)) => floats(op, *a, *b),
        (Value::Decimal(a), Value::Decimal(b)) => decimals(op, *a, *b, ty),
        _ => integers(op, left, right, ty),
    }
}

fn floats(op: ArithmeticOp, a: f64, b: f64) -> Answer {
    let result = match op {
        ArithmeticOp::Add => a + b,
        ArithmeticOp::Sub => a - b,
        ArithmeticOp::Mul => a * b,
        ArithmeticOp::Div | ArithmeticOp::Rem if b == 0.0 => return Ok(Value::Null),
        ArithmeticOp::Div => a / b,
        ArithmeticOp::Rem => a % b,
    };
    // Adding zero makes the negative zero the positive one.
    if result.is_finite() { Ok(Value::Float(result + 0.0)) } else { Err(FAILED) }
}

fn decimals(op: ArithmeticOp, a: Decimal, b: Decimal, ty: &Type) -> Answer {
    let Type::Decimal { scale, .. } = ty else { panic!("{ty} is no decimal") };
    let power = |digits: u8| 10i128.pow(digits.into());
    let both = a.scale.max(b.scale);
    let (x, y) = (i128::from(a.mantissa), i128::from(b.mantissa));
    let (x_even, y_even) = (x * power(both - a.scale), y * power(both - b.scale));
    let (mantissa, from) = match op {
        ArithmeticOp::Add => (x_even + y_even, both),
        ArithmeticOp::Sub => (x_even - y_even, both),
        ArithmeticOp::Mul => (x * y, a.scale + b.scale),
        ArithmeticOp::Div | ArithmeticOp::Rem if y == 0 => return Ok(Value::Null),
        ArithmeticOp::Rem => (x_even % y_even, both),
        ArithmeticOp::Div => {
            // a/b at `scale`: the mantissas' quotient, moved by what the scales differ.
            let shift = i32::from(*scale) + i32::from(b.scale) - i32::from(a.scale);
            let shift = u8::try_from(shift).expect("a quotient has no fewer digits than its dividend");
            (rounded(x.checked_mul(power(shift)).ok_or(FAILED)?, y), *scale)
        }
    };
    at_scale(mantissa, from, *scale)
}

fn integers(op: ArithmeticOp, left: &Value, right: &Value, ty: &Type) -> Answer {
    use ArithmeticOp::{Add, Div, Mul, Rem, Sub};
    const DAY: i128 = 86_400_000_000;
    let (x, y) = (wide(left), wide(right));
    let result = match (left, right, op) {
        (Value::Date(_), Value::Duration(_), Add) => x + y / DAY,
        (Value::Date(_), Value::Duration(_), Sub) => x - y / DAY,
        (Value::Date(_), Value::Date(_), Sub) => (x - y) * DAY,
        (_, _, Add) => x + y,
        (_, _, Sub) => x - y,
        (_, _, Mul) => x * y,
        (_, _, Div | Rem) if y == 0 => return Ok(Value::Null),
        (_, _, Div) => x / y,
        (_, _, Rem) => x % y,
    };
    let narrow = i64::try_from(result).map_err(|_| FAILED)?;
    match ty {
        Type::Int => Ok(Value::Int(narrow)),
        Type::Duration => Ok(Value::Duration(Duration(narrow))),
        Type::Timestamp => Timestamp::from_micros(narrow).map(Value::Timestamp).ok_or(FAILED),
        Type::Date => Date::from_days(narrow).map(Value::Date).ok_or(FAILED),
        other => panic!("{other} is no type of arithmetic"),
    }
}

pub(super) fn negate(value: &Value) -> Answer {
    Ok(match value {
        Value::Null => Value::Null,
        Value::Int(value) => Value::Int(value.checked_neg().ok_or(FAILED)?),
        Value::Duration(value) => Value::Duration(Duration(value.0.checked_neg().ok_or(FAILED)?)),
        Value::Float(value) => Value::Float(0.0 - value),
        Value::Decimal(value) => Value::Decimal(Decimal { mantissa: -value.mantissa, scale: value.scale }),
        other => panic!("{other:?} is not negated"),
    })
}

fn wide(value: &Value) -> i128 {
    match value {
        Value::Int(value) => (*value).into(),
        Value::Duration(value) => value.0.into(),
        Value::Timestamp(value) => value.0.into(),
        Value::Date(value) => value.0.into(),
        other => panic!("{other:?} is no whole number"),
    }
}

/// Half away from zero, by adding half of the divisor to the magnitude.
fn rounded(dividend: i128, divisor: i128) -> i128 {
    let size = (dividend.abs() + divisor.abs() / 2) / divisor.abs();
    size * dividend.signum() * divisor.signum()
}

fn at_scale(mantissa: i128, from: u8, to: u8) -> Answer {
    let power = |digits: u8| 10i128.pow(digits.into());
    let mantissa = if to >= from {
        mantissa.checked_mul(power(to - from)).ok_or(FAILED)?
    } else {
        rounded(mantissa, power(from - to))
    };
    Decimal::new(mantissa, to).map(Value::Decimal).ok_or(FAILED)
}

pub(super) fn convert(value: Value, ty: &Type) -> Answer {
    #[expect(clippy::cast_precision_loss, reason = "a whole number as float is the nearest float")]
    match (value, ty) {
        (Value::Null, _) => Ok(Value::Null),
        (Value::Int(value), Type::Float) => Ok(Value::Float(value as f64)),
        (Value::Int(value), Type::Decimal { scale, .. }) => at_scale(value.into(), 0, *scale),
        (Value::Decimal(value), Type::Decimal { scale, .. }) => {
            at_scale(value.mantissa.into(), value.scale, *scale)
        }
        other => panic!("{other:?} is not converted"),
    }
}

pub(super) fn rank(name: &str, of: &EnumType) -> Value {
    let place = of.values.iter().position(|value| value == name).expect("a value of the enum");
    Value::Int(i64::try_from(place).expect("enums are short"))
}

/// The scalar at a path as text.
pub(super) fn json_path(value: &Value, path: &[String]) -> Value {
    let Value::Json(text) = value else { return Value::Null };
    let json: serde_json::Value = serde_json::from_str(text).expect("json columns hold JSON");
    match path.iter().try_fold(&json, |json, name| json.get(name)) {
        Some(serde_json::Value::String(text)) => Value::Text(text.clone()),
        Some(scalar @ (serde_json::Value::Bool(_) | serde_json::Value::Number(_))) => {
            Value::Text(scalar.to_string())
        }
        _ => Value::Null,
    }
}

pub(super) fn call(function: Function, args: &[Value]) -> Answer {
    if args.contains(&Value::Null) {
        return Ok(Value::Null);
    }
    let text = |index: usize| match &args[index] {
        Value::Text(text) => text.as_str(),
        other => panic!("{other:?} is no text"),
    };
    let part = |range: std::ops::Range<usize>| -> Value {
        Value::Int(args[0].to_string()[range].parse().expect("dates are digits"))
    };
    let count = |count: usize| Value::Int(i64::try_from(count).expect("short"));
    Ok(match (function, args) {
        (Function::Year, _) => part(0..4),
        (Function::Month, _) => part(5..7),
        (Function::Day, _) => part(8..10),
        (Function::Lower, _) => Value::Text(text(0).to_ascii_lowercase()),
        (Function::Upper, _) => Value::Text(text(0).to_ascii_uppercase()),
        (Function::Trim, _) => {
            let space = |c: char| " \t\n\r\u{c}\u{b}".contains(c);
            Value::Text(text(0).trim_start_matches(space).trim_end_matches(space).to_owned())
        }
        (Function::Concat, _) => Value::Text((0..args.len()).map(text).collect()),
        (Function::Length, [Value::List(items)]) => count(items.len()),
        (Function::Length, [Value::Bytes(bytes)]) => count(bytes.len()),
        (Function::Length, _) => count(text(0).chars().count()),
        (Function::StartsWith, _) => Value::Bool(text(0).find(text(1)) == Some(0)),
        (Function::EndsWith, _) => {
            let (of, end) = (text(0).as_bytes(), text(1).as_bytes());
            Value::Bool(of.len() >= end.len() && of[of.len() - end.len()..] == *end)
        }
        (Function::Like, _) => {
            let chars = |index: usize| text(index).chars().collect::<Vec<_>>();
            Value::Bool(like(&chars(0), &chars(1)))
        }
        (Function::Abs, [Value::Int(value)]) => Value::Int(value.checked_abs().ok_or(FAILED)?),
        (Function::Abs, [Value::Duration(value)]) => {
            Value::Duration(Duration(value.0.checked_abs().ok_or(FAILED)?))
        }
        (Function::Abs, [Value::Float(value)]) => Value::Float(value.abs()),
        (Function::Abs, [Value::Decimal(value)]) => {
            Value::Decimal(Decimal { mantissa: value.mantissa.abs(), scale: value.scale })
        }
        (Function::Round, [Value::Decimal(value), Value::Int(digits)]) => {
            let shift = i64::from(value.scale) - digits;
            if shift <= 0 {
                return Ok(args[0].clone());
            }
            let Some(unit) = u32::try_from(shift).ok().and_then(|shift| 10i128.checked_pow(shift)) else {
                return Ok(Value::Decimal(Decimal { mantissa: 0, scale: value.scale }));
            };
            let mantissa = rounded(value.mantissa.into(), unit) * unit;
            return Decimal::new(mantissa, value.scale).map(Value::Decimal).ok_or(FAILED);
        }
        other => panic!("{other:?} is not called"),
    })
}

/// `like`, or `~`: contains without regard to ASCII case.
pub fn matches_text(is_like: bool, text: &str, pattern: &str) -> bool {
    if is_like {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        like(&chars(text), &chars(pattern))
    } else {
        text.to_ascii_lowercase().contains(&pattern.to_ascii_lowercase())
    }
}

fn like(text: &[char], pattern: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['%', rest @ ..] => (0..=text.len()).any(|from| like(&text[from..], rest)),
        ['_', rest @ ..] => !text.is_empty() && like(&text[1..], rest),
        ['\\', wanted, rest @ ..] | [wanted, rest @ ..] => {
            text.first() == Some(wanted) && like(&text[1..], rest)
        }
    }
}

/// Whether it is the number nothing.
pub(super) fn is_zero(value: &Value) -> bool {
    match value {
        Value::Int(value) => *value == 0,
        Value::Float(value) => *value == 0.0,
        Value::Decimal(value) => value.mantissa == 0,
        _ => false,
    }
}

/// The sum of what is not null.
pub fn sum(values: &[Value], ty: &Type) -> Answer {
    let given = values.iter().filter(|value| !value.is_null());
    match ty {
        Type::Float => {
            let mut total = 0.0;
            for value in given {
                let Value::Float(value) = value else { panic!("{value:?} is no float") };
                // Only sums that come out the same in any order can be foretold.
                let scaled = value * 1_048_576.0;
                if scaled.fract() != 0.0 || scaled.abs() > 1e15 {
                    return Err(Failed { certain: false });
                }
                total += value;
            }
            Ok(Value::Float(total))
        }
        Type::Decimal { scale, .. } => {
            let mantissas = given.map(|value| match value {
                Value::Decimal(value) => {
                    i128::from(value.mantissa) * 10i128.pow(u32::from(scale - value.scale))
                }
                other => panic!("{other:?} is no decimal"),
            });
            at_scale(mantissas.sum(), *scale, *scale)
        }
        _ => i64::try_from(given.map(wide).sum::<i128>()).map(Value::Int).map_err(|_| FAILED),
    }
}

/// The least or greatest of what is not null; null of nothing.
pub fn extreme(values: &[Value], wanted: Ordering) -> Value {
    let given = values.iter().filter(|value| !value.is_null());
    let better = |best: Value, value: &Value| match order(value, &best) {
        Some(found) if found == wanted => value.clone(),
        None => value.clone(),
        _ => best,
    };
    given.fold(Value::Null, better)
}
