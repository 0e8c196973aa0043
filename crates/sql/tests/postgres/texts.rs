//! The text of the main shapes, so that a change of it is seen.

use mainstay_lang::types::Type;
use mainstay_sql::plan::{OutputKind, Select};
use mainstay_sql::{POSTGRES, select};

use crate::harness::{Db, output, param};

const APP: &str = r#"
table Team { name text, role enum(bar, log) = bar, alerts Alert[] by sender, allow read }
extend User { team Team? }
table Alert { title text, sender Team, receivers Team[], due timestamp?, cost decimal(8, 2)?, allow read if sender == user.team or receivers.any(id == user.team) }
"#;

fn sql(db: &Db, plan: &Select) -> String {
    select(&db.schema, POSTGRES, plan).sql.to_string()
}

#[test]
fn a_page_under_a_rule() {
    let db = Db::new(APP);
    let mut alerts = db.select("Alert", &["id", "title"]);
    alerts.filter =
        vec![db.schema.table_named("Alert").unwrap().rules[0].condition.as_deref().unwrap().clone()];
    alerts.order = vec![db.order("Alert", "-due")];
    alerts.limit = Some(param(0, &Type::Int));
    alerts.after = Some(vec![param(1, &Type::Timestamp), param(2, &Type::Uuid)]);
    alerts.paged = true;
    insta::assert_snapshot!(sql(&db, &alerts), @r#"SELECT t1."id", t1."title", t1."due", t1."id" FROM (SELECT t1."id" AS "id", t1."title" AS "title", t1."due" AS "due" FROM "Alert" t1 WHERE ((t1."sender" = $1::uuid) OR t1."id" = ANY (ARRAY(SELECT t3."owner" FROM "Alert_receivers" t3 WHERE (t3."target" = $1::uuid)))) AND ((t1."due" < $2::timestamptz OR (t1."due" IS NULL AND $2::timestamptz IS NOT NULL)) OR (t1."due" IS NOT DISTINCT FROM $2::timestamptz AND t1."id" > $3::uuid)) ORDER BY t1."due" DESC NULLS LAST, t1."id" LIMIT 16) t1 LIMIT $4::bigint + 1"#);
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
    insta::assert_snapshot!(sql(&db, &alerts), @r#"SELECT t1."id", t1."due", t4.c0, t4.c1, t4.c2, (SELECT concat('{"id":"', t5."id", '","name":', to_json(t5."name"), '	}') FROM "Team" t5 WHERE t5."id" = t1."sender") FROM (SELECT t1."id" AS "id", t1."due" AS "due", t1."sender" AS "sender" FROM "Alert" t1 ORDER BY t1."id" LIMIT 16) t1 CROSS JOIN LATERAL (SELECT array_agg(t2."id") AS c0, array_agg(t2."name") AS c1, array_agg(t2."role") AS c2 FROM (SELECT * FROM (SELECT t3."target" AS "id", t2."name" AS "name", t2."role" AS "role" FROM "Alert_receivers" t3 JOIN "Team" t2 ON t2."id" = t3."target" WHERE t3."owner" = t1."id" ORDER BY t3."target" LIMIT 16) t2 LIMIT $1::bigint) t2 HAVING (CASE WHEN count(*) > 16 AND set_config('mainstay.rows', (current_setting('mainstay.rows')::bigint - count(*))::text, true)::bigint < 0 THEN mainstay_1.too_many_rows() END) IS NULL) t4 WHERE (SELECT set_config('mainstay.rows', $2::bigint::text, true)) IS NOT NULL LIMIT $3::bigint"#);
}

#[test]
fn a_condition_that_computes() {
    let db = Db::new(APP);
    let mut alerts = db.select("Alert", &["id"]);
    alerts.filter =
        vec![db.filter("Alert", "cost * 2 / 3 > 1.5 and lower(title) == \"x\" and title ~ \"y\"")];
    insta::assert_snapshot!(sql(&db, &alerts), @r#"SELECT t1."id" FROM "Alert" t1 WHERE (((round((t1."cost" * $1::numeric)::numeric(18, 2), 60) / nullif($2::numeric, 0))::numeric(18, 8) > $3::numeric) AND (lower(t1."title" COLLATE "C") = $4::text COLLATE "C") AND (strpos(lower(t1."title" COLLATE "C"), lower($5::text COLLATE "C" COLLATE "C")) > 0)) ORDER BY t1."id""#);
}
