//! Artifacts: a name for a response, which the service provider fetches itself (SAML bindings, 3.6).
//!
//! Pure: what is sent and what came back. An artifact names its provider and is resolved at an address that the provider's metadata
//! give, never at one that a message gives. What comes back is signed as every response is, or in its envelope.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mainstay_lang::value::Timestamp;

use super::encryption::Within;
use super::keys::Credential;
use super::message::written;
use super::refused::Refused;
use super::response::{Assertion, Expected, is_issuer, is_success, response_of};
use super::signature::{SignatureError, Signed, sign, verify};
use super::xml::{ASSERTION, ENVELOPE, Element, MESSAGE_BYTES_MAX, PROTOCOL, escape, parse, text_of};

/// Bytes that an envelope has at most.
const ENVELOPE_BYTES_MAX: usize = 2 * MESSAGE_BYTES_MAX;

/// A request for the response that an artifact stands for, in an envelope of SOAP.
///
/// # Errors
/// When it cannot be signed.
pub(crate) fn artifact_resolve(
    (id, at): (&str, Timestamp),
    (issuer, destination): (&str, &str),
    artifact: &str,
    credential: &Credential,
) -> Result<String, SignatureError> {
    let before = format!(
        "<samlp:ArtifactResolve xmlns:samlp=\"{PROTOCOL}\" xmlns:saml=\"{ASSERTION}\" ID=\"{}\" Version=\"2.0\" \
         IssueInstant=\"{}\" Destination=\"{}\"><saml:Issuer>{}</saml:Issuer>",
        escape(id),
        written(at),
        escape(destination),
        escape(issuer),
    );
    let after = format!("<samlp:Artifact>{}</samlp:Artifact></samlp:ArtifactResolve>", escape(artifact));
    let message = sign(&before, &after, credential)?;
    Ok(format!("<soap:Envelope xmlns:soap=\"{ENVELOPE}\"><soap:Body>{message}</soap:Body></soap:Envelope>"))
}

/// An artifact of the form that there is (SAML bindings, 3.6.4): whose it is, and where it is resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Artifact {
    pub(crate) endpoint: u16,
    /// The SHA-1 of the provider's name.
    pub(crate) source: [u8; 20],
}

impl Artifact {
    /// Reads one.
    pub(crate) fn read(text: &str) -> Option<Artifact> {
        if text.len() > 100 {
            return None;
        }
        let bytes: [u8; 44] = STANDARD.decode(text).ok()?.try_into().ok()?;
        let source = bytes.get(4..24)?.try_into().ok()?;
        (bytes[..2] == [0, 4])
            .then_some(Artifact { endpoint: u16::from_be_bytes([bytes[2], bytes[3]]), source })
    }

    /// Whether it is one of a provider.
    pub(crate) fn is_of(&self, entity: &str) -> bool {
        let name = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, entity.as_bytes());
        name.as_ref() == self.source
    }
}

/// The assertion in the response that an envelope has.
///
/// # Errors
/// Why there is none, or it is not believed.
pub(crate) fn read_resolved(
    bytes: &[u8],
    request: &str,
    expected: &Expected<'_>,
) -> Result<Assertion, Refused> {
    let document = parse(text_of(bytes, ENVELOPE_BYTES_MAX)?)?;
    let root = Element::root(&document)?;
    if !root.is(ENVELOPE, "Envelope") {
        return Err(Refused::BackChannel("what it has answered is no envelope of SOAP".to_owned()));
    }
    let body = root.one(ENVELOPE, "Body")?;
    if body.one_or_none(ENVELOPE, "Fault")?.is_some() {
        return Err(Refused::BackChannel("it has answered with a fault".to_owned()));
    }
    let answer = body.one(PROTOCOL, "ArtifactResponse")?;
    match verify(answer, expected.keys, expected.accepted)? {
        Some(Signed(text)) => {
            let document = parse(&text)?;
            answered(Element::root(&document)?, request, expected, Within::Verified)
        }
        None => answered(answer, request, expected, Within::Anything),
    }
}

fn answered(
    answer: Element<'_>,
    request: &str,
    expected: &Expected<'_>,
    within: Within,
) -> Result<Assertion, Refused> {
    if answer.attribute("InResponseTo") != Some(request) {
        return Err(Refused::Request);
    }
    if let Some(issuer) = answer.one_or_none(ASSERTION, "Issuer")? {
        is_issuer(issuer, expected)?;
    }
    is_success(answer)?;
    // None: the artifact was resolved before, or is too old.
    let response = answer.one_or_none(PROTOCOL, "Response")?.ok_or(Refused::Artifact)?;
    response_of(response, expected, within)
}
