//! Behind `PgBouncer` in transaction mode, with fewer connections to the server than the engine has to the pooler.

use std::sync::Arc;

use mainstay_engine::ctx::Caller;
use mainstay_engine::limits::Limits;
use mainstay_testkit::database::Place;
use serde_json::json;

use crate::app::{App, with_keys};

const APP: &str = r##"
table Account { name text unique, balance int, entries Entry[] by account, check balance >= 0 "empty", allow all }
table Entry   { account Account on delete cascade, amount int, allow all if account.balance >= 0 }
table Parcel  { name text, parts Part[] by parcel, allow all }
table Part    { parcel Parcel, n int?, tags text[]?, about json?, price decimal(8, 2)?, day date?, allow all }
"##;

async fn app() -> App {
    let rows = json!([["Account", {"id": 1, "name": "a", "balance": 100}], ["Account", {"id": 2, "name": "b", "balance": 100}]]);
    App::at(Place::pooled().unwrap(), Limits::default(), APP, rows).await
}

/// Each transaction may meet another server process; whoever clashes is run again, and nothing is done twice or by half.
#[tokio::test(flavor = "multi_thread")]
async fn transfers_that_clash_are_all_made_once() {
    let app = Arc::new(app().await);
    let tasks = (0..16).map(|task| {
        let app = app.clone();
        tokio::spawn(async move {
            for round in 0..5 {
                // In either order of the rows, so that some wait for each other.
                let amount = if (task + round) % 2 == 0 { -1 } else { 1 };
                let mut accounts = [(1, amount), (2, -amount)];
                if round % 2 == 0 {
                    accounts.reverse();
                }
                let sets = accounts.map(|(number, amount)| {
                    format!(r##"{{"id": "#{number}", "set": {{"balance": {{"$add": {amount}}}}}}}"##)
                });
                let entries = accounts.map(|(number, amount)| {
                    format!(r##"{{"create": true, "account": "#{number}", "amount": {amount}}}"##)
                });
                let request =
                    format!(r##"{{"Account": [{}], "Entry": [{}]}}"##, sets.join(","), entries.join(","));
                app.run(Caller::anonymous(), &with_keys(&request)).await.unwrap();
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    app.check(
        Caller::anonymous(),
        r##"{"Account": {"get": ["balance"], "order": ["name"]}}"##,
        r##"{"Account":[{"id":"#1","balance":100},{"id":"#2","balance":100}]}"##,
    )
    .await;
    let counted = r##"{"Entry": {"aggregate": {"n": "count()", "sum": "sum(amount)"}}}"##;
    app.check(Caller::anonymous(), counted, r##"{"Entry":[{"n":160,"sum":0}]}"##).await;
}

/// No statement is prepared here, so the types of its arrays are what the engine says.
#[tokio::test]
async fn rows_are_made_together_and_one_is_changed_alone() {
    let app = app().await;
    let request = r##"{"Parcel": {"create": true, "id": "#7", "name": "p", "parts": [
        {"create": true, "n": 1, "tags": ["a, b", "{}"], "about": {"a": null}, "price": "1.50", "day": "2024-02-29"},
        {"create": true, "n": 2}]}}"##;
    app.run(Caller::anonymous(), &with_keys(request)).await.unwrap();
    let request = r##"{"Parcel": {"id": "#7", "set": {"name": "q"}}}"##;
    app.run(Caller::anonymous(), &with_keys(request)).await.unwrap();
    let question = r##"{"Part": {"get": ["n", "tags", "about", "price", "day"], "order": ["n"]}, "Parcel": {"get": ["name"]}}"##;
    let found = crate::support::rows(&app, question).await;
    let parts = r##"[{"id":"@1","n":1,"tags":["a, b","{}"],"about":{"a":null},"price":"1.50","day":"2024-02-29"},{"id":"@2","n":2,"tags":null,"about":null,"price":null,"day":null}]"##;
    assert_eq!(found, format!(r##"{{"Part":{parts},"Parcel":[{{"id":"#7","name":"q"}}]}}"##));
}
