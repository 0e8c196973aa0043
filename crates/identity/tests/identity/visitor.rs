//! Somebody with a browser of their own, as far as cookies and redirects go: each step is looked at by the test.

use std::collections::BTreeMap;

use mainstay_identity::{IdentityOptions, OidcOptions};
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Client, RequestBuilder, Url, redirect};
use serde_json::{Value as Json, json};

use crate::harness::Node;

/// A browser without pages.
pub(crate) struct Visitor {
    client: Client,
    pub(crate) cookies: BTreeMap<String, String>,
}

/// Where a request led.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) status: u16,
    pub(crate) location: Option<String>,
    pub(crate) text: String,
}

impl Step {
    /// Where it sends to.
    #[track_caller]
    pub(crate) fn to(&self) -> &str {
        self.location.as_deref().unwrap_or_else(|| panic!("no redirect: {self:?}"))
    }

    /// The key of the problem that a page or an answer tells.
    pub(crate) fn key(&self) -> String {
        if let Ok(problem) = serde_json::from_str::<Json>(&self.text) {
            return problem["key"].as_str().unwrap_or_default().to_owned();
        }
        let key = self.text.split_once("data-key=\"").and_then(|(_, rest)| rest.split_once('"'));
        key.map_or("", |(key, _)| key).to_owned()
    }
}

impl Visitor {
    pub(crate) fn new() -> Visitor {
        let client = Client::builder().redirect(redirect::Policy::none()).build().unwrap();
        Visitor { client, cookies: BTreeMap::new() }
    }

    pub(crate) async fn get(&mut self, node: &Node, path: &str) -> Step {
        self.send(self.client.get(format!("{}{path}", node.url))).await
    }

    pub(crate) async fn send(&mut self, request: RequestBuilder) -> Step {
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let response = request.header(COOKIE, cookies.join("; ")).send().await.unwrap();
        for cookie in response.headers().get_all(SET_COOKIE) {
            let (name, value) = cookie.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
            match value {
                "" => drop(self.cookies.remove(name)),
                value => drop(self.cookies.insert(name.to_owned(), value.to_owned())),
            }
        }
        let status = response.status().as_u16();
        let location = response.headers().get(LOCATION).map(|to| to.to_str().unwrap().to_owned());
        Step { status, location, text: response.text().await.unwrap() }
    }

    /// What somebody who has signed in by cookies asks.
    pub(crate) async fn post_form(&mut self, node: &Node, path: &str, form: &[(&str, &str)]) -> Step {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self.client.post(format!("{}{path}", node.url)).body(body);
        self.send(request.header("content-type", "application/x-www-form-urlencoded")).await
    }

    pub(crate) async fn me(&mut self, node: &Node) -> Json {
        serde_json::from_str(&self.get(node, "/auth/me").await.text).unwrap()
    }
}

/// A member of the query of an address.
#[track_caller]
pub(crate) fn member(url: &str, name: &str) -> String {
    let base = Url::parse("http://here.invalid").unwrap();
    let url = base.join(url).unwrap();
    let found = url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned());
    found.unwrap_or_else(|| panic!("no {name} in {url}"))
}

/// Lets people come by a provider.
pub(crate) fn provider(options: &mut IdentityOptions, name: &str, issuer: &str) {
    let oidc = OidcOptions {
        issuer: issuer.to_owned(),
        client_id: "shop".to_owned(),
        client_secret: Some("hush, hush".to_owned()),
        ..OidcOptions::default()
    };
    options.oidc.insert(name.to_owned(), oidc);
}

/// Somebody with a tenant that they are a member of.
pub(crate) async fn tenant_make(node: &Node, slug: &str, member: &[&str]) -> String {
    let members: Vec<Json> = member.iter().map(|user| json!({"create": true, "member": user})).collect();
    let part = json!({"create": true, "name": slug, "slug": slug, "members": members});
    let made = node.query(json!({"Tenant": part})).await;
    made["Tenant"][0]["id"].as_str().unwrap().to_owned()
}
