//! Signatures in XML (XML Signature 1.1), in the one form that SAML allows (SAML core, 5.4), verified and made.
//!
//! An element is signed by a `<Signature>` directly in it, with a single reference, to that element, by the enveloped-signature
//! transform and exclusive canonicalization. Everything else that the standard knows is refused before anything is computed: other
//! references, transforms and keys in the message, which may name files, addresses and programs. `KeyInfo` is never read.
//!
//! What is verified comes out as text: the canonical bytes that the digest was made of. Whoever goes on reads *that*, never the
//! message again, so whatever else was wrapped around, moved or hidden in it is not there any more.

use aws_lc_rs::{constant_time, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bergshamra_c14n::{C14nMode, canonicalize_doc};
use bergshamra_xml::NodeSet;
use uppsala::Document;

use super::keys::{Algorithm, Credential, PublicKey};
use super::xml::{EXCLUSIVE, Element, SIGNATURE, XmlError, escape, parse};

const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
const EXCLUSIVE_WITH_COMMENTS: &str = "http://www.w3.org/2001/10/xml-exc-c14n#WithComments";

/// Prefixes that a list for canonicalization has at most.
const PREFIXES_MAX: usize = 32;

/// Why a signature is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SignatureError {
    #[error("{0}")]
    Xml(#[from] XmlError),
    #[error(
        "its {0} is not as SAML allows: a single reference to the element, enveloped, by exclusive canonicalization"
    )]
    Form(&'static str),
    #[error("`{0}` is not accepted as its algorithm")]
    Algorithm(String),
    #[error("what it covers was changed")]
    Digest,
    #[error("it was made by none of the keys that are known of the provider")]
    Key,
}

/// What was verified: the canonical text of an element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signed(pub(crate) String);

/// Whether algorithms of old are accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Accepted {
    /// SHA-256 and longer.
    #[default]
    Current,
    /// SHA-1 too, which can be forged with effort.
    Sha1,
}

/// Verifies the signature of an element, if it has one.
///
/// # Errors
/// When it has one that is not as it should be, or more than one.
pub(crate) fn verify(
    element: Element<'_>,
    keys: &[PublicKey],
    accepted: Accepted,
) -> Result<Option<Signed>, SignatureError> {
    let Some(signature) = element.one_or_none(SIGNATURE, "Signature")? else { return Ok(None) };
    let id = element.attribute("ID").filter(|id| !id.is_empty()).ok_or(SignatureError::Form("reference"))?;
    let info = signature.one(SIGNATURE, "SignedInfo")?;
    only(signature, &["SignedInfo", "SignatureValue", "KeyInfo"], "content")?;
    only(info, &["CanonicalizationMethod", "SignatureMethod", "Reference"], "SignedInfo")?;

    let info_prefixes = prefixes(info.one(SIGNATURE, "CanonicalizationMethod")?)?;
    let method = algorithm(info.one(SIGNATURE, "SignatureMethod")?)?;
    let method = Algorithm::of_uri(method, accepted)
        .ok_or_else(|| SignatureError::Algorithm(method.chars().take(120).collect()))?;

    let reference = info.one(SIGNATURE, "Reference")?;
    only(reference, &["Transforms", "DigestMethod", "DigestValue"], "reference")?;
    if reference.attribute("URI").and_then(|uri| uri.strip_prefix('#')) != Some(id) {
        return Err(SignatureError::Form("reference"));
    }
    let prefixes_of_element = transforms(reference.one(SIGNATURE, "Transforms")?)?;
    let digest_of = algorithm(reference.one(SIGNATURE, "DigestMethod")?)?;
    let digest_of = digest_algorithm(digest_of, accepted)
        .ok_or_else(|| SignatureError::Algorithm(digest_of.chars().take(120).collect()))?;

    let covered = canonical(element, Some(signature), &prefixes_of_element)?;
    let said = decoded(reference.one(SIGNATURE, "DigestValue")?, "digest")?;
    let made = digest::digest(digest_of, covered.as_bytes());
    if constant_time::verify_slices_are_equal(made.as_ref(), &said).is_err() {
        return Err(SignatureError::Digest);
    }
    let info = canonical(info, None, &info_prefixes)?;
    let value = decoded(signature.one(SIGNATURE, "SignatureValue")?, "value")?;
    match keys.iter().any(|key| key.verifies(method, info.as_bytes(), &value)) {
        true => Ok(Some(Signed(covered))),
        false => Err(SignatureError::Key),
    }
}

/// Refuses elements that have no business there.
fn only(element: Element<'_>, names: &[&str], place: &'static str) -> Result<(), SignatureError> {
    match element.elements().all(|child| names.iter().any(|name| child.is(SIGNATURE, name))) {
        true => Ok(()),
        false => Err(SignatureError::Form(place)),
    }
}

fn algorithm<'t>(element: Element<'t>) -> Result<&'t str, SignatureError> {
    element.attribute("Algorithm").ok_or(SignatureError::Form("algorithm"))
}

/// The list of prefixes of an exclusive canonicalization.
fn prefixes(element: Element<'_>) -> Result<Vec<String>, SignatureError> {
    let algorithm = algorithm(element)?;
    // There are no comments, so both are the same.
    if algorithm != EXCLUSIVE && algorithm != EXCLUSIVE_WITH_COMMENTS {
        return Err(SignatureError::Algorithm(algorithm.chars().take(120).collect()));
    }
    if !element.elements().all(|child| child.is(EXCLUSIVE, "InclusiveNamespaces")) {
        return Err(SignatureError::Form("canonicalization"));
    }
    let list = element.one_or_none(EXCLUSIVE, "InclusiveNamespaces")?;
    let list = list.and_then(|list| list.attribute("PrefixList")).unwrap_or_default();
    let list: Vec<String> = list.split_whitespace().map(str::to_owned).collect();
    match list.len() <= PREFIXES_MAX {
        true => Ok(list),
        false => Err(SignatureError::Form("canonicalization")),
    }
}

/// The transforms have to be these two, in this order.
fn transforms(transforms: Element<'_>) -> Result<Vec<String>, SignatureError> {
    let all: Vec<Element<'_>> = transforms.elements().collect();
    let [enveloped, exclusive] = all[..] else { return Err(SignatureError::Form("list of transforms")) };
    let are_transforms = all.iter().all(|transform| transform.is(SIGNATURE, "Transform"));
    let is_enveloped =
        enveloped.attribute("Algorithm") == Some(ENVELOPED) && enveloped.elements().count() == 0;
    match are_transforms && is_enveloped {
        true => prefixes(exclusive),
        false => Err(SignatureError::Form("list of transforms")),
    }
}

fn digest_algorithm(uri: &str, accepted: Accepted) -> Option<&'static digest::Algorithm> {
    match uri {
        "http://www.w3.org/2001/04/xmlenc#sha256" => Some(&digest::SHA256),
        "http://www.w3.org/2001/04/xmldsig-more#sha384" => Some(&digest::SHA384),
        "http://www.w3.org/2001/04/xmlenc#sha512" => Some(&digest::SHA512),
        "http://www.w3.org/2000/09/xmldsig#sha1" if accepted == Accepted::Sha1 => {
            Some(&digest::SHA1_FOR_LEGACY_USE_ONLY)
        }
        _ => None,
    }
}

/// Bytes that are written in base 64, with whatever space in it.
pub(crate) fn decoded(element: Element<'_>, what: &'static str) -> Result<Vec<u8>, SignatureError> {
    let text: String = element.text()?.split_ascii_whitespace().collect();
    STANDARD.decode(text).map_err(|_| SignatureError::Form(what))
}

/// The canonical text of an element, without a signature in it.
fn canonical(
    element: Element<'_>,
    without: Option<Element<'_>>,
    prefixes: &[String],
) -> Result<String, SignatureError> {
    let document: &Document<'_> = element.document;
    let mut nodes = NodeSet::tree_without_comments(element.id, document);
    if let Some(without) = without {
        nodes.remove_id(without.id);
        for id in document.descendants(without.id) {
            nodes.remove_id(id);
        }
    }
    let bytes = canonicalize_doc(document, C14nMode::Exclusive, Some(&nodes), prefixes);
    let bytes = bytes.map_err(|_| SignatureError::Form("canonical form"))?;
    String::from_utf8(bytes).map_err(|_| SignatureError::Form("canonical form"))
}

/// Signs a message: text whose outermost element has an `ID`, in two parts between which the signature goes.
///
/// # Errors
/// When the message is not well-formed, or the key does not sign: a fault of whoever wrote it.
pub(crate) fn sign(before: &str, after: &str, credential: &Credential) -> Result<String, SignatureError> {
    let unsigned = format!("{before}{after}");
    let document = parse(&unsigned)?;
    let root = Element::root(&document)?;
    let id = root.attribute("ID").ok_or(SignatureError::Form("reference"))?;
    let covered = canonical(root, None, &[])?;
    let digest = STANDARD.encode(digest::digest(&digest::SHA256, covered.as_bytes()));
    // This is its own canonical form, as it is written: no two readings of it.
    let info = format!(
        "<ds:SignedInfo xmlns:ds=\"{SIGNATURE}\">\
         <ds:CanonicalizationMethod Algorithm=\"{EXCLUSIVE}\"></ds:CanonicalizationMethod>\
         <ds:SignatureMethod Algorithm=\"{}\"></ds:SignatureMethod>\
         <ds:Reference URI=\"#{}\"><ds:Transforms>\
         <ds:Transform Algorithm=\"{ENVELOPED}\"></ds:Transform>\
         <ds:Transform Algorithm=\"{EXCLUSIVE}\"></ds:Transform></ds:Transforms>\
         <ds:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"></ds:DigestMethod>\
         <ds:DigestValue>{digest}</ds:DigestValue></ds:Reference></ds:SignedInfo>",
        Algorithm::SIGNS.uri(),
        escape(id),
    );
    let value = credential.sign(info.as_bytes()).map_err(|_| SignatureError::Key)?;
    let value = STANDARD.encode(value);
    let certificate = STANDARD.encode(&credential.certificate);
    Ok(format!(
        "{before}<ds:Signature xmlns:ds=\"{SIGNATURE}\">{info}<ds:SignatureValue>{value}</ds:SignatureValue>\
         <ds:KeyInfo><ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>\
         </ds:Signature>{after}"
    ))
}
