//! The numbered list of everything that the app's expressions read of the caller's row.
//!
//! A path is a column of the caller's row, or of a row reached from it by to-one relations. Every column of `User` is
//! in the list, because a caller's own filter may name it; longer paths are those that some expression follows.

use std::collections::HashMap;

use mainstay_lang::expr::{Expr, Node, Root, RowPath};
use mainstay_lang::schema::{ColumnId, Schema};

use super::{Rule, TableRules};
use crate::expression::{prefixed, walk_all};

/// A column of the caller's row or of a row reached from it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CallerPath {
    /// To-one relations followed.
    pub hops: Vec<ColumnId>,
    /// Column of the row reached.
    pub column: ColumnId,
}

/// The paths in order: values of a [`crate::ctx::CallerRow`] have the same.
#[derive(Debug, Default)]
pub struct CallerPaths {
    paths: Vec<CallerPath>,
    places: HashMap<CallerPath, usize>,
}

impl CallerPaths {
    pub(super) fn of(schema: &Schema, tables: &[TableRules]) -> CallerPaths {
        let mut paths = CallerPaths::default();
        let Some(user) = schema.user_table() else { return paths };
        for column in &user.columns {
            paths.add(&[], column.id);
        }
        for rules in tables {
            for rule in rules.conditions() {
                if let Rule::When(condition) = rule {
                    paths.add_all(condition);
                }
            }
        }
        // A caller who names the own row in a filter sees of it what its rules let through.
        for rule in tables[user.id.0 as usize].conditions() {
            if let Rule::When(condition) = rule {
                paths.add_all(&prefixed(condition, &RowPath { root: Root::User, hops: Vec::new() }));
            }
        }
        for table in &schema.tables {
            let tests = table.checks.iter().chain(&table.warns).map(|check| &*check.condition);
            let defaults = table.columns.iter().filter_map(|column| column.default.as_ref());
            let commands = table.stream.iter().flat_map(|stream| &stream.commands);
            let command_exprs = commands.flat_map(|command| {
                let emitted = command.emits.iter().flat_map(|emit| &emit.values);
                let required = command.requires.iter().map(|(condition, _)| condition);
                command.allows.iter().flatten().chain(required).chain(emitted)
            });
            tests.chain(defaults).chain(command_exprs).for_each(|expr| paths.add_all(expr));
        }
        paths
    }

    /// The paths in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &CallerPath> {
        self.paths.iter()
    }

    /// The place of a path in the order.
    pub fn place(&self, hops: &[ColumnId], column: ColumnId) -> Option<usize> {
        self.places.get(&CallerPath { hops: hops.to_vec(), column }).copied()
    }

    fn add(&mut self, hops: &[ColumnId], column: ColumnId) {
        let path = CallerPath { hops: hops.to_vec(), column };
        if !self.places.contains_key(&path) {
            self.places.insert(path.clone(), self.paths.len());
            self.paths.push(path);
        }
    }

    fn add_all(&mut self, expr: &Expr) {
        walk_all(expr, &mut |expr| match &expr.node {
            Node::Column { row, column, .. } if row.root == Root::User => self.add_path(row, Some(*column)),
            Node::Many(many) if many.row.root == Root::User => self.add_path(&many.row, None),
            _ => {}
        });
    }

    /// The path itself, and the keys on the way: a statement may join by either.
    fn add_path(&mut self, row: &RowPath, column: Option<ColumnId>) {
        let hops: Vec<ColumnId> = row.hops.iter().map(|hop| hop.column).collect();
        for length in 0..hops.len() {
            self.add(&hops[..length], hops[length]);
            self.add(&hops[..=length], ColumnId::ID);
        }
        if let Some(column) = column {
            self.add(&hops, column);
        }
    }
}
