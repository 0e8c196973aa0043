//! Whose session it becomes when a provider vouches for somebody: links, programs, second factors, tenants, and the way out.

use serde_json::json;

use crate::away::{away, code, comes, secret, with_hostile};
use crate::harness::{DatabaseKind, PASSWORD, on_each, run};
use crate::visitor::{Visitor, member, tenant_make};

#[test]
fn an_address_alone_takes_no_account_over() {
    on_each(async |kind| {
        let (app, hostile) = with_hostile(kind, |options| options.anonymous = true).await;
        let node = &app.node;
        let ann = node.user("ann", &[]).await;
        let (_, step) = comes(node, &hostile, "ann").await;
        assert_eq!(step.key(), "auth.link_required");
        // Who has an account signs in to it and links, by a code that a program gets.
        let access = node.login("ann").await.text("access");
        let (verifier, challenge) = secret();
        let given = code(node, &hostile, "ann", &challenge).await;
        let body = json!({"provider": "x", "code": given, "verifier": verifier});
        node.query(json!({"Session": {"all": true, "set": {"confirmed": "2026-01-01T00:00:00Z"}}})).await;
        node.post_as(&access, "/auth/links", body.clone()).await.refused(403, "auth.recent_required");
        let access = node.login("ann").await.text("access");
        node.post_as(&access, "/auth/links", body.clone()).await.expect(204);
        node.mail("identity-linked", "ann@example.com").await;
        let (mut visitor, step) = comes(node, &hostile, "ann").await;
        assert_eq!(step.status, 303, "{step:?}");
        assert_eq!(visitor.me(node).await["user"]["id"], json!(ann));
        // Nobody in particular has no account to link.
        let nobody = node.post("/auth/anonymous", json!({})).await.expect(200).text("access");
        let (verifier, challenge) = secret();
        let given = code(node, &hostile, "dan", &challenge).await;
        let body = json!({"provider": "x", "code": given, "verifier": verifier});
        node.post_as(&nobody, "/auth/links", body).await.refused(400, "request.malformed");
        // A link is one account's.
        node.user("bob", &[]).await;
        let bob = node.login("bob").await.text("access");
        let (verifier, challenge) = secret();
        let given = code(node, &hostile, "ann", &challenge).await;
        let body = json!({"provider": "x", "code": given, "verifier": verifier});
        node.post_as(&bob, "/auth/links", body).await.refused(409, "auth.linked_elsewhere");
        // Nobody else ends it.
        let links = node.get_as(&access, "/auth/links").await.expect(200);
        let id = links.body["links"][0]["id"].as_str().unwrap().to_owned();
        node.delete_as(&bob, &format!("/auth/links/{id}")).await.refused(404, "row.not_found");
        node.delete_as(&access, &format!("/auth/links/{id}")).await.expect(204);
        let (_, step) = comes(node, &hostile, "ann").await;
        assert_eq!(step.key(), "auth.link_required");
        app.node.stop().await;
    });
}

#[test]
fn a_provider_that_gives_out_a_domains_addresses_links_by_them() {
    on_each(async |kind| {
        let (app, hostile) = with_hostile(kind, |options| {
            let oidc = options.oidc.get_mut("x").unwrap();
            oidc.provider.link_by_email = vec!["example.com".to_owned()];
        })
        .await;
        let node = &app.node;
        let ann = node.user("ann", &[]).await;
        let (mut visitor, step) = comes(node, &hostile, "ann").await;
        assert_eq!(step.status, 303, "{step:?}");
        assert_eq!(visitor.me(node).await["user"]["id"], json!(ann));
        node.mail("identity-linked", "ann@example.com").await;
        // Somebody may wait with an account for the owner of an address: one that was not verified is not theirs.
        let eve = node.user("eve", &[]).await;
        node.query(json!({"User": {"id": eve, "set": {"email_verified": null}}})).await;
        assert_eq!(comes(node, &hostile, "eve").await.1.key(), "auth.link_required");
        let bob = node.user("bob", &[]).await;
        node.query(json!({"User": {"id": bob, "set": {"blocked": "2026-01-01T00:00:00Z"}}})).await;
        assert_eq!(comes(node, &hostile, "bob").await.1.key(), "auth.login");
        app.node.stop().await;
    });
}

#[test]
fn a_program_redeems_its_code_once_with_the_secret_that_it_started_with() {
    on_each(async |kind| {
        let (app, hostile) = with_hostile(kind, |_| {}).await;
        let node = &app.node;
        let (verifier, challenge) = secret();
        let code = code(node, &hostile, "ann", &challenge).await;
        let body = |provider: &str, code: &str, verifier: &str| json!({"provider": provider, "code": code, "verifier": verifier});
        node.post("/auth/login", body("x", &code, "another text")).await.refused(422, "auth.token");
        node.post("/auth/login", body("y", &code, &verifier)).await.refused(422, "auth.token");
        node.post("/auth/login", body("x", &"a".repeat(43), &verifier)).await.refused(422, "auth.token");
        let redeem = || node.post("/auth/login", body("x", &code, &verifier));
        let many = tokio::join!(redeem(), redeem(), redeem());
        let mut statuses = [many.0.status, many.1.status, many.2.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 422, 422], "one code, several sessions");
        // What was refused a program is told, too.
        let mut refused = away(node, &format!("challenge={challenge}&return=/app")).await;
        let step = refused.back(node, "&error=access_denied").await;
        assert_eq!(step.to(), "/app?provider=x&error=auth.provider");
        app.node.stop().await;
    });
}

#[test]
fn a_second_factor_is_asked_for_as_with_a_password() {
    on_each(async |kind| {
        let (app, hostile) = with_hostile(kind, |_| {}).await;
        let node = &app.node;
        let (verifier, challenge) = secret();
        let redeem = async || {
            let code = code(node, &hostile, "ann", &challenge).await;
            node.post("/auth/login", json!({"provider": "x", "code": code, "verifier": verifier})).await
        };
        let access = redeem().await.expect(200).text("access");
        let (factor, _) = crate::second::set_up(node, &access).await;
        let ticket = redeem().await.refused(401, "auth.second_factor_required").text("ticket");
        let body = json!({"ticket": ticket, "code": crate::second::code(&factor, 0)});
        let access = node.post("/auth/totp/verify", body).await.expect(200).text("access");
        let session = node.get_as(&access, "/auth/me").await.expect(200).text("session");
        let kept = node.query(json!({"Session": {"id": session, "get": ["method"]}})).await;
        assert_eq!(kept["Session"][0]["method"], "provider");
        let (visitor, step) = comes(node, &hostile, "ann").await;
        assert!(step.text.contains("name=\"ticket\"") && !visitor.cookies.contains_key("access"), "{step:?}");
        app.node.stop().await;
    });
}

#[test]
fn a_tenants_provider_vouches_for_its_own_people_alone() {
    on_each(async |kind| {
        let (app, hostile) = with_hostile(kind, |options| {
            options.oidc.get_mut("x").unwrap().provider.tenant = Some("red".to_owned());
        })
        .await;
        let node = &app.node;
        let red = tenant_make(node, "red", &[]).await;
        let blue = tenant_make(node, "blue", &[]).await;
        let (mut visitor, step) = comes(node, &hostile, "ann").await;
        assert_eq!(step.status, 303, "{step:?}");
        let me = visitor.me(node).await;
        assert_eq!(me["tenant"], json!(red));
        let members = node
            .query(json!({"Membership": {"get": [], "of": {"get": ["slug"]}, "member": {"get": ["email"]}}}))
            .await;
        assert_eq!(members["Membership"][0]["of"]["slug"], "red");
        // The tenant's provider vouches for them there alone, and gives nothing away that is theirs elsewhere.
        let ann = me["user"]["id"].clone();
        node.query(json!({"Membership": {"create": true, "of": blue, "member": ann}})).await;
        let access = visitor.cookies["access"].clone();
        let elsewhere =
            node.request(reqwest::Method::GET, "/auth/me").bearer_auth(&access).header("x-tenant", "blue");
        node.send(elsewhere).await.refused(403, "tenant.refused");
        let refresh = json!({"refresh": visitor.cookies["refresh"], "tenant": blue});
        node.post("/auth/refresh", refresh).await.refused(403, "tenant.refused");
        let refresh = json!({"refresh": visitor.cookies["refresh"]});
        let access = node.post("/auth/refresh", refresh).await.expect(200).text("access");
        let elsewhere =
            node.request(reqwest::Method::GET, "/auth/me").bearer_auth(&access).header("x-tenant", "blue");
        node.send(elsewhere).await.refused(403, "tenant.refused");
        node.post_as(&access, "/auth/password/change", json!({"password": PASSWORD}))
            .await
            .refused(403, "auth.recent_required");
        let user = node.query(json!({"User": {"id": me["user"]["id"], "get": ["email_verified"]}})).await;
        assert_eq!(
            user["User"][0]["email_verified"],
            json!(null),
            "a tenant's provider is believed elsewhere"
        );
        // At another tenant's address it is not offered, and does not begin.
        let methods =
            node.send(node.request(reqwest::Method::GET, "/auth/methods").header("x-tenant", "blue")).await;
        assert_eq!(methods.body["providers"], json!([]));
        let methods =
            node.send(node.request(reqwest::Method::GET, "/auth/methods").header("x-tenant", "red")).await;
        assert_eq!(methods.body["providers"][0]["name"], "x");
        let start =
            node.request(reqwest::Method::GET, "/auth/oidc/x/start?cookies").header("x-tenant", "blue");
        assert_eq!(Visitor::new().send(start).await.key(), "tenant.refused");
        // Who has left the tenant does not come in by its provider, even where they are known.
        node.query(json!({"Membership": {"of": red, "member": ann, "delete": true}})).await;
        assert_eq!(comes(node, &hostile, "ann").await.1.key(), "tenant.refused");
        app.node.stop().await;
    });
}

#[test]
fn a_link_of_a_page_is_made_by_its_own_form_in_its_own_session() {
    on_each(async |kind| {
        let (app, hostile) = with_hostile(kind, |_| {}).await;
        let node = &app.node;
        let ann = node.user("ann", &[]).await;
        let mut visitor = Visitor::new();
        assert_eq!(visitor.get(node, "/auth/pages/links").await.to(), "/auth/pages/login");
        let form = [("email", "ann@example.com"), ("password", PASSWORD)];
        assert_eq!(visitor.post_form(node, "/auth/pages/login", &form).await.status, 303);
        let page = visitor.get(node, "/auth/pages/links").await;
        assert!(page.text.contains("Link x"), "{page:?}");
        let forged =
            visitor.post_form(node, "/auth/pages/links", &[("link", "x"), ("csrf", "planted")]).await;
        assert_eq!((forged.status, forged.key().as_str()), (403, "auth.csrf"));
        let csrf = visitor.cookies["csrf"].clone();
        let begun = visitor.post_form(node, "/auth/pages/links", &[("link", "x"), ("csrf", &csrf)]).await;
        let (_, url) = begun.text.split_once("content=\"0;url=").expect("the page goes on");
        let url = url.split('"').next().unwrap().replace("&amp;", "&").replace("&#x2f;", "/");
        hostile.say(&hostile.key.sign(&hostile.claims("ann", &member(&url, "nonce"))));
        let path = format!("/auth/oidc/x/callback?code=c&state={}", member(&url, "state"));
        // Whoever has signed in as somebody else meanwhile gets no link.
        let mut other = Visitor::new();
        other.cookies = visitor.cookies.clone();
        other.cookies.remove("access");
        let mut again = visitor.post_form(node, "/auth/pages/links", &[("link", "x"), ("csrf", &csrf)]).await;
        let (_, second) = again.text.split_once("content=\"0;url=").unwrap();
        let second = second.split('"').next().unwrap().replace("&amp;", "&").replace("&#x2f;", "/");
        again.text.clear();
        let late = format!("/auth/oidc/x/callback?code=c&state={}", member(&second, "state"));
        hostile.say(&hostile.key.sign(&hostile.claims("ann", &member(&second, "nonce"))));
        assert_eq!(other.get(node, &late).await.key(), "auth.session");
        hostile.say(&hostile.key.sign(&hostile.claims("ann", &member(&url, "nonce"))));
        let linked = visitor.get(node, &path).await;
        assert_eq!((linked.status, linked.to()), (303, "/auth/pages/links"));
        let page = visitor.get(node, "/auth/pages/links").await;
        assert!(page.text.contains("name=\"unlink\"") && !page.text.contains("Link x"), "{page:?}");
        let (mut came, step) = comes(node, &hostile, "ann").await;
        assert_eq!(step.status, 303, "{step:?}");
        assert_eq!(came.me(node).await["user"]["id"], json!(ann));
        let link = node.query(json!({"ExternalLogin": {}})).await["ExternalLogin"][0]["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let ended = visitor.post_form(node, "/auth/pages/links", &[("unlink", &link), ("csrf", &csrf)]).await;
        assert_eq!((ended.status, ended.to()), (303, "/auth/pages/links"));
        assert_eq!(comes(node, &hostile, "ann").await.1.key(), "auth.link_required");
        app.node.stop().await;
    });
}

#[test]
fn whoever_signs_out_is_told_where_the_provider_does_the_same() {
    run(async {
        let (app, hostile) = with_hostile(DatabaseKind::Sqlite, |_| {}).await;
        let node = &app.node;
        hostile.says.lock().metadata = json!({"end_session_endpoint": format!("{}/end", hostile.url)});
        let (visitor, _) = comes(node, &hostile, "ann").await;
        let answer = node.post_as(&visitor.cookies["access"], "/auth/logout", json!({})).await.expect(200);
        let there = answer.text("provider_logout");
        assert!(there.starts_with(&format!("{}/end?", hostile.url)), "{there}");
        assert_eq!(member(&there, "post_logout_redirect_uri"), "http://shop.example/");
        app.node.stop().await;
    });
}

#[test]
fn the_last_way_in_stays() {
    on_each(async |kind| {
        let (app, hostile) = with_hostile(kind, |options| {
            options.oidc.get_mut("x").unwrap().provider.without_email = true;
        })
        .await;
        let node = &app.node;
        let (verifier, challenge) = secret();
        let redeem = async |subject: &str| {
            let mut away = away(node, &format!("challenge={challenge}")).await;
            let mut claims = hostile.claims(subject, &away.nonce);
            claims["email_verified"] = json!(false);
            hostile.say(&hostile.key.sign(&claims));
            let code = member(away.back(node, "").await.to(), "code");
            json!({"provider": "x", "code": code, "verifier": verifier})
        };
        let access = node.post("/auth/login", redeem("ann").await).await.expect(200).text("access");
        let me = node.get_as(&access, "/auth/me").await.expect(200);
        assert!(me.body["user"]["email"].as_str().unwrap().ends_with("@x.invalid"), "{:#}", me.body);
        node.post_as(&access, "/auth/links", redeem("ann at home").await).await.expect(204);
        let links = node.get_as(&access, "/auth/links").await.expect(200);
        let ids: Vec<&str> =
            links.body["links"].as_array().unwrap().iter().map(|link| link["id"].as_str().unwrap()).collect();
        let end = async |id: &str| node.delete_as(&access, &format!("/auth/links/{id}")).await.status;
        let mut both = [0; 2];
        (both[0], both[1]) = tokio::join!(end(ids[0]), end(ids[1]));
        both.sort_unstable();
        assert_eq!(both[0], 204, "one of two can end");
        assert_eq!(both[1], 409, "and the other one is the last way in");
        let left = node.get_as(&access, "/auth/links").await.expect(200);
        assert_eq!(left.body["links"].as_array().unwrap().len(), 1);
        node.post_as(&access, "/auth/password/change", json!({"password": PASSWORD})).await.expect(204);
        assert_eq!(end(left.body["links"][0]["id"].as_str().unwrap()).await, 204);
        app.node.stop().await;
    });
}
