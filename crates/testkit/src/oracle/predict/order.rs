//! The order of rows: what the part says, or the table, and the key in the end.

use std::cmp::Ordering;

use mainstay_lang::expr::Expr;
use mainstay_lang::filter::compile_value;
use mainstay_lang::schema::{Column, Table};
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;
use serde_json::{Map, Value as Json};

use super::refuse::Hides;
use super::{Oracle, Predicted, Stop, texts};
use crate::naive::{Eyes, Scene, order};

/// An item of an order.
struct OrderItem {
    by: Expr,
    descending: bool,
    nulls_first: bool,
}

impl<'a> Oracle<'a> {
    pub(super) fn sort(
        &self,
        table: &Table,
        part: &Map<String, Json>,
        rows: Vec<&'a [Value]>,
    ) -> Predicted<Vec<&'a [Value]>> {
        let items = self.order(table, part)?;
        let mut keyed = Vec::new();
        for row in rows {
            let mut values = Vec::new();
            for item in &items {
                let value = self.naive.eval(&item.by, &Scene::of(table.id, row, Eyes::Caller))?;
                values.push(ranked(value, &item.by.ty));
            }
            keyed.push((values, row));
        }
        keyed.sort_by(|(a, a_row), (b, b_row)| {
            let by_items = items
                .iter()
                .enumerate()
                .map(|(at, item)| sorted(&a[at], &b[at], item.descending, item.nulls_first));
            let by_key = order(&a_row[0], &b_row[0]).expect("keys are not null");
            by_items.fold(Ordering::Equal, Ordering::then).then(by_key)
        });
        Ok(keyed.into_iter().map(|(_, row)| row).collect())
    }

    fn order(&self, table: &Table, part: &Map<String, Json>) -> Predicted<Vec<OrderItem>> {
        let by = |path: &str| compile_value(self.schema(), table.id, path).expect("refused before");
        let written = texts(part, "order");
        if part.contains_key("aggregate") {
            // Its order is that of groups, which have no place where the part only restricts.
            return Ok(Vec::new());
        }
        if written.is_empty() {
            let own = table.order.iter().map(|item| (table.column(item.column), item.descending));
            let hides = |column| self.column_hides(table, column);
            if own.clone().any(|(column, _)| hides(column) == Hides::Perhaps) {
                return Err(Stop::Undecided);
            }
            let own = own.filter(|(column, _)| hides(column) == Hides::Nothing);
            let item = |(column, descending): (&Column, bool)| OrderItem {
                by: by(&column.name),
                descending,
                nulls_first: false,
            };
            return Ok(own.map(item).collect());
        }
        let item = |text: &&str| {
            let path = text.split(' ').next().unwrap_or_default();
            OrderItem {
                by: by(path.trim_start_matches('-')),
                descending: path.starts_with('-'),
                nulls_first: text.ends_with("nulls first"),
            }
        };
        Ok(written.iter().map(item).collect())
    }
}

/// What an enum is sorted by: its declared place.
pub(super) fn ranked(value: Value, ty: &Type) -> Value {
    match (&value, ty) {
        (Value::Text(name), Type::Enum(of)) => {
            let place = of.rank(name).expect("a value of the enum");
            Value::Int(i64::try_from(place).expect("enums are short"))
        }
        _ => value,
    }
}

pub(super) fn sorted(a: &Value, b: &Value, descending: bool, nulls_first: bool) -> Ordering {
    let null = if nulls_first { Ordering::Less } else { Ordering::Greater };
    match (a.is_null(), b.is_null()) {
        (true, true) => Ordering::Equal,
        (true, false) => null,
        (false, true) => null.reverse(),
        (false, false) => {
            let order = order(a, b).expect("neither is null");
            if descending { order.reverse() } else { order }
        }
    }
}
