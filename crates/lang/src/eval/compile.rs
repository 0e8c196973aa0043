//! From a typed expression to steps.
//!
//! Everything that a row cannot change is decided here: where columns stand, scales, enums, paths.

use super::NotLocal;
use super::step::{Image, Step};
use crate::expr::{CallerFact, Clock, Expr, Node, Root, RowPath};
use crate::schema::ColumnId;
use crate::types::Type;

/// The steps of an expression.
pub(super) fn compile(expr: &Expr) -> Result<Step, NotLocal> {
    let boxed = |expr: &Expr| compile(expr).map(Box::new);
    let pair = |a: &Expr, b: &Expr| -> Result<_, NotLocal> { Ok(Box::new([compile(a)?, compile(b)?])) };
    Ok(match &expr.node {
        Node::Literal(value) => Step::Literal(value.clone()),
        Node::Param(index) => Step::Param(*index as usize),
        Node::Caller(fact) => caller(fact),
        Node::Clock(Clock::Now) => Step::Now,
        Node::Clock(Clock::Today) => Step::Today,
        Node::EventAt => Step::EventAt,
        Node::Column { row, column, .. } => self::column(row, *column)?,
        Node::Not(inner) => Step::Not(boxed(inner)?),
        Node::And(items) => Step::And(all(items)?),
        Node::Or(items) => Step::Or(all(items)?),
        Node::Compare { op, left, right } => Step::Compare(*op, pair(left, right)?),
        Node::IsNull { value, negated } => Step::IsNull(boxed(value)?, *negated),
        Node::In { value, items } => Step::In(boxed(value)?, all(items)?),
        Node::InList { value, list } => Step::InList(pair(value, list)?),
        Node::Contains { value, needle } => Step::Contains(pair(value, needle)?),
        Node::Arithmetic { op, left, right } => Step::Arithmetic(*op, pair(left, right)?, scale(&expr.ty)),
        Node::Negate(inner) => Step::Negate(boxed(inner)?),
        Node::Coalesce(items) => Step::Coalesce(all(items)?),
        Node::If { condition, then, otherwise } => {
            Step::If(Box::new([compile(condition)?, compile(then)?, compile(otherwise)?]))
        }
        Node::Call { function, args } => Step::Call(*function, all(args)?),
        Node::Convert(inner) => match &expr.ty {
            Type::Float => Step::ToFloat(boxed(inner)?),
            Type::Decimal { scale, .. } => Step::ToDecimal(boxed(inner)?, *scale),
            // Keys, enums and texts have one form in memory whichever of them the type says.
            _ => compile(inner)?,
        },
        Node::Rank(inner) => match &inner.ty {
            Type::Enum(of) => Step::Rank(boxed(inner)?, of.clone()),
            // Only a literal null has a place in no enum.
            _ => compile(inner)?,
        },
        Node::JsonPath { value, path } => Step::JsonPath(boxed(value)?, path.clone()),
        Node::Many(_) => return Err(NotLocal),
    })
}

fn all(items: &[Expr]) -> Result<Vec<Step>, NotLocal> {
    items.iter().map(compile).collect()
}

fn caller(fact: &CallerFact) -> Step {
    match fact {
        CallerFact::User => Step::User,
        CallerFact::SignedIn => Step::SignedIn,
        CallerFact::Can(permission) => Step::Can(permission.clone()),
        CallerFact::HasRole(role) => Step::HasRole(role.clone()),
        CallerFact::Tenant => Step::Tenant,
        CallerFact::Session => Step::Session,
        CallerFact::Confirmed(asked) => Step::Confirmed(*asked),
    }
}

fn column(row: &RowPath, column: ColumnId) -> Result<Step, NotLocal> {
    let image = match row.root {
        Root::User => {
            // A hop that not everyone may follow asks something of a row that is not here.
            if row.hops.iter().any(|hop| hop.visible.is_some()) {
                return Err(NotLocal);
            }
            return Ok(Step::UserColumn(row.hops.iter().map(|hop| hop.column).collect(), column));
        }
        Root::Scope(0) => Image::Here,
        Root::Scope(_) => return Err(NotLocal),
        Root::Old => Image::Old,
        Root::New => Image::New,
    };
    if row.hops.is_empty() { Ok(Step::Column(image, column.0 as usize)) } else { Err(NotLocal) }
}

fn scale(ty: &Type) -> u8 {
    match ty {
        Type::Decimal { scale, .. } => *scale,
        _ => 0,
    }
}
