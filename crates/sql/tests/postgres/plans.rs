//! How PostgreSQL finds the rows, in tables of some thousand: by an index wherever one is there for it.

use mainstay_lang::expr::Expr;
use mainstay_lang::types::Type;
use mainstay_sql::plan::{OutputKind, Select};
use mainstay_sql::{select, system};

use crate::harness::{Db, output, param};

const APP: &str = r#"
table Team { name text(100) unique, members User[] by team, alerts Alert[] by sender, allow read }
extend User { team Team? }
table Alert {
  title text
  severity enum(info, serious) = info
  sender Team
  receivers Team[]
  messages Message[] by alert
  due timestamp?
  index (severity, created)
  index (due)
  order -created
  allow read if sender == user.team or receivers.any(id == user.team)
}
table Message { alert Alert, author User?, text text, order -created, allow read if alert.sender == user.team or author == user }
table Note { owner text(40), due date?, order -due, allow read }
"#;

/// Two hundred teams, each with a user, ten alerts and thirty messages.
const ROWS: &str = r#"
INSERT INTO "Team" SELECT gen_random_uuid(), now(), now(), 'Team ' || n FROM generate_series(1, 200) n;
INSERT INTO "User" SELECT gen_random_uuid(), now(), now(), name, name, id FROM "Team";
INSERT INTO "Alert" SELECT gen_random_uuid(), now() - n * interval '1 minute', now(), 'Alert', 'info', id, now() + n * interval '1 day'
  FROM "Team", generate_series(1, 10) n;
INSERT INTO "Alert_receivers" SELECT a.id, t.id FROM "Alert" a JOIN LATERAL (SELECT id FROM "Team" ORDER BY md5(id::text || a.id) LIMIT 2) t ON TRUE;
INSERT INTO "Message" SELECT gen_random_uuid(), a.created + n * interval '1 second', now(), a.id, u.id, 'Message'
  FROM "Alert" a JOIN "User" u ON u.team = a.sender, generate_series(1, 3) n;
INSERT INTO "Note" SELECT gen_random_uuid(), now(), now(), 'owner', CASE WHEN n % 2 = 0 THEN current_date + n END FROM generate_series(1, 5000) n;
ANALYZE;
"#;

fn filled() -> Db {
    let db = Db::new(APP);
    db.database.script(ROWS).unwrap();
    db
}

fn plan(db: &Db, plan: &Select) -> String {
    db.plan(&select(&db.schema, db.dialect, plan))
}

fn read_rule(db: &Db, table: &str) -> Expr {
    db.schema.table_named(table).unwrap().rules[0].condition.as_deref().unwrap().clone()
}

#[test]
fn a_row_is_found_by_its_key_whatever_its_rule() {
    let db = filled();
    let mut alert = db.select("Alert", &["id", "title"]);
    alert.filter = vec![read_rule(&db, "Alert"), db.filter("Alert", "id == $key")];
    let text = plan(&db, &alert);
    assert!(text.contains("Index Scan using \"Alert_pkey\""), "{text}");
    assert!(!text.contains("Seq Scan"), "{text}");
}

#[test]
fn the_default_order_and_its_pages_need_no_sorter() {
    let db = filled();
    let mut alerts = db.select("Alert", &["id", "title"]);
    alerts.order = vec![db.order("Alert", "-created")];
    alerts.limit = Some(param(0, &Type::Int));
    alerts.paged = true;
    let first = plan(&db, &alerts);
    assert!(
        first.contains("Index Scan using \"Alert.-created.id.index\"") && !first.contains("Sort"),
        "{first}"
    );
    alerts.after = Some(vec![param(1, &Type::Timestamp), param(2, &Type::Uuid)]);
    let next = plan(&db, &alerts);
    assert!(next.contains("Index Cond: (created <= ") && !next.contains("Sort"), "{next}");
    alerts.order = Vec::new();
    alerts.after = Some(vec![param(1, &Type::Uuid)]);
    let by_key = plan(&db, &alerts);
    assert!(
        by_key.contains("Index Scan using \"Alert_pkey\"") && by_key.contains("Index Cond: (id > "),
        "{by_key}"
    );
    // What may be null comes last, in the index as in the list.
    let mut notes = db.select("Note", &["owner"]);
    notes.order = vec![db.order("Note", "-due")];
    notes.limit = Some(param(0, &Type::Int));
    let text = plan(&db, &notes);
    assert!(text.contains("Index Scan using \"Note.-due.id.index\"") && !text.contains("Sort"), "{text}");
}

#[test]
fn ascending_pages_are_row_values_in_an_index() {
    let db = filled();
    let mut alerts = db.select("Message", &["text"]);
    alerts.filter = vec![db.filter("Message", "alert == $alert")];
    alerts.order = vec![db.order("Message", "-created")];
    alerts.limit = Some(param(1, &Type::Int));
    let text = plan(&db, &alerts);
    assert!(text.contains("Index Cond: (alert = ") && !text.contains("Sort"), "{text}");
}

#[test]
fn rules_that_follow_relations_start_from_an_index() {
    let db = filled();
    for table in ["Alert", "Message"] {
        let mut rows = db.select(table, &["id"]);
        rows.filter = vec![read_rule(&db, table)];
        let text = plan(&db, &rows);
        println!("{text}\n");
        for inner in ["Alert_receivers.target.owner.index", "Alert.sender.-created.id.index"] {
            let wanted = text.contains(inner) || (table == "Message" && inner.starts_with("Alert_receivers"));
            assert!(wanted, "{inner}\n{text}");
        }
    }
}

#[test]
fn nested_lists_are_found_by_their_parent() {
    let db = filled();
    let many = |table: &str, relation: &str, select: Select| {
        let kind = OutputKind::Many { relation: db.relation(table, relation), select: Box::new(select) };
        output(relation, kind)
    };
    let mut messages = db.select("Message", &["text"]);
    messages.order = vec![db.order("Message", "-created")];
    messages.limit = Some(param(0, &Type::Int));
    let author = db.select("User", &["name"]);
    let kind = OutputKind::One { column: db.column("Message", "author"), select: Box::new(author) };
    messages.outputs.push(output("author", kind));
    let mut alerts = db.select("Alert", &["title"]);
    alerts.outputs.push(many("Alert", "messages", messages));
    alerts.outputs.push(many("Alert", "receivers", db.select("Team", &["name"])));
    let mut teams = db.select("Team", &["name"]);
    teams.filter = vec![db.filter("Team", "name == $name")];
    teams.outputs.push(many("Team", "alerts", alerts));
    teams.limit = Some(param(1, &Type::Int));
    teams.limit_bound = Some(16);
    let text = plan(&db, &teams);
    assert!(!text.contains("Seq Scan"), "{text}");
    // As values, in one result: nothing is put together as JSON.
    assert!(text.contains("Left Join") && !text.contains("string_agg"), "{text}");
    for index in [
        "Team.name.unique",
        "Alert.sender.-created.id.index",
        "Message.alert.-created.id.index",
        "Alert_receivers_pkey",
        "User_pkey",
    ] {
        assert!(text.contains(index), "{index}\n{text}");
    }
}

/// A log of some thousand lines, each of a transaction of its own or of one of a hundred.
const LINES: &str = r#"
CREATE FUNCTION logged(lines int) RETURNS void LANGUAGE sql AS $$
  INSERT INTO "_change" ("at", "table", "row", "kind", "after")
    SELECT now(), 'Note', gen_random_uuid(), 'create', '{}' FROM generate_series(1, lines);
$$;
"#;

#[test]
fn what_is_new_in_a_long_log_is_found_without_walking_it() {
    let db = Db::new(APP);
    db.database.script(LINES).unwrap();
    for _ in 0..30 {
        db.database.script("SELECT logged(1); SELECT logged(100);").unwrap();
    }
    let [first, next] = [system::change_tail, system::change_tail_next].map(|of| of(&db.schema, db.dialect));
    // Before the database has counted the lines, and after.
    for _ in 0..2 {
        let found = db.plan(&first);
        assert!(found.contains("Scan on \"_change.tx\"") && !found.contains("_change_pkey"), "{found}");
        let walked = db.plan(&next);
        assert!(walked.contains("Index Scan using _change_pkey") && !walked.contains("Sort"), "{walked}");
        db.database.script("ANALYZE").unwrap();
    }
}
