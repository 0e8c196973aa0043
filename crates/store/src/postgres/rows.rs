//! The rows of one statement as its outcome, within what is left of the limits.

use std::pin::Pin;

use futures_util::StreamExt as _;
use mainstay_lang::ops::cursor;
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;
use mainstay_sql::statement::{CursorShape, JsonShape, ResultShape};
use tokio_postgres::{Row, RowStream};

use super::error::Failure;
use super::json::{get, write_row, write_typed_or_null};
use super::values;
use crate::StoreError;
use crate::query::{JsonRows, Outcome, Query, ReadLimits};
use crate::sqlite::into_text;

/// What a batch has taken of its limits.
#[derive(Debug)]
pub(super) struct Budget {
    limits: ReadLimits,
    rows: u64,
    bytes: u64,
}

impl Budget {
    pub(super) fn new(limits: ReadLimits) -> Budget {
        Budget { limits, rows: 0, bytes: 0 }
    }

    fn take_rows(&mut self, rows: u64) -> Result<(), StoreError> {
        self.rows += rows;
        let limit = self.limits.rows;
        if self.rows > limit { Err(StoreError::RowLimit { limit }) } else { Ok(()) }
    }

    /// Whether a text of so many bytes may stand beside those before it.
    fn check_bytes(&self, bytes: usize) -> Result<(), StoreError> {
        let limit = self.limits.bytes;
        if self.bytes + bytes as u64 > limit { Err(StoreError::ByteLimit { limit }) } else { Ok(()) }
    }
}

/// Reads all rows, one at a time. When it fails before the server has said its last word, the rest of the rows comes
/// back with the reason.
pub(super) async fn read(
    mut stream: Pin<Box<RowStream>>,
    query: &Query,
    budget: &mut Budget,
) -> Result<Outcome, (Failure, Option<Pin<Box<RowStream>>>)> {
    let mut reading = match Reading::begin(query) {
        Ok(reading) => reading,
        Err(error) => return Err((error.into(), Some(stream))),
    };
    while let Some(row) = stream.next().await {
        let row = row.map_err(|error| (Failure::from(error).under(budget.limits), None))?;
        if let Err(error) = reading.take(&row, budget) {
            return Err((error.into(), Some(stream)));
        }
    }
    let affected = stream.rows_affected().unwrap_or(0);
    reading.end(affected, budget).map_err(|error| (error.into(), None))
}

/// A result that grows row by row.
enum Reading<'q> {
    Json { shape: &'q JsonShape, page: Option<u64>, out: Vec<u8>, rows: JsonRows },
    Values { types: &'q [Type], rows: Vec<Vec<Value>> },
    Nothing,
}

impl Reading<'_> {
    fn begin(query: &Query) -> Result<Reading<'_>, StoreError> {
        Ok(match &query.statement.result {
            ResultShape::Json(shape) => {
                let page = query.page_limit(shape)?;
                Reading::Json { shape, page, out: Vec::with_capacity(256), rows: JsonRows::default() }
            }
            ResultShape::Values(types) => Reading::Values { types, rows: Vec::new() },
            ResultShape::Nothing => Reading::Nothing,
        })
    }

    fn take(&mut self, row: &Row, budget: &mut Budget) -> Result<(), StoreError> {
        match self {
            Reading::Json { page, rows, .. } if *page == Some(rows.rows) => rows.more = true,
            Reading::Json { shape, page, out, rows } => {
                if rows.rows > 0 {
                    out.push(b',');
                }
                let written = write_row(out, row, shape)?;
                rows.rows += 1;
                rows.nested_rows += written.nested;
                budget.take_rows(1 + written.nested)?;
                budget.check_bytes(out.len())?;
                if let Some(cursor) = &shape.cursor
                    && *page == Some(rows.rows)
                {
                    rows.cursor = Some(row_cursor(row, written.behind, cursor)?);
                }
            }
            Reading::Values { types, rows } => {
                budget.take_rows(1)?;
                let column = |(index, ty)| match get(row, index)? {
                    (_, None) => Ok(Value::Null),
                    (sent, Some(raw)) => values::read(sent, raw, ty),
                };
                rows.push(types.iter().enumerate().map(column).collect::<Result<_, _>>()?);
            }
            Reading::Nothing => {}
        }
        Ok(())
    }

    fn end(self, affected: u64, budget: &mut Budget) -> Result<Outcome, StoreError> {
        Ok(match self {
            Reading::Json { out, mut rows, .. } => {
                if !rows.more {
                    rows.cursor = None;
                }
                budget.bytes += out.len() as u64;
                rows.text = into_text(out)?;
                Outcome::Json(rows)
            }
            Reading::Values { rows, .. } => Outcome::Values(rows),
            Reading::Nothing => Outcome::Nothing { affected },
        })
    }
}

/// The cursor of a row, whose values begin at a column.
fn row_cursor(row: &Row, first: usize, shape: &CursorShape) -> Result<String, StoreError> {
    let mut values = vec![b'['];
    for (index, ty) in shape.values.iter().enumerate() {
        if index > 0 {
            values.push(b',');
        }
        let (sent, raw) = get(row, first + index)?;
        write_typed_or_null(&mut values, sent, raw, ty)?;
    }
    values.push(b']');
    Ok(cursor::encode(&shape.tag, &into_text(values)?))
}
