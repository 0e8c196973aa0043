//! What the open database holds, asked in one snapshot.

use std::sync::Arc;
use std::time::Instant;

use mainstay_sql::catalogue::{self, Catalogue};

use crate::query::{Outcome, Query, ReadLimits};
use crate::{Store, StoreError};

impl Store {
    /// Its tables, columns, keys, references, indexes, and what else is in it.
    ///
    /// # Errors
    /// When the database cannot be read by the deadline.
    pub async fn catalogue(&self, deadline: Instant) -> Result<Catalogue, StoreError> {
        let statements = catalogue::statements(self.dialect());
        let queries = statements
            .into_iter()
            .map(|statement| Query { statement: Arc::new(statement), values: Vec::new() })
            .collect();
        let limits = ReadLimits { rows: u64::MAX, bytes: u64::MAX, deadline };
        let outcomes = self.read(queries, limits).await?;
        let rows = outcomes.into_iter().map(|outcome| match outcome {
            Outcome::Values(rows) => rows,
            _ => Vec::new(),
        });
        Ok(catalogue::read(rows.collect()))
    }
}
