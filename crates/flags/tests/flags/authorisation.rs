//! Every route of the capability × every kind of caller.

use serde_json::json;

use crate::harness::{DatabaseKind, Node, place};

#[tokio::test]
async fn every_route_meets_every_caller_as_expected() {
    let place = place(DatabaseKind::Sqlite);
    let node = Node::start(&place).await;
    let user = node.user("ann", &["other"]).await;
    let permitted = node.user("bob", &["flags/admin"]).await;
    let admin = node.token(&mainstay_http::Subject::Admin);
    let callers = [None, Some(&*user), Some(&*permitted), Some(&*admin), Some("nonsense")];
    let row = json!({"name": "old_search", "value": false});
    let table: [(&str, &str, Option<serde_json::Value>, [u16; 5]); 9] = [
        ("GET", "/flags", None, [200, 200, 200, 200, 401]),
        ("GET", "/settings", None, [200, 200, 200, 200, 401]),
        ("POST", "/ofrep/v1/evaluate/flags", Some(json!({})), [200, 200, 200, 200, 401]),
        ("POST", "/ofrep/v1/evaluate/flags/new_checkout", Some(json!({})), [200, 200, 200, 200, 401]),
        ("POST", "/ofrep/v1/evaluate/flags/greeting", Some(json!({})), [200, 200, 200, 200, 401]),
        // A setting that is not shown is there for those alone who may change it.
        ("POST", "/ofrep/v1/evaluate/flags/alarm_level", Some(json!({})), [404, 404, 200, 200, 401]),
        ("GET", "/ofrep/v1/evaluate/flags", None, [405, 405, 405, 405, 405]),
        ("GET", "/api/FlagValue", None, [200, 200, 200, 200, 401]),
        ("POST", "/api/FlagValue", Some(row), [403, 403, 201, 409, 401]),
    ];
    for (method, path, body, expected) in table {
        for (who, expected) in callers.into_iter().zip(expected) {
            let answer = node.ask_as(method, path, who, body.clone(), "").await;
            assert_eq!(answer.status, expected, "{method} {path} by {who:?}: {}", answer.body);
        }
    }
    // What the statuses do not tell: who sees which.
    let names = async |path: &str, who| {
        let body = node.ask_as("GET", path, who, None, "").await.body;
        body.as_object().unwrap().keys().cloned().collect::<Vec<String>>()
    };
    for who in [None, Some(&*user)] {
        assert_eq!(names("/settings", who).await, ["greeting", "theme"]);
        let rows = node.ask_as("GET", "/api/FlagValue", who, None, "").await.body;
        assert_eq!(rows["items"], json!([]));
    }
    for who in [Some(&*permitted), Some(&*admin)] {
        assert_eq!(names("/settings", who).await, ["alarm_level", "fee", "greeting", "mode", "theme"]);
    }
}
