//! Assertions that are encrypted (XML Encryption 1.1) for the service provider's key.
//!
//! The key of the content comes by RSA-OAEP, the content by AES-GCM. PKCS #1 1.5 is not accepted: who answers whether such a text could
//! be decrypted decrypts it for everybody (Bleichenbacher). CBC has no check of its own and falls to the same kind of question (Jager and
//! Somorovsky, 2011), so it is decrypted only within what was verified already. Whatever fails does so with the same words.

use aws_lc_rs::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{self, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OAEP_SHA384_MGF1SHA384, OAEP_SHA512_MGF1SHA512, OaepAlgorithm,
};

use super::keys::Credential;
use super::signature::{SignatureError, decoded};
use super::xml::{ENCRYPTION, ENCRYPTION11, Element, SIGNATURE, XmlError};

/// Keys of one content at most: one for each of those who may read it.
const KEYS_MAX: usize = 8;
const NONCE_BYTES: usize = 12;
const IV_BYTES: usize = 16;

/// Why something stays encrypted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EncryptionError {
    #[error("{0}")]
    Xml(#[from] XmlError),
    #[error("`{0}` is not accepted as its algorithm")]
    Algorithm(String),
    #[error("`{0}` is accepted only within a response that is signed")]
    Unsigned(String),
    #[error("it was not encrypted for this service provider's key")]
    Key,
}

/// Whether what is encrypted stands in something that was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Within {
    Verified,
    Anything,
}

/// The text of an `<EncryptedAssertion>`.
///
/// # Errors
/// When it is not for this key, or by an algorithm that is not accepted.
pub(crate) fn decrypt(
    encrypted: Element<'_>,
    credential: &Credential,
    within: Within,
) -> Result<String, EncryptionError> {
    let data = encrypted.one(ENCRYPTION, "EncryptedData")?;
    let content = Content::of(algorithm(data)?, within)?;
    let info = data.one_or_none(SIGNATURE, "KeyInfo")?;
    let inside = info.into_iter().flat_map(|info| info.all(ENCRYPTION, "EncryptedKey"));
    let keys = inside.chain(encrypted.all(ENCRYPTION, "EncryptedKey")).take(KEYS_MAX);
    let ciphertext = cipher_value(data)?;
    let mut refused = EncryptionError::Key;
    for key in keys {
        let unwrapped = match unwrap(key, credential) {
            Ok(unwrapped) => unwrapped,
            // One for somebody else may be by whatever they like.
            Err(error @ EncryptionError::Algorithm(_)) => {
                refused = error;
                continue;
            }
            Err(_) => continue,
        };
        let opened = content.open(&unwrapped, &ciphertext).and_then(|bytes| String::from_utf8(bytes).ok());
        if let Some(text) = opened {
            return Ok(text);
        }
    }
    Err(refused)
}

fn algorithm(element: Element<'_>) -> Result<&str, EncryptionError> {
    let method = element.one(ENCRYPTION, "EncryptionMethod")?;
    Ok(method.attribute("Algorithm").unwrap_or_default())
}

fn not_accepted(uri: &str) -> EncryptionError {
    EncryptionError::Algorithm(uri.chars().take(120).collect())
}

fn cipher_value(element: Element<'_>) -> Result<Vec<u8>, EncryptionError> {
    let value = element.one(ENCRYPTION, "CipherData")?.one(ENCRYPTION, "CipherValue")?;
    decoded(value, "value").map_err(|error| match error {
        SignatureError::Xml(error) => EncryptionError::Xml(error),
        _ => EncryptionError::Key,
    })
}

/// The key of the content.
fn unwrap(key: Element<'_>, credential: &Credential) -> Result<Vec<u8>, EncryptionError> {
    let oaep = oaep(key)?;
    let ciphertext = cipher_value(key)?;
    let mut plaintext = vec![0; credential.decrypts.min_output_size()];
    let opened = credential.decrypts.decrypt(oaep, &ciphertext, &mut plaintext, None);
    opened.map(|key| key.to_vec()).map_err(|_| EncryptionError::Key)
}

fn oaep(key: Element<'_>) -> Result<&'static OaepAlgorithm, EncryptionError> {
    let uri = algorithm(key)?;
    let method = key.one(ENCRYPTION, "EncryptionMethod")?;
    let digest =
        method.one_or_none(SIGNATURE, "DigestMethod")?.and_then(|digest| digest.attribute("Algorithm"));
    let mask = method.one_or_none(ENCRYPTION11, "MGF")?.and_then(|mask| mask.attribute("Algorithm"));
    let digest = digest.unwrap_or("http://www.w3.org/2000/09/xmldsig#sha1");
    // Both functions hash alike in what is used here; the older name means SHA-1 for the second one.
    let mask = match uri {
        "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p" => "http://www.w3.org/2009/xmlenc11#mgf1sha1",
        "http://www.w3.org/2009/xmlenc11#rsa-oaep" => {
            mask.unwrap_or("http://www.w3.org/2009/xmlenc11#mgf1sha1")
        }
        _ => return Err(not_accepted(uri)),
    };
    let has_parameters = method.one_or_none(ENCRYPTION, "OAEPparams")?.is_some();
    match (digest, mask) {
        _ if has_parameters => Err(not_accepted(uri)),
        ("http://www.w3.org/2000/09/xmldsig#sha1", "http://www.w3.org/2009/xmlenc11#mgf1sha1") => {
            Ok(&OAEP_SHA1_MGF1SHA1)
        }
        ("http://www.w3.org/2001/04/xmlenc#sha256", "http://www.w3.org/2009/xmlenc11#mgf1sha256") => {
            Ok(&OAEP_SHA256_MGF1SHA256)
        }
        (
            "http://www.w3.org/2001/04/xmldsig-more#sha384" | "http://www.w3.org/2001/04/xmlenc#sha384",
            "http://www.w3.org/2009/xmlenc11#mgf1sha384",
        ) => Ok(&OAEP_SHA384_MGF1SHA384),
        ("http://www.w3.org/2001/04/xmlenc#sha512", "http://www.w3.org/2009/xmlenc11#mgf1sha512") => {
            Ok(&OAEP_SHA512_MGF1SHA512)
        }
        _ => Err(not_accepted(&format!("{uri} with {digest} and {mask}"))),
    }
}

/// How a content is encrypted.
#[derive(Clone, Copy)]
enum Content {
    Gcm(&'static aead::Algorithm),
    Cbc(&'static cipher::Algorithm),
}

impl Content {
    fn of(uri: &str, within: Within) -> Result<Content, EncryptionError> {
        let content = match uri {
            "http://www.w3.org/2009/xmlenc11#aes128-gcm" => Content::Gcm(&aead::AES_128_GCM),
            "http://www.w3.org/2009/xmlenc11#aes192-gcm" => Content::Gcm(&aead::AES_192_GCM),
            "http://www.w3.org/2009/xmlenc11#aes256-gcm" => Content::Gcm(&aead::AES_256_GCM),
            "http://www.w3.org/2001/04/xmlenc#aes128-cbc" => Content::Cbc(&cipher::AES_128),
            "http://www.w3.org/2001/04/xmlenc#aes192-cbc" => Content::Cbc(&cipher::AES_192),
            "http://www.w3.org/2001/04/xmlenc#aes256-cbc" => Content::Cbc(&cipher::AES_256),
            _ => return Err(not_accepted(uri)),
        };
        match (content, within) {
            (Content::Cbc(_), Within::Anything) => Err(EncryptionError::Unsigned(uri.to_owned())),
            _ => Ok(content),
        }
    }

    fn open(self, key: &[u8], ciphertext: &[u8]) -> Option<Vec<u8>> {
        match self {
            Content::Gcm(algorithm) => {
                let (nonce, rest) = ciphertext.split_at_checked(NONCE_BYTES)?;
                let key = LessSafeKey::new(UnboundKey::new(algorithm, key).ok()?);
                let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
                let mut content = rest.to_vec();
                Some(key.open_in_place(nonce, Aad::empty(), &mut content).ok()?.to_vec())
            }
            Content::Cbc(algorithm) => {
                let (iv, rest) = ciphertext.split_at_checked(IV_BYTES)?;
                let key = UnboundCipherKey::new(algorithm, key).ok()?;
                let key = PaddedBlockDecryptingKey::cbc_iso10126(key).ok()?;
                let context = DecryptionContext::Iv128(FixedLength::try_from(iv).ok()?);
                let mut content = rest.to_vec();
                Some(key.decrypt(&mut content, context).ok()?.to_vec())
            }
        }
    }
}
