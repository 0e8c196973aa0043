//! Where a database may run into an overflow that a careful reader would have gone around.
//!
//! A rule may be asked of rows that another answer would have left out, and what is the same for every row may be computed
//! before anybody knows whether a row asks for it. What a caller's own expression computes from a row is no such case: rows
//! that may not be read must not be computed with.

use mainstay_lang::expr::Expr;
use mainstay_lang::filter::compile_filter;
use mainstay_lang::schema::{Operation, Table};
use mainstay_lang::value::Value;
use serde_json::Value as Json;

use super::Oracle;
use crate::naive::{Eyes, Naive, Scene};

impl Oracle<'_> {
    pub(super) fn may_overflow(&self, request: &Json) -> bool {
        let tables = &self.naive.schema.tables;
        let mut texts = Vec::new();
        filters(request, &mut texts);
        tables.iter().any(|table| {
            let of_caller = |text: &&str| {
                let filter = compile_filter(self.naive.schema, table.id, text);
                filter.is_ok_and(|filter| {
                    filter.params.is_empty() && self.fails_without_row(table, &filter.condition)
                })
            };
            self.a_rule_fails(table) || texts.iter().any(of_caller)
        })
    }

    /// Whether a rule for reading rows or columns of a table overflows for some row, or for none.
    fn a_rule_fails(&self, table: &Table) -> bool {
        let rules = || table.rules.iter().filter(|rule| rule.operations.contains(&Operation::Read));
        let added = || self.naive.added.iter().filter_map(|added| added.reads(table.id));
        let for_row = |row: &Vec<Value>| {
            let scene = Scene::of(table.id, row, Eyes::All);
            let naive = Naive { ..self.naive };
            rules().any(|rule| naive.any_rule_for(std::iter::once(rule), &scene).is_err())
                || added().any(|condition| naive.eval(condition, &scene).is_err())
        };
        let without_row = rules()
            .filter_map(|rule| rule.condition.as_deref())
            .chain(added())
            .any(|rule| self.fails_without_row(table, rule));
        without_row || self.naive.world.rows(table.id).iter().any(for_row)
    }

    /// Whether a part that looks at no row overflows.
    fn fails_without_row(&self, table: &Table, of: &Expr) -> bool {
        let nothing = vec![Value::Null; table.columns.len()];
        let scene = Scene::of(table.id, &nothing, Eyes::All);
        // The scene lives shorter than the rows.
        let naive = Naive { ..self.naive };
        let mut fails = false;
        of.walk(&mut |expr| {
            fails |= expr.is_row_free() && naive.eval(expr, &scene).is_err();
        });
        fails
    }
}

/// Every `where` of a request.
fn filters<'j>(json: &'j Json, found: &mut Vec<&'j str>) {
    match json {
        Json::Object(members) => {
            found.extend(members.get("where").and_then(Json::as_str));
            members.values().for_each(|member| filters(member, found));
        }
        Json::Array(items) => items.iter().for_each(|item| filters(item, found)),
        _ => {}
    }
}
