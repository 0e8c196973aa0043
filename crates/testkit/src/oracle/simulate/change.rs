//! New rows, and new values for rows that are there.

use mainstay_engine::error::Key;
use mainstay_lang::expr::Node;
use mainstay_lang::schema::{Column, ColumnId, Operation, Table, TableId};
use mainstay_lang::value::{Timestamp, Value};
use mainstay_sql::forms::compose_key;
use serde_json::Value as Json;

use super::{After, Part, Place, Predicted, Simulation, refused};
use crate::naive::Row;
use crate::oracle::predict::{Stop, nested};
use crate::rows::collides;

/// A value for a column.
#[derive(Clone, Debug)]
pub(super) enum New {
    Value(Value),
    /// `{"$add": …}`
    Added(Value),
}

impl<'a> Simulation<'a> {
    /// The values of columns; rows that they refer to are made, or must be there for the caller.
    pub(super) fn assigned(&mut self, table: &'a Table, given: &Part) -> Predicted<Vec<(ColumnId, New)>> {
        let mut assigned = Vec::new();
        for (name, json) in given {
            let column = table.column_named(name).expect("only columns are assigned");
            let value = match (column.target(), json) {
                (Some(target), Json::Object(_)) => {
                    let part = nested(column, json).ok_or(Stop::Undecided)?.clone();
                    let keys = self.step(self.schema.table(target), &part, Place::linked_one())?;
                    New::Value(keys[0].clone())
                }
                (Some(target), _) => {
                    let key = self.value(column, json)?;
                    if !key.is_null() {
                        self.require_readable(target, &key)?;
                    }
                    New::Value(key)
                }
                (None, json) => match json.get("$add") {
                    Some(operand) => New::Added(self.value(column, operand)?),
                    None => New::Value(self.value(column, json)?),
                },
            };
            assigned.push((column.id, value));
        }
        Ok(assigned)
    }

    /// Requests are made with values that fit.
    fn value(&self, column: &Column, json: &Json) -> Predicted<Value> {
        let ty = self.schema.storage_type(&column.ty);
        if json.is_null() {
            return Ok(Value::Null);
        }
        Value::from_json(&json.to_string(), ty).map_err(|_| Stop::Undecided)
    }

    /// Makes a row; its key.
    pub(super) fn create(
        &mut self,
        table: &'a Table,
        part: &Part,
        given: Option<(ColumnId, Value)>,
    ) -> Predicted<Value> {
        let assigned = self.assigned(table, &self.columns_of(table, part))?;
        let mut row: Row = vec![Value::Null; table.columns.len()];
        let assigned = assigned.into_iter().chain(given.map(|(column, value)| (column, New::Value(value))));
        let mut named = Vec::new();
        for (id, value) in assigned {
            let New::Value(value) = value else { return Err(Stop::Undecided) };
            row[id.0 as usize] = value;
            named.push(id);
        }
        for column in table.columns.iter().filter(|column| column.stamp.is_some()) {
            row[column.id.0 as usize] = Value::Timestamp(self.now);
        }
        if let Some(tenant) = table.tenant
            && row[tenant.0 as usize].is_null()
        {
            // A row that would belong to nobody.
            row[tenant.0 as usize] = self.asker.tenant.clone().ok_or_else(|| refused(Key::Forbidden))?;
        }
        for column in table.columns.iter().filter(|column| !named.contains(&column.id)) {
            if let Some(default) = &column.default {
                row[column.id.0 as usize] = match &default.node {
                    Node::Literal(value) => value.clone(),
                    Node::Clock(_) => Value::Timestamp(self.now),
                    other => panic!("{other:?} is no default that is made here"),
                };
            }
        }
        if !table.key_of.is_empty() {
            row[0] = compose_key(table.key_of.iter().map(|column| &row[column.0 as usize]));
        }
        let key = row[0].clone();
        if key.is_null() {
            // The server gives one that nobody can foretell.
            return Err(Stop::Undecided);
        }
        if self.world.row(table.id, &key).is_some() {
            return Err(refused(Key::Unique));
        }
        self.note_taken(table.id, &row);
        self.world.tables[table.id.0 as usize].push(row.clone());
        self.afters.push(After { table: table.id, old: row, named, is_new: true });
        self.creating.push((table.id, key.clone()));
        self.lists(table, part, std::slice::from_ref(&key), true)?;
        Ok(key)
    }

    /// Notes that a value is another row's for the moment: whether it stays so is seen at the end.
    fn note_taken(&mut self, table: TableId, row: &Row) {
        self.is_taken |= self.collides(table, row);
    }

    /// Whether another row has a value that the row alone may have.
    pub(super) fn collides(&self, table: TableId, row: &Row) -> bool {
        let declared = self.schema.table(table);
        let others = || self.world.rows(table).iter().filter(|other| other[0] != row[0]);
        declared.uniques.iter().any(|index| others().any(|other| collides(declared, index, other, row)))
    }

    /// Gives a row its new values.
    pub(super) fn set(&mut self, table: &Table, key: &Value, assigned: &[(ColumnId, New)]) -> Predicted<()> {
        let current = self.row(table.id, key);
        let mut changes = Vec::new();
        for (id, value) in assigned {
            let value = match value {
                New::Value(value) => value.clone(),
                New::Added(operand) => add(&current[id.0 as usize], operand)?,
            };
            if value.is_null() && !table.column(*id).nullable {
                return Err(refused(Key::Invalid));
            }
            changes.push((*id, value));
        }
        self.update(table.id, &current, changes)
    }

    pub(super) fn update(
        &mut self,
        table: TableId,
        current: &Row,
        changes: Vec<(ColumnId, Value)>,
    ) -> Predicted<()> {
        let next = self.changed(table, current, &changes);
        let named: Vec<ColumnId> = changes.iter().map(|(column, _)| *column).collect();
        self.require(table, Operation::Update, &named, current, (Some(current), Some(&next)))?;
        self.note_taken(table, &next);
        self.put(table, next);
        self.afters.push(After { table, old: current.clone(), named, is_new: false });
        Ok(())
    }

    pub(super) fn put(&mut self, table: TableId, row: Row) {
        let rows = &mut self.world.tables[table.0 as usize];
        let held = rows.iter_mut().find(|held| held[0] == row[0]).expect("the row is there");
        *held = row;
    }

    /// A row after a change: its version grows when something differs.
    pub(super) fn changed(&self, table: TableId, current: &Row, changes: &[(ColumnId, Value)]) -> Row {
        let mut next = current.clone();
        for (column, value) in changes {
            next[column.0 as usize] = value.clone();
        }
        if next != *current
            && let Some(updated) = self.schema.table(table).updated
        {
            let at = updated.0 as usize;
            let Value::Timestamp(last) = current[at] else { panic!("`updated` is a timestamp") };
            next[at] = Value::Timestamp(Timestamp(self.now.0.max(last.0 + 1)));
        }
        next
    }
}

/// `$add` to an int; with null it is null.
fn add(held: &Value, operand: &Value) -> Predicted<Value> {
    match (held, operand) {
        (Value::Null, _) | (_, Value::Null) => Ok(Value::Null),
        (Value::Int(a), Value::Int(b)) => {
            a.checked_add(*b).map(Value::Int).ok_or_else(|| refused(Key::Invalid))
        }
        other => panic!("{other:?} are not added here"),
    }
}
