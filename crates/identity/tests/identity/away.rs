//! A provider that says what a test wants, and somebody who goes there and comes back.

use mainstay_identity::IdentityOptions;

use crate::harness::{App, DatabaseKind, Node};
use crate::hostile::Hostile;
use crate::visitor::{Step, Visitor, member, provider};

/// An app with a provider `x` that says whatever a test wants.
pub(crate) async fn with_hostile(
    kind: DatabaseKind,
    change: impl FnOnce(&mut IdentityOptions),
) -> (App, Hostile) {
    let hostile = Hostile::start().await;
    let app = App::start_with(kind, |options| {
        provider(options, "x", &hostile.url);
        change(options);
    })
    .await;
    (app, hostile)
}

/// Somebody who has gone to the provider: with the state, the nonce and the hash that went along.
pub(crate) struct Away {
    pub(crate) visitor: Visitor,
    pub(crate) state: String,
    pub(crate) nonce: String,
    pub(crate) challenge: String,
}

pub(crate) async fn away(node: &Node, query: &str) -> Away {
    away_as(Visitor::new(), node, query).await
}

pub(crate) async fn away_as(mut visitor: Visitor, node: &Node, query: &str) -> Away {
    let step = visitor.get(node, &format!("/auth/oidc/x/start?{query}")).await;
    assert_eq!(step.status, 303, "{step:?}");
    let to = step.to();
    assert_eq!(member(to, "code_challenge_method"), "S256");
    assert_eq!(member(to, "response_type"), "code");
    assert_eq!(member(to, "redirect_uri"), "http://shop.example/auth/oidc/x/callback");
    Away {
        state: member(to, "state"),
        nonce: member(to, "nonce"),
        challenge: member(to, "code_challenge"),
        visitor,
    }
}

impl Away {
    pub(crate) async fn back(&mut self, node: &Node, more: &str) -> Step {
        let path = format!("/auth/oidc/x/callback?code=c&state={}{more}", self.state);
        self.visitor.get(node, &path).await
    }
}

/// Somebody signs in as a subject, by cookies.
pub(crate) async fn comes(node: &Node, hostile: &Hostile, subject: &str) -> (Visitor, Step) {
    let mut away = away(node, "cookies").await;
    hostile.say(&hostile.key.sign(&hostile.claims(subject, &away.nonce)));
    let step = away.back(node, "").await;
    (away.visitor, step)
}

pub(crate) fn secret() -> (String, String) {
    use aws_lc_rs::digest::{SHA256, digest};
    use base64::Engine as _;
    let verifier = "a text that only this program knows".to_owned();
    let hash = digest(&SHA256, verifier.as_bytes());
    (verifier, base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(hash))
}

/// The code that a program's browser comes back with.
pub(crate) async fn code(node: &Node, hostile: &Hostile, subject: &str, challenge: &str) -> String {
    let mut away = away(node, &format!("challenge={challenge}&return=/app")).await;
    hostile.say(&hostile.key.sign(&hostile.claims(subject, &away.nonce)));
    let step = away.back(node, "").await;
    assert!(step.to().starts_with("/app?"), "{step:?}");
    assert!(!away.visitor.cookies.contains_key("access"));
    member(step.to(), "code")
}
