//! Keys: those that providers sign with, read from certificates, and the service provider's own.
//!
//! Of a certificate the public key counts, and nothing else: who has signed it and until when is no matter between two parties that have
//! exchanged their certificates (SAML metadata interoperability profile, 2.6). RSA from 2048 bits on, and the curves P-256 and P-384.

use std::time::Duration;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeySize, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use aws_lc_rs::signature::{self, RsaKeyPair, UnparsedPublicKey, VerificationAlgorithm};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mainstay_lang::value::Timestamp;
use x509_cert::Certificate;
use x509_cert::certificate::{TbsCertificate, Version};
use x509_cert::der::asn1::{BitString, ObjectIdentifier, UtcTime};
use x509_cert::der::{Any, Decode as _, Encode as _};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use x509_cert::time::{Time, Validity};

use super::signature::Accepted;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const RSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const CURVE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");

/// For how long the certificate of a key that was made here says that it is good. Nobody should look.
const CERTIFICATE_LASTS: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Why something is no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyError {
    #[error("it is no certificate (X.509, in PEM or base 64)")]
    Certificate,
    #[error("its key is of a kind that is not known: RSA, P-256 and P-384 are")]
    Kind,
    #[error("it is no private key of RSA with 2048 bits or more (PKCS #8)")]
    Private,
    #[error("the key is not that of the certificate")]
    Mismatch,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P384,
}

/// How a signature is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    RsaSha1,
    RsaSha256,
    RsaSha384,
    RsaSha512,
    PssSha256,
    PssSha384,
    PssSha512,
    P256Sha256,
    P384Sha384,
}

impl Algorithm {
    /// What is signed with here.
    pub(crate) const SIGNS: Algorithm = Algorithm::RsaSha256;

    const KNOWN: [(Algorithm, &'static str); 9] = [
        (Algorithm::RsaSha1, "http://www.w3.org/2000/09/xmldsig#rsa-sha1"),
        (Algorithm::RsaSha256, "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"),
        (Algorithm::RsaSha384, "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384"),
        (Algorithm::RsaSha512, "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512"),
        (Algorithm::PssSha256, "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1"),
        (Algorithm::PssSha384, "http://www.w3.org/2007/05/xmldsig-more#sha384-rsa-MGF1"),
        (Algorithm::PssSha512, "http://www.w3.org/2007/05/xmldsig-more#sha512-rsa-MGF1"),
        (Algorithm::P256Sha256, "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"),
        (Algorithm::P384Sha384, "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384"),
    ];

    /// The one of a name, if it is accepted.
    pub(crate) fn of_uri(uri: &str, accepted: Accepted) -> Option<Algorithm> {
        let (algorithm, _) = Algorithm::KNOWN.iter().find(|(_, known)| *known == uri)?;
        (*algorithm != Algorithm::RsaSha1 || accepted == Accepted::Sha1).then_some(*algorithm)
    }

    pub(crate) fn uri(self) -> &'static str {
        Algorithm::KNOWN.iter().find(|(known, _)| *known == self).map_or("", |(_, uri)| uri)
    }

    fn kind(self) -> Kind {
        match self {
            Algorithm::P256Sha256 => Kind::P256,
            Algorithm::P384Sha384 => Kind::P384,
            _ => Kind::Rsa,
        }
    }

    fn verification(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Algorithm::RsaSha1 => &signature::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
            Algorithm::RsaSha256 => &signature::RSA_PKCS1_2048_8192_SHA256,
            Algorithm::RsaSha384 => &signature::RSA_PKCS1_2048_8192_SHA384,
            Algorithm::RsaSha512 => &signature::RSA_PKCS1_2048_8192_SHA512,
            Algorithm::PssSha256 => &signature::RSA_PSS_2048_8192_SHA256,
            Algorithm::PssSha384 => &signature::RSA_PSS_2048_8192_SHA384,
            Algorithm::PssSha512 => &signature::RSA_PSS_2048_8192_SHA512,
            // In XML the two numbers stand one after the other, and not as ASN.1.
            Algorithm::P256Sha256 => &signature::ECDSA_P256_SHA256_FIXED,
            Algorithm::P384Sha384 => &signature::ECDSA_P384_SHA384_FIXED,
        }
    }
}

/// A key that somebody else signs with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublicKey {
    kind: Kind,
    /// As the certificate has it.
    bytes: Vec<u8>,
}

impl PublicKey {
    /// That of a certificate, in DER.
    ///
    /// # Errors
    /// When it is no certificate, or has a key that is not known.
    pub(crate) fn of_certificate(der: &[u8]) -> Result<PublicKey, KeyError> {
        let certificate = Certificate::from_der(der).map_err(|_| KeyError::Certificate)?;
        let info = certificate.tbs_certificate.subject_public_key_info;
        let curve = || info.algorithm.parameters.as_ref()?.decode_as::<ObjectIdentifier>().ok();
        let kind = match info.algorithm.oid {
            RSA => Kind::Rsa,
            CURVE if curve() == Some(P256) => Kind::P256,
            CURVE if curve() == Some(P384) => Kind::P384,
            _ => return Err(KeyError::Kind),
        };
        Ok(PublicKey { kind, bytes: info.subject_public_key.raw_bytes().to_owned() })
    }

    /// That of a certificate in base 64, with or without the lines that PEM has around it.
    ///
    /// # Errors
    /// When it is none.
    pub(crate) fn of_text(text: &str) -> Result<PublicKey, KeyError> {
        PublicKey::of_certificate(&der_of(text, "CERTIFICATE").ok_or(KeyError::Certificate)?)
    }

    /// Whether a signature was made with it.
    pub(crate) fn verifies(&self, algorithm: Algorithm, message: &[u8], value: &[u8]) -> bool {
        let verification = algorithm.verification();
        algorithm.kind() == self.kind
            && UnparsedPublicKey::new(verification, &self.bytes).verify(message, value).is_ok()
    }
}

/// The first block of a label in PEM, or what is base 64 without any.
pub(crate) fn der_of(text: &str, label: &str) -> Option<Vec<u8>> {
    let begin = format!("-----BEGIN {label}-----");
    let inner = match text.split_once(&begin) {
        Some((_, rest)) => rest.split_once("-----END")?.0,
        None if text.contains("-----") => return None,
        None => text,
    };
    let inner: String = inner.split_ascii_whitespace().collect();
    STANDARD.decode(inner).ok().filter(|der| !der.is_empty())
}

/// The service provider's own key, and the certificate that tells others of it.
pub(crate) struct Credential {
    signs: RsaKeyPair,
    pub(crate) decrypts: OaepPrivateDecryptingKey,
    pub(crate) certificate: Vec<u8>,
    /// The key in PKCS #8.
    pub(crate) private: Vec<u8>,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credential")
    }
}

impl Credential {
    /// A key and its certificate, both in DER.
    ///
    /// # Errors
    /// When they are none, or do not belong together.
    pub(crate) fn new(private: Vec<u8>, certificate: Vec<u8>) -> Result<Credential, KeyError> {
        let signs = RsaKeyPair::from_pkcs8(&private).map_err(|_| KeyError::Private)?;
        let decrypts = PrivateDecryptingKey::from_pkcs8(&private).and_then(|key| {
            OaepPrivateDecryptingKey::new(key).map_err(|_| aws_lc_rs::error::KeyRejected::from(Unspecified))
        });
        let decrypts = decrypts.map_err(|_| KeyError::Private)?;
        let credential = Credential { signs, decrypts, certificate, private };
        let public = PublicKey::of_certificate(&credential.certificate)?;
        // Nothing says that they belong together as well as a signature does.
        let value = credential.sign(b"").map_err(|_| KeyError::Private)?;
        match public.verifies(Algorithm::SIGNS, b"", &value) {
            true => Ok(credential),
            false => Err(KeyError::Mismatch),
        }
    }

    /// Both in PEM.
    ///
    /// # Errors
    /// When they are none, or do not belong together.
    pub(crate) fn of_text(private: &str, certificate: &str) -> Result<Credential, KeyError> {
        let private = der_of(private, "PRIVATE KEY").ok_or(KeyError::Private)?;
        let certificate = der_of(certificate, "CERTIFICATE").ok_or(KeyError::Certificate)?;
        Credential::new(private, certificate)
    }

    /// A new key, with a certificate that it has signed itself.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub(crate) fn make(name: &str, now: Timestamp) -> Result<Credential, KeyError> {
        let key = PrivateDecryptingKey::generate(KeySize::Rsa3072).map_err(|_| KeyError::Private)?;
        let private =
            AsDer::<Pkcs8V1Der<'_>>::as_der(&key).map_err(|_| KeyError::Private)?.as_ref().to_owned();
        let public = key.public_key();
        let public = AsDer::<PublicKeyX509Der<'_>>::as_der(&public).map_err(|_| KeyError::Private)?;
        let signs = RsaKeyPair::from_pkcs8(&private).map_err(|_| KeyError::Private)?;
        let certificate = certificate(name, public.as_ref(), now, |bytes| sign(&signs, bytes))
            .ok_or(KeyError::Certificate)?;
        Credential::new(private, certificate)
    }

    /// A signature by [`Algorithm::SIGNS`].
    ///
    /// # Errors
    /// When the system has no randomness.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
        sign(&self.signs, message)
    }
}

fn sign(key: &RsaKeyPair, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
    let mut value = vec![0; key.public_modulus_len()];
    key.sign(&signature::RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut value)?;
    Ok(value)
}

/// A certificate of a key by itself (RFC 5280), in DER. None: it cannot be written.
fn certificate(
    name: &str,
    public: &[u8],
    now: Timestamp,
    sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, Unspecified>,
) -> Option<Vec<u8>> {
    let algorithm = AlgorithmIdentifierOwned { oid: RSA_SHA256, parameters: Some(Any::null()) };
    // What a name's syntax has other uses for is left out.
    let plain: String =
        name.chars().filter(|c| c.is_ascii_alphanumeric() || " .-".contains(*c)).take(60).collect();
    let name: Name =
        format!("CN={}", if plain.trim().is_empty() { "Mainstay" } else { plain.trim() }).parse().ok()?;
    let begins = Duration::from_secs(u64::try_from(now.0.div_euclid(1_000_000)).ok()?);
    let time = |at: Duration| Some(Time::UtcTime(UtcTime::from_unix_duration(at).ok()?));
    let mut serial = [0; 16];
    aws_lc_rs::rand::fill(&mut serial).ok()?;
    // Positive, and with as many bytes each time.
    serial[0] = serial[0] & 0x3f | 0x40;
    let body = TbsCertificate {
        version: Version::V3,
        serial_number: SerialNumber::new(&serial).ok()?,
        signature: algorithm.clone(),
        issuer: name.clone(),
        validity: Validity { not_before: time(begins)?, not_after: time(begins + CERTIFICATE_LASTS)? },
        subject: name,
        subject_public_key_info: SubjectPublicKeyInfoOwned::from_der(public).ok()?,
        issuer_unique_id: None,
        subject_unique_id: None,
        extensions: None,
    };
    let value = sign(&body.to_der().ok()?).ok()?;
    let signature = BitString::from_bytes(&value).ok()?;
    Certificate { tbs_certificate: body, signature_algorithm: algorithm, signature }.to_der().ok()
}
