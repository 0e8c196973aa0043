//! The routes in the app's OpenAPI document: each is there, and true of what is answered.

use std::collections::BTreeSet;

use mainstay_identity::identity_routes;
use reqwest::Method;
use serde_json::{Value as Json, json};

use crate::harness::{App, Node, on_each, run};

async fn document(node: &Node) -> Json {
    node.send(node.request(Method::GET, "/openapi.json")).await.expect(200).body
}

/// What a schema of the document says of a value.
fn problems(document: &Json, schema: &Json, value: &Json) -> Vec<String> {
    let mut schema = schema.clone();
    schema["components"] = document["components"].clone();
    let validator = jsonschema::validator_for(&schema).expect("it is a schema");
    validator.iter_errors(value).map(|error| error.to_string()).collect()
}

fn check_references(document: &Json, at: &Json) {
    match at {
        Json::Object(members) => {
            if let Some(Json::String(to)) = members.get("$ref") {
                assert!(document.pointer(&to[1..]).is_some(), "{to}");
            }
            members.values().for_each(|value| check_references(document, value));
        }
        Json::Array(items) => items.iter().for_each(|value| check_references(document, value)),
        _ => {}
    }
}

#[test]
fn every_route_is_described_and_its_example_is_what_it_takes() {
    run(async {
        let app = App::start(crate::harness::DatabaseKind::Sqlite).await;
        let document = document(&app.node).await;
        check_references(&document, &document);
        for (method, path) in identity_routes() {
            let operation = &document["paths"][path][method.to_lowercase()];
            assert!(operation["operationId"].is_string(), "{method} {path}");
            assert!(operation["responses"]["500"].is_object(), "{method} {path}");
            let answers = operation["responses"].as_object().unwrap().keys();
            assert!(answers.clone().any(|status| status.starts_with('2')), "{method} {path}");
            let places = path.matches('{').count();
            let parameters = operation["parameters"].as_array().unwrap();
            let described = parameters.iter().filter(|of| of["in"] == "path").count();
            assert_eq!(described, places, "{method} {path}");
            let body = &operation["requestBody"]["content"]["application/json"];
            if !body.is_null() {
                let wrong = problems(&document, &body["schema"], &body["example"]);
                assert!(wrong.is_empty(), "{method} {path}: {wrong:?}");
            }
        }
        let operations = document["paths"].as_object().unwrap().values();
        let ids: Vec<&str> = operations
            .flat_map(|item| item.as_object().unwrap().values())
            .map(|operation| operation["operationId"].as_str().unwrap())
            .collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{ids:?}");
        app.node.stop().await;
    });
}

#[test]
fn answers_are_as_described() {
    on_each(async |kind| {
        let app = App::start(kind).await;
        let node = &app.node;
        let document = document(node).await;
        let ann = node.user("ann", &["identity/roles", "identity/tenants"]).await;
        let login = node.login("ann").await;
        let access = login.text("access");
        let check = |method: &str, path: &str, answer: &crate::harness::Answer| {
            let described = &document["paths"][path][method]["responses"][answer.status.to_string()];
            let described = match described["$ref"].as_str() {
                Some(to) => document.pointer(&to[1..]).unwrap(),
                None => described,
            };
            assert!(described.is_object(), "{method} {path}: {answer:?}");
            let content = described["content"].as_object();
            let Some(schema) = content.and_then(|content| content.values().next()) else { return };
            let wrong = problems(&document, &schema["schema"], &answer.body);
            assert!(wrong.is_empty(), "{method} {path}: {wrong:?}\n{:#}", answer.body);
        };
        check("post", "/auth/login", &login);
        for path in [
            "/auth/me",
            "/auth/methods",
            "/auth/sessions",
            "/auth/keys",
            "/auth/permissions",
            "/auth/roles",
            "/auth/tenants",
            "/.well-known/jwks.json",
        ] {
            check("get", path, &node.get_as(&access, path).await.expect(200));
            check("get", path, &node.get_as("nonsense", path).await);
        }
        let made = node.post_as(&access, "/auth/roles", json!({"name": "editor"})).await;
        check("post", "/auth/roles", &made);
        let path = format!("/auth/users/{ann}/roles");
        let given = node.post_as(&access, &path, json!({"role": made.body["id"]})).await.expect(201);
        check("post", "/auth/users/{id}/roles", &given);
        let roles = node.get_as(&access, &path).await.expect(200);
        check("get", "/auth/users/{id}/roles", &roles);
        for (path, body) in [
            ("/auth/tenants", json!({"name": "Red", "slug": "red"})),
            ("/auth/keys", json!({"name": "Robot", "scopes": []})),
            ("/auth/totp/setup", Json::Null),
            ("/auth/totp/confirm", json!({"code": "000000"})),
            ("/auth/refresh", json!({"refresh": login.text("refresh")})),
            ("/auth/refresh", json!({"refresh": 1})),
            ("/auth/login", json!({"email": "ann@example.com", "password": "a guess"})),
            ("/auth/password/forgot", json!({"email": "ann@example.com"})),
            ("/auth/email/verify", json!({"token": "x"})),
            ("/auth/logout", Json::Null),
        ] {
            check("post", path, &node.post_as(&access, path, body).await);
        }
        app.node.stop().await;
    });
}
