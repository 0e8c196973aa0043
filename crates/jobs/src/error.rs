//! What can go wrong with a job, and with the queue itself.

use std::time::Duration;

use mainstay_engine::error::{Error, Key};
use mainstay_store::StoreError;

/// Why a handler did not do its job. Whatever is an error becomes one by `?`, and the job is tried again.
#[derive(Debug)]
pub enum JobError {
    /// It may go better another time: tried again, as often as the job may be.
    Retry(String),
    /// It never will: the job is dead at once.
    Discard(String),
    /// It is not the time yet: tried again behind this, without counting as an attempt.
    Later(Duration),
}

impl<E: std::error::Error> From<E> for JobError {
    fn from(error: E) -> JobError {
        let mut words = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            words.push_str(": ");
            words.push_str(&cause.to_string());
            source = cause.source();
        }
        JobError::Retry(words)
    }
}

/// Why something could not be done with the queue.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JobsError {
    /// The database failed, or was not to be had.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A name that no job of this app has.
    #[error("no job is named {name}{}", .nearest.as_ref().map(|nearest| format!("; did you mean {nearest}?")).unwrap_or_default())]
    Unknown {
        /// The name.
        name: String,
        /// The nearest one that there is.
        nearest: Option<String>,
    },
    /// Arguments that are no JSON.
    #[error("the arguments of {name} cannot be written as JSON: {detail}")]
    Args {
        /// The job's name.
        name: String,
        /// Why.
        detail: String,
    },
    /// A row of the table that this release does not understand.
    #[error("a row of _job cannot be read: {0}")]
    Row(String),
}

impl From<JobsError> for Error {
    fn from(error: JobsError) -> Error {
        match error {
            JobsError::Store(error) => error.into(),
            JobsError::Unknown { .. } => Error::new(Key::NameUnknown, error.to_string()),
            error => Error::internal(error),
        }
    }
}
