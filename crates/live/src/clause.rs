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
//! Where a clause says nothing of the row's own columns, but of rows that it leads to (`receivers.any(id == user.team)`,
//! `project.owner == user`), that is a key as well: `receivers.id = 5`. Such keys are not in the row's image; they are asked of
//! the database once for each row, and the row finds those who wait there, and those whom it was shown to before.
//!
//! A route is necessary, never sufficient: whatever is not understood is left out, which finds too many and misses
//! nobody. A clause without equalities has the route without columns, which every change of the table takes.

use std::collections::BTreeMap;

use mainstay_lang::expr::{Ask, CompareOp, Expr, Node, Root, RowPath};
use mainstay_lang::schema::ColumnId;
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;

use crate::trail::Step;

/// Clauses of one subscription; more are one that says nothing.
const CLAUSES_MAX: usize = 32;
/// Keys of one route; a longer list of values is left out.
const KEYS_MAX: usize = 256;

/// Where a subscription is found: rows that have one of `keys` there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    /// What the keys are made of.
    pub(crate) by: By,
    /// What [`key_of`] says of a row that may be seen, or of a value.
    pub(crate) keys: Vec<Box<str>>,
}

/// What the keys of a route are made of.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum By {
    /// Columns of the row, in order; none: every row has the one key that there is.
    Columns(Vec<ColumnId>),
    /// A column of the rows that it leads to.
    Way(Way),
}

/// A column of the rows that some relations lead to; without relations, of the row itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Way {
    pub(crate) steps: Vec<Step>,
    pub(crate) column: ColumnId,
}

impl Way {
    /// Whether there is at most one such row.
    fn is_single(&self) -> bool {
        self.steps.iter().all(|step| matches!(step, Step::One { .. }))
    }
}

impl By {
    /// Whether every row has the key.
    pub(crate) fn is_everything(&self) -> bool {
        matches!(self, By::Columns(columns) if columns.is_empty())
    }
}

/// What a clause asks: any of these values.
type Equalities = BTreeMap<Way, Vec<Value>>;

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
        match routes.iter_mut().find(|known| known.by == route.by) {
            Some(known) => known.keys.extend(route.keys),
            None => routes.push(route),
        }
    }
    for route in &mut routes {
        route.keys.sort_unstable();
        route.keys.dedup();
    }
    // Who hears of every change anyway need not be looked up.
    if routes.iter().any(|route| route.by.is_everything()) {
        routes.retain(|route| route.by.is_everything());
    }
    routes
}

/// The key of a value under a way.
pub(crate) fn key_of_value(value: &Value) -> Box<str> {
    key(std::iter::once(value))
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
        Node::Many(many) if many.ask == Ask::Any => {
            let Some(steps) = steps_of(&many.row) else { return Some(vec![Equalities::new()]) };
            let step = Step::Many { table: many.table, relation: many.relation, target: many.target };
            let body = many.body.iter().map(|body| clauses_of(body, value_of));
            let inner = body.collect::<Option<Vec<_>>>()?.pop().unwrap_or_else(|| vec![Equalities::new()]);
            let behind = |way: Way| Way {
                steps: steps.iter().copied().chain([step]).chain(way.steps).collect(),
                column: way.column,
            };
            let moved = inner.into_iter().map(|clause| {
                clause.into_iter().map(|(way, values)| (behind(way), values)).collect::<Equalities>()
            });
            Some(moved.collect())
        }
        _ => Some(match equality(of, value_of) {
            Some((way, values)) if may_be(&values) => vec![Equalities::from([(way, values)])],
            Some(_) => Vec::new(),
            None => vec![Equalities::new()],
        }),
    }
}

fn may_be(values: &[Value]) -> bool {
    !values.is_empty()
}

/// Relations to one row that are followed from the row of the expression.
fn steps_of(row: &RowPath) -> Option<Vec<Step>> {
    let steps = row.hops.iter().map(|hop| Step::One { column: hop.column, target: hop.target });
    (row.root == Root::Scope(0)).then(|| steps.collect())
}

/// Each clause of one with each of the other, without those that contradict themselves.
fn all_of(some: &[Equalities], others: &[Equalities]) -> Option<Vec<Equalities>> {
    let mut clauses = Vec::new();
    for one in some {
        for other in others {
            let mut both = one.clone();
            for (way, values) in other {
                let known = both.entry(way.clone()).or_insert_with(|| values.clone());
                // Of many rows one may have this value and another one that.
                if way.is_single() {
                    known.retain(|value| values.contains(value));
                }
            }
            if both.values().all(|values| may_be(values)) {
                clauses.push(both);
            }
            if clauses.len() > CLAUSES_MAX {
                return None;
            }
        }
    }
    Some(clauses)
}

/// A comparison of a column with what no row decides: the column, and the values that make it true.
fn equality(of: &Expr, value_of: &dyn Fn(&Expr) -> Option<Value>) -> Option<(Way, Vec<Value>)> {
    match &of.node {
        Node::Compare { op: CompareOp::Eq, left, right } => {
            let (way, other) = match (way_of(left), way_of(right)) {
                (Some(way), None) => (way, right),
                (None, Some(way)) => (way, left),
                _ => return None,
            };
            // Nothing equals null.
            Some((way, vec![value_of(other)?].into_iter().filter(|value| !value.is_null()).collect()))
        }
        Node::In { value, items } => {
            let column = way_of(value)?;
            let values = items.iter().map(value_of).collect::<Option<Vec<_>>>()?;
            Some((column, values.into_iter().filter(|value| !value.is_null()).collect()))
        }
        // A row that is not there has null everywhere, but no key.
        Node::IsNull { value, negated: false } if is_own(value) => Some((way_of(value)?, vec![Value::Null])),
        Node::Column { .. } if of.ty == Type::Bool => Some((way_of(of)?, vec![Value::Bool(true)])),
        Node::Not(inner) if inner.ty == Type::Bool => Some((way_of(inner)?, vec![Value::Bool(false)])),
        _ => None,
    }
}

fn is_own(of: &Expr) -> bool {
    matches!(&of.node, Node::Column { row, .. } if row.hops.is_empty())
}

/// The column that an expression is, or is where it is not null.
fn way_of(of: &Expr) -> Option<Way> {
    match &of.node {
        Node::Column { row, column, .. } => {
            let steps = steps_of(row).filter(|_| has_one_text(&of.ty))?;
            Some(Way { steps, column: *column })
        }
        Node::If { then, otherwise, .. } if matches!(otherwise.node, Node::Literal(Value::Null)) => {
            way_of(then)
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

/// What of a clause is worth a key, and the keys: columns of the row itself, else one of another row.
fn route_of(clause: Equalities) -> Route {
    let (mut own, others): (Equalities, Equalities) =
        clause.into_iter().partition(|(way, _)| way.steps.is_empty());
    while own.values().map(Vec::len).product::<usize>() > KEYS_MAX {
        let widest = own.iter().max_by_key(|(_, values)| values.len()).map(|(way, _)| way.clone());
        widest.map(|way| own.remove(&way));
    }
    if own.is_empty()
        && let Some((way, values)) = others.into_iter().min_by_key(|(_, values)| values.len())
        && values.len() <= KEYS_MAX
    {
        return Route { by: By::Way(way), keys: values.iter().map(key_of_value).collect() };
    }
    let mut rows: Vec<Vec<&Value>> = vec![Vec::new()];
    for values in own.values() {
        rows = rows
            .iter()
            .flat_map(|row| values.iter().map(move |value| row.iter().copied().chain([value]).collect()))
            .collect();
    }
    let keys = rows.into_iter().map(|row| key(row.into_iter())).collect();
    Route { by: By::Columns(own.keys().map(|way| way.column).collect()), keys }
}

#[cfg(test)]
mod tests;
