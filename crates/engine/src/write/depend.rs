//! Which checks have to be asked again when a row of another table was written.
//!
//! A check may follow relations away from its row. Every place that it passes on the way is a dependency: when a row
//! there is written, the rows whose check passes through it are found by walking the way backwards. The ways are derived
//! from the expressions when the schema is read, so no check names what it depends on.

use std::collections::HashMap;

use mainstay_lang::expr::{Expr, Node, Root, RowPath};
use mainstay_lang::schema::{ColumnId, RelationId, RelationKind, Schema, TableId};
use mainstay_sql::plan::WayStep;

/// A check, or a warning, of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct CheckId {
    /// The table.
    pub(super) table: TableId,
    /// Whether it is a `warn` line.
    pub(super) warns: bool,
    /// Index among the table's lines of its kind.
    pub(super) index: usize,
}

/// A way from the row of a check to rows that it reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Way {
    /// The check.
    pub(super) check: CheckId,
    /// The steps, the first one from the row of the check. Never empty.
    pub(super) steps: Vec<WayStep>,
    /// What is read of the rows at its end: others may change without a matter.
    pub(super) columns: Vec<ColumnId>,
}

/// All ways of all checks.
#[derive(Debug, Default)]
pub(super) struct Dependencies {
    tables: foldhash::HashMap<TableId, Vec<Way>>,
    links: HashMap<String, Vec<Way>>,
}

impl Dependencies {
    /// Those of a schema.
    pub(super) fn of(schema: &Schema) -> Dependencies {
        let mut found = Dependencies::default();
        for table in &schema.tables {
            for (warns, checks) in [(false, &table.checks), (true, &table.warns)] {
                for (index, check) in checks.iter().enumerate() {
                    let check_id = CheckId { table: table.id, warns, index };
                    let start = Some(Vec::new());
                    Finder { schema, check: check_id, found: &mut found }.visit(&check.condition, &[start]);
                }
            }
        }
        found
    }

    /// Ways that end at rows of a table.
    pub(super) fn on_rows(&self, table: TableId) -> &[Way] {
        self.tables.get(&table).map_or(&[], Vec::as_slice)
    }

    /// Ways whose last step goes over a link table, by its name in the database.
    pub(super) fn on_links(&self, link: &str) -> &[Way] {
        self.links.get(link).map_or(&[], Vec::as_slice)
    }
}

struct Finder<'a> {
    schema: &'a Schema,
    check: CheckId,
    found: &'a mut Dependencies,
}

/// The way from the row of the check to a row of a scope; `None`: the scope is not reached from there.
type Scope = Option<Vec<WayStep>>;

impl Finder<'_> {
    /// `scopes`: the innermost last.
    fn visit(&mut self, expr: &Expr, scopes: &[Scope]) {
        match &expr.node {
            Node::Column { row, table, column } => {
                if let Some(way) = self.follow(row, scopes) {
                    self.add(*table, &way, Some(*column));
                }
            }
            Node::Many(many) => {
                let way = self.follow(&many.row, scopes).map(|mut way| {
                    way.push(WayStep::Many { from: many.table, relation: many.relation });
                    self.add_many(&way, many.table, many.relation, many.target);
                    way
                });
                if let Some(body) = &many.body {
                    let scopes: Vec<Scope> = scopes.iter().cloned().chain([way]).collect();
                    self.visit(body, &scopes);
                }
            }
            _ => crate::expression::for_children(expr, &mut |child| self.visit(child, scopes)),
        }
    }

    /// The way to the row that a path reaches; every row on it is noted with the column that leads on.
    fn follow(&mut self, path: &RowPath, scopes: &[Scope]) -> Scope {
        let Root::Scope(level) = path.root else { return None };
        let mut way = scopes.get(scopes.len().checked_sub(1 + usize::from(level))?)?.clone()?;
        for hop in &path.hops {
            let from = self.table_at(&way);
            self.add(from, &way, Some(hop.column));
            way.push(WayStep::One { from, column: hop.column });
        }
        Some(way)
    }

    /// The table that a way leads to.
    fn table_at(&self, way: &[WayStep]) -> TableId {
        match way.last() {
            None => self.check.table,
            Some(WayStep::One { from, column }) => {
                let column = self.schema.table(*from).column(*column);
                column.target().expect("a way follows to-one columns")
            }
            Some(WayStep::Many { from, relation }) => self.schema.table(*from).relation(*relation).target,
        }
    }

    fn add_many(&mut self, way: &[WayStep], from: TableId, relation: RelationId, target: TableId) {
        match &self.schema.table(from).relation(relation).kind {
            RelationKind::Reverse { column } => self.add(target, way, Some(*column)),
            RelationKind::Link(link) | RelationKind::LinkReverse { link, .. } => {
                self.add(target, way, None);
                let ways = self.found.links.entry(link.db_name.clone()).or_default();
                merge(ways, self.check, way, None);
            }
        }
    }

    fn add(&mut self, table: TableId, way: &[WayStep], column: Option<ColumnId>) {
        // The row of the check itself is asked about whenever it is written.
        if !way.is_empty() {
            merge(self.found.tables.entry(table).or_default(), self.check, way, column);
        }
    }
}

fn merge(ways: &mut Vec<Way>, check: CheckId, steps: &[WayStep], column: Option<ColumnId>) {
    let known = ways.iter().position(|way| way.check == check && way.steps == steps);
    let place = known.unwrap_or_else(|| {
        ways.push(Way { check, steps: steps.to_vec(), columns: Vec::new() });
        ways.len() - 1
    });
    let columns = &mut ways[place].columns;
    if let Some(column) = column
        && !columns.contains(&column)
    {
        columns.push(column);
    }
}
