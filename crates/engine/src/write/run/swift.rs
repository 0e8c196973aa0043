//! Fewer statements than there are writes, where others write at the same time and a statement is a way there and back.
//!
//! New rows wait until something has to be asked of the database; at best nothing has, and they go out in one statement
//! together with their lines of the change log. References to rows that everybody may read are left to the database. A row that
//! is changed and asks nothing further is only glanced at, and written in one statement with its line, if it still is the version
//! that was seen. All this stands on nothing going wrong: what the database refuses of several rows, or of a reference that was
//! left to it, has no exact place, and what was glanced at is not held. Then the request is carried out again, and thoroughly.

use mainstay_lang::schema::{ColumnId, TableId};
use mainstay_lang::value::Value;
use mainstay_sql::system::Count;
use mainstay_store::{Outcome, Query, StoreError};

use super::{Left, PutOff, Run};
use crate::bind;
use crate::error::Error;
use crate::write::rows::Image;

/// How a request is carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::write) enum Manner {
    /// As few statements as can be, on the chance that nothing is refused.
    Swift,
    /// Everything is asked and done at its place.
    #[default]
    Thorough,
}

/// A new row that waits to be sent.
#[derive(Debug)]
pub(super) struct NewRow {
    table: TableId,
    row: Image,
    write: PutOff,
    /// What references of it that were left to the database lead to.
    left: Vec<(TableId, Value)>,
}

/// A row as it was seen without being held.
#[derive(Debug)]
pub(super) struct Glance {
    table: TableId,
    version: Value,
    /// What is to become of it.
    change: Option<Changing>,
}

#[derive(Debug)]
struct Changing {
    columns: Vec<ColumnId>,
    /// The key, and the values of the columns.
    params: Vec<Value>,
    write: PutOff,
}

/// Lines of the change log as parameters.
pub(in crate::write) struct Lines {
    /// What all of them share.
    pub(in crate::write) shared: [Value; 4],
    /// What each has of its own.
    pub(in crate::write) own: Vec<[Value; 5]>,
}

impl Lines {
    fn count(&self) -> Count {
        if self.own.len() == 1 { Count::One } else { Count::Many }
    }

    /// Whether the first of them tells of a new row.
    fn is_of_new_row(&self) -> bool {
        self.own.first().is_some_and(|[_, _, kind, ..]| matches!(kind, Value::Text(kind) if kind == "create"))
    }

    fn into_params(self, params: &mut Vec<Value>) {
        params.extend(self.shared);
        match self.own.len() {
            1 => params.extend(self.own.into_iter().flatten()),
            _ => params.extend(columns_of(5, self.own)),
        }
    }
}

/// A list for each column of rows.
fn columns_of(width: usize, rows: Vec<impl IntoIterator<Item = Value>>) -> impl Iterator<Item = Value> {
    let mut columns = vec![Vec::with_capacity(rows.len()); width];
    for row in rows {
        columns.iter_mut().zip(row).for_each(|(column, value)| column.push(value));
    }
    columns.into_iter().map(Value::List)
}

impl Run<'_> {
    /// A new row that others may not know of yet: it waits for its line of the change log.
    pub(super) fn put_aside(&mut self, table: TableId, row: &Image, write: PutOff, left: &[Left<'_>]) {
        // One statement does not know which of its rows was there first.
        let refers_ahead = |new: &NewRow| new.left.iter().any(|(to, key)| *to == table && *key == row[0]);
        self.goes_alone |= self.unsent.iter().any(refers_ahead);
        let left = left.iter().map(|left| (left.target, left.key.clone())).collect();
        self.unsent.push(NewRow { table, row: row.clone(), write, left });
    }

    /// Whether a new row may wait.
    pub(super) fn may_put_aside(&self) -> bool {
        self.prepared.holds() && (self.manner == Manner::Swift || !self.has_asked && self.unsent.is_empty())
    }

    /// What waits goes alone, because something else comes before its lines of the change log.
    pub(super) async fn send_unsent(&mut self) -> Result<(), StoreError> {
        self.has_asked = true;
        if self.glance.is_some() {
            return Err(self.look_again());
        }
        if !self.unsent.is_empty() {
            Box::pin(self.send_rows()).await?;
        }
        Ok(())
    }

    async fn send_rows(&mut self) -> Result<(), StoreError> {
        for NewRow { table, row, write, .. } in std::mem::take(&mut self.unsent) {
            let statement = self.prepared.insert(table).clone();
            self.note_put_off(write);
            let query = Query { statement, values: row.to_vec() };
            self.send_query_later(query).await?;
        }
        Ok(())
    }

    /// What was glanced at stays as it is.
    pub(in crate::write) fn forget_glance(&mut self) {
        self.glance = None;
    }

    /// Something is asked behind a glance, which only a row that is held can answer.
    fn look_again(&mut self) -> StoreError {
        if let Some(glance) = self.glance.take() {
            self.prepared.note_asking(glance.table);
        }
        self.is_vague = true;
        StoreError::Other("a row that was only glanced at has to be held".to_owned())
    }

    /// Sends lines of the change log, and in the same statement what has waited for them.
    pub(in crate::write) async fn send_lines(&mut self, lines: Lines) -> Result<(), Error> {
        if let Some(Glance { table, version, change }) = self.glance.take() {
            let Some(Changing { columns, mut params, write }) = change.filter(|_| lines.own.len() == 1)
            else {
                self.is_vague = true;
                return Err(Error::internal("a row that was only glanced at was changed in another way"));
            };
            let statement = self.prepared.update_logged(table, &columns);
            params.push(version);
            lines.into_params(&mut params);
            self.note_put_off(write);
            return Ok(self.send_query_later(bind::query_taking(&statement, params)).await?);
        }
        let mut groups: Vec<(TableId, Vec<&NewRow>)> = Vec::new();
        for new in &self.unsent {
            match groups.iter_mut().find(|(table, _)| *table == new.table) {
                Some((_, rows)) => rows.push(new),
                None => groups.push((new.table, vec![new])),
            }
        }
        // In whatever order they are made: one statement serves all of them.
        groups.sort_unstable_by_key(|(table, _)| table.0);
        let count = |rows: &[_]| if rows.len() == 1 { Count::One } else { Count::Many };
        let tables: Vec<_> = groups.iter().map(|(table, rows)| (*table, count(rows))).collect();
        // A line that is alone is of the row that is, or the statement would not be true.
        let are_alone = lines.count() == Count::One && matches!(&*tables, [(_, Count::One)]);
        let is_of_others = are_alone && !lines.is_of_new_row();
        let together = match tables.is_empty() || self.goes_alone || is_of_others {
            true => None,
            false => self.prepared.insert_logged(&tables, lines.count()),
        };
        let mut params = Vec::new();
        let Some(statement) = together else {
            self.send_unsent().await?;
            let count = lines.count();
            lines.into_params(&mut params);
            let query = bind::query_taking(self.prepared.change_insert(count), params);
            return Ok(self.send_query_later(query).await?);
        };
        for (table, rows) in groups {
            match rows.as_slice() {
                [one] => params.extend_from_slice(&one.row),
                rows => {
                    let width = self.schema().table(table).columns.len();
                    params.extend(columns_of(width, rows.iter().map(|new| new.row.to_vec()).collect()));
                }
            }
        }
        lines.into_params(&mut params);
        let is_shared = self.unsent.len() > 1;
        let first = std::mem::take(&mut self.unsent).into_iter().next();
        if let Some(NewRow { write, .. }) = first {
            self.note_put_off(PutOff { is_shared, ..write });
        }
        Ok(self.send_query_later(bind::query_taking(&statement, params)).await?)
    }

    /// A row by its key, seen without being held, where the request may do with that; none: it has to be found as rows are.
    pub(super) async fn glance_at(
        &mut self,
        table: TableId,
        key: &Value,
    ) -> Result<Option<Vec<Image>>, Error> {
        if !self.may_glance || self.has_asked || self.prepared.asks(table) {
            return Ok(None);
        }
        let Some(statement) = self.prepared.versioned(table) else { return Ok(None) };
        let query = Query { statement, values: vec![key.clone()] };
        let Outcome::Values(rows) = self.tx.glance(&query).await? else { return Ok(None) };
        let Some(mut row) = rows.into_iter().next() else { return Ok(Some(Vec::new())) };
        let version = row.pop().unwrap_or(Value::Null);
        self.glance = Some(Glance { table, version, change: None });
        Ok(Some(vec![Image::from(row)]))
    }

    /// Whether a change is one of the row that was glanced at, and waits for its line of the change log.
    pub(super) fn change_glanced(
        &mut self,
        table: TableId,
        columns: &[ColumnId],
        params: &[Value],
        write: impl FnOnce() -> PutOff,
    ) -> bool {
        match &mut self.memory.glance {
            Some(glance) if glance.table == table && glance.change.is_none() => {
                let (columns, params) = (columns.to_vec(), params.to_vec());
                glance.change = Some(Changing { columns, params, write: write() });
                true
            }
            _ => false,
        }
    }
}
