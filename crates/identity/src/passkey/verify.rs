//! What authenticators answer, read and verified (Web Authentication level 3, §7.1 and §7.2).
//!
//! It knows bytes and keys: not who somebody is, what was asked before, or what a counter was. Everything that is in an answer is
//! said by somebody who may lie, until a signature over it was verified with the key that was kept.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use minicbor::Decoder;
use serde::Deserialize;

use super::party::Party;

/// Bytes of what an authenticator calls a key, at most.
const CREDENTIAL_BYTES_MAX: usize = 1023;

/// Why an answer is not taken. Whoever signs in is told none of it: they are told apart for the log and in tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("it cannot be read: {0}")]
    Malformed(&'static str),
    #[error("it answers something else")]
    Kind,
    #[error("it answers another challenge")]
    Challenge,
    #[error("it was given to a page of another origin")]
    Origin,
    #[error("it is for another host")]
    Party,
    #[error("nobody was there")]
    Presence,
    #[error("its key is none of ES256, EdDSA, RS256")]
    Algorithm,
    #[error("its signature is not that of the key")]
    Signature,
}

/// What is asked of an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected<'e> {
    pub(crate) challenge: &'e str,
    pub(crate) party: &'e Party,
}

/// A new key, as a browser writes it (`RegistrationResponseJSON`).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Registration {
    response: RegistrationResponse,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RegistrationResponse {
    #[serde(rename = "clientDataJSON")]
    client_data: String,
    attestation_object: String,
    #[serde(default)]
    transports: Vec<String>,
}

/// A signature, as a browser writes it (`AuthenticationResponseJSON`).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Assertion {
    /// What the authenticator calls the key.
    pub(crate) id: String,
    response: AssertionResponse,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AssertionResponse {
    #[serde(rename = "clientDataJSON")]
    client_data: String,
    authenticator_data: String,
    signature: String,
    #[serde(default)]
    user_handle: Option<String>,
}

impl Assertion {
    /// By what the authenticator knows whose key it is, if it says so.
    pub(crate) fn user_handle(&self) -> Option<Result<Vec<u8>, Refused>> {
        let handle = self.response.user_handle.as_deref().filter(|handle| !handle.is_empty());
        handle.map(|handle| decoded(handle, "userHandle"))
    }
}

impl Registration {
    /// How the authenticator can be reached, to say so when it is asked again: short words, and few.
    pub(crate) fn transports(&self) -> Vec<&str> {
        let is_word = |word: &&str| {
            word.len() <= 20 && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
        };
        self.response.transports.iter().map(String::as_str).filter(is_word).take(8).collect()
    }
}

/// What an authenticator says of itself and of who was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flags(u8);

impl Flags {
    const PRESENT: u8 = 1;
    const VERIFIED: u8 = 1 << 2;
    const MAY_BE_COPIED: u8 = 1 << 3;
    const IS_COPIED: u8 = 1 << 4;
    const HAS_KEY: u8 = 1 << 6;

    /// Whether it has seen that it was the right one: by a finger, a face or a number.
    pub(crate) fn is_verified(self) -> bool {
        self.0 & Flags::VERIFIED != 0
    }

    /// Whether the key can be on several devices.
    pub(crate) fn may_be_copied(self) -> bool {
        self.0 & Flags::MAY_BE_COPIED != 0
    }

    /// Whether it is.
    pub(crate) fn is_copied(self) -> bool {
        self.0 & Flags::IS_COPIED != 0
    }
}

/// A key that was made.
#[derive(Debug)]
pub(crate) struct Registered {
    /// What the authenticator calls it.
    pub(crate) credential: String,
    /// As COSE writes it (RFC 9052 §7).
    pub(crate) public_key: Vec<u8>,
    pub(crate) counter: u32,
    pub(crate) flags: Flags,
}

/// What a good signature says.
#[derive(Debug)]
pub(crate) struct Asserted {
    pub(crate) counter: u32,
    pub(crate) flags: Flags,
}

/// Algorithms of keys, the preferred ones first, by their numbers (RFC 9053, RFC 8812).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    EdDsa = -8,
    Es256 = -7,
    Rs256 = -257,
}

impl Algorithm {
    pub(crate) const ALL: [Algorithm; 3] = [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Rs256];
}

/// Reads a new key.
///
/// # Errors
/// Why it is not taken.
pub(crate) fn registration(of: &Registration, expected: &Expected<'_>) -> Result<Registered, Refused> {
    client_data_check(&of.response.client_data, "webauthn.create", expected)?;
    let object = decoded(&of.response.attestation_object, "attestationObject")?;
    let data = authenticator_data_in(&object)?;
    let data = AuthenticatorData::read(data, expected)?;
    if data.flags.0 & Flags::HAS_KEY == 0 {
        return Err(Refused::Malformed("there is no key"));
    }
    // The maker's id, the length of the name, the name, the key.
    let (_, rest) = data.rest.split_at_checked(16).ok_or(Refused::Malformed("the key"))?;
    let (length, rest) = rest.split_first_chunk::<2>().ok_or(Refused::Malformed("the key"))?;
    let length = usize::from(u16::from_be_bytes(*length));
    let (credential, rest) = rest.split_at_checked(length).ok_or(Refused::Malformed("the key"))?;
    if !(1..=CREDENTIAL_BYTES_MAX).contains(&length) {
        return Err(Refused::Malformed("the key's name"));
    }
    let (_, key_bytes) = CoseKey::read(rest)?;
    Ok(Registered {
        credential: URL_SAFE_NO_PAD.encode(credential),
        public_key: rest[..key_bytes].to_vec(),
        counter: data.counter,
        flags: data.flags,
    })
}

/// Verifies a signature with the key that was kept.
///
/// # Errors
/// Why it is not taken.
pub(crate) fn assertion(of: &Assertion, expected: &Expected<'_>, key: &[u8]) -> Result<Asserted, Refused> {
    client_data_check(&of.response.client_data, "webauthn.get", expected)?;
    let client_data = decoded(&of.response.client_data, "clientDataJSON")?;
    let mut signed = decoded(&of.response.authenticator_data, "authenticatorData")?;
    let data = AuthenticatorData::read(&signed, expected)?;
    let asserted = Asserted { counter: data.counter, flags: data.flags };
    signed.extend_from_slice(digest(&SHA256, &client_data).as_ref());
    let signature = decoded(&of.response.signature, "signature")?;
    let (key, _) = CoseKey::read(key)?;
    key.verify(&signed, &signature)?;
    Ok(asserted)
}

fn decoded(text: &str, what: &'static str) -> Result<Vec<u8>, Refused> {
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).map_err(|_| Refused::Malformed(what))
}

/// What the browser says of the page.
fn client_data_check(text: &str, kind: &str, expected: &Expected<'_>) -> Result<(), Refused> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct ClientData {
        r#type: String,
        challenge: String,
        origin: String,
        #[serde(default)]
        cross_origin: bool,
    }
    let bytes = decoded(text, "clientDataJSON")?;
    let data: ClientData =
        serde_json::from_slice(&bytes).map_err(|_| Refused::Malformed("clientDataJSON"))?;
    if data.r#type != kind {
        return Err(Refused::Kind);
    }
    if data.challenge.trim_end_matches('=') != expected.challenge {
        return Err(Refused::Challenge);
    }
    // In a frame of somebody else's page people do not see whom they answer.
    if data.origin != expected.party.origin || data.cross_origin {
        return Err(Refused::Origin);
    }
    Ok(())
}

/// The authenticator's own part of what it says about a new key; what a maker attests beside it is left aside.
fn authenticator_data_in(object: &[u8]) -> Result<&[u8], Refused> {
    let malformed = |_| Refused::Malformed("attestationObject");
    let mut decoder = Decoder::new(object);
    let members = decoder.map().map_err(malformed)?.ok_or(Refused::Malformed("attestationObject"))?;
    for _ in 0..members {
        if decoder.str().map_err(malformed)? == "authData" {
            return decoder.bytes().map_err(malformed);
        }
        decoder.skip().map_err(malformed)?;
    }
    Err(Refused::Malformed("there is no authData"))
}

struct AuthenticatorData<'d> {
    flags: Flags,
    counter: u32,
    rest: &'d [u8],
}

impl<'d> AuthenticatorData<'d> {
    fn read(bytes: &'d [u8], expected: &Expected<'_>) -> Result<AuthenticatorData<'d>, Refused> {
        let malformed = Refused::Malformed("authenticatorData");
        let (party, rest) = bytes.split_at_checked(32).ok_or(malformed)?;
        let (flags, rest) = rest.split_first().ok_or(malformed)?;
        let (counter, rest) = rest.split_first_chunk::<4>().ok_or(malformed)?;
        if party != digest(&SHA256, expected.party.id.as_bytes()).as_ref() {
            return Err(Refused::Party);
        }
        let flags = Flags(*flags);
        if flags.0 & Flags::PRESENT == 0 {
            return Err(Refused::Presence);
        }
        if flags.is_copied() && !flags.may_be_copied() {
            return Err(Refused::Malformed("a key that cannot be copied is"));
        }
        Ok(AuthenticatorData { flags, counter: u32::from_be_bytes(*counter), rest })
    }
}

/// A key by COSE.
enum CoseKey<'k> {
    Ed25519(&'k [u8]),
    P256 { x: &'k [u8], y: &'k [u8] },
    Rsa { n: &'k [u8], e: &'k [u8] },
}

impl<'k> CoseKey<'k> {
    /// The key at the beginning of bytes, and how many of them it is.
    fn read(bytes: &'k [u8]) -> Result<(CoseKey<'k>, usize), Refused> {
        let malformed = |_| Refused::Malformed("the key");
        let mut decoder = Decoder::new(bytes);
        let members = decoder.map().map_err(malformed)?.ok_or(Refused::Malformed("the key"))?;
        let (mut kind, mut algorithm, mut curve) = (0, 0, 0);
        let (mut first, mut x, mut y): (&[u8], &[u8], &[u8]) = (&[], &[], &[]);
        for _ in 0..members {
            let label = decoder.i64().map_err(malformed)?;
            match label {
                1 => kind = decoder.i64().map_err(malformed)?,
                3 => algorithm = decoder.i64().map_err(malformed)?,
                // A curve, or the modulus of RSA.
                -1 => match decoder.probe().i64() {
                    Ok(_) => curve = decoder.i64().map_err(malformed)?,
                    Err(_) => first = decoder.bytes().map_err(malformed)?,
                },
                -2 => x = decoder.bytes().map_err(malformed)?,
                -3 => y = decoder.bytes().map_err(malformed)?,
                _ => decoder.skip().map_err(malformed)?,
            }
        }
        let known = Algorithm::ALL.into_iter().find(|known| *known as i64 == algorithm);
        let key = match (known, kind, curve, x.len(), y.len()) {
            (Some(Algorithm::EdDsa), 1, 6, 32, _) => CoseKey::Ed25519(x),
            (Some(Algorithm::Es256), 2, 1, 32, 32) => CoseKey::P256 { x, y },
            (Some(Algorithm::Rs256), 3, _, 1.., _) if !first.is_empty() => CoseKey::Rsa { n: first, e: x },
            (None, ..) => return Err(Refused::Algorithm),
            _ => return Err(Refused::Malformed("the key")),
        };
        key.parsed()?;
        Ok((key, decoder.position()))
    }

    /// None: it is one of RSA, whose parts are looked at when it is used.
    fn parsed(&self) -> Result<Option<ParsedPublicKey>, Refused> {
        let parsed = match self {
            CoseKey::Ed25519(x) => ParsedPublicKey::new(&ED25519, x),
            CoseKey::P256 { x, y } => ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, [&[4], *x, *y].concat()),
            CoseKey::Rsa { .. } => return Ok(None),
        };
        parsed.map(Some).map_err(|_| Refused::Malformed("the key"))
    }

    fn verify(&self, signed: &[u8], signature: &[u8]) -> Result<(), Refused> {
        let verified = match (self, self.parsed()?) {
            (CoseKey::Rsa { n, e }, _) => {
                PublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, signed, signature)
            }
            (_, Some(key)) => key.verify_sig(signed, signature),
            (_, None) => return Err(Refused::Algorithm),
        };
        verified.map_err(|_| Refused::Signature)
    }
}
