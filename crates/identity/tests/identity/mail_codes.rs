//! Codes by mail: sent, shown once, tried a few times.

use serde_json::{Value as Json, json};

use crate::harness::{Answer, App, DatabaseKind, Node, PASSWORD, on_each};

async fn start(kind: DatabaseKind) -> App {
    let app = App::start_with(kind, |options| options.mail_code = true).await;
    app.node.user("ann", &[]).await;
    app
}

async fn ticket(node: &Node) -> String {
    let body = json!({"email": "ann@example.com", "password": PASSWORD});
    let wanted = node.post("/auth/login", body).await.refused(401, "auth.second_factor_required");
    assert_eq!(wanted.body["factors"], json!(["mail"]));
    wanted.text("ticket")
}

/// Asks for a code and reads it in the mail.
async fn code(node: &Node, body: Json) -> String {
    node.post("/auth/mail-code/request", body).await.expect(202);
    node.quiet().await;
    newest_code(node).await
}

async fn newest_code(node: &Node) -> String {
    let mail = node.mail("identity-code", "ann@example.com").await;
    let (_, rest) = mail["body"].as_str().unwrap().split_once("your code is").unwrap();
    let digits: String = rest.chars().filter(char::is_ascii_digit).take(6).collect();
    assert_eq!(digits.len(), 6, "{mail}");
    digits
}

async fn show(node: &Node, ticket: &str, code: &str) -> Answer {
    node.post("/auth/mail-code/verify", json!({"ticket": ticket, "code": code})).await
}

/// Another code.
fn wrong(code: &str) -> String {
    format!("{:06}", (code.parse::<u32>().unwrap() + 1) % 1_000_000)
}

#[test]
fn whoever_has_no_other_is_sent_a_code_which_is_good_once() {
    on_each(async |kind| {
        let app = start(kind).await;
        let node = &app.node;
        let first = ticket(node).await;
        show(node, &first, "123456").await.refused(401, "auth.code");
        let sent = code(node, json!({"ticket": first})).await;
        show(node, &first, &wrong(&sent)).await.refused(401, "auth.code");
        // Its ticket alone is no session, nor is the code with another ticket than one of hers.
        show(node, "x", &sent).await.refused(422, "auth.token");
        let access = show(node, &first, &sent).await.expect(200).text("access");
        show(node, &first, &sent).await.refused(422, "auth.token");
        show(node, &ticket(node).await, &sent).await.refused(401, "auth.code");
        let kept = node.query(json!({"Session": {"get": ["method", "confirmed_twice"]}})).await;
        assert_eq!(kept["Session"][0]["method"], "password");
        assert!(kept["Session"][0]["confirmed_twice"].is_string(), "{kept}");
        // A newer one takes the place of an older one.
        let again = ticket(node).await;
        let older = code(node, json!({"ticket": again})).await;
        let newer = code(node, json!({"ticket": again})).await;
        if older != newer {
            show(node, &again, &older).await.refused(401, "auth.code");
        }
        show(node, &again, &newer).await.expect(200);
        // Signed in, it confirms.
        node.get_as(&access, "/door").await.expect(200);
        let long_ago = json!({"confirmed": "2026-01-01T00:00:00Z", "confirmed_twice": null});
        node.query(json!({"Session": {"all": true, "set": long_ago}})).await;
        node.get_as(&access, "/door").await.refused(403, "auth.recent_required");
        let refused = node.post_as(&access, "/auth/keys", json!({"name": "x"})).await;
        assert_eq!(refused.refused(403, "auth.recent_required").body["factors"], json!(["password", "mail"]));
        node.post_as(&access, "/auth/mail-code/request", json!({})).await.expect(202);
        node.quiet().await;
        let sent = newest_code(node).await;
        node.post_as(&access, "/auth/mail-code/verify", json!({"code": sent})).await.expect(204);
        node.get_as(&access, "/door").await.expect(200);
        app.node.stop().await;
    });
}

#[test]
fn a_code_is_tried_five_times_and_not_after_its_time() {
    on_each(async |kind| {
        let app = start(kind).await;
        let node = &app.node;
        let first = ticket(node).await;
        let sent = code(node, json!({"ticket": first})).await;
        let guess = wrong(&sent);
        let guesses = futures_util::future::join_all((0..5).map(|_| show(node, &first, &guess))).await;
        guesses.into_iter().for_each(|answer| drop(answer.refused(401, "auth.code")));
        show(node, &first, &sent).await.refused(401, "auth.code");
        let sent = code(node, json!({"ticket": first})).await;
        let hash = node.query(json!({"MailCode": {"get": ["hash", "tries"]}})).await["MailCode"][0].clone();
        assert_eq!(hash["tries"], 0);
        // It is kept under a key of the server's: no digest of the code alone.
        assert!(!hash["hash"].as_str().unwrap().contains(&sent));
        // Past its time: made anew with one that is over, since nobody may change it.
        let owner = node.query(json!({"User": {"email": "ann@example.com"}})).await["User"][0]["id"].clone();
        node.query(json!([
            {"MailCode": {"owner": owner, "delete": true}},
            {"MailCode": {
                "create": true, "owner": owner, "hash": hash["hash"], "tries": 0,
                "expires": "2026-01-01T00:00:00Z",
            }},
        ]))
        .await;
        show(node, &first, &sent).await.refused(401, "auth.code");
        // Failures are counted over codes.
        for _ in 0..3 {
            show(node, &first, "000000").await;
        }
        let sent = code(node, json!({"ticket": first})).await;
        show(node, &first, &sent).await.refused(429, "auth.throttled");
        app.node.stop().await;
    });
}

#[test]
fn nobody_is_sent_one_after_a_link_or_beside_a_factor_of_their_own_or_unless_set() {
    on_each(async |kind| {
        let app = start(kind).await;
        let node = &app.node;
        node.post("/auth/magic/request", json!({"email": "ann@example.com"})).await.expect(202);
        let token = node.letter("identity-magic", "ann@example.com").await;
        let signed_in = node.post("/auth/magic/redeem", json!({"token": token})).await.expect(200);
        let access = signed_in.text("access");
        // Mail was shown already.
        node.post_as(&access, "/auth/mail-code/request", json!({})).await.refused(403, "rule.refused");
        for _ in 0..9 {
            let first = ticket(node).await;
            node.post("/auth/mail-code/request", json!({"ticket": first})).await.expect(202);
        }
        let first = ticket(node).await;
        node.post("/auth/mail-code/request", json!({"ticket": first})).await.expect(202);
        node.post("/auth/mail-code/request", json!({"ticket": first})).await.refused(429, "auth.throttled");
        crate::second::set_up(node, &access).await;
        node.post("/auth/mail-code/request", json!({"ticket": first})).await.refused(403, "rule.refused");
        let other = app.another(|options| options.mail_code = false).await;
        other.user("bob", &[]).await;
        let access = other.login("bob").await.text("access");
        other.post_as(&access, "/auth/mail-code/request", json!({})).await.refused(403, "rule.refused");
        other.stop().await;
        app.node.stop().await;
    });
}

#[test]
fn a_code_is_good_for_the_sign_in_that_it_was_asked_for_alone() {
    on_each(async |kind| {
        let app = start(kind).await;
        let node = &app.node;
        let (first, second) = (ticket(node).await, ticket(node).await);
        let sent = code(node, json!({"ticket": first})).await;
        // Whoever knows the password and sees the code, and has begun by themselves, has nothing by that.
        show(node, &second, &sent).await.refused(401, "auth.code");
        let access = show(node, &first, &sent).await.expect(200).text("access");
        let sent = code(node, json!({"ticket": second})).await;
        let verify = "/auth/mail-code/verify";
        node.post_as(&access, verify, json!({"code": sent})).await.refused(401, "auth.code");
        show(node, &second, &sent).await.expect(200);
        app.node.stop().await;
    });
}

#[test]
fn no_link_in_mail_signs_in_where_an_app_says_so() {
    on_each(async |kind| {
        let app = App::start_with(kind, |options| options.magic = false).await;
        let node = &app.node;
        node.user("ann", &[]).await;
        let request = json!({"email": "ann@example.com"});
        node.post("/auth/magic/request", request).await.refused(403, "rule.refused");
        node.post("/auth/magic/redeem", json!({"token": "x"})).await.refused(403, "rule.refused");
        let methods = node.send(node.request(reqwest::Method::GET, "/auth/methods")).await.expect(200);
        assert_eq!(methods.body["magic"], false);
        app.node.stop().await;
    });
}
