//! The text of the main shapes, so that a change of it is seen.

use mainstay_lang::expr::Expr;
use mainstay_lang::types::Type;
use mainstay_sql::plan::{OutputKind, Select};
use mainstay_sql::{SQLITE, select};

use crate::harness::{Db, output, param};

const APP: &str = r#"
table Team { name text, role enum(bar, log) = bar, alerts Alert[] by sender, allow read }
extend User { team Team? }
table Alert { title text, sender Team, receivers Team[], due timestamp?, allow read if sender == user.team or receivers.any(id == user.team) }
"#;

fn sql(db: &Db, plan: &Select) -> String {
    select(&db.schema, SQLITE, plan).sql.to_string()
}

fn ruled(db: &Db) -> Expr {
    db.schema.table_named("Alert").unwrap().rules[0].condition.as_deref().unwrap().clone()
}

#[test]
fn one_row_under_a_rule() {
    let db = Db::new(APP);
    let mut alert = db.select("Alert", &["id", "title"]);
    alert.filter = vec![ruled(&db), db.filter("Alert", "id == $key")];
    insta::assert_snapshot!(sql(&db, &alert), @r#"SELECT t1."id", t1."title" FROM "Alert" t1 WHERE ((t1."sender" = ?1) OR (EXISTS (SELECT 1 FROM "Alert_receivers" t3 WHERE t3."owner" = t1."id" AND (t3."target" = ?1)))) AND (t1."id" = ?2) ORDER BY t1."id""#);
}

#[test]
fn a_page_under_a_rule() {
    let db = Db::new(APP);
    let mut alerts = db.select("Alert", &["id", "title"]);
    alerts.filter = vec![ruled(&db)];
    alerts.order = vec![db.order("Alert", "-due")];
    alerts.limit = Some(param(0, &Type::Int));
    alerts.after = Some(vec![param(1, &Type::Timestamp), param(2, &Type::Uuid)]);
    alerts.paged = true;
    insta::assert_snapshot!(sql(&db, &alerts), @r#"SELECT t1."id", t1."title", t1."due", t1."id" FROM "Alert" t1 WHERE ((t1."sender" = ?1) OR t1."id" IN (SELECT t3."owner" FROM "Alert_receivers" t3 WHERE (t3."target" = ?1))) AND ((t1."due" < ?2 OR (t1."due" IS NULL AND ?2 IS NOT NULL)) OR (t1."due" IS NOT DISTINCT FROM ?2 AND t1."id" > ?3)) ORDER BY t1."due" DESC, t1."id" LIMIT ?4 + 1"#);
    alerts.order = vec![db.order("Alert", "created")];
    alerts.filter.clear();
    insta::assert_snapshot!(sql(&db, &alerts), @r#"SELECT t1."id", t1."title", t1."created", t1."id" FROM "Alert" t1 WHERE (t1."created", t1."id") > (?1, ?2) ORDER BY t1."created", t1."id" LIMIT ?3 + 1"#);
}

#[test]
fn nested_both_ways() {
    let db = Db::new(APP);
    let mut receivers = db.select("Team", &["id", "name", "role"]);
    receivers.limit = Some(param(1, &Type::Int));
    let many = OutputKind::Many { relation: db.relation("Alert", "receivers"), select: Box::new(receivers) };
    let one = OutputKind::One {
        column: db.column("Alert", "sender"),
        select: Box::new(db.select("Team", &["id", "name"])),
    };
    let mut alerts = db.select("Alert", &["id", "due"]);
    alerts.outputs.extend([output("receivers", many), output("sender", one)]);
    alerts.limit = Some(param(0, &Type::Int));
    insta::assert_snapshot!(sql(&db, &alerts), @r#"SELECT t1."id", t1."due", (SELECT ms_objects('{"id":@,"name":$,"role":@}', t2."id", t2."name", t2."role") FROM (SELECT t3."target" AS "id", t2."name" AS "name", t2."role" AS "role" FROM "Alert_receivers" t3 JOIN "Team" t2 ON t2."id" = t3."target" WHERE t3."owner" = t1."id" ORDER BY t3."target" LIMIT ?1) t2), (SELECT concat('{"id":"', t4."id", '","name":', json_quote(t4."name"), ms_rows(1), '}') FROM "Team" t4 WHERE t4."id" = t1."sender") FROM (SELECT t1."id" AS "id", t1."due" AS "due", t1."sender" AS "sender" FROM "Alert" t1 ORDER BY t1."id" LIMIT ?2) t1 LIMIT -1"#);
}

/// Run with `--release --ignored --nocapture` to see what a statement costs to make.
#[test]
#[ignore = "a measurement"]
fn cost() {
    let db = Db::new(APP);
    let mut get = db.select("Alert", &["id", "title"]);
    get.filter = vec![db.filter("Alert", "id == $key")];
    let mut ruled_get = get.clone();
    ruled_get.filter.push(ruled(&db));
    let one = OutputKind::One {
        column: db.column("Alert", "sender"),
        select: Box::new(db.select("Team", &["id", "name"])),
    };
    let many = OutputKind::Many {
        relation: db.relation("Alert", "receivers"),
        select: Box::new(db.select("Team", &["id", "name", "role"])),
    };
    let mut nested = db.select("Alert", &["id", "due"]);
    nested.outputs.extend([output("receivers", many), output("sender", one)]);
    nested.limit = Some(param(0, &Type::Int));
    let columns = [db.column("Alert", "title"), db.column("Alert", "due")];
    let update = || mainstay_sql::update(&db.schema, SQLITE, db.table("Alert"), &columns);
    let cases: [(&str, &dyn Fn() -> mainstay_sql::statement::Statement); 4] = [
        ("get", &|| select(&db.schema, SQLITE, &get)),
        ("get under a rule", &|| select(&db.schema, SQLITE, &ruled_get)),
        ("nested both ways", &|| select(&db.schema, SQLITE, &nested)),
        ("update", &update),
    ];
    for (name, make) in cases {
        let start = std::time::Instant::now();
        for _ in 0..100_000 {
            std::hint::black_box(make());
        }
        println!("{name}: {:.2} µs", start.elapsed().as_secs_f64() * 10.0);
    }
}
