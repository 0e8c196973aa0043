//! Every route beside every kind of caller, and that nobody sees or ends what is somebody else's.

use std::collections::BTreeSet;

use mainstay_push::push_routes;
use serde_json::{Value as Json, json};

use crate::harness::{App, on_each};
use crate::service::{Browser, Service};

/// Whether a route is for whoever has signed in alone.
const TABLE: &[(&str, &str, bool)] = &[
    ("GET", "/push/key", false),
    ("GET", "/push/devices", true),
    ("POST", "/push/devices", true),
    ("DELETE", "/push/devices/{id}", true),
];

#[test]
fn every_route_stands_in_the_table() {
    let known: BTreeSet<(&str, &str)> = TABLE.iter().map(|(method, path, _)| (*method, *path)).collect();
    assert_eq!(known, push_routes().into_iter().collect());
}

#[test]
fn nobody_registers_sees_or_ends_what_is_somebody_elses() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let service = Service::start().await;
        let (_, ann) = app.user("ann").await;
        let (_, bob) = app.user("bob").await;
        let (_, revoked) = app.user("eve").await;
        app.ask("POST", "/auth/logout", Some(&revoked), &json!({})).await.expect(204);
        let browser = Browser::new(&service, "ann");
        let device = app.register(&ann, &browser.subscription()).await;
        for (method, path, is_signed_in) in TABLE {
            let path = path.replace("{id}", &device);
            let body = match *method {
                "POST" => json!({"subscription": browser.subscription()}),
                _ => Json::Null,
            };
            for who in [None, Some(revoked.as_str())] {
                let answer = app.ask(method, &path, who, &body).await;
                match is_signed_in {
                    true => assert_eq!(answer.body["key"], "auth.credentials", "{method} {path}: {answer:?}"),
                    false => assert_eq!(answer.status, 200, "{method} {path}: {answer:?}"),
                }
            }
        }
        // By the routes, by the rows, by a query.
        let list =
            async |who: &str| app.ask("GET", "/push/devices", Some(who), &Json::Null).await.expect(200);
        assert_eq!(list(&bob).await["devices"], json!([]));
        app.ask("DELETE", &format!("/push/devices/{device}"), Some(&bob), &Json::Null).await.expect(404);
        app.ask("GET", &format!("/api/Device/{device}"), Some(&bob), &Json::Null).await.expect(404);
        app.ask("DELETE", &format!("/api/Device/{device}"), Some(&bob), &Json::Null).await.expect(404);
        let made = json!({"Device": {"create": true, "platform": "web", "hash": "x", "target": "x", "seen": "2026-01-01T00:00:00Z"}});
        let made = app.ask("POST", "/query", Some(&bob), &made).await;
        assert!(matches!(made.status, 403 | 422), "{made:?}");
        let changed = json!({"Device": {"id": device, "set": {"name": "mine"}}});
        let changed = app.ask("POST", "/query", Some(&ann), &changed).await;
        assert_eq!(changed.status, 403, "a device is registered anew, not changed: {changed:?}");
        // Its owner sees it, and nobody where it is reached.
        let own = list(&ann).await["devices"].clone();
        assert_eq!((own[0]["id"].as_str(), own[0]["current"].as_bool()), (Some(device.as_str()), Some(true)));
        let whole =
            app.ask("GET", &format!("/api/Device/{device}"), Some(&ann), &Json::Null).await.expect(200);
        for hidden in ["target", "hash", "session"] {
            assert!(whole.get(hidden).is_none() && own[0].get(hidden).is_none(), "{whole} {own}");
        }
        let secret = json!({"Device": {"get": ["target"]}});
        let secret = app.ask("POST", "/query", Some(&app.admin()), &secret).await;
        assert!(secret.status >= 400, "{secret:?}");
        let key = app.ask("GET", "/api/PushKey", Some(&ann), &Json::Null).await;
        assert!(key.body["items"].as_array().is_none_or(Vec::is_empty), "{key:?}");
        app.ask("DELETE", &format!("/push/devices/{device}"), Some(&ann), &Json::Null).await.expect(204);
        assert!(app.devices().await.is_empty());
    });
}
