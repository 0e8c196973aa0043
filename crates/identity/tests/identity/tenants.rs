//! Tenants: named by a header, a host or a session, looked at by membership, and the only ones whose roles count.

use reqwest::Method;
use serde_json::{Value as Json, json};

use crate::harness::{Answer, App, Node, on_each};

struct Two {
    red: String,
    blue: String,
}

async fn two(node: &Node, member: &str) -> Two {
    let make = async |slug: &str, host: &str| {
        let part = json!({"create": true, "name": slug, "slug": slug, "hosts": [host]});
        let made = node.query(json!({"Tenant": part})).await;
        made["Tenant"][0]["id"].as_str().unwrap().to_owned()
    };
    let (red, blue) = (make("red", "red.example").await, make("blue", "blue.example").await);
    node.query(json!({"Membership": {"create": true, "of": red, "member": member}})).await;
    Two { red, blue }
}

async fn ask(node: &Node, token: &str, header: (&str, &str), document: Json) -> Answer {
    let request = node.request(Method::POST, "/query").bearer_auth(token).header(header.0, header.1);
    node.send(request.json(&document)).await
}

#[test]
fn a_tenant_is_named_by_a_header_or_a_host_and_asks_for_membership() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        let ann = node.user("ann", &["stock/manage"]).await;
        let two = two(node, &ann).await;
        let access = node.login("ann").await.text("access");
        let stock = |name: &str| json!({"Stock": {"create": true, "name": name, "get": ["name"]}});
        ask(node, &access, ("x-tenant", "red"), stock("by slug")).await.expect(200);
        ask(node, &access, ("x-tenant", &two.red), stock("by id")).await.expect(200);
        ask(node, &access, ("host", "red.example"), stock("by host")).await.expect(200);
        for header in [
            ("x-tenant", "blue"),
            ("x-tenant", two.blue.as_str()),
            ("host", "blue.example"),
            ("x-tenant", "green"),
        ] {
            ask(node, &access, header, stock("not hers")).await.refused(403, "tenant.refused");
        }
        let seen = ask(
            node,
            &access,
            ("x-tenant", "red"),
            json!({"Stock": {"get": ["name"], "order": ["created"]}}),
        )
        .await;
        let names: Vec<&Json> =
            seen.body["Stock"].as_array().unwrap().iter().map(|row| &row["name"]).collect();
        assert_eq!(names, ["by slug", "by id", "by host"]);
        // The end of a membership is the end of all that.
        node.query(json!({"Membership": {"all": true, "delete": true}})).await;
        ask(node, &access, ("x-tenant", "red"), json!({"Stock": {}})).await.refused(403, "tenant.refused");
        app.node.stop().await;
    });
}

#[test]
fn only_roles_of_the_tenant_that_is_asked_for_count() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        let ann = node.user("ann", &[]).await;
        let two = two(node, &ann).await;
        node.query(json!({"Membership": {"create": true, "of": two.blue, "member": ann}})).await;
        let part = json!({
            "create": true, "name": "keeper", "within": two.red,
            "permissions": [{"create": true, "permission": "stock/manage"}],
            "holders": [{"create": true, "holder": ann, "within": two.red}],
        });
        node.query(json!({"Role": part})).await;
        let access = node.login("ann").await.text("access");
        let stock = json!({"Stock": {"create": true, "name": "barrel"}});
        ask(node, &access, ("x-tenant", "red"), stock.clone()).await.expect(200);
        ask(node, &access, ("x-tenant", "blue"), stock.clone()).await.refused(403, "rule.refused");
        let rows = ask(node, &access, ("x-tenant", "blue"), json!({"Stock": {}})).await.expect(200);
        assert_eq!(rows.body["Stock"], json!([]));
        app.node.stop().await;
    });
}

#[test]
fn a_session_is_for_the_tenant_that_it_was_refreshed_for() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        let ann = node.user("ann", &[]).await;
        let two = two(node, &ann).await;
        let login = node.login("ann").await;
        assert_eq!(node.get_as(&login.text("access"), "/auth/me").await.body["tenant"], Json::Null);
        let body = json!({"refresh": login.text("refresh"), "tenant": two.red});
        let refreshed = node.post("/auth/refresh", body).await.expect(200);
        assert_eq!(node.get_as(&refreshed.text("access"), "/auth/me").await.body["tenant"], json!(two.red));
        let body = json!({"refresh": refreshed.text("refresh"), "tenant": two.blue});
        node.post("/auth/refresh", body).await.refused(403, "tenant.refused");
        app.node.stop().await;
    });
}

#[test]
fn an_invitation_is_for_the_address_that_it_went_to() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        let ann = node.user("ann", &["identity/members"]).await;
        node.user("bob", &[]).await;
        node.user("eve", &[]).await;
        let two = two(node, &ann).await;
        let (ann, bob, eve) = (
            node.login("ann").await.text("access"),
            node.login("bob").await.text("access"),
            node.login("eve").await.text("access"),
        );
        let invite = async |by: &str, tenant: &str, within: &str| {
            let request = node.request(Method::POST, &format!("/auth/tenants/{tenant}/invitations"));
            let request = request.bearer_auth(by).header("x-tenant", within);
            node.send(request.json(&json!({"email": "bob@example.com"}))).await
        };
        invite(&ann, &two.blue, "red").await.refused(403, "rule.refused");
        invite(&ann, &two.red, "red").await.expect(202);
        let token = node.letter("identity-invitation", "bob@example.com").await;
        node.post_as(&eve, "/auth/tenants/join", json!({"token": token})).await.refused(422, "auth.token");
        node.post_as(&bob, "/auth/tenants/join", json!({"token": token})).await.expect(200);
        node.post_as(&bob, "/auth/tenants/join", json!({"token": token})).await.refused(422, "auth.token");
        ask(node, &bob, ("x-tenant", "red"), json!({"Stock": {}})).await.expect(200);
        ask(node, &eve, ("x-tenant", "red"), json!({"Stock": {}})).await.refused(403, "tenant.refused");
        app.node.stop().await;
    });
}
