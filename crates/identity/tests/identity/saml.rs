//! Signing in by a provider that speaks SAML: a real one, and whatever else comes to where its answers are taken.

mod artifacts;
mod idp;
mod refusals;

use mainstay_identity::{ProviderOptions, SamlOptions, SamlRequest};
use reqwest::Method;
use serde_json::{Value as Json, json};

use mainstay_testkit::browser::Browser as Chromium;

use crate::harness::{App, DatabaseKind, Node, on_each};
use idp::{Browser, Idp};

const EMAIL: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress";
const NAME: &str = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name";
/// What a program keeps, and what it shows of it (RFC 7636, appendix B).
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const START: &str = "/auth/saml/school/start?cookies&return=%2Fnotes";

fn school(idp: &Idp) -> SamlOptions {
    SamlOptions {
        provider: ProviderOptions { keep: vec![NAME.to_owned()], ..ProviderOptions::default() },
        metadata: format!("{}/metadata", idp.url),
        email: Some(EMAIL.to_owned()),
        email_verified: true,
        name: Some(NAME.to_owned()),
        ..SamlOptions::default()
    }
}

async fn with(kind: DatabaseKind, idp: &Idp, change: impl FnOnce(&mut SamlOptions)) -> App {
    let mut options = school(idp);
    change(&mut options);
    App::start_with(kind, |identity| {
        identity.saml.insert("school".to_owned(), options);
    })
    .await
}

/// How many sessions, users and links there are.
async fn counts(node: &Node) -> (usize, usize, usize) {
    let part = json!({"get": ["id"]});
    let found = node.query(json!({"Session": part, "User": part, "ExternalLogin": part})).await;
    let count = |table: &str| found[table].as_array().map_or(0, Vec::len);
    (count("Session"), count("User"), count("ExternalLogin"))
}

/// Goes the whole way; the session's cookies are in the browser then.
async fn sign_in(node: &Node, browser: &mut Browser, start: &str) -> String {
    let form = browser.form_from(node, start).await;
    let posted = browser.post(node, &form).await;
    assert_eq!(posted.status, 303, "{}", posted.text);
    let arrival = posted.location.unwrap();
    assert!(arrival.starts_with("/auth/saml/school/acs?arrival="), "{arrival}");
    assert_eq!(browser.cookie("access"), None, "before the browser has come by itself");
    let landed = browser.open(node, &arrival).await;
    assert_eq!(landed.status, 303, "{}", landed.text);
    landed.location.unwrap()
}

async fn me(node: &Node, browser: &mut Browser) -> Json {
    serde_json::from_str(&browser.open(node, "/auth/me").await.text).unwrap()
}

#[test]
fn whom_the_provider_signs_in_is_signed_in_here() {
    on_each(async |kind| {
        let idp = Idp::start();
        let app = with(kind, &idp, |_| {}).await;
        let node = &app.node;
        let mut browser = Browser::new();
        assert_eq!(sign_in(node, &mut browser, START).await, "/notes");
        let first = me(node, &mut browser).await;
        assert_eq!(first["user"]["email"], "ann@school.example");
        assert_eq!(first["user"]["name"], "Ann");
        assert_eq!(counts(node).await, (1, 1, 1));
        let link = node.query(json!({"ExternalLogin": {"get": ["provider", "subject", "attributes"]}})).await;
        let link = &link["ExternalLogin"][0];
        assert_eq!((&link["provider"], &link["subject"]), (&json!("school"), &json!("ann-7")));
        assert_eq!(link["attributes"], json!({NAME: "Ann"}));
        // Each way in which the provider may secure its answers comes to the same.
        let own = own_certificate(node).await;
        for mode in [
            json!({"signResponse": true}),
            json!({"signResponse": true, "signAssertion": false}),
            json!({"signatureAlgorithm": "rsa-sha256", "digestAlgorithm": "sha256", "signingCert": own}),
            json!({"encryptionCert": own, "encryptionPublicKey": public_key(&own)}),
            json!({
                "encryptionCert": own, "encryptionPublicKey": public_key(&own), "signResponse": true,
                "encryptionAlgorithm": "http://www.w3.org/2001/04/xmlenc#aes256-cbc",
                "disallowEncryptionWithInsecureAlgorithm": false,
            }),
        ] {
            idp.mode(mode.clone()).await;
            let mut browser = Browser::new();
            sign_in(node, &mut browser, START).await;
            assert_eq!(me(node, &mut browser).await["user"]["id"], first["user"]["id"], "{mode}");
        }
        assert_eq!(counts(node).await, (6, 1, 1));
        app.node.stop().await;
    });
}

/// The certificate in the app's metadata, in PEM.
async fn own_certificate(node: &Node) -> String {
    let metadata = Browser::new().open(node, "/auth/saml/school/metadata").await;
    assert_eq!(metadata.headers["content-type"], "application/samlmetadata+xml");
    let (_, rest) = metadata.text.split_once("<ds:X509Certificate>").unwrap();
    let lines: Vec<&[u8]> = rest.split_once('<').unwrap().0.as_bytes().chunks(64).collect();
    let lines: Vec<&str> = lines.into_iter().map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

fn public_key(certificate: &str) -> String {
    run("openssl", &["x509", "-pubkey", "-noout"], certificate)
}

/// What a program says to a text.
#[track_caller]
fn run(program: &str, words: &[&str], input: &str) -> String {
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    let mut process = Command::new(program)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    process.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let done = process.wait_with_output().unwrap();
    assert!(done.status.success(), "{program} {words:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

#[test]
fn what_the_app_says_is_verified_by_others() {
    on_each(async |kind| {
        let idp = Idp::start();
        let app = with(kind, &idp, |options| {
            options.request = SamlRequest::Post;
            options.contexts = vec!["urn:oasis:names:tc:SAML:2.0:ac:classes:Password".to_owned()];
        })
        .await;
        let node = &app.node;
        let own = own_certificate(node).await;
        let certificate = idp.folder.path().join("own.pem");
        std::fs::write(&certificate, &own).unwrap();
        let certificate = certificate.to_str().unwrap();
        let metadata = Browser::new().open(node, "/auth/saml/school/metadata").await.text;
        let verify = |id: &str, text: &str| {
            let path = idp.folder.path().join("message.xml");
            std::fs::write(&path, text).unwrap();
            let path = path.to_str().unwrap();
            run("xmlsec1", &["--verify", "--id-attr:ID", id, "--pubkey-cert-pem", certificate, path], "");
        };
        verify("urn:oasis:names:tc:SAML:2.0:metadata:EntityDescriptor", &metadata);
        let started = Browser::new().open(node, &format!("{START}&anew")).await;
        assert_eq!(started.status, 200);
        let policy = started.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("script-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
        let (_, rest) = started.text.split_once("name=\"SAMLRequest\" value=\"").unwrap();
        let message = base64::Engine::decode(
            &base64::engine::general_purpose::STANDARD,
            rest.split_once('"').unwrap().0,
        );
        let message = String::from_utf8(message.unwrap()).unwrap();
        verify("urn:oasis:names:tc:SAML:2.0:protocol:AuthnRequest", &message);
        assert!(
            message.contains("ForceAuthn=\"true\"") && message.contains("ac:classes:Password"),
            "{message}"
        );
        // The same key on another node, and after a restart.
        let second = app.another(|_| {}).await;
        assert_eq!(own_certificate(&second).await, own);
        second.stop().await;
        app.node.stop().await;
    });
}

#[test]
fn a_browser_goes_there_and_back_by_forms_of_either_side() {
    crate::harness::run(async {
        let idp = Idp::start();
        let options = SamlOptions { request: SamlRequest::Post, ..school(&idp) };
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let app = App::start_with(DatabaseKind::Sqlite, |identity| {
            // To a browser this is another site than the provider's, which is at 127.0.0.1.
            identity.url = format!("http://localhost:{port}");
            identity.saml.insert("school".to_owned(), options);
        })
        .await;
        let mut browser = Chromium::start().await.unwrap();
        let start = format!("http://localhost:{port}/auth/saml/school/start?cookies&return=%2Fauth%2Fme");
        // Not opened and waited for: it is left at once.
        browser.open(&format!("http://localhost:{port}/auth/pages/login")).await.unwrap();
        browser.run(&format!("setTimeout(() => location.href = {}, 0)", json!(start))).await.unwrap();
        browser.until("document.body?.textContent.includes('ann@school.example')").await.unwrap();
        assert_eq!(browser.run("location.pathname").await.unwrap(), json!("/auth/me"));
        assert_eq!(counts(&app.node).await, (1, 1, 1));
        app.node.stop().await;
    });
}

#[test]
fn a_program_gets_a_code_that_is_good_with_its_secret() {
    on_each(async |kind| {
        let idp = Idp::start();
        let app = with(kind, &idp, |_| {}).await;
        let node = &app.node;
        let start = format!("/auth/saml/school/start?challenge={CHALLENGE}&return=%2Fdone");
        let mut browser = Browser::new();
        let landed = sign_in(node, &mut browser, &start).await;
        assert_eq!(
            (browser.cookie("access"), counts(node).await),
            (None, (0, 0, 0)),
            "before the code is redeemed"
        );
        let (_, code) = landed.split_once("/done?provider=school&code=").unwrap();
        let body = json!({"provider": "school", "code": code, "verifier": VERIFIER});
        let tokens = node.post("/auth/login", body.clone()).await.expect(200);
        assert_eq!(tokens.body["user"]["email"], "ann@school.example");
        node.post("/auth/login", body).await.refused(422, "auth.token");
        // What is refused the program is told, too.
        idp.mode(json!({"audience": "https://other.example"})).await;
        let form = browser.form_from(node, &start).await;
        let refused = browser.post(node, &form).await;
        assert_eq!(refused.location.as_deref(), Some("/done?provider=school&error=auth.provider"));
        app.node.stop().await;
    });
}

#[test]
fn a_session_ends_and_begins_as_the_provider_says() {
    on_each(async |kind| {
        let idp = Idp::start();
        let app = with(kind, &idp, |_| {}).await;
        let node = &app.node;
        idp.mode(json!({"signAssertion": false})).await;
        let mut browser = Browser::new();
        let form = browser.form_from(node, START).await;
        let form = form.altered(&idp, |response| ends_in(response, 3600)).await;
        let arrival = browser.post(node, &form).await.location.unwrap();
        assert_eq!(browser.open(node, &arrival).await.status, 303);
        let session = node.query(json!({"Session": {"get": ["expires"]}})).await;
        let expires = session["Session"][0]["expires"].as_str().unwrap();
        assert!(expires <= soon(3601).as_str(), "{expires}");
        // Somebody who has to sign in anew has to have done so.
        let form = browser.form_from(node, &format!("{START}&anew")).await;
        let old = |response: &str| in_year(response, "AuthnInstant", "2001");
        let refused = browser.post(node, &form.clone().altered(&idp, old).await).await;
        assert!(refused.status == 422 && refused.text.contains("signed in anew"), "{}", refused.text);
        let form = form.altered(&idp, str::to_owned).await;
        assert_eq!(browser.post(node, &form).await.status, 303);
        app.node.stop().await;
    });
}

#[test]
fn a_session_ends_as_the_provider_says_behind_a_second_factor_too() {
    on_each(async |kind| {
        let idp = Idp::start();
        let app = with(kind, &idp, |_| {}).await;
        let node = &app.node;
        let mut browser = Browser::new();
        sign_in(node, &mut browser, START).await;
        let access = browser.cookie("access").unwrap().to_owned();
        let (secret, _) = crate::second::set_up(node, &access).await;
        idp.mode(json!({"signAssertion": false})).await;
        let mut browser = Browser::new();
        let form = browser.form_from(node, START).await;
        let form = form.altered(&idp, |response| ends_in(response, 3600)).await;
        let arrival = browser.post(node, &form).await.location.unwrap();
        let page = browser.open(node, &arrival).await;
        let (_, rest) = page.text.split_once("name=\"ticket\" value=\"").unwrap();
        let ticket = rest.split_once('"').unwrap().0;
        let body = json!({"ticket": ticket, "code": crate::second::code(&secret, 0)});
        let tokens = node.post("/auth/totp/verify", body).await.expect(200);
        let part = json!({"confirmed_twice": {"not": null}, "ended": null, "get": ["expires", "via"], "order": ["-expires"]});
        let sessions = node.query(json!({"Session": part})).await;
        let last = sessions["Session"].as_array().unwrap().last().unwrap().clone();
        assert_eq!(last["via"], "school");
        assert!(last["expires"].as_str().unwrap() <= soon(3601).as_str(), "{sessions}");
        node.get_as(&tokens.text("access"), "/auth/me").await.expect(200);
        app.node.stop().await;
    });
}

/// A response in which a time is one of another year.
fn in_year(response: &str, name: &str, year: &str) -> String {
    let name = format!("{name}=\"");
    let (before, after) = response.split_once(&name).unwrap();
    format!("{before}{name}{year}{}", &after[4..])
}

/// A response whose session ends in so many seconds.
fn ends_in(response: &str, seconds: i64) -> String {
    let ends = format!("<saml:AuthnStatement SessionNotOnOrAfter=\"{}\"", soon(seconds));
    let changed = response.replace("<saml:AuthnStatement", &ends);
    assert_ne!(changed, response);
    changed
}

/// A time so many seconds from now, as SAML writes it.
fn soon(seconds: i64) -> String {
    let now = mainstay_jobs::Clock::default().now();
    let text = mainstay_lang::value::Timestamp(now.0 + seconds * 1_000_000).to_string();
    format!("{}Z", &text[..19])
}

#[test]
fn a_provider_that_is_away_signs_nobody_in_and_one_that_was_there_still_does() {
    on_each(async |kind| {
        let idp = Idp::start();
        let app =
            with(kind, &idp, |options| options.metadata = "http://127.0.0.1:9/metadata".to_owned()).await;
        let start = app.node.request(Method::GET, &format!("/auth/saml/school/start?challenge={CHALLENGE}"));
        app.node.send(start).await.refused(503, "auth.provider_unavailable");
        let page = Browser::new().open(&app.node, START).await;
        assert!(page.status == 422 && page.text.contains("cannot be read"), "{}", page.text);
        app.node.stop().await;
        // Metadata in a file, which is gone later.
        let file = idp.folder.path().join("metadata.xml");
        let told = Browser::new();
        std::fs::write(&file, told.fetch(&format!("{}/metadata", idp.url)).await).unwrap();
        let app = with(kind, &idp, |options| options.metadata = file.to_str().unwrap().to_owned()).await;
        sign_in(&app.node, &mut Browser::new(), START).await;
        std::fs::remove_file(&file).unwrap();
        sign_in(&app.node, &mut Browser::new(), START).await;
        app.node.stop().await;
    });
}
