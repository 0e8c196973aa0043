//! "Behind the row that had these values": keyset conditions.
//!
//! For the items `a, b, key` a row is behind when `a` is behind, or `a` is the same and `b` is behind, and so on. When
//! everything ascends and nothing can be null that is a row value comparison, which every index over these columns
//! serves. Otherwise it is written out, after a bound on the first item alone, which is all that an index can use.
//! Values are parameters that may be null at the run, so nulls are told apart by the database.

use mainstay_lang::expr::Expr;
use mainstay_lang::schema::ColumnId;

use super::order::deciding;
use crate::expr::is_never_null;
use crate::plan::Select;
use crate::writer::{ScopeId, Writer};

/// One item of the order with the value of the last row seen.
struct Item {
    by: String,
    value: String,
    descending: bool,
    nulls_first: bool,
    nullable: bool,
}

impl Writer<'_> {
    /// The condition of `after`, with `WHERE` or `AND` before it.
    pub(super) fn after(&mut self, select: &Select, scope: ScopeId, is_first: bool) {
        let Some(values) = &select.after else { return };
        let items = self.alone(scope, |w| w.keyset_items(select, values, scope));
        self.text(if is_first { " WHERE " } else { " AND " });
        let first = &items[0];
        if items.len() == 1 {
            self.text(&first.behind());
        } else if items.iter().all(|item| !item.nullable && !item.descending) {
            self.row_values(&items);
        } else {
            if !first.nullable {
                let bound = if first.descending { "<=" } else { ">=" };
                self.text(&format!("{} {bound} {} AND ", first.by, first.value));
            }
            self.text(&chain(&items));
        }
    }

    fn keyset_items(&mut self, select: &Select, values: &[Expr], scope: ScopeId) -> Vec<Item> {
        let (order, with_key) = deciding(&select.order);
        let mut items = Vec::with_capacity(order.len() + 1);
        for (order, value) in order.iter().zip(values) {
            // The value has the type of what is sorted by, so that an enum's place is computed for both.
            let value = Expr { ty: order.by.ty.clone(), ..value.clone() };
            items.push(Item {
                by: self.capture(|w| w.sort_value(&order.by)),
                value: self.capture(|w| w.sort_value(&value)),
                descending: order.descending,
                nulls_first: order.nulls_first,
                nullable: !is_never_null(self.schema, &order.by),
            });
        }
        if with_key {
            let key = values.last().expect("the key comes last in a cursor");
            items.push(Item {
                by: self.capture(|w| {
                    let id = w.capture(|w| w.scope_column(scope, ColumnId::ID));
                    w.in_order(w.schema.key_type(select.table), &id);
                }),
                value: self.capture(|w| w.expr(key)),
                descending: false,
                nulls_first: false,
                nullable: false,
            });
        }
        items
    }

    fn row_values(&mut self, items: &[Item]) {
        self.text("(");
        self.separated(", ", items, |w, item| w.text(&item.by));
        self.text(") > (");
        self.separated(", ", items, |w, item| w.text(&item.value));
        self.text(")");
    }
}

impl Item {
    /// Rows that this item alone puts behind.
    fn behind(&self) -> String {
        let Item { by, value, .. } = self;
        let sign = if self.descending { "<" } else { ">" };
        match (self.nullable, self.nulls_first) {
            (false, _) => format!("{by} {sign} {value}"),
            (true, false) => format!("({by} {sign} {value} OR ({by} IS NULL AND {value} IS NOT NULL))"),
            (true, true) => format!("({by} {sign} {value} OR ({by} IS NOT NULL AND {value} IS NULL))"),
        }
    }

    fn same(&self) -> String {
        let sign = if self.nullable { "IS NOT DISTINCT FROM" } else { "=" };
        format!("{} {sign} {}", self.by, self.value)
    }
}

fn chain(items: &[Item]) -> String {
    let (first, rest) = items.split_first().expect("the key is always there");
    if rest.is_empty() {
        return first.behind();
    }
    format!("({} OR ({} AND {}))", first.behind(), first.same(), chain(rest))
}
