//! What a row's visibility and content depend on beside the row itself, and the way back.
//!
//! A rule that says `project.open` lets a row in or out without the row being written. A [`Trail`] is a way that some
//! expression takes from a row to others (`project`; `receivers`; `project.owner.teams`), with the columns that are read at
//! its end. When a row changes at the end of a trail, the trail is walked backwards, by one statement, to the rows at
//! its beginning: those may have come, changed or gone, and are asked for anew.
//!
//! Walking the rows as they stand now is enough. If a way has changed since, it has changed at a row nearer to its beginning,
//! which has a line of its own in the log. What only the changed row itself knows, namely where it pointed before, is in
//! its images.

use std::collections::BTreeSet;

use mainstay_engine::{Change, ChangeKind, for_children};
use mainstay_lang::expr::{Ask, Expr, Many, Node, Root, RowPath};
use mainstay_lang::schema::{ColumnId, RelationId, RelationKind, Schema, TableId};
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;
use mainstay_sql::plan::{OutputKind, Select};

/// Where a trail begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Start {
    /// At a row of the subscription.
    Row,
    /// At the caller's row.
    User,
}

/// One relation that is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Step {
    /// To one row.
    One { column: ColumnId, target: TableId },
    /// To many.
    Many { table: TableId, relation: RelationId, target: TableId },
}

/// A way from a row to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trail {
    pub(crate) start: Start,
    /// The table of the rows at its beginning.
    pub(crate) table: TableId,
    /// At least one.
    pub(crate) steps: Vec<Step>,
    /// Columns that are read of the rows at its end.
    pub(crate) columns: BTreeSet<ColumnId>,
}

/// Rows from which one of these keys is reached by some steps; without steps they are the rows themselves.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reach {
    pub(crate) start: Start,
    /// The table of the rows that are looked for.
    pub(crate) table: TableId,
    pub(crate) steps: Vec<Step>,
    pub(crate) keys: Vec<Value>,
}

impl Step {
    pub(crate) fn target(self) -> TableId {
        match self {
            Step::One { target, .. } | Step::Many { target, .. } => target,
        }
    }
}

impl Trail {
    /// The table at its end.
    pub(crate) fn end(&self) -> TableId {
        self.steps[self.steps.len() - 1].target()
    }

    /// The tables whose changes may be at its end: a link is a line of the table that declares it, which may be the one before.
    pub(crate) fn tables(&self) -> BTreeSet<TableId> {
        let mut tables = BTreeSet::from([self.end()]);
        if let Some(Step::Many { table, .. }) = self.steps.last() {
            tables.insert(*table);
        }
        tables
    }

    /// The rows at its beginning that a change at its end may concern; `None`: it concerns none.
    pub(crate) fn reach(&self, schema: &Schema, change: &Change) -> Option<Reach> {
        let (last, before_last) = self.steps.split_last()?;
        let reach = |steps: &[Step], keys: Vec<Value>| {
            let keys: Vec<Value> = keys.into_iter().filter(|key| !key.is_null()).collect();
            (!keys.is_empty()).then(|| Reach {
                start: self.start,
                table: self.table,
                steps: steps.to_vec(),
                keys,
            })
        };
        match &change.kind {
            ChangeKind::Link { relation, target } => {
                let Step::Many { table, relation: own, .. } = last else { return None };
                match &schema.table(*table).relation(*own).kind {
                    RelationKind::Link(_) if (*table, *own) == (change.table, *relation) => {
                        reach(before_last, vec![change.key.clone()])
                    }
                    RelationKind::LinkReverse { relation: declared, .. }
                        if (last.target(), *declared) == (change.table, *relation) =>
                    {
                        reach(before_last, vec![target.clone()])
                    }
                    _ => None,
                }
            }
            ChangeKind::Row { before, after } if change.table == self.end() => {
                if let (Some(before), Some(after)) = (before, after) {
                    let differs = |column: &ColumnId| {
                        let at = column.0 as usize;
                        before.values[at] != after.values[at]
                            || before.missing.contains(column)
                            || after.missing.contains(column)
                    };
                    if !self.columns.iter().any(differs) {
                        return None;
                    }
                }
                match last {
                    Step::Many { table, relation, .. } => match schema.table(*table).relation(*relation).kind
                    {
                        RelationKind::Reverse { column } => {
                            let images = before.iter().chain(after);
                            let owners = images.map(|image| image.values[column.0 as usize].clone());
                            reach(before_last, owners.collect())
                        }
                        _ => reach(&self.steps, vec![change.key.clone()]),
                    },
                    Step::One { .. } => reach(&self.steps, vec![change.key.clone()]),
                }
            }
            ChangeKind::Row { .. } => None,
        }
    }
}

impl Reach {
    /// The condition on a row at the beginning, and the values of its parameters.
    pub(crate) fn condition(&self, schema: &Schema) -> (Expr, Vec<Value>) {
        // Sizes are powers of two, so that few statements serve any number of keys.
        let count = self.keys.len().next_power_of_two();
        let last = self.keys.last().cloned().unwrap_or(Value::Null);
        let params: Vec<Value> =
            self.keys.iter().cloned().chain(std::iter::repeat(last)).take(count).collect();
        (reaches(schema, self.table, &self.steps, count), params)
    }
}

/// That the row of a table reaches one of so many keys.
fn reaches(schema: &Schema, table: TableId, steps: &[Step], count: usize) -> Expr {
    let ones = steps.iter().take_while(|step| matches!(step, Step::One { .. })).count();
    let (ones, rest) = steps.split_at(ones);
    let mut row = RowPath::here();
    let mut at = table;
    // The last relation to one row holds the key that is looked for: the row behind it need not be read.
    let (followed, last) = match (rest.first(), ones.split_last()) {
        (None, Some((last, followed))) => (followed, Some(last)),
        _ => (ones, None),
    };
    for step in followed {
        let Step::One { column, target } = *step else { continue };
        row.hops.push(mainstay_lang::expr::Hop { column, target, visible: None });
        at = target;
    }
    if let Some(Step::Many { table, relation, target }) = rest.first() {
        let many = Many {
            row,
            table: *table,
            relation: *relation,
            target: *target,
            ask: Ask::Any,
            body: Some(reaches(schema, *target, &rest[1..], count)),
            visible: None,
        };
        return boolean(Node::Many(Box::new(many)));
    }
    let column = match last {
        Some(Step::One { column, .. }) => *column,
        _ => ColumnId::ID,
    };
    let ty = schema.table(at).column(column).ty.clone();
    let key = schema.storage_type(&ty).clone();
    let item = |index: usize| expr(Node::Param(u32::try_from(index).expect("keys are few")), key.clone());
    let value = Box::new(expr(Node::Column { row, table: at, column }, ty));
    boolean(Node::In { value, items: (0..count).map(item).collect() })
}

fn boolean(node: Node) -> Expr {
    expr(node, Type::Bool)
}

fn expr(node: Node, ty: Type) -> Expr {
    Expr { node, ty, span: mainstay_lang::source::Span { file: 0, start: 0, end: 0 } }
}

/// The trails of a plan.
pub(crate) fn trails(schema: &Schema, select: &Select) -> Vec<Trail> {
    let mut walk = Walk { schema, found: Vec::new() };
    walk.select(select, &Head { start: Start::Row, table: select.table, steps: Vec::new() });
    walk.found
}

/// Where a walk stands.
#[derive(Clone)]
struct Head {
    start: Start,
    table: TableId,
    steps: Vec<Step>,
}

struct Walk<'s> {
    schema: &'s Schema,
    found: Vec<Trail>,
}

impl Walk<'_> {
    fn select(&mut self, select: &Select, head: &Head) {
        for condition in &select.filter {
            self.expr(condition, std::slice::from_ref(head));
        }
        for output in &select.outputs {
            if let Some(guard) = &output.guard {
                self.expr(guard, std::slice::from_ref(head));
            }
            match &output.kind {
                OutputKind::Column(column) => self.note(head, *column),
                OutputKind::One { column, select } => {
                    self.note(head, *column);
                    let step = Step::One { column: *column, target: select.table };
                    let there = self.step(head, step);
                    self.select(select, &there);
                }
                // Refused where plans are made.
                _ => {}
            }
        }
    }

    /// `scopes` are the ways to the rows around the expression, the innermost last.
    fn expr(&mut self, of: &Expr, scopes: &[Head]) {
        match &of.node {
            Node::Column { row, column, .. } => {
                let head = self.path(row, scopes);
                self.note(&head, *column);
            }
            Node::Many(many) => {
                let head = self.path(&many.row, scopes);
                let step = Step::Many { table: many.table, relation: many.relation, target: many.target };
                let there = self.step(&head, step);
                if let RelationKind::Reverse { column } =
                    self.schema.table(many.table).relation(many.relation).kind
                {
                    self.note(&there, column);
                }
                if let Some(visible) = &many.visible {
                    self.expr(visible, std::slice::from_ref(&there));
                }
                if let Some(body) = &many.body {
                    let mut scopes = scopes.to_vec();
                    scopes.push(there);
                    self.expr(body, &scopes);
                }
            }
            _ => {
                let mut children = Vec::new();
                for_children(of, &mut |child| children.push(child));
                children.into_iter().for_each(|child| self.expr(child, scopes));
            }
        }
    }

    fn path(&mut self, row: &RowPath, scopes: &[Head]) -> Head {
        let mut head = match row.root {
            Root::Scope(level) => scopes[scopes.len() - 1 - usize::from(level)].clone(),
            Root::User => {
                let users = self.schema.user_table().expect("checked: paths from `user` need the table");
                Head { start: Start::User, table: users.id, steps: Vec::new() }
            }
            // A rule for reading speaks of the row as it stands.
            Root::Old | Root::New => scopes[0].clone(),
        };
        for hop in &row.hops {
            self.note(&head, hop.column);
            head = self.step(&head, Step::One { column: hop.column, target: hop.target });
            if let Some(visible) = &hop.visible {
                self.expr(visible, std::slice::from_ref(&head));
            }
        }
        head
    }

    fn step(&mut self, head: &Head, step: Step) -> Head {
        let mut head = head.clone();
        head.steps.push(step);
        // That there is a row at all is something that is read of it.
        self.note(&head, ColumnId::ID);
        head
    }

    fn note(&mut self, head: &Head, column: ColumnId) {
        if head.steps.is_empty() {
            return;
        }
        let known = |trail: &&mut Trail| trail.start == head.start && trail.steps == head.steps;
        match self.found.iter_mut().find(known) {
            Some(trail) => {
                trail.columns.insert(column);
            }
            None => self.found.push(Trail {
                start: head.start,
                table: head.table,
                steps: head.steps.clone(),
                columns: BTreeSet::from([column]),
            }),
        }
    }
}
