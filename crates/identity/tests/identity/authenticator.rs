//! An authenticator of a test's own: it makes keys and signs what it is told to, right or wrong.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value as Json, json};

/// Somebody was there; and it has seen who.
pub(crate) const PRESENT: u8 = 1;
pub(crate) const VERIFIED: u8 = 1 << 2;
const HAS_KEY: u8 = 1 << 6;

pub(crate) const ORIGIN: &str = "http://shop.example";

/// What signs.
enum Signer {
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
    Rs256(RsaKeyPair),
}

impl Signer {
    /// The public key as COSE writes it (RFC 9053, RFC 8230).
    fn public(&self) -> Vec<u8> {
        match self {
            Signer::Es256(key) => {
                // {1: 2, 3: -7, -1: 1, -2: x, -3: y}
                let public = key.public_key().as_ref();
                let mut cose = vec![0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 32];
                cose.extend(&public[1..33]);
                cose.extend([0x22, 0x58, 32]);
                cose.extend(&public[33..]);
                cose
            }
            Signer::EdDsa(key) => {
                // {1: 1, 3: -8, -1: 6, -2: x}
                let mut cose = vec![0xa4, 0x01, 0x01, 0x03, 0x27, 0x20, 0x06, 0x21, 0x58, 32];
                cose.extend(key.public_key().as_ref());
                cose
            }
            Signer::Rs256(key) => {
                // {1: 3, 3: -257, -1: n, -2: e}
                let public = key.public_key();
                let modulus = public.modulus().big_endian_without_leading_zero();
                let exponent = public.exponent().big_endian_without_leading_zero();
                let mut cose = vec![0xa4, 0x01, 0x03, 0x03, 0x39, 0x01, 0x00, 0x20, 0x59];
                cose.extend(u16::try_from(modulus.len()).unwrap().to_be_bytes());
                cose.extend(modulus);
                cose.extend([0x21, 0x40 | u8::try_from(exponent.len()).unwrap()]);
                cose.extend(exponent);
                cose
            }
        }
    }

    fn sign(&self, text: &[u8]) -> Vec<u8> {
        match self {
            Signer::Es256(key) => key.sign(&SystemRandom::new(), text).unwrap().as_ref().to_vec(),
            Signer::EdDsa(key) => key.sign(text).as_ref().to_vec(),
            Signer::Rs256(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature).unwrap();
                signature
            }
        }
    }
}

/// One key.
pub(crate) struct Authenticator {
    key: Signer,
    credential: [u8; 20],
    handle: String,
    pub(crate) flags: u8,
    pub(crate) counter: u32,
    /// What it takes the page to be.
    pub(crate) origin: String,
    /// The host that it signs for; none: the one that it is asked for.
    pub(crate) party: Option<String>,
}

impl Authenticator {
    pub(crate) fn new(flags: u8) -> Authenticator {
        let random = SystemRandom::new();
        let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, made.as_ref()).unwrap();
        Authenticator::with(Signer::Es256(key), flags)
    }

    /// One with an Ed25519 key.
    pub(crate) fn ed_dsa(flags: u8) -> Authenticator {
        Authenticator::with(Signer::EdDsa(Ed25519KeyPair::generate().unwrap()), flags)
    }

    /// One with an RSA key of 2048 bits.
    pub(crate) fn rs256(flags: u8) -> Authenticator {
        Authenticator::with(Signer::Rs256(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()), flags)
    }

    fn with(key: Signer, flags: u8) -> Authenticator {
        let mut credential = [0; 20];
        aws_lc_rs::rand::fill(&mut credential).unwrap();
        let origin = ORIGIN.to_owned();
        Authenticator { key, credential, handle: String::new(), flags, counter: 0, origin, party: None }
    }

    pub(crate) fn id(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.credential)
    }

    /// Answers `navigator.credentials.create`.
    pub(crate) fn make(&mut self, options: &Json) -> Json {
        self.handle = options["user"]["id"].as_str().unwrap().to_owned();
        let client = self.client_data("webauthn.create", options);
        let mut data = self.data(options["rp"]["id"].as_str().unwrap(), self.flags | HAS_KEY);
        data.extend([0; 16]);
        data.extend(u16::try_from(self.credential.len()).unwrap().to_be_bytes());
        data.extend(self.credential);
        data.extend(self.key.public());
        // {"fmt": "none", "attStmt": {}, "authData": data}
        let mut object = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x59".to_vec();
        object.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        object.extend(&data);
        json!({
            "id": self.id(), "rawId": self.id(), "type": "public-key", "clientExtensionResults": {},
            "response": {
                "clientDataJSON": URL_SAFE_NO_PAD.encode(client),
                "attestationObject": URL_SAFE_NO_PAD.encode(object),
                "transports": ["internal", "hybrid"],
            },
        })
    }

    /// Answers `navigator.credentials.get`; it counts.
    pub(crate) fn sign(&mut self, options: &Json) -> Json {
        self.counter += 1;
        let client = self.client_data("webauthn.get", options);
        let data = self.data(options["rpId"].as_str().unwrap(), self.flags);
        let signed = [data.as_slice(), digest(&SHA256, &client).as_ref()].concat();
        let signature = self.key.sign(&signed);
        json!({
            "id": self.id(), "rawId": self.id(), "type": "public-key", "clientExtensionResults": {},
            "response": {
                "clientDataJSON": URL_SAFE_NO_PAD.encode(client),
                "authenticatorData": URL_SAFE_NO_PAD.encode(data),
                "signature": URL_SAFE_NO_PAD.encode(signature),
                "userHandle": self.handle,
            },
        })
    }

    fn client_data(&self, kind: &str, options: &Json) -> Vec<u8> {
        let challenge = &options["challenge"];
        json!({"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": false})
            .to_string()
            .into_bytes()
    }

    fn data(&self, asked: &str, flags: u8) -> Vec<u8> {
        let party = self.party.as_deref().unwrap_or(asked);
        let mut data = digest(&SHA256, party.as_bytes()).as_ref().to_vec();
        data.push(flags);
        data.extend(self.counter.to_be_bytes());
        data
    }
}
