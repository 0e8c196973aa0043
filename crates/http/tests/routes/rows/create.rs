//! `POST /api/{table}`.

use serde_json::json;

use crate::shop::{Shop, id};

#[tokio::test]
async fn a_new_row_is_answered_and_found_where_it_says() {
    let shop = Shop::open().await;
    let row =
        json!({"name": " Ale ", "price": "2.5", "from": "Kent", "select": 1, "data": {"b": 1, "a": [null]}});
    let made = shop.app.post("/api/Product", row).user(&shop.keeper).send().await.expect_status(201);
    assert_eq!(made.header("location"), format!("/api/Product/{}", id(&made.body)));
    assert_eq!(made.body["name"], "Ale");
    assert_eq!(made.body["price"], "2.50");
    assert_eq!(made.body["kind"], "drink");
    let found = shop.app.get(made.header("location")).user(&shop.keeper).send().await.expect_status(200);
    assert_eq!(found.header("etag"), made.header("etag"));
    for member in ["id", "name", "from", "select", "data", "updated"] {
        assert_eq!(found.body[member], made.body[member], "{member}");
    }
}

#[tokio::test]
async fn get_shapes_the_answer() {
    let shop = Shop::open().await;
    let request = shop.app.post("/api/Product?get=stock", json!({"name": "Ale"})).user(&shop.keeper);
    let made = request.send().await.expect_status(201);
    assert!(made.body.get("id").is_some() && made.body.get("stock").is_some());
    assert!(made.body.get("updated").is_none() && made.body.get("price").is_none(), "{}", made.text);
}

#[tokio::test]
async fn an_array_is_made_whole_or_not_at_all() {
    let shop = Shop::open().await;
    let two = json!([{"name": "Ale"}, {"name": "Beer"}]);
    let made = shop.app.post("/api/Product", two).user(&shop.keeper).send().await.expect_status(201);
    assert_eq!(made.body.as_array().unwrap().len(), 2);
    let clash = json!([{"name": "Cider"}, {"name": "Ale"}]);
    let refused = shop.app.post("/api/Product", clash).user(&shop.keeper).send().await;
    let refused = refused.expect_problem(409, "unique");
    assert_eq!(refused.body["errors"][0]["path"], "/1/name");
    let found = shop.app.get("/api/Product").query("where", "name == \"Cider\"").send().await;
    assert_eq!(found.expect_status(200).body["items"], json!([]));
    let none = shop.app.post("/api/Product", json!([])).user(&shop.keeper).send().await;
    assert_eq!(none.expect_status(201).text, "[]");
}

#[tokio::test]
async fn relations_are_made_and_linked_with_the_row() {
    let shop = Shop::open().await;
    shop.create("/api/Tag", json!({"id": "new", "name": "New"})).await;
    let row = json!({
        "name": "Ale",
        "supplier": {"create": true, "name": "Acme"},
        "tags": [{"id": "new"}],
    });
    let request = shop.app.post("/api/Product?get=supplier(name),tags(name)", row).user(&shop.keeper);
    let made = request.send().await.expect_status(201).body;
    assert_eq!(made["supplier"]["name"], "Acme");
    assert_eq!(made["tags"][0]["name"], "New");
    let by_key = json!({"name": "Beer", "supplier": made["supplier"]["id"]});
    assert_eq!(shop.create("/api/Product", by_key).await["supplier"], made["supplier"]["id"]);
}

#[tokio::test]
async fn values_that_cannot_be_are_422_with_their_paths() {
    let shop = Shop::open().await;
    let check = async |row: serde_json::Value, path: &str| {
        let answer = shop.app.post("/api/Product", row.clone()).user(&shop.keeper).send().await;
        assert_eq!(answer.status, 422, "{row}: {}", answer.text);
        assert_eq!(answer.body["errors"][0]["path"], path, "{row}: {}", answer.text);
        assert!(!answer.body["errors"][0]["message"].as_str().unwrap().is_empty());
    };
    check(json!({}), "/name").await;
    check(json!({"name": null}), "/name").await;
    check(json!({"name": 1}), "/name").await;
    check(json!({"name": "  "}), "/name").await;
    check(json!({"name": "x".repeat(101)}), "/name").await;
    check(json!({"name": "a\u{0}b"}), "/name").await;
    check(json!({"name": "x", "stock": "1"}), "/stock").await;
    check(json!({"name": "x", "stock": 1.5}), "/stock").await;
    check(json!({"name": "x", "stock": 9_223_372_036_854_775_808_u64}), "/stock").await;
    check(json!({"name": "x", "price": "1.234"}), "/price").await;
    check(json!({"name": "x", "price": "1e999999999"}), "/price").await;
    check(json!({"name": "x", "kind": "drnk"}), "/kind").await;
    check(json!({"name": "x", "best": "2026-02-30"}), "/best").await;
    check(json!({"name": "x", "lasts": "P1Y"}), "/lasts").await;
    check(json!({"name": "x", "supplier": "no-uuid"}), "/supplier").await;
}

#[tokio::test]
async fn unknown_names_and_keywords_are_400() {
    let shop = Shop::open().await;
    let check = async |row: serde_json::Value, key: &str, words: &str| {
        let answer =
            shop.app.post("/api/Product", row).user(&shop.keeper).send().await.expect_problem(400, key);
        assert!(answer.text.contains(words), "{}", answer.text);
    };
    check(json!({"nmae": "x"}), "name.unknown", "name").await;
    check(json!({"name": "x", "limit": 1}), "query.malformed", "limit").await;
    check(json!({"name": "x", "delete": true}), "query.malformed", "delete").await;
    check(json!("x"), "query.malformed", "row").await;
    check(json!([1]), "query.malformed", "").await;
}

#[tokio::test]
async fn checks_and_warnings_hold() {
    let shop = Shop::open().await;
    let below =
        shop.app.post("/api/Product", json!({"name": "x", "stock": -1})).user(&shop.keeper).send().await;
    let below = below.expect_problem(422, "check.failed");
    assert!(below.text.contains("There is no negative stock."), "{}", below.text);

    let dear = || shop.app.post("/api/Product", json!({"name": "x", "price": 1000})).user(&shop.keeper);
    let warned = dear().send().await.expect_problem(409, "warnings.unaccepted");
    assert_eq!(warned.body["warnings"][0]["message"], "That is dear.");
    let warning = warned.body["warnings"][0]["id"].as_str().unwrap();
    dear().header("accept-warnings", "another").send().await.expect_problem(409, "warnings.unaccepted");
    let accepted = format!("another, {warning}");
    dear().header("accept-warnings", &accepted).send().await.expect_status(201);
}

#[tokio::test]
async fn a_key_makes_a_retry_harmless() {
    let shop = Shop::open().await;
    let key = "9c7e0b6e-6a55-4a0e-b5f7-0a4f3f1d2c3b";
    let send = async |name: &str| {
        let request = shop.app.post("/api/Product", json!({"name": name})).user(&shop.keeper);
        request.header("idempotency-key", key).send().await
    };
    let first = send("Ale").await.expect_status(201);
    let again = send("Ale").await.expect_status(201);
    assert_eq!(first.text, again.text);
    assert_eq!(first.header("location"), again.header("location"));
    send("Beer").await.expect_problem(409, "idempotency.mismatch");
    let count = shop.app.get("/api/Product?count&limit=1").send().await.body["count"].clone();
    assert_eq!(count, 1);
    let empty = shop.app.post("/api/Product", json!({"name": "x"})).user(&shop.keeper);
    empty.header("idempotency-key", "").send().await.expect_problem(400, "request.malformed");
}

#[tokio::test]
async fn who_may_not_is_403_and_nothing_happens() {
    let shop = Shop::open().await;
    shop.app
        .post("/api/Product", json!({"name": "x"}))
        .user(&shop.buyer)
        .send()
        .await
        .expect_problem(403, "rule.refused");
    shop.app.post("/api/Product", json!({"name": "x"})).send().await.expect_problem(403, "rule.refused");
    let of_another = json!({"owner": shop.keeper, "text": "x"});
    shop.app.post("/api/Note", of_another).user(&shop.buyer).send().await.expect_status(403);
    let count = shop.app.get("/api/Product?count&limit=1").send().await.body["count"].clone();
    assert_eq!(count, 0);
}

#[tokio::test]
async fn a_relation_that_is_sent_and_asked_for_stands_in_the_answer_once() {
    let shop = Shop::open().await;
    for tag in ["a", "b"] {
        shop.create("/api/Tag", json!({"id": tag, "name": tag})).await;
    }
    let reviews = json!([{"create": true, "author": shop.buyer, "stars": 5}]);
    let body = |name: &str| {
        json!({
            "name": name, "tags": ["a", "b"], "reviews": reviews,
            "supplier": {"create": true, "name": name},
        })
    };
    let gets = [
        "",
        "get=*",
        "get=name,tags",
        "get=tags(name)",
        "get=name,tags(name),reviews(stars),supplier(name)",
        "get=*,reviews,supplier",
        "get=supplier,supplier(name)",
        "get=*,supplier(name),tags(name)",
    ];
    for (number, get) in gets.iter().enumerate() {
        let name = number.to_string();
        let request = shop.app.post(&format!("/api/Product?{get}"), body(&name)).admin();
        let answer = request.send().await.expect_status(201);
        for member in ["tags", "reviews", "supplier"] {
            let places = count_members(&answer.text, member);
            assert_eq!(places, 1, "{get}: `{member}` in {}", answer.text);
        }
        let shows = |part: &str| answer.text.contains(part);
        assert_eq!(shows(r#"{"id":"a","name":"a"}"#), get.contains("tags(name)"), "{get}: {}", answer.text);
        assert!(answer.body["supplier"]["name"] == name.as_str(), "{get}: {}", answer.text);
    }
}

/// How often a member stands in the outermost object of a text.
fn count_members(text: &str, name: &str) -> usize {
    let mut depth = 0;
    let mut found = 0;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            b'"' if depth == 1 && text[at..].starts_with(&format!("\"{name}\":")) => found += 1,
            _ => {}
        }
    }
    found
}
