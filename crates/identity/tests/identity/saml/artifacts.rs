//! Answers that come by artifacts: a real provider, and what it or somebody else does wrong.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mainstay_identity::{ProviderOptions, SamlAnswer, SamlOptions};
use serde_json::json;

use super::idp::{Browser, Idp};
use super::{START, counts, me};
use crate::harness::{App, DatabaseKind, Node, on_each};

async fn app(kind: DatabaseKind, idp: &Idp) -> App {
    let options = SamlOptions {
        provider: ProviderOptions { without_email: true, ..ProviderOptions::default() },
        metadata: format!("{}/metadata", idp.url),
        answer: SamlAnswer::Artifact,
        ..SamlOptions::default()
    };
    let app = App::start_with(kind, |identity| {
        identity.saml.insert("school".to_owned(), options);
    })
    .await;
    let metadata = Browser::new().open(&app.node, "/auth/saml/school/metadata").await.text;
    assert!(metadata.contains("bindings:HTTP-Artifact"), "{metadata}");
    idp.tell("/sp", metadata).await;
    app
}

/// From the start to where the provider sends the browser back to: a path of the app's.
async fn to_artifact(node: &Node, browser: &mut Browser) -> String {
    let started = browser.open(node, START).await;
    let sent = browser.open(node, &started.location.expect("the browser is sent to the provider")).await;
    let back = sent.location.unwrap_or_else(|| panic!("{}", sent.text));
    back.strip_prefix("http://shop.example").unwrap_or_else(|| panic!("{back}")).to_owned()
}

async fn refused(node: &Node, browser: &mut Browser, path: &str, words: &str) {
    let before = counts(node).await;
    let answer = browser.open(node, path).await;
    assert_eq!(answer.status, 422, "{} {:?}", answer.text, answer.location);
    assert!(answer.text.contains(words), "not {words:?} but {}", answer.text);
    assert_eq!(counts(node).await, before);
}

#[test]
fn an_artifact_is_resolved_with_the_provider_and_signs_in() {
    on_each(async |kind| {
        let idp = Idp::start_with_artifacts();
        let app = app(kind, &idp).await;
        let node = &app.node;
        let mut browser = Browser::new();
        let back = to_artifact(node, &mut browser).await;
        let resolved = browser.open(node, &back).await;
        assert_eq!(resolved.status, 303, "{}", resolved.text);
        let landed = browser.open(node, &resolved.location.unwrap()).await;
        assert_eq!((landed.status, landed.location.as_deref()), (303, Some("/notes")), "{}", landed.text);
        assert!(me(node, &mut browser).await["user"]["id"].is_string());
        let link = node.query(json!({"ExternalLogin": {"get": ["subject"]}})).await;
        assert_eq!(link["ExternalLogin"][0]["subject"], "ben-9");
        refused(node, &mut browser, &back, "begin again").await;
        app.node.stop().await;
    });
}

#[test]
fn an_artifact_that_is_not_the_providers_or_says_nothing_signs_nobody_in() {
    on_each(async |kind| {
        let idp = Idp::start_with_artifacts();
        let app = app(kind, &idp).await;
        let node = &app.node;
        for (mode, words) in [
            (json!({"unsigned": true}), "is signed"),
            (
                json!({"algorithm": "http://www.w3.org/2000/09/xmldsig#rsa-sha1"}),
                "not accepted as its algorithm",
            ),
            (json!({"endpoint": 7}), "none of the provider"),
            (json!({"answers": "_other"}), "no sign-in that was started here"),
            (json!({"away": true}), "does not answer as it should"),
        ] {
            idp.mode(mode.clone()).await;
            let mut browser = Browser::new();
            let back = to_artifact(node, &mut browser).await;
            println!("{mode}");
            refused(node, &mut browser, &back, words).await;
        }
        idp.mode(json!({})).await;
        let mut browser = Browser::new();
        let back = to_artifact(node, &mut browser).await;
        let (path, query) = back.split_once('?').unwrap();
        let pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let mut foreign = STANDARD.decode(&pairs[0].1).unwrap();
        foreign[4] ^= 1;
        for artifact in [STANDARD.encode(foreign), "AAQAAQ==".to_owned(), "%".to_owned(), "a".repeat(5000)] {
            let query = form_urlencoded::Serializer::new(String::new())
                .extend_pairs([("SAMLart", artifact.as_str()), ("RelayState", pairs[1].1.as_str())])
                .finish();
            refused(node, &mut browser, &format!("{path}?{query}"), "none of the provider").await;
        }
        // Nothing of that was asked for at the provider: it still gives what the artifact stands for.
        let resolved = browser.open(node, &back).await;
        assert_eq!(resolved.status, 303, "{}", resolved.text);
        app.node.stop().await;
    });
}
