//! Values that come, change and go, and rows that fit no declaration.

use serde_json::json;

use crate::harness::{Node, on_each, place, tenant};

#[test]
fn a_value_holds_until_it_is_taken_back() {
    on_each(async |kind| {
        let place = place(kind);
        let node = Node::start(&place).await;
        assert_eq!(node.get("/flags").await, json!({"new_checkout": false, "old_search": true}), "{kind:?}");
        let row = node.give("new_checkout", None, json!(true)).await;
        node.until_flag("new_checkout", true).await;
        assert_eq!(node.get("/flags").await["new_checkout"], true, "{kind:?}");
        let path = format!("/api/FlagValue/{row}");
        assert_eq!(node.admin("PATCH", &path, Some(json!({"value": false}))).await.status, 200, "{kind:?}");
        node.until_flag("new_checkout", false).await;
        node.admin("PATCH", &path, Some(json!({"value": true}))).await;
        node.until_flag("new_checkout", true).await;
        assert_eq!(node.admin("DELETE", &path, None).await.status, 204, "{kind:?}");
        node.until_flag("new_checkout", false).await;
        let settings = node.admin("GET", "/settings", None).await.body;
        let declared =
            json!({"alarm_level": 5, "fee": "1.50", "mode": "calm", "greeting": "Hello", "theme": "plain"});
        assert_eq!(settings, declared, "{kind:?}");
        assert_eq!(node.get("/settings").await, json!({"greeting": "Hello", "theme": "plain"}), "{kind:?}");
    });
}

#[test]
fn a_tenant_has_its_own_value_and_else_everybodys() {
    on_each(async |kind| {
        let place = place(kind);
        let node = Node::start(&place).await;
        let [ours, theirs] = [tenant(1), tenant(2)];
        node.give("alarm_level", None, json!(6)).await;
        node.give("alarm_level", Some(&ours), json!(7)).await;
        let level = |flags: &mainstay_flags::Flags, of| flags.setting::<i64>("alarm_level", of).unwrap();
        node.until(|flags| level(flags, Some(&ours)) == 7).await;
        let flags = node.flags();
        assert_eq!((level(&flags, None), level(&flags, Some(&theirs))), (6, 6), "{kind:?}");
        // One for everybody, and one for each tenant.
        for of in [None, Some(&ours)] {
            let of: serde_json::Value =
                of.map_or(json!(null), |of| serde_json::from_str(&of.to_json()).unwrap());
            let row = json!({"name": "alarm_level", "for_tenant": of, "value": 9});
            assert_eq!(node.admin("POST", "/api/FlagValue", Some(row)).await.status, 409, "{kind:?} {of}");
        }
    });
}

#[test]
fn a_value_is_held_to_its_declaration() {
    on_each(async |kind| {
        let place = place(kind);
        let node = Node::start(&place).await;
        let refused = async |name: &str, value: serde_json::Value, at: &str, words: &str| {
            let row = json!({"name": name, "value": value});
            let answer = node.admin("POST", "/api/FlagValue", Some(row)).await;
            assert_eq!(answer.status, 422, "{kind:?} {name}: {}", answer.body);
            let error = &answer.body["errors"][0];
            assert!(error["path"].as_str().unwrap().ends_with(at), "{kind:?} {name}: {error}");
            let message = error["message"].as_str().unwrap();
            assert!(message.contains(words), "{kind:?} {name}: {message}");
        };
        refused("new_chekout", json!(true), "/name", "did you mean `new_checkout`?").await;
        refused("new_checkout", json!("yes"), "/value", "`new_checkout` is bool: must be true or false")
            .await;
        refused("alarm_level", json!("6"), "/value", "`alarm_level` is int").await;
        refused("fee", json!(1.555), "/value", "`fee` is decimal(8, 2)").await;
        refused("mode", json!("wild"), "/value", "calm").await;
        refused("greeting", json!("Hello, everybody"), "/value", "10 characters").await;
        // However a value is written, it is read in one form, and its scope is not the writer's to say.
        let row = json!({"name": "fee", "value": 2.5, "scope": "mine"});
        let answer = node.admin("POST", "/api/FlagValue", Some(row)).await;
        assert_eq!((answer.status, &answer.body["value"]), (201, &json!("2.50")), "{kind:?} {}", answer.body);
        let row = json!({"name": "fee", "value": 3});
        assert_eq!(node.admin("POST", "/api/FlagValue", Some(row)).await.status, 409, "{kind:?}");
        // A change is held to it as well.
        let path = format!("/api/FlagValue/{}", answer.body["id"].as_str().unwrap());
        assert_eq!(node.admin("PATCH", &path, Some(json!({"value": "x"}))).await.status, 422, "{kind:?}");
    });
}

#[test]
fn a_row_without_a_declaration_is_kept_and_not_served() {
    on_each(async |kind| {
        let place = place(kind);
        let node = Node::start(&place).await;
        node.give("new_checkout", None, json!(true)).await;
        node.give("alarm_level", None, json!(6)).await;
        drop(node);
        let changed = "app shop\nflag old_search = true\nsetting alarm_level bool = false\n";
        let node = Node::start_of(&place, changed, |_| {}).await;
        let flags = node.flags();
        let mut strays = flags.strays();
        strays.sort_by(|a, b| a.name.cmp(&b.name));
        let names: Vec<&str> = strays.iter().map(|stray| stray.name.as_str()).collect();
        assert_eq!(names, ["alarm_level", "new_checkout"], "{kind:?}");
        assert!(strays[0].why.contains("`alarm_level` is bool"), "{kind:?}: {}", strays[0].why);
        assert!(!flags.setting::<bool>("alarm_level", None).unwrap(), "{kind:?}");
        assert_eq!(node.get("/flags").await, json!({"old_search": true}), "{kind:?}");
        drop(node);
        let node = Node::start(&place).await;
        assert!(node.flags().flag("new_checkout", None).unwrap(), "{kind:?}: it is there again");
    });
}
