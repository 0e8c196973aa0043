//! The steps of a compiled expression.
//!
//! A closed enum instead of boxed closures: a step lends its literals to its result, which a closure cannot, and a
//! match costs no indirect call. Conditions are tested without becoming a [`Scalar`] on the way.

use std::cmp::Ordering;
use std::sync::Arc;

use super::operate;
use super::{Env, EvalError, Scalar};
use crate::expr::{ArithmeticOp, CompareOp, Confirmed, Function};
use crate::ops::text;
use crate::schema::ColumnId;
use crate::types::EnumType;
use crate::value::{Value, json};

/// Which image of the row.
#[derive(Clone, Copy, Debug)]
pub(super) enum Image {
    Here,
    Old,
    New,
}

/// One node, ready to run.
#[derive(Debug)]
pub(super) enum Step {
    Literal(Value),
    Param(usize),
    User,
    SignedIn,
    Can(String),
    HasRole(String),
    Confirmed(Confirmed),
    Tenant,
    Session,
    Now,
    Today,
    EventAt,
    Column(Image, usize),
    UserColumn(Box<[ColumnId]>, ColumnId),
    Not(Box<Step>),
    And(Vec<Step>),
    Or(Vec<Step>),
    Compare(CompareOp, Box<[Step; 2]>),
    IsNull(Box<Step>, bool),
    In(Box<Step>, Vec<Step>),
    InList(Box<[Step; 2]>),
    Contains(Box<[Step; 2]>),
    Arithmetic(ArithmeticOp, Box<[Step; 2]>, u8),
    Negate(Box<Step>),
    Coalesce(Vec<Step>),
    If(Box<[Step; 3]>),
    Call(Function, Vec<Step>),
    ToFloat(Box<Step>),
    ToDecimal(Box<Step>, u8),
    Rank(Box<Step>, Arc<EnumType>),
    JsonPath(Box<Step>, Vec<String>),
}

impl Step {
    pub(super) fn eval<'a>(&'a self, env: &Env<'a>) -> Result<Scalar<'a>, EvalError> {
        Ok(match self {
            Step::Literal(value) => Scalar::from(value),
            Step::Param(index) => Scalar::from(env.params.get(*index)),
            Step::User => Scalar::from(env.caller.user()),
            Step::Tenant => Scalar::from(env.caller.tenant()),
            Step::Session => Scalar::from(env.caller.session()),
            Step::Now => Scalar::Timestamp(env.now),
            Step::Today => Scalar::Date(env.now.date()),
            Step::EventAt => env.event_at.map_or(Scalar::Null, Scalar::Timestamp),
            Step::Column(image, index) => Scalar::from(image_of(env, *image).get(*index)),
            Step::UserColumn(hops, column) => env.caller.user_value(hops, *column),
            Step::Arithmetic(op, sides, scale) => {
                let [left, right] = &**sides;
                operate::arithmetic(*op, left.eval(env)?, right.eval(env)?, *scale)?
            }
            Step::Negate(inner) => operate::negate(inner.eval(env)?)?,
            Step::Coalesce(items) => {
                for item in items {
                    let value = item.eval(env)?;
                    if !value.is_null() {
                        return Ok(value);
                    }
                }
                Scalar::Null
            }
            Step::If(parts) => {
                let [condition, then, otherwise] = &**parts;
                let chosen = if condition.test(env)? == Some(true) { then } else { otherwise };
                chosen.eval(env)?
            }
            Step::Call(function, args) => operate::call(*function, args, env)?,
            Step::ToFloat(inner) => operate::to_float(inner.eval(env)?)?,
            Step::ToDecimal(inner, scale) => operate::to_decimal(inner.eval(env)?, *scale)?,
            Step::Rank(inner, of) => match inner.eval(env)? {
                Scalar::Text(name) => of.rank(&name).map_or(Scalar::Null, |rank| Scalar::Int(rank as i64)),
                value => operate::only_null(&value)?,
            },
            Step::JsonPath(inner, path) => match inner.eval(env)? {
                Scalar::Json(text) => json::scalar_at(text, path).map_or(Scalar::Null, Scalar::Text),
                value => operate::only_null(&value)?,
            },
            Step::SignedIn
            | Step::Can(_)
            | Step::HasRole(_)
            | Step::Confirmed(_)
            | Step::Not(_)
            | Step::And(_)
            | Step::Or(_)
            | Step::Compare(..)
            | Step::IsNull(..)
            | Step::In(..)
            | Step::InList(_)
            | Step::Contains(_) => Scalar::from(self.test(env)?),
        })
    }

    pub(super) fn test(&self, env: &Env<'_>) -> Result<Option<bool>, EvalError> {
        match self {
            Step::SignedIn => Ok(Some(env.caller.signed_in())),
            Step::Can(permission) => Ok(Some(env.caller.can(permission))),
            Step::HasRole(role) => Ok(Some(env.caller.has_role(role))),
            Step::Confirmed(asked) => Ok(Some(env.caller.confirmed(*asked))),
            Step::Not(inner) => Ok(inner.test(env)?.map(|truth| !truth)),
            Step::And(items) => decide(items, env, false),
            Step::Or(items) => decide(items, env, true),
            Step::Compare(op, sides) => {
                let [left, right] = &**sides;
                let (left, right) = (left.eval(env)?, right.eval(env)?);
                Ok(order(&left, &right)?.map(|order| holds(*op, order)))
            }
            Step::IsNull(inner, negated) => Ok(Some(inner.eval(env)?.is_null() != *negated)),
            Step::In(value, items) => contained(&value.eval(env)?, items, env),
            Step::InList(sides) => {
                let [value, list] = &**sides;
                match (value.eval(env)?, list.eval(env)?) {
                    (Scalar::Null, _) | (_, Scalar::Null) => Ok(None),
                    (value, Scalar::List(items)) => {
                        let equals = |item| value.compare(&Scalar::from(item)) == Some(Ordering::Equal);
                        Ok(Some(items.iter().any(equals)))
                    }
                    _ => Err(EvalError::Argument),
                }
            }
            Step::Contains(sides) => {
                let [value, needle] = &**sides;
                match (value.eval(env)?, needle.eval(env)?) {
                    (Scalar::Null, _) | (_, Scalar::Null) => Ok(None),
                    (Scalar::Text(value), Scalar::Text(needle)) => Ok(Some(text::contains(&value, &needle))),
                    _ => Err(EvalError::Argument),
                }
            }
            _ => match self.eval(env)? {
                Scalar::Null => Ok(None),
                Scalar::Bool(truth) => Ok(Some(truth)),
                _ => Err(EvalError::Argument),
            },
        }
    }
}

fn image_of<'a>(env: &Env<'a>, image: Image) -> &'a [Value] {
    match image {
        Image::Here => env.row,
        Image::Old => env.old.unwrap_or_default(),
        Image::New => env.new.unwrap_or_default(),
    }
}

/// Conjunction (`decisive` false) or disjunction (`decisive` true).
fn decide(items: &[Step], env: &Env<'_>, decisive: bool) -> Result<Option<bool>, EvalError> {
    let mut result = Some(!decisive);
    for item in items {
        match item.test(env)? {
            Some(truth) if truth == decisive => return Ok(Some(decisive)),
            Some(_) => {}
            None => result = None,
        }
    }
    Ok(result)
}

/// The order of two values; `None` when one is null.
fn order(left: &Scalar<'_>, right: &Scalar<'_>) -> Result<Option<Ordering>, EvalError> {
    if left.is_null() || right.is_null() {
        return Ok(None);
    }
    left.compare(right).map(Some).ok_or(EvalError::Argument)
}

fn holds(op: CompareOp, order: Ordering) -> bool {
    match op {
        CompareOp::Eq => order.is_eq(),
        CompareOp::Ne => order.is_ne(),
        CompareOp::Lt => order.is_lt(),
        CompareOp::Le => order.is_le(),
        CompareOp::Gt => order.is_gt(),
        CompareOp::Ge => order.is_ge(),
    }
}

/// As SQL: unknown when nothing equals and something is null; nothing is in an empty list, not even null.
fn contained(value: &Scalar<'_>, items: &[Step], env: &Env<'_>) -> Result<Option<bool>, EvalError> {
    let mut result = Some(false);
    for item in items {
        match order(value, &item.eval(env)?)? {
            Some(Ordering::Equal) => return Ok(Some(true)),
            Some(_) => {}
            None => result = None,
        }
    }
    Ok(result)
}
