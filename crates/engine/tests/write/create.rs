//! Making rows: values, defaults, nested rows, relations.

use mainstay_engine::ctx::Caller;

use crate::app::App;
use crate::shop::shop;
use crate::support::{changes, check, refused, rows};

fn anybody() -> Caller {
    Caller::anonymous()
}

#[tokio::test]
async fn a_row_gets_key_times_and_defaults() {
    let app = shop().await;
    check(
        &app,
        anybody(),
        r##"{"Product": {"create": true, "name": "Ink", "price": 3, "get": ["stock", "created", "updated", "tags"]}}"##,
        r#"{"Product":[{"id":"@1","name":"Ink","price":"3.00","stock":10,"created":"2026-01-31T12:00:00.000000Z","updated":"2026-01-31T12:00:00.000000Z","tags":null,"new":true}]}"#,
    )
    .await;
    assert_eq!(
        rows(&app, r#"{"Product": {"name": "Ink", "get": ["stock", "price"]}}"#).await,
        r#"{"Product":[{"id":"@1","stock":10,"price":"3.00","name":"Ink"}]}"#
    );
    let image = r#"{"id":"@1","created":"2026-01-31T12:00:00.000000Z","updated":"2026-01-31T12:00:00.000000Z","name":"Ink","price":"3.00","stock":10,"tags":null}"#;
    assert_eq!(changes(&app).await, [format!(r#""Product" "@1" "create" null {image} null"#)]);
}

#[tokio::test]
async fn rows_nested_in_a_new_one_are_made_or_found_and_linked() {
    let app = shop().await;
    check(
        &app,
        anybody(),
        r##"{"Order": {"create": true, "customer": "#1", "get": ["number"], "labels": ["#21", {"name": "gift", "get": ["name"]}],
             "lines": [{"create": true, "product": "#11", "quantity": 2},
                       {"create": true, "product": {"create": true, "name": "Glue", "price": "2"}, "quantity": 1}]}}"##,
        r##"{"Order":[{"id":"@1","customer":"#1","number":1,"labels":[{"id":"#21"},{"id":"#22","name":"gift"}],"lines":[{"id":"@2","product":"#11","quantity":2,"new":true},{"id":"@3","quantity":1,"product":{"id":"@4","name":"Glue","price":"2.00","new":true},"new":true}],"new":true}]}"##,
    )
    .await;
    check(
        &app,
        anybody(),
        r##"{"Order": {"customer": {"get": ["name"]}, "labels": {"get": ["name"]}, "lines": {"get": ["quantity"], "product": {"get": ["name"]}}}}"##,
        r##"{"Order":[{"id":"#31","customer":{"id":"#1","name":"Ann"},"labels":[{"id":"#21","name":"urgent"}],"lines":[{"id":"#41","quantity":2,"product":{"id":"#11","name":"Pen"}},{"id":"#42","quantity":90,"product":{"id":"#12","name":"Paper"}}]},{"id":"@1","customer":{"id":"#1","name":"Ann"},"labels":[{"id":"#21","name":"urgent"},{"id":"#22","name":"gift"}],"lines":[{"id":"@2","quantity":2,"product":{"id":"#11","name":"Pen"}},{"id":"@3","quantity":1,"product":{"id":"@4","name":"Glue"}}]}]}"##,
    )
    .await;
}

#[tokio::test]
async fn several_rows_of_an_array_are_made_in_order() {
    let app = shop().await;
    check(
        &app,
        anybody(),
        r##"{"Customer": [{"create": true, "name": "Cid"}, {"create": true, "name": "Dee", "orders": {"create": true, "note": "first"}}]}"##,
        r#"{"Customer":[{"id":"@1","name":"Cid","new":true},{"id":"@2","name":"Dee","orders":[{"id":"@3","note":"first","new":true}],"new":true}]}"#,
    )
    .await;
    check(&app, anybody(), r##"{"Customer": {"get": ["name"], "order": "id"}}"##, r##"{"Customer":[{"id":"#1","name":"Ann"},{"id":"#2","name":"Bob"},{"id":"@1","name":"Cid"},{"id":"@2","name":"Dee"}]}"##).await;
}

#[tokio::test]
async fn a_relation_of_a_new_row_finds_exactly_one() {
    let app = shop().await;
    for (body, expected) in [
        (
            r##"{"Order": {"create": true, "customer": {"name": "Ann"}}}"##,
            r##"{"Order":[{"id":"@1","customer":{"id":"#1","name":"Ann"},"new":true}]}"##,
        ),
        (
            r##"{"Order": {"create": true, "customer": {"name": {"like": "%"}}}}"##,
            r#"part.not_one
/Order/customer must find exactly one Customer, and finds several"#,
        ),
        (
            r##"{"Order": {"create": true, "customer": {"name": "Nobody"}}}"##,
            r#"part.not_one
/Order/customer must find exactly one Customer, and finds none"#,
        ),
        (
            r##"{"Order": {"create": true, "customer": "#9"}}"##,
            r#"relation.refused
/Order/customer there is no such row to refer to"#,
        ),
        (
            r##"{"Order": {"create": true, "customer": {"id": "#9"}}}"##,
            r#"relation.refused
/Order/customer there is no such row to refer to"#,
        ),
        (
            r##"{"Order": {"create": true, "customer": null}}"##,
            r#"value.invalid
/Order/customer must not be null"#,
        ),
        (
            r##"{"Order": {"create": true, "customer": "#1", "labels": {"name": "none"}}}"##,
            r#"part.not_one
/Order/labels must find exactly one Label, and finds none"#,
        ),
        (
            r##"{"Order": {"create": true, "customer": "#1", "labels": ["#21", "#9"]}}"##,
            r#"relation.refused
/Order/labels/1 there is no such row to refer to"#,
        ),
    ] {
        if body.contains("Ann") {
            check(&app, anybody(), body, expected).await;
        } else {
            refused(&app, anybody(), body, expected).await;
        }
    }
}

#[tokio::test]
async fn every_problem_of_a_request_is_told_at_once() {
    let app = shop().await;
    refused(
        &app,
        anybody(),
        r##"{"Customer": {"create": true, "name": " A ", "email": "nobody", "pin": 5},
             "Order": {"create": true, "number": 7, "lines": [{"create": true, "quantity": 0}]},
             "Product": [{"create": true, "name": "x", "price": "1.005", "stock": "1"},
                         {"create": true, "name": "\u0000", "price": "1234567.00", "tags": ["abc", "12345678901"], "created": "2026-01-31T12:00:00Z"}]}"##,
        r#"value.invalid
/Customer/name must have at least 2 characters
/Customer/email must be an e-mail address
/Customer/pin must be a string, not a number
/Order/number is kept by the server
/Order/lines/0/quantity must be at least 1
/Order/lines/0/product is required
/Order/customer is required
/Product/0/price must not have more than 2 digits after the point
/Product/0/stock must be a whole number, not a string
/Product/1/name must not contain the character U+0000
/Product/1/price must not have more than 6 digits before the point
/Product/1/tags item 2: must not be longer than 10 characters
/Product/1/created is kept by the server"#,
    )
    .await;
}

#[tokio::test]
async fn what_cannot_be_understood_is_refused_by_name() {
    let app = shop().await;
    for (body, expected) in [
        (
            r##"{"Customr": {"create": true, "name": "Cid"}}"##,
            r#"name.unknown
/Customr there is no table `Customr`; did you mean `Customer`?"#,
        ),
        (
            r##"{"Customer": {"create": true, "nam": "Cid"}}"##,
            r#"name.unknown
/Customer/nam `Customer` has no column, relation or keyword `nam`; did you mean `name`?"#,
        ),
        (
            r##"{"Customer": {"create": true, "name": "Cid", "limit": 3}}"##,
            r#"query.malformed
/Customer/limit `limit` has no place beside `create`"#,
        ),
        (
            r##"{"Customer": {"create": true, "name": "Cid", "get": ["pin"]}}"##,
            r#"name.unknown
/Customer/get `Customer` has no column, relation or keyword `pin`"#,
        ),
        (
            r##"{"Customer": {"create": true, "name": "Cid", "get": ["nmae"]}}"##,
            r#"name.unknown
/Customer/get `Customer` has no column, relation or keyword `nmae`; did you mean `name`?"#,
        ),
        (
            r##"{"Customer": {"create": true, "name": "Cid", "orders": [{"create": true, "customer": "#2"}]}}"##,
            r#"query.malformed
/Customer/orders/0/customer is given by the row around it"#,
        ),
        (
            r##"{"Customer": {"create": true, "name": "Cid", "delete": true}}"##,
            r#"query.malformed
/Customer/delete `delete` has no place beside `create`"#,
        ),
        (
            r##"{"Order": {"create": true, "customer": "#1", "lines": {"remove": "#1"}}}"##,
            r#"query.malformed
/Order/lines a new row has nothing to remove"#,
        ),
    ] {
        refused(&app, anybody(), body, expected).await;
    }
}

#[tokio::test]
async fn a_value_that_is_taken_is_refused_at_its_place() {
    let app = shop().await;
    for (body, expected) in [
        (
            r##"{"Customer": {"create": true, "name": " Ann"}}"##,
            r#"unique
/Customer/name another Customer has this value in `name` already"#,
        ),
        (
            r##"{"Customer": [{"create": true, "name": "Cid"}, {"create": true, "name": "Cid"}]}"##,
            r#"unique
/Customer/1/name another Customer has this value in `name` already"#,
        ),
        (
            r##"{"Order": {"create": true, "customer": {"create": true, "name": "Bob"}}}"##,
            r#"unique
/Order/customer/name another Customer has this value in `name` already"#,
        ),
        (
            r##"{"Customer": {"create": true, "id": "#1", "name": "Cid"}}"##,
            r#"unique
/Customer/id another Customer has this value in `id` already"#,
        ),
    ] {
        refused(&app, anybody(), body, expected).await;
    }
}

#[tokio::test]
async fn a_secret_is_written_and_never_comes_back() {
    let app = shop().await;
    check(&app, anybody(), r##"{"Customer": {"create": true, "id": "#3", "name": "Cid", "pin": "99", "get": ["*"]}}"##, r##"{"Customer":[{"id":"#3","name":"Cid","created":"2026-01-31T12:00:00.000000Z","updated":"2026-01-31T12:00:00.000000Z","email":null,"new":true}]}"##).await;
    check(
        &app,
        anybody(),
        r##"{"Customer": {"id": "#3", "set": {"pin": "98"}}}"##,
        r##"{"Customer":[{"id":"#3","edited":true}]}"##,
    )
    .await;
    let log = changes(&app).await;
    assert_eq!(log.len(), 2, "a change of a secret is a change");
    assert!(log.iter().all(|line| !line.contains("pin") && !line.contains("9")), "{log:?}");
}

#[tokio::test]
async fn keys_that_are_numbers_are_counted_on() {
    let app = crate::app::App::new("table T { id int name text(10) allow all }", serde_json::json!([])).await;
    for (body, expected) in [
        (
            r##"{"T": [{"create": true, "id": 5, "name": "a"}, {"create": true, "name": "b"}, {"create": true, "name": "c"}]}"##,
            r#"{"T":[{"id":5,"name":"a","new":true},{"id":6,"name":"b","new":true},{"id":7,"name":"c","new":true}]}"#,
        ),
        (
            r##"{"T": [{"create": true, "id": 20, "name": "d"}, {"create": true, "name": "e"}]}"##,
            r#"{"T":[{"id":20,"name":"d","new":true},{"id":21,"name":"e","new":true}]}"#,
        ),
        (r##"{"T": {"id": 21, "delete": true}}"##, r#"{"T":[{"id":21,"deleted":true}]}"#),
        (r##"{"T": {"create": true, "name": "f"}}"##, r#"{"T":[{"id":22,"name":"f","new":true}]}"#),
        (
            r##"{"T": {"create": true, "id": 5, "name": "g"}}"##,
            r#"unique
/T/id another T has this value in `id` already"#,
        ),
    ] {
        check(&app, anybody(), body, expected).await;
    }
}

#[tokio::test]
async fn a_json_value_may_look_like_a_part() {
    let app =
        crate::app::App::new("table T { data json list int[]? allow all }", serde_json::json!([])).await;
    check(&app, anybody(), r##"{"T": {"create": true, "id": "#1", "data": {"create": true, "limit": "x", "$add": 1}, "list": [3, 1]}}"##, r##"{"T":[{"id":"#1","data":{"create":true,"limit":"x","$add":1},"list":[3,1],"new":true}]}"##).await;
    check(
        &app,
        anybody(),
        r##"{"T": {"id": "#1", "set": {"data": {"$add": 1}, "list": []}}}"##,
        r##"{"T":[{"id":"#1","data":{"$add":1},"list":[],"edited":true}]}"##,
    )
    .await;
    check(
        &app,
        anybody(),
        r##"{"T": {"id": "#1", "set": {"data": null}}}"##,
        r#"value.invalid
/T/set/data must not be null"#,
    )
    .await;
}

/// `User = user` has nothing to give when nobody is signed in, and a default may break what its column declares.
#[tokio::test]
async fn a_default_that_does_not_fit_its_column_is_the_request_s_fault() {
    let app = App::new(
        r#"
table Note {
  text   text(100)
  year   int = year(today())  max 2000
  owner  User = user
  allow all
}
"#,
        serde_json::json!([]),
    )
    .await;
    check(
        &app,
        anybody(),
        r#"{"Note": {"create": true, "text": "too long by far"}}"#,
        "value.invalid\n/Note/year must be at most 2000\n/Note/owner is required: its default gives no value for this caller and row",
    )
    .await;
    assert_eq!(changes(&app).await, Vec::<String>::new());
}
