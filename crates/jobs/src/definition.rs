//! What jobs of a name are: who does them, and how often, how long, how many at a time.
//!
//! Plugins hand these in when an app is opened; nothing is changed afterwards.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use mainstay_lang::value::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use crate::backoff::Backoff;
use crate::error::{JobError, JobsError};
use crate::rate::Rate;
use crate::schedule::{CatchUp, Schedule};
use crate::worker::Running;

/// The queue of whatever says nothing else.
const QUEUE: &str = "default";
const ATTEMPTS_MAX: u32 = 25;
const TIMEOUT: Duration = Duration::from_secs(300);

pub(crate) type Handler =
    Arc<dyn Fn(Running, String) -> BoxFuture<'static, Result<(), JobError>> + Send + Sync>;

/// What jobs of a name are.
#[derive(Clone)]
pub struct Definition {
    pub(crate) name: String,
    pub(crate) queue: String,
    pub(crate) priority: i64,
    pub(crate) attempts_max: u32,
    pub(crate) timeout: Duration,
    pub(crate) backoff: Backoff,
    pub(crate) key_limit: u32,
    pub(crate) rate: Option<Rate>,
    pub(crate) schedule: Option<(Schedule, CatchUp)>,
    pub(crate) run: Handler,
}

impl fmt::Debug for Definition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Definition({})", self.name)
    }
}

impl Definition {
    /// Jobs of a name, done by a handler that is given their arguments. Tried up to 25 times in about a day, five minutes each.
    pub fn new<A, F, Fut>(name: impl Into<String>, handler: F) -> Definition
    where
        A: DeserializeOwned + Send + 'static,
        F: Fn(Running, A) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), JobError>> + Send + 'static,
    {
        let handler = Arc::new(handler);
        let run = move |running: Running, args: String| -> BoxFuture<'static, Result<(), JobError>> {
            match read_args::<A>(&args) {
                Ok(args) => Box::pin(handler(running, args)),
                // They will not fit another time either, but a later release may read them: kept as dead.
                Err(error) => {
                    let words = format!("its arguments are not those that the handler takes: {error}");
                    Box::pin(std::future::ready(Err(JobError::Discard(words))))
                }
            }
        };
        Definition {
            name: name.into(),
            queue: QUEUE.to_owned(),
            priority: 0,
            attempts_max: ATTEMPTS_MAX,
            timeout: TIMEOUT,
            backoff: Backoff::default(),
            key_limit: 1,
            rate: None,
            schedule: None,
            run: Arc::new(run),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The queue that its jobs belong to; see [`Definitions::queue_limit`].
    #[must_use]
    pub fn queue(self, queue: impl Into<String>) -> Definition {
        Definition { queue: queue.into(), ..self }
    }

    /// The priority of its jobs where they say nothing: the greater, the sooner; 0.
    #[must_use]
    pub fn priority(self, priority: i64) -> Definition {
        Definition { priority, ..self }
    }

    /// How often a job is tried.
    #[must_use]
    pub fn attempts(self, attempts_max: u32) -> Definition {
        Definition { attempts_max: attempts_max.max(1), ..self }
    }

    /// How long one attempt may take: then its future is dropped, wherever it waits.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Definition {
        Definition { timeout, ..self }
    }

    /// The pauses between attempts.
    #[must_use]
    pub fn backoff(self, backoff: Backoff) -> Definition {
        Definition { backoff, ..self }
    }

    /// How many jobs of the same key run at a time on all workers together; 1.
    #[must_use]
    pub fn key_limit(self, key_limit: u32) -> Definition {
        Definition { key_limit: key_limit.max(1), ..self }
    }

    /// How many may begin within a span on all workers together.
    #[must_use]
    pub fn rate(self, count: u32, span: Duration) -> Definition {
        Definition { rate: Some(Rate { count: count.max(1), span }), ..self }
    }

    /// When jobs are made by the clock; the handler takes a [`Scheduled`].
    #[must_use]
    pub fn schedule(self, schedule: Schedule, catch_up: CatchUp) -> Definition {
        Definition { schedule: Some((schedule, catch_up)), ..self }
    }
}

/// Whatever is written without arguments is `{}`, which a handler that takes `()` cannot read.
fn read_args<A: DeserializeOwned>(args: &str) -> Result<A, serde_json::Error> {
    let read = serde_json::from_str(args);
    match read {
        Err(error) if args == "{}" => serde_json::from_str("null").map_err(|_| error),
        read => read,
    }
}

/// What a job that was made by the clock is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scheduled {
    /// The time that it stands for; it may be run later.
    pub at: Timestamp,
}

impl<'de> Deserialize<'de> for Scheduled {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Scheduled, D::Error> {
        #[derive(Deserialize)]
        struct Wire {
            at: String,
        }
        let wire = Wire::deserialize(deserializer)?;
        let at = Timestamp::parse(&wire.at).ok_or_else(|| serde::de::Error::custom("not a timestamp"))?;
        Ok(Scheduled { at })
    }
}

/// All jobs of an app.
#[derive(Clone, Debug, Default)]
pub struct Definitions {
    jobs: BTreeMap<String, Definition>,
    queue_limits: BTreeMap<String, u32>,
}

impl Definitions {
    /// Adds jobs of a name; a later definition of the same name takes the place of the earlier one.
    pub fn add(&mut self, definition: Definition) -> &mut Definitions {
        self.jobs.insert(definition.name.clone(), definition);
        self
    }

    /// How many jobs of a queue run at a time on all workers together.
    pub fn queue_limit(&mut self, queue: impl Into<String>, limit: u32) -> &mut Definitions {
        self.queue_limits.insert(queue.into(), limit.max(1));
        self
    }

    /// The jobs of a name.
    ///
    /// # Errors
    /// When there are none, with the nearest name.
    pub fn get(&self, name: &str) -> Result<&Definition, JobsError> {
        self.jobs.get(name).ok_or_else(|| {
            let distance = |known: &&String| strsim::damerau_levenshtein(known, name);
            let nearest = self.jobs.keys().min_by_key(distance).filter(|known| distance(known) <= 3);
            JobsError::Unknown { name: name.to_owned(), nearest: nearest.cloned() }
        })
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Definition> {
        self.jobs.values()
    }

    /// Only those whose name is wanted.
    #[must_use]
    pub fn only(mut self, wanted: impl Fn(&str) -> bool) -> Definitions {
        self.jobs.retain(|name, _| wanted(name));
        self
    }

    pub(crate) fn limit_of(&self, queue: &str) -> Option<u32> {
        self.queue_limits.get(queue).copied()
    }
}

#[cfg(test)]
mod tests {
    use mainstay_lang::value::Timestamp;

    use super::{Definition, Definitions, JobsError, Scheduled, read_args};

    #[test]
    fn a_name_that_nobody_has_is_refused_with_the_nearest() {
        let mut all = Definitions::default();
        all.add(Definition::new("mail.send", async |_, ()| Ok(())));
        let error = all.get("mail.sned").unwrap_err();
        assert_eq!(
            error,
            JobsError::Unknown { name: "mail.sned".to_owned(), nearest: Some("mail.send".to_owned()) }
        );
        assert!(all.get("mail.send").is_ok());
    }

    #[test]
    fn no_arguments_are_read_by_whoever_takes_none() {
        read_args::<()>("{}").unwrap();
        assert_eq!(read_args::<Vec<u8>>("[1]").unwrap(), [1]);
        read_args::<u8>("{}").unwrap_err();
        let at = Timestamp::parse("2026-01-01T00:00:00Z").unwrap();
        assert_eq!(read_args::<Scheduled>(&format!("{{\"at\":\"{at}\"}}")).unwrap(), Scheduled { at });
    }
}
