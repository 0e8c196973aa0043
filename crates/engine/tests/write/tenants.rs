//! Two tenants with the same rows in one database: neither meets anything of the other's, on any way.

use std::collections::BTreeSet;

use mainstay_engine::HistoryPage;
use mainstay_engine::ctx::Caller;
use mainstay_lang::value::Value;
use serde_json::json;

use crate::app::{App, id};
use crate::support::{Request, everything, send, shown};

const APP: &str = r#"
table Shop (tenant) {
  name   text(20)  unique
  number int auto
  bills  Bill[] by shop
  tags   Tag[]
  order name
  allow all
}
table Bill (tenant) {
  number int auto per (year(created))
  shop   Shop  on delete cascade
  code   text(10)
  total  int = 0
  unique (shop, code)
  allow all
  check shop.bills.sum(total) <= 100  "A shop sells for at most 100."
}
table Tag (tenant) { name text(20) unique, shops Shop[] by tags, allow all }
table Product { name text(20), offers Offer[] by product, allow all }
table Offer (tenant) { product Product, price int, allow all }
table Desk (tenant) { name text(20), allow all }
extend User { desk Desk? }
table Paper (tenant) { desk Desk? = user.desk, text text(20), allow all }
table Guarded (tenant) { name text(20), owner User?, allow read, update if owner == user, allow create }
"#;

const ONE: Option<u32> = Some(71);
const TWO: Option<u32> = Some(72);

async fn ask(app: &App, tenant: Option<u32>, caller: Caller, body: &str) -> String {
    shown(send(app, &Request { tenant, ..Request::new(caller, body) }).await)
}

/// As anybody in a tenant.
async fn of(app: &App, tenant: Option<u32>, body: &str) -> String {
    ask(app, tenant, Caller::anonymous(), body).await
}

/// Refused, and nothing is other than it was.
async fn refused(app: &App, tenant: Option<u32>, body: &str, expected: &str) {
    let before = everything(app).await;
    assert_eq!(of(app, tenant, body).await, expected, "\nfor {body}");
    assert_eq!(everything(app).await, before, "\nchanged by {body}");
}

/// Tenant 71 has rows 1…, tenant 72 the same under 101….
async fn app() -> App {
    let rows = json!([
        ["Product", {"id": 5, "name": "Pen"}],
        ["User", {"id": 9, "email": "ann@x.org", "name": "Ann"}],
    ]);
    let app = App::new(APP, rows).await;
    for (tenant, base, price) in [(ONE, 0, 3), (TWO, 100, 4)] {
        let key = |number: u32| format!("#{}", base + number);
        let body = json!({
            "Tag": {"create": true, "id": key(3), "name": "old"},
            "Shop": {
                "create": true, "id": key(1), "name": "Bar", "tags": [{"id": key(3)}],
                "bills": [{"create": true, "id": key(2), "code": "a", "total": 40 + price}],
            },
            "Offer": {"create": true, "id": key(4), "product": "#5", "price": price},
        });
        let answer = of(&app, tenant, &body.to_string()).await;
        assert!(answer.starts_with(r#"{"Tag":"#), "{answer}");
    }
    app
}

/// Everything that a request of 71 reads is the one's; the same request of 72 then gets the other's from the same plan.
#[tokio::test]
async fn reads_stay_within_the_tenant() {
    let app = app().await;
    let check = async |body: &str, one: &str, two: &str| {
        assert_eq!(of(&app, ONE, body).await, one, "\nfor {body}");
        assert_eq!(of(&app, TWO, body).await, two, "\nfor {body}");
        assert_eq!(of(&app, ONE, body).await, one, "\nagain for {body}");
    };
    check(
        r#"{"Shop": {"get": ["*"], "limit": 5}}"#,
        r##"{"Shop":[{"id":"#1","created":"2026-01-31T12:00:00.000000Z","updated":"2026-01-31T12:00:00.000000Z","tenant":"#71","name":"Bar","number":1}]}"##,
        r##"{"Shop":[{"id":"#101","created":"2026-01-31T12:00:00.000000Z","updated":"2026-01-31T12:00:00.000000Z","tenant":"#72","name":"Bar","number":1}]}"##,
    )
    .await;
    let nested = |base: u32| {
        format!(
            r##"{{"Shop":[{{"id":"#{}","bills":[{{"id":"#{}","number":1}}],"tags":[{{"id":"#{}","shops":[{{"id":"#{}"}}]}}]}}]}}"##,
            base + 1,
            base + 2,
            base + 3,
            base + 1
        )
    };
    let body = r#"{"Shop": {"name": "Bar", "get": [], "bills": {"get": ["number"]}, "tags": {"get": [], "shops": {"get": []}}}}"#;
    let strip = |text: String| text.replace(r#","name":"Bar""#, "").replace(r#","Shop@":{"next":null}"#, "");
    assert_eq!(strip(of(&app, ONE, body).await), nested(0));
    assert_eq!(strip(of(&app, TWO, body).await), nested(100));
    // From a table of everybody's into the tenants'.
    check(
        r#"{"Product": {"get": ["name"], "offers": {"get": ["price"]}}}"#,
        r##"{"Product":[{"id":"#5","name":"Pen","offers":[{"id":"#4","price":3}]}]}"##,
        r##"{"Product":[{"id":"#5","name":"Pen","offers":[{"id":"#104","price":4}]}]}"##,
    )
    .await;
    check(
        r#"{"Product": {"where": "offers.any(price == 4)", "get": []}}"#,
        r#"{"Product":[]}"#,
        r##"{"Product":[{"id":"#5"}]}"##,
    )
    .await;
    check(
        r#"{"Product": {"offers": {"aggregate": {"n": "count()", "sum": "sum(price)"}}}}"#,
        r##"{"Product":[{"id":"#5","offers":[{"n":1,"sum":3}]}]}"##,
        r##"{"Product":[{"id":"#5","offers":[{"n":1,"sum":4}]}]}"##,
    )
    .await;
    check(
        r#"{"Bill": {"aggregate": {"n": "count()", "sum": "sum(total)", "shops": "sum(shop.bills.count())"}}}"#,
        r#"{"Bill":[{"n":1,"sum":43,"shops":1}]}"#,
        r#"{"Bill":[{"n":1,"sum":44,"shops":1}]}"#,
    )
    .await;
    check(
        r#"{"Bill": {"count": true, "limit": 0, "get": []}}"#,
        r#"{"Bill":[],"Bill@":{"count":1,"next":null}}"#,
        r#"{"Bill":[],"Bill@":{"count":1,"next":null}}"#,
    )
    .await;
    // By key, by a relation to one, by the tenant's own column: there is nothing of the other's.
    for body in [
        r##"{"Shop": {"id": "#101", "get": []}}"##,
        r##"{"Shop": {"id": ["#101", "#102"], "get": []}}"##,
        r##"{"Shop": {"tenant": "#72", "get": []}}"##,
        r##"{"Shop": {"tags": {"id": "#103", "required": true}, "get": []}}"##,
        r##"{"Shop": {"where": "tags.any(id == $t)", "params": {"t": "#103"}, "get": []}}"##,
    ] {
        let answer = of(&app, ONE, body).await;
        assert!(answer.starts_with(r#"{"Shop":[]"#), "{body}: {answer}");
    }
}

#[tokio::test]
async fn a_request_for_no_tenant_sees_nothing_and_makes_nothing() {
    let app = app().await;
    for table in ["Shop", "Bill", "Tag", "Offer"] {
        let answer =
            of(&app, None, &format!(r#"{{"{table}": {{"get": ["*"], "count": true, "limit": 9}}}}"#)).await;
        assert_eq!(answer, format!(r#"{{"{table}":[],"{table}@":{{"count":0,"next":null}}}}"#));
    }
    let offers = of(&app, None, r#"{"Product": {"get": [], "offers": {"get": []}}}"#).await;
    assert_eq!(offers, r##"{"Product":[{"id":"#5","offers":[]}]}"##);
    let words = "rule.refused\n/Tag a new Tag belongs to a tenant, and the request is for none";
    refused(&app, None, r#"{"Tag": {"create": true, "name": "new"}}"#, words).await;
    let named = r##"{"Tag": {"create": true, "name": "new", "tenant": "#71"}}"##;
    refused(&app, None, named, "value.invalid\n/Tag/tenant is kept by the server").await;
    refused(&app, None, r#"{"Tag": {"set": {"name": "x"}, "all": true}}"#, r#"{"Tag":[]}"#).await;
    refused(&app, None, r#"{"Tag": {"delete": true, "all": true}}"#, r#"{"Tag":[]}"#).await;
}

#[tokio::test]
async fn nobody_in_a_tenant_names_one() {
    let app = app().await;
    for tenant in ["#71", "#72"] {
        let body = format!(r#"{{"Tag": {{"create": true, "name": "new", "tenant": "{tenant}"}}}}"#);
        refused(&app, ONE, &body, "value.invalid\n/Tag/tenant is kept by the server").await;
        let body = format!(r##"{{"Tag": {{"id": "#3", "set": {{"tenant": "{tenant}"}}}}}}"##);
        refused(&app, ONE, &body, "value.invalid\n/Tag/set/tenant is kept by the server").await;
    }
    // An administrator whose request is for a tenant is within it, too.
    let body = r##"{"Tag": {"create": true, "name": "new", "tenant": "#72"}}"##;
    let answer = ask(&app, ONE, Caller::administrator(), body).await;
    assert_eq!(answer, "value.invalid\n/Tag/tenant is kept by the server");
    let answer = ask(&app, ONE, Caller::administrator(), r#"{"Tag": {"get": ["tenant"]}}"#).await;
    assert_eq!(answer, r##"{"Tag":[{"id":"#3","tenant":"#71"}]}"##);
}

#[tokio::test]
async fn writes_reach_the_tenants_own_rows_alone() {
    let app = app().await;
    for body in [
        r##"{"Shop": {"id": "#101", "set": {"name": "x"}}}"##,
        r##"{"Shop": {"id": ["#101"], "set": {"name": "x"}}}"##,
        r##"{"Shop": {"id": "#101", "delete": true}}"##,
        r##"{"Shop": {"tenant": "#72", "delete": true}}"##,
        r##"{"Shop": {"id": "#101", "tags": {"remove": {"id": "#103"}}}}"##,
        r##"{"Shop": {"id": "#101", "bills": {"create": true, "code": "b"}}}"##,
    ] {
        refused(&app, ONE, body, r#"{"Shop":[]}"#).await;
    }
    let no_row = |path: &str| format!("relation.refused\n{path} there is no such row to refer to");
    for (body, path) in [
        (r##"{"Bill": {"create": true, "code": "b", "shop": "#101"}}"##, "/Bill/shop"),
        (r##"{"Bill": {"id": "#2", "set": {"shop": "#101"}}}"##, "/Bill/set/shop"),
        (r##"{"Bill": {"create": true, "code": "b", "shop": {"id": "#101"}}}"##, "/Bill/shop"),
        (r##"{"Shop": {"id": "#1", "tags": {"add": {"id": "#103"}}}}"##, "/Shop/tags/add"),
        (r##"{"Shop": {"id": "#1", "bills": {"add": {"id": "#102"}}}}"##, "/Shop/bills/add"),
    ] {
        refused(&app, ONE, body, &no_row(path)).await;
    }
    // "All" are the tenant's.
    let answer = of(&app, ONE, r#"{"Bill": {"set": {"total": 1}, "all": true}}"#).await;
    assert_eq!(answer, r##"{"Bill":[{"id":"#2","total":1,"edited":true}]}"##);
    let answer = of(&app, ONE, r#"{"Shop": {"name": "Bar", "delete": true}}"#).await;
    assert_eq!(answer, r##"{"Shop":[{"id":"#1","name":"Bar","deleted":true}]}"##);
    assert_eq!(of(&app, ONE, r#"{"Bill": {"get": []}}"#).await, r#"{"Bill":[]}"#);
    assert_eq!(
        of(&app, TWO, r#"{"Bill": {"get": ["total"]}}"#).await,
        r##"{"Bill":[{"id":"#102","total":44}]}"##
    );
    // A check sums up what the tenant has.
    let check = "check.failed\n/Bill A shop sells for at most 100.";
    refused(&app, TWO, r##"{"Bill": {"create": true, "code": "b", "shop": "#101", "total": 57}}"##, check)
        .await;
}

#[tokio::test]
async fn unique_values_and_counters_are_each_tenants_own() {
    let app = app().await;
    let make = r#"{"Shop": {"create": true, "name": "Inn", "get": ["number"], "bills": [{"create": true, "code": "a", "get": ["number"]}, {"create": true, "code": "b", "get": ["number"]}]}}"#;
    for tenant in [ONE, TWO] {
        let answer = of(&app, tenant, make).await;
        let numbers: Vec<&str> = answer.split(r#""number":"#).skip(1).map(|rest| &rest[..1]).collect();
        assert_eq!(numbers, ["2", "2", "3"], "the shop's and its bills': {answer}");
        let again = r#"{"Shop": {"create": true, "name": "Inn"}}"#;
        refused(&app, tenant, again, "unique\n/Shop/name another Shop has this value in `name` already")
            .await;
    }
    refused(
        &app,
        ONE,
        r##"{"Shop": {"id": "#1", "set": {"name": "Inn"}}}"##,
        "unique\n/Shop/set/name another Shop has this value in `name` already",
    )
    .await;
    // A number that was drawn and not kept is drawn again, by its own tenant.
    let failing = r##"{"Shop": {"create": true, "name": "Pub", "bills": {"create": true, "code": "a", "total": 101}}}"##;
    let check = "check.failed\n/Shop/bills A shop sells for at most 100.";
    refused(&app, ONE, failing, check).await;
    for tenant in [TWO, ONE] {
        let answer =
            of(&app, tenant, r#"{"Shop": {"create": true, "name": "Pub", "get": ["number"]}}"#).await;
        assert!(answer.contains(r#""number":3"#), "{answer}");
    }
}

#[tokio::test]
async fn an_administrator_for_no_tenant_sees_all_and_joins_none() {
    let app = app().await;
    let admin = async |body: &str| ask(&app, None, Caller::administrator(), body).await;
    let tenants = admin(r#"{"Shop": {"get": ["tenant"], "order": ["id"]}}"#).await;
    assert_eq!(tenants, r##"{"Shop":[{"id":"#1","tenant":"#71"},{"id":"#101","tenant":"#72"}]}"##);
    let before = everything(&app).await;
    let other = |path: &str, name: &str, what: &str| {
        format!("value.invalid\n{path} {name} leads to a {what} of another tenant")
    };
    for (body, expected) in [
        (
            r##"{"Bill": {"create": true, "tenant": "#71", "code": "b", "shop": "#101"}}"##,
            other("/Bill", "`shop`", "Shop"),
        ),
        (r##"{"Bill": {"id": "#2", "set": {"shop": "#101"}}}"##, other("/Bill", "`shop`", "Shop")),
        (
            r##"{"Shop": {"id": "#1", "bills": {"add": {"id": "#102"}}}}"##,
            other("/Shop/bills/add", "`shop`", "Shop"),
        ),
        (
            r##"{"Shop": {"id": "#1", "tags": {"add": {"id": "#103"}}}}"##,
            other("/Shop/tags/add", "the link", "Tag"),
        ),
        (
            r##"{"Tag": {"id": "#3", "shops": {"add": {"id": "#101"}}}}"##,
            other("/Tag/shops/add", "the link", "Tag"),
        ),
    ] {
        assert_eq!(admin(body).await, expected, "\nfor {body}");
    }
    assert_eq!(everything(&app).await, before);
    let within =
        r##"{"Bill": {"create": true, "tenant": "#72", "code": "b", "shop": "#101", "get": ["number"]}}"##;
    let answer = admin(within).await;
    assert!(answer.contains(r#""number":2"#), "{answer}");
}

#[tokio::test]
async fn an_answer_kept_under_a_key_is_its_tenants() {
    let app = app().await;
    let key = "0123456789abcdef0123456789abcdef";
    let mut made = BTreeSet::new();
    for tenant in [ONE, TWO, ONE, TWO] {
        let body = r#"{"Tag": {"create": true, "name": "once"}}"#;
        let request = Request { tenant, key: Some(key), ..Request::new(Caller::anonymous(), body) };
        made.insert(send(&app, &request).await.unwrap());
    }
    assert_eq!(made.len(), 2, "{made:?}");
}

#[tokio::test]
async fn history_stays_within_the_tenant() {
    let app = app().await;
    let tag = app.engine.schema().table_named("Tag").unwrap().id;
    let kinds = async |tenant: Option<u32>, caller: Caller, number: u32| {
        let context = Request { tenant, ..Request::new(caller, "") }.context();
        let key = Value::Uuid(id(number).parse().unwrap());
        let found = app.engine.history(&context, tag, &key, &HistoryPage::default()).await.unwrap();
        found.map(|found| found.row_count)
    };
    assert_eq!(kinds(ONE, Caller::anonymous(), 3).await, Some(1));
    assert_eq!(kinds(ONE, Caller::anonymous(), 103).await, None);
    assert_eq!(kinds(None, Caller::anonymous(), 3).await, None);
    assert_eq!(kinds(ONE, Caller::administrator(), 103).await, None);
    assert_eq!(kinds(None, Caller::administrator(), 103).await, Some(1));
    // A key that another tenant had before brings nothing of it along.
    let answer = of(&app, TWO, r##"{"Tag": {"id": "#103", "delete": true}}"##).await;
    assert_eq!(answer, r##"{"Tag":[{"id":"#103","deleted":true}]}"##);
    of(&app, ONE, r##"{"Tag": {"create": true, "id": "#103", "name": "mine"}}"##).await;
    assert_eq!(kinds(ONE, Caller::anonymous(), 103).await, Some(1));
    assert_eq!(kinds(ONE, Caller::administrator(), 103).await, Some(1));
    assert_eq!(kinds(None, Caller::administrator(), 103).await, Some(3));
}

/// A user is the same person in every tenant; what is theirs in one is not theirs in another.
#[tokio::test]
async fn the_rules_own_conditions_hold_within_the_tenant() {
    let app = app().await;
    let ann = app.user(9).await;
    for tenant in [ONE, TWO] {
        let body = r##"{"Guarded": {"create": true, "name": "n", "owner": "#9"}}"##;
        ask(&app, tenant, Request::new(ann.clone(), "").caller, body).await;
    }
    for (tenant, count) in [(ONE, 1), (TWO, 1), (None, 0)] {
        let answer =
            ask(&app, tenant, app.user(9).await, r#"{"Guarded": {"get": [], "count": true, "limit": 0}}"#)
                .await;
        assert_eq!(answer, format!(r#"{{"Guarded":[],"Guarded@":{{"count":{count},"next":null}}}}"#));
    }
    let answer = ask(
        &app,
        ONE,
        app.user(9).await,
        r#"{"Guarded": {"set": {"name": "m"}, "all": true, "get": ["tenant"]}}"#,
    )
    .await;
    assert_eq!(answer, r##"{"Guarded":[{"id":"@1","name":"m","tenant":"#71","edited":true}]}"##);
}

/// A default may name a row of the caller's, and callers are the same in every tenant.
#[tokio::test]
async fn a_default_brings_nothing_of_another_tenant_along() {
    let app = app().await;
    of(&app, ONE, r##"{"Desk": {"create": true, "id": "#6", "name": "Ann's"}}"##).await;
    app.change(r##"{"User": {"id": "#9", "set": {"desk": "#6"}}}"##).await;
    let paper = async |tenant| {
        let body = r#"{"Paper": {"create": true, "text": "t", "get": ["desk"]}}"#;
        ask(&app, tenant, app.user(9).await, body).await
    };
    assert_eq!(paper(ONE).await, r##"{"Paper":[{"id":"@1","text":"t","desk":"#6","new":true}]}"##);
    assert_eq!(paper(TWO).await, "value.invalid\n/Paper `desk` leads to a Desk of another tenant");
}
