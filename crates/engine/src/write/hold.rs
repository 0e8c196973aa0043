//! What a rule or check reads beyond its row stays true until the end of the transaction, where others write at the same time.
//!
//! A row found by to-one relations is held as it is. One whose to-many relation is asked about is held against whoever else
//! asks about it: who changes the rows of the relation does so too, because their checks lead back to it. Rows that this
//! request has written are its own already. Where one writes at a time, there is nothing to hold.

use mainstay_lang::expr::{Expr, Node, Root, RowPath};
use mainstay_lang::schema::TableId;
use mainstay_lang::value::Value;
use mainstay_sql::dialect::Lock;

use super::rows::{Image, RowKey};
use super::rules::Change;
use super::run::Run;
use crate::error::Error;

impl Run<'_> {
    /// Holds what a condition about a row reads.
    pub(super) async fn hold(
        &mut self,
        table: TableId,
        condition: &Expr,
        row: &Image,
        change: Change<'_>,
    ) -> Result<(), Error> {
        if !self.prepared.holds() {
            return Ok(());
        }
        let mut ways = Vec::new();
        collect(condition, 0, &mut ways);
        for (path, lock) in ways {
            let start = match path.root {
                Root::Old => change.old,
                Root::New => change.new,
                _ => Some(row),
            };
            let Some(mut image) = start.cloned() else { continue };
            let mut reached = table;
            for hop in &path.hops {
                let key = image[hop.column.0 as usize].clone();
                if key.is_null() {
                    break;
                }
                reached = hop.target;
                self.hold_row(reached, &key, Lock::Hold).await?;
                let Some(next) = self.image(reached, &key).await? else { break };
                image = next;
            }
            if lock == Lock::Write {
                self.hold_row(reached, &image[0].clone(), lock).await?;
            }
        }
        Ok(())
    }

    async fn hold_row(&mut self, table: TableId, key: &Value, lock: Lock) -> Result<(), Error> {
        let is_own = self.rows.get(table, key).is_some();
        if is_own || !self.held.insert((table, RowKey::of(key), lock == Lock::Write)) {
            return Ok(());
        }
        let statement = self.prepared.hold(table, lock);
        self.values_as_stored(&statement, std::slice::from_ref(key), Change::default()).await?;
        Ok(())
    }
}

/// The ways from the row, `depth` scopes out, to what is read.
fn collect<'e>(expr: &'e Expr, depth: u8, ways: &mut Vec<(&'e RowPath, Lock)>) {
    let is_from_row =
        |path: &RowPath| path.root == Root::Scope(depth) || matches!(path.root, Root::Old | Root::New);
    match &expr.node {
        Node::Column { row, .. } if !row.hops.is_empty() && is_from_row(row) => ways.push((row, Lock::Hold)),
        Node::Many(many) => {
            if is_from_row(&many.row) {
                ways.push((&many.row, Lock::Write));
            }
            many.body.iter().for_each(|body| collect(body, depth + 1, ways));
        }
        _ => crate::expression::for_children(expr, &mut |child| collect(child, depth, ways)),
    }
}
