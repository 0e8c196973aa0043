//! `check` and `warn` lines, asked of all rows as they stand in the end.

use mainstay_engine::error::Key;
use mainstay_lang::expr::{Expr, Node, Root};
use mainstay_lang::schema::{Check, TableId};
use mainstay_lang::value::Value;

use super::{Predicted, Simulation};
use crate::naive::{Eyes, Naive, Row, Scene};
use crate::oracle::predict::Stop;

impl Simulation<'_> {
    /// What checks and warnings say of the rows that were written, and of those for which the answer is another now.
    pub(super) fn check(&mut self) -> Predicted<()> {
        let schema = self.schema;
        let mut said = super::Said::default();
        for table in &schema.tables {
            for (lines, must, may) in [
                (&table.checks, &mut said.checks, &mut said.open_checks),
                (&table.warns, &mut said.warnings, &mut said.open_warnings),
            ] {
                for check in lines {
                    for row in self.world.rows(table.id) {
                        if self.truth(table.id, check, row, false)? != Value::Bool(false) {
                            continue;
                        }
                        match self.is_due(table.id, check, row)? {
                            true => must.insert(check.message.clone()),
                            false => may.insert(check.message.clone()),
                        };
                    }
                }
            }
        }
        let mut keys = Vec::new();
        if !said.checks.is_empty() {
            keys.push(Key::Check);
        } else if !said.warnings.is_empty() {
            keys.push(Key::Warnings);
            keys.extend((!said.open_checks.is_empty()).then_some(Key::Check));
        }
        self.said = said;
        if keys.is_empty() { Ok(()) } else { Err(Stop::Refused(keys)) }
    }

    /// Whether a check that is not met must have been asked.
    fn is_due(&self, table: TableId, check: &Check, row: &Row) -> Predicted<bool> {
        let Some(before) = self.start.row(table, &row[0]) else { return Ok(true) };
        let was_met = self.truth(table, check, before, true)? != Value::Bool(false);
        // What hangs on the caller is no part of the row, nor followed from there.
        Ok(before != row || (was_met && !follows_user(&check.condition)))
    }

    fn truth(&self, table: TableId, check: &Check, row: &Row, at_start: bool) -> Predicted<Value> {
        let naive = self.naive();
        let naive = if at_start { Naive { world: &self.start, ..naive } } else { naive };
        Ok(naive.eval(&check.condition, &Scene::of(table, row, Eyes::All))?)
    }
}

fn follows_user(expr: &Expr) -> bool {
    let mut follows = false;
    expr.walk(&mut |expr| {
        follows |= matches!(&expr.node, Node::Many(many) if many.row.root == Root::User);
    });
    follows
}
