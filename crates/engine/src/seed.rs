//! Whether an app's first rows are still to be loaded.
//!
//! Remembered in the database, because only a database that was made in development may be given rows by itself, and
//! only once: not one that somebody emptied, and not one that production made.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_lang::value::Value;
use mainstay_sql::Dialect;
use mainstay_sql::system;
use mainstay_store::{Outcome, Query, ReadLimits};

use crate::engine::Engine;
use crate::error::Error;

/// The fact's name in `_meta`.
const KEY: &str = "seed";
const PENDING: &str = "pending";
const DONE: &str = "done";

const TIMEOUT: Duration = Duration::from_secs(10);

/// The statement that marks a database just made as waiting for its first rows.
pub(crate) fn mark_pending(dialect: &dyn Dialect) -> String {
    system::meta_record(dialect, KEY, PENDING)
}

impl Engine {
    /// Whether the database was made in development and has not been given the app's first rows.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn seed_is_pending(&self) -> Result<bool, Error> {
        let statement = Arc::new(system::meta_get(self.schema(), self.dialect));
        let query = Query { statement, values: vec![Value::Text(KEY.to_owned())] };
        let limits = ReadLimits { rows: 1, bytes: 1024, deadline: Instant::now() + TIMEOUT };
        let outcomes = self.store.read(vec![query], limits).await?;
        let pending = Value::Text(PENDING.to_owned());
        Ok(matches!(&outcomes[..], [Outcome::Values(rows)] if rows.iter().any(|row| row.contains(&pending))))
    }

    /// Remembers that the first rows are loaded.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn seed_finish(&self) -> Result<(), Error> {
        Ok(self.store.execute_script(vec![system::meta_record(self.dialect, KEY, DONE)]).await?)
    }
}
