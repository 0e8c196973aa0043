//! Signing in by others: what the routes of providers, of links and of merging are.

use mainstay_engine::error::Key;
use mainstay_http::RouteDocs;
use serde_json::json;

use super::{answered, id, or_null, page, sent, text, time};

/// A route of one provider's.
fn provider(id: &str, summary: &str) -> RouteDocs {
    RouteDocs::new(id, summary).open().place("provider", text())
}

/// Where a browser is sent to a provider.
fn start(id: &str, summary: &str) -> RouteDocs {
    provider(id, summary)
        .about("The browser comes back to `return` signed in, or with a code for the program that made the challenge.")
        .query("return", text(), "A path of the app's own; `/` when there is none.")
        .query("cookies", text(), "Tokens go into cookies; present or not.")
        .query("challenge", text(), "The SHA-256 of a program's verifier, in base64url.")
        .answers_empty(303, "To the provider.")
        .answers_as(200, "A page, with a form to the provider or with why nobody can sign in.", "text/html", json!({}))
        .refuses(&[Key::Invalid, Key::NotFound, Key::TenantRefused])
}

/// Where a browser comes back to.
fn came(id: &str, summary: &str) -> RouteDocs {
    provider(id, summary)
        .answers_empty(303, "To where the sign-in began.")
        .answers_as(200, "A page that says why nobody was signed in.", "text/html", json!({}))
        .refuses(&[Key::NotFound])
}

pub(in crate::routes) fn oidc_start() -> RouteDocs {
    start("authOidcStart", "Sign in by an OpenID provider")
}

pub(in crate::routes) fn oidc_callback() -> RouteDocs {
    came("authOidcCallback", "What an OpenID provider sends a browser back to")
}

pub(in crate::routes) fn saml_metadata() -> RouteDocs {
    provider("authSamlMetadata", "What the app tells a SAML provider of itself")
        .answers_as(200, "Signed metadata.", "application/samlmetadata+xml", json!({}))
        .refuses(&[Key::NotFound])
}

pub(in crate::routes) fn saml_start() -> RouteDocs {
    start("authSamlStart", "Sign in by a SAML provider").query(
        "anew",
        text(),
        "The provider asks once more; present or not.",
    )
}

pub(in crate::routes) fn saml_came() -> RouteDocs {
    came("authSamlArtifact", "What a SAML provider sends a browser back to, with an artifact")
}

pub(in crate::routes) fn saml_posted() -> RouteDocs {
    came("authSamlAnswer", "What a SAML provider has a browser send its answer to").any_media()
}

pub(in crate::routes) fn links() -> RouteDocs {
    let link = answered(&[
        ("id", id()),
        ("provider", text()),
        ("label", text()),
        ("email", or_null(text())),
        ("created", time()),
        ("used", or_null(time())),
    ]);
    RouteDocs::new("authLinks", "The providers that one's account is linked with").signed_in().answers(
        200,
        "The links.",
        answered(&[("links", json!({"type": "array", "items": link}))]),
    )
}

pub(in crate::routes) fn link() -> RouteDocs {
    let names = ["provider", "code", "verifier"].map(|name| (name, text()));
    RouteDocs::new("authLink", "Link one's account with that of a provider")
        .signed_in()
        .body(sent(&names, &[]), json!({"provider": "keycloak", "code": "A code", "verifier": "A verifier"}))
        .answers_empty(204, "They are linked.")
        .refuses(&[Key::AuthRecent, Key::Invalid])
}

pub(in crate::routes) fn unlink() -> RouteDocs {
    RouteDocs::new("authUnlink", "End a link; never the last way in")
        .signed_in()
        .place("id", id())
        .answers_empty(204, "It has ended.")
        .refuses(&[Key::AuthRecent, Key::NotFound])
}

pub(in crate::routes) fn merge() -> RouteDocs {
    RouteDocs::new("authMerge", "Move what is an anonymous user's to somebody")
        .signed_in()
        .permission("identity/users")
        .place("id", id())
        .body(sent(&[("from", id())], &[]), json!({"from": "0198c0de-0000-7000-8000-000000000001"}))
        .answers(200, "What was moved, and what could not be.", json!({"type": "object"}))
        .refuses(&[Key::AuthRecent, Key::NotFound, Key::Invalid])
}

pub(in crate::routes) fn page_links() -> RouteDocs {
    page("authPageLinks", "The page of one's links").answers_empty(303, "To the page to sign in by.")
}

pub(in crate::routes) fn page_links_send() -> RouteDocs {
    page("authPageLinksSend", "Its form").any_media().answers_empty(303, "It is done.")
}
