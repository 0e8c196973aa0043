//! Challenges: what is asked for at the beginning and has to come back signed at the end.
//!
//! Nothing is kept of one that only was begun, so that pages may begin as many as they like: whoever begins is given the challenge and
//! what it is bound to, encrypted, and brings that back. Browsers have it in a cookie that no script and no other site sees, so that
//! an answer to somebody else's challenge is of no use. A challenge is used up in the transaction that it is for.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mainstay_engine::error::Error;
use mainstay_engine::sealed::Sealer;
use mainstay_lang::value::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::party::Party;
use crate::desk::{Desk, later};
use crate::once::{Once, not_valid};
use crate::token::random;

/// How long somebody may take.
pub(crate) const CEREMONY_LASTS: Duration = Duration::from_secs(5 * 60);

/// What is sealed belongs to nothing but being one.
const BELONGS_TO: &str = "ceremony";

/// What an answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Purpose {
    /// A new key of somebody who has signed in.
    Register,
    /// Signing in, as whoever it is.
    Login,
    /// Showing a second factor, with a ticket.
    Second,
    /// Showing it is still they who have signed in.
    Confirm,
}

/// A challenge, and what it is bound to.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ceremony {
    pub(crate) purpose: Purpose,
    pub(crate) challenge: String,
    pub(crate) party: Party,
    /// The session that it was begun in, or the ticket with which.
    pub(crate) bound_to: Json,
    ends_us: i64,
}

impl Ceremony {
    pub(crate) fn new(
        desk: &Desk,
        purpose: Purpose,
        party: Party,
        bound_to: Json,
    ) -> Result<Ceremony, Error> {
        let challenge = URL_SAFE_NO_PAD.encode(random::<32>()?);
        Ok(Ceremony { purpose, challenge, party, bound_to, ends_us: later(desk.now(), CEREMONY_LASTS).0 })
    }

    pub(crate) fn sealed(&self, sealer: &Sealer) -> Result<String, Error> {
        let bytes = serde_json::to_vec(self).map_err(Error::internal)?;
        sealer.seal(&bytes, BELONGS_TO).map_err(Error::internal)
    }

    /// One that somebody has come back with.
    ///
    /// # Errors
    /// [`Key::AuthToken`](mainstay_engine::error::Key::AuthToken) when it is none for this, or too old.
    pub(crate) fn open(
        sealer: &Sealer,
        desk: &Desk,
        text: &str,
        (purpose, bound_to): (Purpose, &Json),
    ) -> Result<Ceremony, Error> {
        let bytes = sealer.open(text, BELONGS_TO).map_err(|_| not_valid())?;
        let ceremony: Ceremony = serde_json::from_slice(&bytes).map_err(|_| not_valid())?;
        let is_meant = ceremony.purpose == purpose && ceremony.bound_to == *bound_to;
        match is_meant && ceremony.ends_us > desk.now().0 {
            true => Ok(ceremony),
            false => Err(not_valid()),
        }
    }

    /// The document by which the challenge is used up: that of one that was used cannot be made.
    pub(crate) fn using(&self, desk: &Desk) -> Json {
        Once::Passkey.used_up(desk, &self.challenge, Timestamp(self.ends_us))
    }
}
