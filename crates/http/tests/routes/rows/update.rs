//! `PATCH /api/{table}/{id}`.

use serde_json::json;

use crate::shop::{Shop, id};

#[tokio::test]
async fn what_is_named_changes_and_the_rest_stays() {
    let shop = Shop::open().await;
    let row = shop.create("/api/Product", json!({"name": "Ale", "stock": 3, "from": "Kent"})).await;
    let path = format!("/api/Product/{}", id(&row));
    let change = json!({"stock": {"$add": 2}, "from": null});
    let changed = shop.app.patch(&path, change).user(&shop.keeper).send().await.expect_status(200);
    assert_eq!((&changed.body["stock"], &changed.body["name"]), (&json!(5), &json!("Ale")));
    let found = shop.app.get(&path).user(&shop.keeper).send().await.expect_status(200);
    assert_eq!((&found.body["stock"], &found.body["from"]), (&json!(5), &json!(null)));
    assert_eq!(found.header("etag"), changed.header("etag"));
    assert!(found.body["updated"].as_str() > row["updated"].as_str());
}

#[tokio::test]
async fn if_match_lets_one_of_two_writers_through() {
    let shop = Shop::open().await;
    let row = shop.product("Ale").await;
    let path = format!("/api/Product/{}", id(&row));
    let tag = shop.app.get(&path).user(&shop.keeper).send().await.header("etag").to_owned();
    let write = async |tag: &str, stock: i64| {
        let request = shop.app.patch(&path, json!({"stock": stock})).user(&shop.keeper);
        request.header("if-match", tag).send().await
    };
    write(&tag, 1).await.expect_status(200);
    write(&tag, 2).await.expect_problem(412, "version.precondition");
    write(&format!("W/{tag}"), 2).await.expect_problem(412, "version.precondition");
    write("\"never given\"", 2).await.expect_problem(412, "version.precondition");
    write("not quoted", 2).await.expect_problem(400, "request.malformed");
    let now = shop.app.get(&path).send().await;
    assert_eq!(now.body["stock"], 1);
    write(&format!("\"{}\"", now.body["updated"].as_str().unwrap()), 3).await.expect_status(200);
    write("*", 4).await.expect_status(200);
}

#[tokio::test]
async fn not_there_is_404_and_not_allowed_403() {
    let shop = Shop::open().await;
    let row = shop.product("Ale").await;
    let path = format!("/api/Product/{}", id(&row));
    shop.app
        .patch(&path, json!({"stock": 1}))
        .user(&shop.buyer)
        .send()
        .await
        .expect_problem(403, "rule.refused");
    let unknown = "/api/Product/018f0000-0000-7000-8000-000000000000";
    shop.app
        .patch(unknown, json!({"stock": 1}))
        .user(&shop.keeper)
        .send()
        .await
        .expect_problem(404, "row.not_found");
    let note = json!({"owner": shop.buyer, "text": "mine"});
    let note = shop.app.post("/api/Note", note).user(&shop.buyer).send().await.expect_status(201).body;
    let of_another = format!("/api/Note/{}", id(&note));
    let change = json!({"text": "stolen"});
    shop.app.patch(&of_another, change).user(&shop.keeper).send().await.expect_problem(404, "row.not_found");
    assert_eq!(shop.app.get(&path).send().await.body["stock"], 0);
}

#[tokio::test]
async fn a_body_that_is_no_change_is_refused() {
    let shop = Shop::open().await;
    let row = shop.product("Ale").await;
    let path = format!("/api/Product/{}", id(&row));
    let send = async |body: serde_json::Value| shop.app.patch(&path, body).user(&shop.keeper).send().await;
    send(json!([{"stock": 1}])).await.expect_problem(400, "query.malformed");
    send(json!({"stcok": 1})).await.expect_problem(400, "name.unknown");
    send(json!({"set": {"stock": 1}})).await.expect_problem(400, "query.malformed");
    let wrong = send(json!({"stock": "1"})).await.expect_problem(422, "value.invalid");
    assert_eq!(wrong.body["errors"][0]["path"], "/stock");
    send(json!({"stock": -1})).await.expect_problem(422, "check.failed");
    shop.product("Beer").await;
    send(json!({"name": "Beer"})).await.expect_problem(409, "unique");
    send(json!({})).await.expect_status(200);
}

#[tokio::test]
async fn relations_change_with_the_row_and_are_shown_as_asked() {
    let shop = Shop::open().await;
    let row = shop.product("Ale").await;
    shop.create("/api/Tag", json!({"id": "new", "name": "New"})).await;
    let change = json!({"supplier": {"create": true, "name": "Acme"}, "tags": [{"id": "new"}]});
    let path = format!("/api/Product/{}?get=supplier(name),tags(name)", id(&row));
    let changed = shop.app.patch(&path, change).user(&shop.keeper).send().await.expect_status(200).body;
    assert_eq!(
        (&changed["supplier"]["name"], &changed["tags"][0]["name"]),
        (&json!("Acme"), &json!("New")),
        "{changed}"
    );
    let change = json!({"tags": [], "supplier": null});
    let changed = shop.app.patch(&path, change).user(&shop.keeper).send().await.expect_status(200).body;
    assert_eq!((&changed["supplier"], &changed["tags"]), (&json!(null), &json!([])));
}
