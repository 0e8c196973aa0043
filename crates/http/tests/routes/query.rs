//! `POST /query`.

use serde_json::json;

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
