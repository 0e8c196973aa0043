//! The expressions of columns: defaults, bounds, and the selectors of counters.

use super::Resolver;
use super::modifier::misfit;
use crate::check::{Checker, Place};
use crate::expr::{Expr, Node};
use crate::schema::{Auto, Bound, ColumnId, TableId};
use crate::syntax::{self, ModifierKind};
use crate::types::Type;
use crate::value::Value;
use std::cmp::Ordering;

impl Resolver<'_> {
    pub(super) fn values(&mut self) {
        for index in 0..self.drafts.len() {
            let table = self.schema.tables[index].id;
            for (column, declared) in self.drafts[index].columns.clone() {
                if self.schema.table(table).column(column).ty != Type::Null {
                    self.column_values(table, column, declared);
                }
            }
        }
    }

    fn column_values(&mut self, table: TableId, column: ColumnId, declared: &syntax::Column) {
        let ty = self.schema.table(table).column(column).ty.clone();
        let (mut default, mut min, mut max, mut auto) = (None, None, None, None);
        for modifier in &declared.modifiers {
            // One that does not fit has been refused.
            if misfit(&modifier.kind, self.schema.table(table).column(column)).is_some() {
                continue;
            }
            match &modifier.kind {
                ModifierKind::Default(expr) => default = self.default(expr, &ty, declared.nullable),
                ModifierKind::Min(expr) => min = self.bound(expr, &ty),
                ModifierKind::Max(expr) => max = self.bound(expr, &ty),
                ModifierKind::Auto(selectors) => auto = self.selectors(table, selectors),
                _ => {}
            }
        }
        if let (Some(least), Some(greatest)) = (&min, &max)
            && is_above(least, greatest)
        {
            self.error("literal.invalid", declared.span, "`min` is greater than `max`: nothing would fit");
        }
        let into = &mut self.schema.tables[table.0 as usize].columns[column.0 as usize];
        into.default = default;
        into.min = min;
        into.max = max;
        into.auto = auto;
    }

    fn default(&mut self, expr: &syntax::Expr, ty: &Type, nullable: bool) -> Option<Expr> {
        let mut checker = Checker::new(&self.schema, Place::default(), &mut self.problems);
        let checked = checker.assigned(expr, ty)?;
        if matches!(checked.node, Node::Literal(Value::Null)) && !nullable {
            self.error(
                "type.mismatch",
                expr.span,
                "a required column cannot be null unless it says so with `?`",
            );
            return None;
        }
        Some(checked)
    }

    /// A literal of the column's type, or a length.
    fn bound(&mut self, expr: &syntax::Expr, ty: &Type) -> Option<Bound> {
        let length = matches!(ty, Type::Text { .. } | Type::List(_) | Type::Bytes);
        let expected = if length { Type::Int } else { ty.clone() };
        let mut checker = Checker::new(&self.schema, Place::constant(), &mut self.problems);
        let checked = checker.assigned(expr, &expected)?;
        match checked.node {
            Node::Literal(Value::Null) => {}
            Node::Literal(Value::Int(value)) if length => match u64::try_from(value) {
                Ok(value) => return Some(Bound::Length(value)),
                Err(_) => {
                    self.error("literal.invalid", expr.span, "a length is not negative");
                    return None;
                }
            },
            Node::Literal(value) => return Some(Bound::Value(value)),
            _ => {}
        }
        self.error("literal.invalid", expr.span, "a bound is a constant");
        None
    }

    fn selectors(&mut self, table: TableId, selectors: &[syntax::Expr]) -> Option<Auto> {
        let mut checker = Checker::new(&self.schema, Place::selector(table), &mut self.problems);
        let checked: Vec<Option<Expr>> =
            selectors.iter().map(|selector| checker.check(selector, None)).collect();
        Some(Auto { selectors: checked.into_iter().collect::<Option<Vec<Expr>>>()? })
    }
}

fn is_above(least: &Bound, greatest: &Bound) -> bool {
    match (least, greatest) {
        (Bound::Length(least), Bound::Length(greatest)) => least > greatest,
        (Bound::Value(least), Bound::Value(greatest)) => least.compare(greatest) == Some(Ordering::Greater),
        _ => false,
    }
}
