//! Staying: refresh tokens under concurrency and in two hands, sessions that end, browsers, other nodes.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use mainstay_engine::sealed::Sealer;
use mainstay_testkit::socket::{Heard, Socket};
use reqwest::Method;
use serde_json::{Value as Json, json};

use crate::harness::{Answer, App, DatabaseKind, Node, on_each, run};

async fn refresh(node: &Node, token: &str) -> Answer {
    node.post("/auth/refresh", json!({"refresh": token})).await
}

#[test]
fn of_many_who_refresh_at_once_all_get_the_one_successor() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        node.user("ann", &[]).await;
        let mut token = node.login("ann").await.text("refresh");
        for _ in 0..3 {
            let all = futures_util::future::join_all((0..100).map(|_| refresh(node, &token))).await;
            let successors: Vec<String> =
                all.into_iter().map(|answer| answer.expect(200).text("refresh")).collect();
            assert!(successors.iter().all(|successor| *successor == successors[0]), "a fork");
            token = successors[0].clone();
        }
        let chain = node.query(json!({"SessionToken": {"get": ["used"], "limit": 1000}})).await;
        let tokens = chain["SessionToken"].as_array().unwrap();
        assert_eq!(tokens.len(), 4, "one chain of four");
        assert_eq!(tokens.iter().filter(|token| token["used"].is_null()).count(), 1);
        app.node.stop().await;
    });
}

#[test]
fn a_token_that_is_used_again_later_ends_its_session_and_its_owner_is_told() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        node.user("ann", &[]).await;
        let first = node.login("ann").await;
        let second = refresh(node, &first.text("refresh")).await.expect(200);
        // A lost answer: the same successor, however often within the ten seconds.
        let again = refresh(node, &first.text("refresh")).await.expect(200);
        assert_eq!(again.text("refresh"), second.text("refresh"));
        let used = json!({"not": null});
        let past = json!({"SessionToken": {"used": used, "set": {"used": "2026-01-01T00:00:00Z"}}});
        node.query(past).await;
        refresh(node, &first.text("refresh")).await.refused(401, "auth.refresh_reused");
        refresh(node, &second.text("refresh")).await.refused(401, "auth.session");
        node.get_as(&second.text("access"), "/auth/me").await.refused(401, "auth.credentials");
        node.mail("identity-reused", "ann@example.com").await;
        let events = node.query(json!({"SecurityEvent": {"kind": "session.reused"}})).await;
        assert_eq!(events["SecurityEvent"].as_array().unwrap().len(), 1);
        app.node.stop().await;
    });
}

#[test]
fn a_session_ends_when_it_is_idle_or_old() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        node.user("ann", &[]).await;
        let tokens = node.login("ann").await;
        let past = "2020-01-01T00:00:00Z";
        node.query(json!({"Session": {"all": true, "set": {"seen": past}}})).await;
        refresh(node, &tokens.text("refresh")).await.refused(401, "auth.session");
        let tokens = node.login("ann").await;
        node.query(json!({"Session": {"all": true, "set": {"expires": past}}})).await;
        refresh(node, &tokens.text("refresh")).await.refused(401, "auth.session");
        refresh(node, "no token of ours").await.refused(401, "auth.session");
        refresh(node, &"x".repeat(43)).await.refused(401, "auth.session");
        app.node.stop().await;
    });
}

#[test]
fn somebody_sees_and_ends_their_own_sessions_alone() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        node.user("ann", &[]).await;
        node.user("bob", &[]).await;
        let (own, other) = (node.login("ann").await.text("access"), node.login("ann").await.text("access"));
        let bob = node.login("bob").await.text("access");
        let list = async |token: &str| {
            node.get_as(token, "/auth/sessions").await.expect(200).body["sessions"].clone()
        };
        let sessions = list(&own).await;
        assert_eq!(sessions.as_array().unwrap().len(), 2);
        let of = |current: bool| {
            let mut sessions = sessions.as_array().unwrap().iter();
            let found = sessions.find(|session| session["current"] == current).unwrap();
            found["id"].as_str().unwrap().to_owned()
        };
        node.delete_as(&bob, &format!("/auth/sessions/{}", of(false))).await.refused(404, "row.not_found");
        node.delete_as(&own, &format!("/auth/sessions/{}", of(false))).await.expect(204);
        node.get_as(&other, "/auth/me").await.refused(401, "auth.credentials");
        node.get_as(&own, "/auth/me").await.expect(200);
        assert_eq!(list(&bob).await.as_array().unwrap().len(), 1);
        node.post_as(&own, "/auth/logout", json!({})).await.expect(204);
        node.get_as(&own, "/auth/me").await.refused(401, "auth.credentials");
        app.node.stop().await;
    });
}

#[test]
fn values_of_a_session_are_changed_only_as_they_were_read() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        node.user("ann", &[]).await;
        let access = node.login("ann").await.text("access");
        let put = async |body: Json| {
            node.send(node.request(Method::PUT, "/auth/device").bearer_auth(&access).json(&body)).await
        };
        let first = put(json!({"device": "Ann's phone", "data": {"cart": [1]}})).await.expect(200);
        let version = first.text("updated");
        let second = put(json!({"data": {"cart": [1, 2]}, "if_updated": version})).await.expect(200);
        put(json!({"data": {"cart": []}, "if_updated": version})).await.refused(409, "version.conflict");
        assert_eq!(second.body["data"], json!({"cart": [1, 2]}));
        assert_eq!(second.body["device"], "Ann's phone");
        app.node.stop().await;
    });
}

#[test]
fn one_session_too_many_ends_the_one_that_was_not_used_for_longest() {
    on_each(async |kind| {
        let app = App::start_with(kind, |options| options.sessions_per_user = 2).await;
        let node = &app.node;
        node.user("ann", &[]).await;
        let first = node.login("ann").await;
        let second = node.login("ann").await;
        refresh(node, &first.text("refresh")).await.expect(200);
        let third = node.login("ann").await;
        node.get_as(&first.text("access"), "/auth/me").await.expect(200);
        node.get_as(&second.text("access"), "/auth/me").await.refused(401, "auth.credentials");
        node.get_as(&third.text("access"), "/auth/me").await.expect(200);
        app.node.stop().await;
    });
}

#[test]
fn a_browser_has_cookies_and_proves_that_its_page_is_ours() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        let ann = node.user("ann", &[]).await;
        let body = json!({"email": "ann@example.com", "password": crate::harness::PASSWORD});
        let answer = node.post("/auth/login?cookies", body).await.expect(200);
        assert!(
            answer.body.get("access").is_none() && answer.body.get("refresh").is_none(),
            "{}",
            answer.body
        );
        let set: Vec<&str> =
            answer.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap()).collect();
        let is_hidden = |name: &str| {
            set.iter().any(|cookie| cookie.starts_with(&format!("{name}=")) && cookie.contains("HttpOnly"))
        };
        assert!(is_hidden("access") && is_hidden("refresh") && !is_hidden("csrf"), "{set:?}");
        assert!(set.iter().all(|cookie| cookie.contains("SameSite=Lax")), "{set:?}");
        let pairs: Vec<&str> = set.iter().map(|cookie| cookie.split(';').next().unwrap()).collect();
        let jar = pairs.join("; ");
        let csrf = pairs.iter().find_map(|pair| pair.strip_prefix("csrf=")).unwrap().to_owned();
        let ask = async |method: Method, path: &str, csrf: Option<&str>| {
            let mut request = node.request(method.clone(), path).header("cookie", &jar);
            if let Some(csrf) = csrf {
                request = request.header("x-csrf-token", csrf);
            }
            if method == Method::POST {
                request = request.json(&json!({"Note": {"create": true, "owner": ann, "text": "mine"}}));
            }
            node.send(request).await
        };
        ask(Method::GET, "/auth/me", None).await.expect(200);
        ask(Method::POST, "/query", None).await.refused(403, "auth.csrf");
        ask(Method::POST, "/query", Some("planted")).await.refused(403, "auth.csrf");
        let notes = node.query(json!({"Note": {}})).await;
        assert_eq!(notes["Note"], json!([]), "a page of another site has written");
        ask(Method::POST, "/query", Some(&csrf)).await.expect(200);
        // Another session's proof is none.
        let other = node
            .post(
                "/auth/login?cookies",
                json!({"email": "ann@example.com", "password": crate::harness::PASSWORD}),
            )
            .await;
        let other =
            other.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap().to_owned());
        let mut other =
            other.filter_map(|cookie| Some(cookie.strip_prefix("csrf=")?.split(';').next()?.to_owned()));
        ask(Method::POST, "/query", Some(&other.next().unwrap())).await.refused(403, "auth.csrf");
        app.node.stop().await;
    });
}

#[test]
fn a_session_that_ends_is_gone_on_every_node_within_a_second() {
    run(async {
        let app = App::start(DatabaseKind::Postgres).await;
        let node = &app.node;
        let other = app.another(|_| {}).await;
        node.user("ann", &[]).await;
        let access = node.login("ann").await.text("access");
        other.get_as(&access, "/auth/me").await.expect(200);
        node.post_as(&access, "/auth/logout", json!({})).await.expect(204);
        let begun = Instant::now();
        while other.get_as(&access, "/auth/me").await.status != 401 {
            assert!(begun.elapsed() < Duration::from_secs(5), "another node still lets it in");
            tokio::task::yield_now().await;
        }
        other.stop().await;
        app.node.stop().await;
    });
}

#[test]
fn over_tls_cookies_are_of_this_host_alone_and_no_other_is_read() {
    on_each(async |kind| {
        let app = App::start_with(kind, |options| options.secure_cookies = true).await;
        let node = &app.node;
        node.user("ann", &[]).await;
        let body = json!({"email": "ann@example.com", "password": crate::harness::PASSWORD});
        let answer = node.post("/auth/login?cookies", body).await.expect(200);
        let set: Vec<&str> =
            answer.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap()).collect();
        assert_eq!(set.len(), 3, "{set:?}");
        for cookie in &set {
            // What browsers ask of the prefix.
            let is_hosts = cookie.starts_with("__Host-") && cookie.contains("; Path=/;");
            assert!(is_hosts && cookie.contains("; Secure") && !cookie.contains("Domain"), "{cookie}");
        }
        let pair = |name: &str| {
            let cookie = set.iter().find(|cookie| cookie.starts_with(&format!("__Host-{name}="))).unwrap();
            cookie.split(';').next().unwrap().to_owned()
        };
        let me = async |cookie: &str| {
            node.send(node.request(Method::GET, "/auth/me").header("cookie", cookie)).await
        };
        me(&pair("access")).await.expect(200);
        // One that a neighbour could plant is none of ours.
        let planted = pair("access").replace("__Host-", "");
        me(&planted).await.refused(401, "auth.credentials");
        let refresh = async |cookie: &str| {
            let request = node.request(Method::POST, "/auth/refresh").header("cookie", cookie);
            node.send(request.json(&json!({}))).await
        };
        refresh(&pair("refresh").replace("__Host-", "")).await.refused(422, "value.invalid");
        refresh(&pair("refresh")).await.expect(200);
        let csrf = pair("csrf").split_once('=').unwrap().1.to_owned();
        let request = node.request(Method::POST, "/auth/logout").header("cookie", pair("access"));
        let out = node.send(request.header("x-csrf-token", csrf).json(&json!({}))).await.expect(204);
        let gone: Vec<&str> =
            out.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap()).collect();
        assert!(gone.len() == 3 && gone.iter().all(|cookie| cookie.starts_with("__Host-")), "{gone:?}");
        app.node.stop().await;
    });
}

#[test]
fn a_socket_is_closed_when_its_session_ends() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        let ann = node.user("ann", &[]).await;
        let login = node.login("ann").await;
        let mut socket = Socket::open(&node.url, &login.text("access")).await;
        socket.subscribe(1, json!({"Note": {"get": ["text"]}}), None).await;
        let note = json!({"Note": {"create": true, "owner": ann, "text": "mine"}});
        node.query(note).await;
        assert_eq!(socket.hear().await["change"], "enter");
        // A refresh is none of its business.
        refresh(node, &login.text("refresh")).await.expect(200);
        node.query(json!({"Session": {"ended": null, "all": true, "set": {"ended": "2026-01-01T00:00:00Z", "reason": "revoked"}}})).await;
        assert!(matches!(socket.hear_any().await, Heard::Closed(4401, _)));
        app.node.stop().await;
    });
}

#[test]
fn an_access_token_that_has_ended_is_refused() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        node.user("ann", &[]).await;
        let access = node.login("ann").await.text("access");
        let decoded = |part: usize| -> Json {
            let part = access.split('.').nth(part).unwrap();
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
        };
        let (kid, claims) = (decoded(0)["kid"].as_str().unwrap().to_owned(), decoded(1));
        // The key that signs, as the server opens it.
        let lookup = node.engine.lookup("SigningKey", "ends > @2000-01-01T00:00:00Z").unwrap();
        let rows = node.engine.look_up(&lookup, Instant::now() + Duration::from_secs(10), &[]).await.unwrap();
        let sealer = Sealer::new(&crate::harness::SECRET, "signing keys");
        let private = sealer.open(rows[0].text("private").unwrap(), &kid).unwrap();
        let now = mainstay_jobs::Clock::default().now().0 / 1_000_000;
        let ending = |at: i64| {
            let mut claims = claims.clone();
            claims["exp"] = json!(at);
            let header = Header { kid: Some(kid.clone()), ..Header::new(Algorithm::EdDSA) };
            encode(&header, &claims, &EncodingKey::from_ed_der(&private)).unwrap()
        };
        node.get_as(&ending(now + 60), "/auth/me").await.expect(200);
        // Clocks may differ by five seconds.
        node.get_as(&ending(now - 6), "/auth/me").await.refused(401, "auth.credentials");
        node.get_as(&ending(0), "/auth/me").await.refused(401, "auth.credentials");
        app.node.stop().await;
    });
}
