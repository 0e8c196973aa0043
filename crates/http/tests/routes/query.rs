//! `POST /query`.

use reqwest::Method;
use serde_json::{Value, json};

use crate::shop::{Shop, id};

#[tokio::test]
async fn one_document_writes_and_reads_in_order() {
    let shop = Shop::open().await;
    let document = json!({
        "Supplier": {"create": true, "name": "Acme"},
        "Product": [
            {"create": true, "name": "Ale", "supplier": {"name": "Acme"}},
            {"create": true, "name": "Beer"},
        ],
    });
    let made = shop.app.post("/query", document).user(&shop.keeper).send().await.expect_status(200);
    assert_eq!(made.body["Product"].as_array().unwrap().len(), 2);
    assert_eq!(made.body["Product"][0]["new"], true);
    let read = json!({"Supplier": {"get": ["name"], "products": {"get": ["name"]}, "count": true}});
    let read = shop.app.post("/query", read).send().await.expect_status(200);
    assert_eq!(read.body["Supplier"][0]["products"][0]["name"], "Ale");
    assert_eq!(read.body["Supplier@"]["count"], 1);
}

#[tokio::test]
async fn an_array_of_documents_is_answered_with_an_array() {
    let shop = Shop::open().await;
    let read = shop.app.post("/query", json!([{"Product": {}}, {"Tag": {}}])).send().await.expect_status(200);
    assert_eq!(read.body, json!([{"Product": []}, {"Tag": []}]));
    let alone = shop.app.post("/query", json!([{"Product": {}}])).send().await.expect_status(200);
    assert_eq!(alone.body, json!([{"Product": []}]));
}

#[tokio::test]
async fn what_is_wrong_is_said_with_its_place() {
    let shop = Shop::open().await;
    let check = async |document: serde_json::Value, status: u16, key: &str, path: &str| {
        let answer = shop.app.post("/query", document.clone()).user(&shop.keeper).send().await;
        let answer = answer.expect_problem(status, key);
        let found = answer.body["errors"][0]["path"].as_str().unwrap_or_default();
        assert!(found.starts_with(path), "{document}: {}", answer.text);
    };
    check(json!({"Prodcut": {}}), 400, "name.unknown", "/Prodcut").await;
    check(json!({"Product": {"get": ["nmae"]}}), 400, "name.unknown", "/Product").await;
    check(json!({"Product": {"lmit": 1}}), 400, "name.unknown", "/Product/lmit").await;
    check(json!({"Product": {"set": {"stock": 1}}}), 400, "write.unrestricted", "").await;
    check(json!({"Product": {"delete": true, "limit": 1}}), 400, "query.malformed", "/Product/limit").await;
    check(json!({"Product": {"stock": "x"}}), 422, "value.invalid", "/Product/stock").await;
    let lines =
        json!({"Product": [{"create": true, "name": "a"}, {"create": true, "name": "b", "stock": "x"}]});
    check(lines, 422, "value.invalid", "/Product/1/stock").await;
}

#[tokio::test]
async fn explain_is_for_development_and_administrators() {
    let shop = Shop::open().await;
    let read = json!({"Product": {"get": ["name"]}});
    let explained = shop.app.post("/query?explain", read.clone()).send().await.expect_status(200);
    assert!(explained.body["@explain"].to_string().contains("SELECT"), "{}", explained.text);
    let list = shop.app.get("/api/Product?explain").send().await.expect_status(200);
    assert!(list.body["explain"].to_string().contains("SELECT"), "{}", list.text);
    let row = shop.product("Ale").await;
    let one = shop.app.get(&format!("/api/Product/{}?explain", id(&row))).send().await.expect_status(200);
    assert_eq!(one.body["row"]["name"], "Ale");
    assert!(one.body["explain"].to_string().contains("SELECT"), "{}", one.text);
    let production = Shop::open_with(|options| options.development = false).await;
    production.app.post("/query?explain", read.clone()).send().await.expect_problem(403, "rule.refused");
    production.app.post("/query?explain", read).admin().send().await.expect_status(200);
}

#[tokio::test]
async fn every_route_that_reads_or_writes_rows_explains_itself_in_its_own_place() {
    let shop = Shop::open().await;
    shop.create("/api/Tag", json!({"id": "new", "name": "New"})).await;
    let row = shop.product("Ale").await;
    let path = format!("/api/Product/{}", id(&row));
    let send = async |method: Method, path: &str, body: Option<Value>, status: u16| {
        let request = shop.app.request(method, &format!("{path}?explain")).user(&shop.keeper);
        let request = match &body {
            Some(body) => request.json(body),
            None => request,
        };
        let answer = request.send().await.expect_status(status);
        let statements = answer.body["explain"]["statements"].as_array().expect("an explanation");
        assert!(
            statements.iter().all(|told| told["sql"].is_string() && told["plan"].is_array()),
            "{}",
            answer.text
        );
        answer.body
    };
    let made = send(Method::POST, "/api/Product", Some(json!({"name": "Beer"})), 201).await;
    assert_eq!(made["row"]["name"], "Beer");
    let made =
        send(Method::POST, "/api/Product", Some(json!([{"name": "Cider"}, {"name": "Dry"}])), 201).await;
    assert_eq!(made["rows"][1]["name"], "Dry");
    let changed = send(Method::PATCH, &path, Some(json!({"stock": 4})), 200).await;
    assert_eq!(changed["row"]["stock"], 4);
    let link = format!("{path}/tags/new");
    assert_eq!(send(Method::PUT, &link, None, 200).await.as_object().unwrap().len(), 1);
    send(Method::DELETE, &link, None, 200).await;
    send(Method::DELETE, &path, None, 200).await;
    shop.app.get(&path).send().await.expect_problem(404, "row.not_found");
    // In production it is the administrator's, and whoever may not ask has written nothing.
    let production = Shop::open_with(|options| options.development = false).await;
    let refused =
        production.app.post("/api/Product?explain", json!({"name": "Ale"})).user(&production.keeper);
    refused.send().await.expect_problem(403, "rule.refused");
    assert_eq!(production.app.get("/api/Product").send().await.body["items"], json!([]));
}
