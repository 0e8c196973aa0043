//! Roles: what is given by whom, and that nobody gives more than they have, on every way.

use serde_json::{Value as Json, json};

use crate::harness::{App, Node, on_each};

async fn role(node: &Node, name: &str, permissions: &[&str]) -> String {
    let permissions: Vec<Json> =
        permissions.iter().map(|name| json!({"create": true, "permission": name})).collect();
    let part = json!({"create": true, "name": name, "permissions": permissions});
    let made = node.query(json!({"Role": part})).await;
    made["Role"][0]["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_role_gives_its_permissions_at_once_and_takes_them_at_once() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        let ann = node.user("ann", &[]).await;
        node.user("eve", &["identity/roles", "note/admin", "stock/manage"]).await;
        let (access, eve) = (node.login("ann").await.text("access"), node.login("eve").await.text("access"));
        let known = node.get_as(&eve, "/auth/permissions").await.expect(200);
        assert!(
            known.body["permissions"].as_array().unwrap().contains(&json!("note/admin")),
            "{}",
            known.body
        );
        let body = json!({"name": "editor", "permissions": ["note/admin"]});
        let role = node.post_as(&eve, "/auth/roles", body).await.expect(201).text("id");
        let note = json!({"Note": {"create": true, "owner": {"email": "eve@example.com"}, "text": "hers"}});
        node.post_as(&node.admin(), "/query", note).await.expect(200);
        let notes = async || {
            node.post_as(&access, "/query", json!({"Note": {}})).await.expect(200).body["Note"].clone()
        };
        assert_eq!(notes().await, json!([]));
        let path = format!("/auth/users/{ann}/roles");
        let holding = node.post_as(&eve, &path, json!({"role": role})).await.expect(201).text("id");
        assert_eq!(notes().await.as_array().unwrap().len(), 1);
        let me = node.get_as(&access, "/auth/me").await.expect(200);
        assert_eq!(
            (&me.body["roles"], &me.body["permissions"]),
            (&json!(["editor"]), &json!(["note/admin"]))
        );
        let listed = node.get_as(&eve, "/auth/roles").await.expect(200);
        assert_eq!(listed.body["roles"][0]["permissions"], json!(["note/admin"]), "{}", listed.body);
        node.delete_as(&eve, &format!("{path}/{holding}")).await.expect(204);
        assert_eq!(notes().await, json!([]));
        node.post_as(&eve, &path, json!({"role": role})).await.expect(201);
        node.delete_as(&eve, &format!("/auth/roles/{role}")).await.expect(204);
        assert_eq!(notes().await, json!([]));
        app.node.stop().await;
    });
}

#[test]
fn nobody_gives_what_they_do_not_have() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        let ann = node.user("ann", &[]).await;
        let mallory = node.user("mallory", &["identity/roles"]).await;
        let by = node.login("mallory").await.text("access");
        let powerful = role(node, "boss", &["note/admin", "identity/users"]).await;
        let harmless = role(node, "nothing", &[]).await;
        let refused = async |path: &str, body: Json| {
            node.post_as(&by, path, body).await.refused(422, "hook.refused");
        };
        for user in [&ann, &mallory] {
            refused(&format!("/auth/users/{user}/roles"), json!({"role": powerful})).await;
            let part = json!({"create": true, "holder": user, "role": powerful});
            refused("/query", json!({"RoleHolder": part})).await;
            refused("/api/RoleHolder", json!({"holder": user, "role": powerful})).await;
        }
        refused("/auth/roles", json!({"name": "mine", "permissions": ["note/admin"]})).await;
        refused("/api/RolePermission", json!({"role": harmless, "permission": "note/admin"})).await;
        let grown = json!({"Role": {"id": harmless, "permissions": {"add": {"create": true, "permission": "note/admin"}}}});
        assert_ne!(node.post_as(&by, "/query", grown).await.status, 200);
        node.post_as(&by, &format!("/auth/users/{ann}/roles"), json!({"role": harmless})).await.expect(201);
        let nobody = node.query(json!({"RolePermission": {"role": harmless}})).await;
        assert_eq!(nobody["RolePermission"], json!([]));
        let held = node.query(json!({"RoleHolder": {"role": powerful}})).await;
        assert_eq!(held["RoleHolder"], json!([]));
        app.node.stop().await;
    });
}

#[test]
fn who_acts_for_somebody_is_named_and_never_gains_by_it() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        let ann = node.user("ann", &[]).await;
        let boss = node.user("boss", &["identity/impersonate", "note/admin"]).await;
        let support = node.user("support", &["identity/impersonate"]).await;
        let by = node.login("support").await.text("access");
        let access = node.login("ann").await.text("access");
        let path = |user: &str| format!("/auth/impersonate/{user}");
        node.post_as(&access, &path(&boss), json!({})).await.refused(403, "rule.refused");
        node.post_as(&by, &path(&boss), json!({})).await.refused(403, "rule.refused");
        let as_ann = node.post_as(&by, &path(&ann), json!({})).await.expect(200).text("access");
        let me = node.get_as(&as_ann, "/auth/me").await.expect(200);
        assert_eq!((&me.body["user"]["id"], &me.body["impersonated_by"]), (&json!(ann), &json!(support)));
        // What is delicate asks for the owner.
        node.post_as(&as_ann, "/auth/email/change", json!({"email": "x@example.com"}))
            .await
            .refused(403, "auth.recent_required");
        node.post_as(&as_ann, "/auth/keys", json!({"name": "x"})).await.refused(403, "auth.recent_required");
        let events =
            node.query(json!({"SecurityEvent": {"kind": "session.impersonate", "get": ["detail"]}})).await;
        assert_eq!(events["SecurityEvent"][0]["detail"]["by"], json!(support));
        node.post_as(&as_ann, &path("stop"), json!({})).await.expect(204);
        node.get_as(&as_ann, "/auth/me").await.refused(401, "auth.credentials");
        node.get_as(&by, "/auth/me").await.expect(200);
        app.node.stop().await;
    });
}
