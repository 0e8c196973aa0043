//! OpenFeature's remote evaluation protocol, byte for byte: values, reasons, codes, tags.

use serde_json::{Value as Json, json};

use crate::harness::{Node, on_each, place, tenant};

const ALL: &str = "/ofrep/v1/evaluate/flags";

fn context(context: &Json) -> Option<Json> {
    Some(json!({ "context": context }))
}

#[test]
fn one_flag_is_evaluated_with_its_reason() {
    on_each(async |kind| {
        let place = place(kind);
        let node = Node::start(&place).await;
        let path = format!("{ALL}/new_checkout");
        let someone = context(&json!({"targetingKey": "ann", "plan": "gold"}));
        let answer = node.ask_as("POST", &path, None, someone.clone(), "").await;
        let declared = json!({"key": "new_checkout", "reason": "DEFAULT", "value": false, "variant": "off"});
        assert_eq!((answer.status, answer.body), (200, declared), "{kind:?}");
        node.give("new_checkout", None, json!(true)).await;
        node.until_flag("new_checkout", true).await;
        let answer = node.ask_as("POST", &path, None, someone, "").await;
        let given = json!({"key": "new_checkout", "reason": "STATIC", "value": true, "variant": "on"});
        assert_eq!((answer.status, answer.body), (200, given), "{kind:?}");
        // A setting that is shown has a value of its own type.
        let answer = node.ask_as("POST", &format!("{ALL}/theme"), None, None, "").await;
        assert_eq!(answer.body, json!({"key": "theme", "reason": "DEFAULT", "value": "plain"}), "{kind:?}");
    });
}

#[test]
fn only_who_may_see_all_names_a_tenant() {
    on_each(async |kind| {
        let place = place(kind);
        let node = Node::start(&place).await;
        let ours = tenant(1);
        node.give("new_checkout", Some(&ours), json!(true)).await;
        node.until(|flags| flags.flag("new_checkout", Some(&ours)).unwrap()).await;
        let asked = context(&json!({"tenant": ours.to_json().trim_matches('"')}));
        let path = format!("{ALL}/new_checkout");
        let user = node.user("ann", &[]).await;
        for who in [None, Some(user.as_str())] {
            let answer = node.ask_as("POST", &path, who, asked.clone(), "").await.body;
            assert_eq!((&answer["value"], &answer["reason"]), (&json!(false), &json!("DEFAULT")), "{kind:?}");
        }
        let permitted = node.user("bob", &["flags/admin"]).await;
        let answer = node.ask_as("POST", &path, Some(&permitted), asked.clone(), "").await.body;
        assert_eq!(
            (&answer["value"], &answer["reason"]),
            (&json!(true), &json!("TARGETING_MATCH")),
            "{kind:?}"
        );
        let all = node.ask_as("POST", ALL, Some(&permitted), asked, "").await.body;
        let found = all["flags"].as_array().unwrap().iter().find(|of| of["key"] == "new_checkout").unwrap();
        assert_eq!(found["reason"], "TARGETING_MATCH", "{kind:?}");
    });
}

#[test]
fn all_are_told_once_until_one_has_changed() {
    on_each(async |kind| {
        let place = place(kind);
        let node = Node::start(&place).await;
        let first = node.ask_as("POST", ALL, None, context(&json!({})), "").await;
        let keys = |body: &Json| -> Vec<String> {
            body["flags"]
                .as_array()
                .unwrap()
                .iter()
                .map(|of| of["key"].as_str().unwrap().to_owned())
                .collect()
        };
        assert_eq!(
            (first.status, keys(&first.body)),
            (
                200,
                vec!["greeting", "new_checkout", "old_search", "theme"]
                    .into_iter()
                    .map(str::to_owned)
                    .collect()
            ),
            "{kind:?}"
        );
        let tag = first.tag.unwrap();
        let again = node.ask_as("POST", ALL, None, context(&json!({})), &tag).await;
        assert_eq!(
            (again.status, again.tag.as_deref(), again.body),
            (304, Some(tag.as_str()), Json::Null),
            "{kind:?}"
        );
        node.give("old_search", None, json!(false)).await;
        node.until_flag("old_search", false).await;
        let changed = node.ask_as("POST", ALL, None, context(&json!({})), &tag).await;
        assert_eq!(changed.status, 200, "{kind:?}");
        assert_ne!(changed.tag.as_deref(), Some(tag.as_str()), "{kind:?}");
        let flags = node.ask_as("GET", "/flags", None, None, "").await.tag.unwrap();
        assert_eq!(
            node.ask_as("GET", "/flags", None, None, &format!("\"x\", W/{flags}")).await.status,
            304,
            "{kind:?}"
        );
    });
}

#[tokio::test]
async fn what_cannot_be_evaluated_says_why_in_the_protocols_codes() {
    let place = place(crate::harness::DatabaseKind::Sqlite);
    let node = Node::start(&place).await;
    let check = async |path: &str, body: Json, status: u16, code: &str, words: &str| {
        let answer = node.ask_as("POST", path, None, Some(body), "").await;
        assert_eq!((answer.status, &answer.body["errorCode"]), (status, &json!(code)), "{}", answer.body);
        let details = answer.body["errorDetails"].as_str().unwrap();
        assert!(details.contains(words), "{details}");
        answer.body["key"].as_str().map(str::to_owned)
    };
    let one = format!("{ALL}/new_checkout");
    let unknown = format!("{ALL}/new_chekout");
    let key = check(&unknown, json!({}), 404, "FLAG_NOT_FOUND", "did you mean `new_checkout`?").await;
    assert_eq!(key.as_deref(), Some("new_chekout"));
    // The name of what nobody may know of is not suggested either.
    let hidden = node.ask_as("POST", &format!("{ALL}/alarm_levl"), None, None, "").await.body;
    assert!(!hidden.to_string().contains("alarm_level"), "{hidden}");
    check(&one, json!([]), 400, "PARSE_ERROR", "an object").await;
    check(&one, json!({"context": 5}), 400, "INVALID_CONTEXT", "`context` is an object").await;
    let key = check(ALL, json!({"context": {"targetingKey": 5}}), 400, "INVALID_CONTEXT", "a string").await;
    assert_eq!(key, None);
    let text = reqwest::Client::new().post(format!("{}{one}", node.url)).body("{").send().await.unwrap();
    assert_eq!(text.status().as_u16(), 400);
    assert!(text.text().await.unwrap().contains("PARSE_ERROR"));
    let admin = node.token(&mainstay_http::Subject::Admin);
    let wrong = Some(json!({"context": {"tenant": "me"}}));
    let answer = node.ask_as("POST", &one, Some(&admin), wrong, "").await;
    assert_eq!((answer.status, &answer.body["errorCode"]), (400, &json!("INVALID_CONTEXT")));
}
