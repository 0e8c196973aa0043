//! What the service provider says: requests to sign somebody in. Always signed.
//!
//! Pure: who asks, where the answer goes and when it is are told; the message is text. It does not know what becomes of it.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use mainstay_lang::value::Timestamp;

use super::keys::{Algorithm, Credential};
use super::signature::{SignatureError, sign};
use super::xml::{ASSERTION, PROTOCOL, escape};

/// A request to sign somebody in.
pub(crate) struct AuthnRequest<'r> {
    pub(crate) id: &'r str,
    pub(crate) at: Timestamp,
    pub(crate) issuer: &'r str,
    /// Where it goes.
    pub(crate) destination: &'r str,
    /// Where the answer goes, and how.
    pub(crate) consumer: &'r str,
    pub(crate) binding: &'r str,
    pub(crate) name_format: &'r str,
    /// How somebody should sign in.
    pub(crate) contexts: &'r [String],
    pub(crate) comparison: Comparison,
    pub(crate) asked: Asked,
}

/// Whether somebody who is signed in at the provider has to sign in again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    AsItIs,
    Anew,
}

/// How what was asked for is compared with what somebody does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Comparison {
    /// One of those.
    #[default]
    Exact,
    /// The first of those, or a stronger one; the stronger ones follow it.
    Minimum,
}

/// A time as SAML has it: in UTC, to the second.
pub(crate) fn written(at: Timestamp) -> String {
    let text = at.to_string();
    format!("{}Z", text.get(..19).unwrap_or_default())
}

impl AuthnRequest<'_> {
    /// Its text, in the two parts between which a signature goes.
    fn parts(&self) -> (String, String) {
        let force = if self.asked == Asked::Anew { " ForceAuthn=\"true\"" } else { "" };
        let before = format!(
            "<samlp:AuthnRequest xmlns:samlp=\"{PROTOCOL}\" xmlns:saml=\"{ASSERTION}\" ID=\"{}\" Version=\"2.0\" \
             IssueInstant=\"{}\" Destination=\"{}\"{force} AssertionConsumerServiceURL=\"{}\" \
             ProtocolBinding=\"{}\"><saml:Issuer>{}</saml:Issuer>",
            escape(self.id),
            written(self.at),
            escape(self.destination),
            escape(self.consumer),
            escape(self.binding),
            escape(self.issuer),
        );
        let policy = format!(
            "<samlp:NameIDPolicy Format=\"{}\" AllowCreate=\"true\"></samlp:NameIDPolicy>",
            escape(self.name_format)
        );
        let asked = match self.comparison {
            Comparison::Exact => self.contexts,
            Comparison::Minimum => self.contexts.get(..1).unwrap_or_default(),
        };
        let classes: String = asked
            .iter()
            .map(|class| format!("<saml:AuthnContextClassRef>{}</saml:AuthnContextClassRef>", escape(class)))
            .collect();
        let comparison = match self.comparison {
            Comparison::Exact => "exact",
            Comparison::Minimum => "minimum",
        };
        let context = match classes.is_empty() {
            true => String::new(),
            false => format!(
                "<samlp:RequestedAuthnContext Comparison=\"{comparison}\">{classes}</samlp:RequestedAuthnContext>"
            ),
        };
        (before, format!("{policy}{context}</samlp:AuthnRequest>"))
    }

    /// The address that a browser is sent to (HTTP-Redirect binding): the message and its signature in the query.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub(crate) fn redirect(&self, relay: &str, credential: &Credential) -> Result<String, SignatureError> {
        let (before, after) = self.parts();
        let mut deflated = DeflateEncoder::new(Vec::new(), Compression::default());
        let packed = deflated.write_all(format!("{before}{after}").as_bytes());
        let packed = packed.and_then(|()| deflated.finish()).map_err(|_| SignatureError::Form("form"))?;
        let value = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        // What is signed is the query as it stands, in this order (SAML bindings, 3.4.4.1).
        let signed = format!(
            "SAMLRequest={}&RelayState={}&SigAlg={}",
            value(&STANDARD.encode(packed)),
            value(relay),
            value(Algorithm::SIGNS.uri()),
        );
        let signature = credential.sign(signed.as_bytes()).map_err(|_| SignatureError::Key)?;
        let mark = if self.destination.contains('?') { '&' } else { '?' };
        Ok(format!("{}{mark}{signed}&Signature={}", self.destination, value(&STANDARD.encode(signature))))
    }

    /// The value of the form that a browser sends (HTTP-POST binding).
    ///
    /// # Errors
    /// When it cannot be signed.
    pub(crate) fn post(&self, credential: &Credential) -> Result<String, SignatureError> {
        let (before, after) = self.parts();
        Ok(STANDARD.encode(sign(&before, &after, credential)?))
    }
}
