//! Lines about a table as a whole: `label`, `index`, `unique`, `order`, `history`.

use super::Resolver;
use crate::check::{Checker, Place};
use crate::diagnostic::Diagnostic;
use crate::expr::Node;
use crate::naming;
use crate::schema::{Column, ColumnId, Index, Member, OrderBy, Table, TableId};
use crate::source::Span;
use crate::syntax::{self, Member as Line, Name};
use crate::types::Type;
use crate::value::Value;

impl Resolver<'_> {
    pub(super) fn constraints(&mut self) {
        for (table, members) in self.tables() {
            let mut once = Once::default();
            for line in members {
                match line {
                    Line::Label(name) => {
                        self.once(&mut once.label, "label", name.span);
                        self.label(table, name);
                    }
                    Line::Index { columns, span } => {
                        if let Some(columns) = self.indexed(table, columns) {
                            let index = Index { columns, span: *span };
                            self.schema.tables[table.0 as usize].indexes.push(index);
                        }
                    }
                    Line::Unique { columns, span } => self.unique(table, columns, *span),
                    Line::Order { items, span } => {
                        self.once(&mut once.order, "order", *span);
                        self.order(table, items);
                    }
                    Line::History { duration, span } => {
                        self.once(&mut once.history, "history", *span);
                        self.history(table, duration);
                    }
                    _ => {}
                }
            }
        }
    }

    fn once(&mut self, first: &mut Option<Span>, word: &str, span: Span) {
        match *first {
            Some(first) => self.duplicate(span, format!("a table has one `{word}` line"), first),
            None => *first = Some(span),
        }
    }

    fn label(&mut self, table: TableId, name: &Name) {
        let Some(column) = self.column_of(table, name) else { return };
        let declared = self.schema.table(table).column(column);
        if declared.secret {
            self.error("constraint.column", name.span, "a secret column cannot stand for its row");
        } else if matches!(declared.ty, Type::Json | Type::List(_) | Type::Bytes) {
            let message =
                format!("`{}` cannot stand for its row: choose a column of one short value", declared.name);
            self.error("constraint.column", name.span, message);
        } else {
            self.schema.tables[table.0 as usize].label = Some(column);
        }
    }

    fn unique(&mut self, table: TableId, columns: &[Name], span: Span) {
        let Some(columns) = self.indexed(table, columns) else { return };
        if let [column] = columns.as_slice() {
            self.schema.tables[table.0 as usize].columns[column.0 as usize].unique = true;
        }
        self.schema.tables[table.0 as usize].uniques.push(Index { columns, span });
    }

    fn indexed(&mut self, table: TableId, names: &[Name]) -> Option<Vec<ColumnId>> {
        let mut columns = Vec::new();
        for name in names {
            let column = self.column_of(table, name)?;
            if columns.contains(&column) {
                self.error("name.duplicate", name.span, format!("`{}` stands here twice", name.text));
            } else if matches!(self.schema.table(table).column(column).ty, Type::Json | Type::List(_)) {
                self.error("constraint.column", name.span, "json and lists have no index");
            } else {
                columns.push(column);
            }
        }
        Some(columns)
    }

    fn order(&mut self, table: TableId, items: &[(Name, bool)]) {
        let mut order = Vec::new();
        for (name, descending) in items {
            let Some(column) = self.column_of(table, name) else { continue };
            let declared = self.schema.table(table).column(column);
            if declared.secret {
                self.error("constraint.column", name.span, "rows cannot be ordered by a secret column");
            } else if matches!(declared.ty, Type::Json | Type::List(_) | Type::Bytes) {
                let message = format!("`{}` has no order", declared.ty);
                self.error("constraint.column", name.span, message);
            } else if order.iter().any(|item: &OrderBy| item.column == column) {
                self.error("name.duplicate", name.span, format!("`{}` stands here twice", name.text));
            } else {
                order.push(OrderBy { column, descending: *descending });
            }
        }
        self.schema.tables[table.0 as usize].order = order;
    }

    fn history(&mut self, table: TableId, duration: &syntax::Expr) {
        let mut checker = Checker::new(&self.schema, Place::constant(), &mut self.problems);
        let Some(checked) = checker.assigned(duration, &Type::Duration) else { return };
        match checked.node {
            Node::Literal(Value::Duration(duration)) if duration.0 > 0 => {
                self.schema.tables[table.0 as usize].history = Some(duration.0);
            }
            _ => self.error("literal.invalid", duration.span, "history is kept for a time, such as 90 days"),
        }
    }

    /// A column of a table, or an error that offers the nearest one.
    pub(super) fn column_of(&mut self, table: TableId, name: &Name) -> Option<ColumnId> {
        find_column(self.schema.table(table), name).map_err(|problem| self.report(problem)).ok()
    }
}

/// The column of a name, or what is wrong with it.
#[expect(clippy::result_large_err, reason = "it is reported at once, and an app has few problems")]
pub(crate) fn find_column(of: &Table, name: &Name) -> Result<ColumnId, Diagnostic> {
    match of.members.get(&name.text) {
        Some(Member::Column(column)) => Ok(*column),
        Some(Member::Relation(_)) => {
            let message = format!("`{}` is a relation to many rows, where a column is expected", name.text);
            Err(Diagnostic::error("constraint.column", name.span, message))
        }
        None => {
            let message = format!("`{}` has no column `{}`", of.name, name.text);
            let help = naming::did_you_mean(&name.text, of.columns.iter().map(column_name));
            Err(super::with_help(Diagnostic::error("name.unknown", name.span, message), help))
        }
    }
}

fn column_name(column: &Column) -> &str {
    &column.name
}

/// Where lines that a table has at most once were first seen.
#[derive(Default)]
struct Once {
    label: Option<Span>,
    order: Option<Span>,
    history: Option<Span>,
}
