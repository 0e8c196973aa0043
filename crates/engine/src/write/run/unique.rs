//! Unique values that change hands within one request.
//!
//! The database tests unique values with every statement, the language only what a request comes to: two rows may swap
//! their codes, and all places of a list may move up by one. Where a request could do such a thing ([`Careful`]), an
//! update first asks whether its new values are held by another row. Then these columns of it wait, in the database
//! alone: the request's memory holds the row as it will be. Before anything else looks at the database, and at the end,
//! what waits is written, in an order in which each value is free; rows in a circle let go of their value for a moment,
//! during which nobody looks. What still has no room is refused.

use std::collections::{HashMap, HashSet};

use mainstay_lang::expr::{Expr, Node, RowPath};
use mainstay_lang::schema::{ColumnId, RelationKind, Schema, Table, TableId};
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;
use mainstay_sql::dialect::Lock;
use mainstay_sql::plan::Images;
use mainstay_store::StoreError;
use uuid::Uuid;

use super::Run;
use crate::error::Error;
use crate::expression::walk_all;
use crate::write::plan::{Source, Step};
use crate::write::prepared::equals_param;
use crate::write::rows::{Image, RowKey};
use crate::write::rules::Change;

/// The tables whose unique values may change hands within a request.
#[derive(Debug, Default)]
pub(in crate::write) struct Careful(HashSet<TableId>);

impl Careful {
    /// Those of a request: more than one row of the table is changed in a unique column, or changed and deleted.
    pub(in crate::write) fn of<'s>(schema: &Schema, steps: impl Iterator<Item = &'s Step>) -> Careful {
        let mut counts: HashMap<TableId, (usize, usize)> = HashMap::new();
        for top in steps {
            top.visit(&mut |step| {
                let Source::Find(find) = &step.source else { return };
                let many = if find.key.is_some() && std::ptr::eq(step, top) { 1 } else { 2 };
                let table = schema.table(step.table);
                let (changed, written) = counts.entry(step.table).or_default();
                if step.assigns.iter().any(|assign| is_unique(table, assign.column)) {
                    *changed += many;
                    *written += many;
                } else if step.deletes {
                    *written += many;
                }
            });
        }
        let tables = counts.into_iter().filter(|(_, (changed, written))| *changed > 0 && *written > 1);
        Careful(tables.map(|(table, _)| table).collect())
    }
}

/// Columns of a row that wait for their values to be free.
#[derive(Debug)]
pub(super) struct Waiting {
    table: TableId,
    key: Value,
    columns: Vec<ColumnId>,
    places: Vec<(ColumnId, String)>,
    path: String,
}

impl Run<'_> {
    /// The columns of a changed row that must wait, because another row holds their values.
    pub(super) async fn waiting_columns(
        &mut self,
        table: TableId,
        next: &Image,
        changed: &[ColumnId],
        places: &[(ColumnId, &str)],
        path: &str,
    ) -> Result<Vec<ColumnId>, Error> {
        if !self.careful.0.contains(&table) {
            return Ok(Vec::new());
        }
        if self.waiting.iter().any(|waiting| waiting.table == table && waiting.key == next[0]) {
            self.settle().await?;
        }
        let declared = self.schema().table(table);
        let columns: Vec<ColumnId> =
            changed.iter().copied().filter(|column| is_unique(declared, *column)).collect();
        if columns.is_empty() || self.holder(table, next, &columns).await?.is_none() {
            return Ok(Vec::new());
        }
        self.waiting.push(Waiting {
            table,
            key: next[0].clone(),
            columns: columns.clone(),
            places: places.iter().map(|(column, path)| (*column, (*path).to_owned())).collect(),
            path: path.to_owned(),
        });
        Ok(columns)
    }

    /// Whether columns of a table's rows wait, so that the database does not hold what the rows hold.
    pub(super) fn has_waiting(&self, table: TableId) -> bool {
        self.waiting.iter().any(|waiting| waiting.table == table)
    }

    /// Whether a condition may look at columns that wait. Columns of other tables that are followed by the same number
    /// count as well.
    pub(in crate::write) fn may_see_waiting(&self, condition: &Expr) -> bool {
        if self.waiting.is_empty() {
            return false;
        }
        let waits = |table: TableId, column: ColumnId| {
            self.waiting.iter().any(|waiting| waiting.table == table && waiting.columns.contains(&column))
        };
        let follows = |row: &RowPath| {
            row.hops
                .iter()
                .any(|hop| self.waiting.iter().any(|waiting| waiting.columns.contains(&hop.column)))
        };
        let mut sees = false;
        walk_all(condition, &mut |expr| {
            sees |= match &expr.node {
                Node::Column { row, table, column } => waits(*table, *column) || follows(row),
                Node::Many(many) => {
                    let relation = self.schema().table(many.table).relation(many.relation);
                    let by = match relation.kind {
                        RelationKind::Reverse { column } => waits(many.target, column),
                        _ => false,
                    };
                    by || follows(&many.row)
                }
                _ => false,
            };
        });
        sees
    }

    /// Writes what waits.
    pub(in crate::write) async fn settle(&mut self) -> Result<(), Error> {
        // Almost nothing ever waits, and every question asks: they are not to carry the rest of this with them.
        if self.waiting.is_empty() { Ok(()) } else { Box::pin(self.settle_waiting()).await }
    }

    async fn settle_waiting(&mut self) -> Result<(), Error> {
        let all = std::mem::take(&mut self.waiting);
        let places: HashMap<(TableId, RowKey), usize> =
            all.iter().enumerate().map(|(place, row)| ((row.table, RowKey::of(&row.key)), place)).collect();
        let mut held_by: HashMap<(TableId, RowKey), Vec<usize>> = HashMap::new();
        let mut ready: Vec<usize> = (0..all.len()).collect();
        let mut left: HashSet<usize> = ready.iter().copied().collect();
        let mut moved: HashSet<usize> = HashSet::new();
        loop {
            while let Some(place) = ready.pop() {
                let waiting = &all[place];
                let name = (waiting.table, RowKey::of(&waiting.key));
                // One that was deleted meanwhile wants nothing any more.
                let row = self.rows.get(waiting.table, &waiting.key).and_then(|row| row.after.clone());
                if let Some(row) = row {
                    if let Some(holder) = self.holder(waiting.table, &row, &waiting.columns).await? {
                        held_by.entry((waiting.table, RowKey::of(&holder))).or_default().push(place);
                        continue;
                    }
                    let values = waiting.columns.iter().map(|column| row[column.0 as usize].clone());
                    self.write_columns(waiting, values.collect()).await?;
                }
                left.remove(&place);
                ready.extend(held_by.remove(&name).unwrap_or_default());
            }
            let Some(first) = left.iter().min().copied() else { return Ok(()) };
            // What is left waits in circles, or for a row that keeps its value.
            let mut has_moved = false;
            for (holder, blocked) in std::mem::take(&mut held_by) {
                let place = places.get(&holder).filter(|place| !has_moved && left.contains(*place));
                let moves = match place {
                    Some(place) if moved.insert(*place) => self.let_values_go(&all[*place]).await?,
                    _ => false,
                };
                if moves {
                    has_moved = true;
                    ready.extend(blocked);
                } else {
                    held_by.insert(holder, blocked);
                }
            }
            if !has_moved {
                return Err(self.taken(&all[first]));
            }
        }
    }

    /// The key of another row that holds the values of a unique constraint in which some of the columns stand.
    async fn holder(
        &mut self,
        table: TableId,
        row: &Image,
        columns: &[ColumnId],
    ) -> Result<Option<Value>, Error> {
        let schema = self.schema();
        let declared = schema.table(table);
        let constraints = declared
            .uniques
            .iter()
            .filter(|unique| unique.columns.iter().any(|column| columns.contains(column)));
        for unique in constraints {
            let named: Vec<ColumnId> = unique.columns.iter().copied().chain(declared.tenant).collect();
            let values: Vec<Value> = named.iter().map(|column| row[column.0 as usize].clone()).collect();
            if values.iter().any(Value::is_null) {
                continue;
            }
            let filter = (0..).zip(&named).map(|(param, column)| equals_param(schema, table, *column, param));
            let images = Images { table, filter: filter.collect(), limit: None, lock: Some(Lock::Write) };
            let statement = self.prepared.images(&images);
            let rows = self.values_as_stored(&statement, &values, Change::default()).await?;
            let other = rows.into_iter().filter_map(|row| row.into_iter().next()).find(|key| *key != row[0]);
            if other.is_some() {
                return Ok(other);
            }
        }
        Ok(None)
    }

    /// Takes a row's values out of the way of others, until it is written; false when there is nothing to put in their
    /// place.
    async fn let_values_go(&mut self, waiting: &Waiting) -> Result<bool, Error> {
        let schema = self.schema();
        let table = schema.table(waiting.table);
        let stand_in = |column: &ColumnId| {
            let declared = table.column(*column);
            let value = match schema.storage_type(&declared.ty) {
                _ if declared.nullable => Value::Null,
                // A row must be there to be referred to.
                _ if declared.target().is_some() => return None,
                Type::Text { .. } => Value::Text(Uuid::new_v4().to_string()),
                Type::Uuid => Value::Uuid(Uuid::new_v4()),
                Type::Int => Value::Int(i64::MIN + i64::from(Uuid::new_v4().as_fields().0)),
                _ => return None,
            };
            Some((*column, value))
        };
        let (columns, values): (Vec<ColumnId>, Vec<Value>) =
            waiting.columns.iter().filter_map(stand_in).unzip();
        if columns.is_empty() {
            return Ok(false);
        }
        let statement = self.prepared.update(waiting.table, &columns);
        let params: Vec<Value> = std::iter::once(waiting.key.clone()).chain(values).collect();
        self.write(&statement, &params).await?;
        Ok(true)
    }

    async fn write_columns(&mut self, waiting: &Waiting, values: Vec<Value>) -> Result<(), Error> {
        let statement = self.prepared.update(waiting.table, &waiting.columns);
        let params: Vec<Value> = std::iter::once(waiting.key.clone()).chain(values).collect();
        let places: Vec<_> = waiting.places.iter().map(|(column, path)| (*column, path.as_str())).collect();
        match self.write(&statement, &params).await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.refused(error, waiting.table, &places, &waiting.path)),
        }
    }

    /// As the database would have refused it.
    fn taken(&self, waiting: &Waiting) -> Error {
        let table = self.schema().table(waiting.table);
        let columns = waiting.columns.iter().map(|column| table.column(*column).db_name.clone());
        let error = StoreError::Unique { table: table.db_name.clone(), columns: columns.collect() };
        let places: Vec<_> = waiting.places.iter().map(|(column, path)| (*column, path.as_str())).collect();
        self.refused(error, waiting.table, &places, &waiting.path)
    }
}

fn is_unique(table: &Table, column: ColumnId) -> bool {
    table.uniques.iter().any(|unique| unique.columns.contains(&column))
}
