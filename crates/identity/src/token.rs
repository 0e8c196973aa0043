//! Opaque tokens: random, given out once, kept by their hash.

use aws_lc_rs::{digest, hmac, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mainstay_engine::error::Error;

/// Bytes of randomness in a token.
const BYTES: usize = 32;

/// Characters of a token, and of a hash.
pub(crate) const TOKEN_CHARS: usize = 43;

/// A new token.
///
/// # Errors
/// When the system has no randomness.
pub(crate) fn new_token() -> Result<String, Error> {
    Ok(URL_SAFE_NO_PAD.encode(random::<BYTES>()?))
}

/// Random bytes.
///
/// # Errors
/// When the system has no randomness.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| Error::internal("the system has no randomness"))?;
    Ok(bytes)
}

/// By what a token is kept. It has as much randomness as the hash has bits, so that no salt is needed.
pub(crate) fn hash_of(token: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, token.as_bytes()))
}

/// What follows a token, to be told from it and a key alone.
pub(crate) fn successor_of(key: &hmac::Key, token: &str) -> String {
    URL_SAFE_NO_PAD.encode(hmac::sign(key, token.as_bytes()))
}
