//! The values of a statement's binds: the request's parameters, the caller, the clock, the images of a row.
//!
//! A statement is made once and run for many callers; this is the one place where it meets one of them. Expressions in
//! memory meet the caller here too, through [`CallerEyes`], so that both are told the same.

use std::sync::Arc;

use mainstay_lang::eval::{CallerView, Scalar};
use mainstay_lang::expr::{CallerFact, Clock, Confirmed};
use mainstay_lang::schema::ColumnId;
use mainstay_lang::value::{Date, Value};
use mainstay_sql::forms::key_part;
use mainstay_sql::statement::{Bind, Statement};
use mainstay_store::Query;

use crate::ctx::Ctx;

/// The images of the row that is changed, each in the order of its columns; what an image lacks is null.
#[derive(Clone, Copy, Debug, Default)]
pub struct Images<'a> {
    /// The row before the change.
    pub old: Option<&'a [Value]>,
    /// The row after the change.
    pub new: Option<&'a [Value]>,
}

/// A statement with a value for each of its binds, for a request that changes no row.
pub fn query(statement: &Arc<Statement>, ctx: &Ctx, params: &[Value]) -> Query {
    let values = values(&statement.binds, ctx, params, Images::default());
    Query { statement: statement.clone(), values }
}

/// A statement of the system's own, which knows of no caller.
pub fn without_caller(statement: &Arc<Statement>, params: &[Value]) -> Query {
    fn value(bind: &Bind, params: &[Value]) -> Value {
        match bind {
            Bind::Value(value) => value.clone(),
            Bind::Param(index) | Bind::Array { param: index, .. } => params[*index as usize].clone(),
            Bind::KeyPart { key, part, ty } => key_part(&value(key, params), *part, ty),
            _ => Value::Null,
        }
    }
    let values = statement.binds.iter().map(|bind| value(bind, params)).collect();
    Query { statement: statement.clone(), values }
}

/// A statement of parameters alone, each of them in one place: it takes them.
pub fn query_taking(statement: &Arc<Statement>, mut params: Vec<Value>) -> Query {
    let mut value = |bind: &Bind| match bind {
        Bind::Param(index) | Bind::Array { param: index, .. } => {
            std::mem::replace(&mut params[*index as usize], Value::Null)
        }
        Bind::Value(value) => value.clone(),
        _ => Value::Null,
    };
    let values = statement.binds.iter().map(&mut value).collect();
    Query { statement: statement.clone(), values }
}

/// Whether the values of a statement are its parameters as they are, so that nothing has to be made of them.
pub fn takes_params(statement: &Statement, params: &[Value]) -> bool {
    let is_next = |(at, bind): (usize, &Bind)| matches!(bind, Bind::Param(index) if *index as usize == at);
    statement.binds.len() == params.len() && statement.binds.iter().enumerate().all(is_next)
}

/// A value for each bind.
///
/// # Panics
/// When a parameter has no value: whoever made the statement counted them.
pub fn values(binds: &[Bind], ctx: &Ctx, params: &[Value], images: Images<'_>) -> Vec<Value> {
    let eyes = CallerEyes::new(ctx);
    let image = |image: Option<&[Value]>, column: &ColumnId| {
        image.and_then(|row| row.get(column.0 as usize)).cloned().unwrap_or(Value::Null)
    };
    let simple = |bind: &Bind| match bind {
        Bind::Value(value) => value.clone(),
        Bind::Param(index) | Bind::Array { param: index, .. } => params[*index as usize].clone(),
        Bind::User { hops, column } => eyes.user_value(hops, *column).into_value(),
        Bind::Caller(fact) => eyes.fact(fact),
        Bind::Clock(Clock::Now) => Value::Timestamp(ctx.now),
        Bind::Clock(Clock::Today) => Value::Date(today(ctx)),
        Bind::Old(column) => image(images.old, column),
        Bind::New(column) => image(images.new, column),
        Bind::KeyPart { .. } => unreachable!("a key that is put together stands within no other"),
    };
    let value = |bind: &Bind| match bind {
        Bind::KeyPart { key, part, ty } => key_part(&simple(key), *part, ty),
        bind => simple(bind),
    };
    binds.iter().map(value).collect()
}

/// The date in UTC by the request's clock.
pub fn today(ctx: &Ctx) -> Date {
    const DAY_US: i64 = 86_400_000_000;
    let days = ctx.now.0.div_euclid(DAY_US);
    Date::from_days(days).expect("a timestamp lies within the years that a date has")
}

/// What expressions may ask about the caller of a request.
#[derive(Clone, Copy, Debug)]
pub struct CallerEyes<'a> {
    ctx: &'a Ctx,
}

impl<'a> CallerEyes<'a> {
    /// The caller of a request, whose row has been read.
    pub fn new(ctx: &'a Ctx) -> CallerEyes<'a> {
        CallerEyes { ctx }
    }

    /// A fact about the caller as a value.
    pub fn fact(&self, fact: &CallerFact) -> Value {
        let or_null = |value: Option<&Value>| value.cloned().unwrap_or(Value::Null);
        match fact {
            CallerFact::User => or_null(self.user()),
            CallerFact::SignedIn => Value::Bool(self.signed_in()),
            CallerFact::Can(permission) => Value::Bool(self.can(permission)),
            CallerFact::HasRole(role) => Value::Bool(self.has_role(role)),
            CallerFact::Tenant => or_null(self.tenant()),
            CallerFact::Session => or_null(self.session()),
            CallerFact::Confirmed(asked) => Value::Bool(self.confirmed(*asked)),
        }
    }
}

impl CallerView for CallerEyes<'_> {
    fn user(&self) -> Option<&Value> {
        self.ctx.caller.user.as_ref()
    }

    fn can(&self, permission: &str) -> bool {
        self.ctx.caller.permissions.contains(permission)
    }

    fn has_role(&self, role: &str) -> bool {
        self.ctx.caller.roles.contains(role)
    }

    fn confirmed(&self, asked: Confirmed) -> bool {
        self.ctx.confirmed(asked)
    }

    fn tenant(&self) -> Option<&Value> {
        self.ctx.tenant.as_ref()
    }

    fn session(&self) -> Option<&Value> {
        self.ctx.session.as_ref()
    }

    fn user_value(&self, hops: &[ColumnId], column: ColumnId) -> Scalar<'_> {
        match (self.user(), &self.ctx.caller.row) {
            (Some(user), _) if hops.is_empty() && column == ColumnId::ID => Scalar::from(user),
            // The row is read by the list that it was made by, which rules of another time may not share.
            (Some(_), Some(row)) => row.value(hops, column),
            _ => Scalar::Null,
        }
    }
}
