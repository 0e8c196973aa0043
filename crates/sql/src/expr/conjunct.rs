//! Conditions as the items of a WHERE.
//!
//! A row passes when every one is true, and unknown is as good as false there. That freedom is used: where a condition
//! compares something behind relations with a value that is the same for every row (`invoice.customer ==
//! user.customer`, `receivers.any(id == user.team)`), it is turned around to `key IN (SELECT …)`, which an index can
//! start from; as written it would be asked of every row of the table. Only conditions on indexed columns are turned,
//! those that ownership is made of, because the list is computed whole; and never where rows are found by key anyway.

use std::mem;

use mainstay_lang::expr::{Ask, CompareOp, Expr, Hop, Many, Node, Root, RowPath};
use mainstay_lang::schema::{ColumnId, Schema, Table, TableId};

use crate::writer::{ScopeId, Writer};

impl Writer<'_> {
    /// Conditions closed under one row, each with `AND` or, the first when nothing is before it, `WHERE` in front.
    pub(crate) fn conditions(&mut self, scope: ScopeId, conditions: &[Expr], mut is_first: bool) {
        for condition in conditions {
            self.text(if is_first { " WHERE " } else { " AND " });
            self.alone(scope, |w| w.expr(condition));
            is_first = false;
        }
    }

    /// [`Self::conditions`] of a statement that has to find rows among all of a table.
    pub(crate) fn conditions_to_find(&mut self, scope: ScopeId, conditions: &[Expr]) {
        if conditions.iter().any(is_by_key) {
            return self.conditions(scope, conditions, true);
        }
        for (index, condition) in conditions.iter().enumerate() {
            self.text(if index == 0 { " WHERE " } else { " AND " });
            self.alone(scope, |w| w.finding(condition));
        }
    }

    /// SQL that is true exactly when the condition is, and otherwise false or unknown.
    fn finding(&mut self, condition: &Expr) {
        match &condition.node {
            Node::And(items) => self.joined(" AND ", items, Writer::finding),
            Node::Or(items) => {
                let before = mem::replace(&mut self.is_alternative, true);
                self.joined(" OR ", items, Writer::finding);
                self.is_alternative = before;
            }
            Node::Compare { op: CompareOp::Eq, left, right } => {
                match (turnable(self.schema, left), turnable(self.schema, right)) {
                    (Some((path, column)), _) if is_constant(right) => self.turned_equal(path, column, right),
                    (_, Some((path, column))) if is_constant(left) => self.turned_equal(path, column, left),
                    _ => self.expr(condition),
                }
            }
            Node::In { value, items } if !items.is_empty() && items.iter().all(is_constant) => {
                let Some((path, column)) = turnable(self.schema, value) else { return self.expr(condition) };
                let test = self.capture(|w| {
                    w.text(" IN (");
                    w.separated(", ", items, Writer::expr);
                    w.text(")");
                });
                self.turned(&path.hops, column, &test);
            }
            Node::Many(many) if is_turnable_any(self.schema, many) => self.turned_any(many),
            _ => self.expr(condition),
        }
    }

    fn turned_equal(&mut self, path: &RowPath, column: ColumnId, value: &Expr) {
        let test = self.capture(|w| {
            w.text(" = ");
            w.expr(value);
        });
        self.turned(&path.hops, column, &test);
    }

    /// A column of the row at a path from here, followed by the test of it.
    fn turned(&mut self, hops: &[Hop], column: ColumnId, test: &str) {
        let Some((last, before)) = hops.split_last() else {
            let here = self.enclosing(0);
            self.scope_column(here, column);
            return self.text(test);
        };
        if column == ColumnId::ID && last.visible.is_none() {
            return self.turned(before, last.column, test);
        }
        let alias = self.alias();
        let scope = self.scope(&alias, last.target, None);
        let (open, close) = self.dialect.among(self.is_alternative && is_read_here(before, last.column));
        let inner = self.capture(|w| {
            w.text(open);
            w.text("SELECT ");
            w.scope_column(scope, ColumnId::ID);
            w.text(" FROM ");
            w.table(last.target, &alias);
            w.text(" WHERE ");
            w.scope_column(scope, column);
            w.text(test);
            if let Some(visible) = &last.visible {
                w.text(" AND ");
                w.alone(scope, |w| w.expr(visible));
            }
            w.text(close);
        });
        self.turned(before, last.column, &inner);
    }

    fn turned_any(&mut self, many: &Many) {
        let rows = self.relatives(many.table, many.relation, "");
        let scope = self.scope(&rows.alias, rows.target, rows.key.clone());
        let conditions = self.capture(|w| {
            w.text(" WHERE ");
            match &many.body {
                Some(body) => w.alone(scope, |w| w.expr(body)),
                None => w.text("TRUE"),
            }
            if let Some(visible) = &many.visible {
                w.text(" AND ");
                w.alone(scope, |w| w.expr(visible));
            }
        });
        let (open, close) =
            self.dialect.among(self.is_alternative && is_read_here(&many.row.hops, ColumnId::ID));
        let test = self.capture(|w| {
            w.text(open);
            w.text("SELECT ");
            w.text(&rows.near);
            w.related_from(&rows, &[scope]);
            w.text(&conditions);
            w.text(close);
        });
        self.turned(&many.row.hops, ColumnId::ID, &test);
    }
}

/// Whether [`Writer::turned`] reads a column of the row itself, with no other row between.
fn is_read_here(hops: &[Hop], column: ColumnId) -> bool {
    hops.split_last().is_none_or(|(last, before)| {
        column == ColumnId::ID && last.visible.is_none() && is_read_here(before, last.column)
    })
}

/// The same for every row: a literal, a parameter, the clock, the caller.
fn is_constant(expr: &Expr) -> bool {
    let mut constant = true;
    expr.walk(&mut |expr| match &expr.node {
        Node::Column { row, .. } => constant &= row.root == Root::User,
        Node::Many(_) | Node::EventAt => constant = false,
        _ => {}
    });
    constant
}

/// `id == …`: one row at most.
fn is_by_key(condition: &Expr) -> bool {
    let is_key = |expr: &Expr| {
        matches!(&expr.node, Node::Column { row, column: ColumnId::ID, .. }
            if row.root == Root::Scope(0) && row.hops.is_empty())
    };
    match &condition.node {
        Node::Compare { op: CompareOp::Eq, left, right } => {
            (is_key(left) && is_constant(right)) || (is_key(right) && is_constant(left))
        }
        Node::In { value, items } => is_key(value) && items.iter().all(is_constant),
        Node::And(items) => items.iter().any(is_by_key),
        _ => false,
    }
}

/// An indexed column of a row behind relations from here.
fn turnable<'e>(schema: &Schema, expr: &'e Expr) -> Option<(&'e RowPath, ColumnId)> {
    match &expr.node {
        Node::Column { row, table, column }
            if row.root == Root::Scope(0)
                && !row.hops.is_empty()
                && is_indexed(schema.table(*table), *column) =>
        {
            Some((row, *column))
        }
        _ => None,
    }
}

/// `relation.any(indexed == constant and …)`, the condition looking at nothing around it.
fn is_turnable_any(schema: &Schema, many: &Many) -> bool {
    let Some(body) = &many.body else { return false };
    many.ask == Ask::Any
        && many.row.root == Root::Scope(0)
        && finds(schema, many.target, body)
        && looks_only_at_its_row(body)
}

/// Whether one of the conditions that must hold finds rows by an index.
fn finds(schema: &Schema, table: TableId, condition: &Expr) -> bool {
    let is_column = |expr: &Expr| match &expr.node {
        Node::Column { row, column, .. } => {
            row.root == Root::Scope(0) && row.hops.is_empty() && is_indexed(schema.table(table), *column)
        }
        _ => false,
    };
    match &condition.node {
        Node::And(items) => items.iter().any(|item| finds(schema, table, item)),
        Node::Compare { op: CompareOp::Eq, left, right } => {
            (is_column(left) && is_constant(right)) || (is_column(right) && is_constant(left))
        }
        Node::In { value, items } => is_column(value) && items.iter().all(is_constant),
        _ => false,
    }
}

fn looks_only_at_its_row(body: &Expr) -> bool {
    let mut only = true;
    body.walk(&mut |expr| match &expr.node {
        Node::Column { row, .. } => only &= matches!(row.root, Root::Scope(0) | Root::User),
        Node::Many(_) => only = false,
        _ => {}
    });
    only
}

/// Whether an index begins with the column, but for the tenant that every condition names.
fn is_indexed(table: &Table, column: ColumnId) -> bool {
    let begins = |columns: &[ColumnId]| {
        columns.iter().find(|other| Some(**other) != table.tenant).is_some_and(|first| *first == column)
    };
    column == ColumnId::ID
        || table.column(column).target().is_some()
        || table.uniques.iter().chain(&table.indexes).any(|index| begins(&index.columns))
}
