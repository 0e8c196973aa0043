//! `GET /api/{table}`.

use serde_json::{Value, json};

use crate::shop::{Shop, id};

async fn stocked() -> Shop {
    let shop = Shop::open().await;
    let acme = shop.create("/api/Supplier", json!({"name": "Acme"})).await;
    for (name, kind, stock, note) in [
        ("Ale", "drink", 3, Value::Null),
        ("Bread", "food", 5, json!("fresh")),
        ("Cola", "drink", 9, json!("cold")),
    ] {
        let row = json!({"name": name, "kind": kind, "stock": stock, "note": note, "supplier": acme["id"]});
        shop.create("/api/Product", row).await;
    }
    shop
}

fn names(body: &Value) -> Vec<&str> {
    body["items"].as_array().into_iter().flatten().filter_map(|row| row["name"].as_str()).collect()
}

#[tokio::test]
async fn rows_are_filtered_ordered_and_shown_as_asked() {
    let shop = stocked().await;
    let check = async |parameters: &[(&str, &str)], expect: &[&str]| {
        let mut request = shop.app.get("/api/Product");
        for (name, value) in parameters {
            request = request.query(name, value);
        }
        let answer = request.send().await.expect_status(200);
        assert_eq!(names(&answer.body), expect, "{parameters:?}");
    };
    check(&[("order", "name")], &["Ale", "Bread", "Cola"]).await;
    check(&[("where", "kind == drink"), ("order", "-name")], &["Cola", "Ale"]).await;
    check(&[("where", "supplier.name ~ \"ACM\" and stock + 1 > 5"), ("order", "name")], &["Bread", "Cola"])
        .await;
    check(&[("order", "note nulls first,name")], &["Ale", "Cola", "Bread"]).await;
    check(&[("order", "-note nulls last")], &["Bread", "Cola", "Ale"]).await;
    check(&[("order", "name"), ("limit", "1"), ("offset", "1")], &["Bread"]).await;
}

#[tokio::test]
async fn get_shapes_rows_and_what_is_nested_in_them() {
    let shop = stocked().await;
    let request = shop.app.get("/api/Product").query("where", "name == \"Ale\"");
    let answer =
        request.query("get", "name,supplier(name,products(name)),tags").send().await.expect_status(200);
    let row = &answer.body["items"][0];
    let members: Vec<&String> = row.as_object().unwrap().keys().collect();
    assert_eq!(members, ["id", "name", "supplier", "tags"]);
    assert_eq!(row["supplier"]["name"], "Acme");
    assert_eq!(row["supplier"]["products"].as_array().unwrap().len(), 3);
    assert_eq!(row["tags"], json!([]));
}

#[tokio::test]
async fn pages_follow_each_other_and_are_counted() {
    let shop = stocked().await;
    let page = async |after: Option<&str>| {
        let mut request = shop.app.get("/api/Product?order=-name&limit=2&count");
        if let Some(after) = after {
            request = request.query("after", after);
        }
        request.send().await.expect_status(200).body
    };
    let first = page(None).await;
    assert_eq!((names(&first), &first["count"]), (vec!["Cola", "Bread"], &json!(3)));
    let second = page(first["next"].as_str()).await;
    assert_eq!((names(&second), &second["next"]), (vec!["Ale"], &Value::Null));
    shop.app.get("/api/Product?after=x").send().await.expect_problem(400, "cursor.invalid");
}

#[tokio::test]
async fn aggregates_are_rows_of_groups() {
    let shop = stocked().await;
    let request = shop.app.get("/api/Product").query("aggregate", "held:sum(stock),n:count()");
    let answer = request.query("group", "kind").query("order", "-held").send().await.expect_status(200);
    assert_eq!(
        answer.body["items"],
        json!([{"kind": "drink", "held": 12, "n": 2}, {"kind": "food", "held": 5, "n": 1}])
    );
}

#[tokio::test]
async fn what_cannot_be_meant_is_400_and_says_so() {
    let shop = stocked().await;
    let check = async |query: &str, key: &str, words: &str| {
        let answer = shop.app.get(&format!("/api/Product?{query}")).send().await.expect_problem(400, key);
        assert!(answer.text.contains(words), "{query}: {}", answer.text);
    };
    check("wehre=a", "name.unknown", "`where`").await;
    check("where=", "request.malformed", "where").await;
    check("where=nmae%20%3D%3D%20%22x%22", "expression.malformed", "name").await;
    check("where=name%20%3D%3D", "expression.malformed", "").await;
    check("get=nmae", "name.unknown", "name").await;
    check("get=supplier(", "request.malformed", ")").await;
    check("order=nmae", "expression.malformed", "`name`").await;
    check("limit=ten", "request.malformed", "limit").await;
    check("limit=1&limit=2", "request.malformed", "twice").await;
    check("aggregate=sum(stock)", "request.malformed", "name:expression").await;
    check("group=kind", "query.malformed", "aggregate").await;
    check("where=%FF", "request.malformed", "UTF-8").await;
}

#[tokio::test]
async fn a_list_is_the_callers_own() {
    let shop = Shop::open().await;
    let note = json!({"owner": shop.buyer, "text": "mine", "secret_word": "xyzzy"});
    shop.app.post("/api/Note", note).user(&shop.buyer).send().await.expect_status(201);
    let answer = shop.app.get("/api/Note").user(&shop.buyer).send().await.expect_status(200);
    assert_eq!(answer.body["items"].as_array().unwrap().len(), 1);
    assert!(!answer.text.contains("xyzzy"));
    assert_eq!(answer.header("cache-control"), "private, no-cache");
    let vary: Vec<_> = answer.headers.get_all("vary").iter().map(|value| value.to_str().unwrap()).collect();
    let vary = vary.join(", ").to_lowercase();
    assert!(vary.contains("authorization") && vary.contains("cookie"), "{vary}");
    let answer = shop.app.get("/api/Note").user(&shop.keeper).send().await.expect_status(200);
    assert_eq!(answer.body["items"], json!([]));
}

#[tokio::test]
async fn an_unknown_table_is_404_with_the_nearest() {
    let shop = Shop::open().await;
    let answer = shop.app.get("/api/Prodcut").send().await.expect_problem(404, "route.unknown");
    assert!(answer.text.contains("`Product`"), "{}", answer.text);
}

#[tokio::test]
async fn a_guarded_column_is_absent_and_gives_no_order() {
    let shop = Shop::open().await;
    let row = shop.create("/api/Product", json!({"name": "Ale", "cost": 7})).await;
    let path = format!("/api/Product/{}", id(&row));
    assert_eq!(shop.app.get(&path).user(&shop.keeper).send().await.body["cost"], 7);
    assert!(shop.app.get(&path).user(&shop.buyer).send().await.body.get("cost").is_none());
    shop.app
        .get("/api/Product?order=cost")
        .user(&shop.buyer)
        .send()
        .await
        .expect_problem(403, "column.guarded");
    let guess = shop.app.get("/api/Product").query("where", "cost == 7").user(&shop.buyer).send().await;
    assert_eq!(guess.expect_status(200).body["items"], json!([]));
}

#[tokio::test]
async fn a_relation_asked_into_beside_all_columns_is_shown_as_asked() {
    let shop = Shop::open().await;
    let supplier = shop.create("/api/Supplier", json!({"name": "Acme"})).await;
    shop.create("/api/Product", json!({"name": "Ale", "supplier": supplier["id"]})).await;
    for get in ["*,supplier(name)", "supplier(name),*"] {
        let list = shop.app.get("/api/Product").query("get", get).send().await.expect_status(200);
        assert_eq!(list.body["items"][0]["supplier"]["name"], "Acme", "{get}: {}", list.text);
        assert_eq!(list.text.matches("\"supplier\":").count(), 1, "{get}: {}", list.text);
    }
}
