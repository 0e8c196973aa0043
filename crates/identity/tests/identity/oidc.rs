//! Signing in by an OpenID provider: a real one with a real browser, and one that lies.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use mainstay_testkit::browser::Browser;
use serde_json::{Value as Json, json};

use crate::away::{Away, away, comes, with_hostile};
use crate::harness::{App, DatabaseKind, on_each, run};
use crate::hostile::{SigningKey, now_s};
use crate::visitor::{Step, Visitor, provider};

/// Where an app is going to be that has to be known beforehand.
fn address() -> String {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", free.local_addr().unwrap())
}

/// npm's `oidc-provider`, in a process of its own.
struct Real {
    process: Child,
    issuer: String,
    /// It writes there, and would stop if nobody listened.
    _said: BufReader<ChildStdout>,
}

impl Real {
    fn start(redirects: &[String]) -> Real {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let installed = here.join("../../target/oidc-provider");
        let modules = std::env::var_os("MAINSTAY_TEST_OIDC_PROVIDER").map_or(installed, Into::into);
        let mut process = Command::new("node")
            .arg(here.join("tests/identity/oidc_provider.js"))
            .arg(modules.canonicalize().expect("`cargo xtask test` installs an OpenID provider"))
            .args([json!(redirects).to_string(), "hush, hush".to_owned()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("node runs");
        let mut issuer = String::new();
        let mut said = BufReader::new(process.stdout.take().unwrap());
        said.read_line(&mut issuer).unwrap();
        Real { process, issuer: issuer.trim().to_owned(), _said: said }
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        // One that has ended already needs no ending.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

#[test]
fn somebody_signs_in_by_a_real_provider_with_a_real_browser() {
    on_each(async |kind| {
        let url = address();
        let real = Real::start(&[format!("{url}/auth/oidc/real/callback")]);
        let app = App::start_with(kind, |options| {
            options.url = url.clone();
            provider(options, "real", &real.issuer);
        })
        .await;
        let node = &app.node;
        assert_eq!(node.url, url);
        let mut browser = Browser::start().await.unwrap();
        browser.open(&format!("{url}/auth/pages/login")).await.unwrap();
        come_back(&mut browser, "ann").await;
        browser.open(&format!("{url}/auth/me")).await.unwrap();
        browser.until("document.body.textContent.includes('ann of the provider')").await.unwrap();
        assert_eq!(browser.run("document.cookie.includes('access=')").await.unwrap(), json!(false));
        let user = node.query(json!({"User": {"get": ["email", "email_verified"]}})).await;
        assert_eq!(user["User"][0]["email"], "ann@example.com");
        assert!(!user["User"][0]["email_verified"].is_null());
        // The provider remembers them: the second time nobody is asked anything, and it is the same user.
        browser.run("location.href = '/auth/oidc/real/start?cookies&return=/auth/me'").await.unwrap();
        browser
            .until("location.pathname === '/auth/me' && document.body.textContent.includes('ann@')")
            .await
            .unwrap();
        let known = node.query(json!({"User": {}, "ExternalLogin": {"get": ["provider", "subject"]}})).await;
        assert_eq!(known["User"].as_array().unwrap().len(), 1);
        assert_eq!(known["ExternalLogin"][0]["subject"], "ann");
        drop(browser);
        // What it does not vouch for lets nobody in.
        let mut browser = Browser::start().await.unwrap();
        browser.open(&format!("{url}/auth/pages/login")).await.unwrap();
        leave(&mut browser, "unverified-bob").await;
        browser.until("document.querySelector('[data-key=\"auth.unverified\"]')").await.unwrap();
        let users = node.query(json!({"User": {}})).await;
        assert_eq!(
            users["User"].as_array().unwrap().len(),
            1,
            "somebody came whose address nobody has verified"
        );
        app.node.stop().await;
    });
}

/// Goes to the provider, is somebody there, and consents.
async fn leave(browser: &mut Browser, name: &str) {
    browser.run("document.querySelector('.providers a').click()").await.unwrap();
    browser.until("document.querySelector('input[name=login]')").await.unwrap();
    browser
        .run(&format!(
            "document.querySelector('input[name=login]').value = {}; \
             document.querySelector('input[name=password]').value = 'x'; document.forms[0].submit()",
            json!(name)
        ))
        .await
        .unwrap();
    browser.until("document.querySelector('input[name=prompt][value=consent]')").await.unwrap();
    browser.run("document.forms[0].submit()").await.unwrap();
}

async fn come_back(browser: &mut Browser, name: &str) {
    leave(browser, name).await;
    // The app has no page of its own, and shows its reference.
    browser.until("location.pathname.startsWith('/docs')").await.unwrap();
}

#[test]
fn whom_a_provider_vouches_for_is_signed_in_and_goes_where_they_wanted() {
    on_each(async |kind| {
        let (app, hostile) = with_hostile(kind, |_| {}).await;
        let node = &app.node;
        let mut away = away(node, "cookies&return=/notes%3Fopen=1").await;
        let mut claims = hostile.claims("ann", &away.nonce);
        claims["email"] = json!(" Ann@Example.com");
        hostile.say(&hostile.key.sign(&claims));
        let step = away.back(node, "").await;
        assert_eq!((step.status, step.to()), (303, "/notes?open=1"));
        assert!(hostile.has_seen_verifier_of(&away.challenge), "the code was changed without the secret");
        // "shop:hush, hush", written as a form would.
        assert_eq!(hostile.says.lock().secret, "Basic c2hvcDpodXNoJTJDK2h1c2g=");
        let me = away.visitor.me(node).await;
        assert_eq!(me["user"]["email"], "ann@example.com");
        let events = node.query(json!({"SecurityEvent": {"kind": "account.made", "get": ["detail"]}})).await;
        assert_eq!(events["SecurityEvent"][0]["detail"]["provider"], "x");
        app.node.stop().await;
    });
}

#[test]
fn whoever_shows_a_second_factor_behind_a_provider_goes_where_they_wanted() {
    on_each(async |kind| {
        let (app, hostile) = with_hostile(kind, |_| {}).await;
        let node = &app.node;
        let (visitor, _) = comes(node, &hostile, "ann").await;
        let (secret, _) = crate::second::set_up(node, &visitor.cookies["access"]).await;
        let mut away = away(node, "cookies&return=/notes%3Fopen=1%26x").await;
        hostile.say(&hostile.key.sign(&hostile.claims("ann", &away.nonce)));
        let step = away.back(node, "").await;
        assert_eq!(step.status, 200, "{step:?}");
        assert!(!away.visitor.cookies.contains_key("access"));
        let field = |text: &str, name: &str| {
            let (_, rest) = text.split_once(&format!("name=\"{name}\" value=\"")).unwrap();
            rest.split_once('"')
                .unwrap()
                .0
                .replace("&amp;", "&")
                .replace("&#x2f;", "/")
                .replace("&#x3d;", "=")
        };
        let (ticket, back) = (field(&step.text, "ticket"), field(&step.text, "return"));
        assert_eq!(back, "/notes?open=1&x");
        // A code that is wrong loses nothing of it, and nobody is sent elsewhere.
        let mut form = vec![("ticket", ticket.as_str()), ("return", back.as_str()), ("code", "000000")];
        let again = away.visitor.post_form(node, "/auth/pages/code", &form).await;
        assert_eq!((again.status, field(&again.text, "return")), (422, back.clone()));
        let page = again.text.replace("&#x2f;", "/");
        assert!(page.contains("data-to=\"/notes?"), "a passkey leads there, too: {page}");
        form[1].1 = "//evil.example";
        let again = away.visitor.post_form(node, "/auth/pages/code", &form).await;
        assert!(!again.text.contains("evil"), "{}", again.text);
        let now = crate::second::code(&secret, 0);
        form[1].1 = &back;
        form[2].1 = &now;
        let landed = away.visitor.post_form(node, "/auth/pages/code", &form).await;
        assert_eq!((landed.status, landed.to()), (303, "/notes?open=1&x"));
        assert_eq!(away.visitor.me(node).await["user"]["email"], "ann@example.com");
        app.node.stop().await;
    });
}

#[test]
fn no_statement_is_believed_that_is_not_this_providers_for_this_app_and_this_moment() {
    run(async {
        let (app, hostile) = with_hostile(DatabaseKind::Sqlite, |_| {}).await;
        let node = &app.node;
        let stranger = SigningKey::new("first");
        type Case<'a> = (&'a str, Box<dyn Fn(&mut Json) -> Option<String> + 'a>);
        let changed = |name: &'static str, value: Json| -> Case<'_> {
            (
                name,
                Box::new(move |claims: &mut Json| {
                    claims[name] = value.clone();
                    None
                }),
            )
        };
        let plain = |header: &Json, claims: &Json| {
            use base64::Engine as _;
            let part =
                |json: &Json| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(json.to_string());
            format!("{}.{}", part(header), part(claims))
        };
        let cases: Vec<Case<'_>> = vec![
            changed("nonce", json!("another")),
            changed("nonce", json!(null)),
            changed("aud", json!("bank")),
            changed("aud", json!(["shop", "bank"])),
            changed("azp", json!("bank")),
            changed("iss", json!("http://127.0.0.1:1")),
            changed("iss", json!([hostile.url, "http://127.0.0.1:1"])),
            changed("exp", json!(now_s() - 3600)),
            changed("exp", json!(null)),
            changed("nbf", json!(now_s() + 3600)),
            changed("sub", json!("")),
            changed("sub", json!(null)),
            changed("sub", json!("a".repeat(300))),
            ("signed by somebody else", Box::new(|claims| Some(stranger.sign(claims)))),
            ("a key that is not published", Box::new(|claims| Some(SigningKey::new("second").sign(claims)))),
            ("not signed", Box::new(|claims| Some(format!("{}.", plain(&json!({"alg": "none"}), claims))))),
            (
                "not signed, and says otherwise",
                Box::new(|claims| {
                    Some(format!("{}.", plain(&json!({"alg": "EdDSA", "kid": "first"}), claims)))
                }),
            ),
            (
                "signed with what everybody knows",
                Box::new(|claims| {
                    let header = Header { kid: Some("first".to_owned()), ..Header::new(Algorithm::HS256) };
                    let secret = EncodingKey::from_base64_secret(
                        &hostile.key.public.replace('-', "+").replace('_', "/"),
                    );
                    let secret =
                        secret.unwrap_or_else(|_| EncodingKey::from_secret(hostile.key.public.as_bytes()));
                    Some(encode(&header, claims, &secret).unwrap())
                }),
            ),
            (
                "signed with the app's own secret",
                Box::new(|claims| {
                    let secret = EncodingKey::from_secret(b"hush, hush");
                    Some(encode(&Header::new(Algorithm::HS256), claims, &secret).unwrap())
                }),
            ),
            ("no statement", Box::new(|_| Some("x".to_owned()))),
        ];
        for (name, change) in &cases {
            let mut away = away(node, "cookies").await;
            let mut claims = hostile.claims("ann", &away.nonce);
            let statement = change(&mut claims).unwrap_or_else(|| hostile.key.sign(&claims));
            hostile.say(&statement);
            let step = away.back(node, "").await;
            assert_eq!((step.status, step.key().as_str()), (422, "auth.provider"), "{name}: {step:?}");
            assert!(!away.visitor.cookies.contains_key("access"), "{name}");
        }
        // A refusal by the provider, a code that it does not know, somebody else's address book.
        let mut refused = away(node, "cookies").await;
        assert_eq!(refused.back(node, "&error=access_denied").await.key(), "auth.provider");
        let mut unknown = away(node, "cookies").await;
        hostile.says.lock().token = json!({"error": "invalid_grant"});
        assert_eq!(unknown.back(node, "").await.key(), "auth.provider");
        let mut other = away(node, "cookies").await;
        let mut claims = hostile.claims("ann", &other.nonce);
        claims.as_object_mut().unwrap().remove("email");
        hostile.say(&hostile.key.sign(&claims));
        hostile.says.lock().userinfo =
            json!({"sub": "bob", "email": "bob@example.com", "email_verified": true});
        assert_eq!(other.back(node, "").await.key(), "auth.provider");
        let users = node.query(json!({"User": {}})).await;
        assert_eq!(users["User"], json!([]));
        // The same, when it is true.
        assert_eq!(comes(node, &hostile, "ann").await.1.status, 303);
        app.node.stop().await;
    });
}

#[test]
fn a_sign_in_comes_back_once_soon_and_in_the_browser_that_started_it() {
    on_each(async |kind| {
        let (app, hostile) = with_hostile(kind, |options| {
            let issuer = options.oidc["x"].issuer.clone();
            provider(options, "y", &issuer);
        })
        .await;
        let node = &app.node;
        let vouch = |away: &Away| hostile.say(&hostile.key.sign(&hostile.claims("ann", &away.nonce)));
        let refused =
            |step: Step| assert_eq!((step.status, step.key().as_str()), (422, "auth.provider"), "{step:?}");
        let mut first = away(node, "cookies").await;
        vouch(&first);
        // Another browser with this one's state: somebody would be signed in as somebody else.
        let path = format!("/auth/oidc/x/callback?code=c&state={}", first.state);
        refused(Visitor::new().get(node, &path).await);
        let mut second = away(node, "cookies").await;
        refused(second.visitor.get(node, &path).await);
        // Another provider's way back.
        refused(first.visitor.get(node, &path.replace("/x/", "/y/")).await);
        for state in ["", "x", &"a".repeat(43)] {
            refused(first.visitor.get(node, &format!("/auth/oidc/x/callback?code=c&state={state}")).await);
        }
        refused(first.visitor.get(node, "/auth/oidc/x/callback?code=c").await);
        // None of that has used it up; coming back has.
        assert_eq!(first.back(node, "").await.status, 303);
        refused(first.back(node, "").await);
        // An answer that names another provider (RFC 9207).
        let mut mixed = away(node, "cookies").await;
        vouch(&mixed);
        refused(mixed.back(node, "&iss=https%3A%2F%2Fevil.test").await);
        let mut named = away(node, "cookies").await;
        vouch(&named);
        let iss = format!("&iss={}", hostile.url);
        assert_eq!(named.back(node, &iss).await.status, 303);
        // One that has taken too long.
        let mut late = away(node, "cookies").await;
        vouch(&late);
        let old =
            "UPDATE \"OneTimeToken\" SET \"expires\" = \"created\" WHERE \"kind\" = 'started'".to_owned();
        node.engine.store().execute_script(vec![old]).await.unwrap();
        refused(late.back(node, "").await);
        app.node.stop().await;
    });
}

#[test]
fn nobody_is_sent_elsewhere() {
    run(async {
        let (app, _hostile) = with_hostile(DatabaseKind::Sqlite, |_| {}).await;
        let node = &app.node;
        for back in [
            "//evil.test",
            "https://evil.test",
            "/%5Cevil.test",
            "/%09/evil.test",
            "evil.test",
            "javascript:alert(1)",
        ] {
            let step = Visitor::new().get(node, &format!("/auth/oidc/x/start?cookies&return={back}")).await;
            assert_eq!((step.status, step.key().as_str()), (422, "value.invalid"), "{back}");
        }
        let step = Visitor::new().get(node, "/auth/oidc/x/start").await;
        assert_eq!((step.status, step.key().as_str()), (422, "value.invalid"), "neither cookies nor a hash");
        let step = Visitor::new().get(node, "/auth/oidc/nobody/start?cookies").await;
        assert_eq!(step.key(), "route.unknown");
        app.node.stop().await;
    });
}

#[test]
fn a_provider_that_is_not_as_it_should_be_is_told_from_one_that_refuses() {
    run(async {
        let (app, hostile) = with_hostile(DatabaseKind::Sqlite, |options| {
            provider(options, "gone", "http://127.0.0.1:9");
        })
        .await;
        let node = &app.node;
        let gone = Visitor::new().get(node, "/auth/oidc/gone/start?cookies").await;
        assert_eq!(gone.key(), "auth.provider_unavailable");
        hostile.says.lock().metadata = json!({"issuer": "https://evil.test"});
        let other = Visitor::new().get(node, "/auth/oidc/x/start?cookies").await;
        assert_eq!(other.key(), "auth.provider_unavailable");
        hostile.says.lock().metadata = json!({"padding": "x".repeat(2 << 20)});
        let large = Visitor::new().get(node, "/auth/oidc/x/start?cookies").await;
        assert_eq!(large.key(), "auth.provider_unavailable");
        hostile.says.lock().metadata = json!({"authorization_response_iss_parameter_supported": true});
        let mut silent = away(node, "cookies").await;
        hostile.say(&hostile.key.sign(&hostile.claims("ann", &silent.nonce)));
        assert_eq!(silent.back(node, "").await.key(), "auth.provider", "it names itself always, and did not");
        let mut named = away(node, "cookies").await;
        hostile.say(&hostile.key.sign(&hostile.claims("ann", &named.nonce)));
        assert_eq!(named.back(node, &format!("&iss={}", hostile.url)).await.status, 303);
        // Its keys change.
        let next = SigningKey::new("next");
        hostile.says.lock().published = vec![next.clone()];
        let mut turned = away(node, "cookies").await;
        hostile.say(&next.sign(&hostile.claims("ann", &turned.nonce)));
        assert_eq!(turned.back(node, &format!("&iss={}", hostile.url)).await.status, 303);
        app.node.stop().await;
    });
}
