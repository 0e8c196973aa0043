//! What a write does, with every name looked up and every value read.
//!
//! A [`Step`] is one part of the request that writes, or that finds rows for one that does. It holds ids and values, no
//! text of the request but the paths for errors; nothing here has asked the database anything.

use std::sync::Arc;

use mainstay_lang::expr::{CompareOp, Expr, Node, Root};
use mainstay_lang::schema::{ColumnId, RelationId, Schema, Table, TableId};
use mainstay_lang::value::{Timestamp, Value};

use super::answer::Shown;
use super::operator::Operator;
use crate::expression::reads_row;

/// One part: the row that it makes or the rows that it finds, and what happens to them.
///
/// The fields stand in the order in which they are carried out.
#[derive(Debug)]
pub(super) struct Step {
    /// JSON pointer to the part.
    pub(super) path: String,
    /// Whose rows.
    pub(super) table: TableId,
    /// Where the rows come from.
    pub(super) source: Source,
    /// Parts on the rows that to-one relations of found rows refer to.
    pub(super) ones: Vec<OneStep>,
    /// Columns named in the write, in the order of the request.
    pub(super) assigns: Vec<Assign>,
    /// What happens to to-many relations.
    pub(super) lists: Vec<ListStep>,
    /// `delete: true`
    pub(super) deletes: bool,
    /// What the answer shows of each row.
    pub(super) shown: Arc<Shown>,
}

/// Where the rows of a [`Step`] come from.
#[derive(Debug)]
pub(super) enum Source {
    /// One new row.
    Create,
    /// Rows that are there.
    Find(Box<Find>),
}

/// How rows are found.
#[derive(Debug)]
pub(super) struct Find {
    /// The constraints as the caller sees them, and the rule for reading; empty when `key` says which row.
    pub(super) filter: Vec<Expr>,
    /// The parameters of `filter`.
    pub(super) params: Vec<Value>,
    /// The key, when the part says nothing else about its row.
    pub(super) key: Option<Value>,
    /// Whether the rows are for a relation, so that a key that is not found is refused.
    pub(super) is_relation: bool,
    /// The version that every row must have.
    pub(super) if_updated: Option<Timestamp>,
}

/// A new value for a column.
#[derive(Debug)]
pub(super) struct Assign {
    /// The column.
    pub(super) column: ColumnId,
    /// JSON pointer to the value.
    pub(super) path: String,
    /// Whether the answer shows the row that it refers to as a part of its own.
    pub(super) is_shown: bool,
    /// The value.
    pub(super) value: NewValue,
}

/// Where a new value comes from.
#[derive(Debug)]
pub(super) enum NewValue {
    /// The request gives it.
    Given(Value),
    /// The key of a row that the caller must be able to read.
    Key(Value),
    /// The key of the one row that the step makes or finds.
    Row(Box<Step>),
    /// Computed from the value that is there.
    Computed(Operator, Value),
}

/// A part on the row that a to-one relation refers to.
#[derive(Debug)]
pub(super) struct OneStep {
    /// The referring column.
    pub(super) column: ColumnId,
    /// The part.
    pub(super) step: Box<Step>,
}

/// Something that happens to a to-many relation of each row.
#[derive(Debug)]
pub(super) struct ListStep {
    /// The relation.
    pub(super) relation: RelationId,
    /// JSON pointer to the relation.
    pub(super) path: String,
    /// What.
    pub(super) change: ListChange,
    /// Whether the answer shows the rows under the relation's name.
    pub(super) is_shown: bool,
}

/// What happens to a to-many relation.
#[derive(Debug)]
pub(super) enum ListChange {
    /// Makes rows, or finds them in the relation, and does to them what the step says.
    Within(Step),
    /// Makes a row or finds rows and adds them; `one`: exactly one must be found.
    Add {
        /// The rows.
        step: Step,
        /// Whether exactly one must be found.
        one: bool,
    },
    /// Finds rows and takes them out.
    Remove(Step),
    /// The rows made or found are what the relation holds afterwards.
    Replace(Vec<Step>),
}

impl Step {
    /// Calls `visit` for this step and every one inside it.
    pub(super) fn visit<'s>(&'s self, visit: &mut dyn FnMut(&'s Step)) {
        visit(self);
        self.ones.iter().for_each(|one| one.step.visit(visit));
        for assign in &self.assigns {
            if let NewValue::Row(step) = &assign.value {
                step.visit(visit);
            }
        }
        for list in &self.lists {
            match &list.change {
                ListChange::Within(step) | ListChange::Add { step, .. } | ListChange::Remove(step) => {
                    step.visit(visit);
                }
                ListChange::Replace(steps) => steps.iter().for_each(|step| step.visit(visit)),
            }
        }
    }

    /// Whether the request says itself how many rows are written: each is new, or found by its key, by values that are
    /// unique, or by a relation to one row. What hangs on a deleted row is not counted.
    pub(super) fn is_bounded(&self, schema: &Schema) -> bool {
        let is_few = match &self.source {
            Source::Create => true,
            Source::Find(find) => find.key.is_some() || names_one(schema.table(self.table), &find.filter),
        };
        is_few && self.parts_are_bounded(schema)
    }

    /// Whether all that it does is to give one row, named by its key, values that the request has.
    pub(super) fn changes_one_row(&self) -> bool {
        let is_plain = |assign: &Assign| matches!(assign.value, NewValue::Given(_) | NewValue::Computed(..));
        matches!(&self.source, Source::Find(find) if find.key.is_some() && !find.is_relation)
            && self.ones.is_empty()
            && self.lists.is_empty()
            && !self.deletes
            && !self.assigns.is_empty()
            && self.assigns.iter().all(is_plain)
    }

    fn parts_are_bounded(&self, schema: &Schema) -> bool {
        self.ones.iter().all(|one| one.step.parts_are_bounded(schema))
            && self.assigns.iter().all(|assign| match &assign.value {
                // Exactly one row must be found.
                NewValue::Row(step) => step.parts_are_bounded(schema),
                _ => true,
            })
            && self.lists.iter().all(|list| match &list.change {
                ListChange::Add { step, one: true } => step.parts_are_bounded(schema),
                ListChange::Within(step) | ListChange::Add { step, .. } | ListChange::Remove(step) => {
                    step.is_bounded(schema)
                }
                ListChange::Replace(steps) => steps.iter().all(|step| step.is_bounded(schema)),
            })
    }
}

/// Whether conditions give all values of a key or a unique constraint, so that they pass for a row or, with `in`, for as
/// many as they name.
fn names_one(table: &Table, conditions: &[Expr]) -> bool {
    let mut named = Vec::new();
    conditions.iter().for_each(|condition| named_columns(condition, &mut named));
    let is_named = |columns: &[ColumnId]| columns.iter().all(|column| named.contains(column));
    is_named(&[ColumnId::ID]) || table.uniques.iter().any(|unique| is_named(&unique.columns))
}

fn named_columns(condition: &Expr, named: &mut Vec<ColumnId>) {
    let own = |expr: &Expr| match &expr.node {
        Node::Column { row, column, .. } if row.root == Root::Scope(0) && row.hops.is_empty() => {
            Some(*column)
        }
        _ => None,
    };
    match &condition.node {
        Node::And(items) => items.iter().for_each(|item| named_columns(item, named)),
        Node::Compare { op: CompareOp::Eq, left, right } => {
            named.extend(own(left).filter(|_| !reads_row(right)));
            named.extend(own(right).filter(|_| !reads_row(left)));
        }
        Node::In { value, items } if !items.iter().any(reads_row) => named.extend(own(value)),
        _ => {}
    }
}
