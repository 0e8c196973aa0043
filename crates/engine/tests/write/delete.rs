//! Deleting rows, and what hangs on them.

use mainstay_engine::ctx::Caller;
use serde_json::json;

use crate::app::App;
use crate::shop::shop;
use crate::support::{changes, check, refused, rows};

fn anybody() -> Caller {
    Caller::anonymous()
}

#[tokio::test]
async fn a_deleted_row_shows_what_was_asked_as_it_stood() {
    let app = shop().await;
    check(
        &app,
        anybody(),
        r##"{"Order": {"id": "#31", "delete": true, "get": ["number"], "customer": {"get": ["name"]}, "lines": {"get": ["quantity"]}, "labels": {"get": ["name"]}}}"##,
        r##"{"Order":[{"id":"#31","number":1,"customer":{"id":"#1","name":"Ann"},"lines":[{"id":"#41","quantity":2},{"id":"#42","quantity":90}],"labels":[{"id":"#21","name":"urgent"}],"deleted":true}]}"##,
    )
    .await;
    assert_eq!(
        rows(&app, r#"{"Order": {}, "OrderLine": {}, "Label": {"orders": {}}}"#).await,
        r##"{"Order":[],"OrderLine":[],"Label":[{"id":"#21","orders":[]},{"id":"#22","orders":[]}]}"##
    );
    let log = changes(&app).await;
    let lines: Vec<String> =
        log.iter().map(|line| line.split(' ').take(3).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        lines,
        [
            r##""Order" "#31" "unlink""##,
            r##""OrderLine" "#41" "delete""##,
            r##""OrderLine" "#42" "delete""##,
            r##""Order" "#31" "delete""##,
        ]
    );
}

#[tokio::test]
async fn rows_that_are_referred_to_stay() {
    let app = shop().await;
    for (body, expected) in [
        (
            r##"{"Customer": {"id": "#1", "delete": true}}"##,
            r#"delete.restricted
/Customer a row of Order still refers to this Customer (`customer`)"#,
        ),
        (
            r##"{"Product": {"id": "#11", "delete": true}}"##,
            r#"delete.restricted
/Product a row of OrderLine still refers to this Product (`product`)"#,
        ),
    ] {
        refused(&app, anybody(), body, expected).await;
    }
    for (body, expected) in [
        (r##"{"Customer": {"id": "#2", "delete": true}}"##, r##"{"Customer":[{"id":"#2","deleted":true}]}"##),
        (r##"{"Label": {"id": "#21", "delete": true}}"##, r##"{"Label":[{"id":"#21","deleted":true}]}"##),
        (r##"{"Order": {"id": "#31", "get": ["labels"]}}"##, r##"{"Order":[{"id":"#31","labels":[]}]}"##),
        (r##"{"Customer": {"id": "#2", "delete": true}}"##, r#"{"Customer":[]}"#),
        // The references go with the same request, so nothing is in the way.
        (
            r##"{"Order": {"id": "#31", "delete": true}, "Customer": {"id": "#1", "delete": true}}"##,
            r##"{"Order":[{"id":"#31","deleted":true}],"Customer":[{"id":"#1","deleted":true}]}"##,
        ),
    ] {
        check(&app, anybody(), body, expected).await;
    }
}

/// Everything that may hang on a row, in every way.
const TREE: &str = r#"
table Folder {
  parent  Folder? on delete cascade
  owner   Person? on delete null
  cover   Page?   on delete null
  allow read, create
  allow delete if parent == null
}
table Page {
  folder  Folder  on delete cascade
  next    Page?   on delete cascade
  allow read, create
  check folder.owner != null "A page's folder has an owner."
}
table Person { name text(10) allow all }
table Lock { page Page  allow all }
"#;

#[tokio::test]
async fn long_chains_and_circles_go_whole() {
    let mut fixture = vec![json!(["Person", {"id": 900, "name": "Ann"}])];
    for number in 1..=300u32 {
        let parent = if number == 1 { json!(null) } else { json!(number - 1) };
        fixture.push(json!(["Folder", {"id": number, "parent": parent, "owner": 900}]));
    }
    fixture.push(json!(["Page", {"id": 501, "folder": 300}]));
    let app = App::new(TREE, fixture.into()).await;
    // A circle: the folder's cover is its page, and pages follow each other in a ring.
    check(
        &app,
        Caller::administrator(),
        r##"{"Page": {"create": true, "id": "#502", "folder": "#300", "next": "#501"}}"##,
        r##"{"Page":[{"id":"#502","folder":"#300","next":"#501","new":true}]}"##,
    )
    .await;
    check(
        &app,
        Caller::administrator(),
        r##"{"Page": {"id": "#501", "set": {"next": "#502"}}}"##,
        r##"{"Page":[{"id":"#501","next":"#502","edited":true}]}"##,
    )
    .await;
    check(
        &app,
        Caller::administrator(),
        r##"{"Folder": {"id": "#300", "set": {"cover": "#501"}}}"##,
        r##"{"Folder":[{"id":"#300","cover":"#501","edited":true}]}"##,
    )
    .await;
    check(
        &app,
        anybody(),
        r##"{"Folder": {"id": "#1", "delete": true}}"##,
        r##"{"Folder":[{"id":"#1","deleted":true}]}"##,
    )
    .await;
    assert_eq!(
        rows(&app, r#"{"Folder": {}, "Page": {}, "Person": {}}"#).await,
        r##"{"Folder":[],"Page":[],"Person":[{"id":"#900"}]}"##
    );
    let deletions = changes(&app).await.iter().filter(|line| line.contains("\"delete\"")).count();
    assert_eq!(deletions, 302);
}

#[tokio::test]
async fn what_is_let_go_is_checked_and_what_is_held_holds() {
    let fixture = json!([
        ["Person", {"id": 9, "name": "Ann"}],
        ["Folder", {"id": 1, "owner": 9}],
        ["Folder", {"id": 2, "owner": 9}],
        ["Page", {"id": 5, "folder": 1}],
        ["Page", {"id": 6, "folder": 2}],
        ["Folder", {"id": 3, "cover": 6, "owner": null}],
        ["Lock", {"id": 7, "page": 5}],
    ]);
    let app = App::new(TREE, fixture).await;
    for (body, expected) in [
        // The page hangs on the folder, and a lock on the page.
        (
            r##"{"Folder": {"id": "#1", "delete": true}}"##,
            r#"delete.restricted
/Folder a row of Lock still refers to this Page (`page`)"#,
        ),
        // The folder would lose its owner, which a page's check reads.
        (
            r##"{"Person": {"id": "#9", "delete": true}}"##,
            r#"check.failed
/Person A page's folder has an owner."#,
        ),
    ] {
        refused(&app, anybody(), body, expected).await;
    }
    check(
        &app,
        anybody(),
        r##"{"Folder": {"id": "#2", "delete": true}}"##,
        r##"{"Folder":[{"id":"#2","deleted":true}]}"##,
    )
    .await;
    assert_eq!(
        rows(&app, r##"{"Folder": {"id": "#3", "get": ["cover"]}, "Page": {}}"##).await,
        r##"{"Folder":[{"id":"#3","cover":null}],"Page":[{"id":"#5"}]}"##
    );
}
