//! Messages that a push service carries and cannot read: Message Encryption for Web Push (RFC 8291), of one record (RFC 8188).
//!
//! Knows bytes alone. Each message has a key of its own: the one that it is agreed by is made for it and thrown away.

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::rand;

/// Bytes of a public key: a point of P-256, uncompressed.
pub(crate) const PUBLIC_BYTES: usize = 65;
/// Bytes of the secret that a browser gives out beside its key.
pub(crate) const AUTH_BYTES: usize = 16;
const SALT_BYTES: usize = 16;
const TAG_BYTES: usize = 16;
/// Bytes that a push service takes at least (RFC 8030 §7.2), and so at most here.
const RECORD_BYTES: u32 = 4096;
/// What is before the text: salt, size of a record, length of the key's name, the key.
const HEADER_BYTES: usize = SALT_BYTES + 4 + 1 + PUBLIC_BYTES;
/// Behind the last text of the last record.
const LAST: u8 = 2;

/// Bytes of a text at most.
pub(crate) const TEXT_BYTES_MAX: usize = RECORD_BYTES as usize - HEADER_BYTES - TAG_BYTES - 1;

/// A key of a subscription is none, or the system has no randomness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message cannot be encrypted for this subscription: its key is no point of P-256")]
pub(crate) struct EncryptError;

struct Bytes(usize);

impl KeyType for Bytes {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF (RFC 5869) of bytes under a salt, for a purpose.
fn derive<const N: usize>(salt: &[u8], bytes: &[u8], purpose: &[&[u8]]) -> Result<[u8; N], EncryptError> {
    let mut out = [0; N];
    let key = Salt::new(HKDF_SHA256, salt).extract(bytes);
    key.expand(purpose, Bytes(N)).and_then(|okm| okm.fill(&mut out)).map_err(|_| EncryptError)?;
    Ok(out)
}

/// The body of a request to a push service.
pub(crate) fn encrypt(text: &[u8], public: &[u8], auth: &[u8]) -> Result<Vec<u8>, EncryptError> {
    let own = PrivateKey::generate(&ECDH_P256).map_err(|_| EncryptError)?;
    let mut salt = [0; SALT_BYTES];
    rand::fill(&mut salt).map_err(|_| EncryptError)?;
    encrypt_with(text, (public, auth), &own, &salt)
}

fn encrypt_with(
    text: &[u8],
    (public, auth): (&[u8], &[u8]),
    own: &PrivateKey,
    salt: &[u8; SALT_BYTES],
) -> Result<Vec<u8>, EncryptError> {
    let own_public = own.compute_public_key().map_err(|_| EncryptError)?;
    let own_public = own_public.as_ref();
    let theirs = UnparsedPublicKey::new(&ECDH_P256, public);
    let shared = agree(own, theirs, EncryptError, |shared| {
        derive::<32>(auth, shared, &[b"WebPush: info\0", public, own_public])
    })?;
    let key = derive::<16>(salt, &shared, &[b"Content-Encoding: aes128gcm\0"])?;
    let nonce = derive::<12>(salt, &shared, &[b"Content-Encoding: nonce\0"])?;
    let mut sealed = Vec::with_capacity(text.len() + 1 + TAG_BYTES);
    sealed.extend_from_slice(text);
    sealed.push(LAST);
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).map_err(|_| EncryptError)?);
    let nonce = Nonce::assume_unique_for_key(nonce);
    key.seal_in_place_append_tag(nonce, Aad::empty(), &mut sealed).map_err(|_| EncryptError)?;
    let mut body = Vec::with_capacity(HEADER_BYTES + sealed.len());
    body.extend_from_slice(salt);
    body.extend_from_slice(&RECORD_BYTES.to_be_bytes());
    body.push(PUBLIC_BYTES as u8);
    body.extend_from_slice(own_public);
    body.append(&mut sealed);
    Ok(body)
}

/// Whether bytes can be the public key of a subscription.
pub(crate) fn is_public_key(bytes: &[u8]) -> bool {
    let Ok(own) = PrivateKey::generate(&ECDH_P256) else { return false };
    let theirs = UnparsedPublicKey::new(&ECDH_P256, bytes);
    bytes.len() == PUBLIC_BYTES && agree(&own, theirs, EncryptError, |_| Ok(())).is_ok()
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::agreement::{ECDH_P256, PrivateKey};
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::{TEXT_BYTES_MAX, encrypt, encrypt_with, is_public_key};

    const PUBLIC: &str =
        "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
    const AUTH: &str = "BTBZMqHH6r4Tts7J_aSIgg";

    fn bytes(text: &str) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(text).unwrap()
    }

    /// RFC 8291 appendix A.
    #[test]
    fn the_message_of_the_specification_is_made() {
        let own = bytes("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw");
        let own = PrivateKey::from_private_key(&ECDH_P256, &own).unwrap();
        let salt: [u8; 16] = bytes("DGv6ra1nlYgDCS1FRnbzlw").try_into().unwrap();
        let text = b"When I grow up, I want to be a watermelon";
        let body = encrypt_with(text, (&bytes(PUBLIC), &bytes(AUTH)), &own, &salt).unwrap();
        assert_eq!(
            URL_SAFE_NO_PAD.encode(body),
            "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
        );
    }

    #[test]
    fn the_longest_text_fills_what_a_push_service_takes_and_no_two_messages_are_alike() {
        let text = vec![b'x'; TEXT_BYTES_MAX];
        let body = encrypt(&text, &bytes(PUBLIC), &bytes(AUTH)).unwrap();
        assert_eq!(body.len(), 4096);
        assert_ne!(body, encrypt(&text, &bytes(PUBLIC), &bytes(AUTH)).unwrap());
    }

    #[test]
    fn what_is_no_point_of_the_curve_is_no_key() {
        assert!(is_public_key(&bytes(PUBLIC)));
        let mut other = bytes(PUBLIC);
        other[64] ^= 1;
        assert!(!is_public_key(&other));
        assert!(!is_public_key(&[]));
        assert!(!is_public_key(&[0; 65]));
    }
}
