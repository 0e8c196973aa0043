//! A real identity provider (npm `samlp`), run by node, and a browser that follows forms.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{COOKIE, HeaderMap, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::harness::Node;

/// A provider; it ends when dropped.
pub(crate) struct Idp {
    process: Child,
    pub(crate) url: String,
    pub(crate) folder: TempDir,
}

/// What a page of the provider has the browser send.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    pub(crate) action: String,
    pub(crate) relay: String,
    /// The response, as text.
    pub(crate) response: String,
}

impl Form {
    /// The same with another response, whose assertion the provider has signed as it is then.
    pub(crate) async fn altered(self, idp: &Idp, change: impl FnOnce(&str) -> String) -> Form {
        let response = idp.sign(&change(&self.response), "Assertion").await;
        Form { response, ..self }
    }
}

/// A browser's cookies, and what it was answered last.
pub(crate) struct Browser {
    client: reqwest::Client,
    cookies: Vec<(String, String)>,
}

/// An answer with what a browser looks at.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) location: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

/// Makes a key and its certificate in a folder.
pub(crate) fn key_pair(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
    let (key, certificate) = (folder.join(format!("{name}.key")), folder.join(format!("{name}.pem")));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=idp", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .stderr(Stdio::null())
        .status();
    assert!(made.expect("openssl runs").success());
    (key, certificate)
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/identity").join(name)
}

/// Where something is that `cargo xtask test` installs.
fn installed(variable: &str, folder: &str) -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target").join(folder);
    let place = std::env::var_os(variable).map_or(here, Into::into);
    assert!(place.exists(), "`cargo xtask test` installs {folder}");
    place
}

impl Idp {
    /// One of `samlp` (npm), whose answers come by forms.
    pub(crate) fn start() -> Idp {
        let modules = installed("MAINSTAY_TEST_SAML", "saml").canonicalize().unwrap();
        let mut node = Command::new("node");
        node.arg("--no-deprecation").arg(script("saml-idp.js")).arg(modules);
        Idp::run(node)
    }

    /// One of `pysaml2` (`PyPI`), whose answers come by artifacts.
    pub(crate) fn start_with_artifacts() -> Idp {
        let mut python = Command::new(installed("MAINSTAY_TEST_PYSAML2", "pysaml2").join("bin/python"));
        python.arg(script("saml-artifact.py"));
        Idp::run(python)
    }

    fn run(mut command: Command) -> Idp {
        let folder = tempfile::tempdir().unwrap();
        let (key, certificate) = key_pair(folder.path(), "idp");
        let command = command.args([key, certificate]).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().expect("the provider runs");
        let mut port = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut port).unwrap();
        assert!(!port.trim().is_empty(), "the provider has not started");
        Idp { process, url: format!("http://127.0.0.1:{}", port.trim()), folder }
    }

    /// What it does from now on.
    pub(crate) async fn mode(&self, mode: Json) {
        self.tell("/mode", mode.to_string()).await;
    }

    /// Tells it something.
    pub(crate) async fn tell(&self, path: &str, body: String) -> String {
        let request = reqwest::Client::new().post(format!("{}{path}", self.url));
        let sent = request.header("content-type", "application/json").body(body).send().await.unwrap();
        assert!(sent.status().is_success());
        sent.text().await.unwrap()
    }

    /// Text with the signature of an element.
    pub(crate) async fn sign(&self, xml: &str, element: &str) -> String {
        self.tell("/sign", json!({"xml": xml, "element": element}).to_string()).await
    }
}

impl Drop for Idp {
    fn drop(&mut self) {
        // One that has ended already needs no ending.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// What stands in quotation marks behind two texts.
fn value(html: &str, field: &str, before: &str) -> Option<String> {
    let (_, rest) = html.split_once(field)?;
    let (_, rest) = rest.split_once(before)?;
    let (value, _) = rest.split_once('"')?;
    Some(value.replace("&#43;", "+").replace("&#x2F;", "/").replace("&#x3D;", "=").replace("&amp;", "&"))
}

impl Page {
    /// The form that the page would send.
    #[track_caller]
    pub(crate) fn form(&self) -> Form {
        let of = |field: &str, before: &str| {
            value(&self.text, field, before).unwrap_or_else(|| panic!("no {field}: {}", self.text))
        };
        let response = STANDARD.decode(of("name=\"SAMLResponse\"", "value=\"")).unwrap();
        Form {
            action: of("<form", "action=\""),
            relay: of("name=\"RelayState\"", "value=\""),
            response: String::from_utf8(response).unwrap(),
        }
    }
}

impl Browser {
    pub(crate) fn new() -> Browser {
        let client = reqwest::Client::builder().redirect(Policy::none()).build().unwrap();
        Browser { client, cookies: Vec::new() }
    }

    async fn send(&mut self, request: reqwest::RequestBuilder) -> Page {
        let answered = request.send().await.unwrap();
        let headers = answered.headers().clone();
        for cookie in headers.get_all(SET_COOKIE) {
            let (name, value) = cookie.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.retain(|(known, _)| known != name);
            self.cookies.push((name.to_owned(), value.to_owned()));
        }
        let location = headers.get(LOCATION).map(|to| to.to_str().unwrap().to_owned());
        Page { status: answered.status().as_u16(), location, headers, text: answered.text().await.unwrap() }
    }

    /// What is at an address of somebody else.
    pub(crate) async fn fetch(&self, address: &str) -> String {
        self.client.get(address).send().await.unwrap().text().await.unwrap()
    }

    /// Opens an address, of this app where it is a path.
    pub(crate) async fn open(&mut self, node: &Node, address: &str) -> Page {
        let is_own = address.starts_with('/');
        let address = if is_own { format!("{}{address}", node.url) } else { address.to_owned() };
        let mut request = self.client.get(address);
        if is_own {
            let cookies: Vec<String> =
                self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header(COOKIE, cookies.join("; "));
        }
        self.send(request).await
    }

    /// Sends a form as a page of another site does: no cookie of ours is with it.
    pub(crate) async fn post(&mut self, node: &Node, form: &Form) -> Page {
        let path = form.action.strip_prefix("http://shop.example").expect("it goes to the app");
        let response = STANDARD.encode(&form.response);
        let fields = [("SAMLResponse", response.as_str()), ("RelayState", form.relay.as_str())];
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self.client.post(format!("{}{path}", node.url)).body(body);
        self.send(request.header("content-type", "application/x-www-form-urlencoded")).await
    }

    /// From the start to the form that the provider has it send.
    pub(crate) async fn form_from(&mut self, node: &Node, start: &str) -> Form {
        let started = self.open(node, start).await;
        assert_eq!(started.status, 303, "{}", started.text);
        self.open(node, &started.location.unwrap()).await.form()
    }

    pub(crate) fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}
