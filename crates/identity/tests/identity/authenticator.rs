//! An authenticator of a test's own: it makes keys and signs what it is told to, right or wrong.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value as Json, json};

/// Somebody was there; and it has seen who.
pub(crate) const PRESENT: u8 = 1;
pub(crate) const VERIFIED: u8 = 1 << 2;
const HAS_KEY: u8 = 1 << 6;

pub(crate) const ORIGIN: &str = "http://shop.example";

/// One key.
pub(crate) struct Authenticator {
    key: EcdsaKeyPair,
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
        let public = self.key.public_key().as_ref();
        let mut data = self.data(options["rp"]["id"].as_str().unwrap(), self.flags | HAS_KEY);
        data.extend([0; 16]);
        data.extend(u16::try_from(self.credential.len()).unwrap().to_be_bytes());
        data.extend(self.credential);
        // {1: 2, 3: -7, -1: 1, -2: x, -3: y}
        data.extend([0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 32]);
        data.extend(&public[1..33]);
        data.extend([0x22, 0x58, 32]);
        data.extend(&public[33..]);
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
        let signature = self.key.sign(&SystemRandom::new(), &signed).unwrap();
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
