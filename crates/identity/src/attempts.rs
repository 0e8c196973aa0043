//! Attempts that failed, counted for each account and each address: what slows guessing down.
//!
//! From the tenth on attempts are refused for a while that doubles with each further one. Nobody is kept waiting on a connection, and
//! an account that is not there is counted like one that is. Counts stand in the database, so that they hold on every node.

use std::time::Duration;

use mainstay_engine::error::{Error, Key};
use mainstay_engine::hook::Row;
use mainstay_lang::value::{Timestamp, Value};
use serde_json::{Value as Json, json};

use crate::desk::{Desk, is_race, later, time};
use crate::token::hash_of;

/// Failures that cost nothing.
const FREE: i64 = 9;
/// The first pause, and the longest.
const PAUSE: Duration = Duration::from_secs(15);
const PAUSE_MAX: Duration = Duration::from_secs(15 * 60);
/// After so long without a failure counting begins anew.
const FORGOTTEN: Duration = Duration::from_secs(30 * 60);
/// How often a count is tried to be written beside others who count the same.
const TRIES: usize = 20;

/// Whose failures are counted.
#[derive(Clone, Debug)]
pub(crate) struct Counted {
    /// Hashes: who has tried to sign in is nobody's business.
    ids: Vec<String>,
    /// That of the account is forgotten when its owner is back.
    account: String,
}

impl Counted {
    /// An account by the address that was given, and where the attempt comes from.
    pub(crate) fn new(account: &str, address: Option<&str>) -> Counted {
        let account = hash_of(&format!("account {}", account.trim().to_lowercase()));
        let mut ids = vec![account.clone()];
        ids.extend(address.map(|address| hash_of(&format!("address {address}"))));
        Counted { ids, account }
    }

    /// Refuses an attempt that comes too early.
    ///
    /// # Errors
    /// [`Key::AuthThrottled`] with the time to wait.
    pub(crate) async fn check(&self, desk: &Desk) -> Result<(), Error> {
        for row in self.rows(desk).await?.iter().filter(|row| is_recent(row, desk.now())) {
            let until = until(failures(row), time(row, "last").unwrap_or(Timestamp(0)));
            if let Some(until) = until.filter(|until| *until > desk.now()) {
                let seconds = (until.0 - desk.now().0 + 999_999) / 1_000_000;
                return Err(throttled(u32::try_from(seconds).unwrap_or(1)));
            }
        }
        Ok(())
    }

    /// Counts a failure.
    pub(crate) async fn fail(&self, desk: &Desk) -> Result<(), Error> {
        for _ in 0..TRIES {
            let rows = self.rows(desk).await?;
            let known = |id: &str| rows.iter().find(|row| is(row, id));
            let documents = self.ids.iter().map(|id| failed(desk.now(), known(id), id));
            match desk.ask(documents.collect()).await {
                Err(error) if is_race(&error) => {}
                done => return done.map(drop),
            }
        }
        Err(throttled(1))
    }

    /// The document by which the account's failures are forgotten.
    pub(crate) fn forget(&self) -> Json {
        json!({"LoginAttempt": {"id": self.account, "delete": true}})
    }

    async fn rows(&self, desk: &Desk) -> Result<Vec<Row>, Error> {
        let first = Value::Text(self.ids[0].clone());
        let second = Value::Text(self.ids.last().unwrap_or(&self.ids[0]).clone());
        let values = [("first", first), ("second", second)];
        desk.rows("LoginAttempt", "id == $first or id == $second", &values).await
    }
}

fn is(row: &Row, id: &str) -> bool {
    matches!(row.key(), Value::Text(key) if key == id)
}

fn failures(row: &Row) -> i64 {
    match row.value("failures") {
        Ok(Value::Int(count)) => *count,
        _ => 0,
    }
}

fn is_recent(row: &Row, now: Timestamp) -> bool {
    time(row, "last").is_some_and(|last| later(last, FORGOTTEN) > now)
}

/// The document that counts one failure.
fn failed(now: Timestamp, known: Option<&Row>, id: &str) -> Json {
    let at = now.to_string();
    match known {
        None => json!({"LoginAttempt": {"create": true, "id": id, "failures": 1, "since": at, "last": at}}),
        Some(row) if is_recent(row, now) => {
            json!({"LoginAttempt": {"id": id, "set": {"failures": {"$add": 1}, "last": at}}})
        }
        Some(_) => json!({"LoginAttempt": {"id": id, "set": {"failures": 1, "since": at, "last": at}}}),
    }
}

/// Until when attempts are refused; none are for a few failures, the last of which may be one of a request that began after this one.
fn until(failures: i64, last: Timestamp) -> Option<Timestamp> {
    if failures <= FREE {
        return None;
    }
    let doubled = u32::try_from(failures - FREE - 1).unwrap_or(u32::MAX).min(16);
    Some(later(last, (PAUSE * 2u32.pow(doubled)).min(PAUSE_MAX)))
}

fn throttled(seconds: u32) -> Error {
    crate::meters::throttled();
    let words = "Too many attempts have failed. Try again later.";
    Error { retry_after_s: Some(seconds), ..Error::new(Key::AuthThrottled, words) }
}

#[cfg(test)]
mod tests {
    use mainstay_lang::value::Timestamp;

    use super::until;

    #[test]
    fn pauses_begin_with_the_tenth_failure_and_double_up_to_a_quarter_of_an_hour() {
        let check = |failures: i64, seconds: i64| {
            let until = until(failures, Timestamp(0)).map(|until| until.0);
            assert_eq!(until, Some(seconds * 1_000_000), "{failures}");
        };
        assert_eq!(until(0, Timestamp(7)), None);
        assert_eq!(until(9, Timestamp(7)), None);
        check(10, 15);
        check(11, 30);
        check(15, 480);
        check(16, 900);
        check(1_000_000, 900);
    }
}
