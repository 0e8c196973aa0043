//! A statement with its values, and what comes back.
//!
//! Nothing here runs anything. Values are of storage types: references have become keys, decimals are at the scale
//! that the statement expects, because a database that stores mantissas cannot see another scale.

use std::sync::Arc;
use std::time::Instant;

use mainstay_lang::value::Value;
use mainstay_sql::statement::{JsonShape, Statement};
use parking_lot::Mutex;

use crate::StoreError;

/// A statement to be run now.
#[derive(Clone, Debug)]
pub struct Query {
    /// The statement.
    pub statement: Arc<Statement>,
    /// One value for each bind, in the same order.
    pub values: Vec<Value>,
}

/// A statement with values that stay somebody else's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound<'q> {
    pub(crate) statement: &'q Statement,
    pub(crate) values: &'q [Value],
}

impl Query {
    pub(crate) fn bound(&self) -> Bound<'_> {
        Bound { statement: &self.statement, values: &self.values }
    }

    /// That there is a value for each bind.
    pub(crate) fn check_values(&self) -> Result<(), StoreError> {
        self.bound().check_values()
    }

    /// The page's size, when the statement asks for one row more.
    pub(crate) fn page_limit(&self, shape: &JsonShape) -> Result<Option<u64>, StoreError> {
        self.bound().page_limit(shape)
    }
}

impl Bound<'_> {
    /// That there is a value for each bind.
    pub(crate) fn check_values(self) -> Result<(), StoreError> {
        let Bound { statement, values } = self;
        if statement.binds.len() == values.len() {
            return Ok(());
        }
        Err(StoreError::Other(format!(
            "{} values were given for {} binds of: {}",
            values.len(),
            statement.binds.len(),
            statement.sql
        )))
    }

    /// The page's size, when the statement asks for one row more.
    pub(crate) fn page_limit(self, shape: &JsonShape) -> Result<Option<u64>, StoreError> {
        let Some(index) = shape.probes_more else { return Ok(None) };
        match self.values.get(index) {
            Some(Value::Int(limit)) if *limit >= 0 => Ok(Some(limit.unsigned_abs())),
            _ => {
                Err(StoreError::Other(format!("no limit stands in bind {index} of: {}", self.statement.sql)))
            }
        }
    }
}

/// The result of a statement, in the form that its result shape asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// JSON objects.
    Json(JsonRows),
    /// Rows of typed values.
    Values(Vec<Vec<Value>>),
    /// No rows were asked for.
    Nothing {
        /// Rows that were inserted, changed or deleted.
        affected: u64,
    },
}

/// What the only statement of a transaction has come to, once that is kept.
#[derive(Clone, Debug, Default)]
pub struct Kept(Arc<Mutex<Option<Vec<Vec<Value>>>>>);

impl Kept {
    pub(crate) fn tell(&self, rows: Vec<Vec<Value>>) {
        *self.0.lock() = Some(rows);
    }

    /// The rows that came back; none as long as nothing is kept.
    pub fn take(&self) -> Option<Vec<Vec<Value>>> {
        self.0.lock().take()
    }
}

/// Rows as JSON text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JsonRows {
    /// The objects joined by `,`, without brackets.
    pub text: String,
    /// How many objects.
    pub rows: u64,
    /// How many rows are nested in them, at any depth.
    pub nested_rows: u64,
    /// Whether the probe of a page found that more rows follow.
    pub more: bool,
    /// The cursor of the last row kept, when more follow.
    pub cursor: Option<String>,
}

/// How much a batch of reads may take.
#[derive(Clone, Copy, Debug)]
pub struct ReadLimits {
    /// Rows of the whole batch, nested ones included.
    pub rows: u64,
    /// Bytes of JSON text of the whole batch.
    pub bytes: u64,
    /// When it is given up.
    pub deadline: Instant,
}
