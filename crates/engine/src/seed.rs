//! Whether an app's first rows are still to be loaded.
//!
//! Remembered in the database, because only a database that was made in development may be given rows by itself, and
//! only once: not one that somebody emptied, and not one that production made.

use mainstay_sql::Dialect;
use mainstay_sql::system;

use crate::engine::Engine;
use crate::error::Error;
use crate::facts;

/// The fact's name in `_meta`.
const KEY: &str = "seed";
const PENDING: &str = "pending";
const DONE: &str = "done";

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
        if self.schema().existing {
            return Ok(false);
        }
        let statement = system::meta_get(self.schema(), self.dialect);
        Ok(facts::read(&self.store, statement, KEY).await?.is_some_and(|fact| fact == PENDING))
    }

    /// Remembers that the first rows are loaded.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn seed_finish(&self) -> Result<(), Error> {
        self.fact_put(KEY, DONE).await
    }
}
