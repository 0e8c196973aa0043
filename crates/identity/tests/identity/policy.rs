//! Passwords that end, that were had before, that others know.

use std::io::Write as _;

use reqwest::Method;
use serde_json::json;

use crate::harness::{Answer, App, Node, PASSWORD, on_each};

const OTHER: &str = "another boat that sings";
const THIRD: &str = "a third boat that sings";

async fn login(node: &Node, password: &str) -> Answer {
    node.post("/auth/login", json!({"email": "ann@example.com", "password": password})).await
}

/// Lets every password be from long ago.
async fn grown_old(node: &Node) {
    let set = json!({"changed_at": "2020-01-01T00:00:00Z"});
    node.query(json!({"PasswordLogin": {"all": true, "set": set}})).await;
}

#[test]
fn a_password_that_is_too_old_is_good_for_choosing_another_and_nothing_else() {
    on_each(async |kind| {
        let app = App::start_with(kind, |options| options.password.days_max = 90).await;
        let node = &app.node;
        node.user("ann", &[]).await;
        let before = login(node, PASSWORD).await.expect(200);
        grown_old(node).await;
        let ticket = login(node, PASSWORD).await.refused(401, "auth.password_expired").text("ticket");
        login(node, "not the password").await.refused(401, "auth.login");
        let body = json!({"ticket": ticket, "code": "000000"});
        node.post("/auth/totp/verify", body).await.refused(422, "auth.token");
        let renew = async |ticket: &str, password: &str| {
            node.post("/auth/password/renew", json!({"ticket": ticket, "password": password})).await
        };
        renew("x", OTHER).await.refused(422, "auth.token");
        let same = renew(&ticket, PASSWORD).await.refused(422, "value.invalid");
        assert_eq!(same.body["errors"][0]["key"], "reused");
        renew(&ticket, "short").await.refused(422, "value.invalid");
        let access = renew(&ticket, OTHER).await.expect(200).text("access");
        renew(&ticket, THIRD).await.refused(422, "auth.token");
        node.get_as(&access, "/auth/me").await.expect(200);
        node.get_as(&before.text("access"), "/auth/me").await.refused(401, "auth.credentials");
        login(node, PASSWORD).await.refused(401, "auth.login");
        login(node, OTHER).await.expect(200);
        // A second factor comes first, and counts for the session that follows.
        let (secret, _) = crate::second::set_up(node, &access).await;
        grown_old(node).await;
        let ticket = login(node, OTHER).await.refused(401, "auth.second_factor_required").text("ticket");
        renew(&ticket, THIRD).await.refused(422, "auth.token");
        let body = json!({"ticket": ticket, "code": crate::second::code(&secret, 0)});
        let shown = node.post("/auth/totp/verify", body).await.refused(401, "auth.password_expired");
        let access = renew(&shown.text("ticket"), THIRD).await.expect(200).text("access");
        node.get_as(&access, "/door").await.expect(200);
        // The page leads there, too.
        node.post_as(&access, "/auth/totp/disable", json!({"code": crate::second::code(&secret, 1)}))
            .await
            .expect(204);
        grown_old(node).await;
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("email", "ann@example.com"), ("password", THIRD)])
            .finish();
        let request = node.request(Method::POST, "/auth/pages/login").body(form);
        let html = request.send().await.unwrap().text().await.unwrap();
        assert!(html.contains("action=\"/auth/pages/renew\""), "{html}");
        app.node.stop().await;
    });
}

#[test]
fn the_last_passwords_are_not_taken_again() {
    on_each(async |kind| {
        let app = App::start_with(kind, |options| options.password.remembered = 2).await;
        let node = &app.node;
        node.user("ann", &[]).await;
        let access = login(node, PASSWORD).await.expect(200).text("access");
        let change = async |old: &str, password: &str| {
            let body = json!({"old": old, "password": password});
            node.post_as(&access, "/auth/password/change", body).await
        };
        change(PASSWORD, PASSWORD).await.refused(422, "value.invalid");
        change(PASSWORD, OTHER).await.expect(204);
        let refused = change(OTHER, PASSWORD).await.refused(422, "value.invalid");
        assert_eq!(refused.body["errors"][0]["key"], "reused");
        change(OTHER, THIRD).await.expect(204);
        change(THIRD, OTHER).await.refused(422, "value.invalid");
        let kept = node.query(json!({"PasswordBefore": {"get": "*"}})).await;
        assert_eq!(kept["PasswordBefore"].as_array().unwrap().len(), 1, "{kept}");
        assert!(kept["PasswordBefore"][0].get("hash").is_none(), "{kept}");
        change(THIRD, PASSWORD).await.expect(204);
        app.node.stop().await;
    });
}

#[test]
fn a_password_that_others_know_is_refused() {
    on_each(async |kind| {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(format!("a\n{OTHER}\nzzz\n").as_bytes()).unwrap();
        let list = file.path().to_owned();
        let app = App::start_with(kind, |options| options.password_list = Some(list)).await;
        let node = &app.node;
        let register = async |password: &str| {
            let body = json!({"email": "bob@example.com", "password": password, "name": "Bob"});
            node.post("/auth/register", body).await
        };
        let refused = register(OTHER).await.refused(422, "value.invalid");
        assert_eq!(refused.body["errors"][0]["key"], "breached");
        register(THIRD).await.expect(202);
        node.user("ann", &[]).await;
        let access = login(node, PASSWORD).await.expect(200).text("access");
        let body = json!({"old": PASSWORD, "password": OTHER});
        node.post_as(&access, "/auth/password/change", body).await.refused(422, "value.invalid");
        app.node.stop().await;
    });
}
