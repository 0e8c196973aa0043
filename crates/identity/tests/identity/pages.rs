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
