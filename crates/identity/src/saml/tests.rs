//! What is believed, and what is not: each case a message that differs in one thing from one that is.

use super::artifact::{Artifact, artifact_resolve, read_resolved};
use super::forge::{
    ACS, ASSERTION, Cipher, IDP, KEYS, RESPONSE, SP, around, encrypted, expected, now, signed, signed_whole,
    unsigned, with_assertion,
};
use super::message::{Asked, AuthnRequest, Comparison};
use super::metadata::{IdentityProvider, MetadataError, POST, ServiceProvider, Wanted};
use super::refused::Refused;
use super::response::{Expected, Way, read};
use super::signature::{Accepted, verify};
use super::xml::{Element, parse};

#[track_caller]
fn believed(text: &str, expected: &Expected<'_>) {
    let assertion = read(text.as_bytes(), expected).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(assertion.name_id.map(|name| name.value).as_deref(), Some("ann"));
    assert_eq!(assertion.attributes["mail"], ["ann@example.com"]);
    assert_eq!(assertion.good_until.to_string(), "2026-01-31T10:06:00.000000Z");
    assert_eq!(
        assertion.session_ends.map(|at| at.to_string()).as_deref(),
        Some("2026-01-31T18:00:00.000000Z")
    );
}

#[track_caller]
fn refused(text: &str, expected: &Expected<'_>, key: &str) {
    match read(text.as_bytes(), expected) {
        Err(error) => assert_eq!(error.key(), key, "{error}: {text}"),
        Ok(assertion) => panic!("it is believed: {assertion:?}"),
    }
}

#[test]
fn what_the_provider_has_signed_is_believed() {
    believed(&with_assertion("", ""), &expected());
    believed(&signed_whole("", ""), &expected());
    let both = RESPONSE.replace('%', &signed(ASSERTION, &KEYS.idp));
    believed(&signed(&both, &KEYS.idp), &expected());
    // Space between elements and another declaration of the namespace change nothing.
    believed(&format!("<?xml version=\"1.0\"?>\n{}\n", with_assertion("", "")), &expected());
    for cipher in [Cipher::Gcm, Cipher::Cbc] {
        let inner = encrypted(&unsigned(ASSERTION), &KEYS.sp, cipher);
        believed(&signed(&RESPONSE.replace('%', &inner), &KEYS.idp), &expected());
    }
    believed(&around(&encrypted(&signed(ASSERTION, &KEYS.idp), &KEYS.sp, Cipher::Gcm)), &expected());
}

#[test]
fn a_signature_is_the_providers_and_covers_what_is_there() {
    let check = |text: &str, key: &str| refused(text, &expected(), key);
    check(&around(&unsigned(ASSERTION)), "unsigned");
    check(&around(&signed(ASSERTION, &KEYS.other)), "signature");
    check(&signed(&RESPONSE.replace('%', &unsigned(ASSERTION)), &KEYS.other), "signature");
    check(&with_assertion("", "").replace(">ann<", ">bob<"), "signature");
    check(&with_assertion("", "").replace("ann@example.com", "bob@example.com"), "signature");
    check(&signed_whole("", "").replace(">ann<", ">bob<"), "signature");
    // One that holds does not stand for one that does not.
    let both = RESPONSE.replace('%', &signed(ASSERTION, &KEYS.other));
    check(&signed(&both, &KEYS.idp), "signature");
    let text = with_assertion("", "");
    let sha1 = "http://www.w3.org/2000/09/xmldsig#rsa-sha1";
    check(&text.replace("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", sha1), "algorithm");
    let hmac = "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256";
    check(&text.replace("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", hmac), "algorithm");
    let digest = "http://www.w3.org/2000/09/xmldsig#sha1";
    check(&text.replace("http://www.w3.org/2001/04/xmlenc#sha256", digest), "algorithm");
    let inclusive = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315";
    check(&text.replace("http://www.w3.org/2001/10/xml-exc-c14n#", inclusive), "algorithm");
    check(&text.replace("#_assertion\"", "\""), "signature");
    check(&text.replace("#_assertion\"", "file:///etc/passwd\""), "signature");
    let twice = "<ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xslt-19991116\"></ds:Transform></ds:Transforms>";
    check(&text.replace("</ds:Transforms>", twice), "signature");
    let from = text.find("<ds:Reference").unwrap();
    let to = text.find("</ds:SignedInfo>").unwrap();
    check(&text.replace("</ds:SignedInfo>", &format!("{}</ds:SignedInfo>", &text[from..to])), "signature");
    check(&format!("{}{}", &text[..from], &text[to..]), "signature");
}

#[test]
fn sha_1_is_accepted_where_that_is_said_and_nowhere_else() {
    let sha1 = Expected { accepted: Accepted::Sha1, ..expected() };
    believed(&with_assertion("", ""), &sha1);
    let text = with_assertion("", "").replace(
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
        "http://www.w3.org/2000/09/xmldsig#rsa-sha1",
    );
    refused(&text, &sha1, "signature");
}

#[test]
fn what_a_message_says_of_itself_has_to_fit() {
    let check = |from: &str, to: &str, key: &str| refused(&with_assertion(from, to), &expected(), key);
    check("<saml:Issuer>https://idp.example/saml<", "<saml:Issuer>https://evil.example<", "issuer");
    check("metadata</saml:Audience>", "other</saml:Audience>", "audience");
    check(
        "<saml:AudienceRestriction>",
        "<saml:AudienceRestriction><saml:Audience>x</saml:Audience></saml:AudienceRestriction><saml:AudienceRestriction>",
        "audience",
    );
    check(
        "Recipient=\"https://shop.example/auth/saml/school/acs\"",
        "Recipient=\"https://evil.example/acs\"",
        "recipient",
    );
    check(" Recipient=\"https://shop.example/auth/saml/school/acs\"", "", "recipient");
    check("InResponseTo=\"_request\"", "InResponseTo=\"_other\"", "request");
    check("InResponseTo=\"_request\" ", "", "request");
    check(
        "NotOnOrAfter=\"2026-01-31T10:05:00Z\" Recipient",
        "NotOnOrAfter=\"2026-01-31T09:59:00Z\" Recipient",
        "expired",
    );
    check("NotOnOrAfter=\"2026-01-31T10:05:00Z\" Recipient", "Recipient", "statement");
    check(
        "NotOnOrAfter=\"2026-01-31T10:05:00Z\"><saml:Aud",
        "NotOnOrAfter=\"2026-01-31T09:59:00Z\"><saml:Aud",
        "expired",
    );
    check("NotBefore=\"2026-01-31T09:59:00Z\"", "NotBefore=\"2026-01-31T10:01:01Z\"", "early");
    check("NotBefore=\"2026-01-31T09:59:00Z\"", "NotBefore=\"yesterday\"", "statement");
    check("AuthnInstant=\"2026-01-31T09:58:00Z\"", "AuthnInstant=\"2026-01-31T10:02:00Z\"", "early");
    check(
        "SessionNotOnOrAfter=\"2026-01-31T18:00:00Z\"",
        "SessionNotOnOrAfter=\"2026-01-31T09:00:00Z\"",
        "expired",
    );
    check("cm:bearer", "cm:holder-of-key", "statement");
    check("Version=\"2.0\"", "Version=\"1.1\"", "message");
    check("<saml:AudienceRestriction>", "<saml:Condition/><saml:AudienceRestriction>", "statement");
    check("Conditions", "Advice", "message");
    let whole = |from: &str, to: &str, key: &str| refused(&signed_whole(from, to), &expected(), key);
    whole(
        "Destination=\"https://shop.example/auth/saml/school/acs\"",
        "Destination=\"https://evil.example/acs\"",
        "destination",
    );
    whole(" Destination=\"https://shop.example/auth/saml/school/acs\"", "", "destination");
    whole("InResponseTo=\"_request\"><saml:Issuer", "><saml:Issuer", "request");
    whole("status:Success", "status:Responder", "status");
    let denied = "status:Responder\"><samlp:StatusCode Value=\"urn:oasis:names:tc:SAML:2.0:status:AuthnFailed\"/></samlp:StatusCode><!-";
    let denied = denied.trim_end_matches("<!-");
    let text = unsigned(RESPONSE).replace("status:Success\"/>", denied).replace('%', "");
    let error = read(text.as_bytes(), &expected()).unwrap_err();
    assert_eq!(error, Refused::Status("signing in there has failed or was given up"));
    refused(&with_assertion("", ""), &Expected { request: None, ..expected() }, "request");
    let other = ["urn:oasis:names:tc:SAML:2.0:ac:classes:MobileTwoFactorContract".to_owned()];
    refused(&with_assertion("", ""), &Expected { contexts: &other, ..expected() }, "context");
    refused(&with_assertion("", ""), &Expected { signed_in_after: Some(now()), ..expected() }, "context");
}

/// The eight ways to wrap a signature (Somorovsky and others, 2012), as tools try them.
#[test]
fn what_is_wrapped_around_a_signed_part_is_not_read() {
    let evil = unsigned(ASSERTION).replace(">ann<", ">evil<").replace("_assertion", "_evil");
    let original = signed(ASSERTION, &KEYS.idp);
    let (start, end) =
        (original.find("<ds:Signature ").unwrap(), original.find("</ds:Signature>").unwrap() + 15);
    let signature = &original[start..end];
    let bare = unsigned(ASSERTION);
    let within =
        |text: &str, inner: &str| text.replace("</ds:Signature>", &format!("{inner}</ds:Signature>"));
    let evil_with =
        |signature: &str| evil.replacen("</saml:Issuer>", &format!("</saml:Issuer>{signature}"), 1);

    let whole = signed(&RESPONSE.replace('%', &bare), &KEYS.idp);
    let (s, e) = (whole.find("<ds:Signature ").unwrap(), whole.find("</ds:Signature>").unwrap() + 15);
    let (whole_signature, whole_bare) = (&whole[s..e], format!("{}{}", &whole[..s], &whole[e..]));
    let evil_response = |signature: &str| {
        let response = around(&evil).replace("_response", "_evilresponse");
        response.replacen("</saml:Issuer>", &format!("</saml:Issuer>{signature}"), 1)
    };
    let wrapped = [
        evil_response(&within(whole_signature, &whole_bare)),
        evil_response(&format!("{whole_bare}{whole_signature}")),
        around(&format!("{evil}{original}")),
        around(&evil.replace("</saml:Assertion>", &format!("{original}</saml:Assertion>"))),
        around(&format!("{}{bare}", evil_with(signature))),
        around(&evil_with(&within(signature, &bare))),
        around(&original).replacen(
            "<samlp:Status>",
            &format!("<samlp:Extensions>{evil}</samlp:Extensions><samlp:Status>"),
            1,
        ),
        around(&evil_with(&within(signature, &format!("<ds:Object>{bare}</ds:Object>")))),
        // And some more: an identifier twice, and the signed part in another element.
        around(&format!("{}{original}", evil.replace("_evil", "_assertion"))),
        around(&format!("{evil}<saml:Advice>{original}</saml:Advice>")),
        around(&format!("{original}{}", encrypted(&evil, &KEYS.sp, Cipher::Gcm))),
    ];
    for (number, text) in wrapped.iter().enumerate() {
        parse(text)
            .map(drop)
            .or_else(|error| match error {
                super::xml::XmlError::DuplicateId(_) => Ok(()),
                error => Err(error),
            })
            .unwrap();
        assert!(read(text.as_bytes(), &expected()).is_err(), "{}", number + 1);
    }
}

#[test]
fn what_hides_in_a_message_is_refused() {
    let check = |text: &str| refused(text, &expected(), "message");
    let text = with_assertion(">ann<", ">ann.evil.example<");
    check(&text.replace(">ann.evil.example<", ">ann<!---->.evil.example<"));
    check(&text.replace(">ann.evil.example<", ">ann<?x?>.evil.example<"));
    check(&format!("<!DOCTYPE r [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;\">]>{text}"));
    check(&format!("<!DOCTYPE r SYSTEM \"http://evil.example/x.dtd\">{text}"));
    check("<a/>");
    check("");
    check(&" ".repeat(300 << 10));
}

#[test]
fn what_is_encrypted_is_for_this_key_and_by_a_good_algorithm() {
    let check = |text: &str| refused(text, &expected(), "encryption");
    let original = signed(ASSERTION, &KEYS.idp);
    check(&around(&encrypted(&original, &KEYS.other, Cipher::Gcm)));
    check(&around(&encrypted(&original, &KEYS.sp, Cipher::Cbc)));
    let good = around(&encrypted(&original, &KEYS.sp, Cipher::Gcm));
    check(&good.replace("xmlenc#rsa-oaep-mgf1p", "xmlenc#rsa-1_5"));
    check(&good.replace("xmlenc11#aes256-gcm", "xmlenc#tripledes-cbc"));
    let unsigned = around(&encrypted(&unsigned(ASSERTION), &KEYS.sp, Cipher::Gcm));
    refused(&unsigned, &expected(), "unsigned");
}

fn envelope(response: &str, key: Option<&super::keys::Credential>) -> String {
    let answer = format!(
        "<samlp:ArtifactResponse xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\" \
         xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\" ID=\"_answer\" Version=\"2.0\" InResponseTo=\"_resolve\">\
         <saml:Issuer>{IDP}</saml:Issuer>|<samlp:Status><samlp:StatusCode \
         Value=\"urn:oasis:names:tc:SAML:2.0:status:Success\"/></samlp:Status>{response}</samlp:ArtifactResponse>"
    );
    let answer = match key {
        Some(key) => signed(&answer, key),
        None => unsigned(&answer),
    };
    format!(
        "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body>{answer}</s:Body></s:Envelope>"
    )
}

#[test]
fn an_artifact_stands_for_a_response_that_is_signed_somewhere() {
    let by = Expected { way: Way::Artifact, ..expected() };
    let read = |text: &str| read_resolved(text.as_bytes(), "_resolve", &by).map(|assertion| assertion.id);
    let bare = around(&unsigned(ASSERTION))
        .replace(" Destination=\"https://shop.example/auth/saml/school/acs\"", "");
    assert_eq!(read(&envelope(&bare, Some(&KEYS.idp))), Ok("_assertion".to_owned()));
    assert_eq!(read(&envelope(&with_assertion("", ""), None)), Ok("_assertion".to_owned()));
    assert_eq!(read(&envelope(&bare, None)), Err(Refused::Unsigned));
    assert!(read(&envelope(&bare, Some(&KEYS.other))).is_err());
    assert_eq!(read(&envelope("", Some(&KEYS.idp))), Err(Refused::Artifact));
    let other = envelope(&bare, Some(&KEYS.idp)).replace("_resolve", "_other");
    assert!(read(&other).is_err());
    assert_eq!(
        read(&envelope(&with_assertion("", ""), None).replace("_resolve", "_other")),
        Err(Refused::Request)
    );
    let fault = "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body><s:Fault/></s:Body></s:Envelope>";
    assert_eq!(read(fault).unwrap_err().key(), "unreachable");
    let artifact = Artifact::read("AAQAAVN1Y2ggYW4gYXJ0aWZhY3QgaXMgbm9uZSBvZiBvdXJzLCB3aGljaCA=");
    let artifact = artifact.map(|artifact| (artifact.endpoint, artifact.is_of(IDP)));
    assert!(artifact.is_none_or(|artifact| artifact == (1, false)));
    assert_eq!(Artifact::read("AAQ"), None);
    assert_eq!(Artifact::read(""), None);
}

#[test]
fn what_is_said_here_is_signed_so_that_others_can_verify_it() {
    let own = [super::keys::PublicKey::of_certificate(&KEYS.sp.certificate).unwrap()];
    let holds = |text: &str| {
        let document = parse(text).unwrap();
        let root = Element::root(&document).unwrap();
        verify(root, &own, Accepted::Current).unwrap().is_some()
    };
    let provider = ServiceProvider {
        entity: SP,
        consumer: ACS,
        name_format: "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent",
        takes_artifacts: true,
        credential: &KEYS.sp,
    };
    assert!(holds(&provider.write("_m").unwrap()));
    let envelope =
        artifact_resolve(("_r", now()), (SP, "https://idp.example/artifact"), "a&b", &KEYS.sp).unwrap();
    let from = envelope.find("<samlp:ArtifactResolve").unwrap();
    let to = envelope.find("</soap:Body>").unwrap();
    assert!(holds(&envelope[from..to]));
    let contexts = ["urn:a<b".to_owned(), "urn:c".to_owned()];
    let request = AuthnRequest {
        id: "_q",
        at: now(),
        issuer: SP,
        destination: "https://idp.example/sso?tenant=1&x=\"",
        consumer: ACS,
        binding: POST,
        name_format: "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent",
        contexts: &contexts,
        comparison: Comparison::Minimum,
        asked: Asked::Anew,
    };
    let text =
        base64::Engine::decode(&base64::engine::general_purpose::STANDARD, request.post(&KEYS.sp).unwrap())
            .unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(holds(&text), "{text}");
    assert!(
        text.contains("ForceAuthn=\"true\"") && text.contains("IssueInstant=\"2026-01-31T10:00:00Z\""),
        "{text}"
    );
    assert!(text.contains("urn:a&lt;b") && !text.contains("urn:c"), "a minimum is one class: {text}");
    let address = request.redirect("token", &KEYS.sp).unwrap();
    assert!(address.starts_with("https://idp.example/sso?tenant=1&x=\"&SAMLRequest="), "{address}");
}

#[test]
fn metadata_say_which_keys_and_addresses_a_provider_has() {
    let certificate = |key: &super::keys::Credential| {
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &key.certificate)
    };
    let descriptor = |usage: &str, certificate: &str| {
        format!(
            "<md:KeyDescriptor{usage}><ds:KeyInfo xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"><ds:X509Data>\
             <ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
        )
    };
    let (first, second) = (certificate(&KEYS.idp), certificate(&KEYS.other));
    let text = format!(
        "<md:EntityDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\" ID=\"_d\" entityID=\"{IDP}\" \
         validUntil=\"2026-02-01T00:00:00Z\">|<md:IDPSSODescriptor protocolSupportEnumeration=\"urn:oasis:names:tc:SAML:2.0:protocol\">\
         {}{}{}{}<md:ArtifactResolutionService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:SOAP\" \
         Location=\"https://idp.example/artifact\" index=\"3\"/><md:SingleSignOnService \
         Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect\" Location=\"https://idp.example/sso\"/>\
         <md:SingleSignOnService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST\" Location=\"http://idp.example/sso\"/>\
         </md:IDPSSODescriptor></md:EntityDescriptor>",
        descriptor(" use=\"signing\"", &first),
        descriptor("", &second),
        descriptor(" use=\"encryption\"", &certificate(&KEYS.sp)),
        descriptor(" use=\"signing\"", "AAAA"),
    );
    let plain = unsigned(&text);
    let wanted = Wanted { entity: None, pinned: &[], accepted: Accepted::Current, now: now() };
    let provider = IdentityProvider::read(plain.as_bytes(), &wanted).unwrap();
    assert_eq!((provider.entity.as_str(), provider.keys.len()), (IDP, 2));
    assert_eq!(provider.redirect.as_deref(), Some("https://idp.example/sso"));
    assert_eq!(provider.post, None, "an address without TLS is none");
    assert_eq!(provider.artifacts, [(3, "https://idp.example/artifact".to_owned())]);
    assert_eq!(provider.valid_until.map(|at| at.to_string()).as_deref(), Some("2026-02-01T00:00:00.000000Z"));
    let refused =
        |text: &str, wanted: &Wanted<'_>| IdentityProvider::read(text.as_bytes(), wanted).unwrap_err();
    let later = Wanted { now: super::time::instant("2026-02-01T00:00:00Z", "").unwrap(), ..wanted };
    assert!(matches!(refused(&plain, &later), MetadataError::Expired(_)));
    let other = Wanted { entity: Some("https://other.example"), pinned: &[], ..wanted };
    assert!(matches!(refused(&plain, &other), MetadataError::Entity(_)));
    assert_eq!(refused(&plain.replace("X509Certificate", "X509SKI"), &wanted), MetadataError::Keys);
    let pinned = Wanted { pinned: &KEYS.known, entity: None, ..wanted };
    assert_eq!(refused(&plain, &pinned), MetadataError::Unsigned);
    assert!(matches!(refused(&signed(&text, &KEYS.other), &pinned), MetadataError::Signature(_)));
    assert!(IdentityProvider::read(signed(&text, &KEYS.idp).as_bytes(), &pinned).is_ok());
    let federation = |entities: &str| {
        format!(
            "<md:EntitiesDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\">{entities}</md:EntitiesDescriptor>"
        )
    };
    let two =
        federation(&format!("{plain}{}", plain.replace(IDP, "https://other.example").replace("_d", "_e")));
    assert_eq!(refused(&two, &wanted), MetadataError::Several(2));
    let named = Wanted { entity: Some(IDP), pinned: &[], ..wanted };
    assert_eq!(IdentityProvider::read(two.as_bytes(), &named).unwrap().entity, IDP);
}

mod properties {
    use proptest::prelude::*;

    use super::super::forge::{ASSERTION, expected, fuzzed, signed_whole, with_assertion};
    use super::super::response::read;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever is changed in a message: it is refused, or it is read as it was.
        #[test]
        fn a_message_that_was_changed_says_nothing_else(
            is_whole: bool,
            edits in proptest::collection::vec((any::<prop::sample::Index>(), 0usize..40, ".{0,12}"), 1..4),
        ) {
            let original = if is_whole { signed_whole("", "") } else { with_assertion("", "") };
            let believed = read(original.as_bytes(), &expected()).unwrap();
            let mut text = original;
            for (at, length, new) in edits {
                let from = text.char_indices().map(|(place, _)| place).nth(at.index(text.chars().count().max(1)));
                let from = from.unwrap_or_default();
                let to = text[from..].char_indices().map(|(place, _)| from + place).nth(length).unwrap_or(text.len());
                text.replace_range(from..to, &new);
            }
            if let Ok(read) = read(text.as_bytes(), &expected()) {
                prop_assert_eq!(read, believed);
            }
        }

        #[test]
        fn no_bytes_are_too_odd(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            fuzzed(&bytes);
        }

        /// Pieces of what is read, in any order.
        #[test]
        fn nothing_that_a_provider_signs_is_too_odd(parts in proptest::collection::vec(part(), 0..8)) {
            fuzzed(parts.concat().as_bytes());
        }
    }

    fn part() -> impl Strategy<Value = String> {
        let bodies: Vec<&str> = ASSERTION.split(['|']).collect();
        let known = bodies[1].trim_end_matches("</saml:Assertion>");
        let pieces: Vec<String> = known.split_inclusive('>').map(str::to_owned).collect();
        prop_oneof![
            prop::sample::select(pieces),
            Just(known.to_owned()),
            "<saml:[A-Z][a-z]{2,8} NotBefore=\"[0-9T:.Z-]{0,30}\"/>",
            "[ -~]{0,10}",
        ]
    }
}
