//! `/openapi.json`: valid, and true of what is answered.

use mainstay_http::ROUTES;
use serde_json::{Value, json};

use crate::shop::{Shop, id};

async fn document(shop: &Shop) -> Value {
    shop.app.get("/openapi.json").send().await.expect_status(200).body
}

/// Whether a value is as a component's schema says.
#[track_caller]
fn expect_shape(document: &Value, component: &str, value: &Value) {
    let schema = json!({
        "$ref": format!("#/components/schemas/{component}"),
        "components": document["components"],
    });
    let validator = jsonschema::validator_for(&schema).expect("the component is a schema");
    let errors: Vec<String> = validator.iter_errors(value).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{component}: {errors:?}\n{value:#}");
}

#[tokio::test]
async fn every_route_is_described_and_leads_somewhere() {
    let shop = Shop::open().await;
    let document = document(&shop).await;
    for route in ROUTES {
        let path = route.path.replace("{table}", "Product").replace("{relation}", "tags");
        let operation = &document["paths"][&path][route.method.as_str().to_lowercase()];
        assert!(operation["operationId"].is_string(), "{} {path}", route.method);
        assert!(operation["responses"]["500"].is_object(), "{} {path}", route.method);
    }
    let tag = shop.app.get("/openapi.json").send().await.header("etag").to_owned();
    shop.app.get("/openapi.json").header("if-none-match", &tag).send().await.expect_status(304);
    check_references(&document, &document);
}

fn check_references(document: &Value, at: &Value) {
    match at {
        Value::Object(members) => {
            if let Some(Value::String(to)) = members.get("$ref") {
                assert!(document.pointer(&to[1..]).is_some(), "{to}");
            }
            members.values().for_each(|value| check_references(document, value));
        }
        Value::Array(items) => items.iter().for_each(|value| check_references(document, value)),
        _ => {}
    }
}

#[tokio::test]
async fn operation_ids_are_unique() {
    let shop = Shop::open().await;
    let document = document(&shop).await;
    let paths = document["paths"].as_object().unwrap().values();
    let mut ids: Vec<&str> = paths
        .flat_map(|item| item.as_object().unwrap().values())
        .map(|operation| operation["operationId"].as_str().unwrap())
        .collect();
    ids.sort_unstable();
    let count = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

#[tokio::test]
async fn answers_are_as_described() {
    let shop = Shop::open().await;
    let document = document(&shop).await;
    let row = json!({
        "name": "Ale", "price": "2.50", "cost": 1, "weight": 0.1, "best": "2026-01-31", "lasts": "P1DT2H3M4.5S",
        "data": [1, null], "supplier": {"create": true, "name": "Acme"},
    });
    let made = shop.app.post("/api/Product?get=*,supplier(name),tags", row).user(&shop.keeper).send().await;
    let made = made.expect_status(201).body;
    expect_shape(&document, "Product", &made);
    let bare = shop.product("Beer").await;
    expect_shape(&document, "Product", &bare);
    let path = format!("/api/Product/{}", id(&bare));
    for get in ["*", "name", "supplier(name)", "tags(name),reviews(stars)"] {
        let answer = shop.app.get(&path).query("get", get).send().await.expect_status(200);
        expect_shape(&document, "Product", &answer.body);
    }
    let query = json!({"Product": {"get": ["*"], "supplier": {"get": ["*"]}, "count": true}});
    let answer = shop.app.post("/query", query).send().await.expect_status(200);
    expect_shape(&document, "Answer", &answer.body);
    let problem = shop.app.post("/api/Product", json!({"price": 1})).user(&shop.keeper).send().await;
    expect_shape(&document, "Problem", &problem.expect_status(422).body);
    let warned =
        shop.app.post("/api/Product", json!({"name": "x", "price": 1000})).user(&shop.keeper).send().await;
    expect_shape(&document, "Problem", &warned.expect_status(409).body);
}

#[tokio::test]
async fn what_is_secret_is_never_answered_and_what_is_managed_never_sent() {
    let shop = Shop::open().await;
    let schemas = document(&shop).await["components"]["schemas"].clone();
    assert!(schemas["Note"]["properties"].get("secret_word").is_none());
    assert_eq!(schemas["Note.create"]["properties"]["secret_word"]["writeOnly"], true);
    assert_eq!(schemas["Product"]["properties"]["updated"]["readOnly"], true);
    assert!(schemas["Product.create"]["properties"].get("updated").is_none());
    assert!(schemas["Review.update"]["properties"].get("product").is_none());
    assert_eq!(schemas["Product.create"]["required"], json!(["name"]));
    assert_eq!(schemas["Product"]["properties"]["name"]["description"], "What it is called.");
}

#[tokio::test]
async fn examples_are_taken_as_they_stand() {
    let shop = Shop::open().await;
    let document = document(&shop).await;
    let body = &document["paths"]["/api/Product"]["post"]["requestBody"]["content"]["application/json"];
    expect_shape(&document, "Product.create", &body["example"]);
    shop.create("/api/Product", body["example"].clone()).await;
}
