//! Values that are kept encrypted: useless to whoever has the database and not the server's secret.
//!
//! AES-256-GCM with a random nonce. Each purpose has a key of its own, derived from the secret (HKDF-SHA256, RFC 5869), and what a
//! value belongs to is authenticated with it: one that was copied to another row does not open there.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The first byte of what is sealed: how it is.
const FORM: u8 = 1;
const NONCE_BYTES: usize = 12;
const KEY_BYTES: usize = 32;

/// Seals and opens the values of one purpose.
pub struct Sealer(RandomizedNonceKey);

/// It was sealed under another secret or for something else, or was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a sealed value cannot be opened: it belongs elsewhere, or the server's secret is another one now")]
pub struct SealedError;

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer")
    }
}

struct Bytes(usize);

impl KeyType for Bytes {
    fn len(&self) -> usize {
        self.0
    }
}

/// A key for one purpose from a secret.
pub fn derive_key(secret: &[u8], purpose: &str) -> [u8; KEY_BYTES] {
    let mut key = [0; KEY_BYTES];
    let info = [purpose.as_bytes()];
    Salt::new(HKDF_SHA256, b"mainstay")
        .extract(secret)
        .expand(&info, Bytes(KEY_BYTES))
        .and_then(|okm| okm.fill(&mut key))
        .expect("HKDF yields far more than one key's bytes");
    key
}

impl Sealer {
    /// For a purpose, by the server's secret.
    pub fn new(secret: &[u8], purpose: &str) -> Sealer {
        let key = derive_key(secret, purpose);
        Sealer(RandomizedNonceKey::new(&AES_256_GCM, &key).expect("the key has the length of the algorithm"))
    }

    /// Seals bytes that belong to something, as text.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn seal(&self, bytes: &[u8], belongs_to: &str) -> Result<String, SealedError> {
        let mut sealed = bytes.to_vec();
        let nonce = self
            .0
            .seal_in_place_append_tag(Aad::from(belongs_to.as_bytes()), &mut sealed)
            .map_err(|_| SealedError)?;
        let mut whole = Vec::with_capacity(1 + NONCE_BYTES + sealed.len());
        whole.push(FORM);
        whole.extend_from_slice(nonce.as_ref());
        whole.append(&mut sealed);
        Ok(URL_SAFE_NO_PAD.encode(whole))
    }

    /// The bytes of what was sealed.
    ///
    /// # Errors
    /// When it was not sealed here, for that.
    pub fn open(&self, text: &str, belongs_to: &str) -> Result<Vec<u8>, SealedError> {
        let whole = URL_SAFE_NO_PAD.decode(text).map_err(|_| SealedError)?;
        let (nonce, sealed) = match whole.split_first() {
            Some((&FORM, rest)) if rest.len() > NONCE_BYTES => rest.split_at(NONCE_BYTES),
            _ => return Err(SealedError),
        };
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealedError)?;
        let mut sealed = sealed.to_vec();
        let opened = self
            .0
            .open_in_place(nonce, Aad::from(belongs_to.as_bytes()), &mut sealed)
            .map_err(|_| SealedError)?;
        Ok(opened.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::Sealer;

    #[test]
    fn what_is_sealed_opens_for_the_same_purpose_secret_and_owner_alone() {
        let sealer = Sealer::new(b"secret", "totp");
        let sealed = sealer.seal(b"JBSWY3DPEHPK3PXP", "ann").unwrap();
        assert_eq!(sealer.open(&sealed, "ann").unwrap(), b"JBSWY3DPEHPK3PXP");
        assert!(sealer.open(&sealed, "bob").is_err());
        assert!(Sealer::new(b"secret", "keys").open(&sealed, "ann").is_err());
        assert!(Sealer::new(b"other", "totp").open(&sealed, "ann").is_err());
        let (first, rest) = sealed.split_at(sealed.len() - 2);
        assert!(sealer.open(&format!("{first}{}", if rest == "AA" { "BB" } else { "AA" }), "ann").is_err());
        assert_ne!(sealed, sealer.seal(b"JBSWY3DPEHPK3PXP", "ann").unwrap(), "a nonce was used twice");
        for wrong in ["", "A", "AQ", "AQAAAAAAAAAAAAAAAA", "!"] {
            assert!(sealer.open(wrong, "ann").is_err(), "{wrong}");
        }
    }
}
