//! ORDER BY, LIMIT and the text of cursors.
//!
//! Nulls come last in both directions unless asked first; where there can be none nothing is said about them, so that an
//! index serves the order. Enums sort by their declared order. The key ascending comes last and makes every order total.

use mainstay_lang::expr::{Expr, Node, Root};
use mainstay_lang::schema::ColumnId;
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;

use super::json::Pieces;
use crate::dialect::Operator;
use crate::expr::is_never_null;
use crate::plan::{Order, Select};
use crate::statement::Bind;
use crate::writer::{ScopeId, Writer};

/// Whether it is the key of the row itself: behind it no item of an order decides anything.
pub(super) fn is_key(expr: &Expr) -> bool {
    match &expr.node {
        Node::Column { row, column, .. } => {
            *column == ColumnId::ID && row.root == Root::Scope(0) && row.hops.is_empty()
        }
        _ => false,
    }
}

/// The items that decide, without the key, and whether the key must still follow.
pub(super) fn deciding(order: &[Order]) -> (&[Order], bool) {
    match order.iter().position(|item| is_key(&item.by)) {
        Some(at) => (&order[..=at], false),
        None => (order, true),
    }
}

impl Writer<'_> {
    pub(super) fn order_by(&mut self, order: &[Order], scope: ScopeId) {
        let (items, with_key) = deciding(order);
        self.text(" ORDER BY ");
        self.separated(", ", items, |w, item| {
            w.alone(scope, |w| w.sort_value(&item.by));
            w.text(if item.descending { " DESC" } else { "" });
            if !is_never_null(w.schema, &item.by) {
                w.text(w.dialect.nulls(item.descending, item.nulls_first));
            }
        });
        if with_key {
            self.text(if items.is_empty() { "" } else { ", " });
            let key = self.capture(|w| w.scope_column(scope, ColumnId::ID));
            let ty = self.schema.key_type(self.table_of(scope));
            self.in_order(ty, &key);
        }
    }

    /// What is sorted by: an enum's place in the declared order, any other value itself.
    pub(super) fn sort_value(&mut self, by: &Expr) {
        let value = self.capture(|w| w.expr(by));
        match &by.ty {
            Type::Enum(of) => self.rank_of(of, &value),
            ty => self.in_order(ty, &value),
        }
    }

    /// `LIMIT` and `OFFSET`; one row more than asked for when that tells whether more follow.
    pub(crate) fn limit(&mut self, limit: Option<&Expr>, offset: Option<&Expr>, probes_more: bool) {
        match limit {
            Some(limit) => {
                self.text(" LIMIT ");
                self.expr(limit);
                self.text(if probes_more { " + 1" } else { "" });
            }
            None if offset.is_some() => self.text(self.dialect.unlimited()),
            None => {}
        }
        self.offset(offset);
    }

    /// The bound of a select's limit that stands in the text; none: its limit alone serves.
    pub(crate) fn limit_bound(&self, select: &Select) -> Option<u64> {
        select.limit.as_ref().and(select.limit_bound).filter(|_| self.dialect.plans_before_values())
    }

    /// `LIMIT` of such a bound, and `OFFSET`; the limit itself stands around it. It is above the limit, so that there is also
    /// the row that tells whether more follow.
    pub(crate) fn limit_to_bound(&mut self, bound: u64, offset: Option<&Expr>) {
        self.text(" LIMIT ");
        self.number(bound);
        self.offset(offset);
    }

    /// `LIMIT` of the cap on nested rows, and `OFFSET`: for a list that nobody limited, whose rows are counted when they are
    /// all there.
    pub(crate) fn limit_to_row_cap(&mut self, offset: Option<&Expr>) {
        self.text(" LIMIT ");
        self.bind_row_cap();
        self.offset(offset);
    }

    fn offset(&mut self, offset: Option<&Expr>) {
        if let Some(offset) = offset {
            self.text(" OFFSET ");
            self.expr(offset);
        }
    }

    /// The cursor of a row: its sort values and its key, in their wire form, under the select's tag.
    pub(super) fn cursor(&mut self, select: &Select, scope: ScopeId) {
        let mut pieces = Pieces::default();
        pieces.literal("[");
        for item in &select.order {
            let value = self.capture(|w| w.alone(scope, |w| w.expr(&item.by)));
            let nullable = !is_never_null(self.schema, &item.by);
            pieces.value(self, &item.by.ty, nullable, &value);
            pieces.literal(",");
        }
        let key = self.schema.key_type(select.table);
        let value = self.capture(|w| w.scope_column(scope, ColumnId::ID));
        pieces.value(self, key, false, &value);
        pieces.literal("]");
        let template = self.dialect.operator(Operator::Cursor);
        self.template(&template, |w, index| match index {
            0 => {
                let tag = Bind::Value(Value::Text(select.cursor_tag.clone()));
                w.bind(tag, &Type::Text { max: None });
            }
            _ => w.concat(&pieces),
        });
    }
}
