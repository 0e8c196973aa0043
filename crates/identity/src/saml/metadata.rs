//! Metadata (SAML metadata 2.0): an identity provider's, read; the service provider's own, written.
//!
//! All keys that a provider says it signs with count, so that it can change them: it announces the next one before it is used. Metadata
//! past their `validUntil` say nothing. Where certificates are pinned, metadata that are not signed by one of them say nothing either.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mainstay_lang::value::Timestamp;

use super::keys::{Credential, PublicKey};
use super::refused::Refused;
use super::signature::{Accepted, SignatureError, Signed, sign, verify};
use super::time::instant;
use super::xml::{
    Element, METADATA, METADATA_BYTES_MAX, PROTOCOL, SIGNATURE, XmlError, escape, parse, text_of,
};
use crate::provider::options::is_provider_url;

pub(crate) const REDIRECT: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect";
pub(crate) const POST: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST";
pub(crate) const ARTIFACT: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Artifact";
const SOAP: &str = "urn:oasis:names:tc:SAML:2.0:bindings:SOAP";

/// Why metadata say nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MetadataError {
    #[error("the metadata are not as they should be: {0}")]
    Xml(#[from] XmlError),
    #[error("the signature of the metadata does not hold: {0}")]
    Signature(#[from] SignatureError),
    #[error("the metadata are not signed, and certificates are pinned")]
    Unsigned,
    #[error("the metadata were good until {0}")]
    Expired(Timestamp),
    #[error("the metadata have a time that is none")]
    Time,
    #[error("the metadata have no identity provider{0}")]
    Entity(String),
    #[error("the metadata have {0} identity providers: say which one by its entity id")]
    Several(usize),
    #[error("the metadata have no certificate that can be used to verify signatures")]
    Keys,
    #[error("the metadata have no address to sign in at, over HTTPS")]
    Location,
}

/// An identity provider, as its metadata tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IdentityProvider {
    pub(crate) entity: String,
    pub(crate) keys: Vec<PublicKey>,
    /// Where requests are sent to.
    pub(crate) redirect: Option<String>,
    pub(crate) post: Option<String>,
    /// Where artifacts are resolved, by the number that they bear.
    pub(crate) artifacts: Vec<(u16, String)>,
    pub(crate) valid_until: Option<Timestamp>,
}

/// What is looked for in metadata.
pub(crate) struct Wanted<'w> {
    /// Which provider, where there are several.
    pub(crate) entity: Option<&'w str>,
    /// Who has to have signed them, where that is said.
    pub(crate) pinned: &'w [PublicKey],
    pub(crate) accepted: Accepted,
    pub(crate) now: Timestamp,
}

impl IdentityProvider {
    /// Reads metadata.
    ///
    /// # Errors
    /// Why they say nothing.
    pub(crate) fn read(bytes: &[u8], wanted: &Wanted<'_>) -> Result<IdentityProvider, MetadataError> {
        let text = text_of(bytes, METADATA_BYTES_MAX)?;
        let document = parse(text)?;
        let root = Element::root(&document)?;
        if wanted.pinned.is_empty() {
            return IdentityProvider::of_root(root, wanted);
        }
        let Some(Signed(text)) = verify(root, wanted.pinned, wanted.accepted)? else {
            return Err(MetadataError::Unsigned);
        };
        let document = parse(&text)?;
        IdentityProvider::of_root(Element::root(&document)?, wanted)
    }

    fn of_root(root: Element<'_>, wanted: &Wanted<'_>) -> Result<IdentityProvider, MetadataError> {
        let mut until = valid_until(root, wanted, None)?;
        if root.is(METADATA, "EntityDescriptor") {
            return IdentityProvider::of_entity(root, wanted, until);
        }
        if !root.is(METADATA, "EntitiesDescriptor") {
            return Err(XmlError::Missing("EntityDescriptor").into());
        }
        let is_provider = |entity: &Element<'_>| {
            let is_wanted = wanted.entity.is_none_or(|wanted| entity.attribute("entityID") == Some(wanted));
            is_wanted && entity.all(METADATA, "IDPSSODescriptor").next().is_some()
        };
        let found: Vec<Element<'_>> = root.all(METADATA, "EntityDescriptor").filter(is_provider).collect();
        match found[..] {
            [] => Err(no_entity(wanted)),
            [entity] => {
                until = valid_until(entity, wanted, until)?;
                IdentityProvider::of_entity(entity, wanted, until)
            }
            _ => Err(MetadataError::Several(found.len())),
        }
    }

    fn of_entity(
        entity: Element<'_>,
        wanted: &Wanted<'_>,
        until: Option<Timestamp>,
    ) -> Result<IdentityProvider, MetadataError> {
        let name = entity.attribute("entityID").ok_or_else(|| no_entity(wanted))?;
        if wanted.entity.is_some_and(|wanted| wanted != name) {
            return Err(no_entity(wanted));
        }
        let speaks = |role: &Element<'_>| {
            let protocols = role.attribute("protocolSupportEnumeration").unwrap_or_default();
            protocols.split_ascii_whitespace().any(|protocol| protocol == PROTOCOL)
        };
        let role = entity.all(METADATA, "IDPSSODescriptor").find(speaks).ok_or_else(|| no_entity(wanted))?;
        let valid_until = valid_until(role, wanted, until)?;
        let mut keys: Vec<PublicKey> = Vec::new();
        for descriptor in role.all(METADATA, "KeyDescriptor") {
            if descriptor.attribute("use").is_some_and(|usage| usage != "signing") {
                continue;
            }
            for data in descriptor.one(SIGNATURE, "KeyInfo")?.all(SIGNATURE, "X509Data") {
                for certificate in data.all(SIGNATURE, "X509Certificate") {
                    // One of a kind that is not known is of no use, and no hindrance to others.
                    keys.extend(
                        PublicKey::of_text(&certificate.text()?).ok().filter(|key| !keys.contains(key)),
                    );
                }
            }
        }
        if keys.is_empty() {
            return Err(MetadataError::Keys);
        }
        let location = |binding: &str| {
            let mut services = role.all(METADATA, "SingleSignOnService");
            let service = services.find(|service| service.attribute("Binding") == Some(binding))?;
            service.attribute("Location").filter(|location| is_provider_url(location)).map(str::to_owned)
        };
        let (redirect, post) = (location(REDIRECT), location(POST));
        if redirect.is_none() && post.is_none() {
            return Err(MetadataError::Location);
        }
        let artifacts = role.all(METADATA, "ArtifactResolutionService").filter_map(|service| {
            let index = service.attribute("index")?.parse().ok()?;
            let location = service.attribute("Location").filter(|location| is_provider_url(location))?;
            (service.attribute("Binding") == Some(SOAP)).then(|| (index, location.to_owned()))
        });
        let artifacts = artifacts.collect();
        Ok(IdentityProvider { entity: name.to_owned(), keys, redirect, post, artifacts, valid_until })
    }
}

fn no_entity(wanted: &Wanted<'_>) -> MetadataError {
    MetadataError::Entity(wanted.entity.map(|entity| format!(" `{entity}`")).unwrap_or_default())
}

/// The earlier end of an element and what it stands in.
fn valid_until(
    element: Element<'_>,
    wanted: &Wanted<'_>,
    outer: Option<Timestamp>,
) -> Result<Option<Timestamp>, MetadataError> {
    let own = element.attribute("validUntil").map(|until| instant(until, "validUntil")).transpose();
    let own = own.map_err(|_: Refused| MetadataError::Time)?;
    if let Some(until) = own.filter(|until| *until <= wanted.now) {
        return Err(MetadataError::Expired(until));
    }
    Ok(match (own, outer) {
        (Some(own), Some(outer)) => Some(own.min(outer)),
        (own, outer) => own.or(outer),
    })
}

/// The service provider, as it tells of itself.
pub(crate) struct ServiceProvider<'s> {
    pub(crate) entity: &'s str,
    /// Where it takes answers, by every binding.
    pub(crate) consumer: &'s str,
    /// The form of names that it asks for.
    pub(crate) name_format: &'s str,
    pub(crate) takes_artifacts: bool,
    pub(crate) credential: &'s Credential,
}

impl ServiceProvider<'_> {
    /// Its metadata, signed.
    ///
    /// # Errors
    /// When they cannot be signed.
    pub(crate) fn write(&self, id: &str) -> Result<String, SignatureError> {
        let certificate = STANDARD.encode(&self.credential.certificate);
        let key = |usage: &str, methods: &str| {
            format!(
                "<md:KeyDescriptor use=\"{usage}\"><ds:KeyInfo xmlns:ds=\"{SIGNATURE}\"><ds:X509Data>\
                 <ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>{methods}\
                 </md:KeyDescriptor>"
            )
        };
        // What it decrypts, in the order in which it likes it.
        let methods: String = [
            "http://www.w3.org/2009/xmlenc11#aes256-gcm",
            "http://www.w3.org/2009/xmlenc11#aes128-gcm",
            "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p",
        ]
        .iter()
        .map(|method| format!("<md:EncryptionMethod Algorithm=\"{method}\"></md:EncryptionMethod>"))
        .collect();
        let consumer = |index: u8, binding: &str| {
            let default = if index == 0 { " isDefault=\"true\"" } else { "" };
            format!(
                "<md:AssertionConsumerService Binding=\"{binding}\" Location=\"{}\" index=\"{index}\"{default}>\
                 </md:AssertionConsumerService>",
                escape(self.consumer),
            )
        };
        let artifact = if self.takes_artifacts { consumer(1, ARTIFACT) } else { String::new() };
        let before = format!(
            "<md:EntityDescriptor xmlns:md=\"{METADATA}\" ID=\"{}\" entityID=\"{}\">",
            escape(id),
            escape(self.entity),
        );
        let after = format!(
            "<md:SPSSODescriptor AuthnRequestsSigned=\"true\" WantAssertionsSigned=\"true\" \
             protocolSupportEnumeration=\"{PROTOCOL}\">{}{}<md:NameIDFormat>{}</md:NameIDFormat>{}{artifact}\
             </md:SPSSODescriptor></md:EntityDescriptor>",
            key("signing", ""),
            key("encryption", &methods),
            escape(self.name_format),
            consumer(0, POST),
        );
        sign(&before, &after, self.credential)
    }
}
