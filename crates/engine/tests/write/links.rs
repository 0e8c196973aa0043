//! Adding to relations and taking out of them.

use std::sync::Arc;

use mainstay_engine::ctx::Caller;
use serde_json::json;

use crate::app::App;
use crate::shop::shop;
use crate::support::{changes, check, refused, rows};

fn anybody() -> Caller {
    Caller::anonymous()
}

#[tokio::test]
async fn rows_are_added_and_taken_out_from_both_sides() {
    let app = shop().await;
    for (body, expected) in [
        (
            r##"{"Order": {"id": "#31", "labels": {"add": "#22"}}}"##,
            r##"{"Order":[{"id":"#31","labels":[{"id":"#22"}]}]}"##,
        ),
        (
            r##"{"Order": {"id": "#31", "labels": {"add": ["#22", {"create": true, "name": "late", "get": ["name"]}], "remove": {"name": "urgent"}}}}"##,
            r##"{"Order":[{"id":"#31","labels":[{"id":"#22"},{"id":"@1","name":"late","new":true}]}]}"##,
        ),
        (
            r##"{"Order": {"id": "#31", "labels": {"get": ["name"], "remove": "#22", "order": "name"}}}"##,
            r##"{"Order":[{"id":"#31","labels":[{"id":"@1","name":"late"}]}]}"##,
        ),
        (
            r##"{"Label": {"id": "#21", "orders": {"add": "#31"}}}"##,
            r##"{"Label":[{"id":"#21","orders":[{"id":"#31"}]}]}"##,
        ),
        (
            r##"{"Label": {"id": "#22", "orders": {"remove": "#31", "add": {"number": 1}}}}"##,
            r##"{"Label":[{"id":"#22","orders":[{"id":"#31","number":1}]}]}"##,
        ),
        (
            r##"{"Order": {"id": "#31", "labels": {"get": ["name"], "order": "name"}}}"##,
            r##"{"Order":[{"id":"#31","labels":[{"id":"@1","name":"late"},{"id":"#21","name":"urgent"}]}]}"##,
        ),
        (
            r##"{"Order": {"id": "#31", "labels": {"remove": {"all": true}}}}"##,
            r##"{"Order":[{"id":"#31"}]}"##,
        ),
        (r##"{"Order": {"id": "#31", "get": ["labels"]}}"##, r##"{"Order":[{"id":"#31","labels":[]}]}"##),
    ] {
        check(&app, anybody(), body, expected).await;
    }
}

#[tokio::test]
async fn a_link_is_logged_once() {
    let app = shop().await;
    check(
        &app,
        anybody(),
        r##"{"Order": {"id": "#31", "labels": {"add": ["#21", "#22", "#22"]}}}"##,
        r##"{"Order":[{"id":"#31","labels":[{"id":"#21"},{"id":"#22"},{"id":"#22"}]}]}"##,
    )
    .await;
    check(
        &app,
        anybody(),
        r##"{"Order": {"id": "#31", "labels": {"remove": ["#22", "#22"]}}}"##,
        r##"{"Order":[{"id":"#31"}]}"##,
    )
    .await;
    assert_eq!(
        changes(&app).await,
        [
            r##""Order" "#31" "link" null {"labels":"#22"} null"##,
            r##""Order" "#31" "unlink" {"labels":"#22"} null null"##,
        ]
    );
}

#[tokio::test]
async fn a_reverse_list_is_a_column_of_its_children() {
    let app = shop().await;
    for (body, expected) in [
        (
            r##"{"Customer": {"id": "#2", "orders": {"add": "#31"}}}"##,
            r##"{"Customer":[{"id":"#2","orders":[{"id":"#31","edited":true}]}]}"##,
        ),
        (
            r##"{"Order": {"id": "#31", "get": ["customer"]}}"##,
            r##"{"Order":[{"id":"#31","customer":"#2"}]}"##,
        ),
        (
            r##"{"Customer": {"id": "#2", "orders": {"add": {"create": true, "note": "new"}}}}"##,
            r##"{"Customer":[{"id":"#2","orders":[{"id":"@1","note":"new","new":true}]}]}"##,
        ),
    ] {
        check(&app, anybody(), body, expected).await;
    }
    for (body, expected) in [
        // A required reference cannot be taken away, and an immutable one not be moved.
        (
            r##"{"Customer": {"id": "#2", "orders": {"remove": "#31"}}}"##,
            r#"value.invalid
/Customer/orders/remove `customer` must not be null, so the row cannot be taken out; delete it instead"#,
        ),
        (
            r##"{"Order": {"create": true, "customer": "#1", "lines": ["#41"]}}"##,
            r#"value.invalid
/Order/lines/0 `parent` can be given at creation only"#,
        ),
    ] {
        refused(&app, anybody(), body, expected).await;
    }
}

const CLUB: &str = r#"
extend User { club Club?  on delete null }
table Club {
  name    text(20)
  secret_ bool = false
  leader  User?
  rival   Club?
  members User[] by club
  friends Club[]
  fans    User[]
  allow read   if not secret_ or leader == user
  allow create if signed_in
  allow update if leader == user
  allow link(fans) if signed_in
  allow unlink(fans) if leader == user
}
"#;

async fn club() -> App {
    let fixture = json!([
        ["User", {"id": 1, "email": "ann@x", "name": "Ann"}],
        ["User", {"id": 2, "email": "bob@x", "name": "Bob"}],
        ["Club", {"id": 11, "name": "Chess", "leader": 1}],
        ["Club", {"id": 12, "name": "Go", "leader": 2}],
        ["Club", {"id": 13, "name": "Spies", "leader": 2, "secret_": true}],
        ["Club.fans", {"owner": 11, "target": 1}],
    ]);
    App::new(CLUB, fixture).await
}

#[tokio::test]
async fn links_follow_their_own_rules_or_those_of_the_declaring_row() {
    let app = club().await;
    let ann = || app.user(1);
    let bob = || app.user(2);
    check(
        &app,
        bob().await,
        r##"{"Club": {"id": "#11", "fans": {"add": "#2"}}}"##,
        r##"{"Club":[{"id":"#11","fans":[{"id":"#2"}]}]}"##,
    )
    .await;
    check(
        &app,
        ann().await,
        r##"{"Club": {"id": "#11", "friends": {"add": "#12"}}}"##,
        r##"{"Club":[{"id":"#11","friends":[{"id":"#12"}]}]}"##,
    )
    .await;
    check(
        &app,
        ann().await,
        r##"{"Club": {"create": true, "name": "Bridge", "friends": ["#12"], "get": ["friends"]}}"##,
        r##"{"Club":[{"id":"@1","name":"Bridge","friends":[{"id":"#12"}],"new":true}]}"##,
    )
    .await;
    for (body, expected) in [
        (
            r##"{"Club": {"id": "#11", "fans": {"remove": "#2"}}}"##,
            r#"rule.refused
/Club/fans/remove you may not unlink rows of `fans`"#,
        ),
        (
            r##"{"Club": {"id": "#11", "friends": {"add": "#12"}}}"##,
            r#"rule.refused
/Club/friends/add you may not change this Club"#,
        ),
        (
            r##"{"Club": {"id": "#11", "friends": {"remove": "#12"}}}"##,
            r#"rule.refused
/Club/friends/remove you may not change this Club"#,
        ),
    ] {
        refused(&app, bob().await, body, expected).await;
    }
}

#[tokio::test]
async fn a_row_that_may_not_be_read_is_refused_as_one_that_is_not_there() {
    let app = club().await;
    for (body, path) in [
        (r##"{"Club": {"id": "#11", "friends": {"add": "KEY"}}}"##, "/Club/friends/add"),
        (r##"{"Club": {"id": "#11", "friends": {"add": {"id": "KEY"}}}}"##, "/Club/friends/add"),
        (r##"{"Club": {"id": "#11", "friends": {"remove": "KEY"}}}"##, "/Club/friends/remove"),
        (r##"{"Club": {"id": "#11", "set": {"friends": ["KEY"]}}}"##, "/Club/set/friends/0"),
        (r##"{"Club": {"create": true, "name": "x", "friends": "KEY"}}"##, "/Club/friends"),
        (r##"{"Club": {"create": true, "name": "x", "rival": "KEY"}}"##, "/Club/rival"),
        (r##"{"Club": {"id": "#11", "set": {"rival": "KEY"}}}"##, "/Club/set/rival"),
        (r##"{"Club": {"id": "#11", "set": {"rival": {"id": "KEY"}}}}"##, "/Club/set/rival"),
    ] {
        let expected = format!("relation.refused\n{path} there is no such row to refer to");
        for key in ["#13", "#99"] {
            refused(&app, app.user(1).await, &body.replace("KEY", key), &expected).await;
        }
    }
}

#[tokio::test]
async fn replacing_leaves_alone_what_the_caller_does_not_see() {
    let app = club().await;
    let admin = Caller::administrator();
    check(
        &app,
        admin,
        r##"{"Club": {"id": "#11", "friends": {"add": ["#12", "#13"]}}}"##,
        r##"{"Club":[{"id":"#11","friends":[{"id":"#12"},{"id":"#13"}]}]}"##,
    )
    .await;
    check(
        &app,
        app.user(1).await,
        r##"{"Club": {"id": "#11", "set": {"friends": []}}}"##,
        r##"{"Club":[{"id":"#11"}]}"##,
    )
    .await;
    assert_eq!(
        rows(&app, r##"{"Club": {"id": "#11", "friends": {"get": ["name"]}}}"##).await,
        r##"{"Club":[{"id":"#11","friends":[{"id":"#13","name":"Spies"}]}]}"##
    );
}

const BOXES: &str = r#"
table Person { name text(20)  allow all }
table Box {
  owner Person?
  items Item[] by inside
  allow all
  allow read(owner) if user.can("owner/read")
}
table Item {
  name   text(20)
  inside Box?
  allow all
  allow read(inside) if user.can("inside/read")
}
"#;

#[tokio::test]
async fn a_reference_that_may_not_be_read_is_no_way_to_a_row() {
    let fixture = json!([
        ["Person", {"id": 1, "name": "Ann"}],
        ["Box", {"id": 11, "owner": 1}],
        ["Item", {"id": 21, "name": "spoon", "inside": 11}],
    ]);
    let app = App::new(BOXES, fixture).await;
    for (body, expected) in [
        (
            r##"{"Box": {"id": "#11", "owner": {"all": true, "set": {"name": "x"}}}}"##,
            r##"{"Box":[{"id":"#11","owner":null}]}"##,
        ),
        (
            r##"{"Box": {"id": "#11", "items": {"all": true, "set": {"name": "x"}}}}"##,
            r##"{"Box":[{"id":"#11","items":[]}]}"##,
        ),
        (
            r##"{"Box": {"id": "#11", "items": {"id": "#21", "delete": true}}}"##,
            r##"{"Box":[{"id":"#11","items":[]}]}"##,
        ),
        (r##"{"Box": {"id": "#11", "set": {"items": []}}}"##, r##"{"Box":[{"id":"#11"}]}"##),
    ] {
        refused(&app, anybody(), body, expected).await;
    }
    let mut knowing = anybody();
    Arc::make_mut(&mut knowing.permissions).extend(["owner/read".to_owned(), "inside/read".to_owned()]);
    check(
        &app,
        knowing,
        r##"{"Box": {"id": "#11", "owner": {"all": true, "set": {"name": "x"}}, "items": {"all": true, "set": {"name": "y"}}}}"##,
        r##"{"Box":[{"id":"#11","owner":{"id":"#1","name":"x","edited":true},"items":[{"id":"#21","name":"y","edited":true}]}]}"##,
    )
    .await;
}
