//! Who may change values: administrators, those with the permission, and for one tenant whoever has it there.

use std::collections::BTreeSet;

use mainstay_engine::ctx::Caller;
use mainstay_engine::error::Key;
use serde_json::json;

use crate::harness::{Node, on_each, place, tenant};

#[test]
fn the_permission_of_a_tenant_reaches_its_own_values() {
    on_each(async |kind| {
        let place = place(kind);
        let node = Node::start(&place).await;
        let caller = |permissions: &[&str]| {
            let permissions: BTreeSet<String> = permissions.iter().map(|name| (*name).to_owned()).collect();
            Caller { permissions: permissions.into(), ..Caller::anonymous() }
        };
        let row = |for_tenant: Option<&mainstay_lang::value::Value>| {
            let of = for_tenant.map(|of| serde_json::from_str::<serde_json::Value>(&of.to_json()).unwrap());
            json!({"FlagValue": {"create": true, "name": "new_checkout", "for_tenant": of, "value": true}})
        };
        let [ours, theirs] = [tenant(1), tenant(2)];
        let key = async |permissions: &[&str], speaks: Option<&_>, of: Option<&_>| {
            node.execute(caller(permissions), speaks, row(of)).await.map(drop).map_err(|error| error.key)
        };
        let admin = ["flags/admin"];
        assert_eq!(key(&[], None, None).await, Err(Key::Forbidden), "{kind:?}");
        assert_eq!(key(&["other"], Some(&ours), Some(&ours)).await, Err(Key::Forbidden), "{kind:?}");
        assert_eq!(key(&admin, Some(&ours), None).await, Err(Key::Forbidden), "{kind:?}");
        assert_eq!(key(&admin, Some(&ours), Some(&theirs)).await, Err(Key::Forbidden), "{kind:?}");
        assert_eq!(key(&admin, Some(&ours), Some(&ours)).await, Ok(()), "{kind:?}");
        assert_eq!(key(&admin, None, None).await, Ok(()), "{kind:?}");
        assert_eq!(key(&admin, None, Some(&theirs)).await, Ok(()), "{kind:?}");
        // What it may not change it does not see either.
        let count = async |permissions: &[&str], speaks| {
            let read = json!({"FlagValue": {"get": ["for_tenant"]}});
            let rows = node.execute(caller(permissions), speaks, read).await.unwrap();
            rows["FlagValue"].as_array().unwrap().len()
        };
        assert_eq!(count(&admin, None).await, 3, "{kind:?}");
        assert_eq!(count(&admin, Some(&ours)).await, 1, "{kind:?}");
        assert_eq!(count(&[], None).await, 0, "{kind:?}");
        // Nor can it be moved to another.
        let moved = json!({"FlagValue": {"for_tenant": serde_json::from_str::<serde_json::Value>(&ours.to_json()).unwrap(),
            "set": {"for_tenant": null}}});
        assert!(node.execute(caller(&admin), Some(&ours), moved).await.is_err(), "{kind:?}");
    });
}
