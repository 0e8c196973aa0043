//! What is not believed: what the app answers, and that nobody was signed in, made or linked.
//!
//! The provider is real; what it is told to do wrong, or what is done to its answer on the way, differs from what is believed in one thing.

use mainstay_identity::{ProviderOptions, SamlOptions};
use serde_json::json;

use super::idp::{Browser, Form, Idp, key_pair};
use super::{CHALLENGE, START, counts, in_year, me, own_certificate, public_key, school, sign_in, with};
use crate::harness::{App, Node, on_each};

/// A browser that has got an answer of the provider's and has not given it yet.
async fn about_to(node: &Node) -> (Browser, Form) {
    let mut browser = Browser::new();
    let form = browser.form_from(node, START).await;
    (browser, form)
}

/// Gives an answer, which is refused with words; nothing has come of it.
#[track_caller]
fn refused<'a>(
    node: &'a Node,
    browser: &'a mut Browser,
    form: &'a Form,
    words: &'a str,
) -> impl Future<Output = ()> + 'a {
    let place = std::panic::Location::caller();
    async move {
        let before = counts(node).await;
        let answer = browser.post(node, form).await;
        assert_eq!(answer.status, 422, "{place}: {} {:?}", answer.text, answer.location);
        assert!(answer.text.contains(words), "{place}: not {words:?} but {}", answer.text);
        assert!(answer.headers.get("set-cookie").is_none(), "{place}");
        assert_eq!(counts(node).await, before, "{place}");
    }
}

#[test]
fn what_the_provider_does_wrong_signs_nobody_in() {
    on_each(async |kind| {
        let idp = Idp::start();
        let app = with(kind, &idp, |_| {}).await;
        let node = &app.node;
        let (other_key, other) = key_pair(idp.folder.path(), "other");
        let read = |path: &std::path::Path| std::fs::read_to_string(path).unwrap();
        let (other_key, other) = (read(&other_key), read(&other));
        for (mode, words) in [
            (json!({"signAssertion": false}), "is signed"),
            (json!({"key": other_key, "cert": other}), "none of the keys"),
            (json!({"key": other_key, "cert": other, "signResponse": true}), "none of the keys"),
            (json!({"lifetimeInSeconds": -120}), "too old"),
            (json!({"audience": "https://other.example"}), "another service"),
            (json!({"recipient": "https://other.example/acs"}), "Recipient"),
            (json!({"destination": "https://other.example/acs"}), "Destination"),
            (json!({"inResponseTo": "_other"}), "no sign-in that was started here"),
            (json!({"issuer": "https://other.example"}), "another identity provider"),
            (json!({"signatureAlgorithm": "rsa-sha1"}), "rsa-sha1"),
            (json!({"digestAlgorithm": "sha1"}), "not accepted as its algorithm"),
            (
                json!({"encryptionCert": other, "encryptionPublicKey": public_key(&other)}),
                "this service provider",
            ),
            (
                json!({"nameIdentifierFormat": "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"}),
                "NameID",
            ),
            (
                json!({"error": {"code": "urn:oasis:names:tc:SAML:2.0:status:Responder"}}),
                "has not signed anybody in",
            ),
        ] {
            idp.mode(mode.clone()).await;
            let (mut browser, form) = about_to(node).await;
            println!("{mode}");
            refused(node, &mut browser, &form, words).await;
        }
        // Without a check of its own, what is encrypted has to stand in what is signed.
        let own = own_certificate(node).await;
        idp.mode(json!({
            "encryptionCert": own, "encryptionPublicKey": public_key(&own), "disallowEncryptionWithInsecureAlgorithm": false,
            "encryptionAlgorithm": "http://www.w3.org/2001/04/xmlenc#aes256-cbc",
        }))
        .await;
        let (mut browser, form) = about_to(node).await;
        refused(node, &mut browser, &form, "within a response that is signed").await;
        app.node.stop().await;
    });
}

/// The parts of an answer whose assertion is signed.
struct Parts {
    before: String,
    /// Without its signature.
    assertion: String,
    signature: String,
    after: String,
}

fn parts(response: &str) -> Parts {
    let from = response.find("<saml:Assertion").unwrap();
    let to = response.find("</saml:Assertion>").unwrap() + "</saml:Assertion>".len();
    let whole = &response[from..to];
    let start = whole.find("<Signature").unwrap();
    let end = whole.find("</Signature>").unwrap() + "</Signature>".len();
    Parts {
        before: response[..from].to_owned(),
        assertion: format!("{}{}", &whole[..start], &whole[end..]),
        signature: whole[start..end].to_owned(),
        after: response[to..].to_owned(),
    }
}

/// The eight ways to wrap a signature (Somorovsky and others, 2012), and some that tools know.
fn wrapped(response: &str) -> Vec<String> {
    let Parts { before, assertion, signature, after } = parts(response);
    let id = assertion.split_once("ID=\"").unwrap().1.split_once('"').unwrap().0.to_owned();
    let evil =
        assertion.replace(&id, "_evil").replace("ann-7", "mallory").replace("ann@school", "mallory@school");
    let sign = |assertion: &str, signature: &str| {
        assertion.replacen("</saml:Issuer>", &format!("</saml:Issuer>{signature}"), 1)
    };
    let within = |inner: &str| signature.replace("</Signature>", &format!("{inner}</Signature>"));
    let original = sign(&assertion, &signature);
    let around = |inner: &str| format!("{before}{inner}{after}");
    let whole = |inner: &str| around(&evil).replacen("</saml:Issuer>", &format!("</saml:Issuer>{inner}"), 1);
    let nested = around(&original).replacen(" ID=\"", " ID=\"_inner", 1);
    vec![
        whole(&within(&nested)),
        whole(&format!("{nested}{signature}")),
        around(&format!("{evil}{original}")),
        around(&evil.replace("</saml:Assertion>", &format!("{original}</saml:Assertion>"))),
        around(&format!("{}{assertion}", sign(&evil, &signature))),
        around(&sign(&evil, &within(&assertion))),
        around(&format!("<samlp:Extensions>{evil}</samlp:Extensions>{original}")),
        around(&sign(&evil, &within(&format!("<Object>{assertion}</Object>")))),
        around(&format!("{}{original}", evil.replace("_evil", &id))),
        around(&format!("{original}{evil}")),
        around(&sign(&evil.replace("_evil", &id), &signature)),
    ]
}

#[test]
fn what_is_done_to_an_answer_on_the_way_signs_nobody_in() {
    on_each(async |kind| {
        let idp = Idp::start();
        let app = with(kind, &idp, |_| {}).await;
        let node = &app.node;
        let (mut browser, form) = about_to(node).await;
        for (number, response) in wrapped(&form.response).into_iter().enumerate() {
            println!("wrapped {}", number + 1);
            refused(node, &mut browser, &Form { response, ..form.clone() }, "class=\"problem\"").await;
        }
        for (from, to, words) in [
            (">ann-7<", ">bob-8<", "was changed"),
            (">ann@school.example<", ">bob@school.example<", "was changed"),
            (">ann-7<", ">ann<!----><", "comment"),
            (">ann-7<", "><!--x-->ann-7<", "comment"),
            (
                "<samlp:Response",
                "<!DOCTYPE r [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;&a;&a;\">]><samlp:Response",
                "document type",
            ),
            (
                "<samlp:Response",
                "<!DOCTYPE r SYSTEM \"http://127.0.0.1:1/x.dtd\"><samlp:Response",
                "document type",
            ),
            ("<samlp:Response", "<samlp:LogoutResponse", "messages of SAML"),
        ] {
            let response = form.response.replacen(from, to, 1);
            assert_ne!(response, form.response, "{from}");
            refused(node, &mut browser, &Form { response, ..form.clone() }, words).await;
        }
        let long = Form { response: format!("{}{}", form.response, " ".repeat(300 << 10)), ..form.clone() };
        refused(node, &mut browser, &long, "bytes").await;
        // Only now: what was not touched is still good.
        let posted = browser.post(node, &form).await;
        assert_eq!(posted.status, 303, "{}", posted.text);
        app.node.stop().await;
    });
}

#[test]
fn what_the_provider_signs_before_its_time_waits() {
    on_each(async |kind| {
        let idp = Idp::start();
        let app = with(kind, &idp, |_| {}).await;
        let node = &app.node;
        idp.mode(json!({"signAssertion": false})).await;
        let (mut browser, form) = about_to(node).await;
        let later = form.clone().altered(&idp, |response| in_year(response, "NotBefore", "2999")).await;
        refused(node, &mut browser, &later, "not good yet").await;
        // The same with a time that has come is believed: nothing else was wrong with it.
        let posted = browser.post(node, &form.altered(&idp, str::to_owned).await).await;
        assert_eq!(posted.status, 303, "{}", posted.text);
        app.node.stop().await;
    });
}

#[test]
fn an_answer_is_good_once_for_one_sign_in_in_one_browser() {
    on_each(async |kind| {
        let idp = Idp::start();
        let app = with(kind, &idp, |_| {}).await;
        let node = &app.node;
        let (mut browser, form) = about_to(node).await;
        // Another browser brings it: it comes as far as to its own request, which shows that it has not started this.
        let mut thief = Browser::new();
        let arrival = thief.post(node, &form).await.location.unwrap();
        let before = counts(node).await;
        let landed = thief.open(node, &arrival).await;
        assert_eq!((landed.status, thief.cookie("access")), (422, None), "{}", landed.text);
        assert!(landed.text.contains("not started here in this browser"), "{}", landed.text);
        assert_eq!(counts(node).await, before);
        // Twice, by whomever, and on another node.
        refused(node, &mut browser, &form, "used before").await;
        let second = app.another(|_| {}).await;
        refused(&second, &mut browser, &form, "used before").await;
        second.stop().await;
        // The browser that has started it comes with what was kept: once.
        let landed = browser.open(node, &arrival).await;
        assert_eq!(landed.status, 303, "{}", landed.text);
        let after = counts(node).await;
        let again = browser.open(node, &arrival).await;
        assert_eq!(again.status, 422, "{}", again.text);
        assert_eq!(counts(node).await, after);
        refused(node, &mut browser, &form, "begin again").await;
        // An answer to another request, and an address where the token of the sign-in belongs.
        let (mut browser, form) = about_to(node).await;
        let (_, other) = about_to(node).await;
        let crossed = Form { relay: other.relay.clone(), ..form.clone() };
        refused(node, &mut browser, &crossed, "no sign-in that was started here").await;
        for relay in ["https://evil.example/", "//evil.example", "", "x"] {
            let elsewhere = Form { relay: relay.to_owned(), ..form.clone() };
            refused(node, &mut browser, &elsewhere, "begin again").await;
        }
        let start =
            Browser::new().open(node, "/auth/saml/school/start?cookies&return=https://evil.example").await;
        assert_eq!(start.status, 422, "{}", start.text);
        app.node.stop().await;
    });
}

#[test]
fn a_provider_vouches_for_nobody_of_anothers() {
    on_each(async |kind| {
        let (idp, rival) = (Idp::start(), Idp::start());
        let red = |options: SamlOptions| SamlOptions {
            provider: ProviderOptions { tenant: Some("red".to_owned()), ..options.provider.clone() },
            ..options
        };
        let (ours, theirs) = (school(&idp), red(school(&rival)));
        let app = App::start_with(kind, |identity| {
            identity.saml.insert("school".to_owned(), ours);
            identity.saml.insert("rival".to_owned(), theirs);
        })
        .await;
        let node = &app.node;
        for slug in ["red", "blue"] {
            node.query(json!({"Tenant": {"create": true, "name": slug, "slug": slug}})).await;
        }
        // The rival answers a sign-in that was started with the school, at either place.
        let mut browser = Browser::new();
        let theirs = browser.form_from(node, "/auth/saml/rival/start?cookies").await;
        let (_, ours) = about_to(node).await;
        let here = Form { action: ours.action.clone(), relay: ours.relay.clone(), ..theirs.clone() };
        refused(node, &mut browser, &here, "class=\"problem\"").await;
        let there = Form { relay: ours.relay.clone(), ..theirs.clone() };
        refused(node, &mut browser, &there, "begin again").await;
        // Somebody of a tenant's provider is of that tenant, and no request for another one begins there.
        let start = format!("/auth/saml/rival/start?challenge={CHALLENGE}");
        let request = node.request(reqwest::Method::GET, &start).header("x-tenant", "blue");
        node.send(request).await.refused(403, "tenant.refused");
        let posted = browser.post(node, &theirs).await;
        let landed = browser.open(node, &posted.location.unwrap()).await;
        assert_eq!(landed.status, 303, "{}", landed.text);
        let member = node.query(json!({"Membership": {"get": ["id"]}})).await;
        assert_eq!(member["Membership"].as_array().map(Vec::len), Some(1), "{member}");
        // The same address by another provider: whoever has the account signs in to it and links.
        let (mut other, form) = about_to(node).await;
        let arrival = other.post(node, &form).await.location.unwrap();
        let before = counts(node).await;
        let landed = other.open(node, &arrival).await;
        assert_eq!((landed.status, other.cookie("access")), (422, None), "{}", landed.text);
        assert_eq!(counts(node).await, before);
        app.node.stop().await;
    });
}

#[test]
fn a_provider_begins_by_itself_where_that_is_said() {
    on_each(async |kind| {
        let idp = Idp::start();
        // There is no request that it could answer.
        let mode = json!({"signAssertion": false});
        let unsolicited = async |node: &Node| {
            idp.mode(mode.clone()).await;
            let (_, form) = about_to(node).await;
            let id =
                form.response.split_once("InResponseTo=\"").unwrap().1.split_once('"').unwrap().0.to_owned();
            let without = |response: &str| response.replace(&format!(" InResponseTo=\"{id}\""), "");
            Form { relay: "/notes".to_owned(), ..form.altered(&idp, without).await }
        };
        let app = with(kind, &idp, |_| {}).await;
        let form = unsolicited(&app.node).await;
        refused(&app.node, &mut Browser::new(), &form, "begin again").await;
        app.node.stop().await;
        let app = with(kind, &idp, |options| options.unsolicited = true).await;
        let node = &app.node;
        let form = unsolicited(node).await;
        let mut browser = Browser::new();
        let posted = browser.post(node, &form).await;
        assert_eq!((posted.status, posted.location.as_deref()), (303, Some("/")), "{}", posted.text);
        assert_eq!(me(node, &mut browser).await["user"]["email"], "ann@school.example");
        refused(node, &mut Browser::new(), &form, "used before").await;
        // What answers a request still needs its sign-in.
        idp.mode(json!({})).await;
        let (mut browser, form) = about_to(node).await;
        let form = Form { relay: "x".to_owned(), ..form };
        refused(node, &mut browser, &form, "no sign-in that was started here").await;
        sign_in(node, &mut Browser::new(), START).await;
        app.node.stop().await;
    });
}
