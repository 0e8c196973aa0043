//! Passkeys (Web Authentication, level 3): keys of phones, computers and sticks that sign what a page of ours has asked for.
//!
//! What is verified here is written against aws-lc-rs, the one library of cryptography that there is; of attestation only `none` is
//! asked for, so that no chain of makers' certificates has to be judged: a statement that comes nevertheless is not looked at and
//! trusted for nothing. `verify.rs` knows what is signed and how, `party.rs` for which host, `ceremony.rs` what a challenge is bound to.

mod ceremony;
mod party;
mod verify;

use mainstay_engine::error::Error;
use mainstay_engine::hook::Row;
use mainstay_lang::value::Value;

use crate::desk::Desk;

pub(crate) use ceremony::{CEREMONY_LASTS, Ceremony, Purpose};
pub(crate) use party::Party;
pub(crate) use verify::{
    Algorithm, Assertion, Expected, Flags, Refused, Registration, assertion, registration,
};

/// Passkeys that somebody has at most.
pub(crate) const PASSKEYS_MAX: usize = 50;

/// The passkeys of a user, for one host or all.
pub(crate) async fn passkeys_of(desk: &Desk, user: &Value, party: Option<&Party>) -> Result<Vec<Row>, Error> {
    let rows = desk.rows("Passkey", "owner == $owner", &[("owner", user.clone())]).await?;
    let is_meant = |row: &Row| party.is_none_or(|party| row.text("party") == Some(party.id.as_str()));
    Ok(rows.into_iter().filter(is_meant).collect())
}

/// By what an authenticator knows whom a key is for: nothing that says more of somebody than that.
pub(crate) fn handle_of(user: &Value) -> Vec<u8> {
    user.to_string().into_bytes()
}
