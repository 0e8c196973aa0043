//! Whether a value meets a constraint of the query language.

use mainstay_lang::types::Type;
use mainstay_lang::value::Value;
use serde_json::Value as Json;

use super::order::ranked;
use crate::naive::compare;

pub(super) fn read(json: &Json, ty: &Type) -> Value {
    Value::from_json(&json.to_string(), ty).expect("requests are made with values that fit")
}

/// Whether a value meets a constraint; unknown with null.
pub(super) fn holds(value: &Value, ty: &Type, json: &Json) -> Option<bool> {
    use mainstay_lang::expr::CompareOp::{Eq, Ge, Gt, Le, Lt};
    let truth = |value: Value| match value {
        Value::Bool(truth) => Some(truth),
        _ => None,
    };
    let any = |truths: Vec<Option<bool>>| {
        if truths.contains(&Some(true)) {
            Some(true)
        } else if truths.contains(&None) {
            None
        } else {
            Some(false)
        }
    };
    match json {
        Json::Null => Some(value.is_null()),
        Json::Array(items) => any(items.iter().map(|item| holds(value, ty, item)).collect()),
        Json::Object(operators) => {
            let truths = operators.iter().map(|(operator, json)| {
                let op = match operator.as_str() {
                    "gt" | ">" => Gt,
                    "ge" | ">=" => Ge,
                    "lt" | "<" => Lt,
                    "le" | "<=" => Le,
                    "not" | "!" => return negated(value, ty, json),
                    "like" | "~" => {
                        let (Value::Text(text), Some(pattern)) = (value, json.as_str()) else { return None };
                        return Some(crate::naive::matches_text(operator == "like", text, pattern));
                    }
                    other => panic!("{other} is no operator"),
                };
                let of = read(json, ty);
                truth(compare(op, &ranked(value.clone(), ty), &ranked(of, ty)))
            });
            let failed: Vec<Option<bool>> = truths.map(|truth| truth.map(|truth| !truth)).collect();
            any(failed).map(|failed| !failed)
        }
        scalar => truth(compare(Eq, value, &read(scalar, ty))),
    }
}

/// `not`: keeps null out unless null is listed beside other values; of null alone: has a value.
fn negated(value: &Value, ty: &Type, json: &Json) -> Option<bool> {
    match json {
        Json::Null => Some(!value.is_null()),
        Json::Array(items) => {
            let (nulls, others): (Vec<&Json>, Vec<&Json>) = items.iter().partition(|item| item.is_null());
            if others.is_empty() {
                return Some(!value.is_null());
            }
            if value.is_null() {
                return Some(!nulls.is_empty());
            }
            Some(others.iter().all(|item| holds(value, ty, item) == Some(false)))
        }
        other => holds(value, ty, other).map(|truth| !truth),
    }
}
