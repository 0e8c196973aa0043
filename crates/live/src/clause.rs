//! Rules and filters as routes: under which keys a subscription is found when a row changes.
//!
//! A room written by hand says "all of team 5". Here the rooms are derived. Take
//!
//! ```text
//! allow read if sender == user.team or (severity == serious and public)      the rule
//! {"Alert": {"severity": "info"}}                                            what Ann, of team 5, subscribes to
//! ```
//!
//! A row is Ann's when both are true. Put into a disjunction, what she sees is one of two *clauses*; the parts of each that
//! compare a column of the row with something that Ann and her request alone decide are its *equalities*:
//!
//! ```text
//! sender == 5 and severity == "info"                          →  sender = 5, severity = "info"
//! severity == "serious" and public and severity == "info"     →  can never be true: severity cannot be both
//! ```
//!
//! Each clause becomes a [`Route`]: the columns of its equalities and the values that they must have, here
//! `(sender, severity) = (5, "info")`. A change of an alert looks up `(sender, severity)` of the row before and after it and
//! finds Ann, and whoever else waits there, in one look into a hash table; subscribers of other teams cost nothing. The rest
//! of a clause is asked of the row once it has been found.
//!
//! A route is necessary, never sufficient: whatever is not understood is left out, which finds too many and misses
//! nobody. A clause without equalities has the route without columns, which every change of the table takes.

use std::collections::BTreeMap;

use mainstay_lang::expr::{CompareOp, Expr, Node, Root};
use mainstay_lang::schema::ColumnId;
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;

/// Clauses of one subscription; more are one that says nothing.
const CLAUSES_MAX: usize = 32;
/// Keys of one route; a longer list of values is left out.
const KEYS_MAX: usize = 256;

/// Where a subscription is found: rows whose values in `columns` are one of `keys`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    /// Columns in order; none: every row.
    pub(crate) columns: Vec<ColumnId>,
    /// What [`key_of`] says of a row that may be seen.
    pub(crate) keys: Vec<Box<str>>,
}

/// What a clause asks of columns: any of these values.
type Equalities = BTreeMap<ColumnId, Vec<Value>>;

/// The routes of a condition; `value_of` says what an expression that reads no row is. None at all: it is never true.
pub(crate) fn routes(conditions: &[Expr], value_of: &dyn Fn(&Expr) -> Option<Value>) -> Vec<Route> {
    let mut clauses = vec![Equalities::new()];
    for condition in conditions {
        let Some(more) = clauses_of(condition, value_of) else { continue };
        let Some(both) = all_of(&clauses, &more) else { continue };
        clauses = both;
    }
    let mut routes: Vec<Route> = Vec::new();
    for clause in clauses {
        let route = route_of(clause);
        match routes.iter_mut().find(|known| known.columns == route.columns) {
            Some(known) => known.keys.extend(route.keys),
            None => routes.push(route),
        }
    }
    for route in &mut routes {
        route.keys.sort_unstable();
        route.keys.dedup();
    }
    // Who hears of every change anyway need not be looked up.
    if routes.iter().any(|route| route.columns.is_empty()) {
        routes.retain(|route| route.columns.is_empty());
    }
    routes
}

/// The key of a row under some columns.
pub(crate) fn key_of(columns: &[ColumnId], row: &[Value]) -> Box<str> {
    key(columns.iter().map(|column| &row[column.0 as usize]))
}

fn key<'v>(values: impl Iterator<Item = &'v Value>) -> Box<str> {
    let mut key = String::new();
    for value in values {
        key.push_str(&value.to_json());
        key.push('\n');
    }
    key.into()
}

/// The clauses of a condition, none of them when it is never true; `None` when there are too many.
fn clauses_of(of: &Expr, value_of: &dyn Fn(&Expr) -> Option<Value>) -> Option<Vec<Equalities>> {
    match &of.node {
        Node::And(items) => {
            let mut clauses = vec![Equalities::new()];
            for item in items {
                // What has too many clauses says nothing, which is right beside what is said already.
                let Some(more) = clauses_of(item, value_of) else { continue };
                clauses = all_of(&clauses, &more)?;
            }
            Some(clauses)
        }
        Node::Or(items) => {
            let mut clauses = Vec::new();
            for item in items {
                clauses.extend(clauses_of(item, value_of)?);
            }
            (clauses.len() <= CLAUSES_MAX).then_some(clauses)
        }
        // It is true only where the branch that is taken is.
        Node::If { condition, then, otherwise } => {
            let taken = all_of(&clauses_of(condition, value_of)?, &clauses_of(then, value_of)?)?;
            let mut clauses = clauses_of(otherwise, value_of)?;
            clauses.extend(taken);
            (clauses.len() <= CLAUSES_MAX).then_some(clauses)
        }
        Node::Literal(value) => Some(match value {
            Value::Bool(true) => vec![Equalities::new()],
            _ => Vec::new(),
        }),
        _ => Some(match equality(of, value_of) {
            Some((column, values)) if column_may_be(&values) => vec![Equalities::from([(column, values)])],
            Some(_) => Vec::new(),
            None => vec![Equalities::new()],
        }),
    }
}

fn column_may_be(values: &[Value]) -> bool {
    !values.is_empty()
}

/// Each clause of one with each of the other, without those that contradict themselves.
fn all_of(some: &[Equalities], others: &[Equalities]) -> Option<Vec<Equalities>> {
    let mut clauses = Vec::new();
    for one in some {
        for other in others {
            let mut both = one.clone();
            for (column, values) in other {
                let known = both.entry(*column).or_insert_with(|| values.clone());
                known.retain(|value| values.contains(value));
            }
            if both.values().all(|values| column_may_be(values)) {
                clauses.push(both);
            }
            if clauses.len() > CLAUSES_MAX {
                return None;
            }
        }
    }
    Some(clauses)
}

/// A comparison of a column of the row with what the row does not decide: the column, and the values that make it true.
fn equality(of: &Expr, value_of: &dyn Fn(&Expr) -> Option<Value>) -> Option<(ColumnId, Vec<Value>)> {
    match &of.node {
        Node::Compare { op: CompareOp::Eq, left, right } => {
            let (column, other) = match (column_here(left), column_here(right)) {
                (Some(column), None) => (column, right),
                (None, Some(column)) => (column, left),
                _ => return None,
            };
            // Nothing equals null.
            Some((column, vec![value_of(other)?].into_iter().filter(|value| !value.is_null()).collect()))
        }
        Node::In { value, items } => {
            let column = column_here(value)?;
            let values = items.iter().map(value_of).collect::<Option<Vec<_>>>()?;
            Some((column, values.into_iter().filter(|value| !value.is_null()).collect()))
        }
        Node::IsNull { value, negated: false } if !is_if(value) => {
            Some((column_here(value)?, vec![Value::Null]))
        }
        Node::Column { .. } if of.ty == Type::Bool => Some((column_here(of)?, vec![Value::Bool(true)])),
        Node::Not(inner) if inner.ty == Type::Bool => Some((column_here(inner)?, vec![Value::Bool(false)])),
        _ => None,
    }
}

fn is_if(of: &Expr) -> bool {
    matches!(of.node, Node::If { .. })
}

/// The column of the row that an expression is, or is where it is not null.
fn column_here(of: &Expr) -> Option<ColumnId> {
    match &of.node {
        Node::Column { row, column, .. } if row.root == Root::Scope(0) && row.hops.is_empty() => {
            has_one_text(&of.ty).then_some(*column)
        }
        Node::If { then, otherwise, .. } if matches!(otherwise.node, Node::Literal(Value::Null)) => {
            column_here(then)
        }
        _ => None,
    }
}

/// Whether values of a type are equal exactly when their texts are.
fn has_one_text(ty: &Type) -> bool {
    matches!(
        ty,
        Type::Bool
            | Type::Int
            | Type::Text { .. }
            | Type::Uuid
            | Type::Enum(_)
            | Type::Ref(_)
            | Type::Date
            | Type::Timestamp
    )
}

/// The columns that are worth a key, and the keys.
fn route_of(mut clause: Equalities) -> Route {
    while clause.values().map(Vec::len).product::<usize>() > KEYS_MAX {
        let widest = clause.iter().max_by_key(|(_, values)| values.len()).map(|(column, _)| *column);
        widest.map(|column| clause.remove(&column));
    }
    let mut rows: Vec<Vec<&Value>> = vec![Vec::new()];
    for values in clause.values() {
        rows = rows
            .iter()
            .flat_map(|row| values.iter().map(move |value| row.iter().copied().chain([value]).collect()))
            .collect();
    }
    let keys = rows.into_iter().map(|row| key(row.into_iter())).collect();
    Route { columns: clause.keys().copied().collect(), keys }
}

#[cfg(test)]
mod tests;
