//! Answers kept under a caller's key: the same request again gets the same answer, and does nothing.
//!
//! An answer is kept in the transaction of what it answers, so there is never one without the other. Two requests
//! under one key that come together take their turns, as all writers of SQLite do: the second finds the first one's answer.

use std::sync::Arc;

use mainstay_lang::value::{Duration, Timestamp, Value};
use mainstay_sql::system;
use sha2::{Digest, Sha256};

use super::rules::Change;
use super::run::Run;
use crate::ctx::Ctx;
use crate::engine::{Engine, no_log};
use crate::error::{Error, Key};
use crate::forget::in_batches;
use crate::part::Idempotency;
use crate::response::Response;

/// Longest key.
const KEY_LENGTH_MAX: usize = 255;
/// How long an answer is given again.
const KEPT: Duration = Duration::DAY;
/// What the wire says when a write went well; other answers are not kept.
const STATUS: i64 = 200;

/// Tests the form of a key. Those of callers without a name share one room, so theirs must be unguessable.
pub(crate) fn key_check(ctx: &Ctx, key: &str) -> Result<(), Error> {
    let malformed = |words: &str| Err(Error::new(Key::Request, format!("Idempotency-Key {words}")));
    if key.is_empty() || key.len() > KEY_LENGTH_MAX || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return malformed("must have 1 to 255 visible ASCII characters");
    }
    let is_anonymous = ctx.caller.user.is_none() && !ctx.caller.admin;
    let hex_digits = key.bytes().filter(u8::is_ascii_hexdigit).count();
    let is_hex = key.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    let is_url_safe = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    let is_random = if is_hex { hex_digits >= 32 } else { is_url_safe && key.len() >= 22 };
    if is_anonymous && !is_random {
        return malformed(
            "of a caller who is not signed in must carry 128 random bits: 22 or more URL-safe characters, 32 or more \
             hexadecimal digits, or a UUID",
        );
    }
    Ok(())
}

/// The oldest answers that are given again.
fn oldest_kept(now: Timestamp) -> Timestamp {
    Timestamp(now.0.saturating_sub(KEPT.0))
}

impl Engine {
    /// Forgets the answers that are too old at a time to be given again, and says how many those were. To be called now and
    /// then.
    ///
    /// # Errors
    /// When the database cannot be written; what was forgotten until then stays so.
    pub async fn idempotency_prune(&self, now: Timestamp) -> Result<u64, Error> {
        if !self.keeps_log() {
            return Ok(0);
        }
        let purge = Arc::new(system::idempotency_purge(self.schema(), self.dialect));
        let oldest = [Value::Timestamp(oldest_kept(now))];
        let note = |count| metrics::counter!("mainstay_answers_pruned_total").increment(count);
        Ok(in_batches(self, &purge, &oldest, note).await?)
    }
}

impl Run<'_> {
    /// The answer kept under the key.
    pub(super) async fn kept_answer(&mut self, idempotency: &Idempotency) -> Result<Option<Response>, Error> {
        if !self.logs {
            return Err(no_log("keep an answer for an Idempotency-Key"));
        }
        if let Some(statement) = self.prepared.system.idempotency_turn.clone() {
            let turn = self.address(idempotency).map(|part| part.to_json()).join(" ");
            self.later(&statement, &[Value::Text(turn)]).await?;
        }
        let address = self.address(idempotency);
        let statement = self.prepared.system.idempotency_find.clone();
        let rows = self.values(&statement, &address, Change::default()).await?;
        let Some(row) = rows.into_iter().next() else { return Ok(None) };
        let [Value::Bytes(body_hash), Value::Int(status), Value::Bytes(answer), Value::Timestamp(at)] =
            row.as_slice()
        else {
            return Err(Error::internal("a kept answer cannot be read"));
        };
        if *at < oldest_kept(self.ctx.now) {
            let statement = self.prepared.system.idempotency_delete.clone();
            self.later(&statement, &address).await?;
            return Ok(None);
        }
        if body_hash[..] != idempotency.body_hash {
            let message = "this Idempotency-Key was used for another request";
            return Err(Error::new(Key::IdempotencyMismatch, message));
        }
        if *status == system::ANSWER_FORGOTTEN {
            let message =
                "the request was carried out under this Idempotency-Key, and its answer is not kept any more";
            return Err(Error::new(Key::IdempotencyForgotten, message));
        }
        serde_json::from_slice(answer).map(Some).map_err(Error::internal)
    }

    /// Keeps an answer.
    pub(super) async fn keep_answer(
        &mut self,
        idempotency: &Idempotency,
        response: &Response,
    ) -> Result<(), Error> {
        let answer = serde_json::to_vec(response).map_err(Error::internal)?;
        let mut params = self.address(idempotency).to_vec();
        params.push(Value::Bytes(idempotency.body_hash.to_vec()));
        params.push(Value::Int(STATUS));
        params.push(Value::Bytes(answer));
        params.push(Value::Timestamp(self.ctx.now));
        let statement = self.prepared.system.idempotency_insert.clone();
        self.later(&statement, &params).await
    }

    /// Whose key it is, the key, and what it was sent to.
    fn address(&self, idempotency: &Idempotency) -> [Value; 3] {
        let caller = &self.ctx.caller;
        let mut hash = Sha256::new();
        hash.update([u8::from(caller.admin)]);
        for part in [&caller.user, &self.ctx.tenant] {
            let text = part.as_ref().map_or_else(|| "null".to_owned(), Value::to_json);
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
        let scope = Value::Bytes(hash.finalize().to_vec());
        [scope, Value::Text(idempotency.key.clone()), Value::Text(idempotency.target.clone())]
    }
}
