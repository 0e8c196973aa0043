//! The page of the festival example in real browsers: alerts appear, change and leave without anybody reloading.

use mainstay_testkit::browser::Browser;
use serde_json::{Value, json};

use crate::support::{App, Server};

/// Rows of the example's seed.
const ANN: &str = "01900000-0000-7000-8000-000000000201";
const BOB: &str = "01900000-0000-7000-8000-000000000202";
const SECURITY: &str = "01900000-0000-7000-8000-000000000102";

/// A browser in which somebody has signed in.
async fn signed_in(app: &App, server: &Server, user: &str) -> Browser {
    let mut browser = Browser::start().await.unwrap();
    browser.open(&format!("http://{}/", server.address())).await.unwrap();
    let token = json!(app.token(user));
    let sign_in = format!(
        "{{ const form = document.querySelector('#sign-in'); form.token.value = {token}; form.requestSubmit(); }}"
    );
    browser.run(&sign_in).await.unwrap();
    browser.until("document.querySelector('#state').textContent === 'live: 0 alerts'").await.unwrap();
    browser.until("document.querySelector('#send').receiver.options.length === 3").await.unwrap();
    browser
}

/// Fills the page's form and sends it.
async fn send(browser: &mut Browser, title: &str, receiver: &str) {
    let (title, receiver) = (json!(title), json!(receiver));
    let script = format!(
        "{{ const form = document.querySelector('#send'); form.title.value = {title}; form.severity.value = 'warning';
            form.receiver.value = [...form.receiver.options].find(option => option.text === {receiver}).value;
            form.requestSubmit(); }}"
    );
    browser.run(&script).await.unwrap();
    browser.until("document.querySelector('#send').title.value === ''").await.unwrap();
}

/// Waits until the page shows these alerts, the newest first.
async fn shows(browser: &mut Browser, titles: &[&str]) {
    let shown = "JSON.stringify([...document.querySelectorAll('#alerts li')].map(item => item.firstChild.textContent))";
    let expected = json!(json!(titles).to_string());
    browser.until(&format!("{shown} === {expected}")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_appear_change_and_leave_in_the_browsers_of_two_teams() {
    let app = App::example("festival");
    let server = app.serve();
    let admin = app.token("--admin");
    let mut bar = signed_in(&app, &server, ANN).await;
    let mut security = signed_in(&app, &server, BOB).await;
    send(&mut bar, "Not for security", "Control room").await;
    send(&mut bar, "Fight at the bar", "Security").await;
    shows(&mut bar, &["Fight at the bar", "Not for security"]).await;
    shows(&mut security, &["Fight at the bar"]).await;
    let style = "document.querySelector('#alerts li').className";
    assert_eq!(security.run(style).await.unwrap(), "warning");

    let alerts = server.get(&admin, "/api/Alert?where=title%20~%20%22Fight%22&get=title").ok();
    let path = format!("/api/Alert/{}", alerts["items"][0]["id"].as_str().unwrap());
    let change = |change: Value| server.request("PATCH", &path).bearer(&admin).json(&change).send().ok();
    change(json!({"title": "Fight is over", "severity": "info"}));
    shows(&mut bar, &["Fight is over", "Not for security"]).await;
    shows(&mut security, &["Fight is over"]).await;
    assert_eq!(security.run(style).await.unwrap(), "info");

    // Who is not among the receivers any more sees it no longer; the sender does.
    server.request("DELETE", &format!("{path}/receivers/{SECURITY}")).bearer(&admin).send().expect(204);
    shows(&mut security, &[]).await;
    change(json!({"title": "Only ours"}));
    shows(&mut bar, &["Only ours", "Not for security"]).await;
    server.request("DELETE", &path).bearer(&admin).send().expect(204);
    shows(&mut bar, &["Not for security"]).await;
    shows(&mut security, &[]).await;
}
