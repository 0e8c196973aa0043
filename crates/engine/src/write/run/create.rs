//! A new row: its values, its defaults, its counters.

use mainstay_lang::eval::Env;
use mainstay_lang::schema::{Column, ColumnId, Generated, Operation, Table};
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;
use mainstay_sql::dialect::Lock;
use uuid::{Timestamp, Uuid};

use super::step::{AnswerRow, Assigning, References};
use super::{After, Run};
use crate::document::join_path;
use crate::error::{Error, Key};
use crate::write::plan::Step;
use crate::write::rows::{Image, Kind, RowKey};
use crate::write::rules::Change;
use crate::write::value::{self, Problems};

/// The columns of a new row that its database shall give.
fn left_out(table: &Table, row: &[Value], named: &[ColumnId]) -> Vec<ColumnId> {
    let is_left_out = |column: &&Column| match column.generated {
        Some(Generated::Always) => true,
        Some(Generated::ByDefault) => row[column.id.0 as usize].is_null() && !named.contains(&column.id),
        None => false,
    };
    table.columns.iter().filter(is_left_out).map(|column| column.id).collect()
}

impl<'a> Run<'a> {
    /// Makes the row of a step; `given` fills the column that refers to the row around.
    pub(super) async fn create<'p>(
        &mut self,
        step: &'p Step,
        given: Option<(ColumnId, Value)>,
    ) -> Result<AnswerRow<'p>, Error>
    where
        'a: 'p,
    {
        let table = self.schema().table(step.table);
        let assigned = self.assigned(step.table, &step.assigns, References::Left).await?;
        let mut row = vec![Value::Null; table.columns.len()];
        let mut named: Vec<ColumnId> = step.assigns.iter().map(|assign| assign.column).collect();
        for (assign, value) in assigned.values {
            let Assigning::Value(value) = value else { continue };
            row[assign.column.0 as usize] = value;
        }
        if let Some((column, value)) = given {
            row[column.0 as usize] = value;
            named.push(column);
        }
        self.fill(table, &mut row, &named, &step.path).await?;
        if !self.planning.hooks.table(step.table).on_processing.is_empty() {
            named.extend(Box::pin(self.processing(step.table, None, &mut row, &step.path)).await?);
            self.require_values(step.table, &row, &step.path)?;
        }
        if self.has_waiting(step.table) {
            self.settle().await?;
        }
        let row = Image::from(row);
        // A row that is not there yet is none to refer to, not even for itself.
        for left in assigned.left.iter().filter(|left| left.target == step.table && *left.key == row[0]) {
            Box::pin(self.require_readable(left.target, left.key, Lock::Hold, left.path)).await?;
        }
        self.hold_parents(step.table, &[&row], None).await?;
        let places: Vec<_> =
            step.assigns.iter().map(|assign| (assign.column, assign.path.as_str())).collect();
        let row = if self.schema().existing {
            let left_out = left_out(table, &row, &named);
            let statement = self.prepared.insert_without(step.table, &left_out);
            let stored =
                Box::pin(self.store_row_theirs(&statement, &row, step.table, &places, &step.path)).await?;
            stored.ok_or_else(|| {
                Error::new(
                    Key::Check,
                    format!("a trigger of the database keeps {} from being made", table.name),
                )
            })?
        } else {
            self.store_new_row(&row, step.table, &places, &step.path, &assigned.left).await?;
            row
        };
        self.rows.note(step.table, None, Some(row.clone()), &step.path)?;
        self.creating.push((step.table, RowKey::of(&row[0])));
        let after = After {
            operation: Operation::Create,
            table: step.table,
            old: row.clone(),
            named,
            path: step.path.clone(),
        };
        self.afters.push(after);
        let row = self.created(step.table, row, &step.path).await?;
        let mut answer = AnswerRow::new(step, row[0].clone());
        answer.nested = assigned.nested;
        answer.done = Some(Kind::New);
        self.lists(step, &[row], std::slice::from_mut(&mut answer)).await?;
        Ok(answer)
    }

    /// What the server gives a new row: key, times, tenant, defaults, counters.
    async fn fill(
        &mut self,
        table: &Table,
        row: &mut [Value],
        named: &[ColumnId],
        path: &str,
    ) -> Result<(), Error> {
        for stamp in [table.created, table.updated].into_iter().flatten() {
            row[stamp.0 as usize] = Value::Timestamp(self.ctx.now);
        }
        if let Some(tenant) = table.tenant
            && row[tenant.0 as usize].is_null()
        {
            let Some(id) = &self.ctx.tenant else {
                let message =
                    format!("a new {} belongs to a tenant, and the request is for none", table.name);
                return Err(Error::at(Key::Forbidden, path, "tenant", message));
            };
            row[tenant.0 as usize] = id.clone();
        }
        let mut problems = Problems::default();
        for column in &table.columns {
            let Some(default) =
                self.prepared.default(table.id, column.id).filter(|_| !named.contains(&column.id))
            else {
                continue;
            };
            let eyes = self.eyes();
            let value = default.eval(&Env::of_row(row, &eyes, self.ctx.now));
            let value = value.map_err(|error| Error::new(Key::Arithmetic, error.to_string()))?.into_value();
            if value.is_null() && !column.nullable {
                let message = "is required: its default gives no value for this caller and row";
                problems.add(join_path(path, &column.name), "required", message);
            } else {
                let ty = self.schema().storage_type(&column.ty);
                // Its place is made of the few that are wrong.
                if !value::check(column, ty, &value, "", &mut Problems::default()) {
                    value::check(column, ty, &value, &join_path(path, &column.name), &mut problems);
                }
            }
            row[column.id.0 as usize] = value;
        }
        problems.into_result()?;
        self.fill_key(table, row).await?;
        for column in table.columns.iter().filter(|column| column.auto.is_some()) {
            row[column.id.0 as usize] = Box::pin(self.next_number(table, column, row)).await?;
        }
        Ok(())
    }

    async fn fill_key(&mut self, table: &Table, row: &mut [Value]) -> Result<(), Error> {
        let is_given = !row[0].is_null();
        match table.columns[0].ty {
            // The database gives it, or it is put together from others.
            _ if table.columns[0].generated.is_some() || !table.key_of.is_empty() => Ok(()),
            Type::Int if is_given && self.schema().existing => Ok(()),
            Type::Int if is_given => Box::pin(self.counter_raise(table, row[0].clone())).await,
            Type::Int => {
                row[0] = Box::pin(self.next_key(table)).await?;
                Ok(())
            }
            _ if is_given => Ok(()),
            _ => {
                let micros = self.ctx.now.0.max(0).unsigned_abs();
                let (seconds, nanos) = (micros / 1_000_000, (micros % 1_000_000) * 1000);
                let nanos = u32::try_from(nanos).expect("less than a second");
                row[0] = Value::Uuid(Uuid::new_v7(Timestamp::from_unix(&self.uuids, seconds, nanos)));
                Ok(())
            }
        }
    }

    /// The next number of `auto per (…)`, in the transaction of the row: one that is not kept is given again.
    async fn next_number(&mut self, table: &Table, column: &Column, row: &[Value]) -> Result<Value, Error> {
        let mut selector = b"[".to_vec();
        if let Some(tenant) = table.tenant {
            row[tenant.0 as usize].write_json(&mut selector);
        }
        for compiled in self.prepared.selectors(table.id, column.id) {
            if selector.len() > 1 {
                selector.push(b',');
            }
            let eyes = self.eyes();
            let value = compiled.eval(&Env::of_row(row, &eyes, self.ctx.now));
            let value = value.map_err(|error| Error::new(Key::Arithmetic, error.to_string()))?;
            value.into_value().write_json(&mut selector);
        }
        selector.push(b']');
        let selector = String::from_utf8(selector).expect("JSON is text");
        self.counter_next(table, column, selector).await
    }

    async fn counter_next(
        &mut self,
        table: &Table,
        column: &Column,
        selector: String,
    ) -> Result<Value, Error> {
        let params = [table.name.clone(), column.name.clone(), selector].map(Value::Text);
        let statement = &self.prepared.system.counter_next;
        let rows = self.values(statement, &params, Change::default()).await?;
        let value = rows.into_iter().next().and_then(|row| row.into_iter().next());
        value.ok_or_else(|| Error::internal("a counter gave no number"))
    }

    /// The next whole-number key. Rows that were there before the counter was first asked are stepped over.
    async fn next_key(&mut self, table: &Table) -> Result<Value, Error> {
        let key = self.counter_next(table, &table.columns[0], "[]".to_owned()).await?;
        if key != Value::Int(1) {
            return Ok(key);
        }
        let statement = self.prepared.last_key(table.id).clone();
        let rows = self.values(&statement, &[], Change::default()).await?;
        let last = rows.into_iter().next().and_then(|row| row.into_iter().next());
        let Some(Value::Int(last @ 1..)) = last else { return Ok(key) };
        let next = last.checked_add(1).map(Value::Int);
        let next = next.ok_or_else(|| Error::new(Key::Arithmetic, "there is no number left for a key"))?;
        self.counter_raise(table, next.clone()).await?;
        Ok(next)
    }

    /// Keys that were given are not given again. Before the counter was first asked, whoever asks it first steps over them;
    /// where others write at the same time, it is made so that he waits for them.
    async fn counter_raise(&mut self, table: &Table, at_least: Value) -> Result<(), Error> {
        let name = |text: &str| Value::Text(text.to_owned());
        let params = [name(&table.name), name(&table.columns[0].name), name("[]"), at_least];
        if let Some(begin) = &self.prepared.system.counter_begin
            && !self.prepared.has_counter(table.id)
            && self.write(begin, &params).await? == 0
        {
            self.prepared.note_counter(table.id);
        }
        self.later(&self.prepared.system.counter_raise, &params).await
    }
}
