//! The pages, by a program that has no scripts and by a real browser.

use mainstay_testkit::browser::Browser;
use reqwest::Method;
use serde_json::json;

use crate::harness::{App, DatabaseKind, PASSWORD, on_each, run};

#[test]
fn a_form_does_what_its_request_does_and_shows_what_is_wrong() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        node.user("ann", &[]).await;
        let send = async |page: &str, form: &[(&str, &str)], origin: Option<&str>| {
            let mut request = node.request(Method::POST, &format!("/auth/pages/{page}"));
            request = request.header("x-forwarded-for", "198.51.100.9");
            let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
            request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
            if let Some(origin) = origin {
                request = request.header("origin", origin);
            }
            request.send().await.unwrap()
        };
        let wrong = send("login", &[("email", "ann@example.com"), ("password", "not it")], None).await;
        assert_eq!(wrong.status(), 422);
        assert!(wrong.headers()["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
        let html = wrong.text().await.unwrap();
        assert!(html.contains("No account has this address") && html.contains("ann@example.com"), "{html}");
        let right = [("email", "ann@example.com"), ("password", PASSWORD)];
        let foreign = send("login", &right, Some("https://evil.example")).await;
        assert_eq!(foreign.status(), 403, "a form of another site signs in");
        assert_eq!(foreign.headers().get_all("set-cookie").iter().count(), 0);
        let unknown = node.send(node.request(Method::GET, "/auth/pages/nothing")).await;
        unknown.refused(404, "route.unknown");
        app.node.stop().await;
    });
}

/// Fills a form's fields and sends it.
async fn fill(browser: &mut Browser, values: &[(&str, &str)]) {
    for (name, value) in values {
        let (name, value) = (json!(name), json!(value));
        browser.run(&format!("document.forms[0].elements[{name}].value = {value}")).await.unwrap();
    }
    browser.run("document.querySelector('button').click()").await.unwrap();
}

#[test]
fn somebody_registers_verifies_and_signs_in_with_a_browser() {
    run(async {
        let app = App::start(DatabaseKind::Sqlite).await;
        let node = &app.node;
        let mut browser = Browser::start().await.unwrap();
        browser.open(&format!("{}/auth/pages/register", node.url)).await.unwrap();
        fill(&mut browser, &[("name", "Ann"), ("email", "ann@example.com"), ("password", PASSWORD)]).await;
        browser
            .until("document.querySelector('.done')?.textContent.includes('sent you a mail')")
            .await
            .unwrap();
        let token = node.letter("identity-verify", "ann@example.com").await;
        browser.open(&format!("{}/auth/pages/verify?token={token}", node.url)).await.unwrap();
        fill(&mut browser, &[]).await;
        browser.until("document.querySelector('.done')?.textContent.includes('confirmed')").await.unwrap();
        browser.run("document.querySelector('nav a').click()").await.unwrap();
        browser.until("document.forms[0]?.action.endsWith('/login')").await.unwrap();
        fill(&mut browser, &[("email", "ann@example.com"), ("password", PASSWORD)]).await;
        // There is no page of the app's own in this test; the cookies are what counts.
        browser.until("!location.pathname.startsWith('/auth')").await.unwrap();
        browser.open(&format!("{}/auth/me", node.url)).await.unwrap();
        browser.until("document.body.textContent.includes('ann@example.com')").await.unwrap();
        assert_eq!(browser.run("document.cookie.includes('access=')").await.unwrap(), json!(false));
        app.node.stop().await;
    });
}

/// The form of a page, sent as a browser without scripts does; cookies are kept.
struct Visitor<'n> {
    node: &'n crate::harness::Node,
    cookies: std::collections::BTreeMap<String, String>,
}

impl Visitor<'_> {
    async fn ask(&mut self, request: reqwest::RequestBuilder) -> (u16, String, String) {
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = request.header("cookie", cookies.join("; ")).header("x-forwarded-for", "198.51.100.9");
        let response = request.send().await.unwrap();
        for set in response.headers().get_all("set-cookie") {
            let (name, value) = set.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        let to = response.headers().get("location").map(|to| to.to_str().unwrap().to_owned());
        (response.status().as_u16(), to.unwrap_or_default(), response.text().await.unwrap())
    }

    async fn show(&mut self, page: &str) -> (u16, String, String) {
        let path = format!("/auth/pages/{page}");
        let request = self.node.request_without_following(Method::GET, &path);
        self.ask(request).await
    }

    async fn send(&mut self, page: &str, form: &[(&str, &str)]) -> (u16, String, String) {
        let path = format!("/auth/pages/{page}");
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self.node.request_without_following(Method::POST, &path);
        self.ask(request.header("content-type", "application/x-www-form-urlencoded").body(body)).await
    }
}

/// What stands between two texts of a page.
fn between<'h>(html: &'h str, from: &str, to: &str) -> &'h str {
    let (_, rest) = html.split_once(from).unwrap_or_else(|| panic!("no {from} in {html}"));
    rest.split_once(to).unwrap().0
}

#[test]
fn the_account_is_seen_to_without_scripts_and_only_by_forms_of_ours() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        node.user("ann", &[]).await;
        node.login("ann").await;
        let mut ann = Visitor { node, cookies: Default::default() };
        let (status, to, _) = ann.show("account").await;
        assert_eq!((status, to.as_str()), (303, "/auth/pages/login"));
        ann.send("login", &[("email", "ann@example.com"), ("password", PASSWORD)]).await;
        let (status, _, html) = ann.show("account").await;
        assert_eq!(status, 200);
        assert!(html.contains("ann@example.com") && html.contains("this one"), "{html}");
        let csrf = between(&html, "name=\"csrf\" value=\"", "\"").to_owned();
        let other = between(&html, "name=\"id\" value=\"", "\"").to_owned();
        // Without the proof nothing is changed, whoever has the cookies.
        for form in [vec![("id", other.as_str())], vec![("id", other.as_str()), ("csrf", "planted")]] {
            let (status, _, _) = ann.send("session-end", &form).await;
            assert_eq!(status, 403);
        }
        let live = json!({"Session": {"ended": null, "get": ["id"]}});
        assert_eq!(node.query(live.clone()).await["Session"].as_array().unwrap().len(), 2);
        let (status, _, _) = ann.send("session-end", &[("id", &other), ("csrf", &csrf)]).await;
        assert_eq!(status, 200);
        assert_eq!(node.query(live).await["Session"].as_array().unwrap().len(), 1);
        // A second factor, set up by what stands on the page.
        let (_, _, html) = ann.send("totp-setup", &[("csrf", &csrf)]).await;
        assert!(html.contains("<svg"), "{html}");
        let secret = between(&html, "<code>", "</code>").to_owned();
        let (status, _, html) = ann.send("totp-confirm", &[("csrf", &csrf), ("code", "000000")]).await;
        assert_eq!(status, 422);
        assert!(html.contains("role=\"alert\""), "{html}");
        let now = crate::second::code(&secret, -1);
        let (_, _, html) = ann.send("totp-confirm", &[("csrf", &csrf), ("code", &now)]).await;
        let code = between(&html, "<p class=\"codes\">", "<br>").trim().to_owned();
        // From now on the page asks for it.
        let mut again = Visitor { node, cookies: Default::default() };
        let (_, _, html) = again.send("login", &[("email", "ann@example.com"), ("password", PASSWORD)]).await;
        let ticket = between(&html, "name=\"ticket\" value=\"", "\"").to_owned();
        let (status, to, _) = again.send("code", &[("ticket", &ticket), ("code", &code)]).await;
        assert_eq!((status, to.as_str()), (303, "/"));
        // What is delicate leads to the page that asks once more, and goes on after it.
        let long_ago = json!({"confirmed": "2026-01-01T00:00:00Z", "confirmed_twice": null});
        node.query(json!({"Session": {"all": true, "set": long_ago}})).await;
        let (status, _, html) = ann.send("recovery-codes", &[("csrf", &csrf)]).await;
        assert_eq!(status, 403);
        assert!(html.contains("action=\"/auth/pages/confirm\""), "{html}");
        let (status, to, _) = ann.send("confirm", &[("csrf", &csrf), ("password", PASSWORD)]).await;
        assert_eq!((status, to.as_str()), (303, "/auth/pages/account"));
        let (status, _, html) = ann.send("recovery-codes", &[("csrf", &csrf)]).await;
        assert_eq!(status, 200);
        assert!(html.contains("class=\"codes\""), "{html}");
        let (status, to, _) = ann.send("sign-out", &[("csrf", &csrf)]).await;
        assert_eq!((status, to.as_str()), (303, "/auth/pages/login"));
        let (status, _, _) = ann.show("account").await;
        assert_eq!(status, 303);
        app.node.stop().await;
    });
}

#[test]
fn a_passkey_is_made_and_signed_in_with_in_a_browser() {
    run(async {
        let app = App::start(DatabaseKind::Sqlite).await;
        let node = &app.node;
        let ann = node.user("ann", &[]).await;
        // No browser has passkeys for a number: the server is reached by a name, as a tenant's.
        let place = node.url.replace("127.0.0.1", "localhost");
        let host = place.strip_prefix("http://").unwrap();
        let tenant = json!({"create": true, "name": "Red", "slug": "red", "hosts": [host]});
        let tenant = node.query(json!({"Tenant": tenant})).await["Tenant"][0]["id"].clone();
        node.query(json!({"Membership": {"create": true, "of": tenant, "member": ann}})).await;
        let mut browser = Browser::start().await.unwrap();
        browser.command("WebAuthn.enable", json!({})).await.unwrap();
        let options = json!({
            "protocol": "ctap2", "transport": "internal", "hasResidentKey": true, "hasUserVerification": true,
            "isUserVerified": true, "automaticPresenceSimulation": true,
        });
        browser.command("WebAuthn.addVirtualAuthenticator", json!({"options": options})).await.unwrap();
        browser.open(&format!("{place}/auth/pages/login")).await.unwrap();
        fill(&mut browser, &[("email", "ann@example.com"), ("password", PASSWORD)]).await;
        browser.until("!location.pathname.startsWith('/auth')").await.unwrap();
        browser.open(&format!("{place}/auth/pages/account")).await.unwrap();
        browser.run("document.getElementById('passkey').click()").await.unwrap();
        browser
            .until("document.getElementById('passkey-said').textContent.includes('Your passkey is made')")
            .await
            .unwrap();
        browser.open(&format!("{place}/auth/pages/account")).await.unwrap();
        browser.until("document.body.textContent.includes('not used yet')").await.unwrap();
        // The page has one script, and no other runs.
        let planted = "const s = document.createElement('script'); s.textContent = 'window.planted = 1'; document.body.append(s); window.planted";
        assert_eq!(browser.run(planted).await.unwrap_or_default(), serde_json::Value::Null);
        browser.run("document.querySelector('form[action$=sign-out] button').click()").await.unwrap();
        // It is offered where the address is typed, and by the button.
        browser.run("document.getElementById('passkey')?.click()").await.ok();
        browser.until("!location.pathname.startsWith('/auth')").await.unwrap();
        browser.open(&format!("{place}/auth/me")).await.unwrap();
        browser.until("document.body.textContent.includes('ann@example.com')").await.unwrap();
        let sessions =
            node.query(json!({"Session": {"method": "passkey", "get": ["confirmed_twice"]}})).await;
        assert!(sessions["Session"][0]["confirmed_twice"].is_string(), "{sessions}");
        app.node.stop().await;
    });
}
