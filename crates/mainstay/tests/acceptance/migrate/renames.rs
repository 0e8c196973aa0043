//! A rename where the change log is long: nobody waits until its lines have the new name, and it can be broken off.

use mainstay_testkit::postgres::Postgres;
use serde_json::json;

use super::{ONE, Shop};
use crate::support::App;

/// Lines of the log beside those that rows have made: three pieces.
const LINES: i64 = 12_000;

#[test]
fn a_long_log_gets_new_names_by_pieces_and_is_gone_on_with() {
    let shop = Shop { app: App::of(ONE), url: Some(Postgres::database()) };
    shop.begun();
    let database = shop.url.as_deref().unwrap().rsplit_once('/').unwrap().1;
    let sql = |sql: &str| Postgres::shared().run(database, sql).unwrap();
    sql(&format!(
        "INSERT INTO \"_change\" (\"at\", \"table\", \"row\", \"kind\", \"before\", \"after\")
         SELECT now(), 'Product', gen_random_uuid()::text, 'update', '{{\"price\": 1}}',
             json_build_object('n', i, 'price', i) FROM generate_series(1, {LINES}) i;
         CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN
             IF NEW.after ->> ''n'' = ''11000'' AND NEW.after -> ''cost'' IS NOT NULL THEN RAISE ''not this one''; END IF;
             IF OLD.after -> ''cost'' IS NOT NULL THEN RAISE ''once more''; END IF;
             RETURN NEW; END';
         CREATE TRIGGER refuse BEFORE UPDATE ON \"_change\" FOR EACH ROW EXECUTE FUNCTION refuse()"
    ));
    shop.app.write("app.stay", ONE.replace("price ", "cost "));
    shop.migrate("plan", &["--name", "cost", "--rename", "Product.price=cost"]).succeeded();
    let file = shop.app.read("migrations/postgres/0002_cost.sql");
    assert!(file.contains("let the change log call Product.price cost, a few lines at a time"), "{file}");

    let failed = shop.migrate("apply", &[]).ended(1);
    assert!(
        failed.stderr.contains("not this one") && failed.stderr.contains("goes on from there"),
        "{failed:?}"
    );
    let named =
        "SELECT count(*) FROM \"_change\" WHERE after -> 'cost' IS NOT NULL AND after -> 'n' IS NOT NULL";
    let done: i64 = sql(named).parse().unwrap();
    assert!((9_000..LINES).contains(&done), "two pieces of three: {done}");
    // The table itself waits for none of it.
    assert_eq!(sql("SELECT sum(cost) FROM \"Product\""), "2.90");
    let refused = shop.run(&["serve", "APP", "--listen", "127.0.0.1:0"]).ended(1);
    assert!(refused.stderr.contains("migrate"), "{refused:?}");

    // What has its new name is not touched again, or the trigger would say so.
    sql("CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN
             IF OLD.after -> ''cost'' IS NOT NULL AND NEW.before::text = OLD.before::text THEN RAISE ''once more''; END IF;
             RETURN NEW; END'");
    shop.migrate("apply", &[]).succeeded();
    assert_eq!(sql(named), LINES.to_string());
    assert_eq!(
        sql(
            "SELECT count(*) FROM \"_change\" WHERE before -> 'price' IS NOT NULL OR after -> 'price' IS NOT NULL"
        ),
        "0"
    );
    let found = shop.query(&json!({"Product": {"get": ["name", "cost"], "order": ["name"]}}));
    assert_eq!(found["Product"][1]["cost"], "2.50", "{found}");
}
