//! One statement on one connection: values bound, rows read in the form that the statement asks for.

use std::time::Instant;

use mainstay_lang::ops::cursor;
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;
use mainstay_sql::statement::{CursorShape, JsonShape, ResultShape};
use rusqlite::{CachedStatement, Row, Rows};

use super::connection::Session;
use super::error::convert;
use super::json::{get, into_text, write_row, write_typed_or_null};
use super::meter::Pace;
use super::values;
use crate::query::{Bound, JsonRows, Outcome, ReadLimits};
use crate::{StoreError, spans};

/// Room for what most reads answer, so that it grows seldom.
const ROWS_BYTES_USUAL: usize = 4096;

impl Session {
    /// Runs a statement of a write job.
    pub(crate) fn query_in_transaction(
        &mut self,
        query: Bound<'_>,
        limits: ReadLimits,
    ) -> Result<Outcome, StoreError> {
        if Instant::now() >= limits.deadline {
            return Err(StoreError::Deadline);
        }
        // Outside a transaction a statement would commit by itself.
        if self.connection.is_autocommit() {
            return Err(StoreError::Lost { detail: "an earlier statement of it ended it".to_owned() });
        }
        self.meter.start(limits.rows, Pace::Unbound);
        self.run(query, limits.bytes)
    }

    /// Runs a statement under the meter as it stands.
    pub(crate) fn run(&self, query: Bound<'_>, bytes_max: u64) -> Result<Outcome, StoreError> {
        let span = spans::statement("sqlite", &query.statement.sql);
        let outcome = span.in_scope(|| self.run_statement(query, bytes_max));
        spans::came_to(&span, outcome.as_ref());
        outcome
    }

    fn run_statement(&self, query: Bound<'_>, bytes_max: u64) -> Result<Outcome, StoreError> {
        let mut statement = self.prepare(query)?;
        match &query.statement.result {
            ResultShape::Json(shape) => {
                let page = query.page_limit(shape)?;
                self.read_json(statement.raw_query(), shape, page, bytes_max).map(Outcome::Json)
            }
            ResultShape::Values(types) => self.read_values(statement.raw_query(), types).map(Outcome::Values),
            // Nobody else writes meanwhile, so that what is to be changed is as it was seen.
            ResultShape::Nothing | ResultShape::Changes(_) => {
                let affected = statement.raw_execute().map_err(|error| self.failed(&error))?;
                Ok(Outcome::Nothing { affected: affected as u64 })
            }
        }
    }

    /// A statement with its values bound, from the connection's cache.
    fn prepare(&self, query: Bound<'_>) -> Result<CachedStatement<'_>, StoreError> {
        query.check_values()?;
        let Bound { statement, values } = query;
        let mut prepared =
            self.connection.prepare_cached(&statement.sql).map_err(|error| self.failed(&error))?;
        for (index, value) in values.iter().enumerate() {
            values::bind(&mut prepared, index + 1, value).map_err(|error| self.failed(&error))?;
        }
        if let Some(index) = statement.row_cap() {
            let cap = Value::Int(self.meter.row_cap());
            values::bind(&mut prepared, index + 1, &cap).map_err(|error| self.failed(&error))?;
        }
        Ok(prepared)
    }

    fn read_json(
        &self,
        mut rows: Rows<'_>,
        shape: &JsonShape,
        page: Option<u64>,
        bytes_max: u64,
    ) -> Result<JsonRows, StoreError> {
        let rows_before = self.meter.rows();
        self.meter.start_page(page);
        let mut out = Vec::with_capacity(shape.length.room(ROWS_BYTES_USUAL));
        let mut result = JsonRows::default();
        while let Some(row) = rows.next().map_err(|error| self.failed(&error))? {
            if page == Some(result.rows) {
                result.more = true;
                break;
            }
            self.meter.count_rows(1)?;
            self.meter.keep_row();
            if result.rows > 0 {
                out.push(b',');
            }
            let behind = write_row(&mut out, row, shape)?;
            if out.len() as u64 > bytes_max {
                return Err(StoreError::ByteLimit { limit: bytes_max });
            }
            result.rows += 1;
            if let Some(cursor) = &shape.cursor
                && page == Some(result.rows)
            {
                result.cursor = Some(row_cursor(row, behind, cursor)?);
            }
        }
        if !result.more {
            result.cursor = None;
        }
        result.nested_rows = self.meter.rows() - rows_before - result.rows;
        shape.length.note(out.len());
        result.text = into_text(out)?;
        Ok(result)
    }

    fn read_values(&self, mut rows: Rows<'_>, types: &[Type]) -> Result<Vec<Vec<Value>>, StoreError> {
        let mut result = Vec::new();
        while let Some(row) = rows.next().map_err(|error| self.failed(&error))? {
            self.meter.count_rows(1)?;
            let column = |(index, ty)| values::read(get(row, index)?, ty);
            result.push(types.iter().enumerate().map(column).collect::<Result<_, _>>()?);
        }
        Ok(result)
    }

    /// Runs a statement of the store's own, which has no values and whose rows nobody wants.
    pub(super) fn execute(&self, sql: &str) -> Result<(), StoreError> {
        let run = || self.connection.prepare_cached(sql)?.raw_query().next().map(|_| ());
        run().map_err(|error| self.failed(&error))
    }

    pub(super) fn failed(&self, error: &rusqlite::Error) -> StoreError {
        convert(&self.connection, &self.meter, error)
    }
}

/// The cursor of a row, whose values begin at a column.
fn row_cursor(row: &Row<'_>, first: usize, shape: &CursorShape) -> Result<String, StoreError> {
    let mut values = vec![b'['];
    for (index, ty) in shape.values.iter().enumerate() {
        if index > 0 {
            values.push(b',');
        }
        write_typed_or_null(&mut values, get(row, first + index)?, ty)?;
    }
    values.push(b']');
    Ok(cursor::encode(&shape.tag, &into_text(values)?))
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;
    use crate::options::{DatabaseUrl, StoreOptions};

    /// SQLite looks at the value of a `LIMIT ?` when it plans, and plans again when that changes, unless it is told not to.
    #[test]
    fn a_statement_is_planned_once_whatever_its_values() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        let session =
            Session::open_writer(&path, &StoreOptions::new(DatabaseUrl::Sqlite(path.clone()))).unwrap();
        session
            .connection
            .execute_batch("CREATE TABLE number (n INTEGER); INSERT INTO number VALUES (1)")
            .unwrap();
        let mut statement = session.connection.prepare("SELECT n FROM number ORDER BY n LIMIT ?1").unwrap();
        for limit in [1, 20, 0] {
            let mut rows = statement.query([limit]).unwrap();
            while rows.next().unwrap().is_some() {}
        }
        assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
    }
}
