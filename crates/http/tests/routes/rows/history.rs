//! `GET /api/{table}/{id}/history`: versions under the caller's rules, in pages.

use serde_json::json;

use crate::shop::{Shop, id};

#[tokio::test]
async fn versions_are_told_under_the_rules() {
    let shop = Shop::open().await;
    let row = shop.create("/api/Product", json!({"name": "Ale", "cost": 1})).await;
    let path = format!("/api/Product/{}", id(&row));
    shop.app.patch(&path, json!({"cost": 2, "stock": 3})).user(&shop.keeper).send().await.expect_status(200);
    shop.app.patch(&path, json!({"name": "Beer"})).admin().send().await.expect_status(200);

    let history = format!("{path}/history");
    let keeper = shop.app.get(&history).user(&shop.keeper).send().await.expect_status(200);
    assert_eq!(keeper.header("cache-control"), "private, no-cache");
    let items = keeper.body["items"].as_array().unwrap();
    let told: Vec<_> = items.iter().map(|item| (&item["kind"], &item["actor"], &item["changed"])).collect();
    let keeper_key = json!(shop.keeper);
    assert_eq!(
        told,
        [
            (&json!("update"), &json!("admin"), &json!(["name"])),
            (&json!("update"), &keeper_key, &json!(["stock", "cost"])),
            (&json!("create"), &keeper_key, &json!(null)),
        ]
    );
    assert_eq!(items[2]["row"]["cost"], 1);
    assert_eq!(items[2]["row"]["created"], row["created"]);
    assert_eq!(keeper.body["next"], json!(null));

    // The buyer may read the row, but neither its cost nor, being signed out, who the keeper is.
    let anybody = shop.app.get(&history).send().await.expect_status(200);
    let items = anybody.body["items"].as_array().unwrap();
    assert!(!anybody.text.contains("cost") && !anybody.text.contains(&shop.keeper), "{}", anybody.text);
    assert_eq!((&items[1]["changed"], &items[1]["actor"]), (&json!(["stock"]), &json!(null)));
}

#[tokio::test]
async fn pages_follow_each_other() {
    let shop = Shop::open().await;
    let row = shop.product("0").await;
    let path = format!("/api/Product/{}", id(&row));
    for number in 1..5 {
        let change = json!({"name": number.to_string()});
        shop.app.patch(&path, change).user(&shop.keeper).send().await.expect_status(200);
    }
    let mut names = Vec::new();
    let mut after = String::new();
    loop {
        let page = shop.app.get(&format!("{path}/history?limit=2{after}")).send().await.expect_status(200);
        let items = page.body["items"].as_array().unwrap();
        names.push(items.iter().map(|item| item["row"]["name"].as_str().unwrap()).collect::<String>());
        match page.body["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(names, ["43", "21", "0"]);
}

#[tokio::test]
async fn what_is_not_there_or_not_asked_well_is_refused() {
    let shop = Shop::open().await;
    let row = shop.product("Ale").await;
    let path = format!("/api/Product/{}/history", id(&row));
    let get = async |path: &str| shop.app.get(path).send().await;
    get("/api/Prodct/x/history").await.expect_problem(404, "route.unknown");
    get("/api/Product/x/history").await.expect_problem(404, "row.not_found");
    get("/api/Product/019b0000-0000-7000-8000-000000000001/history")
        .await
        .expect_problem(404, "row.not_found");
    get(&format!("{path}?get=name")).await.expect_problem(400, "name.unknown");
    get(&format!("{path}?after=x")).await.expect_problem(400, "cursor.invalid");
    get(&format!("{path}?limit=1001")).await.expect_problem(422, "limit.exceeded");
    let note = shop.app.post("/api/Note", json!({"owner": shop.buyer, "text": "t", "secret_word": "s"}));
    let note = note.user(&shop.buyer).send().await.expect_status(201).body;
    let path = format!("/api/Note/{}/history", id(&note));
    get(&path).await.expect_problem(404, "row.not_found");
    let own = shop.app.get(&path).user(&shop.buyer).send().await.expect_status(200);
    assert!(!own.text.contains("secret_word"), "{}", own.text);
    shop.app.delete(&format!("/api/Note/{}", id(&note))).user(&shop.buyer).send().await.expect_status(204);
    shop.app.get(&path).user(&shop.buyer).send().await.expect_problem(404, "row.not_found");
}
