//! Coming: registering, verifying, signing in, other addresses.

use reqwest::Method;
use serde_json::json;

use crate::harness::{App, DatabaseKind, PASSWORD, on_each, run};

#[test]
fn registering_tells_nobody_whether_there_is_an_account() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        let body = |password: &str| json!({"email": "Ann@Example.com ", "password": password, "name": "Ann"});
        let first = node.post("/auth/register", body(PASSWORD)).await.expect(202);
        let token = node.letter("identity-verify", "ann@example.com").await;
        let nobody = node.query(json!({"User": {}})).await;
        assert_eq!(nobody["User"], json!([]), "an account before its address is known");
        let verified = node.post("/auth/email/verify", json!({"token": token})).await.expect(200);
        assert_eq!(verified.body, json!({"verified": "ann@example.com"}));
        let second = node.post("/auth/register", body("another boat that sings")).await.expect(202);
        assert_eq!(first.body, second.body);
        node.quiet().await;
        assert_eq!(node.mails("ann@example.com").await, ["identity-verify", "identity-exists"]);
        // The second password is nobody's.
        node.login("ann").await;
        let other = json!({"email": "ann@example.com", "password": "another boat that sings"});
        node.post("/auth/login", other).await.refused(401, "auth.login");
        app.node.stop().await;
    });
}

#[test]
fn an_account_has_the_password_of_whoever_asked_for_the_link_that_was_used() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        let body = |password: &str| json!({"email": "ann@example.com", "password": password, "name": "Ann"});
        node.post("/auth/register", body("the password of a stranger")).await.expect(202);
        let of_stranger = node.letter("identity-verify", "ann@example.com").await;
        node.quiet().await;
        node.post("/auth/register", body(PASSWORD)).await.expect(202);
        node.quiet().await;
        let of_owner = node.letter("identity-verify", "ann@example.com").await;
        assert_ne!(of_stranger, of_owner);
        node.post("/auth/email/verify", json!({"token": of_owner})).await.expect(200);
        // The stranger's link makes no second account, and changes nothing of the first.
        assert_ne!(node.post("/auth/email/verify", json!({"token": of_stranger})).await.status, 200);
        node.login("ann").await;
        let stranger = json!({"email": "ann@example.com", "password": "the password of a stranger"});
        node.post("/auth/login", stranger).await.refused(401, "auth.login");
        app.node.stop().await;
    });
}

#[test]
fn who_may_not_sign_in_is_told_the_same_whatever_the_reason() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        let ann = node.user("ann", &[]).await;
        let bob = node.user("bob", &[]).await;
        node.query(json!({"User": {"id": bob, "set": {"blocked": "2026-01-01T00:00:00Z"}}})).await;
        let cat = json!({"create": true, "email": "cat@example.com", "name": "Cat"});
        node.query(json!({"User": cat})).await;
        let try_as = async |email: &str, password: &str| {
            let mut answer = node
                .post("/auth/login", json!({"email": email, "password": password}))
                .await
                .refused(401, "auth.login");
            answer.body.as_object_mut().unwrap().remove("request_id");
            answer.body
        };
        let unknown = try_as("dan@example.com", PASSWORD).await;
        assert_eq!(try_as("ann@example.com", "not the password").await, unknown);
        assert_eq!(try_as("bob@example.com", PASSWORD).await, unknown, "a blocked account");
        assert_eq!(try_as("cat@example.com", PASSWORD).await, unknown, "an account without a password");
        node.query(json!({"User": {"id": ann, "set": {"email_verified": null}}})).await;
        assert_eq!(try_as("ann@example.com", PASSWORD).await, unknown, "an address that is not verified");
        app.node.stop().await;
    });
}

/// What a browser sends across origins without asking first.
#[test]
fn no_form_of_another_site_signs_a_browser_in() {
    run(async {
        let app = App::start(DatabaseKind::Sqlite).await;
        let node = &app.node;
        node.user("ann", &[]).await;
        let body = format!(r#"{{"email": "ann@example.com", "password": "{PASSWORD}", "device": "="}}"#);
        let ask = || node.request(Method::POST, "/auth/login?cookies").body(body.clone());
        for media in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
            node.send(ask().header("content-type", media)).await.refused(415, "body.media_type");
        }
        node.send(ask()).await.refused(415, "body.media_type");
        node.send(ask().header("content-type", "application/json")).await.expect(200);
        // Nor does one without a body.
        let form = node.request(Method::POST, "/auth/anonymous?cookies");
        let form = form.header("content-type", "application/x-www-form-urlencoded");
        node.send(form).await.refused(415, "body.media_type");
        app.node.stop().await;
    });
}

#[test]
fn a_wrong_body_is_told_where_it_is_wrong() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        let check = async |path: &str, body: serde_json::Value, status: u16, place: &str, key: &str| {
            let answer = node.post(path, body).await.expect(status);
            let error = &answer.body["errors"][0];
            assert_eq!((error["path"].as_str(), error["key"].as_str()), (Some(place), Some(key)), "{error}");
        };
        check("/auth/login", json!({"email": "a@b.c"}), 422, "/password", "required").await;
        check("/auth/login", json!({"email": 1, "password": "x"}), 422, "/email", "type").await;
        check("/auth/login", json!({"emial": "a@b.c"}), 400, "/emial", "name").await;
        let new = |email: &str, password: &str| json!({"email": email, "password": password, "name": "Ann"});
        check("/auth/register", new("ann", PASSWORD), 422, "/email", "match").await;
        check("/auth/register", new("ann@example.com", "short"), 422, "/password", "min").await;
        check("/auth/register", new("ann@example.com", "password1234"), 422, "/password", "common").await;
        check("/auth/refresh", json!({}), 422, "/refresh", "required").await;
        node.quiet().await;
        assert_eq!(node.query(json!({"Mail": {}})).await["Mail"], json!([]));
        app.node.stop().await;
    });
}

#[test]
fn an_address_is_changed_by_the_mail_that_goes_there() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        node.user("ann", &[]).await;
        let access = node.login("ann").await.text("access");
        node.post_as(&access, "/auth/email/change", json!({"email": "anna@example.com"})).await.expect(202);
        let token = node.letter("identity-change", "anna@example.com").await;
        node.login("ann").await;
        node.post("/auth/email/verify", json!({"token": token})).await.expect(200);
        node.post("/auth/email/verify", json!({"token": token})).await.refused(422, "auth.token");
        node.login("anna").await;
        let old = json!({"email": "ann@example.com", "password": PASSWORD});
        node.post("/auth/login", old).await.refused(401, "auth.login");
        app.node.stop().await;
    });
}

#[test]
fn a_link_in_mail_signs_in_once() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        node.user("ann", &[]).await;
        let known = node.post("/auth/magic/request", json!({"email": "ann@example.com"})).await.expect(202);
        let unknown =
            node.post("/auth/magic/request", json!({"email": "nobody@example.com"})).await.expect(202);
        assert_eq!(known.body, unknown.body);
        let token = node.letter("identity-magic", "ann@example.com").await;
        let redeem = || node.post("/auth/magic/redeem", json!({"token": token}));
        let many = tokio::join!(redeem(), redeem(), redeem());
        let mut statuses = [many.0.status, many.1.status, many.2.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 422, 422]);
        node.quiet().await;
        assert_eq!(node.mails("nobody@example.com").await, [""; 0]);
        app.node.stop().await;
    });
}

#[test]
fn nobody_comes_without_a_name_unless_the_app_says_so() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        app.node.post("/auth/anonymous", json!({})).await.refused(403, "rule.refused");
        app.node.stop().await;
        let app = App::start_with(kind, |options| options.anonymous = true).await;
        let answer = app.node.post("/auth/anonymous", json!({})).await.expect(200);
        let note = json!({"Note": {"create": true, "text": "mine", "owner": answer.body["user"]["id"]}});
        app.node.post_as(&answer.text("access"), "/query", note).await.expect(200);
        app.node.stop().await;
    });
}

#[test]
fn where_addresses_need_not_be_verified_registering_signs_in() {
    on_each(async |kind| {
        let app = App::start_with(kind, |options| options.verified_only = false).await;
        let body = json!({"email": "ann@example.com", "password": PASSWORD, "name": "Ann"});
        let answer = app.node.post("/auth/register", body.clone()).await.expect(201);
        app.node.get_as(&answer.text("access"), "/auth/me").await.expect(200);
        app.node.post("/auth/register", body).await.refused(409, "unique");
        app.node.stop().await;
    });
}

#[test]
fn whoever_runs_the_server_may_say_that_an_address_is_verified() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        let verify = |email: &'static str| {
            mainstay_identity::address_verify(&node.engine, &crate::harness::SECRET, email)
        };
        assert!(!verify("ann@example.com").await.unwrap());
        let body = json!({"email": "ann@example.com", "password": PASSWORD, "name": "Ann"});
        node.post("/auth/register", body).await.expect(202);
        node.quiet().await;
        assert!(verify("Ann@example.com").await.unwrap());
        node.login("ann").await;
        // The link in the mail was that one.
        let token = node.letter("identity-verify", "ann@example.com").await;
        node.post("/auth/email/verify", json!({"token": token})).await.refused(422, "auth.token");
        node.query(json!({"User": {"email": "ann@example.com", "set": {"email_verified": null}}})).await;
        assert!(verify("ann@example.com").await.unwrap());
        node.login("ann").await;
        app.node.stop().await;
    });
}
