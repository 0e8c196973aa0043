//! What an identity provider answers, checked: bytes in, an assertion that may be believed out.
//!
//! Pure: it knows keys, names and a time, and does no IO. Whether the assertion was used before is asked by whoever keeps it. The order
//! matters: what a signature covers is found first, and everything else is read from that text alone.

use std::collections::BTreeMap;
use std::time::Duration;

use mainstay_lang::value::Timestamp;

use super::encryption::{Within, decrypt};
use super::keys::{Credential, PublicKey};
use super::refused::Refused;
use super::signature::{Accepted, Signed, verify};
use super::time::{instant, is_at_or_after, is_before};
use super::xml::{ASSERTION, Element, MESSAGE_BYTES_MAX, PROTOCOL, parse, text_of};

const SUCCESS: &str = "urn:oasis:names:tc:SAML:2.0:status:Success";
const BEARER: &str = "urn:oasis:names:tc:SAML:2.0:cm:bearer";
const ENTITY: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity";

/// Values that attributes have at most, all together.
const VALUES_MAX: usize = 1000;

/// What an answer is held against.
pub(crate) struct Expected<'e> {
    /// The provider's name, and the keys that it signs with.
    pub(crate) issuer: &'e str,
    pub(crate) keys: &'e [PublicKey],
    pub(crate) accepted: Accepted,
    /// The service provider's name, where it takes answers, and its key.
    pub(crate) audience: &'e str,
    pub(crate) recipient: &'e str,
    pub(crate) credential: &'e Credential,
    /// How the answer came.
    pub(crate) way: Way,
    /// The request that was sent; none: the provider may begin by itself.
    pub(crate) request: Option<&'e str>,
    /// Somebody has to have signed in there after this.
    pub(crate) signed_in_after: Option<Timestamp>,
    /// How they may have signed in; none: in any way.
    pub(crate) contexts: &'e [String],
    pub(crate) now: Timestamp,
    /// By how much clocks may differ.
    pub(crate) skew: Duration,
}

/// How an answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// By the browser, whole.
    Post,
    /// From the provider, for an artifact.
    Artifact,
}

/// Who somebody is to the provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NameId {
    pub(crate) value: String,
    pub(crate) format: Option<String>,
}

/// What may be believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Assertion {
    pub(crate) id: String,
    pub(crate) name_id: Option<NameId>,
    /// By `Name`.
    pub(crate) attributes: BTreeMap<String, Vec<String>>,
    /// How somebody has signed in.
    pub(crate) context: Option<String>,
    pub(crate) signed_in: Timestamp,
    /// When the provider wants the session to end.
    pub(crate) session_ends: Option<Timestamp>,
    /// Until when it could be used again, clocks included.
    pub(crate) good_until: Timestamp,
}

/// Reads an answer as it came by HTTP-POST.
///
/// # Errors
/// Why it is not believed.
pub(crate) fn read(bytes: &[u8], expected: &Expected<'_>) -> Result<Assertion, Refused> {
    let document = parse(text_of(bytes, MESSAGE_BYTES_MAX)?)?;
    let root = Element::root(&document)?;
    match root.is(PROTOCOL, "Response") {
        true => response_of(root, expected, Within::Anything),
        false => Err(Refused::NotAResponse),
    }
}

/// Looks at a response as its own signature covers it, or at what it stands in.
pub(crate) fn response_of(
    found: Element<'_>,
    expected: &Expected<'_>,
    within: Within,
) -> Result<Assertion, Refused> {
    let Some(Signed(text)) = verify(found, expected.keys, expected.accepted)? else {
        return response(found, expected, within);
    };
    let document = parse(&text)?;
    let root = Element::root(&document)?;
    // Whoever signs the whole and gives it to a browser says for whom it is (SAML bindings, 3.5.5.2).
    if expected.way == Way::Post && root.attribute("Destination").is_none() {
        return Err(Refused::Destination);
    }
    response(root, expected, Within::Verified)
}

fn response(root: Element<'_>, expected: &Expected<'_>, within: Within) -> Result<Assertion, Refused> {
    version(root)?;
    if let Some(issuer) = root.one_or_none(ASSERTION, "Issuer")? {
        is_issuer(issuer, expected)?;
    }
    if root.attribute("Destination").is_some_and(|destination| destination != expected.recipient) {
        return Err(Refused::Destination);
    }
    is_answer(root.attribute("InResponseTo"), expected)?;
    is_success(root)?;
    // One at any depth, so that there is no second one for anybody to look at.
    let count = root.count_within(ASSERTION, "Assertion");
    let encrypted_count = root.count_within(ASSERTION, "EncryptedAssertion");
    if count + encrypted_count != 1 {
        return Err(Refused::Assertions(count + encrypted_count));
    }
    if let Some(assertion) = root.one_or_none(ASSERTION, "Assertion")? {
        return signed_assertion(assertion, expected, within);
    }
    let Some(encrypted) = root.one_or_none(ASSERTION, "EncryptedAssertion")? else {
        return Err(Refused::Assertions(0));
    };
    let text = decrypt(encrypted, expected.credential, within)?;
    let document = parse(&text)?;
    let assertion = Element::root(&document)?;
    if !assertion.is(ASSERTION, "Assertion") || assertion.count_within(ASSERTION, "Assertion") > 0 {
        return Err(Refused::Assertions(0));
    }
    signed_assertion(assertion, expected, within)
}

/// Looks at the assertion as its own signature covers it, or as that of the response has.
fn signed_assertion(
    found: Element<'_>,
    expected: &Expected<'_>,
    within: Within,
) -> Result<Assertion, Refused> {
    match (verify(found, expected.keys, expected.accepted)?, within) {
        (Some(Signed(text)), _) => {
            let document = parse(&text)?;
            assertion(Element::root(&document)?, expected)
        }
        (None, Within::Verified) => assertion(found, expected),
        (None, Within::Anything) => Err(Refused::Unsigned),
    }
}

fn version(element: Element<'_>) -> Result<(), Refused> {
    match element.attribute("Version") {
        Some("2.0") => Ok(()),
        _ => Err(Refused::Version),
    }
}

pub(crate) fn is_issuer(issuer: Element<'_>, expected: &Expected<'_>) -> Result<(), Refused> {
    let is_entity = issuer.attribute("Format").is_none_or(|format| format == ENTITY);
    match is_entity && issuer.text()? == expected.issuer {
        true => Ok(()),
        false => Err(Refused::Issuer),
    }
}

fn is_answer(said: Option<&str>, expected: &Expected<'_>) -> Result<(), Refused> {
    match (said, expected.request) {
        (Some(said), Some(request)) if said == request => Ok(()),
        (None, None) => Ok(()),
        _ => Err(Refused::Request),
    }
}

pub(crate) fn is_success(root: Element<'_>) -> Result<(), Refused> {
    let status = root.one(PROTOCOL, "Status")?.one(PROTOCOL, "StatusCode")?;
    let code = status.attribute("Value").unwrap_or_default();
    if code == SUCCESS {
        return Ok(());
    }
    let inner = status.one_or_none(PROTOCOL, "StatusCode")?.and_then(|inner| inner.attribute("Value"));
    Err(Refused::status(code, inner))
}

fn assertion(assertion: Element<'_>, expected: &Expected<'_>) -> Result<Assertion, Refused> {
    version(assertion)?;
    let id = assertion.attribute("ID").filter(|id| !id.is_empty()).ok_or(Refused::Version)?;
    is_issuer(assertion.one(ASSERTION, "Issuer")?, expected)?;
    let subject = assertion.one(ASSERTION, "Subject")?;
    let confirmed_until = confirmed(subject, expected)?;
    let conditions_until = conditions(assertion.one(ASSERTION, "Conditions")?, expected)?;
    let statement = signed_in(assertion, expected)?;
    let until = conditions_until.map_or(confirmed_until, |until| until.max(confirmed_until));
    Ok(Assertion {
        id: id.to_owned(),
        name_id: name_id(subject)?,
        attributes: attributes(assertion)?,
        context: statement.context,
        signed_in: statement.at,
        session_ends: statement.ends,
        good_until: crate::desk::later(until, expected.skew),
    })
}

fn name_id(subject: Element<'_>) -> Result<Option<NameId>, Refused> {
    if subject.one_or_none(ASSERTION, "EncryptedID")?.is_some() {
        return Err(Refused::EncryptedId);
    }
    let Some(name_id) = subject.one_or_none(ASSERTION, "NameID")? else { return Ok(None) };
    let value = name_id.text()?;
    let format = name_id.attribute("Format").map(str::to_owned);
    Ok(Some(NameId { value, format }).filter(|name_id| !name_id.value.is_empty()))
}

/// Until when somebody may show the assertion: the end of the first confirmation that holds.
fn confirmed(subject: Element<'_>, expected: &Expected<'_>) -> Result<Timestamp, Refused> {
    let mut refused = Refused::Confirmation;
    for confirmation in subject.all(ASSERTION, "SubjectConfirmation") {
        if confirmation.attribute("Method") != Some(BEARER) {
            continue;
        }
        match bearer(confirmation, expected) {
            Ok(until) => return Ok(until),
            Err(why) => refused = why,
        }
    }
    Err(refused)
}

/// SAML profiles, 4.1.4.2 and 4.1.4.3.
fn bearer(confirmation: Element<'_>, expected: &Expected<'_>) -> Result<Timestamp, Refused> {
    let data = confirmation.one(ASSERTION, "SubjectConfirmationData")?;
    if data.attribute("Recipient") != Some(expected.recipient) {
        return Err(Refused::Recipient);
    }
    is_answer(data.attribute("InResponseTo"), expected)?;
    let until = data.attribute("NotOnOrAfter").ok_or(Refused::Confirmation)?;
    let until = instant(until, "NotOnOrAfter")?;
    if is_at_or_after(expected.now, until, expected.skew) {
        return Err(Refused::Expired);
    }
    not_before(data, expected)?;
    Ok(until)
}

fn not_before(element: Element<'_>, expected: &Expected<'_>) -> Result<(), Refused> {
    let Some(begins) = element.attribute("NotBefore") else { return Ok(()) };
    match is_before(expected.now, instant(begins, "NotBefore")?, expected.skew) {
        true => Err(Refused::Early),
        false => Ok(()),
    }
}

fn conditions(conditions: Element<'_>, expected: &Expected<'_>) -> Result<Option<Timestamp>, Refused> {
    not_before(conditions, expected)?;
    let until =
        conditions.attribute("NotOnOrAfter").map(|until| instant(until, "NotOnOrAfter")).transpose()?;
    if until.is_some_and(|until| is_at_or_after(expected.now, until, expected.skew)) {
        return Err(Refused::Expired);
    }
    let mut is_restricted = false;
    for condition in conditions.elements() {
        if condition.is(ASSERTION, "AudienceRestriction") {
            // Each restriction has to hold, by one of its audiences.
            let mut audiences = condition.all(ASSERTION, "Audience");
            if !audiences.any(|audience| audience.text().is_ok_and(|text| text == expected.audience)) {
                return Err(Refused::Audience);
            }
            is_restricted = true;
        } else if !condition.is(ASSERTION, "OneTimeUse") && !condition.is(ASSERTION, "ProxyRestriction") {
            // What is not understood is not known to hold (SAML core, 2.5.1.1).
            return Err(Refused::Condition);
        }
    }
    if is_restricted { Ok(until) } else { Err(Refused::Audience) }
}

struct Statement {
    at: Timestamp,
    ends: Option<Timestamp>,
    context: Option<String>,
}

/// How and when somebody has signed in at the provider.
fn signed_in(assertion: Element<'_>, expected: &Expected<'_>) -> Result<Statement, Refused> {
    let statement = assertion.all(ASSERTION, "AuthnStatement").next().ok_or(Refused::Statement)?;
    let at = instant(statement.attribute("AuthnInstant").ok_or(Refused::Statement)?, "AuthnInstant")?;
    if is_before(expected.now, at, expected.skew) {
        return Err(Refused::Early);
    }
    if expected.signed_in_after.is_some_and(|after| is_before(at, after, expected.skew)) {
        return Err(Refused::NotAnew);
    }
    let ends = statement.attribute("SessionNotOnOrAfter");
    let ends = ends.map(|ends| instant(ends, "SessionNotOnOrAfter")).transpose()?;
    if ends.is_some_and(|ends| is_at_or_after(expected.now, ends, expected.skew)) {
        return Err(Refused::Expired);
    }
    let context = statement.one_or_none(ASSERTION, "AuthnContext")?;
    let class = context.map(|context| context.one_or_none(ASSERTION, "AuthnContextClassRef")).transpose()?;
    let context = class.flatten().map(Element::text).transpose()?;
    let is_enough = expected.contexts.is_empty()
        || context.as_ref().is_some_and(|context| expected.contexts.contains(context));
    if is_enough { Ok(Statement { at, ends, context }) } else { Err(Refused::Context) }
}

fn attributes(assertion: Element<'_>) -> Result<BTreeMap<String, Vec<String>>, Refused> {
    let mut attributes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut count = 0;
    for attribute in assertion
        .all(ASSERTION, "AttributeStatement")
        .flat_map(|statement| statement.all(ASSERTION, "Attribute"))
    {
        let Some(name) = attribute.attribute("Name") else { continue };
        for value in attribute.all(ASSERTION, "AttributeValue") {
            count += 1;
            // A value that has structure of its own is nothing that is looked for here.
            let Ok(text) = value.text() else { continue };
            if count > VALUES_MAX {
                return Err(Refused::TooManyValues);
            }
            attributes.entry(name.to_owned()).or_default().push(text);
        }
    }
    Ok(attributes)
}
