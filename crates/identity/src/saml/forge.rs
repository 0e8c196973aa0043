//! For tests and fuzz targets: responses as a provider makes them, and as somebody makes them who is none.

#![expect(clippy::unwrap_used, reason = "what is forged here is known to be as it should")]

use std::sync::LazyLock;
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_256, PaddedBlockEncryptingKey, UnboundCipherKey};
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPublicEncryptingKey, PublicEncryptingKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mainstay_lang::value::Timestamp;
use x509_cert::Certificate;
use x509_cert::der::{Decode as _, Encode as _};

use super::keys::{Credential, PublicKey};
use super::response::{Expected, Way, read};
use super::signature::{Accepted, sign};

pub(super) const IDP: &str = "https://idp.example/saml";
pub(super) const SP: &str = "https://shop.example/auth/saml/school/metadata";
pub(super) const ACS: &str = "https://shop.example/auth/saml/school/acs";

/// Keys take a while to make: three for all tests.
pub(super) struct Keys {
    pub(super) idp: Credential,
    pub(super) other: Credential,
    pub(super) sp: Credential,
    pub(super) known: Vec<PublicKey>,
}

pub(super) static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let make = |name: &str| Credential::make(name, now()).unwrap();
    let idp = make("idp");
    let known = vec![PublicKey::of_certificate(&idp.certificate).unwrap()];
    Keys { idp, other: make("other"), sp: make("sp"), known }
});

pub(super) fn now() -> Timestamp {
    Timestamp::parse("2026-01-31T10:00:00Z").unwrap()
}

pub(super) fn expected() -> Expected<'static> {
    Expected {
        issuer: IDP,
        keys: &KEYS.known,
        accepted: Accepted::Current,
        audience: SP,
        recipient: ACS,
        credential: &KEYS.sp,
        way: Way::Post,
        request: Some("_request"),
        signed_in_after: None,
        contexts: &[],
        now: now(),
        skew: Duration::from_secs(60),
    }
}

/// An assertion; its signature goes where `|` stands.
pub(super) const ASSERTION: &str = "<saml:Assertion xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\" ID=\"_assertion\" \
    Version=\"2.0\" IssueInstant=\"2026-01-31T10:00:00Z\"><saml:Issuer>https://idp.example/saml</saml:Issuer>|\
    <saml:Subject><saml:NameID Format=\"urn:oasis:names:tc:SAML:2.0:nameid-format:persistent\">ann</saml:NameID>\
    <saml:SubjectConfirmation Method=\"urn:oasis:names:tc:SAML:2.0:cm:bearer\"><saml:SubjectConfirmationData \
    InResponseTo=\"_request\" NotOnOrAfter=\"2026-01-31T10:05:00Z\" Recipient=\"https://shop.example/auth/saml/school/acs\"/>\
    </saml:SubjectConfirmation></saml:Subject><saml:Conditions NotBefore=\"2026-01-31T09:59:00Z\" \
    NotOnOrAfter=\"2026-01-31T10:05:00Z\"><saml:AudienceRestriction>\
    <saml:Audience>https://shop.example/auth/saml/school/metadata</saml:Audience></saml:AudienceRestriction></saml:Conditions>\
    <saml:AuthnStatement AuthnInstant=\"2026-01-31T09:58:00Z\" SessionNotOnOrAfter=\"2026-01-31T18:00:00Z\">\
    <saml:AuthnContext><saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:Smartcard</saml:AuthnContextClassRef>\
    </saml:AuthnContext></saml:AuthnStatement><saml:AttributeStatement><saml:Attribute Name=\"mail\">\
    <saml:AttributeValue>ann@example.com</saml:AttributeValue></saml:Attribute></saml:AttributeStatement></saml:Assertion>";

/// A response around `%`.
pub(super) const RESPONSE: &str = "<samlp:Response xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\" \
    xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\" ID=\"_response\" Version=\"2.0\" IssueInstant=\"2026-01-31T10:00:00Z\" \
    Destination=\"https://shop.example/auth/saml/school/acs\" InResponseTo=\"_request\">\
    <saml:Issuer>https://idp.example/saml</saml:Issuer>|<samlp:Status><samlp:StatusCode \
    Value=\"urn:oasis:names:tc:SAML:2.0:status:Success\"/></samlp:Status>%</samlp:Response>";

/// Signs what has a `|` in it.
pub(super) fn signed(text: &str, key: &Credential) -> String {
    let (before, after) = text.split_once('|').unwrap();
    sign(before, after, key).unwrap()
}

pub(super) fn unsigned(text: &str) -> String {
    text.replacen('|', "", 1)
}

/// A response with this in it, which is not signed itself.
pub(super) fn around(inner: &str) -> String {
    unsigned(RESPONSE).replace('%', inner)
}

/// A response with an assertion that the provider has signed, changed before that.
pub(super) fn with_assertion(from: &str, to: &str) -> String {
    assert!(from.is_empty() || ASSERTION.contains(from), "{from}");
    let assertion = if from.is_empty() { ASSERTION.to_owned() } else { ASSERTION.replace(from, to) };
    around(&signed(&assertion, &KEYS.idp))
}

/// A response that the provider has signed, with an assertion that it has not, changed before that.
pub(super) fn signed_whole(from: &str, to: &str) -> String {
    let whole = RESPONSE.replace('%', &unsigned(ASSERTION));
    assert!(from.is_empty() || whole.contains(from), "{from}");
    signed(&if from.is_empty() { whole } else { whole.replace(from, to) }, &KEYS.idp)
}

/// How a content is encrypted.
#[derive(Clone, Copy)]
pub(super) enum Cipher {
    Gcm,
    Cbc,
}

/// An assertion, encrypted for a key.
pub(super) fn encrypted(assertion: &str, to: &Credential, cipher: Cipher) -> String {
    let key = [9; 32];
    let (uri, content) = match cipher {
        Cipher::Gcm => {
            let sealing = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).unwrap());
            let mut content = assertion.as_bytes().to_vec();
            sealing
                .seal_in_place_append_tag(Nonce::assume_unique_for_key([1; 12]), Aad::empty(), &mut content)
                .unwrap();
            ("http://www.w3.org/2009/xmlenc11#aes256-gcm", [vec![1; 12], content].concat())
        }
        Cipher::Cbc => {
            let sealing = UnboundCipherKey::new(&AES_256, &key).unwrap();
            let sealing = PaddedBlockEncryptingKey::cbc_pkcs7(sealing).unwrap();
            let mut content = assertion.as_bytes().to_vec();
            let context = sealing.encrypt(&mut content).unwrap();
            let iv: &[u8] = (&context).try_into().unwrap();
            ("http://www.w3.org/2001/04/xmlenc#aes256-cbc", [iv, &content].concat())
        }
    };
    let certificate = Certificate::from_der(&to.certificate).unwrap();
    let public = certificate.tbs_certificate.subject_public_key_info.to_der().unwrap();
    let public = OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(&public).unwrap()).unwrap();
    let mut wrapped = vec![0; public.ciphertext_size()];
    let wrapped = public.encrypt(&OAEP_SHA1_MGF1SHA1, &key, &mut wrapped, None).unwrap();
    format!(
        "<saml:EncryptedAssertion><xenc:EncryptedData xmlns:xenc=\"http://www.w3.org/2001/04/xmlenc#\" \
         Type=\"http://www.w3.org/2001/04/xmlenc#Element\"><xenc:EncryptionMethod Algorithm=\"{uri}\"/>\
         <ds:KeyInfo xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"><xenc:EncryptedKey>\
         <xenc:EncryptionMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p\"/><xenc:CipherData>\
         <xenc:CipherValue>{}</xenc:CipherValue></xenc:CipherData></xenc:EncryptedKey></ds:KeyInfo><xenc:CipherData>\
         <xenc:CipherValue>{}</xenc:CipherValue></xenc:CipherData></xenc:EncryptedData></saml:EncryptedAssertion>",
        STANDARD.encode(&*wrapped),
        STANDARD.encode(content),
    )
}

/// Any bytes, as an answer and as what a provider has signed.
pub(crate) fn fuzzed(bytes: &[u8]) {
    assert!(read(bytes, &expected()).is_err(), "bytes without a signature of the provider's are believed");
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let assertion = format!(
        "<saml:Assertion xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\" ID=\"_assertion\" Version=\"2.0\">\
         <saml:Issuer>{IDP}</saml:Issuer>|{text}</saml:Assertion>"
    );
    let (before, after) = assertion.split_once('|').unwrap_or_default();
    // What is no XML cannot be signed.
    let Ok(assertion) = sign(before, after, &KEYS.idp) else { return };
    for response in [around(&assertion), around(&encrypted(&assertion, &KEYS.sp, Cipher::Gcm))] {
        if let Ok(assertion) = read(response.as_bytes(), &expected()) {
            assert_eq!(assertion.id, "_assertion");
        }
    }
}
