//! Several processes on one database: what is changed by one holds on all of them within a second.

use std::time::Duration;

use mainstay_engine::ctx::Caller;
use mainstay_testkit::database::Place;
use serde_json::json;

use crate::harness::{DatabaseKind, Node, on_each, place};

#[test]
fn a_change_by_one_node_holds_on_the_others() {
    on_each(async |kind| {
        let place: Place = place(kind);
        let [one, other] = [Node::start(&place).await, Node::start(&place).await];
        let mut took = Vec::new();
        for value in [6, 7, 8, 9, 10] {
            let is_seen =
                |flags: &mainstay_flags::Flags| flags.setting::<i64>("alarm_level", None).unwrap() == value;
            if value == 6 {
                one.give("alarm_level", None, json!(value)).await;
            } else {
                let change = json!({"FlagValue": {"name": "alarm_level", "set": {"value": value}}});
                assert_eq!(one.admin("POST", "/query", Some(change)).await.status, 200, "{kind:?}");
            }
            // What else it commits meanwhile does not keep it from looking.
            let busy = async {
                for number in 0.. {
                    let email = format!("{value}.{number}@example.com");
                    let user = json!({"User": {"create": true, "email": email, "name": "Somebody"}});
                    other.execute(Caller::administrator(), None, user).await.unwrap();
                }
            };
            tokio::select! {
                time = other.until(is_seen) => took.push(time),
                () = busy => unreachable!("it has no end"),
            }
            one.until(is_seen).await;
        }
        took.sort();
        // The one in the middle: a machine may be busy with something else now and then.
        assert!(took[2] < Duration::from_secs(1), "{kind:?}: {took:?}");
    });
}

#[test]
fn a_change_that_is_rolled_back_is_none() {
    on_each(async |kind| {
        let place: Place = place(kind);
        let node = Node::start(&place).await;
        let document = json!([
            {"FlagValue": {"create": true, "name": "new_checkout", "value": true}},
            {"FlagValue": {"create": true, "name": "new_checkout", "value": true}},
        ]);
        assert_eq!(node.admin("POST", "/query", Some(document)).await.status, 409, "{kind:?}");
        node.give("alarm_level", None, json!(6)).await;
        node.until(|flags| flags.setting::<i64>("alarm_level", None).unwrap() == 6).await;
        assert!(!node.flags().flag("new_checkout", None).unwrap(), "{kind:?}");
        assert_eq!(
            kind == DatabaseKind::Sqlite,
            place.options.url.to_string().starts_with("sqlite:"),
            "{kind:?}"
        );
    });
}
