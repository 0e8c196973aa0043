//! What is nested in a row: relations, what stands beside them, and aggregates over them.
//!
//! Each is a scalar subselect in parentheses, tied to its parent's row, yielding JSON text; a to-one that has no row
//! yields null. Aliases are unique, so a subselect can speak of any row around it.

use mainstay_lang::expr::Expr;
use mainstay_lang::schema::{ColumnId, RelationId, TableId};

use super::json::Pieces;
use crate::dialect::{Counted, RowCounting};
use crate::expr::Relatives;
use crate::plan::{Output, OutputKind, Select};
use crate::writer::{ScopeId, Writer};

impl Writer<'_> {
    /// The nested value `kind` of the row of `parent`, which is of `table`.
    pub(crate) fn nested(&mut self, parent: ScopeId, table: TableId, kind: &OutputKind) {
        match kind {
            OutputKind::Column(column) => self.scope_column(parent, *column),
            OutputKind::One { column, select } => self.one(parent, *column, select),
            OutputKind::Many { relation, select } => self.many_rows(parent, table, *relation, select),
            OutputKind::Beside { relation, select, count, next } => {
                self.beside(parent, table, *relation, select, (*count, *next));
            }
            OutputKind::Aggregate { relation, aggregate } => {
                let rows = self.relatives_of(parent, table, *relation);
                self.group_rows(aggregate, &rows);
            }
        }
    }

    pub(crate) fn relatives_of(
        &mut self,
        parent: ScopeId,
        table: TableId,
        relation: RelationId,
    ) -> Relatives {
        let owner = self.capture(|w| w.scope_column(parent, ColumnId::ID));
        self.relatives(table, relation, &owner)
    }

    fn one(&mut self, parent: ScopeId, column: ColumnId, select: &Select) {
        let referring = self.capture(|w| w.scope_column(parent, column));
        let alias = self.alias();
        let scope = self.scope(&alias, select.table, None);
        self.text("(SELECT ");
        let counting = self.dialect.row_counting();
        self.alone(scope, |w| w.object(select, scope, Some(counting)));
        self.text(" FROM ");
        self.table(select.table, &alias);
        self.text(" WHERE ");
        self.scope_column(scope, ColumnId::ID);
        self.text(" = ");
        self.text(&referring);
        self.conditions(scope, &select.filter, false);
        self.text(")");
    }

    fn many_rows(&mut self, parent: ScopeId, table: TableId, relation: RelationId, select: &Select) {
        let rows = self.relatives_of(parent, table, relation);
        let shown = self.scope(&rows.alias, rows.target, None);
        let marked = Some(self.dialect.row_counting()).filter(RowCounting::is_mark);
        let aggregate = self.dialect.objects();
        self.lists_around += 1;
        let list = self.capture(|w| {
            w.alone(shown, |w| match aggregate {
                Some(aggregate) => w.objects(aggregate, select, shown),
                None => w.object(select, shown, marked),
            });
        });
        self.lists_around -= 1;
        let source = self.scope(&rows.alias, rows.target, rows.key.clone());
        let projection = self.capture(|w| w.projection(shown, source));
        if aggregate.is_some() {
            self.text("(SELECT ");
            self.text(&list);
        } else {
            self.text("(SELECT concat('[', string_agg(");
            self.text(&list);
            let is_between = self.lists_around > 0 && has_list(select);
            self.end_list(if is_between { Counted::Always } else { Counted::WhenLong });
        }
        self.text(" FROM ");
        self.cut_rows(select, &rows, source, &projection);
        self.text(")");
    }

    /// A derived table of the rows of a relation that a select keeps, as many of them as it shows.
    pub(super) fn cut_rows(&mut self, select: &Select, rows: &Relatives, source: ScopeId, projection: &str) {
        let bound = self.limit_bound(select);
        self.text(if bound.is_some() { "(SELECT * FROM (SELECT " } else { "(SELECT " });
        self.text(projection);
        self.related_rows(select, rows, source);
        match (&select.limit, bound) {
            (None, _) if !self.dialect.row_counting().is_mark() => {
                self.limit_to_row_cap(select.offset.as_ref());
            }
            (limit, None) => self.limit(limit.as_ref(), select.offset.as_ref(), false),
            (limit, Some(bound)) => {
                self.limit_to_bound(bound, select.offset.as_ref());
                self.text(") ");
                self.text(&rows.alias);
                self.limit(limit.as_ref(), None, false);
            }
        }
        self.text(") ");
        self.text(&rows.alias);
    }

    /// ` FROM … WHERE … ORDER BY …` of the rows of a relation that a select keeps.
    fn related_rows(&mut self, select: &Select, rows: &Relatives, source: ScopeId) {
        let behind = self.capture(|w| {
            w.conditions(source, &select.filter, false);
            w.after(select, source, false);
            w.order_by(&select.order, source);
        });
        self.related_from(rows, &[source]);
        self.text(" WHERE ");
        self.text(&rows.tie);
        self.text(&behind);
    }

    fn beside(
        &mut self,
        parent: ScopeId,
        table: TableId,
        relation: RelationId,
        select: &Select,
        (count, next): (bool, bool),
    ) {
        let mut pieces = Pieces::default();
        pieces.literal("{");
        if count {
            pieces.literal("\"count\":");
            let rows = self.relatives_of(parent, table, relation);
            pieces.sql(self.capture(|w| w.related_count(select, &rows)));
        }
        if next {
            pieces.literal(if count { ",\"next\":" } else { "\"next\":" });
            match &select.limit {
                Some(limit) => pieces.sql(self.capture(|w| w.next(parent, table, relation, select, limit))),
                None => pieces.literal("null"),
            }
        }
        pieces.literal("}");
        self.concat(&pieces);
    }

    fn related_count(&mut self, select: &Select, rows: &Relatives) {
        let scope = self.scope(&rows.alias, rows.target, rows.key.clone());
        let conditions = self.capture(|w| w.conditions(scope, &select.filter, false));
        self.text("(SELECT count(*)");
        self.related_from(rows, &[scope]);
        self.text(" WHERE ");
        self.text(&rows.tie);
        self.text(&conditions);
        self.text(")");
    }

    /// The condition under which a member is there; `None`: always. It may stand in a statement more than once.
    ///
    /// What stands beside a list and is not asked to count has something to say only when a row follows.
    pub(crate) fn presence(&mut self, parent: ScopeId, table: TableId, output: &Output) -> Option<String> {
        let guard = output.guard.as_ref().map(|guard| self.capture(|w| w.expr(guard)));
        let follows = match &output.kind {
            OutputKind::Beside { relation, select, count: false, next: true } => {
                let limit = select.limit.as_ref();
                limit.map(|limit| self.capture(|w| w.follows(parent, table, *relation, select, limit)))
            }
            _ => None,
        };
        match (guard, follows) {
            (Some(guard), Some(follows)) => Some(format!("{guard} AND {follows}")),
            (guard, follows) => guard.or(follows),
        }
    }

    /// The cursor of the page's last row when a row follows it, as JSON: the two rows at the edge of the page are
    /// read, and the first of them counts when there is a second.
    fn next(&mut self, parent: ScopeId, table: TableId, relation: RelationId, select: &Select, limit: &Expr) {
        self.text("CASE WHEN ");
        self.follows(parent, table, relation, select, limit);
        self.text(" THEN concat('\"', ");
        self.edge(
            parent,
            table,
            relation,
            select,
            limit,
            (|w, select, scope| w.cursor(select, scope), " - 1"),
        );
        self.text(", '\"') ELSE 'null' END");
    }

    /// Whether a row follows the page.
    fn follows(
        &mut self,
        parent: ScopeId,
        table: TableId,
        relation: RelationId,
        select: &Select,
        limit: &Expr,
    ) {
        self.expr(limit);
        self.text(" > 0 AND EXISTS ");
        self.edge(parent, table, relation, select, limit, (|w, _, _| w.text("1"), ""));
    }

    /// Something of one row at the edge of the page: the first behind it, or with `back` the one so many before that.
    fn edge(
        &mut self,
        parent: ScopeId,
        table: TableId,
        relation: RelationId,
        select: &Select,
        limit: &Expr,
        (what, back): (fn(&mut Self, &Select, ScopeId), &str),
    ) {
        let edge = Select { outputs: Vec::new(), limit: None, offset: None, ..select.clone() };
        let rows = self.relatives_of(parent, table, relation);
        let source = self.scope(&rows.alias, rows.target, rows.key.clone());
        self.text("(SELECT ");
        let value = self.capture(|w| w.alone(source, |w| what(w, &edge, source)));
        self.text(&value);
        self.related_rows(&edge, &rows, source);
        self.text(" LIMIT 1 OFFSET ");
        self.expr(limit);
        if let Some(offset) = &select.offset {
            self.text(" + ");
            self.expr(offset);
        }
        self.text(back);
        self.text(")");
    }
}

/// Whether lists stand in its rows, however deep.
pub(super) fn has_list(select: &Select) -> bool {
    select.outputs.iter().any(|output| match &output.kind {
        OutputKind::Column(_) | OutputKind::Beside { .. } => false,
        OutputKind::Many { .. } | OutputKind::Aggregate { .. } => true,
        OutputKind::One { select, .. } => has_list(select),
    })
}
