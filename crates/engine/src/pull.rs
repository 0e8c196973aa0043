//! Reading a database that others made into the text of a `.stay` file.
//!
//! Asks what the database holds, and of columns whose type their values alone can tell, the values. Changes nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_sql::pull::{self, Answers, Pulled, Question};
use mainstay_sql::statement::Statement;
use mainstay_store::{Query, ReadLimits, Store, StoreError};

use crate::migrate::look;

/// How long one look at all values of a column may take.
const TIMEOUT: Duration = Duration::from_secs(600);

/// Reads a database for an app of a name; `None`: it is one that Mainstay made.
///
/// # Errors
/// When it cannot be read.
pub async fn pull(store: &Store, app: &str) -> Result<Option<Pulled>, StoreError> {
    let known = look(store).await?;
    if known.is_ours() {
        return Ok(None);
    }
    let mut answers = Answers::new();
    for Question { place, tries } in pull::questions(&known.catalogue, known.dialect) {
        let mut chosen = None;
        for (at, attempt) in tries.into_iter().enumerate() {
            let fits = match attempt {
                Some(statement) => holds(store, statement).await?,
                None => true,
            };
            if fits {
                chosen = Some(at);
                break;
            }
        }
        answers.insert(place, chosen);
    }
    Ok(Some(pull::pull(&known.catalogue, known.dialect, app, &answers)))
}

/// Whether every value can be read as the type that a statement reads them as.
async fn holds(store: &Store, statement: Statement) -> Result<bool, StoreError> {
    let query = Query { statement: Arc::new(statement), values: Vec::new() };
    let limits = ReadLimits { rows: u64::MAX, bytes: u64::MAX, deadline: Instant::now() + TIMEOUT };
    match store.read(vec![query], limits).await {
        Ok(_) => Ok(true),
        Err(StoreError::Misfit { .. } | StoreError::Arithmetic(_)) => Ok(false),
        Err(error) => Err(error),
    }
}
