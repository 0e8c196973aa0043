//! `GET /api/{table}/{id}`: the row, its entity tag, conditional requests.

use serde_json::json;

use crate::shop::{Shop, id};

#[tokio::test]
async fn one_row_has_a_strong_tag_that_changes_with_it() {
    let shop = Shop::open().await;
    let row = shop.product("Ale").await;
    let path = format!("/api/Product/{}", id(&row));
    let first = shop.app.get(&path).send().await.expect_status(200);
    assert_eq!(first.body["name"], "Ale");
    let tag = first.header("etag").to_owned();
    assert!(tag.starts_with(&format!("\"{}", first.body["updated"].as_str().unwrap())), "{tag}");
    assert_eq!(first.header("cache-control"), "private, no-cache");

    let again = shop.app.get(&path).header("if-none-match", &tag).send().await.expect_status(304);
    assert_eq!((again.text.as_str(), again.header("etag")), ("", tag.as_str()));
    let listed = format!("\"other\", W/{tag}");
    shop.app.get(&path).header("if-none-match", &listed).send().await.expect_status(304);

    shop.app.patch(&path, json!({"stock": 4})).user(&shop.keeper).send().await.expect_status(200);
    let changed = shop.app.get(&path).header("if-none-match", &tag).send().await.expect_status(200);
    assert_ne!(changed.header("etag"), tag);
}

#[tokio::test]
async fn other_rights_are_another_representation() {
    let shop = Shop::open().await;
    let row = shop.product("Ale").await;
    let path = format!("/api/Product/{}", id(&row));
    let keeper = shop.app.get(&path).user(&shop.keeper).send().await.expect_status(200);
    let buyer = shop.app.get(&path).user(&shop.buyer).send().await.expect_status(200);
    assert_ne!(keeper.header("etag"), buyer.header("etag"));
}

#[tokio::test]
async fn the_tag_is_told_without_showing_updated() {
    let shop = Shop::open().await;
    let row = shop.product("Ale").await;
    let path = format!("/api/Product/{}?get=name", id(&row));
    let answer = shop.app.get(&path).send().await.expect_status(200);
    assert_eq!(answer.text, format!("{{\"id\":\"{}\",\"name\":\"Ale\"}}", id(&row)));
    assert!(answer.header("etag").starts_with("\"20"), "{}", answer.header("etag"));
}

#[tokio::test]
async fn what_is_nested_has_a_weak_tag_of_its_body() {
    let shop = Shop::open().await;
    let row = shop.product("Ale").await;
    let path = format!("/api/Product/{}?get=name,tags(name)", id(&row));
    let first = shop.app.get(&path).send().await.expect_status(200);
    let tag = first.header("etag").to_owned();
    assert!(tag.starts_with("W/\""), "{tag}");
    shop.app.get(&path).header("if-none-match", &tag).send().await.expect_status(304);
    shop.create("/api/Tag", json!({"id": "new", "name": "New"})).await;
    let link = format!("/api/Product/{}/tags/new", id(&row));
    shop.app.request(reqwest::Method::PUT, &link).user(&shop.keeper).send().await.expect_status(204);
    shop.app.get(&path).header("if-none-match", &tag).send().await.expect_status(200);
}

#[tokio::test]
async fn a_row_that_is_not_there_for_the_caller_is_404() {
    let shop = Shop::open().await;
    let note = json!({"owner": shop.buyer, "text": "mine"});
    let note = shop.app.post("/api/Note", note).user(&shop.buyer).send().await.expect_status(201).body;
    let check = async |path: &str| {
        shop.app.get(path).user(&shop.keeper).send().await.expect_problem(404, "row.not_found");
    };
    check(&format!("/api/Note/{}", id(&note))).await;
    check("/api/Note/018f0000-0000-7000-8000-000000000000").await;
    check("/api/Note/no-uuid").await;
    check("/api/Counter/no-number").await;
    check("/api/Counter/99999999999999999999").await;
    check("/api/Counter/042").await;
    check("/api/Tag/%00").await;
    shop.app.get("/api/Note/%FF").send().await.expect_problem(400, "request.malformed");
}

#[tokio::test]
async fn keys_of_every_type_stand_in_paths() {
    let shop = Shop::open().await;
    shop.create("/api/Counter", json!({"id": -5})).await;
    assert_eq!(shop.app.get("/api/Counter/-5").send().await.expect_status(200).body["id"], -5);
    let made = shop.app.post("/api/Tag", json!({"id": "a/b ü", "name": "x"})).user(&shop.keeper).send().await;
    assert_eq!(made.header("location"), "/api/Tag/a%2Fb%20%C3%BC");
    assert_eq!(shop.app.get(made.header("location")).send().await.expect_status(200).body["id"], "a/b ü");
    let row = shop.product("Ale").await;
    let path = format!("/api/Product/{}", id(&row).to_uppercase());
    assert_eq!(shop.app.get(&path).send().await.expect_status(200).body["id"], row["id"]);
}

#[tokio::test]
async fn head_has_the_headers_of_get_and_no_body() {
    let shop = Shop::open().await;
    let row = shop.product("Ale").await;
    let path = format!("/api/Product/{}", id(&row));
    let got = shop.app.get(&path).send().await.expect_status(200);
    let head = shop.app.request(reqwest::Method::HEAD, &path).send().await.expect_status(200);
    assert_eq!((head.text.as_str(), head.header("etag")), ("", got.header("etag")));
    assert_eq!(head.header("content-type"), "application/json");
}
