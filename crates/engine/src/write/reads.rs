//! Which other rows conditions read, and whose writing has to be noticed for it.
//!
//! Where others write at the same time, what a rule or check has read must not change before its request is kept. Both
//! sides see to it, derived from the expressions when they are first asked:
//!
//! - Who **reads** holds the rows on its ways ([`Reach`]): those that to-one relations lead to, and each row whose to-many
//!   relation is asked about, as the stand-in for all of its rows, those that are not there yet included.
//! - Who **writes** a row that belongs to a to-many relation which some condition asks about ([`Watched`]) locks the row
//!   that has the relation. What is written of no concern to any condition locks nothing.
//!
//! The rows of links are read and written by both of their sides: there the reader holds the rows themselves as well.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use foldhash::HashMap;
use mainstay_lang::expr::{Expr, Hop, Node, Root, RowPath};
use mainstay_lang::schema::{ColumnId, RelationKind, Schema, TableId};
use mainstay_sql::plan::WayStep;
use mainstay_sql::statement::Statement;

use crate::catalog::Catalog;

/// Where a way starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// At the row that is asked about.
    Row,
    /// At the row before the change.
    Old,
    /// At the row after the change.
    New,
    /// At the caller's row.
    User,
}

/// A row, or many, that a condition reads.
#[derive(Debug)]
pub(super) struct Reach {
    /// Where the way there starts.
    pub(super) start: Start,
    /// The table of the row at the start.
    pub(super) table: TableId,
    /// The way; empty: it is the row at the start.
    pub(super) steps: Vec<WayStep>,
    /// Locks them; made when it is first needed.
    pub(super) statement: OnceLock<Arc<Statement>>,
}

/// The to-many relations that some condition of a schema asks about.
#[derive(Debug, Default)]
pub(super) struct Watched {
    columns: HashMap<TableId, Vec<Watch>>,
    /// Link tables by name, and whether it is the declaring side that is asked for its rows.
    links: HashSet<(String, bool)>,
}

/// A to-one column whose rows are asked about from the other side.
#[derive(Debug)]
pub(super) struct Watch {
    /// The column.
    pub(super) column: ColumnId,
    /// The table that it refers to.
    pub(super) parent: TableId,
    /// What is read of the rows besides.
    pub(super) reads: Vec<ColumnId>,
}

impl Watched {
    /// Those of all rules, checks and warnings.
    pub(super) fn of(catalog: &Catalog) -> Watched {
        let schema = catalog.schema();
        let mut finder = Finder { schema, reaches: Vec::new(), watched: Watched::default() };
        for table in &schema.tables {
            let rules = catalog.conditions(table.id);
            let checks = table.checks.iter().chain(&table.warns).map(|check| &*check.condition);
            for condition in rules.chain(checks) {
                finder.condition(table.id, condition);
            }
        }
        finder.watched
    }

    /// The columns of a table whose rows are asked about from the other side.
    pub(super) fn columns(&self, table: TableId) -> &[Watch] {
        self.columns.get(&table).map_or(&[], Vec::as_slice)
    }

    /// Whether rows are asked about by a column from the other side.
    pub(super) fn is_column(&self, table: TableId, column: ColumnId) -> bool {
        self.columns(table).iter().any(|watch| watch.column == column)
    }

    /// Whether the rows of a link table are asked about from a side of it.
    pub(super) fn is_link(&self, link: &str, from_owner: bool) -> bool {
        self.links.contains(&(link.to_owned(), from_owner))
    }

    /// Whether what changes in a relation is asked about, from the side that has the relation.
    pub(super) fn is_relation(&self, relation: &RelationKind, target: TableId) -> bool {
        match relation {
            RelationKind::Reverse { column } => self.is_column(target, *column),
            RelationKind::Link(link) => self.is_link(&link.db_name, true),
            RelationKind::LinkReverse { link, .. } => self.is_link(&link.db_name, false),
        }
    }
}

/// The rows that a condition about a row of a table reads, each behind those on the way to it.
pub(super) fn reaches(schema: &Schema, table: TableId, condition: &Expr) -> Vec<Reach> {
    let mut finder = Finder { schema, reaches: Vec::new(), watched: Watched::default() };
    finder.condition(table, condition);
    finder.reaches
}

struct Finder<'s> {
    schema: &'s Schema,
    reaches: Vec<Reach>,
    watched: Watched,
}

/// The way to a row that expressions can speak of.
#[derive(Clone)]
struct Way {
    start: Start,
    table: TableId,
    steps: Vec<WayStep>,
}

impl Finder<'_> {
    fn condition(&mut self, table: TableId, condition: &Expr) {
        self.visit(condition, &[Way { start: Start::Row, table, steps: Vec::new() }]);
    }

    /// `scopes`: the innermost last, the first one that of the row itself.
    fn visit(&mut self, expr: &Expr, scopes: &[Way]) {
        match &expr.node {
            // What is read of the caller is known before the transaction begins.
            Node::Column { row, .. } if row.root == Root::User => {}
            Node::Column { row, column, .. } => {
                if let Some(way) = self.follow(row, scopes) {
                    self.read(&way, *column);
                }
            }
            Node::Many(many) => {
                let Some(mut way) = self.follow(&many.row, scopes) else { return };
                self.reach(&way);
                let relation = self.schema.table(many.table).relation(many.relation);
                match &relation.kind {
                    RelationKind::Reverse { column } => {
                        self.watch(many.target, *column, many.table);
                    }
                    RelationKind::Link(link) => {
                        self.watched.links.insert((link.db_name.clone(), true));
                    }
                    RelationKind::LinkReverse { link, .. } => {
                        self.watched.links.insert((link.db_name.clone(), false));
                    }
                }
                way.steps.push(WayStep::Many { from: many.table, relation: many.relation });
                if let Some(visible) = &many.visible {
                    self.visit(visible, std::slice::from_ref(&way));
                }
                if let Some(body) = &many.body {
                    let scopes: Vec<Way> = scopes.iter().cloned().chain([way]).collect();
                    self.visit(body, &scopes);
                }
            }
            _ => crate::expression::for_children(expr, &mut |child| self.visit(child, scopes)),
        }
    }

    /// The way to the row that a path leads to; every row on it is reached, and so is that one.
    fn follow(&mut self, path: &RowPath, scopes: &[Way]) -> Option<Way> {
        let mut way = match path.root {
            Root::Scope(level) => scopes.get(scopes.len().checked_sub(1 + usize::from(level))?)?.clone(),
            Root::Old => Way { start: Start::Old, ..scopes.first()?.clone() },
            Root::New => Way { start: Start::New, ..scopes.first()?.clone() },
            Root::User => Way { start: Start::User, table: self.schema.user_table()?.id, steps: Vec::new() },
        };
        let mut table = self.table_at(&way);
        for Hop { column, target, visible } in &path.hops {
            self.read(&way, *column);
            way.steps.push(WayStep::One { from: table, column: *column });
            table = *target;
            self.reach(&way);
            if let Some(visible) = visible {
                self.visit(visible, std::slice::from_ref(&way));
            }
        }
        Some(way)
    }

    fn table_at(&self, way: &Way) -> TableId {
        match way.steps.last() {
            None => way.table,
            Some(WayStep::One { from, column }) => {
                self.schema.table(*from).column(*column).target().expect("a way follows to-one columns")
            }
            Some(WayStep::Many { from, relation }) => self.schema.table(*from).relation(*relation).target,
        }
    }

    /// A column of the rows at a way's end is read.
    fn read(&mut self, way: &Way, column: ColumnId) {
        let Some(WayStep::Many { from, relation }) = way.steps.last() else { return };
        let relation = self.schema.table(*from).relation(*relation);
        match &relation.kind {
            // Keys never change.
            _ if column == ColumnId::ID => {}
            RelationKind::Reverse { column: back } => {
                let reads = &mut self.watch(relation.target, *back, *from).reads;
                if !reads.contains(&column) {
                    reads.push(column);
                }
            }
            RelationKind::Link(_) | RelationKind::LinkReverse { .. } => self.reach(way),
        }
    }

    fn watch(&mut self, table: TableId, column: ColumnId, parent: TableId) -> &mut Watch {
        let watches = self.watched.columns.entry(table).or_default();
        let known = watches.iter().position(|watch| watch.column == column);
        let place = known.unwrap_or_else(|| {
            watches.push(Watch { column, parent, reads: Vec::new() });
            watches.len() - 1
        });
        &mut watches[place]
    }

    fn reach(&mut self, way: &Way) {
        let is_known = |known: &Reach| known.start == way.start && known.steps == way.steps;
        if !self.reaches.iter().any(is_known) {
            self.reaches.push(Reach {
                start: way.start,
                table: way.table,
                steps: way.steps.clone(),
                statement: OnceLock::new(),
            });
        }
    }
}
