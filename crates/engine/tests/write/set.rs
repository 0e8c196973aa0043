//! Changing rows that were found.

use mainstay_engine::ctx::Caller;
use mainstay_lang::value::Timestamp;

use crate::app::NOW;
use crate::shop::shop;
use crate::support::{Request, changes, check, compare, everything, refused, rows, send, shown};

fn anybody() -> Caller {
    Caller::anonymous()
}

#[tokio::test]
async fn every_row_that_was_found_is_changed() {
    let app = shop().await;
    for (body, expected) in [
        (
            r##"{"Product": {"id": "#11", "set": {"stock": 3}, "get": ["name"]}}"##,
            r##"{"Product":[{"id":"#11","stock":3,"name":"Pen","edited":true}]}"##,
        ),
        (
            r##"{"Product": {"where": "price < $p", "params": {"p": "1.00"}, "set": {"name": "Sheet"}}}"##,
            r##"{"Product":[{"id":"#12","name":"Sheet","edited":true}]}"##,
        ),
        (
            r##"{"Product": {"all": true, "set": {"stock": 4}}}"##,
            r##"{"Product":[{"id":"#11","stock":4,"edited":true},{"id":"#12","stock":4,"edited":true}]}"##,
        ),
        (
            r##"{"Product": {"name": ["Pen", "Sheet"], "set": {"tags": ["a"]}}}"##,
            r##"{"Product":[{"id":"#11","name":"Pen","tags":["a"],"edited":true},{"id":"#12","name":"Sheet","tags":["a"],"edited":true}]}"##,
        ),
        (r##"{"Product": {"name": "none", "set": {"stock": 9}}}"##, r#"{"Product":[]}"#),
        (r##"{"Product": {"id": "#11", "set": {}}}"##, r##"{"Product":[{"id":"#11"}]}"##),
    ] {
        check(&app, anybody(), body, expected).await;
    }
    assert_eq!(
        rows(&app, r##"{"Product": {"get": ["name", "stock", "tags"], "order": "id"}}"##).await,
        r##"{"Product":[{"id":"#11","name":"Pen","stock":4,"tags":["a"]},{"id":"#12","name":"Sheet","stock":4,"tags":["a"]}]}"##
    );
}

#[tokio::test]
async fn a_write_never_touches_rows_by_accident() {
    let app = shop().await;
    for (body, expected) in [
        (
            r##"{"Product": {"set": {"stock": 3}}}"##,
            r#"write.unrestricted
/Product `set` needs a constraint or `where` that restricts its own rows, or "all": true"#,
        ),
        (
            r##"{"Product": {"delete": true}}"##,
            r#"write.unrestricted
/Product `delete` needs a constraint or `where` that restricts its own rows, or "all": true"#,
        ),
        (
            r##"{"Product": {"get": ["name"], "set": {"stock": 3}}}"##,
            r#"write.unrestricted
/Product `set` needs a constraint or `where` that restricts its own rows, or "all": true"#,
        ),
        (
            r##"{"Product": {"limit": 1, "set": {"stock": 3}}}"##,
            r#"query.malformed
/Product/limit `limit` has no place beside `set`"#,
        ),
        (
            r##"{"Product": {"name": "Pen", "limit": 1, "set": {"stock": 3}}}"##,
            r#"query.malformed
/Product/limit `limit` has no place beside `set`"#,
        ),
        (
            r##"{"Product": {"order": "name", "delete": true}}"##,
            r#"query.malformed
/Product/order `order` has no place beside `delete`"#,
        ),
        (
            r##"{"Product": {"name": {}, "delete": true}}"##,
            r#"write.unrestricted
/Product `delete` needs a constraint or `where` that restricts its own rows, or "all": true"#,
        ),
        (
            r##"{"Product": {"where": "true", "delete": true}}"##,
            r#"write.unrestricted
/Product `delete` needs a constraint or `where` that restricts its own rows, or "all": true"#,
        ),
        (
            r##"{"Product": {"all": false, "delete": true}}"##,
            r#"write.unrestricted
/Product `delete` needs a constraint or `where` that restricts its own rows, or "all": true"#,
        ),
        (
            r##"{"Order": {"customer": {"name": "Ann"}, "set": {"note": "x"}}}"##,
            r#"write.unrestricted
/Order/customer says which rows of `customer` are meant, but not whether it also restricts what `set` touches: state "required": true or false"#,
        ),
        (
            r##"{"Order": {"id": "#31", "customer": {"name": "Ann"}, "set": {"note": "x"}}}"##,
            r#"write.unrestricted
/Order/customer says which rows of `customer` are meant, but not whether it also restricts what `set` touches: state "required": true or false"#,
        ),
        (
            r##"{"Order": {"customer": {"name": "Ann", "required": false}, "set": {"note": "x"}}}"##,
            r#"write.unrestricted
/Order `set` needs a constraint or `where` that restricts its own rows, or "all": true"#,
        ),
        (
            r##"{"Order": {"lines": {"delete": true}}}"##,
            r#"write.unrestricted
/Order/lines `delete` needs a constraint or `where` that restricts its own rows, or "all": true"#,
        ),
        (
            r##"{"Order": {"id": "#31", "lines": {"delete": true}}}"##,
            r#"write.unrestricted
/Order/lines `delete` needs a constraint or `where` that restricts its own rows, or "all": true"#,
        ),
        (
            r##"{"Order": {"id": "#31", "labels": {"remove": {}}}}"##,
            r#"write.unrestricted
/Order/labels/remove `remove` needs a constraint or `where` that restricts its own rows, or "all": true"#,
        ),
        (
            r##"{"Order": {"id": "#31", "labels": {"add": {}}}}"##,
            r#"write.unrestricted
/Order/labels/add `add` needs a constraint or `where` that restricts its own rows, or "all": true"#,
        ),
        (
            r##"{"Order": {"id": "#31", "set": {"note": "x"}, "delete": true}}"##,
            r#"query.malformed
/Order `set` and `delete` do not go together"#,
        ),
    ] {
        refused(&app, anybody(), body, expected).await;
    }
    for (body, expected) in [
        (
            r##"{"Order": {"customer": {"name": "Ann", "required": true}, "set": {"note": "a"}}}"##,
            r##"{"Order":[{"id":"#31","note":"a","customer":{"id":"#1","name":"Ann"},"edited":true}]}"##,
        ),
        (
            r##"{"Order": {"customer": "#1", "set": {"note": "b"}}}"##,
            r##"{"Order":[{"id":"#31","customer":"#1","note":"b","edited":true}]}"##,
        ),
        (
            r##"{"Order": {"customer": ["#1", "#2"], "set": {"note": "c"}}}"##,
            r##"{"Order":[{"id":"#31","customer":"#1","note":"c","edited":true}]}"##,
        ),
        (r##"{"Order": {"customer": null, "set": {"note": "d"}}}"##, r#"{"Order":[]}"#),
        (r##"{"Order": {"customer": [], "set": {"note": "d"}}}"##, r#"{"Order":[]}"#),
        (
            r##"{"Order": {"id": "#31", "customer": {"name": "Bob", "required": false, "get": ["name"]}, "set": {"note": "e"}}}"##,
            r##"{"Order":[{"id":"#31","note":"e","customer":null,"edited":true}]}"##,
        ),
        (
            r##"{"Order": {"lines": {"quantity": 2, "required": true}, "set": {"note": "f"}}}"##,
            r##"{"Order":[{"id":"#31","note":"f","lines":[{"id":"#41","quantity":2}],"edited":true}]}"##,
        ),
    ] {
        check(&app, anybody(), body, expected).await;
    }
}

#[tokio::test]
async fn a_relation_is_set_by_key_constraint_or_null() {
    let app = shop().await;
    for (body, expected) in [
        (
            r##"{"Order": {"id": "#31", "set": {"customer": "#2"}}}"##,
            r##"{"Order":[{"id":"#31","customer":"#2","edited":true}]}"##,
        ),
        (
            r##"{"Order": {"id": "#31", "set": {"customer": {"name": "Ann"}}}}"##,
            r##"{"Order":[{"id":"#31","customer":"#1","edited":true}]}"##,
        ),
        (
            r##"{"Order": {"id": "#31", "set": {"customer": {"create": true, "name": "Cid"}}, "get": ["customer"]}}"##,
            r##"{"Order":[{"id":"#31","customer":"@1","edited":true}]}"##,
        ),
        (r##"{"Order": {"id": "#31", "set": {"labels": ["#22"]}}}"##, r##"{"Order":[{"id":"#31"}]}"##),
        (
            r##"{"Order": {"id": "#31", "labels": {"get": ["name"]}}}"##,
            r##"{"Order":[{"id":"#31","labels":[{"id":"#22","name":"gift"}]}]}"##,
        ),
        (
            r##"{"Order": {"id": "#31", "set": {"labels": [{"name": "urgent"}, {"create": true, "name": "late"}]}}}"##,
            r##"{"Order":[{"id":"#31"}]}"##,
        ),
        (
            r##"{"Order": {"id": "#31", "labels": {"get": ["name"]}}}"##,
            r##"{"Order":[{"id":"#31","labels":[{"id":"#21","name":"urgent"},{"id":"@1","name":"late"}]}]}"##,
        ),
        (r##"{"Order": {"id": "#31", "set": {"labels": []}}}"##, r##"{"Order":[{"id":"#31"}]}"##),
        (r##"{"Order": {"id": "#31", "get": ["labels"]}}"##, r##"{"Order":[{"id":"#31","labels":[]}]}"##),
        (
            r##"{"Order": {"id": "#31", "customer": {"create": true, "name": "Dee", "get": ["name"]}}}"##,
            r##"{"Order":[{"id":"#31","customer":{"id":"@1","name":"Dee","new":true},"edited":true}]}"##,
        ),
    ] {
        check(&app, anybody(), body, expected).await;
    }
    for (body, expected) in [
        (
            r##"{"Order": {"id": "#31", "set": {"customer": null}}}"##,
            r#"value.invalid
/Order/set/customer must not be null"#,
        ),
        (
            r##"{"Order": {"id": "#31", "set": {"customer": "#9"}}}"##,
            r#"relation.refused
/Order/set/customer there is no such row to refer to"#,
        ),
        (
            r##"{"Order": {"id": "#31", "set": {"customer": {"id": "#9"}}}}"##,
            r#"relation.refused
/Order/set/customer there is no such row to refer to"#,
        ),
        (
            r##"{"Order": {"id": "#31", "set": {"customer": {"name": "nobody"}}}}"##,
            r#"part.not_one
/Order/set/customer must find exactly one Customer, and finds none"#,
        ),
        (
            r##"{"Order": {"id": "#31", "set": {"customer": 5}}}"##,
            r#"value.invalid
/Order/set/customer must be a UUID as a string, not a number"#,
        ),
        (
            r##"{"Order": {"id": "#31", "set": {"lines": []}}}"##,
            r#"value.invalid
/Order/set/lines `parent` can be given at creation only"#,
        ),
    ] {
        refused(&app, anybody(), body, expected).await;
    }
}

#[tokio::test]
async fn values_are_computed_from_what_is_there() {
    let app = shop().await;
    for (body, expected) in [
        (
            r##"{"Product": {"id": "#11", "set": {"stock": {"$sub": 4}, "price": {"$mul": 1.1}, "name": {"$concat": "cil"}, "tags": {"$append": "x"}}}}"##,
            r##"{"Product":[{"id":"#11","stock":6,"price":"1.65","name":"Pencil","tags":["ink","x"],"edited":true}]}"##,
        ),
        (
            r##"{"Product": {"all": true, "set": {"stock": {"$add": 1}, "tags": {"$append": "y"}}}}"##,
            r##"{"Product":[{"id":"#11","stock":7,"tags":["ink","x","y"],"edited":true},{"id":"#12","stock":11,"tags":["y"],"edited":true}]}"##,
        ),
        (
            r##"{"Product": {"id": "#11", "set": {"tags": {"$remove": "ink"}}}}"##,
            r##"{"Product":[{"id":"#11","tags":["x","y"],"edited":true}]}"##,
        ),
    ] {
        check(&app, anybody(), body, expected).await;
    }
    for (body, expected) in [
        (
            r##"{"Product": {"id": "#11", "set": {"stock": {"$sub": 100}}}}"##,
            r#"value.invalid
/Product/set/stock must be at least 0"#,
        ),
        (
            r##"{"Product": {"id": "#11", "set": {"stock": {"$add": 9223372036854775807}}}}"##,
            r#"value.invalid
/Product/set/stock arithmetic overflow in addition"#,
        ),
        (
            r##"{"Product": {"id": "#11", "set": {"stock": {"$ad": 1}}}}"##,
            r#"value.invalid
/Product/set/stock/$ad is none of $add, $sub, $mul, $append, $remove, $concat"#,
        ),
        (
            r##"{"Product": {"id": "#11", "set": {"stock": {"$append": 1}, "tags": {"$add": 1}, "name": {"$concat": 5}}}}"##,
            r#"value.invalid
/Product/set/stock/$append does not work on int
/Product/set/tags/$add does not work on text(10)[]
/Product/set/name/$concat must be a string, not a number"#,
        ),
        (
            r##"{"Product": {"id": "#11", "set": {"stock": {"x": 1}}}}"##,
            r#"value.invalid
/Product/set/stock must be a whole number, not an object"#,
        ),
    ] {
        refused(&app, anybody(), body, expected).await;
    }
}

#[tokio::test]
async fn what_may_not_be_changed_is_named() {
    let app = shop().await;
    for (body, expected) in [
        (
            r##"{"OrderLine": {"id": "#41", "set": {"parent": "#31", "quantity": 0, "id": "#1", "created": "2026-01-31T12:00:00Z", "updated": null}}}"##,
            r#"value.invalid
/OrderLine/set/parent can be given at creation only
/OrderLine/set/quantity must be at least 1
/OrderLine/set/id can be given at creation only
/OrderLine/set/created is kept by the server
/OrderLine/set/updated is kept by the server"#,
        ),
        (
            r##"{"Order": {"id": "#31", "set": {"number": 2}}}"##,
            r#"value.invalid
/Order/set/number is kept by the server"#,
        ),
        (
            r##"{"Order": {"id": "#31", "set": {"nubmer": 2}}}"##,
            r#"name.unknown
/Order/set/nubmer `Order` has no column, relation or keyword `nubmer`; did you mean `number`?"#,
        ),
        (
            r##"{"Customer": {"id": "#2", "set": {"name": "Ann"}}}"##,
            r#"unique
/Customer/set/name another Customer has this value in `name` already"#,
        ),
        (
            r##"{"Customer": {"id": ["#1", "#2"], "set": {"name": "Eve"}}}"##,
            r#"unique
/Customer/set/name another Customer has this value in `name` already"#,
        ),
        (
            r##"{"Customer": {"id": "x", "set": {"name": "Eve"}}}"##,
            r#"value.invalid
/Customer/id must be a UUID such as 0192e4a0-7b1c-7d2e-8f3a-4b5c6d7e8f90"#,
        ),
        (
            r##"{"Order": {"id": "#31", "customer": {"create": true, "name": "Cid"}, "set": {"customer": "#1"}}}"##,
            r#"query.malformed
/Order/customer gives "customer" a second value"#,
        ),
    ] {
        refused(&app, anybody(), body, expected).await;
    }
}

#[tokio::test]
async fn nested_parts_change_rows_of_relations() {
    let app = shop().await;
    for (body, expected) in [
        (
            r##"{"Order": {"id": "#31", "lines": {"id": "#41", "set": {"quantity": 5}}}}"##,
            r##"{"Order":[{"id":"#31","lines":[{"id":"#41","quantity":5,"edited":true}]}]}"##,
        ),
        (
            r##"{"Order": {"id": "#31", "lines": [{"create": true, "product": "#12", "quantity": 1}, {"id": "#42", "delete": true}, {"get": ["quantity"]}]}}"##,
            r##"{"Order":[{"id":"#31","lines":[{"id":"@1","product":"#12","quantity":1,"new":true},{"id":"#42","deleted":true},{"id":"#41","quantity":5},{"id":"@1","quantity":1,"new":true}]}]}"##,
        ),
        (
            r##"{"Order": {"id": "#31", "customer": {"all": true, "set": {"email": "Ann2@Example.org"}}, "get": ["number"]}}"##,
            r##"{"Order":[{"id":"#31","number":1,"customer":{"id":"#1","email":"ann2@example.org","edited":true}}]}"##,
        ),
        (
            r##"{"Customer": {"id": "#2", "orders": {"id": "#31", "set": {"note": "not Bob's"}}}}"##,
            r##"{"Customer":[{"id":"#2","orders":[]}]}"##,
        ),
        (
            r##"{"Order": {"id": "#31", "labels": {"name": {"like": "%"}, "set": {"name": "all"}}}}"##,
            r##"{"Order":[{"id":"#31","labels":[{"id":"#21","name":"all","edited":true}]}]}"##,
        ),
        (
            r##"{"Label": {"get": ["name"], "order": "id"}}"##,
            r##"{"Label":[{"id":"#21","name":"all"},{"id":"#22","name":"gift"}]}"##,
        ),
    ] {
        check(&app, anybody(), body, expected).await;
    }
}

#[tokio::test]
async fn the_version_of_a_row_grows_and_is_a_lock() {
    let app = shop().await;
    let early = Some(Timestamp(NOW.0 - 5_000_000));
    let with = |body| Request { now: early, ..Request::new(anybody(), body) };
    let body = r##"{"Customer": {"id": "#1", "set": {"name": "Anna"}, "get": ["updated"]}}"##;
    compare(
        body,
        &shown(send(&app, &with(body)).await),
        r##"{"Customer":[{"id":"#1","name":"Anna","updated":"2026-01-31T12:00:00.000001Z","edited":true}]}"##,
    );
    let body = r##"{"Customer": {"id": "#1", "if_updated": "2026-01-31T12:00:00.000001Z", "set": {"name": "Anne"}, "get": ["updated"]}}"##;
    compare(
        body,
        &shown(send(&app, &with(body)).await),
        r##"{"Customer":[{"id":"#1","name":"Anne","updated":"2026-01-31T12:00:00.000002Z","edited":true}]}"##,
    );
    for (body, expected) in [
        (
            r##"{"Customer": {"id": "#1", "if_updated": "2026-01-31T12:00:00.000001Z", "set": {"name": "Ann"}}}"##,
            r#"version.conflict
/Customer/if_updated the row was changed since it was read; its `updated` is another one now"#,
        ),
        (
            r##"{"Customer": {"id": "#1", "if_updated": "yesterday", "set": {"name": "Ann"}}}"##,
            r#"value.invalid
/Customer/if_updated must be the `updated` of a row, such as 2026-01-31T10:00:00.000000Z"#,
        ),
        (
            r##"{"Customer": {"id": "#1", "if_updated": "2026-01-31T12:00:00.000001Z"}}"##,
            r#"query.malformed
/Customer/if_updated `if_updated` stands beside `set` or `delete`"#,
        ),
    ] {
        refused(&app, anybody(), body, expected).await;
    }
}

#[tokio::test]
async fn a_row_that_stays_as_it_was_is_not_written() {
    let app = shop().await;
    let before = everything(&app).await;
    check(&app, anybody(), r##"{"Customer": {"id": "#1", "set": {"name": " Ann ", "email": "ANN@example.org"}, "get": ["updated"]}}"##, r##"{"Customer":[{"id":"#1","name":"Ann","email":"ann@example.org","updated":"2026-01-31T12:00:00.000000Z"}]}"##).await;
    assert_eq!(everything(&app).await, before);
    assert!(changes(&app).await.is_empty());
}
