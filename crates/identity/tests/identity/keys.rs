//! Keys of programs: no more than their owner, no more than they say, and gone when they are ended.

use serde_json::{Value as Json, json};

use crate::harness::{App, on_each};

#[test]
fn a_key_may_what_it_says_and_its_owner_may() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        let ann = node.user("ann", &["note/admin", "stock/manage"]).await;
        let access = node.login("ann").await.text("access");
        let make = async |body: Json| node.post_as(&access, "/auth/keys", body).await;
        make(json!({"name": "ci", "scopes": ["identity/users"]})).await.refused(422, "value.invalid");
        make(json!({"name": "ci", "expires": "2020-01-01T00:00:00Z"})).await.refused(422, "value.invalid");
        let made = make(json!({"name": "ci", "scopes": ["note/admin"]})).await.expect(201);
        let key = made.text("key");
        assert!(key.starts_with("mk_"), "{key}");
        let me = async || node.get_as(&key, "/auth/me").await;
        let first = me().await.expect(200);
        assert_eq!(
            (&first.body["user"]["id"], &first.body["permissions"]),
            (&json!(ann), &json!(["note/admin"]))
        );
        // A key confirms nothing: it makes no other key and changes no account.
        node.post_as(&key, "/auth/keys", json!({"name": "x"})).await.refused(403, "auth.recent_required");
        node.post_as(&key, "/auth/password/change", json!({"password": "another boat that sings"}))
            .await
            .refused(403, "auth.recent_required");
        // What its owner loses it loses.
        node.query(json!({"Grant": {"permission": "note/admin", "delete": true}})).await;
        assert_eq!(me().await.expect(200).body["permissions"], json!([]));
        let listed = node.get_as(&access, "/auth/keys").await.expect(200);
        assert_eq!(listed.body["keys"][0]["name"], "ci");
        assert!(!listed.body.to_string().contains(&key));
        node.delete_as(&access, &format!("/auth/keys/{}", made.text("id"))).await.expect(204);
        me().await.refused(401, "auth.credentials");
        app.node.stop().await;
    });
}
