//! `PUT` and `DELETE /api/{table}/{id}/{relation}/{target}`.

use reqwest::Method;
use serde_json::{Value, json};

use crate::shop::{Shop, id};

async fn tags_of(shop: &Shop, product: &Value) -> Value {
    let path = format!("/api/Product/{}?get=tags(name)", id(product));
    shop.app.get(&path).send().await.expect_status(200).body["tags"].clone()
}

#[tokio::test]
async fn a_target_is_linked_once_and_unlinked() {
    let shop = Shop::open().await;
    let row = shop.product("Ale").await;
    shop.create("/api/Tag", json!({"id": "new", "name": "New"})).await;
    let path = format!("/api/Product/{}/tags/new", id(&row));
    for _ in 0..2 {
        shop.app.request(Method::PUT, &path).user(&shop.keeper).send().await.expect_status(204);
        assert_eq!(tags_of(&shop, &row).await, json!([{"id": "new", "name": "New"}]));
    }
    for _ in 0..2 {
        shop.app.delete(&path).user(&shop.keeper).send().await.expect_status(204);
        assert_eq!(tags_of(&shop, &row).await, json!([]));
    }
}

#[tokio::test]
async fn who_may_not_update_may_not_link() {
    let shop = Shop::open().await;
    let row = shop.product("Ale").await;
    shop.create("/api/Tag", json!({"id": "new", "name": "New"})).await;
    let path = format!("/api/Product/{}/tags/new", id(&row));
    shop.app.request(Method::PUT, &path).user(&shop.buyer).send().await.expect_problem(403, "rule.refused");
    assert_eq!(tags_of(&shop, &row).await, json!([]));
}

#[tokio::test]
async fn what_is_not_there_is_not_linked() {
    let shop = Shop::open().await;
    let row = shop.product("Ale").await;
    let row_path = format!("/api/Product/{}", id(&row));
    let put = async |path: &str| shop.app.request(Method::PUT, path).user(&shop.keeper).send().await;
    put(&format!("{row_path}/tags/unknown")).await.expect_problem(403, "relation.refused");
    put(&format!("{row_path}/reviews/no-uuid")).await.expect_problem(403, "relation.refused");
    let near = put(&format!("{row_path}/tgas/new")).await.expect_problem(404, "route.unknown");
    assert!(near.text.contains("`tags`"), "{}", near.text);
    put(&format!("{row_path}/name/new")).await.expect_problem(404, "route.unknown");
    shop.create("/api/Tag", json!({"id": "new", "name": "New"})).await;
    put("/api/Product/018f0000-0000-7000-8000-000000000000/tags/new")
        .await
        .expect_problem(404, "row.not_found");
}
