//! Passkeys: made, signed in with, shown beside a password; and everything that is not one.

use mainstay_engine::sealed::Sealer;
use reqwest::Method;
use serde_json::{Value as Json, json};

use crate::authenticator::{Authenticator, PRESENT, VERIFIED};
use crate::harness::{Answer, App, Node, PASSWORD, SECRET, on_each};

/// Makes a passkey of somebody who has signed in.
pub(crate) async fn register(node: &Node, access: &str, key: &mut Authenticator) -> Answer {
    let begun = node.post_as(access, "/auth/passkey/register/begin", json!({})).await.expect(200);
    let credential = key.make(&begun.body["publicKey"]);
    let body = json!({"ceremony": begun.body["ceremony"], "credential": credential, "name": "Phone"});
    node.post_as(access, "/auth/passkey/register/finish", body).await
}

async fn begin(node: &Node, body: Json) -> Json {
    node.post("/auth/passkey/login/begin", body).await.expect(200).body
}

async fn finish(node: &Node, begun: &Json, credential: Json) -> Answer {
    let body = json!({"ceremony": begun["ceremony"], "credential": credential});
    node.post("/auth/passkey/login/finish", body).await
}

/// Signs in by a passkey alone.
async fn sign_in(node: &Node, key: &mut Authenticator) -> Answer {
    let begun = begin(node, json!({})).await;
    let credential = key.sign(&begun["publicKey"]);
    finish(node, &begun, credential).await
}

async fn password(node: &Node, name: &str) -> Answer {
    let body = json!({"email": format!("{name}@example.com"), "password": PASSWORD});
    node.post("/auth/login", body).await
}

/// Somebody with a passkey that sees who it is; the key and a session from before.
async fn with_passkey(node: &Node, name: &str, flags: u8) -> (Authenticator, String) {
    node.user(name, &[]).await;
    let access = node.login(name).await.text("access");
    let mut key = Authenticator::new(flags);
    register(node, &access, &mut key).await.expect(201);
    (key, access)
}

#[test]
fn whoever_has_a_passkey_signs_in_by_it_alone_and_has_shown_two_factors() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        node.user("ann", &[]).await;
        let access = node.login("ann").await.text("access");
        let begun = node.post_as(&access, "/auth/passkey/register/begin", json!({})).await.expect(200);
        let options = &begun.body["publicKey"];
        assert_eq!(options["rp"], json!({"id": "shop.example", "name": "shop"}));
        assert_eq!(options["attestation"], "none");
        assert_eq!(options["authenticatorSelection"]["residentKey"], "required");
        assert_eq!(options["excludeCredentials"], json!([]));
        let mut key = Authenticator::new(PRESENT | VERIFIED);
        let made = register(node, &access, &mut key).await.expect(201);
        assert_eq!(made.body["recovery_codes"].as_array().unwrap().len(), 10);
        let again = node.post_as(&access, "/auth/passkey/register/begin", json!({})).await.expect(200);
        assert_eq!(again.body["publicKey"]["excludeCredentials"][0]["id"], json!(key.id()));
        // Everybody is asked the same: no key is named.
        let begun = begin(node, json!({})).await;
        assert_eq!(begun["publicKey"]["allowCredentials"], json!([]));
        let credential = key.sign(&begun["publicKey"]);
        let signed_in = finish(node, &begun, credential).await.expect(200);
        assert_eq!(signed_in.body["user"]["email"], "ann@example.com");
        let sessions =
            node.query(json!({"Session": {"method": "passkey", "get": ["confirmed_twice"]}})).await;
        assert!(sessions["Session"][0]["confirmed_twice"].is_string(), "{sessions}");
        // A second one, whose codes are there already.
        let mut other = Authenticator::new(PRESENT | VERIFIED);
        let made = register(node, &signed_in.text("access"), &mut other).await.expect(201);
        assert_eq!(made.body["recovery_codes"], Json::Null);
        app.node.stop().await;
    });
}

#[test]
fn a_password_alone_signs_in_no_more_and_the_passkey_is_shown_with_its_ticket() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        let (mut ann, _) = with_passkey(node, "ann", PRESENT).await;
        let (mut bob, _) = with_passkey(node, "bob", PRESENT | VERIFIED).await;
        let wanted = password(node, "ann").await.refused(401, "auth.second_factor_required");
        assert_eq!(wanted.body["factors"], json!(["passkey", "recovery"]));
        let ticket = wanted.text("ticket");
        let begun = begin(node, json!({"ticket": ticket})).await;
        assert_eq!(begun["publicKey"]["allowCredentials"][0]["id"], json!(ann.id()));
        let show = async |begun: &Json, ticket: &str, credential: Json| {
            let body = json!({"ceremony": begun["ceremony"], "ticket": ticket, "credential": credential});
            node.post("/auth/passkey/login/finish", body).await
        };
        // Somebody else's; the same as a first factor, which has no ticket; another ticket; a ticket alone.
        show(&begun, &ticket, bob.sign(&begun["publicKey"])).await.refused(401, "auth.passkey");
        finish(node, &begun, ann.sign(&begun["publicKey"])).await.refused(422, "auth.token");
        let other = password(node, "ann").await.text("ticket");
        show(&begun, &other, ann.sign(&begun["publicKey"])).await.refused(422, "auth.token");
        show(&json!({}), &ticket, ann.sign(&begun["publicKey"])).await.refused(422, "auth.token");
        show(&begun, &ticket, ann.sign(&begun["publicKey"])).await.expect(200);
        show(&begun, &ticket, ann.sign(&begun["publicKey"])).await.refused(422, "auth.token");
        app.node.stop().await;
    });
}

#[test]
fn one_that_was_only_touched_is_one_factor_and_not_shown_twice() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        let (mut key, access) = with_passkey(node, "ann", PRESENT).await;
        let alone = sign_in(node, &mut key).await.expect(200);
        let sessions =
            node.query(json!({"Session": {"method": "passkey", "get": ["confirmed_twice"]}})).await;
        assert_eq!(sessions["Session"][0]["confirmed_twice"], Json::Null);
        drop(alone);
        crate::second::set_up(node, &access).await;
        let wanted = sign_in(node, &mut key).await.refused(401, "auth.second_factor_required");
        assert_eq!(wanted.body["factors"], json!(["totp", "recovery"]));
        let ticket = wanted.text("ticket");
        let begun = begin(node, json!({"ticket": ticket})).await;
        let body = json!({
            "ceremony": begun["ceremony"], "ticket": ticket, "credential": key.sign(&begun["publicKey"]),
        });
        node.post("/auth/passkey/login/finish", body).await.refused(401, "auth.passkey");
        app.node.stop().await;
    });
}

#[test]
fn what_was_not_asked_for_or_not_signed_is_refused_and_told_alike() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        let (mut key, _) = with_passkey(node, "ann", PRESENT | VERIFIED).await;
        let begun = begin(node, json!({})).await;
        let options = &begun["publicKey"];
        let mut words = std::collections::BTreeSet::new();
        let mut refuse = async |what: &str, credential: Json| {
            let answer = finish(node, &begun, credential).await;
            assert_eq!(answer.body["key"], "auth.passkey", "{what}: {answer:?}");
            words.insert(answer.text("detail"));
        };
        refuse("another origin", {
            key.origin = "https://shop.example".to_owned();
            key.sign(options)
        })
        .await;
        key.origin = crate::authenticator::ORIGIN.to_owned();
        refuse("another host", {
            key.party = Some("example".to_owned());
            key.sign(options)
        })
        .await;
        key.party = None;
        refuse("nobody there", {
            key.flags = VERIFIED;
            key.sign(options)
        })
        .await;
        key.flags = PRESENT | VERIFIED;
        let other = begin(node, json!({})).await;
        refuse("another challenge", key.sign(&other["publicKey"])).await;
        refuse("a key that nobody knows", Authenticator::new(PRESENT | VERIFIED).sign(options)).await;
        let (mut forged, real) = (Authenticator::new(PRESENT | VERIFIED).sign(options), key.sign(options));
        forged["id"] = real["id"].clone();
        forged["response"]["userHandle"] = real["response"]["userHandle"].clone();
        refuse("another key's signature", forged).await;
        let mut changed = key.sign(options);
        changed["response"]["authenticatorData"] = real["response"]["authenticatorData"].clone();
        refuse("data that was not signed", changed).await;
        let mut stranger = key.sign(options);
        stranger["response"]["userHandle"] = json!("Ym9i");
        refuse("somebody else's by its handle", stranger).await;
        let mut made = key.sign(options);
        made["response"]["signature"] = json!("not base64!");
        refuse("no signature", made).await;
        assert_eq!(words.len(), 1, "{words:?}");
        finish(node, &begun, json!({"id": "x"})).await.refused(422, "value.invalid");
        finish(node, &begun, key.sign(options)).await.expect(200);
        // Once.
        finish(node, &begun, key.sign(options)).await.refused(422, "auth.token");
        app.node.stop().await;
    });
}

#[test]
fn a_challenge_ends_and_is_bound_to_what_it_was_begun_for() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        let (mut key, access) = with_passkey(node, "ann", PRESENT | VERIFIED).await;
        let begun = begin(node, json!({})).await;
        let sealer = Sealer::new(&SECRET, "passkey");
        let opened = sealer.open(begun["ceremony"].as_str().unwrap(), "ceremony").unwrap();
        let mut ceremony: Json = serde_json::from_slice(&opened).unwrap();
        ceremony["ends_us"] = json!(ceremony["ends_us"].as_i64().unwrap() - 5 * 60 * 1_000_000);
        let old = sealer.seal(ceremony.to_string().as_bytes(), "ceremony").unwrap();
        let old = json!({"ceremony": old});
        finish(node, &old, key.sign(&begun["publicKey"])).await.refused(422, "auth.token");
        let none = json!({"ceremony": "x"});
        finish(node, &none, key.sign(&begun["publicKey"])).await.refused(422, "auth.token");
        // Begun in one session, ended in another; and as another thing than it was begun as.
        let begun = node.post_as(&access, "/auth/passkey/register/begin", json!({})).await.expect(200).body;
        let mut new = Authenticator::new(PRESENT);
        let body = json!({"ceremony": begun["ceremony"], "credential": new.make(&begun["publicKey"])});
        let second = sign_in(node, &mut key).await.expect(200).text("access");
        let finish_in = async |access: &str, path: &str, body: &Json| {
            node.post_as(access, &format!("/auth/passkey/{path}/finish"), body.clone()).await
        };
        finish_in(&second, "register", &body).await.refused(422, "auth.token");
        let begun = node.post_as(&access, "/auth/passkey/confirm/begin", json!({})).await.expect(200).body;
        let confirm = json!({"ceremony": begun["ceremony"], "credential": key.sign(&begun["publicKey"])});
        finish_in(&second, "confirm", &confirm).await.refused(422, "auth.token");
        node.post("/auth/passkey/login/finish", confirm.clone()).await.refused(422, "auth.token");
        finish_in(&access, "confirm", &confirm).await.expect(204);
        finish_in(&access, "register", &body).await.expect(201);
        finish_in(&access, "register", &body).await.refused(422, "auth.token");
        // One that lies about what it was asked.
        let begun = node.post_as(&access, "/auth/passkey/register/begin", json!({})).await.expect(200).body;
        let mut liar = Authenticator::new(PRESENT);
        liar.origin = "https://evil.example".to_owned();
        let body = json!({"ceremony": begun["ceremony"], "credential": liar.make(&begun["publicKey"])});
        finish_in(&access, "register", &body).await.refused(422, "value.invalid");
        app.node.stop().await;
    });
}

#[test]
fn a_browser_has_its_challenge_where_no_script_and_no_other_site_finds_it() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        let (mut key, _) = with_passkey(node, "ann", PRESENT | VERIFIED).await;
        let request = node.request(Method::POST, "/auth/passkey/login/begin?cookies");
        let begun = node.send(request.header("x-forwarded-for", "198.51.100.3")).await.expect(200);
        assert_eq!(begun.body["ceremony"], Json::Null);
        let cookie = begun.headers["set-cookie"].to_str().unwrap().to_owned();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
        let body = json!({"credential": key.sign(&begun.body["publicKey"])});
        node.post("/auth/passkey/login/finish", body.clone()).await.refused(422, "auth.token");
        let request = node.request(Method::POST, "/auth/passkey/login/finish?cookies");
        let request = request.header("x-forwarded-for", "198.51.100.3");
        let request = request.header("cookie", cookie.split(';').next().unwrap()).json(&body);
        node.send(request).await.expect(200);
        app.node.stop().await;
    });
}

#[test]
fn one_that_counts_back_is_refused_and_noted() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        let (mut key, _) = with_passkey(node, "ann", PRESENT | VERIFIED).await;
        sign_in(node, &mut key).await.expect(200);
        sign_in(node, &mut key).await.expect(200);
        key.counter -= 1;
        sign_in(node, &mut key).await.refused(401, "auth.passkey");
        let events =
            node.query(json!({"SecurityEvent": {"kind": "passkey.counter", "get": ["detail"]}})).await;
        assert_eq!(events["SecurityEvent"][0]["detail"], json!({"name": "Phone", "counter": 2, "known": 2}));
        key.counter += 1;
        sign_in(node, &mut key).await.expect(200);
        app.node.stop().await;
    });
}

#[test]
fn passkeys_are_named_and_taken_away_by_their_owner_and_never_the_last_way_in() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        let (mut ann, access) = with_passkey(node, "ann", PRESENT | VERIFIED).await;
        let (_, bob) = with_passkey(node, "bob", PRESENT | VERIFIED).await;
        let listed = node.get_as(&access, "/auth/passkeys").await.expect(200).body;
        assert_eq!(listed["passkeys"].as_array().unwrap().len(), 1, "{listed}");
        assert_eq!(listed["passkeys"][0]["transports"], json!(["internal", "hybrid"]));
        assert!(listed["passkeys"][0].get("public_key").is_none());
        let path = format!("/auth/passkeys/{}", listed["passkeys"][0]["id"].as_str().unwrap());
        let rename = async |token: &str| {
            let request = node.request(Method::PUT, &path).bearer_auth(token);
            node.send(request.json(&json!({"name": "Old phone"}))).await
        };
        rename(&bob).await.refused(404, "row.not_found");
        node.delete_as(&bob, &path).await.refused(404, "row.not_found");
        rename(&access).await.expect(204);
        let listed = node.get_as(&access, "/auth/passkeys").await.expect(200).body;
        assert_eq!(listed["passkeys"][0]["name"], "Old phone");
        // Nothing else is left by which she could come.
        let id = node.query(json!({"User": {"email": "ann@example.com"}})).await["User"][0]["id"].clone();
        node.query(json!({"PasswordLogin": {"owner": id, "delete": true}})).await;
        node.query(json!({"User": {"id": id, "set": {"email_verified": null}}})).await;
        node.delete_as(&access, &path).await.refused(409, "auth.last_way");
        node.query(json!({"User": {"id": id, "set": {"email_verified": "2026-01-01T00:00:00Z"}}})).await;
        let long_ago = json!({"Session": {"all": true, "set": {"confirmed": "2026-01-01T00:00:00Z"}}});
        node.query(long_ago).await;
        let refused = node.delete_as(&access, &path).await.refused(403, "auth.recent_required");
        assert_eq!(refused.body["factors"], json!(["passkey"]));
        let begun = node.post_as(&access, "/auth/passkey/confirm/begin", json!({})).await.expect(200).body;
        let body = json!({"ceremony": begun["ceremony"], "credential": ann.sign(&begun["publicKey"])});
        node.post_as(&access, "/auth/passkey/confirm/finish", body).await.expect(204);
        node.delete_as(&access, &path).await.expect(204);
        sign_in(node, &mut ann).await.refused(401, "auth.passkey");
        let left = node.query(json!({"RecoveryCode": {"owner": id}})).await;
        assert_eq!(left["RecoveryCode"], json!([]));
        app.node.stop().await;
    });
}

#[test]
fn keys_are_for_the_app_or_a_tenant_by_the_page_that_asks() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        let hosts = json!(["red.example", "https://blue.example:8443"]);
        node.query(json!({"Tenant": {"create": true, "name": "Red", "slug": "red", "hosts": hosts}})).await;
        let party = async |origin: &str| {
            let request = node.request(Method::POST, "/auth/passkey/login/begin").header("origin", origin);
            node.send(request).await
        };
        let id = |answer: Answer| answer.expect(200).body["publicKey"]["rpId"].clone();
        assert_eq!(id(party("http://shop.example").await), "shop.example");
        assert_eq!(id(party("https://red.example").await), "red.example");
        assert_eq!(id(party("https://blue.example:8443").await), "blue.example");
        party("https://evil.example").await.refused(401, "auth.passkey");
        party("https://shop.example").await.refused(401, "auth.passkey");
        party("null").await.refused(401, "auth.passkey");
        // One of the app is none of a tenant.
        let (mut key, _) = with_passkey(node, "ann", PRESENT | VERIFIED).await;
        let begun = party("https://red.example").await.expect(200).body;
        key.origin = "https://red.example".to_owned();
        finish(node, &begun, key.sign(&begun["publicKey"])).await.refused(401, "auth.passkey");
        app.node.stop().await;
    });
}

#[test]
fn whoever_is_blocked_does_not_come_by_a_passkey_and_tries_are_counted() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        let (mut key, _) = with_passkey(node, "ann", PRESENT | VERIFIED).await;
        let blocked = json!({"email": "ann@example.com", "set": {"blocked": "2026-01-01T00:00:00Z"}});
        node.query(json!({"User": blocked})).await;
        for _ in 0..10 {
            sign_in(node, &mut key).await.refused(401, "auth.passkey");
        }
        sign_in(node, &mut key).await.refused(429, "auth.throttled");
        app.node.stop().await;
    });
}

#[test]
fn keys_of_every_kind_that_is_asked_for_sign_in_and_no_other_signature_does() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        for (name, algorithm, flags, mut key) in [
            ("ann", -7, PRESENT | VERIFIED, Authenticator::new(PRESENT | VERIFIED)),
            ("bob", -8, PRESENT, Authenticator::ed_dsa(PRESENT)),
            ("eve", -8, PRESENT | VERIFIED, Authenticator::ed_dsa(PRESENT | VERIFIED)),
            ("dan", -257, PRESENT | VERIFIED, Authenticator::rs256(PRESENT | VERIFIED)),
        ] {
            let user = node.user(name, &[]).await;
            let access = node.login(name).await.text("access");
            let begun = node.post_as(&access, "/auth/passkey/register/begin", json!({})).await.expect(200);
            let asked = begun.body["publicKey"]["pubKeyCredParams"].as_array().unwrap().clone();
            assert!(asked.contains(&json!({"type": "public-key", "alg": algorithm})), "{asked:?}");
            register(node, &access, &mut key).await.expect(201);
            let signed_in = sign_in(node, &mut key).await;
            assert_eq!(signed_in.expect(200).body["user"]["id"], json!(user), "{name}");
            // Somebody else's key in its name; and a signature of which a bit has changed.
            let begun = begin(node, json!({})).await;
            let mut credential = key.sign(&begun["publicKey"]);
            let mut stranger = match algorithm {
                -8 => Authenticator::ed_dsa(flags),
                -257 => Authenticator::rs256(flags),
                _ => Authenticator::new(flags),
            };
            stranger.counter = key.counter;
            credential["response"]["signature"] =
                stranger.sign(&begun["publicKey"])["response"]["signature"].clone();
            finish(node, &begun, credential).await.refused(401, "auth.passkey");
            let begun = begin(node, json!({})).await;
            let mut credential = key.sign(&begun["publicKey"]);
            let text = credential["response"]["signature"].as_str().unwrap().to_owned();
            let other = if text.starts_with('A') { "B" } else { "A" };
            credential["response"]["signature"] = json!(format!("{other}{}", &text[1..]));
            finish(node, &begun, credential).await.refused(401, "auth.passkey");
            sign_in(node, &mut key).await.expect(200);
        }
        app.node.stop().await;
    });
}
