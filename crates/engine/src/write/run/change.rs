//! Changing a row that is there.

use mainstay_lang::schema::{ColumnId, Operation, TableId};
use mainstay_lang::value::{Timestamp, Value};

use super::step::Assigning;
use super::{After, PutOff, Run};
use crate::error::{Error, Key};
use crate::write::plan::{Assign, Step};
use crate::write::rows::Image;
use crate::write::rules::Change;
use crate::write::value::{self, Problems};

impl Run<'_> {
    /// Gives columns of a found row their new values; says whether they are others than before.
    pub(super) async fn set(
        &mut self,
        step: &Step,
        current: &Image,
        values: &[(&Assign, Assigning)],
    ) -> Result<bool, Error> {
        let table = self.schema().table(step.table);
        let mut problems = Problems::default();
        let mut changes = Vec::with_capacity(values.len());
        for (assign, value) in values {
            let value = match value {
                Assigning::Value(value) => value.clone(),
                Assigning::Computed(operator, operand) => {
                    let column = table.column(assign.column);
                    let ty = self.schema().storage_type(&column.ty);
                    match operator.apply(&current[assign.column.0 as usize], operand, ty) {
                        Ok(value) => {
                            value::check(column, ty, &value, &assign.path, &mut problems);
                            value
                        }
                        Err(error) => {
                            problems.add(&assign.path, "range", error.to_string());
                            continue;
                        }
                    }
                }
            };
            changes.push((assign.column, value));
        }
        problems.into_result()?;
        let places: Vec<_> = values.iter().map(|(assign, _)| (assign.column, assign.path.as_str())).collect();
        self.update(step.table, current, changes, &places, &step.path).await
    }

    /// Changes a row under the rules: those "before" now, those "after" once everything nested has run.
    pub(super) async fn update(
        &mut self,
        table: TableId,
        current: &Image,
        changes: Vec<(ColumnId, Value)>,
        places: &[(ColumnId, &str)],
        path: &str,
    ) -> Result<bool, Error> {
        let mut named: Vec<ColumnId> = changes.iter().map(|(column, _)| *column).collect();
        let (mut next, mut changed) = self.changed(table, current, changes);
        let mut now = current.clone();
        if !changed.is_empty() && self.hooks_of(table).is_some() {
            let mut row = next.to_vec();
            for column in self.processing(table, Some(current), &mut row, path).await? {
                if !named.contains(&column) {
                    named.push(column);
                }
            }
            // What hooks asked may have changed the row meanwhile, and what goes now comes on top of it.
            let Some(image) = self.rows.current(table, current) else { return Ok(false) };
            now = image;
            let changes = named.iter().map(|column| (*column, row[column.0 as usize].clone())).collect();
            (next, changed) = self.changed(table, &now, changes);
        }
        let current = &now;
        self.hold_parents(table, &[current, &next], Some(&changed)).await?;
        let change = Change { old: Some(current), new: Some(&next) };
        self.require(table, Operation::Update, &named, current, change, path).await?;
        self.store(table, current, &next, &changed, places, path).await?;
        if !changed.is_empty() {
            // Triggers of others may have made another row of it.
            let next = self.rows.current(table, current).unwrap_or(next);
            self.note_update(table, current, &next);
        }
        let old = current.clone();
        self.afters.push(After { operation: Operation::Update, table, old, named, path: path.to_owned() });
        Ok(!changed.is_empty())
    }

    /// Changes a row whatever the rules say: what the deletion of another one does to it.
    pub(super) async fn update_unasked(
        &mut self,
        table: TableId,
        current: &Image,
        changes: Vec<(ColumnId, Value)>,
        path: &str,
    ) -> Result<(), Error> {
        let (next, changed) = self.changed(table, current, changes);
        self.hold_parents(table, &[current, &next], Some(&changed)).await?;
        self.store(table, current, &next, &changed, &[], path).await?;
        if !changed.is_empty() {
            // Triggers of others may have made another row of it.
            let next = self.rows.current(table, current).unwrap_or(next);
            self.note_update(table, current, &next);
        }
        Ok(())
    }

    /// The row after a change, and the columns that differ. A row that stays as it was keeps its version.
    fn changed(
        &self,
        table: TableId,
        current: &Image,
        changes: Vec<(ColumnId, Value)>,
    ) -> (Image, Vec<ColumnId>) {
        let updated = self.schema().table(table).updated;
        let mut next = current.to_vec();
        let mut changed = Vec::with_capacity(changes.len() + 1);
        for (column, value) in changes {
            let held = &mut next[column.0 as usize];
            if *held != value {
                *held = value;
                changed.push(column);
            }
        }
        if let Some(updated) = updated.filter(|_| !changed.is_empty()) {
            let version = &mut next[updated.0 as usize];
            let least = match version {
                Value::Timestamp(last) => last.0.saturating_add(1),
                _ => i64::MIN,
            };
            *version = Value::Timestamp(Timestamp(self.ctx.now.0.max(least)));
            changed.push(updated);
        }
        (Image::from(next), changed)
    }

    /// A row as it was stored, with the columns that wait for theirs as they will be.
    fn with_waiting(&self, stored: &Image, next: &Image, waiting: &[ColumnId]) -> Image {
        let mut row = stored.to_vec();
        for column in waiting {
            row[column.0 as usize] = next[column.0 as usize].clone();
        }
        Image::from(row)
    }

    pub(super) async fn store(
        &mut self,
        table: TableId,
        current: &Image,
        next: &Image,
        changed: &[ColumnId],
        places: &[(ColumnId, &str)],
        path: &str,
    ) -> Result<(), Error> {
        if changed.is_empty() {
            return Ok(());
        }
        let waiting = self.waiting_columns(table, next, changed, places, path).await?;
        let stored: Vec<ColumnId> =
            changed.iter().copied().filter(|column| !waiting.contains(column)).collect();
        let statement = self.prepared.update(table, &stored);
        let key = std::iter::once(&current[0]);
        let params: Vec<Value> =
            key.chain(stored.iter().map(|column| &next[column.0 as usize])).cloned().collect();
        let next = if self.schema().existing && !stored.is_empty() {
            match self.store_row_theirs(&statement, &params, table, places, path).await? {
                Some(found) => self.with_waiting(&found, next, &waiting),
                None => {
                    let words = "a trigger of the database keeps the row as it was";
                    return Err(Error::new(Key::Check, words));
                }
            }
        } else {
            let write = || PutOff::new(table, places, path);
            if !self.change_glanced(table, &stored, &params, write) {
                self.store_row(&statement, &params, table, places, path).await?;
            }
            next.clone()
        };
        self.rows.note(table, Some(current.clone()), Some(next), path)
    }
}
