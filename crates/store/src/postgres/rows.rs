//! The rows of one statement as its outcome, within what is left of the limits.

use std::pin::Pin;

use futures_util::StreamExt as _;
use mainstay_lang::ops::cursor;
use mainstay_lang::types::Type;
use mainstay_lang::value::Value;
use mainstay_sql::statement::{CursorShape, JsonShape, ResultShape};
use tokio_postgres::{Row, RowStream};

use super::below::Nest;
use super::error::Failure;
use super::json::{Written, get, write_object, write_typed_or_null};
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
    if affected == 0 && matches!(query.statement.result, ResultShape::Changes(_)) {
        let reason = "other writes keep changing the row";
        return Err((Failure::Changed(StoreError::Busy { reason }), None));
    }
    reading.end(affected, budget).map_err(|error| (error.into(), None))
}

/// A result that grows row by row.
enum Reading<'q> {
    Json(Objects<'q>),
    Values { types: &'q [Type], rows: Vec<Vec<Value>> },
    Nothing,
}

/// A text of objects that grows.
struct Objects<'q> {
    shape: &'q JsonShape,
    /// As many are shown.
    page: Option<u64>,
    out: Vec<u8>,
    rows: JsonRows,
    nest: Option<Nest<'q>>,
}

impl Reading<'_> {
    fn begin(query: &Query) -> Result<Reading<'_>, StoreError> {
        Ok(match &query.statement.result {
            ResultShape::Json(shape) => Reading::Json(Objects {
                shape,
                page: query.page_limit(shape)?,
                out: Vec::with_capacity(shape.length.room(256)),
                rows: JsonRows::default(),
                nest: shape.below.as_ref().map(Nest::new),
            }),
            ResultShape::Changes(types) if types.is_empty() => Reading::Nothing,
            ResultShape::Values(types) | ResultShape::Changes(types) => {
                Reading::Values { types, rows: Vec::new() }
            }
            ResultShape::Nothing => Reading::Nothing,
        })
    }

    fn take(&mut self, row: &Row, budget: &mut Budget) -> Result<(), StoreError> {
        match self {
            Reading::Json(objects) => objects.take(row, budget)?,
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
            Reading::Json(mut objects) => {
                if let Some(nest) = &mut objects.nest {
                    nest.close(&mut objects.out, 0);
                }
                let Objects { shape, out, mut rows, .. } = objects;
                shape.length.note(out.len());
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

impl Objects<'_> {
    fn take(&mut self, row: &Row, budget: &mut Budget) -> Result<(), StoreError> {
        let begins = match &self.nest {
            Some(nest) => nest.begins(row)?,
            None => true,
        };
        if self.rows.more || begins && self.page == Some(self.rows.rows) {
            self.rows.more = true;
            return Ok(());
        }
        let written = match &mut self.nest {
            Some(nest) => nest.take(&mut self.out, row, &self.shape.members, begins)?,
            None => self.append(row)?,
        };
        self.rows.rows += u64::from(begins);
        self.rows.nested_rows += written.nested;
        budget.take_rows(u64::from(begins) + written.nested)?;
        budget.check_bytes(self.out.len())?;
        if let Some(cursor) = &self.shape.cursor
            && begins
            && self.page == Some(self.rows.rows)
        {
            self.rows.cursor = Some(row_cursor(row, written.behind, cursor)?);
        }
        Ok(())
    }

    /// A row that is one object.
    fn append(&mut self, row: &Row) -> Result<Written, StoreError> {
        if self.rows.rows > 0 {
            self.out.push(b',');
        }
        // Nothing stands behind a list of the level below, where there is no such level.
        let mut tail = Vec::new();
        write_object(&mut self.out, &mut tail, row, &self.shape.members, 0)
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
