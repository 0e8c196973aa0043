//! Values of a request against the columns that shall hold them.
//!
//! White space and case first, then the type, then the declared bounds: a value that passes here is one that the
//! database takes. Every problem is noted with its place and the reading goes on, so that a caller sees all of them at
//! once. What was given never stands in a message: it may be a secret.

use std::cmp::Ordering;

use mainstay_lang::schema::{Bound, Column, Pattern};
use mainstay_lang::types::Type;
use mainstay_lang::value::{Value, ValueError, ValueErrorKind};

use super::address;
use crate::error::{Error, FieldError, Key};

/// What is wrong with the values of one request.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<FieldError>);

impl Problems {
    /// Notes one.
    pub(super) fn add(&mut self, path: impl Into<String>, key: &str, message: impl Into<String>) {
        self.0.push(FieldError { path: path.into(), key: key.to_owned(), message: message.into() });
    }

    /// Notes several.
    pub(super) fn extend(&mut self, errors: Vec<FieldError>) {
        self.0.extend(errors);
    }

    /// The error that names all of them, if there is any.
    pub(crate) fn into_result(self) -> Result<(), Error> {
        let Some(first) = self.0.first() else { return Ok(()) };
        let detail = match self.0.len() {
            1 => format!("{} {}", first.path, first.message),
            count => format!("{count} values cannot be taken; the first: {} {}", first.path, first.message),
        };
        let mut error = Error::new(Key::Invalid, detail);
        error.errors = self.0;
        Err(error)
    }
}

/// Reads the JSON of a value for a column. `ty` is the column's storage type. `None` when a problem was noted.
pub(crate) fn read(
    column: &Column,
    ty: &Type,
    raw: &str,
    path: &str,
    problems: &mut Problems,
) -> Option<Value> {
    let value = match Value::from_json(raw, ty) {
        Ok(value) => tidy(value, column),
        Err(error) => {
            note(problems, path, &error);
            return None;
        }
    };
    check(column, ty, &value, path, problems).then_some(value)
}

/// Tests a tidy value against everything that the column declares; notes what is wrong.
pub(super) fn check(column: &Column, ty: &Type, value: &Value, path: &str, problems: &mut Problems) -> bool {
    if value.is_null() {
        if !column.nullable {
            problems.add(path, "required", "must not be null");
        }
        return column.nullable;
    }
    if let Err(error) = value.check_length(ty) {
        problems.add(path, "length", error.message);
        return false;
    }
    let bounds = [(&column.min, Ordering::Less), (&column.max, Ordering::Greater)];
    for (bound, wrong) in bounds {
        if let Some(bound) = bound
            && let Some(message) = bound_broken(bound, wrong, value)
        {
            problems.add(path, if wrong == Ordering::Less { "min" } else { "max" }, message);
            return false;
        }
    }
    match &column.pattern {
        Some(pattern) => check_pattern(pattern, value, path, problems),
        None => true,
    }
}

/// `trim` and `lower`, in lists for each item.
fn tidy(value: Value, column: &Column) -> Value {
    match value {
        Value::Text(text) if column.trim || column.lower => {
            let kept = if column.trim { text.trim_matches(is_space) } else { &text };
            Value::Text(if column.lower { kept.to_ascii_lowercase() } else { kept.to_owned() })
        }
        Value::List(items) if column.trim || column.lower => {
            Value::List(items.into_iter().map(|item| tidy(item, column)).collect())
        }
        other => other,
    }
}

/// What the language's `trim` takes for white space.
fn is_space(char: char) -> bool {
    matches!(char, ' ' | '\t' | '\n' | '\r' | '\u{c}' | '\u{b}')
}

fn note(problems: &mut Problems, path: &str, error: &ValueError) {
    // A number that does not fit is told apart from a text of the wrong form by the kind alone.
    let key = match error.kind {
        ValueErrorKind::Nul => "nul",
        kind => kind.key(),
    };
    problems.add(path, key, error.message.clone());
}

/// What to say when a value lies on the wrong side of a bound.
fn bound_broken(bound: &Bound, wrong: Ordering, value: &Value) -> Option<String> {
    let side = if wrong == Ordering::Less { "at least" } else { "at most" };
    match bound {
        Bound::Length(bound) => {
            let (length, unit) = match value {
                Value::Text(text) => (text.chars().count(), "characters"),
                Value::List(items) => (items.len(), "items"),
                Value::Bytes(bytes) => (bytes.len(), "bytes"),
                _ => return None,
            };
            let broken = (length as u64).cmp(bound) == wrong;
            broken.then(|| format!("must have {side} {bound} {unit}"))
        }
        Bound::Value(bound) => {
            if let Value::List(items) = value {
                return items.iter().find_map(|item| bound_broken(&Bound::Value(bound.clone()), wrong, item));
            }
            (value.compare(bound) == Some(wrong)).then(|| format!("must be {side} {bound}"))
        }
    }
}

fn check_pattern(pattern: &Pattern, value: &Value, path: &str, problems: &mut Problems) -> bool {
    let text = match value {
        Value::Text(text) => text,
        Value::List(items) => {
            return items.iter().all(|item| check_pattern(pattern, item, path, problems));
        }
        _ => return true,
    };
    let message = match pattern {
        Pattern::Email if address::is_email(text) => return true,
        Pattern::Email => "must be an e-mail address".to_owned(),
        Pattern::Url if address::is_url(text) => return true,
        Pattern::Url => "must be an absolute http or https address".to_owned(),
        Pattern::Regex(regex) if regex.is_match(text) => return true,
        Pattern::Regex(regex) => format!("must match {}", regex.as_str()),
    };
    problems.add(path, "match", message);
    false
}

/// Reads what stands beside an operator.
pub(super) fn read_operand(ty: &Type, raw: &str, path: &str, problems: &mut Problems) -> Option<Value> {
    match Value::from_json(raw, ty) {
        Ok(value) => Some(value),
        Err(error) => {
            note(problems, path, &error);
            None
        }
    }
}
