//! `DELETE /api/{table}/{id}`.

use serde_json::json;

use crate::shop::{Shop, id};

#[tokio::test]
async fn a_deleted_row_is_gone_with_what_hung_on_it() {
    let shop = Shop::open().await;
    let row = shop.product("Ale").await;
    let review = json!({"product": row["id"], "author": shop.buyer, "stars": 5});
    let review = shop.app.post("/api/Review", review).user(&shop.buyer).send().await.expect_status(201).body;
    let path = format!("/api/Product/{}", id(&row));
    let gone = shop.app.delete(&path).user(&shop.keeper).send().await.expect_status(204);
    assert_eq!(gone.text, "");
    shop.app.get(&path).send().await.expect_status(404);
    shop.app.get(&format!("/api/Review/{}", id(&review))).send().await.expect_status(404);
    shop.app.delete(&path).user(&shop.keeper).send().await.expect_problem(404, "row.not_found");
}

#[tokio::test]
async fn if_match_guards_a_deletion() {
    let shop = Shop::open().await;
    let row = shop.product("Ale").await;
    let path = format!("/api/Product/{}", id(&row));
    let tag = shop.app.get(&path).send().await.header("etag").to_owned();
    shop.app.patch(&path, json!({"stock": 1})).user(&shop.keeper).send().await.expect_status(200);
    let stale = shop.app.delete(&path).user(&shop.keeper).header("if-match", &tag).send().await;
    stale.expect_problem(412, "version.precondition");
    let tag = shop.app.get(&path).send().await.expect_status(200).header("etag").to_owned();
    shop.app.delete(&path).user(&shop.keeper).header("if-match", &tag).send().await.expect_status(204);
}

#[tokio::test]
async fn who_may_not_is_refused_and_the_row_stays() {
    let shop = Shop::open().await;
    let row = shop.product("Ale").await;
    let path = format!("/api/Product/{}", id(&row));
    shop.app.delete(&path).user(&shop.buyer).send().await.expect_problem(403, "rule.refused");
    shop.app.delete(&path).send().await.expect_problem(403, "rule.refused");
    shop.app.get(&path).send().await.expect_status(200);
    shop.app.delete("/api/Product/no-uuid").user(&shop.keeper).send().await.expect_status(404);
}

#[tokio::test]
async fn what_others_point_to_is_409() {
    let shop = Shop::open().await;
    let note = json!({"owner": shop.buyer, "text": "mine"});
    shop.app.post("/api/Note", note).user(&shop.buyer).send().await.expect_status(201);
    let user = format!("/api/User/{}", shop.buyer);
    shop.app.delete(&user).admin().send().await.expect_problem(409, "delete.restricted");
}
